//! Resident memory of an idle connection: `idle SERVER BACKEND ADDR CONNECTIONS`, where SERVER is the path of `echo_server`.
//!
//! Starts the server, opens the connections, and reads the server's resident set before them, with them, and after each has echoed once.

#[path = "../resident.rs"]
mod resident;

use core::net::SocketAddr;
use core::time::Duration;
use resident::resident;
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread::sleep;

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [server, backend, addr, connections] = args.as_slice() else {
        eprintln!("usage: idle SERVER BACKEND ADDR CONNECTIONS");
        std::process::exit(2);
    };
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let target: SocketAddr = addr.parse().map_err(|_| invalid("ADDR is no address"))?;
    let connections: usize = connections.parse().map_err(|_| invalid("CONNECTIONS is no number"))?;
    let mut child = Command::new(server).args([backend, addr]).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or_else(|| invalid("no output"))?).read_line(&mut line)?;

    // One connection before the count begins, so that what a loop has once is not counted.
    let mut streams = vec![TcpStream::connect(target)?];
    echo(&mut streams)?;
    let before = resident(child.id())?;
    for _ in 0..connections {
        streams.push(TcpStream::connect(target)?);
    }
    sleep(Duration::from_millis(500));
    let with = resident(child.id())?;
    echo(&mut streams)?;
    let echoed = resident(child.id())?;
    let each = |now: usize| (now.saturating_sub(before)) as f64 / connections as f64;
    println!("{backend}: {connections} idle connections, {:.0} B each, {:.0} B after one echo each", each(with), each(echoed));
    drop(streams);
    child.wait()?;
    Ok(())
}

fn echo(streams: &mut [TcpStream]) -> io::Result<()> {
    for stream in streams.iter_mut() {
        stream.write_all(&[7; 64])?;
    }
    for stream in streams.iter_mut() {
        stream.read_exact(&mut [0; 64])?;
    }
    Ok(())
}

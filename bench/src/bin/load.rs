//! Echo clients, in rounds: `load ADDR CONNECTIONS ROUNDS SIZE`. In a round every connection sends one message, then every connection receives it.

use core::net::SocketAddr;
use core::time::Duration;
use std::env;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let parsed: Option<(SocketAddr, usize, usize, usize)> = match args.as_slice() {
        [addr, connections, rounds, size] => {
            (|| Some((addr.parse().ok()?, connections.parse().ok()?, rounds.parse().ok()?, size.parse().ok()?)))()
        }
        _ => None,
    };
    let Some((addr, connections, rounds, size)) = parsed else {
        eprintln!("usage: load ADDR CONNECTIONS ROUNDS SIZE");
        std::process::exit(2);
    };
    let mut streams = (0..connections).map(|_| connect(addr)).collect::<io::Result<Vec<_>>>()?;
    let message: Vec<u8> = (0..size).map(|n| (31 * n + 7) as u8).collect();
    let mut back = vec![0; size];
    let start = Instant::now();
    for _ in 0..rounds {
        for stream in &mut streams {
            stream.write_all(&message)?;
        }
        for stream in &mut streams {
            stream.read_exact(&mut back)?;
            assert!(back == message, "the echo is not what was sent");
        }
    }
    let messages = connections * rounds;
    let micros = start.elapsed().as_micros() as f64 / messages.max(1) as f64;
    println!("{messages} messages of {size} B over {connections} connections, {micros:.2} us each");
    Ok(())
}

/// Connects, also to a server that has just been started.
fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let mut tries = 0;
    loop {
        match TcpStream::connect(addr) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(_) if tries < 200 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(error),
        }
    }
}

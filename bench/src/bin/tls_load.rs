//! Secure echo clients, in rounds: `tls_load ADDR CERT CONNECTIONS ROUNDS SIZE [PID]`. In a round every connection sends one message, then every connection
//! receives it. They trust the certificate in the file CERT alone, which the server writes. If PID is the server's, its resident set is read when all is done and
//! the connections are idle.

#[path = "../resident.rs"]
mod resident;

use core::net::SocketAddr;
use core::time::Duration;
use resident::resident;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let parsed: Option<(SocketAddr, &str, usize, usize, usize)> = match args.as_slice() {
        [addr, cert, connections, rounds, size] | [addr, cert, connections, rounds, size, _] => {
            (|| Some((addr.parse().ok()?, cert.as_str(), connections.parse().ok()?, rounds.parse().ok()?, size.parse().ok()?)))()
        }
        _ => None,
    };
    let pid = args.get(5).map(|pid| pid.parse::<u32>());
    let (Some((addr, cert, connections, rounds, size)), Ok(pid)) = (parsed, pid.transpose()) else {
        eprintln!("usage: tls_load ADDR CERT CONNECTIONS ROUNDS SIZE [PID]");
        std::process::exit(2);
    };
    // Listening says that the certificate is there.
    let sockets = (0..connections).map(|_| connect(addr)).collect::<io::Result<Vec<_>>>()?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(fs::read(cert)?)).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let mut streams = Vec::new();
    for socket in sockets {
        let name = "localhost".try_into().map_err(io::Error::other)?;
        let tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, socket);
        stream.flush()?;
        streams.push(stream);
    }
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
    if let Some(pid) = pid {
        // It has answered everything; what it does after that, it does soon.
        std::thread::sleep(Duration::from_millis(500));
        println!("resident {}", resident(pid)?);
    }
    for stream in &mut streams {
        stream.conn.send_close_notify();
        stream.flush()?;
    }
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

//! UDP echo clients, in rounds: `udp_load ADDR PEERS ROUNDS SIZE DEPTH`. In a round every peer sends so many datagrams, then every peer receives them. At the
//! end one of them tells the server to stop.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::env;
use std::io;
use std::net::UdpSocket;
use std::time::Instant;

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let parsed: Option<(SocketAddr, usize, usize, usize, usize)> = match args.as_slice() {
        [addr, peers, rounds, size, depth] => {
            (|| Some((addr.parse().ok()?, peers.parse().ok()?, rounds.parse().ok()?, size.parse().ok()?, depth.parse().ok()?)))()
        }
        _ => None,
    };
    let Some((addr, peers, rounds, size, depth)) = parsed else {
        eprintln!("usage: udp_load ADDR PEERS ROUNDS SIZE DEPTH");
        std::process::exit(2);
    };
    let peers = (0..peers).map(|_| connect(addr)).collect::<io::Result<Vec<_>>>()?;
    let message: Vec<u8> = (0..size).map(|n| (31 * n + 7) as u8).collect();
    let mut back = vec![0; size + 1];
    let start = Instant::now();
    for _ in 0..rounds {
        for peer in &peers {
            for _ in 0..depth {
                peer.send(&message)?;
            }
        }
        for peer in &peers {
            for _ in 0..depth {
                let mut n = peer.recv(&mut back)?;
                while back[..n] == *b"?" {
                    n = peer.recv(&mut back)?; // A late answer to a try.
                }
                assert!(back[..n] == message, "the echo is not what was sent");
            }
        }
    }
    let datagrams = peers.len() * rounds * depth;
    let micros = start.elapsed().as_micros() as f64 / datagrams.max(1) as f64;
    if let Some(peer) = peers.first() {
        peer.send(b"stop")?;
    }
    println!("{datagrams} datagrams of {size} B from {} peers, {micros:.2} us each", peers.len());
    Ok(())
}

/// A peer of a server that answers, also of one that has just been started.
fn connect(addr: SocketAddr) -> io::Result<UdpSocket> {
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    peer.connect(addr)?;
    peer.set_read_timeout(Some(Duration::from_millis(50)))?;
    for _ in 0..200 {
        // Nobody may be there yet: then a send says so, or nothing comes back.
        if peer.send(b"?").is_ok() && peer.recv(&mut [0; 1]).is_ok() {
            peer.set_read_timeout(Some(Duration::from_secs(20)))?;
            return Ok(peer);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer"))
}

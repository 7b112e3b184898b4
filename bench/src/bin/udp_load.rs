//! UDP echo clients, in rounds: `udp_load ADDR PEERS ROUNDS SIZE DEPTH`. In a round every peer sends so many datagrams, then every peer receives them. At the
//! end one of them tells the server to stop, until it has heard it, whether all came back or not: a datagram that does not within five seconds is lost, and an
//! error.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::env;
use std::io;
use std::net::UdpSocket;
use std::time::Instant;

const STOP: &[u8] = b"stop";

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
    let start = Instant::now();
    let echoed = (0..rounds).try_for_each(|_| round(&peers, &message, depth));
    let datagrams = peers.len() * rounds * depth;
    let micros = start.elapsed().as_micros() as f64 / datagrams.max(1) as f64;
    if let Some(peer) = peers.first() {
        stop(peer)?;
    }
    echoed?;
    println!("{datagrams} datagrams of {size} B from {} peers, {micros:.2} us each", peers.len());
    Ok(())
}

fn round(peers: &[UdpSocket], message: &[u8], depth: usize) -> io::Result<()> {
    for peer in peers {
        for _ in 0..depth {
            peer.send(message)?;
        }
    }
    let mut back = vec![0; message.len() + 1];
    for peer in peers {
        for _ in 0..depth {
            let mut n = peer.recv(&mut back)?;
            while back[..n] == *b"?" {
                n = peer.recv(&mut back)?; // A late answer to a try.
            }
            if back[..n] != *message {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the echo is not what was sent"));
            }
        }
    }
    Ok(())
}

/// Tells the server to stop until it answers, or is gone: the word may be lost as every datagram may.
fn stop(peer: &UdpSocket) -> io::Result<()> {
    peer.set_read_timeout(Some(Duration::from_millis(50)))?;
    let mut back = [0; STOP.len() + 1];
    for _ in 0..200 {
        if peer.send(STOP).is_err_and(|error| is_gone(&error)) {
            return Ok(());
        }
        // What else comes is left of what was lost, or late.
        loop {
            match peer.recv(&mut back) {
                Ok(n) if back[..n] == *STOP => return Ok(()),
                Ok(_) => {}
                Err(error) if is_gone(&error) => return Ok(()),
                Err(_) => break,
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not stop"))
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// A peer of a server that answers, also of one that has just been started.
fn connect(addr: SocketAddr) -> io::Result<UdpSocket> {
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    peer.connect(addr)?;
    peer.set_read_timeout(Some(Duration::from_millis(50)))?;
    for _ in 0..200 {
        // Nobody may be there yet: then a send says so, or nothing comes back.
        if peer.send(b"?").is_ok() && peer.recv(&mut [0; 1]).is_ok() {
            peer.set_read_timeout(Some(Duration::from_secs(5)))?;
            return Ok(peer);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer"))
}

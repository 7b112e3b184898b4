//! The addresses of a host of several, on real sockets: all of them have the same port, as a name has them.

use super::race::{Race, Who};
use core::net::SocketAddr;
use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind};

/// How many ports are tried: somebody may have the one that was free at the first address at another.
const TRIES: usize = 20;

/// Everybody who is there.
pub(crate) struct There {
    pub(crate) port: u16,
    /// Where the peer listens.
    pub(crate) peer: Option<Socket>,
    /// What keeps the other addresses as they are.
    pub(crate) kept: Vec<Socket>,
}

pub(crate) fn sockets(race: &Race) -> io::Result<There> {
    let mut last = Err(ErrorKind::AddrInUse.into());
    for _ in 0..TRIES {
        last = with_one_port(race);
        match &last {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            _ => break,
        }
    }
    last
}

fn with_one_port(race: &Race) -> io::Result<There> {
    let mut there = There { port: 0, peer: None, kept: Vec::new() };
    for one in &race.to {
        let domain = if one.ip.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
        let new = || Socket::new(domain, Type::STREAM, None);
        let socket = new()?;
        socket.bind(&SocketAddr::new(one.ip, there.port).into())?;
        let at = socket.local_addr()?;
        there.port = at.as_socket().ok_or(ErrorKind::AddrNotAvailable)?.port();
        match one.who {
            Who::Peer => {
                socket.listen(16)?;
                socket.set_nonblocking(true)?;
                there.peer = Some(socket);
                continue;
            }
            Who::Other => socket.listen(16)?,
            Who::Silent => {
                // One connection fits into its queue, and nobody takes it out: further requests are dropped.
                socket.listen(0)?;
                let first = new()?;
                first.connect(&at)?;
                there.kept.push(first);
            }
            Who::Nobody => {}
        }
        there.kept.push(socket);
    }
    Ok(there)
}

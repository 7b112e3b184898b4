//! Datagram sockets of the system's: those that the loop adopts, and the other ends.

use super::host::Mailbox;
use super::peer_real::{address, name};
use plimsoll_core::{Addr, Datagram, UnixAddr};
use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

/// The most that a datagram of a scenario's carries.
const LARGEST: usize = 1 << 18;

/// A blocking socket, as it would come from elsewhere: bound, and connected if it has a remote address.
pub(crate) fn bound(open: &Datagram) -> io::Result<Socket> {
    let domain = if open.local().is_some_and(|at| at.as_unix().is_some()) { Domain::UNIX } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::DGRAM, None)?;
    if let Some(at) = open.local() {
        socket.bind(&name(at)?)?;
    }
    if let Some(to) = open.remote() {
        socket.connect(&name(to)?)?;
    }
    Ok(socket)
}

enum Kind {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

pub(crate) struct RealMailbox {
    socket: Kind,
    at: Addr,
    memory: Vec<u8>,
}

impl RealMailbox {
    pub(crate) fn boxed(socket: Socket) -> io::Result<Box<dyn Mailbox>> {
        socket.set_nonblocking(true)?;
        let at = address(&socket.local_addr()?).ok_or(ErrorKind::AddrNotAvailable)?;
        let socket = if at.as_unix().is_some() { Kind::Unix(socket.into()) } else { Kind::Udp(socket.into()) };
        Ok(Box::new(Self { socket, at, memory: vec![0; LARGEST] }))
    }
}

impl Mailbox for RealMailbox {
    fn address(&self) -> Addr {
        self.at.clone()
    }

    fn send(&mut self, payload: &[u8], to: Option<&Addr>) -> bool {
        let sent = match (&self.socket, to) {
            (Kind::Udp(socket), Some(Addr::Inet(to))) => socket.send_to(payload, to),
            (Kind::Unix(socket), Some(Addr::Unix(to))) => match to.as_path() {
                Some(to) => socket.send_to(payload, to),
                None => Err(ErrorKind::AddrNotAvailable.into()),
            },
            (Kind::Unix(socket), None) => socket.send(payload),
            _ => Err(ErrorKind::AddrNotAvailable.into()),
        };
        !matches!(sent, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted))
    }

    fn receive(&mut self) -> Option<(Vec<u8>, Addr)> {
        let (n, from) = match &self.socket {
            Kind::Udp(socket) => {
                let (n, from) = socket.recv_from(&mut self.memory).ok()?;
                (n, from.into())
            }
            Kind::Unix(socket) => {
                let (n, from) = socket.recv_from(&mut self.memory).ok()?;
                (n, Addr::unix(from.as_pathname().map_or(UnixAddr::UNNAMED, |path| UnixAddr::from(path.to_owned()))))
            }
        };
        Some((self.memory[..n].to_vec(), from))
    }
}

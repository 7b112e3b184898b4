//! How sockets come about: bound, accepted, connected.

use super::{Source, local_addr, option, socket_addr};
use crate::error::{error, refused};
use core::net::SocketAddr;
use plimsoll_core::{Addr, Call, Connect, Ends, Error, ErrorKind, Listen, SocketOption};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// Every socket is made so, and never made otherwise later.
const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// A new stream socket of the family of an address.
fn socket(for_addr: SocketAddr) -> Result<Source, Error> {
    let family = if for_addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    match rustix::net::socket_with(family, SocketType::STREAM, FLAGS, None) {
        Ok(descriptor) => Ok(Source::socket(descriptor)),
        // A system without IPv6 has none of its addresses: a server with others skips this one (contract LOOP-15).
        Err(errno @ Errno::AFNOSUPPORT) => Err(Error::from_code(Call::Socket, ErrorKind::AddrNotAvailable, errno.raw_os_error())),
        Err(errno) => Err(error(Call::Socket, errno)),
    }
}

fn inet(addr: &Addr, call: Call) -> Result<SocketAddr, Error> {
    addr.inet().ok_or(Error::new(call, ErrorKind::Unsupported))
}

pub(super) fn bind(at: &Addr, listen: &Listen) -> Result<(Source, Addr), Error> {
    let at = inet(at, Call::Bind)?;
    let source = socket(at)?;
    let options = [
        (listen.is_reuse_address()).then(|| sockopt::set_socket_reuseaddr(&source, true)),
        (listen.is_reuse_port()).then(|| sockopt::set_socket_reuseport(&source, true)),
        // Both families may have the same port, each on a socket of its own (contract LOOP-14).
        (at.is_ipv6()).then(|| sockopt::set_ipv6_v6only(&source, true)),
    ];
    for result in options.into_iter().flatten() {
        result.map_err(|errno| error(Call::Option, errno))?;
    }
    for &buffer in listen.options() {
        // A connection agrees on its window before it is accepted: it gets the sizes from the socket that listens.
        if matches!(buffer, SocketOption::SendBuffer(_) | SocketOption::ReceiveBuffer(_)) {
            option::set(&source, buffer)?;
        }
    }
    rustix::net::bind(&source, &at).map_err(|errno| error(Call::Bind, errno))?;
    let local = local_addr(&source).ok_or(Error::new(Call::Address, ErrorKind::Other))?;
    Ok((source, local))
}

pub(super) fn listen(source: &Source, backlog: u32) -> Result<(), Error> {
    if sockopt::socket_acceptconn(source) == Ok(true) {
        return Ok(());
    }
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    rustix::net::listen(source, backlog).map_err(|errno| error(Call::Listen, errno))
}

pub(super) fn accept(source: &Source) -> Result<Option<(Source, Ends)>, Error> {
    loop {
        match rustix::net::acceptfrom_with(source, FLAGS) {
            Ok((descriptor, peer)) => {
                let accepted = Source::socket(descriptor);
                let ends = Ends::new(local_addr(&accepted), peer.and_then(socket_addr));
                return Ok(Some((accepted, ends)));
            }
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(error(Call::Accept, errno)),
        }
    }
}

pub(super) fn connect(to: &Connect) -> Result<Source, Error> {
    let peer = inet(to.addr(), Call::Connect)?;
    let source = socket(peer)?;
    for &option in to.options() {
        option::set(&source, option)?;
    }
    if let Some(local) = to.local() {
        let local = inet(local, Call::Bind)?;
        if local.is_ipv4() != peer.is_ipv4() {
            return Err(refused(Call::Bind)); // Contract LOOP-5.
        }
        rustix::net::bind(&source, &local).map_err(|errno| error(Call::Bind, errno))?;
    }
    match rustix::net::connect(&source, &peer) {
        // An interrupted connect goes on like one that takes its time.
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(source),
        Err(errno) => Err(error(Call::Connect, errno)),
    }
}

pub(super) fn connect_result(source: &Source) -> Result<Option<Ends>, Error> {
    match sockopt::socket_error(source) {
        Ok(Ok(())) => {}
        Ok(Err(errno)) | Err(errno) => return Err(error(Call::Connect, errno)),
    }
    match rustix::net::getpeername(source) {
        Ok(peer) => Ok(Some(Ends::new(local_addr(source), peer.and_then(socket_addr)))),
        Err(Errno::NOTCONN) => Ok(None),
        Err(errno) => Err(error(Call::Connect, errno)),
    }
}

//! How sockets come about: bound, accepted, connected.

use super::{Source, addr, option, path};
use crate::error::{error, refused};
use core::net::SocketAddr;
use plimsoll_core::{Addr, Attempt, Call, Ends, Error, ErrorKind, Listen, SocketOption, UnixAddr};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// Every socket is made so, and never made otherwise later.
pub(super) const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// A new stream socket of the family of an address.
fn socket(for_addr: &Addr, call: Call) -> Result<Source, Error> {
    let family = match for_addr {
        Addr::Inet(SocketAddr::V4(_)) => AddressFamily::INET,
        Addr::Inet(SocketAddr::V6(_)) => AddressFamily::INET6,
        Addr::Unix(_) => AddressFamily::UNIX,
        _ => return Err(Error::new(call, ErrorKind::Unsupported)),
    };
    match rustix::net::socket_with(family, SocketType::STREAM, FLAGS, None) {
        Ok(descriptor) => Ok(Source::socket(descriptor, Some(for_addr))),
        // A system without IPv6 has none of its addresses: a server with others skips this one (contract LOOP-15).
        Err(errno @ Errno::AFNOSUPPORT) => Err(Error::from_code(Call::Socket, ErrorKind::AddrNotAvailable, errno.raw_os_error())),
        Err(errno) => Err(error(Call::Socket, errno)),
    }
}

/// Binds, without more ado.
pub(super) fn bind_to(source: &Source, at: &Addr) -> Result<(), Error> {
    let bound = match at {
        Addr::Inet(at) => rustix::net::bind(&source.descriptor, at),
        Addr::Unix(at) => rustix::net::bind(&source.descriptor, &addr::to_unix(at, Call::Bind)?),
        _ => return Err(Error::new(Call::Bind, ErrorKind::Unsupported)),
    };
    bound.map_err(|errno| error(Call::Bind, errno))
}

/// A bound socket, its address, and the file that binding it made.
pub(super) fn bind(at: &Addr, listen: &Listen) -> Result<(Source, Addr, Option<path::SocketFile>), Error> {
    if listen.is_reuse_port() && at.as_unix().is_some() {
        return Err(refused(Call::Option)); // Contract LOOP-14: two sockets cannot have one file.
    }
    let source = socket(at, Call::Bind)?;
    if let Addr::Inet(at) = at {
        set_inet_options(&source, *at, listen)?;
    }
    for &buffer in listen.options() {
        // A connection agrees on its window before it is accepted: it gets the sizes from the socket that listens.
        if matches!(buffer, SocketOption::SendBuffer(_) | SocketOption::ReceiveBuffer(_)) {
            option::set(&source, buffer)?;
        }
    }
    let file = match at.as_unix().and_then(UnixAddr::as_path) {
        Some(path) => {
            path::bind(path, || bind_to(&source, at))?;
            listen.is_cleanup_socket().then(|| path::SocketFile::at(path)).flatten()
        }
        None => {
            bind_to(&source, at)?;
            None
        }
    };
    let local = addr::local(&source).ok_or(Error::new(Call::Address, ErrorKind::Other))?;
    Ok((source, local, file))
}

fn set_inet_options(source: &Source, at: SocketAddr, listen: &Listen) -> Result<(), Error> {
    let options = [
        (listen.is_reuse_address()).then(|| sockopt::set_socket_reuseaddr(source, true)),
        (listen.is_reuse_port()).then(|| sockopt::set_socket_reuseport(source, true)),
        // Both families may have the same port, each on a socket of its own (contract LOOP-14).
        (at.is_ipv6()).then(|| sockopt::set_ipv6_v6only(source, true)),
    ];
    for result in options.into_iter().flatten() {
        result.map_err(|errno| error(Call::Option, errno))?;
    }
    Ok(())
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
                let peer = peer.and_then(addr::from_any);
                let local = addr::local(&descriptor);
                let accepted = Source::socket(descriptor, local.as_ref());
                let peer = peer.or_else(|| addr::peer(&accepted));
                let ends = Ends::new(local, peer);
                return Ok(Some((accepted, ends)));
            }
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(error(Call::Accept, errno)),
        }
    }
}

pub(super) fn connect(to: &Attempt) -> Result<Source, Error> {
    let source = socket(to.addr(), Call::Connect)?;
    for &option in to.options() {
        option::set(&source, option)?;
    }
    if let Some(local) = to.local() {
        bind_to(&source, local)?;
    }
    let begun = match to.addr() {
        Addr::Inet(peer) => rustix::net::connect(&source, peer),
        Addr::Unix(peer) => rustix::net::connect(&source, &addr::to_unix(peer, Call::Connect)?),
        _ => return Err(Error::new(Call::Connect, ErrorKind::Unsupported)),
    };
    match begun {
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
        Ok(peer) => Ok(Some(Ends::new(addr::local(source), peer.and_then(addr::from_any).or_else(|| addr::peer(source))))),
        Err(Errno::NOTCONN) => Ok(None),
        Err(errno) => Err(error(Call::Connect, errno)),
    }
}

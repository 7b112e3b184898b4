//! Addresses, as the system has them.

use crate::error::{error, refused};
use core::net::SocketAddr;
use plimsoll_core::{Addr, Call, Error, UnixAddr};
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix};
use socket2::{SockAddr, SockRef};
use std::os::fd::AsFd;

/// The most bytes that a path may have: one less than the system has room for, since not every program reads what is not closed by a NUL.
const MOST_PATH: usize = if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };

/// The length of the address of a socket without a name: the family and nothing else.
const UNNAMED_LEN: u32 = 2;

/// An address that came with a call; none if it is of a family that the core does not name, or a path that fills all of the room, without a closing NUL:
/// rustix panics at that one. The socket of a connection can be asked for it ([`peer`]); the sender of a datagram has none for us.
pub(crate) fn from_any(any: SocketAddrAny) -> Option<Addr> {
    if any.address_family() != AddressFamily::UNIX {
        return SocketAddr::try_from(any).ok().map(Addr::from);
    }
    // rustix reads an address without a name as an abstract one, keeps the NUL of the longest path, and does not expect one without.
    if any.addr_len() <= UNNAMED_LEN {
        return Some(UnixAddr::UNNAMED.into());
    }
    if any.addr_len() > UNNAMED_LEN + MOST_PATH as u32 + 1 {
        return None;
    }
    let addr = SocketAddrUnix::try_from(any).ok()?;
    if let Some(path) = addr.path_bytes() {
        return Some(UnixAddr::path(path.strip_suffix(&[0]).unwrap_or(path)).into());
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = addr.abstract_name() {
        return Some(UnixAddr::abstract_name(name).into());
    }
    Some(UnixAddr::UNNAMED.into())
}

fn from_socket2(addr: &SockAddr) -> Option<Addr> {
    if let Some(addr) = addr.as_socket() {
        return Some(addr.into());
    }
    if !addr.is_unix() {
        return None;
    }
    if let Some(name) = addr.as_abstract_namespace() {
        return Some(UnixAddr::abstract_name(name).into());
    }
    Some(addr.as_pathname().map_or(UnixAddr::UNNAMED, UnixAddr::from).into())
}

/// The address that a socket has here.
pub(crate) fn local(socket: impl AsFd) -> Option<Addr> {
    SockRef::from(&socket).local_addr().ok().as_ref().and_then(from_socket2)
}

/// The address of a socket's peer.
pub(crate) fn peer(socket: impl AsFd) -> Option<Addr> {
    SockRef::from(&socket).peer_addr().ok().as_ref().and_then(from_socket2)
}

/// A Unix address for a call; `InvalidInput` if the system cannot take it (contract LOOP-10).
pub(crate) fn to_unix(addr: &UnixAddr, call: Call) -> Result<SocketAddrUnix, Error> {
    if let Some(path) = addr.as_path_bytes() {
        if path.is_empty() || path.len() > MOST_PATH {
            return Err(refused(call));
        }
        // A NUL inside is refused there.
        return SocketAddrUnix::new(path).map_err(|errno| error(call, errno));
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        match addr.as_abstract_name() {
            Some(name) => SocketAddrUnix::new_abstract_name(name).map_err(|errno| error(call, errno)),
            None if call == Call::Bind => Ok(SocketAddrUnix::new_unnamed()),
            None => Err(refused(call)),
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    Err(Error::new(call, plimsoll_core::ErrorKind::Unsupported))
}

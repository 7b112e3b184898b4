//! Sockets that the application made.

use super::{Source, local_addr, socket_addr};
use crate::error::{error, refused};
use plimsoll_core::{Call, Ends, Error, ErrorKind, Resource, Role};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketType, getpeername, getsockname, sockopt};
use std::os::fd::OwnedFd;

/// Takes a descriptor over, if it is what its role asks for; else it is closed here (contract LOOP-3, LOOP-4, RUST-11).
///
/// The same descriptor cannot come twice, nor one that a connection of the loop has: it is moved in, and nothing here hands one out (contract
/// LOOP-33).
pub(super) fn adopt(resource: Resource, role: Role) -> Result<(Source, Ends), Error> {
    let source = Source::socket(resource.downcast::<OwnedFd>().map_err(|_| refused(Call::Adopt))?);
    // Not a socket at all is an invalid argument too.
    if sockopt::socket_type(&source).map_err(|errno| error(Call::Adopt, errno))? != SocketType::STREAM {
        return Err(refused(Call::Adopt));
    }
    let ends = match role {
        Role::Client | Role::Accepted => connected(&source)?,
        Role::Listener => bound(&source)?,
        _ => return Err(Error::new(Call::Adopt, ErrorKind::Unsupported)),
    };
    ioctl_fionbio(&source, true).map_err(|errno| error(Call::Adopt, errno))?;
    Ok((source, ends))
}

fn connected(source: &Source) -> Result<Ends, Error> {
    if sockopt::socket_acceptconn(source) == Ok(true) {
        return Err(refused(Call::Adopt));
    }
    match getpeername(source) {
        Ok(peer) => Ok(Ends::new(local_addr(source), peer.and_then(socket_addr))),
        Err(Errno::NOTCONN) => Err(refused(Call::Adopt)),
        Err(errno) => Err(error(Call::Adopt, errno)),
    }
}

/// A socket that can be listened on, or is already; a connected one cannot.
fn bound(source: &Source) -> Result<Ends, Error> {
    if getpeername(source).is_ok() {
        return Err(refused(Call::Adopt));
    }
    let local = getsockname(source).map_err(|errno| error(Call::Adopt, errno))?;
    if !matches!(local.address_family(), AddressFamily::INET | AddressFamily::INET6) {
        return Err(Error::new(Call::Adopt, ErrorKind::Unsupported));
    }
    let local =
        socket_addr(local).filter(|local| local.inet().is_some_and(|local| local.port() != 0)).ok_or(refused(Call::Adopt))?;
    Ok(Ends::new(Some(local), None))
}

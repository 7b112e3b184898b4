//! Sockets that the application made.

use super::{Source, addr};
use crate::error::{error, refused};
use plimsoll_core::{Addr, Call, Ends, Error, ErrorKind, Resource, Role};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{SocketType, getpeername, sockopt};
use std::os::fd::OwnedFd;

/// Takes a descriptor over, if it is what its role asks for; else it is closed here (contract LOOP-3, LOOP-4, RUST-11).
///
/// The same descriptor cannot come twice, nor one that a connection of the loop has: it is moved in, and nothing here hands one out (contract
/// LOOP-33).
pub(super) fn adopt(resource: Resource, role: Role) -> Result<(Source, Ends), Error> {
    let descriptor = resource.downcast::<OwnedFd>().map_err(|_| refused(Call::Adopt))?;
    // Not a socket at all is an invalid argument too.
    if sockopt::socket_type(&descriptor).map_err(|errno| error(Call::Adopt, errno))? != SocketType::STREAM {
        return Err(refused(Call::Adopt));
    }
    let local = addr::local(&descriptor);
    let source = Source::socket(descriptor, local.as_ref());
    let ends = match role {
        Role::Client | Role::Accepted => connected(&source, local)?,
        Role::Listener => bound(&source, local)?,
        _ => return Err(Error::new(Call::Adopt, ErrorKind::Unsupported)),
    };
    ioctl_fionbio(&source, true).map_err(|errno| error(Call::Adopt, errno))?;
    Ok((source, ends))
}

fn connected(source: &Source, local: Option<Addr>) -> Result<Ends, Error> {
    if sockopt::socket_acceptconn(source) == Ok(true) {
        return Err(refused(Call::Adopt));
    }
    match getpeername(source) {
        Ok(peer) => Ok(Ends::new(local, peer.and_then(addr::from_any).or_else(|| addr::peer(source)))),
        Err(Errno::NOTCONN) => Err(refused(Call::Adopt)),
        Err(errno) => Err(error(Call::Adopt, errno)),
    }
}

/// A socket that can be listened on, or is already; a connected one cannot.
fn bound(source: &Source, local: Option<Addr>) -> Result<Ends, Error> {
    if getpeername(source).is_ok() {
        return Err(refused(Call::Adopt));
    }
    let local = local.ok_or(Error::new(Call::Adopt, ErrorKind::Unsupported))?;
    let named = match &local {
        Addr::Inet(local) => local.port() != 0,
        Addr::Unix(local) => !local.is_unnamed(),
        _ => false,
    };
    if named { Ok(Ends::new(Some(local), None)) } else { Err(refused(Call::Adopt)) }
}

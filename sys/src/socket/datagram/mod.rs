//! Datagram sockets: how they come about, and how datagrams go through them.

/// `recvmmsg` and `sendmmsg` where there are such. The other file can be had everywhere, so that it is tested.
#[cfg_attr(not(all(any(target_os = "android", target_os = "linux"), not(plimsoll_one_datagram_a_call))), path = "each.rs")]
mod many;
mod offload;
mod one;

pub(super) use many::Calls;
pub(super) use offload::Offload;

use super::open::{FLAGS, bind_to};
use super::{Kind, Source, addr, option, path};
use crate::error::{error, refused};
use plimsoll_core::{Addr, Call, Datagram, Ends, Error, ErrorKind, Family, Resource, SocketOption, UnixAddr};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketType, getpeername, sockopt};
use std::os::fd::OwnedFd;

/// A socket, bound, connected and with its options as it says.
pub(super) fn open(open: &Datagram) -> Result<(Source, Ends), Error> {
    let (family, kind) = match (open.get_family(), open.local().or(open.remote())) {
        (Some(Family::V4), _) => (AddressFamily::INET, Kind::Datagrams(Offload::default())),
        (Some(Family::V6), _) => (AddressFamily::INET6, Kind::Datagrams(Offload::default())),
        (None, Some(Addr::Unix(_))) => (AddressFamily::UNIX, Kind::UnixDatagrams),
        _ => return Err(Error::new(Call::Socket, ErrorKind::Unsupported)),
    };
    let descriptor =
        rustix::net::socket_with(family, SocketType::DGRAM, FLAGS, None).map_err(|errno| error(Call::Socket, errno))?;
    let mut source = Source { descriptor, kind };
    let of_group = |option: &SocketOption| matches!(option, SocketOption::JoinGroup(_) | SocketOption::LeaveGroup(_));
    if open.is_broadcast() {
        option::set(&source, SocketOption::Broadcast(true))?;
    }
    if open.is_reuse_port() {
        sockopt::set_socket_reuseport(&source, true).map_err(|errno| error(Call::Option, errno))?;
    }
    for &option in open.options().iter().filter(|option| !of_group(option)) {
        option::set(&source, option)?;
    }
    match open.local() {
        Some(Addr::Unix(local)) if local.is_unnamed() => {}
        Some(local) => match local.as_unix().and_then(UnixAddr::as_path) {
            Some(path) => path::bind(path, || bind_to(&source, local))?,
            None => bind_to(&source, local)?,
        },
        None => {}
    }
    // A group is one of the address that the socket is bound to.
    for &option in open.options().iter().filter(|option| of_group(option)) {
        option::set(&source, option)?;
    }
    if let Some(remote) = open.remote().filter(|_| open.connects()) {
        let connected = match remote {
            Addr::Inet(remote) => rustix::net::connect(&source, remote),
            Addr::Unix(remote) => rustix::net::connect(&source, &addr::to_unix(remote, Call::Connect)?),
            _ => return Err(Error::new(Call::Connect, ErrorKind::Unsupported)),
        };
        connected.map_err(|errno| error(Call::Connect, errno))?;
    }
    if open.is_receive_offload() {
        many::put_together(&mut source);
    }
    let ends = Ends::new(addr::local(&source), addr::peer(&source));
    Ok((source, ends))
}

/// Takes a descriptor over, if it is a datagram socket; else it is closed here (contract LOOP-26, RUST-11).
pub(super) fn adopt(resource: Resource) -> Result<(Source, Ends), Error> {
    let descriptor = resource.downcast::<OwnedFd>().map_err(|_| refused(Call::Adopt))?;
    if sockopt::socket_type(&descriptor).map_err(|errno| error(Call::Adopt, errno))? != SocketType::DGRAM {
        return Err(refused(Call::Adopt));
    }
    let local = addr::local(&descriptor);
    let kind = match &local {
        Some(Addr::Inet(_)) => Kind::Datagrams(Offload::default()),
        Some(Addr::Unix(_)) => Kind::UnixDatagrams,
        _ => return Err(Error::new(Call::Adopt, ErrorKind::Unsupported)),
    };
    let peer = match getpeername(&descriptor) {
        // A peer without a name is a peer all the same (contract DIS-58).
        Ok(_) => addr::peer(&descriptor),
        Err(Errno::NOTCONN) => None,
        Err(errno) => return Err(error(Call::Adopt, errno)),
    };
    ioctl_fionbio(&descriptor, true).map_err(|errno| error(Call::Adopt, errno))?;
    let mut source = Source { descriptor, kind };
    many::take_over(&mut source);
    Ok((source, Ends::new(local, peer)))
}

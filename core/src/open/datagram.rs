//! Where and how to open a datagram endpoint.

use super::option::SocketOption;
use crate::addr::{Addr, Family};
use crate::error::{Call, Error, ErrorKind};
use alloc::vec::Vec;

/// Where and how to open a datagram endpoint. An address alone is the local one.
///
/// Without any address there must be a [family](Self::of), so that it is known what kind of socket it is to be (contract LOOP-26).
///
/// ```
/// use core::net::SocketAddr;
/// use plimsoll_core::{Datagram, Family};
///
/// let here: SocketAddr = "127.0.0.1:0".parse().unwrap();
/// let there: SocketAddr = "127.0.0.1:7".parse().unwrap();
/// let both = Datagram::on(here).remote_addr(there);
/// assert!(both.connects() && both.check().is_ok());
/// assert!(!Datagram::to(there).broadcast(true).connects());
/// assert!(Datagram::to(there).family(Family::V6).check().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datagram {
    local: Option<Addr>,
    remote: Option<Addr>,
    family: Option<Family>,
    broadcast: bool,
    reuse_port: bool,
    receive_offload: bool,
    options: Vec<SocketOption>,
}

impl Datagram {
    const NOWHERE: Self = Self {
        local: None,
        remote: None,
        family: None,
        broadcast: false,
        reuse_port: false,
        receive_offload: false,
        options: Vec::new(),
    };

    /// On this address of ours; port 0 picks a free one, and a Unix address without a name stands for a socket that is not bound.
    pub fn on(local: impl Into<Addr>) -> Self {
        Self::NOWHERE.local_addr(local)
    }

    /// To this remote address, and no other.
    pub fn to(remote: impl Into<Addr>) -> Self {
        Self::NOWHERE.remote_addr(remote)
    }

    /// On no address, of this family: it is bound by its first send.
    #[must_use]
    pub const fn of(family: Family) -> Self {
        Self::NOWHERE.family(family)
    }

    /// On this address of ours.
    #[must_use]
    pub fn local_addr(mut self, addr: impl Into<Addr>) -> Self {
        self.local = Some(addr.into());
        self
    }

    /// To this remote address, and no other (contract DGRAM-6).
    #[must_use]
    pub fn remote_addr(mut self, addr: impl Into<Addr>) -> Self {
        self.remote = Some(addr.into());
        self
    }

    /// Of this family.
    #[must_use]
    pub const fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    /// Whether it may send to broadcast addresses (`SO_BROADCAST`). With a remote address the socket is not connected then, so that the answers of everybody
    /// arrive (contract LOOP-27).
    #[must_use]
    pub const fn broadcast(mut self, yes: bool) -> Self {
        self.broadcast = yes;
        self
    }

    /// Whether several sockets may share the address (`SO_REUSEPORT`); off by default.
    #[must_use]
    pub const fn reuse_port(mut self, yes: bool) -> Self {
        self.reuse_port = yes;
        self
    }

    /// Whether the system may hand over together what comes in a row from one sender, equally large (`UDP_GRO`, udp(7)), which makes flows of many datagrams
    /// cheaper to receive. The protocol sees no difference. Off by default, since it makes single datagrams dearer; changes nothing where the system does not know how.
    #[must_use]
    pub const fn receive_offload(mut self, yes: bool) -> Self {
        self.receive_offload = yes;
        self
    }

    /// With this option of the socket, set before it is bound; groups are joined behind that. One that cannot be set fails the opening.
    #[must_use]
    pub fn option(mut self, option: SocketOption) -> Self {
        self.options.push(option);
        self
    }

    /// The address of ours.
    #[must_use]
    pub const fn local(&self) -> Option<&Addr> {
        self.local.as_ref()
    }

    /// The remote address.
    #[must_use]
    pub const fn remote(&self) -> Option<&Addr> {
        self.remote.as_ref()
    }

    /// The internet family; none if it is a Unix socket.
    #[must_use]
    pub fn get_family(&self) -> Option<Family> {
        self.family.or_else(|| self.local.as_ref().or(self.remote.as_ref()).and_then(Addr::family))
    }

    /// See [`broadcast`](Self::broadcast).
    #[must_use]
    pub const fn is_broadcast(&self) -> bool {
        self.broadcast
    }

    /// See [`reuse_port`](Self::reuse_port).
    #[must_use]
    pub const fn is_reuse_port(&self) -> bool {
        self.reuse_port
    }

    /// See [`receive_offload`](Self::receive_offload).
    #[must_use]
    pub const fn is_receive_offload(&self) -> bool {
        self.receive_offload
    }

    /// Whether the socket is to be connected to the remote address.
    #[must_use]
    pub const fn connects(&self) -> bool {
        self.remote.is_some() && !self.broadcast
    }

    /// The options of the socket, in the order given.
    #[must_use]
    pub fn options(&self) -> &[SocketOption] {
        &self.options
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// `InvalidInput` if the addresses and the family are not of one family, or a Unix socket is to share its address, to broadcast, to join a group or to offload anything.
    pub fn check(&self) -> Result<(), Error> {
        let families = [self.local.as_ref().map(Addr::family), self.remote.as_ref().map(Addr::family), self.family.map(Some)];
        let mut families = families.into_iter().flatten();
        let first = families.next().flatten();
        let for_inet = |option: &SocketOption| matches!(option, SocketOption::JoinGroup(_) | SocketOption::LeaveGroup(_));
        let inet_only = self.broadcast || self.reuse_port || self.receive_offload || self.options.iter().any(for_inet);
        if families.any(|family| family != first) || first.is_none() && inet_only {
            Err(Error::new(Call::Check, ErrorKind::InvalidInput))
        } else {
            Ok(())
        }
    }
}

impl<A: Into<Addr>> From<A> for Datagram {
    fn from(local: A) -> Self {
        Self::on(local)
    }
}

//! How connections and servers are opened: builders, options, and what the core carries without knowing it.

use crate::addr::{Addr, Family};
use crate::error::{Call, Error, ErrorKind};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;

/// An option of a socket, set on a live connection by [`Hub::set_option`](crate::Hub::set_option) or at its opening.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum SocketOption {
    /// Send small segments at once (`TCP_NODELAY`); on by default for every TCP stream (contract LOOP-11).
    NoDelay(bool),
    /// Probe an idle peer (`SO_KEEPALIVE`), the first time after so long (`TCP_KEEPIDLE`); `None` turns it off.
    KeepAlive(Option<Duration>),
    /// What closing does with unsent bytes (`SO_LINGER`); `Some(ZERO)` resets the connection instead of finishing it.
    Linger(Option<Duration>),
    /// The kernel's send buffer in bytes (`SO_SNDBUF`).
    SendBuffer(usize),
    /// The kernel's receive buffer in bytes (`SO_RCVBUF`).
    ReceiveBuffer(usize),
    /// Send to broadcast addresses (`SO_BROADCAST`).
    Broadcast(bool),
    /// Receive what is sent to a multicast group (`IP_ADD_MEMBERSHIP`, `IPV6_ADD_MEMBERSHIP`).
    JoinGroup(Group),
    /// Do so no more.
    LeaveGroup(Group),
    /// Whether what is sent to a group comes back to this machine's members of it (`IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`); on by default.
    MulticastLoop(bool),
    /// How far what is sent to a group goes (`IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`): 1, the default, is the local network.
    MulticastHops(u8),
    /// The interface through which IPv4 sends to groups, by its address (`IP_MULTICAST_IF`).
    MulticastInterfaceV4(Ipv4Addr),
    /// The interface through which IPv6 sends to groups, by its index (`IPV6_MULTICAST_IF`).
    MulticastInterfaceV6(u32),
}

/// A multicast group on an interface.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "there are two families")]
pub enum Group {
    /// Of IPv4: the interface is named by its address; the unspecified one leaves the choice to the system.
    V4 {
        /// The group's address.
        group: Ipv4Addr,
        /// The interface's address.
        interface: Ipv4Addr,
    },
    /// Of IPv6: the interface is named by its index; zero leaves the choice to the system.
    V6 {
        /// The group's address.
        group: Ipv6Addr,
        /// The interface's index.
        interface: u32,
    },
}

/// Where and how to connect. An address alone is one.
///
/// ```
/// use core::net::SocketAddr;
/// use plimsoll_core::{Connect, SocketOption};
///
/// let to: SocketAddr = "127.0.0.1:7".parse().unwrap();
/// let connect = Connect::to(to).option(SocketOption::NoDelay(false));
/// assert_eq!(connect.addr(), &to.into());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connect {
    addr: Addr,
    local: Option<Addr>,
    options: Vec<SocketOption>,
}

impl Connect {
    /// To this address.
    pub fn to(addr: impl Into<Addr>) -> Self {
        let addr = addr.into();
        // Contract LOOP-11; there is nothing that a Unix socket could delay.
        let options = if addr.as_unix().is_some() { Vec::new() } else { vec![SocketOption::NoDelay(true)] };
        Self { addr, local: None, options }
    }

    /// From this address of ours. The file that a Unix path makes is the application's to remove.
    #[must_use]
    pub fn local_addr(mut self, addr: impl Into<Addr>) -> Self {
        self.local = Some(addr.into());
        self
    }

    /// With this option of the socket, set before it connects.
    #[must_use]
    pub fn option(mut self, option: SocketOption) -> Self {
        self.options.push(option);
        self
    }

    /// The address to connect to.
    #[must_use]
    pub const fn addr(&self) -> &Addr {
        &self.addr
    }

    /// The address to connect from, if one was given.
    #[must_use]
    pub const fn local(&self) -> Option<&Addr> {
        self.local.as_ref()
    }

    /// The options, in the order given.
    #[must_use]
    pub fn options(&self) -> &[SocketOption] {
        &self.options
    }
}

impl<A: Into<Addr>> From<A> for Connect {
    fn from(addr: A) -> Self {
        Self::to(addr)
    }
}

/// Where and how to listen. An address alone is one.
///
/// ```
/// use core::net::SocketAddr;
/// use plimsoll_core::Listen;
///
/// let v4: SocketAddr = "0.0.0.0:80".parse().unwrap();
/// let v6: SocketAddr = "[::]:80".parse().unwrap();
/// let listen = Listen::on(v4).and(v6).and(v4).backlog(1024);
/// assert_eq!(listen.addrs().len(), 2); // each distinct address is bound once
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen {
    addrs: Vec<Addr>,
    backlog: u32,
    reuse_address: bool,
    reuse_port: bool,
    start: bool,
    cleanup_socket: bool,
    options: Vec<SocketOption>,
}

impl Listen {
    /// On this address; port 0 picks a free one, as does a Unix address without a name (an abstract one, on Linux).
    ///
    /// At a Unix path a leftover socket file is replaced; a file of another kind is an address in use (contract LOOP-24).
    pub fn on(addr: impl Into<Addr>) -> Self {
        Self { addrs: vec![addr.into()], ..Self::nowhere() }
    }

    /// On no address: for a socket that is taken over.
    pub(crate) fn nowhere() -> Self {
        Self {
            addrs: Vec::new(),
            backlog: 100,
            reuse_address: true,
            reuse_port: false,
            start: true,
            cleanup_socket: true,
            options: vec![SocketOption::NoDelay(true)],
        }
    }

    /// On this address too (contract LOOP-13).
    #[must_use]
    pub fn and(mut self, addr: impl Into<Addr>) -> Self {
        let addr = addr.into();
        if !self.addrs.contains(&addr) {
            self.addrs.push(addr);
        }
        self
    }

    /// How many connections the kernel keeps for us, 100 by default; also how many are accepted in one go (contract LOOP-22).
    #[must_use]
    pub const fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = if backlog == 0 { 1 } else { backlog };
        self
    }

    /// Whether an address may be bound that connections in TIME-WAIT still use (`SO_REUSEADDR`); on by default.
    #[must_use]
    pub const fn reuse_address(mut self, yes: bool) -> Self {
        self.reuse_address = yes;
        self
    }

    /// Whether several sockets may share the address and its connections (`SO_REUSEPORT`); off by default, and refused on Unix sockets (contract
    /// LOOP-14).
    #[must_use]
    pub const fn reuse_port(mut self, yes: bool) -> Self {
        self.reuse_port = yes;
        self
    }

    /// Binds, but accepts nothing before [`Hub::server_start`](crate::Hub::server_start) (contract LOOP-16).
    #[must_use]
    pub const fn paused(mut self) -> Self {
        self.start = false;
        self
    }

    /// Whether the file of a Unix socket is removed when the server closes, if it is still the one that the server made; on by default
    /// (contract LOOP-25).
    #[must_use]
    pub const fn cleanup_socket(mut self, yes: bool) -> Self {
        self.cleanup_socket = yes;
        self
    }

    /// With this option on every accepted socket.
    #[must_use]
    pub fn option(mut self, option: SocketOption) -> Self {
        self.options.push(option);
        self
    }

    /// The addresses, each once.
    #[must_use]
    pub fn addrs(&self) -> &[Addr] {
        &self.addrs
    }

    /// See [`backlog`](Self::backlog).
    #[must_use]
    pub const fn get_backlog(&self) -> u32 {
        self.backlog
    }

    /// See [`reuse_address`](Self::reuse_address).
    #[must_use]
    pub const fn is_reuse_address(&self) -> bool {
        self.reuse_address
    }

    /// See [`reuse_port`](Self::reuse_port).
    #[must_use]
    pub const fn is_reuse_port(&self) -> bool {
        self.reuse_port
    }

    /// Whether connections are accepted as soon as the addresses are bound.
    #[must_use]
    pub const fn starts(&self) -> bool {
        self.start
    }

    /// See [`cleanup_socket`](Self::cleanup_socket).
    #[must_use]
    pub const fn is_cleanup_socket(&self) -> bool {
        self.cleanup_socket
    }

    /// The options of accepted sockets.
    #[must_use]
    pub fn options(&self) -> &[SocketOption] {
        &self.options
    }
}

impl<A: Into<Addr>> From<A> for Listen {
    fn from(addr: A) -> Self {
        Self::on(addr)
    }
}

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
    options: Vec<SocketOption>,
}

impl Datagram {
    const NOWHERE: Self =
        Self { local: None, remote: None, family: None, broadcast: false, reuse_port: false, options: Vec::new() };

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
    /// `InvalidInput` if the addresses and the family are not of one family, or a Unix socket is to share its address, to broadcast or to join a group.
    pub fn check(&self) -> Result<(), Error> {
        let families = [self.local.as_ref().map(Addr::family), self.remote.as_ref().map(Addr::family), self.family.map(Some)];
        let mut families = families.into_iter().flatten();
        let first = families.next().flatten();
        let for_inet = |option: &SocketOption| matches!(option, SocketOption::JoinGroup(_) | SocketOption::LeaveGroup(_));
        let inet_only = self.broadcast || self.reuse_port || self.options.iter().any(for_inet);
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

/// Why a connection could not be opened: each address that was tried with its error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenError {
    attempts: Vec<(Option<Addr>, Error)>,
}

impl OpenError {
    /// One attempt, one error. There is no address to name where a socket was taken over.
    #[must_use]
    pub fn new(addr: Option<Addr>, error: Error) -> Self {
        Self { attempts: vec![(addr, error)] }
    }

    /// The error, of the last attempt if there were several.
    #[must_use]
    pub fn error(&self) -> Error {
        self.attempts[self.attempts.len() - 1].1
    }

    /// Every attempt, in order.
    pub fn attempts(&self) -> impl Iterator<Item = (Option<&Addr>, Error)> {
        self.attempts.iter().map(|(addr, error)| (addr.as_ref(), *error))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (addr, error)) in self.attempts().enumerate() {
            if n > 0 {
                f.write_str("; ")?;
            }
            if let Some(addr) = addr {
                write!(f, "{addr}: ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl core::error::Error for OpenError {}

#[cfg(feature = "std")]
impl From<OpenError> for std::io::Error {
    fn from(error: OpenError) -> Self {
        Self::new(Self::from(error.error()).kind(), error)
    }
}

/// Something of the backend's that the core only carries: a descriptor on its way in, a visitor of a socket on its way to it.
///
/// It is moved in and dropped exactly once, on every path (contract RUST-11).
pub struct Resource(Box<dyn Any>);

impl Resource {
    /// Carries `thing`.
    #[must_use]
    pub fn new(thing: impl Any) -> Self {
        Self(Box::new(thing))
    }

    /// The thing, if it is a `T`.
    ///
    /// # Errors
    /// The resource itself, if it carries something else.
    pub fn downcast<T: Any>(self) -> Result<T, Self> {
        self.0.downcast().map(|thing| *thing).map_err(Self)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resource")
    }
}

//! How connections and servers are opened: builders, options, and what the core carries without knowing it.

use crate::addr::{Addr, Family};
use crate::connect::Connector;
use crate::error::{Call, Error, ErrorKind};
use crate::name::{Name, Target};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
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

/// Where and how to connect. An address alone is one, and so is a host's name with a port.
///
/// ```
/// use core::net::SocketAddr;
/// use plimsoll_core::{Connect, SocketOption};
///
/// let to: SocketAddr = "127.0.0.1:7".parse().unwrap();
/// let connect = Connect::to(to).option(SocketOption::NoDelay(false));
/// assert!(connect.addrs().eq([&to.into()]));
///
/// // The first address of the host that answers, each tried a quarter of a second after the one before.
/// let _ = Connect::host("example.org", 80).stagger(Connect::STAGGER);
/// # let _ = Connect::from(("example.org", 80));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connect {
    targets: Vec<Target>,
    local: Vec<Addr>,
    family: Option<Family>,
    stagger: Option<Duration>,
    interleave: Option<usize>,
    options: Vec<SocketOption>,
}

impl Connect {
    /// The stagger that RFC 8305 recommends, a quarter of a second.
    pub const STAGGER: Duration = Connector::STAGGER;

    /// To this address.
    pub fn to(addr: impl Into<Addr>) -> Self {
        Self::target(Target::Addr(addr.into()))
    }

    /// To this host: its addresses are looked up, and tried in the order in which the system has them (contract LOOP-1).
    ///
    /// A name that spells an address out is that address. An empty one, one that DNS could not have (more than 253 bytes) and one with a NUL inside are
    /// `InvalidInput`.
    pub fn host(name: impl Into<Box<str>>, port: u16) -> Self {
        Self::target(Target::Name(Name::new(name, port)))
    }

    fn target(target: Target) -> Self {
        Self { targets: vec![target], local: Vec::new(), family: None, stagger: None, interleave: None, options: Vec::new() }
    }

    /// Or to this address, which is tried after the others.
    #[must_use]
    pub fn or(mut self, addr: impl Into<Addr>) -> Self {
        self.targets.push(Target::Addr(addr.into()));
        self
    }

    /// From this address of ours. If it is said several times, each attempt uses the first one of its family that can be bound; one without an address
    /// of its family fails (contract LOOP-5). The file that a Unix path makes is the application's to remove.
    #[must_use]
    pub fn local_addr(mut self, addr: impl Into<Addr>) -> Self {
        self.local.push(addr.into());
        self
    }

    /// To addresses of this family only.
    #[must_use]
    pub const fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    /// Does not wait for an attempt to fail: the next address is tried as well when the one before has not answered for that long, and the first to answer is the
    /// connection ("happy eyeballs", contract LOOP-7). Without it addresses are tried one after another, as asyncio does.
    ///
    /// RFC 8305 recommends [`STAGGER`](Self::STAGGER), and asks for at least 10 ms.
    #[must_use]
    pub const fn stagger(mut self, delay: Duration) -> Self {
        self.stagger = Some(delay);
        self
    }

    /// After so many addresses of the family that comes first, the families alternate; 0 leaves the order as it is (contract LOOP-8). 1 with a
    /// [`stagger`](Self::stagger) unless said otherwise, else 0.
    #[must_use]
    pub const fn interleave(mut self, first: usize) -> Self {
        self.interleave = Some(first);
        self
    }

    /// With this option of the socket, set before it connects.
    #[must_use]
    pub fn option(mut self, option: SocketOption) -> Self {
        self.options.push(option);
        self
    }

    /// The addresses to connect to, as far as they were given.
    pub fn addrs(&self) -> impl Iterator<Item = &Addr> {
        addrs(&self.targets)
    }

    /// The host to connect to, if it was given by name.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        names(&self.targets).next()
    }

    /// The addresses to connect from.
    #[must_use]
    pub fn local(&self) -> &[Addr] {
        &self.local
    }

    /// The options, in the order given.
    #[must_use]
    pub fn options(&self) -> &[SocketOption] {
        &self.options
    }

    /// An attempt at one of its addresses.
    pub(crate) fn attempt(&self, to: Addr, from: Option<Addr>) -> Attempt {
        // Contract LOOP-11; there is nothing that a Unix socket could delay.
        let first = to.inet().map(|_| SocketOption::NoDelay(true));
        let options = first.into_iter().chain(self.options.iter().copied()).collect();
        Attempt { addr: to, local: from, options }
    }

    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    pub(crate) const fn only_family(&self) -> Option<Family> {
        self.family
    }

    /// The connector for these addresses.
    pub(crate) fn connector(&self, addrs: Vec<Addr>, now: Instant) -> Connector {
        let first = self.interleave.unwrap_or(usize::from(self.stagger.is_some()));
        Connector::new(Connector::interleave(addrs, first), self.local.iter().cloned(), self.stagger, now)
    }
}

fn addrs(targets: &[Target]) -> impl Iterator<Item = &Addr> {
    targets.iter().filter_map(|target| match target {
        Target::Addr(addr) => Some(addr),
        Target::Name(_) => None,
    })
}

fn names(targets: &[Target]) -> impl Iterator<Item = &Name> {
    targets.iter().filter_map(|target| match target {
        Target::Name(name) => Some(name),
        Target::Addr(_) => None,
    })
}

impl<A: Into<Addr>> From<A> for Connect {
    fn from(addr: A) -> Self {
        Self::to(addr)
    }
}

impl From<(&str, u16)> for Connect {
    fn from((host, port): (&str, u16)) -> Self {
        Self::host(host, port)
    }
}

impl From<(String, u16)> for Connect {
    fn from((host, port): (String, u16)) -> Self {
        Self::host(host, port)
    }
}

/// One attempt to connect: what a backend makes a socket for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    addr: Addr,
    local: Option<Addr>,
    options: Vec<SocketOption>,
}

impl Attempt {
    /// To this address, with these options of the socket.
    pub fn new(addr: impl Into<Addr>, local: Option<Addr>, options: impl Into<Vec<SocketOption>>) -> Self {
        Self { addr: addr.into(), local, options: options.into() }
    }

    /// The address to connect to.
    #[must_use]
    pub const fn addr(&self) -> &Addr {
        &self.addr
    }

    /// The address to bind to before, of the same family. If it cannot be bound, the error says [`Call::Bind`](crate::Call::Bind).
    #[must_use]
    pub const fn local(&self) -> Option<&Addr> {
        self.local.as_ref()
    }

    /// The options to set before, in order.
    #[must_use]
    pub fn options(&self) -> &[SocketOption] {
        &self.options
    }
}

/// Where and how to listen. An address alone is one, and so is a host's name with a port.
///
/// ```
/// use core::net::SocketAddr;
/// use plimsoll_core::Listen;
///
/// let v4: SocketAddr = "0.0.0.0:80".parse().unwrap();
/// let v6: SocketAddr = "[::]:80".parse().unwrap();
/// let listen = Listen::on(v4).and(v6).and(v4).backlog(1024);
/// assert_eq!(listen.addrs().count(), 2); // each distinct address is bound once
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen {
    targets: Vec<Target>,
    family: Option<Family>,
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
        Self { targets: vec![Target::Addr(addr.into())], ..Self::nowhere() }
    }

    /// On all addresses of this host, which are looked up; an empty name stands for all interfaces (contract LOOP-13). What is wrong with a name is
    /// `InvalidInput`, as for [`Connect::host`].
    pub fn host(name: impl Into<Box<str>>, port: u16) -> Self {
        Self::nowhere().and_host(name, port)
    }

    /// On all interfaces, IPv4 and IPv6; port 0 picks a free one for each. A family that the system does not have is skipped (contract LOOP-13, LOOP-15).
    #[must_use]
    pub fn any(port: u16) -> Self {
        Self::host("", port)
    }

    /// On no address: for a socket that is taken over.
    pub(crate) fn nowhere() -> Self {
        Self {
            targets: Vec::new(),
            family: None,
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
        self.add(Target::Addr(addr.into()));
        self
    }

    /// On all addresses of this host too (contract LOOP-13).
    #[must_use]
    pub fn and_host(mut self, name: impl Into<Box<str>>, port: u16) -> Self {
        let name = Name::new(name, port);
        if name.host().is_empty() {
            return self
                .and(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
                .and(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
        }
        self.add(Target::Name(name));
        self
    }

    fn add(&mut self, target: Target) {
        if !self.targets.contains(&target) {
            self.targets.push(target);
        }
    }

    /// On addresses of this family only.
    #[must_use]
    pub const fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
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

    /// The addresses, each once, as far as they were given. A backend is given them all.
    pub fn addrs(&self) -> impl Iterator<Item = &Addr> {
        addrs(&self.targets)
    }

    /// The names of hosts that were given instead.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        names(&self.targets)
    }

    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    pub(crate) const fn only_family(&self) -> Option<Family> {
        self.family
    }

    /// The same, with these addresses in place of all names.
    pub(crate) fn at(mut self, addrs: Vec<Addr>) -> Self {
        self.targets.clear();
        for addr in addrs {
            self.add(Target::Addr(addr));
        }
        self
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

impl From<(&str, u16)> for Listen {
    fn from((host, port): (&str, u16)) -> Self {
        Self::host(host, port)
    }
}

impl From<(String, u16)> for Listen {
    fn from((host, port): (String, u16)) -> Self {
        Self::host(host, port)
    }
}

/// Why a connection could not be opened: each address that was tried with its error (contract LOOP-6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenError {
    host: Option<Box<str>>,
    /// At least one.
    attempts: Vec<(Option<Addr>, Error)>,
}

impl OpenError {
    /// One attempt, one error. There is no address to name where a socket was taken over, or a name could not be looked up.
    #[must_use]
    pub fn new(addr: Option<Addr>, error: Error) -> Self {
        Self { host: None, attempts: vec![(addr, error)] }
    }

    /// Several attempts to reach this host; without one there is another cause.
    pub(crate) fn all(host: Option<&Name>, mut attempts: Vec<(Option<Addr>, Error)>) -> Self {
        if attempts.is_empty() {
            let nothing = match host {
                Some(_) => Error::new(Call::Resolve, ErrorKind::HostNotFound),
                None => Error::new(Call::Check, ErrorKind::InvalidInput),
            };
            attempts.push((None, nothing));
        }
        // An address spelled out is named by its attempt.
        let unnamed = attempts.iter().all(|(addr, _)| addr.is_none());
        let host = host.filter(|name| unnamed || name.literal().is_none());
        Self { host: host.map(|name| name.host().into()), attempts }
    }

    /// The host, if it was given by name.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The error, of the last attempt if there were several.
    #[must_use]
    pub fn error(&self) -> Error {
        self.attempts[self.attempts.len() - 1].1
    }

    /// Every attempt, in order. An address of ours is named where that could not be bound, and none where there was no address to try.
    pub fn attempts(&self) -> impl Iterator<Item = (Option<&Addr>, Error)> {
        self.attempts.iter().map(|(addr, error)| (addr.as_ref(), *error))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{}: ", host.escape_debug())?;
        }
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

    /// The thing, left where it is, if it is a `T`.
    pub fn get_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.0.downcast_mut()
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resource")
    }
}

//! Where and how to connect.

use super::option::SocketOption;
use super::{addrs, names};
use crate::addr::{Addr, Family};
use crate::connect::Connector;
use crate::name::{Name, Target};
use crate::time::Instant;
use crate::tls::Tls;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

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
#[derive(Clone, Debug)]
pub struct Connect {
    targets: Vec<Target>,
    local: Vec<Addr>,
    family: Option<Family>,
    stagger: Option<Duration>,
    interleave: Option<usize>,
    options: Vec<SocketOption>,
    tls: Option<Tls>,
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
        Self {
            targets: vec![target],
            local: Vec::new(),
            family: None,
            stagger: None,
            interleave: None,
            options: Vec::new(),
            tls: None,
        }
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

    /// Makes it secure: `connection_made` comes when the handshake is done (contract TLS-1).
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// See [`tls`](Self::tls).
    #[must_use]
    pub const fn get_tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
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

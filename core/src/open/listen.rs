//! Where and how to listen.

use super::option::SocketOption;
use super::{addrs, names};
use crate::addr::{Addr, Family};
use crate::name::{Name, Target};
use crate::tls::Tls;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

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
#[derive(Clone, Debug)]
pub struct Listen {
    targets: Vec<Target>,
    family: Option<Family>,
    backlog: u32,
    reuse_address: bool,
    reuse_port: bool,
    start: bool,
    cleanup_socket: bool,
    options: Vec<SocketOption>,
    tls: Option<Tls>,
}

impl Listen {
    /// On this address; port 0 picks a free one, as does a Unix address without a name (an abstract one, on Linux).
    ///
    /// At a Unix path a leftover socket file is replaced; a file of another kind is an address in use (contract LOOP-24).
    pub fn on(addr: impl Into<Addr>) -> Self {
        Self { targets: vec![Target::Addr(addr.into())], ..Self::nowhere() }
    }

    /// On all addresses of this host, which are looked up; an empty name stands for all interfaces (contract LOOP-13). What is wrong with a name is
    /// `InvalidInput`, as for [`Connect::host`](crate::Connect::host).
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
            tls: None,
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

    /// Makes each connection secure (contract LOOP-14). Its protocol is made when it is accepted and called when the handshake is done; a handshake that fails is
    /// reported, and nothing else comes of it (contract TLS-2). A limit of zero, and a configuration that no connection can be made of, fails the listening with
    /// `InvalidInput` (contract TLS-5).
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

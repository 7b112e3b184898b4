//! Addresses of endpoints.

use core::fmt;
use core::net::SocketAddr;

/// The address of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Addr {
    /// An IPv4 or IPv6 address with a port.
    Inet(SocketAddr),
}

impl Addr {
    /// The internet address, if it is one.
    #[must_use]
    pub const fn inet(&self) -> Option<SocketAddr> {
        match *self {
            Self::Inet(addr) => Some(addr),
        }
    }
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Self {
        Self::Inet(addr)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(addr) => addr.fmt(f),
        }
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Both addresses of a connection, as captured when it was made (contract INFO-2, INFO-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Ends {
    /// Our address.
    pub local: Option<Addr>,
    /// The peer's address; none if the system could not tell it any more.
    pub peer: Option<Addr>,
}

impl Ends {
    /// Both addresses, each of which may be unknown.
    #[must_use]
    pub const fn new(local: Option<Addr>, peer: Option<Addr>) -> Self {
        Self { local, peer }
    }
}

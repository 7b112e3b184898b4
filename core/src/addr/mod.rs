//! Addresses of endpoints.

mod family;
mod unix;

pub use family::Family;
pub use unix::UnixAddr;

use core::fmt;
use core::net::SocketAddr;

/// The address of an endpoint: a plain value, as large as std's `SocketAddr`, and without an allocation if it is one.
///
/// ```
/// use plimsoll_core::{Addr, UnixAddr};
///
/// let inet: core::net::SocketAddr = "127.0.0.1:7".parse().unwrap();
/// assert_eq!(Addr::from(inet).to_string(), "127.0.0.1:7");
/// assert_eq!(Addr::unix("/run/app.sock").to_string(), "unix:/run/app.sock");
/// assert_eq!(Addr::from(UnixAddr::abstract_name("app")).to_string(), "unix:@app");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Addr {
    /// An IPv4 or IPv6 address with a port.
    Inet(SocketAddr),
    /// The address of a Unix socket (contract INFO-2).
    Unix(UnixAddr),
}

impl Addr {
    /// The Unix address with this path: see [`UnixAddr::path`].
    pub fn unix(path: impl Into<UnixAddr>) -> Self {
        Self::Unix(path.into())
    }

    /// The internet address, if it is one.
    #[must_use]
    pub const fn inet(&self) -> Option<SocketAddr> {
        match *self {
            Self::Inet(addr) => Some(addr),
            Self::Unix(_) => None,
        }
    }

    /// The Unix address, if it is one.
    #[must_use]
    pub const fn as_unix(&self) -> Option<&UnixAddr> {
        match self {
            Self::Unix(addr) => Some(addr),
            Self::Inet(_) => None,
        }
    }
}

/// An address on loan: what a send needs to know of it, wherever it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(
    clippy::exhaustive_enums,
    reason = "backends match on it to say it to their system; a new kind of address is one that they have to know"
)]
pub enum AddrRef<'a> {
    /// An IPv4 or IPv6 address with a port.
    Inet(&'a SocketAddr),
    /// The address of a Unix socket.
    Unix(&'a UnixAddr),
}

impl<'a> From<&'a Addr> for AddrRef<'a> {
    #[inline]
    fn from(addr: &'a Addr) -> Self {
        match addr {
            Addr::Inet(addr) => Self::Inet(addr),
            Addr::Unix(addr) => Self::Unix(addr),
        }
    }
}

/// Named only here, so that nobody else can implement [`ToAddr`].
#[allow(unnameable_types, reason = "sealed")]
pub(crate) mod sealed {
    use super::AddrRef;

    pub trait Lend {
        fn lend(&self) -> AddrRef<'_>;
    }
}

/// To whom a datagram can be sent: [`Addr`], [`SocketAddr`] or [`UnixAddr`], or a reference to one. What is owned is copied into the queue, not the reference.
pub trait ToAddr: sealed::Lend {}

macro_rules! to_addr {
    ($($type:ty, $lend:expr),*) => {$(
        impl ToAddr for $type {}
        impl sealed::Lend for $type {
            #[inline]
            fn lend(&self) -> AddrRef<'_> {
                $lend(self)
            }
        }
    )*};
}

to_addr!(Addr, AddrRef::from, SocketAddr, AddrRef::Inet, UnixAddr, AddrRef::Unix);

impl<A: ToAddr> ToAddr for &A {}
impl<A: ToAddr> sealed::Lend for &A {
    #[inline]
    fn lend(&self) -> AddrRef<'_> {
        (**self).lend()
    }
}

impl From<AddrRef<'_>> for Addr {
    fn from(addr: AddrRef<'_>) -> Self {
        match addr {
            AddrRef::Inet(addr) => Self::Inet(*addr),
            AddrRef::Unix(addr) => Self::Unix(addr.clone()),
        }
    }
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Self {
        Self::Inet(addr)
    }
}

impl From<&Self> for Addr {
    fn from(addr: &Self) -> Self {
        addr.clone()
    }
}

impl From<UnixAddr> for Addr {
    fn from(addr: UnixAddr) -> Self {
        Self::Unix(addr)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(addr) => addr.fmt(f),
            Self::Unix(addr) => addr.fmt(f),
        }
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Both addresses of a connection, as captured when it was made (contract INFO-2, INFO-3).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Ends {
    /// Our address.
    pub local: Option<Addr>,
    /// The peer's address; none if the system could not tell it any more.
    pub peer: Option<Addr>,
}

impl Ends {
    /// Nothing is known.
    pub(crate) const UNKNOWN: Self = Self { local: None, peer: None };

    /// Both addresses, each of which may be unknown.
    #[must_use]
    pub const fn new(local: Option<Addr>, peer: Option<Addr>) -> Self {
        Self { local, peer }
    }

    /// Whether they are those of a Unix socket: as far as is known, also before it is connected.
    #[must_use]
    pub const fn is_unix(&self) -> bool {
        matches!((&self.local, &self.peer), (Some(Addr::Unix(_)), _) | (_, Some(Addr::Unix(_))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= INFO-2
    #[test]
    fn an_address_is_as_large_as_an_internet_address_and_may_go_to_other_threads() {
        fn plain<T: Send + Sync + 'static>() {}
        plain::<Addr>();
        assert_eq!(size_of::<Option<Addr>>(), size_of::<SocketAddr>());
    }
}

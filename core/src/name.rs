//! Names of hosts, and whatever else can be connected to or listened on.

use crate::addr::{Addr, Family};
use crate::error::{Call, Error, ErrorKind};
use alloc::boxed::Box;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// The longest name that DNS can have, in the form in which it is written (RFC 1035, 2.3.4); a dot may follow.
const LONGEST: usize = 253;

/// A host by its name, with a port: what a resolver is asked for.
///
/// The name goes to the system as it is: a name that is not ASCII is to be given in its `xn--` form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name {
    host: Box<str>,
    port: u16,
    family: Option<Family>,
}

impl Name {
    /// That host, that port.
    pub fn new(host: impl Into<Box<str>>, port: u16) -> Self {
        Self { host: host.into(), port, family: None }
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The only family whose addresses are wanted, if there is one.
    #[must_use]
    pub const fn family(&self) -> Option<Family> {
        self.family
    }

    pub(crate) fn of_family(&self, family: Option<Family>) -> Self {
        Self { family, ..self.clone() }
    }

    /// The address that it spells out, if it does: there is nothing to look up then.
    #[must_use]
    pub fn literal(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// What no resolver is to be bothered with.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let long = self.host.strip_suffix('.').unwrap_or(&self.host).len() > LONGEST;
        if self.host.is_empty() || long || self.host.contains('\0') {
            return Err(Error::new(Call::Resolve, ErrorKind::InvalidInput));
        }
        Ok(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host.escape_debug(), self.port)
    }
}

/// An address, or a name to be looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    Addr(Addr),
    Name(Name),
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    #[test]
    fn a_name_that_no_host_can_have_is_refused() {
        //= RUST-6
        let kind = |host: &str| Name::new(host, 80).check().map_err(Error::kind);
        let label = String::from("a").repeat(63);
        let longest = [label.as_str(); 4].join(".")[..253].to_string();
        assert_eq!(kind(&longest), Ok(()));
        assert_eq!(kind(&(longest.clone() + ".")), Ok(()));
        for bad in ["", "a\0b", &(longest + "a")] {
            assert_eq!(kind(bad), Err(ErrorKind::InvalidInput));
        }
    }

    #[test]
    fn an_address_spelled_out_is_no_name() {
        assert_eq!(Name::new("127.0.0.1", 7).literal(), Some(SocketAddr::from(([127, 0, 0, 1], 7))));
        assert_eq!(Name::new("::1", 7).literal().unwrap().to_string(), "[::1]:7");
        for name in ["localhost", "127.1", "fe80::1%lo", "[::1]", ""] {
            assert_eq!(Name::new(name, 7).literal(), None, "{name}");
        }
    }
}

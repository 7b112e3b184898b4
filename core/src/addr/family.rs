//! Families of internet addresses.

use super::Addr;

/// One of the two families of internet addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "there will be no third one")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Addr {
    /// The family, if it is an internet address.
    #[must_use]
    pub fn family(&self) -> Option<Family> {
        self.inet().map(|addr| if addr.is_ipv4() { Family::V4 } else { Family::V6 })
    }
}

//! Internet addresses, as the kernel has them.

use core::mem::offset_of;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use libc::{AF_INET, AF_INET6, sa_family_t, sockaddr_in, sockaddr_in6, socklen_t};

const FOUR: usize = size_of::<sockaddr_in>();
const SIX: usize = size_of::<sockaddr_in6>();

/// The bytes of an internet address of the kernel's: `sockaddr_in` or `sockaddr_in6`.
///
/// In both the family stands first and the port, in network order, behind it. Then comes the IPv4 address; or the flow information, the IPv6 address and
/// the scope. Their size is a power of two, so that those of an array are found by a shift.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(super) struct Name([u8; SIX]);

/// Where things stand in it.
const _: () = {
    assert!(offset_of!(sockaddr_in, sin_family) == 0 && size_of::<sa_family_t>() == 2);
    assert!(offset_of!(sockaddr_in, sin_port) == 2 && offset_of!(sockaddr_in, sin_addr) == 4);
    assert!(offset_of!(sockaddr_in6, sin6_family) == 0 && offset_of!(sockaddr_in6, sin6_port) == 2);
    assert!(offset_of!(sockaddr_in6, sin6_flowinfo) == 4 && offset_of!(sockaddr_in6, sin6_addr) == 8);
    assert!(offset_of!(sockaddr_in6, sin6_scope_id) == 24 && SIX == 28 && FOUR == 16);
};

impl Name {
    /// How much room there is.
    pub(super) const ROOM: socklen_t = SIX as socklen_t;

    /// Writes an address; how long it is.
    #[inline(always)]
    pub(super) fn write(&mut self, addr: &SocketAddr) -> socklen_t {
        let bytes = &mut self.0;
        match addr {
            SocketAddr::V4(addr) => {
                bytes[..2].copy_from_slice(&(AF_INET as sa_family_t).to_ne_bytes());
                bytes[2..4].copy_from_slice(&addr.port().to_be_bytes());
                bytes[4..8].copy_from_slice(&addr.ip().octets());
                FOUR as socklen_t
            }
            SocketAddr::V6(addr) => {
                bytes[..2].copy_from_slice(&(AF_INET6 as sa_family_t).to_ne_bytes());
                bytes[2..4].copy_from_slice(&addr.port().to_be_bytes());
                // As std has it, and says it to the kernel: in the order of the machine.
                bytes[4..8].copy_from_slice(&addr.flowinfo().to_ne_bytes());
                bytes[8..24].copy_from_slice(&addr.ip().octets());
                bytes[24..].copy_from_slice(&addr.scope_id().to_ne_bytes());
                SIX as socklen_t
            }
        }
    }

    /// What was written; behind that stands what was written before.
    #[inline]
    pub(super) fn written(&self, len: socklen_t) -> &[u8] {
        self.0.get(..len as usize).unwrap_or(&self.0)
    }

    /// The IPv4 address that the kernel wrote, and said to be so long; none if it wrote another one, or nothing.
    #[inline(always)]
    pub(super) fn read_four(&self, len: socklen_t) -> Option<SocketAddrV4> {
        let [a, b, p, q, four @ ..] = &self.0;
        if (len as usize) < FOUR || sa_family_t::from_ne_bytes([*a, *b]) != AF_INET as sa_family_t {
            return None;
        }
        let [a, b, c, d, ..] = *four;
        Some(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([*p, *q])))
    }

    /// The address that the kernel wrote, and said to be so long; none if it is of another family, or nothing was written.
    pub(super) fn read(&self, len: socklen_t) -> Option<SocketAddr> {
        if let Some(four) = self.read_four(len) {
            return Some(four.into());
        }
        let [a, b, p, q, rest @ ..] = self.0;
        if (len as usize) < SIX || sa_family_t::from_ne_bytes([a, b]) != AF_INET6 as sa_family_t {
            return None;
        }
        let number = |from: usize| u32::from_ne_bytes([rest[from], rest[from + 1], rest[from + 2], rest[from + 3]]);
        let mut ip = [0; 16];
        ip.copy_from_slice(&rest[4..20]);
        Some(SocketAddrV6::new(Ipv6Addr::from(ip), u16::from_be_bytes([p, q]), number(0), number(20)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Name = Name([0; SIX]);

    #[test]
    fn an_address_is_read_as_it_was_written() {
        for addr in ["127.0.0.1:7", "255.254.1.2:65535", "[::1]:1", "[fe80::1%9]:258"] {
            let mut addr: SocketAddr = addr.parse().unwrap();
            if let SocketAddr::V6(addr) = &mut addr {
                addr.set_flowinfo(0x0102_0304);
            }
            let mut name = NOTHING;
            let len = name.write(&addr);
            assert_eq!(name.read(len), Some(addr));
            assert_eq!(name.read(len - 1), None, "it was cut");
        }
    }

    #[test]
    fn what_is_no_internet_address_is_none() {
        assert_eq!(NOTHING.read(0), None);
        assert_eq!(NOTHING.read(Name::ROOM), None);
        // A path, longer than there is room for.
        let mut name = Name([b'x'; SIX]);
        name.0[..2].copy_from_slice(&(libc::AF_UNIX as sa_family_t).to_ne_bytes());
        assert_eq!(name.read(110), None);
        // Nothing was written, and what stands there is of an earlier call.
        let mut name = NOTHING;
        name.write(&"127.0.0.1:7".parse().unwrap());
        assert_eq!(name.read(0), None);
    }
}

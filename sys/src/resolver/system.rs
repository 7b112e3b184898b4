//! What the system knows about names: `getaddrinfo`.

use super::Found;
use crate::error::io_error;
use dns_lookup::{AddrFamily, AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};
use plimsoll_core::{Call, Error, ErrorKind, Family, Name};
use std::io;

/// Looks a name up, and waits: files, DNS, whatever the system is set up for, in the order in which it wants the addresses to be tried (RFC 6724).
pub(super) fn look_up(name: &Name) -> Found {
    let address = match name.family() {
        None => 0,
        Some(Family::V4) => AddrFamily::Inet.into(),
        Some(Family::V6) => AddrFamily::Inet6.into(),
    };
    // One kind of socket, lest each address be there once for each.
    let hints = AddrInfoHints { address, socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = getaddrinfo(Some(name.host()), None, Some(hints)).map_err(error)?;
    // What is no internet address is of no use.
    Ok(found.filter_map(Result::ok).map(|info| info.sockaddr).collect())
}

fn error(reason: LookupError) -> Error {
    let code = reason.error_num();
    let kind = match reason.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => ErrorKind::HostNotFound,
        LookupErrorKind::Again | LookupErrorKind::Fail => ErrorKind::LookupFailed,
        LookupErrorKind::Family => ErrorKind::Unsupported,
        LookupErrorKind::Memory => ErrorKind::OutOfMemory,
        LookupErrorKind::System => return io_error(Call::Resolve, &io::Error::from(reason)),
        // Some systems tell "no address of that family" by a code of its own.
        _ if code == EAI_ADDRFAMILY => ErrorKind::HostNotFound,
        _ => ErrorKind::Other,
    };
    Error::from_code(Call::Resolve, kind, code)
}

/// glibc's: the name has addresses, none of the family that was asked for.
const EAI_ADDRFAMILY: i32 = -9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_knows_this_host() {
        //= LOOP-1
        let found = look_up(&Name::new("localhost", 7)).unwrap();
        assert!(!found.is_empty() && found.iter().all(|addr| addr.ip().is_loopback()), "{found:?}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn codes_of_the_system_have_a_kind() {
        let kind = |code| error(LookupError::new(code)).kind();
        // As in `netdb.h` of glibc and musl.
        assert_eq!(kind(-2), ErrorKind::HostNotFound);
        assert_eq!(kind(-5), ErrorKind::HostNotFound);
        assert_eq!(kind(-9), ErrorKind::HostNotFound);
        assert_eq!(kind(-3), ErrorKind::LookupFailed);
        assert_eq!(kind(-10), ErrorKind::OutOfMemory);
        assert_eq!(error(LookupError::new(-2)).to_string(), "resolve: host not found (code -2)");
    }
}

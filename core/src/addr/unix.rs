//! Addresses of Unix sockets.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// The address of a Unix socket: a path, no name, or an abstract name (contract INFO-2; `unix(7)`).
///
/// A plain value: whether the system can take it (no NUL inside of a path, no more than the 107 or so bytes that fit) shows when it is connected or
/// bound to, as `InvalidInput`.
///
/// ```
/// use plimsoll_core::UnixAddr;
///
/// let addr = UnixAddr::path("/run/app.sock");
/// assert_eq!(addr.as_path_bytes(), Some(&b"/run/app.sock"[..]));
/// assert_eq!(addr.as_abstract_name(), None);
/// assert!(UnixAddr::UNNAMED.is_unnamed());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixAddr(Name);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    Unnamed,
    Path(Box<[u8]>),
    Abstract(Box<[u8]>),
}

impl UnixAddr {
    /// The address of a socket that was never bound, as most clients' and both of a pair.
    pub const UNNAMED: Self = Self(Name::Unnamed);

    /// A path in the file system.
    #[must_use]
    pub fn path(path: impl AsRef<[u8]>) -> Self {
        Self(Name::Path(path.as_ref().into()))
    }

    /// A name in Linux's abstract namespace, which no file stands for; any bytes, without the NUL that the system puts in front.
    #[must_use]
    pub fn abstract_name(name: impl AsRef<[u8]>) -> Self {
        Self(Name::Abstract(name.as_ref().into()))
    }

    /// The bytes of the path, if it is one.
    #[must_use]
    pub const fn as_path_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Name::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The abstract name, if it is one.
    #[must_use]
    pub const fn as_abstract_name(&self) -> Option<&[u8]> {
        match &self.0 {
            Name::Abstract(name) => Some(name),
            _ => None,
        }
    }

    /// Whether there is no name.
    #[must_use]
    pub const fn is_unnamed(&self) -> bool {
        matches!(self.0, Name::Unnamed)
    }
}

impl From<&str> for UnixAddr {
    fn from(path: &str) -> Self {
        Self::path(path)
    }
}

impl From<String> for UnixAddr {
    fn from(path: String) -> Self {
        Self::from(path.into_bytes())
    }
}

impl From<&[u8]> for UnixAddr {
    fn from(path: &[u8]) -> Self {
        Self::path(path)
    }
}

impl From<Vec<u8>> for UnixAddr {
    fn from(path: Vec<u8>) -> Self {
        Self(Name::Path(path.into()))
    }
}

/// `unix:/path`, `unix:@abstract`, `unix:(unnamed)`. A peer chooses its name: what is not printable is escaped.
impl fmt::Display for UnixAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.0 {
            Name::Unnamed => return f.write_str("unix:(unnamed)"),
            Name::Path(path) => {
                f.write_str("unix:")?;
                path
            }
            Name::Abstract(name) => {
                f.write_str("unix:@")?;
                name
            }
        };
        for chunk in name.utf8_chunks() {
            for char in chunk.valid().chars() {
                if char.is_control() { write!(f, "{}", char.escape_default())? } else { f.write_char(char)? }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for UnixAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(all(feature = "std", unix))]
mod std_conversions {
    use super::UnixAddr;
    use crate::addr::Addr;
    use std::ffi::{OsStr, OsString};
    use std::io;
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::os::unix::net::SocketAddr;
    use std::path::{Path, PathBuf};

    impl UnixAddr {
        /// The path, if it is one.
        #[must_use]
        pub fn as_path(&self) -> Option<&Path> {
            self.as_path_bytes().map(|path| Path::new(OsStr::from_bytes(path)))
        }
    }

    impl From<&Path> for UnixAddr {
        fn from(path: &Path) -> Self {
            Self::path(path.as_os_str().as_bytes())
        }
    }

    impl From<&PathBuf> for UnixAddr {
        fn from(path: &PathBuf) -> Self {
            Self::from(path.as_path())
        }
    }

    impl From<PathBuf> for UnixAddr {
        fn from(path: PathBuf) -> Self {
            Self::from(OsString::from(path).into_vec())
        }
    }

    impl From<SocketAddr> for UnixAddr {
        fn from(addr: SocketAddr) -> Self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            if let Some(name) = addr.as_abstract_name() {
                return Self::abstract_name(name);
            }
            addr.as_pathname().map_or(Self::UNNAMED, Self::from)
        }
    }

    impl From<SocketAddr> for Addr {
        fn from(addr: SocketAddr) -> Self {
            Self::Unix(addr.into())
        }
    }

    /// Fails as `InvalidInput` for what the system cannot take, and for what std cannot make: an address without a name, and abstract names on
    /// other systems than Linux.
    impl TryFrom<&UnixAddr> for SocketAddr {
        type Error = io::Error;

        fn try_from(addr: &UnixAddr) -> Result<Self, io::Error> {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            if let Some(name) = addr.as_abstract_name() {
                return Self::from_abstract_name(name);
            }
            match addr.as_path() {
                Some(path) => Self::from_pathname(path),
                None => Err(io::ErrorKind::InvalidInput.into()),
            }
        }
    }

    impl From<&Path> for Addr {
        fn from(path: &Path) -> Self {
            Self::unix(path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::UnixAddr;
    use std::string::ToString;

    //= INFO-2
    #[test]
    fn a_name_is_printed_so_that_it_cannot_forge_a_line() {
        let shown = |addr: UnixAddr| addr.to_string();
        assert_eq!(shown(UnixAddr::UNNAMED), "unix:(unnamed)");
        assert_eq!(shown(UnixAddr::path("/tmp/é\n\u{1b}")), "unix:/tmp/é\\n\\u{1b}");
        assert_eq!(shown(UnixAddr::path(b"\xffx".as_slice())), "unix:\\xffx");
        assert_eq!(shown(UnixAddr::abstract_name(b"a\0b".as_slice())), "unix:@a\\u{0}b");
    }

    //= INFO-2
    #[test]
    #[cfg(all(feature = "std", target_os = "linux"))]
    fn std_and_we_name_the_same_addresses() {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixDatagram};
        let path = SocketAddr::from_pathname("/tmp/x").unwrap();
        let name = SocketAddr::from_abstract_name(b"a\0b").unwrap();
        let unnamed = UnixDatagram::unbound().unwrap().local_addr().unwrap();
        assert_eq!(UnixAddr::from(path.clone()), UnixAddr::path("/tmp/x"));
        assert_eq!(UnixAddr::from(name.clone()), UnixAddr::abstract_name("a\0b"));
        assert_eq!(UnixAddr::from(unnamed), UnixAddr::UNNAMED);
        for addr in [path, name] {
            let there = UnixAddr::from(addr.clone());
            let back = SocketAddr::try_from(&there).unwrap();
            assert_eq!((back.as_pathname(), back.as_abstract_name()), (addr.as_pathname(), addr.as_abstract_name()));
        }
        for bad in [UnixAddr::UNNAMED, UnixAddr::path("a\0b"), UnixAddr::path([b'x'; 200])] {
            assert_eq!(SocketAddr::try_from(&bad).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
        }
    }
}

//! What can go wrong, small enough to be copied.

use core::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// In words, without an article.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(
    /// The class of an [`Error`]: what a caller can match on.
    ErrorKind {
        /// An argument cannot be used; nothing was done.
        InvalidInput => "invalid input",
        /// This kind of endpoint, or this backend, cannot do it.
        Unsupported => "not supported",
        /// The endpoint or server is closed.
        Closed => "closed",
        /// It is already being done.
        Busy => "busy",
        /// Nobody listens at the address.
        ConnectionRefused => "connection refused",
        /// The peer ended the connection without finishing it.
        ConnectionReset => "connection reset by peer",
        /// The connection was given up on the way.
        ConnectionAborted => "connection aborted",
        /// The peer does not receive any more.
        BrokenPipe => "broken pipe",
        /// The socket is not connected.
        NotConnected => "not connected",
        /// The address is taken.
        AddrInUse => "address in use",
        /// The address is not one of this machine's.
        AddrNotAvailable => "address not available",
        /// There is no such file or program: nobody has bound a socket to that path.
        NotFound => "not found",
        /// The system does not allow it.
        PermissionDenied => "permission denied",
        /// It took too long.
        TimedOut => "timed out",
        /// No way to that host or network.
        Unreachable => "unreachable",
        /// There is no host of that name, or it has no address that is wanted.
        HostNotFound => "host not found",
        /// A name cannot be looked up now; perhaps later.
        LookupFailed => "the name cannot be looked up now",
        /// No descriptor is left, in the process or in the system.
        DescriptorLimit => "too many open files",
        /// The datagram is larger than the system sends.
        MessageTooLong => "message too long",
        /// The system has no memory or no buffers for it.
        OutOfMemory => "out of memory",
        /// A callback of the protocol failed: see the report, or [`CloseReason::failure`](crate::CloseReason::failure).
        CallbackFailed => "callback failed",
        /// The child has ended, and the loop knows it.
        ProcessGone => "no such process",
        /// What a secure connection's peer sent is not what it may send, or it refuses ours: the code is that of its alert (RFC 8446, 6).
        TlsError => "TLS error",
        /// The peer finished without a closing word: something may be missing (contract TLS-9).
        TlsTruncated => "finished without close_notify",
        /// Anything else: see the code.
        Other => "error",
    }
);

words!(
    /// The operation that an [`Error`] came from.
    Call {
        /// No system call: the library itself refused.
        Check => "check",
        /// Making a socket.
        Socket => "socket",
        /// Setting or reading an option of a socket.
        Option => "option",
        /// Binding to an address.
        Bind => "bind",
        /// Starting to listen.
        Listen => "listen",
        /// Accepting a connection.
        Accept => "accept",
        /// Connecting.
        Connect => "connect",
        /// Making a connection secure.
        Handshake => "handshake",
        /// Receiving.
        Receive => "receive",
        /// Sending.
        Send => "send",
        /// Sending a file.
        SendFile => "sendfile",
        /// Finishing the sending half.
        Shutdown => "shutdown",
        /// Reading an address.
        Address => "address",
        /// Looking a name up.
        Resolve => "resolve",
        /// Taking a socket over from the application.
        Adopt => "adopt",
        /// Telling the poller about a descriptor.
        Register => "register",
        /// Watching a descriptor without a transport.
        Watch => "watch",
        /// Starting a child.
        Spawn => "spawn",
        /// Sending a signal to a child, or handling one.
        Signal => "signal",
        /// Waiting for the end of a child.
        Wait => "wait",
        /// A callback of the application.
        Callback => "callback",
    }
);

/// An error of the world outside: its kind, the call it came from, and the system's code where there is one.
///
/// ```
/// use plimsoll_core::{Call, Error, ErrorKind};
///
/// let error = Error::from_code(Call::Bind, ErrorKind::AddrInUse, 98);
/// assert_eq!(error.to_string(), "bind: address in use (code 98)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Error {
    kind: ErrorKind,
    call: Call,
    /// Zero: none.
    code: i32,
}

impl Error {
    /// An error without a code of the system's.
    #[must_use]
    pub const fn new(call: Call, kind: ErrorKind) -> Self {
        Self { kind, call, code: 0 }
    }

    /// An error with the system's code; zero counts as none.
    #[must_use]
    pub const fn from_code(call: Call, kind: ErrorKind, code: i32) -> Self {
        Self { kind, call, code }
    }

    /// The class of it.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        self.kind
    }

    /// Where it came from.
    #[must_use]
    pub const fn call(self) -> Call {
        self.call
    }

    /// The system's code: `errno` on Unix, for a name that was looked up the code of `getaddrinfo`, and for [`ErrorKind::TlsError`] that of the alert that the peer sent.
    #[must_use]
    pub const fn code(self) -> Option<i32> {
        if self.code == 0 { None } else { Some(self.code) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.kind)?;
        match self.code() {
            Some(code) => write!(f, " (code {code})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl core::error::Error for Error {}

#[cfg(feature = "std")]
mod std_conversions {
    use super::{Error, ErrorKind};
    use std::io;

    impl From<Error> for io::Error {
        fn from(error: Error) -> Self {
            let kind = match error.kind() {
                ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
                ErrorKind::Unsupported => io::ErrorKind::Unsupported,
                ErrorKind::ConnectionRefused => io::ErrorKind::ConnectionRefused,
                ErrorKind::ConnectionReset => io::ErrorKind::ConnectionReset,
                ErrorKind::ConnectionAborted => io::ErrorKind::ConnectionAborted,
                ErrorKind::BrokenPipe => io::ErrorKind::BrokenPipe,
                ErrorKind::NotConnected => io::ErrorKind::NotConnected,
                ErrorKind::AddrInUse => io::ErrorKind::AddrInUse,
                ErrorKind::AddrNotAvailable => io::ErrorKind::AddrNotAvailable,
                ErrorKind::NotFound => io::ErrorKind::NotFound,
                ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
                ErrorKind::TimedOut => io::ErrorKind::TimedOut,
                ErrorKind::Unreachable => io::ErrorKind::NetworkUnreachable,
                ErrorKind::HostNotFound => io::ErrorKind::NotFound,
                ErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
                ErrorKind::TlsError => io::ErrorKind::InvalidData,
                ErrorKind::TlsTruncated => io::ErrorKind::UnexpectedEof,
                _ => io::ErrorKind::Other,
            };
            Self::new(kind, error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_fits_into_eight_bytes() {
        assert_eq!(size_of::<Error>(), 8);
        assert_eq!(size_of::<Option<Error>>(), 8);
    }
}

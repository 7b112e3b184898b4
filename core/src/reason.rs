//! Why a connection ended.

use crate::addr::Ends;
use crate::error::Error;
use alloc::rc::Rc;
use core::fmt;

/// What ended a connection; the first cause decides (contract CLOSE-4, 17.9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// We closed it, and all that was queued was sent.
    LocalClose,
    /// We aborted it.
    LocalAbort,
    /// The peer finished and we did not keep our half open; the writer or the reader at the other end of a pipe has gone.
    PeerEof,
    /// The child has exited, and every pipe of it is gone.
    Exited,
    /// Receiving failed.
    ReadFailed,
    /// Sending failed.
    WriteFailed,
    /// A limit has passed: of a handshake, or of the orderly end of a secure connection.
    TimedOut,
    /// A callback of the protocol failed, or panicked.
    CallbackFailed,
}

/// Which side was the first to end something of a connection: a half of it, or the whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a connection has two sides")]
pub enum Side {
    /// We: by `write_eof`, `close`, `abort` or a failed callback.
    Local,
    /// The peer, or the network in between: by end-of-file or an error.
    Peer,
}

/// How a transport ended: what its machine knows of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ending {
    pub(crate) cause: Cause,
    pub(crate) error: Option<Error>,
    pub(crate) first: Side,
}

impl Ending {
    /// The error that ended the connection; none after a regular end of file, a local close and a local abort (contract LIFE-4).
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        self.error
    }

    /// What ended it.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// Which side began to end it.
    #[must_use]
    pub const fn first(&self) -> Side {
        self.first
    }
}

/// Why a connection ended, as its protocol is told in `connection_lost`.
///
/// [`error`](Self::error) is what asyncio passes there: nothing after a regular end, the error otherwise.
#[derive(Clone)]
pub struct CloseReason {
    pub(crate) ending: Ending,
    pub(crate) discarded: u64,
    pub(crate) failure: Option<Rc<dyn core::error::Error>>,
    pub(crate) ends: Ends,
}

impl CloseReason {
    /// The error that ended the connection; none after a regular end of file, a local close and a local abort (contract LIFE-4).
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        self.ending.error
    }

    /// What ended it.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.ending.cause
    }

    /// Which side began to end it.
    #[must_use]
    pub const fn first(&self) -> Side {
        self.ending.first
    }

    /// How many accepted bytes were never handed to the system: zero after a graceful close.
    ///
    /// Bytes that the system took may still not have reached the peer: accepted is not delivered.
    #[must_use]
    pub const fn discarded(&self) -> u64 {
        self.discarded
    }

    /// What the protocol gave to [`Context::fail`](crate::Context::fail), or what is known of a [`TlsError`](crate::tls::TlsError) in words.
    #[must_use]
    pub fn failure(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.failure.as_deref()
    }

    /// The addresses of the connection, as captured when it was made (contract INFO-3).
    #[must_use]
    pub const fn ends(&self) -> &Ends {
        &self.ends
    }
}

impl fmt::Debug for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseReason")
            .field("cause", &self.cause())
            .field("error", &self.error())
            .field("first", &self.first())
            .field("discarded", &self.discarded)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cause() {
            Cause::LocalClose => "closed",
            Cause::LocalAbort => "aborted",
            Cause::PeerEof => "finished by the peer",
            Cause::Exited => "exited",
            Cause::ReadFailed => "reading failed",
            Cause::WriteFailed => "writing failed",
            Cause::TimedOut => "a limit has passed",
            Cause::CallbackFailed => "a callback failed",
        })?;
        match self.error() {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

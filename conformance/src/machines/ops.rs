//! What can be done to a stream transport, as values.

use plimsoll_core::{Call, Error, ErrorKind, Hold};

/// In which form bytes are written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum How {
    /// A slice.
    Slice,
    /// An owned vector.
    Vec,
    /// Shared bytes.
    Bytes,
    /// A buffer of one's own.
    BytesMut,
    /// Received bytes, handed on.
    Lent,
}

impl How {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Slice, Self::Vec, Self::Bytes, Self::BytesMut, Self::Lent];
}

/// A reason not to read; the core's own has no `Hash`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Why {
    /// A writer that is followed.
    Writer,
    /// Edges that wait.
    Edges,
}

impl From<Why> for Hold {
    fn from(why: Why) -> Self {
        match why {
            Why::Writer => Self::Writer,
            Why::Edges => Self::Edges,
        }
    }
}

/// One command, fact or poll.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Op {
    /// Asks for the next event.
    Poll,
    /// The connection is established.
    Open,
    /// Writes so many bytes.
    Write(How, usize),
    /// `write_eof`.
    WriteEof,
    /// `close`.
    Close,
    /// `abort`.
    Abort,
    /// A callback failed.
    Fail,
    /// `pause_reading`.
    Pause,
    /// `resume_reading`.
    Resume,
    /// A reason of the driver's not to read.
    Hold(Why),
    /// Takes it away.
    Release(Why),
    /// `set_write_buffer_limits`, low and high.
    Limits(usize, usize),
    /// The peer finished.
    Eof,
    /// The answer to `eof_received`.
    KeepOpen(bool),
    /// The kernel is offered so many pieces at most, and takes so many bytes of them at most.
    Send(usize, usize),
    /// An operation takes shares of the queued bytes.
    Take,
    /// It has sent so many of them at most.
    Done(usize),
    /// Send progress of which nothing is known any more.
    Stale(usize),
    /// The answer to a FIN, or to one that nobody waits for any more.
    Shutdown(Result<(), Error>),
    /// A receive failed.
    ReadError(Error),
    /// A send failed.
    WriteError(Error),
    /// The reader of a pipe has gone.
    HangUp,
}

/// The errors that a test plays with.
pub(crate) const RESET: Error = Error::from_code(Call::Receive, ErrorKind::ConnectionReset, 104);
pub(crate) const BROKEN: Error = Error::from_code(Call::Send, ErrorKind::BrokenPipe, 32);
pub(crate) const NOT_CONNECTED: Error = Error::from_code(Call::Shutdown, ErrorKind::NotConnected, 107);
pub(crate) const SHUTDOWN: Error = Error::from_code(Call::Shutdown, ErrorKind::Other, 5);

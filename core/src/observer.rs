//! Watching a loop: every callback and every change of state, as it happens.

use crate::addr::Addr;
use crate::error::Error;
use crate::key::EndpointId;
use crate::process::{ExitStatus, PipeFd};
use crate::reason::CloseReason;
use crate::time::Instant;

/// One thing that happened to an endpoint. Callbacks are told before they run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// `connection_made` is called.
    Made,
    /// `data_received` is called.
    Data(&'a [u8]),
    /// `datagram_received` is called.
    Datagram(&'a [u8], &'a Addr),
    /// `error_received` is called.
    Error(Error),
    /// `get_buffer` was called, and this many bytes were lent.
    GetBuffer(usize),
    /// `buffer_updated` is called with these bytes in the buffer.
    BufferUpdated(&'a [u8]),
    /// `eof_received` is called.
    Eof,
    /// `eof_received` answered.
    EofAnswered {
        /// It wants to go on sending.
        keep_open: bool,
    },
    /// `pause_writing` is called.
    PauseWriting,
    /// `resume_writing` is called.
    ResumeWriting,
    /// `pipe_data_received` is called, of a child process.
    PipeData(PipeFd, &'a [u8]),
    /// `pipe_connection_lost` is called, of a child process.
    PipeLost(PipeFd, Option<Error>),
    /// `process_exited` is called.
    Exited(ExitStatus),
    /// `timer` is called.
    Timer,
    /// `sendfile_done` is called.
    SendfileDone(Result<u64, Error>),
    /// `start_tls` took effect: nothing is delivered before `start_tls_done`.
    StartTls,
    /// `start_tls_done` is called.
    StartTlsDone,
    /// `connection_lost` is called.
    Lost(&'a CloseReason),
    /// `open_failed` is called.
    OpenFailed,
    /// A write, or other limits, made a pause due: it follows directly.
    PausePromised,
    /// Bytes were accepted; so many are queued now.
    Wrote {
        /// The size of the queue.
        size: usize,
    },
    /// The kernel took bytes; so many are queued now.
    Sent {
        /// The size of the queue.
        size: usize,
    },
    /// The marks are others now.
    LimitsSet {
        /// The low mark.
        low: usize,
        /// The high mark.
        high: usize,
    },
    /// A file was accepted: nothing is delivered before `sendfile_done`.
    Sendfile,
    /// `pause_reading` took effect.
    ReadingPaused,
    /// `resume_reading` took effect.
    ReadingResumed,
    /// A graceful close has begun.
    Closing,
    /// The connection was aborted, or failed: only `connection_lost` may follow.
    ForceClosed,
    /// The opening was given up before `connection_made`: nothing follows.
    GivenUp,
}

/// Is told everything that happens to the endpoints of an engine: for tests, traces and logs.
///
/// It sees; it cannot change anything. Without one the cost is a branch a callback.
pub trait Observer {
    /// An iteration of the loop begins.
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn round(&mut self, now: Instant) {}

    /// `event` happens to `id` at `now`.
    fn event(&mut self, now: Instant, id: EndpointId, event: &Event<'_>);
}

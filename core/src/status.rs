//! The words of a transport: what it answers, what it wants, what it has to tell.

use crate::error::Error;
use crate::reason::Ending;
use core::fmt;

/// The answer to every write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WriteStatus {
    /// Queued, or sent; write on.
    Accepted,
    /// Queued, and the queue is above the high mark, or has not yet come down to the low one. It is a promise: `pause_writing`
    /// follows if it has not come yet, and later `resume_writing`, unless the connection is aborted or fails (contract RUST-3).
    Paused,
    /// Thrown away: the connection is closing, lost, or was never there (contract RUST-7).
    Discarded,
    /// Not queued; the connection is unaffected.
    Refused(Refusal),
}

/// Why a command was refused. The connection is unaffected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// `write_eof` was called before (contract WRITE-8).
    AfterEof,
    /// A file is being sent (contract LOOP-29).
    Busy,
    /// The kind of endpoint cannot do it (contract RUST-5).
    Unsupported,
    /// A datagram without an address, on an endpoint that has no remote one (contract DGRAM-5).
    NotConnected,
    /// A datagram to another address than the endpoint's remote one (contract DGRAM-6).
    AddressMismatch,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AfterEof => "the sending half is finished",
            Self::Busy => "a file is being sent",
            Self::Unsupported => "not supported by this kind of endpoint",
            Self::NotConnected => "no address is given, and the endpoint has no remote one",
            Self::AddressMismatch => "the endpoint sends to its remote address only",
        })
    }
}

impl core::error::Error for Refusal {}

/// What a transport wants to hand to the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a sending half knows nothing else")]
pub enum Wants {
    /// Nothing.
    Nothing,
    /// Bytes: [`StreamTransport::gather`](crate::StreamTransport::gather) or [`StreamTransport::in_flight`](crate::StreamTransport::in_flight).
    Bytes,
    /// Bytes of a file: [`Engine::file`](crate::Engine::file).
    File,
    /// The end of the sending half: `shutdown`.
    Fin,
}

/// What a protocol is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StreamEvent {
    /// `connection_made`.
    Made,
    /// `pause_writing`.
    PauseWriting,
    /// `resume_writing`.
    ResumeWriting,
    /// `eof_received`; answer it with [`StreamTransport::keep_open`](crate::StreamTransport::keep_open).
    Eof,
    /// `connection_lost`: the last event.
    Lost(Ending),
}

/// What the protocol of a datagram endpoint is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DatagramEvent {
    /// `connection_made`.
    Made,
    /// `pause_writing`.
    PauseWriting,
    /// `resume_writing`.
    ResumeWriting,
    /// `error_received`.
    Error(Error),
    /// `connection_lost`: the last event.
    Lost(Ending),
}

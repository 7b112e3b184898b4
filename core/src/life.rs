//! The life of a transport: everything about it but what it has queued.

use crate::error::{Call, Error, ErrorKind};
use crate::flow::limits::WriteLimits;
use crate::flow::read_gate::{Hold, ReadGate};
use crate::flow::write_flow::{Edge, WriteFlow};
use crate::reason::{Cause, Ending, Side};

/// Where a transport stands (contract 17.10).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    /// Opening: it can be written to, and holds what was written.
    Init,
    /// Established, and `connection_made` is to be delivered.
    Made,
    Open,
    /// Closing gracefully, with something queued.
    Flushing,
    /// The cause is fixed and `connection_lost` is to be delivered.
    Losing,
    Lost,
}

const PEER_FIRST: u8 = 1 << 7;
const LOCAL_FIRST: u8 = 1 << 6;

/// What the machines of all kinds of transports share: where it stands, why it ends, why it is not read, and when its writer is paused. The
/// machine has the queue beside it and says what is in it.
#[derive(Debug)]
pub(crate) struct Life {
    flow: WriteFlow,
    error: Option<Error>,
    gate: ReadGate,
    phase: Phase,
    cause: Cause,
    /// Who was first to end something; the lower bits are the machine's own.
    marks: u8,
}

impl Life {
    pub(crate) const fn new(limits: WriteLimits) -> Self {
        Self {
            flow: WriteFlow::new(limits),
            error: None,
            gate: ReadGate::held(Hold::NotOpen),
            phase: Phase::Init,
            cause: Cause::LocalClose,
            marks: 0,
        }
    }

    pub(crate) const fn flow(&mut self) -> &mut WriteFlow {
        &mut self.flow
    }

    pub(crate) const fn gate(&mut self) -> &mut ReadGate {
        &mut self.gate
    }

    #[inline]
    pub(crate) const fn reading(&self) -> &ReadGate {
        &self.gate
    }

    #[inline]
    pub(crate) const fn writing(&self) -> &WriteFlow {
        &self.flow
    }

    #[inline]
    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether a bit of the machine's own is set, one of the lower six.
    #[inline]
    pub(crate) const fn has(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    /// The machine's own bits, and two others.
    #[inline]
    pub(crate) const fn marks(&self) -> u8 {
        self.marks
    }

    pub(crate) const fn set(&mut self, mark: u8, yes: bool) {
        self.marks = if yes { self.marks | mark } else { self.marks & !mark };
    }

    // ---- coming ----

    pub(crate) fn open(&mut self) {
        if self.phase == Phase::Init {
            self.phase = Phase::Made;
        }
    }

    /// Takes the `connection_made` that is due. From then on it is open.
    pub(crate) fn poll_made(&mut self) -> bool {
        if self.phase != Phase::Made {
            return false;
        }
        self.phase = Phase::Open;
        self.gate.release(Hold::NotOpen);
        true
    }

    // ---- going ----

    /// That side is the first to end something, if the other was not.
    pub(crate) const fn first(&mut self, side: Side) {
        if self.marks & (PEER_FIRST | LOCAL_FIRST) == 0 {
            self.marks |= match side {
                Side::Peer => PEER_FIRST,
                Side::Local => LOCAL_FIRST,
            };
        }
    }

    /// A graceful end of what is open, after what is queued; of nothing else.
    pub(crate) fn close(&mut self, cause: Cause, queued: bool) {
        if self.phase == Phase::Open {
            self.first(if cause == Cause::PeerEof { Side::Peer } else { Side::Local });
            self.cause = cause;
            self.gate.hold(Hold::Closing);
            self.flow.close();
            self.phase = if queued { Phase::Flushing } else { Phase::Losing };
        }
    }

    /// Nothing is queued any more: a graceful close has nothing left to wait for.
    pub(crate) fn flushed(&mut self) {
        if self.phase == Phase::Flushing {
            self.phase = Phase::Losing;
        }
    }

    /// A forced end; an opening is given up without any event. `false`: the end has come already, and the first cause decides. What is queued is to be
    /// dropped.
    pub(crate) fn end(&mut self, cause: Cause, error: Option<Error>) -> bool {
        let (cause, error, phase) = match self.phase {
            Phase::Init | Phase::Made => (Cause::LocalAbort, None, Phase::Lost),
            Phase::Open | Phase::Flushing => (cause, error, Phase::Losing),
            Phase::Losing | Phase::Lost => return false,
        };
        self.first(match cause {
            Cause::ReadFailed | Cause::WriteFailed => Side::Peer,
            _ => Side::Local,
        });
        self.flow.end();
        self.gate.hold(Hold::Closing);
        self.cause = cause;
        self.error = error;
        self.phase = phase;
        true
    }

    /// A callback failed (contract RUST-8).
    pub(crate) fn fail(&mut self) -> bool {
        self.end(Cause::CallbackFailed, Some(Error::new(Call::Callback, ErrorKind::CallbackFailed)))
    }

    /// Takes the `connection_lost` that is due; a pause or resume still owed comes first.
    pub(crate) fn poll_lost(&mut self, size: usize) -> Option<Ending> {
        if self.phase != Phase::Losing || self.is_edge_due(size) {
            return None;
        }
        self.phase = Phase::Lost;
        self.flow.end();
        let first = if self.marks & PEER_FIRST != 0 { Side::Peer } else { Side::Local };
        Some(Ending { cause: self.cause, error: self.error, first })
    }

    // ---- flow and reading ----

    #[inline]
    pub(crate) fn poll_edge(&mut self, size: usize) -> Option<Edge> {
        if self.is_edge_due(size) { self.flow.poll_edge(size) } else { None }
    }

    #[inline]
    pub(crate) const fn is_edge_due(&self, size: usize) -> bool {
        matches!(self.phase, Phase::Open | Phase::Flushing | Phase::Losing) && self.flow.is_due(size)
    }

    pub(crate) fn pause_reading(&mut self) -> bool {
        !self.reads_no_more() && self.gate.hold(Hold::User)
    }

    pub(crate) fn resume_reading(&mut self) -> bool {
        !self.reads_no_more() && self.gate.release(Hold::User)
    }

    /// The peer has finished and that was told, or we are closing: pausing means nothing any more (contract EOF-4, CLOSE-12).
    fn reads_no_more(&self) -> bool {
        self.is_closing() || (self.gate.is_held(Hold::Eof) && !self.gate.is_eof_owed())
    }

    /// Takes a reason not to read away; whether that opened the gate or made an end-of-file due.
    pub(crate) fn release_reading(&mut self, why: Hold) -> bool {
        self.gate.release(why) && (self.gate.is_open() || self.gate.is_eof_due())
    }

    // ---- questions ----

    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.phase >= Phase::Flushing
    }

    pub(crate) const fn error(&self) -> Option<Error> {
        self.error
    }

    /// What is queued may be given to the kernel.
    #[inline]
    pub(crate) const fn sends(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Flushing)
    }

    #[inline]
    pub(crate) fn is_losing(&self) -> bool {
        self.phase == Phase::Losing
    }

    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Lost
    }

    pub(crate) const fn is_made(&self) -> bool {
        !self.gate.is_held(Hold::NotOpen)
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.phase == Phase::Open && !self.gate.is_held(Hold::User) && !self.gate.is_held(Hold::Eof)
    }
}

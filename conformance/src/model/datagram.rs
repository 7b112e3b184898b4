//! The rules of DGRAM, and 17.4: a datagram endpoint.

use super::{FlowModel, GateModel};
use plimsoll_core::{Addr, Call, Cause, Edge, Error, ErrorKind, Hold, Refusal, WriteStatus};
use std::collections::VecDeque;

/// What a datagram protocol is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DatagramTold {
    /// `connection_made`.
    Made,
    /// `pause_writing`.
    Pause,
    /// `resume_writing`.
    Resume,
    /// `error_received`.
    Error(Error),
    /// `connection_lost`.
    Lost(Cause, Option<Error>),
}

/// To whom an endpoint may send.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Remote {
    /// To anybody.
    None,
    /// To this address, which the kernel is told each time (contract LOOP-27).
    Named(Addr),
    /// To this address, which the kernel knows.
    Connected(Addr),
    /// Not known before it is open.
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Phase {
    Init,
    Made,
    Open,
    Flushing,
    Losing(Cause, Option<Error>),
    Lost,
}

/// One endpoint as the contract has it: a list of datagrams, and what is owed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DatagramModel {
    phase: Phase,
    remote: Remote,
    /// What waits to be sent, and to whom the kernel is told that it goes.
    pub queue: VecDeque<(Vec<u8>, Option<Addr>)>,
    /// What came and was not wanted.
    pub held: VecDeque<u8>,
    flow: FlowModel,
    gate: GateModel,
    send_error: Option<Error>,
    receive_error: Option<Error>,
    resting: bool,
}

impl DatagramModel {
    /// An endpoint that is being opened.
    #[must_use]
    pub fn new(remote: Remote, low: usize, high: usize) -> Self {
        let mut gate = GateModel::new();
        gate.hold(Hold::NotOpen);
        Self {
            phase: Phase::Init,
            remote,
            queue: VecDeque::new(),
            held: VecDeque::new(),
            flow: FlowModel::new(low, high),
            gate,
            send_error: None,
            receive_error: None,
            resting: false,
        }
    }

    /// DGRAM-12: payload and eight bytes each.
    #[must_use]
    pub fn size(&self) -> usize {
        self.queue.iter().map(|(payload, _)| payload.len() + 8).sum()
    }

    fn payload(&self) -> usize {
        self.queue.iter().map(|(payload, _)| payload.len()).sum()
    }

    /// DGRAM-4, DGRAM-5, DGRAM-6, DGRAM-10, DGRAM-11. *Ruling:* the address is looked at first, also without a remote one; before an adopted socket is open it
    /// has none.
    pub fn send(&mut self, payload: Vec<u8>, to: Option<Addr>) -> WriteStatus {
        let named = match (&self.remote, to) {
            (Remote::None, Some(to)) => Some(to),
            (Remote::None | Remote::Unknown, _) => return WriteStatus::Refused(Refusal::NotConnected),
            (Remote::Named(remote) | Remote::Connected(remote), Some(to)) if *remote != to => {
                return WriteStatus::Refused(Refusal::AddressMismatch);
            }
            (Remote::Named(remote), _) => Some(remote.clone()),
            (Remote::Connected(_), _) => None,
        };
        if self.is_closing() {
            return WriteStatus::Discarded;
        }
        self.queue.push_back((payload, named));
        self.flow.evaluate(self.size());
        self.status()
    }

    fn status(&self) -> WriteStatus {
        if self.flow.is_paused() { WriteStatus::Paused } else { WriteStatus::Accepted }
    }

    /// FLOW-10, FLOW-11.
    pub fn set_limits(&mut self, low: usize, high: usize) -> WriteStatus {
        self.flow.set_limits(low, high, self.size());
        self.status()
    }

    /// DGRAM-8; before `connection_made` the opening is given up.
    pub fn close(&mut self) {
        match self.phase {
            Phase::Init | Phase::Made => {
                self.abort();
            }
            Phase::Open => {
                self.gate.hold(Hold::Closing);
                self.flow.close();
                self.held.clear();
                self.receive_error = None;
                let over = Phase::Losing(Cause::LocalClose, None);
                self.phase = if self.queue.is_empty() { over } else { Phase::Flushing };
            }
            Phase::Flushing | Phase::Losing(..) | Phase::Lost => {}
        }
    }

    /// DGRAM-9; how many bytes of payload were dropped.
    pub fn abort(&mut self) -> usize {
        self.end(Cause::LocalAbort, None)
    }

    /// RUST-8.
    pub fn fail(&mut self) -> usize {
        self.end(Cause::CallbackFailed, Some(Error::new(Call::Callback, ErrorKind::CallbackFailed)))
    }

    /// 17.4: a descriptor that is of no use ends the endpoint with that error.
    pub fn failure(&mut self, error: Error) -> usize {
        self.end(Cause::ReadFailed, Some(error))
    }

    fn end(&mut self, cause: Cause, error: Option<Error>) -> usize {
        self.phase = match self.phase {
            Phase::Init | Phase::Made => Phase::Lost,
            Phase::Open | Phase::Flushing => Phase::Losing(cause, error),
            Phase::Losing(..) | Phase::Lost => return 0,
        };
        let dropped = self.payload();
        self.queue.clear();
        self.held.clear();
        self.flow.end();
        self.gate.hold(Hold::Closing);
        self.send_error = None;
        self.receive_error = None;
        dropped
    }

    /// DGRAM-15.
    pub fn pause_reading(&mut self) -> bool {
        !self.is_closing() && self.gate.hold(Hold::User)
    }

    /// DGRAM-15.
    pub fn resume_reading(&mut self) -> bool {
        !self.is_closing() && self.gate.release(Hold::User)
    }

    /// A reason beside the application's.
    pub fn hold_reading(&mut self, why: Hold) {
        self.gate.hold(why);
    }

    /// One less; whether that opened it.
    pub fn release_reading(&mut self, why: Hold) -> bool {
        self.gate.release(why) && self.gate.is_open()
    }

    /// The socket is there.
    pub fn open(&mut self, peer: Option<Addr>) {
        if self.remote == Remote::Unknown {
            self.remote = peer.map_or(Remote::None, Remote::Connected);
        }
        if self.phase == Phase::Init {
            self.phase = Phase::Made;
        }
    }

    /// So many are gone.
    pub fn sent(&mut self, n: usize) {
        self.queue.drain(..n.min(self.queue.len()));
        if self.queue.is_empty() && self.phase == Phase::Flushing {
            self.phase = Phase::Losing(Cause::LocalClose, None);
        }
    }

    /// DGRAM-7, DGRAM-8, DGRAM-14: it costs the foremost datagram and nothing else.
    pub fn send_error(&mut self, error: Error) {
        if matches!(self.phase, Phase::Open | Phase::Flushing) && !self.queue.is_empty() {
            self.send_error = Some(error);
            self.sent(1);
        }
    }

    /// DGRAM-7.
    pub fn receive_error(&mut self, error: Error) {
        if self.phase == Phase::Open {
            self.receive_error = Some(error);
        }
    }

    /// A send would block and nobody will tell.
    pub fn no_room(&mut self) {
        self.resting = true;
    }

    /// It may be tried again.
    pub fn rested(&mut self) {
        self.resting = false;
    }

    /// A datagram that is not wanted.
    pub fn hold(&mut self, mark: u8) {
        if !self.is_closing() {
            self.held.push_back(mark);
        }
    }

    /// READ-6: what is held comes first.
    pub fn poll_held(&mut self) -> Option<u8> {
        if self.wants_read() { self.held.pop_front() } else { None }
    }

    /// Whether a datagram may be delivered.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.gate.is_open() && self.receive_error.is_none()
    }

    /// Whether one may be received.
    #[must_use]
    pub fn wants_receive(&self) -> bool {
        self.wants_read() && self.held.is_empty()
    }

    /// Whether something is to be sent. *Ruling:* an error is told before the next datagram is tried, so that errors are bounded.
    #[must_use]
    pub fn wants_send(&self) -> bool {
        let sends = matches!(self.phase, Phase::Open | Phase::Flushing);
        sends && !self.queue.is_empty() && self.send_error.is_none() && !self.resting
    }

    /// The edge that is due.
    #[must_use]
    pub fn edge(&self) -> Option<Edge> {
        let alive = matches!(self.phase, Phase::Open | Phase::Flushing | Phase::Losing(..));
        if alive { self.flow.due(self.size()) } else { None }
    }

    /// Whether an error is due.
    #[must_use]
    pub const fn is_error_due(&self) -> bool {
        self.send_error.is_some() || self.receive_error.is_some()
    }

    /// 17.4: made, edges, errors, lost.
    pub fn poll(&mut self) -> Option<DatagramTold> {
        if self.phase == Phase::Made {
            self.phase = Phase::Open;
            self.gate.release(Hold::NotOpen);
            return Some(DatagramTold::Made);
        }
        if self.edge().is_some() {
            return self.flow.next(self.size()).map(|edge| match edge {
                Edge::Pause => DatagramTold::Pause,
                Edge::Resume => DatagramTold::Resume,
            });
        }
        if let Some(error) = self.receive_error.take().or_else(|| self.send_error.take()) {
            return Some(DatagramTold::Error(error));
        }
        if let Phase::Losing(cause, error) = self.phase {
            self.phase = Phase::Lost;
            self.flow.end();
            return Some(DatagramTold::Lost(cause, error));
        }
        None
    }

    /// The loss is all that is left to be told.
    #[must_use]
    pub fn is_loss_next(&self) -> bool {
        self.is_losing() && self.edge().is_none() && !self.is_error_due()
    }

    /// LIFE-16.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Flushing | Phase::Losing(..) | Phase::Lost)
    }

    /// The loss is due, or waits for what is owed.
    #[must_use]
    pub fn is_losing(&self) -> bool {
        matches!(self.phase, Phase::Losing(..))
    }

    /// Nothing will ever come of it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Lost
    }

    /// `connection_made` was delivered.
    #[must_use]
    pub fn is_made(&self) -> bool {
        !self.gate.is_held(Hold::NotOpen)
    }

    /// READ-12.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.phase == Phase::Open && !self.gate.is_held(Hold::User)
    }

    /// The level beside the edges.
    #[must_use]
    pub fn is_writing_paused(&self) -> bool {
        self.flow.is_paused()
    }

    /// The marks.
    #[must_use]
    pub const fn limits(&self) -> (usize, usize) {
        self.flow.limits()
    }
}

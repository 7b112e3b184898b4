//! Table 17.11: the flow sub-machine.

use plimsoll_core::Edge;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum State {
    Ready,
    /// Paused, and the protocol does not know it yet.
    PauseDue,
    Paused,
    Ended,
}

/// The hysteresis between two marks (contract FLOW, 17.11).
///
/// *Ruling:* edges are told when the machine is asked, so a `resume` that was due and has not been told when a write takes the
/// size over the low mark again is not due any more: writing was, and stays, paused.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FlowModel {
    state: State,
    low: usize,
    high: usize,
    closing: bool,
}

impl FlowModel {
    /// Ready, with these marks.
    #[must_use]
    pub const fn new(low: usize, high: usize) -> Self {
        Self { state: State::Ready, low, high, closing: false }
    }

    /// The marks, low first (contract FLOW-5).
    #[must_use]
    pub const fn limits(&self) -> (usize, usize) {
        (self.low, self.high)
    }

    /// A write or other limits: the size is held against the high mark (contract FLOW-6, FLOW-10, FLOW-16).
    pub fn evaluate(&mut self, size: usize) {
        if self.state == State::Ready && !self.closing && size > self.high {
            self.state = State::PauseDue;
        }
    }

    /// Other marks.
    pub fn set_limits(&mut self, low: usize, high: usize, size: usize) {
        (self.low, self.high) = (low, high);
        self.evaluate(size);
    }

    /// The answer to a write: paused, or about to be (contract RUST-3).
    #[must_use]
    pub fn is_paused(&self) -> bool {
        matches!(self.state, State::PauseDue | State::Paused)
    }

    /// What [`next`](Self::next) will tell.
    #[must_use]
    pub fn due(&self, size: usize) -> Option<Edge> {
        match self.state {
            State::PauseDue => Some(Edge::Pause),
            State::Paused if size <= self.low => Some(Edge::Resume),
            _ => None,
        }
    }

    /// Tells the next edge (contract FLOW-7, FLOW-8, RUST-4).
    pub fn next(&mut self, size: usize) -> Option<Edge> {
        let edge = self.due(size);
        match edge {
            Some(Edge::Pause) => self.state = State::Paused,
            Some(Edge::Resume) => self.state = State::Ready,
            None => {}
        }
        edge
    }

    /// Graceful closing: no new pause (contract FLOW-16).
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// Abort, force-close or loss: nothing more is told (contract FLOW-15).
    pub fn end(&mut self) {
        self.state = State::Ended;
    }
}

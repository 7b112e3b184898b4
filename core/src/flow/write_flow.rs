//! When to pause and to resume a writer.

use super::limits::WriteLimits;

const TOLD: u8 = 1;
const OWED: u8 = 1 << 1;
const CLOSING: u8 = 1 << 2;
const ENDED: u8 = 1 << 3;

/// What a writer is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a hysteresis has two edges")]
pub enum Edge {
    /// Stop writing: the queue went over the high mark.
    Pause,
    /// Write on: the queue is at or below the low mark.
    Resume,
}

/// The hysteresis between the two marks: one for each endpoint, whatever the layers below it (contract 17.11).
///
/// It holds no bytes; it is told the size of the queue. Edges are computed from the state when they are asked for, so none can be
/// lost or doubled, with one latch: a write that was answered "paused" owes a pause, which is delivered even if the queue has
/// drained by then, its resume right behind it (contract RUST-3, RUST-4).
///
/// - from the application: [`wrote`](Self::wrote), [`set_limits`](Self::set_limits), [`close`](Self::close), [`end`](Self::end)
/// - to the application: [`poll_edge`](Self::poll_edge), until it answers `None`
///
/// ```
/// use plimsoll_core::{Edge, WriteFlow, WriteLimits};
///
/// let mut flow = WriteFlow::new(WriteLimits::new(1, 4).unwrap());
/// assert!(!flow.wrote(4));
/// assert!(flow.wrote(5));
/// assert_eq!(flow.poll_edge(5), Some(Edge::Pause));
/// assert_eq!(flow.poll_edge(2), None);
/// assert_eq!(flow.poll_edge(1), Some(Edge::Resume));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WriteFlow {
    limits: WriteLimits,
    bits: u8,
}

impl WriteFlow {
    /// Nothing written, nothing owed.
    #[must_use]
    pub const fn new(limits: WriteLimits) -> Self {
        Self { limits, bits: 0 }
    }

    /// The marks.
    #[must_use]
    pub const fn limits(&self) -> WriteLimits {
        self.limits
    }

    /// Something was queued and the queue now holds `size` bytes; whether writing is paused from now on.
    #[inline]
    pub fn wrote(&mut self, size: usize) -> bool {
        if size > self.limits.high() {
            self.went_over();
        }
        self.is_paused()
    }

    #[cold]
    fn went_over(&mut self) {
        if self.bits & (TOLD | CLOSING | ENDED) == 0 {
            self.bits |= OWED;
        }
    }

    /// Other marks, held against the queue at once (contract FLOW-10, FLOW-11); whether writing is paused from now on.
    pub fn set_limits(&mut self, limits: WriteLimits, size: usize) -> bool {
        self.limits = limits;
        self.wrote(size)
    }

    /// The writer is paused, or is about to be told so.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.bits & (TOLD | OWED) != 0
    }

    /// A pause was promised and has not been delivered yet.
    #[must_use]
    pub const fn is_pause_owed(&self) -> bool {
        self.bits & OWED != 0
    }

    /// Whether [`poll_edge`](Self::poll_edge) has something to tell with `size` bytes queued.
    #[inline]
    #[must_use]
    pub const fn is_due(&self, size: usize) -> bool {
        self.bits & OWED != 0 || (self.bits & TOLD != 0 && size <= self.limits.low())
    }

    /// The next edge to deliver, with `size` bytes queued. Pause and resume alternate, pause first (contract FLOW-8).
    pub fn poll_edge(&mut self, size: usize) -> Option<Edge> {
        if self.bits & OWED != 0 {
            self.bits = self.bits & !OWED | TOLD;
            Some(Edge::Pause)
        } else if self.bits & TOLD != 0 && size <= self.limits.low() {
            self.bits &= !TOLD;
            Some(Edge::Resume)
        } else {
            None
        }
    }

    /// The endpoint closes gracefully: no new pause becomes due, what is owed is still delivered (contract FLOW-16).
    pub fn close(&mut self) {
        self.bits |= CLOSING;
    }

    /// The endpoint was aborted or lost: nothing is owed any more (contract FLOW-15).
    pub fn end(&mut self) {
        self.bits = ENDED;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(low: usize, high: usize) -> WriteFlow {
        WriteFlow::new(WriteLimits::new(low, high).unwrap())
    }

    #[test]
    fn pauses_strictly_above_high_and_resumes_at_low() {
        //= FLOW-6, FLOW-7, FLOW-8
        let mut flow = flow(2, 4);
        assert!(!flow.wrote(4));
        assert_eq!(flow.poll_edge(4), None);
        assert!(flow.wrote(5));
        assert!(flow.wrote(9));
        assert_eq!(flow.poll_edge(9), Some(Edge::Pause));
        assert!(flow.wrote(20));
        assert_eq!(flow.poll_edge(20), None);
        assert_eq!(flow.poll_edge(3), None);
        assert_eq!(flow.poll_edge(2), Some(Edge::Resume));
        assert_eq!(flow.poll_edge(2), None);
        assert!(!flow.is_paused());
    }

    #[test]
    fn a_promised_pause_comes_although_the_queue_has_drained() {
        //= RUST-3, RUST-4
        let mut flow = flow(0, 4);
        assert!(flow.wrote(5));
        assert!(flow.is_due(0));
        assert_eq!(flow.poll_edge(0), Some(Edge::Pause));
        assert_eq!(flow.poll_edge(0), Some(Edge::Resume));
    }

    #[test]
    fn zero_marks_pause_on_the_first_byte_and_resume_on_the_last() {
        //= FLOW-9
        let mut flow = flow(0, 0);
        assert!(!flow.wrote(0));
        assert!(flow.wrote(1));
        assert_eq!(flow.poll_edge(1), Some(Edge::Pause));
        assert_eq!(flow.poll_edge(1), None);
        assert_eq!(flow.poll_edge(0), Some(Edge::Resume));
    }

    #[test]
    fn other_limits_are_held_against_the_queue_at_once() {
        //= FLOW-10, FLOW-11
        let mut flow = flow(0, 100);
        assert!(!flow.wrote(10));
        assert!(!flow.set_limits(WriteLimits::new(0, 10).unwrap(), 10));
        assert!(flow.set_limits(WriteLimits::new(0, 9).unwrap(), 10));
        assert_eq!(flow.poll_edge(10), Some(Edge::Pause));
        flow.set_limits(WriteLimits::new(9, 100).unwrap(), 10);
        assert!(!flow.is_due(10));
        flow.set_limits(WriteLimits::new(10, 100).unwrap(), 10);
        assert_eq!(flow.poll_edge(10), Some(Edge::Resume));
    }

    #[test]
    fn closing_makes_no_new_pause_and_keeps_what_is_owed() {
        //= FLOW-14, FLOW-15, FLOW-16
        let mut closing = flow(0, 4);
        closing.close();
        assert!(!closing.wrote(5));

        let mut owing = flow(0, 4);
        owing.wrote(5);
        owing.close();
        assert_eq!(owing.poll_edge(5), Some(Edge::Pause));
        assert_eq!(owing.poll_edge(0), Some(Edge::Resume));

        let mut aborted = flow(0, 4);
        aborted.wrote(5);
        aborted.end();
        assert_eq!(aborted.poll_edge(0), None);
        assert!(!aborted.wrote(5));
    }
}

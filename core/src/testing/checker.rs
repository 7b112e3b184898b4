//! Holds every connection of a loop to the grammar of contract section 17.

use super::child::Child;
use crate::key::{EndpointId, ProcessId};
use crate::observer::{Event, Observer};
use crate::reason::{Cause, CloseReason};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

/// So many flow callbacks in one iteration, and a pause may wait for the next one (contract RUST-2).
const EDGES: usize = 8;

/// What is known of one connection.
#[derive(Debug, Default)]
struct Lane {
    made: bool,
    eof: bool,
    paused: bool,
    promised: bool,
    closing: bool,
    force_closed: bool,
    read_paused: bool,
    sending_file: bool,
    upgrading: bool,
    edges: usize,
    size: usize,
}

#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<EndpointId, Lane>,
    children: BTreeMap<ProcessId, Child>,
    /// The memory that was lent by the event just before, and to whom.
    lent: Option<(EndpointId, usize)>,
    /// Connections whose pause is promised and not yet delivered, in that order.
    promised: Vec<EndpointId>,
    violations: Vec<String>,
    traces: Option<BTreeMap<EndpointId, String>>,
    last_made: Option<EndpointId>,
    made: u64,
    lost: u64,
}

/// Checks every connection of a loop, as it runs, against the grammar of contract 17.2 to 17.4 and its conditions.
///
/// It is a handle: clones share what they know. Hand [`observer`](Self::observer) to a loop, and either ask
/// [`violations`](Self::violations), or let the last handle go out of scope, which panics if there is one.
#[derive(Clone, Debug, Default)]
pub struct TraceChecker {
    state: Rc<RefCell<State>>,
}

impl TraceChecker {
    /// Knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also keeps every connection's trace, in the words of the contract: `cm data(x) pause resume eof lost(None)`.
    #[must_use]
    pub fn recording() -> Self {
        let checker = Self::default();
        checker.state.borrow_mut().traces = Some(BTreeMap::new());
        checker
    }

    /// To be given to `set_observer`.
    #[must_use]
    pub fn observer(&self) -> Box<dyn Observer> {
        Box::new(Watch(self.state.clone()))
    }

    /// What was wrong, with the name of the rule.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.state.borrow().violations.clone()
    }

    /// A connection's trace so far, if they are kept.
    #[must_use]
    pub fn trace(&self, id: impl Into<EndpointId>) -> String {
        self.state.borrow().traces.as_ref().and_then(|traces| traces.get(&id.into()).cloned()).unwrap_or_default()
    }

    /// The endpoint made last.
    #[must_use]
    pub fn last_made(&self) -> Option<EndpointId> {
        self.state.borrow().last_made
    }

    /// How many connections were made.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.state.borrow().made
    }

    /// How many connections were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.state.borrow().lost
    }

    /// Panics if anything was wrong.
    ///
    /// # Panics
    /// With everything that was wrong.
    #[track_caller]
    pub fn assert_clean(&self) {
        let violations = core::mem::take(&mut self.state.borrow_mut().violations);
        assert!(violations.is_empty(), "the contract is broken:\n{}", violations.join("\n"));
    }

    /// Panics if anything was wrong, or a connection that was made has not been lost.
    ///
    /// # Panics
    /// With everything that was wrong, or with the connections that are left.
    #[track_caller]
    pub fn assert_over(&self) {
        self.assert_clean();
        let state = self.state.borrow();
        let mut left: Vec<EndpointId> = state.lanes.iter().filter(|(_, lane)| lane.made).map(|(&id, _)| id).collect();
        left.extend(state.children.iter().filter(|(_, child)| child.is_made()).map(|(&id, _)| EndpointId::from(id)));
        drop(state);
        assert!(left.is_empty(), "not lost: {left:?}");
    }
}

impl Drop for TraceChecker {
    fn drop(&mut self) {
        // The observer in the loop is not a handle, but holds the state too.
        if Rc::strong_count(&self.state) <= 2 && !std::thread::panicking() {
            self.assert_clean();
        }
    }
}

struct Watch(Rc<RefCell<State>>);

impl Observer for Watch {
    fn round(&mut self, _: Instant) {
        for lane in self.0.borrow_mut().lanes.values_mut().filter(|lane| lane.edges > 0) {
            lane.edges = 0;
        }
    }

    fn event(&mut self, now: Instant, id: EndpointId, event: &Event<'_>) {
        self.0.borrow_mut().event(now, id, event);
    }
}

impl State {
    fn event(&mut self, now: Instant, id: EndpointId, event: &Event<'_>) {
        self.record(id, event);
        if let Some(child) = id.process() {
            self.child_event(now, child, event);
            return;
        }
        let lent = self.lent.take();
        if let Some(problem) = self.problem(id, event, lent) {
            self.violations.push(format!("{now:?} {id:?} {event:?}: {problem}"));
        }
        self.apply(id, event);
    }

    fn child_event(&mut self, now: Instant, id: ProcessId, event: &Event<'_>) {
        if let Some(problem) = self.children.entry(id).or_default().event(event) {
            self.violations.push(format!("{now:?} {id:?} {event:?}: {problem}"));
        }
        if matches!(event, Event::Lost(_) | Event::GivenUp | Event::OpenFailed) {
            self.children.remove(&id);
        }
    }

    /// Whether `event` may come now, and if not, what forbids it.
    fn problem(&self, id: EndpointId, event: &Event<'_>, lent: Option<(EndpointId, usize)>) -> Option<&'static str> {
        let none = Lane::default();
        let lane = self.lanes.get(&id).unwrap_or(&none);
        let callback = is_callback(event);
        if callback && !matches!(event, Event::PauseWriting | Event::ResumeWriting | Event::BufferUpdated(_)) {
            // RUST-2: what is promised comes before any other callback, of any connection.
            let first = self.promised.iter().filter_map(|id| self.lanes.get(id)).any(|lane| lane.edges < EDGES);
            if first && !matches!(event, Event::OpenFailed) {
                return Some("I-RISE: a pause was promised and does not come first");
            }
        }
        match event {
            _ if callback && !is_callback_of(id, event) => Some("I-GRAMMAR: not a callback of this kind of endpoint"),
            Event::Made if lane.made => Some("I-ONCE: made twice"),
            Event::OpenFailed | Event::GivenUp if lane.made => Some("I-GRAMMAR: made, and not opened"),
            _ if callback && !matches!(event, Event::Made | Event::OpenFailed) && !lane.made => {
                Some("I-SILENT: outside of connection_made and connection_lost")
            }
            Event::Sendfile if lane.sending_file => Some("LOOP-29: two files at once"),
            Event::SendfileDone(_) if !lane.sending_file => Some("RUST-9: a file is over that was not sent"),
            Event::SendfileDone(_) => None,
            Event::StartTlsDone if !lane.upgrading => Some("RUST-9: an upgrade is over that had not begun"),
            Event::Data(_) | Event::GetBuffer(_) | Event::BufferUpdated(_) | Event::Eof if lane.upgrading => {
                Some("TLS-18: delivered during an upgrade")
            }
            Event::Lost(_) if lane.sending_file => Some("RUST-9: lost, and it was not told what became of the file"),
            Event::Data(_) | Event::GetBuffer(_) | Event::BufferUpdated(_) | Event::Eof if lane.sending_file => {
                Some("LOOP-29: delivered while a file is sent")
            }
            _ if callback && lane.force_closed && !matches!(event, Event::Lost(_)) => {
                Some("I-GRAMMAR: only connection_lost may follow")
            }
            Event::Data(_) | Event::GetBuffer(_) | Event::BufferUpdated(_) | Event::Eof if lane.eof => {
                Some("I-ONCE: after end-of-file")
            }
            Event::Data(_) | Event::GetBuffer(_) | Event::BufferUpdated(_) | Event::Eof if lane.closing => {
                Some("I-CLOSING: delivered while closing")
            }
            Event::Data(_) | Event::GetBuffer(_) | Event::BufferUpdated(_) | Event::Eof if lane.read_paused => {
                Some("I-PAUSED: delivered while reading is paused")
            }
            Event::Datagram(..) if lane.closing => Some("I-DGSTOP: delivered while closing"),
            Event::Datagram(..) if lane.read_paused => Some("I-DGSTOP: delivered while reading is paused"),
            Event::Data([]) | Event::BufferUpdated([]) => Some("READ-1: no bytes"),
            Event::BufferUpdated(bytes) if !lent.is_some_and(|(to, len)| to == id && bytes.len() <= len) => {
                Some("BUF-1: not the memory that was just lent")
            }
            Event::PauseWriting if lane.paused => Some("I-ALTERNATE: paused twice"),
            Event::PauseWriting if !lane.promised => Some("FLOW-6: nothing made a pause due"),
            Event::ResumeWriting if !lane.paused => Some("I-ALTERNATE: resumed, and not paused"),
            Event::PausePromised if lane.closing && !lane.promised => Some("FLOW-16: a new pause while closing"),
            Event::Lost(reason) => problem_of_loss(lane, reason),
            _ => None,
        }
    }

    fn apply(&mut self, id: EndpointId, event: &Event<'_>) {
        if matches!(event, Event::Lost(_) | Event::GivenUp | Event::OpenFailed) {
            self.lost += u64::from(self.lanes.remove(&id).is_some_and(|lane| lane.made));
            self.promised.retain(|&other| other != id);
            return;
        }
        let lane = self.lanes.entry(id).or_default();
        match *event {
            Event::Made => {
                lane.made = true;
                self.made += 1;
                self.last_made = Some(id);
            }
            Event::GetBuffer(len) => self.lent = Some((id, len)),
            Event::Eof => lane.eof = true,
            Event::EofAnswered { keep_open } => lane.closing |= !keep_open,
            Event::PausePromised => {
                // Before `connection_made` the promise stands, and is kept after it.
                if !lane.promised && !lane.paused && lane.made {
                    self.promised.push(id);
                }
                lane.promised |= !lane.paused;
            }
            Event::PauseWriting => {
                lane.edges += 1;
                lane.paused = true;
                lane.promised = false;
                self.promised.retain(|&other| other != id);
            }
            Event::ResumeWriting => {
                lane.edges += 1;
                lane.paused = false;
            }
            Event::Wrote { size } | Event::Sent { size } => lane.size = size,
            Event::Sendfile => lane.sending_file = true,
            Event::SendfileDone(_) => lane.sending_file = false,
            Event::StartTls => lane.upgrading = true,
            Event::StartTlsDone => lane.upgrading = false,
            Event::ReadingPaused => lane.read_paused = true,
            Event::ReadingResumed => lane.read_paused = false,
            Event::Closing => lane.closing = true,
            Event::ForceClosed => {
                lane.force_closed = true;
                lane.promised = false;
                self.promised.retain(|&other| other != id);
            }
            _ => {}
        }
    }

    fn record(&mut self, id: EndpointId, event: &Event<'_>) {
        let Some(traces) = &mut self.traces else { return };
        let word = match event {
            Event::Made => String::from("cm"),
            Event::Data(bytes) => format!("data({})", bytes.escape_ascii()),
            Event::GetBuffer(_) => String::from("gb"),
            Event::BufferUpdated(bytes) => format!("bu({})", bytes.escape_ascii()),
            Event::Datagram(bytes, from) => format!("dgram({},{from})", bytes.escape_ascii()),
            Event::Error(error) => format!("err({})", error.kind()),
            Event::Eof => String::from("eof"),
            Event::PauseWriting => String::from("pause"),
            Event::ResumeWriting => String::from("resume"),
            Event::PipeData(fd, bytes) => format!("pdata({},{})", *fd as u8, bytes.escape_ascii()),
            Event::PipeLost(fd, error) => {
                format!(
                    "plost({},{})",
                    *fd as u8,
                    error.map_or_else(|| String::from("None"), |error| format!("{}", error.kind()))
                )
            }
            Event::Exited(status) => format!("exited({})", status.returncode()),
            Event::Timer => String::from("timer"),
            Event::SendfileDone(Ok(sent)) => format!("sent({sent})"),
            Event::SendfileDone(Err(error)) => format!("sent({})", error.kind()),
            Event::StartTlsDone => String::from("tls"),
            Event::OpenFailed => String::from("failed"),
            Event::Lost(reason) => match reason.error() {
                Some(error) => format!("lost({})", error.kind()),
                None => String::from("lost(None)"),
            },
            _ => return,
        };
        let trace = traces.entry(id).or_default();
        if !trace.is_empty() {
            trace.push(' ');
        }
        trace.push_str(&word);
    }
}

const fn is_callback(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Made
            | Event::Data(_)
            | Event::Datagram(..)
            | Event::Error(_)
            | Event::GetBuffer(_)
            | Event::BufferUpdated(_)
            | Event::Eof
            | Event::PauseWriting
            | Event::ResumeWriting
            | Event::Timer
            | Event::SendfileDone(_)
            | Event::StartTlsDone
            | Event::OpenFailed
            | Event::Lost(_)
    )
}

/// Contract 17.2 to 17.4: what every endpoint has, and what only those of its kind have.
const fn is_callback_of(id: EndpointId, event: &Event<'_>) -> bool {
    let of_stream = matches!(
        event,
        Event::Data(_)
            | Event::GetBuffer(_)
            | Event::BufferUpdated(_)
            | Event::Eof
            | Event::SendfileDone(_)
            | Event::StartTlsDone
    );
    let of_datagram = matches!(event, Event::Datagram(..) | Event::Error(_));
    match id {
        EndpointId::Stream(_) => !of_datagram,
        EndpointId::Datagram(_) => !of_stream,
        EndpointId::Process(_) => !of_stream && !of_datagram,
    }
}

fn problem_of_loss(lane: &Lane, reason: &CloseReason) -> Option<&'static str> {
    let regular = matches!(reason.cause(), Cause::LocalClose | Cause::LocalAbort | Cause::PeerEof);
    let graceful = matches!(reason.cause(), Cause::LocalClose | Cause::PeerEof);
    if regular != reason.error().is_none() {
        Some("LIFE-4: the error does not fit the cause")
    } else if lane.promised {
        Some("I-PROMISE: a promised pause never came")
    } else if lane.paused && !lane.force_closed {
        Some("I-UNMATCHED: lost without a resume")
    } else if graceful && (!lane.closing || lane.force_closed) {
        Some("I-CAUSE: a graceful end that nothing began")
    } else if !graceful && !lane.force_closed {
        Some("I-CAUSE: a force-close that nothing began")
    } else if graceful && (lane.size != 0 || reason.discarded() != 0) {
        Some("I-OUT: closed gracefully with bytes queued")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;

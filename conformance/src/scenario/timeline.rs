//! A run on one time axis: the steps, what they and the callbacks did, and what became of the send queues.
//!
//! It is there to be looked at: verdicts know nothing of it. Of other loops it has the steps and the events, and no time.

use super::lane::Event;
use core::cell::RefCell;
use core::time::Duration;
use plimsoll_core::{EndpointId, Event as Seen, Instant, Observer, WriteLimits};
use std::collections::BTreeMap;
use std::rc::Rc;

/// One thing that happened, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Moment {
    /// On the loop's clock, since its first iteration: as of the iteration that it happened in.
    pub time: Duration,
    /// Whose it is: `app`, `app.b`, `peer`, `server`, `loop`, `hook`, `host`.
    pub lane: String,
    /// What it is.
    pub what: What,
}

/// What happened at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum What {
    /// A step of the file begins. It lasts until the next one.
    Step {
        /// Where it stands in the file.
        line: usize,
        /// The verb and its arguments.
        text: String,
    },
    /// The application gave a command: in a step, a callback or a job.
    Command {
        /// The verb and its arguments.
        text: String,
        /// What the transport answered, if it did.
        answer: Option<String>,
    },
    /// An event of a lane. Bytes are not put together here.
    Event {
        /// Its name, without that of a protocol.
        name: String,
        /// The whole of it.
        text: String,
        /// How many bytes it brought.
        bytes: usize,
    },
    /// The send queue holds so many bytes now.
    Size(usize),
    /// These are the marks now, low and high.
    Marks(usize, usize),
    /// Another state of the transport.
    Turned(Turning),
}

/// What begins or ends in a transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Turning {
    /// The application is asked to stop writing.
    WritingPaused,
    /// It may write again.
    WritingResumed,
    /// The application stopped reading.
    ReadingPaused,
    /// It reads again.
    ReadingResumed,
    /// A graceful close has begun.
    Closing,
    /// It is closed by force.
    ForceClosed,
    /// `connection_lost` is called, or the opening was given up.
    Over,
}

#[derive(PartialEq, Eq, Default, Debug)]
struct State {
    moments: Vec<Moment>,
    lanes: BTreeMap<EndpointId, String>,
    began: Option<Instant>,
    time: Duration,
}

/// A handle on what is recorded: clones share it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Timeline(Rc<RefCell<State>>);

impl Timeline {
    /// Everything so far, in order.
    #[must_use]
    pub fn moments(&self) -> Vec<Moment> {
        self.0.borrow().moments.clone()
    }

    /// A copy that nothing comes to any more.
    pub(crate) fn so_far(&self) -> Self {
        let moments = self.moments();
        Self(Rc::new(RefCell::new(State { moments, ..State::default() })))
    }

    fn note(&self, lane: &str, what: What) {
        let mut state = self.0.borrow_mut();
        let time = state.time;
        state.moments.push(Moment { time, lane: lane.into(), what });
    }

    pub(crate) fn step(&self, lane: &str, line: usize, text: &str) {
        self.note(lane, What::Step { line, text: text.into() });
    }

    pub(crate) fn command(&self, lane: &str, text: &str) {
        self.note(lane, What::Command { text: text.into(), answer: None });
    }

    /// The answer to the last command.
    pub(crate) fn answered(&self, word: &str) {
        let commands = &mut self.0.borrow_mut().moments;
        let last = commands.iter_mut().rev().find_map(|moment| match &mut moment.what {
            What::Command { answer, .. } => Some(answer),
            _ => None,
        });
        if let Some(answer) = last {
            *answer = Some(word.into());
        }
    }

    pub(crate) fn event(&self, lane: &str, event: &Event) {
        let bytes = event.bytes().map_or(0, <[u8]>::len);
        self.note(lane, What::Event { name: event.base().into(), text: event.to_string(), bytes });
    }

    /// From now on what happens to this connection stands in this lane.
    pub(crate) fn bind(&self, lane: &str, id: impl Into<EndpointId>, limits: Option<WriteLimits>) {
        let first = self.0.borrow_mut().lanes.insert(id.into(), lane.into()).is_none();
        if let (true, Some(limits)) = (first, limits) {
            self.note(lane, What::Marks(limits.low(), limits.high()));
        }
    }

    /// What sees the queues, and shows everything to another observer too.
    pub(crate) fn observer(&self, next: Option<Box<dyn Observer>>) -> Watch {
        Watch { timeline: self.clone(), next }
    }
}

/// The observer of a timeline.
pub(crate) struct Watch {
    timeline: Timeline,
    next: Option<Box<dyn Observer>>,
}

impl Watch {
    fn now(&self, now: Instant) {
        let mut state = self.timeline.0.borrow_mut();
        let began = *state.began.get_or_insert(now);
        state.time = now.saturating_since(began);
    }
}

impl Observer for Watch {
    fn round(&mut self, now: Instant) {
        self.now(now);
        if let Some(next) = &mut self.next {
            next.round(now);
        }
    }

    fn event(&mut self, now: Instant, id: EndpointId, event: &Seen<'_>) {
        self.now(now);
        let lane = self.timeline.0.borrow().lanes.get(&id).cloned();
        if let (Some(lane), Some(what)) = (lane, what_of(event)) {
            self.timeline.note(&lane, what);
        }
        if let Some(next) = &mut self.next {
            next.event(now, id, event);
        }
    }
}

/// Callbacks are in the lanes already.
const fn what_of(event: &Seen<'_>) -> Option<What> {
    Some(match *event {
        Seen::Wrote { size } | Seen::Sent { size } => What::Size(size),
        Seen::LimitsSet { low, high } => What::Marks(low, high),
        Seen::PauseWriting => What::Turned(Turning::WritingPaused),
        Seen::ResumeWriting => What::Turned(Turning::WritingResumed),
        Seen::ReadingPaused => What::Turned(Turning::ReadingPaused),
        Seen::ReadingResumed => What::Turned(Turning::ReadingResumed),
        Seen::Closing | Seen::EofAnswered { keep_open: false } => What::Turned(Turning::Closing),
        Seen::ForceClosed => What::Turned(Turning::ForceClosed),
        Seen::Lost(_) | Seen::GivenUp | Seen::OpenFailed => What::Turned(Turning::Over),
        _ => return None,
    })
}

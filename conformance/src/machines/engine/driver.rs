//! The two production drivers as one, and what watches their engine.

use super::io::Io;
use super::world::{Seen, Shared};
use plimsoll_core::driver::{CompletionDriver, ReadinessDriver};
use plimsoll_core::{EndpointId, Engine, Event, Instant, Observer};

/// Tells the world what an observer is told, and a checker of its own.
pub(super) struct Watch {
    pub(super) world: Shared,
    pub(super) checker: Box<dyn Observer>,
}

impl Observer for Watch {
    fn round(&mut self, now: Instant) {
        self.checker.round(now);
    }

    fn event(&mut self, now: Instant, id: EndpointId, event: &Event<'_>) {
        self.checker.event(now, id, event);
        let Some(id) = id.stream() else { return };
        let seen = match *event {
            Event::Made => Seen::Made,
            Event::Data(bytes) => Seen::Data(bytes.len()),
            Event::GetBuffer(len) => Seen::Lent(len),
            Event::BufferUpdated(bytes) => Seen::Filled(bytes.len()),
            Event::Eof => Seen::Eof,
            Event::PauseWriting => Seen::Pause,
            Event::ResumeWriting => Seen::Resume,
            Event::Timer => Seen::Timer,
            Event::Lost(_) => Seen::Lost,
            Event::OpenFailed => Seen::OpenFailed,
            Event::Sent { size } => {
                let mut world = self.world.borrow_mut();
                let ep = world.ep_of(id);
                let model = world.model.stream(ep).queue.len();
                world.same("the observer of a send", size, model);
                return;
            }
            _ => return,
        };
        // Nothing lent: no read follows that would ask for it.
        self.world.borrow_mut().seen = (seen != Seen::Lent(0)).then_some((id, seen));
    }
}

/// The production drivers.
pub(super) enum Driver {
    Readiness(Box<ReadinessDriver<(), Io>>),
    Completion(Box<CompletionDriver<(), Io>>),
}

/// The same call of either driver.
macro_rules! either {
    ($driver:expr, $one:ident => $call:expr) => {
        match $driver {
            Driver::Readiness($one) => $call,
            Driver::Completion($one) => $call,
        }
    };
}

impl Driver {
    pub(super) fn engine(&mut self) -> &mut Engine<()> {
        either!(self, driver => driver.engine())
    }

    pub(super) fn prepare(&mut self, now: Instant) {
        either!(self, driver => driver.prepare(now));
    }

    pub(super) fn process(&mut self, now: Instant) {
        either!(self, driver => driver.process(now));
    }

    pub(super) fn timeout(&mut self) -> Option<Instant> {
        either!(self, driver => driver.timeout())
    }

    /// What the kernel has to say: nothing, if it lags.
    pub(super) fn poll(&mut self, world: &Shared, whole: bool, first: usize) {
        match self {
            Self::Readiness(driver) => {
                for (index, ready) in world.borrow_mut().poll(whole) {
                    driver.mark(index, ready);
                }
            }
            Self::Completion(_) if !whole => {}
            Self::Completion(driver) => {
                for (key, completion) in driver.io().clone().harvest(first) {
                    driver.complete(key, completion);
                }
            }
        }
    }
}

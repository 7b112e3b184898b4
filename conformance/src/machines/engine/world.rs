//! What the loop, the kernel and the protocols of a run share: the model, the sockets, and what was seen.

use super::net::Net;
use super::ring::Operation;
use super::script::{Script, Swarm};
use super::{Mark, Step};
use crate::harness::Violation;
use crate::machines::pattern;
use crate::model::{EngineModel, Ep, Outcome, Turn};
use core::cell::RefCell;
use plimsoll_core::{Hub, ServerId, StreamId, TimerId};
use std::collections::VecDeque;
use std::rc::Rc;

/// Where in the pattern an endpoint begins.
const fn first(ep: Ep) -> u64 {
    ep as u64 * 7919
}

pub(super) type Shared = Rc<RefCell<World>>;

/// What an observer was told of the callback that is about to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    Made,
    Data(usize),
    Lent(usize),
    Filled(usize),
    Eof,
    Pause,
    Resume,
    Timer,
    Lost,
    OpenFailed,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) model: EngineModel,
    pub(super) net: Net,
    pub(super) swarm: Swarm,
    /// Operations under way: completions only.
    pub(super) ring: Vec<Operation>,
    pub(super) scripts: VecDeque<Script>,
    pub(super) ids: Vec<Option<StreamId>>,
    pub(super) servers: Vec<Option<ServerId>>,
    /// The loop's timers with the model's numbers, the youngest last.
    pub(super) timers: Vec<(TimerId, u32, Option<Ep>)>,
    pub(super) seen: Option<(StreamId, Seen)>,
    pub(super) steps: Vec<Step>,
    pub(super) marks: u64,
    violation: Option<Violation>,
    /// Bytes accepted of each endpoint, for the pattern.
    pub(super) written: Vec<u64>,
    /// Bytes told to the protocols of each endpoint.
    told: Vec<u64>,
    /// Somebody was lost in this iteration.
    pub(super) lost_in_round: bool,
    /// Faults are off: callbacks do nothing any more.
    pub(super) calm: bool,
}

impl World {
    pub(super) fn new(swarm: Swarm, completions: bool) -> Shared {
        let net = Net::new(swarm.room);
        Rc::new(RefCell::new(Self {
            model: EngineModel::new(completions),
            net,
            swarm,
            ring: Vec::new(),
            scripts: VecDeque::new(),
            ids: Vec::new(),
            servers: Vec::new(),
            timers: Vec::new(),
            seen: None,
            steps: Vec::new(),
            marks: 0,
            violation: None,
            written: Vec::new(),
            told: Vec::new(),
            lost_in_round: false,
            calm: false,
        }))
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        self.marks |= 1 << mark as u32;
    }

    /// The first violation counts.
    pub(super) fn check(&mut self, result: Result<(), Violation>) {
        if let Err(violation) = result {
            self.violation.get_or_insert(violation);
        }
    }

    pub(super) fn fail(&mut self, what: String) {
        self.violation.get_or_insert(Violation(what));
    }

    pub(super) const fn is_broken(&self) -> bool {
        self.violation.is_some()
    }

    pub(super) fn result(&self) -> Result<(), Violation> {
        self.violation.clone().map_or(Ok(()), Err)
    }

    /// The machine's answer beside the model's.
    pub(super) fn same<T: PartialEq + core::fmt::Debug>(&mut self, what: &str, machine: T, model: T) {
        if machine != model {
            self.fail(format!("{what}: the machine says {machine:?}, the model {model:?}"));
        }
    }

    pub(super) fn ep_of(&mut self, id: StreamId) -> Ep {
        match self.ids.iter().rposition(|other| *other == Some(id)) {
            Some(ep) => ep,
            None => {
                self.fail(format!("nobody knows {id:?}"));
                0
            }
        }
    }

    pub(super) fn id(&self, ep: Ep) -> Option<StreamId> {
        self.ids.get(ep).copied().flatten()
    }

    pub(super) fn add_id(&mut self, ep: Ep, id: StreamId) {
        if self.ids.len() <= ep {
            self.ids.resize(ep + 1, None);
        }
        self.ids[ep] = Some(id);
    }

    /// Bytes of the pattern for the next write.
    pub(super) fn to_write(&self, ep: Ep, len: usize) -> &'static [u8] {
        let written = self.written.get(ep).copied().unwrap_or(0);
        pattern::bytes(first(ep) + written, len)
    }

    /// Whether that is what an endpoint writes from byte number `at` on.
    pub(super) fn is_pattern(&self, ep: Ep, at: u64, data: &[u8]) -> bool {
        pattern::is(first(ep) + at, data)
    }

    /// So many bytes were accepted.
    pub(super) fn wrote(&mut self, ep: Ep, len: usize) {
        if self.written.len() <= ep {
            self.written.resize(ep + 1, 0);
        }
        self.written[ep] += len as u64;
    }

    /// The number of the next byte that an endpoint is told; `len` of them are told now.
    pub(super) fn delivered(&mut self, ep: Ep, len: usize) -> u64 {
        if self.told.len() <= ep {
            self.told.resize(ep + 1, 0);
        }
        let at = self.told[ep];
        self.told[ep] += len as u64;
        at
    }

    /// A turn begins; `seen` is what the observer must have been told just before.
    pub(super) fn begin(&mut self, turn: Turn, seen: Option<(StreamId, Seen)>) -> Script {
        if self.is_broken() {
            return Script::default();
        }
        let told = self.seen.take();
        self.same("the observer", told, seen);
        self.steps.push(Step::Turn(turn));
        super::marks::before(self, turn);
        let result = self.model.begin(turn);
        self.check(result);
        if self.calm {
            return Script::default();
        }
        self.scripts.pop_front().unwrap_or_default()
    }

    pub(super) fn end(&mut self, outcome: Outcome) {
        if !self.is_broken() {
            let result = self.model.end(outcome);
            self.check(result);
        }
    }

    /// Everything that can be asked, of everybody.
    pub(super) fn compare<S>(&mut self, hub: &Hub<S>) {
        for ep in 0..self.ids.len() {
            self.compare_one(hub, ep);
        }
        let now = self.model.now();
        self.same("now", hub.now(), now);
    }

    pub(super) fn compare_one<S>(&mut self, hub: &Hub<S>, ep: Ep) {
        let Some(id) = self.id(ep) else { return };
        if self.is_broken() {
            return;
        }
        let stream = self.model.stream(ep);
        let model = if self.model.is_stale(ep) {
            (true, false, false, 0, None)
        } else {
            let limits = Some(stream.limits());
            (stream.is_closing(), stream.is_reading(), stream.is_writing_paused(), stream.queue.len(), limits)
        };
        let machine = (
            hub.is_closing(id),
            hub.is_reading(id),
            hub.is_writing_paused(id),
            hub.write_buffer_size(id),
            hub.write_buffer_limits(id).map(|limits| (limits.low(), limits.high())),
        );
        if machine != model {
            self.fail(format!(
                "{ep} (closing, reading, paused, size, limits): the machine says {machine:?}, the model {model:?}"
            ));
        }
    }
}

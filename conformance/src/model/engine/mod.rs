//! The loop: which turn comes next, and what each command answers (contract 2, 3, 15, 17.6 to 17.8, 17.10 to 17.12).
//!
//! Input and output are facts that the model is told ([`EngineModel::sent`], [`EngineModel::received`] …): the contract leaves open when a driver
//! calls the kernel, within bounds that are checked. Callbacks are not left open: [`EngineModel::begin`] refuses every turn but the next one.

mod commands;
mod facts;
mod servers;
mod timers;
mod turns;

pub use facts::Back;
pub use servers::ServerState;
pub use turns::{Outcome, Phase, Turn};

use super::{State, StreamModel};
use crate::harness::{Violation, ensure};
use plimsoll_core::Instant;
use servers::ServerModel;
use std::collections::VecDeque;
use timers::TimerModel;

/// An endpoint's number: never used again.
pub type Ep = usize;

/// So many flow callbacks an endpoint gets in one iteration (contract RUST-2).
const MOST_EDGES: u8 = 8;
/// So many late writes are silent (contract WRITE-11).
const SILENT_WRITES: u32 = 4;
/// At most so many reads of one endpoint in one iteration (contract READ-3, decision 12).
const MOST_READS: u8 = 4;

/// What is reported beside the callbacks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Reported {
    /// A protocol failed.
    Failed(Ep),
    /// A callback of a protocol panicked.
    Panicked(Ep),
    /// A factory panicked.
    FactoryPanicked(usize),
    /// A scheduled callback panicked.
    JobPanicked,
    /// The application's own report.
    Application,
    /// A late write that is not silent any more.
    WriteDiscarded(Ep),
    /// Accepting rests.
    AcceptFailed(usize),
}

/// An entry of the ready queue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Entry {
    Job(u32),
    Made(Ep),
    OpenFailed(Ep),
    Lost(Ep),
}

/// What must follow directly, whatever else is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Follows {
    Nothing,
    /// The factory made a protocol.
    Made(Ep),
    /// Bytes were received.
    Data(Ep),
    /// Memory was lent: it is read into.
    Read(Ep),
    /// Bytes were received into lent memory.
    Filled(Ep),
    /// The end was received.
    Eof(Ep),
}

/// One endpoint.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    stream: StreamModel,
    server: Option<usize>,
    /// Its id names nothing any more.
    stale: bool,
    loss_queued: bool,
    /// Flow callbacks in this iteration.
    edges: u8,
    /// Reads in this iteration that came back with bytes.
    reads: u8,
    protocol: Option<u32>,
    buffered: bool,
    switched: bool,
    /// Installed by the protocol that is being called.
    successor: Option<(u32, bool)>,
    late_writes: u32,
    dropped: u64,
    /// `fail` came first, and gave an error.
    failed: bool,
    /// So many bytes are in hand (completions only).
    held: usize,
}

/// A loop, as the contract has it.
#[derive(Clone, Debug)]
pub struct EngineModel {
    endpoints: Vec<Endpoint>,
    servers: Vec<ServerModel>,
    timers: Vec<TimerModel>,
    ready: VecDeque<Entry>,
    /// How many entries of it belong to this iteration.
    snapshot: usize,
    /// Who owes a pause or resume, in the order in which they became due.
    due: VecDeque<Ep>,
    /// Who has had all flow callbacks of this iteration and owes another.
    late: VecDeque<Ep>,
    /// Whose reading follows whose writing.
    follows: Vec<(Ep, Ep)>,
    reports: VecDeque<Reported>,
    phase: Phase,
    running: Option<Turn>,
    after: Follows,
    now: Instant,
    jobs: u32,
    tags: u32,
    timer_numbers: u32,
    /// Timers set later than that wait for the next iteration.
    timer_mark: u32,
    orphans: u32,
    completions: bool,
    /// What came back and has not been served: completions only.
    back: VecDeque<Back>,
    /// Whose receive is being served.
    serving: Option<Ep>,
}

impl EngineModel {
    /// A loop without endpoints, over a poller or over completions.
    #[must_use]
    pub fn new(completions: bool) -> Self {
        Self {
            endpoints: Vec::new(),
            servers: Vec::new(),
            timers: Vec::new(),
            ready: VecDeque::new(),
            snapshot: 0,
            due: VecDeque::new(),
            late: VecDeque::new(),
            follows: Vec::new(),
            reports: VecDeque::new(),
            phase: Phase::Between,
            running: None,
            after: Follows::Nothing,
            now: Instant::ZERO,
            jobs: 0,
            tags: 0,
            timer_numbers: 0,
            timer_mark: 0,
            orphans: 0,
            completions,
            back: VecDeque::new(),
            serving: None,
        }
    }

    /// How many endpoints there ever were.
    #[must_use]
    pub fn endpoints(&self) -> usize {
        self.endpoints.len()
    }

    /// How many have an id that names something.
    #[must_use]
    pub fn live(&self) -> usize {
        self.endpoints.iter().filter(|endpoint| !endpoint.stale).count()
    }

    /// An endpoint's id names nothing.
    #[must_use]
    pub fn is_stale(&self, ep: Ep) -> bool {
        self.endpoints[ep].stale
    }

    /// The machine of an endpoint.
    #[must_use]
    pub fn stream(&self, ep: Ep) -> &StreamModel {
        &self.endpoints[ep].stream
    }

    /// Where the iteration stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// What is being called.
    #[must_use]
    pub const fn running(&self) -> Option<Turn> {
        self.running
    }

    /// The time of this iteration.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The protocol that is called, and whether it lends memory; none once lost.
    #[must_use]
    pub fn protocol(&self, ep: Ep) -> Option<(u32, bool)> {
        let endpoint = &self.endpoints[ep];
        endpoint.protocol.map(|tag| (tag, endpoint.buffered))
    }

    /// It has a successor already, which takes over when the present callback returns.
    #[must_use]
    pub fn has_successor(&self, ep: Ep) -> bool {
        self.endpoints[ep].successor.is_some()
    }

    /// How many accepted bytes it has dropped, and whether `fail` ended it.
    #[must_use]
    pub fn ending(&self, ep: Ep) -> (u64, bool) {
        (self.endpoints[ep].dropped, self.endpoints[ep].failed)
    }

    /// The endpoint has had its flow callbacks of this iteration and owes another.
    #[must_use]
    pub fn is_late(&self, ep: Ep) -> bool {
        let spent = || self.due.contains(&ep) && self.endpoints[ep].edges >= MOST_EDGES;
        self.endpoints[ep].stream.is_edge_due() && (self.late.contains(&ep) || spent())
    }

    /// How many endpoints owe an edge.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.due.len()
    }

    /// Its protocol is not the one that it began with.
    #[must_use]
    pub fn is_switched(&self, ep: Ep) -> bool {
        self.endpoints[ep].switched
    }

    /// What is to be reported next.
    pub fn next_report(&mut self) -> Option<Reported> {
        self.reports.pop_front()
    }

    /// Something is to be run in the next iteration, whatever happens.
    #[must_use]
    pub fn is_runnable(&self) -> bool {
        !self.ready.is_empty() || !self.late.is_empty()
    }

    /// How many accepted connections were dropped because their server was closed before their turn.
    #[must_use]
    pub const fn orphans(&self) -> u32 {
        self.orphans
    }

    /// A name for a protocol.
    pub fn new_tag(&mut self) -> u32 {
        self.tags += 1;
        self.tags
    }

    fn new_job(&mut self) -> u32 {
        self.jobs += 1;
        self.jobs
    }

    fn new_endpoint(&mut self, server: Option<usize>, protocol: Option<(u32, bool)>) -> Ep {
        self.endpoints.push(Endpoint {
            stream: StreamModel::new(16 * 1024, 64 * 1024),
            server,
            stale: false,
            loss_queued: false,
            edges: 0,
            reads: 0,
            protocol: protocol.map(|(tag, _)| tag),
            buffered: protocol.is_some_and(|(_, buffered)| buffered),
            switched: false,
            successor: None,
            late_writes: 0,
            dropped: 0,
            failed: false,
            held: 0,
        });
        self.endpoints.len() - 1
    }

    /// Whether a reader is held because a writer that it follows is paused (decision 16: from the promise on).
    fn is_held_by_writer(&self, ep: Ep) -> bool {
        let paused = |writer: Ep| !self.endpoints[writer].stale && self.endpoints[writer].stream.is_writing_paused();
        self.follows.iter().any(|&(reader, writer)| reader == ep && paused(writer))
    }

    /// Received bytes may be told to its protocol (17.12, and the reasons of the loop's own).
    #[must_use]
    pub fn may_read(&self, ep: Ep) -> bool {
        let endpoint = &self.endpoints[ep];
        !endpoint.stale && endpoint.stream.wants_read() && !self.is_late(ep) && !self.is_held_by_writer(ep)
    }

    /// An edge is to be told in this iteration.
    fn owes(&self) -> bool {
        self.due.iter().any(|&ep| self.endpoints[ep].stream.is_edge_due() && self.endpoints[ep].edges < MOST_EDGES)
    }

    /// Takes endpoints away from the front that owe nothing any more, or have had all edges of this iteration. *Ruling:* an edge that is
    /// undone by a command and due again before its turn comes keeps its place.
    fn prune(&mut self) {
        while let Some(&ep) = self.due.front() {
            let due = self.endpoints[ep].stream.is_edge_due();
            if due && self.endpoints[ep].edges < MOST_EDGES {
                return;
            }
            self.due.pop_front();
            if due {
                self.late.push_back(ep);
            }
        }
    }

    /// Something of an endpoint has changed: whatever is due because of it takes its place.
    fn touch(&mut self, ep: Ep) {
        let endpoint = &mut self.endpoints[ep];
        if endpoint.stream.state() == State::Losing && !endpoint.loss_queued {
            endpoint.loss_queued = true;
            self.ready.push_back(Entry::Lost(ep));
        }
        if endpoint.stream.is_edge_due() && !self.due.contains(&ep) && !self.late.contains(&ep) {
            self.due.push_back(ep);
        }
        if endpoint.stream.state() == State::Gone && !endpoint.stale {
            self.removed(ep);
        }
    }

    /// Its id names nothing from now on; its timers are gone, its server has one client less.
    fn removed(&mut self, ep: Ep) {
        let endpoint = &mut self.endpoints[ep];
        endpoint.stale = true;
        endpoint.protocol = None;
        endpoint.successor = None;
        endpoint.held = 0;
        let server = endpoint.server;
        self.due.retain(|&other| other != ep);
        self.late.retain(|&other| other != ep);
        self.follows.retain(|&(reader, writer)| reader != ep && writer != ep);
        self.cancel_timers_of(ep);
        if let Some(server) = server {
            self.client_gone(server);
        }
    }

    /// At the end, after everything was closed: nothing is left.
    ///
    /// # Errors
    /// If something is.
    pub fn check_over(&self) -> Result<(), Violation> {
        for (ep, endpoint) in self.endpoints.iter().enumerate() {
            ensure!(endpoint.stale, "liveness: endpoint {ep} is {:?}", endpoint.stream.state());
        }
        ensure!(self.ready.is_empty(), "liveness: {:?} are left", self.ready);
        ensure!(self.due.is_empty() && self.late.is_empty(), "liveness: edges are owed");
        Ok(())
    }
}

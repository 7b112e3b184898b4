//! Plays a scenario on a host, with both ends in one thread.

mod after;
mod datagrams;
mod open;
mod peer;
mod secure;

use super::host::{Host, Mailbox, PeerEnd, make};
use super::lane::{Arg, Event, Record, pattern};
use super::model::{Act, Actor, Command, Scenario, There, Way};
use super::perform::{job, perform};
use super::race::Lies;
use super::stage::{Stage, caught};
use core::time::Duration;
use plimsoll_core::{Addr, EndpointId, Hub, Report};
use std::env;
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Passing scenarios never wait for this; `PLIMSOLL_TIME_SCALE` multiplies it.
const DEADLINE: Duration = Duration::from_secs(10);

/// So many iterations in a row in which nothing happens are silence.
const QUIET: u32 = 5;

/// How long a peer that waits for bytes leaves the loop alone.
const GLANCE: Duration = Duration::from_millis(1);

/// How long the loop sleeps before another thread wakes it.
const WHILE: Duration = Duration::from_millis(20);

/// How many threads a flood has.
const FLOODERS: usize = 4;

/// The most that a peer reads in one go.
const GULP: usize = 16 * 1024;

/// So often before the loop has its turn: a full buffer of a real kernel.
const GULPS: u32 = 4;

/// How long a step may take before it counts as stuck, if nobody says otherwise.
#[must_use]
pub fn deadline() -> Duration {
    let scale = env::var("PLIMSOLL_TIME_SCALE").ok().and_then(|text| text.parse().ok()).filter(|scale| *scale > 0.0);
    DEADLINE.mul_f64(scale.unwrap_or(1.0))
}

/// What came of playing a scenario.
#[derive(Clone, Default, Debug)]
#[non_exhaustive]
pub struct Played {
    /// What happened, as far as it got.
    pub record: Record,
    /// What is wrong beside the lanes: the grammar was broken, a descriptor is left, or the host failed.
    pub broken: Option<String>,
}

/// Plays a scenario.
#[must_use]
pub fn run(host: &str, scenario: &Rc<Scenario>, seed: u64) -> Played {
    run_within(host, scenario, seed, deadline())
}

/// The same; a step that takes so long is stuck.
#[must_use]
pub fn run_within(host: &str, scenario: &Rc<Scenario>, seed: u64, patience: Duration) -> Played {
    limited(host, scenario, seed, patience, u32::MAX)
}

/// The same; a step that takes so many iterations is stuck too.
pub(super) fn limited(host: &str, scenario: &Rc<Scenario>, seed: u64, patience: Duration, most_turns: u32) -> Played {
    let mut record = Record::default();
    let with = |play: Play| Play { patience, ..play.with_most_turns(most_turns) };
    let broken = run_into(&mut record, host, scenario, seed, with).err();
    Played { record, broken }
}

fn run_into(
    record: &mut Record,
    host: &str,
    scenario: &Rc<Scenario>,
    seed: u64,
    with: impl FnOnce(Play) -> Play,
) -> Result<(), String> {
    let before = super::host::open_descriptors();
    let simulated = super::host::is_simulated(host);
    let host = make(host, scenario, seed).map_err(|error| error.to_string())?;
    let mut play = with(Play::new(host, scenario.clone(), simulated));
    let played = caught(|| play.all());
    *record = play.record().clone();
    // What is done to end it is no part of it.
    record.timeline = record.timeline.so_far();
    if let Err(panic) = played {
        // It is in no state to be ended well.
        let _ = caught(move || drop(play));
        return Err(panic);
    }
    let left = caught(move || play.end())??;
    played??;
    let left = if simulated { left } else { super::host::open_descriptors().saturating_sub(before) };
    if left > 0 { Err(format!("{left} descriptors are left open")) } else { Ok(()) }
}

/// A step that cannot be finished.
struct Stuck;

pub(in crate::scenario) struct Play {
    host: Box<dyn Host>,
    simulated: bool,
    scenario: Rc<Scenario>,
    peers: Vec<Option<Box<dyn PeerEnd>>>,
    /// The other ends of datagram endpoints.
    mailboxes: Vec<Option<Box<dyn Mailbox>>>,
    /// Where the application listens.
    address: Option<Addr>,
    threads: Vec<JoinHandle<bool>>,
    broken: Vec<String>,
    closed: bool,
    most_turns: u32,
    /// How long a step may take.
    patience: Duration,
    /// There is TLS in it.
    secure: bool,
    /// How much had happened when time could last pass.
    seen: usize,
}

impl Play {
    pub(super) fn new(host: Box<dyn Host>, scenario: Rc<Scenario>, simulated: bool) -> Self {
        let peers = scenario.connections.iter().map(|_| None).collect();
        let mailboxes = scenario.connections.iter().map(|_| None).collect();
        let (threads, broken) = (Vec::new(), Vec::new());
        let (most_turns, patience) = (u32::MAX, deadline());
        let secure = scenario.has_tls();
        Self {
            host,
            simulated,
            scenario,
            peers,
            mailboxes,
            address: None,
            threads,
            broken,
            closed: false,
            most_turns,
            patience,
            secure,
            seen: 0,
        }
    }

    /// A step may take so many iterations at most: for those who expect that it gets stuck while the loop stays busy.
    pub(super) fn with_most_turns(self, most_turns: u32) -> Self {
        Self { most_turns, ..self }
    }

    fn stage(&mut self) -> &mut Stage {
        self.host.hub().1
    }

    /// The opening, the steps, and what still happens by itself.
    pub(super) fn all(&mut self) -> Result<(), String> {
        self.open().map_err(|error| format!("the link could not be opened: {error}"))?;
        let scenario = self.scenario.clone();
        let mut stuck = None;
        for (command, step) in scenario.steps.iter().zip(1..) {
            self.stage().record.timeline.step(&scenario.lane_of(command.actor), command.line, &command.text);
            if self.step(command).is_err() {
                stuck = Some(step);
                break;
            }
        }
        match stuck {
            Some(step) => self.stage().record.push("host", Event::new("stuck").word("step").with(Arg::Int(step))),
            None => self.settle(),
        }
        if self.broken.is_empty() { Ok(()) } else { Err(self.broken.join("\n")) }
    }

    /// Ends whatever is left; how many descriptors the host says there are then.
    pub(super) fn end(mut self) -> Result<u64, String> {
        self.peers.clear();
        self.mailboxes.clear();
        // Threads of a flood may still be at it.
        self.join();
        // It was possible before.
        let _ = self.host.limit_descriptors(false);
        if !self.closed {
            let (hub, stage) = self.host.hub();
            let ids: Vec<_> = stage.connections.iter().filter_map(|connection| connection.id).collect();
            for id in ids {
                hub.abort(id);
            }
            if let Some(server) = stage.server {
                hub.server_close(server);
            }
            if let Some(process) = stage.process {
                hub.close(process);
                // A kill that was refused is not tried again by itself.
                let _ = hub.kill(process);
                // It takes its time to die; one that was never there is not lost.
                let _ = self.until(GLANCE, |play| {
                    let stage = play.stage();
                    stage.connections[0].lost || stage.record.amount("app", "cm") == 0
                });
            }
            for _ in 0..QUIET {
                self.turn(Duration::ZERO);
            }
            let scenario = self.scenario.clone();
            for index in 0..scenario.connections.len() {
                let lane = scenario.lane_of(Actor::App(index));
                let record = &self.stage().record;
                if record.amount(&lane, "cm") > 0 && !self.stage().connections[index].lost {
                    self.broken.push(format!("{lane} was aborted, and is not lost"));
                }
            }
        }
        self.host.close();
        if self.broken.is_empty() { Ok(self.host.descriptors()) } else { Err(self.broken.join("\n")) }
    }

    fn turn(&mut self, patience: Duration) -> bool {
        let more = if self.secure { self.turn_securely(patience) } else { self.host.turn(patience) };
        self.note_reports();
        self.broken.extend(self.host.violations());
        more
    }

    fn note_reports(&mut self) {
        for report in self.host.reports() {
            self.stage().record.push("hook", Event::new("report").word(class_of(&report)));
        }
    }

    /// Turns the loop until that is so.
    fn until(&mut self, patience: Duration, mut reached: impl FnMut(&mut Self) -> bool) -> Result<(), Stuck> {
        let deadline = Instant::now() + self.patience;
        let mut silence = 0;
        let mut turns = 0;
        loop {
            if reached(self) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // A simulated world in which nothing is under way will stay so.
            silence = if self.turn(patience.min(left)) { 0 } else { silence + 1 };
            turns += 1;
            let over = Instant::now() >= deadline || turns >= self.most_turns;
            if over || silence > QUIET || !self.broken.is_empty() {
                return Err(Stuck);
            }
        }
    }

    // ---- steps ----

    fn amount(&mut self, actor: Actor, event: &str) -> usize {
        let lane = self.scenario.lane_of(actor);
        self.stage().record.amount(&lane, event)
    }

    fn step(&mut self, command: &Command) -> Result<(), Stuck> {
        match (command.actor, &command.act) {
            (_, Act::Settle) => self.settle(),
            (actor, Act::Wait { event, amount }) => {
                return self.until(self.patience, |play| play.amount(actor, event) >= *amount);
            }
            (Actor::App(index), Act::Open) => return self.connect(index),
            (Actor::App(index), Act::Fill(size)) => return self.fill(index, *size),
            (Actor::App(index), Act::Probe(what)) if what == "nodelay" => self.nodelay(index),
            (Actor::App(index), Act::Probe(what)) if what == "pipe" => self.pipe(index),
            (actor, Act::Turn(commands)) => {
                let (hub, stage) = self.host.hub();
                for command in commands {
                    perform(hub, stage, command);
                }
                self.turn(Duration::ZERO);
                let opens = commands.iter().any(|command| matches!(command.act, Act::Open));
                let opens = opens
                    && !self.scenario.link.race.is_run()
                    && !self.scenario.link.is_process()
                    && !self.scenario.link.kind.is_datagram();
                if let (Actor::App(index), true, There::Peer) = (actor, opens, self.scenario.link.there) {
                    return self.meets(index);
                }
            }
            (Actor::Peer(_), Act::Go) => self.host.go(),
            (Actor::Peer(index), act) if self.scenario.link.kind.is_datagram() => return self.mailbox(index, act),
            // Of several addresses the peer's may be the last to be tried: it is looked for when it is needed.
            (Actor::Peer(index), act) if self.scenario.link.race.is_run() && self.peers[index].is_none() => {
                self.meets(index)?;
                return self.peer(index, act);
            }
            (Actor::Peer(index), act) => return self.peer(index, act),
            (Actor::Loop, Act::Threadsafe(jobs)) => {
                self.spawn(jobs.clone(), Duration::ZERO);
                let answer = if self.join() { "Done" } else { "LoopClosed" };
                if command.answers.as_deref().unwrap_or("Done") != answer {
                    self.stage().record.push("loop", Event::new("answered").word("threadsafe").word(answer));
                }
            }
            (Actor::Loop, Act::Wake(jobs)) => {
                self.spawn(jobs.clone(), WHILE);
                self.join_if_simulated();
            }
            (Actor::Loop, Act::Flood(n, job)) => {
                for _ in 0..FLOODERS {
                    self.spawn(vec![job.clone(); *n], Duration::ZERO);
                }
                self.join_if_simulated();
            }
            (Actor::Server, Act::Listen) => return self.listen().map_err(|_| Stuck),
            (Actor::Host, Act::Fault(call, nth, failure)) => self.host.fault(*call, *nth, *failure),
            (Actor::Server, Act::Probe(what)) if what == "file" => {
                let found = self.address.clone().map_or("none", |at| self.host.lies(&at));
                self.stage().record.push("server", Event::new("probe").word("file").word(found));
            }
            (Actor::Host, Act::Replace) => {
                let at = self.address.clone().ok_or(Stuck)?;
                return self.host.put(&at, Lies::File).map_err(|_| Stuck);
            }
            (Actor::Host, Act::LimitFds(limit)) => return self.host.limit_descriptors(*limit).map_err(|_| Stuck),
            (Actor::Clock, Act::Advance(milliseconds)) => self.host.advance(Duration::from_millis(*milliseconds)),
            (Actor::Loop, Act::Close) => {
                self.host.close();
                self.closed = true;
                self.note_reports();
            }
            _ => {
                let (hub, stage) = self.host.hub();
                perform(hub, stage, command);
                self.turn(Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Another thread, that schedules these jobs after a while.
    fn spawn(&mut self, jobs: Vec<String>, after: Duration) {
        let remote = self.host.remote();
        self.threads.push(thread::spawn(move || {
            thread::sleep(after);
            let mut open = true;
            for name in jobs {
                open &= remote.call_soon(move |hub: &mut Hub<Stage>, stage: &mut Stage| job(hub, stage, "soon", &name)).is_ok();
            }
            open
        }));
    }

    /// Whether every thread found the loop open.
    fn join(&mut self) -> bool {
        self.threads.drain(..).fold(true, |open, thread| open & thread.join().unwrap_or(false))
    }

    /// A thread has no place in simulated time: what it does comes at once.
    fn join_if_simulated(&mut self) {
        if self.simulated {
            self.join();
        }
    }

    fn nodelay(&mut self, index: usize) {
        let Some(id) = self.stage().connections[index].id.and_then(EndpointId::stream) else { return };
        let event = Event::new("probe").word("nodelay");
        let event = match self.host.nodelay(id) {
            Some(on) => event.with(Arg::Bool(on)),
            None => event.word("none"),
        };
        self.stage().note(index, event);
    }

    fn pipe(&mut self, index: usize) {
        let Some(id) = self.stage().connections[index].id.and_then(EndpointId::stream) else { return };
        let kind = self.host.pipe(id).unwrap_or("none");
        self.stage().note(index, Event::new("probe").word("pipe").word(kind));
    }

    /// Writes until the transport itself holds so much although the kernel has taken what it can.
    fn fill(&mut self, index: usize, size: usize) -> Result<(), Stuck> {
        for _ in 0..1000 {
            let (hub, stage) = self.host.hub();
            let Some(id) = stage.connections[index].id else { return Err(Stuck) };
            let held = hub.write_buffer_size(id);
            if held >= size || hub.is_closing(id) {
                return Ok(());
            }
            let from = stage.connections[index].filled;
            let Some(id) = id.stream() else {
                self.fill_datagrams(index, size - held);
                continue;
            };
            let bytes = pattern(from, size - held);
            stage.connections[index].filled += bytes.len();
            hub.write(id, &bytes);
            let name = stage.scenario.connections[index].name.clone();
            stage.record.streams(&name).written.extend_from_slice(&bytes);
            self.settle();
        }
        Err(Stuck)
    }

    // ---- silence ----

    /// Turns until nothing happens any more. What it can miss is a failure that it does not see; nothing that passes hangs on it.
    fn settle(&mut self) {
        if self.host.settle() {
            while self.pump() {
                self.host.settle();
            }
            self.turn(Duration::ZERO);
            return;
        }
        let mut quiet = 0;
        let mut before = self.volume();
        // Of what is over nothing can come from outside any more: whatever the loop still has to say it says without waiting.
        let over = self.is_over();
        for n in 0..1000 {
            self.turn(if quiet < 2 || over { Duration::ZERO } else { GLANCE });
            let now = self.volume();
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
            // Bytes that are on their way get more time, but may also be stuck before a full buffer.
            if quiet >= QUIET && (n >= 25 || !self.is_under_way()) {
                return;
            }
        }
    }

    /// Whether every connection is lost, and nobody serves or waits.
    fn is_over(&mut self) -> bool {
        let stage = self.stage();
        let lost = stage.connections.iter().all(|connection| connection.lost);
        lost && stage.timers.is_empty() && stage.scenario.link.way != Way::Server && self.threads.is_empty()
    }

    fn volume(&mut self) -> (usize, Vec<(usize, Option<usize>)>) {
        let unread: Vec<Option<usize>> = self.peers.iter().map(|peer| peer.as_ref().and_then(|peer| peer.unread())).collect();
        let sizes = unread.into_iter().enumerate().map(|(index, unread)| (self.held(index), unread)).collect();
        (self.stage().record.volume(), sizes)
    }

    /// Whether bytes that a peer sent have not been received by an application that reads: they may be on their way, or kept back.
    fn is_under_way(&mut self) -> bool {
        let scenario = self.scenario.clone();
        let (hub, stage) = self.host.hub();
        // Who does not read is told of nothing that comes.
        let reads: Vec<bool> = stage.connections.iter().map(|of| of.id.is_some_and(|id| hub.is_reading(id))).collect();
        let record = &self.stage().record;
        scenario.connections.iter().enumerate().any(|(index, connection)| {
            let lane = record.lane(&scenario.lane_of(Actor::App(index)));
            let received: usize = lane.iter().filter_map(Event::bytes).map(<[u8]>::len).sum();
            reads[index] && record.streams.get(&connection.name).is_some_and(|streams| received < streams.sent.len())
        })
    }
}

fn class_of(report: &Report) -> &'static str {
    match report {
        Report::CallbackFailed { .. } | Report::Panicked { .. } => "failed",
        Report::Application(_) => "application",
        Report::WriteDiscarded { .. } => "discarded",
        Report::ConnectionDropped { .. } => "dropped",
        Report::AcceptFailed { .. } => "accept",
        Report::AddressSkipped { .. } => "skipped",
        Report::OptionFailed { .. } => "option",
        Report::HandshakeFailed { .. } => "handshake",
        Report::NoHalfClose { .. } => "half-close",
        _ => "other",
    }
}

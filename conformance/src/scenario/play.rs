//! Plays a scenario on a host, with both ends in one thread.

use super::host::{Host, PeerEnd, Seen, make};
use super::lane::{Arg, Event, Record, pattern};
use super::model::{Act, Actor, At, Command, Link, Scenario, There, Way};
use super::perform::{job, perform};
use super::stage::{Stage, caught, class};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use plimsoll_core::{Addr, Connect, Context, Data, Hub, Listen, ListenError, Protocol, Report, ServerId, SocketOption};
use std::env;
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Passing scenarios never wait for this; `PLIMSOLL_TIME_SCALE` multiplies it.
const DEADLINE: Duration = Duration::from_secs(30);

/// So many iterations in a row in which nothing happens are silence.
const QUIET: u32 = 5;

/// How long a peer that waits for bytes leaves the loop alone.
const GLANCE: Duration = Duration::from_millis(1);

/// How long the loop sleeps before another thread wakes it.
const WHILE: Duration = Duration::from_millis(20);

/// How many threads a flood has.
const FLOODERS: usize = 4;

/// Where a newcomer is served when all is over.
const FRESH: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6999);

/// The most that a peer reads in one go.
const GULP: usize = 16 * 1024;

/// How long a step may take before it counts as stuck.
#[must_use]
pub fn deadline() -> Duration {
    let scale = env::var("PLIMSOLL_TIME_SCALE").ok().and_then(|text| text.parse().ok()).filter(|scale| *scale > 0.0);
    DEADLINE.mul_f64(scale.unwrap_or(1.0))
}

/// Plays a scenario; what happened.
///
/// # Errors
/// What is wrong beside the lanes: the grammar was broken, a descriptor is left, or the host failed.
pub fn run(host: &str, scenario: &Rc<Scenario>, seed: u64) -> Result<Record, String> {
    let before = super::host_real::open_descriptors();
    let simulated = super::host::is_simulated(host);
    let host = make(host, scenario, seed).map_err(|error| error.to_string())?;
    let (record, left) = caught(move || {
        let mut play = Play::new(host, scenario.clone(), simulated);
        let result = play.all();
        let left = play.end();
        Ok::<_, String>((result?, left?))
    })??;
    let left = if simulated { left } else { super::host_real::open_descriptors().saturating_sub(before) };
    if left > 0 { Err(format!("{left} descriptors are left open")) } else { Ok(record) }
}

/// A step that cannot be finished.
struct Stuck;

pub(super) struct Play {
    host: Box<dyn Host>,
    simulated: bool,
    scenario: Rc<Scenario>,
    peers: Vec<Option<Box<dyn PeerEnd>>>,
    /// Where the application listens.
    address: Option<Addr>,
    threads: Vec<JoinHandle<bool>>,
    broken: Vec<String>,
    closed: bool,
    most_turns: u32,
}

impl Play {
    pub(super) fn new(host: Box<dyn Host>, scenario: Rc<Scenario>, simulated: bool) -> Self {
        let peers = scenario.connections.iter().map(|_| None).collect();
        let (threads, broken) = (Vec::new(), Vec::new());
        Self { host, simulated, scenario, peers, address: None, threads, broken, closed: false, most_turns: u32::MAX }
    }

    /// A step may take so many iterations at most: for those who expect that it gets stuck while the loop stays busy.
    pub(super) fn with_most_turns(self, most_turns: u32) -> Self {
        Self { most_turns, ..self }
    }

    fn stage(&mut self) -> &mut Stage {
        self.host.hub().1
    }

    /// The opening, the steps, and what still happens by itself.
    pub(super) fn all(&mut self) -> Result<Record, String> {
        self.open().map_err(|error| format!("the link could not be opened: {error}"))?;
        let scenario = self.scenario.clone();
        let mut stuck = None;
        for command in &scenario.steps {
            self.stage().record.timeline.step(&scenario.lane_of(command.actor), command.line, &command.text);
            if self.step(command).is_err() {
                stuck = Some(command.line);
                break;
            }
        }
        match stuck {
            Some(line) => self.stage().record.push("host", Event::new("stuck").word("line").with(Arg::Int(line as i64))),
            None => self.settle(),
        }
        let mut record = self.stage().record.clone();
        // What is done to end it is no part of it.
        record.timeline = record.timeline.so_far();
        if self.broken.is_empty() { Ok(record) } else { Err(self.broken.join("\n")) }
    }

    /// Ends whatever is left; how many descriptors the host says there are then.
    pub(super) fn end(mut self) -> Result<u64, String> {
        self.peers.clear();
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
        let more = self.host.turn(patience);
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
        let deadline = Instant::now() + deadline();
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

    // ---- opening ----

    fn open(&mut self) -> Result<(), String> {
        let link = self.scenario.link.clone();
        match link.way {
            Way::Connect => {
                let at = match link.there {
                    There::Peer => self.host.listen_peer(&link),
                    There::Nobody => self.host.nobody(),
                    There::Silent => self.host.silent(),
                };
                self.stage().target = Some(connect_to(at.map_err(|error| error.to_string())?, &link));
            }
            Way::Accept => self.listen()?,
            Way::Server if link.opens => self.listen()?,
            Way::Server | Way::Adopt => {}
        }
        if !link.opens || link.way == Way::Server {
            return Ok(());
        }
        for index in 0..self.peers.len() {
            let opened = match link.way {
                Way::Connect | Way::Adopt => self.connect(index),
                Way::Accept | Way::Server => self.accept(index),
            };
            opened.map_err(|Stuck| "it never came about".to_owned())?;
        }
        if link.way == Way::Accept {
            let (hub, stage) = self.host.hub();
            if let Some(server) = stage.server {
                hub.server_close(server);
            }
            self.turn(Duration::ZERO);
        }
        Ok(())
    }

    /// Listens, where it did before if it did. What comes of it is an event only if a step does this.
    fn listen(&mut self) -> Result<(), String> {
        let link = self.scenario.link.clone();
        let told = !link.opens || self.address.is_some();
        let make = |stage: &mut Stage, _| -> Option<Box<dyn Protocol<Stage>>> { stage.accept() };
        let done = move |_: &mut Hub<Stage>, stage: &mut Stage, result: Result<ServerId, ListenError>| {
            if told {
                let class = result.map_or_else(|error| class(Some(error.error().kind())), |_| "ok");
                stage.record.push("server", Event::new("listening").word(class));
            }
        };
        let server = if link.is_sized() {
            let (socket, at) = self.host.listener(&link).map_err(|error| error.to_string())?;
            self.address = Some(at);
            self.host.hub().0.listen_on(socket, make, done)
        } else {
            let listen = self.listen_at(&link)?;
            self.host.hub().0.listen_with(listen, make, done)
        };
        self.stage().server = Some(server);
        for _ in 0..2 * QUIET {
            self.turn(Duration::ZERO);
        }
        let found = self.host.hub().0.sockets(server).first().cloned();
        let listens = found.is_some();
        self.address = self.address.take().or(found);
        if told || listens { Ok(()) } else { Err("the server does not listen".into()) }
    }

    fn listen_at(&mut self, link: &Link) -> Result<Listen, String> {
        let mut addrs = Vec::new();
        for at in &link.on {
            addrs.push(match at {
                At::Ip(ip) => Addr::from(SocketAddr::new(*ip, 0)),
                At::Taken => self.host.taken().map_err(|error| error.to_string())?,
            });
        }
        let first = self.address.clone().unwrap_or_else(|| self.host.place());
        let mut listen = match addrs.split_first() {
            Some((first, rest)) if self.address.is_none() => {
                rest.iter().fold(Listen::on(first.clone()), |listen, at| listen.and(at.clone()))
            }
            _ => Listen::on(first),
        };
        if !link.start {
            listen = listen.paused();
        }
        if let Some(backlog) = link.backlog {
            listen = listen.backlog(backlog);
        }
        Ok(listen.reuse_port(link.reuse_port))
    }

    fn accept(&mut self, index: usize) -> Result<(), Stuck> {
        self.connect_peer(index)?;
        self.until(Duration::from_secs(1), |play| play.stage().connections[index].id.is_some())
    }

    fn connect_peer(&mut self, index: usize) -> Result<(), Stuck> {
        let link = self.scenario.link.clone();
        let Some(to) = self.address.clone() else { return Err(Stuck) };
        match self.host.connect_peer(&to, &link) {
            Some(mut peer) => {
                let mut refused = false;
                self.until(GLANCE, |_| {
                    refused = !peer.is_connected() && matches!(peer.read(0), Seen::Reset);
                    refused || peer.is_connected()
                })?;
                if refused {
                    self.note_peer(index, Event::new("refused"));
                    return Ok(());
                }
                self.has_peer(index, peer);
            }
            None => self.note_peer(index, Event::new("refused")),
        }
        Ok(())
    }

    fn has_peer(&mut self, index: usize, peer: Box<dyn PeerEnd>) {
        self.stage().connections[index].ends = peer.ends().map(|(own, other)| (other, own));
        self.peers[index] = Some(peer);
    }

    /// Has the application connect, or gives it a socket.
    fn connect(&mut self, index: usize) -> Result<(), Stuck> {
        let link = self.scenario.link.clone();
        if link.way == Way::Adopt {
            let Ok((socket, peer)) = self.host.given(link.given, &link) else { return Err(Stuck) };
            if let Some(peer) = peer {
                self.has_peer(index, peer);
            }
            let (hub, stage) = self.host.hub();
            stage.adopt(hub, index, socket);
            self.turn(Duration::ZERO);
        } else {
            let (hub, stage) = self.host.hub();
            stage.connect(hub, index);
            self.turn(Duration::ZERO);
            if link.there != There::Peer {
                return Ok(());
            }
            self.meets(index)?;
        }
        if link.opens { self.until(Duration::from_secs(1), |play| play.amount(Actor::App(index), "done") > 0) } else { Ok(()) }
    }

    /// Waits for the peer of a connection that is being opened, unless it was given up.
    fn meets(&mut self, index: usize) -> Result<(), Stuck> {
        self.until(GLANCE, |play| {
            let peer = play.host.accept_peer();
            let found = peer.is_some();
            if let Some(peer) = peer {
                play.has_peer(index, peer);
            }
            let made = play.amount(Actor::App(index), "cm") > 0;
            let (hub, stage) = play.host.hub();
            let live = &stage.connections[index];
            let over = live.lost || live.id.is_some_and(|id| hub.is_closing(id));
            found || over && !made
        })
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
                return self.until(deadline(), |play| play.amount(actor, event) >= *amount);
            }
            (Actor::App(index), Act::Open) => return self.connect(index),
            (Actor::App(index), Act::Fill(size)) => return self.fill(index, *size),
            (Actor::App(index), Act::Probe(what)) if what == "nodelay" => self.nodelay(index),
            (actor, Act::Turn(commands)) => {
                let (hub, stage) = self.host.hub();
                for command in commands {
                    perform(hub, stage, command);
                }
                self.turn(Duration::ZERO);
                let opens = commands.iter().any(|command| matches!(command.act, Act::Open));
                if let (Actor::App(index), true, There::Peer) = (actor, opens, self.scenario.link.there) {
                    return self.meets(index);
                }
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
        let Some(id) = self.stage().connections[index].id else { return };
        let event = Event::new("probe").word("nodelay");
        let event = match self.host.nodelay(id) {
            Some(on) => event.with(Arg::Bool(on)),
            None => event.word("none"),
        };
        self.stage().note(index, event);
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
            let bytes = pattern(from, size - held);
            stage.connections[index].filled += bytes.len();
            hub.write(id, &bytes);
            let name = stage.scenario.connections[index].name.clone();
            stage.record.streams(&name).written.extend_from_slice(&bytes);
            self.settle();
        }
        Err(Stuck)
    }

    // ---- the peer ----

    fn note_peer(&mut self, index: usize, event: Event) {
        let lane = self.scenario.lane_of(Actor::Peer(index));
        self.stage().record.push(&lane, event);
    }

    fn peer(&mut self, index: usize, act: &Act) -> Result<(), Stuck> {
        match act {
            Act::Connect => self.connect_peer(index)?,
            Act::Send(payload) => {
                let bytes = payload.bytes();
                let name = self.scenario.connections[index].name.clone();
                self.stage().record.streams(&name).sent.extend_from_slice(&bytes);
                let mut sent = 0;
                self.until(GLANCE, |play| {
                    sent += play.peers[index].as_mut().map_or(0, |peer| peer.send(&bytes[sent..]));
                    sent == bytes.len()
                })?;
            }
            Act::Recv(n) => {
                let mut left = *n;
                self.until(GLANCE, |play| {
                    left -= play.read(index, left).unwrap_or(left);
                    left == 0
                })?;
            }
            Act::RecvEof => self.until(GLANCE, |play| {
                while let Some(n) = play.read(index, GULP) {
                    if n == 0 {
                        return false;
                    }
                }
                true
            })?,
            Act::DrainUntil(size) => self.until(GLANCE, |play| {
                let held = play.held(index);
                held <= *size || play.read(index, GULP).is_none()
            })?,
            Act::Eof => {
                if let Some(peer) = &mut self.peers[index] {
                    peer.eof();
                }
            }
            Act::Close => self.peers[index] = None,
            Act::Reset => {
                if let Some(peer) = self.peers[index].take() {
                    peer.reset();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn held(&mut self, index: usize) -> usize {
        let (hub, stage) = self.host.hub();
        stage.connections[index].id.map_or(0, |id| hub.write_buffer_size(id))
    }

    /// Reads once, and notes what it saw: how many bytes, or `None` at the end.
    fn read(&mut self, index: usize, most: usize) -> Option<usize> {
        let seen = self.peers[index].as_mut()?.read(most);
        match seen {
            Seen::Nothing => Some(0),
            Seen::Bytes(bytes) => {
                let n = bytes.len();
                self.note_peer(index, Event::new("data").with(Arg::Bytes(bytes)));
                Some(n)
            }
            Seen::Eof => {
                self.note_peer(index, Event::new("eof"));
                None
            }
            Seen::Reset => {
                self.note_peer(index, Event::new("reset"));
                None
            }
        }
    }

    // ---- afterwards ----

    /// What happened so far.
    pub(super) fn record(&mut self) -> &Record {
        &self.stage().record
    }

    /// What broke the grammar so far.
    pub(super) fn broken(&self) -> &[String] {
        &self.broken
    }

    /// Whether the loop still serves somebody who comes now; one that the scenario closed need not.
    pub(super) fn serves(&mut self) -> bool {
        if self.closed {
            return true;
        }
        self.peers.clear();
        // It was possible before.
        let _ = self.host.limit_descriptors(false);
        let link = self.scenario.link.clone();
        let make = |_: &mut Stage, _| -> Option<Box<dyn Protocol<Stage>>> { Some(Box::new(Echo)) };
        let server = self.host.hub().0.listen_with(Listen::on(FRESH), make, |_, _, _| {});
        for _ in 0..QUIET {
            self.turn(Duration::ZERO);
        }
        let Some(mut peer) = self.host.connect_peer(&FRESH.into(), &link) else { return false };
        peer.send(b"alive?");
        let mut heard = Vec::new();
        let served = self.until(GLANCE, |_| {
            if let Seen::Bytes(bytes) = peer.read(GULP) {
                heard.extend(bytes);
            }
            heard == b"alive?"
        });
        drop(peer);
        self.host.hub().0.server_close(server);
        self.settle();
        served.is_ok()
    }

    // ---- silence ----

    /// Turns until nothing happens any more. What it can miss is a failure that it does not see; nothing that passes hangs on it.
    fn settle(&mut self) {
        if self.host.settle() {
            self.turn(Duration::ZERO);
            return;
        }
        let mut quiet = 0;
        let mut before = self.volume();
        for n in 0..1000 {
            self.turn(if quiet < 2 { Duration::ZERO } else { GLANCE });
            let now = self.volume();
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
            // Bytes that are on their way get more time, but may also be stuck before a full buffer.
            if quiet >= QUIET && (n >= 25 || !self.is_under_way()) {
                return;
            }
        }
    }

    fn volume(&mut self) -> (usize, Vec<(usize, Option<usize>)>) {
        let unread: Vec<Option<usize>> = self.peers.iter().map(|peer| peer.as_ref().and_then(|peer| peer.unread())).collect();
        let sizes = unread.into_iter().enumerate().map(|(index, unread)| (self.held(index), unread)).collect();
        (self.stage().record.volume(), sizes)
    }

    /// Whether bytes that a peer sent have not been received: they may be on their way, or kept back.
    fn is_under_way(&mut self) -> bool {
        let scenario = self.scenario.clone();
        let record = &self.stage().record;
        scenario.connections.iter().enumerate().any(|(index, connection)| {
            let lane = record.lane(&scenario.lane_of(Actor::App(index)));
            let received: usize = lane.iter().filter_map(Event::bytes).map(<[u8]>::len).sum();
            record.streams.get(&connection.name).is_some_and(|streams| received < streams.sent.len())
        })
    }
}

/// Says what it hears.
struct Echo;

impl Protocol<Stage> for Echo {
    fn data_received(&mut self, cx: &mut Context<'_, Stage>, data: Data<'_>) {
        cx.write(data);
    }
}

fn connect_to(at: Addr, link: &Link) -> Connect {
    let mut connect = Connect::to(at);
    if let Some(ip) = link.local {
        connect = connect.local_addr(SocketAddr::new(ip, 0));
    }
    let buffers = [link.sndbuf.map(SocketOption::SendBuffer), link.rcvbuf.map(SocketOption::ReceiveBuffer)];
    buffers.into_iter().flatten().fold(connect, Connect::option)
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
        _ => "other",
    }
}

//! Random runs of whole loops: servers, connections and protocols that do anything, on a network that does anything.
//!
//! Each seed is a world of its own. It draws which faults there are and how likely, which actions protocols take, how many connections. Then faults
//! and actions end, everything is closed, and within a counted number of iterations everything must be over. What is checked:
//!
//! - every byte, by its position in its stream; where the end of a stream came out, everything before it did;
//! - every callback, by the [`TraceChecker`](plimsoll_core::testing::TraceChecker) that every [`SimLoop`] carries;
//! - descriptors opened and closed, operations begun and ended;
//! - that the loop never spins, and that the same seed does the same again.
//!
//! ```
//! use plimsoll_conformance::sim::Host;
//! use plimsoll_conformance::simulate;
//!
//! let figures = simulate::seeds(0..20, &Host::ALL)?;
//! assert_eq!(figures.runs, 60);
//! # Ok::<(), simulate::Failure>(())
//! ```

mod actor;
pub mod cli;
mod feeds;
mod ledger;
mod many;
mod others;
mod outside;
mod shrink;

pub use many::{Many, many};
pub use shrink::{Limits, shrunk};

use crate::sim::{Faults, Host, Planted, Sim, SimLoop};
use actor::{Accepted, Actor, Echo, Half, Role, World, open};
use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{Ipv4Addr, SocketAddr};
use core::ops::Range;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use fastrand::Rng;
use feeds::Lines;
use ledger::Direction;
use outside::Outside;
use plimsoll_core::{Addr, EndpointId, Event, Listen, Observer, Protocol, Report, ServerId};
use std::hash::DefaultHasher;
use std::panic;
use std::time::Instant;

/// How many iterations a world may take to end after everything was closed, and after what is left was aborted.
const ENDING: u32 = 20_000;
const ABORTING: u32 = 200;

/// What the runs came to.
#[derive(Clone, Copy, Default, Debug)]
#[non_exhaustive]
pub struct Figures {
    /// Worlds.
    pub runs: u64,
    /// Connections that were made and lost.
    pub lifetimes: u64,
    /// Connections that did not come about.
    pub failed: u64,
    /// Iterations of the loops.
    pub iterations: u64,
    /// Bytes that came out.
    pub bytes: u64,
    /// How long it took.
    pub time: Duration,
}

impl Figures {
    fn add(&mut self, more: &Self) {
        self.runs += more.runs;
        self.lifetimes += more.lifetimes;
        self.failed += more.failed;
        self.iterations += more.iterations;
        self.bytes += more.bytes;
        self.time += more.time;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = self.lifetimes as f64 / self.time.as_secs_f64().max(1e-9);
        let Self { runs, lifetimes, failed, iterations, bytes, .. } = self;
        write!(f, "{runs} worlds, {lifetimes} lifetimes ({per_second:.0}/s), {failed} failed openings, ")?;
        write!(f, "{iterations} iterations, {bytes} bytes, {:.1} s", self.time.as_secs_f64())
    }
}

/// A run that broke the contract. `Debug` prints the same as `Display`, so a test may return it.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    seed: u64,
    host: Host,
    limits: Limits,
    what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = name_of(self.host);
        writeln!(f, "seed {} on {host}: {}", self.seed, self.what)?;
        write!(f, "replay: {} simulate --seeds 1 --seed {} --host {host}", crate::scenario::again::command(), self.seed)?;
        if self.limits != Limits::default() {
            write!(f, " --limits {} --trace yes", self.limits)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Failure {}

/// What a host is called on the command line.
#[must_use]
pub const fn name_of(host: Host) -> &'static str {
    match host {
        Host::Edge => "sim",
        Host::Level => "level",
        Host::Completion => "completion",
    }
}

/// One run with something left out of it; everything that happens is printed if it is `traced`.
///
/// # Errors
/// What breaks the contract.
pub fn trace(seed: u64, host: Host, limits: Limits, traced: bool) -> Result<(), Failure> {
    let mut play = Play::new(seed, host, limits);
    if traced {
        play.sim.set_observer(Printer);
    }
    caught(|| play.play(&mut Figures::default())).map(drop).map_err(|what| Failure { seed, host, limits, what })
}

struct Printer;

impl Observer for Printer {
    fn round(&mut self, now: plimsoll_core::Instant) {
        println!("{now:?}");
    }

    fn event(&mut self, now: plimsoll_core::Instant, id: EndpointId, event: &Event<'_>) {
        match event {
            Event::Data(bytes) => println!("{now:?} {id:?} Data({})", bytes.len()),
            Event::BufferUpdated(bytes) => println!("{now:?} {id:?} BufferUpdated({})", bytes.len()),
            _ => println!("{now:?} {id:?} {event:?}"),
        }
    }
}

/// Runs each seed on each host. One seed in fifty runs twice and must do the same again.
///
/// # Errors
/// The first run that breaks the contract.
pub fn seeds(seeds: Range<u64>, hosts: &[Host]) -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    let started = Instant::now();
    for seed in seeds {
        for &host in hosts {
            let fail = |what| Failure { seed, host, limits: Limits::default(), what };
            let digest = run(seed, host, &mut figures).map_err(fail)?;
            if seed % 50 == 0 && run(seed, host, &mut Figures::default()).map_err(fail)? != digest {
                return Err(fail(String::from("the same seed does something else the second time")));
            }
        }
    }
    figures.time = started.elapsed();
    Ok(figures)
}

/// One world, from its beginning to its end; the digest of all that happened.
fn run(seed: u64, host: Host, figures: &mut Figures) -> Result<u64, String> {
    caught(|| Play::new(seed, host, Limits::default()).play(figures))
}

fn caught(run: impl FnOnce() -> Result<u64, String>) -> Result<u64, String> {
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| String::from(*text));
        Err(text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default())
    })
}

struct Play {
    rng: Rng,
    sim: SimLoop<World>,
    outside: Outside,
    /// Half of the worlds have streams of all other kinds.
    lines: Option<Lines>,
    servers: Vec<ServerId>,
    steps: u32,
}

impl Play {
    fn new(seed: u64, host: Host, limits: Limits) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut faults = Faults::swarm(&mut rng);
        limits.apply(&mut faults);
        let size = [3, 10, 60][rng.usize(..3)];
        let block = [1, 7, 256, 4096, 65_536][rng.usize(..5)];
        // Where little moves at a time, little is to be moved: every world takes about as long.
        let narrowest = faults.narrowest().min(block);
        let net = Sim::new(rng.u64(..), faults);
        let mut world = World::new(Rng::with_seed(rng.u64(..)), size, (300 * narrowest).min(100_000));
        (world.opens, world.actions) = (world.opens.min(limits.opens), world.actions.min(limits.actions));
        world.ledger.sends_overtake = host == Host::Completion;
        let sim = if rng.u32(..4) == 0 {
            SimLoop::unobserved(&net, host, world, block)
        } else {
            SimLoop::with_block_size(&net, host, world, block)
        };
        let outside = Outside::new(&net, Rng::with_seed(rng.u64(..)));
        let lines = None;
        Self { rng, sim, outside, lines, servers: Vec::new(), steps: (5 * size).min(limits.steps) }
    }

    fn play(mut self, figures: &mut Figures) -> Result<u64, String> {
        self.begin();
        for _ in 0..self.steps {
            self.step();
        }
        self.end()?;
        let world = self.sim.state();
        let (made, lost) = (world.opened, world.lost);
        if made != lost {
            return Err(format!("{made} connections were made, {lost} were lost"));
        }
        let untrue_ends = self.sim.sim().untrue_ends();
        self.sim.state().ledger.check(&untrue_ends)?;
        let fed = self.sim.state().feeds.check(!untrue_ends.is_empty())?;
        self.sim.checker().assert_over();
        let mut digest = DefaultHasher::new();
        (self.sim.digest(), self.sim.now(), self.sim.iterations()).hash(&mut digest);
        self.sim.state().ledger.digest().hash(&mut digest);
        self.sim.state().feeds.digest(&mut digest);
        figures.runs += 1;
        figures.lifetimes += lost;
        figures.failed += self.sim.state().failed;
        figures.iterations += self.sim.iterations();
        figures.bytes += self.sim.state().ledger.bytes + fed;
        self.sim.close();
        let left = self.sim.sim().descriptors();
        if left > 0 {
            return Err(format!("{left} descriptors are left: {}", self.sim.sim().sockets()));
        }
        Ok(digest.finish())
    }

    /// Servers of every role, ours and outside.
    fn begin(&mut self) {
        let far = self.outside.listen(SocketAddr::from((Ipv4Addr::new(10, 0, 0, 2), 80)));
        let mut targets = vec![(far, Role::Actor)];
        for port in 1..=1 + self.rng.u16(..4) {
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let role = match self.rng.u32(..4) {
                0 => Role::Echo,
                1 => Role::Proxy(targets[self.rng.usize(..targets.len())].0),
                _ => Role::Actor,
            };
            let refuses = self.rng.u32(..10);
            let listen = Listen::on(at).backlog(1 + self.rng.u32(..8));
            let server = self.sim.listen_with(listen, move |world, _: Addr| factory(world, role, refuses));
            // Without a descriptor there is no server.
            if let Ok(server) = server {
                self.servers.push(server);
                targets.push((at, role));
            }
        }
        others::programs(&self.sim);
        if self.rng.bool() {
            let (lines, servers) = Lines::new(&mut self.sim, Rng::with_seed(self.rng.u64(..)));
            self.lines = Some(lines);
            self.servers.extend(servers);
        }
        self.outside.targets.clone_from(&targets);
        self.sim.state().targets = targets;
    }

    fn step(&mut self) {
        match self.rng.u32(..7) {
            6 => {
                let (hub, world) = self.sim.engine().hub_and_state();
                others::open(hub, world);
            }
            0 | 1 => {
                let (hub, world) = self.sim.engine().hub_and_state();
                open(hub, world);
            }
            2 => self.outside.open(&mut self.sim),
            3 if self.rng.u32(..60) == 0 && !self.servers.is_empty() => {
                let server = self.servers.swap_remove(self.rng.usize(..self.servers.len()));
                self.close_server(server);
            }
            _ => self.outside.act(&mut self.sim),
        }
        if let Some(lines) = &mut self.lines {
            if self.rng.u32(..4) == 0 {
                lines.open(&mut self.sim);
            }
            lines.act(&mut self.sim);
        }
        let times = 1 + self.rng.u32(..4);
        for _ in 0..times {
            let limit = Duration::from_nanos(self.rng.u64(..1_000_000));
            self.sim.run_once(Some(limit));
        }
    }

    fn close_server(&mut self, server: ServerId) {
        self.sim.state().waits += 1;
        let hub = self.sim.hub();
        hub.wait_closed(server, |_, world| world.servers_closed += 1);
        match self.rng.u32(..4) {
            0 => hub.close_clients(server),
            1 => hub.abort_clients(server),
            _ => {}
        }
        hub.server_close(server);
    }

    /// Nothing goes wrong any more, and everything is closed.
    fn end(&mut self) -> Result<(), String> {
        self.sim.sim().set_faults(Faults::none());
        self.sim.state().calm = true;
        for server in core::mem::take(&mut self.servers) {
            self.close_server(server);
        }
        self.outside.end(&mut self.sim);
        if let Some(lines) = &mut self.lines {
            lines.end(&mut self.sim);
        }
        for id in self.sim.state().opening.clone() {
            self.sim.hub().close(id);
        }
        self.sim.state().opening.clear();
        let ids: Vec<_> = self.sim.state().ends.keys().copied().collect();
        for id in ids {
            if self.rng.bool() {
                self.sim.hub().close(id);
            } else {
                // It may end by itself, or not: it is aborted below.
                self.sim.hub().resume_reading(id);
            }
        }
        for id in self.sim.state().others.live.clone() {
            self.sim.hub().close(id);
        }
        let limit = Some(Duration::from_secs(1));
        for _ in 0..ENDING {
            if self.over() || !self.sim.run_once(limit) {
                break;
            }
        }
        self.outside.finish(&mut self.sim);
        if let Some(lines) = &mut self.lines {
            lines.finish(&mut self.sim);
        }
        let left: Vec<_> = self.sim.state().ends.keys().copied().collect();
        for id in left {
            self.sim.hub().abort(id);
        }
        for id in self.sim.state().others.live.clone() {
            self.sim.hub().abort(id);
        }
        for _ in 0..ABORTING {
            if self.over() {
                break;
            }
            self.sim.run_once(Some(Duration::ZERO));
        }
        let world = self.sim.state();
        if !world.ends.is_empty() {
            return Err(format!("connections are left: {:?}", world.ends));
        }
        if !world.others.live.is_empty() || world.others.opening > 0 {
            return Err(format!("endpoints are left: {:?}", world.others));
        }
        if world.waits != world.servers_closed {
            return Err(format!("{} servers were closed, {} said so", world.waits, world.servers_closed));
        }
        let dropped = |report: &Report| matches!(report, Report::ConnectionDropped { .. });
        if self.sim.take_reports().iter().any(dropped) {
            return Err(String::from("a connection was dropped with the loop"));
        }
        Ok(())
    }

    fn over(&mut self) -> bool {
        let world = self.sim.state();
        world.ends.is_empty() && world.others.live.is_empty() && world.others.opening == 0 && world.waits == world.servers_closed
    }
}

/// What a server makes: a protocol of its role; sometimes none, or a panic.
fn factory(world: &mut World, role: Role, refuses: u32) -> Option<Box<dyn Protocol<World>>> {
    if !world.calm && refuses < 2 && world.rng.u32(..10) == 0 {
        if refuses == 0 {
            return None;
        }
        Planted::panic("the factory panics");
    }
    Some(match role {
        Role::Actor => Box::new(Accepted(Actor)),
        Role::Echo => Box::new(Echo),
        Role::Proxy(up) => Box::new(Half::new(up)),
    })
}

// Named here so that both ends of a connection agree.
const fn flows(port: u16) -> (ledger::FlowKey, ledger::FlowKey) {
    ((port, Direction::Up), (port, Direction::Down))
}

//! An event loop on the simulated kernel: the production engine and the production drivers, with nothing of their own replaced.

use super::calls::{Backend, SimIo};
use super::fault::Syscall;
use super::net::error;
use super::peer::Sim;
use super::planted::Planted;
use super::watch::{Log, Watcher};
use core::cell::RefCell;
use core::fmt;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use plimsoll_core::driver::{CompletionDriver, ReadinessDriver, Ready};
use plimsoll_core::testing::TraceChecker;
use plimsoll_core::{
    Addr, BufPool, Call, EndpointId, Engine, Hub, Inbox, Instant, Listen, ListenError, LoopTag, Observer, Protocol, Remote,
    Report, ServerId, Wake,
};
use std::panic;
use std::rc::Rc;
use std::sync::Arc;

/// How often a loop may find nothing to do without sleeping: more often than that it spins.
const MOST_IDLE: u32 = 200;

/// What kind of kernel interface a loop runs on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "tests run on all of them")]
pub enum Host {
    /// A poller that tells once when something becomes possible.
    Edge,
    /// A poller that tells as long as something is possible and wanted.
    Level,
    /// Operations that are carried out for the loop.
    Completion,
}

impl Host {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Edge, Self::Level, Self::Completion];
}

/// What other threads ring: the present or next wait is over then.
struct Bell(Arc<AtomicBool>);

impl Wake for Bell {
    fn wake(&self) {
        self.0.store(true, Ordering::Release);
    }
}

enum Driver<S> {
    Readiness(ReadinessDriver<S, SimIo>),
    Completion(CompletionDriver<S, SimIo>),
}

/// An event loop in a simulated world, with the methods of the real one.
///
/// A [planted](Planted) panic in a callback is caught and reported, and the iteration goes on; every other one goes through. Every connection is held to the contract's grammar by a
/// [`TraceChecker`]: what breaks it panics at the end of the iteration. Dropping the loop closes it.
pub struct SimLoop<S> {
    sim: Sim,
    host: Host,
    driver: Driver<S>,
    poller: usize,
    backend: Backend,
    events: Vec<(usize, Ready)>,
    log: Rc<RefCell<Log>>,
    checker: TraceChecker,
    observer: Rc<RefCell<Option<Box<dyn Observer>>>>,
    reports: Vec<Report>,
    inbox: Inbox<S>,
    bell: Arc<AtomicBool>,
    idle: u32,
    iterations: u64,
    closed: bool,
}

impl<S> SimLoop<S> {
    /// A loop in a calm world of its own, with traces.
    #[must_use]
    pub fn new(host: Host, state: S) -> Self {
        let this = Self::within(&Sim::calm(), host, state);
        this.log.borrow_mut().traced = true;
        this
    }

    /// A loop in a world, without traces but with a digest of all that happens.
    #[must_use]
    pub fn within(sim: &Sim, host: Host, state: S) -> Self {
        Self::with_block_size(sim, host, state, BufPool::BLOCK)
    }

    /// The same; at most `block_size` bytes are read in one go.
    #[must_use]
    pub fn with_block_size(sim: &Sim, host: Host, state: S, block_size: usize) -> Self {
        Self::build(sim, host, state, block_size, true)
    }

    /// The same, and nobody watches: neither traces nor checks. An engine without an observer may take shorter ways.
    #[must_use]
    pub fn unobserved(sim: &Sim, host: Host, state: S, block_size: usize) -> Self {
        Self::build(sim, host, state, block_size, false)
    }

    fn build(sim: &Sim, host: Host, state: S, block_size: usize, observed: bool) -> Self {
        let number = {
            let net = sim.net();
            net.pollers.len() + net.rings.len()
        };
        let mut engine = Engine::with(state, LoopTag(number as u32), BufPool::with_block_size(block_size));
        let log = Rc::new(RefCell::new(Log::default()));
        let observer = Rc::new(RefCell::new(None));
        let checker = TraceChecker::new();
        if observed {
            engine.set_observer(Box::new(Watcher { log: log.clone(), checker: checker.observer(), next: observer.clone() }));
        }
        let backend = sim.net().new_backend(host);
        let io = SimIo { world: sim.world.clone(), backend };
        let (driver, poller) = match backend {
            Backend::Poller(poller) => (Driver::Readiness(ReadinessDriver::new(engine, io)), poller),
            Backend::Ring(ring) => (Driver::Completion(CompletionDriver::new(engine, io)), ring),
        };
        let bell = Arc::new(AtomicBool::new(false));
        Self {
            sim: sim.clone(),
            host,
            driver,
            poller,
            inbox: Inbox::new(Bell(bell.clone())),
            bell,
            backend,
            events: Vec::new(),
            log,
            checker,
            observer,
            reports: Vec::new(),
            idle: 0,
            iterations: 0,
            closed: false,
        }
    }

    /// Writes traces from now on.
    pub fn set_traced(&mut self, traced: bool) {
        self.log.borrow_mut().traced = traced;
    }

    /// The world.
    #[must_use]
    pub const fn sim(&self) -> &Sim {
        &self.sim
    }

    /// What kind of kernel interface it runs on.
    #[must_use]
    pub const fn host(&self) -> Host {
        self.host
    }

    /// The engine under it.
    pub fn engine(&mut self) -> &mut Engine<S> {
        match &mut self.driver {
            Driver::Readiness(driver) => driver.engine(),
            Driver::Completion(driver) => driver.engine(),
        }
    }

    /// The verbs.
    pub fn hub(&mut self) -> &mut Hub<S> {
        self.engine().hub()
    }

    /// The application's state.
    pub fn state(&mut self) -> &mut S {
        self.engine().state()
    }

    /// Reaches the loop from other threads. Their time is not that of the world: what they do comes between two iterations.
    #[must_use]
    pub fn remote(&self) -> Remote<S> {
        self.inbox.remote()
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.sim.now()
    }

    /// Shows everything to this observer too.
    pub fn set_observer(&mut self, observer: impl Observer + 'static) {
        *self.observer.borrow_mut() = Some(Box::new(observer));
    }

    /// Binds and listens at once.
    ///
    /// # Errors
    /// The address that cannot be bound, and why.
    pub fn listen<P: Protocol<S> + 'static>(
        &mut self,
        at: impl Into<Listen>,
        mut make: impl FnMut(&mut S, Addr) -> P + 'static,
    ) -> Result<ServerId, ListenError> {
        self.listen_with(at, move |state, peer| Some(Box::new(make(state, peer)) as Box<dyn Protocol<S>>))
    }

    /// The same, with a factory that may refuse.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub fn listen_with(
        &mut self,
        at: impl Into<Listen>,
        make: impl FnMut(&mut S, Addr) -> Option<Box<dyn Protocol<S>>> + 'static,
    ) -> Result<ServerId, ListenError> {
        match &mut self.driver {
            Driver::Readiness(driver) => driver.listen(&at.into(), make),
            Driver::Completion(driver) => driver.listen(&at.into(), make),
        }
    }

    /// One iteration: waits until something happens, for `limit` at most. `false`: it would have slept for ever.
    ///
    /// # Panics
    /// If the loop spins: it keeps on finding nothing to do without sleeping.
    pub fn run_once(&mut self, limit: Option<Duration>) -> bool {
        self.iterations += 1;
        let before = (self.log.borrow().events, self.now(), self.reports.len());
        let calls = self.sim.net().seam.deeds();
        self.run_caught(|driver, now| match driver {
            Driver::Readiness(driver) => driver.prepare(now),
            Driver::Completion(driver) => driver.prepare(now),
        });
        let deadline = self.timeout();
        let busy = deadline.is_some_and(|deadline| deadline <= self.now());
        let limit = limit.map(|limit| self.now().saturating_add(limit));
        let until = deadline.into_iter().chain(limit).min();
        let awake = self.wait(until);
        let happened = !self.events.is_empty() || awake == Awake::Events;
        for item in self.inbox.drain() {
            self.hub().call_boxed_soon(item);
        }
        self.run_caught(|driver, now| match driver {
            Driver::Readiness(driver) => driver.process(now),
            Driver::Completion(driver) => driver.process(now),
        });
        self.checker.assert_clean();
        let after = (self.log.borrow().events, self.now(), self.reports.len());
        if busy && !happened && before == after && calls == self.sim.net().seam.deeds() {
            self.idle += 1;
            assert!(self.idle < MOST_IDLE, "the loop spins");
        } else {
            self.idle = 0;
        }
        awake != Awake::Never
    }

    /// Lets time pass until something is to be told, or until then.
    fn wait(&mut self, until: Option<Instant>) -> Awake {
        self.events.clear();
        if self.sim.net().seam.call(Syscall::Wait).is_some() {
            return Awake::Time;
        }
        let rung = self.bell.swap(false, Ordering::Acquire);
        loop {
            let mut net = self.sim.net();
            net.run_due();
            let happened = match &mut self.driver {
                Driver::Readiness(_) => {
                    net.poll(self.poller, &mut self.events);
                    !self.events.is_empty()
                }
                Driver::Completion(_) => !net.rings[self.poller].done.is_empty(),
            };
            if happened || net.has_answer(self.backend) {
                drop(net);
                self.mark();
                return Awake::Events;
            }
            if rung {
                return Awake::Events;
            }
            let now = net.now();
            if until.is_some_and(|until| until <= now) {
                return Awake::Time;
            }
            match net.clock.next_at().into_iter().chain(until).min() {
                Some(next) => {
                    net.clock.set_now(next);
                    if net.clock.next_at().is_none_or(|at| at > next) {
                        let late = net.faults.oversleep.clone();
                        let late = net.after(late);
                        net.clock.set_now(late);
                    }
                }
                None => return Awake::Never,
            }
        }
    }

    fn mark(&mut self) {
        let now = self.now();
        let next = |this: &Self| this.sim.net().take_answer(this.backend);
        while let Some((query, found)) = next(self) {
            self.engine().set_now(now);
            self.engine().resolved(query, found.map_err(|kind| error(Call::Resolve, kind)));
        }
        match &mut self.driver {
            Driver::Readiness(driver) => {
                for &(index, ready) in &self.events {
                    driver.mark(index, ready);
                }
            }
            Driver::Completion(driver) => {
                while let Some((key, completion)) = driver.io().harvest() {
                    driver.complete(key, completion);
                }
            }
        }
    }

    /// Runs a half of the iteration; each callback that panics as it was told to is reported, and it goes on behind it.
    fn run_caught(&mut self, half: impl Fn(&mut Driver<S>, Instant)) {
        let now = self.sim.now();
        loop {
            let caught = panic::catch_unwind(AssertUnwindSafe(|| half(&mut self.driver, now)));
            let planted = caught.map_err(Planted::caught);
            if let Err(text) = planted {
                assert!(self.engine().set_panic_message(text.into()), "no callback is blamed for a panic");
            }
            while let Some(report) = self.engine().poll_report() {
                self.reports.push(report);
            }
            if planted.is_ok() {
                return;
            }
        }
    }

    /// Runs until the condition holds, at most so many iterations; whether it does.
    pub fn run_until(&mut self, budget: u32, mut condition: impl FnMut(&mut Self) -> bool) -> bool {
        for _ in 0..budget {
            if condition(self) {
                return true;
            }
            if !self.run_once(None) {
                break;
            }
        }
        condition(self)
    }

    /// Runs everything that is under way: until nothing is due within the next tenth of a second of the network, and nothing of the loop's now.
    ///
    /// # Panics
    /// If that takes more than 100 000 iterations.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.run_under_way() {
                return;
            }
        }
        panic!("it never settles");
    }

    /// One iteration that lets no more time pass than it takes until something arrives that is under way. `false`: there was nothing, and nothing of the loop's now.
    pub fn run_under_way(&mut self) -> bool {
        let now = self.now();
        let soon = now.saturating_add(Duration::from_millis(100));
        let network = self.sim.net().clock.next_at().filter(|at| *at <= soon);
        let events = self.log.borrow().events;
        let calls = self.sim.net().seam.deeds();
        let limit = network.map_or(Duration::ZERO, |at| at.saturating_since(now));
        self.run_once(Some(limit));
        let quiet = events == self.log.borrow().events && calls == self.sim.net().seam.deeds() && self.events.is_empty();
        let busy = self.timeout();
        !quiet || network.is_some() || busy.is_some_and(|at| at <= self.now())
    }

    /// Lets so much time pass, and everything happen that happens in it.
    pub fn advance(&mut self, time: Duration) {
        self.pass(time);
        self.settle();
    }

    /// Lets so much time pass to the nanosecond: nothing happens that is due a moment later.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now().saturating_add(time);
        loop {
            let next = self.sim.net().clock.next_at();
            if self.now() >= end && !next.into_iter().chain(self.timeout()).any(|at| at <= end) {
                return;
            }
            self.run_once(Some(end.saturating_since(self.now())));
        }
    }

    /// When the driver has to be run again, whatever the kernel says.
    fn timeout(&mut self) -> Option<Instant> {
        match &mut self.driver {
            Driver::Readiness(driver) => driver.timeout(),
            Driver::Completion(driver) => driver.timeout(),
        }
    }

    /// Takes the reports that have come since this was asked last.
    pub fn take_reports(&mut self) -> Vec<Report> {
        while let Some(report) = self.engine().poll_report() {
            self.reports.push(report);
        }
        core::mem::take(&mut self.reports)
    }

    /// The callbacks of a connection, `made data(5) eof lost`: bytes are counted, adjacent pieces added up, and an error is named in `lost`.
    #[must_use]
    pub fn trace(&self, id: impl Into<EndpointId>) -> String {
        self.log.borrow().trace(id.into())
    }

    /// All callbacks of all connections in order, without numbers.
    #[must_use]
    pub fn order(&self) -> Vec<(EndpointId, String)> {
        self.log.borrow().order().to_vec()
    }

    /// A digest of everything that happened.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.log.borrow().digest()
    }

    /// How many connections were made, and how many were lost.
    #[must_use]
    pub fn lifetimes(&self) -> (u64, u64) {
        let log = self.log.borrow();
        (log.made, log.lost)
    }

    /// How many iterations it has made.
    #[must_use]
    pub const fn iterations(&self) -> u64 {
        self.iterations
    }

    /// The checker that watches every connection of this loop.
    #[must_use]
    pub const fn checker(&self) -> &TraceChecker {
        &self.checker
    }

    /// Ends everything without a callback and closes every socket; what is in flight comes back first.
    ///
    /// # Panics
    /// If an operation never comes back.
    pub fn close(&mut self) {
        if core::mem::replace(&mut self.closed, true) {
            return;
        }
        self.inbox.close();
        match &mut self.driver {
            Driver::Readiness(driver) => driver.close(),
            Driver::Completion(driver) => {
                driver.close();
                while driver.io().in_flight() > 0 {
                    while driver.io().harvest().is_some() {}
                    let mut net = self.sim.net();
                    net.run_due();
                    if !net.rings[self.poller].done.is_empty() || net.rings[self.poller].in_flight == 0 {
                        continue;
                    }
                    let next = net.clock.next_at();
                    net.clock.set_now(next.expect("an operation never comes back"));
                }
            }
        }
        let mut net = self.sim.net();
        net.run_due();
        drop(net);
        while let Some(report) = self.engine().poll_report() {
            self.reports.push(report);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Awake {
    Events,
    Time,
    Never,
}

impl<S> Drop for SimLoop<S> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.close();
        }
    }
}

impl<S> fmt::Debug for SimLoop<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimLoop").field("now", &self.now()).field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

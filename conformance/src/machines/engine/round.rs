//! A loop's life: what stirs it, its iterations, and its end.

use super::acts::perform;
use super::driver::{Driver, Watch};
use super::io::{Io, SEND_ERROR};
use super::net::{Arrival, Role};
use super::protocol::act_all;
use super::ring::Kind;
use super::script::{Act, Plan, Script, Stir, Swarm};
use super::world::{Shared, World};
use super::{Mark, Step, marks};
use crate::harness::{Run, Violation, ensure};
use crate::machines::ops::{NOT_CONNECTED, RESET, SHUTDOWN};
use crate::model::Reported;
use crate::sim::Planted;
use core::panic::AssertUnwindSafe;
use plimsoll_core::driver::{CompletionDriver, ReadinessDriver, Ready};
use plimsoll_core::testing::TraceChecker;
use plimsoll_core::{BufPool, Engine, Instant, LoopTag, Origin, Report, Wants};
use std::panic::catch_unwind;
use std::rc::Rc;

/// In so many iterations everything must be over when nothing fails any more.
const LAST_ROUNDS: usize = 8;
/// Something that could go on and does not, for so many iterations, is stuck.
const STUCK: u8 = 3;

pub(super) struct Loop {
    world: Shared,
    driver: Driver,
    checker: TraceChecker,
    now: u64,
}

impl Loop {
    pub(super) fn new(swarm: Swarm, completions: bool) -> Self {
        let (block, level) = (swarm.block, swarm.level);
        let world = World::new(swarm, completions);
        let mut engine = Engine::with((), LoopTag::default(), BufPool::with_block_size(block));
        let checker = TraceChecker::new();
        engine.set_observer(Box::new(Watch { world: world.clone(), checker: checker.observer() }));
        let io = Io { world: world.clone(), level };
        let driver = if completions {
            Driver::Completion(Box::new(CompletionDriver::new(engine, io)))
        } else {
            Driver::Readiness(Box::new(ReadinessDriver::new(engine, io)))
        };
        Self { world, driver, checker, now: 0 }
    }

    /// From the first connect to the last loss.
    pub(super) fn live(
        mut self,
        run: &mut Run<'_>,
        lives: impl FnOnce(&mut Self, &mut Run<'_>) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let result = lives(&mut self, run);
        {
            let mut world = self.world.borrow_mut();
            for step in world.steps.drain(..) {
                run.step(step);
            }
            for bit in (0..u64::BITS).filter(|bit| world.marks & 1 << bit != 0) {
                run.mark(bit);
            }
        }
        let problems = self.checker.violations();
        core::mem::forget(self.checker);
        result?;
        ensure!(problems.is_empty(), "the checker: {}", problems.join("; "));
        drop(self.driver);
        self.world.borrow_mut().ring.clear();
        let world = self.world.borrow();
        ensure!(world.net.opened == world.net.closed, "I-FD: {} opened, {} closed", world.net.opened, world.net.closed);
        ensure!(Rc::strong_count(&self.world) == 1, "protocols are left: {}", Rc::strong_count(&self.world));
        Ok(())
    }

    /// A life as its swarm has it.
    pub(super) fn lives(&mut self, run: &mut Run<'_>) -> Result<(), Violation> {
        let (clients, server, buffered) = {
            let world = self.world.borrow();
            (world.swarm.clients, world.swarm.server, world.swarm.buffered > 1)
        };
        for _ in 0..clients {
            self.act(Act::Connect(Plan::Succeeds, buffered));
        }
        if server {
            self.act(Act::Listen(false, true));
        }
        let rounds = self.world.borrow().swarm.rounds;
        for _ in 0..rounds {
            if run.choices().is_exhausted() {
                break;
            }
            self.stir(run);
            let lag = self.world.borrow().swarm.lag;
            let lags = lag > 0 && run.choices().pick(lag) == 1;
            self.now += [0, 1, 5, 1000][run.choices().weighted(&[6, 2, 2, 1])] * 1_000_000;
            let first = run.choices().pick(4);
            self.iterate(!lags, first)?;
        }
        self.finish()
    }

    pub(super) fn act(&mut self, act: Act) {
        let world = self.world.clone();
        perform(&world, self.driver.engine().hub(), act);
    }

    /// What happens outside, and what callbacks will do.
    fn stir(&mut self, run: &mut Run<'_>) {
        let swarm = self.world.borrow().swarm.clone();
        let waiting = self.world.borrow().scripts.len();
        if waiting < 6 {
            let scripts: Vec<_> = (0..run.choices().pick(4)).map(|_| swarm.script(run.choices())).collect();
            let mut world = self.world.borrow_mut();
            world.steps.push(Step::Scripts(scripts.clone()));
            world.scripts.extend(scripts);
        }
        for _ in 0..run.choices().pick(4) {
            let stir = swarm.stir(run.choices());
            self.happen(stir);
        }
    }

    fn happen(&mut self, stir: Stir) {
        self.world.borrow_mut().steps.push(Step::Stir(stir));
        if stir == Stir::Outside {
            let script = self.world.borrow_mut().scripts.pop_front().unwrap_or_default();
            let world = self.world.clone();
            act_all(&world, self.driver.engine().hub(), &script.acts);
        } else {
            self.world.borrow_mut().stir(stir);
        }
    }

    /// These scripts, these happenings, and an iteration and another one.
    pub(super) fn go(&mut self, scripts: &[Script], stirs: &[Stir]) -> Result<(), Violation> {
        self.world.borrow_mut().scripts.extend(scripts.iter().cloned());
        for &stir in stirs {
            self.happen(stir);
        }
        self.iterate(true, 0)?;
        self.iterate(true, 0)
    }

    /// One iteration, as an event loop makes it.
    pub(super) fn iterate(&mut self, whole: bool, first: usize) -> Result<(), Violation> {
        let now = Instant::from_nanos(self.now);
        {
            let mut world = self.world.borrow_mut();
            world.steps.push(Step::Prepare(self.now));
            world.lost_in_round = false;
            let begun = world.model.begin_prepare(now);
            world.check(begun);
        }
        self.drive(|driver| driver.prepare(now))?;
        self.after_phase(|world| world.model.end_prepare())?;
        self.check_timeout(now)?;
        let world = self.world.clone();
        self.driver.poll(&world, whole, first);
        {
            let mut world = self.world.borrow_mut();
            world.steps.push(Step::Process);
            let begun = world.model.begin_process(now);
            world.check(begun);
        }
        self.drive(|driver| driver.process(now))?;
        self.after_phase(|world| world.model.end_process())?;
        if !whole {
            self.world.borrow_mut().net.forget_hunger();
        } else {
            let completions = matches!(self.driver, Driver::Completion(_));
            self.world.borrow_mut().check_progress(completions);
        }
        self.check_timeout(now)?;
        self.world.borrow().result()
    }

    /// A phase, with panics caught as an event loop does: it goes on behind the callback that panicked.
    fn drive(&mut self, mut phase: impl FnMut(&mut Driver)) -> Result<(), Violation> {
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| phase(&mut self.driver))) {
            let text = Planted::caught(payload);
            ensure!(self.driver.engine().set_panic_message(text.into()), "no callback is blamed for a panic");
            self.world.borrow().result()?;
        }
        self.world.borrow().result()
    }

    fn after_phase(&mut self, end: impl FnOnce(&mut World) -> Result<(), Violation>) -> Result<(), Violation> {
        let mut world = self.world.borrow_mut();
        end(&mut world)?;
        world.compare(self.driver.engine().hub());
        marks::between(&mut world);
        while let Some(report) = self.driver.engine().poll_report() {
            let reported = world.translate(&report);
            let expected = world.model.next_report();
            world.same("RUST-8: reports", reported, expected);
        }
        let left = world.model.next_report();
        world.same("RUST-8: reports", None, left);
        world.check_closed();
        world.result()
    }

    /// I-SLEEP: it does not sleep while something is to be done, nor longer than until the next timer.
    fn check_timeout(&mut self, now: Instant) -> Result<(), Violation> {
        let timeout = self.driver.timeout();
        let world = self.world.borrow();
        if world.model.is_runnable() {
            ensure!(timeout.is_some_and(|at| at <= now), "I-SLEEP: it sleeps until {timeout:?}, and something is to be run");
        }
        for deadline in [world.model.next_deadline(), world.model.next_rest()].into_iter().flatten() {
            let latest = deadline.max(now);
            ensure!(timeout.is_some_and(|at| at <= latest), "I-SLEEP: it sleeps until {timeout:?}, past {deadline:?}");
        }
        Ok(())
    }

    /// Liveness: faults are off, everything is closed, and in a counted number of iterations everything is over.
    pub(super) fn finish(&mut self) -> Result<(), Violation> {
        {
            let mut world = self.world.borrow_mut();
            world.calm = true;
            world.scripts.clear();
            world.net.calm();
            for server in 0..world.model.servers() {
                world.model.server_close(server);
            }
            for ep in (0..world.ids.len()).filter(|&ep| world.id(ep).is_some()).collect::<Vec<_>>() {
                world.model.close(ep);
            }
        }
        let (servers, ids) = (self.world.borrow().servers.clone(), self.world.borrow().ids.clone());
        for server in servers.into_iter().flatten() {
            self.driver.engine().hub().server_close(server);
        }
        for id in ids.into_iter().flatten() {
            self.driver.engine().hub().close(id);
        }
        for _ in 0..LAST_ROUNDS {
            self.iterate(true, 0)?;
        }
        let world = self.world.borrow();
        world.model.check_over()?;
        ensure!(world.net.opened == world.net.closed, "I-FD: {} opened, {} closed", world.net.opened, world.net.closed);
        Ok(())
    }
}

impl World {
    fn translate(&mut self, report: &Report) -> Option<Reported> {
        Some(match *report {
            Report::CallbackFailed { id, .. } => Reported::Failed(self.ep_of(id.stream()?)),
            Report::Panicked { origin: Origin::Endpoint(id), .. } => Reported::Panicked(self.ep_of(id.stream()?)),
            Report::Panicked { origin: Origin::Factory(id), .. } => {
                Reported::FactoryPanicked(self.servers.iter().position(|server| *server == Some(id)).unwrap_or(usize::MAX))
            }
            Report::Panicked { origin: Origin::Scheduled, .. } => Reported::JobPanicked,
            Report::Application(_) => Reported::Application,
            Report::WriteDiscarded { id } => Reported::WriteDiscarded(self.ep_of(id.stream()?)),
            Report::AcceptFailed { server, .. } => {
                self.mark(Mark::Resting);
                Reported::AcceptFailed(self.servers.iter().position(|other| *other == Some(server)).unwrap_or(usize::MAX))
            }
            _ => {
                self.fail(format!("an unknown report: {report}"));
                return None;
            }
        })
    }

    /// What happens in the kernel.
    fn stir(&mut self, stir: Stir) {
        let (Stir::Feed(n, _)
        | Stir::Finish(n)
        | Stir::Reset(n)
        | Stir::Room(n, _)
        | Stir::SendFails(n)
        | Stir::FinFails(n, _)
        | Stir::Arrive(n)
        | Stir::AcceptFails(n, _)
        | Stir::Spurious(n)) = stir
        else {
            return;
        };
        let listeners = matches!(stir, Stir::Arrive(_) | Stir::AcceptFails(..));
        let open = self.net.open(listeners);
        if open.is_empty() {
            return;
        }
        let socket = &mut self.net.sockets[open[n % open.len()]];
        match stir {
            Stir::Feed(_, len) if socket.plan.is_none() && !socket.eof && socket.read_error.is_none() => {
                socket.incoming += len;
                socket.edge.readable = true;
            }
            Stir::Finish(_) if socket.plan.is_none() => {
                socket.eof = true;
                socket.edge.readable = true;
                socket.edge.read_closed = true;
            }
            Stir::Reset(_) if socket.plan.is_none() => {
                socket.read_error = Some(RESET);
                socket.send_error = Some(SEND_ERROR);
                socket.edge = Ready { readable: true, writable: true, error: true, ..socket.edge };
            }
            Stir::Room(_, more) => {
                socket.room = socket.room.saturating_add(more);
                socket.edge.writable = true;
            }
            Stir::SendFails(_) if socket.plan.is_none() => {
                socket.send_error = Some(SEND_ERROR);
                socket.edge.writable = true;
            }
            Stir::FinFails(_, hard) => socket.fin_error = Some(if hard { SHUTDOWN } else { NOT_CONNECTED }),
            Stir::Arrive(_) => {
                socket.arrivals.push_back(Arrival::Connection);
                socket.edge.readable = true;
            }
            Stir::AcceptFails(_, ours) => {
                socket.arrivals.push_back(if ours { Arrival::Exhausted } else { Arrival::Aborted });
                socket.edge.readable = true;
            }
            Stir::Spurious(_) => {
                socket.edge.readable = true;
                socket.edge.writable = true;
            }
            _ => {}
        }
    }

    /// What a poller says now; nothing, if it lags.
    pub(super) fn poll(&mut self, whole: bool) -> Vec<(usize, Ready)> {
        let level = self.swarm.level;
        for socket in &mut self.net.sockets {
            socket.served = false;
        }
        if !whole {
            return Vec::new();
        }
        let open = self.net.sockets.iter_mut().filter(|socket| socket.open);
        open.filter_map(|socket| {
            let key = socket.key?;
            let edge = core::mem::take(&mut socket.edge);
            // A connect that hangs is not writable before it is there.
            let ready = if level { socket.level() } else { Ready { writable: edge.writable && socket.is_writable(), ..edge } };
            (ready != Ready::default()).then_some((key.index(), ready))
        })
        .collect()
    }

    /// I-WANTS, I-FAIR: nothing that could go on is left lying.
    fn check_progress(&mut self, completions: bool) {
        for index in 0..self.net.sockets.len() {
            let socket = &self.net.sockets[index];
            if !socket.open || socket.plan.is_some() {
                continue;
            }
            let (mut hungry, mut unsent, mut unaccepted) = (false, false, false);
            let under_way = |kind: fn(&Kind) -> bool| self.ring.iter().any(|other| other.socket == index && kind(&other.kind));
            match socket.role {
                Role::Stream(ep) if completions => {
                    let wants = self.model.stream(ep).wants_send() != Wants::Nothing;
                    let (may, wants_read) = (self.model.may_read(ep), self.model.stream(ep).wants_read());
                    if self.model.held(ep) > 0 && wants_read && !may {
                        self.marks |= 1 << Mark::HeldByWriter as u32;
                    }
                    hungry = may && !under_way(|kind| matches!(kind, Kind::Recv(_)));
                    unsent = !self.model.is_stale(ep) && wants && !under_way(|kind| matches!(kind, Kind::Send(_) | Kind::Fin));
                }
                Role::Listener(server) if completions => {
                    unaccepted = self.model.wants_accept(server) && !under_way(|kind| matches!(kind, Kind::Accept));
                }
                Role::Stream(ep) if !self.model.is_stale(ep) => {
                    let waits = socket.is_readable() && !socket.served && !socket.edge.readable;
                    hungry = waits && self.model.may_read(ep);
                    let room = socket.room > 0 || socket.send_error.is_some();
                    unsent = room && !socket.edge.writable && self.model.stream(ep).wants_send() != Wants::Nothing;
                    if waits && !hungry && self.model.stream(ep).wants_read() {
                        self.mark(Mark::HeldByWriter);
                    }
                }
                Role::Stream(_) => {}
                Role::Listener(server) => {
                    unaccepted =
                        socket.is_readable() && !socket.served && !socket.edge.readable && self.model.wants_accept(server);
                }
            }
            let socket = &mut self.net.sockets[index];
            socket.hungry = if hungry { socket.hungry + 1 } else { 0 };
            socket.unsent = if unsent { socket.unsent + 1 } else { 0 };
            socket.unaccepted = if unaccepted { socket.unaccepted + 1 } else { 0 };
            let stuck = socket.hungry >= STUCK || socket.unsent >= STUCK || socket.unaccepted >= STUCK;
            if stuck {
                let what = format!("I-WANTS: {:?} could go on and is not served", self.net.sockets[index]);
                self.fail(what);
            }
        }
    }

    /// LIFE-13: what is lost is closed.
    fn check_closed(&mut self) {
        for ep in 0..self.model.endpoints() {
            if self.model.is_stale(ep) && self.net.of(ep).is_some() {
                self.fail(format!("LIFE-13: {ep} is gone, and its socket is open"));
            }
        }
    }
}

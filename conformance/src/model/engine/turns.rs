//! Turns: the one that must come next, and what its end leads to.

use super::super::{State, Told};
use super::{EngineModel, Entry, Ep, Follows, Reported};
use crate::harness::{Violation, ensure};
use plimsoll_core::{Cause, Error, Instant, Side};

/// Where an iteration stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Phase {
    /// The loop waits, or code outside of it runs.
    Between,
    /// The ready queue runs.
    Preparing,
    /// What happened is served, then timers.
    Processing,
}

/// One entry into user code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Turn {
    /// The factory of the server that accepted it.
    Factory(Ep),
    /// `connection_made`.
    Made(Ep),
    /// `data_received`.
    Data(Ep),
    /// `get_buffer`.
    Lend(Ep),
    /// `buffer_updated`.
    Filled(Ep),
    /// `eof_received`.
    Eof(Ep),
    /// `pause_writing`.
    Pause(Ep),
    /// `resume_writing`.
    Resume(Ep),
    /// `timer`, with its number.
    Timer(Ep, u32),
    /// `connection_lost`.
    Lost(Ep, Cause, Option<Error>, Side),
    /// `open_failed`.
    OpenFailed(Ep),
    /// A scheduled callback: `call_soon`, a listen's or `wait_closed`'s completion.
    Job(u32),
    /// A callback of `call_later`, with the timer's number.
    Later(u32),
}

impl Turn {
    /// Whose turn it is.
    #[must_use]
    pub const fn ep(self) -> Option<Ep> {
        match self {
            Self::Factory(ep)
            | Self::Made(ep)
            | Self::Data(ep)
            | Self::Lend(ep)
            | Self::Filled(ep)
            | Self::Eof(ep)
            | Self::Pause(ep)
            | Self::Resume(ep)
            | Self::Timer(ep, _)
            | Self::Lost(ep, ..)
            | Self::OpenFailed(ep) => Some(ep),
            Self::Job(_) | Self::Later(_) => None,
        }
    }
}

/// How a turn ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It returned.
    Returned,
    /// `eof_received` returned this.
    KeepOpen(bool),
    /// The factory made this protocol; whether it lends memory.
    Made(u32, bool),
    /// The factory refused.
    Refused,
    /// `get_buffer` lent so many bytes.
    Lent(usize),
    /// It panicked.
    Panicked,
}

impl EngineModel {
    // ---- iterations ----

    /// An iteration begins: everything scheduled until now belongs to it.
    ///
    /// # Errors
    /// If the one before is not over.
    pub fn begin_prepare(&mut self, now: Instant) -> Result<(), Violation> {
        ensure!(self.phase == Phase::Between && self.running.is_none(), "an iteration within {:?}", self.running);
        self.phase = Phase::Preparing;
        self.now = now;
        self.snapshot = self.ready.len();
        for endpoint in &mut self.endpoints {
            endpoint.edges = 0;
            endpoint.reads = 0;
        }
        // RUST-2: who had to wait for this iteration comes first.
        let owed = core::mem::take(&mut self.late);
        self.due.extend(owed);
        Ok(())
    }

    /// The ready queue has run.
    ///
    /// # Errors
    /// If it has not.
    pub fn end_prepare(&mut self) -> Result<(), Violation> {
        self.skip_dead();
        self.nothing_due("the ready queue has run")?;
        ensure!(
            self.snapshot == 0,
            "LOOP-30: {:?} is left of this iteration",
            self.ready.iter().take(self.snapshot).collect::<Vec<_>>()
        );
        self.phase = Phase::Between;
        Ok(())
    }

    /// What happened is served.
    ///
    /// # Errors
    /// If something else is going on.
    pub fn begin_process(&mut self, now: Instant) -> Result<(), Violation> {
        ensure!(self.phase == Phase::Between && self.running.is_none(), "an iteration within {:?}", self.running);
        self.phase = Phase::Processing;
        self.now = now;
        // *Ruling:* what is set after the wait waits for the next iteration, as with `call_soon`.
        self.timer_mark = self.timer_numbers;
        self.advance();
        Ok(())
    }

    /// It is served, timers have run.
    ///
    /// # Errors
    /// If they have not.
    pub fn end_process(&mut self) -> Result<(), Violation> {
        self.nothing_due("everything is served")?;
        ensure!(self.back.is_empty(), "what came back is not served: {:?}", self.back);
        if let Some(timer) = self.first_timer() {
            return Err(Violation(format!("LOOP-31: {timer:?} is due and has not run")));
        }
        self.end_rests();
        self.phase = Phase::Between;
        Ok(())
    }

    fn nothing_due(&mut self, when: &str) -> Result<(), Violation> {
        self.prune();
        ensure!(self.due.is_empty(), "RUST-2: {when}, and {:?} are owed an edge", self.due);
        ensure!(self.after == Follows::Nothing, "{when}, and {:?} has not followed", self.after);
        let held = (0..self.endpoints.len()).find(|&ep| self.has_in_hand(ep));
        ensure!(held.is_none(), "READ-6: {when}, and {held:?} has bytes in hand that are wanted");
        Ok(())
    }

    // ---- turns ----

    /// A turn begins.
    ///
    /// # Errors
    /// If another one must come first, or none can.
    pub fn begin(&mut self, turn: Turn) -> Result<(), Violation> {
        ensure!(self.running.is_none(), "I-OUTSIDE: {turn:?} inside of {:?}", self.running);
        ensure!(self.phase != Phase::Between, "{turn:?} outside of an iteration");
        self.prune();
        // BUF-1: one unit.
        if let Follows::Filled(ep) = self.after {
            ensure!(turn == Turn::Filled(ep), "BUF-1: {turn:?} where {:?} must follow", self.after);
        } else if let Some(&ep) = self.due.front() {
            let told = self.endpoints[ep].stream.poll();
            let next = match told {
                Some(Told::Pause) => Turn::Pause(ep),
                Some(Told::Resume) => Turn::Resume(ep),
                other => return Err(Violation(format!("the model owes {other:?} as an edge"))),
            };
            ensure!(turn == next, "RUST-2: {turn:?} where {next:?} must come first");
            self.due.pop_front();
            self.endpoints[ep].edges += 1;
            self.running = Some(turn);
            self.touch(ep);
            return Ok(());
        }
        match (self.after, turn) {
            (Follows::Made(ep), Turn::Made(of)) if of == ep => self.made(ep),
            (Follows::Data(ep), Turn::Data(of)) | (Follows::Filled(ep), Turn::Filled(of)) if of == ep => {}
            (Follows::Eof(ep), Turn::Eof(of)) if of == ep => {
                let told = self.endpoints[ep].stream.poll();
                ensure!(told == Some(Told::Eof), "{turn:?} where the model tells {told:?}");
            }
            (Follows::Nothing, _) => self.begin_free(turn)?,
            (after, _) => return Err(Violation(format!("{turn:?} where {after:?} must follow"))),
        }
        self.after = Follows::Nothing;
        self.running = Some(turn);
        Ok(())
    }

    /// Whose `connection_made` must follow its factory.
    #[must_use]
    pub const fn expected_made(&self) -> Option<Ep> {
        match self.after {
            Follows::Made(ep) => Some(ep),
            _ => None,
        }
    }

    /// Whose protocol has that name and is installed.
    #[must_use]
    pub fn lender(&self, tag: u32) -> Option<Ep> {
        self.endpoints.iter().position(|endpoint| endpoint.protocol == Some(tag))
    }

    /// A turn that nothing forces.
    fn begin_free(&mut self, turn: Turn) -> Result<(), Violation> {
        match turn {
            Turn::Lend(_) | Turn::Data(_) | Turn::Eof(_) if self.completions => return self.begin_in_hand(turn),
            Turn::Lend(ep) => {
                ensure!(self.phase == Phase::Processing, "{turn:?} before the wait");
                ensure!(self.may_read(ep), "READ-5: {turn:?}, and it does not want to be read");
                ensure!(self.endpoints[ep].buffered, "BUF-8: {turn:?} of a protocol that lends nothing");
                return Ok(());
            }
            Turn::Timer(..) | Turn::Later(_) => return self.begin_timer(turn),
            _ => {}
        }
        self.skip_dead();
        ensure!(self.snapshot > 0, "{turn:?} where nothing more is to be run in {:?}", self.phase);
        ensure!(self.phase == Phase::Preparing, "{turn:?} after the wait");
        let Some(entry) = self.ready.pop_front() else { return Err(Violation(String::from("the snapshot is too long"))) };
        self.snapshot -= 1;
        let next = match entry {
            Entry::Job(job) => Turn::Job(job),
            Entry::Made(ep) if self.endpoints[ep].protocol.is_none() => Turn::Factory(ep),
            Entry::Made(ep) => {
                if turn == Turn::Made(ep) {
                    self.made(ep);
                }
                Turn::Made(ep)
            }
            Entry::OpenFailed(ep) => {
                self.endpoints[ep].stream.abort();
                // The protocol is consumed: its id names nothing while it is told (RUST-9).
                let protocol = self.endpoints[ep].protocol;
                self.removed(ep);
                self.endpoints[ep].protocol = protocol;
                Turn::OpenFailed(ep)
            }
            Entry::Lost(ep) => {
                self.cancel_timers_of(ep);
                match self.endpoints[ep].stream.poll() {
                    Some(Told::Lost(cause, error, side)) => Turn::Lost(ep, cause, error, side),
                    other => return Err(Violation(format!("the model tells {other:?} where it is lost"))),
                }
            }
        };
        ensure!(turn == next, "RUST-2, LOOP-30: {turn:?} where {next:?} comes first");
        Ok(())
    }

    /// What is in hand is told: directly when it comes back, or, when it had to wait, after all that came back (*Ruling:* then in any order).
    fn begin_in_hand(&mut self, turn: Turn) -> Result<(), Violation> {
        self.skip_dead();
        let Some(ep) = turn.ep() else { return Ok(()) };
        let waits = self.serving.is_none() && self.back.is_empty() && self.snapshot == 0;
        ensure!(waits || self.serving == Some(ep), "{turn:?} while {:?} is served", self.serving);
        ensure!(self.has_in_hand(ep), "READ-5: {turn:?}, and nothing in hand is wanted");
        let endpoint = &mut self.endpoints[ep];
        if matches!(turn, Turn::Eof(_)) {
            let told = endpoint.stream.poll();
            ensure!(told == Some(Told::Eof), "{turn:?} where the model tells {told:?}");
            return Ok(());
        }
        ensure!(endpoint.held > 0, "READ-1: {turn:?} without bytes");
        ensure!(endpoint.buffered == matches!(turn, Turn::Lend(_)), "BUF-8, BUF-9: {turn:?}");
        if !endpoint.buffered {
            endpoint.held = 0;
        }
        Ok(())
    }

    /// `connection_made`; a pause owed since *Init* is due from here on.
    fn made(&mut self, ep: Ep) {
        self.endpoints[ep].stream.poll();
        self.hear_timers_of(ep);
        self.touch(ep);
    }

    /// Entries of the snapshot that nothing is to be called for: before the next turn, and before operations are carried out.
    pub(super) fn skip_dead(&mut self) {
        while self.snapshot > 0 {
            match self.ready.front() {
                Some(&(Entry::Made(ep) | Entry::OpenFailed(ep))) if self.endpoints[ep].stale => {}
                // LOOP-18: its server was closed before its turn came.
                Some(&Entry::Made(ep)) if self.is_orphan(ep) => {
                    self.ready.pop_front();
                    self.snapshot -= 1;
                    self.endpoints[ep].stream.abort();
                    self.orphans += 1;
                    self.touch(ep);
                    continue;
                }
                _ => return,
            }
            self.ready.pop_front();
            self.snapshot -= 1;
        }
    }

    /// The socket of an endpoint is closed; that of an attempt to connect as soon as it has failed.
    ///
    /// # Errors
    /// LIFE-13: if that is too early.
    pub fn closed(&mut self, ep: Ep) -> Result<(), Violation> {
        ensure!(self.running.is_none(), "the socket of {ep} is closed inside of {:?}", self.running);
        self.skip_dead();
        let failed = self.ready.iter().any(|entry| matches!(entry, Entry::OpenFailed(other) if *other == ep));
        ensure!(self.endpoints[ep].stale || failed, "LIFE-13: the socket of {ep} is closed too early");
        Ok(())
    }

    fn is_orphan(&self, ep: Ep) -> bool {
        let server = self.endpoints[ep].server;
        self.endpoints[ep].stream.state() == State::Made && server.is_some_and(|server| self.is_server_closed(server))
    }

    /// The turn ends.
    ///
    /// # Errors
    /// If none is running, or it cannot end like this.
    pub fn end(&mut self, outcome: Outcome) -> Result<(), Violation> {
        let Some(turn) = self.running.take() else { return Err(Violation(String::from("a turn ends that has not begun"))) };
        let panicked = outcome == Outcome::Panicked;
        if panicked {
            // What is left in hand is told after the rest.
            self.serving = None;
        }
        match (turn, outcome) {
            (Turn::Factory(ep), Outcome::Made(tag, buffered)) => {
                (self.endpoints[ep].protocol, self.endpoints[ep].buffered) = (Some(tag), buffered);
                self.after = Follows::Made(ep);
            }
            (Turn::Factory(ep), _) => {
                if panicked {
                    let server = self.endpoints[ep].server.unwrap_or_default();
                    self.reports.push_back(Reported::FactoryPanicked(server));
                }
                self.endpoints[ep].stream.abort();
                self.touch(ep);
            }
            (Turn::Job(_) | Turn::Later(_), _) => {
                if panicked {
                    self.reports.push_back(Reported::JobPanicked);
                }
            }
            (Turn::OpenFailed(ep), _) => {
                if panicked {
                    self.reports.push_back(Reported::Panicked(ep));
                }
                self.endpoints[ep].protocol = None;
            }
            (Turn::Lost(ep, ..), _) => {
                if panicked {
                    self.reports.push_back(Reported::Panicked(ep));
                }
                self.removed(ep);
            }
            (_, Outcome::Panicked) => {
                if let Some(ep) = turn.ep() {
                    self.reports.push_back(Reported::Panicked(ep));
                    self.switch(ep);
                    self.force(ep, false);
                }
            }
            (Turn::Lend(ep), Outcome::Lent(0)) => {
                self.reports.push_back(Reported::Failed(ep));
                self.force(ep, true);
            }
            (Turn::Lend(ep), Outcome::Lent(size)) if self.completions => {
                self.endpoints[ep].held = self.endpoints[ep].held.saturating_sub(size);
                self.after = Follows::Filled(ep);
            }
            (Turn::Lend(ep), Outcome::Lent(_)) => self.after = Follows::Read(ep),
            (Turn::Eof(ep), Outcome::KeepOpen(yes)) => {
                self.switch(ep);
                self.endpoints[ep].stream.keep_open(yes);
                self.touch(ep);
            }
            (_, Outcome::Returned) => {
                if let Some(ep) = turn.ep() {
                    self.switch(ep);
                    self.touch(ep);
                }
            }
            _ => return Err(Violation(format!("{turn:?} cannot end with {outcome:?}"))),
        }
        self.advance();
        Ok(())
    }

    /// LIFE-14: the switch takes effect when the callback has returned.
    fn switch(&mut self, ep: Ep) {
        let endpoint = &mut self.endpoints[ep];
        if let Some((tag, buffered)) = endpoint.successor.take() {
            (endpoint.protocol, endpoint.buffered) = (Some(tag), buffered);
        }
    }

    /// Row "fatal callback failure".
    pub(super) fn force(&mut self, ep: Ep, with_error: bool) {
        let endpoint = &mut self.endpoints[ep];
        let first = !matches!(endpoint.stream.state(), State::Losing | State::Lost | State::Gone);
        endpoint.dropped += endpoint.stream.fail() as u64;
        endpoint.failed |= first && with_error;
        self.touch(ep);
    }
}

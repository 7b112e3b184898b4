//! Servers (contract 17.7, LOOP-16 to LOOP-23).

use super::{EngineModel, Entry, Ep, Reported};
use crate::harness::{Violation, ensure};
use core::time::Duration;
use plimsoll_core::Instant;

/// Where a server stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ServerState {
    /// It does not accept yet.
    Bound,
    /// It accepts.
    Serving,
    /// It is closed.
    Closed,
}

#[derive(Clone, Debug)]
pub(super) struct ServerModel {
    state: ServerState,
    /// Its address is bound.
    bound: bool,
    /// To be started when it is bound.
    starts: bool,
    done: Option<u32>,
    waiting: Vec<u32>,
    clients: usize,
    rests_until: Option<Instant>,
}

impl EngineModel {
    /// `listen`: the server, and the job that is told what became of it.
    pub fn listen(&mut self, paused: bool) -> (usize, u32) {
        let job = self.new_job();
        self.servers.push(ServerModel {
            state: ServerState::Bound,
            bound: false,
            starts: !paused,
            done: Some(job),
            waiting: Vec::new(),
            clients: 0,
            rests_until: None,
        });
        (self.servers.len() - 1, job)
    }

    /// How many servers there ever were.
    #[must_use]
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// Where it stands.
    #[must_use]
    pub fn server_state(&self, server: usize) -> ServerState {
        self.servers[server].state
    }

    pub(super) fn is_server_closed(&self, server: usize) -> bool {
        self.servers[server].state == ServerState::Closed
    }

    /// Its address is bound, or cannot be; `done` is told in a turn of its own.
    pub fn bound(&mut self, server: usize, ok: bool) {
        self.skip_dead();
        let entry = &mut self.servers[server];
        if entry.state == ServerState::Closed {
            return;
        }
        entry.bound = ok;
        if !ok {
            self.server_close(server);
            return;
        }
        if entry.starts {
            entry.state = ServerState::Serving;
        }
        if let Some(job) = entry.done.take() {
            self.ready.push_back(Entry::Job(job));
        }
    }

    /// Its address was bound before it was closed: what `done` is told.
    #[must_use]
    pub fn was_bound(&self, server: usize) -> bool {
        self.servers[server].bound
    }

    /// `server_start`; whether it is not closed.
    pub fn server_start(&mut self, server: usize) -> bool {
        let entry = &mut self.servers[server];
        entry.starts = true;
        if entry.state == ServerState::Bound && entry.bound {
            entry.state = ServerState::Serving;
        }
        entry.state != ServerState::Closed
    }

    /// `server_close`. *Ruling:* if its address is not bound yet, `done` is told an error, scheduled by
    /// this call, and before whoever waits for its end.
    pub fn server_close(&mut self, server: usize) {
        let entry = &mut self.servers[server];
        entry.state = ServerState::Closed;
        entry.rests_until = None;
        if let Some(job) = entry.done.take() {
            self.ready.push_back(Entry::Job(job));
        }
        self.server_over(server);
    }

    /// `close_clients`, or `abort_clients`. *Ruling:* in any order, which is given; those too that were accepted and not made yet.
    pub fn end_clients(&mut self, server: usize, abort: bool, order: &[Ep]) {
        for &ep in order {
            if self.endpoints[ep].server == Some(server) && !self.endpoints[ep].stale {
                if abort {
                    self.abort(ep);
                } else {
                    self.close(ep);
                }
            }
        }
    }

    /// `wait_closed`: the job that is told.
    pub fn wait_closed(&mut self, server: usize) -> u32 {
        let job = self.new_job();
        self.servers[server].waiting.push(job);
        self.server_over(server);
        job
    }

    pub(super) fn client_gone(&mut self, server: usize) {
        self.servers[server].clients -= 1;
        self.server_over(server);
    }

    fn server_over(&mut self, server: usize) {
        let entry = &mut self.servers[server];
        if entry.state == ServerState::Closed && entry.clients == 0 {
            self.ready.extend(entry.waiting.drain(..).map(Entry::Job));
        }
    }

    /// A connection is being accepted.
    ///
    /// # Errors
    /// If it must not be now.
    pub fn may_accept(&self, server: usize) -> Result<(), Violation> {
        let entry = &self.servers[server];
        ensure!(self.running.is_none(), "accept inside of {:?}", self.running);
        ensure!(entry.state == ServerState::Serving, "LOOP-16, LOOP-18: accept while {:?}", entry.state);
        ensure!(entry.rests_until.is_none_or(|end| self.now >= end), "LOOP-23: accept while it rests");
        Ok(())
    }

    /// Whether it should be accepting.
    #[must_use]
    pub fn wants_accept(&self, server: usize) -> bool {
        self.servers[server].state == ServerState::Serving && self.servers[server].rests_until.is_none()
    }

    /// A connection was accepted: it has a number from now on, its factory runs in its turn (decision 7).
    pub fn accepted(&mut self, server: usize) -> Ep {
        let ep = self.new_endpoint(Some(server), None);
        self.accept(server, ep);
        ep
    }

    pub(super) fn accept(&mut self, server: usize, ep: Ep) {
        self.servers[server].clients += 1;
        self.servers[server].rests_until = None;
        self.endpoints[ep].stream.handle_open();
        self.ready.push_back(Entry::Made(ep));
    }

    /// Accepting failed for lack of something.
    pub fn accept_failed(&mut self, server: usize) {
        self.servers[server].rests_until = Some(self.now.saturating_add(Duration::from_secs(1)));
        self.reports.push_back(Reported::AcceptFailed(server));
    }

    /// Rests that end in this iteration: after it, accepting goes on.
    pub(super) fn end_rests(&mut self) {
        for server in &mut self.servers {
            server.rests_until = server.rests_until.filter(|&end| end > self.now);
        }
    }

    /// When a rest ends.
    #[must_use]
    pub fn next_rest(&self) -> Option<Instant> {
        self.servers.iter().filter_map(|server| server.rests_until).min()
    }
}

//! Turns: one entry into user code each, and what must hold even if it does not return.

use super::Engine;
use crate::context::Context;
use crate::endpoint::{DatagramEndpoint, Endpoint, Process, Stream};
use crate::flow::pool::BufPool;
use crate::hub::{Hub, NOBODY, Ready, Work};
use crate::key::{Key, TimerId};
use crate::kind::{Callback, Kind};
use crate::observer::Event;
use crate::open::OpenError;
use crate::protocol::Protocol;
use crate::reason::CloseReason;
use crate::report::{Origin, Report};
use crate::time::Instant;
use alloc::boxed::Box;

impl<S> Engine<S> {
    /// Begins an iteration at `now` (never earlier than the one before): its ready entries are those that are there now.
    #[inline]
    pub fn begin_round(&mut self, now: Instant) {
        self.set_now(now);
        self.hub.round = self.hub.round.wrapping_add(1);
        if !self.hub.late.is_empty() {
            self.hub.due.append(&mut self.hub.late);
        }
        if !self.hub.late_dirty.is_empty() {
            self.hub.dirty.append(&mut self.hub.late_dirty);
        }
        self.snapshot = self.hub.ready.len();
        if let Some(observer) = &mut self.hub.observer {
            observer.round(self.hub.now);
        }
    }

    /// It is `now`; a clock that goes backwards stands still.
    #[inline]
    pub fn set_now(&mut self, now: Instant) {
        self.hub.now = self.hub.now.max(now);
        self.timer_mark = self.hub.timers.mark();
    }

    /// Runs the next ready entry of this iteration; `false`: there is none left (contract LOOP-30).
    #[inline]
    pub fn run_one_ready(&mut self) -> bool {
        self.snapshot > 0 && self.run_next_ready()
    }

    fn run_next_ready(&mut self) -> bool {
        self.snapshot -= 1;
        match self.hub.ready.pop_front() {
            Some(Ready::Soon(job)) => self.run_job(job),
            Some(Ready::Listening(done, result)) => self.run_job(|hub, state| done(hub, state, result)),
            Some(Ready::Made(key)) => self.made(key),
            Some(Ready::OpenFailed(key, error)) => self.open_failed(key, error),
            Some(Ready::Happened(key)) => self.happened(key),
            Some(Ready::SendfileDone(key)) => self.sendfile_done(key),
            Some(Ready::StartTlsDone(key)) => self.start_tls_done(key),
            Some(Ready::Lost(key)) => self.lost(key),
            None => self.snapshot = 0,
        }
        true
    }

    /// Runs the next timer that is due and was set before this time was; `false`: there is none left (contract LOOP-31).
    #[inline]
    pub fn run_one_timer(&mut self) -> bool {
        !self.hub.timers.is_empty() && self.run_next_timer()
    }

    fn run_next_timer(&mut self) -> bool {
        let Some(key) = self.hub.timers.pop_due(self.hub.now, self.timer_mark) else { return false };
        if self.hub.is_of_an_opening(key) {
            self.hub.timers.park(key); // Nothing comes before `connection_made` (contract LIFE-1): it waits for that.
            return true;
        }
        let Some(work) = self.hub.timers.cancel(key) else { return true };
        self.hub.unlink_timer(key, &work);
        match work {
            Work::Call(job) => self.run_job(job),
            Work::Protocol { of, .. } => {
                if self.hub.parts(of).is_none_or(|(machine, ..)| machine.is_losing()) {
                    return true; // Only its loss may follow.
                }
                let timer = TimerId::new(key, self.hub.tag);
                self.hub.observe(of, &Event::Timer);
                self.call_back(of, Callback::Timer(timer));
                self.hub.touch(of);
            }
            Work::Accept { listener } => self.hub.server_rested(listener),
            Work::Send { datagram } => self.hub.datagrams_rested(datagram),
            Work::Stagger { stream } => self.hub.stagger_over(stream),
            Work::Layer { stream } => self.hub.layer_time(stream),
        }
        true
    }

    fn run_job(&mut self, job: impl FnOnce(&mut Hub<S>, &mut S)) {
        let mut turn = Turn { hub: &mut self.hub, origin: Origin::Scheduled, returned: false };
        job(turn.hub, &mut self.state);
        turn.returned = true;
    }

    /// Calls back an endpoint of whatever kind.
    pub(super) fn call_back(&mut self, key: Key, what: Callback) {
        match self.hub.endpoints.get(key) {
            Some(Endpoint::Stream(_)) => self.call::<Stream<S>, _>(key, |protocol, cx| Stream::call(protocol, cx, what)),
            Some(Endpoint::Datagram(_)) => {
                self.call::<DatagramEndpoint<S>, _>(key, |protocol, cx| DatagramEndpoint::call(protocol, cx, what))
            }
            Some(Endpoint::Process(_)) => self.call::<Process<S>, _>(key, |protocol, cx| Process::call(protocol, cx, what)),
            Some(Endpoint::Listener(_) | Endpoint::Attempt { .. } | Endpoint::Watch(_)) | None => None,
        };
    }

    /// Lifts a protocol out, calls it, and puts it back, unless it was replaced meanwhile.
    #[inline]
    pub(super) fn call<K: Kind<S>, R>(
        &mut self,
        key: Key,
        f: impl FnOnce(&mut K::Protocol, &mut Context<'_, S, K::Id>) -> R,
    ) -> Option<R> {
        let protocol = K::of(self.hub.endpoints.get_mut(key)?)?.protocol().take()?;
        Some(self.call_lifted::<K, R>(key, protocol, f).0)
    }

    /// Calls a protocol that has been lifted out, and puts it back; its answer, and the endpoint as it stands then.
    #[inline(always)]
    #[allow(clippy::type_complexity, reason = "a pair of an answer and a place")]
    pub(super) fn call_lifted<K: Kind<S>, R>(
        &mut self,
        key: Key,
        protocol: Box<K::Protocol>,
        f: impl FnOnce(&mut K::Protocol, &mut Context<'_, S, K::Id>) -> R,
    ) -> (R, Option<(&mut K, &mut BufPool)>) {
        let state = &mut self.state;
        lend(&mut self.hub, key, protocol, |protocol, id, hub| f(protocol, &mut Context { id, hub, state }))
    }

    /// An endpoint's turn to be made: it gets its protocol, if it was accepted, and `connection_made`.
    fn made(&mut self, key: Key) {
        if let Some(server) = self.hub.about(key).server {
            if !self.hub.servers.get(server).is_some_and(crate::hub::Server::accepts) {
                // The server was closed meanwhile (contract LOOP-18).
                drop(self.hub.remove(key));
                return;
            }
            if self.hub.stream_at(key).is_some_and(|stream| stream.protocol.is_none()) {
                self.make_protocol(key, server);
                if self.hub.begin_accepted_handshake(key, server) {
                    return;
                }
            }
        }
        if !self.hub.parts(key).is_some_and(|(machine, ..)| machine.poll_made()) {
            return;
        }
        self.hub.observe(key, &Event::Made);
        if self.hub.stream_at(key).is_some_and(|stream| stream.transport.is_closing()) {
            // A write pipe that was finished before it was there (contract PIPE-9).
            self.hub.observe(key, &Event::Closing);
        }
        // A pause owed since before is due from here on, before anything that the callback makes due.
        self.hub.touch_edges(key);
        self.layer_told(key);
        self.call_back(key, Callback::Made);
        self.hub.touch(key);
        self.hub.unpark_timers_of(key);
        // Reading begins now (contract LIFE-7).
        self.hub.look_at(key);
    }

    /// Calls the factory of the server that accepted a connection; without a protocol nothing comes of it (contract LIFE-5, LIFE-9).
    fn make_protocol(&mut self, key: Key, server: Key) {
        let Some(peer) = self.hub.about(key).ends.peer.clone() else {
            // Reset before it was looked at: there is nobody to serve.
            drop(self.hub.remove(key));
            return;
        };
        let Some(make) = self.hub.servers.get_mut(server).and_then(|server| server.make.take()) else { return };
        let mut making = Making { hub: &mut self.hub, key, server, make: Some(make), protocol: None, returned: false };
        if let Some(make) = &mut making.make {
            making.protocol = make(&mut self.state, peer);
        }
        making.returned = true;
    }

    fn open_failed(&mut self, key: Key, error: OpenError) {
        match self.hub.endpoints.get(key) {
            Some(Endpoint::Stream(_)) => self.open_failed_of::<Stream<S>>(key, error),
            Some(Endpoint::Datagram(_)) => self.open_failed_of::<DatagramEndpoint<S>>(key, error),
            Some(Endpoint::Process(_)) => self.open_failed_of::<Process<S>>(key, error),
            // Cancelled meanwhile: nobody is told, observers neither.
            Some(Endpoint::Listener(_) | Endpoint::Attempt { .. } | Endpoint::Watch(_)) | None => {}
        }
    }

    fn open_failed_of<K: Kind<S>>(&mut self, key: Key, error: OpenError) {
        self.hub.observe(key, &Event::OpenFailed);
        let Some(protocol) = self.hub.remove(key).and_then(K::take_protocol) else { return };
        let id = K::id(key, self.hub.tag);
        let mut turn = Turn { hub: &mut self.hub, origin: Origin::Endpoint(id.into()), returned: false };
        K::open_failed(protocol, &mut Context { id, hub: turn.hub, state: &mut self.state }, error);
        turn.returned = true;
    }

    /// An endpoint's turn to be lost; whatever else it is still owed comes first.
    fn lost(&mut self, key: Key) {
        let Some((machine, ..)) = self.hub.parts(key) else { return };
        let Some(ending) = machine.poll_lost() else {
            self.hub.touch_edges(key);
            self.push_ready(Ready::Lost(key));
            return;
        };
        self.hub.cancel_timers_of(key);
        let child = self.hub.parts(key).and_then(|(_, common, _)| common.cold.as_ref()?.child);
        if let Some((process, fd)) = child {
            // Told in a turn of its own, behind this one.
            self.hub.pipe_lost(process, fd, ending.error);
        }
        let (discarded, failure) = self.failure_of(key);
        let ends = self.hub.about(key).ends.clone();
        let reason = CloseReason { ending, discarded, failure, ends };
        self.hub.observe(key, &Event::Lost(&reason));
        match self.hub.endpoints.get(key) {
            Some(Endpoint::Stream(_)) => self.lost_of::<Stream<S>>(key, reason),
            Some(Endpoint::Datagram(_)) => self.lost_of::<DatagramEndpoint<S>>(key, reason),
            Some(Endpoint::Process(_)) => self.lost_of::<Process<S>>(key, reason),
            Some(Endpoint::Listener(_) | Endpoint::Attempt { .. } | Endpoint::Watch(_)) | None => {}
        }
    }

    fn lost_of<K: Kind<S>>(&mut self, key: Key, reason: CloseReason) {
        let protocol = self.hub.endpoints.get_mut(key).and_then(K::of).and_then(|endpoint| endpoint.protocol().take());
        let id = K::id(key, self.hub.tag);
        self.hub.current = key;
        let mut last = Last { hub: &mut self.hub, key, returned: false };
        if let Some(protocol) = protocol {
            K::lost(protocol, &mut Context { id, hub: last.hub, state: &mut self.state }, reason);
        }
        last.returned = true;
    }
}

/// Lends a protocol that was lifted out to its callbacks, one or several in a row, and puts it back; their answer, and the endpoint as it stands then.
#[inline(always)]
#[allow(clippy::type_complexity, reason = "a pair of an answer and a place")]
pub(super) fn lend<S, K: Kind<S>, R>(
    hub: &mut Hub<S>,
    key: Key,
    protocol: Box<K::Protocol>,
    f: impl FnOnce(&mut K::Protocol, K::Id, &mut Hub<S>) -> R,
) -> (R, Option<(&mut K, &mut BufPool)>) {
    hub.current = key;
    let id = K::id(key, hub.tag);
    let mut lifted = Lifted::<S, K> { hub: &mut *hub, key, protocol: Some(protocol) };
    let Some(protocol) = &mut lifted.protocol else { unreachable!("it has just been put there") };
    let answer = f(&mut **protocol, id, lifted.hub);
    let protocol = lifted.protocol.take();
    // The guard is there for panics only.
    core::mem::forget(lifted);
    (answer, hub.put_back(key, protocol))
}

/// A protocol on loan to its own callback. Dropped only if that panics.
struct Lifted<'a, S, K: Kind<S>> {
    hub: &'a mut Hub<S>,
    key: Key,
    protocol: Option<Box<K::Protocol>>,
}

impl<S> Hub<S> {
    /// Puts a protocol back that was called; the endpoint, if it is still there.
    #[inline(always)]
    fn put_back<K: Kind<S>>(&mut self, key: Key, protocol: Option<Box<K::Protocol>>) -> Option<(&mut K, &mut BufPool)> {
        self.current = NOBODY;
        let endpoint = K::of(self.endpoints.get_mut(key)?)?;
        let place = endpoint.protocol();
        if place.is_none() {
            *place = protocol;
        } else {
            // It was replaced while it ran: its time is over.
            drop(protocol);
        }
        Some((endpoint, &mut self.pool))
    }
}

impl<S, K: Kind<S>> Drop for Lifted<'_, S, K> {
    #[cold]
    fn drop(&mut self) {
        if !core::mem::take(&mut self.hub.panic_reported) {
            let origin = Origin::Endpoint(K::id(self.key, self.hub.tag).into());
            self.hub.reports.push(Report::Panicked { origin, message: None });
        }
        self.hub.current = NOBODY;
        // Force-closed first: dropping a protocol that was replaced may panic again.
        self.hub.fail_panicked(self.key);
        self.hub.put_back::<K>(self.key, self.protocol.take());
    }
}

/// A scheduled callback, or an opening that failed: nothing to restore.
struct Turn<'a, S> {
    hub: &'a mut Hub<S>,
    origin: Origin,
    returned: bool,
}

impl<S> Drop for Turn<'_, S> {
    fn drop(&mut self) {
        if !self.returned {
            self.hub.reports.push(Report::Panicked { origin: self.origin, message: None });
        }
    }
}

/// A factory on loan to its own call; without a protocol the connection goes.
struct Making<'a, S> {
    hub: &'a mut Hub<S>,
    key: Key,
    server: Key,
    make: Option<crate::hub::Factory<S>>,
    protocol: Option<Box<dyn Protocol<S>>>,
    returned: bool,
}

impl<S> Drop for Making<'_, S> {
    fn drop(&mut self) {
        if !self.returned {
            let server = self.hub.server_id(self.server);
            self.hub.reports.push(Report::Panicked { origin: Origin::Factory(server), message: None });
        }
        if let Some(server) = self.hub.servers.get_mut(self.server) {
            server.make = self.make.take();
        }
        match (self.protocol.take(), self.hub.stream_at(self.key)) {
            (Some(protocol), Some(stream)) => drop(stream.install(protocol)),
            _ => drop(self.hub.remove(self.key)),
        }
    }
}

/// The last callback of an endpoint: whether it returns or not, its slot is freed and its source closed (contract LIFE-13).
struct Last<'a, S> {
    hub: &'a mut Hub<S>,
    key: Key,
    returned: bool,
}

impl<S> Drop for Last<'_, S> {
    fn drop(&mut self) {
        self.hub.current = NOBODY;
        if !self.returned {
            self.hub.report_of(self.key, |id| Report::Panicked { origin: Origin::Endpoint(id), message: None });
        }
        drop(self.hub.remove(self.key));
    }
}

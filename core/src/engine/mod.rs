//! The event loop without its input and output.

mod datagram;
mod facts;
mod file;
mod layer;
mod process;
mod turn;
mod watch;

pub use facts::ReadResult;
pub(crate) use process::Forward;

use crate::Addr;
use crate::endpoint::{IN_DIRTY, LAYERED, LENDS};
use crate::flow::pool::BufPool;
use crate::hub::{Hub, ListenError, Ready};
use crate::key::{Key, LoopTag, ServerId};
use crate::kind::Machine;
use crate::observer::Observer;
use crate::op::Op;
use crate::open::{Listen, SocketOption};
use crate::protocol::Protocol;
use crate::report::Report;
use crate::stream::StreamTransport;
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::BytesMut;
use core::fmt;

/// How many flow callbacks an endpoint gets in one iteration; then it waits for the next one (contract RUST-2).
const MOST_EDGES: u8 = 8;

/// Endpoints, timers, the ready queue and the dispatch to protocols: an event loop that does no input or output of its own.
///
/// A driver stands on either side of it. It tells facts ([`received`](Self::received), [`sent`](Self::sent), [`accepted`](Self::accepted) …), carries out
/// [`Op`]s, and asks each endpoint's [`transport`](Self::transport) what it wants. [`ReadinessDriver`](crate::driver::ReadinessDriver) and
/// [`CompletionDriver`](crate::driver::CompletionDriver) are the two drivers of this crate; another one needs nothing but these methods:
///
/// 1. `begin_round(now)`; while [`run_one_ready`](Self::run_one_ready): [`settle`](#settling) the edges;
/// 2. carry out [`poll_op`](Self::poll_op), look at [`next_dirty`](Self::next_dirty);
/// 3. wait at most until [`poll_timeout`](Self::poll_timeout), tell what happened, [`run_one_timer`](Self::run_one_timer).
///
/// # Settling
///
/// After everything that may have called a protocol: while [`next_due`](Self::next_due) names an endpoint, send what it has to send, then
/// [`deliver_edge`](Self::deliver_edge) (contract RUST-2).
///
/// # Panics in callbacks
///
/// A panic leaves these methods by unwinding, with the engine in a good state: the endpoint whose callback it was is force-closed, and nothing else
/// is lost. Call on, beginning with the settling.
pub struct Engine<S> {
    hub: Hub<S>,
    state: S,
    /// How many entries of the ready queue are left of this iteration's snapshot.
    snapshot: usize,
    timer_mark: u64,
    /// What layers decrypt into, for all connections: what stands in it between two of them means nothing.
    plain: BytesMut,
}

impl<S> Engine<S> {
    /// An engine of its own, with read blocks of 64 KiB.
    pub fn new(state: S) -> Self {
        Self::with(state, LoopTag::default(), BufPool::new())
    }

    /// An engine among others: `tag` tells its ids apart from theirs. The size of the pool's blocks is the most that one read brings.
    pub fn with(state: S, tag: LoopTag, pool: BufPool) -> Self {
        Self { hub: Hub::new(tag, pool), state, snapshot: 0, timer_mark: 0, plain: BytesMut::new() }
    }

    /// The verbs.
    pub fn hub(&mut self) -> &mut Hub<S> {
        &mut self.hub
    }

    /// The application's state.
    pub fn state(&mut self) -> &mut S {
        &mut self.state
    }

    /// Both at once.
    pub fn hub_and_state(&mut self) -> (&mut Hub<S>, &mut S) {
        (&mut self.hub, &mut self.state)
    }

    /// Shows everything that happens to an observer from now on, in place of the one before.
    pub fn set_observer(&mut self, observer: Box<dyn Observer>) {
        self.hub.observer = Some(observer);
    }

    /// Whether [`Hub::stop`] was said since this was asked last.
    pub fn take_stop(&mut self) -> bool {
        core::mem::take(&mut self.hub.stopping)
    }

    // ---- work out ----

    /// The next operation to carry out.
    pub fn poll_op(&mut self) -> Option<Op> {
        self.hub.ops.pop_front()
    }

    /// The next report.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.hub.reports.pop()
    }

    /// Whether there is a report.
    #[must_use]
    pub fn has_report(&self) -> bool {
        !self.hub.reports.is_empty()
    }

    /// The message of the panic that was just caught, for its report. `false`: no callback is to blame for it, and there is no report of it.
    pub fn set_panic_message(&mut self, message: Box<str>) -> bool {
        self.hub.reports.set_panic_message(message)
    }

    /// An endpoint that may want something: something to send, an end-of-file to be told, or to be read again.
    #[inline]
    pub fn next_dirty(&mut self) -> Option<Key> {
        let key = self.hub.dirty.pop_front()?;
        if let Some((_, common, _)) = self.hub.parts(key) {
            common.flags &= !IN_DIRTY;
        } else if let Some(watch) = self.hub.watch_at(key) {
            watch.dirty = false;
        }
        Some(key)
    }

    /// Whether nothing is left to be settled: no edge, no operation, no endpoint to look at.
    #[inline]
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.hub.due.is_empty() && self.hub.ops.is_empty() && self.hub.dirty.is_empty()
    }

    /// Whether [`next_due`](Self::next_due) would name an endpoint.
    #[inline]
    #[must_use]
    pub fn owes_edges(&self) -> bool {
        !self.hub.due.is_empty()
    }

    /// An endpoint that owes its protocol a pause or resume: send what it has to send, then [`deliver_edge`](Self::deliver_edge).
    #[inline]
    pub fn next_due(&mut self) -> Option<Key> {
        self.hub.due.pop_front()
    }

    /// The machine of a connection: what it wants to send, and whether it wants to be read.
    #[inline]
    pub fn transport(&mut self, key: Key) -> Option<&mut StreamTransport> {
        self.hub.stream_at(key).map(|stream| &mut stream.transport)
    }

    /// Whether a connection wants to be read now, and if so, whether into memory of its protocol's: [`read_into`](Self::read_into).
    #[inline]
    pub fn wants_read(&mut self, key: Key) -> Option<bool> {
        let stream = self.hub.stream_at(key)?;
        if stream.wants_read() { Some(stream.common.flags & (LENDS | LAYERED) == LENDS) } else { None }
    }

    /// The memory to read into and to queue in.
    pub fn pool(&mut self) -> &mut BufPool {
        &mut self.hub.pool
    }

    /// When something is to be done although nothing happens; a time that has passed: at once.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let hub = &mut self.hub;
        let idle = hub.ready.is_empty()
            && hub.late.is_empty()
            && hub.late_dirty.is_empty()
            && hub.due.is_empty()
            && hub.dirty.is_empty()
            && hub.ops.is_empty();
        if idle { hub.timers.next_deadline() } else { Some(hub.now) }
    }

    /// How many accepted connections a driver takes in one go (contract LOOP-22); 0 while the server rests, or if it is gone.
    #[must_use]
    pub fn accept_batch(&self, listener: Key) -> u32 {
        let serves = self.hub.listener_at(listener).and_then(|listener| self.hub.servers.get(listener.server));
        if serves.is_some_and(crate::hub::Server::accepts) && !self.hub.server_is_resting(listener) {
            self.hub.server_backlog(listener)
        } else {
            0
        }
    }

    /// The options of the sockets that a listener accepts.
    #[must_use]
    pub fn accept_options(&self, listener: Key) -> &[SocketOption] {
        self.hub.server_options(listener)
    }

    /// The backlog of a listener.
    #[must_use]
    pub fn backlog(&self, listener: Key) -> u32 {
        self.hub.server_backlog(listener)
    }

    /// A server whose addresses the caller binds at once: as [`Hub::listen_with`] without an [`Op::Bind`] and without `done`.
    pub fn new_server(
        &mut self,
        listen: &Listen,
        make: impl FnMut(&mut S, Addr) -> Option<Box<dyn Protocol<S>>> + 'static,
    ) -> ServerId {
        self.hub.new_server(Box::new(make), listen, None)
    }

    /// Ends everything without a callback: protocols, timers and scheduled callbacks are dropped, each live connection is reported, and an
    /// [`Op::Close`] is there for each source (contract LIFE-18).
    pub fn close(&mut self) {
        let all: Vec<(Key, bool)> =
            self.hub.endpoints.iter().map(|(key, endpoint)| (key, endpoint.machine().is_some_and(Machine::is_made))).collect();
        for (key, live) in all {
            if live {
                self.hub.report_of(key, |id| Report::ConnectionDropped { id });
            }
            drop(self.hub.remove(key));
        }
        self.hub.servers = crate::key::Slab::new();
        self.hub.ready.clear();
        self.hub.due.clear();
        self.hub.late.clear();
        self.hub.dirty.clear();
        self.hub.late_dirty.clear();
        self.hub.timers = crate::timers::Timers::new();
        self.hub.queries = crate::key::Slab::new();
        self.hub.ops.retain(|op| matches!(op, Op::Close(_) | Op::Forget(_)));
        self.snapshot = 0;
    }
}

impl<S> fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("hub", &self.hub).finish_non_exhaustive()
    }
}

/// What is to be said of a listen that is answered.
impl<S> Engine<S> {
    /// One of a server's addresses is bound, to this one; where its connections are to be accepted. `None`: the server is closed, drop the
    /// socket.
    pub fn bound(&mut self, server: ServerId, local: Option<Addr>) -> Option<Key> {
        self.hub.server_bound(server, local)
    }

    /// All of a server's addresses are bound, or one cannot be: then the server is closed.
    pub fn listening(&mut self, server: ServerId, result: Result<(), ListenError>) {
        self.hub.server_listening(server, result);
    }

    /// An address was skipped because it is not available (contract LOOP-15).
    pub fn address_skipped(&mut self, addr: Addr, error: crate::Error) {
        self.hub.reports.push(Report::AddressSkipped { addr, error });
    }

    pub(crate) fn push_ready(&mut self, ready: Ready<S>) {
        self.hub.ready.push_back(ready);
    }
}

//! The verbs: everything a callback may do, to any endpoint, by id.

mod answers;
mod datagram;
mod endpoint;
mod file;
mod follow;
mod lookup;
mod opening;
mod process;
mod schedule;
mod server;
mod stream;
mod tls;
mod watch;

use answers::Answers;
pub(crate) use endpoint::NO_MEMORY_LENT;
pub(crate) use file::Sendfile;
pub(crate) use lookup::{Lookups, answer};
pub use schedule::Job;
pub(crate) use schedule::Work;
pub use server::ListenError;
pub(crate) use server::{Factory, Listening, Server, Serving, check_tls};
pub(crate) use watch::{Seat, Watch, Watcher};

use crate::addr::Ends;
use crate::endpoint::{About, Common, DatagramEndpoint, Endpoint, IN_DIRTY, IN_DUE, LOSS_QUEUED, Listener, Stream};
use crate::flow::pool::BufPool;
use crate::key::{EndpointId, Key, LoopTag, ServerId, Slab, StreamId};
use crate::kind::Machine;
use crate::observer::{Event, Observer};
use crate::op::Op;
use crate::open::OpenError;
use crate::report::{Report, Reports};
use crate::time::Instant;
use crate::timers::Timers;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

/// The ready queue: one order for everything that is to be called in a turn of its own (contract LIFE-11, LOOP-30).
pub(crate) enum Ready<S> {
    Soon(Job<S>),
    Made(Key),
    OpenFailed(Key, OpenError),
    Listening(Listening<S>, Result<ServerId, ListenError>),
    /// Something of a child process is to be told.
    Happened(Key),
    SendfileDone(Key),
    StartTlsDone(Key),
    Lost(Key),
}

/// No endpoint has this key: a generation is never zero.
pub(crate) const NOBODY: Key = Key::from_bits(0);

/// Everything that can be done with the endpoints of a loop.
///
/// No verb runs a callback: what it makes due runs after the callback that gave the command has returned. Ids are plain values; a
/// stale one gets the answers of a lost connection: writes are discarded, sizes are zero, everything else is a no-op or `None`.
pub struct Hub<S> {
    pub(crate) tag: LoopTag,
    pub(crate) now: Instant,
    pub(crate) endpoints: Slab<Endpoint<S>>,
    pub(crate) about: Vec<About>,
    pub(crate) servers: Slab<Server<S>>,
    /// Of the connections that are being opened.
    pub(crate) openings: BTreeMap<Key, Box<opening::Opening>>,
    pub(crate) queries: Slab<lookup::Query>,
    pub(crate) pool: BufPool,
    /// For datagrams, if the blocks of the other one are too small for them.
    pub(crate) datagram_pool: BufPool,
    /// Whose protocol is being called: its bytes are sent when it returns, without a place in the dirty list.
    /// [`NOBODY`]: nobody's.
    pub(crate) current: Key,
    /// What it answers to datagrams.
    pub(crate) answers: Answers,
    pub(crate) ready: VecDeque<Ready<S>>,
    /// Endpoints that owe a pause or resume, in the order in which they became due.
    pub(crate) due: VecDeque<Key>,
    /// Endpoints that have had their flow callbacks of this iteration and owe another.
    pub(crate) late: VecDeque<Key>,
    pub(crate) dirty: VecDeque<Key>,
    /// Endpoints that are to be looked at again in the next iteration.
    pub(crate) late_dirty: VecDeque<Key>,
    pub(crate) ops: VecDeque<Op>,
    pub(crate) timers: Timers<Work<S>>,
    pub(crate) reports: Reports,
    pub(crate) observer: Option<Box<dyn Observer>>,
    pub(crate) extension: Option<Box<dyn Any>>,
    pub(crate) stopping: bool,
    /// A panic that is still unwinding has been reported.
    pub(crate) panic_reported: bool,
    pub(crate) round: u16,
}

impl<S> Hub<S> {
    pub(crate) fn new(tag: LoopTag, pool: BufPool) -> Self {
        Self {
            tag,
            now: Instant::ZERO,
            endpoints: Slab::new(),
            about: Vec::new(),
            servers: Slab::new(),
            openings: BTreeMap::new(),
            queries: Slab::new(),
            pool,
            datagram_pool: BufPool::new(),
            current: NOBODY,
            answers: Answers::new(),
            ready: VecDeque::new(),
            due: VecDeque::new(),
            late: VecDeque::new(),
            dirty: VecDeque::new(),
            late_dirty: VecDeque::new(),
            ops: VecDeque::new(),
            timers: Timers::new(),
            reports: Reports::default(),
            observer: None,
            extension: None,
            stopping: false,
            panic_reported: false,
            round: 0,
        }
    }

    /// The time of this iteration of the loop.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Lets the loop's `run` return after this iteration.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Reports an error to the loop's error hook; nothing else happens.
    pub fn report(&mut self, error: impl Into<Box<dyn core::error::Error>>) {
        self.reports.push(Report::Application(error.into()));
    }

    /// What a backend keeps for the verbs that it adds. There is one such thing: asking for one of another type replaces it.
    ///
    /// # Panics
    /// Never.
    pub fn extension<T: Any + Default>(&mut self) -> &mut T {
        if !self.extension.as_ref().is_some_and(|extension| extension.is::<T>()) {
            self.extension = Some(Box::new(T::default()));
        }
        match self.extension.as_mut().and_then(|extension| extension.downcast_mut()) {
            Some(extension) => extension,
            None => unreachable!("it has just been put there"),
        }
    }

    // ---- looking things up ----

    /// What an endpoint has in common with those of other kinds, and the memory that it works in.
    pub(crate) fn parts(&mut self, key: Key) -> Option<(&mut dyn Machine, &mut Common, &mut BufPool)> {
        self.disturb();
        let (machine, common) = self.endpoints.get_mut(key)?.parts()?;
        Some((machine, common, &mut self.pool))
    }

    /// As [`parts`](Self::parts), for an id from outside. A key that is good names an endpoint of the kind that it was made for.
    pub(crate) fn checked_parts(&mut self, id: EndpointId) -> Option<(&mut dyn Machine, &mut Common, &mut BufPool)> {
        if id.tag() == self.tag { self.parts(id.key()) } else { None }
    }

    pub(crate) fn endpoint_mut(&mut self, id: EndpointId) -> Option<&mut Endpoint<S>> {
        self.disturb();
        if id.tag() == self.tag { self.endpoints.get_mut(id.key()) } else { None }
    }

    pub(crate) fn machine(&self, id: EndpointId) -> Option<&dyn Machine> {
        if id.tag() == self.tag { self.endpoints.get(id.key())?.machine() } else { None }
    }

    /// Whether the protocol of this endpoint is being called.
    #[inline(always)]
    pub(crate) const fn is_current(&self, key: Key) -> bool {
        self.current.to_bits() == key.to_bits()
    }

    pub(crate) fn endpoint_id(&self, key: Key) -> Option<EndpointId> {
        self.endpoints.get(key)?.id(key, self.tag)
    }

    #[inline]
    pub(crate) fn stream(&self, id: StreamId) -> Option<&Stream<S>> {
        match self.endpoints.get(id.key) {
            Some(Endpoint::Stream(stream)) if id.tag == self.tag => Some(stream),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn stream_mut(&mut self, id: StreamId) -> Option<&mut Stream<S>> {
        if id.tag == self.tag { self.stream_at(id.key) } else { None }
    }

    #[inline]
    pub(crate) fn stream_at(&mut self, key: Key) -> Option<&mut Stream<S>> {
        match self.endpoints.get_mut(key) {
            Some(Endpoint::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn stream_and_pool(&mut self, key: Key) -> Option<(&mut Stream<S>, &mut BufPool)> {
        match self.endpoints.get_mut(key) {
            Some(Endpoint::Stream(stream)) => Some((stream, &mut self.pool)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn datagram_at(&mut self, key: Key) -> Option<&mut DatagramEndpoint<S>> {
        self.disturb();
        match self.endpoints.get_mut(key) {
            Some(Endpoint::Datagram(datagram)) => Some(datagram),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn datagram_and_pool(&mut self, key: Key) -> Option<(&mut DatagramEndpoint<S>, &mut BufPool)> {
        self.disturb();
        match self.endpoints.get_mut(key) {
            Some(Endpoint::Datagram(datagram)) => Some((datagram, &mut self.pool)),
            _ => None,
        }
    }

    pub(crate) fn listener_at(&self, key: Key) -> Option<&Listener> {
        match self.endpoints.get(key) {
            Some(Endpoint::Listener(listener)) => Some(listener),
            _ => None,
        }
    }

    pub(crate) const fn stream_id(&self, key: Key) -> StreamId {
        StreamId::new(key, self.tag)
    }

    pub(crate) const fn server_id(&self, key: Key) -> ServerId {
        ServerId::new(key, self.tag)
    }

    /// What stands beside an endpoint; nothing, if the key is stale: its place may be another's by now.
    pub(crate) fn about(&self, key: Key) -> &About {
        const UNKNOWN: &About = &About::UNKNOWN;
        match self.endpoints.get(key) {
            Some(_) => self.about.get(key.index()).unwrap_or(UNKNOWN),
            None => UNKNOWN,
        }
    }

    // ---- coming and going ----

    pub(crate) fn insert(&mut self, endpoint: Endpoint<S>, about: About) -> Option<Key> {
        let key = self.endpoints.insert(endpoint)?;
        if key.index() >= self.about.len() {
            self.about.resize_with(key.index() + 1, About::default);
        }
        self.about[key.index()] = about;
        Some(key)
    }

    pub(crate) fn set_ends(&mut self, key: Key, ends: Ends) {
        if let Some(about) = self.about.get_mut(key.index()) {
            about.ends = ends;
        }
    }

    /// The one way out: the slot is free, its timers are gone, its source is to be closed, its server has one client less.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Endpoint<S>> {
        if self.openings.contains_key(&key) {
            self.give_up_opening(key);
        }
        self.cancel_timers_of(key);
        self.cancel_layer_timer(key);
        self.unfollow(key);
        self.disturb();
        let mut endpoint = self.endpoints.remove(key)?;
        if let Some((machine, _)) = endpoint.parts() {
            // What is left of a queue goes back to the pool with it.
            machine.abort(&mut self.pool);
        }
        self.ops.push_back(Op::Close(key));
        match &mut endpoint {
            Endpoint::Stream(stream) => {
                if let Some((process, fd)) = stream.common.cold.as_ref().and_then(|cold| cold.child) {
                    self.pipe_lost(process, fd, None);
                }
            }
            Endpoint::Process(process) => {
                for pipe in process.transport.pipes.into_iter().flatten() {
                    drop(self.remove(pipe));
                }
            }
            Endpoint::Datagram(_) | Endpoint::Listener(_) | Endpoint::Attempt { .. } | Endpoint::Watch(_) => {}
        }
        let about = self.about.get_mut(key.index()).map(core::mem::take);
        if let Some(server) = about.and_then(|about| about.server) {
            self.client_gone(server);
        }
        Some(endpoint)
    }

    // ---- what commands and facts lead to ----

    /// Something of the transport changed: whatever is due because of it is put where it will be found. To be called after every
    /// command and fact but the hot ones, which know what they changed.
    pub(crate) fn touch(&mut self, key: Key) {
        if !self.is_current(key) && self.parts(key).is_some_and(|(machine, ..)| machine.has_to_send()) {
            self.look_at(key);
        }
        self.touch_sent(key);
    }

    /// As [`touch`](Self::touch), but whoever sends goes on with it by itself, or when the poller says so: others may come first.
    pub(crate) fn touch_sent(&mut self, key: Key) {
        let Some((machine, common, _)) = self.parts(key) else { return };
        if machine.is_over() && !common.has(LOSS_QUEUED) {
            // Given up before `connection_made`: nobody is told.
            self.observe(key, &Event::GivenUp);
            drop(self.remove(key));
            return;
        }
        if machine.has_to_tell() && common.set(IN_DIRTY) {
            self.dirty.push_back(key);
        }
        let Some((machine, common, _)) = self.parts(key) else { return };
        if machine.is_losing() && common.set(LOSS_QUEUED) {
            self.give_file_up(key);
            self.ready.push_back(Ready::Lost(key));
        }
        self.touch_edges(key);
        self.tend(key);
    }

    /// A pause or resume may have become due.
    pub(crate) fn touch_edges(&mut self, key: Key) {
        let Some((machine, common, _)) = self.parts(key) else { return };
        if machine.is_edge_due() && common.set(IN_DUE) {
            self.due.push_back(key);
        }
    }

    #[inline]
    pub(crate) fn touch_dirty(&mut self, key: Key) {
        if !self.is_current(key) {
            self.look_at(key);
        }
    }

    pub(crate) fn add_discarded(&mut self, key: Key, bytes: usize) {
        if bytes > 0 {
            if let Some((_, common, _)) = self.parts(key) {
                common.cold().discarded += bytes as u64;
            }
        }
    }

    #[inline]
    pub(crate) fn observe(&mut self, key: Key, event: &Event<'_>) {
        if self.observer.is_some() {
            self.observed(key, event);
        }
    }

    #[cold]
    fn observed(&mut self, key: Key, event: &Event<'_>) {
        if let (Some(id), Some(observer)) = (self.endpoint_id(key), &mut self.observer) {
            observer.event(self.now, id, event);
        }
    }

    pub(crate) fn report_of(&mut self, key: Key, report: impl FnOnce(EndpointId) -> Report) {
        if let Some(id) = self.endpoint_id(key) {
            self.reports.push(report(id));
        }
    }
}

impl<S> fmt::Debug for Hub<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("now", &self.now).field("endpoints", &self.endpoints.len()).finish_non_exhaustive()
    }
}

impl<S> Server<S> {
    pub(crate) fn accepts(&self) -> bool {
        self.serving == Serving::Yes
    }
}

//! The event loop: the core's driver, a poller, and the door from other threads.

use crate::clock::Clock;
use crate::ext::has_socket;
use crate::hook::ErrorHook;
use crate::panic;
use crate::resolver::Resolve;
use crate::selector::Selector;
use crate::server::Server;
use crate::socket::{LAST_WAIT, Sys};
use crate::view::{PipeView, ProcessView, SocketView};
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use plimsoll_core::driver::ReadinessDriver;
use plimsoll_core::{
    Addr, BufPool, EndpointId, Engine, Hub, Inbox, Instant, Item, Listen, LoopTag, Observer, Origin, ProcessId, Protocol, Remote,
    Report, Resource, StreamId, Wake,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

type Driver<S, P> = ReadinessDriver<S, Sys<P>>;

/// Loops are counted, so that an id of one names nothing in another. Zero is the tag of an engine without a loop.
static LOOPS: AtomicU32 = AtomicU32::new(1);

/// Wakes the loop, for whoever has something for it.
struct Bell(Arc<dyn Wake>);

impl Wake for Bell {
    fn wake(&self) {
        self.0.wake();
    }
}

/// How many descriptors one wait sees at most.
const EVENTS: usize = 1024;

/// An event loop over the poller `P`, with the application's state `S`.
///
/// An iteration ([`run_once`](Self::run_once)) calls what is scheduled, waits, serves the connections that are ready, and calls the timers that
/// are due. [`run`](Self::run) does that until [`Hub::stop`]. What callbacks do they do through the [`Hub`]; outside of callbacks it is
/// [`hub`](Self::hub).
///
/// # Failures
///
/// A callback that panics costs its own connection and nothing else: the panic is caught, reported to the error hook, and the iteration goes on
/// behind it (contract RUST-8, LOOP-32). That needs a build that unwinds.
///
/// # Threads
///
/// A loop stays on its thread, with everything that can cause an effect; other threads reach it through its [`Remote`] (contract THREAD-1).
///
/// ```compile_fail,E0277
/// //= THREAD-1
/// fn is_send<T: Send>() {}
///
/// fn event_loop<P: plimsoll_sys::Selector + Send>() where P::Events: Send {
///     is_send::<plimsoll_sys::EventLoop<(), P>>();
/// }
/// ```
///
/// ```compile_fail,E0277
/// //= THREAD-1
/// fn is_send<T: Send>() {}
///
/// is_send::<plimsoll_core::Hub<()>>();
/// ```
///
/// ```compile_fail,E0277
/// //= THREAD-1
/// fn is_send<T: Send>() {}
///
/// is_send::<plimsoll_core::Context<'static, ()>>();
/// ```
///
/// Ids are plain values, and a remote is meant to be sent:
///
/// ```
/// //= THREAD-1, THREAD-2
/// fn is_send<T: Send + Sync>() {}
///
/// is_send::<plimsoll_core::StreamId>();
/// is_send::<plimsoll_core::ServerId>();
/// is_send::<plimsoll_core::Remote<()>>();
/// ```
///
/// # Inside another loop
///
/// The descriptor of the poller ([`AsFd`]) is readable when something is to be done. So watch it, sleep at most [`poll_timeout`](Self::poll_timeout),
/// and call `run_once(Some(Duration::ZERO))`.
///
/// # End
///
/// Dropping a loop is [closing](Self::close) it.
pub struct EventLoop<S, P: Selector> {
    driver: Driver<S, P>,
    events: P::Events,
    inbox: Inbox<S>,
    clock: Clock,
    hook: ErrorHook,
    stopping: bool,
    closed: bool,
    /// The last wait may not have had room for all that is ready.
    crowded: bool,
}

/// Makes an [`EventLoop`] that is not the ordinary one.
#[derive(Debug)]
pub struct Builder<P> {
    selector: Option<P>,
    read_block: usize,
}

impl<P: Selector> Builder<P> {
    /// The most that one read brings, 64 KiB unless said otherwise. Large blocks are good for bulk; there is one for all connections.
    #[must_use]
    pub const fn read_block(mut self, bytes: usize) -> Self {
        self.read_block = bytes;
        self
    }

    /// Over this poller.
    #[must_use]
    pub fn selector(mut self, selector: P) -> Self {
        self.selector = Some(selector);
        self
    }

    /// Makes it.
    ///
    /// # Errors
    /// The system's, if it has no poller for us.
    pub fn build<S>(self, state: S) -> io::Result<EventLoop<S, P>> {
        let selector = match self.selector {
            Some(selector) => selector,
            None => P::new()?,
        };
        let bell: Arc<dyn Wake> = Arc::new(selector.waker()?);
        let inbox = Inbox::new(Bell(bell.clone()));
        let tag = LoopTag(LOOPS.fetch_add(1, Ordering::Relaxed));
        let engine = Engine::with(state, tag, BufPool::with_block_size(self.read_block));
        Ok(EventLoop {
            driver: ReadinessDriver::new(engine, Sys::new(selector, bell)),
            events: P::events(EVENTS),
            inbox,
            clock: Clock::new(),
            hook: ErrorHook::default(),
            stopping: false,
            closed: false,
            crowded: false,
        })
    }
}

impl<S, P: Selector> EventLoop<S, P> {
    /// A loop with this state of the application's.
    ///
    /// # Errors
    /// The system's, if it has no poller for us.
    pub fn new(state: S) -> io::Result<Self> {
        Self::builder().build(state)
    }

    /// A loop that is not the ordinary one.
    #[must_use]
    pub const fn builder() -> Builder<P> {
        Builder { selector: None, read_block: BufPool::BLOCK }
    }

    // ---- running ----

    /// Iterates until [`Hub::stop`]. When nothing is left to do it waits, as asyncio's `run_forever`: another thread may still send something.
    ///
    /// A stop that was said before lets it run one iteration, without waiting.
    ///
    /// This is how servers serve; no callback can run the loop that calls it once more:
    ///
    /// ```compile_fail,E0599
    /// //= LOOP-17
    /// fn again(hub: &mut plimsoll_core::Hub<()>) {
    ///     hub.run();
    /// }
    /// ```
    ///
    /// # Errors
    /// The poller's, or that the loop is closed. It can be called again.
    pub fn run(&mut self) -> io::Result<()> {
        loop {
            self.iterate(self.stopping.then_some(Duration::ZERO))?;
            if self.take_stop() {
                return Ok(());
            }
        }
    }

    /// One iteration, that waits for at most `limit`, and not at all if there is something to call at once: so it returns soon after it has called
    /// something.
    ///
    /// # Errors
    /// The poller's, or that the loop is closed. It can be called again.
    pub fn run_once(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let busy = self.poll_timeout() == Some(Duration::ZERO);
        self.iterate(if busy { Some(Duration::ZERO) } else { limit })
    }

    fn iterate(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.check_open()?;
        let deadline = self.driver.timeout();
        // With nothing to call it does not matter what time it is.
        let now = if deadline.is_some() { self.clock.now() } else { Instant::ZERO };
        self.drive(|driver| driver.prepare(now));
        let timeout = self.patience(limit);
        self.driver.io().selector.wait(&mut self.events, timeout)?;
        let driver = &mut self.driver;
        let mut seen = 1; // The waker may be among them.
        P::each(&self.events, |index, ready| {
            seen += 1;
            driver.mark(index, ready);
        });
        self.crowded = seen >= EVENTS;
        let now = self.clock.now();
        while let Some((query, found)) = self.driver.io().lookups.next_answer() {
            self.driver.engine().set_now(now);
            self.driver.engine().resolved(query, found);
        }
        let items = self.inbox.drain();
        if !items.is_empty() {
            self.call_soon(items);
        }
        self.drive(|driver| driver.process(now));
        Ok(())
    }

    /// What other threads sent.
    #[inline(never)]
    fn call_soon(&mut self, items: Vec<Item<S>>) {
        for item in items {
            self.driver.engine().hub().call_boxed_soon(item);
        }
    }

    /// How long the next iteration may wait: until the next timer, not at all if there is something to call at once, for ever (`None`) if there is
    /// nothing.
    pub fn poll_timeout(&mut self) -> Option<Duration> {
        if self.closed {
            return None;
        }
        if self.crowded {
            return Some(Duration::ZERO);
        }
        let deadline = self.driver.timeout()?;
        if deadline <= self.driver.engine().hub().now() {
            return Some(Duration::ZERO);
        }
        Some(deadline.saturating_since(self.clock.now()))
    }

    /// Whether [`Hub::stop`] was said since this was asked last: for those who iterate by hand.
    pub fn take_stop(&mut self) -> bool {
        self.notice_stop();
        core::mem::take(&mut self.stopping)
    }

    /// Closes every socket, without a callback; each live connection is reported once (contract LIFE-18). Children that still run are killed, and waited for
    /// for a second at most; one that has not ended by then is left to the system. Nothing else is waited for. Remotes answer that the
    /// loop is closed from now on (contract THREAD-4). The state stays; ids name nothing any more.
    pub fn close(&mut self) {
        if core::mem::replace(&mut self.closed, true) {
            return;
        }
        // What is dropped may panic.
        while let Err(message) = panic::catch(|| self.inbox.close()) {
            self.driver.io().panics.push(message);
        }
        self.drive(ReadinessDriver::close);
        self.drive(|driver| driver.io().lookups.close());
        self.driver.io().children.reap_dying(LAST_WAIT);
    }

    // ---- the application's side ----

    /// The verbs, for use outside of callbacks. What it is told is carried out by the next iteration.
    pub fn hub(&mut self) -> &mut Hub<S> {
        self.hub_and_state().0
    }

    /// The application's state.
    pub fn state(&mut self) -> &mut S {
        self.driver.engine().state()
    }

    /// Both at once.
    pub fn hub_and_state(&mut self) -> (&mut Hub<S>, &mut S) {
        // It may have been a while since the last iteration, and a timer must not come too early for that.
        let now = self.clock.now();
        let engine = self.driver.engine();
        engine.set_now(now);
        engine.hub_and_state()
    }

    /// Reaches the loop from other threads.
    #[must_use]
    pub fn remote(&self) -> Remote<S> {
        self.inbox.remote()
    }

    /// Listens at once. `make` is called for each connection, with the state and the peer's address. Names of hosts are looked up before, and everything waits for
    /// that.
    ///
    /// Inside of callbacks it is [`Hub::listen`].
    ///
    /// # Errors
    /// A [`ListenError`](plimsoll_core::ListenError) that names the address, in an [`io::Error`].
    pub fn listen<Q: Protocol<S> + 'static>(
        &mut self,
        at: impl Into<Listen>,
        mut make: impl FnMut(&mut S, Addr) -> Q + 'static,
    ) -> io::Result<Server> {
        self.listen_with(at, move |state, peer| Some(Box::new(make(state, peer)) as Box<dyn Protocol<S>>))
    }

    /// As [`listen`](Self::listen), with a factory that may refuse a connection, which is then closed, and may make different protocols.
    ///
    /// # Errors
    /// As there.
    pub fn listen_with(
        &mut self,
        at: impl Into<Listen>,
        make: impl FnMut(&mut S, Addr) -> Option<Box<dyn Protocol<S>>> + 'static,
    ) -> io::Result<Server> {
        self.check_open()?;
        let id = self.driver.listen(&at.into(), make);
        self.deliver_reports();
        let id = id?;
        Ok(Server::new(id, self.driver.engine().hub().sockets(id)))
    }

    /// As [`listen`](Self::listen), on a TCP socket that is bound, or listens already. It is the loop's from now on, also if this fails (contract
    /// RUST-11). Inside of callbacks it is [`HubExt::adopt_listener`](crate::HubExt::adopt_listener).
    ///
    /// # Errors
    /// `InvalidInput` if it is no such socket, or the system's.
    pub fn listen_on<Q: Protocol<S> + 'static>(
        &mut self,
        socket: impl Into<OwnedFd>,
        mut make: impl FnMut(&mut S, Addr) -> Q + 'static,
    ) -> io::Result<Server> {
        self.check_open()?;
        let make = move |state: &mut S, peer| Some(Box::new(make(state, peer)) as Box<dyn Protocol<S>>);
        let id = self.driver.listen_on(Resource::new(socket.into()), make);
        self.deliver_reports();
        let id = id?;
        Ok(Server::new(id, self.driver.engine().hub().sockets(id)))
    }

    /// The socket of a connection, to look at its options and addresses; `None` once lost (contract INFO-4). What belongs to the loop is
    /// to be left alone: its bytes, its non-blocking mode, and whether it is open.
    ///
    /// Inside of callbacks it is [`HubExt::with_socket`](crate::HubExt::with_socket).
    pub fn socket(&mut self, id: impl Into<EndpointId>) -> Option<SocketView<'_>> {
        let id = id.into();
        let source = if has_socket(self.driver.engine().hub(), id) { self.driver.source(id) } else { None };
        source.map(|source| SocketView::new(source.as_fd()))
    }

    /// The descriptor of a pipe, to look at; `None` once lost (contract INFO-6). Inside of callbacks it is [`HubExt::with_pipe`](crate::HubExt::with_pipe).
    pub fn pipe(&mut self, id: StreamId) -> Option<PipeView<'_>> {
        let source = if self.driver.engine().hub().is_pipe(id) { self.driver.source(id) } else { None };
        source.map(|source| PipeView::new(source.as_fd()))
    }

    /// A child process, to look at; `None` before `connection_made`, and once it was reaped (contract INFO-6). Inside of callbacks it is
    /// [`HubExt::with_process`](crate::HubExt::with_process).
    pub fn process(&mut self, id: ProcessId) -> Option<ProcessView<'_>> {
        let pid = self.driver.engine().hub().pid(id)?;
        self.driver.source(id).map(|source| ProcessView::new(pid, source.as_fd()))
    }

    /// Names are looked up by `resolver` from now on. Without one the system's `getaddrinfo` is asked, on threads: see [`ThreadedResolver`](crate::ThreadedResolver).
    pub fn set_resolver(&mut self, resolver: impl Resolve + 'static) {
        self.driver.io().lookups.set_resolver(Box::new(resolver));
    }

    /// Reports go to `hook` from now on. Without one they are a line each on the standard error output.
    pub fn set_error_hook(&mut self, hook: impl FnMut(Report) + 'static) {
        self.hook = ErrorHook::new(hook);
    }

    /// Shows everything that happens to connections to an observer from now on.
    pub fn set_observer(&mut self, observer: Box<dyn Observer>) {
        self.driver.engine().set_observer(observer);
    }

    // ---- inside ----

    #[inline]
    fn check_open(&self) -> io::Result<()> {
        if self.closed { Err(closed()) } else { Ok(()) }
    }

    /// How long to wait now.
    fn patience(&mut self, limit: Option<Duration>) -> Option<Duration> {
        if self.notice_stop() {
            return Some(Duration::ZERO);
        }
        match (self.poll_timeout(), limit) {
            (Some(timeout), Some(limit)) => Some(timeout.min(limit)),
            (timeout, limit) => timeout.or(limit),
        }
    }

    /// Whether a stop was said since this was asked last; it is remembered for [`take_stop`](Self::take_stop).
    fn notice_stop(&mut self) -> bool {
        let said = self.driver.engine().take_stop();
        self.stopping |= said;
        said
    }

    /// Takes a step of the iteration, again and again until no callback of it panics any more; then says what there is to report.
    fn drive(&mut self, mut step: impl FnMut(&mut Driver<S, P>)) {
        while let Err(message) = panic::catch(|| step(&mut self.driver)) {
            self.caught(message);
        }
        self.deliver_reports();
    }

    /// A callback panicked: the engine has a report of it, without the message.
    #[cold]
    fn caught(&mut self, message: Box<str>) {
        let mut reports = Vec::new();
        while let Some(report) = self.driver.engine().poll_report() {
            reports.push(report);
        }
        let fresh = reports.iter_mut().rev().find_map(|report| match report {
            Report::Panicked { message: empty @ None, .. } => Some(empty),
            _ => None,
        });
        match fresh {
            Some(empty) => *empty = Some(message),
            // Whatever panicked without a report (a destructor, an observer) gets one too.
            None => reports.push(Report::Panicked { origin: Origin::Scheduled, message: Some(message) }),
        }
        for report in reports {
            self.hook.give(report);
        }
    }

    fn deliver_reports(&mut self) {
        if self.driver.engine().has_report() || !self.driver.io().panics.is_empty() {
            self.deliver_some();
        }
    }

    #[cold]
    fn deliver_some(&mut self) {
        while let Some(report) = self.driver.engine().poll_report() {
            self.hook.give(report);
        }
        for message in core::mem::take(&mut self.driver.io().panics) {
            self.hook.give(Report::Panicked { origin: Origin::Scheduled, message: Some(message) });
        }
    }
}

#[cold]
fn closed() -> io::Error {
    io::Error::other("the loop is closed")
}

impl<S, P: Selector + AsFd> AsFd for EventLoop<S, P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.driver.io_ref().selector.as_fd()
    }
}

impl<S, P: Selector + AsFd> AsRawFd for EventLoop<S, P> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<S, P: Selector> Drop for EventLoop<S, P> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<S, P: Selector> fmt::Debug for EventLoop<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("driver", &self.driver).field("closed", &self.closed).finish_non_exhaustive()
    }
}

//! A loop in memory.

use super::checker::TraceChecker;
use super::memory::{Memory, REFUSED, Socket, addr};
use crate::addr::{Addr, Ends};
use crate::driver::ReadinessDriver;
use crate::engine::Engine;
use crate::error::ErrorKind;
use crate::flow::pool::BufPool;
use crate::hub::{Hub, ListenError};
use crate::key::{EndpointId, LoopTag, ServerId, StreamId};
use crate::open::{Connect, Listen, SocketOption};
use crate::protocol::Protocol;
use crate::report::Report;
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::{catch_unwind, resume_unwind};

/// A loop that does not come to rest in so many iterations never will: a small block needs many of them for much data, and a second or two is soon enough to
/// give a real one up.
const ROUNDS: usize = 1_000_000;

/// The production engine and driver on sockets that are queues of bytes: see the [module](crate::testing).
///
/// Every connection is held to the grammar of the contract by a [`TraceChecker`]; dropping the harness panics if it was broken.
pub struct Harness<S> {
    driver: ReadinessDriver<S, Memory>,
    checker: TraceChecker,
    now: Instant,
}

impl<S> Harness<S> {
    /// A loop with this state, and nothing in it.
    pub fn new(state: S) -> Self {
        Self::with_block_size(state, BufPool::BLOCK)
    }

    /// A loop whose receives bring at most so many bytes.
    pub fn with_block_size(state: S, block_size: usize) -> Self {
        let checker = TraceChecker::recording();
        let mut engine = Engine::with(state, LoopTag::default(), BufPool::with_block_size(block_size));
        engine.set_observer(checker.observer());
        Self { driver: ReadinessDriver::new(engine, Memory::default()), checker, now: Instant::ZERO }
    }

    // ---- connections ----

    /// A connection that we made, established.
    #[track_caller]
    pub fn connect(&mut self, protocol: impl Protocol<S> + 'static) -> StreamId {
        let id = self.open(Connect::to(addr(7)), protocol);
        self.run();
        id
    }

    /// A connection that is to be made, and is not yet.
    pub fn open(&mut self, to: impl Into<Connect>, protocol: impl Protocol<S> + 'static) -> StreamId {
        self.hub().connect(to, protocol)
    }

    /// The host of that name has these addresses from now on; no other host has any.
    pub fn set_host(&mut self, name: &str, addrs: impl IntoIterator<Item = SocketAddr>) {
        self.driver.io().names.insert(name.into(), addrs.into_iter().collect());
    }

    /// An address where nobody listens.
    #[must_use]
    pub fn refused_addr() -> Addr {
        addr(REFUSED)
    }

    /// Listens.
    ///
    /// # Errors
    /// If the address is taken, or not a loopback one.
    pub fn listen<P: Protocol<S> + 'static>(
        &mut self,
        at: impl Into<Listen>,
        mut make: impl FnMut(&mut S, Addr) -> P + 'static,
    ) -> Result<ServerId, ListenError> {
        self.driver.listen(&at.into(), move |state, peer| Some(Box::new(make(state, peer))))
    }

    /// A peer connects to a listening socket: the connection that was made of it, if one was.
    pub fn accept(&mut self, at: impl Into<Addr>) -> Option<StreamId> {
        let before = self.checker.made();
        self.dial(at.into());
        self.run();
        self.checker.last_made().filter(|_| self.checker.made() > before)?.stream()
    }

    /// A peer connects to a listening socket; nothing is done about it yet.
    pub fn dial(&mut self, at: Addr) {
        let memory = self.driver.io();
        let number = memory.sockets.len();
        let at = Some(at);
        let listens = |socket: &&mut Socket| !socket.closed && socket.ends.peer.is_none() && socket.ends.local == at;
        if let Some(listener) = memory.sockets.iter_mut().find(listens) {
            listener.backlog.push_back(number);
            memory.socket(Ends::new(at, Some(addr(40_000))));
        }
    }

    /// The next accepts on that address fail so.
    pub fn fail_accepts(&mut self, at: impl Into<Addr>, errors: impl IntoIterator<Item = ErrorKind>) {
        let at = Some(at.into());
        if let Some(listener) = self.driver.io().sockets.iter_mut().find(|socket| socket.ends.local == at) {
            listener.accept_errors.extend(errors);
        }
    }

    // ---- the peer ----

    pub(super) fn memory(&mut self) -> &mut Memory {
        self.driver.io()
    }

    fn socket(&mut self, id: StreamId) -> Option<&mut Socket> {
        self.driver.io().of(id.key())
    }

    /// Whether the peer may still send: it has neither finished nor reset the connection.
    pub(super) fn peer_sends(&mut self, id: StreamId) -> bool {
        self.socket(id).is_some_and(|socket| !socket.eof && socket.error.is_none())
    }

    /// The peer sends bytes.
    #[track_caller]
    pub fn feed(&mut self, id: StreamId, bytes: &[u8]) {
        if let Some(socket) = self.socket(id) {
            socket.incoming.extend(bytes);
        }
        self.run();
    }

    /// The peer finishes sending.
    #[track_caller]
    pub fn eof(&mut self, id: StreamId) {
        if let Some(socket) = self.socket(id) {
            socket.eof = true;
        }
        self.run();
    }

    /// The peer resets the connection.
    #[track_caller]
    pub fn reset(&mut self, id: StreamId) {
        if let Some(socket) = self.socket(id) {
            socket.error = Some(ErrorKind::ConnectionReset);
        }
        self.run();
    }

    /// From now on the peer takes only so many bytes more; without a call it takes all.
    #[track_caller]
    pub fn window(&mut self, id: StreamId, bytes: usize) {
        if let Some(socket) = self.socket(id) {
            socket.window = bytes;
        }
        self.run();
    }

    /// From now on a receive brings at most so many bytes.
    pub fn chunk(&mut self, bytes: usize) {
        self.driver.io().chunk = Some(bytes);
    }

    /// What was sent to the peer since this was asked last.
    pub fn sent(&mut self, id: StreamId) -> Vec<u8> {
        self.socket(id).map(|socket| core::mem::take(&mut socket.outgoing)).unwrap_or_default()
    }

    /// Whether our sending half was finished.
    pub fn is_finished(&mut self, id: StreamId) -> bool {
        self.socket(id).is_some_and(|socket| socket.finished)
    }

    /// Whether our socket was closed.
    pub fn is_closed(&mut self, id: impl Into<EndpointId>) -> bool {
        self.memory().of(id.into().key()).is_some_and(|socket| socket.closed)
    }

    /// The options that were set on our socket, in order.
    pub fn options(&mut self, id: StreamId) -> Vec<SocketOption> {
        let memory = self.driver.io();
        let number = memory.sockets.iter().rposition(|socket| socket.key == Some(id.key()));
        memory.options.iter().filter(|(of, _)| Some(*of) == number).map(|&(_, option)| option).collect()
    }

    // ---- the loop ----

    /// The verbs.
    pub fn hub(&mut self) -> &mut Hub<S> {
        self.driver.engine().hub()
    }

    /// The application's state.
    pub fn state(&mut self) -> &mut S {
        self.driver.engine().state()
    }

    /// The endpoint's callbacks so far, in the words of the contract.
    #[must_use]
    pub fn trace(&self, id: impl Into<EndpointId>) -> String {
        self.checker.trace(id)
    }

    /// Everything that was reported since this was asked last, in words.
    pub fn reports(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.driver.engine().poll_report()).map(|report| report.to_string()).collect()
    }

    /// Time passes, and everything that is due by then happens at its time.
    #[track_caller]
    pub fn advance(&mut self, by: Duration) {
        self.run();
        let end = self.now.saturating_add(by);
        while let Some(next) = self.driver.timeout().filter(|&next| next <= end) {
            self.now = self.now.max(next);
            self.run();
        }
        self.now = end;
        self.run();
    }

    /// Lets everything happen that can happen now.
    ///
    /// # Panics
    /// If that never comes to an end.
    #[track_caller]
    pub fn run(&mut self) {
        for _ in 0..ROUNDS {
            self.run_once();
            if self.driver.timeout().is_none_or(|next| next > self.now) && !self.is_anything_ready() {
                return;
            }
        }
        panic!("the loop does not come to rest");
    }

    /// One iteration. A callback that panics is reported and costs its connection, as in an event loop.
    ///
    /// # Panics
    /// If something else does.
    pub fn run_once(&mut self) {
        let now = self.now;
        self.guarded(|driver| driver.prepare(now));
        for (index, ready) in self.driver.io().ready() {
            self.driver.mark(index, ready);
        }
        self.guarded(|driver| driver.process(now));
    }

    fn guarded(&mut self, mut drive: impl FnMut(&mut ReadinessDriver<S, Memory>)) {
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| drive(&mut self.driver))) {
            let message = panic.downcast_ref::<&str>().map_or("?", |text| *text);
            if !self.driver.engine().set_panic_message(message.into()) {
                // It is the loop's own.
                resume_unwind(panic);
            }
        }
    }

    /// Whether a socket is ready in a way that its connection still wants.
    fn is_anything_ready(&mut self) -> bool {
        for (index, ready) in self.driver.io().ready() {
            let key = self.driver.io().sockets.iter().rev().find_map(|socket| socket.key.filter(|key| key.index() == index));
            let Some(key) = key else { continue };
            let engine = self.driver.engine();
            let datagrams = engine.datagrams(key).map(|transport| (transport.wants_receive(), transport.wants_send()));
            let reads =
                engine.wants_read(key).is_some() || engine.accept_batch(key) > 0 || datagrams.is_some_and(|wants| wants.0);
            let sends = engine.wants_send(key) != crate::Wants::Nothing || datagrams.is_some_and(|wants| wants.1);
            if (ready.readable || ready.error) && reads || ready.writable && sends {
                return true;
            }
        }
        false
    }

    /// Ends the loop without a callback.
    pub fn close(&mut self) -> Vec<Report> {
        self.driver.close();
        core::iter::from_fn(|| self.driver.engine().poll_report()).collect()
    }
}

impl<S> core::fmt::Debug for Harness<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Harness").field("now", &self.now).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::flow::data::Data;
    use crate::observer::{Event, Observer};

    struct Count;

    impl Protocol<usize> for Count {
        fn data_received(&mut self, cx: &mut Context<'_, usize>, data: Data<'_>) {
            *cx.state += data.len();
        }
    }

    struct Loud;

    impl Protocol<()> for Loud {
        fn data_received(&mut self, _: &mut Context<'_, ()>, _: Data<'_>) {
            panic!("the protocol's own");
        }
    }

    impl Observer for Loud {
        fn event(&mut self, _: Instant, _: EndpointId, _: &Event<'_>) {
            panic!("the loop's own");
        }
    }

    #[test]
    fn a_panic_of_a_callback_is_reported() {
        //= RUST-8
        let mut harness = Harness::new(());
        let id = harness.connect(Loud);
        harness.feed(id, b"x");
        assert!(harness.trace(id).ends_with("lost(callback failed)"));
        assert!(harness.reports()[0].contains("the protocol's own"));
    }

    #[test]
    #[should_panic(expected = "the loop's own")]
    fn a_panic_that_no_callback_is_to_blame_for_goes_through() {
        //= RUST-6
        let mut harness = Harness::new(());
        harness.driver.engine().set_observer(Box::new(Loud));
        harness.connect(Loud);
    }

    #[test]
    fn much_data_a_byte_at_a_time_comes_to_rest() {
        //= READ-1
        const MUCH: usize = 200_000;
        let mut harness = Harness::with_block_size(0, 1);
        let id = harness.connect(Count);
        harness.feed(id, &[7; MUCH]);
        harness.run();
        assert_eq!(*harness.state(), MUCH);
    }
}

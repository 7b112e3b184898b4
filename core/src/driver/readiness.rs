//! The driver of pollers that say when a call would not block.

use super::{Drive, Phase, Sockets, Table, concerns_one_connection};
use crate::addr::Ends;
use crate::engine::{Engine, ReadResult};
use crate::error::Error;
use crate::flow::data::Data;
use crate::flow::queue::MAX_PIECES;
use crate::key::{Key, ServerId, StreamId};
use crate::open::{Connect, Listen};
use crate::stream::Wants;
use crate::time::Instant;
use crate::{Addr, ListenError, Protocol};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use bytes::BytesMut;

/// How many blocks of one connection are read in one go while they come back full (contract READ-3).
const READS: usize = 4;
/// How many sends one connection gets in one go while the kernel takes all.
const SENDS: usize = 4;

/// What a poller said of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "made by backends, field by field")]
pub struct Ready {
    /// A receive, or an accept, would not block.
    pub readable: bool,
    /// A send would not block, or a connect has come to its end.
    pub writable: bool,
    /// The peer has finished sending.
    pub read_closed: bool,
    /// Sending is over.
    pub write_closed: bool,
    /// An error waits to be fetched.
    pub error: bool,
}

/// What a level-triggered poller is to tell of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "a poller knows nothing else")]
pub struct Interest {
    /// That a receive would not block.
    pub readable: bool,
    /// That a send would not block.
    pub writable: bool,
}

/// How a poller tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a poller tells once or on and on")]
pub enum Trigger {
    /// Once, when something becomes possible: nothing ever has to be armed.
    Edge,
    /// As long as it is possible: what is not wanted now has to be disarmed.
    Level,
}

/// Calls that never block: `Ok(None)` says that they would have. An interrupted call is to be repeated inside, or told as that.
pub trait ReadinessIo: Sockets {
    /// How the poller tells.
    fn trigger(&self) -> Trigger;

    /// Receives into `buf`; `Some(0)` is the end.
    ///
    /// # Errors
    /// The system's: they end the connection.
    fn recv(&mut self, source: &mut Self::Source, buf: &mut [u8]) -> ReadResult;

    /// Sends the foremost bytes of `bufs`, at most [`MAX_PIECES`] slices; how many the kernel took.
    ///
    /// # Errors
    /// The system's: they end the connection.
    fn send(&mut self, source: &mut Self::Source, bufs: &[&[u8]]) -> ReadResult;

    /// Finishes the sending half.
    ///
    /// # Errors
    /// The system's.
    fn shutdown_write(&mut self, source: &mut Self::Source) -> Result<(), Error>;

    /// Begins to connect; it is writable when that has come to its end.
    ///
    /// # Errors
    /// If it cannot even begin.
    fn connect(&mut self, to: &Connect) -> Result<Self::Source, Error>;

    /// What has become of a connect; `None`: it is under way.
    ///
    /// # Errors
    /// Why it failed.
    fn connect_result(&mut self, source: &mut Self::Source) -> Result<Option<Ends>, Error>;

    /// Accepts a connection.
    ///
    /// # Errors
    /// Of one connection (`ConnectionAborted`, `PermissionDenied` …) or for lack of something, which lets accepting rest.
    fn accept(&mut self, source: &mut Self::Source) -> Result<Option<(Self::Source, Ends)>, Error>;

    /// Tells a level-triggered poller what to tell; nothing at all means: not even errors. Never called for an edge-triggered one.
    ///
    /// # Errors
    /// The system's.
    fn arm(&mut self, source: &Self::Source, key: Key, interest: Interest) -> Result<(), Error>;
}

/// It is in the run queue.
const QUEUED: u8 = 1;
/// A receive would not block, as far as is known.
const READABLE: u8 = 1 << 1;
/// The peer has finished: a short receive does not mean that nothing is left.
const READ_CLOSED: u8 = 1 << 2;
/// A send would block, as far as is known.
const BLOCKED: u8 = 1 << 3;
/// A send would not block any more: there may be something to send.
const FLUSH: u8 = 1 << 4;
const CONNECTING: u8 = 1 << 5;
const LISTENING: u8 = 1 << 6;

struct Conn<Y> {
    source: Y,
    flags: u8,
    armed: Interest,
}

/// An engine over a poller that says when a call would not block.
///
/// Readiness is remembered until a call says otherwise, so a paused reader loses nothing, spurious readiness changes nothing, and on an
/// edge-triggered poller pausing and resuming cost no system call.
pub struct ReadinessDriver<S, Y: ReadinessIo> {
    engine: Engine<S>,
    io: Y,
    conns: Table<Conn<Y::Source>>,
    /// What is to be served: marked by the poller, or left over from a budget.
    run: VecDeque<Key>,
    /// How many of them belong to this iteration.
    left: usize,
    /// What is received into, for all connections.
    block: BytesMut,
    phase: Phase,
    level: bool,
}

impl<S, Y: ReadinessIo> ReadinessDriver<S, Y> {
    /// Puts the two together.
    pub fn new(engine: Engine<S>, io: Y) -> Self {
        let level = io.trigger() == Trigger::Level;
        Self {
            engine,
            io,
            conns: Table::new(),
            run: VecDeque::new(),
            left: 0,
            block: BytesMut::new(),
            phase: Phase::Between,
            level,
        }
    }

    /// The engine: its hub, its state, its reports.
    pub fn engine(&mut self) -> &mut Engine<S> {
        &mut self.engine
    }

    /// The calls.
    pub fn io(&mut self) -> &mut Y {
        &mut self.io
    }

    /// Runs the ready queue as it stands, and everything that it led to. If it unwinds, call it again.
    pub fn prepare(&mut self, now: Instant) {
        if self.phase != Phase::Preparing {
            self.engine.begin_round(now);
            self.phase = Phase::Preparing;
        }
        self.run_ready();
        self.phase = Phase::Between;
    }

    /// When something is to be done although nothing happens; a time that has passed: at once.
    pub fn timeout(&mut self) -> Option<Instant> {
        if self.run.is_empty() { self.engine.poll_timeout() } else { Some(Instant::ZERO) }
    }

    /// The poller said something of the source at this index (of the key that it was attached with). Calls nothing of the application's; to be called
    /// between a wait and [`process`](Self::process).
    #[inline]
    pub fn mark(&mut self, index: usize, ready: Ready) {
        let Some(Some((generation, conn))) = self.conns.rows.get_mut(index) else { return };
        let broken = ready.error;
        if ready.readable || ready.read_closed || broken {
            conn.flags |= READABLE;
        }
        if ready.read_closed || broken {
            conn.flags |= READ_CLOSED;
        }
        if (ready.writable || ready.write_closed || broken) && conn.flags & (BLOCKED | CONNECTING) != 0 {
            conn.flags = conn.flags & !BLOCKED | FLUSH;
        }
        if conn.flags & QUEUED == 0 && conn.flags & (READABLE | FLUSH) != 0 {
            conn.flags |= QUEUED;
            self.run.push_back(Key::new(index as u32, *generation));
        }
    }

    /// Serves what was marked, then the timers that are due, and everything that it led to. If it unwinds, call it again.
    pub fn process(&mut self, now: Instant) {
        if self.phase != Phase::Processing {
            self.engine.set_now(now);
            self.left = self.run.len();
            self.phase = Phase::Processing;
        }
        self.drain_due();
        while self.left > 0 {
            self.left -= 1;
            if let Some(key) = self.run.pop_front() {
                self.serve(key);
            }
        }
        self.run_timers();
        self.phase = Phase::Between;
    }

    /// Binds and listens at once, for callers outside of callbacks: as [`Hub::listen_with`](crate::Hub::listen_with).
    ///
    /// # Errors
    /// The address that cannot be bound, and why.
    pub fn listen(
        &mut self,
        listen: &Listen,
        make: impl FnMut(&mut S, Addr) -> Option<Box<dyn Protocol<S>>> + 'static,
    ) -> Result<ServerId, ListenError> {
        self.listen_now(listen, make)
    }

    /// As [`listen`](Self::listen), on a socket that is taken over.
    ///
    /// # Errors
    /// Why it cannot be listened on.
    pub fn listen_on(
        &mut self,
        socket: crate::Resource,
        make: impl FnMut(&mut S, Addr) -> Option<Box<dyn Protocol<S>>> + 'static,
    ) -> Result<ServerId, ListenError> {
        self.listen_on_now(socket, make)
    }

    /// The source of a connection, for callers outside of callbacks.
    pub fn source(&mut self, id: StreamId) -> Option<&Y::Source> {
        self.engine.transport(id.key())?;
        self.conns.get_mut(id.key()).map(|conn| &conn.source)
    }

    /// Ends everything without a callback and closes every socket (contract LIFE-18).
    pub fn close(&mut self) {
        self.engine.close();
        self.carry_out_all();
        self.run.clear();
        self.left = 0;
        self.phase = Phase::Between;
    }

    fn queue(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key) {
            if conn.flags & QUEUED == 0 {
                conn.flags |= QUEUED;
                self.run.push_back(key);
            }
        }
    }

    fn has(&mut self, key: Key, flag: u8) -> bool {
        self.conns.get_mut(key).is_some_and(|conn| conn.flags & flag != 0)
    }

    #[inline]
    fn serve(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let flags = conn.flags;
        conn.flags &= !(QUEUED | FLUSH);
        if flags & CONNECTING != 0 {
            self.check_connect(key);
        } else if flags & LISTENING != 0 {
            self.accept_some(key);
        } else {
            if flags & FLUSH != 0 {
                self.flush(key);
                self.drain_due();
            }
            if flags & READABLE != 0 {
                self.read_some(key);
            }
        }
        if self.level {
            self.rearm(key);
        }
    }

    /// Reads while the blocks come back full, and tells each one before the next is read.
    #[inline]
    fn read_some(&mut self, key: Key) {
        for _ in 0..READS {
            let Some(lends) = self.engine.wants_read(key) else { return };
            let Some(conn) = self.conns.get_mut(key) else { return };
            let (size, result) = if lends {
                let (io, source) = (&mut self.io, &mut conn.source);
                let mut size = 0;
                let read = |memory: &mut [u8]| {
                    size = memory.len();
                    io.recv(source, memory)
                };
                let result = self.engine.read_into(key, read);
                (size, result)
            } else {
                if self.block.is_empty() {
                    self.block = self.engine.pool().take_block();
                }
                (self.block.len(), self.io.recv(&mut conn.source, &mut self.block))
            };
            // A callback may have run: the connection is looked up again.
            match result {
                Ok(Some(n)) if n > 0 => {
                    if let Some(conn) = self.conns.get_mut(key) {
                        if n < size && conn.flags & READ_CLOSED == 0 {
                            // A short receive has emptied the socket; what comes later is told again.
                            conn.flags &= !READABLE;
                        }
                    }
                    if !lends {
                        self.engine.received(key, Data::new(&mut self.block, n));
                    }
                    self.flush(key);
                    self.drain_due();
                }
                Ok(None) => {
                    if let Some(conn) = self.conns.get_mut(key) {
                        conn.flags &= !READABLE;
                    }
                    self.flush(key);
                    self.drain_due();
                    return;
                }
                Ok(Some(_)) => {
                    if let Some(conn) = self.conns.get_mut(key) {
                        conn.flags &= !READABLE;
                    }
                    self.engine.read_eof(key);
                    self.drain_due();
                    return;
                }
                Err(error) => {
                    self.engine.read_failed(key, error);
                    self.drain_due();
                    return;
                }
            }
            if !self.has(key, READABLE) {
                return;
            }
        }
        // Others first; what is left is read in the next iteration.
        self.queue(key);
    }

    fn check_connect(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let id = self.engine.hub().stream_id(key);
        match self.io.connect_result(&mut conn.source) {
            Ok(None) => {}
            Ok(Some(ends)) => {
                conn.flags &= !CONNECTING;
                self.engine.connected(id, None, Ok(ends));
            }
            Err(error) => {
                conn.flags &= !CONNECTING;
                let to = self.engine.hub().about(key).ends.peer;
                self.engine.connected(id, to, Err(error));
            }
        }
    }

    /// Accepts a bounded batch (contract LOOP-22).
    fn accept_some(&mut self, key: Key) {
        for _ in 0..self.engine.accept_batch(key) {
            let Some(conn) = self.conns.get_mut(key) else { return };
            match self.io.accept(&mut conn.source) {
                Ok(Some((source, ends))) => self.accepted(key, source, ends),
                Ok(None) => {
                    conn.flags &= !READABLE;
                    return;
                }
                Err(error) if concerns_one_connection(error) => {}
                Err(error) => {
                    self.engine.accept_failed(key, error);
                    return;
                }
            }
        }
        if self.engine.accept_batch(key) > 0 {
            self.queue(key);
        }
    }

    /// Tells a level-triggered poller what to tell from now on: nothing that would only be remembered.
    fn rearm(&mut self, key: Key) {
        let wants = match self.engine.transport(key) {
            Some(transport) => (transport.wants_read(), transport.wants_send() != Wants::Nothing),
            None => (self.engine.accept_batch(key) > 0, false),
        };
        let Some(conn) = self.conns.get_mut(key) else { return };
        let interest = if conn.flags & CONNECTING != 0 {
            Interest { readable: false, writable: true }
        } else {
            Interest { readable: wants.0 && conn.flags & READABLE == 0, writable: wants.1 && conn.flags & BLOCKED != 0 }
        };
        if conn.armed != interest {
            conn.armed = interest;
            if let Err(error) = self.io.arm(&conn.source, key, interest) {
                // It would never be told of again.
                match self.engine.transport(key) {
                    Some(_) => self.engine.read_failed(key, error),
                    None => self.engine.accept_failed(key, error),
                }
            }
        }
    }

    fn keep(&mut self, key: Key, source: Y::Source, flags: u8) -> Result<(), Error> {
        self.io.attach(&source, key)?;
        self.conns.insert(key, Conn { source, flags, armed: Interest::default() });
        if self.level {
            self.rearm(key);
        }
        Ok(())
    }
}

impl<S, Y: ReadinessIo> Drive<S> for ReadinessDriver<S, Y> {
    type Io = Y;

    #[inline]
    fn engine(&mut self) -> &mut Engine<S> {
        &mut self.engine
    }

    fn io(&mut self) -> &mut Y {
        &mut self.io
    }

    fn with_source<R>(&mut self, key: Key, f: impl FnOnce(&mut Y, &mut Y::Source) -> R) -> Option<R> {
        let conn = self.conns.get_mut(key)?;
        Some(f(&mut self.io, &mut conn.source))
    }

    #[inline]
    fn flush(&mut self, key: Key) {
        for _ in 0..SENDS {
            let Some(transport) = self.engine.transport(key) else { return };
            let wants = transport.wants_send();
            if wants == Wants::Nothing {
                return;
            }
            let Some(conn) = self.conns.get_mut(key) else { return };
            if conn.flags & BLOCKED != 0 {
                return;
            }
            if wants == Wants::Fin {
                let result = self.io.shutdown_write(&mut conn.source);
                self.engine.shut_down(key, result);
                return;
            }
            let (offered, result) = if let Some(slice) = transport.as_one_slice() {
                (slice.len(), self.io.send(&mut conn.source, &[slice]))
            } else {
                let mut slices: [&[u8]; MAX_PIECES] = [&[]; MAX_PIECES];
                let count = transport.gather(&mut slices);
                let offered = slices[..count].iter().map(|slice| slice.len()).sum();
                (offered, self.io.send(&mut conn.source, &slices[..count]))
            };
            let taken = match result {
                Ok(taken) => taken.unwrap_or(0),
                Err(error) => {
                    self.engine.send_failed(key, error);
                    return;
                }
            };
            if taken < offered {
                // The kernel's buffer is full; that it has room again is told.
                conn.flags |= BLOCKED;
            }
            if taken > 0 {
                self.engine.sent(key, taken);
            }
        }
        if let Some(conn) = self.conns.get_mut(key) {
            conn.flags |= FLUSH;
        }
        self.queue(key);
    }

    fn refresh(&mut self, key: Key) {
        self.flush(key);
        self.engine.deliver_eof(key);
        if self.has(key, READABLE) && self.engine.wants_read(key).is_some() {
            self.queue(key);
        }
        if self.level {
            self.rearm(key);
        }
    }

    fn connect(&mut self, id: StreamId, to: &Connect) {
        if self.engine.transport(id.key()).is_none() {
            return; // Given up meanwhile.
        }
        let begun = self.io.connect(to).and_then(|source| self.keep(id.key(), source, CONNECTING));
        match begun {
            // It is named by this address if it fails; a connection that is made has its own.
            Ok(()) => self.engine.hub().set_ends(id.key(), Ends::new(None, Some(to.addr()))),
            Err(error) => {
                self.engine.connected(id, Some(to.addr()), Err(error));
            }
        }
    }

    fn keep_stream(&mut self, key: Key, source: Y::Source) -> Result<(), Error> {
        self.keep(key, source, 0)
    }

    fn keep_listener(&mut self, key: Key, source: Y::Source) -> Result<(), Error> {
        self.keep(key, source, LISTENING)
    }

    fn accept(&mut self, key: Key) {
        // Whatever came before it listened, or while it rested, is not told again.
        if let Some(conn) = self.conns.get_mut(key) {
            conn.flags |= READABLE;
        }
        self.queue(key);
    }

    fn close(&mut self, key: Key) {
        if let Some(conn) = self.conns.remove(key) {
            self.io.close(conn.source, key);
        }
    }
}

impl<S, Y: ReadinessIo> core::fmt::Debug for ReadinessDriver<S, Y> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ReadinessDriver").field("engine", &self.engine).finish_non_exhaustive()
    }
}

//! The driver of pollers that say when a call would not block.

use super::{Drive, Phase, Sockets, Table, address_of_failure, concerns_one_connection};
use crate::addr::Ends;
use crate::endpoint::LENDS;
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
use alloc::vec::Vec;
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

/// What has become of a read.
enum Read {
    /// Bytes were delivered, and the answer sent: there is nothing left to do.
    Answered { more: bool },
    /// Bytes were delivered; something is left to be sent, or follows from what was.
    Delivered { more: bool },
    /// Bytes were delivered; sending the answer failed.
    AnswerFailed(Error),
    /// There were no bytes.
    Nothing(ReadResult),
    /// The protocol lends memory to read into.
    Lends,
    /// Nobody wants to know.
    Unwanted,
}

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
    /// What is to be served in the next pass: marked by the poller, or left over from a budget.
    run: Vec<Key>,
    /// What is served in this pass, and how far that has come.
    pass: Vec<Key>,
    served: usize,
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
            run: Vec::new(),
            pass: Vec::new(),
            served: 0,
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

    /// The calls, to look at.
    pub const fn io_ref(&self) -> &Y {
        &self.io
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
        let mut flags = conn.flags;
        if flags == 0 && ready.readable && !(ready.read_closed || ready.error) {
            // A message for a connection that was waiting for one: nearly every event.
            conn.flags = READABLE | QUEUED;
            self.run.push(Key::new(index as u32, *generation));
            return;
        }
        if ready.readable || ready.read_closed || ready.error {
            flags |= READABLE;
        }
        if ready.read_closed || ready.error {
            flags |= READ_CLOSED;
        }
        if flags & (BLOCKED | CONNECTING) != 0 && (ready.writable || ready.write_closed || ready.error) {
            flags = flags & !BLOCKED | FLUSH;
        }
        if flags & QUEUED == 0 && flags & (READABLE | FLUSH) != 0 {
            flags |= QUEUED;
            self.run.push(Key::new(index as u32, *generation));
        }
        conn.flags = flags;
    }

    /// Serves what was marked, then the timers that are due, and everything that it led to. If it unwinds, call it again.
    pub fn process(&mut self, now: Instant) {
        if self.phase != Phase::Processing {
            self.engine.set_now(now);
            core::mem::swap(&mut self.run, &mut self.pass);
            self.phase = Phase::Processing;
        }
        self.drain_due();
        while let Some(&key) = self.pass.get(self.served) {
            self.served += 1;
            self.serve(key);
        }
        self.pass.clear();
        self.served = 0;
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
        self.engine.hub().stream(id)?;
        self.conns.get_mut(id.key()).map(|conn| &conn.source)
    }

    /// Ends everything without a callback and closes every socket (contract LIFE-18).
    pub fn close(&mut self) {
        self.engine.close();
        self.carry_out_all();
        self.run.clear();
        self.pass.clear();
        self.served = 0;
        self.phase = Phase::Between;
    }

    fn queue(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key) {
            if conn.flags & QUEUED == 0 {
                conn.flags |= QUEUED;
                self.run.push(key);
            }
        }
    }

    fn has(&mut self, key: Key, flag: u8) -> bool {
        self.conns.get_mut(key).is_some_and(|conn| conn.flags & flag != 0)
    }

    fn clear(&mut self, key: Key, flag: u8) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.flags &= !flag;
        }
    }

    /// Serves what was marked. A connection that brings a message and sends one is the way of nearly every event: each table is
    /// looked into as seldom as can be there, and what is rare is done elsewhere.
    #[inline]
    fn serve(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let flags = conn.flags;
        conn.flags &= !(QUEUED | FLUSH);
        if flags & (CONNECTING | LISTENING | FLUSH | READABLE) != READABLE {
            self.serve_rest(key, flags);
        } else {
            let read = Self::read(&mut self.engine, &mut self.io, &mut self.block, conn, key);
            if self.after_read(key, read) {
                self.read_on(key);
            }
        }
        if self.level {
            self.rearm(key);
        }
    }

    /// Serves what is not just there to be read.
    #[inline(never)]
    fn serve_rest(&mut self, key: Key, flags: u8) {
        if flags & CONNECTING != 0 {
            self.check_connect(key);
        } else if flags & LISTENING != 0 {
            self.accept_some(key);
        } else {
            self.flush(key);
            self.drain_due();
            if flags & READABLE != 0 && self.read_one(key) {
                self.read_on(key);
            }
        }
    }

    /// Reads on while the blocks come back full, and tells each one before the next is read.
    #[inline(never)]
    fn read_on(&mut self, key: Key) {
        for _ in 1..READS {
            if !self.read_one(key) {
                return;
            }
        }
        // Others first; what is left is read in the next iteration.
        self.queue(key);
    }

    /// One read, and what follows from it; whether there may be more.
    fn read_one(&mut self, key: Key) -> bool {
        let Some(conn) = self.conns.get_mut(key) else { return false };
        let read = Self::read(&mut self.engine, &mut self.io, &mut self.block, conn, key);
        self.after_read(key, read)
    }

    /// Reads, tells the protocol, and sends its answer if that is one piece, as it mostly is. No callback can reach the sockets, so `conn` is
    /// good all the way.
    #[inline(always)]
    fn read(engine: &mut Engine<S>, io: &mut Y, block: &mut BytesMut, conn: &mut Conn<Y::Source>, key: Key) -> Read {
        if block.is_empty() {
            // The last one was claimed.
            *block = engine.pool().take_block();
        }
        let Some(stream) = engine.wanting(key) else { return Read::Unwanted };
        if stream.has(LENDS) {
            return Read::Lends;
        }
        let n = match io.recv(&mut conn.source, block) {
            Ok(Some(n)) if n > 0 => n,
            other => return Read::Nothing(other),
        };
        // A short receive has emptied the socket; what comes later is told again.
        let more = n == block.len() || conn.flags & READ_CLOSED != 0;
        if !more {
            conn.flags &= !READABLE;
        }
        let Some(protocol) = stream.protocol.take() else { return Read::Unwanted };
        let Some((stream, pool)) = engine.deliver(key, protocol, Data::new(block, n)) else { return Read::Unwanted };
        let transport = &mut stream.transport;
        let idle = match transport.as_one_slice() {
            Some(slice) if conn.flags & BLOCKED == 0 => {
                let offered = slice.len();
                match io.send(&mut conn.source, &[slice]) {
                    Ok(Some(n)) if n == offered => transport.handle_all_sent(pool),
                    Ok(taken) => {
                        // The kernel's buffer is full; that it has room again is told.
                        conn.flags |= BLOCKED;
                        transport.handle_sent(taken.unwrap_or(0), pool);
                        false
                    }
                    Err(error) => return Read::AnswerFailed(error),
                }
            }
            _ => transport.is_idle(),
        };
        if idle && !engine.is_observed() { Read::Answered { more } } else { Read::Delivered { more } }
    }

    /// What follows from a read; whether there may be more.
    #[inline(always)]
    fn after_read(&mut self, key: Key, read: Read) -> bool {
        let more = match read {
            Read::Answered { more } => more,
            other => self.after_rare_read(key, other),
        };
        self.drain_due();
        more
    }

    #[inline(never)]
    fn after_rare_read(&mut self, key: Key, read: Read) -> bool {
        match read {
            Read::Answered { more } => more,
            Read::Delivered { more } => {
                self.engine.after_sent(key);
                self.flush(key);
                more
            }
            Read::AnswerFailed(error) => {
                self.engine.send_failed(key, error);
                false
            }
            Read::Lends => self.read_lent(key),
            Read::Nothing(result) => self.read_nothing(key, result),
            Read::Unwanted => false,
        }
    }

    /// As [`read`](Self::read), into memory of the protocol's.
    fn read_lent(&mut self, key: Key) -> bool {
        let Some(conn) = self.conns.get_mut(key) else { return false };
        let (io, source) = (&mut self.io, &mut conn.source);
        let mut size = 0;
        let result = self.engine.read_into(key, |memory| {
            size = memory.len();
            io.recv(source, memory)
        });
        match result {
            Ok(Some(n)) if n > 0 => {
                let emptied = n < size && !self.has(key, READ_CLOSED);
                if emptied {
                    self.clear(key, READABLE);
                }
                self.flush(key);
                !emptied
            }
            other => self.read_nothing(key, other),
        }
    }

    /// A read that brought no bytes: it would have blocked, or it is the end, or an error.
    #[cold]
    fn read_nothing(&mut self, key: Key, result: ReadResult) -> bool {
        self.clear(key, READABLE);
        match result {
            Ok(None) => self.flush(key),
            Ok(Some(_)) => self.engine.read_eof(key),
            Err(error) => self.engine.read_failed(key, error),
        }
        false
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
        if let Some((gone, conn)) = self.conns.evict(key) {
            self.io.close(conn.source, gone);
        }
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

    fn flush(&mut self, key: Key) {
        for _ in 0..SENDS {
            let Some(transport) = self.engine.transport(key) else { return };
            let Some(conn) = self.conns.get_mut(key) else { return };
            if conn.flags & BLOCKED != 0 {
                return;
            }
            match transport.wants_send() {
                Wants::Nothing => return,
                Wants::Fin => {
                    let result = self.io.shutdown_write(&mut conn.source);
                    self.engine.shut_down(key, result);
                    return;
                }
                Wants::Bytes => {}
            }
            let mut slices: [&[u8]; MAX_PIECES] = [&[]; MAX_PIECES];
            let count = transport.gather(&mut slices);
            let offered = slices[..count].iter().map(|slice| slice.len()).sum();
            match self.io.send(&mut conn.source, &slices[..count]) {
                Ok(Some(n)) if n == offered => self.engine.sent(key, n),
                Ok(taken) => {
                    // The kernel's buffer is full; that it has room again is told.
                    conn.flags |= BLOCKED;
                    self.engine.sent(key, taken.unwrap_or(0));
                    return;
                }
                Err(error) => {
                    self.engine.send_failed(key, error);
                    return;
                }
            }
        }
        // Others first; what is left is sent in the next iteration.
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
                self.engine.connected(id, Some(address_of_failure(to, error)), Err(error));
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

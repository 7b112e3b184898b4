//! Serving what is ready: the hot path of every message, and what is rare beside it.

use super::{BLOCKED, CONNECTING, Conn, FLUSH, HUNG_UP, LISTENING, QUEUED, READ_CLOSED, READABLE, ReadinessDriver, ReadinessIo};
use crate::driver::readiness::Interest;
use crate::driver::{Attached, Drive, concerns_one_connection};
use crate::endpoint::{LAYERED, LENDS};
use crate::engine::{Engine, ReadResult};
use crate::error::Error;
use crate::flow::data::Data;
use crate::flow::pool::BufPool;
use crate::key::Key;
use crate::status::Wants;
use crate::stream::StreamTransport;
use bytes::BytesMut;

/// How many blocks of one connection are read in one go while they come back full (contract READ-3).
const READS: usize = 4;

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
    /// The layer of a secure connection has something to do.
    Layered { more: bool },
    /// Nobody wants to know.
    Unwanted,
}

/// Sends the answer to what was just delivered, if that is one piece, as it mostly is; whether nothing is left to be sent, and nothing follows.
#[inline(always)]
fn answer<Y: ReadinessIo>(
    io: &mut Y,
    conn: &mut Conn<Y::Source>,
    transport: &mut StreamTransport,
    pool: &mut BufPool,
) -> Result<bool, Error> {
    let Some(slice) = transport.as_one_slice().filter(|_| conn.flags & BLOCKED == 0) else { return Ok(transport.is_idle()) };
    let offered = slice.len();
    match io.send(&mut conn.source, &[slice])? {
        Some(n) if n == offered => Ok(transport.handle_all_sent(pool)),
        taken => {
            // The kernel's buffer is full; that it has room again is told.
            conn.flags |= BLOCKED;
            transport.handle_sent(taken.unwrap_or(0), pool);
            Ok(false)
        }
    }
}

impl<S, Y: ReadinessIo> ReadinessDriver<S, Y> {
    pub(super) fn queue(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key) {
            if conn.flags & QUEUED == 0 {
                conn.flags |= QUEUED;
                self.run.push(key);
            }
        }
    }

    pub(super) fn has(&mut self, key: Key, flag: u8) -> bool {
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
    pub(super) fn serve(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let flags = conn.flags;
        conn.flags &= !(QUEUED | FLUSH);
        if flags & (CONNECTING | LISTENING | FLUSH | READABLE | HUNG_UP) != READABLE {
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
        } else if self.engine.is_watch(key) {
            self.serve_watch(key);
        } else {
            self.flush(key);
            if flags & HUNG_UP != 0 {
                self.hung_up(key);
            }
            self.drain_due();
            if flags & READABLE != 0 && self.read_one(key) {
                self.read_on(key);
            }
        }
    }

    /// The peer receives no more, and what could be sent has been sent. It concerns a pipe that is made; everything else hears of it by its next call.
    pub(super) fn hung_up(&mut self, key: Key) {
        let Some(transport) = self.engine.transport(key).filter(|transport| !transport.can_read()) else {
            return self.clear(key, HUNG_UP);
        };
        if transport.is_made() {
            let Some(conn) = self.conns.get_mut(key) else { return };
            conn.flags &= !HUNG_UP;
            // What a poller says may have come too late for another descriptor.
            if self.io.is_hung_up(&mut conn.source) {
                self.engine.hung_up(key);
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
        if stream.common.has(LENDS | LAYERED) {
            return if stream.common.has(LAYERED) { Self::read_below(engine, io, block, conn, key) } else { Read::Lends };
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
        match answer(io, conn, &mut stream.transport, pool) {
            Ok(true) if !engine.is_observed() => Read::Answered { more },
            Ok(_) => Read::Delivered { more },
            Err(error) => Read::AnswerFailed(error),
        }
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
            Read::Layered { more } => {
                self.flush(key);
                self.drain_due();
                self.advance_layer(key);
                more
            }
            Read::Unwanted if self.engine.is_layered(key) => self.read_layered(key),
            Read::Lends => self.read_lent(key),
            Read::Nothing(result) => {
                let more = self.read_nothing(key, result);
                self.advance_layer(key);
                more
            }
            Read::Unwanted => {
                if self.engine.datagrams(key).is_some() {
                    self.receive_datagrams(key);
                } else {
                    self.check_child(key);
                    self.serve_watch(key);
                }
                false
            }
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

    /// As [`read`](Self::read), for the layer that stands above the connection. Most of what comes is data and nothing else, and its answer is sent like that of
    /// a connection without a layer; of everything else the layer is told, and goes on with it afterwards.
    #[inline(never)]
    fn read_below(engine: &mut Engine<S>, io: &mut Y, block: &mut BytesMut, conn: &mut Conn<Y::Source>, key: Key) -> Read {
        let Some((stream, plain, pool)) = engine.below(key) else { return Read::Unwanted };
        let n = match io.recv(&mut conn.source, block) {
            Ok(Some(n)) if n > 0 => n.min(block.len()),
            other => return Read::Nothing(other),
        };
        let more = n == block.len() || conn.flags & READ_CLOSED != 0;
        if !more {
            conn.flags &= !READABLE;
        }
        if !stream.receive_below(&mut block[..n], plain, pool) {
            engine.received_below(key);
            return Read::Layered { more };
        }
        let Some(protocol) = stream.protocol.take() else { return Read::Unwanted };
        let Some((stream, pool)) = engine.deliver_decrypted(key, protocol) else { return Read::Layered { more } };
        match answer(io, conn, &mut stream.transport, pool) {
            Ok(true) if !engine.is_observed() => return Read::Answered { more },
            Ok(_) => engine.after_sent(key),
            Err(error) => engine.send_failed(key, error),
        }
        Read::Layered { more }
    }

    /// As [`read_one`](Self::read_one), for a layer that wants to be told although its protocol does not.
    fn read_layered(&mut self, key: Key) -> bool {
        let Some(conn) = self.conns.get_mut(key) else { return false };
        match Self::read_below(&mut self.engine, &mut self.io, &mut self.block, conn, key) {
            Read::Unwanted => false,
            other => self.after_rare_read(key, other),
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

    /// Reaps a child that has ended, if it is one.
    #[cold]
    fn check_child(&mut self, key: Key) {
        if !self.engine.awaits_exit(key) {
            return;
        }
        let Some(conn) = self.conns.get_mut(key) else { return };
        match self.io.wait_child(&mut conn.source) {
            Ok(None) => {
                conn.flags &= !READABLE;
                return;
            }
            Ok(Some(status)) => self.engine.exited(key, status),
            Err(error) => self.engine.exit_unknown(key, error),
        }
        Drive::close(self, key);
    }

    /// Calls back whoever watches a descriptor that is ready: each time anew, as long as it is, whatever the poller does.
    #[cold]
    fn serve_watch(&mut self, key: Key) {
        if !self.engine.is_watch(key) {
            return;
        }
        if let Some(conn) = self.conns.get_mut(key) {
            // Whatever a poller says from now on is news.
            conn.flags = BLOCKED;
        }
        let readable = Interest { readable: self.engine.wants_readable(key), ..Interest::default() };
        if self.is_ready(key, readable) {
            self.engine.readable(key);
            self.drain_due();
        }
        let writable = Interest { writable: self.engine.wants_writable(key), ..Interest::default() };
        if self.is_ready(key, writable) {
            self.engine.writable(key);
            self.drain_due();
        }
    }

    /// Whether it is ready for that: what a poller says may be late, or an earlier callback's doing may have undone it, and a callback may make a call that
    /// blocks. What is ready has to be looked at again, behind the others; a level-triggered poller sees to that.
    fn is_ready(&mut self, key: Key, asked: Interest) -> bool {
        if asked == Interest::default() {
            return false;
        }
        let Some(conn) = self.conns.get_mut(key) else { return false };
        let ready = self.io.is_ready(&mut conn.source, asked) != Interest::default();
        if ready && !self.level {
            self.queue(key);
        }
        ready
    }

    fn check_connect(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if let Some(result) = self.io.connect_result(&mut conn.source).transpose() {
            conn.flags &= !CONNECTING;
            self.engine.connected(key, result);
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
    pub(super) fn rearm(&mut self, key: Key) {
        let Err(error) = self.arm(key) else { return };
        if self.engine.datagrams(key).is_some() {
            return self.engine.datagram_endpoint_failed(key, error);
        }
        if self.engine.is_watch(key) {
            return self.engine.watch_failed(key, error);
        }
        match self.engine.transport(key) {
            // Connected, and not made yet: it is armed again then.
            Some(transport) if !transport.is_made() && !transport.is_layered() => {}
            // It would never be told of again.
            // Nothing is received while closing, so nobody would hear of it there.
            Some(transport) if transport.is_closing() => self.engine.send_failed(key, error),
            Some(_) => self.engine.read_failed(key, error),
            None => self.engine.accept_failed(key, error),
        }
    }

    fn arm(&mut self, key: Key) -> Result<(), Error> {
        let reads = self.engine.wants_read(key).is_some();
        let wants = match self.engine.transport(key) {
            Some(transport) => {
                let hang_up = !transport.can_read() && !transport.is_losing();
                (reads, transport.wants_send() != Wants::Nothing, hang_up)
            }
            None => match self.engine.datagrams(key) {
                Some(transport) => (transport.wants_receive(), transport.wants_send(), false),
                None => {
                    let engine = &mut self.engine;
                    let readable = engine.accept_batch(key) > 0 || engine.awaits_exit(key) || engine.wants_readable(key);
                    (readable, engine.wants_writable(key), false)
                }
            },
        };
        let Some(conn) = self.conns.get_mut(key) else { return Ok(()) };
        let interest = if conn.flags & CONNECTING != 0 {
            Interest { readable: false, writable: true, hang_up: false }
        } else {
            Interest {
                readable: wants.0 && conn.flags & READABLE == 0,
                writable: wants.1 && conn.flags & BLOCKED != 0,
                hang_up: wants.2 && conn.flags & HUNG_UP == 0,
            }
        };
        if conn.armed != interest {
            self.io.arm(&conn.source, key, interest)?;
            conn.armed = interest;
        }
        Ok(())
    }

    pub(super) fn keep(&mut self, key: Key, mut source: Y::Source, mut flags: u8) -> Result<(), Error> {
        if let Some((gone, conn)) = self.conns.evict(key) {
            self.io.close(conn.source, gone);
        }
        flags |= match self.io.attach(&mut source, key) {
            Ok(Attached::Stream) => 0,
            Ok(Attached::Pieces) => READ_CLOSED,
            Ok(Attached::AlwaysReady) => READABLE | READ_CLOSED,
            Err(error) => {
                self.io.discard(source);
                return Err(error);
            }
        };
        self.conns.insert(key, Conn { source, flags, armed: Interest::default() });
        if self.level {
            if let Err(error) = self.arm(key) {
                // Whoever opens it is told, as of every other call that fails.
                Drive::close(self, key);
                return Err(error);
            }
        }
        Ok(())
    }
}

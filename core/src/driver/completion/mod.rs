//! The driver of kernel interfaces that carry operations out and say when they are done.

mod datagrams;
mod io;
mod watch;

pub use io::{Completion, CompletionIo};

use super::{Drive, FileError, Phase, Table, concerns_one_connection};
use crate::addr::Addr;
use crate::engine::Engine;
use crate::error::{Call, Error, ErrorKind};
use crate::flow::data::Data;
use crate::hub::ListenError;
use crate::key::{Key, ServerId};
use crate::open::{Attempt, Listen, Resource};
use crate::protocol::Protocol;
use crate::status::Wants;
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use bytes::{Buf, BytesMut};

const RECEIVING: u8 = 1;
const SENDING: u8 = 1 << 1;
const ACCEPTING: u8 = 1 << 2;
const WATCHING: u8 = 1 << 3;
/// The peer receives no more, and that has not been told yet: nobody is told before `connection_made`.
const HUNG_UP: u8 = 1 << 4;

struct Conn<Y> {
    source: Y,
    flags: u8,
    /// Received while it was not wanted: delivered first, and nothing is received before that.
    held: Option<BytesMut>,
}

/// An engine over a kernel interface that carries operations out.
///
/// Pausing does not cancel a receive that is under way: what it brings is held back and delivered first when reading is resumed. A send keeps
/// its bytes alive whatever becomes of the connection.
pub struct CompletionDriver<S, Y: CompletionIo> {
    engine: Engine<S>,
    io: Y,
    conns: Table<Conn<Y::Source>>,
    done: VecDeque<(Key, Completion<Y::Source>)>,
    /// How many of them belong to this iteration.
    left: usize,
    /// Whose bytes are being delivered: not over if a callback panics, perhaps another's.
    delivering: Option<Key>,
    phase: Phase,
}

impl<S, Y: CompletionIo> CompletionDriver<S, Y> {
    /// Puts the two together.
    pub fn new(engine: Engine<S>, io: Y) -> Self {
        Self { engine, io, conns: Table::new(), done: VecDeque::new(), left: 0, delivering: None, phase: Phase::Between }
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
        self.go_on();
        self.run_ready();
        self.phase = Phase::Between;
    }

    /// When something is to be done although nothing comes back; a time that has passed: at once.
    pub fn timeout(&mut self) -> Option<Instant> {
        if self.done.is_empty() { self.engine.poll_timeout() } else { Some(Instant::ZERO) }
    }

    /// An operation came back. Calls nothing of the application's; to be called between a wait and [`process`](Self::process).
    pub fn complete(&mut self, key: Key, completion: Completion<Y::Source>) {
        self.done.push_back((key, completion));
    }

    /// Serves what came back, then the timers that are due, and everything that it led to. If it unwinds, call it again.
    pub fn process(&mut self, now: Instant) {
        if self.phase != Phase::Processing {
            self.engine.set_now(now);
            self.left = self.done.len();
            self.phase = Phase::Processing;
        }
        self.go_on();
        self.drain_due();
        while self.left > 0 {
            self.left -= 1;
            if let Some((key, completion)) = self.done.pop_front() {
                self.serve(key, completion);
                self.drain_due();
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

    /// Ends everything without a callback and closes every socket (contract LIFE-18).
    pub fn close(&mut self) {
        self.engine.close();
        self.carry_out_all();
        self.done.clear();
        self.left = 0;
        self.phase = Phase::Between;
    }

    /// A callback panicked while bytes were delivered: what is left to be done of that is found again.
    fn go_on(&mut self) {
        if let Some(key) = self.delivering.take() {
            self.engine.hub().look_at(key);
        }
    }

    fn serve(&mut self, key: Key, completion: Completion<Y::Source>) {
        match completion {
            Completion::Received(memory, result) => self.received(key, memory, result),
            Completion::Sent(result) => {
                let Some(conn) = self.conns.get_mut(key) else { return };
                conn.flags &= !SENDING;
                match result {
                    Ok(n) => self.engine.sent(key, n),
                    Err(error) => self.engine.send_failed(key, error),
                }
                self.flush(key);
                self.hung_up(key);
            }
            Completion::FileSent(file, offset, result) => self.file_sent(key, file, offset, result),
            Completion::ShutDown(result) => {
                let Some(conn) = self.conns.get_mut(key) else { return };
                conn.flags &= !SENDING;
                self.engine.shut_down(key, result);
            }
            Completion::Connected(result) => {
                self.engine.connected(key, result);
            }
            Completion::DatagramReceived(memory, result) => self.datagram_received(key, memory, result),
            Completion::DatagramSent(result) => self.datagram_sent(key, result),
            Completion::Exited(result) => {
                if self.conns.get_mut(key).is_none() {
                    return;
                }
                match result {
                    Ok(status) => self.engine.exited(key, status),
                    Err(error) => self.engine.exit_unknown(key, error),
                }
                Drive::close(self, key);
            }
            Completion::HungUp => {
                let Some(conn) = self.conns.get_mut(key) else { return };
                conn.flags |= HUNG_UP;
                self.hung_up(key);
            }
            Completion::Readable => self.watch_ready(key, false),
            Completion::Writable => self.watch_ready(key, true),
            Completion::Accepted(result) => {
                let Some(conn) = self.conns.get_mut(key) else { return };
                conn.flags &= !ACCEPTING;
                match result {
                    Ok((source, ends)) => self.accepted(key, source, ends),
                    Err(error) if concerns_one_connection(error) => {}
                    Err(error) => self.engine.accept_failed(key, error),
                }
                self.accept(key);
            }
        }
    }

    fn received(&mut self, key: Key, mut memory: BytesMut, result: Result<usize, Error>) {
        let Some(conn) = self.conns.get_mut(key) else {
            self.engine.pool().give_block(memory);
            return;
        };
        conn.flags &= !RECEIVING;
        match result {
            Ok(0) => {
                self.engine.pool().give_block(memory);
                self.engine.read_eof(key);
            }
            Ok(n) => {
                memory.truncate(n);
                conn.held = Some(memory);
                self.deliver_held(key);
            }
            Err(error) => {
                self.engine.pool().give_block(memory);
                self.engine.read_failed(key, error);
            }
        }
        self.flush(key);
        self.receive(key);
    }

    /// Delivers what is held, one piece a step, as long as it is wanted.
    fn deliver_held(&mut self, key: Key) {
        self.delivering = Some(key);
        self.deliver_all_held(key);
        self.delivering = None;
    }

    fn deliver_all_held(&mut self, key: Key) {
        while let Some(lends) = self.engine.wants_read(key) {
            let Some(conn) = self.conns.get_mut(key) else { return };
            let Some(mut held) = conn.held.take() else { return };
            if lends {
                let taken = self.engine.read_into(key, |memory| {
                    let n = memory.len().min(held.len());
                    memory[..n].copy_from_slice(&held[..n]);
                    Ok(Some(n))
                });
                if let Ok(Some(n)) = taken {
                    held.advance(n);
                }
                if let Some(conn) = self.conns.get_mut(key).filter(|_| !held.is_empty()) {
                    conn.held = Some(held);
                }
            } else {
                let n = held.len();
                self.engine.received(key, Data::new(&mut held, n));
                self.engine.pool().give_block(held);
            }
            self.flush(key);
            self.drain_due();
            self.advance_layer(key);
        }
    }

    /// Begins to receive, if that is wanted and nothing is held.
    fn receive(&mut self, key: Key) {
        if self.engine.wants_read(key).is_none() {
            return;
        }
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.flags & RECEIVING == 0 && conn.held.is_none() {
            conn.flags |= RECEIVING;
            let memory = self.engine.pool().take_block();
            self.io.recv(&mut conn.source, key, memory);
        }
    }

    fn send_file(&mut self, key: Key) {
        if self.engine.is_layered(key) {
            if self.encrypt_file(key) {
                // The piece, or what is behind the file.
                self.flush(key);
            }
            return;
        }
        let Some((file, offset, left)) = self.engine.take_file(key) else { return };
        let Some(conn) = self.conns.get_mut(key) else { return };
        match self.io.send_file(&mut conn.source, key, file, offset, left) {
            Ok(()) => conn.flags |= SENDING,
            Err(file) => {
                let _ = self.engine.return_file(key, file);
                self.engine.file_failed(key, Error::new(Call::SendFile, ErrorKind::Unsupported));
            }
        }
    }

    fn file_sent(&mut self, key: Key, file: Resource, offset: u64, result: Result<u64, FileError>) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.flags &= !SENDING;
        }
        if let Err(file) = self.engine.return_file(key, file) {
            // The connection was lost meanwhile.
            self.io.finish_file(file, offset + result.unwrap_or(0));
            return;
        }
        match result {
            Ok(n) => self.engine.file_sent(key, n),
            // The connection was lost meanwhile, which has been told: its position is left to be set.
            Err(_) if self.engine.is_file_over(key) => self.engine.file_sent(key, 0),
            Err(FileError::File(error)) => self.engine.file_failed(key, error),
            Err(FileError::Socket(error)) => self.engine.send_failed(key, error),
        }
        self.flush(key);
    }

    /// The reader of a write pipe has gone: a send that is under way is answered first, and knows more.
    fn hung_up(&mut self, key: Key) {
        let Some(transport) = self.engine.transport(key).filter(|transport| transport.is_made()) else { return };
        if transport.write_buffer_size() > 0 {
            return;
        }
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.flags & HUNG_UP != 0 {
            conn.flags &= !HUNG_UP;
            self.engine.hung_up(key);
        }
    }

    /// Begins to watch whether the reader goes away.
    fn watch_hang_up(&mut self, key: Key) {
        let watched = self.engine.transport(key).is_some_and(|transport| !transport.can_read() && !transport.is_closing());
        let Some(conn) = self.conns.get_mut(key).filter(|conn| watched && conn.flags & WATCHING == 0) else { return };
        conn.flags |= WATCHING;
        self.io.watch_hang_up(&mut conn.source, key);
    }

    fn keep(&mut self, key: Key, mut source: Y::Source) -> Result<(), Error> {
        if let Some((gone, conn)) = self.conns.evict(key) {
            self.io.close(conn.source, gone);
        }
        if let Err(error) = self.io.attach(&mut source, key) {
            self.io.discard(source);
            return Err(error);
        }
        self.conns.insert(key, Conn { source, flags: 0, held: None });
        Ok(())
    }
}

impl<S, Y: CompletionIo> Drive<S> for CompletionDriver<S, Y> {
    type Io = Y;

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
        let Some(transport) = self.engine.transport(key) else { return self.flush_datagrams(key) };
        let Some(conn) = self.conns.get_mut(key).filter(|conn| conn.flags & SENDING == 0) else { return };
        match transport.wants_send() {
            Wants::Nothing => {}
            Wants::Bytes => {
                conn.flags |= SENDING;
                self.io.send(&mut conn.source, key, transport.in_flight());
            }
            Wants::File => self.send_file(key),
            Wants::Fin => {
                conn.flags |= SENDING;
                self.io.shutdown_write(&mut conn.source, key);
            }
        }
    }

    fn refresh(&mut self, key: Key) {
        if self.engine.datagrams(key).is_some() {
            self.refresh_datagrams(key);
            self.receive_datagram(key);
            return;
        }
        if self.engine.is_watch(key) {
            return self.poll_watch(key);
        }
        self.flush(key);
        self.advance_layer(key);
        self.hung_up(key);
        self.deliver_held(key);
        self.engine.deliver_eof(key);
        self.receive(key);
        self.watch_hang_up(key);
    }

    fn begin_connect(&mut self, key: Key, to: &Attempt) -> Result<(), Error> {
        let source = self.io.connect(key, to)?;
        self.keep(key, source)
    }

    fn rekey(&mut self, from: Key, to: Key) -> Result<(), Error> {
        let Some(mut conn) = self.conns.remove(from) else { return Err(Error::new(Call::Register, ErrorKind::Closed)) };
        if let Err(error) = self.io.rekey(&mut conn.source, from, to) {
            self.io.close(conn.source, from);
            return Err(error);
        }
        self.conns.insert(to, conn);
        Ok(())
    }

    fn keep_stream(&mut self, key: Key, source: Y::Source) -> Result<(), Error> {
        self.keep(key, source)
    }

    fn keep_datagram(&mut self, key: Key, source: Y::Source) -> Result<(), Error> {
        self.keep(key, source)
    }

    fn keep_listener(&mut self, key: Key, source: Y::Source) -> Result<(), Error> {
        self.keep(key, source)
    }

    fn keep_child(&mut self, key: Key, source: Y::Source) -> Result<(), Error> {
        self.keep(key, source)?;
        if let Some(conn) = self.conns.get_mut(key) {
            self.io.wait_child(&mut conn.source, key);
        }
        Ok(())
    }

    fn keep_watch(&mut self, key: Key, source: Y::Source) -> Result<(), Error> {
        self.keep(key, source)
    }

    fn accept(&mut self, key: Key) {
        if self.engine.accept_batch(key) == 0 {
            return;
        }
        if let Some(conn) = self.conns.get_mut(key).filter(|conn| conn.flags & ACCEPTING == 0) {
            conn.flags |= ACCEPTING;
            self.io.accept(&mut conn.source, key);
        }
    }

    fn close(&mut self, key: Key) {
        if let Some(conn) = self.conns.remove(key) {
            if let Some(held) = conn.held {
                self.engine.pool().give_block(held);
            }
            self.io.close(conn.source, key);
        }
    }
}

impl<S, Y: CompletionIo> core::fmt::Debug for CompletionDriver<S, Y> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CompletionDriver").field("engine", &self.engine).finish_non_exhaustive()
    }
}

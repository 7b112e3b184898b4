//! The driver of pollers that say when a call would not block.

mod datagrams;
mod drive;
mod file;
mod io;
mod runs;
mod serve;

pub use datagrams::{BATCH, Incoming};
pub use io::{Interest, ReadinessIo, Ready, Trigger};
pub use runs::IncomingRun;

use super::{Drive, Phase, Table};
use crate::engine::Engine;
use crate::key::{EndpointId, Key, ServerId};
use crate::open::Listen;
use crate::time::Instant;
use crate::{Addr, ListenError, Protocol};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::BytesMut;

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
/// The peer receives no more: the end of a write pipe.
const HUNG_UP: u8 = 1 << 7;

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
    area: datagrams::Area,
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
            area: datagrams::Area::default(),
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
        let Ready { readable, writable, read_closed, write_closed, error } = ready;
        if conn.flags == 0 && readable && !read_closed && !error {
            // A message for a connection that was waiting for one: nearly every event.
            conn.flags = READABLE | QUEUED;
            self.run.push(Key::new(index as u32, *generation));
        } else {
            self.mark_rest(index, readable, writable, read_closed, write_closed, error);
        }
    }

    /// Out of line, and told each by itself, so that nearly every event does not have to be spelled out for it.
    #[inline(never)]
    fn mark_rest(&mut self, index: usize, readable: bool, writable: bool, read_closed: bool, write_closed: bool, error: bool) {
        let Some(Some((generation, conn))) = self.conns.rows.get_mut(index) else { return };
        let mut flags = conn.flags;
        if readable || read_closed || error {
            flags |= READABLE;
        }
        if read_closed || error {
            flags |= READ_CLOSED;
        }
        if flags & (BLOCKED | CONNECTING) != 0 && (writable || write_closed || error) {
            flags &= !BLOCKED;
            flags |= FLUSH;
        }
        if write_closed || error {
            flags |= HUNG_UP;
        }
        if flags & QUEUED == 0 && flags & (READABLE | FLUSH | HUNG_UP) != 0 {
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
        } else if let Some(&key) = self.served.checked_sub(1).and_then(|last| self.pass.get(last)) {
            // A callback panicked while that one was served, perhaps another's: what is left to be done of it is found again.
            self.hold_datagrams();
            self.engine.hub().look_at(key);
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

    /// The source of an endpoint, for callers outside of callbacks.
    pub fn source(&mut self, id: impl Into<EndpointId>) -> Option<&Y::Source> {
        let id = id.into();
        self.engine.hub().machine(id)?;
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
}

impl<S, Y: ReadinessIo> core::fmt::Debug for ReadinessDriver<S, Y> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ReadinessDriver").field("engine", &self.engine).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_takes_little_room_beside_its_slot() {
        // A descriptor is an `i32`.
        assert!(size_of::<Option<(u32, Conn<i32>)>>() <= 16);
    }
}

//! Datagrams: many in one call, and each told as if it had come alone.

use super::drive::SENDS;
use super::runs::Runs;
use super::{BLOCKED, FLUSH, READ_CLOSED, READABLE, ReadinessDriver, ReadinessIo};
use crate::addr::{Addr, UnixAddr};
use crate::driver::Drive;
use crate::error::Error;
use crate::flow::pool::BufPool;
use crate::key::Key;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::BytesMut;

/// How many datagrams one call receives, or sends, at most.
pub const BATCH: usize = 32;

/// How many datagrams of one endpoint are received in one go before others have their turn (contract READ-3); what the last call brings is told whole.
const MOST: usize = 8 * BATCH;

/// So many at first: less than asked for says that none is left, and one is what there mostly is.
const FEW: usize = 2;

/// What came into a block: a datagram, which stands at its start.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "filled in by backends, field by field")]
pub struct Incoming {
    /// How much of the block it took. A block is large enough for any that is not a Unix socket's.
    pub len: usize,
    /// Where it came from.
    pub from: Addr,
}

/// What datagrams are received into, for all endpoints, and what is left to be delivered of the last call.
#[derive(Debug, Default)]
pub(super) struct Area {
    pub(super) blocks: Vec<BytesMut>,
    /// What came into the block of the same index.
    pub(super) came: Vec<Incoming>,
    /// A block was claimed, and there must be another one in its place.
    pub(super) claimed: bool,
    /// Whose, and how many there are; the engine knows how many it has told.
    pub(super) left: Option<(Key, usize)>,
    /// For sockets of which datagrams may come together; none before there is one.
    pub(super) runs: Option<Box<Runs>>,
}

/// What one call brought.
pub(super) struct Came {
    /// How many datagrams.
    pub(super) count: usize,
    /// There was no room for more.
    pub(super) full: bool,
}

impl Area {
    /// There is a block in every place. There are more of them once all that there were have been filled.
    fn prepare(&mut self, pool: &mut BufPool) -> (&mut [BytesMut], &mut [Incoming]) {
        while self.blocks.len() < FEW {
            self.add(pool);
        }
        if core::mem::take(&mut self.claimed) {
            for block in self.blocks.iter_mut().filter(|block| block.is_empty()) {
                *block = pool.take_block();
            }
        }
        (&mut self.blocks, &mut self.came)
    }

    fn add(&mut self, pool: &mut BufPool) {
        self.blocks.push(pool.take_block());
        self.came.push(Incoming { len: 0, from: Addr::Unix(UnixAddr::UNNAMED) });
    }

    /// Receives one batch, one datagram into each block.
    #[inline(always)]
    fn receive<Y: ReadinessIo>(&mut self, io: &mut Y, source: &mut Y::Source, pool: &mut BufPool) -> Result<Option<Came>, Error> {
        let (blocks, came) = self.prepare(pool);
        let asked = blocks.len();
        let count = io.recv_from(source, blocks, came)?;
        Ok(count.map(|count| Came { count: count.min(asked), full: count >= asked }))
    }

    /// All blocks were filled: the next call has twice as many.
    fn grow(&mut self, pool: &mut BufPool) {
        for _ in 0..self.blocks.len().min(BATCH - self.blocks.len()) {
            self.add(pool);
        }
    }
}

impl<S, Y: ReadinessIo> ReadinessDriver<S, Y> {
    /// Receives and delivers, one batch after the other, while they come back full. Nothing at all if it is not a datagram endpoint.
    pub(super) fn receive_datagrams(&mut self, key: Key) {
        let mut left = MOST;
        while left > 0 {
            let Some(count) = self.receive_batch(key) else { return };
            left = left.saturating_sub(count);
        }
        // Others first; what is left is received in the next iteration.
        self.queue(key);
    }

    /// One batch; how many that were if there may be more.
    fn receive_batch(&mut self, key: Key) -> Option<usize> {
        if !self.engine.datagrams(key).is_some_and(|transport| transport.wants_receive()) {
            return None;
        }
        let conn = self.conns.get_mut(key)?;
        let (io, source, pool) = (&mut self.io, &mut conn.source, self.engine.datagram_pool());
        let in_runs = io.receives_runs(source);
        let came = if in_runs { self.area.receive_runs(io, source, pool) } else { self.area.receive(io, source, pool) };
        match came {
            Ok(Some(Came { count, full })) => {
                // An error that waits comes behind the datagrams, and is not told again.
                let more = full || conn.flags & READ_CLOSED != 0;
                if !more {
                    conn.flags &= !READABLE;
                }
                self.area.left = Some((key, count));
                self.engine.begin_datagrams();
                self.deliver_datagrams();
                if in_runs {
                    self.area.put_back();
                } else if full {
                    self.area.grow(self.engine.datagram_pool());
                }
                more.then_some(count)
            }
            Ok(None) => {
                conn.flags &= !(READABLE | READ_CLOSED);
                None
            }
            Err(error) => {
                self.engine.datagram_receive_failed(key, error);
                None
            }
        }
    }

    /// Delivers what has been received, one datagram after the other, as long as it is wanted; the rest is held (contract DGRAM-16). Everything that one makes
    /// due comes before the next.
    fn deliver_datagrams(&mut self) {
        while let Some((key, count)) = self.area.left {
            if self.engine.told_datagrams() >= count {
                self.area.left = None;
                return;
            }
            let (blocks, came) = (&mut self.area.blocks[..count], &self.area.came[..count]);
            if !self.engine.deliver_datagrams(key, blocks, came, &mut self.area.claimed) {
                return self.hold_datagrams();
            }
            self.drain_due();
            self.flush_datagrams(key);
        }
    }

    /// What is left of the last call is kept with its endpoint: it is not wanted now, or a callback panicked.
    pub(super) fn hold_datagrams(&mut self) {
        if let Some((key, count)) = self.area.left.take() {
            self.engine.keep_answers(key, &self.area.blocks);
            let told = self.engine.told_datagrams();
            for (block, came) in self.area.blocks.iter().zip(&self.area.came).take(count).skip(told) {
                self.engine.hold_datagram(key, &block[..came.len.min(block.len())], came.from.clone());
            }
        }
        self.area.put_back();
    }

    /// Sends what a datagram endpoint has to send, as long as the kernel takes it. What it does not take stands in no block afterwards.
    #[inline(never)]
    pub(super) fn flush_datagrams(&mut self, key: Key) {
        if self.send_datagrams(key) {
            self.engine.keep_answers(key, &self.area.blocks);
            self.await_room(key);
        }
    }

    /// An edge-triggered poller is to tell of room while a datagram waits for it.
    fn await_room(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key).filter(|_| !self.level) else { return };
        let waits = conn.flags & BLOCKED != 0;
        if conn.armed.writable == waits {
            return;
        }
        conn.armed.writable = waits;
        if let Err(error) = self.io.tell_room(&conn.source, key, waits) {
            self.engine.datagram_endpoint_failed(key, error);
        }
    }

    /// Whether something may be left.
    #[inline(always)]
    fn send_datagrams(&mut self, key: Key) -> bool {
        for _ in 0..SENDS {
            let Some(transport) = self.engine.datagrams(key).filter(|transport| transport.wants_send()) else { return true };
            let Some(conn) = self.conns.get_mut(key) else { return true };
            if conn.flags & BLOCKED != 0 {
                return true;
            }
            match self.io.send_to(&mut conn.source, transport.outgoing_from(BATCH, &self.area.blocks)) {
                Ok(Some(0)) => {
                    self.engine.no_room_for_datagram(key);
                    return true;
                }
                Ok(Some(taken)) => {
                    if !self.engine.datagrams_gone(key, taken) {
                        return false;
                    }
                }
                Ok(None) => {
                    conn.flags |= BLOCKED;
                    return true;
                }
                Err(error) => {
                    self.engine.datagram_send_failed(key, error);
                    return true;
                }
            }
        }
        self.flush_later(key);
        true
    }

    /// Others first; what is left is sent in the next iteration.
    pub(super) fn flush_later(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.flags |= FLUSH;
        }
        self.queue(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_few_blocks_at_first_and_never_more_than_a_batch() {
        let mut pool = BufPool::new();
        let mut area = Area::default();
        for expected in [FEW, 4, 8, 16, BATCH, BATCH] {
            let (blocks, came) = area.prepare(&mut pool);
            assert_eq!((blocks.len(), came.len()), (expected, expected));
            area.grow(&mut pool);
        }
    }
}

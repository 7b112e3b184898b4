//! Memory that is used again: nothing stays with an idle connection.

use super::queue::SendQueue;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// How many blocks, and how many empty queues, are kept for later at most.
const KEPT: usize = 16;

/// Spare read blocks and spare send queues, last returned first, so that a loop works in memory that is still in the cache.
///
/// A connection that has something to send borrows a queue and gives it back when the queue is empty. A block that was handed on
/// whole (a large chunk that was received here and written there) comes back when its last byte has been sent.
#[derive(Debug)]
pub struct BufPool {
    block_size: usize,
    blocks: Vec<BytesMut>,
    /// The queue that came back last: the one that nearly every message borrows.
    queue: Option<Box<SendQueue>>,
    #[allow(clippy::vec_box, reason = "a box goes from here to a connection and back, and is not made anew")]
    queues: Vec<Box<SendQueue>>,
}

impl BufPool {
    /// The size of a read block unless another one is asked for: 64 KiB.
    pub const BLOCK: usize = 64 * 1024;

    /// A pool whose read blocks have 64 KiB.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_block_size(Self::BLOCK)
    }

    /// A pool whose read blocks have `block_size` bytes, at least one: the most that one read can bring.
    #[must_use]
    pub const fn with_block_size(block_size: usize) -> Self {
        Self { block_size: if block_size == 0 { 1 } else { block_size }, blocks: Vec::new(), queue: None, queues: Vec::new() }
    }

    /// The size of a read block.
    #[must_use]
    pub const fn block_size(&self) -> usize {
        self.block_size
    }

    /// A block of [`block_size`](Self::block_size) bytes to receive into; what stands in it means nothing.
    #[must_use]
    pub fn take_block(&mut self) -> BytesMut {
        let mut block = self.blocks.pop().unwrap_or_default();
        block.resize(self.block_size, 0);
        block
    }

    /// Gives a block back that was taken and not handed on.
    pub fn give_block(&mut self, block: BytesMut) {
        if self.blocks.len() < KEPT && block.capacity() >= self.block_size {
            self.blocks.push(block);
        }
    }

    /// Gives bytes back that have been sent: kept as a block if nobody else holds them and they are large enough.
    pub fn give(&mut self, bytes: Bytes) {
        if bytes.len() >= self.block_size / 4 && self.blocks.len() < KEPT {
            if let Ok(mut block) = bytes.try_into_mut() {
                // Sharing may have hidden the rest of the block behind the piece that was handed on.
                let wanted = self.block_size.saturating_sub(block.len());
                if block.try_reclaim(wanted) && block.capacity() <= 2 * self.block_size {
                    block.clear();
                    self.blocks.push(block);
                }
            }
        }
    }

    #[inline(always)]
    pub(crate) fn take_queue(&mut self) -> Box<SendQueue> {
        match self.queue.take() {
            Some(queue) => queue,
            None => self.queues.pop().unwrap_or_default(),
        }
    }

    #[inline(always)]
    pub(crate) fn give_queue(&mut self, mut queue: Box<SendQueue>) {
        queue.reset();
        if self.queue.is_none() {
            self.queue = Some(queue);
        } else {
            self.keep_queue(queue);
        }
    }

    #[inline(never)]
    fn keep_queue(&mut self, queue: Box<SendQueue>) {
        if self.queues.len() < KEPT {
            self.queues.push(queue);
        }
    }
}

impl Default for BufPool {
    fn default() -> Self {
        Self::new()
    }
}

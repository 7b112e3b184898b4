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
    /// What is put there is taken at once by whoever lent it, so it is nobody's before.
    answers: Option<Box<SendQueue>>,
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
        let block_size = if block_size == 0 { 1 } else { block_size };
        Self { block_size, blocks: Vec::new(), queue: None, queues: Vec::new(), answers: None }
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

    /// An empty queue for what may be nothing: [`take_answers`](Self::take_answers) if it is something.
    #[inline(always)]
    pub(crate) fn answers(&mut self) -> &mut SendQueue {
        let Self { queue, queues, answers, .. } = self;
        let answers = answers.get_or_insert_with(|| queue.take().or_else(|| queues.pop()).unwrap_or_default());
        // Whoever had it last may have panicked.
        answers.reset();
        answers
    }

    #[inline(always)]
    pub(crate) fn take_answers(&mut self) -> Option<Box<SendQueue>> {
        self.answers.take_if(|queue| !queue.is_empty())
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const SIZE: usize = 1024;

    #[test]
    fn a_block_has_its_size_and_is_used_again() {
        let mut pool = BufPool::with_block_size(SIZE);
        assert_eq!((BufPool::new().block_size(), pool.block_size()), (64 * 1024, SIZE));
        assert_eq!(BufPool::with_block_size(0).take_block().len(), 1);
        let mut block = pool.take_block();
        assert_eq!(block.len(), SIZE);
        let place = block.as_ptr();
        block.clear();
        pool.give_block(block);
        let again = pool.take_block();
        assert_eq!((again.as_ptr(), again.len(), pool.blocks.len()), (place, SIZE, 0));
        pool.give_block(BytesMut::with_capacity(SIZE - 1));
        assert!(pool.blocks.is_empty(), "too small for the next reader");
    }

    #[test]
    fn sent_bytes_come_back_as_a_block_if_they_are_a_quarter_of_one_and_nobody_else_holds_them() {
        let kept = |bytes: Bytes| {
            let mut pool = BufPool::with_block_size(SIZE);
            pool.give(bytes);
            pool.blocks.pop().is_some_and(|block| block.is_empty() && block.capacity() >= SIZE)
        };
        let front = |len| BufPool::with_block_size(SIZE).take_block().split_to(len).freeze();
        assert!(kept(front(SIZE / 4)));
        assert!(!kept(front(SIZE / 4 - 1)));
        let whole = front(SIZE);
        assert!(kept(whole));
        let held = front(SIZE);
        let other = held.clone();
        assert!(!kept(held), "{} bytes are still read elsewhere", other.len());
        // What was never a block: of use if it is as large as one and not more than twice so.
        assert!(!kept(Bytes::from(vec![0; SIZE / 4])));
        assert!(kept(Bytes::from(vec![0; 2 * SIZE])));
        assert!(!kept(Bytes::from(vec![0; 2 * SIZE + 1])));
    }

    #[test]
    fn sixteen_of_each_are_kept() {
        let mut pool = BufPool::with_block_size(SIZE);
        for _ in 0..=KEPT {
            pool.give_block(BytesMut::zeroed(SIZE));
        }
        assert_eq!(pool.blocks.len(), 16);
        pool.blocks.clear();
        for _ in 0..=KEPT {
            pool.give(Bytes::from(vec![0; SIZE]));
        }
        assert_eq!(pool.blocks.len(), 16);
        // One queue is kept apart: nearly every message borrows that one.
        for _ in 0..KEPT + 2 {
            pool.give_queue(Box::default());
        }
        assert_eq!((pool.queue.is_some(), pool.queues.len()), (true, 16));
    }

    #[test]
    fn answers_are_taken_if_there_are_any_and_what_a_panic_left_is_nobodys() {
        let mut pool = BufPool::new();
        assert!(pool.answers().is_empty());
        assert!(pool.take_answers().is_none());
        pool.answers().push("an alert");
        assert_eq!(pool.take_answers().map(|queue| queue.len()), Some(8));
        pool.answers().push("left by a panic");
        assert!(pool.answers().is_empty());
        assert!(pool.take_answers().is_none());
    }

    #[test]
    fn a_queue_comes_back_empty_and_goes_out_again() {
        let mut pool = BufPool::new();
        let mut queue = pool.take_queue();
        queue.push("never sent");
        let place = &raw const *queue;
        pool.give_queue(queue);
        let again = pool.take_queue();
        assert_eq!((&raw const *again, again.len()), (place, 0));
        assert_eq!(again.as_one_slice(), Some(&b""[..]));
        pool.give_queue(again);
        let other = Box::default();
        let place = &raw const *other;
        pool.give_queue(other);
        let _ = pool.take_queue();
        assert_eq!(&raw const *pool.take_queue(), place);
    }
}

//! Bytes that were accepted and that the kernel has not taken yet.

use super::data::WriteData;
use super::pool::BufPool;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};

/// How many pieces one vectored send, or one send in flight, takes at most.
pub const MAX_PIECES: usize = 16;

/// Room for so many pieces is kept in a queue that is given back.
const KEPT_ROOM: usize = 4 * MAX_PIECES;

/// Small writes are copied together up to this size, so that sent memory is given back piece by piece.
const TAIL: usize = 64 * 1024;

/// Bytes to send, in order: owned pieces in front, small writes copied together behind them.
///
/// One queue serves both kinds of kernel interface: [`gather`](Self::gather) lends slices to a `writev`, [`in_flight`](Self::in_flight) shares the same
/// memory with an operation that owns it. Bytes leave only by [`advance`](Self::advance).
///
/// ```
/// use plimsoll_core::{BufPool, SendQueue};
///
/// let mut pool = BufPool::new();
/// let mut queue = SendQueue::new();
/// queue.push("hello ");
/// queue.push(b"world");
/// let mut pieces: [&[u8]; 4] = [&[]; 4];
/// assert_eq!(queue.gather(&mut pieces), 1);
/// assert_eq!(pieces[0], b"hello world");
/// queue.advance(6, &mut pool);
/// assert_eq!(queue.len(), 5);
/// ```
#[derive(Debug, Default)]
pub struct SendQueue {
    pieces: VecDeque<Bytes>,
    /// How much of the foremost piece is sent: it stays whole, so that its memory can be used again.
    sent: usize,
    tail: BytesMut,
    /// With the backlog.
    len: usize,
    /// Plain bytes behind all others that wait for a handshake: they are not lent to anybody.
    backlog: Vec<u8>,
}

impl SendQueue {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes in it, in constant time (contract WRITE-12).
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether all that was pushed has been sent.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Queues bytes behind all others. Empty data leaves nothing behind (contract WRITE-7).
    #[inline]
    pub fn push(&mut self, data: impl WriteData) {
        if !data.is_empty() {
            data.append_to(self);
        }
    }

    /// Queues what `f` writes into memory that it is lent, `room` bytes of it: as many of the foremost as it says, or none if it fails.
    ///
    /// # Errors
    /// What it fails with.
    #[inline]
    pub fn fill<E>(&mut self, room: usize, f: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        if self.tail.len() + room > TAIL {
            self.seal();
        }
        let before = self.tail.len();
        self.tail.resize(before + room, 0);
        // If `f` panics, the queue is not taken for an empty one.
        self.len += room;
        let result = f(&mut self.tail[before..]);
        let written = result.as_ref().map_or(0, |&n| n.min(room));
        self.tail.truncate(before + written);
        self.len -= room - written;
        result.map(|_| ())
    }

    #[inline(always)]
    pub(crate) fn copy(&mut self, data: &[u8]) {
        self.len += data.len();
        if self.tail.len() + data.len() > TAIL {
            self.copy_behind(data);
        } else {
            self.tail.extend_from_slice(data);
        }
    }

    /// What does not fit into the tail begins another one, or is a piece of its own.
    #[cold]
    fn copy_behind(&mut self, data: &[u8]) {
        self.seal();
        if data.len() >= TAIL {
            self.pieces.push_back(Bytes::copy_from_slice(data));
        } else {
            self.tail.extend_from_slice(data);
        }
    }

    pub(crate) fn own(&mut self, data: Bytes) {
        self.len += data.len();
        self.seal();
        self.pieces.push_back(data);
    }

    /// Queues all of another queue, of which nothing has been sent, behind all others.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.len += other.len;
        if !other.pieces.is_empty() {
            self.seal();
            self.pieces.append(&mut other.pieces);
        }
        if self.tail.is_empty() {
            core::mem::swap(&mut self.tail, &mut other.tail);
        } else if self.tail.len() + other.tail.len() > TAIL {
            self.seal();
            core::mem::swap(&mut self.tail, &mut other.tail);
        } else {
            self.tail.extend_from_slice(&other.tail);
        }
        other.empty();
    }

    // ---- what waits for a handshake ----

    /// Queues bytes that are not to be sent as they are.
    pub(crate) fn push_backlog(&mut self, data: &[u8]) {
        self.backlog.extend_from_slice(data);
        self.len += data.len();
    }

    /// Takes those bytes out.
    pub(crate) fn take_backlog(&mut self) -> Vec<u8> {
        self.len -= self.backlog.len();
        core::mem::take(&mut self.backlog)
    }

    /// How many bytes may be sent as they are.
    #[inline]
    pub(crate) fn to_send(&self) -> usize {
        self.len - self.backlog.len()
    }

    /// Makes a piece of the tail: it is now shared, and what follows goes behind it.
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
    }

    /// All pieces, in order.
    #[inline]
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let mut sent = self.sent;
        let tail = Some(&self.tail[..]).filter(|tail| !tail.is_empty());
        self.pieces.iter().map(move |piece| &piece[core::mem::take(&mut sent)..]).chain(tail)
    }

    /// The piece of this number, from the front; nothing behind the last one.
    pub(crate) fn piece(&self, n: usize) -> &[u8] {
        match self.pieces.get(n) {
            Some(piece) if n == 0 => &piece[self.sent..],
            Some(piece) => piece,
            None if n == self.pieces.len() => &self.tail,
            None => &[],
        }
    }

    /// Shares the foremost `n` bytes, which are of one piece, with an operation that owns its memory.
    pub(crate) fn share(&mut self, n: usize) -> Bytes {
        self.seal();
        self.pieces.front().filter(|_| n > 0).map_or_else(Bytes::new, |piece| piece.slice(self.sent..self.sent + n))
    }

    /// Lends the foremost bytes, one slice a piece, as many as `out` has room for; how many slices it lent.
    #[inline]
    pub fn gather<'a>(&'a self, out: &mut [&'a [u8]]) -> usize {
        let mut count = 0;
        let tail = Some(&self.tail[..]).filter(|tail| !tail.is_empty());
        for (slot, piece) in out.iter_mut().zip(self.pieces.iter().map(|piece| &piece[..]).chain(tail)) {
            *slot = piece;
            count += 1;
        }
        if let (Some(first), false) = (out.first_mut(), self.pieces.is_empty()) {
            *first = &first[self.sent..];
        }
        count
    }

    /// All of it as one slice, if it is one piece: what most sends are.
    #[inline(always)]
    #[must_use]
    pub fn as_one_slice(&self) -> Option<&[u8]> {
        match (self.pieces.len(), self.tail.is_empty()) {
            _ if !self.backlog.is_empty() => None,
            (0, _) => Some(&self.tail),
            (1, true) => self.pieces.front().map(|piece| &piece[self.sent..]),
            _ => None,
        }
    }

    /// Shares the foremost bytes with an operation that owns its memory. They stay in the queue until they are sent.
    pub fn in_flight(&mut self) -> InFlight {
        self.seal();
        let mut shared = InFlight::default();
        for (slot, piece) in shared.pieces.iter_mut().zip(&self.pieces) {
            *slot = piece.clone();
            shared.count += 1;
        }
        if shared.count > 0 {
            shared.pieces[0].advance(self.sent);
        }
        shared
    }

    /// The foremost `n` bytes were sent (all of it, if that is less); their memory goes back to the pool.
    #[inline(always)]
    pub fn advance(&mut self, n: usize, pool: &mut BufPool) {
        if n >= self.len && self.pieces.is_empty() {
            self.len = 0;
            self.tail.clear();
        } else {
            self.advance_pieces(n, pool);
        }
    }

    #[inline(never)]
    fn advance_pieces(&mut self, n: usize, pool: &mut BufPool) {
        let mut left = n.min(self.len);
        self.len -= left;
        while let Some(piece) = self.pieces.front() {
            let rest = piece.len() - self.sent;
            if left < rest {
                self.sent += left;
                return;
            }
            left -= rest;
            self.sent = 0;
            if let Some(piece) = self.pieces.pop_front() {
                pool.give(piece);
            }
        }
        if left == self.tail.len() {
            self.tail.clear();
            // A tail never grows beyond twice its size, but many pieces may have stood in a row.
            self.pieces.shrink_to(KEPT_ROOM);
        } else {
            self.tail.advance(left);
        }
    }

    /// Makes it as good as new, for the next connection that has something to send.
    #[inline(always)]
    pub(crate) fn reset(&mut self) {
        if self.len > 0 {
            self.empty();
        }
    }

    #[cold]
    fn empty(&mut self) {
        self.len = 0;
        self.sent = 0;
        self.backlog = Vec::new();
        self.pieces.clear();
        self.tail.clear();
        self.pieces.shrink_to(KEPT_ROOM);
    }
}

/// Bytes on their way: shares of the pieces of a [`SendQueue`], held by the operation that sends them.
///
/// Dropping it gives the memory back to the queue's other holders; an aborted connection's operation keeps its bytes alive.
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    pieces: [Bytes; MAX_PIECES],
    count: usize,
}

impl InFlight {
    /// The pieces, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces[..self.count]
    }

    /// Bytes in all pieces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces().iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn bytes_of(queue: &SendQueue) -> Vec<u8> {
        let mut pieces: [&[u8]; 64] = [&[]; 64];
        let count = queue.gather(&mut pieces);
        pieces[..count].concat()
    }

    #[test]
    fn owned_and_copied_bytes_leave_in_order_wherever_they_are_cut() {
        //= WRITE-1, WRITE-3, WRITE-12
        let mut pool = BufPool::new();
        for cut in 0..=2 * OWNED_LEN + 4 {
            let mut queue = SendQueue::new();
            queue.push(b"ab");
            queue.push(vec![b'x'; OWNED_LEN]);
            queue.push(Bytes::from(vec![b'y'; OWNED_LEN]));
            queue.push("cd");
            let all = bytes_of(&queue);
            assert_eq!(queue.len(), all.len());
            queue.advance(cut, &mut pool);
            assert_eq!(bytes_of(&queue), all[cut.min(all.len())..]);
            assert_eq!(queue.len(), all.len().saturating_sub(cut));
        }
    }
    const OWNED_LEN: usize = super::super::data::OWNED;

    #[test]
    fn bytes_in_flight_are_the_queued_ones_and_later_writes_do_not_touch_them() {
        //= WRITE-5
        let mut pool = BufPool::new();
        let mut queue = SendQueue::new();
        queue.push(b"first");
        let flight = queue.in_flight();
        queue.push(b" second");
        assert_eq!(flight.pieces(), [Bytes::from_static(b"first")]);
        assert_eq!(flight.len(), 5);
        queue.advance(2, &mut pool);
        assert_eq!(bytes_of(&queue), b"rst second");
        assert_eq!(flight.len(), 5);
    }

    #[test]
    fn empty_writes_leave_no_piece() {
        //= WRITE-4, WRITE-7
        let mut queue = SendQueue::new();
        queue.push(b"");
        queue.push(Vec::new());
        queue.push(Bytes::new());
        assert!(queue.is_empty());
        assert_eq!(queue.as_one_slice(), Some(&b""[..]));
        assert!(queue.in_flight().is_empty());
    }

    #[test]
    fn many_small_writes_are_given_back_in_blocks() {
        let mut pool = BufPool::new();
        let mut queue = SendQueue::new();
        for _ in 0..3 * TAIL / 16 {
            queue.push(&[7; 16]);
        }
        assert_eq!(queue.len(), 3 * TAIL);
        assert_eq!(queue.pieces.len(), 2);
        queue.advance(3 * TAIL, &mut pool);
        assert!(queue.is_empty() && queue.pieces.is_empty() && queue.tail.is_empty());
    }

    #[test]
    fn small_writes_fill_a_block_to_its_end_and_large_ones_are_pieces_of_their_own() {
        let shape = |writes: &[usize]| {
            let mut queue = SendQueue::new();
            writes.iter().for_each(|&len| queue.push(&[7; 2 * TAIL][..len]));
            (queue.pieces.iter().map(Bytes::len).collect::<Vec<_>>(), queue.tail.len())
        };
        assert_eq!(shape(&[TAIL - 1, 1]), (vec![], TAIL));
        assert_eq!(shape(&[TAIL, 1]), (vec![TAIL], 1));
        assert_eq!(shape(&[2, TAIL - 1]), (vec![2], TAIL - 1));
        assert_eq!(shape(&[1, TAIL, 3]), (vec![1, TAIL], 3));
        assert_eq!(shape(&[TAIL + 1]), (vec![TAIL + 1], 0));
    }

    #[test]
    fn little_room_is_kept_when_many_pieces_have_gone() {
        let many = || {
            let mut queue = SendQueue::new();
            (0..1000).for_each(|_| queue.push(vec![7; OWNED_LEN]));
            queue
        };
        let mut sent = many();
        sent.advance(usize::MAX, &mut BufPool::new());
        let mut dropped = many();
        dropped.reset();
        assert_eq!((sent.pieces.capacity(), dropped.pieces.capacity()), (64, 64));
    }

    #[test]
    fn so_many_pieces_go_in_one_flight() {
        let mut queue = SendQueue::new();
        (0..MAX_PIECES + 1).for_each(|_| queue.push(vec![7; OWNED_LEN]));
        queue.advance(1, &mut BufPool::new());
        let flight = queue.in_flight();
        assert_eq!((flight.pieces().len(), flight.len(), flight.is_empty()), (16, 16 * OWNED_LEN - 1, false));
        assert_eq!((queue.share(2).len(), queue.share(0).len(), queue.pieces().count()), (2, 0, MAX_PIECES + 1));
    }

    #[test]
    fn what_waits_for_a_handshake_counts_and_is_not_sent() {
        let mut queue = SendQueue::new();
        queue.push("ab");
        queue.push_backlog(b"xy");
        queue.push_backlog(b"z");
        assert_eq!((queue.len(), queue.to_send(), bytes_of(&queue)), (5, 2, b"ab".to_vec()));
        assert_eq!((queue.take_backlog(), queue.len(), queue.to_send()), (b"xyz".to_vec(), 2, 2));
        queue.push_backlog(b"dropped");
        queue.reset();
        assert_eq!((queue.len(), queue.to_send(), queue.take_backlog()), (0, 0, vec![]));
    }
}

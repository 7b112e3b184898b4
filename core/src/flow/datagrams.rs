//! Datagrams that were accepted and that the kernel has not taken yet.

use super::data::WriteData;
use super::pool::BufPool;
use super::queue::SendQueue;
use crate::addr::{Addr, AddrRef, UnixAddr};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::net::SocketAddr;
use core::slice;

/// What a queued datagram counts beside its payload, so that a queue of empty ones is bounded too (contract DGRAM-12).
pub(crate) const OVERHEAD: usize = 8;

/// Room for so many datagrams is kept in an empty queue.
const KEPT_ROOM: usize = 256;

/// A datagram on its way out, lent to a send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "what a send needs, and all of it")]
pub struct Outgoing<'a> {
    /// The payload; empty datagrams are datagrams too.
    pub payload: &'a [u8],
    /// To whom; none if the socket is connected.
    pub to: Option<AddrRef<'a>>,
}

/// Plain data, so that many of them are cleared away at once.
#[derive(Clone, Copy, Debug)]
struct Head {
    len: usize,
    /// None: the next of the names, or the peer that the socket is connected to if there are none. An endpoint that is connected sends to nobody else.
    to: Option<SocketAddr>,
    /// In which block its payload still stands, counted from one; zero: it is [`QUEUED`].
    place: u32,
}

/// No block has this number: the payload stands in the queue.
const QUEUED: u32 = 0;

impl Head {
    const fn queued(len: usize, to: Option<SocketAddr>) -> Self {
        Self { len, to, place: QUEUED }
    }

    /// The payload, if it still stands where it was received.
    #[inline(always)]
    fn in_place<'a>(&self, blocks: &'a [BytesMut]) -> Option<&'a [u8]> {
        let block = blocks.get((self.place as usize).wrapping_sub(1))?;
        block.get(..self.len)
    }
}

/// Datagrams to send, in order, each whole. Their payloads stand behind each other in a [`SendQueue`], each in one piece of it; but the foremost ones may be
/// answers to what is still in the block that it was received into, and stand there until they have been offered to the kernel once.
#[derive(Debug, Default)]
pub(crate) struct DatagramQueue {
    /// Those from `first` to `end`; what is in front of them has gone, and its room is used again when there is more of that than of the rest. What is behind
    /// them is room that was used before.
    heads: Vec<Head>,
    first: usize,
    end: usize,
    /// Addresses of Unix sockets, which own memory: of the heads without an address.
    names: VecDeque<UnixAddr>,
    bytes: SendQueue,
    /// What it counts.
    size: usize,
}

impl DatagramQueue {
    /// What it counts, in constant time: the payloads and [`OVERHEAD`] for each; exactly zero when it is empty.
    #[inline]
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    pub(crate) const fn payload(&self) -> usize {
        self.size - (self.end - self.first) * OVERHEAD
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // What has gone is cleared away with the last one.
        self.end == 0
    }

    #[inline]
    fn waiting(&self) -> &[Head] {
        &self.heads[self.first..self.end]
    }

    pub(crate) fn push(&mut self, data: impl WriteData, to: Option<AddrRef<'_>>) {
        let len = data.as_slice().len();
        let to = match to {
            Some(AddrRef::Inet(to)) => Some(*to),
            Some(AddrRef::Unix(name)) => {
                self.names.push_back(name.clone());
                None
            }
            None => None,
        };
        self.size += len + OVERHEAD;
        let head = Head::queued(len, to);
        match self.heads.get_mut(self.end) {
            Some(place) => *place = head,
            None => self.heads.push(head),
        }
        self.end += 1;
        if len > 0 {
            data.append_to(&mut self.bytes);
        }
    }

    /// As [`push`](Self::push), for what nearly every datagram is: bytes to be copied, to an internet address. `false`: it would count more than `most` then, or
    /// there is no place for it yet, and nothing was done.
    #[inline(always)]
    pub(crate) fn push_copy(&mut self, data: &[u8], to: &SocketAddr, most: usize) -> bool {
        let queued = self.put(Head::queued(data.len(), Some(*to)), most);
        if queued {
            self.bytes.copy(data);
        }
        queued
    }

    /// As [`push_copy`](Self::push_copy), of what stands in front of that block, counted from one, and stays there: until [`keep`](Self::keep). `false` also if
    /// something that was copied would be in front of it.
    #[inline(always)]
    pub(crate) fn push_in_place(&mut self, len: usize, place: usize, to: &SocketAddr, most: usize) -> bool {
        self.bytes.is_empty() && self.put(Head { len, to: Some(*to), place: place as u32 }, most)
    }

    /// Puts a head into the next place, and makes none: a function that may have to make room saves registers for it.
    #[inline(always)]
    fn put(&mut self, head: Head, most: usize) -> bool {
        let size = self.size + head.len + OVERHEAD;
        if size > most {
            return false;
        }
        let Some(place) = self.heads.get_mut(self.end) else { return false };
        *place = head;
        self.end += 1;
        self.size = size;
        true
    }

    /// What is left of the datagrams that stand in these blocks is copied: the blocks are to be used for others.
    #[inline]
    pub(crate) fn keep(&mut self, blocks: &[BytesMut], pool: &mut BufPool) {
        if self.waiting().first().is_some_and(|head| head.place != QUEUED) {
            self.keep_some(blocks, pool);
        }
    }

    #[cold]
    fn keep_some(&mut self, blocks: &[BytesMut], pool: &mut BufPool) {
        let mut behind = pool.take_queue();
        core::mem::swap(&mut *behind, &mut self.bytes);
        for head in &mut self.heads[self.first..self.end] {
            if let Some(payload) = head.in_place(blocks) {
                self.bytes.copy(payload);
                head.place = QUEUED;
            }
        }
        self.bytes.append(&mut behind);
        pool.give_queue(behind);
    }

    /// Lends the foremost datagrams, at most so many. The blocks are those in which some of them may stand.
    #[inline]
    pub(crate) fn outgoing<'a>(
        &'a self,
        most: usize,
        blocks: &'a [BytesMut],
    ) -> impl ExactSizeIterator<Item = Outgoing<'a>> + Clone {
        let heads = self.waiting();
        let heads = heads[..heads.len().min(most)].iter();
        Lent { queue: self, blocks, heads, names: 0, pieces: 0, piece: &[] }
    }

    /// Shares the foremost datagram with an operation that owns its memory.
    pub(crate) fn in_flight(&mut self) -> Option<(Bytes, Option<Addr>)> {
        let head = self.waiting().first().copied()?;
        let to = match head.to {
            Some(to) => Some(Addr::Inet(to)),
            None => self.names.front().cloned().map(Addr::Unix),
        };
        Some((self.bytes.share(head.len), to))
    }

    /// The foremost `n` datagrams are gone (all of them, if that is less).
    #[inline]
    pub(crate) fn advance(&mut self, n: usize, pool: &mut BufPool) {
        if n < self.end - self.first {
            return self.advance_some(n, pool);
        }
        self.bytes.advance(usize::MAX, pool);
        self.size = 0;
        self.first = 0;
        self.end = 0;
        if self.heads.len() > KEPT_ROOM || !self.names.is_empty() {
            self.clear_away();
        }
    }

    #[inline(never)]
    fn clear_away(&mut self) {
        self.heads.truncate(KEPT_ROOM);
        self.heads.shrink_to(KEPT_ROOM);
        self.names.clear();
        self.names.shrink_to(KEPT_ROOM);
    }

    #[inline(never)]
    fn advance_some(&mut self, n: usize, pool: &mut BufPool) {
        let going = &self.heads[self.first..self.first + n];
        let payload: usize = going.iter().map(|head| head.len).sum();
        let bytes = going.iter().filter(|head| head.place == QUEUED).map(|head| head.len).sum();
        let names = going.iter().filter(|head| head.to.is_none()).count();
        self.names.drain(..names.min(self.names.len()));
        self.bytes.advance(bytes, pool);
        self.size -= payload + n * OVERHEAD;
        self.first += n;
        if self.first > self.end / 2 {
            self.heads.copy_within(self.first..self.end, 0);
            self.end -= self.first;
            self.first = 0;
        }
    }
}

/// Datagrams of a queue, lent. Names and pieces are found by number: an iterator that is handed to a rare function would not stay in registers.
#[derive(Clone)]
struct Lent<'a> {
    queue: &'a DatagramQueue,
    blocks: &'a [BytesMut],
    heads: slice::Iter<'a, Head>,
    /// How many names have been lent, and how many pieces.
    names: usize,
    pieces: usize,
    /// What is left of the piece in which the next one stands; a piece ends where a datagram ends.
    piece: &'a [u8],
}

#[inline(never)]
fn piece(bytes: &SendQueue, n: usize) -> &[u8] {
    bytes.piece(n)
}

#[inline(never)]
fn name(names: &VecDeque<UnixAddr>, n: usize) -> Option<AddrRef<'_>> {
    names.get(n).map(AddrRef::Unix)
}

impl<'a> Iterator for Lent<'a> {
    type Item = Outgoing<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Outgoing<'a>> {
        let head = self.heads.next()?;
        let payload = match head.in_place(self.blocks) {
            Some(payload) => payload,
            None => {
                if self.piece.len() < head.len {
                    self.piece = piece(&self.queue.bytes, self.pieces);
                    self.pieces += 1;
                }
                let (payload, rest) = self.piece.split_at_checked(head.len).unwrap_or_default();
                self.piece = rest;
                payload
            }
        };
        let to = match &head.to {
            Some(to) => Some(AddrRef::Inet(to)),
            None => {
                self.names += 1;
                name(&self.queue.names, self.names - 1)
            }
        };
        Some(Outgoing { payload, to })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.heads.size_hint()
    }
}

impl ExactSizeIterator for Lent<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use core::net::SocketAddr;

    fn addr(port: u16) -> Addr {
        SocketAddr::from(([127, 0, 0, 1], port)).into()
    }

    fn payloads(queue: &DatagramQueue) -> Vec<Vec<u8>> {
        queue.outgoing(8, &[]).map(|datagram| datagram.payload.to_vec()).collect()
    }

    //= DGRAM-3, DGRAM-11, DGRAM-12
    #[test]
    fn boundaries_are_kept_whatever_the_payloads_are_made_of() {
        let mut pool = BufPool::new();
        for taken in 0..=6 {
            let mut queue = DatagramQueue::default();
            let all = [vec![], vec![1; 3], vec![2; 5000], vec![], vec![3; 70_000], vec![4]];
            for (n, payload) in all.iter().enumerate() {
                if n % 2 == 0 { queue.push(payload, None) } else { queue.push(payload.clone(), Some((&addr(n as u16)).into())) }
            }
            let size = |left: &[Vec<u8>]| left.iter().map(|payload| payload.len() + OVERHEAD).sum::<usize>();
            assert_eq!(payloads(&queue), all);
            assert_eq!(queue.size(), size(&all));
            queue.advance(taken, &mut pool);
            assert_eq!(payloads(&queue), all[taken..]);
            assert_eq!(queue.size(), size(&all[taken..]));
            assert_eq!(queue.is_empty(), taken == 6);
        }
    }

    #[test]
    fn the_places_of_those_that_have_gone_are_used_again() {
        let mut pool = BufPool::new();
        let mut queue = DatagramQueue::default();
        let mut expected = VecDeque::new();
        // Three come and two go, until all of them go; so on for a while, with room of all lengths in front and behind.
        for n in 0..300_u16 {
            for m in 0..3 {
                let payload = vec![m; usize::from(n % 5)];
                match addr(n) {
                    Addr::Inet(to) if n % 2 == 0 && queue.push_copy(&payload, &to, usize::MAX) => {}
                    to => queue.push(&payload, Some((&to).into())),
                }
                expected.push_back((payload, addr(n)));
            }
            let going = if n % 40 == 39 { expected.len() } else { 2 };
            queue.advance(going, &mut pool);
            expected.drain(..going);
            let lent = queue.outgoing(usize::MAX, &[]).map(|datagram| (datagram.payload.to_vec(), datagram.to.unwrap().into()));
            assert!(lent.eq(expected.iter().cloned()), "after {n}");
            assert_eq!(queue.size(), expected.iter().map(|(payload, _)| payload.len() + OVERHEAD).sum::<usize>());
            assert_eq!(queue.is_empty(), expected.is_empty());
            assert!(queue.heads.len() <= KEPT_ROOM.max(2 * queue.waiting().len() + 3));
        }
        for _ in 0..2 * KEPT_ROOM {
            queue.push(b"", None);
        }
        queue.advance(usize::MAX, &mut pool);
        assert_eq!((queue.heads.len(), queue.outgoing(1, &[]).len()), (KEPT_ROOM, 0));
    }

    //= DGRAM-11
    #[test]
    fn answers_stand_where_they_were_received_until_they_are_kept_and_none_overtakes() {
        let Addr::Inet(to) = addr(7) else { return };
        // So many of three that stand in blocks, and of what was copied behind them, have gone before the blocks are needed.
        for (size, gone) in [0, 60_000].into_iter().flat_map(|size| (0..=5).map(move |gone| (size, gone))) {
            let mut pool = BufPool::new();
            let mut queue = DatagramQueue::default();
            // There have to be places.
            (0..8).for_each(|_| queue.push(b"", None));
            queue.advance(8, &mut pool);
            let all = [vec![1; 3], vec![], vec![3; size + 5], vec![4; 6], vec![5; size + 2000]];
            let mut blocks: Vec<BytesMut> = all[..3].iter().map(|payload| BytesMut::from(&payload[..])).collect();
            blocks.iter_mut().for_each(|block| block.extend_from_slice(b"behind it"));
            for (n, payload) in all[..3].iter().enumerate() {
                assert!(queue.push_in_place(payload.len(), n + 1, &to, usize::MAX));
            }
            assert!(queue.push_copy(&all[3], &to, usize::MAX));
            assert!(!queue.push_in_place(1, 1, &to, usize::MAX), "it would overtake");
            queue.push(all[4].clone(), Some(AddrRef::Inet(&to)));
            let left = |queue: &DatagramQueue, blocks: &[BytesMut]| {
                assert!(queue.outgoing(8, blocks).all(|datagram| datagram.to == Some(AddrRef::Inet(&to))));
                queue.outgoing(8, blocks).map(|datagram| datagram.payload.to_vec()).collect::<Vec<_>>()
            };
            assert_eq!(left(&queue, &blocks), all);
            queue.advance(gone, &mut pool);
            assert_eq!(left(&queue, &blocks), all[gone..]);
            queue.keep(&blocks, &mut pool);
            blocks.iter_mut().for_each(|block| block.fill(0));
            assert_eq!(left(&queue, &blocks), all[gone..]);
            assert_eq!(queue.payload(), all[gone..].iter().map(Vec::len).sum::<usize>());
            for gone in gone + 1..=5 {
                queue.advance(1, &mut pool);
                assert_eq!(left(&queue, &blocks), all[gone..]);
            }
            assert!(queue.is_empty() && queue.size() == 0);
        }
    }

    //= DGRAM-12, FLOW-6
    #[test]
    fn what_would_count_too_much_is_not_queued() {
        let Addr::Inet(to) = addr(7) else { return };
        let mut queue = DatagramQueue::default();
        assert!(!queue.push_copy(b"", &to, usize::MAX) && !queue.push_in_place(0, 1, &to, usize::MAX), "there is no place yet");
        (0..3).for_each(|_| queue.push(b"", None));
        queue.advance(3, &mut BufPool::new());
        assert!(!queue.push_in_place(3, 1, &to, 10) && queue.push_in_place(3, 1, &to, 11));
        assert!(!queue.push_copy(b"abc", &to, 21) && queue.push_copy(b"abc", &to, 22));
        assert_eq!((queue.size(), queue.payload()), (22, 6));
    }

    #[test]
    fn a_datagram_in_flight_is_the_foremost_one_and_keeps_its_bytes() {
        let mut pool = BufPool::new();
        let mut queue = DatagramQueue::default();
        queue.push(b"first", Some((&addr(1)).into()));
        queue.push(b"", None);
        let (payload, to) = queue.in_flight().unwrap();
        queue.push(b"third", None);
        queue.advance(1, &mut pool);
        assert_eq!((&payload[..], to), (&b"first"[..], Some(addr(1))));
        assert_eq!(queue.in_flight(), Some((Bytes::new(), None)));
        queue.advance(1, &mut pool);
        assert_eq!(queue.in_flight().unwrap().0, b"third"[..]);
        queue.advance(9, &mut pool);
        assert_eq!((queue.in_flight(), queue.size()), (None, 0));
    }

    //= DGRAM-11
    #[test]
    fn a_queue_that_is_never_empty_keeps_room_for_what_waits_and_not_for_what_went() {
        let mut pool = BufPool::new();
        for step in 1..=2 {
            let mut queue = DatagramQueue::default();
            queue.push(b"first", None);
            for _ in 0..1000 {
                (0..step).for_each(|_| queue.push(b"next", None));
                queue.advance(step, &mut pool);
            }
            assert!(queue.heads.len() <= 4, "{} heads for one datagram", queue.heads.len());
        }
        // And what waits is not moved before as much has gone, so that each is moved once at most.
        let mut queue = DatagramQueue::default();
        (0..4).for_each(|_| queue.push(b"one of four", None));
        queue.advance(2, &mut pool);
        assert_eq!((queue.first, queue.end), (2, 4));
        queue.advance(1, &mut pool);
        assert_eq!((queue.first, queue.end), (0, 1));
    }
}

//! Datagrams that were accepted and that the kernel has not taken yet.

use super::data::WriteData;
use super::pool::BufPool;
use super::queue::SendQueue;
use crate::addr::{Addr, AddrRef, UnixAddr};
use alloc::collections::{VecDeque, vec_deque};
use alloc::vec::Vec;
use bytes::Bytes;
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
}

/// Datagrams to send, in order, each whole. Their payloads stand behind each other in a [`SendQueue`], each in one piece of it.
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
        self.bytes.len()
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
        self.push_head(Head { len, to });
        if len > 0 {
            data.append_to(&mut self.bytes);
        }
    }

    /// As [`push`](Self::push), for what nearly every datagram is: bytes to be copied, to an internet address.
    #[inline(always)]
    pub(crate) fn push_copy(&mut self, data: &[u8], to: &SocketAddr) {
        self.push_head(Head { len: data.len(), to: Some(*to) });
        self.bytes.copy(data);
    }

    #[inline(always)]
    fn push_head(&mut self, head: Head) {
        self.size += head.len + OVERHEAD;
        // Into its place, and not through the stack, as a push that may have to make room goes.
        match self.heads.get_mut(self.end) {
            Some(place) => *place = head,
            None => self.add_head(head),
        }
        self.end += 1;
    }

    #[cold]
    fn add_head(&mut self, head: Head) {
        self.heads.push(head);
    }

    /// Lends the foremost datagrams, at most so many.
    #[inline]
    pub(crate) fn outgoing(&self, most: usize) -> impl ExactSizeIterator<Item = Outgoing<'_>> + Clone {
        let heads = self.waiting();
        let heads = heads[..heads.len().min(most)].iter();
        Lent { heads, names: self.names.iter(), pieces: self.bytes.pieces(), piece: &[] }
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
        if n >= self.waiting().len() {
            self.bytes.advance(usize::MAX, pool);
            self.size = 0;
            self.first = 0;
            self.end = 0;
            if self.heads.len() > KEPT_ROOM {
                self.heads.truncate(KEPT_ROOM);
                self.heads.shrink_to_fit();
            }
            self.names.clear();
            self.names.shrink_to(KEPT_ROOM);
            return;
        }
        let going = &self.heads[self.first..self.first + n];
        let bytes = going.iter().map(|head| head.len).sum();
        let names = going.iter().filter(|head| head.to.is_none()).count();
        self.names.drain(..names.min(self.names.len()));
        self.bytes.advance(bytes, pool);
        self.size -= bytes + n * OVERHEAD;
        self.first += n;
        if self.first > self.end / 2 {
            self.heads.copy_within(self.first..self.end, 0);
            self.end -= self.first;
            self.first = 0;
        }
    }
}

/// Datagrams of a queue, lent.
#[derive(Clone)]
struct Lent<'a, P> {
    heads: slice::Iter<'a, Head>,
    names: vec_deque::Iter<'a, UnixAddr>,
    pieces: P,
    /// What is left of the piece in which the next one stands; a piece ends where a datagram ends.
    piece: &'a [u8],
}

/// The next piece that has a datagram of that length.
#[inline(never)]
fn next_piece<'a>(pieces: &mut impl Iterator<Item = &'a [u8]>, len: usize) -> &'a [u8] {
    pieces.find(|piece| piece.len() >= len).unwrap_or_default()
}

impl<'a, P: Iterator<Item = &'a [u8]>> Iterator for Lent<'a, P> {
    type Item = Outgoing<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Outgoing<'a>> {
        let head = self.heads.next()?;
        if self.piece.len() < head.len {
            self.piece = next_piece(&mut self.pieces, head.len);
        }
        let (payload, rest) = self.piece.split_at(head.len);
        self.piece = rest;
        let to = match &head.to {
            Some(to) => Some(AddrRef::Inet(to)),
            None => self.names.next().map(AddrRef::Unix),
        };
        Some(Outgoing { payload, to })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.heads.size_hint()
    }
}

impl<'a, P: Iterator<Item = &'a [u8]>> ExactSizeIterator for Lent<'a, P> {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use core::net::SocketAddr;

    fn addr(port: u16) -> Addr {
        SocketAddr::from(([127, 0, 0, 1], port)).into()
    }

    fn payloads(queue: &DatagramQueue) -> Vec<Vec<u8>> {
        queue.outgoing(8).map(|datagram| datagram.payload.to_vec()).collect()
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
                    Addr::Inet(to) if n % 2 == 0 => queue.push_copy(&payload, &to),
                    to => queue.push(&payload, Some((&to).into())),
                }
                expected.push_back((payload, addr(n)));
            }
            let going = if n % 40 == 39 { expected.len() } else { 2 };
            queue.advance(going, &mut pool);
            expected.drain(..going);
            let lent = queue.outgoing(usize::MAX).map(|datagram| (datagram.payload.to_vec(), datagram.to.unwrap().into()));
            assert!(lent.eq(expected.iter().cloned()), "after {n}");
            assert_eq!(queue.size(), expected.iter().map(|(payload, _)| payload.len() + OVERHEAD).sum::<usize>());
            assert_eq!(queue.is_empty(), expected.is_empty());
            assert!(queue.heads.len() <= KEPT_ROOM.max(2 * queue.waiting().len() + 3));
        }
        for _ in 0..2 * KEPT_ROOM {
            queue.push(b"", None);
        }
        queue.advance(usize::MAX, &mut pool);
        assert_eq!((queue.heads.len(), queue.outgoing(1).len()), (KEPT_ROOM, 0));
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

//! Virtual time: what will happen, and when.

use super::calls::Backend;
use super::datagram::Letter;
use super::net::SockId;
use super::resolve::Found;
use super::ring::Outcome;
use core::cmp::Ordering;
use core::net::SocketAddr;
use plimsoll_core::{ErrorKind, Instant, Key, QueryId};
use std::collections::BinaryHeap;

/// Something that the network or the kernel will do.
#[derive(Debug)]
pub(crate) enum Happening {
    /// So many bytes of this sender arrive.
    Segment { from: SockId, n: usize },
    /// The end of this sender's bytes arrives.
    Fin { from: SockId },
    /// The reset that this sender sent arrives, behind its bytes.
    Rst { from: SockId },
    /// A reset from the network, or from a host that knows nothing of the connection, arrives here.
    Reset { to: SockId },
    /// So many bytes are acknowledged.
    Ack { to: SockId, n: usize },
    /// The receiver has room for so many bytes more.
    Window { to: SockId, n: usize },
    /// A connection request arrives at its address.
    Syn { from: SockId, attempt: u32 },
    /// The answer to a connection request arrives.
    Established { client: SockId },
    /// The connection stands in the listener's queue.
    Queued { listener: SockId, child: SockId },
    /// Connecting fails.
    Refused { client: SockId, kind: ErrorKind },
    /// Whoever watches this socket looks again.
    Wake { sock: SockId },
    /// A datagram arrives, or does not.
    Datagram(Box<Letter>),
    /// A host says that nobody takes datagrams at that address.
    NobodyThere { from: SockId, to: SocketAddr },
    /// A child takes its next step.
    Step { child: Key },
    /// A signal arrives at a child.
    Signal { child: Key, signal: i32 },
    /// Whoever held this descriptor of an end of a pipe is gone.
    Dies { sock: SockId },
    /// An operation comes back.
    Complete { ring: usize, key: Key, outcome: Outcome },
    /// A lookup is answered.
    Answered { asker: Backend, query: QueryId, found: Found },
    /// Cancelled operations of a closed socket come to their end.
    Cancelled { sock: SockId },
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    seq: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The heap gives the largest first: that is the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

/// The time, and what will happen in order; at one moment in the order in which it was set off.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    now: Instant,
    seq: u64,
    heap: BinaryHeap<Entry>,
}

impl Clock {
    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn push(&mut self, at: Instant, what: Happening) {
        let seq = self.seq;
        self.seq += 1;
        self.heap.push(Entry { at: at.max(self.now), seq, what });
    }

    /// When something happens next.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Takes what is due.
    pub(crate) fn pop_due(&mut self) -> Option<Happening> {
        if self.next_at()? > self.now {
            return None;
        }
        self.heap.pop().map(|entry| entry.what)
    }

    /// Time passes; never backwards.
    pub(crate) fn set_now(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
}

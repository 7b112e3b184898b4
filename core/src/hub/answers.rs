//! Answers to datagrams, on the way that nearly all of them go.

use super::{Hub, NOBODY};
use crate::endpoint::Endpoint;
use crate::flow::datagrams::DatagramQueue;
use crate::key::Key;
use alloc::boxed::Box;
use bytes::BytesMut;
use core::net::SocketAddr;
use core::ptr::{self, null};

/// The queue of the datagram endpoint that is being delivered to, as long as all that its callbacks have done is to send a little, and nobody observes:
/// nothing else needs to be looked at then. Whoever gets hold of what may be this endpoint disturbs it, and the queue goes back to where it belongs.
#[derive(Debug)]
pub(crate) struct Answers {
    /// Whose queue it is; [`NOBODY`]: nobody's, and it is an empty one.
    pub(super) of: Key,
    pub(super) queue: Box<DatagramQueue>,
    /// How large it may become without anything that follows from it: up to the low mark. Nothing, if it is nobody's.
    pub(super) most: usize,
    /// How many datagrams have been told of those that were received together: the number of the block in which the last one stands, counted from one.
    told: usize,
    /// Where that block is, to know it by: nothing is read from there. There is another one in that place only if it is not there any more.
    block: *const BytesMut,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self { of: NOBODY, queue: Box::default(), most: 0, told: 0, block: null() }
    }

    /// The next datagrams were received together.
    pub(crate) const fn begin(&mut self) {
        self.told = 0;
    }

    /// How many of them have been told; one whose callback panics was.
    pub(crate) const fn told(&self) -> usize {
        self.told
    }

    /// The next of them is told, which stands in this block.
    #[inline(always)]
    pub(crate) fn tell(&mut self, block: &BytesMut) {
        self.told += 1;
        self.block = block;
    }

    /// Whether the queue is of the endpoint of this key.
    #[inline(always)]
    pub(super) const fn are_of(&self, key: Key) -> bool {
        self.of.to_bits() == key.to_bits()
    }

    /// What is queued, if it is the queue of the endpoint of this key.
    pub(super) fn size_of(&self, key: Key) -> Option<usize> {
        if self.are_of(key) { Some(self.queue.size()) } else { None }
    }

    /// Queues the datagram that was told last as an answer to itself: that is `data`, in that block, and nobody can reach it there any more. `false`: it has to
    /// be copied, or there is no room for it.
    #[inline(always)]
    pub(super) fn put_in_place(&mut self, block: *const BytesMut, data: &[u8], to: &SocketAddr) -> bool {
        ptr::eq(block, self.block) && self.queue.push_in_place(data.len(), self.told, to, self.most)
    }

    #[inline(always)]
    pub(super) fn put_copy(&mut self, data: &[u8], to: &SocketAddr) -> bool {
        self.queue.push_copy(data, to, self.most)
    }
}

impl<S> Hub<S> {
    /// Whether something was done that the next datagram may have to wait for. No endpoint has a key of generation zero.
    #[inline(always)]
    pub(crate) const fn is_disturbed(&self) -> bool {
        self.answers.of.generation() == NOBODY.generation()
    }

    /// Somebody wants to look at something, or to change it, that may be the endpoint that is being delivered to.
    #[inline(always)]
    pub(crate) fn disturb(&mut self) {
        if !self.is_disturbed() {
            self.give_answers_back();
        }
    }

    #[inline(never)]
    fn give_answers_back(&mut self) {
        let key = core::mem::replace(&mut self.answers.of, NOBODY);
        self.answers.most = 0;
        match self.endpoints.get_mut(key) {
            Some(Endpoint::Datagram(datagram)) => datagram.transport.swap_queue(&mut self.answers.queue),
            // Never: whoever removes an endpoint disturbs it first. Its answers would be nobody else's.
            _ => *self.answers.queue = DatagramQueue::default(),
        }
    }

    /// Whether the next datagram may be delivered at once: nothing is due before it, the same protocol wants it, and not so much is queued that it should be
    /// sent first, since what one datagram makes an endpoint send must not count against the next.
    pub(crate) fn next_datagram_may_follow(&mut self, key: Key) -> bool {
        self.disturb();
        let Some(Endpoint::Datagram(datagram)) = self.endpoints.get_mut(key) else { return false };
        let transport = &mut datagram.transport;
        let calm = self.due.is_empty() && datagram.protocol.is_none() && transport.wants_read() && transport.has_little();
        if calm && self.observer.is_none() {
            self.answers.most = transport.ease();
            self.answers.of = key;
            transport.swap_queue(&mut self.answers.queue);
        }
        calm
    }
}

//! Facts of datagram endpoints, and the callbacks that they lead to.

use super::turn::lend;
use super::{Engine, MOST_EDGES};
use crate::addr::{Addr, Ends};
use crate::datagram::DatagramTransport;
use crate::driver::Incoming;
use crate::endpoint::{DatagramEndpoint, IN_DIRTY};
use crate::error::Error;
use crate::flow::data::Data;
use crate::flow::pool::BufPool;
use crate::hub::{Ready, Work};
use crate::key::{DatagramId, Key};
use crate::observer::Event;
use crate::open::OpenError;
use crate::protocol::{Batch, DatagramProtocol};
use alloc::boxed::Box;
use bytes::BytesMut;
use core::time::Duration;

/// How long sending rests if the kernel has no room and does not say when it has.
const SEND_REST: Duration = Duration::from_millis(5);

impl<S> Engine<S> {
    /// The opening of a datagram endpoint came about, or not, at that address of those tried. `false`: it was given up meanwhile, close the socket.
    pub fn datagram_opened(&mut self, id: DatagramId, at: Option<Addr>, result: Result<Ends, Error>) -> bool {
        let key = id.key;
        let Some(datagram) = self.hub.datagram_at(key) else { return false };
        match result {
            Ok(ends) => {
                datagram.transport.handle_open(ends.peer.clone());
                self.hub.set_ends(key, ends);
                self.push_ready(Ready::Made(key));
            }
            Err(error) => self.hub.open_failed(key, OpenError::new(at, error)),
        }
        true
    }

    /// The machine of a datagram endpoint: what it wants to send, and whether it wants to receive.
    #[inline]
    pub fn datagrams(&mut self, key: Key) -> Option<&mut DatagramTransport> {
        self.hub.datagram_at(key).map(|datagram| &mut datagram.transport)
    }

    /// A datagram came. `false`: it is not wanted now, [hold](DatagramTransport::hold) it. Send what the endpoint has to send afterwards, and settle
    /// the edges before the next one (contract DGRAM-16).
    pub fn datagram_received(&mut self, key: Key, data: Data<'_>, from: &Addr) -> bool {
        let Some(protocol) = self.protocol_for_datagram(key) else { return false };
        self.hub.observe(key, &Event::Datagram(&data, from));
        self.call_lifted::<DatagramEndpoint<S>, _>(key, protocol, |protocol, cx| protocol.datagram_received(cx, data, from));
        true
    }

    /// Lifts the protocol out, if a datagram would be welcome.
    #[inline]
    fn protocol_for_datagram(&mut self, key: Key) -> Option<Box<dyn DatagramProtocol<S>>> {
        let datagram = self.hub.datagram_at(key)?;
        if datagram.transport.wants_read() { datagram.protocol.take() } else { None }
    }

    /// The next datagrams to be delivered were received together, and none of them has been told.
    pub(crate) const fn begin_datagrams(&mut self) {
        self.hub.answers.begin();
    }

    /// How many of them have been told; one whose callback panics was.
    pub(crate) const fn told_datagrams(&self) -> usize {
        self.hub.answers.told()
    }

    /// Delivers them, from the first one that has not been told on, as long as nothing has to be done between one and the next: then `true`, and it is to be
    /// called again. `false`: none is wanted now.
    /// Whether a block was claimed is left in `claimed`.
    pub(crate) fn deliver_datagrams(&mut self, key: Key, blocks: &mut [BytesMut], came: &[Incoming], claimed: &mut bool) -> bool {
        let Some(protocol) = self.protocol_for_datagram(key) else { return false };
        let state = &mut self.state;
        let told = self.hub.answers.told();
        let (blocks, came) = (blocks.get_mut(told..).unwrap_or_default(), came.get(told..).unwrap_or_default());
        lend::<S, DatagramEndpoint<S>, _>(&mut self.hub, key, protocol, |protocol, id, hub| {
            protocol.deliver(Batch { id, hub, state, blocks, came, claimed });
        });
        self.hub.disturb();
        true
    }

    /// What an endpoint has not sent of answers that stand in these blocks is copied: they are to be used for others.
    pub(crate) fn keep_answers(&mut self, key: Key, blocks: &[BytesMut]) {
        if let Some((datagram, pool)) = self.hub.datagram_and_pool(key) {
            datagram.transport.keep(blocks, pool);
        }
    }

    /// Delivers one datagram that was held, if it is wanted now.
    pub fn deliver_held_datagram(&mut self, key: Key) -> bool {
        let Some((mut held, from)) = self.datagrams(key).and_then(DatagramTransport::poll_held) else { return false };
        let len = held.len();
        self.datagram_received(key, Data::new(&mut held, len), &from)
    }

    /// Holds what came and is not wanted now.
    pub(crate) fn hold_datagram(&mut self, key: Key, data: &[u8], from: Addr) {
        if let Some(transport) = self.datagrams(key) {
            transport.hold(BytesMut::from(data), from);
        }
    }

    /// The memory to receive datagrams into: blocks that hold the largest one whole, whatever one read of a stream brings (contract DGRAM-13).
    pub(crate) const fn datagram_pool(&mut self) -> &mut BufPool {
        let hub = &mut self.hub;
        if hub.pool.block_size() >= BufPool::BLOCK { &mut hub.pool } else { &mut hub.datagram_pool }
    }

    /// The kernel took the foremost `n` datagrams.
    #[inline]
    pub fn datagrams_sent(&mut self, key: Key, n: usize) {
        self.datagrams_gone(key, n);
    }

    /// As [`datagrams_sent`](Self::datagrams_sent); whether any are left.
    #[inline]
    pub(crate) fn datagrams_gone(&mut self, key: Key, n: usize) -> bool {
        let Some((datagram, pool)) = self.hub.datagram_and_pool(key) else { return false };
        let transport = &mut datagram.transport;
        transport.handle_sent(n, pool);
        let left = transport.has_queued();
        let idle = !transport.is_closing() && !transport.is_writing_paused();
        if !idle || self.is_observed() {
            self.after_datagrams_sent(key);
        }
        left
    }

    fn after_datagrams_sent(&mut self, key: Key) {
        let size = self.datagrams(key).map_or(0, |transport| transport.write_buffer_size());
        self.hub.observe(key, &Event::Sent { size });
        self.hub.touch(key);
    }

    /// The kernel refused the foremost datagram: it is dropped, and its endpoint told (contract DGRAM-7, DGRAM-8).
    pub fn datagram_send_failed(&mut self, key: Key, error: Error) {
        if let Some((datagram, pool)) = self.hub.datagram_and_pool(key) {
            datagram.transport.handle_send_error(error, pool);
            self.after_datagrams_sent(key);
        }
    }

    /// A send would block, and the poller will not say when it would not: it is tried again soon.
    pub fn no_room_for_datagram(&mut self, key: Key) {
        if let Some(transport) = self.datagrams(key) {
            transport.handle_no_room();
            let until = self.hub.now.saturating_add(SEND_REST);
            self.hub.timers.set(until, Work::Send { datagram: key });
        }
    }

    /// Receiving failed: the endpoint is told, and stays (contract DGRAM-7).
    pub fn datagram_receive_failed(&mut self, key: Key, error: Error) {
        if let Some(transport) = self.datagrams(key) {
            transport.handle_receive_error(error);
            self.hub.touch(key);
        }
    }

    /// The descriptor itself is of no use any more: the endpoint is lost with that error.
    pub fn datagram_endpoint_failed(&mut self, key: Key, error: Error) {
        if let Some((datagram, pool)) = self.hub.datagram_and_pool(key) {
            let dropped = datagram.transport.handle_failure(error, pool);
            self.hub.force_closed(key, dropped);
        }
    }

    /// Tells one error that is due; whether there was one. An endpoint that has had its callbacks of this iteration waits for the next one, lest one that
    /// makes an error in answer to each keep everybody else waiting (contract RUST-2).
    pub fn deliver_error(&mut self, key: Key) -> bool {
        let round = self.hub.round;
        let Some(datagram) = self.hub.datagram_at(key).filter(|datagram| datagram.transport.is_error_due()) else { return false };
        let common = &mut datagram.common;
        if common.edge_round != round {
            common.edge_round = round;
            common.edges = 0;
        }
        if common.edges == MOST_EDGES {
            if common.set(IN_DIRTY) {
                self.hub.late_dirty.push_back(key);
            }
            return false;
        }
        common.edges += 1;
        let Some(error) = datagram.transport.poll_error() else { return false };
        self.hub.observe(key, &Event::Error(error));
        self.call::<DatagramEndpoint<S>, _>(key, |protocol, cx| protocol.error_received(cx, error));
        // Its direction is open again.
        self.hub.look_at(key);
        self.hub.touch(key);
        true
    }
}

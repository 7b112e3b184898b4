//! Datagrams that came together, each told as if it had come alone.

use super::DatagramProtocol;
use crate::context::Context;
use crate::driver::Incoming;
use crate::flow::data::Data;
use crate::hub::Hub;
use crate::key::DatagramId;
use crate::observer::Event;
use bytes::BytesMut;

/// Datagrams that came together, and what their callbacks are given.
#[doc(hidden)]
#[allow(missing_debug_implementations, unnameable_types, reason = "nobody outside has one")]
pub struct Batch<'a, S> {
    pub(crate) id: DatagramId,
    pub(crate) hub: &'a mut Hub<S>,
    pub(crate) state: &'a mut S,
    pub(crate) blocks: &'a mut [BytesMut],
    /// What came into the block of the same index.
    pub(crate) came: &'a [Incoming],
    /// A block was claimed.
    pub(crate) claimed: &'a mut bool,
}

/// Tells a protocol the datagrams of a batch, as long as nothing has to be done between one and the next.
///
/// It is implemented for every datagram protocol, so that the loop is compiled together with its callback: the protocol's table is looked into once a
/// batch, and not for each datagram.
#[doc(hidden)]
#[allow(unnameable_types, reason = "nobody has to name it: it is implemented for everything")]
pub trait Deliver<S> {
    fn deliver(&mut self, batch: Batch<'_, S>);
}

impl<S, P: DatagramProtocol<S>> Deliver<S> for P {
    fn deliver(&mut self, batch: Batch<'_, S>) {
        let Batch { id, hub, state, blocks, came, claimed } = batch;
        hub.next_datagram_may_follow(id.key);
        for (block, came) in blocks.iter_mut().zip(came) {
            hub.answers.tell(block);
            let data = Data::new(block, came.len);
            if hub.observer.is_some() {
                hub.observe(id.key, &Event::Datagram(&data, &came.from));
            }
            self.datagram_received(&mut Context { id, hub, state }, data, &came.from);
            if block.is_empty() {
                *claimed = true;
            }
            if hub.is_disturbed() && !hub.next_datagram_may_follow(id.key) {
                return;
            }
        }
    }
}

//! A system without calls for many datagrams.

use super::one;
use crate::socket::Source;
use plimsoll_core::driver::Incoming;
use plimsoll_core::{BytesMut, Outgoing, ReadResult};

#[derive(Debug, Default)]
pub(in crate::socket) struct Calls;

impl Calls {
    #[allow(clippy::unused_self, reason = "others work in themselves")]
    pub(in crate::socket) fn receive(&mut self, source: &Source, blocks: &mut [BytesMut], came: &mut [Incoming]) -> ReadResult {
        one::receive(source, blocks, came)
    }

    #[allow(clippy::unused_self, reason = "others work in themselves")]
    pub(in crate::socket) fn send<'a>(
        &mut self,
        source: &Source,
        datagrams: impl ExactSizeIterator<Item = Outgoing<'a>>,
    ) -> ReadResult {
        one::send_each(source, datagrams)
    }
}

//! A system without calls for many datagrams.

use super::one;
use crate::socket::Source;
use plimsoll_core::driver::{Incoming, IncomingRun};
use plimsoll_core::{BytesMut, Call, Error, ErrorKind, Outgoing, ReadResult};

#[derive(Debug, Default)]
pub(in crate::socket) struct Calls;

impl Calls {
    #[allow(clippy::unused_self, reason = "others work in themselves")]
    pub(in crate::socket) fn receive(&mut self, source: &Source, blocks: &mut [BytesMut], came: &mut [Incoming]) -> ReadResult {
        one::receive(source, blocks, came)
    }

    #[allow(clippy::unused_self, reason = "others work in themselves")]
    pub(in crate::socket) fn receive_runs(&mut self, _: &Source, _: &mut [BytesMut], _: &mut [IncomingRun]) -> ReadResult {
        // Never: nothing is put together here.
        Err(Error::new(Call::Receive, ErrorKind::Unsupported))
    }

    #[allow(clippy::unused_self, reason = "others work in themselves")]
    pub(in crate::socket) fn send<'a>(
        &mut self,
        source: &mut Source,
        datagrams: impl ExactSizeIterator<Item = Outgoing<'a>>,
    ) -> ReadResult {
        one::send_each(source, datagrams)
    }
}

/// Nothing is put together here.
pub(super) const fn put_together(_: &mut Source) {}

/// Nothing is put together here.
pub(super) const fn take_over(_: &mut Source) {}

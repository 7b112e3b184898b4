//! Many datagrams in one call: `recvmmsg` and `sendmmsg`.

use super::one;
use crate::error::io_error;
use crate::socket::Source;
use plimsoll_core::driver::Incoming;
use plimsoll_core::{Addr, AddrRef, BytesMut, Call, Outgoing, ReadResult, UnixAddr};
use plimsoll_raw::mmsg::{Message, Receiver, Sender};
use std::io::ErrorKind;

/// What the calls work in, for all sockets of a loop: made when it is first needed.
#[derive(Debug, Default)]
pub(in crate::socket) struct Calls {
    receiver: Option<Receiver>,
    sender: Option<Sender>,
}

impl Calls {
    pub(in crate::socket) fn receive(&mut self, source: &Source, blocks: &mut [BytesMut], came: &mut [Incoming]) -> ReadResult {
        if !source.is_inet_datagrams() {
            return one::receive(source, blocks, came);
        }
        let receiver = self.receiver.get_or_insert_with(Receiver::new);
        loop {
            match receiver.receive(source, blocks.iter_mut().map(|block| &mut block[..])) {
                Ok(messages) => {
                    let count = messages.with_each(came, |came, message| {
                        came.len = message.len();
                        match message.from_v4() {
                            Some(from) => came.from = Addr::Inet(from.into()),
                            None => other_sender(came, &message),
                        }
                    });
                    return Ok(Some(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(Call::Receive, &error)),
            }
        }
    }

    #[inline]
    pub(in crate::socket) fn send<'a>(
        &mut self,
        source: &Source,
        datagrams: impl ExactSizeIterator<Item = Outgoing<'a>> + Clone,
    ) -> ReadResult {
        // One that is alone is sent by the plainer call.
        if datagrams.len() < 2 || !source.is_inet_datagrams() {
            return one::send_each(source, datagrams);
        }
        let mut batch = self.sender.get_or_insert_with(Sender::new).batch();
        for datagram in datagrams.clone() {
            let to = match datagram.to {
                None => None,
                Some(AddrRef::Inet(to)) => Some(to),
                Some(AddrRef::Unix(_)) => break,
            };
            if !batch.push(datagram.payload, to) {
                break;
            }
        }
        if batch.is_empty() {
            // The foremost one has an address of another kind: the kernel is asked what it says to it.
            return one::send_each(source, datagrams);
        }
        loop {
            match batch.send(source) {
                Ok(taken) => return Ok(Some(taken)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(Call::Send, &error)),
            }
        }
    }
}

/// Out of line, so that the address which most datagrams come from is written to its place and nowhere else.
#[inline(never)]
fn other_sender(came: &mut Incoming, message: &Message<'_>) {
    came.from = message.from().map_or(Addr::Unix(UnixAddr::UNNAMED), Addr::Inet);
}

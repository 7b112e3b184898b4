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
                    let mut count = 0;
                    for (came, message) in came.iter_mut().zip(messages) {
                        came.len = message.len();
                        match message.from_v4() {
                            Some(from) => came.from = Addr::Inet(from.into()),
                            None => other_sender(came, &message),
                        }
                        count += 1;
                    }
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
        let sender = self.sender.get_or_insert_with(Sender::new);
        loop {
            let batch = datagrams.clone().map_while(|datagram| match datagram.to {
                None => Some((datagram.payload, None)),
                Some(AddrRef::Inet(to)) => Some((datagram.payload, Some(to))),
                Some(AddrRef::Unix(_)) => None,
            });
            match sender.send(source, batch) {
                // The foremost one has an address of another kind: the kernel is asked what it says to it.
                Ok(0) => return one::send_each(source, datagrams),
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

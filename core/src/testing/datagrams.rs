//! Datagram endpoints of a loop in memory.

use super::harness::Harness;
use super::memory::{Memory, Number, addr};
use crate::addr::{Addr, Ends};
use crate::driver::{Incoming, IncomingRun};
use crate::engine::ReadResult;
use crate::error::{Call, Error, ErrorKind};
use crate::flow::datagrams::Outgoing;
use crate::key::DatagramId;
use crate::open::Datagram;
use crate::protocol::DatagramProtocol;
use alloc::vec::Vec;
use bytes::BytesMut;

impl<S> Harness<S> {
    /// A datagram endpoint, open.
    #[track_caller]
    pub fn datagram(&mut self, open: impl Into<Datagram>, protocol: impl DatagramProtocol<S> + 'static) -> DatagramId {
        let id = self.hub().open_datagram(open, protocol);
        self.run();
        id
    }

    /// A datagram comes from that address.
    #[track_caller]
    pub fn feed_from(&mut self, id: DatagramId, datagram: &[u8], from: impl Into<Addr>) {
        self.feed_all_from(id, [datagram], from);
    }

    /// Datagrams come from that address, all at once.
    #[track_caller]
    pub fn feed_all_from<'a>(&mut self, id: DatagramId, datagrams: impl IntoIterator<Item = &'a [u8]>, from: impl Into<Addr>) {
        let from = from.into();
        if let Some(socket) = self.memory().of(id.key()) {
            socket.arrived.extend(datagrams.into_iter().map(|datagram| (datagram.to_vec(), from.clone())));
        }
        self.run();
    }

    /// The next sends of datagrams fail so, one after the other.
    pub fn fail_sends(&mut self, id: DatagramId, errors: impl IntoIterator<Item = ErrorKind>) {
        if let Some(socket) = self.memory().of(id.key()) {
            socket.send_errors.extend(errors);
        }
    }

    /// An error waits for the next receive.
    #[track_caller]
    pub fn fail_receive(&mut self, id: DatagramId, kind: ErrorKind) {
        if let Some(socket) = self.memory().of(id.key()) {
            socket.error = Some(kind);
        }
        self.run();
    }

    /// From now on the kernel takes only datagrams of so many bytes together; without a call it takes all.
    #[track_caller]
    pub fn datagram_window(&mut self, id: DatagramId, bytes: usize) {
        if let Some(socket) = self.memory().of(id.key()) {
            socket.window = bytes;
        }
        self.run();
    }

    /// What was sent since this was asked last, and to whom; no address where the socket is connected.
    pub fn sent_datagrams(&mut self, id: DatagramId) -> Vec<(Vec<u8>, Option<Addr>)> {
        self.memory().of(id.key()).map(|socket| core::mem::take(&mut socket.departed)).unwrap_or_default()
    }
}

impl Memory {
    pub(super) fn open(&mut self, open: &Datagram) -> (Number, Ends) {
        let local = open.local().cloned().unwrap_or_else(|| addr(2));
        let ends = Ends::new(Some(local), open.remote().filter(|_| open.connects()).cloned());
        let number = self.socket(ends.clone());
        self.sockets[number].in_runs = open.is_receive_offload();
        (Number(number), ends)
    }

    pub(super) fn receive(&mut self, source: &Number, blocks: &mut [BytesMut], came: &mut [Incoming]) -> ReadResult {
        let socket = &mut self.sockets[source.0];
        if let Some(kind) = socket.error.take() {
            return Err(Error::new(Call::Receive, kind));
        }
        let count = blocks.len().min(came.len()).min(socket.arrived.len());
        for ((block, came), (datagram, from)) in blocks.iter_mut().zip(came).zip(socket.arrived.drain(..count)) {
            came.len = datagram.len().min(block.len());
            block[..came.len].copy_from_slice(&datagram[..came.len]);
            came.from = from;
        }
        Ok((count > 0).then_some(count))
    }

    /// Puts together what arrived from one sender in a row, of one size but for the last, as far as it fits into a block.
    pub(super) fn receive_runs(&mut self, source: &Number, blocks: &mut [BytesMut], came: &mut [IncomingRun]) -> ReadResult {
        let socket = &mut self.sockets[source.0];
        if let Some(kind) = socket.error.take() {
            return Err(Error::new(Call::Receive, kind));
        }
        let mut count = 0;
        for (block, came) in blocks.iter_mut().zip(came) {
            let Some((first, from)) = socket.arrived.pop_front() else { break };
            let size = first.len();
            let mut last = size;
            block[..size].copy_from_slice(&first);
            let mut len = size;
            while let Some((next, _)) = socket.arrived.front().filter(|(next, sender)| {
                *sender == from && (1..=last).contains(&next.len()) && last == size && len + next.len() <= block.len()
            }) {
                last = next.len();
                block[len..len + last].copy_from_slice(next);
                len += last;
                socket.arrived.pop_front();
            }
            *came = IncomingRun { len, size, from };
            count += 1;
        }
        Ok((count > 0).then_some(count))
    }

    pub(super) fn send_all(&mut self, source: &Number, datagrams: &[Outgoing<'_>]) -> ReadResult {
        let socket = &mut self.sockets[source.0];
        let mut taken = 0;
        for datagram in datagrams {
            if !socket.send_errors.is_empty() && taken > 0 {
                break; // It is the foremost one's, next time.
            }
            if let Some(kind) = socket.send_errors.pop_front() {
                return Err(Error::new(Call::Send, kind));
            }
            let Some(window) = socket.window.checked_sub(datagram.payload.len()) else { break };
            socket.window = window;
            socket.departed.push((datagram.payload.to_vec(), datagram.to.map(Addr::from)));
            taken += 1;
        }
        Ok((taken > 0).then_some(taken))
    }
}

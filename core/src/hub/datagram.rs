//! Verbs of datagram endpoints.

use super::Hub;
use crate::addr::{AddrRef, ToAddr};
use crate::datagram::DatagramTransport;
use crate::endpoint::{About, Common, DatagramEndpoint, Endpoint};
use crate::flow::data::WriteData;
use crate::flow::limits::WriteLimits;
use crate::key::{DatagramId, Key};
use crate::op::Op;
use crate::open::{Datagram, Resource};
use crate::protocol::DatagramProtocol;
use crate::status::WriteStatus;
use alloc::boxed::Box;
use bytes::BytesMut;
use core::net::SocketAddr;

impl<S> Hub<S> {
    /// Opens a datagram endpoint for `protocol`: `connection_made` follows, or `open_failed` (contract LOOP-26).
    ///
    /// The id is good at once: what is sent before the socket is there is sent then; closing or aborting it before then cancels the opening without
    /// any callback.
    pub fn open_datagram(&mut self, open: impl Into<Datagram>, protocol: impl DatagramProtocol<S> + 'static) -> DatagramId {
        let open = open.into();
        let transport = match open.remote() {
            Some(remote) => DatagramTransport::with_remote(WriteLimits::DEFAULT, remote.clone(), open.connects()),
            None => DatagramTransport::new(WriteLimits::DEFAULT),
        };
        self.insert_datagram(transport, Box::new(protocol), |id| Op::OpenDatagram(id, open))
    }

    /// Takes over a datagram socket of the backend's for `protocol`. If it is connected, its peer is the remote address (contract LOOP-26). Before
    /// `connection_made` that is not known, and nothing can be sent.
    pub fn adopt_datagram_socket(&mut self, resource: Resource, protocol: impl DatagramProtocol<S> + 'static) -> DatagramId {
        let transport = DatagramTransport::adopted(WriteLimits::DEFAULT);
        self.insert_datagram(transport, Box::new(protocol), |id| Op::AdoptDatagram(id, resource))
    }

    fn insert_datagram(
        &mut self,
        transport: DatagramTransport,
        protocol: Box<dyn DatagramProtocol<S>>,
        op: impl FnOnce(DatagramId) -> Op,
    ) -> DatagramId {
        let endpoint = DatagramEndpoint { protocol: Some(protocol), transport, common: Common::default() };
        match self.insert(Endpoint::Datagram(Box::new(endpoint)), About::default()) {
            Some(key) => {
                let id = DatagramId::new(key, self.tag);
                self.ops.push_back(op(id));
                id
            }
            // 2³² endpoints at once: it fails like an endpoint that is already gone.
            None => DatagramId::new(Key::from_bits(0), self.tag),
        }
    }

    /// Sends a datagram to the endpoint's remote address; refused with `NotConnected` if it has none (contract DGRAM-4, DGRAM-5). Otherwise as
    /// [`send_to`](Self::send_to).
    #[inline]
    pub fn send(&mut self, id: DatagramId, data: impl WriteData) -> WriteStatus {
        self.send_datagram(id, data, None)
    }

    /// Sends a datagram, an empty one too, to that address. It leaves when the callback that runs now has returned, or as the kernel takes it. Never
    /// blocks; an error of the system's comes as `error_received` (contract DGRAM-7, DGRAM-11).
    ///
    /// An endpoint with a remote address refuses any other with `AddressMismatch` (contract DGRAM-6).
    #[inline]
    pub fn send_to(&mut self, id: DatagramId, data: impl WriteData, to: impl ToAddr) -> WriteStatus {
        self.send_datagram(id, data, Some(to.lend()))
    }

    #[inline(always)]
    fn send_datagram(&mut self, id: DatagramId, data: impl WriteData, to: Option<AddrRef<'_>>) -> WriteStatus {
        match to {
            Some(AddrRef::Inet(to)) if data.is_copied() => match data.block() {
                Some(block) => self.send_block(id, block, data.as_slice(), to),
                None => self.send_copy(id, data.as_slice(), to),
            },
            to => self.send_any(id, data, to),
        }
    }

    /// What an answer to a datagram mostly is. A function of its own, so that callbacks stay small enough to be compiled into the loop that calls them.
    #[inline(never)]
    fn send_block(&mut self, id: DatagramId, block: *const BytesMut, data: &[u8], to: &SocketAddr) -> WriteStatus {
        if self.answers.are_of(id.key) && id.tag == self.tag && self.answers.put_in_place(block, data, to) {
            WriteStatus::Accepted
        } else {
            self.send_copy(id, data, to)
        }
    }

    #[inline(never)]
    fn send_copy(&mut self, id: DatagramId, data: &[u8], to: &SocketAddr) -> WriteStatus {
        if self.answers.are_of(id.key) && id.tag == self.tag && self.answers.put_copy(data, to) {
            WriteStatus::Accepted
        } else {
            self.send_any(id, data, Some(AddrRef::Inet(to)))
        }
    }

    #[inline(never)]
    fn send_any(&mut self, id: DatagramId, data: impl WriteData, to: Option<AddrRef<'_>>) -> WriteStatus {
        let datagram = match self.endpoints.get_mut(id.key) {
            Some(Endpoint::Datagram(datagram)) if id.tag == self.tag => datagram,
            _ => return WriteStatus::Discarded,
        };
        let transport = &mut datagram.transport;
        let answers = &mut self.answers;
        if answers.are_of(id.key) {
            transport.swap_queue(&mut answers.queue);
            let (status, unremarkable) = transport.send_to(data, to);
            transport.swap_queue(&mut answers.queue);
            if unremarkable {
                return status;
            }
            self.disturb();
            self.sent_one(id.key, status);
            return status;
        }
        let (status, _) = transport.send_to(data, to);
        self.disturb();
        self.sent_one(id.key, status);
        status
    }

    fn sent_one(&mut self, key: Key, status: WriteStatus) {
        let unremarkable = status == WriteStatus::Accepted && self.is_current(key) && self.observer.is_none();
        if !unremarkable {
            self.wrote(key, status);
        }
    }

    /// As [`set_protocol`](Self::set_protocol), for a datagram endpoint.
    pub fn set_datagram_protocol(
        &mut self,
        id: DatagramId,
        protocol: impl DatagramProtocol<S> + 'static,
    ) -> Option<Box<dyn DatagramProtocol<S>>> {
        if self.machine(id.into())?.is_over() {
            return None;
        }
        self.cancel_timers_of(id.key);
        self.datagram_at(id.key)?.protocol.replace(Box::new(protocol))
    }

    /// Sending has rested.
    pub(crate) fn datagrams_rested(&mut self, key: Key) {
        if let Some(datagram) = self.datagram_at(key) {
            datagram.transport.handle_rested();
            self.touch(key);
        }
    }
}

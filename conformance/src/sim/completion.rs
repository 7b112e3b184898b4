//! The calls of a loop whose operations are carried out for it.

use super::calls::{Backend, SimIo, SimSocket};
use super::net::error;
use super::ring::{Begin, Ops, Outcome};
use bytes::{Bytes, BytesMut};
use plimsoll_core::driver::{Completion, CompletionIo};
use plimsoll_core::{Addr, Attempt, Call, Error, InFlight, Key, Resource};

impl SimIo {
    const fn ring(&self) -> usize {
        match self.backend {
            Backend::Ring(ring) | Backend::Poller(ring) => ring,
        }
    }

    /// Takes a completion that has come.
    pub(crate) fn harvest(&self) -> Option<(Key, Completion<SimSocket>)> {
        let mut net = self.world.borrow_mut();
        let ring = &mut net.rings[self.ring()];
        let (key, outcome) = ring.done.pop_front()?;
        ring.in_flight -= 1;
        let completion = match outcome {
            Outcome::Received(memory, result) => Completion::Received(memory, result.map_err(|kind| error(Call::Receive, kind))),
            Outcome::Sent(result) => Completion::Sent(result.map_err(|kind| error(Call::Send, kind))),
            Outcome::ShutDown(result) => Completion::ShutDown(result.map_err(|kind| error(Call::Shutdown, kind))),
            Outcome::Connected(result) => Completion::Connected(result.map_err(|kind| error(Call::Connect, kind))),
            Outcome::DatagramReceived(memory, result) => {
                Completion::DatagramReceived(memory, result.map_err(|kind| error(Call::Receive, kind)))
            }
            Outcome::DatagramSent(result) => Completion::DatagramSent(result.map_err(|kind| error(Call::Send, kind))),
            Outcome::FileSent(file, offset, result) => Completion::FileSent(file, offset, result),
            Outcome::HungUp => Completion::HungUp,
            Outcome::Ready { writable: false } => Completion::Readable,
            Outcome::Ready { writable: true } => Completion::Writable,
            Outcome::Exited(result) => Completion::Exited(result.map_err(|kind| error(Call::Wait, kind))),
            Outcome::Accepted(result) => {
                Completion::Accepted(result.map(|(id, ends)| (self.socket(id), ends)).map_err(|kind| error(Call::Accept, kind)))
            }
        };
        Some((key, completion))
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.world.borrow().rings[self.ring()].in_flight
    }

    fn begin(&self, source: &SimSocket, key: Key, what: Begin) {
        self.world.borrow_mut().begin(source.id, key, what);
    }
}

impl CompletionIo for SimIo {
    fn recv(&mut self, source: &mut SimSocket, key: Key, memory: BytesMut) {
        self.begin(source, key, Begin::Recv(memory));
    }

    fn send(&mut self, source: &mut SimSocket, key: Key, bytes: InFlight) {
        self.begin(source, key, Begin::Send(Box::new(bytes)));
    }

    fn send_file(&mut self, source: &mut SimSocket, key: Key, file: Resource, offset: u64, most: u64) -> Result<(), Resource> {
        if self.world.borrow().sends_files().is_err() {
            return Err(file);
        }
        self.begin(source, key, Begin::SendFile(file, offset, most));
        Ok(())
    }

    fn shutdown_write(&mut self, source: &mut SimSocket, key: Key) {
        self.begin(source, key, Begin::Shutdown);
    }

    fn connect(&mut self, key: Key, to: &Attempt) -> Result<SimSocket, Error> {
        let socket = self.begin_connect(to)?;
        let ring = self.ring();
        if let Some(socket) = self.world.borrow_mut().sockets.get_mut(socket.id) {
            socket.ops = Some(Ops::new(ring));
        }
        self.begin(&socket, key, Begin::Connect);
        Ok(socket)
    }

    fn accept(&mut self, source: &mut SimSocket, key: Key) {
        self.begin(source, key, Begin::Accept);
    }

    fn recv_from(&mut self, source: &mut SimSocket, key: Key, memory: BytesMut) {
        self.begin(source, key, Begin::RecvFrom(memory));
    }

    fn send_to(&mut self, source: &mut SimSocket, key: Key, payload: Bytes, to: Option<Addr>) {
        self.begin(source, key, Begin::SendTo(payload, to));
    }

    fn wait_child(&mut self, child: &mut SimSocket, key: Key) {
        self.begin(child, key, Begin::Exit);
    }

    fn watch_hang_up(&mut self, source: &mut SimSocket, key: Key) {
        self.begin(source, key, Begin::HangUp);
    }

    fn poll(&mut self, source: &mut SimSocket, key: Key, writable: bool) -> Result<(), Error> {
        self.begin(source, key, Begin::Poll { writable });
        Ok(())
    }

    fn is_ready(&mut self, source: &mut SimSocket, writable: bool) -> bool {
        self.world.borrow_mut().is_ready(source.id, writable)
    }
}

//! Operations that the kernel carries out, and their completions: late, and in any order.

use super::clock::Happening;
use super::net::{Net, Owner, SockId};
use bytes::{Bytes, BytesMut};
use plimsoll_core::driver::FileError;
use plimsoll_core::{Addr, Call, Ends, ErrorKind, ExitStatus, InFlight, Key, Resource};
use std::collections::VecDeque;

/// How an operation ended; the caller makes a `Completion` of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Received(BytesMut, Result<usize, ErrorKind>),
    Sent(Result<usize, ErrorKind>),
    ShutDown(Result<(), ErrorKind>),
    Connected(Result<Ends, ErrorKind>),
    Accepted(Result<(SockId, Ends), ErrorKind>),
    DatagramReceived(BytesMut, Result<(usize, Addr), ErrorKind>),
    DatagramSent(Result<(), ErrorKind>),
    FileSent(Resource, u64, Result<u64, FileError>),
    HungUp,
    Ready { writable: bool },
    Exited(Result<ExitStatus, ErrorKind>),
}

/// What is under way on one socket.
#[derive(Debug)]
pub(crate) struct Ops {
    ring: usize,
    recv: Option<(Key, BytesMut)>,
    send: Option<(Key, Box<InFlight>)>,
    recv_from: Option<(Key, BytesMut)>,
    send_to: Option<(Key, Bytes, Option<Addr>)>,
    file: Option<(Key, Resource, u64, u64)>,
    shutdown: Option<Key>,
    connect: Option<Key>,
    accept: Option<Key>,
    hang_up: Option<Key>,
    readable: Option<Key>,
    writable: Option<Key>,
    exit: Option<Key>,
    pub(crate) closing: bool,
    /// Operations that ended because of `closing` or before: when none is left the descriptor goes.
    cancelled: bool,
}

impl Ops {
    pub(crate) const fn new(ring: usize) -> Self {
        Self {
            ring,
            recv: None,
            send: None,
            recv_from: None,
            send_to: None,
            file: None,
            shutdown: None,
            connect: None,
            accept: None,
            hang_up: None,
            readable: None,
            writable: None,
            exit: None,
            closing: false,
            cancelled: false,
        }
    }

    pub(crate) const fn is_idle(&self) -> bool {
        self.recv.is_none()
            && self.send.is_none()
            && self.recv_from.is_none()
            && self.send_to.is_none()
            && self.file.is_none()
            && self.shutdown.is_none()
            && self.connect.is_none()
            && self.accept.is_none()
            && self.hang_up.is_none()
            && self.readable.is_none()
            && self.writable.is_none()
            && self.exit.is_none()
    }
}

/// Completions on their way to one loop.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    pub(crate) done: VecDeque<(Key, Outcome)>,
    /// Begun, and not yet harvested.
    pub(crate) in_flight: usize,
}

/// An operation to begin.
pub(crate) enum Begin {
    Recv(BytesMut),
    Send(Box<InFlight>),
    RecvFrom(BytesMut),
    SendTo(Bytes, Option<Addr>),
    SendFile(Resource, u64, u64),
    Shutdown,
    Connect,
    Accept,
    HangUp,
    Poll { writable: bool },
    Exit,
}

impl Net {
    /// Begins an operation; it may end at once, and is told later all the same.
    pub(crate) fn begin(&mut self, id: SockId, key: Key, what: Begin) {
        let Some(ops) = self.sockets.get_mut(id).and_then(|socket| socket.ops.as_mut()) else { return };
        assert!(!ops.closing, "an operation on a closed socket");
        let ring = ops.ring;
        let busy = match what {
            Begin::Recv(memory) => ops.recv.replace((key, memory)).is_some(),
            Begin::Send(bytes) => ops.send.replace((key, bytes)).is_some() || ops.shutdown.is_some(),
            Begin::RecvFrom(memory) => ops.recv_from.replace((key, memory)).is_some(),
            Begin::SendTo(payload, to) => ops.send_to.replace((key, payload, to)).is_some(),
            Begin::SendFile(file, offset, most) => ops.file.replace((key, file, offset, most)).is_some() || ops.send.is_some(),
            Begin::Shutdown => ops.shutdown.replace(key).is_some() || ops.send.is_some(),
            Begin::Connect => ops.connect.replace(key).is_some(),
            Begin::Accept => ops.accept.replace(key).is_some(),
            Begin::HangUp => ops.hang_up.replace(key).is_some(),
            Begin::Poll { writable: false } => ops.readable.replace(key).is_some(),
            Begin::Poll { writable: true } => ops.writable.replace(key).is_some(),
            Begin::Exit => ops.exit.replace(key).is_some(),
        };
        assert!(!busy, "two operations of one kind at a time");
        self.rings[ring].in_flight += 1;
        self.run_ops(id);
    }

    /// Carries out what can be carried out.
    pub(crate) fn run_ops(&mut self, id: SockId) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let Some(mut ops) = socket.ops.take() else { return };
        socket.running = Some(false);
        let ring = ops.ring;
        if let Some(key) = ops.connect {
            let result = match self.connect_result(id) {
                Ok(ends) => ends.map(Ok),
                Err(kind) => Some(Err(kind)),
            };
            if let Some(result) = result {
                ops.connect = None;
                self.complete(ring, key, Outcome::Connected(result));
            }
        }
        if let Some(key) = ops.accept {
            let result = match self.enter(super::fault::Syscall::Accept, Some(id)) {
                Ok(None) => self.accept(id, Owner::Process).transpose(),
                Ok(Some(_)) => None,
                Err(kind) => Some(Err(kind)),
            };
            if let Some(result) = result {
                ops.accept = None;
                self.complete(ring, key, Outcome::Accepted(result));
            }
        }
        if let Some(key) = ops.hang_up {
            if self.is_hung_up(id) {
                ops.hang_up = None;
                self.complete(ring, key, Outcome::HungUp);
            }
        }
        for writable in [false, true] {
            let waits = if writable { &mut ops.writable } else { &mut ops.readable };
            if waits.is_some() && self.is_ready(id, writable) {
                if let Some(key) = waits.take() {
                    self.complete(ring, key, Outcome::Ready { writable });
                }
            }
        }
        if let Some(key) = ops.exit {
            if let Some(result) = self.reap(id).transpose() {
                ops.exit = None;
                self.complete(ring, key, Outcome::Exited(result));
            }
        }
        if let Some((key, mut memory)) = ops.recv.take() {
            match self.recv(id, &mut memory) {
                Ok(None) => ops.recv = Some((key, memory)),
                Ok(Some(n)) => self.complete(ring, key, Outcome::Received(memory, Ok(n))),
                Err(kind) => self.complete(ring, key, Outcome::Received(memory, Err(kind))),
            }
        }
        if let Some((key, bytes)) = ops.send.take() {
            match self.send(id, bytes.pieces().iter().map(Bytes::as_ref)) {
                Ok(None) => ops.send = Some((key, bytes)),
                Ok(Some(n)) => self.complete(ring, key, Outcome::Sent(Ok(n))),
                Err(kind) => self.complete(ring, key, Outcome::Sent(Err(kind))),
            }
        }
        if let Some((key, mut memory)) = ops.recv_from.take() {
            match self.receive_datagram(id, &mut memory) {
                Ok(None) => ops.recv_from = Some((key, memory)),
                Ok(Some(came)) => self.complete(ring, key, Outcome::DatagramReceived(memory, Ok(came))),
                Err(kind) => self.complete(ring, key, Outcome::DatagramReceived(memory, Err(kind))),
            }
        }
        if let Some((key, payload, to)) = ops.send_to.take() {
            match self.send_datagram(id, &payload, to.as_ref()) {
                Ok(None) => ops.send_to = Some((key, payload, to)),
                Ok(Some(())) => self.complete(ring, key, Outcome::DatagramSent(Ok(()))),
                Err(kind) => self.complete(ring, key, Outcome::DatagramSent(Err(kind))),
            }
        }
        if let Some((key, mut file, offset, most)) = ops.file.take() {
            match self.send_file(id, &mut file, offset, most) {
                Ok(None) => ops.file = Some((key, file, offset, most)),
                Ok(Some(n)) => self.complete(ring, key, Outcome::FileSent(file, offset, Ok(n))),
                Err(why) => self.complete(ring, key, Outcome::FileSent(file, offset, Err(why))),
            }
        }
        if let Some(key) = ops.shutdown.take() {
            let result = self.shutdown_write(id);
            self.complete(ring, key, Outcome::ShutDown(result));
        }
        let over = ops.closing && ops.is_idle();
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.ops = Some(ops);
            if socket.running.take() == Some(true) {
                // What one of them led to at the other end may concern one that was looked at before.
                let now = self.now();
                self.clock.push(now, Happening::Wake { sock: id });
            }
        }
        if over {
            // The last of what was in flight succeeded before it could be cancelled.
            self.close_now(id);
        }
    }

    fn complete(&mut self, ring: usize, key: Key, outcome: Outcome) {
        let at = self.after(self.faults.completion.clone());
        self.clock.push(at, Happening::Complete { ring, key, outcome });
    }

    pub(crate) fn completed(&mut self, ring: usize, key: Key, outcome: Outcome) {
        self.rings[ring].done.push_back((key, outcome));
    }

    /// What is still under way on a closed socket ends without success; until now it might have succeeded.
    pub(crate) fn cancelled(&mut self, id: SockId) {
        let Some(ops) = self.sockets.get_mut(id).and_then(|socket| socket.ops.as_mut()) else { return };
        if core::mem::replace(&mut ops.cancelled, true) {
            return;
        }
        let ring = ops.ring;
        let kind = ErrorKind::ConnectionAborted;
        let (recv, send) = (ops.recv.take(), ops.send.take());
        let (recv_from, send_to) = (ops.recv_from.take(), ops.send_to.take());
        let file = ops.file.take();
        let (shutdown, connect, accept) = (ops.shutdown.take(), ops.connect.take(), ops.accept.take());
        let (hang_up, exit) = (ops.hang_up.take(), ops.exit.take());
        let polls = [(ops.readable.take(), false), (ops.writable.take(), true)];
        if let Some((key, memory)) = recv {
            self.complete(ring, key, Outcome::Received(memory, Err(kind)));
        }
        if let Some((key, _)) = send {
            self.complete(ring, key, Outcome::Sent(Err(kind)));
        }
        if let Some((key, memory)) = recv_from {
            self.complete(ring, key, Outcome::DatagramReceived(memory, Err(kind)));
        }
        if let Some((key, ..)) = send_to {
            self.complete(ring, key, Outcome::DatagramSent(Err(kind)));
        }
        if let Some((key, file, offset, _)) = file {
            let error = super::net::error(Call::Send, kind);
            self.complete(ring, key, Outcome::FileSent(file, offset, Err(FileError::Socket(error))));
        }
        if let Some(key) = shutdown {
            self.complete(ring, key, Outcome::ShutDown(Err(kind)));
        }
        if let Some(key) = connect {
            self.complete(ring, key, Outcome::Connected(Err(kind)));
        }
        if let Some(key) = accept {
            self.complete(ring, key, Outcome::Accepted(Err(kind)));
        }
        if let Some(key) = hang_up {
            self.complete(ring, key, Outcome::HungUp);
        }
        for (key, writable) in polls {
            if let Some(key) = key {
                self.complete(ring, key, Outcome::Ready { writable });
            }
        }
        if let Some(key) = exit {
            self.complete(ring, key, Outcome::Exited(Err(kind)));
        }
        self.close_now(id);
    }
}

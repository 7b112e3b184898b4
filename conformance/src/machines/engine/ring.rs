//! Operations under way, for the driver of completions: what comes back of them, and when.

use super::io::{Io, SEND_ERROR, Sock, incoming};
use super::net::{Arrival, Role, client_addr, client_of};
use super::script::Plan;
use super::world::World;
use super::{IoStep, Step};
use crate::model::{Back, Ep};
use bytes::BytesMut;
use plimsoll_core::driver::{Completion, CompletionIo};
use plimsoll_core::{Attempt, Call, Ends, Error, ErrorKind, InFlight, Key};

/// What an operation does.
#[derive(Debug)]
pub(super) enum Kind {
    Recv(BytesMut),
    Send(Box<InFlight>),
    Fin,
    Connect,
    Accept,
}

/// One operation under way.
#[derive(Debug)]
pub(super) struct Operation {
    key: Key,
    pub(super) socket: usize,
    pub(super) kind: Kind,
}

fn cancelled(call: Call) -> Error {
    Error::new(call, ErrorKind::ConnectionAborted)
}

impl Io {
    fn begin(&self, socket: usize, key: Key, kind: Kind) {
        let mut world = self.world.borrow_mut();
        if let Some(turn) = world.model.running() {
            world.fail(format!("{kind:?} is begun inside of {turn:?}"));
        }
        let doubled = |other: &Operation| {
            let sends = |kind: &Kind| matches!(kind, Kind::Send(_) | Kind::Fin);
            let same =
                core::mem::discriminant(&other.kind) == core::mem::discriminant(&kind) || sends(&other.kind) && sends(&kind);
            other.socket == socket && same
        };
        if world.ring.iter().any(doubled) {
            world.fail(format!("{kind:?} is begun twice on socket {socket}"));
        }
        world.ring.push(Operation { key, socket, kind });
    }

    /// What has come back by now, in order from the `first` on; told to the model too.
    pub(super) fn harvest(&self, first: usize) -> Vec<(Key, Completion<Sock>)> {
        let mut ring = core::mem::take(&mut self.world.borrow_mut().ring);
        let len = ring.len().max(1);
        ring.rotate_left(first % len);
        let mut back = Vec::new();
        for operation in ring {
            let key = operation.key;
            match self.try_one(operation) {
                Ok(completion) => back.push((key, completion)),
                Err(operation) => self.world.borrow_mut().ring.push(operation),
            }
        }
        back
    }

    fn try_one(&self, operation: Operation) -> Result<Completion<Sock>, Operation> {
        let mut world = self.world.borrow_mut();
        let open = world.net.sockets[operation.socket].open;
        let ep = match world.net.sockets[operation.socket].role {
            Role::Stream(ep) => ep,
            Role::Listener(server) => {
                drop(world);
                return self.try_accept(operation, server, open);
            }
        };
        Ok(match operation.kind {
            Kind::Recv(memory) if !open => Completion::Received(memory, Err(cancelled(Call::Receive))),
            Kind::Send(_) if !open => Completion::Sent(Err(cancelled(Call::Send))),
            Kind::Fin if !open => Completion::ShutDown(Err(cancelled(Call::Shutdown))),
            Kind::Connect if !open => Completion::Connected(Err(cancelled(Call::Connect))),
            Kind::Recv(memory) => match world.try_recv(operation.socket, ep, memory) {
                Ok(completion) => completion,
                Err(memory) => return Err(Operation { kind: Kind::Recv(memory), ..operation }),
            },
            Kind::Send(bytes) => match world.try_send(operation.socket, ep, &bytes) {
                Some(result) => Completion::Sent(result),
                None => return Err(Operation { kind: Kind::Send(bytes), ..operation }),
            },
            Kind::Fin => {
                let socket = &mut world.net.sockets[operation.socket];
                let twice = core::mem::replace(&mut socket.finished, true);
                let result = socket.fin_error.map_or(Ok(()), Err);
                if twice {
                    world.fail(format!("I-FIN: {ep} is finished twice"));
                }
                world.back(ep, IoStep::Fin(result.is_ok()), Back::Shutdown(ep, result));
                Completion::ShutDown(result)
            }
            Kind::Connect => match world.net.sockets[operation.socket].plan {
                Some(Plan::Succeeds) => {
                    world.net.sockets[operation.socket].plan = None;
                    world.back(ep, IoStep::Connected, Back::Connected(ep, true));
                    Completion::Connected(Ok(Ends::new(None, Some(client_addr(ep)))))
                }
                Some(Plan::Hangs) => return Err(Operation { kind: Kind::Connect, ..operation }),
                _ => {
                    world.back(ep, IoStep::Refused, Back::Connected(ep, false));
                    Completion::Connected(Err(Error::new(Call::Connect, ErrorKind::ConnectionRefused)))
                }
            },
            Kind::Accept => return Err(operation),
        })
    }

    fn try_accept(&self, operation: Operation, server: usize, open: bool) -> Result<Completion<Sock>, Operation> {
        if !open {
            return Ok(Completion::Accepted(Err(cancelled(Call::Accept))));
        }
        let mut world = self.world.borrow_mut();
        match world.net.sockets[operation.socket].arrivals.pop_front() {
            None => Err(operation),
            Some(Arrival::Aborted) => Ok(Completion::Accepted(Err(cancelled(Call::Accept)))),
            Some(Arrival::Exhausted) => {
                world.back(server, IoStep::Exhausted, Back::AcceptFailed(server));
                Ok(Completion::Accepted(Err(Error::new(Call::Accept, ErrorKind::DescriptorLimit))))
            }
            Some(Arrival::Connection) => {
                let ep = world.model.reserve();
                world.back(ep, IoStep::Accept, Back::Accepted(server, ep));
                drop(world);
                Ok(Completion::Accepted(Ok((self.sock(Role::Stream(ep), None), Ends::new(None, Some(client_addr(ep)))))))
            }
        }
    }
}

impl World {
    fn back(&mut self, ep: Ep, step: IoStep, what: Back) {
        self.steps.push(Step::Io(ep, step));
        self.model.came_back(what);
    }

    fn try_recv(&mut self, index: usize, ep: Ep, mut memory: BytesMut) -> Result<Completion<Sock>, BytesMut> {
        let socket = &mut self.net.sockets[index];
        let n = socket.incoming.min(memory.len());
        if n > 0 {
            memory[..n].copy_from_slice(incoming(ep, socket.received, n));
            socket.incoming -= n;
            socket.received += n as u64;
        } else if let Some(error) = socket.read_error {
            self.back(ep, IoStep::RecvError, Back::ReadError(ep, error));
            return Ok(Completion::Received(memory, Err(error)));
        } else if !socket.eof {
            return Err(memory);
        }
        self.back(ep, IoStep::Recv(n), Back::Received(ep, n));
        Ok(Completion::Received(memory, Ok(n)))
    }

    fn try_send(&mut self, index: usize, ep: Ep, bytes: &InFlight) -> Option<Result<usize, Error>> {
        let socket = &mut self.net.sockets[index];
        if socket.send_error.is_some() {
            self.back(ep, IoStep::SendError, Back::WriteError(ep, SEND_ERROR));
            return Some(Err(SEND_ERROR));
        }
        if socket.room == 0 {
            return None;
        }
        let n = bytes.len().min(socket.room);
        socket.room -= n;
        let at = socket.sent;
        socket.sent += n as u64;
        // I-OUT, WRITE-5: what is taken is what was written, whatever was written or dropped since.
        let flat = bytes.pieces().concat();
        if !self.is_pattern(ep, at, &flat[..n]) {
            self.fail(format!("I-OUT: {ep} sends other bytes than were accepted"));
        }
        self.back(ep, IoStep::Send(n), Back::Sent(ep, n));
        Some(Ok(n))
    }
}

impl CompletionIo for Io {
    fn recv(&mut self, source: &mut Sock, key: Key, memory: BytesMut) {
        self.begin(source.index, key, Kind::Recv(memory));
    }

    fn send(&mut self, source: &mut Sock, key: Key, bytes: InFlight) {
        self.begin(source.index, key, Kind::Send(Box::new(bytes)));
    }

    fn shutdown_write(&mut self, source: &mut Sock, key: Key) {
        self.begin(source.index, key, Kind::Fin);
    }

    fn connect(&mut self, key: Key, to: &Attempt) -> Result<Sock, Error> {
        let sock = self.open(client_of(to.addr()))?;
        self.begin(sock.index, key, Kind::Connect);
        Ok(sock)
    }

    fn accept(&mut self, source: &mut Sock, key: Key) {
        self.begin(source.index, key, Kind::Accept);
    }
}

//! The calls of a run: none blocks, each is held against the model before it is answered.

use super::net::{Arrival, Role, Socket, client_addr, client_of, server_of};
use super::script::Plan;
use super::world::{Seen, Shared, World};
use super::{IoStep, Step};
use crate::machines::ops::BROKEN;
use crate::model::{Ep, Peer};
use plimsoll_core::driver::{Attached, Interest, ReadinessIo, Sockets, Trigger};
use plimsoll_core::{
    Addr, Attempt, Call, Ends, Error, ErrorKind, Key, Listen, ReadResult, Resource, Role as Side, SocketOption, Wants,
};

/// The bytes that peers send begin here in the pattern.
pub(super) fn incoming(ep: Ep, at: u64, len: usize) -> &'static [u8] {
    super::super::pattern::bytes(30_000 + ep as u64 * 104_729 + at, len)
}

/// The calls; a clone makes the same ones.
#[derive(Clone)]
pub(super) struct Io {
    pub(super) world: Shared,
    pub(super) level: bool,
}

/// A socket, owned: dropping it closes it.
#[derive(Debug)]
pub(super) struct Sock {
    pub(super) index: usize,
    world: Shared,
}

impl Drop for Sock {
    fn drop(&mut self) {
        // I-FD. Dropped inside of a call of ours only if that is in error already.
        if let Ok(mut world) = self.world.try_borrow_mut() {
            let socket = &mut world.net.sockets[self.index];
            let twice = !core::mem::replace(&mut socket.open, false);
            world.net.closed += 1;
            if twice {
                world.fail(format!("I-FD: socket {} is closed twice", self.index));
            }
        }
    }
}

impl Io {
    pub(super) fn sock(&self, role: Role, plan: Option<Plan>) -> Sock {
        let index = self.world.borrow_mut().net.socket(role, plan);
        Sock { index, world: self.world.clone() }
    }

    /// Begins to connect, as it was planned.
    pub(super) fn open(&self, ep: Ep) -> Result<Sock, Error> {
        let plan = {
            let mut world = self.world.borrow_mut();
            let plan = world.net.plans.iter().find(|(of, _)| *of == ep).map_or(Plan::Succeeds, |plan| plan.1);
            world.io(ep, IoStep::Connect);
            if plan == Plan::FailsAtOnce {
                world.model.connected(ep, false);
                return Err(Error::new(Call::Connect, ErrorKind::Unreachable));
            }
            plan
        };
        Ok(self.sock(Role::Stream(ep), Some(plan)))
    }

    /// Runs `f` on the world, a socket's number and its endpoint.
    fn on_stream<R>(&self, sock: &Sock, f: impl FnOnce(&mut World, usize, Ep) -> R) -> R {
        let mut world = self.world.borrow_mut();
        match world.net.sockets[sock.index].role {
            Role::Stream(ep) => f(&mut world, sock.index, ep),
            Role::Listener(server) => {
                world.fail(format!("a stream's call on listener {server}"));
                f(&mut world, sock.index, 0)
            }
        }
    }
}

impl World {
    fn io(&mut self, ep: Ep, step: IoStep) {
        self.steps.push(Step::Io(ep, step));
    }

    fn socket(&mut self, index: usize) -> &mut Socket {
        &mut self.net.sockets[index]
    }
}

impl Sockets for Io {
    type Source = Sock;

    fn bind(&mut self, at: &Addr, _: &Listen) -> Result<(Sock, Addr), Error> {
        let server = server_of(at);
        let ok = {
            let mut world = self.world.borrow_mut();
            let ok = world.net.bindable[server];
            world.model.bound(server, ok);
            world.io(server, IoStep::Bind(ok));
            ok
        };
        if ok {
            Ok((self.sock(Role::Listener(server), None), at.clone()))
        } else {
            Err(Error::new(Call::Bind, ErrorKind::AddrInUse))
        }
    }

    fn listen(&mut self, _: &mut Sock, _: u32) -> Result<(), Error> {
        Ok(())
    }

    fn adopt(&mut self, _: Resource, _: Side) -> Result<(Sock, Ends), Error> {
        Err(Error::new(Call::Adopt, ErrorKind::InvalidInput))
    }

    fn set_option(&mut self, _: &Sock, _: SocketOption) -> Result<(), Error> {
        Ok(())
    }

    fn visit(&mut self, _: &Sock, _: Resource) {}

    fn attach(&mut self, source: &mut Sock, key: Key) -> Result<Attached, Error> {
        self.world.borrow_mut().socket(source.index).key = Some(key);
        Ok(Attached::Stream)
    }

    fn close(&mut self, source: Sock, _: Key) {
        let role = self.world.borrow().net.sockets[source.index].role;
        let mut world = self.world.borrow_mut();
        match role {
            Role::Stream(ep) => {
                world.io(ep, IoStep::Close);
                let allowed = world.model.closed(ep);
                world.check(allowed);
            }
            Role::Listener(_) => {}
        }
    }
}

impl ReadinessIo for Io {
    fn trigger(&self) -> Trigger {
        if self.level { Trigger::Level } else { Trigger::Edge }
    }

    fn recv(&mut self, source: &mut Sock, buf: &mut [u8]) -> ReadResult {
        self.on_stream(source, |world, index, ep| {
            let allowed = world.model.may_receive(ep);
            world.check(allowed);
            if world.is_broken() {
                return Ok(None);
            }
            if world.model.protocol(ep).is_some_and(|(_, buffered)| buffered) {
                let id = world.id(ep).map(|id| (id, Seen::Lent(buf.len())));
                let seen = world.seen.take();
                world.same("the observer of get_buffer", seen, id);
            }
            let socket = world.socket(index);
            socket.served = true;
            let n = socket.incoming.min(buf.len());
            if n > 0 {
                buf[..n].copy_from_slice(incoming(ep, socket.received, n));
                socket.incoming -= n;
                socket.received += n as u64;
                world.io(ep, IoStep::Recv(n));
                world.model.received(ep, n);
                return Ok(Some(n));
            }
            if let Some(error) = socket.read_error {
                world.io(ep, IoStep::RecvError);
                world.model.failed(ep, Peer::ReadError(error));
                return Err(error);
            }
            if socket.eof {
                world.io(ep, IoStep::Recv(0));
                world.model.received(ep, 0);
                return Ok(Some(0));
            }
            world.io(ep, IoStep::RecvBlocks);
            world.model.received_nothing();
            Ok(None)
        })
    }

    fn send(&mut self, source: &mut Sock, bufs: &[&[u8]]) -> ReadResult {
        self.on_stream(source, |world, index, ep| {
            let allowed = world.model.may_send(ep, Wants::Bytes);
            world.check(allowed);
            if world.is_broken() {
                return Ok(None);
            }
            let total: usize = bufs.iter().map(|buf| buf.len()).sum();
            if world.model.stream(ep).queue.prefix(bufs.iter().copied()) != Some(total) || total == 0 {
                world.fail(format!("I-OUT: {ep} sends {total} other bytes than were accepted"));
            }
            let socket = world.socket(index);
            socket.unsent = 0;
            if let Some(error) = socket.send_error {
                world.io(ep, IoStep::SendError);
                world.model.failed(ep, Peer::WriteError(error));
                return Err(error);
            }
            let n = total.min(socket.room);
            socket.room -= n;
            world.io(ep, IoStep::Send(n));
            if n == 0 {
                return Ok(None);
            }
            world.model.sent(ep, n);
            Ok(Some(n))
        })
    }

    fn shutdown_write(&mut self, source: &mut Sock) -> Result<(), Error> {
        self.on_stream(source, |world, index, ep| {
            let allowed = world.model.may_send(ep, Wants::Fin);
            world.check(allowed);
            if world.is_broken() {
                return Ok(());
            }
            let socket = world.socket(index);
            let twice = core::mem::replace(&mut socket.finished, true);
            let result = socket.fin_error.map_or(Ok(()), Err);
            if twice {
                world.fail(format!("I-FIN: {ep} is finished twice"));
            }
            world.io(ep, IoStep::Fin(result.is_ok()));
            world.model.shut_down(ep, result);
            result
        })
    }

    fn connect(&mut self, to: &Attempt) -> Result<Sock, Error> {
        self.open(client_of(to.addr()))
    }

    fn connect_result(&mut self, source: &mut Sock) -> Result<Option<Ends>, Error> {
        self.on_stream(source, |world, index, ep| match world.socket(index).plan {
            Some(Plan::Hangs) => Ok(None),
            Some(Plan::Succeeds) => {
                world.socket(index).plan = None;
                world.io(ep, IoStep::Connected);
                world.model.connected(ep, true);
                Ok(Some(Ends::new(None, Some(client_addr(ep)))))
            }
            _ => {
                world.io(ep, IoStep::Refused);
                world.model.connected(ep, false);
                Err(Error::new(Call::Connect, ErrorKind::ConnectionRefused))
            }
        })
    }

    fn accept(&mut self, source: &mut Sock) -> Result<Option<(Sock, Ends)>, Error> {
        let ep = {
            let mut world = self.world.borrow_mut();
            let Role::Listener(server) = world.net.sockets[source.index].role else { return Ok(None) };
            let allowed = world.model.may_accept(server);
            world.check(allowed);
            world.socket(source.index).served = true;
            match world.socket(source.index).arrivals.pop_front() {
                None => return Ok(None),
                Some(Arrival::Aborted) => return Err(Error::new(Call::Accept, ErrorKind::ConnectionAborted)),
                Some(Arrival::Exhausted) => {
                    world.io(server, IoStep::Exhausted);
                    world.model.accept_failed(server);
                    return Err(Error::new(Call::Accept, ErrorKind::DescriptorLimit));
                }
                Some(Arrival::Connection) => {}
            }
            let ep = world.model.accepted(server);
            world.io(ep, IoStep::Accept);
            ep
        };
        Ok(Some((self.sock(Role::Stream(ep), None), Ends::new(None, Some(client_addr(ep))))))
    }

    fn arm(&mut self, source: &Sock, _: Key, interest: Interest) -> Result<(), Error> {
        self.world.borrow_mut().socket(source.index).interest = interest;
        Ok(())
    }
}

/// What a send fails with.
pub(super) const SEND_ERROR: Error = BROKEN;

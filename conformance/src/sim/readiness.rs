//! The calls of a loop that is told when a call would not block.

use super::fault::{Failure, Syscall};
use super::net::{Kind, Net, Owner, SockId, Socket, error};
use super::ring::Ops;
use super::wire::TcpState;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::net::SocketAddr;
use plimsoll_core::driver::{Attached, Interest, ReadinessIo, Sockets, Spawned, Trigger};
use plimsoll_core::{
    Addr, Attempt, Call, Command, Ends, Error, ErrorKind, ExitStatus, Key, Listen, Name, QueryId, ReadResult, Resource, Role,
    SocketOption, Stdio,
};
use std::rc::Rc;

pub(crate) type World = Rc<RefCell<Net>>;

/// A socket of the simulated kernel's, owned: dropping it closes it.
pub struct SimSocket {
    world: World,
    pub(crate) id: SockId,
    /// A loop was told about it: it has to be closed by a call then.
    attached: Cell<bool>,
}

impl SimSocket {
    pub(crate) fn new(world: &World, id: SockId) -> Self {
        Self { world: world.clone(), id, attached: Cell::new(false) }
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        let forgotten = self.attached.get() && !std::thread::panicking();
        assert!(!forgotten, "violation: {self:?} is attached, and dropped without a close");
        self.world.borrow_mut().close(self.id);
    }
}

impl fmt::Debug for SimSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimSocket({:?})", self.id)
    }
}

/// What a visitor may see of a socket: carry a `SocketVisitor` to [`Hub::visit`](plimsoll_core::Hub::visit).
pub struct SocketVisitor(Box<dyn FnOnce(&SocketView)>);

impl SocketVisitor {
    /// Looks at the socket when it gets there.
    #[must_use]
    pub fn new(look: impl FnOnce(&SocketView) + 'static) -> Self {
        Self(Box::new(look))
    }
}

impl fmt::Debug for SocketVisitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SocketVisitor")
    }
}

/// A socket, to be looked at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SocketView {
    /// Its own address.
    pub local: Addr,
    /// Every option that was set, in order.
    pub options: Vec<SocketOption>,
}

/// Which calls a loop makes beside those.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Backend {
    Poller(usize),
    Ring(usize),
}

/// What both kinds of loops do with sockets.
pub(crate) struct Calls {
    pub(crate) world: World,
    pub(crate) backend: Backend,
}

impl Calls {
    /// One call: it may be made to fail; `None`: it would block.
    pub(crate) fn call<R>(
        &self,
        which: (Syscall, Call),
        sock: Option<SockId>,
        f: impl FnOnce(&mut Net) -> Result<R, ErrorKind>,
    ) -> Result<Option<R>, Error> {
        let mut net = self.world.borrow_mut();
        let result = match net.enter(which.0, sock) {
            Ok(Some(Failure::WouldBlock)) => return Ok(None),
            Ok(_) => f(&mut net),
            Err(kind) => Err(kind),
        };
        result.map(Some).map_err(|kind| error(which.1, kind))
    }

    /// One that never blocks.
    fn must<R>(
        &self,
        which: (Syscall, Call),
        sock: Option<SockId>,
        f: impl FnOnce(&mut Net) -> Result<R, ErrorKind>,
    ) -> Result<R, Error> {
        self.call(which, sock, f)?.ok_or(error(which.1, ErrorKind::Other))
    }

    pub(crate) fn socket(&self, id: SockId) -> SimSocket {
        SimSocket::new(&self.world, id)
    }

    pub(crate) fn connect(&self, to: &Attempt) -> Result<SimSocket, Error> {
        let mut at = Call::Connect;
        let id = self.must((Syscall::Connect, Call::Connect), None, |net| {
            net.connect(to, Owner::Process).map_err(|(call, kind)| {
                at = call;
                kind
            })
        });
        Ok(self.socket(id.map_err(|reason| error(at, reason.kind()))?))
    }
}

impl Sockets for Calls {
    type Source = SimSocket;

    fn bind(&mut self, at: &Addr, listen: &Listen) -> Result<(SimSocket, Addr), Error> {
        let at = at.inet().ok_or(error(Call::Bind, ErrorKind::Unsupported))?;
        let id = self.must((Syscall::Bind, Call::Bind), None, |net| net.bind(at, listen, Owner::Process))?;
        let local = self.world.borrow().sockets.get(id).map_or(at, |socket| socket.local);
        Ok((self.socket(id), local.into()))
    }

    fn listen(&mut self, source: &mut SimSocket, backlog: u32) -> Result<(), Error> {
        self.must((Syscall::Listen, Call::Listen), None, |net| net.listen(source.id, backlog))
    }

    fn adopt(&mut self, resource: Resource, role: Role) -> Result<(SimSocket, Ends), Error> {
        let invalid = error(Call::Adopt, ErrorKind::InvalidInput);
        let socket = resource.downcast::<SimSocket>().map_err(|_| invalid)?;
        // Also when it is refused: it was moved in, and goes.
        let ends = self.must((Syscall::Adopt, Call::Adopt), None, |net| match net.sockets.get(socket.id) {
            Some(Socket { kind: Kind::Bound { .. }, local, .. }) if role == Role::Listener => {
                Ok(Ends::new(Some(Addr::from(*local)), None))
            }
            Some(Socket { kind: Kind::Pipe(end), .. }) => match role {
                Role::ReadPipe if !end.writes => Ok(Ends::default()),
                Role::WritePipe if end.writes => Ok(Ends::default()),
                _ => Err(ErrorKind::InvalidInput),
            },
            Some(Socket { kind: Kind::Tcp(tcp), local, .. }) if role != Role::Listener && tcp.state == TcpState::Open => {
                Ok(Ends::new(Some(Addr::from(*local)), Some(Addr::from(tcp.remote))))
            }
            _ => Err(ErrorKind::InvalidInput),
        })?;
        Ok((socket, ends))
    }

    fn set_option(&mut self, source: &SimSocket, option: SocketOption) -> Result<(), Error> {
        self.must((Syscall::SetOption, Call::Option), None, |net| {
            let dead = net.tcp(source.id).is_some_and(|tcp| tcp.state == TcpState::Dead);
            if dead && net.faults.option_after_reset {
                return Err(ErrorKind::InvalidInput);
            }
            net.apply(source.id, option);
            Ok(())
        })
    }

    fn visit(&mut self, source: &SimSocket, visitor: Resource) {
        let view = self
            .world
            .borrow()
            .sockets
            .get(source.id)
            .map(|socket| SocketView { local: socket.local.into(), options: socket.options.clone() });
        if let (Ok(visitor), Some(view)) = (visitor.downcast::<SocketVisitor>(), view) {
            (visitor.0)(&view);
        }
    }

    fn attach(&mut self, source: &mut SimSocket, key: Key) -> Result<Attached, Error> {
        let backend = self.backend;
        self.must((Syscall::Attach, Call::Register), None, |net| {
            match backend {
                Backend::Poller(poller) => net.watch(source.id, poller, key),
                Backend::Ring(ring) => {
                    if let Some(socket) = net.sockets.get_mut(source.id) {
                        socket.ops.get_or_insert(Ops::new(ring));
                    }
                }
            }
            Ok(())
        })?;
        source.attached.set(true);
        Ok(Attached::Stream)
    }

    fn spawn(&mut self, command: Command) -> Result<Spawned<SimSocket>, Error> {
        let parts = command.into_parts();
        let joined = matches!(parts.stdio[2], Stdio::Stdout);
        let piped = parts.stdio.each_ref().map(|stdio| matches!(stdio, Stdio::Piped));
        let (pid, child, pipes) =
            self.must((Syscall::Spawn, Call::Spawn), None, |net| net.spawn(&parts.argv[0], piped, joined))?;
        Ok(Spawned { pid, child: self.socket(child), pipes: pipes.map(|pipe| pipe.map(|pipe| self.socket(pipe))) })
    }

    fn signal(&mut self, child: &mut SimSocket, signal: i32) -> Result<(), Error> {
        let mut net = self.world.borrow_mut();
        if let Some(child) = net.child_of(child.id) {
            let at = net.arrival();
            net.clock.push(at, super::clock::Happening::Signal { child, signal });
        }
        Ok(())
    }

    fn rekey(&mut self, source: &mut SimSocket, _: Key, to: Key) -> Result<(), Error> {
        let backend = self.backend;
        self.must((Syscall::Attach, Call::Register), None, |net| {
            if matches!(backend, Backend::Poller(_)) {
                net.watch_anew(source.id, to);
            }
            Ok(())
        })
    }

    fn resolve(&mut self, query: QueryId, name: &Name) -> Result<Option<Vec<SocketAddr>>, Error> {
        self.world.borrow_mut().look_up(self.backend, query, name);
        Ok(None)
    }

    fn forget(&mut self, query: QueryId) {
        self.world.borrow_mut().forget(self.backend, query);
    }

    fn resolve_now(&mut self, name: &Name) -> Result<Vec<SocketAddr>, Error> {
        self.world.borrow_mut().look_up_now(name).map_err(|kind| error(Call::Resolve, kind))
    }

    fn close(&mut self, source: SimSocket, _key: Key) {
        source.attached.set(false);
        drop(source);
    }
}

/// The simulated kernel for a [`ReadinessDriver`](plimsoll_core::driver::ReadinessDriver).
pub struct SimReadiness {
    pub(crate) calls: Calls,
    pub(crate) trigger: Trigger,
}

impl fmt::Debug for SimReadiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimReadiness").field("trigger", &self.trigger).finish_non_exhaustive()
    }
}

impl Sockets for SimReadiness {
    type Source = SimSocket;

    fn bind(&mut self, at: &Addr, listen: &Listen) -> Result<(SimSocket, Addr), Error> {
        self.calls.bind(at, listen)
    }

    fn listen(&mut self, source: &mut SimSocket, backlog: u32) -> Result<(), Error> {
        self.calls.listen(source, backlog)
    }

    fn adopt(&mut self, resource: Resource, role: Role) -> Result<(SimSocket, Ends), Error> {
        self.calls.adopt(resource, role)
    }

    fn set_option(&mut self, source: &SimSocket, option: SocketOption) -> Result<(), Error> {
        self.calls.set_option(source, option)
    }

    fn visit(&mut self, source: &SimSocket, visitor: Resource) {
        self.calls.visit(source, visitor);
    }

    fn attach(&mut self, source: &mut SimSocket, key: Key) -> Result<Attached, Error> {
        self.calls.attach(source, key)
    }

    fn spawn(&mut self, command: Command) -> Result<Spawned<SimSocket>, Error> {
        self.calls.spawn(command)
    }

    fn signal(&mut self, child: &mut SimSocket, signal: i32) -> Result<(), Error> {
        self.calls.signal(child, signal)
    }

    fn rekey(&mut self, source: &mut SimSocket, from: Key, to: Key) -> Result<(), Error> {
        self.calls.rekey(source, from, to)
    }

    fn resolve(&mut self, query: QueryId, name: &Name) -> Result<Option<Vec<SocketAddr>>, Error> {
        self.calls.resolve(query, name)
    }

    fn forget(&mut self, query: QueryId) {
        self.calls.forget(query);
    }

    fn resolve_now(&mut self, name: &Name) -> Result<Vec<SocketAddr>, Error> {
        self.calls.resolve_now(name)
    }

    fn close(&mut self, source: SimSocket, key: Key) {
        self.calls.close(source, key);
    }
}

impl ReadinessIo for SimReadiness {
    fn trigger(&self) -> Trigger {
        self.trigger
    }

    fn recv(&mut self, source: &mut SimSocket, buf: &mut [u8]) -> ReadResult {
        self.calls.world.borrow_mut().recv(source.id, buf).map_err(|kind| error(Call::Receive, kind))
    }

    fn send(&mut self, source: &mut SimSocket, bufs: &[&[u8]]) -> ReadResult {
        self.calls.world.borrow_mut().send(source.id, bufs.iter().copied()).map_err(|kind| error(Call::Send, kind))
    }

    fn shutdown_write(&mut self, source: &mut SimSocket) -> Result<(), Error> {
        self.calls.world.borrow_mut().shutdown_write(source.id).map_err(|kind| error(Call::Shutdown, kind))
    }

    fn wait_child(&mut self, child: &mut SimSocket) -> Result<Option<ExitStatus>, Error> {
        self.calls.world.borrow_mut().reap(child.id).map_err(|kind| error(Call::Wait, kind))
    }

    fn is_hung_up(&mut self, source: &mut SimSocket) -> bool {
        self.calls.world.borrow_mut().is_hung_up(source.id)
    }

    fn connect(&mut self, to: &Attempt) -> Result<SimSocket, Error> {
        self.calls.connect(to)
    }

    fn connect_result(&mut self, source: &mut SimSocket) -> Result<Option<Ends>, Error> {
        let id = source.id;
        Ok(self.calls.call((Syscall::ConnectResult, Call::Connect), Some(id), |net| net.connect_result(id))?.flatten())
    }

    fn accept(&mut self, source: &mut SimSocket) -> Result<Option<(SimSocket, Ends)>, Error> {
        let id = source.id;
        let accepted = self.calls.call((Syscall::Accept, Call::Accept), Some(id), |net| {
            let often = net.faults.would_block;
            if net.chance(often) {
                let at = net.arrival();
                net.clock.push(at, super::clock::Happening::Wake { sock: id });
                return Ok(None);
            }
            net.accept(id, Owner::Process)
        })?;
        Ok(accepted.flatten().map(|(id, ends)| (self.calls.socket(id), ends)))
    }

    fn arm(&mut self, source: &SimSocket, _key: Key, interest: Interest) -> Result<(), Error> {
        self.calls.must((Syscall::Arm, Call::Register), None, |net| {
            net.arm(source.id, interest);
            Ok(())
        })
    }
}

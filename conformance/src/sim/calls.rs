//! What loops of both kinds do with sockets beside moving bytes.

use super::fault::{Failure, Syscall};
use super::file::Open;
use super::net::{Kind, Net, Owner, SockId, Socket, error};
use super::ring::Ops;
use super::wire::TcpState;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::net::SocketAddr;
use plimsoll_core::driver::{Attached, Sockets, Spawned};
use plimsoll_core::{
    Addr, Attempt, Call, Command, Datagram, Ends, Error, ErrorKind, Key, Listen, Name, QueryId, Resource, Role, SocketOption,
    Stdio,
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
    /// It is an end of a pipe.
    pub is_pipe: bool,
}

/// Which calls a loop makes beside those.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Backend {
    Poller(usize),
    Ring(usize),
}

/// The simulated kernel, for a [`ReadinessDriver`](plimsoll_core::driver::ReadinessDriver) or a
/// [`CompletionDriver`](plimsoll_core::driver::CompletionDriver).
pub struct SimIo {
    pub(crate) world: World,
    pub(crate) backend: Backend,
}

impl fmt::Debug for SimIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimIo").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl SimIo {
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
    pub(crate) fn must<R>(
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

    pub(crate) fn begin_connect(&self, to: &Attempt) -> Result<SimSocket, Error> {
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

impl Sockets for SimIo {
    type Source = SimSocket;

    fn bind(&mut self, at: &Addr, listen: &Listen) -> Result<(SimSocket, Addr), Error> {
        let id = self.must((Syscall::Bind, Call::Bind), None, |net| match at {
            Addr::Inet(at) => net.bind(*at, listen, Owner::Process),
            Addr::Unix(at) => net.bind_unix_stream(at, listen, Owner::Process, listen.is_cleanup_socket()),
            _ => Err(ErrorKind::Unsupported),
        })?;
        let local = self.world.borrow().sockets.get(id).map_or(at.clone(), |socket| socket.local.clone());
        Ok((self.socket(id), local))
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
                Ok(Ends::new(Some(local.clone()), None))
            }
            Some(Socket { kind: Kind::Pipe(end), .. }) => match role {
                Role::ReadPipe if !end.writes => Ok(Ends::default()),
                Role::WritePipe if end.writes => Ok(Ends::default()),
                _ => Err(ErrorKind::InvalidInput),
            },
            Some(Socket { kind: Kind::Unix(end), local, .. }) if role != Role::Listener => {
                Ok(Ends::new(Some(local.clone()), Some(end.remote.clone())))
            }
            Some(Socket { kind: Kind::Tcp(tcp), local, .. }) if role != Role::Listener && tcp.state == TcpState::Open => {
                Ok(Ends::new(Some(local.clone()), Some(Addr::from(tcp.remote))))
            }
            _ => Err(ErrorKind::InvalidInput),
        })?;
        Ok((socket, ends))
    }

    fn open_datagram(&mut self, open: &Datagram) -> Result<(SimSocket, Ends), Error> {
        let mut at = Call::Socket;
        let opened = self.must((Syscall::OpenDatagram, Call::Socket), None, |net| {
            net.open_datagram(open, Owner::Process).map_err(|(call, kind)| {
                at = call;
                kind
            })
        });
        let socket = self.socket(opened.map_err(|reason| error(at, reason.kind()))?);
        let ends = self.world.borrow().datagram_ends(socket.id).map_err(|kind| error(Call::Address, kind))?;
        Ok((socket, ends))
    }

    fn adopt_datagram(&mut self, resource: Resource) -> Result<(SimSocket, Ends), Error> {
        let socket = resource.downcast::<SimSocket>().map_err(|_| error(Call::Adopt, ErrorKind::InvalidInput))?;
        let ends = self.must((Syscall::Adopt, Call::Adopt), None, |net| net.datagram_ends(socket.id))?;
        Ok((socket, ends))
    }

    fn set_option(&mut self, source: &SimSocket, option: SocketOption) -> Result<(), Error> {
        self.must((Syscall::SetOption, Call::Option), None, |net| {
            let dead = net.tcp(source.id).is_some_and(|tcp| tcp.state == TcpState::Dead);
            if dead && net.faults.option_after_reset {
                return Err(ErrorKind::InvalidInput);
            }
            net.apply(source.id, option)
        })
    }

    fn watch(&mut self, resource: Resource) -> Result<SimSocket, Error> {
        resource.downcast().map_err(|_| error(Call::Watch, ErrorKind::InvalidInput))
    }

    fn visit(&mut self, source: &SimSocket, visitor: Resource) {
        let view = self.world.borrow().sockets.get(source.id).map(|socket| SocketView {
            local: socket.local.clone(),
            options: socket.options.clone(),
            is_pipe: matches!(socket.kind, Kind::Pipe(_)),
        });
        if let (Ok(visitor), Some(view)) = (visitor.downcast::<SocketVisitor>(), view) {
            (visitor.0)(&view);
        }
    }

    fn read_file(&mut self, file: &mut Resource, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        self.world.borrow().read_file(file, offset, buf)
    }

    fn finish_file(&mut self, file: Resource, position: u64) {
        if let Ok(open) = file.downcast::<Open>() {
            open.finish(position);
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
        self.must((Syscall::Signal, Call::Signal), None, |net| {
            if let Some(child) = net.child_of(child.id) {
                let at = net.arrival();
                net.clock.push(at, super::clock::Happening::Signal { child, signal });
            }
            Ok(())
        })
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
        self.world.borrow_mut().look_up(self.backend, query, name).map_err(|kind| error(Call::Resolve, kind))?;
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

//! What the two drivers have in common: the order of an iteration, and how what was asked for is carried out.

use super::sockets::Sockets;
use crate::addr::{Addr, Ends};
use crate::command::Command;
use crate::engine::Engine;
use crate::error::{Call, Error, ErrorKind};
use crate::hub::{ListenError, Lookups};
use crate::key::{DatagramId, EndpointId, Key, ProcessId, QueryId, ServerId, StreamId, WatchId};
use crate::name::Name;
use crate::op::{Op, Role};
use crate::open::{Attempt, Datagram, Listen, Resource, SocketOption};
use crate::process::PipeFd;
use crate::protocol::Protocol;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Where a driver is in its iteration, so that it goes on after a callback has panicked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Between,
    Preparing,
    Processing,
}

/// What the two drivers have in common: the order of an iteration.
pub(super) trait Drive<S> {
    type Io: Sockets;

    fn engine(&mut self) -> &mut Engine<S>;
    fn io(&mut self) -> &mut Self::Io;

    /// Runs `f` on a socket and the calls, if there is such a socket.
    fn with_source<R>(&mut self, key: Key, f: impl FnOnce(&mut Self::Io, &mut <Self::Io as Sockets>::Source) -> R) -> Option<R>;

    /// Hands to the kernel what an endpoint has to send.
    fn flush(&mut self, key: Key);

    /// Looks at an endpoint that may want something.
    fn refresh(&mut self, key: Key);

    /// Begins to connect, and keeps the socket; what becomes of it is told later.
    fn begin_connect(&mut self, key: Key, to: &Attempt) -> Result<(), Error>;

    /// Keeps a socket under another key.
    fn rekey(&mut self, from: Key, to: Key) -> Result<(), Error>;

    /// Keeps a connected socket.
    fn keep_stream(&mut self, key: Key, source: <Self::Io as Sockets>::Source) -> Result<(), Error>;

    /// Keeps a datagram socket.
    fn keep_datagram(&mut self, key: Key, source: <Self::Io as Sockets>::Source) -> Result<(), Error>;

    /// Keeps a bound socket, which does not accept yet.
    fn keep_listener(&mut self, key: Key, source: <Self::Io as Sockets>::Source) -> Result<(), Error>;

    /// Keeps the source of a child, and waits for its exit.
    fn keep_child(&mut self, key: Key, source: <Self::Io as Sockets>::Source) -> Result<(), Error>;

    /// Keeps a descriptor to be watched.
    fn keep_watch(&mut self, key: Key, source: <Self::Io as Sockets>::Source) -> Result<(), Error>;

    /// Begins to accept, or goes on.
    fn accept(&mut self, key: Key);

    /// Forgets a socket and closes it.
    fn close(&mut self, key: Key);

    /// Delivers every pause and resume that is due; each endpoint is sent from before it is told (contract RUST-2).
    #[inline(always)]
    fn drain_due(&mut self) {
        if self.engine().owes_edges() {
            self.deliver_due();
        }
    }

    #[inline(never)]
    fn deliver_due(&mut self) {
        while let Some(key) = self.engine().next_due() {
            self.flush(key);
            self.engine().deliver_edge(key);
        }
    }

    /// Runs the ready queue as it stands, then everything that it led to.
    fn run_ready(&mut self) {
        self.drain_due();
        while self.engine().run_one_ready() {
            self.drain_due();
        }
        self.settle();
    }

    /// Runs the timers that are due, then everything that they led to.
    fn run_timers(&mut self) {
        self.drain_due();
        while self.engine().run_one_timer() {
            self.drain_due();
        }
        self.settle();
    }

    /// Goes on with the layer of a connection, if it has one, as far as that goes: each step is sent from before the next.
    fn advance_layer(&mut self, key: Key) {
        while self.engine().advance_layer(key) {
            self.flush(key);
            self.drain_due();
        }
    }

    /// Reads a piece of the file that a secure connection sends, and encrypts it; whether there may be more to send. Asked when the piece before is gone, so it is
    /// one piece that is in memory, however large the file is.
    #[cold]
    fn encrypt_file(&mut self, key: Key) -> bool {
        let Some((mut file, offset, left)) = self.engine().next_piece(key) else { return true };
        let mut piece = self.engine().pool().take_block();
        let most = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.io().read_file(&mut file, offset, &mut piece[..most]);
        // Nobody was called meanwhile, so there is somebody to give it back to.
        let _ = self.engine().return_file(key, file);
        let more = match read {
            Ok(0) => {
                self.engine().file_sent(key, 0);
                true
            }
            Ok(n) => self.engine().encrypt_piece(key, &piece[..n.min(most)]),
            Err(error) => {
                self.engine().file_failed(key, error);
                true
            }
        };
        self.engine().pool().give_block(piece);
        more
    }

    /// Carries out operations and looks at endpoints until there is nothing left to do.
    #[inline]
    fn settle(&mut self) {
        if !self.engine().is_settled() {
            self.settle_all();
        }
    }

    #[inline(never)]
    fn settle_all(&mut self) {
        loop {
            self.drain_due();
            if let Some(op) = self.engine().poll_op() {
                self.carry_out(op);
            } else if let Some(key) = self.engine().next_dirty() {
                self.refresh(key);
            } else {
                return;
            }
        }
    }

    fn carry_out(&mut self, op: Op) {
        match op {
            Op::Connect(place, to) => self.connect(place, &to),
            Op::Move(place, id) => self.move_to(place, id),
            Op::Resolve(query, name) => self.resolve(query, &name),
            Op::Forget(query) => self.io().forget(query),
            Op::Adopt(id, resource, role) => self.adopt(id, resource, role),
            Op::Bind(server, listen) => {
                let result = self.bind_all(server, &listen);
                self.engine().listening(server, result);
            }
            Op::AdoptListener(server, resource) => {
                let result = self.adopt_listener(server, resource);
                self.engine().listening(server, result);
            }
            Op::OpenDatagram(id, open) => self.open_datagram(id, &open),
            Op::AdoptDatagram(id, resource) => self.adopt_datagram(id, resource),
            Op::Accept(listener) => self.start_accepting(listener.key()),
            Op::Watch(id, resource) => self.watch(id, resource),
            Op::Spawn(id, command) => self.spawn(id, *command),
            Op::Signal(id, signal) => {
                if let Some(Err(error)) = self.with_source(id.key(), |io, source| io.signal(source, signal)) {
                    self.engine().signal_failed(id, error);
                }
            }
            Op::Close(key) => self.close(key),
            Op::SetOption(id, option) => self.set_option(id, option),
            Op::FinishFile(file, position) => self.io().finish_file(file, position),
            Op::Visit(id, visitor) => self.visit(id, visitor),
        }
    }

    fn connect(&mut self, place: Key, to: &Attempt) {
        if !self.engine().wants_connect(place) {
            return; // Given up meanwhile.
        }
        if let Err(error) = self.begin_connect(place, to) {
            self.engine().connected(place, Err(error));
        }
    }

    fn move_to(&mut self, place: Key, id: StreamId) {
        if self.engine().transport(id.key()).is_none() {
            return; // Given up meanwhile; its sockets are being closed.
        }
        let result = self.rekey(place, id.key());
        self.engine().moved(id, result);
    }

    fn resolve(&mut self, query: QueryId, name: &Name) {
        match self.io().resolve(query, name) {
            Ok(None) => {}
            Ok(Some(addrs)) => self.engine().resolved(query, Ok(addrs)),
            Err(error) => self.engine().resolved(query, Err(error)),
        }
    }

    fn adopt(&mut self, id: StreamId, resource: Resource, role: Role) {
        if self.engine().transport(id.key()).is_none() {
            return; // Given up meanwhile: the resource is dropped.
        }
        let result = self.io().adopt(resource, role).and_then(|(source, ends)| {
            if matches!(role, Role::Client | Role::Accepted) && !ends.is_unix() {
                // Not ours to fail for: the socket works without (contract LOOP-11).
                let _ = self.io().set_option(&source, SocketOption::NoDelay(true));
            }
            self.keep_stream(id.key(), source).map(|()| ends)
        });
        self.engine().adopted(id, result);
    }

    fn open_datagram(&mut self, id: DatagramId, open: &Datagram) {
        if self.engine().datagrams(id.key()).is_none() {
            return; // Given up meanwhile.
        }
        let result = open.check().and_then(|()| self.io().open_datagram(open)).and_then(|(source, ends)| {
            self.keep_datagram(id.key(), source)?;
            Ok(ends)
        });
        let at = match &result {
            Err(error) if error.call() == Call::Connect => open.remote(),
            _ => open.local(),
        };
        self.engine().datagram_opened(id, at.cloned(), result);
    }

    fn adopt_datagram(&mut self, id: DatagramId, resource: Resource) {
        if self.engine().datagrams(id.key()).is_none() {
            return; // Given up meanwhile: the resource is dropped.
        }
        let result = self.io().adopt_datagram(resource).and_then(|(source, ends)| {
            self.keep_datagram(id.key(), source)?;
            Ok(ends)
        });
        self.engine().datagram_opened(id, None, result);
    }

    /// Looks at a datagram endpoint: errors first, what is to be sent, what was held, and again what follows from that.
    fn refresh_datagrams(&mut self, key: Key) {
        while self.engine().deliver_error(key) {
            self.drain_due();
        }
        self.flush(key);
        self.drain_due();
        while self.engine().deliver_held_datagram(key) {
            self.drain_due();
        }
        self.flush(key);
    }

    fn watch(&mut self, id: WatchId, resource: Resource) {
        if !self.engine().is_watch(id.key()) {
            return; // Given up meanwhile: the resource is dropped.
        }
        let result = self.io().watch(resource).and_then(|source| self.keep_watch(id.key(), source));
        if let Err(error) = result {
            self.engine().watch_failed(id.key(), error);
        }
    }

    fn spawn(&mut self, id: ProcessId, command: Command) {
        if !self.engine().is_to_spawn(id) {
            return; // Given up meanwhile: the command is dropped.
        }
        let result = command.check().and_then(|()| self.io().spawn(command)).and_then(|spawned| {
            self.keep_child(id.key(), spawned.child)?;
            for (fd, source) in PipeFd::ALL.into_iter().zip(spawned.pipes) {
                // A pipe that was given up meanwhile is dropped.
                if let (Some(source), Some(pipe)) = (source, self.engine().hub().open_pipe(id, fd)) {
                    self.keep_stream(pipe, source)?;
                }
            }
            Ok(spawned.pid)
        });
        self.engine().spawned(id, result);
    }

    /// Binds every address of a server; one that is not available is skipped if another one is (contract LOOP-15).
    fn bind_all(&mut self, server: ServerId, listen: &Listen) -> Result<(), ListenError> {
        let mut bound = 0;
        let mut skipped: Vec<(&Addr, Error)> = Vec::new();
        for addr in listen.addrs() {
            let made = self.io().bind(addr, listen).and_then(|(mut source, local)| {
                if listen.starts() {
                    if let Err(error) = self.io().listen(&mut source, listen.get_backlog()) {
                        self.io().discard(source);
                        return Err(error);
                    }
                }
                Ok((source, local))
            });
            match made {
                Ok((source, local)) => {
                    self.keep_bound(server, source, Some(local)).map_err(|error| ListenError::new(Some(addr.clone()), error))?;
                    bound += 1;
                }
                Err(error) if error.kind() == ErrorKind::AddrNotAvailable => skipped.push((addr, error)),
                Err(error) => return Err(ListenError::new(Some(addr.clone()), error)),
            }
        }
        match skipped.first() {
            Some(&(addr, error)) if bound == 0 => Err(ListenError::new(Some(addr.clone()), error)),
            _ => {
                for (addr, error) in skipped {
                    self.engine().address_skipped(addr.clone(), error);
                }
                Ok(())
            }
        }
    }

    fn adopt_listener(&mut self, server: ServerId, resource: Resource) -> Result<(), ListenError> {
        let (source, ends) = self.io().adopt(resource, Role::Listener).map_err(|error| ListenError::new(None, error))?;
        self.keep_bound(server, source, ends.local.clone()).map_err(|error| ListenError::new(ends.local, error))
    }

    fn keep_bound(&mut self, server: ServerId, source: <Self::Io as Sockets>::Source, local: Option<Addr>) -> Result<(), Error> {
        match self.engine().bound(server, local) {
            Some(key) => self.keep_listener(key, source),
            None => {
                // The server was closed meanwhile.
                self.io().discard(source);
                Ok(())
            }
        }
    }

    fn carry_out_all(&mut self) {
        while let Some(op) = self.engine().poll_op() {
            self.carry_out(op);
        }
    }

    fn listen_now(
        &mut self,
        listen: &Listen,
        make: impl FnMut(&mut S, Addr) -> Option<Box<dyn Protocol<S>>> + 'static,
    ) -> Result<ServerId, ListenError> {
        let server = self.engine().new_server(listen, make);
        let result = crate::hub::check_tls(listen.get_tls()).and_then(|()| {
            let lookups = Lookups::begin(listen.targets(), listen.only_family(), |_, name| {
                let found = self.io().resolve_now(&name);
                crate::hub::answer(name, found)
            });
            lookups.to_listen(listen.clone()).and_then(|listen| self.bind_all(server, &listen))
        });
        self.listened(server, result)
    }

    fn listen_on_now(
        &mut self,
        socket: Resource,
        make: impl FnMut(&mut S, Addr) -> Option<Box<dyn Protocol<S>>> + 'static,
    ) -> Result<ServerId, ListenError> {
        let server = self.engine().new_server(&Listen::nowhere(), make);
        let result = self.adopt_listener(server, socket);
        self.listened(server, result)
    }

    fn listened(&mut self, server: ServerId, result: Result<(), ListenError>) -> Result<ServerId, ListenError> {
        self.engine().listening(server, result.clone());
        // What that led to stands behind all other operations, and is carried out in their order.
        self.carry_out_all();
        result.map(|()| server)
    }

    fn start_accepting(&mut self, key: Key) {
        if self.engine().accept_batch(key) == 0 {
            return;
        }
        let backlog = self.engine().backlog(key);
        match self.with_source(key, |io, source| io.listen(source, backlog)) {
            Some(Ok(())) => self.accept(key),
            Some(Err(error)) => self.engine().accept_failed(key, error),
            None => {}
        }
    }

    /// Keeps an accepted socket, with the options that its server has for it.
    fn accepted(&mut self, listener: Key, source: <Self::Io as Sockets>::Source, ends: Ends) {
        let unix = ends.is_unix();
        let Some(key) = self.engine().accepted(listener, ends) else {
            return; // The server was closed meanwhile: the socket is dropped.
        };
        for n in 0.. {
            let Some(&option) = self.engine().accept_options(listener).get(n) else { break };
            if unix && matches!(option, SocketOption::NoDelay(_)) {
                continue; // It is the default of servers, and these may be bound to addresses of all kinds.
            }
            // It fails only if the peer has gone already, and the connection will tell.
            let _ = self.io().set_option(&source, option);
        }
        if let Err(error) = self.keep_stream(key, source) {
            self.engine().accepted_in_vain(listener, key, error);
        }
    }

    fn set_option(&mut self, id: EndpointId, option: SocketOption) {
        if let Some(Err(error)) = self.with_source(id.key(), |io, source| io.set_option(source, option)) {
            self.engine().option_failed(id, error);
        }
    }

    fn visit(&mut self, id: EndpointId, visitor: Resource) {
        self.with_source(id.key(), |io, source| io.visit(source, visitor));
    }
}

/// An error of one connection that was lost before it was accepted: the next one may be good (contract LOOP-22).
pub(super) const fn concerns_one_connection(error: Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::PermissionDenied
            | ErrorKind::Unreachable
            | ErrorKind::TimedOut
    )
}

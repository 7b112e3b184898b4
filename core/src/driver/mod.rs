//! Drivers: the two kinds of kernel interface under one engine.
//!
//! A backend supplies system calls ([`ReadinessIo`] or [`CompletionIo`], both over [`Sockets`]) and a way to wait; everything else is here. The
//! iteration of a loop is
//!
//! 1. `prepare`: the ready queue as it stands, then everything that it led to;
//! 2. wait, at most for `timeout`, and `mark` (or `complete`) what happened, which calls nothing of the application's;
//! 3. `process`: what was marked, the timers that are due, then everything that they led to.
//!
//! If a callback panics, `prepare` and `process` unwind and can be called again: they go on behind the callback that panicked.

mod completion;
mod readiness;

pub use completion::{Completion, CompletionDriver, CompletionIo};
pub use readiness::{BATCH, Incoming, Interest, ReadinessDriver, ReadinessIo, Ready, Trigger};

use crate::addr::{Addr, Ends};
use crate::command::Command;
use crate::engine::Engine;
use crate::error::{Call, Error, ErrorKind};
use crate::hub::{ListenError, Lookups};
use crate::key::{DatagramId, EndpointId, Key, ProcessId, QueryId, ServerId, StreamId};
use crate::name::Name;
use crate::op::{Op, Role};
use crate::open::{Attempt, Datagram, Listen, Resource, SocketOption};
use crate::process::PipeFd;
use crate::protocol::Protocol;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// What both kinds of backends do with sockets beside moving bytes. None of it waits.
pub trait Sockets {
    /// A socket, owned. Dropping it closes it.
    type Source;

    /// Makes a socket and binds it, without listening yet; and the address that it got.
    ///
    /// # Errors
    /// The system's; `AddrNotAvailable` lets a server with other addresses skip this one.
    fn bind(&mut self, at: &Addr, listen: &Listen) -> Result<(Self::Source, Addr), Error>;

    /// Listens on a bound socket; a no-op if it does already.
    ///
    /// # Errors
    /// The system's.
    fn listen(&mut self, source: &mut Self::Source, backlog: u32) -> Result<(), Error>;

    /// Takes a socket over that the application made: a connected one, or one that is bound or listens; or an end of a pipe. It is made
    /// non-blocking.
    ///
    /// # Errors
    /// `InvalidInput` if it is something else (contract LOOP-3, LOOP-4, PIPE-5); it is closed then, as everywhere else (contract RUST-11).
    fn adopt(&mut self, resource: Resource, role: Role) -> Result<(Self::Source, Ends), Error>;

    /// Makes a datagram socket, bound and connected as it says ([`Datagram::connects`]), with its options; and its addresses. A backend without
    /// datagrams leaves it as it is.
    ///
    /// # Errors
    /// The system's.
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn open_datagram(&mut self, open: &Datagram) -> Result<(Self::Source, Ends), Error> {
        Err(Error::new(Call::Socket, ErrorKind::Unsupported))
    }

    /// Takes a datagram socket over that the application made. It is made non-blocking. A backend without datagrams leaves it as it is.
    ///
    /// # Errors
    /// `InvalidInput` if it is something else; it is closed then (contract LOOP-26, RUST-11).
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn adopt_datagram(&mut self, resource: Resource) -> Result<(Self::Source, Ends), Error> {
        Err(Error::new(Call::Adopt, ErrorKind::Unsupported))
    }

    /// Sets an option.
    ///
    /// # Errors
    /// The system's.
    fn set_option(&mut self, source: &Self::Source, option: SocketOption) -> Result<(), Error>;

    /// Shows the socket to a visitor of the backend's own kind.
    fn visit(&mut self, source: &Self::Source, visitor: Resource);

    /// A file is not sent any more: its position is to be there, behind the last byte that was (contract LOOP-28). A backend that sends no files leaves it as it is.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn finish_file(&mut self, file: Resource, position: u64) {}

    /// Prepares to be told about the socket under this key, and says how that will be.
    ///
    /// # Errors
    /// The system's.
    fn attach(&mut self, source: &mut Self::Source, key: Key) -> Result<Attached, Error>;

    /// From now on the socket is known under another key, which no other socket has, and nothing that is so already may be kept silent. By default it is
    /// attached anew.
    ///
    /// # Errors
    /// The system's. The socket is closed then.
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn rekey(&mut self, source: &mut Self::Source, from: Key, to: Key) -> Result<(), Error> {
        self.attach(source, to).map(drop)
    }

    /// Begins to look a name up, without waiting. The addresses, if they are known at once; otherwise [`Engine::resolved`] is told later. Their
    /// ports do not matter.
    ///
    /// # Errors
    /// That it cannot; nothing comes later. A backend without a resolver says `Unsupported`.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn resolve(&mut self, query: QueryId, name: &Name) -> Result<Option<Vec<SocketAddr>>, Error> {
        Err(Error::new(Call::Resolve, ErrorKind::Unsupported))
    }

    /// Nobody waits for that answer any more; it may come all the same.
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn forget(&mut self, query: QueryId) {}

    /// Looks a name up and waits for the answer: for listening outside of callbacks.
    ///
    /// # Errors
    /// As for [`resolve`](Self::resolve).
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn resolve_now(&mut self, name: &Name) -> Result<Vec<SocketAddr>, Error> {
        Err(Error::new(Call::Resolve, ErrorKind::Unsupported))
    }

    /// Closes a socket that was never attached: a server did not come about.
    fn discard(&mut self, source: Self::Source) {
        drop(source);
    }

    /// Starts a child. Whatever the command carries is dropped here, also if that fails. A backend without processes leaves it as it is.
    ///
    /// # Errors
    /// The system's; then there is no child.
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn spawn(&mut self, command: Command) -> Result<Spawned<Self::Source>, Error> {
        Err(Error::new(Call::Spawn, ErrorKind::Unsupported))
    }

    /// Sends a signal to a child that has not been reaped; one that has ended already takes it too.
    ///
    /// # Errors
    /// The system's.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn signal(&mut self, child: &mut Self::Source, signal: i32) -> Result<(), Error> {
        Err(Error::new(Call::Signal, ErrorKind::Unsupported))
    }

    /// Closes a socket that was attached, or the source of a child: one that has not ended is killed, and reaped when it has. A completion backend
    /// cancels what is in flight first, and drops the socket when the last
    /// of it has come back.
    fn close(&mut self, source: Self::Source, key: Key);
}

/// Why bytes of a file were not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a file is sent from one end to the other")]
pub enum FileError {
    /// The file cannot be read, or is none: the connection goes on.
    File(Error),
    /// The socket does not take them: the connection is lost.
    Socket(Error),
}

/// What is told of a source once it is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Attached {
    /// That it can be read or written. A receive that brings less than there was room for has emptied it.
    Stream,
    /// The same, but it is read piece by piece, as a terminal line by line: it is empty only when a receive would block.
    Pieces,
    /// Nothing: the kernel refuses to watch it, because its calls never block.
    AlwaysReady,
}

/// A child that was started: its id, the source that tells of its exit, and our ends of its pipes.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "made by backends, field by field")]
pub struct Spawned<Source> {
    /// Its process id.
    pub pid: u32,
    /// Tells when it has ended.
    pub child: Source,
    /// Of stdin, stdout and stderr, where they are piped.
    pub pipes: [Option<Source>; 3],
}

/// The sockets of a driver: at the index of their endpoint's key, with its generation.
#[derive(Debug)]
struct Table<C> {
    rows: Vec<Option<(u32, C)>>,
}

impl<C> Table<C> {
    const fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// Takes out what is left at this index of an endpoint that is gone, and whose slot has been given to `key` before its source was closed.
    fn evict(&mut self, key: Key) -> Option<(Key, C)> {
        let (generation, row) = self.rows.get_mut(key.index())?.take()?;
        Some((Key::new(key.index() as u32, generation), row))
    }

    fn insert(&mut self, key: Key, row: C) {
        if key.index() >= self.rows.len() {
            self.rows.resize_with(key.index() + 1, || None);
        }
        self.rows[key.index()] = Some((key.generation(), row));
    }

    #[inline]
    fn get_mut(&mut self, key: Key) -> Option<&mut C> {
        match self.rows.get_mut(key.index()) {
            Some(Some((generation, row))) if *generation == key.generation() => Some(row),
            _ => None,
        }
    }

    fn remove(&mut self, key: Key) -> Option<C> {
        self.get_mut(key)?;
        self.rows[key.index()].take().map(|(_, row)| row)
    }
}

/// Where a driver is in its iteration, so that it goes on after a callback has panicked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Between,
    Preparing,
    Processing,
}

/// What the two drivers have in common: the order of an iteration.
trait Drive<S> {
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
        let lookups = Lookups::begin(listen.targets(), listen.only_family(), |_, name| {
            let found = self.io().resolve_now(&name);
            crate::hub::answer(name, found)
        });
        let result = lookups.to_listen(listen.clone()).and_then(|listen| self.bind_all(server, &listen));
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
const fn concerns_one_connection(error: Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::PermissionDenied
            | ErrorKind::Unreachable
            | ErrorKind::TimedOut
    )
}

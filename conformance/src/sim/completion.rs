//! The calls of a loop whose operations are carried out for it.

use super::net::error;
use super::readiness::{Calls, SimSocket};
use super::ring::{Begin, Ops, Outcome};
use bytes::BytesMut;
use core::fmt;
use core::net::SocketAddr;
use plimsoll_core::driver::{Attached, Completion, CompletionIo, Sockets, Spawned};
use plimsoll_core::{
    Addr, Attempt, Call, Command, Ends, Error, InFlight, Key, Listen, Name, QueryId, Resource, Role, SocketOption,
};

/// The simulated kernel for a [`CompletionDriver`](plimsoll_core::driver::CompletionDriver).
pub struct SimCompletion {
    pub(crate) calls: Calls,
    pub(crate) ring: usize,
}

impl fmt::Debug for SimCompletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimCompletion").finish_non_exhaustive()
    }
}

impl SimCompletion {
    /// Takes a completion that has come.
    pub(crate) fn harvest(&self) -> Option<(Key, Completion<SimSocket>)> {
        let mut net = self.calls.world.borrow_mut();
        let ring = &mut net.rings[self.ring];
        let (key, outcome) = ring.done.pop_front()?;
        ring.in_flight -= 1;
        let completion = match outcome {
            Outcome::Received(memory, result) => Completion::Received(memory, result.map_err(|kind| error(Call::Receive, kind))),
            Outcome::Sent(result) => Completion::Sent(result.map_err(|kind| error(Call::Send, kind))),
            Outcome::ShutDown(result) => Completion::ShutDown(result.map_err(|kind| error(Call::Shutdown, kind))),
            Outcome::Connected(result) => Completion::Connected(result.map_err(|kind| error(Call::Connect, kind))),
            Outcome::HungUp => Completion::HungUp,
            Outcome::Exited(result) => Completion::Exited(result.map_err(|kind| error(Call::Wait, kind))),
            Outcome::Accepted(result) => Completion::Accepted(
                result.map(|(id, ends)| (self.calls.socket(id), ends)).map_err(|kind| error(Call::Accept, kind)),
            ),
        };
        Some((key, completion))
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.calls.world.borrow().rings[self.ring].in_flight
    }

    fn begin(&self, source: &SimSocket, key: Key, what: Begin) {
        self.calls.world.borrow_mut().begin(source.id, key, what);
    }
}

impl Sockets for SimCompletion {
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

impl CompletionIo for SimCompletion {
    fn recv(&mut self, source: &mut SimSocket, key: Key, memory: BytesMut) {
        self.begin(source, key, Begin::Recv(memory));
    }

    fn send(&mut self, source: &mut SimSocket, key: Key, bytes: InFlight) {
        self.begin(source, key, Begin::Send(Box::new(bytes)));
    }

    fn shutdown_write(&mut self, source: &mut SimSocket, key: Key) {
        self.begin(source, key, Begin::Shutdown);
    }

    fn connect(&mut self, key: Key, to: &Attempt) -> Result<SimSocket, Error> {
        let socket = self.calls.connect(to)?;
        let ring = self.ring;
        if let Some(socket) = self.calls.world.borrow_mut().sockets.get_mut(socket.id) {
            socket.ops = Some(Ops::new(ring));
        }
        self.begin(&socket, key, Begin::Connect);
        Ok(socket)
    }

    fn accept(&mut self, source: &mut SimSocket, key: Key) {
        self.begin(source, key, Begin::Accept);
    }

    fn wait_child(&mut self, child: &mut SimSocket, key: Key) {
        self.begin(child, key, Begin::Exit);
    }

    fn watch_hang_up(&mut self, source: &mut SimSocket, key: Key) {
        self.begin(source, key, Begin::HangUp);
    }
}

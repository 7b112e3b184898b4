//! Verbs of servers.

use super::lookup::{Asker, Lookups, Slot};
use super::{Hub, Job, Ready};
use crate::addr::Addr;
use crate::endpoint::{About, Endpoint, Listener};
use crate::error::{Call, Error, ErrorKind};
use crate::key::{Key, ListenerId, ServerId};
use crate::name::Name;
use crate::op::Op;
use crate::open::{Listen, Resource, SocketOption};
use crate::protocol::Protocol;
use crate::report::Report;
use crate::tls::Tls;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// Makes the protocol of each accepted connection, or refuses it.
pub(crate) type Factory<S> = Box<dyn FnMut(&mut S, Addr) -> Option<Box<dyn Protocol<S>>>>;

/// Is told what became of the listening.
pub(crate) type Listening<S> = Box<dyn FnOnce(&mut Hub<S>, &mut S, Result<ServerId, ListenError>)>;

/// Where a server stands (contract 17.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Serving {
    /// Bound, or being bound; nothing is accepted.
    NotYet,
    Yes,
    Closed,
}

pub(crate) struct Server<S> {
    /// None while it is lifted out to be called.
    pub(crate) make: Option<Factory<S>>,
    pub(crate) serving: Serving,
    /// To be started as soon as its addresses are bound.
    start: bool,
    listeners: Vec<Key>,
    clients: usize,
    done: Option<Listening<S>>,
    waiting: Vec<Job<S>>,
    backlog: u32,
    options: Vec<SocketOption>,
    /// How its connections are made secure.
    pub(crate) tls: Option<Tls>,
    resting: Option<Key>,
    /// What it is to listen on, while names are being looked up.
    lookups: Option<Box<(Listen, Lookups)>>,
}

/// Why a server could not listen, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenError {
    host: Option<Box<str>>,
    addr: Option<Addr>,
    error: Error,
}

impl ListenError {
    /// The address, where there is one to name, and the error.
    #[must_use]
    pub const fn new(addr: Option<Addr>, error: Error) -> Self {
        Self { host: None, addr, error }
    }

    /// The host that could not be looked up.
    pub(crate) fn of_host(name: &Name, error: Error) -> Self {
        Self { host: Some(name.host().into()), addr: None, error }
    }

    /// The host, if its name could not be looked up.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The address that could not be bound; none if a socket was taken over, or a name could not be looked up.
    #[must_use]
    pub const fn addr(&self) -> Option<&Addr> {
        self.addr.as_ref()
    }

    /// Why not.
    #[must_use]
    pub const fn error(&self) -> Error {
        self.error
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{}: ", host.escape_debug())?;
        }
        if let Some(addr) = &self.addr {
            write!(f, "{addr}: ")?;
        }
        self.error.fmt(f)
    }
}

impl core::error::Error for ListenError {}

/// Refuses a server whose connections could not be made secure, there and then and not at the first of them (contract TLS-5).
pub(crate) fn check_tls(tls: Option<&Tls>) -> Result<(), ListenError> {
    tls.map_or(Ok(()), Tls::check).map_err(|error| ListenError::new(None, error.error()))
}

#[cfg(feature = "std")]
impl From<ListenError> for std::io::Error {
    fn from(error: ListenError) -> Self {
        Self::new(Self::from(error.error).kind(), error)
    }
}

impl<S> Hub<S> {
    /// Listens; `make` is called for each connection, after it was accepted and before its `connection_made`, and `done` once, when the
    /// addresses are bound or cannot be (contract LOOP-13, LIFE-5). Names of hosts are looked up before.
    pub fn listen<P: Protocol<S> + 'static>(
        &mut self,
        at: impl Into<Listen>,
        mut make: impl FnMut(&mut S, Addr) -> P + 'static,
        done: impl FnOnce(&mut Self, &mut S, Result<ServerId, ListenError>) + 'static,
    ) -> ServerId {
        self.listen_with(at, move |state, peer| Some(Box::new(make(state, peer)) as Box<dyn Protocol<S>>), done)
    }

    /// As [`listen`](Self::listen), with a factory that may refuse a connection, which is then closed, and may make different protocols.
    pub fn listen_with(
        &mut self,
        at: impl Into<Listen>,
        make: impl FnMut(&mut S, Addr) -> Option<Box<dyn Protocol<S>>> + 'static,
        done: impl FnOnce(&mut Self, &mut S, Result<ServerId, ListenError>) + 'static,
    ) -> ServerId {
        let at = at.into();
        let id = self.new_server(Box::new(make), &at, Some(Box::new(done)));
        if let Err(error) = check_tls(at.get_tls()) {
            self.server_listening(id, Err(error));
            return id;
        }
        let lookups = self.look_up(at.targets(), at.only_family(), Asker::Server(id.key));
        if let Some(server) = self.servers.get_mut(id.key) {
            server.lookups = Some(Box::new((at, lookups)));
        }
        self.bind_when_looked_up(id);
        id
    }

    pub(crate) fn server_resolved(&mut self, key: Key, slot: usize, answer: Slot) {
        if let Some((_, lookups)) = self.servers.get_mut(key).and_then(|server| server.lookups.as_deref_mut()) {
            lookups.settle(slot, answer);
        }
        self.bind_when_looked_up(self.server_id(key));
    }

    fn bind_when_looked_up(&mut self, id: ServerId) {
        let Some(server) = self.servers.get_mut(id.key) else { return };
        let Some(lookups) = server.lookups.take_if(|lookups| lookups.1.is_complete()) else { return };
        let (listen, lookups) = *lookups;
        match lookups.to_listen(listen) {
            Ok(listen) => self.ops.push_back(Op::Bind(id, listen)),
            Err(error) => self.server_listening(id, Err(error)),
        }
    }

    /// As [`listen_with`](Self::listen_with), on a socket of the backend's that is bound, and perhaps listens already.
    pub fn listen_on(
        &mut self,
        socket: Resource,
        make: impl FnMut(&mut S, Addr) -> Option<Box<dyn Protocol<S>>> + 'static,
        done: impl FnOnce(&mut Self, &mut S, Result<ServerId, ListenError>) + 'static,
    ) -> ServerId {
        let id = self.new_server(Box::new(make), &Listen::nowhere(), Some(Box::new(done)));
        self.ops.push_back(Op::AdoptListener(id, socket));
        id
    }

    /// As [`listen_on`](Self::listen_on), and makes each connection secure, as [`Listen::tls`] does (contract LOOP-14).
    pub fn listen_on_tls(
        &mut self,
        socket: Resource,
        tls: &Tls,
        make: impl FnMut(&mut S, Addr) -> Option<Box<dyn Protocol<S>>> + 'static,
        done: impl FnOnce(&mut Self, &mut S, Result<ServerId, ListenError>) + 'static,
    ) -> ServerId {
        let id = self.new_server(Box::new(make), &Listen::nowhere().tls(tls.clone()), Some(Box::new(done)));
        match check_tls(Some(tls)) {
            Ok(()) => self.ops.push_back(Op::AdoptListener(id, socket)),
            Err(error) => self.server_listening(id, Err(error)),
        }
        id
    }

    pub(crate) fn new_server(&mut self, make: Factory<S>, listen: &Listen, done: Option<Listening<S>>) -> ServerId {
        let server = Server {
            make: Some(make),
            serving: Serving::NotYet,
            start: listen.starts(),
            listeners: Vec::new(),
            clients: 0,
            done,
            waiting: Vec::new(),
            backlog: listen.get_backlog(),
            options: listen.options().to_vec(),
            tls: listen.get_tls().cloned(),
            resting: None,
            lookups: None,
        };
        let key = self.servers.insert(server).unwrap_or(Key::from_bits(0));
        self.server_id(key)
    }

    fn server(&self, id: ServerId) -> Option<&Server<S>> {
        if id.tag == self.tag { self.servers.get(id.key) } else { None }
    }

    /// Begins to accept; a no-op if it does already (contract LOOP-16).
    ///
    /// # Errors
    /// `Closed` once the server is closed.
    pub fn server_start(&mut self, id: ServerId) -> Result<(), Error> {
        let closed = Error::new(Call::Listen, ErrorKind::Closed);
        if self.server(id).is_none_or(|server| server.serving == Serving::Closed) {
            return Err(closed);
        }
        let tag = self.tag;
        let server = self.servers.get_mut(id.key).ok_or(closed)?;
        server.start = true;
        if server.serving == Serving::NotYet && server.done.is_none() {
            server.serving = Serving::Yes;
            self.ops.extend(server.listeners.iter().map(|&key| Op::Accept(ListenerId::new(key, tag))));
        }
        Ok(())
    }

    /// Stops listening and closes the listening sockets; established connections go on. No `connection_made` comes for a connection of this server
    /// any more (contract LOOP-18). A no-op the second time.
    pub fn server_close(&mut self, id: ServerId) {
        if self.server(id).is_none() {
            return;
        }
        let Some(server) = self.servers.get_mut(id.key) else { return };
        server.serving = Serving::Closed;
        let listeners = core::mem::take(&mut server.listeners);
        let resting = server.resting.take();
        let secure = server.tls.is_some();
        let done = server.done.take();
        let lookups = server.lookups.take();
        if let Some(lookups) = lookups {
            self.forget(&lookups.1);
        }
        if let Some(timer) = resting {
            self.timers.cancel(timer);
        }
        if let Some(done) = done {
            // Closed before its addresses were bound.
            let error = ListenError::new(None, Error::new(Call::Listen, ErrorKind::Closed));
            self.ready.push_back(Ready::Listening(done, Err(error)));
        }
        for listener in listeners {
            self.remove(listener);
        }
        if secure {
            self.drop_handshakes(id);
        }
        self.server_over(id.key);
    }

    /// Nothing comes of connections whose handshakes are under way (contract LOOP-18).
    fn drop_handshakes(&mut self, id: ServerId) {
        for client in self.clients(id) {
            if self.stream_at(client).is_some_and(|stream| !stream.transport.is_made()) {
                drop(self.remove(client));
            }
        }
    }

    /// Closes each live connection that it accepted (contract LOOP-20). Looks at all endpoints of the loop.
    pub fn close_clients(&mut self, id: ServerId) {
        for client in self.clients(id) {
            self.close(self.stream_id(client));
        }
    }

    /// Aborts each live connection that it accepted (contract LOOP-20). Looks at all endpoints of the loop.
    pub fn abort_clients(&mut self, id: ServerId) {
        for client in self.clients(id) {
            self.abort(self.stream_id(client));
        }
    }

    fn clients(&self, id: ServerId) -> Vec<Key> {
        if self.server(id).is_none() {
            return Vec::new();
        }
        let of_it = |&key: &Key| self.about(key).server == Some(id.key);
        self.endpoints
            .iter()
            .filter(|(_, endpoint)| matches!(endpoint, Endpoint::Stream(_)))
            .map(|(key, _)| key)
            .filter(of_it)
            .collect()
    }

    /// Whether it accepts connections (contract LOOP-16).
    #[must_use]
    pub fn is_serving(&self, id: ServerId) -> bool {
        self.server(id).is_some_and(Server::accepts)
    }

    /// The addresses on which it listens, or is bound; empty once closed (contract LOOP-21).
    #[must_use]
    pub fn sockets(&self, id: ServerId) -> Vec<Addr> {
        self.server(id).map_or_else(Vec::new, |server| {
            server.listeners.iter().filter_map(|&key| self.about(key).ends.local.clone()).collect()
        })
    }

    /// Calls `f` when the server is closed and every connection that it accepted is lost; soon, if that is so already (contract LOOP-19).
    pub fn wait_closed(&mut self, id: ServerId, f: impl FnOnce(&mut Self, &mut S) + 'static) {
        let server = if id.tag == self.tag { self.servers.get_mut(id.key) } else { None };
        match server {
            Some(server) => server.waiting.push(Box::new(f)),
            None => self.call_soon(f),
        }
    }

    // ---- from the engine ----

    /// One of its addresses is bound.
    pub(crate) fn server_bound(&mut self, id: ServerId, local: Option<Addr>) -> Option<Key> {
        if self.server(id)?.serving == Serving::Closed {
            return None;
        }
        let mut about = About::default();
        about.ends.local = local;
        let key = self.insert(Endpoint::Listener(Listener { server: id.key }), about)?;
        self.servers.get_mut(id.key)?.listeners.push(key);
        Some(key)
    }

    /// All of its addresses are bound, or one cannot be.
    pub(crate) fn server_listening(&mut self, id: ServerId, result: Result<(), ListenError>) {
        let Some(server) = self.servers.get_mut(id.key) else { return };
        let done = server.done.take();
        let start = server.start;
        // Before whoever waits for its end: the listening came first.
        if let Some(done) = done {
            self.ready.push_back(Ready::Listening(done, result.clone().map(|()| id)));
        }
        match result {
            Ok(()) if start => {
                // Cannot fail: it is there and not closed, or closed by the application meanwhile.
                let _ = self.server_start(id);
            }
            Ok(()) => {}
            Err(_) => self.server_close(id),
        }
    }

    /// A connection came in: it gets its slot, and its protocol when its turn comes.
    pub(crate) fn server_accepted(&mut self, listener: Key, ends: crate::addr::Ends) -> Option<Key> {
        let key = self.listener_at(listener)?.server;
        if !self.servers.get(key)?.accepts() {
            return None;
        }
        let stream = crate::endpoint::Stream::new(None);
        let about = About { ends, server: Some(key) };
        let stream = self.insert(Endpoint::Stream(stream), about)?;
        self.servers.get_mut(key)?.clients += 1;
        if self.servers.get(key)?.tls.is_none() {
            self.stream_at(stream)?.transport.handle_open();
        }
        self.ready.push_back(Ready::Made(stream));
        Some(stream)
    }

    /// Accepting failed for lack of something: it rests, once for all of the server's sockets together (contract LOOP-23).
    pub(crate) fn server_exhausted(&mut self, listener: Key, error: Error, rest: core::time::Duration) {
        let Some(key) = self.listener_at(listener).map(|listener| listener.server) else { return };
        let id = self.server_id(key);
        let until = self.now.saturating_add(rest);
        let Some(server) = self.servers.get_mut(key) else { return };
        if server.resting.is_none() {
            server.resting = self.timers.set(until, super::Work::Accept { listener });
            self.reports.push(Report::AcceptFailed { server: id, error });
        }
    }

    /// Accepting has rested.
    pub(crate) fn server_rested(&mut self, listener: Key) {
        let Some(key) = self.listener_at(listener).map(|listener| listener.server) else { return };
        let tag = self.tag;
        if let Some(server) = self.servers.get_mut(key) {
            server.resting = None;
            self.ops.extend(server.listeners.iter().map(|&key| Op::Accept(ListenerId::new(key, tag))));
        }
    }

    pub(crate) fn server_is_resting(&self, listener: Key) -> bool {
        self.listener_at(listener)
            .and_then(|listener| self.servers.get(listener.server))
            .is_some_and(|server| server.resting.is_some())
    }

    pub(crate) fn server_backlog(&self, listener: Key) -> u32 {
        self.listener_at(listener).and_then(|listener| self.servers.get(listener.server)).map_or(1, |server| server.backlog)
    }

    pub(crate) fn server_options(&self, listener: Key) -> &[SocketOption] {
        self.listener_at(listener).and_then(|listener| self.servers.get(listener.server)).map_or(&[], |server| &server.options)
    }

    pub(crate) fn client_gone(&mut self, server: Key) {
        if let Some(entry) = self.servers.get_mut(server) {
            entry.clients -= 1;
            self.server_over(server);
        }
    }

    /// Closed, and the last of its connections lost: whoever waits for that is told, and the server is no more.
    fn server_over(&mut self, key: Key) {
        let over = |server: &Server<S>| server.serving == Serving::Closed && server.clients == 0;
        if self.servers.get(key).is_some_and(over) {
            let waiting = self.servers.remove(key).map(|server| server.waiting);
            self.ready.extend(waiting.into_iter().flatten().map(Ready::Soon));
        }
    }
}

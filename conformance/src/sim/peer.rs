//! The world, and the other ends in it, which a test plays itself, step by step.

use super::calls::{SimSocket, World};
use super::child::Step;
use super::fault::{Failure, Faults, Syscall};
use super::net::{Drain, Kind, Net, Owner, SockId};
use super::wire::TcpState;
use core::cell::{RefCell, RefMut};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use plimsoll_core::{Addr, Attempt, Ends, ErrorKind, Instant, Listen, Name, SocketOption, UnixAddr};
use std::rc::Rc;

/// A network with its own time, in which loops and peers live. A handle: clones are the same world.
#[derive(Clone)]
pub struct Sim {
    pub(crate) world: World,
}

impl Sim {
    /// A world in which everything that happens by chance follows from `seed`.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self { world: Rc::new(RefCell::new(Net::new(seed, faults))) }
    }

    /// A world in which nothing goes wrong.
    #[must_use]
    pub fn calm() -> Self {
        Self::new(0, Faults::none())
    }

    pub(crate) fn net(&self) -> RefMut<'_, Net> {
        self.world.borrow_mut()
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.net().now()
    }

    /// Lets what is to happen next happen, without a loop that looks at it; `false`: nothing is.
    pub(crate) fn go_on(&self) -> bool {
        let mut net = self.net();
        let Some(next) = net.clock.next_at() else { return false };
        if next > net.now() {
            net.clock.set_now(next);
        }
        net.run_due();
        true
    }

    /// Other faults from now on; buffers of connections that are there already stay.
    pub fn set_faults(&self, faults: Faults) {
        self.net().faults = faults;
    }

    /// Changes some of the faults.
    pub fn change_faults(&self, f: impl FnOnce(&mut Faults)) {
        f(&mut self.net().faults);
    }

    /// No connection request to this host is ever answered.
    pub fn black_hole(&self, host: IpAddr) {
        self.net().black_holes.push(host);
    }

    /// There is no way to this host.
    pub fn unreachable(&self, host: IpAddr) {
        self.net().unreachable.push(host);
    }

    /// A connection request takes that long to this host, however it is answered.
    pub fn slow(&self, host: IpAddr, time: Duration) {
        self.net().slow.push((host, time));
    }

    /// Whoever looks this name up is answered so, after that time. A name of which nothing was said is not found, at once.
    pub fn set_host(&self, name: &str, after: Duration, found: Result<&[SocketAddr], ErrorKind>) {
        self.net().names.insert(name.into(), (after, found.map(<[SocketAddr]>::to_vec)));
    }

    /// How many lookups are under way for which somebody waits.
    #[must_use]
    pub fn lookups(&self) -> usize {
        self.net().lookups.len()
    }

    /// The names that were looked up so far, in order.
    #[must_use]
    pub fn looked_up(&self) -> Vec<Name> {
        self.net().looked_up.clone()
    }

    /// Connects to a listening server; what it sends before the connection is there waits. It reads whatever comes.
    ///
    /// # Panics
    /// If the address is of another family than all hosts.
    #[must_use]
    pub fn connect_peer(&self, to: SocketAddr) -> Peer {
        let id = self.net().connect(&Attempt::new(to, None, []), Owner::Peer).expect("a peer can always try");
        self.peer(id)
    }

    /// The same, on a Unix address: there it shows at once whether somebody listens and has room.
    ///
    /// # Errors
    /// Why it cannot connect.
    pub fn connect_unix_peer(&self, to: impl Into<UnixAddr>) -> Result<Peer, ErrorKind> {
        let attempt = Attempt::new(Addr::unix(to), None, []);
        let id = self.net().connect(&attempt, Owner::Peer).map_err(|(_, kind)| kind)?;
        Ok(self.peer(id))
    }

    fn peer(&self, id: SockId) -> Peer {
        let mut net = self.net();
        if let Some(socket) = net.sockets.get_mut(id) {
            socket.drain = Some(Drain { on: true, received: Vec::new() });
        }
        net.wake(id);
        Peer { sim: self.clone(), id }
    }

    /// Listens where a loop may connect to.
    ///
    /// # Panics
    /// If somebody listens there already.
    #[must_use]
    pub fn listen_peer(&self, at: impl Into<Addr>) -> PeerListener {
        let id = self.bind_to(&at.into(), Owner::Peer);
        self.net().listen(id, 1000).expect("a bound socket");
        PeerListener { sim: self.clone(), id }
    }

    /// Listens on a Unix address with room for one connection, which is there: whoever else connects finds none.
    ///
    /// # Panics
    /// If a file that is no socket is there.
    #[must_use]
    pub fn full_listener(&self, at: impl Into<UnixAddr>) -> (PeerListener, Peer) {
        let at = at.into();
        let listener = self.listen_peer(Addr::Unix(at.clone()));
        self.net().listen(listener.id, 0).expect("a bound socket");
        let peer = self.connect_unix_peer(at).expect("room for one");
        (listener, peer)
    }

    /// A connected socket for a loop to adopt, and its other end.
    #[must_use]
    pub fn socket_pair(&self) -> (SimSocket, Peer) {
        let (ours, theirs) = self.net().pair();
        (SimSocket::new(&self.world, ours), self.peer(theirs))
    }

    /// A program that can be started under this name; of those of one name the last counts.
    pub fn program(&self, name: &str, steps: impl IntoIterator<Item = Step>) {
        self.net().programs.push((name.into(), steps.into_iter().collect()));
    }

    /// A child that does [`Step::Await`] goes on, or the next that comes to it.
    pub fn go(&self) {
        self.net().child_goes();
    }

    /// How many children run, or have ended and were not reaped.
    #[must_use]
    pub fn children(&self) -> usize {
        self.net().children.len()
    }

    /// The reading end of a pipe for a loop to adopt, and its only writer.
    #[must_use]
    pub fn read_pipe(&self) -> (SimSocket, Peer) {
        let (ours, theirs) = self.net().new_pipe(Owner::Process, Owner::Peer);
        (SimSocket::new(&self.world, ours), Peer { sim: self.clone(), id: theirs })
    }

    /// The writing end of a pipe for a loop to adopt, and its only reader, which reads whatever comes.
    #[must_use]
    pub fn write_pipe(&self) -> (SimSocket, Peer) {
        let (theirs, ours) = self.net().new_pipe(Owner::Peer, Owner::Process);
        (SimSocket::new(&self.world, ours), self.peer(theirs))
    }

    /// An end of a pipe for a loop to watch, the application's own descriptor of that end, which reads nothing by itself, and the other end: the writing end and a
    /// reader if it `writes`, else the reading end and a writer.
    ///
    /// # Panics
    /// Never: a pipe has both.
    #[must_use]
    pub fn watched_pipe(&self, writes: bool) -> (SimSocket, Peer, Peer) {
        let (reader, writer) = self.net().new_pipe(Owner::Peer, Owner::Peer);
        let end = if writes { writer } else { reader };
        let watched = self.net().duplicate_pipe_end(end, Owner::Process).expect("it is an end of a pipe");
        let watched = SimSocket::new(&self.world, watched);
        let (reader, writer) = (self.peer(reader), Peer { sim: self.clone(), id: writer });
        if writes {
            return (watched, writer, reader);
        }
        reader.stall();
        (watched, reader, writer)
    }

    /// A bound socket for a loop to adopt, which listens if `listens`.
    ///
    /// # Panics
    /// If the address cannot be bound.
    #[must_use]
    pub fn bound_socket(&self, at: impl Into<Addr>, listens: bool) -> SimSocket {
        let id = self.bind_to(&at.into(), Owner::Process);
        if listens {
            self.net().listen(id, 100).expect("a bound socket");
        }
        SimSocket::new(&self.world, id)
    }

    fn bind_to(&self, at: &Addr, owner: Owner) -> SockId {
        let listen = Listen::on(at.clone());
        let mut net = self.net();
        let bound = match at {
            Addr::Inet(at) => net.bind(*at, &listen, owner),
            Addr::Unix(at) => net.bind_unix_stream(at, &listen, owner, false),
            _ => Err(ErrorKind::Unsupported),
        };
        bound.expect("a free address")
    }

    /// A Unix stream socket without a name for a loop to adopt, connected to that path, and its other end.
    #[must_use]
    pub fn unix_pair(&self, at: impl Into<UnixAddr>) -> (SimSocket, Peer) {
        let (ours, theirs) = self.net().unix_pair(&at.into());
        (SimSocket::new(&self.world, ours), self.peer(theirs))
    }

    /// A socket that is still connecting, for a loop to refuse.
    ///
    /// # Panics
    /// If connecting cannot even begin.
    #[must_use]
    pub fn connecting_socket(&self, to: SocketAddr) -> SimSocket {
        let id = self.net().connect(&Attempt::new(to, None, []), Owner::Process).expect("a descriptor");
        SimSocket::new(&self.world, id)
    }

    /// How many descriptors the process has.
    #[must_use]
    pub fn descriptors(&self) -> u64 {
        let net = self.net();
        net.opened - net.closed
    }

    /// Where an end-of-file was read although the peer had not finished, as (local, remote) addresses: a reset whose error a send had taken.
    #[must_use]
    pub fn untrue_ends(&self) -> Vec<(SocketAddr, SocketAddr)> {
        self.net().untrue_ends.clone()
    }

    /// What the process holds, in words.
    #[must_use]
    pub fn sockets(&self) -> String {
        let net = self.net();
        let held = net.sockets.iter().filter(|(_, socket)| socket.owner == Owner::Process);
        held.map(|(id, socket)| format!("{id:?} {socket:?}\n")).collect()
    }

    /// Numbers the calls of the process that may fail, from now on from 0.
    pub fn number_calls(&self) {
        self.net().seam.number();
    }

    /// The calls, by number.
    #[must_use]
    pub fn calls(&self) -> Vec<Syscall> {
        self.net().seam.calls.clone()
    }

    /// Lets the call with that number fail.
    pub fn fail_call(&self, number: usize, failure: Failure) {
        let seam = &mut self.net().seam;
        (seam.inject, seam.persist) = (Some((number, failure)), None);
    }

    /// Lets the call with that number fail, and every later one of that kind.
    pub fn fail_calls(&self, number: usize, kind: Syscall, failure: Failure) {
        self.fail_call(number, failure);
        self.net().seam.persist = Some(kind);
    }

    /// Lets the `nth` call of that kind from now on fail, counted from 1.
    pub fn fail_nth(&self, kind: Syscall, nth: usize, failure: Failure) {
        self.net().seam.planned.push((kind, nth.max(1), failure));
    }

    /// No call fails any more for that reason.
    pub fn fail_no_call(&self) {
        let seam = &mut self.net().seam;
        (seam.inject, seam.persist) = (None, None);
        seam.planned.clear();
    }

    /// Sets an option of a peer's socket.
    ///
    /// # Panics
    /// If it has no such option.
    pub fn set_option(&self, peer: &Peer, option: SocketOption) {
        self.net().apply(peer.id, option).expect("an option of streams");
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// A listening socket of the test's.
#[derive(Debug)]
pub struct PeerListener {
    sim: Sim,
    id: SockId,
}

impl PeerListener {
    /// Where it listens.
    ///
    /// # Panics
    /// On a Unix address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.sim.net().inet_of(self.id).expect("it has one")
    }

    /// The next connection that came in.
    pub fn accept(&self) -> Option<Peer> {
        let (id, _) = self.sim.net().accept(self.id, Owner::Peer).ok().flatten()?;
        Some(self.sim.peer(id))
    }
}

impl Drop for PeerListener {
    fn drop(&mut self) {
        self.sim.net().close(self.id);
    }
}

/// The other end of a connection, played by the test: every step is done at once, and arrives as the network has it. Dropping it closes it.
#[derive(Debug)]
pub struct Peer {
    sim: Sim,
    id: SockId,
}

impl Peer {
    /// Sends; there is room for everything. `false`: the connection is gone.
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> bool {
        self.sim.net().peer_send(self.id, bytes.as_ref())
    }

    /// Writes into a pipe until there is no room, as the writer of a loop would find it.
    pub fn fill(&self) {
        while matches!(self.sim.net().write_pipe(self.id, [&[0; 1024][..]].into_iter(), usize::MAX), Ok(Some(_))) {}
    }

    /// Takes what it has received so far.
    pub fn recv(&self) -> Vec<u8> {
        let mut net = self.sim.net();
        net.sockets
            .get_mut(self.id)
            .and_then(|socket| socket.drain.as_mut())
            .map_or_else(Vec::new, |drain| core::mem::take(&mut drain.received))
    }

    /// Reads at most `n` bytes that have arrived, beside what it reads by itself.
    pub fn read(&self, n: usize) {
        self.sim.net().drain(self.id, n);
    }

    /// Reads nothing by itself any more: the window closes when the buffer is full.
    pub fn stall(&self) {
        self.set_reading(false);
    }

    /// Reads whatever comes, as in the beginning.
    pub fn drain(&self) {
        self.set_reading(true);
        self.sim.net().wake(self.id);
    }

    fn set_reading(&self, on: bool) {
        if let Some(drain) = self.sim.net().sockets.get_mut(self.id).and_then(|socket| socket.drain.as_mut()) {
            drain.on = on;
        }
    }

    /// Finishes its sending half, behind everything sent.
    pub fn eof(&self) {
        // It has been reset meanwhile: then there is nothing to finish.
        let _ = self.sim.net().finish(self.id);
    }

    /// Closes: with input that it has not read, that is a reset.
    pub fn close(self) {
        drop(self);
    }

    /// Another descriptor of the same end, as a child of the other side would inherit it; none of a connection.
    #[must_use]
    pub fn duplicate(&self) -> Option<Self> {
        let id = self.sim.net().duplicate_pipe_end(self.id, Owner::Peer)?;
        Some(Self { sim: self.sim.clone(), id })
    }

    /// Resets the connection; a Unix socket is closed.
    pub fn reset(self) {
        if let Some(tcp) = self.sim.net().tcp(self.id) {
            tcp.linger_zero = true;
        }
    }

    /// The connection is established.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let mut net = self.sim.net();
        net.unix(self.id).is_some() || net.tcp(self.id).is_some_and(|tcp| tcp.state == TcpState::Open)
    }

    /// The other end has finished, and everything before that was read.
    #[must_use]
    pub fn saw_eof(&self) -> bool {
        let mut net = self.sim.net();
        net.unix(self.id).is_some_and(|end| end.ended && end.error.is_none() && end.input.is_empty())
            || net.tcp(self.id).is_some_and(|tcp| tcp.fin_received && tcp.input.is_empty())
    }

    /// Of a pipe: nobody is at the other side any more, and everything that came from there was read.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.sim.net().is_alone(self.id)
    }

    /// What broke the connection.
    #[must_use]
    pub fn error(&self) -> Option<ErrorKind> {
        let mut net = self.sim.net();
        net.unix(self.id).and_then(|end| end.error).or_else(|| net.tcp(self.id).and_then(|tcp| tcp.error))
    }

    /// Its own address, and that of the other end.
    #[must_use]
    pub fn ends(&self) -> Ends {
        let net = self.sim.net();
        let Some(socket) = net.sockets.get(self.id) else { return Ends::default() };
        let remote = match &socket.kind {
            Kind::Tcp(tcp) => Some(tcp.remote.into()),
            Kind::Unix(end) => Some(end.remote.clone()),
            _ => None,
        };
        Ends::new(Some(socket.local.clone()), remote)
    }

    /// Its own address.
    ///
    /// # Panics
    /// On a Unix socket.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.sim.net().inet_of(self.id).expect("it has one")
    }

    /// The address of the other end.
    ///
    /// # Panics
    /// On a Unix socket.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.sim.net().tcp(self.id).expect("it is there").remote
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.sim.net().close(self.id);
    }
}

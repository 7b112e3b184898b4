//! The kernel's side: sockets, addresses and ports, listeners and their queues, descriptors.

use super::calls::Backend;
use super::child::{Child, Step};
use super::clock::{Clock, Happening};
use super::datagram::Mailbox;
use super::event_loop::Host;
use super::fault::{Failure, Faults, Seam, Syscall};
use super::files::Files;
use super::pipe::{Pipe, PipeEnd};
use super::poll::{Poller, Watch};
use super::resolve::Found;
use super::ring::{Ops, Ring};
use super::unix::UnixEnd;
use super::wire::{Fin, Tcp, TcpState};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use fastrand::Rng;
use plimsoll_core::{Addr, Call, Error, ErrorKind, Instant, Listen, Name, QueryId, Slab, SocketOption};
use std::collections::{BTreeMap, VecDeque};

/// A socket of the kernel's: it may outlive its descriptor, and is never mistaken for another one.
pub(crate) type SockId = plimsoll_core::Key;

/// The first of the ports that the kernel picks.
const EPHEMERAL: u16 = 32_768;

/// How long a port rests whose connection we finished first.
const TIME_WAIT: Duration = Duration::from_secs(60);

/// Who holds the descriptor of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// A loop, or the application before it gives it to a loop.
    Process,
    /// The test, which plays the other end.
    Peer,
    /// Nobody: it waits to be accepted, or finishes what its descriptor began.
    Kernel,
}

#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) backlog: usize,
    pub(crate) queue: VecDeque<SockId>,
    /// Those that will be in the queue when the handshake is done.
    pub(crate) coming: usize,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Bound {
        reuse_port: bool,
        /// The file that it was bound to goes with it.
        cleans_up: bool,
        listening: Option<Listening>,
    },
    Tcp(Tcp),
    Unix(UnixEnd),
    Datagrams(Mailbox),
    Pipe(PipeEnd),
    /// Tells of the end of a child.
    Child(plimsoll_core::Key),
}

#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) kind: Kind,
    /// Its own address; without a name if it has none.
    pub(crate) local: Addr,
    pub(crate) owner: Owner,
    pub(crate) options: Vec<SocketOption>,
    pub(crate) watch: Option<Watch>,
    pub(crate) ops: Option<Ops>,
    /// Its operations are being carried out; `Some(true)`: something has changed meanwhile.
    pub(crate) running: Option<bool>,
    /// What a peer of the test's has read.
    pub(crate) drain: Option<Drain>,
}

/// The reading of a peer of the test's.
#[derive(Debug)]
pub(crate) struct Drain {
    /// It reads whatever comes.
    pub(crate) on: bool,
    pub(crate) received: Vec<u8>,
}

/// The world that loops and peers live in.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) seam: Seam,
    pub(crate) sockets: Slab<Socket>,
    pub(crate) pipes: Slab<Pipe>,
    /// Children that are not reaped.
    pub(crate) children: Slab<Child>,
    /// How often children were told to go on that did not wait for it yet.
    pub(crate) told_to_go: usize,
    /// What can be started, by name; of those of one name the last.
    pub(crate) programs: Vec<(String, Vec<Step>)>,
    pub(crate) pollers: Vec<Poller>,
    pub(crate) rings: Vec<Ring>,
    listeners: Vec<SockId>,
    next_port: u16,
    pub(crate) used_ports: Vec<u16>,
    resting_ports: Vec<(SocketAddr, Instant)>,
    pub(crate) hosts: Vec<IpAddr>,
    /// Names of Unix sockets.
    pub(crate) files: Files,
    pub(crate) black_holes: Vec<IpAddr>,
    pub(crate) unreachable: Vec<IpAddr>,
    pub(crate) slow: Vec<(IpAddr, Duration)>,
    /// What a lookup answers, and after how long.
    pub(crate) names: BTreeMap<String, (Duration, Found)>,
    /// Lookups under way that nobody has forgotten.
    pub(crate) lookups: Vec<(Backend, QueryId)>,
    pub(crate) looked_up: Vec<Name>,
    /// Answers that a loop has not seen yet.
    pub(crate) answers: Vec<(Backend, QueryId, Found)>,
    /// Where an end-of-file was read although the peer had not finished, as (local, remote).
    pub(crate) untrue_ends: Vec<(SocketAddr, SocketAddr)>,
    /// Descriptors that the process has opened and closed so far.
    pub(crate) opened: u64,
    pub(crate) closed: u64,
}

impl Net {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            clock: Clock::default(),
            rng: Rng::with_seed(seed),
            faults,
            seam: Seam::default(),
            sockets: Slab::new(),
            pipes: Slab::new(),
            children: Slab::new(),
            told_to_go: 0,
            programs: Vec::new(),
            pollers: Vec::new(),
            rings: Vec::new(),
            listeners: Vec::new(),
            next_port: EPHEMERAL,
            used_ports: Vec::new(),
            resting_ports: Vec::new(),
            hosts: vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V6(Ipv6Addr::LOCALHOST)],
            files: Files::default(),
            black_holes: Vec::new(),
            unreachable: Vec::new(),
            slow: Vec::new(),
            names: BTreeMap::new(),
            lookups: Vec::new(),
            looked_up: Vec::new(),
            answers: Vec::new(),
            untrue_ends: Vec::new(),
            opened: 0,
            closed: 0,
        }
    }

    /// What a loop of that kind runs on.
    pub(crate) fn new_backend(&mut self, host: Host) -> Backend {
        if host == Host::Completion {
            self.rings.push(Ring::default());
            Backend::Ring(self.rings.len() - 1)
        } else {
            self.pollers.push(Poller::new(host == Host::Level));
            Backend::Poller(self.pollers.len() - 1)
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Whether something that happens so often (in 1/1000) happens now.
    pub(crate) fn chance(&mut self, often: u32) -> bool {
        often > 0 && self.rng.u32(..1000) < often
    }

    pub(crate) fn after(&mut self, nanos: core::ops::RangeInclusive<u64>) -> Instant {
        let nanos = if nanos.end() == nanos.start() { *nanos.start() } else { self.rng.u64(nanos) };
        self.now().saturating_add(Duration::from_nanos(nanos))
    }

    /// When something that is sent now is there.
    pub(crate) fn arrival(&mut self) -> Instant {
        self.after(self.faults.latency.clone())
    }

    /// Lets everything happen that is due.
    pub(crate) fn run_due(&mut self) {
        while let Some(what) = self.clock.pop_due() {
            self.happen(what);
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Segment { from, n } => self.segment_arrives(from, n),
            Happening::Fin { from } => self.fin_arrives(from),
            Happening::Rst { from } => self.rst_arrives(from),
            Happening::Reset { to } => self.reset_by_peer(to),
            Happening::Ack { to, n } => self.acknowledged(to, n),
            Happening::Window { to, n } => self.window_opens(to, n),
            Happening::Syn { from, attempt } => self.syn_arrives(from, attempt),
            Happening::Established { client } => self.established(client),
            Happening::Queued { listener, child } => self.queued(listener, child),
            Happening::Refused { client, kind } => self.refused(client, kind),
            Happening::Wake { sock } => self.wake(sock),
            Happening::Datagram(letter) => self.datagram_arrives(&letter),
            Happening::NobodyThere { from, to } => self.nobody_there(from, to),
            Happening::Step { child } => self.child_steps(child),
            Happening::Signal { child, signal } => self.child_signalled(child, signal),
            Happening::Dies { sock } => self.close(sock),
            Happening::Complete { ring, key, outcome } => self.completed(ring, key, outcome),
            Happening::Cancelled { sock } => self.cancelled(sock),
            Happening::Answered { asker, query, found } => self.answered(asker, query, found),
        }
    }

    /// Something changed about a socket: whoever watches it looks.
    pub(crate) fn wake(&mut self, id: SockId) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        if let Some(changed) = &mut socket.running {
            *changed = true;
        } else if let Kind::Pipe(PipeEnd { child: Some(child), .. }) = socket.kind {
            self.child_reads(child);
        } else if let Some(drain) = &socket.drain {
            if drain.on {
                self.drain(id, usize::MAX);
            }
        } else if socket.ops.is_some() {
            self.run_ops(id);
        } else if let Some(watch) = &mut socket.watch {
            if watch.place.is_none() {
                watch.place = Some(self.pollers[watch.poller].push(id));
            }
        }
    }

    /// A call of the process that may fail, and fails now if a test says so. `Ok(false)`: it would block; that it does not is told again.
    pub(crate) fn enter(&mut self, call: Syscall, id: Option<SockId>) -> Result<Option<Failure>, ErrorKind> {
        match self.seam.call(call) {
            Some(Failure::Error(kind)) => Err(kind),
            Some(failure) => {
                if let Some(sock) = id {
                    let at = self.arrival();
                    self.clock.push(at, Happening::Wake { sock });
                }
                Ok(Some(failure))
            }
            None => Ok(None),
        }
    }

    // ---- descriptors ----

    pub(crate) fn has_descriptor_left(&self) -> bool {
        self.opened - self.closed < self.faults.descriptors as u64
    }

    pub(crate) fn new_socket(&mut self, kind: Kind, local: impl Into<Addr>, owner: Owner) -> SockId {
        if owner == Owner::Process {
            self.opened += 1;
        }
        let socket =
            Socket { kind, local: local.into(), owner, options: Vec::new(), watch: None, ops: None, running: None, drain: None };
        self.sockets.insert(socket).unwrap_or(SockId::from_bits(0))
    }

    /// Gives up a descriptor; what the connection still has to send goes on without it.
    pub(crate) fn close(&mut self, id: SockId) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        if let Some(ops) = &mut socket.ops {
            // What is in flight holds the socket until it has come back.
            if ops.is_idle() {
                self.close_now(id);
            } else if !ops.closing {
                ops.closing = true;
                let at = self.after(self.faults.completion.clone());
                self.clock.push(at, Happening::Cancelled { sock: id });
            }
            return;
        }
        self.close_now(id);
    }

    pub(crate) fn close_now(&mut self, id: SockId) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        socket.ops = None;
        socket.drain = None;
        let watch = socket.watch.take();
        let owner = core::mem::replace(&mut socket.owner, Owner::Kernel);
        if owner == Owner::Process {
            self.closed += 1;
        }
        assert!(owner != Owner::Kernel, "a descriptor is closed twice");
        if let Some(watch) = watch {
            self.pollers[watch.poller].forget(&watch);
        }
        match &mut socket.kind {
            Kind::Bound { listening, cleans_up, .. } => {
                let cleans_up = *cleans_up;
                let queue = listening.take().map_or_else(VecDeque::new, |listening| listening.queue);
                self.listeners.retain(|&listener| listener != id);
                self.forget_name(id, cleans_up);
                self.sockets.remove(id);
                for child in queue {
                    if self.unix(child).is_some() {
                        self.close_unix(child, true);
                    } else {
                        self.send_rst(child);
                    }
                }
            }
            Kind::Tcp(tcp) => {
                if let (true, Some(local)) = (tcp.fin_first(), socket.local.inet()) {
                    self.resting_ports.push((local, self.clock.now().saturating_add(TIME_WAIT)));
                }
                self.close_tcp(id);
            }
            Kind::Unix(_) => {
                self.forget_name(id, false);
                self.close_unix(id, false);
            }
            Kind::Datagrams(_) => {
                self.forget_name(id, false);
                self.close_datagrams(id);
            }
            Kind::Pipe(_) => self.close_pipe_end(id),
            Kind::Child(_) => self.close_child(id),
        }
    }

    // ---- addresses ----

    pub(crate) fn pick_port(&mut self) -> u16 {
        loop {
            let port = self.next_port;
            self.next_port = if port == u16::MAX { EPHEMERAL } else { port + 1 };
            if !self.used_ports.contains(&port) {
                return port;
            }
        }
    }

    pub(crate) fn own_address(target: IpAddr) -> IpAddr {
        match target {
            IpAddr::V4(ip) if ip.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        }
    }

    pub(crate) fn listener_for(&self, to: SocketAddr) -> Option<SockId> {
        let mut any = None;
        for &id in &self.listeners {
            let Some(socket) = self.sockets.get(id) else { continue };
            let Some(local) = socket.local.inet().filter(|local| local.port() == to.port()) else { continue };
            if !matches!(&socket.kind, Kind::Bound { listening: Some(_), .. }) {
                continue;
            }
            if local.ip() == to.ip() {
                return Some(id);
            }
            if local.ip().is_unspecified() && local.is_ipv4() == to.is_ipv4() {
                any = Some(id);
            }
        }
        any
    }

    /// Makes a bound socket. A port that rests, or that connections use, is not free without `reuse_address`.
    pub(crate) fn bind(&mut self, at: SocketAddr, listen: &Listen, owner: Owner) -> Result<SockId, ErrorKind> {
        if owner == Owner::Process {
            if !self.has_descriptor_left() {
                return Err(ErrorKind::DescriptorLimit);
            }
            if !at.ip().is_unspecified() && !self.hosts.contains(&at.ip()) {
                return Err(ErrorKind::AddrNotAvailable);
            }
        }
        let mut local = at;
        if at.port() == 0 {
            local.set_port(self.pick_port());
        } else {
            let overlaps = |other: SocketAddr| {
                other.port() == at.port()
                    && other.is_ipv4() == at.is_ipv4()
                    && (other.ip() == at.ip() || other.ip().is_unspecified() || at.ip().is_unspecified())
            };
            let shared = |id: &SockId| match self.sockets.get(*id) {
                Some(Socket { kind: Kind::Bound { reuse_port, .. }, local, .. }) => {
                    local.inet().is_some_and(overlaps) && !(*reuse_port && listen.is_reuse_port())
                }
                _ => false,
            };
            if self.listeners.iter().any(shared) {
                return Err(ErrorKind::AddrInUse);
            }
            let now = self.now();
            self.resting_ports.retain(|(_, until)| *until > now);
            let connected = |socket: &Socket| matches!(socket.kind, Kind::Tcp(_)) && socket.local.inet().is_some_and(overlaps);
            let in_use = self.sockets.iter().any(|(_, socket)| connected(socket))
                || self.resting_ports.iter().any(|(local, _)| overlaps(*local));
            if in_use && !listen.is_reuse_address() {
                return Err(ErrorKind::AddrInUse);
            }
        }
        self.used_ports.push(local.port());
        let id =
            self.new_socket(Kind::Bound { reuse_port: listen.is_reuse_port(), cleans_up: false, listening: None }, local, owner);
        self.listeners.push(id);
        Ok(id)
    }

    pub(crate) fn listen(&mut self, id: SockId, backlog: u32) -> Result<(), ErrorKind> {
        let Some(Socket { kind: Kind::Bound { listening, .. }, .. }) = self.sockets.get_mut(id) else {
            return Err(ErrorKind::InvalidInput);
        };
        let backlog = backlog as usize;
        match listening {
            Some(listening) => listening.backlog = backlog,
            None => *listening = Some(Listening { backlog, queue: VecDeque::new(), coming: 0 }),
        }
        Ok(())
    }

    /// Sets an option.
    pub(crate) fn apply(&mut self, id: SockId, option: SocketOption) -> Result<(), ErrorKind> {
        let Some(socket) = self.sockets.get_mut(id) else { return Ok(()) };
        match &mut socket.kind {
            Kind::Tcp(tcp) => tcp.apply(option),
            Kind::Unix(end) => end.apply(option)?,
            Kind::Datagrams(mailbox) => mailbox.apply(option)?,
            _ => {}
        }
        socket.options.push(option);
        Ok(())
    }

    /// The internet address of a socket, if it has one.
    pub(crate) fn inet_of(&self, id: SockId) -> Option<SocketAddr> {
        self.sockets.get(id)?.local.inet()
    }

    pub(crate) fn tcp(&mut self, id: SockId) -> Option<&mut Tcp> {
        match self.sockets.get_mut(id) {
            Some(Socket { kind: Kind::Tcp(tcp), .. }) => Some(tcp),
            _ => None,
        }
    }

    /// A connection that both sides have finished, or that is dead, goes when its descriptor is gone.
    pub(crate) fn sweep(&mut self, id: SockId) {
        let Some(Socket { kind: Kind::Tcp(tcp), owner: Owner::Kernel, .. }) = self.sockets.get(id) else { return };
        let finished = tcp.fin == Fin::Arrived && tcp.fin_received;
        if tcp.closed && (finished || tcp.state == TcpState::Dead) {
            self.sockets.remove(id);
        }
    }
}

/// An error of a call, with Linux's code.
pub(crate) const fn error(call: Call, kind: ErrorKind) -> Error {
    let code = match kind {
        ErrorKind::NotFound => 2,
        ErrorKind::InvalidInput => 22,
        ErrorKind::ConnectionRefused => 111,
        ErrorKind::ConnectionReset => 104,
        ErrorKind::ConnectionAborted => 103,
        ErrorKind::BrokenPipe => 32,
        ErrorKind::NotConnected => 107,
        ErrorKind::AddrInUse => 98,
        ErrorKind::AddrNotAvailable => 99,
        ErrorKind::PermissionDenied => 1,
        ErrorKind::TimedOut => 110,
        ErrorKind::Unreachable => 113,
        ErrorKind::MessageTooLong => 90,
        ErrorKind::DescriptorLimit => 24,
        ErrorKind::OutOfMemory => 12,
        _ => 0,
    };
    Error::from_code(call, kind, code)
}

//! The simulated kernels as hosts.

use super::child::Std;
use super::host::{Files, Host, Mailbox, PeerEnd, Seen};
use super::model::{Given, Kind, Link, Scenario};
use super::race::{HOST, Lies, Race, Who};
use super::stage::Stage;
use crate::sim::{self, DatagramPeer, Failure, Faults, Peer, PeerListener, Sim, SimLoop, SocketVisitor, Syscall};
use core::cell::Cell;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use plimsoll_core::{Addr, Command, Connect, Datagram, Hub, Remote, Report, Resource, SocketOption, Stdio, StreamId, UnixAddr};
use std::io;
use std::rc::Rc;

/// Requests to this address are never answered.
const SILENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9)), 7);

/// A loop on a simulated kernel. Seed 0 is a calm world; every other seed cuts, delays and misleads.
pub(crate) struct Simulated {
    sim_loop: SimLoop<Stage>,
    listener: Option<PeerListener>,
    /// Listeners that have no room, with the connections that take it.
    kept: Vec<(PeerListener, Peer)>,
    /// Listeners of somebody who is not the peer.
    others: Vec<PeerListener>,
    port: u16,
    closed: bool,
}

impl Simulated {
    /// The simulated kernel of that name.
    pub(crate) fn named(name: &str, stage: Stage, seed: u64) -> Option<Self> {
        let host = match name {
            "sim" => sim::Host::Edge,
            "level" => sim::Host::Level,
            "completion" => sim::Host::Completion,
            _ => return None,
        };
        Some(Self::new(host, stage, seed))
    }

    fn new(host: sim::Host, mut stage: Stage, seed: u64) -> Self {
        let mut faults = Faults::none();
        if seed > 0 {
            rough(&mut faults, &mut fastrand::Rng::with_seed(seed));
        }
        let link = &stage.scenario.link;
        if link.kind == Kind::Unix {
            // What was sent in one piece lies in front of the other end in one piece, and is read so.
            faults.short_recv = 0;
        }
        if stage.scenario.needs.iter().any(|need| need == "latency") {
            // What answers when is what the file says.
            (faults.latency, faults.completion) = (0..=0, 0..=0);
        }
        faults.send_space = link.sndbuf.map_or(faults.send_space, |bytes| bytes..=bytes);
        faults.receive_space = link.rcvbuf.map_or(faults.receive_space, |bytes| bytes..=bytes);
        let world = Sim::new(seed, faults);
        world.black_hole(SILENT.ip());
        stage.disk = Some(Box::new(world.clone()));
        let observer = stage.record.timeline.observer(None);
        let mut sim_loop = SimLoop::within(&world, host, stage);
        sim_loop.set_observer(observer);
        Self { sim_loop, listener: None, kept: Vec::new(), others: Vec::new(), port: 7000, closed: false }
    }

    pub(crate) fn sim(&self) -> &Sim {
        self.sim_loop.sim()
    }

    fn next_address(&mut self) -> Addr {
        self.port += 1;
        if self.sim_loop.state().scenario.link.kind.is_unix() {
            Addr::unix(format!("/scenario/{}", self.port))
        } else {
            SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)).into()
        }
    }
}

/// Whatever a healthy connection may meet: nothing here loses a byte.
fn rough(faults: &mut Faults, rng: &mut fastrand::Rng) {
    let mut often = |most: u32| if rng.bool() { 0 } else { 1 + rng.u32(..most) };
    faults.short_recv = often(500);
    faults.short_send = often(500);
    faults.would_block = often(300);
    faults.spurious = often(200);
    faults.duplicate = often(200);
    faults.stale = often(200);
    faults.shuffle = rng.bool();
    faults.bare = rng.bool();
    if rng.bool() {
        faults.latency = 0..=[1_000, 100_000, 5_000_000][rng.usize(..3)];
    }
    if rng.bool() {
        faults.completion = 0..=[1_000, 200_000, 5_000_000][rng.usize(..3)];
    }
    if rng.bool() {
        faults.segment = 1..=[16, 1_448, 65_536][rng.usize(..3)];
    }
}

impl Host for Simulated {
    fn hub(&mut self) -> (&mut Hub<Stage>, &mut Stage) {
        self.sim_loop.engine().hub_and_state()
    }

    fn turn(&mut self, patience: Duration) -> bool {
        // Time is virtual: whoever waits waits for as long as it takes.
        if self.closed {
            return self.sim().go_on();
        }
        self.sim_loop.run_once(if patience.is_zero() { Some(Duration::ZERO) } else { None })
    }

    fn glance(&mut self) -> bool {
        if self.closed { self.sim().go_on() } else { self.sim_loop.run_under_way() }
    }

    fn listener(&mut self, _: &Link) -> io::Result<(Resource, Addr)> {
        let at = self.next_address();
        Ok((Resource::new(self.sim().bound_socket(at.clone(), true)), at))
    }

    fn place(&mut self) -> Addr {
        if self.sim_loop.state().scenario.link.kind.is_unix() {
            self.next_address()
        } else {
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()
        }
    }

    fn listen_peer(&mut self, _: &Link) -> io::Result<Addr> {
        self.taken()
    }

    fn race(&mut self, race: &Race) -> io::Result<Connect> {
        self.port += 1;
        let mut addrs = Vec::new();
        for one in &race.to {
            let at = SocketAddr::new(one.ip, self.port);
            if let Some(milliseconds) = one.after {
                self.sim().slow(one.ip, Duration::from_millis(milliseconds));
            }
            match one.who {
                Who::Peer => self.listener = Some(self.sim().listen_peer(at)),
                Who::Other => {
                    let other = self.sim().listen_peer(at);
                    self.others.push(other);
                }
                Who::Silent => self.sim().black_hole(one.ip),
                Who::Nobody => {}
            }
            addrs.push(at);
        }
        self.sim().set_host(HOST, Duration::ZERO, Ok(&addrs));
        Ok(race.connect(self.port))
    }

    fn abstract_name(&mut self) -> Addr {
        self.port += 1;
        UnixAddr::abstract_name(format!("scenario-{}", self.port)).into()
    }

    fn put(&mut self, at: &Addr, what: Lies) -> io::Result<()> {
        let path = at.as_unix().and_then(UnixAddr::as_path_bytes).ok_or(io::ErrorKind::InvalidInput)?;
        self.sim().remove_file(path);
        match what {
            Lies::Socket => drop(self.sim().bound_socket(at.clone(), false)),
            Lies::File => self.sim().put_file(path),
        }
        Ok(())
    }

    fn lies(&mut self, at: &Addr) -> &'static str {
        let Some(path) = at.as_unix().and_then(UnixAddr::as_path_bytes) else { return "none" };
        match self.sim().has_socket_file(path) {
            Some(true) => "socket",
            Some(false) => "file",
            None => "none",
        }
    }

    fn nobody(&mut self) -> io::Result<Addr> {
        let at = self.next_address();
        if at.as_unix().is_some() {
            // As on the other hosts: there is a file, and nobody listens.
            drop(self.sim().bound_socket(at.clone(), false));
        }
        Ok(at)
    }

    fn taken(&mut self) -> io::Result<Addr> {
        let at = self.next_address();
        self.listener = Some(self.sim().listen_peer(at.clone()));
        Ok(at)
    }

    fn accept_peer(&mut self) -> Option<Box<dyn PeerEnd>> {
        let peer = self.listener.as_ref()?.accept()?;
        peer.stall();
        Some(Box::new(SimPeer(peer)))
    }

    fn connect_peer(&mut self, to: &Addr, _: &Link) -> Option<Box<dyn PeerEnd>> {
        let peer = match to {
            Addr::Inet(to) => self.sim().connect_peer(*to),
            Addr::Unix(to) => self.sim().connect_unix_peer(to.clone()).ok()?,
            _ => return None,
        };
        peer.stall();
        Some(Box::new(SimPeer(peer)))
    }

    fn nodelay(&mut self, id: StreamId) -> Option<bool> {
        let seen = Rc::new(Cell::new(None));
        let sink = seen.clone();
        let visitor = SocketVisitor::new(move |view| {
            let set = view.options.iter().rev().find_map(|option| match option {
                SocketOption::NoDelay(on) => Some(*on),
                _ => None,
            });
            sink.set(Some(set.unwrap_or(false)));
        });
        self.hub().0.visit(id, Resource::new(visitor));
        self.turn(Duration::ZERO);
        seen.get()
    }

    fn pipe(&mut self, id: StreamId) -> Option<&'static str> {
        let seen = Rc::new(Cell::new(None));
        let sink = seen.clone();
        let visitor = SocketVisitor::new(move |view| sink.set(view.is_pipe.then_some("pipe")));
        self.hub().0.visit(id, Resource::new(visitor));
        self.turn(Duration::ZERO);
        seen.get()
    }

    fn given(&mut self, what: Given, link: &Link) -> io::Result<(Resource, Option<Box<dyn PeerEnd>>)> {
        let at = self.next_address();
        let sim = self.sim();
        if link.kind.is_pipe() {
            let (ours, peer) = if link.kind == Kind::ReadPipe { sim.read_pipe() } else { sim.write_pipe() };
            peer.stall();
            return Ok((Resource::new(ours), Some(Box::new(SimPipePeer(Some(peer))))));
        }
        Ok(match what {
            Given::Connected => {
                let (socket, peer) = match at {
                    Addr::Unix(at) => sim.unix_pair(at),
                    _ => sim.socket_pair(),
                };
                peer.stall();
                (Resource::new(socket), Some(Box::new(SimPeer(peer))))
            }
            Given::Listening | Given::Bound => (Resource::new(sim.bound_socket(at, what == Given::Listening)), None),
            Given::Unconnected if at.as_unix().is_some() => (Resource::new(sim.bound_socket(at, false)), None),
            Given::Unconnected => (Resource::new(sim.connecting_socket(SILENT)), None),
            Given::Datagram => (Resource::new(sim.datagram_socket(at)), None),
        })
    }

    fn mailbox(&mut self) -> io::Result<Box<dyn Mailbox>> {
        let at = self.next_address();
        let peer = self.sim().datagram_peer(at);
        peer.stall();
        Ok(Box::new(SimMailbox(peer)))
    }

    fn datagram_socket(&mut self, open: &Datagram) -> io::Result<Resource> {
        Ok(Resource::new(self.sim().datagram_socket(open.clone())))
    }

    fn datagram_pair(&mut self) -> io::Result<(Resource, Box<dyn Mailbox>)> {
        let (ours, peer) = self.sim().datagram_pair();
        peer.stall();
        Ok((Resource::new(ours), Box::new(SimMailbox(peer))))
    }

    fn command(&mut self, scenario: &Scenario) -> io::Result<(Command, Files)> {
        let name = if scenario.link.absent { "absent" } else { "child" };
        self.sim().program("child", super::child::simulated(&scenario.child));
        let [stdin, stdout, stderr] = scenario.link.stdio.map(|std| match std {
            Std::Pipe => Stdio::Piped,
            Std::Joined => Stdio::Stdout,
            Std::Inherit => Stdio::Inherit,
            Std::Null | Std::File => Stdio::Null,
        });
        Ok((Command::new(name).stdin(stdin).stdout(stdout).stderr(stderr), Files::default()))
    }

    fn go(&mut self) {
        self.sim().go();
    }

    fn silent(&mut self) -> io::Result<Addr> {
        if self.sim_loop.state().scenario.link.kind != Kind::Unix {
            return Ok(SILENT.into());
        }
        // One connection fits into its queue, and nobody takes it out.
        let at = self.next_address();
        let full = self.sim().full_listener(at.as_unix().ok_or(io::ErrorKind::Other)?.clone());
        self.kept.push(full);
        Ok(at)
    }

    fn remote(&self) -> Remote<Stage> {
        self.sim_loop.remote()
    }

    fn limit_descriptors(&mut self, limit: bool) -> io::Result<()> {
        let (open, all) = (self.sim().descriptors(), Faults::none().descriptors);
        self.sim().change_faults(|faults| faults.descriptors = if limit { open as usize } else { all });
        Ok(())
    }

    fn fault(&mut self, call: Syscall, nth: usize, failure: Failure) {
        self.sim().fail_nth(call, nth, failure);
    }

    fn advance(&mut self, time: Duration) {
        if self.sim_loop.state().scenario.needs.iter().any(|need| need == "latency") {
            self.sim_loop.pass(time);
        } else {
            self.sim_loop.advance(time);
        }
    }

    fn reports(&mut self) -> Vec<Report> {
        self.sim_loop.take_reports()
    }

    fn settle(&mut self) -> bool {
        if self.closed {
            while self.sim().go_on() {}
        } else {
            self.sim_loop.settle();
        }
        true
    }

    fn violations(&mut self) -> Vec<String> {
        self.sim_loop.checker().violations()
    }

    fn close(&mut self) {
        self.closed = true;
        self.listener = None;
        self.kept.clear();
        self.others.clear();
        self.sim_loop.close();
    }

    fn descriptors(&self) -> u64 {
        self.sim().descriptors()
    }
}

struct SimPeer(Peer);

impl PeerEnd for SimPeer {
    fn is_connected(&self) -> bool {
        self.0.is_connected()
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        self.0.send(bytes);
        bytes.len()
    }

    fn read(&mut self, most: usize) -> Seen {
        self.0.read(most);
        let bytes = self.0.recv();
        if !bytes.is_empty() {
            Seen::Bytes(bytes)
        } else if self.0.saw_eof() {
            Seen::Eof
        } else if self.0.error().is_some() {
            Seen::Reset
        } else {
            Seen::Nothing
        }
    }

    fn eof(&mut self) {
        self.0.eof();
    }

    fn reset(self: Box<Self>) {
        self.0.reset();
    }

    fn ends(&self) -> Option<(Addr, Addr)> {
        let ends = self.0.ends();
        Some((ends.local?, ends.peer?))
    }

    fn unread(&self) -> Option<usize> {
        None
    }
}

struct SimMailbox(DatagramPeer);

impl Mailbox for SimMailbox {
    fn address(&self) -> Addr {
        self.0.addr()
    }

    fn send(&mut self, payload: &[u8], to: Option<&Addr>) -> bool {
        match to {
            Some(to) => self.0.send_to(payload, to.clone()),
            None => self.0.send(payload),
        }
    }

    fn receive(&mut self) -> Option<(Vec<u8>, Addr)> {
        self.0.read(1);
        self.0.recv().pop()
    }
}

/// The other end of a pipe: its `eof` closes it.
struct SimPipePeer(Option<Peer>);

impl PeerEnd for SimPipePeer {
    fn is_connected(&self) -> bool {
        true
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        if let Some(peer) = &self.0 {
            peer.send(bytes);
        }
        bytes.len()
    }

    fn read(&mut self, most: usize) -> Seen {
        let Some(peer) = &self.0 else { return Seen::Eof };
        peer.read(most);
        let bytes = peer.recv();
        if !bytes.is_empty() {
            Seen::Bytes(bytes)
        } else if peer.is_alone() {
            Seen::Eof
        } else {
            Seen::Nothing
        }
    }

    fn eof(&mut self) {
        self.0 = None;
    }

    fn reset(self: Box<Self>) {}

    fn ends(&self) -> Option<(Addr, Addr)> {
        None
    }

    fn unread(&self) -> Option<usize> {
        None
    }
}

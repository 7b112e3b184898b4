//! How connections come about: requests and their answers, queues of listeners, accepting.

use super::clock::Happening;
use super::net::{Kind, Net, Owner, SockId, Socket};
use super::wire::{Tcp, TcpState};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use plimsoll_core::{Addr, Attempt, Call, Ends, ErrorKind};

/// A connection request is repeated after one second, two, four …; after this many it is given up: Linux's `tcp_syn_retries`.
const SYN_RETRIES: u32 = 6;

impl Net {
    /// Begins to connect; a failure names the call that it would have been.
    pub(crate) fn connect(&mut self, to: &Attempt, owner: Owner) -> Result<SockId, (Call, ErrorKind)> {
        let target = match to.addr() {
            Addr::Inet(target) => *target,
            Addr::Unix(at) => return self.connect_unix(to, at, owner),
            _ => return Err((Call::Connect, ErrorKind::Unsupported)),
        };
        if owner == Owner::Process && !self.has_descriptor_left() {
            return Err((Call::Socket, ErrorKind::DescriptorLimit));
        }
        if self.unreachable.contains(&target.ip()) {
            return Err((Call::Connect, ErrorKind::Unreachable));
        }
        let given = to.local().and_then(|addr| addr.inet());
        let mut local = given.unwrap_or(SocketAddr::new(Self::own_address(target.ip()), 0));
        if local.is_ipv4() != target.is_ipv4() {
            return Err((Call::Bind, ErrorKind::InvalidInput));
        }
        if given.is_some() && owner == Owner::Process && !self.hosts.contains(&local.ip()) && !local.ip().is_unspecified() {
            return Err((Call::Bind, ErrorKind::AddrNotAvailable));
        }
        if local.ip().is_unspecified() {
            local.set_ip(Self::own_address(target.ip()));
        }
        if local.port() == 0 {
            local.set_port(self.pick_port());
        } else if self.sockets.iter().any(|(_, socket)| socket.local.inet() == Some(local)) {
            return Err((Call::Bind, ErrorKind::AddrInUse));
        }
        if owner == Owner::Process && self.listener_for(target).is_none() && !self.black_holes.contains(&target.ip()) {
            let often = self.faults.refuse_at_once;
            if self.chance(often) {
                return Err((Call::Connect, ErrorKind::ConnectionRefused));
            }
        }
        let tcp = self.new_tcp(target);
        let id = self.new_socket(Kind::Tcp(tcp), local, owner);
        for &option in to.options() {
            // As they are known to be some of a stream's.
            let _ = self.apply(id, option);
        }
        let slow = self.slow.iter().find(|(host, _)| *host == target.ip()).map_or(Duration::ZERO, |(_, time)| *time);
        let at = self.arrival().saturating_add(slow);
        self.clock.push(at, Happening::Syn { from: id, attempt: 0 });
        Ok(id)
    }

    fn new_tcp(&mut self, remote: SocketAddr) -> Tcp {
        let send_space = self.rng.usize(self.faults.send_space.clone());
        let receive_space = self.rng.usize(self.faults.receive_space.clone());
        Tcp::new(remote, send_space.max(1), receive_space.max(1))
    }

    pub(crate) fn syn_arrives(&mut self, from: SockId, attempt: u32) {
        let Some(socket) = self.sockets.get(from) else { return };
        let Kind::Tcp(Tcp { remote, state: TcpState::Connecting, .. }) = socket.kind else { return };
        let Some(local) = socket.local.inet() else { return };
        let by_peer = socket.owner == Owner::Peer;
        let (lose, refuse) = (self.faults.lose_syn, self.faults.refuse);
        let lost = self.black_holes.contains(&remote.ip()) || (attempt == 0 && !by_peer && self.chance(lose));
        let listener = self.listener_for(remote);
        let at = self.arrival();
        let Some(listener) = listener.filter(|_| !lost && (by_peer || !self.chance(refuse))) else {
            if lost {
                self.syn_again(from, attempt);
            } else {
                self.clock.push(at, Happening::Refused { client: from, kind: ErrorKind::ConnectionRefused });
            }
            return;
        };
        let Some(Socket { kind: Kind::Bound { listening: Some(listening), .. }, .. }) = self.sockets.get_mut(listener) else {
            return;
        };
        // As on Linux, one more than the backlog fits; a request too many is dropped and comes again.
        if listening.queue.len() + listening.coming > listening.backlog {
            self.syn_again(from, attempt);
            return;
        }
        listening.coming += 1;
        let mut tcp = self.new_tcp(local);
        tcp.state = TcpState::Open;
        tcp.peer = from;
        let (space, listener_local) = (tcp.receive_space, self.inet_of(listener).unwrap_or(remote));
        let child = self.new_socket(Kind::Tcp(tcp), SocketAddr::new(remote.ip(), listener_local.port()), Owner::Kernel);
        let Some(client) = self.tcp(from) else { return };
        client.peer = child;
        client.credit = space;
        let window = client.receive_space;
        if let Some(child) = self.tcp(child) {
            child.credit = window;
            // What it sends arrives behind the answer to the request.
            child.last_arrival = at;
        }
        self.clock.push(at, Happening::Established { client: from });
        let there = self.after(self.faults.latency.clone()).max(at);
        if let Some(client) = self.tcp(from) {
            client.last_arrival = there;
        }
        self.clock.push(there, Happening::Queued { listener, child });
    }

    fn syn_again(&mut self, from: SockId, attempt: u32) {
        let wait = self.now().saturating_add(Duration::from_secs(1 << attempt));
        if attempt == SYN_RETRIES {
            self.clock.push(wait, Happening::Refused { client: from, kind: ErrorKind::TimedOut });
        } else {
            self.clock.push(wait, Happening::Syn { from, attempt: attempt + 1 });
        }
    }

    pub(crate) fn established(&mut self, id: SockId) {
        if let Some(tcp) = self.tcp(id) {
            if tcp.state == TcpState::Connecting {
                tcp.state = TcpState::Open;
                self.wake(id);
                self.transmit(id);
            }
        }
    }

    pub(crate) fn refused(&mut self, id: SockId, kind: ErrorKind) {
        if let Some(tcp) = self.tcp(id) {
            if tcp.state == TcpState::Connecting {
                tcp.die(Some(kind));
                self.wake(id);
            }
        }
    }

    pub(crate) fn queued(&mut self, listener: SockId, child: SockId) {
        match self.sockets.get_mut(listener) {
            Some(Socket { kind: Kind::Bound { listening: Some(listening), .. }, .. }) => {
                listening.coming -= 1;
                let client = self.tcp(child).map(|tcp| tcp.peer);
                let given_up = client.is_none_or(|client| self.sockets.get(client).is_none());
                if given_up {
                    self.sockets.remove(child);
                } else {
                    if let Some(Socket { kind: Kind::Bound { listening: Some(listening), .. }, .. }) =
                        self.sockets.get_mut(listener)
                    {
                        listening.queue.push_back(child);
                    }
                    self.wake(listener);
                }
            }
            _ => self.send_rst(child),
        }
    }

    /// What has become of a connect; `None`: it is under way.
    pub(crate) fn connect_result(&mut self, id: SockId) -> Result<Option<Ends>, ErrorKind> {
        let Some(socket) = self.sockets.get_mut(id) else { return Err(ErrorKind::NotConnected) };
        let local = socket.local.clone();
        let tcp = match &mut socket.kind {
            Kind::Tcp(tcp) => tcp,
            Kind::Unix(end) => return Ok(Some(Ends::new(Some(local), Some(end.remote.clone())))),
            _ => return Err(ErrorKind::NotConnected),
        };
        match (tcp.error.take(), tcp.state) {
            (Some(kind), _) => Err(kind),
            (None, TcpState::Connecting) => Ok(None),
            (None, TcpState::Open) => Ok(Some(Ends::new(Some(local), Some(Addr::from(tcp.remote))))),
            (None, TcpState::Resetting | TcpState::Dead) => Err(ErrorKind::NotConnected),
        }
    }

    /// Accepts; as on Linux, a descriptor is taken before anything else is looked at.
    pub(crate) fn accept(&mut self, id: SockId, owner: Owner) -> Result<Option<(SockId, Ends)>, ErrorKind> {
        if owner == Owner::Process && !self.has_descriptor_left() {
            return Err(ErrorKind::DescriptorLimit);
        }
        let Some(Socket { kind: Kind::Bound { listening: Some(listening), .. }, .. }) = self.sockets.get_mut(id) else {
            return Err(ErrorKind::InvalidInput);
        };
        let Some(child) = listening.queue.pop_front() else { return Ok(None) };
        if let Some(ends) = self.accept_unix(child, owner) {
            return Ok(Some((child, ends)));
        }
        let Some(socket) = self.sockets.get_mut(child) else { return Ok(None) };
        let local = socket.local.clone();
        let Kind::Tcp(tcp) = &socket.kind else { return Ok(None) };
        let (dead, remote) = (tcp.state == TcpState::Dead, tcp.remote);
        let (aborts, nameless) = (self.faults.accept_aborted, self.faults.accept_nameless);
        if dead && self.chance(aborts) {
            self.sockets.remove(child);
            return Err(ErrorKind::ConnectionAborted);
        }
        let peer = if owner == Owner::Process && self.chance(nameless) { None } else { Some(Addr::from(remote)) };
        if let Some(socket) = self.sockets.get_mut(child) {
            socket.owner = owner;
        }
        if owner == Owner::Process {
            self.opened += 1;
        }
        Ok(Some((child, Ends::new(Some(local), peer))))
    }

    /// Both ends of a connection that was made outside of any loop: ours and the test's.
    pub(crate) fn pair(&mut self) -> (SockId, SockId) {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (a, b) = (SocketAddr::new(ip, self.pick_port()), SocketAddr::new(ip, self.pick_port()));
        let (mut ours, mut theirs) = (self.new_tcp(b), self.new_tcp(a));
        ours.state = TcpState::Open;
        theirs.state = TcpState::Open;
        (ours.credit, theirs.credit) = (theirs.receive_space, ours.receive_space);
        let ours = self.new_socket(Kind::Tcp(ours), a, Owner::Process);
        let theirs = self.new_socket(Kind::Tcp(theirs), b, Owner::Peer);
        for (end, other) in [(ours, theirs), (theirs, ours)] {
            if let Some(tcp) = self.tcp(end) {
                tcp.peer = other;
            }
        }
        (ours, theirs)
    }
}

//! Datagram sockets: those of the internet, where datagrams get lost, and Unix ones, which say that there is no room.

use super::clock::Happening;
use super::fault::{Failure, Syscall};
use super::net::{Kind, Net, Owner, SockId, Socket};
use bytes::BytesMut;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use plimsoll_core::driver::{Incoming, Ready};
use plimsoll_core::{Addr, Call, Datagram, Ends, ErrorKind, Family, Group, Instant, Outgoing, SocketOption, UnixAddr};
use std::collections::VecDeque;

/// The most that one datagram carries over IPv4, and over IPv6.
const LARGEST: [usize; 2] = [65_507, 65_527];

/// How many datagrams lie in front of a Unix socket that nobody reads: one more than Linux's `max_dgram_qlen`.
const UNIX_QUEUE: usize = 11;

/// A datagram socket.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// Whom it is connected to.
    pub(crate) peer: Option<Addr>,
    /// The same as a socket, of Unix ones.
    other: Option<SockId>,
    reuse_port: bool,
    broadcast: bool,
    groups: Vec<Group>,
    /// What it sends to a group comes back to members on this machine.
    loops: bool,
    queue: VecDeque<(Vec<u8>, Addr)>,
    /// Bytes in it.
    queued: usize,
    send_space: usize,
    receive_space: usize,
    /// Bytes that were taken and are not there yet.
    on_the_way: usize,
    last_arrival: Instant,
    /// Told once, to whoever asks first.
    pub(crate) error: Option<ErrorKind>,
    /// It was told that there is no room: that there is room again is an event.
    no_room: bool,
    /// Unix sockets that wait for room here.
    waiting: Vec<SockId>,
    /// What a peer of the test's has read.
    pub(crate) read: Vec<(Vec<u8>, Addr)>,
}

/// A datagram on its way.
#[derive(Debug)]
pub(crate) struct Letter {
    from: SockId,
    sender: SocketAddr,
    to: SocketAddr,
    payload: Vec<u8>,
    /// So much of the sender's buffer it takes until it is there.
    weight: usize,
    lost: bool,
    /// Members of a group on the sender's machine get it too.
    loops: bool,
}

/// What has become of a send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Posted {
    Taken,
    /// There is no room, and that there is again will be told.
    Blocks,
    /// There is no room, and no poller tells when there is.
    Full,
}

const fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(Ipv4Addr::BROADCAST))
}

impl Mailbox {
    fn new(open: &Datagram, send_space: usize, receive_space: usize) -> Self {
        Self {
            peer: None,
            other: None,
            reuse_port: open.is_reuse_port(),
            broadcast: open.is_broadcast(),
            groups: Vec::new(),
            loops: true,
            queue: VecDeque::new(),
            queued: 0,
            send_space: send_space.max(1),
            receive_space: receive_space.max(1),
            on_the_way: 0,
            last_arrival: Instant::ZERO,
            error: None,
            no_room: false,
            waiting: Vec::new(),
            read: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.queue.len() >= UNIX_QUEUE
    }

    /// As Linux has it: half of the buffer must be free.
    const fn is_writable(&self) -> bool {
        self.on_the_way == 0 || 2 * self.on_the_way < self.send_space
    }

    fn is_member(&self, group: IpAddr) -> bool {
        self.groups.iter().any(|member| match *member {
            Group::V4 { group: own, .. } => IpAddr::V4(own) == group,
            Group::V6 { group: own, .. } => IpAddr::V6(own) == group,
        })
    }

    /// An option that is one of datagram sockets.
    pub(crate) fn apply(&mut self, option: SocketOption) -> Result<(), ErrorKind> {
        match option {
            SocketOption::SendBuffer(space) => self.send_space = space.max(1),
            SocketOption::ReceiveBuffer(space) => self.receive_space = space.max(1),
            SocketOption::Broadcast(on) => self.broadcast = on,
            SocketOption::MulticastLoop(on) => self.loops = on,
            SocketOption::JoinGroup(group) if self.groups.contains(&group) => return Err(ErrorKind::AddrInUse),
            SocketOption::JoinGroup(group) => {
                let is_group = match group {
                    Group::V4 { group, .. } => group.is_multicast(),
                    Group::V6 { group, .. } => group.is_multicast(),
                };
                if !is_group {
                    return Err(ErrorKind::InvalidInput);
                }
                self.groups.push(group);
            }
            SocketOption::LeaveGroup(group) => {
                let at = self.groups.iter().position(|own| *own == group).ok_or(ErrorKind::AddrNotAvailable)?;
                self.groups.remove(at);
            }
            SocketOption::MulticastHops(_) | SocketOption::MulticastInterfaceV4(_) | SocketOption::MulticastInterfaceV6(_) => {}
            _ => return Err(ErrorKind::Unsupported),
        }
        Ok(())
    }
}

impl Net {
    pub(crate) fn mailbox(&mut self, id: SockId) -> Option<&mut Mailbox> {
        match self.sockets.get_mut(id) {
            Some(Socket { kind: Kind::Datagrams(mailbox), .. }) => Some(mailbox),
            _ => None,
        }
    }

    // ---- how it comes about ----

    /// A socket as it says; a failure names the call that it would have been.
    pub(crate) fn open_datagram(&mut self, open: &Datagram, owner: Owner) -> Result<SockId, (Call, ErrorKind)> {
        if owner == Owner::Process && !self.has_descriptor_left() {
            return Err((Call::Socket, ErrorKind::DescriptorLimit));
        }
        let local = match (open.get_family(), open.local().or(open.remote())) {
            (Some(Family::V4), _) => Addr::from(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            (Some(Family::V6), _) => Addr::from(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
            (None, Some(Addr::Unix(_))) => Addr::from(UnixAddr::UNNAMED),
            _ => return Err((Call::Socket, ErrorKind::Unsupported)),
        };
        // A peer of the test's never has to wait.
        let send_space = self.rng.usize(self.faults.send_space.clone());
        let send_space = if owner == Owner::Peer { usize::MAX / 4 } else { send_space };
        let receive_space = self.rng.usize(self.faults.receive_space.clone());
        let id = self.new_socket(Kind::Datagrams(Mailbox::new(open, send_space, receive_space)), local, owner);
        let made = self.set_up_datagram(id, open, owner);
        if made.is_err() {
            self.close(id);
        }
        made.map(|()| id)
    }

    fn set_up_datagram(&mut self, id: SockId, open: &Datagram, owner: Owner) -> Result<(), (Call, ErrorKind)> {
        // Groups are joined behind the binding, as everywhere.
        let of_group = |option: &SocketOption| matches!(option, SocketOption::JoinGroup(_) | SocketOption::LeaveGroup(_));
        let set = |net: &mut Self, groups: bool| {
            let mut options = open.options().iter().filter(|option| of_group(option) == groups);
            options.try_for_each(|&option| net.apply(id, option)).map_err(|kind| (Call::Option, kind))
        };
        set(self, false)?;
        match open.local() {
            Some(Addr::Inet(at)) => self.bind_datagram(id, *at, owner).map_err(|kind| (Call::Bind, kind))?,
            Some(Addr::Unix(at)) if !at.is_unnamed() => self.bind_unix(id, at, true).map_err(|kind| (Call::Bind, kind))?,
            _ => {}
        }
        set(self, true)?;
        match open.remote().filter(|_| open.connects()) {
            Some(remote) => self.connect_datagram(id, remote).map_err(|kind| (Call::Connect, kind)),
            None => Ok(()),
        }
    }

    fn bind_datagram(&mut self, id: SockId, mut at: SocketAddr, owner: Owner) -> Result<(), ErrorKind> {
        let ip = at.ip();
        if owner == Owner::Process && !(ip.is_unspecified() || ip.is_multicast() || self.hosts.contains(&ip)) {
            return Err(ErrorKind::AddrNotAvailable);
        }
        if at.port() == 0 {
            at.set_port(self.pick_port());
        }
        let shares = self.mailbox(id).is_some_and(|mailbox| mailbox.reuse_port);
        let taken = self.sockets.iter().any(|(other, socket)| match (&socket.kind, socket.local.inet()) {
            (Kind::Datagrams(mailbox), Some(local)) if other != id && local.port() == at.port() => {
                let overlaps = local.ip() == ip || local.ip().is_unspecified() || ip.is_unspecified();
                local.is_ipv4() == at.is_ipv4() && overlaps && !(mailbox.reuse_port && shares)
            }
            _ => false,
        });
        if taken {
            return Err(ErrorKind::AddrInUse);
        }
        self.used_ports.push(at.port());
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.local = at.into();
        }
        Ok(())
    }

    fn connect_datagram(&mut self, id: SockId, remote: &Addr) -> Result<(), ErrorKind> {
        let other = match remote {
            Addr::Inet(to) => {
                self.may_go_to(id, *to)?;
                self.bind_for(id, *to);
                None
            }
            Addr::Unix(to) => Some(self.unix_mailbox(id, to)?),
            _ => return Err(ErrorKind::Unsupported),
        };
        if let Some(mailbox) = self.mailbox(id) {
            mailbox.peer = Some(remote.clone());
            mailbox.other = other;
        }
        Ok(())
    }

    /// Both of a pair of Unix sockets without names: ours, and the test's.
    pub(crate) fn datagram_pair(&mut self) -> (SockId, SockId) {
        let unnamed = Addr::from(UnixAddr::UNNAMED);
        let mut end = |owner| {
            let space = self.rng.usize(self.faults.send_space.clone());
            let mailbox = Mailbox { peer: Some(unnamed.clone()), ..Mailbox::new(&Datagram::on(unnamed.clone()), space, space) };
            self.new_socket(Kind::Datagrams(mailbox), unnamed.clone(), owner)
        };
        let (ours, theirs) = (end(Owner::Process), end(Owner::Peer));
        for (end, other) in [(ours, theirs), (theirs, ours)] {
            if let Some(mailbox) = self.mailbox(end) {
                mailbox.other = Some(other);
            }
        }
        (ours, theirs)
    }

    /// Its addresses.
    pub(crate) fn datagram_ends(&self, id: SockId) -> Result<Ends, ErrorKind> {
        match self.sockets.get(id) {
            Some(Socket { kind: Kind::Datagrams(mailbox), local, .. }) => {
                Ok(Ends::new(Some(local.clone()), mailbox.peer.clone()))
            }
            _ => Err(ErrorKind::InvalidInput),
        }
    }

    /// The first send, or a connect, binds a socket that is not bound yet; a connect also settles from which address it sends.
    fn bind_for(&mut self, id: SockId, to: SocketAddr) {
        let Some(mut local) = self.inet_of(id) else { return };
        if local.port() == 0 {
            local.set_port(self.pick_port());
        }
        if local.ip().is_unspecified() {
            local.set_ip(Self::own_address(to.ip()));
        }
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.local = local.into();
        }
    }

    // ---- sending ----

    /// What keeps a datagram from leaving at all.
    fn may_go_to(&mut self, id: SockId, to: SocketAddr) -> Result<(), ErrorKind> {
        let unreachable = self.unreachable.contains(&to.ip());
        let Some(local) = self.inet_of(id) else { return Err(ErrorKind::Unsupported) };
        let allowed = self.mailbox(id).is_some_and(|mailbox| mailbox.broadcast) || !is_broadcast(to.ip());
        match () {
            () if local.is_ipv4() != to.is_ipv4() => Err(ErrorKind::Unsupported),
            () if to.port() == 0 => Err(ErrorKind::InvalidInput),
            () if !allowed => Err(ErrorKind::PermissionDenied),
            () if unreachable => Err(ErrorKind::Unreachable),
            () => Ok(()),
        }
    }

    /// Sends datagrams in order, as `sendmmsg`; how many were taken, `None` if none and that will be told, zero if none and it will not.
    pub(crate) fn send_datagrams(&mut self, id: SockId, datagrams: &[Outgoing<'_>]) -> Result<Option<usize>, ErrorKind> {
        let failure = self.enter(Syscall::SendTo, Some(id))?;
        let (would_block, short) = (self.faults.would_block, self.faults.short_send);
        if failure == Some(Failure::WouldBlock) || self.told_again(would_block, id) {
            return Ok(None);
        }
        let most = if self.chance(short) { 1 + self.rng.usize(..datagrams.len().max(1)) } else { usize::MAX };
        let mut taken = 0;
        for datagram in datagrams.iter().take(most) {
            match self.post(id, datagram.payload, datagram.to.map(Addr::from).as_ref()) {
                Ok(Posted::Taken) => taken += 1,
                Ok(Posted::Blocks) => return Ok((taken > 0).then_some(taken)),
                Ok(Posted::Full) => break,
                // Otherwise it is the foremost one's, next time.
                Err(kind) if taken == 0 => return Err(kind),
                Err(_) => break,
            }
        }
        Ok(Some(taken))
    }

    /// Sends one, for an operation: `None` while there is no room.
    pub(crate) fn send_datagram(&mut self, id: SockId, payload: &[u8], to: Option<&Addr>) -> Result<Option<()>, ErrorKind> {
        let failure = self.enter(Syscall::SendTo, Some(id))?;
        let would_block = self.faults.would_block;
        if failure == Some(Failure::WouldBlock) || self.told_again(would_block, id) {
            return Ok(None);
        }
        Ok((self.post(id, payload, to)? == Posted::Taken).then_some(()))
    }

    pub(crate) fn post(&mut self, id: SockId, payload: &[u8], to: Option<&Addr>) -> Result<Posted, ErrorKind> {
        let mailbox = self.mailbox(id).ok_or(ErrorKind::NotConnected)?;
        if let Some(kind) = mailbox.error.take() {
            return Err(kind);
        }
        let other = mailbox.other;
        let connected = to.is_none();
        match to.cloned().or_else(|| mailbox.peer.clone()) {
            Some(Addr::Inet(to)) => self.post_inet(id, payload, to),
            Some(Addr::Unix(to)) => {
                let other = if connected { other.ok_or(ErrorKind::NotConnected)? } else { self.unix_mailbox(id, &to)? };
                self.post_unix(id, payload, other, connected)
            }
            _ => Err(ErrorKind::NotConnected),
        }
    }

    fn post_inet(&mut self, id: SockId, payload: &[u8], to: SocketAddr) -> Result<Posted, ErrorKind> {
        self.may_go_to(id, to)?;
        if payload.len() > LARGEST[usize::from(to.is_ipv6())] {
            return Err(ErrorKind::MessageTooLong);
        }
        let Some(local) = self.inet_of(id) else { return Err(ErrorKind::NotConnected) };
        if local.port() == 0 {
            let port = self.pick_port();
            if let Some(socket) = self.sockets.get_mut(id) {
                socket.local = SocketAddr::new(local.ip(), port).into();
            }
        }
        let mut sender = self.inet_of(id).unwrap_or(local);
        if sender.ip().is_unspecified() {
            sender.set_ip(Self::own_address(to.ip()));
        }
        let weight = payload.len().max(1);
        let (loses, doubles) = (self.faults.lose_datagram, self.faults.duplicate_datagram);
        let Some(mailbox) = self.mailbox(id) else { return Err(ErrorKind::NotConnected) };
        if mailbox.on_the_way >= mailbox.send_space {
            mailbox.no_room = true;
            return Ok(Posted::Blocks);
        }
        mailbox.on_the_way += weight;
        let loops = mailbox.loops;
        let lost = self.chance(loses) || self.black_holes.contains(&to.ip());
        let letter = |weight, lost| Box::new(Letter { from: id, sender, to, payload: payload.to_vec(), weight, lost, loops });
        let at = self.arrival_of_datagram(id);
        self.clock.push(at, Happening::Datagram(letter(weight, lost)));
        if self.chance(doubles) {
            let at = self.arrival_of_datagram(id);
            self.clock.push(at, Happening::Datagram(letter(0, lost)));
        }
        Ok(Posted::Taken)
    }

    /// When it is there: behind those before it, unless it takes another way.
    fn arrival_of_datagram(&mut self, id: SockId) -> Instant {
        let at = self.arrival();
        let strays = self.faults.reorder_datagram;
        if self.chance(strays) {
            let late = self.faults.datagram_delay.clone();
            return at.max(self.after(late));
        }
        let Some(mailbox) = self.mailbox(id) else { return at };
        mailbox.last_arrival = mailbox.last_arrival.max(at);
        mailbox.last_arrival
    }

    /// Delivered at once, or there is no room for it.
    fn post_unix(&mut self, id: SockId, payload: &[u8], to: SockId, connected: bool) -> Result<Posted, ErrorKind> {
        let polled = self.sockets.get(id).is_some_and(|socket| socket.watch.is_some());
        let from = self.sockets.get(id).map_or(UnixAddr::UNNAMED.into(), |socket| socket.local.clone());
        let Some(mailbox) = self.mailbox(id) else { return Err(ErrorKind::NotConnected) };
        if payload.len() > mailbox.send_space {
            return Err(ErrorKind::MessageTooLong);
        }
        let Some(receiver) = self.mailbox(to) else {
            // It has gone: that is told once, and then this one is connected to nobody.
            if let Some(mailbox) = self.mailbox(id) {
                mailbox.other = None;
            }
            return Err(ErrorKind::ConnectionRefused);
        };
        if receiver.is_full() {
            // An operation waits for room whomever it is for; a poller only knows of the socket that one is connected to.
            if (connected || !polled) && !receiver.waiting.contains(&id) {
                receiver.waiting.push(id);
            }
            return Ok(if connected { Posted::Blocks } else { Posted::Full });
        }
        receiver.queued += payload.len();
        receiver.queue.push_back((payload.to_vec(), from));
        self.wake(to);
        Ok(Posted::Taken)
    }

    /// The datagram socket of that name, if it lets this one send to it.
    fn unix_mailbox(&mut self, id: SockId, to: &UnixAddr) -> Result<SockId, ErrorKind> {
        let other = self.unix_at(to)?;
        // `EPROTOTYPE`.
        let mailbox = self.mailbox(other).ok_or(ErrorKind::InvalidInput)?;
        if mailbox.other.is_some_and(|own| own != id) { Err(ErrorKind::PermissionDenied) } else { Ok(other) }
    }

    // ---- arriving ----

    pub(crate) fn datagram_arrives(&mut self, letter: &Letter) {
        if let Some(mailbox) = self.mailbox(letter.from) {
            mailbox.on_the_way = mailbox.on_the_way.saturating_sub(letter.weight);
            if mailbox.no_room && mailbox.is_writable() {
                mailbox.no_room = false;
                self.wake(letter.from);
            }
        }
        if letter.lost {
            return;
        }
        let receivers = self.receivers_of(letter);
        for &to in &receivers {
            let Some(mailbox) = self.mailbox(to) else { continue };
            // One always fits; what does not is dropped, and nobody is told.
            if mailbox.queued < mailbox.receive_space {
                mailbox.queued += letter.payload.len();
                mailbox.queue.push_back((letter.payload.clone(), letter.sender.into()));
                self.wake(to);
            }
        }
        let alone = !letter.to.ip().is_multicast() && !is_broadcast(letter.to.ip());
        let loses = self.faults.lose_datagram;
        if receivers.is_empty() && alone && !self.chance(loses) {
            let at = self.arrival();
            self.clock.push(at, Happening::NobodyThere { from: letter.from, to: letter.to });
        }
    }

    fn receivers_of(&mut self, letter: &Letter) -> Vec<SockId> {
        let (to, ip) = (letter.to, letter.to.ip());
        let from_here = self.sockets.get(letter.from).is_none_or(|socket| socket.owner == Owner::Process);
        let welcome = |socket: &Socket| match (&socket.kind, socket.local.inet()) {
            (Kind::Datagrams(mailbox), Some(local)) if local.port() == to.port() && local.is_ipv4() == to.is_ipv4() => {
                let known = mailbox.peer.is_some();
                let by_name = local.ip() == ip;
                let member = if ip.is_multicast() {
                    mailbox.is_member(ip) && (letter.loops || !from_here || socket.owner != Owner::Process)
                } else {
                    true
                };
                let for_it = (by_name || local.ip().is_unspecified() || is_broadcast(ip)) && member;
                let from_it = mailbox.peer.as_ref().is_none_or(|peer| *peer == Addr::from(letter.sender));
                (for_it && from_it).then_some(2 * u8::from(known) + u8::from(by_name))
            }
            _ => None,
        };
        let mut found: Vec<_> = self.sockets.iter().filter_map(|(id, socket)| Some((welcome(socket)?, id))).collect();
        if !(ip.is_multicast() || is_broadcast(ip)) {
            // One of those that match best: they share the address.
            let best = found.iter().map(|(score, _)| *score).max();
            found.retain(|(score, _)| Some(*score) == best);
            if found.len() > 1 {
                let one = self.rng.usize(..found.len());
                found = vec![found[one]];
            }
        }
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// A host says that nobody listens there: a connected socket hears of it.
    pub(crate) fn nobody_there(&mut self, from: SockId, to: SocketAddr) {
        if let Some(mailbox) = self.mailbox(from).filter(|mailbox| mailbox.peer == Some(to.into())) {
            mailbox.error = Some(ErrorKind::ConnectionRefused);
            self.wake(from);
        }
    }

    // ---- receiving ----

    /// Receives datagrams, as `recvmmsg`: an error first, then what is there.
    pub(crate) fn receive_datagrams(
        &mut self,
        id: SockId,
        blocks: &mut [BytesMut],
        came: &mut [Incoming],
    ) -> Result<Option<usize>, ErrorKind> {
        let failure = self.enter(Syscall::RecvFrom, Some(id))?;
        let (would_block, short) = (self.faults.would_block, self.faults.short_recv);
        if failure == Some(Failure::WouldBlock) || self.told_again(would_block, id) {
            return Ok(None);
        }
        if let Some(kind) = self.mailbox(id).and_then(|mailbox| mailbox.error.take()) {
            return Err(kind);
        }
        let most = if self.chance(short) { 1 + self.rng.usize(..blocks.len().max(1)) } else { usize::MAX };
        let mut count = 0;
        for (block, came) in blocks.iter_mut().zip(came).take(most) {
            let Some((payload, from)) = self.take_datagram(id) else { break };
            came.len = payload.len().min(block.len());
            block[..came.len].copy_from_slice(&payload[..came.len]);
            came.from = from;
            count += 1;
        }
        self.made_room_for_datagrams(id);
        if count < blocks.len() && self.mailbox(id).is_some_and(|mailbox| !mailbox.queue.is_empty()) {
            // The rest has come just after this call: an event of its own.
            let at = self.arrival();
            self.clock.push(at, Happening::Wake { sock: id });
        }
        Ok((count > 0).then_some(count))
    }

    /// Receives one, for an operation: `None` while there is none.
    pub(crate) fn receive_datagram(&mut self, id: SockId, into: &mut [u8]) -> Result<Option<(usize, Addr)>, ErrorKind> {
        let failure = self.enter(Syscall::RecvFrom, Some(id))?;
        let would_block = self.faults.would_block;
        if failure == Some(Failure::WouldBlock) || self.told_again(would_block, id) {
            return Ok(None);
        }
        if let Some(kind) = self.mailbox(id).and_then(|mailbox| mailbox.error.take()) {
            return Err(kind);
        }
        let Some((payload, from)) = self.take_datagram(id) else { return Ok(None) };
        self.made_room_for_datagrams(id);
        let n = payload.len().min(into.len());
        into[..n].copy_from_slice(&payload[..n]);
        Ok(Some((n, from)))
    }

    fn take_datagram(&mut self, id: SockId) -> Option<(Vec<u8>, Addr)> {
        let mailbox = self.mailbox(id)?;
        let (payload, from) = mailbox.queue.pop_front()?;
        mailbox.queued -= payload.len();
        Some((payload, from))
    }

    /// Whoever waits for room in front of this socket tries again.
    fn made_room_for_datagrams(&mut self, id: SockId) {
        let Some(mailbox) = self.mailbox(id).filter(|mailbox| !mailbox.waiting.is_empty() && !mailbox.is_full()) else { return };
        for sender in core::mem::take(&mut mailbox.waiting) {
            self.wake(sender);
        }
    }

    /// A peer of the test's reads at most so many.
    pub(crate) fn drain_datagrams(&mut self, id: SockId, most: usize) {
        for _ in 0..most {
            let Some(datagram) = self.take_datagram(id) else { return };
            if let Some(mailbox) = self.mailbox(id) {
                mailbox.read.push(datagram);
            }
            self.made_room_for_datagrams(id);
        }
    }

    // ---- what a poller sees ----

    /// Linux's `datagram_poll` and `unix_dgram_poll`, as mio reads their bits.
    pub(crate) fn state_of_datagrams(&mut self, id: SockId) -> Ready {
        let Some(mailbox) = self.mailbox(id) else { return Ready::default() };
        let (readable, error, other) = (!mailbox.queue.is_empty(), mailbox.error.is_some(), mailbox.other);
        let writable = match other {
            None => {
                let writable = mailbox.is_writable();
                mailbox.no_room |= !writable;
                writable
            }
            Some(other) => match self.mailbox(other) {
                Some(receiver) if receiver.is_full() => {
                    if !receiver.waiting.contains(&id) {
                        receiver.waiting.push(id);
                    }
                    false
                }
                _ => true,
            },
        };
        Ready { readable, writable, write_closed: writable && error, error, ..Ready::default() }
    }

    /// The descriptor is gone: whoever waits for room there hears of that.
    pub(crate) fn close_datagrams(&mut self, id: SockId) {
        let Some(Socket { kind: Kind::Datagrams(mailbox), .. }) = self.sockets.remove(id) else { return };
        for sender in mailbox.waiting {
            self.wake(sender);
        }
    }
}

//! Datagram sockets: those of the internet, where datagrams get lost, and Unix ones, which say that there is no room.

mod receive;
mod send;

use super::net::{Kind, Net, Owner, SockId, Socket};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use plimsoll_core::driver::Ready;
use plimsoll_core::{Addr, Call, Datagram, Ends, ErrorKind, Family, Group, Instant, SocketOption, UnixAddr};
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

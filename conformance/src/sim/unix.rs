//! Unix stream sockets: what is sent lies in front of the other end at once.

use super::net::{Drain, Kind, Listening, Net, Owner, SockId, Socket};
use plimsoll_core::driver::Ready;
use plimsoll_core::{Addr, Attempt, Call, Ends, ErrorKind, Listen, SocketOption, UnixAddr};
use std::collections::VecDeque;

/// Room for everything: a peer of the test's never has to wait.
const ENDLESS: usize = usize::MAX / 8;

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct UnixEnd {
    pub(crate) remote: Addr,
    /// The other end, while it is there.
    peer: Option<SockId>,
    pub(crate) input: VecDeque<u8>,
    /// The other end has finished.
    pub(crate) ended: bool,
    /// We have.
    finished: bool,
    /// Told once, to the one who reads.
    pub(crate) error: Option<ErrorKind>,
    /// How much of what it sends may lie in front of the other end.
    send_space: usize,
    /// It was told that there is no room: that there is room again is an event.
    no_room: bool,
}

impl UnixEnd {
    pub(crate) fn apply(&mut self, option: SocketOption) -> Result<(), ErrorKind> {
        match option {
            SocketOption::SendBuffer(space) => self.send_space = space.max(1),
            // As far as the kernel takes them, they change nothing.
            SocketOption::ReceiveBuffer(_) | SocketOption::Linger(_) | SocketOption::KeepAlive(_) => {}
            _ => return Err(ErrorKind::Unsupported),
        }
        Ok(())
    }
}

impl Net {
    pub(crate) fn unix(&mut self, id: SockId) -> Option<&mut UnixEnd> {
        match self.sockets.get_mut(id) {
            Some(Socket { kind: Kind::Unix(end), .. }) => Some(end),
            _ => None,
        }
    }

    // ---- how it comes about ----

    /// Makes a bound socket, whose file goes with it if `cleans_up`. Without a name it gets an abstract one.
    pub(crate) fn bind_unix_stream(
        &mut self,
        at: &UnixAddr,
        listen: &Listen,
        owner: Owner,
        cleans_up: bool,
    ) -> Result<SockId, ErrorKind> {
        if owner == Owner::Process && !self.has_descriptor_left() {
            return Err(ErrorKind::DescriptorLimit);
        }
        if listen.is_reuse_port() {
            return Err(ErrorKind::InvalidInput);
        }
        let at = if at.is_unnamed() { self.free_name() } else { at.clone() };
        let kind = Kind::Bound { reuse_port: false, cleans_up, listening: None };
        let id = self.new_socket(kind, UnixAddr::UNNAMED, owner);
        let bound = self.bind_unix(id, &at, true);
        if bound.is_err() {
            self.close(id);
        }
        bound.map(|()| id)
    }

    fn new_unix(&mut self, remote: Addr, local: Addr, owner: Owner) -> SockId {
        let send_space = self.rng.usize(self.faults.send_space.clone()).max(1);
        let send_space = if owner == Owner::Peer { ENDLESS } else { send_space };
        let end = UnixEnd {
            remote,
            peer: None,
            input: VecDeque::new(),
            ended: false,
            finished: false,
            error: None,
            send_space,
            no_room: false,
        };
        self.new_socket(Kind::Unix(end), local, owner)
    }

    fn join(&mut self, one: SockId, other: SockId) {
        for (end, other) in [(one, other), (other, one)] {
            if let Some(end) = self.unix(end) {
                end.peer = Some(other);
            }
        }
    }

    /// Connects, at once or not at all; a failure names the call that it would have been.
    pub(crate) fn connect_unix(&mut self, to: &Attempt, at: &UnixAddr, owner: Owner) -> Result<SockId, (Call, ErrorKind)> {
        if owner == Owner::Process && !self.has_descriptor_left() {
            return Err((Call::Socket, ErrorKind::DescriptorLimit));
        }
        let id = self.new_unix(at.clone().into(), UnixAddr::UNNAMED.into(), owner);
        let made = self.try_connect_unix(id, to, at, owner);
        if made.is_err() {
            self.close(id);
        }
        made.map(|()| id)
    }

    fn try_connect_unix(&mut self, id: SockId, to: &Attempt, at: &UnixAddr, owner: Owner) -> Result<(), (Call, ErrorKind)> {
        for &option in to.options() {
            self.apply(id, option).map_err(|kind| (Call::Option, kind))?;
        }
        match to.local() {
            Some(Addr::Unix(local)) => self.bind_unix(id, local, false).map_err(|kind| (Call::Bind, kind))?,
            Some(_) => return Err((Call::Bind, ErrorKind::InvalidInput)),
            None => {}
        }
        let refused = |kind| (Call::Connect, kind);
        let listener = self.unix_at(at).map_err(refused)?;
        let refuses = self.faults.refuse;
        let refuses = owner == Owner::Process && self.chance(refuses);
        let Some(Socket { kind, local, .. }) = self.sockets.get(listener) else {
            return Err(refused(ErrorKind::ConnectionRefused));
        };
        let (queued, backlog) = match kind {
            Kind::Bound { listening: Some(Listening { queue, backlog, .. }), .. } if !refuses => (queue.len(), *backlog),
            // `EPROTOTYPE`.
            Kind::Datagrams(_) => return Err(refused(ErrorKind::InvalidInput)),
            _ => return Err(refused(ErrorKind::ConnectionRefused)),
        };
        // As on Linux, one more than the backlog fits, and nobody waits for room.
        if queued > backlog {
            return Err(refused(ErrorKind::Busy));
        }
        let (local, own) = (local.clone(), self.sockets.get(id).map(|socket| socket.local.clone()));
        let child = self.new_unix(own.unwrap_or(UnixAddr::UNNAMED.into()), local, Owner::Kernel);
        self.join(id, child);
        if let Some(Socket { kind: Kind::Bound { listening: Some(listening), .. }, .. }) = self.sockets.get_mut(listener) {
            listening.queue.push_back(child);
        }
        self.wake(listener);
        Ok(())
    }

    /// Both ends of a connection to that path that was made outside of any loop: ours, which has no name, and the test's.
    pub(crate) fn unix_pair(&mut self, at: &UnixAddr) -> (SockId, SockId) {
        let unnamed = Addr::from(UnixAddr::UNNAMED);
        let ours = self.new_unix(at.clone().into(), unnamed.clone(), Owner::Process);
        let theirs = self.new_unix(unnamed, at.clone().into(), Owner::Peer);
        self.join(ours, theirs);
        (ours, theirs)
    }

    /// A connection is taken out of the queue of its listener.
    pub(crate) fn accept_unix(&mut self, child: SockId, owner: Owner) -> Option<Ends> {
        let Some(Socket { kind: Kind::Unix(end), local, owner: held_by, .. }) = self.sockets.get_mut(child) else { return None };
        *held_by = owner;
        if owner == Owner::Peer {
            end.send_space = ENDLESS;
        } else {
            self.opened += 1;
        }
        Some(Ends::new(Some(local.clone()), Some(end.remote.clone())))
    }

    // ---- calls ----

    /// Reads what is there, then an error, once, then the end.
    pub(crate) fn read_unix(&mut self, id: SockId, buf: &mut [u8]) -> Result<Option<usize>, ErrorKind> {
        let Some(end) = self.unix(id) else { return Err(ErrorKind::NotConnected) };
        if end.input.is_empty() {
            return match end.error.take() {
                Some(kind) => Err(kind),
                None => Ok(end.ended.then_some(0)),
            };
        }
        let n = buf.len().min(end.input.len());
        for (to, from) in buf.iter_mut().zip(end.input.drain(..n)) {
            *to = from;
        }
        self.made_room_for_unix(id);
        Ok(Some(n))
    }

    fn made_room_for_unix(&mut self, reader: SockId) {
        let Some(peer) = self.unix(reader).and_then(|end| end.peer) else { return };
        let writable = self.unix_room(peer).1;
        if let Some(end) = self.unix(peer).filter(|end| writable && end.no_room) {
            end.no_room = false;
            self.wake(peer);
        }
    }

    /// How much a sender has room for, and whether that is enough to be told of: as on Linux, three quarters of the buffer.
    fn unix_room(&mut self, sender: SockId) -> (usize, bool) {
        let Some((space, peer)) = self.unix(sender).map(|end| (end.send_space, end.peer)) else { return (0, true) };
        let used = peer.and_then(|peer| self.unix(peer)).map_or(0, |peer| peer.input.len());
        (space.saturating_sub(used), 4 * used <= space)
    }

    /// Sends the foremost bytes; `None`: there is no room, and that there is again is an event.
    pub(crate) fn write_unix<'a>(
        &mut self,
        id: SockId,
        bufs: impl Iterator<Item = &'a [u8]>,
        most: usize,
    ) -> Result<Option<usize>, ErrorKind> {
        let room = self.unix_room(id).0.min(most);
        let Some(end) = self.unix(id) else { return Err(ErrorKind::NotConnected) };
        // What broke the connection is left to the one who reads.
        let Some(peer) = end.peer.filter(|_| !end.finished) else { return Err(ErrorKind::BrokenPipe) };
        let Some(receiver) = self.unix(peer) else { return Err(ErrorKind::BrokenPipe) };
        let (mut n, mut total) = (0, 0);
        for buf in bufs {
            total += buf.len();
            let take = buf.len().min(room - n);
            receiver.input.extend(&buf[..take]);
            n += take;
        }
        if let Some(end) = self.unix(id) {
            end.no_room |= n < total;
        }
        if n > 0 {
            self.wake(peer);
        }
        Ok((n > 0 || total == 0).then_some(n))
    }

    pub(crate) fn finish_unix(&mut self, id: SockId) {
        let Some(end) = self.unix(id) else { return };
        end.finished = true;
        if let Some(peer) = end.peer {
            if let Some(peer) = self.unix(peer) {
                peer.ended = true;
            }
            self.wake(peer);
        }
    }

    /// The descriptor is gone. The other end finds no more than what lies in front of it; if something was left unread here, also that.
    pub(crate) fn close_unix(&mut self, id: SockId, resets: bool) {
        let Some(Socket { kind: Kind::Unix(end), .. }) = self.sockets.remove(id) else { return };
        let Some(peer) = end.peer else { return };
        if let Some(other) = self.unix(peer) {
            other.peer = None;
            other.ended = true;
            if resets || !end.input.is_empty() {
                other.error = Some(ErrorKind::ConnectionReset);
            }
        }
        self.wake(peer);
    }

    /// What holds of an end now: Linux's `unix_poll`, as mio reads its bits.
    pub(crate) fn state_of_unix(&mut self, id: SockId) -> Ready {
        let writable = self.unix_room(id).1;
        let Some(end) = self.unix(id) else { return Ready::default() };
        end.no_room |= !writable;
        let (gone, error) = (end.peer.is_none(), end.error.is_some());
        let hung_up = gone || end.ended && end.finished;
        Ready {
            readable: !end.input.is_empty() || end.ended,
            writable,
            read_closed: end.ended,
            write_closed: hung_up || writable && error,
            error,
        }
    }

    // ---- peers of the test's ----

    /// Takes bytes of a peer of the test's, without a bound; `false`: the other end is gone.
    pub(crate) fn peer_sends_unix(&mut self, id: SockId, bytes: &[u8]) -> bool {
        matches!(self.write_unix(id, [bytes].into_iter(), usize::MAX), Ok(Some(_)))
    }

    /// A peer of the test's takes what is there, at most so much.
    pub(crate) fn drain_unix(&mut self, id: SockId, most: usize) {
        let Some(Socket { kind: Kind::Unix(end), drain: Some(Drain { received, .. }), .. }) = self.sockets.get_mut(id) else {
            return;
        };
        let n = end.input.len().min(most);
        received.extend(end.input.drain(..n));
        if n > 0 {
            self.made_room_for_unix(id);
        }
    }
}

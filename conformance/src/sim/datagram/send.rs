//! What is sent, and what becomes of it.

use super::{LARGEST, Letter, Posted, is_broadcast};
use crate::sim::clock::Happening;
use crate::sim::fault::{Failure, Syscall};
use crate::sim::net::{Net, SockId};
use core::net::SocketAddr;
use plimsoll_core::{Addr, ErrorKind, Instant, Outgoing, UnixAddr};

impl Net {
    /// What keeps a datagram from leaving at all.
    pub(super) fn may_go_to(&mut self, id: SockId, to: SocketAddr) -> Result<(), ErrorKind> {
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
    pub(super) fn unix_mailbox(&mut self, id: SockId, to: &UnixAddr) -> Result<SockId, ErrorKind> {
        let other = self.unix_at(to)?;
        // `EPROTOTYPE`.
        let mailbox = self.mailbox(other).ok_or(ErrorKind::InvalidInput)?;
        if mailbox.other.is_some_and(|own| own != id) { Err(ErrorKind::PermissionDenied) } else { Ok(other) }
    }
}

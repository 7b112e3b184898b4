//! What arrives, and is received.

use super::{Letter, is_broadcast};
use crate::sim::clock::Happening;
use crate::sim::fault::{Failure, Syscall};
use crate::sim::net::{Kind, Net, Owner, SockId, Socket};
use bytes::BytesMut;
use core::net::SocketAddr;
use plimsoll_core::driver::Incoming;
use plimsoll_core::{Addr, ErrorKind};

impl Net {
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
}

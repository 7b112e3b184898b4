//! Datagram endpoints and their other ends.

use super::{GLANCE, Play, Stuck};
use crate::scenario::lane::{Arg, Event, pattern};
use crate::scenario::model::{Act, Actor, Given, Link, Target, There, Way};
use crate::scenario::stage_datagram::Opening;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use plimsoll_core::{Addr, Datagram, EndpointId, UnixAddr};

/// What `fill` sends is cut into these.
const PIECE: usize = 1000;

/// What a queued datagram counts beside its payload.
const OVERHEAD: usize = 8;

/// Nobody listens here: it is a port of the system's that has long been out of use.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

impl Play {
    /// The other ends, and what the endpoints are going to be made of.
    pub(super) fn open_datagrams(&mut self, link: &Link) -> Result<(), String> {
        let failed = |error: std::io::Error| error.to_string();
        let nobody = if link.kind.is_unix() {
            // There is a file, and nobody has it open.
            let at = self.host.place();
            drop(self.host.datagram_socket(&Datagram::on(at.clone())).map_err(failed)?);
            at
        } else {
            NOBODY.into()
        };
        self.stage().nobody = Some(nobody.clone());
        for index in 0..self.mailboxes.len() {
            let unnamed = Addr::from(UnixAddr::UNNAMED);
            let (opening, ends) = if link.way == Way::Adopt && link.given == Given::Connected && link.kind.is_unix() {
                let (socket, peer) = self.host.datagram_pair().map_err(failed)?;
                self.mailboxes[index] = Some(peer);
                (Opening::Adopt(socket), (unnamed.clone(), unnamed))
            } else {
                let at = if link.there == There::Nobody {
                    nobody.clone()
                } else {
                    let peer = self.host.mailbox().map_err(failed)?;
                    let at = peer.address();
                    self.mailboxes[index] = Some(peer);
                    at
                };
                let here = self.host.place();
                let open = Datagram::on(here.clone());
                let open = match link.way {
                    Way::Connect => open.remote_addr(at.clone()).broadcast(link.broadcast),
                    Way::Adopt if link.given == Given::Connected => open.remote_addr(at.clone()),
                    _ => open,
                };
                let opening = match link.way {
                    Way::Adopt => Opening::Adopt(self.host.datagram_socket(&open).map_err(failed)?),
                    _ => Opening::Open(open),
                };
                (opening, (here, at))
            };
            let live = &mut self.stage().connections[index];
            (live.opening, live.ends) = (Some(opening), Some(ends));
        }
        Ok(())
    }

    /// What the other end does.
    pub(super) fn mailbox(&mut self, index: usize, act: &Act) -> Result<(), Stuck> {
        match act {
            Act::Send(payload) => self.mail(index, &payload.bytes(), Target::App(index)),
            Act::SendTo(payload, target) => self.mail(index, &payload.bytes(), *target),
            Act::Recv(n) => {
                let mut left = *n;
                self.until(GLANCE, |play| {
                    while left > 0 && play.receive(index) {
                        left -= 1;
                    }
                    left == 0
                })
            }
            Act::DrainUntil(size) => self.until(GLANCE, |play| {
                while play.held(index) > *size {
                    if !play.receive(index) {
                        return false;
                    }
                    play.turn(Duration::ZERO);
                }
                true
            }),
            Act::Close => {
                self.mailboxes[index] = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn mail(&mut self, index: usize, payload: &[u8], to: Target) -> Result<(), Stuck> {
        let Some(at) = self.stage().address_of(to) else { return Err(Stuck) };
        if let Target::App(own) = to {
            let name = self.scenario.connections[own].name.clone();
            self.stage().record.streams(&name).sent.extend_from_slice(payload);
        }
        let lane = self.scenario.lane_of(Actor::Peer(index));
        self.stage().record.posted(&lane, payload);
        let named = !at.as_unix().is_some_and(UnixAddr::is_unnamed);
        self.until(GLANCE, |play| {
            play.mailboxes[index].as_mut().is_none_or(|mailbox| mailbox.send(payload, named.then_some(&at)))
        })
    }

    /// Receives one datagram; whether there was one.
    fn receive(&mut self, index: usize) -> bool {
        let Some((payload, from)) = self.mailboxes[index].as_mut().and_then(|mailbox| mailbox.receive()) else { return false };
        let sender = self.stage().sender(Actor::Peer(index), &from);
        self.note_peer(index, Event::new("dgram").with(Arg::Bytes(payload)).word(sender));
        true
    }

    /// Sends datagrams that count so much together, or more.
    pub(super) fn fill_datagrams(&mut self, index: usize, size: usize) {
        for _ in 0..size.div_ceil(PIECE + OVERHEAD) {
            let (hub, stage) = self.host.hub();
            let live = &mut stage.connections[index];
            let Some(id) = live.id.and_then(EndpointId::datagram) else { return };
            let bytes = pattern(live.filled, PIECE);
            live.filled += PIECE;
            let ends = live.ends.clone();
            stage.posts(index, &bytes);
            match (stage.scenario.link.way, ends) {
                (Way::Accept, Some((_, peer))) => hub.send_to(id, bytes, peer),
                _ => hub.send(id, bytes),
            };
        }
        self.settle();
    }
}

//! Datagram endpoints on the stage: what they are made of, whom they send to, and their callbacks.

use super::lane::Arg;
use super::model::{Actor, Target};
use super::stage::{Player, Stage, class, common_callbacks};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use plimsoll_core::{Addr, CloseReason, Context, Data, Datagram, DatagramId, DatagramProtocol, Error, Hub, OpenError, Resource};

/// What a datagram endpoint is made of.
#[derive(Debug)]
pub(crate) enum Opening {
    Open(Datagram),
    Adopt(Resource),
}

impl Stage {
    pub(super) fn open_datagram(&mut self, hub: &mut Hub<Self>, connection: usize, opening: Opening) {
        let (player, _) = self.player(connection, None);
        let id = match opening {
            Opening::Open(open) => hub.open_datagram(open, player),
            Opening::Adopt(socket) => hub.adopt_datagram_socket(socket, player),
        };
        self.opening(hub, connection, id);
    }

    /// The protocol of that name, for a datagram endpoint.
    pub(super) fn datagram_protocol(&self, connection: usize, name: &str) -> impl DatagramProtocol<Self> + 'static {
        self.player(connection, Some(name)).0
    }

    /// The application sends a datagram, whatever comes of it.
    pub(crate) fn posts(&mut self, connection: usize, payload: &[u8]) {
        let lane = self.lane(connection);
        self.record.posted(&lane, payload);
    }

    /// Whom a datagram goes to; `None` where nobody has a name.
    pub(crate) fn address_of(&self, target: Target) -> Option<Addr> {
        match target {
            Target::App(index) => Some(self.connections[index].ends.as_ref()?.0.clone()),
            Target::Peer(index) => Some(self.connections[index].ends.as_ref()?.1.clone()),
            Target::Nobody => self.nobody.clone(),
            Target::PortZero => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()),
            Target::OtherFamily => Some(SocketAddr::from((Ipv6Addr::LOCALHOST, 7)).into()),
        }
    }

    /// By whom a datagram was sent that came to one of the ends, as the files call him.
    pub(crate) fn sender(&self, at: Actor, from: &Addr) -> String {
        let (of, own): (fn(usize) -> Actor, usize) = match at {
            Actor::App(own) => (Actor::Peer, own),
            Actor::Peer(own) => (Actor::App, own),
            _ => return "other".into(),
        };
        let has = |&index: &usize| {
            let ends = self.connections[index].ends.as_ref();
            ends.is_some_and(|ends| (if matches!(at, Actor::App(_)) { &ends.1 } else { &ends.0 }) == from)
        };
        let found = [own].into_iter().chain(0..self.connections.len()).find(has);
        found.map_or_else(|| "other".into(), |index| self.scenario.lane_of(of(index)))
    }
}

impl DatagramProtocol<Stage> for Player {
    fn datagram_received(&mut self, cx: &mut Context<'_, Stage, DatagramId>, data: Data<'_>, from: &Addr) {
        let sender = cx.state.sender(Actor::App(self.connection), from);
        self.called(cx, "dgram", self.event("dgram").with(Arg::Bytes(data.to_vec())).word(sender));
    }

    fn error_received(&mut self, cx: &mut Context<'_, Stage, DatagramId>, error: Error) {
        self.called(cx, "err", self.event("err").word(class(Some(error.kind()))));
    }

    common_callbacks!(DatagramId);
}

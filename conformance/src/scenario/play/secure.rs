//! The TLS of the other ends: it has things to do by itself.

use super::{GLANCE, Play, Stuck};
use crate::scenario::host::PeerEnd;
use crate::scenario::model::{Act, Command, Given, Link, Scenario, Way};
use crate::scenario::secure::Manner;
use core::time::Duration;
use plimsoll_core::tls::Tls;

impl Play {
    /// How the application's ends are made secure; `None`: they are not, from the beginning.
    pub(super) fn security(&self) -> Result<Option<Tls>, String> {
        self.scenario.link.kind.is_secure().then(|| self.scenario.link.tls.of_app(self.serves_tls())).transpose()
    }

    /// Whether the application is the server of secure connections.
    fn serves_tls(&self) -> bool {
        self.scenario.link.is_server()
    }

    /// The other end of a connection that is secure from the beginning.
    pub(super) fn secured(&self, peer: Box<dyn PeerEnd>) -> Box<dyn PeerEnd> {
        let tls = &self.scenario.link.tls;
        if self.scenario.link.kind.is_secure() && tls.manner != Manner::Plain { self.upgraded(peer) } else { peer }
    }

    fn upgraded(&self, peer: Box<dyn PeerEnd>) -> Box<dyn PeerEnd> {
        // What it is made of is fixed, but for names that the parser has looked at.
        self.scenario.link.tls.of_peer(peer, !self.serves_tls()).expect("a configuration of ours")
    }

    /// The other end begins to speak TLS.
    pub(super) fn upgrade(&mut self, index: usize) {
        if let Some(peer) = self.peers[index].take() {
            self.peers[index] = Some(self.upgraded(peer));
        }
    }

    /// Waits until the other end has shaken hands, or cannot any more.
    pub(super) fn shakes_hands(&mut self, index: usize) -> Result<(), Stuck> {
        self.until(GLANCE, |play| !play.peers[index].as_ref().is_some_and(|peer| peer.is_shaking_hands()))
    }

    /// Lets the TLS of the other ends do what it has to. While the application closes and has nothing queued, they read ahead, to answer its closing word:
    /// nothing of the application's hangs on whether they do.
    pub(super) fn pump(&mut self) -> bool {
        let mut moved = false;
        for index in 0..self.peers.len() {
            if !self.peers[index].as_ref().is_some_and(|peer| peer.is_secure()) {
                continue;
            }
            let (hub, stage) = self.host.hub();
            let id = stage.connections[index].id;
            let ahead = id.is_some_and(|id| hub.is_closing(id) && hub.write_buffer_size(id) == 0);
            if let Some(peer) = &mut self.peers[index] {
                moved |= peer.pump(ahead);
            }
        }
        moved
    }

    /// One iteration: each end gets the other's answers before time passes. The limit of a handshake is not what comes next while the other end is on its way.
    pub(super) fn turn_securely(&mut self, patience: Duration) -> bool {
        let moved = self.pump();
        if patience.is_zero() {
            return self.host.turn(patience) || moved;
        }
        let more = self.host.glance();
        let moved = self.pump() || moved;
        // A peer that has just read may read more.
        let volume = self.stage().record.volume();
        let happened = core::mem::replace(&mut self.seen, volume) != volume;
        more || moved || happened || self.host.turn(patience.min(GLANCE))
    }
}

impl Scenario {
    /// Whether its connections are secure, or become so.
    pub(crate) fn has_tls(&self) -> bool {
        fn upgrades(commands: &[Command]) -> bool {
            commands.iter().any(|command| match &command.act {
                Act::StartTls(_) => true,
                Act::Turn(commands) => upgrades(commands),
                _ => false,
            })
        }
        let behaviours = self.connections.iter().map(|connection| &connection.behaviour).chain(self.protocols.values());
        let mut reactions = behaviours.flat_map(|behaviour| behaviour.on.values());
        self.link.kind.is_secure()
            || upgrades(&self.steps)
            || self.jobs.values().any(|job| upgrades(job))
            || reactions.any(|reaction| upgrades(&reaction.first) || upgrades(&reaction.each))
    }
}

impl Link {
    /// Whether the application is the one that is connected to.
    pub(crate) const fn is_server(&self) -> bool {
        match self.way {
            Way::Accept | Way::Server => true,
            Way::Connect => false,
            Way::Adopt => self.accepted || matches!(self.given, Given::Listening),
        }
    }
}

//! What is looked at when a scenario is over.

use super::{GLANCE, GULP, Play, QUIET};
use crate::scenario::host::Seen;
use crate::scenario::lane::Record;
use crate::scenario::stage::Stage;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use plimsoll_core::{Context, Data, Listen, Protocol};

/// Where a newcomer is served when all is over: at the address of this host that no scenario says anything of.
const FRESH: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 6999);

impl Play {
    /// What happened so far.
    pub(in crate::scenario) fn record(&mut self) -> &Record {
        &self.stage().record
    }

    /// What broke the grammar so far.
    pub(in crate::scenario) fn broken(&self) -> &[String] {
        &self.broken
    }

    /// Whether the loop still serves somebody who comes now; one that the scenario closed need not.
    pub(in crate::scenario) fn serves(&mut self) -> bool {
        if self.closed {
            return true;
        }
        self.peers.clear();
        self.mailboxes.clear();
        // It was possible before.
        let _ = self.host.limit_descriptors(false);
        let link = self.scenario.link.clone();
        let make = |_: &mut Stage, _| -> Option<Box<dyn Protocol<Stage>>> { Some(Box::new(Echo)) };
        let server = self.host.hub().0.listen_with(Listen::on(FRESH), make, |_, _, _| {});
        for _ in 0..QUIET {
            self.turn(Duration::ZERO);
        }
        let Some(mut peer) = self.host.connect_peer(&FRESH.into(), &link) else { return false };
        peer.send(b"alive?");
        let mut heard = Vec::new();
        let served = self.until(GLANCE, |_| {
            if let Seen::Bytes(bytes) = peer.read(GULP) {
                heard.extend(bytes);
            }
            heard == b"alive?"
        });
        drop(peer);
        self.host.hub().0.server_close(server);
        self.settle();
        served.is_ok()
    }
}

/// Says what it hears.
struct Echo;

impl Protocol<Stage> for Echo {
    fn data_received(&mut self, cx: &mut Context<'_, Stage>, data: Data<'_>) {
        cx.write(data);
    }
}

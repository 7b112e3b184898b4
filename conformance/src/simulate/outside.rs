//! The other hosts: raw ends that send, stall, finish, close and reset at any time.

use super::actor::{Role, World};
use super::flows;
use super::ledger::FlowKey;
use crate::sim::{Peer, PeerListener, Sim, SimLoop};
use core::net::SocketAddr;
use fastrand::Rng;
use plimsoll_core::WriteStatus;

struct RawEnd {
    peer: Peer,
    tx: FlowKey,
    rx: FlowKey,
    /// It has finished: it sends nothing more.
    finished: bool,
    told_eof: bool,
}

/// All raw ends of a world.
pub(crate) struct Outside {
    sim: Sim,
    rng: Rng,
    listener: Option<PeerListener>,
    ends: Vec<RawEnd>,
    pub(crate) targets: Vec<(SocketAddr, Role)>,
}

impl Outside {
    pub(crate) fn new(sim: &Sim, rng: Rng) -> Self {
        Self { sim: sim.clone(), rng, listener: None, ends: Vec::new(), targets: Vec::new() }
    }

    pub(crate) fn listen(&mut self, at: SocketAddr) -> SocketAddr {
        self.listener = Some(self.sim.listen_peer(at));
        at
    }

    /// Connects to one of the servers of the loop.
    pub(crate) fn open(&mut self, world: &mut SimLoop<World>) {
        let to = self.targets[self.rng.usize(..self.targets.len())].0;
        if self.targets[0].0 == to || self.ends.len() > 40 {
            return;
        }
        let peer = self.sim.connect_peer(to);
        let (tx, rx) = flows(peer.addr().port());
        self.ends.push(RawEnd { peer, tx, rx, finished: false, told_eof: false });
        self.act(world);
    }

    fn accept(&mut self) {
        while let Some(peer) = self.listener.as_ref().and_then(PeerListener::accept) {
            let (rx, tx) = flows(peer.remote().port());
            self.ends.push(RawEnd { peer, tx, rx, finished: false, told_eof: false });
        }
    }

    /// Looks at what has come.
    fn look(&mut self, world: &mut SimLoop<World>) {
        for end in &mut self.ends {
            let bytes = end.peer.recv();
            let ledger = &mut world.state().ledger;
            ledger.got(end.rx, &bytes);
            if end.peer.saw_eof() && !end.told_eof {
                end.told_eof = true;
                ledger.eof(end.rx);
            }
        }
    }

    /// One of them does something.
    pub(crate) fn act(&mut self, world: &mut SimLoop<World>) {
        self.accept();
        self.look(world);
        if self.ends.is_empty() {
            return;
        }
        let n = self.rng.usize(..self.ends.len());
        let end = &mut self.ends[n];
        match self.rng.u32(..24) {
            0 => {
                end.peer.eof();
                end.finished = true;
            }
            1 => self.ends.swap_remove(n).peer.close(),
            2 => self.ends.swap_remove(n).peer.reset(),
            3..6 => end.peer.stall(),
            6..10 => end.peer.drain(),
            10..13 => end.peer.read(self.rng.usize(..2000)),
            _ if !end.finished => {
                let most = [50, 3000, 100_000][self.rng.usize(..3)].min(world.state().most);
                let n = self.rng.usize(..most);
                let ledger = &mut world.state().ledger;
                let bytes = ledger.next(end.tx, n);
                if end.peer.send(&bytes) {
                    ledger.wrote(end.tx, n, WriteStatus::Accepted);
                }
            }
            _ => {}
        }
    }

    /// They read everything, and finish.
    pub(crate) fn end(&mut self, world: &mut SimLoop<World>) {
        self.accept();
        self.listener = None;
        for end in &self.ends {
            end.peer.drain();
            end.peer.eof();
        }
        self.look(world);
    }

    /// They close.
    pub(crate) fn finish(&mut self, world: &mut SimLoop<World>) {
        self.look(world);
        self.ends.clear();
    }
}

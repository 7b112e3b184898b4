//! Peers as data, played in the simulator.

use super::{Peer, SimLoop};
use core::time::Duration;
use plimsoll_core::testing::PeerStep;

impl<S> SimLoop<S> {
    /// The peer does these steps one after the other, as [`Harness::play`](plimsoll_core::testing::Harness::play) has it, but under the faults of this world. The peer, unless it has reset the
    /// connection.
    ///
    /// ```
    /// use plimsoll_conformance::sim::{Faults, Host, Sim, SimLoop};
    /// use plimsoll_core::testing::PeerStep;
    /// # use plimsoll_core::{Context, Data, Protocol};
    /// # struct Echo;
    /// # impl<S> Protocol<S> for Echo {
    /// #     fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
    /// #         cx.write(data);
    /// #     }
    /// # }
    /// let seed = 7;
    /// let world = Sim::new(seed, Faults::swarm(&mut fastrand::Rng::with_seed(seed)).harmless());
    /// let mut sim = SimLoop::within(&world, Host::Edge, ());
    /// let at = "127.0.0.1:7".parse().unwrap();
    /// sim.listen(at, |_: &mut (), _| Echo).unwrap();
    /// let peer = world.connect_peer(at);
    /// let peer = sim.play(peer, &[PeerStep::Send(b"hello".to_vec()), PeerStep::Wait(60_000)]).unwrap();
    /// assert_eq!(peer.recv(), b"hello");
    /// ```
    pub fn play(&mut self, peer: Peer, steps: &[PeerStep]) -> Option<Peer> {
        let mut finished = false;
        for step in steps {
            match step {
                PeerStep::Send(bytes) if !finished => {
                    peer.send(bytes);
                }
                PeerStep::Finish if !finished => {
                    peer.eof();
                    finished = true;
                }
                PeerStep::Take(bytes) => {
                    peer.stall();
                    peer.read((*bytes).into());
                }
                PeerStep::TakeAll => peer.drain(),
                PeerStep::Wait(time) => self.advance(Duration::from_millis((*time).into())),
                PeerStep::Reset => {
                    peer.reset();
                    self.settle();
                    return None;
                }
                _ => {}
            }
            self.settle();
        }
        Some(peer)
    }
}

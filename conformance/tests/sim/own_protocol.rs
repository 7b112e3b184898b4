//! A user's protocol, held to the same outcome in the harness and on every simulated kernel, whatever its peer does.

use plimsoll_conformance::sim::{Faults, Host, Sim, SimLoop};
use plimsoll_core::testing::{Harness, PeerStep};
use plimsoll_core::{Context, Data, Protocol};

struct Echo;

impl<S> Protocol<S> for Echo {
    fn connection_made(&mut self, cx: &mut Context<'_, S>) {
        cx.hub.read_follows_write(cx.id, cx.id);
    }

    fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
        cx.write(data);
    }
}

/// A peer that says something, listens now and then, and in the end to all of it.
fn peer(rng: &mut fastrand::Rng) -> Vec<PeerStep> {
    let mut steps: Vec<_> = (0..rng.usize(0..12))
        .map(|_| match rng.u8(0..6) {
            0..3 => PeerStep::Send((0..rng.usize(0..5000)).map(|_| rng.u8(..)).collect()),
            3 => PeerStep::Take(rng.u16(0..3000)),
            4 => PeerStep::TakeAll,
            _ => PeerStep::Wait(rng.u16(0..500)),
        })
        .collect();
    steps.extend([PeerStep::TakeAll, PeerStep::Finish, PeerStep::Wait(60_000)]);
    steps
}

/// What the peer has received at the end, in the harness.
fn in_memory(steps: &[PeerStep]) -> Vec<u8> {
    let mut t = Harness::new(());
    let c = t.connect(Echo);
    t.play(c, steps);
    assert!(t.is_closed(c) && t.trace(c).ends_with("lost(None)"), "{}", t.trace(c));
    t.sent(c)
}

//= READ-1, WRITE-1, FLOW-6, FLOW-7, EOF-2
#[test]
fn an_echo_is_the_same_in_the_harness_and_on_every_kernel() {
    for seed in 0..150 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let steps = peer(&mut rng);
        let expected: Vec<u8> =
            steps.iter().flat_map(|step| if let PeerStep::Send(bytes) = step { &bytes[..] } else { &[] }).copied().collect();
        assert!(in_memory(&steps) == expected, "seed {seed} in the harness");
        let quiet = Faults::swarm(&mut rng).harmless();
        for host in Host::ALL {
            let world = Sim::new(seed, quiet.clone());
            let mut sim = SimLoop::within(&world, host, ());
            let at = "127.0.0.1:7".parse().unwrap();
            sim.listen(at, |(): &mut (), _| Echo).unwrap();
            let dialled = world.connect_peer(at);
            let peer = sim.play(dialled, &steps).unwrap();
            assert!(peer.recv() == expected && peer.saw_eof(), "seed {seed} on {host:?}");
        }
    }
}

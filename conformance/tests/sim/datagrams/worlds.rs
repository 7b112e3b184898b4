//! Worlds that lose and exchange datagrams, and kernels of which every call may fail.

use super::{Notes, Sim, at, echo, kinds, open, payloads, script};
use core::time::Duration;
use plimsoll_conformance::sim::{Failure, Faults, Host, Sim as World, SimLoop, Syscall};
use plimsoll_core::{Addr, Datagram, ErrorKind, Resource, WriteLimits};

#[test]
fn in_a_calm_world_nothing_is_lost_and_nothing_is_exchanged() {
    //= DGRAM-2, DGRAM-11
    for host in Host::ALL {
        for seed in 0..20 {
            let mut faults = Faults::none();
            faults.latency = 0..=1_000_000;
            faults.completion = 0..=1_000_000;
            let world = World::new(seed, faults);
            let mut sim = SimLoop::within(&world, host, Notes::default());
            open(&mut sim, at(9), echo());
            let peer = world.datagram_peer(at(5));
            let all: Vec<Vec<u8>> = (0..100).map(|n| vec![n]).collect();
            for payload in &all {
                peer.send_to(payload, at(9));
            }
            sim.settle();
            assert_eq!(payloads(&peer), all, "seed {seed} on {host:?}");
        }
    }
}

#[test]
fn datagrams_are_lost_doubled_and_exchanged_as_the_world_has_it() {
    //= DGRAM-2, RUST-12
    for host in Host::ALL {
        let (mut lost, mut doubled, mut exchanged) = (0, 0, 0);
        for seed in 0..30 {
            let mut faults = Faults::none();
            (faults.lose_datagram, faults.duplicate_datagram, faults.reorder_datagram) = (100, 100, 200);
            faults.datagram_delay = 0..=1_000_000;
            faults.latency = 0..=1_000;
            let world = World::new(seed, faults);
            let mut sim = SimLoop::within(&world, host, Notes::default());
            open(&mut sim, at(9), script());
            let peer = world.datagram_peer(at(5));
            for n in 0..100 {
                peer.send_to([n], at(9));
            }
            sim.settle();
            let got: Vec<u8> = sim.state().got.iter().map(|(payload, _)| payload[0]).collect();
            let mut sorted = got.clone();
            sorted.sort_unstable();
            exchanged += usize::from(sorted != got);
            doubled += sorted.windows(2).filter(|pair| pair[0] == pair[1]).count();
            sorted.dedup();
            lost += 100 - sorted.len();
        }
        assert!(lost > 100 && doubled > 100 && exchanged > 20, "{lost} {doubled} {exchanged}");
    }
}

/// An exchange with everything in it: openings, answers, an error, an end.
fn exchange(host: Host, prepare: impl FnOnce(&World)) -> Sim {
    let world = World::calm();
    let mut sim = SimLoop::within(&world, host, Notes::default());
    prepare(&world);
    let server = sim.hub().open_datagram(at(9), echo());
    let unix = sim.hub().open_datagram(Addr::unix("/here"), echo());
    let client = sim.hub().open_datagram(Datagram::to(at(9)), script());
    let nobody = sim.hub().open_datagram(Datagram::to(at(11)), script());
    let (ours, theirs) = world.datagram_pair();
    let adopted = sim.hub().adopt_datagram_socket(Resource::new(ours), echo());
    sim.settle();
    let peer = world.datagram_peer(Addr::unix("/there"));
    for n in 0..3 {
        sim.hub().send(client, &[n]);
        sim.hub().send(nobody, &[n]);
        peer.send_to([n], Addr::unix("/here"));
        theirs.send([n]);
    }
    sim.advance(Duration::from_millis(20));
    for id in [server, unix, client, nobody, adopted] {
        sim.hub().close(id);
    }
    sim.advance(Duration::from_millis(20));
    sim.checker().assert_over();
    assert_eq!(world.descriptors(), 0);
    sim
}

#[test]
fn every_call_may_fail_in_every_way() {
    //= DGRAM-7, DGRAM-8, RUST-6, RUST-11
    for host in Host::ALL {
        let calls = exchange(host, World::number_calls).sim().calls();
        assert!(calls.len() > 20, "{calls:?}");
        for (number, call) in calls.iter().enumerate() {
            for &failure in call.failures() {
                for persists in [false, true] {
                    // What never goes on never ends, and neither do errors of a receive that are told one after the other.
                    if persists && (!matches!(failure, Failure::Error(_)) || *call == Syscall::RecvFrom) {
                        continue;
                    }
                    exchange(host, |world| {
                        world.number_calls();
                        if persists {
                            world.fail_calls(number, *call, failure);
                        } else {
                            world.fail_call(number, failure);
                        }
                    });
                }
            }
        }
    }
}

#[test]
fn whatever_goes_wrong_each_datagram_is_one_that_was_sent_and_the_queue_drains() {
    //= DGRAM-1, DGRAM-2, DGRAM-8, DGRAM-11, DGRAM-12, RUST-12
    for host in Host::ALL {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut faults = Faults::swarm(&mut rng);
            faults.descriptors = 1000;
            let world = World::new(seed, faults);
            let mut sim = SimLoop::within(&world, host, Notes::default());
            let unix = rng.bool();
            let (here, there) = if unix { (Addr::unix("/a"), Addr::unix("/b")) } else { (at(1).into(), at(2).into()) };
            let receiver = sim.hub().open_datagram(here.clone(), script());
            let sender = sim.hub().open_datagram(Datagram::on(there.clone()), script());
            sim.hub().set_write_buffer_limits(sender, WriteLimits::new(0, rng.usize(..50)).unwrap());
            for n in 0..100_u8 {
                sim.hub().send_to(sender, vec![n; usize::from(n % 7)], here.clone());
                if rng.u32(..10) == 0 {
                    sim.hub().pause_reading(receiver);
                } else if rng.u32(..5) == 0 {
                    sim.hub().resume_reading(receiver);
                }
                sim.run_once(Some(Duration::from_micros(rng.u64(..50))));
            }
            world.set_faults(Faults::none());
            sim.hub().resume_reading(receiver);
            sim.hub().close(sender);
            sim.advance(Duration::from_secs(2));
            assert_eq!(sim.hub().write_buffer_size(sender), 0);
            sim.hub().close(receiver);
            sim.advance(Duration::from_secs(2));
            sim.checker().assert_over();
            let got = &sim.state().got;
            let whole = got.iter().all(|(payload, from)| {
                *from == there
                    && payload.iter().all(|n| *n == payload[0])
                    && payload.first().is_none_or(|n| usize::from(n % 7) == payload.len())
            });
            assert!(whole, "seed {seed} on {host:?}");
            if unix {
                let refused = kinds(&sim.state().errors).iter().filter(|kind| **kind == ErrorKind::MessageTooLong).count();
                assert_eq!(sim.state().got.len() + refused, 100, "seed {seed} on {host:?}");
                let first: Vec<u8> = sim.state().got.iter().filter_map(|(payload, _)| payload.first().copied()).collect();
                assert!(first.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed} on {host:?}");
            }
            assert!(sim.take_reports().is_empty(), "seed {seed} on {host:?}");
            assert_eq!(world.descriptors(), 0);
        }
    }
}

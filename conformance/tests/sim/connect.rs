//! Several addresses, one connection: attempts that race on the simulated network, with exact times.

use super::common::{Cx, Notes, Sim, addr, on_every_host, script};
use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_conformance::sim::{Failure, Faults, Host, PeerListener, Syscall};
use plimsoll_core::{Addr, Call, Connect, ErrorKind, Instant, StreamId};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Answers after 40 ms.
fn good() -> SocketAddr {
    addr("10.0.0.10:80")
}

/// Refuses after 30 ms.
fn refusing() -> SocketAddr {
    addr("[2001:db8::20]:80")
}

/// Never answers; given up after 127 s, as Linux does.
fn hole() -> SocketAddr {
    addr("10.0.0.30:80")
}

const GIVES_UP: Duration = Duration::from_secs(127);

fn network(sim: &Sim) -> PeerListener {
    sim.sim().slow(good().ip(), ms(40));
    sim.sim().slow(refusing().ip(), ms(30));
    sim.sim().black_hole(hole().ip());
    sim.sim().listen_peer(good())
}

fn to(addrs: &[SocketAddr]) -> Connect {
    addrs[1..].iter().fold(Connect::to(addrs[0]), |connect, addr| connect.or(*addr))
}

/// Connects, and notes when it was made or failed.
fn open(sim: &mut Sim, connect: Connect) -> (StreamId, Instant) {
    let begun = sim.now();
    let since = move |cx: &Cx<'_>| cx.hub.now().saturating_since(begun).as_millis() as usize;
    let protocol = script()
        .made(move |cx| {
            cx.state.count = since(cx);
            cx.state.say("made");
        })
        .failed(move |cx| {
            cx.state.count = since(cx);
            cx.state.say("failed");
        });
    (sim.hub().connect(connect, protocol), begun)
}

fn finish(sim: &mut Sim) {
    let over = sim.run_until(1000, |sim| !sim.state().said.is_empty());
    assert!(over, "neither made nor failed");
}

#[test]
fn without_a_stagger_each_attempt_waits_for_the_one_before() {
    //= LOOP-1, LOOP-7, RUST-12
    on_every_host(|sim| {
        let server = network(sim);
        let (id, _) = open(sim, to(&[refusing(), hole(), good()]));
        finish(sim);
        assert_eq!(sim.state().count as u128, (ms(30) + GIVES_UP + ms(40)).as_millis());
        assert_eq!(sim.hub().peer_addr(id), Some(good().into()));
        assert_eq!(sim.sim().descriptors(), 1);
        assert!(server.accept().is_some());
    });
}

#[test]
fn with_a_stagger_an_attempt_begins_when_the_one_before_has_failed_or_its_time_is_up() {
    //= LOOP-7, LOOP-9, RUST-12
    let orders = [
        ([good(), hole(), refusing()], 40),
        ([good(), refusing(), hole()], 40),
        ([hole(), good(), refusing()], 250 + 40),
        ([hole(), refusing(), good()], 250 + 30 + 40),
        ([refusing(), good(), hole()], 30 + 40),
        ([refusing(), hole(), good()], 30 + 250 + 40),
    ];
    for (order, time) in orders {
        on_every_host(|sim| {
            let server = network(sim);
            let (id, _) = open(sim, to(&order).stagger(Connect::STAGGER).interleave(0));
            finish(sim);
            assert_eq!(sim.state().count, time, "{order:?}");
            assert_eq!(sim.hub().peer_addr(id), Some(good().into()));
            assert_eq!(sim.sim().descriptors(), 1);
            // Nothing comes of the others later.
            sim.advance(GIVES_UP);
            assert_eq!(sim.trace(id), "made");
            assert!(server.accept().is_some() && server.accept().is_none());
        });
    }
}

#[test]
fn the_first_to_answer_wins_and_the_other_is_closed() {
    //= LOOP-7, LOOP-9, LIFE-6
    // The first answers late, in the same moment as the second, or a moment after it.
    for first in [300, 290, 291] {
        on_every_host(|sim| {
            let slow = addr("10.0.0.40:80");
            let fast = network(sim);
            sim.sim().slow(slow.ip(), ms(first));
            let late = sim.sim().listen_peer(slow);
            let (id, _) = open(sim, to(&[slow, good()]).stagger(Connect::STAGGER));
            sim.hub().write(id, "early");
            finish(sim);
            assert_eq!(sim.state().count, 290);
            assert_eq!(sim.sim().descriptors(), 1);
            sim.advance(ms(1000));
            let (winner, loser) = match sim.hub().peer_addr(id) {
                Some(peer) if peer == Addr::from(slow) => (late, fast),
                _ => (fast, late),
            };
            let peer = winner.accept().expect("a connection");
            assert_eq!(peer.recv(), b"early");
            assert!(loser.accept().is_none_or(|loser| loser.saw_eof() || loser.error().is_some()));
            peer.send("hello");
            peer.eof();
            sim.settle();
            assert_eq!(sim.state().got, b"hello");
            assert_eq!(sim.trace(id), "made data(5) eof lost");
        });
    }
}

#[test]
fn what_the_peer_of_a_late_winner_sends_at_once_is_read() {
    //= LOOP-9, LIFE-6, READ-1
    on_every_host(|sim| {
        let server = network(sim);
        let (id, _) = open(sim, to(&[hole(), good()]).stagger(Connect::STAGGER));
        // It sends before our side is told that it is connected.
        let mut peer = None;
        let spoke = sim.run_until(1000, |_| {
            peer = server.accept();
            peer.is_some()
        });
        assert!(spoke);
        let peer = peer.unwrap();
        peer.send("welcome");
        sim.settle();
        assert_eq!((sim.trace(id).as_str(), &sim.state().got[..]), ("made data(7)", &b"welcome"[..]));
    });
}

#[test]
fn if_all_fail_each_is_named_in_its_order() {
    //= LOOP-6, RUST-9, LIFE-12
    on_every_host(|sim| {
        let _server = network(sim);
        let other = addr("10.0.0.21:80");
        let (_, _) = open(sim, to(&[hole(), refusing(), other]).stagger(ms(250)).interleave(0));
        finish(sim);
        assert_eq!(sim.state().count as u128, GIVES_UP.as_millis());
        let errors: Vec<_> = sim.state().failed[0].attempts().map(|(addr, error)| (addr.cloned(), error.kind())).collect();
        let expected = [
            (Some(hole().into()), ErrorKind::TimedOut),
            (Some(refusing().into()), ErrorKind::ConnectionRefused),
            (Some(other.into()), ErrorKind::ConnectionRefused),
        ];
        assert_eq!(errors, expected);
        assert_eq!(sim.sim().descriptors(), 0);
    });
}

#[test]
fn one_that_cannot_even_begin_makes_room_for_the_next_at_once() {
    //= LOOP-1, LOOP-7
    on_every_host(|sim| {
        let _server = network(sim);
        let nowhere = addr("192.0.2.1:80");
        sim.sim().unreachable(nowhere.ip());
        open(sim, to(&[nowhere, good()]));
        finish(sim);
        assert_eq!((sim.state().count, &sim.state().said[0][..]), (40, "made"));
    });
}

#[test]
fn an_opening_can_be_given_up_at_any_time_and_leaves_nothing() {
    //= LIFE-12, LOOP-9, RUST-9, RUST-11
    for time in (0..=330).step_by(10) {
        on_every_host(|sim| {
            let _server = network(sim);
            sim.sim().set_host("example.org", ms(20), Ok(&[hole(), refusing(), good()]));
            let (id, begun) = open(sim, Connect::host("example.org", 80).stagger(ms(250)).interleave(0));
            sim.run_until(1000, |sim| sim.now() >= begun.saturating_add(ms(time)) || !sim.state().said.is_empty());
            sim.run_once(Some(Duration::ZERO));
            let made = sim.state().said.contains(&"made".into());
            sim.hub().abort(id);
            sim.settle();
            assert_eq!((sim.sim().descriptors(), sim.sim().lookups()), (0, 0), "after {time} ms");
            // A lookup cannot be stopped, and a lost connection request not be taken back.
            sim.advance(GIVES_UP);
            assert_eq!(sim.trace(id), if made { "made lost" } else { "" }, "after {time} ms");
        });
    }
}

#[test]
fn a_loop_can_be_closed_at_any_time_and_leaves_nothing() {
    //= LIFE-18, LOOP-9
    for time in (0..=330).step_by(10) {
        on_every_host(|sim| {
            let _server = network(sim);
            sim.sim().set_host("example.org", ms(20), Ok(&[hole(), refusing(), good()]));
            let (_, begun) = open(sim, Connect::host("example.org", 80).stagger(ms(250)).interleave(0));
            sim.run_until(1000, |sim| sim.now() >= begun.saturating_add(ms(time)));
            sim.close();
            assert_eq!((sim.sim().descriptors(), sim.sim().lookups()), (0, 0), "after {time} ms");
        });
    }
}

#[test]
fn every_call_of_a_race_may_fail() {
    //= LOOP-6, LOOP-9, RUST-6, RUST-11, LIFE-13
    let race = |sim: &mut Sim| {
        let _server = network(sim);
        sim.sim().number_calls();
        let connect = to(&[hole(), good(), refusing()]).stagger(ms(250)).local_addr(addr("10.0.0.1:0"));
        let (id, _) = open(sim, connect.local_addr(addr("[::1]:0")));
        finish(sim);
        sim.hub().abort(id);
        sim.settle();
    };
    for host in Host::ALL {
        let mut sim = Sim::new(host, Notes::default());
        race(&mut sim);
        let calls = sim.sim().calls();
        assert!(calls.contains(&Syscall::Attach) && calls.len() > 4, "{calls:?}");
        for number in 0..calls.len() {
            for kind in [ErrorKind::OutOfMemory, ErrorKind::AddrInUse] {
                let mut sim = Sim::new(host, Notes::default());
                sim.sim().fail_call(number, Failure::Error(kind));
                race(&mut sim);
                let said = sim.state().said.clone();
                assert_eq!(said.len(), 1, "call {number} of {calls:?} fails with {kind:?} on {host:?}: {said:?}");
                assert_eq!(sim.sim().descriptors(), 0, "call {number} of {calls:?} fails with {kind:?} on {host:?}");
            }
        }
    }
}

#[test]
fn the_same_happens_on_a_bad_network() {
    //= LOOP-9, RUST-12, LIFE-1
    for seed in 0..200 {
        for host in Host::ALL {
            let mut faults = Faults::swarm(&mut fastrand::Rng::with_seed(seed));
            faults.descriptors = 100;
            let world = plimsoll_conformance::sim::Sim::new(seed, faults);
            let mut sim = Sim::within(&world, host, Notes::default());
            let _server = network(&sim);
            let slow = addr("10.0.0.40:80");
            world.slow(slow.ip(), ms(280));
            let _other = world.listen_peer(slow);
            let begun: Vec<_> = (0..4)
                .map(|n| {
                    let order = [[slow, good()], [good(), slow], [hole(), good()], [refusing(), slow]][n];
                    sim.hub().connect(
                        to(&order).stagger(ms(250)),
                        script().made(|cx| cx.state.say("made")).failed(|cx| cx.state.say("failed")),
                    )
                })
                .collect();
            let over = sim.run_until(100_000, |sim| sim.state().said.len() == begun.len());
            assert!(over, "seed {seed} on {host:?}: {:?}", sim.state().said);
            for id in begun {
                sim.hub().abort(id);
            }
            sim.advance(ms(1000));
            assert_eq!(world.descriptors(), 0, "seed {seed} on {host:?}: {}", world.sockets());
        }
    }
}

// ---- addresses of ours ----

#[test]
fn each_attempt_is_bound_to_the_first_address_of_its_family_that_can_be() {
    //= LOOP-5
    on_every_host(|sim| {
        let _server = network(sim);
        // Taken by another connection.
        let taken = addr("10.0.0.1:4000");
        let first = sim.hub().connect(Connect::to(good()).local_addr(taken), script());
        sim.settle();
        assert_eq!(sim.hub().local_addr(first), Some(taken.into()));

        let free = addr("10.0.0.1:4001");
        let connect = to(&[refusing(), good()]).local_addr(taken).local_addr(addr("[::1]:0")).local_addr(free);
        let (id, _) = open(sim, connect);
        finish(sim);
        assert_eq!(sim.state().count, 30 + 40);
        assert_eq!(sim.hub().local_addr(id), Some(free.into()));
    });
}

#[test]
fn an_address_without_one_of_ours_of_its_family_is_passed_over() {
    //= LOOP-5, LOOP-6
    on_every_host(|sim| {
        let _server = network(sim);
        let ours = addr("10.0.0.1:0");
        let (id, _) = open(sim, to(&[refusing(), good()]).local_addr(ours));
        finish(sim);
        // Without an attempt.
        assert_eq!(sim.state().count, 40);
        assert_eq!(sim.hub().peer_addr(id), Some(good().into()));

        sim.state().said.clear();
        open(sim, to(&[refusing()]).local_addr(ours));
        finish(sim);
        let error = &sim.state().failed[0];
        assert_eq!((error.error().call(), error.error().kind()), (Call::Bind, ErrorKind::InvalidInput));
        assert!(error.to_string().starts_with("10.0.0.1:0: bind"), "{error}");

        // One that is not this machine's is named too.
        sim.state().said.clear();
        open(sim, to(&[good()]).local_addr(addr("192.0.2.9:0")));
        finish(sim);
        let error = &sim.state().failed[1];
        assert!(error.to_string().starts_with("192.0.2.9:0: bind: address not available"), "{error}");
    });
}

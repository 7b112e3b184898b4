//! Openings and the clock: connects that fail, wait or are given up, callbacks soon and later.

use super::common::{Notes, accepted, addr, on_every_host, script};
use core::time::Duration;
use plimsoll_core::{Connect, ErrorKind, TimerId};

#[test]
fn a_refused_connect_fails_once_with_its_address() {
    //= LOOP-6, RUST-9, LIFE-1
    on_every_host(|sim| {
        let nobody = addr("127.0.0.1:9");
        let id = sim.hub().connect(nobody, script());
        sim.settle();
        assert_eq!(sim.trace(id), "open_failed");
        let error = &sim.state().failed[0];
        assert_eq!(error.error().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(error.attempts().map(|(at, _)| at).collect::<Vec<_>>(), [Some(&nobody.into())]);
        assert_eq!(sim.sim().descriptors(), 0);
    });
}

#[test]
fn a_connect_into_a_black_hole_times_out() {
    //= LOOP-6, RUST-12
    on_every_host(|sim| {
        let hole = addr("10.9.9.9:80");
        sim.sim().black_hole(hole.ip());
        let id = sim.hub().connect(hole, script());
        sim.advance(Duration::from_secs(126));
        assert_eq!(sim.trace(id), "");
        sim.advance(Duration::from_secs(2));
        assert_eq!(sim.trace(id), "open_failed");
        assert_eq!(sim.state().failed[0].error().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_connect_that_cannot_begin_fails_in_a_turn_of_its_own() {
    //= RUST-9, LOOP-5, LOOP-6
    on_every_host(|sim| {
        let there = addr("10.0.0.8:80");
        sim.sim().unreachable(there.ip());
        sim.hub().connect(there, script());
        sim.hub().connect(Connect::to(addr("10.0.0.7:80")).local_addr(addr("192.0.2.3:0")), script());
        assert!(sim.state().failed.is_empty());
        sim.settle();
        let kinds: Vec<_> = sim.state().failed.iter().map(|error| error.error().kind()).collect();
        assert_eq!(kinds, [ErrorKind::Unreachable, ErrorKind::AddrNotAvailable]);
    });
}

#[test]
fn an_opening_that_is_given_up_leaves_no_callback_and_no_descriptor() {
    //= LIFE-12, RUST-9, RUST-11
    on_every_host(|sim| {
        let listener = sim.sim().listen_peer(addr("10.0.0.9:80"));
        // At once; while the request is under way; and when it is made, but not told yet.
        for iterations in 0..4 {
            for abort in [false, true] {
                let id = sim.hub().connect(listener.addr(), script().lost(|cx, _| cx.state.say("lost")));
                for _ in 0..iterations {
                    sim.run_once(Some(Duration::ZERO));
                }
                let made = sim.trace(id) == "made";
                sim.hub().write(id, "never sent");
                if abort {
                    sim.hub().abort(id);
                } else {
                    sim.hub().close(id);
                }
                sim.settle();
                assert_eq!(sim.trace(id), if made { "made lost" } else { "" }, "after {iterations} iterations");
                assert_eq!(sim.sim().descriptors(), 0);
            }
        }
    });
}

#[test]
fn a_connection_is_made_before_anything_of_it_is_read() {
    //= LIFE-6, LIFE-7, INFO-2, INFO-3
    on_every_host(|sim| {
        let listener = sim.sim().listen_peer(addr("10.0.0.9:80"));
        let id = sim.hub().connect(
            listener.addr(),
            script().made(|cx| {
                let ends = (cx.hub.local_addr(cx.id), cx.hub.peer_addr(cx.id));
                cx.state.say(format!("{} {}", ends.0.unwrap(), ends.1.unwrap()));
            }),
        );
        let mut peer = None;
        while peer.is_none() {
            sim.run_once(Some(Duration::ZERO));
            peer = listener.accept();
        }
        let peer = peer.unwrap();
        peer.send("early");
        sim.settle();
        peer.eof();
        sim.settle();
        assert_eq!(sim.trace(id), "made data(5) eof lost");
        assert_eq!(sim.state().lost[0].ends().peer, Some(listener.addr().into()));
        assert!(sim.state().said[0].ends_with("10.0.0.9:80"));
    });
}

#[test]
fn scheduled_callbacks_run_in_order_each_once_and_not_in_the_same_pass() {
    //= LOOP-30
    on_every_host(|sim| {
        for n in 0..5 {
            sim.hub().call_soon(move |hub, notes| {
                notes.say(format!("{n}"));
                hub.call_soon(move |_, notes| notes.say(format!("{n} again")));
            });
        }
        sim.run_once(Some(Duration::ZERO));
        assert_eq!(sim.state().said, ["0", "1", "2", "3", "4"]);
        sim.run_once(Some(Duration::ZERO));
        assert_eq!(sim.state().said.len(), 10);
        assert_eq!(sim.state().said[5..], ["0 again", "1 again", "2 again", "3 again", "4 again"]);
        sim.settle();
        assert_eq!(sim.state().said.len(), 10);
    });
}

#[test]
fn timers_fire_in_order_never_early_and_cancelled_ones_never() {
    //= LOOP-31, RUST-12
    on_every_host(|sim| {
        let start = sim.now();
        let mut timers: Vec<TimerId> = Vec::new();
        for (n, ms) in [30, 10, 20, 10, 0, 30].into_iter().enumerate() {
            let timer = sim.hub().call_later(Duration::from_millis(ms), move |hub, notes| {
                assert!(hub.now().saturating_since(start) >= Duration::from_millis(ms));
                notes.say(format!("{n}"));
            });
            timers.push(timer.unwrap());
        }
        sim.hub().cancel_timer(timers[2]);
        sim.hub().cancel_timer(timers[2]);
        assert!(sim.hub().reset_timer(timers[1], Duration::from_millis(15)));
        sim.advance(Duration::from_millis(29));
        assert_eq!(sim.state().said, ["4", "3", "1"]);
        sim.advance(Duration::from_millis(1));
        assert_eq!(sim.state().said, ["4", "3", "1", "0", "5"]);
        sim.hub().cancel_timer(timers[0]);
        assert!(!sim.hub().reset_timer(timers[0], Duration::ZERO));
        sim.advance(Duration::from_secs(1));
        assert_eq!(sim.state().said.len(), 5);
    });
}

#[test]
fn a_timer_set_by_a_timer_does_not_run_in_the_same_pass() {
    //= LOOP-31, READ-3
    on_every_host(|sim| {
        fn again(hub: &mut plimsoll_core::Hub<Notes>, notes: &mut Notes) {
            notes.count += 1;
            hub.call_later(Duration::ZERO, again);
        }
        sim.hub().call_later(Duration::ZERO, again);
        for n in 1..10 {
            sim.run_once(None);
            assert_eq!(sim.state().count, n);
        }
    });
}

#[test]
fn a_protocols_timers_end_with_it() {
    //= LIFE-14, LOOP-31
    on_every_host(|sim| {
        let set = |cx: &mut super::common::Cx<'_>| {
            for seconds in 1..4 {
                cx.set_timer(Duration::from_secs(seconds));
            }
        };
        let (_a, first) = accepted(sim, script().made(set).timer(|cx| cx.state.say("first")));
        let (_b, second) = accepted(sim, script().made(set).timer(|cx| cx.state.say("second")));
        sim.advance(Duration::from_millis(1500));
        assert_eq!(sim.state().said, ["first", "second"]);
        sim.hub().set_protocol(first, script().timer(|cx| cx.state.say("successor")));
        sim.hub().close(second);
        sim.advance(Duration::from_secs(10));
        assert_eq!(sim.state().said, ["first", "second"]);
        sim.hub().set_timer(first, Duration::from_secs(1));
        sim.advance(Duration::from_secs(1));
        assert_eq!(sim.state().said, ["first", "second", "successor"]);
    });
}

#[test]
fn a_scheduled_callback_that_panics_stops_nothing() {
    //= LOOP-32
    on_every_host(|sim| {
        sim.hub().call_soon(|_, _| super::common::boom());
        sim.hub().call_later(Duration::from_secs(1), |_, _| super::common::boom());
        sim.hub().call_later(Duration::from_secs(1), |_, notes| notes.say("on"));
        sim.advance(Duration::from_secs(1));
        assert_eq!((sim.state().said.len(), super::common::panics(&sim.take_reports())), (1, 2));
    });
}

#[test]
fn a_loop_with_nothing_to_do_sleeps() {
    //= READ-4
    on_every_host(|sim| {
        sim.sim().change_faults(|faults| faults.spurious = 200);
        let (peer, id) = accepted(sim, script());
        sim.hub().call_later(Duration::from_secs(100), |_, _| {});
        let iterations = sim.iterations();
        sim.advance(Duration::from_secs(99));
        assert!(sim.iterations() - iterations < 50);
        assert_eq!(sim.trace(id), "made");
        drop(peer);
    });
}

//! Code of the application that panics.

use super::kit::{Rig, State, Tap, any_port, connect};
use crate::backend::{Addr, Cause, Context, EndpointId, HubExt, Observer, Report};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::panic::panic_any;
use std::rc::Rc;
use std::time::Duration;

/// What every loop must still do after a panic.
fn still_serves(rig: &mut Rig) {
    let (_, addr) = rig.serve(|| Tap::new("next").echo());
    let mut peer = connect(addr);
    peer.write_all(b"ping").unwrap();
    rig.until(|state| state.received("next") == b"ping");
    peer.read_exact(&mut [0; 4]).unwrap();
}

#[test]
fn a_callback_that_panics_costs_its_own_connection() {
    //= RUST-8, LIFE-2, LIFE-10, LIFE-13
    for callback in ["made", "data", "eof", "timer"] {
        let mut rig = Rig::new();
        let (_, mut bystander) = rig.serve_one(|| Tap::new("bystander").echo());
        let (server, mut peer) = rig.serve_one(move || {
            let tap = Tap::new("victim").on(callback, move |_| panic!("in {callback}"));
            let timer = |cx: &mut Context<'_, State>| {
                cx.set_timer(Duration::from_millis(1));
            };
            if callback == "timer" { tap.on("made", timer) } else { tap }
        });
        match callback {
            "data" => peer.write_all(b"x").unwrap(),
            "eof" => peer.shutdown(std::net::Shutdown::Write).unwrap(),
            _ => {}
        }
        rig.until_saw("victim lost(CallbackFailed)");
        let reason = &rig.state().reasons[0];
        assert_eq!(reason.cause(), Cause::CallbackFailed);
        rig.settle();
        let reported = rig.reported();
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert!(reported[0].ends_with(&format!("a callback panicked: in {callback}")), "{reported:?}");
        assert_eq!(rig.state().times("victim lost(CallbackFailed)"), 1);
        // Its socket is closed, its server goes on, and so does the bystander.
        let mut all = Vec::new();
        let _ = peer.read_to_end(&mut all);
        assert_eq!(all, b"");
        assert!(rig.event_loop.hub().is_serving(server.id()));
        bystander.write_all(b"?").unwrap();
        rig.until(|state| state.received("bystander") == b"?");
        still_serves(&mut rig);
    }
}

#[test]
fn flow_callbacks_that_panic_cost_their_connection() {
    //= RUST-8
    for callback in ["pause", "resume"] {
        let mut rig = Rig::new();
        let (_, mut peer) = rig.serve_one(move || {
            Tap::new("victim")
                .on("made", |cx| {
                    cx.write(vec![7; 8_000_000]);
                })
                .on(callback, |_| panic_any(String::from("as a string")))
        });
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            let _ = peer.read_to_end(&mut all);
        });
        rig.until_saw("victim lost(CallbackFailed)");
        let reported = rig.reported();
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert!(reported[0].ends_with("as a string"), "{reported:?}");
        reader.join().unwrap();
        still_serves(&mut rig);
    }
}

#[test]
fn a_last_callback_that_panics_keeps_nothing_open() {
    //= RUST-8, LIFE-13
    let mut rig = Rig::new();
    let (server, mut peer) = rig.serve_one(|| Tap::new("victim").on("lost", |_| panic!("at the end")));
    rig.event_loop.hub().wait_closed(server.id(), |_, state| state.note("over"));
    let id = rig.state().id("victim");
    rig.event_loop.hub().abort(id);
    rig.event_loop.hub().server_close(server.id());
    rig.until_saw("over");
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    assert_eq!(rig.reported().len(), 1);
    // An opening that failed has a last callback too.
    let (_kept, nobody) = super::kit::closed_port();
    rig.event_loop.hub().connect(nobody, Tap::new("client").on("refused", |_| panic!("refused")));
    rig.until_saw("client refused");
    assert_eq!(rig.reported().len(), 1);
    still_serves(&mut rig);
}

#[test]
fn a_factory_that_panics_costs_one_connection() {
    //= RUST-8, LIFE-9
    let mut rig = Rig::new();
    let mut calls = 0;
    let server = rig
        .event_loop
        .listen(any_port(), move |_: &mut State, _: Addr| {
            calls += 1;
            assert!(calls != 1, "no protocol today");
            Tap::new("second")
        })
        .unwrap();
    let mut first = connect(server.addr().inet().unwrap());
    let _second = connect(server.addr().inet().unwrap());
    rig.until_saw("second made");
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
    let reported = rig.reported();
    assert_eq!(reported.len(), 1);
    assert!(reported[0].ends_with("the factory panicked: no protocol today"), "{reported:?}");
    assert_eq!(rig.state().log, ["second made"]);
}

#[test]
fn scheduled_callbacks_that_panic_leave_the_others() {
    //= LOOP-32, RUST-8
    let mut rig = Rig::new();
    for n in 0..6 {
        let act = move |_: &mut crate::backend::Hub<State>, state: &mut State| {
            state.note(format!("{n}"));
            assert!(n % 2 == 0, "number {n}");
        };
        match n {
            0..2 => rig.event_loop.hub().call_soon(act),
            // All due at the same time.
            _ => drop(rig.event_loop.hub().call_later(Duration::from_millis(10), act)),
        }
    }
    rig.event_loop.remote().call_soon(|_, _| panic!("from afar")).unwrap();
    rig.until_saw("5");
    assert_eq!(rig.state().log, ["0", "1", "2", "3", "4", "5"]);
    let reported = rig.reported();
    assert_eq!(
        reported,
        ["number 1", "from afar", "number 3", "number 5"].map(|text| format!("a scheduled callback panicked: {text}"))
    );
}

#[test]
fn a_visitor_that_panics_costs_nothing() {
    //= RUST-8
    let mut rig = Rig::new();
    let (_, mut peer) =
        rig.serve_one(|| Tap::new("server").echo().on("made", |cx| cx.hub.with_socket(cx.id, |_| panic!("seen"))));
    peer.write_all(b"x").unwrap();
    rig.until_saw("server data");
    assert_eq!(rig.reported(), ["a scheduled callback panicked: seen"]);
}

#[test]
fn a_protocol_that_says_it_failed_is_reported_once() {
    //= RUST-8
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server").on("data", |cx| cx.fail("not what I expected")));
    peer.write_all(b"x").unwrap();
    rig.until_saw("server lost(CallbackFailed)");
    assert_eq!(rig.state().reasons[0].failure().unwrap().to_string(), "not what I expected");
    let reported = rig.reported();
    assert_eq!(reported.len(), 1);
    assert!(reported[0].ends_with("the protocol failed: not what I expected"), "{reported:?}");
}

#[test]
fn a_hook_that_panics_loses_no_loop() {
    //= RUST-8, LOOP-32
    let mut rig = Rig::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let sink = seen.clone();
    rig.event_loop.set_error_hook(move |report: Report| {
        sink.borrow_mut().push(report.to_string());
        panic!("the hook itself");
    });
    for n in 0..3 {
        rig.event_loop.hub().call_soon(move |hub, _| {
            hub.report(format!("report {n}"));
            panic!("panic {n}");
        });
    }
    rig.settle();
    assert_eq!(seen.borrow().len(), 6, "{seen:?}");
    still_serves(&mut rig);
}

#[test]
fn whatever_else_panics_is_reported_too() {
    //= RUST-8
    struct Jumpy(bool);
    impl Observer for Jumpy {
        fn event(&mut self, _: crate::backend::Instant, _: EndpointId, _: &crate::backend::Event<'_>) {
            if std::mem::take(&mut self.0) {
                panic!("watching");
            }
        }
    }
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("dropped");
            }
        }
    }
    let mut rig = Rig::new();
    rig.event_loop.set_observer(Box::new(Jumpy(true)));
    let (_, addr) = rig.serve(|| Tap::new("server"));
    let _peer = connect(addr);
    rig.settle();
    let reported = rig.reported();
    assert!(reported.len() == 1 && reported[0].ends_with("watching"), "{reported:?}");
    // A timer that is never called is dropped with the loop.
    let bomb = Bomb;
    rig.event_loop.hub().call_later(Duration::from_secs(100), move |_: &mut crate::backend::Hub<State>, _| drop(bomb));
    rig.event_loop.close();
    let reported = rig.reported();
    assert!(reported.iter().any(|report| report.ends_with("dropped")), "{reported:?}");
}

#[test]
fn pausing_and_closing_another_connection_while_panicking() {
    //= RUST-8, READ-14
    let mut rig = Rig::new();
    let (_, mut victim) = rig.serve_one(|| {
        Tap::new("victim").on("data", |cx: &mut Context<'_, State>| {
            let other = cx.state.id("other");
            cx.hub.write(other, b"farewell");
            cx.hub.close(other);
            panic!("after giving commands");
        })
    });
    let (_, mut other) = rig.serve_one(|| Tap::new("other"));
    victim.write_all(b"x").unwrap();
    rig.until(|state| state.saw("victim lost(CallbackFailed)") && state.saw("other lost(None)"));
    let mut all = Vec::new();
    other.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"farewell");
}

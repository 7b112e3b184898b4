//! What one iteration does, and how long it waits.

use super::kit::Rig;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn an_iteration_waits_for_no_longer_than_its_limit() {
    //= LOOP-31
    let mut rig = Rig::new();
    assert_eq!(rig.event_loop.poll_timeout(), None);
    let start = Instant::now();
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert!(start.elapsed() < Duration::from_millis(20));
    rig.event_loop.run_once(Some(Duration::from_millis(30))).unwrap();
    assert!((30..500).contains(&start.elapsed().as_millis()));

    // A timer shortens it.
    rig.event_loop.hub().call_later(Duration::from_millis(30), |_, state| state.note("timer"));
    let timeout = rig.event_loop.poll_timeout().unwrap();
    assert!(timeout > Duration::from_millis(10) && timeout <= Duration::from_millis(30), "{timeout:?}");
    let start = Instant::now();
    rig.event_loop.run_once(Some(LONG)).unwrap();
    assert!((30..500).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert_eq!(rig.state().log, ["timer"]);
}

#[test]
fn nothing_sleeps_while_there_is_something_to_call() {
    //= LOOP-30
    let mut rig = Rig::new();
    rig.event_loop.hub().call_soon(|hub, state| {
        state.note("first");
        hub.call_soon(|hub, state| {
            state.note("second");
            hub.call_soon(|_, state| state.note("third"));
        });
    });
    assert_eq!(rig.event_loop.poll_timeout(), Some(Duration::ZERO));
    let start = Instant::now();
    for (n, expected) in ["first", "second", "third"].into_iter().enumerate() {
        // A callback scheduled by a callback waits for the next iteration.
        rig.event_loop.run_once(Some(LONG)).unwrap();
        assert_eq!(rig.state().log.len(), n + 1);
        assert_eq!(rig.state().log[n], expected);
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(rig.event_loop.poll_timeout(), None);
}

#[test]
fn timers_are_called_in_order_and_never_early() {
    //= LOOP-31
    let mut rig = Rig::new();
    let start = Instant::now();
    for (after, name) in [(30, "c"), (10, "a"), (20, "b"), (30, "d"), (0, "at once")] {
        rig.event_loop.hub().call_later(Duration::from_millis(after), move |_, state| {
            assert!(start.elapsed() >= Duration::from_millis(after));
            state.note(name);
        });
    }
    let cancelled = rig.event_loop.hub().call_later(Duration::from_millis(5), |_, _| panic!("it was cancelled")).unwrap();
    rig.event_loop.hub().cancel_timer(cancelled);
    rig.until_saw("d");
    assert_eq!(rig.state().log, ["at once", "a", "b", "c", "d"]);
    assert_eq!(rig.reported(), [""; 0]);
}

#[test]
fn a_timer_set_from_outside_does_not_come_early_because_the_loop_was_idle() {
    //= LOOP-31
    let mut rig = Rig::new();
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    std::thread::sleep(Duration::from_millis(60));
    let start = Instant::now();
    rig.event_loop.hub().call_later(Duration::from_millis(40), |_, state| state.note("timer"));
    rig.until_saw("timer");
    assert!(start.elapsed() >= Duration::from_millis(40), "{:?}", start.elapsed());
}

#[test]
fn run_returns_after_the_iteration_in_which_it_was_stopped() {
    //= LOOP-30
    let mut rig = Rig::new();
    // Without waiting for anything.
    rig.event_loop.hub().call_later(LONG, |_, _| panic!("nobody waits for that"));
    rig.event_loop.hub().call_soon(|hub, state| {
        hub.stop();
        state.note("stopped");
        hub.call_soon(|_, state| state.note("next run"));
    });
    rig.event_loop.run().unwrap();
    assert_eq!(rig.state().log, ["stopped"]);
    // A stop that was said before: one iteration.
    rig.event_loop.hub().stop();
    rig.event_loop.run().unwrap();
    assert_eq!(rig.state().log, ["stopped", "next run"]);
    // By hand.
    assert!(!rig.event_loop.take_stop());
    rig.event_loop.hub().stop();
    rig.event_loop.run_once(Some(LONG)).unwrap();
    assert!(rig.event_loop.take_stop() && !rig.event_loop.take_stop());
    // Said while it was iterated by hand, and not asked for.
    rig.event_loop.hub().stop();
    rig.event_loop.run_once(Some(LONG)).unwrap();
    rig.event_loop.run().unwrap();
    assert!(!rig.event_loop.take_stop());
}

#[test]
fn run_waits_when_there_is_nothing_to_do() {
    //= THREAD-2
    let mut rig = Rig::new();
    let remote = rig.event_loop.remote();
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        remote.call_soon(|hub, _| hub.stop()).unwrap();
    });
    let start = Instant::now();
    rig.event_loop.run().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(40));
    sender.join().unwrap();
}

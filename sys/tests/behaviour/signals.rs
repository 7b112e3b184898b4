//! Signals of the process. Each test runs in a process of its own, which gets them.

use super::kit::{PATIENCE, Rig, State, Tap};
use crate::backend::{ErrorKind, Hub, HubExt};
use rustix::process::{Signal, kill_process};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const USR1: i32 = Signal::USR1.as_raw();
const USR2: i32 = Signal::USR2.as_raw();
const TERM: i32 = Signal::TERM.as_raw();

/// Runs a test in a process of its own, and says how that ended; `None` in that process: do what is to be tested.
#[track_caller]
fn in_a_process(name: &str) -> Option<ExitStatus> {
    const MARK: &str = "PLIMSOLL_TESTS_SIGNALS";
    if std::env::var_os(MARK).is_some() {
        return None;
    }
    let module = module_path!().split_once("::").unwrap().1;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", &format!("{module}::{name}")])
        .env(MARK, "1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return Some(status),
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{name} does not end");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The rest of the test runs in a process of its own, and has to go well.
macro_rules! alone {
    ($name:literal) => {
        if let Some(status) = in_a_process($name) {
            assert!(status.success(), "{status}");
            return;
        }
    };
}

/// To this thread, and done with when it returns: one that is sent to the process may be delivered later, to another thread.
fn raise(signal: Signal) {
    signal_hook::low_level::raise(signal.as_raw()).unwrap();
}

fn note(what: &'static str) -> impl FnMut(&mut Hub<State>, &mut State) {
    move |_, state| state.log.push(what.into())
}

#[test]
fn a_signal_is_a_callback_of_the_loop() {
    alone!("a_signal_is_a_callback_of_the_loop");
    let mut rig = Rig::new();
    let hub = rig.event_loop.hub();
    hub.on_signal(USR1, note("one")).unwrap();
    hub.on_signal(USR2, |hub, state| {
        state.note("two");
        hub.call_soon(|_, state| state.note("soon"));
    })
    .unwrap();
    assert_eq!(rig.settle(), [""; 0]);
    // While the loop waits, from another thread.
    let thread = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(30));
        raise(Signal::USR1);
    });
    let begin = Instant::now();
    while rig.state().log.is_empty() {
        rig.event_loop.run_once(Some(PATIENCE)).unwrap();
    }
    assert!(begin.elapsed() < PATIENCE / 2);
    thread.join().unwrap();
    // Between two iterations, several times: it is one call.
    for _ in 0..1000 {
        raise(Signal::USR1);
        raise(Signal::USR2);
    }
    rig.until_saw("soon");
    assert_eq!(rig.settle(), ["one", "one", "two", "soon"]);
    // And again.
    raise(Signal::USR1);
    rig.until(|state| state.times("one") == 3);
    assert_eq!(rig.reported(), [""; 0]);
}

#[test]
fn a_callback_is_replaced_and_removed() {
    alone!("a_callback_is_replaced_and_removed");
    let mut rig = Rig::new();
    let hub = rig.event_loop.hub();
    assert!(!hub.remove_signal(USR1));
    hub.on_signal(USR1, note("first")).unwrap();
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    // It has come before it is replaced, and is not lost.
    raise(Signal::USR1);
    rig.event_loop.hub().on_signal(USR1, note("second")).unwrap();
    rig.until_saw("second");
    // In its own callback, by one that removes itself.
    rig.event_loop
        .hub()
        .on_signal(USR1, |hub, state| {
            state.note("third");
            let last = |hub: &mut Hub<State>, state: &mut State| {
                state.note("fourth");
                assert!(hub.remove_signal(USR1));
                assert!(!hub.remove_signal(USR1));
                // And handles it anew.
                hub.on_signal(USR1, note("fifth")).unwrap();
            };
            hub.on_signal(USR1, last).unwrap();
        })
        .unwrap();
    for callback in ["third", "fourth", "fifth"] {
        raise(Signal::USR1);
        rig.until_saw(callback);
    }
    assert_eq!(rig.settle(), ["second", "third", "fourth", "fifth"]);
    // Removed when it has come, which another thread may have taken, and before it was called: nobody is.
    raise(Signal::USR1);
    std::thread::sleep(Duration::from_millis(100));
    assert!(rig.event_loop.hub().remove_signal(USR1));
    assert_eq!(rig.settle().len(), 4);
}

#[test]
fn several_loops_handle_the_same_signal() {
    alone!("several_loops_handle_the_same_signal");
    let mut rigs = [Rig::new(), Rig::new()];
    for rig in &mut rigs {
        rig.event_loop.hub().on_signal(USR1, note("told")).unwrap();
    }
    let other = std::thread::spawn(|| {
        let mut rig = Rig::new();
        rig.event_loop.hub().on_signal(USR1, note("told")).unwrap();
        rig.event_loop.hub().on_signal(USR2, note("ready")).unwrap();
        raise(Signal::USR2);
        rig.until_saw("ready");
        rig.until_saw("told");
    });
    // Until the other one handles it too, it may be told several times.
    while !other.is_finished() {
        raise(Signal::USR1);
        for rig in &mut rigs {
            rig.event_loop.run_once(Some(Duration::from_millis(1))).unwrap();
        }
    }
    other.join().unwrap();
    let [mut one, mut two] = rigs;
    one.until_saw("told");
    two.until_saw("told");
    // One loop ends, the other one goes on.
    one.event_loop.close();
    two.settle();
    two.state().log.clear();
    raise(Signal::USR1);
    two.until_saw("told");
    drop(one);
    raise(Signal::USR1);
    two.until(|state| state.times("told") == 2);
}

#[test]
fn what_cannot_be_handled_is_refused() {
    alone!("what_cannot_be_handled_is_refused");
    let mut rig = Rig::new();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    let never = [Signal::KILL, Signal::STOP, Signal::ILL, Signal::FPE, Signal::SEGV];
    let none = [-1, 0, 40, 64, 65, 1000, i32::MAX, i32::MIN];
    for signal in never.map(Signal::as_raw).into_iter().chain(none) {
        let error = rig.event_loop.hub().on_signal(signal, |_, _| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{signal}: {error}");
        assert!(!rig.event_loop.hub().remove_signal(signal));
    }
    assert_eq!(open(), before);
    assert_eq!(rig.reported(), [""; 0]);
}

#[test]
fn a_signal_that_nobody_handles_any_more_ends_the_process_again() {
    let name = "a_signal_that_nobody_handles_any_more_ends_the_process_again";
    if let Some(status) = in_a_process(name) {
        assert_eq!(status.signal(), Some(TERM), "{status}");
        return;
    }
    let mut rig = Rig::new();
    rig.event_loop.hub().on_signal(TERM, note("told")).unwrap();
    raise(Signal::TERM);
    rig.until_saw("told");
    rig.event_loop.hub().remove_signal(TERM);
    // Handled once more, after it was not.
    rig.event_loop.hub().on_signal(TERM, note("told")).unwrap();
    raise(Signal::TERM);
    rig.until(|state| state.times("told") == 2);
    rig.event_loop.hub().remove_signal(TERM);
    raise(Signal::TERM);
    std::thread::sleep(PATIENCE);
}

#[test]
fn the_end_of_the_loop_removes_its_callbacks() {
    let name = "the_end_of_the_loop_removes_its_callbacks";
    if let Some(status) = in_a_process(name) {
        assert_eq!(status.signal(), Some(TERM), "{status}");
        return;
    }
    let mut rig = Rig::new();
    rig.event_loop.hub().on_signal(TERM, note("told")).unwrap();
    raise(Signal::TERM);
    rig.until_saw("told");
    drop(rig);
    raise(Signal::TERM);
    std::thread::sleep(PATIENCE);
}

#[test]
fn a_callback_that_panics_is_removed() {
    //= RUST-8
    let name = "a_callback_that_panics_is_removed";
    if let Some(status) = in_a_process(name) {
        assert_eq!(status.signal(), Some(TERM), "{status}");
        return;
    }
    let mut rig = Rig::new();
    rig.event_loop.hub().on_signal(TERM, |_, _| panic!("not now")).unwrap();
    raise(Signal::TERM);
    let (_, mut peer) = rig.serve_one(|| Tap::new("server").echo());
    peer.write_all(b"ping").unwrap();
    rig.until(|state| state.received("server") == b"ping");
    rig.settle();
    let reported = rig.reported();
    assert!(reported.len() == 1 && reported[0].ends_with("a callback panicked: not now"), "{reported:?}");
    raise(Signal::TERM);
    std::thread::sleep(PATIENCE);
}

#[test]
fn a_child_has_the_signals_that_it_would_have_without_us() {
    alone!("a_child_has_the_signals_that_it_would_have_without_us");
    let mut rig = Rig::new();
    rig.event_loop.hub().on_signal(TERM, note("told")).unwrap();
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(TERM));
    assert_eq!(rig.settle(), [""; 0]);
}

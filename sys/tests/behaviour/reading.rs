//! When bytes are read, and when they are left where they are.

use super::Link;
use crate::behaviour::kit::{Family, Rigged, State, Tap, pattern};
use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

type Rig = Rigged<Link>;

#[test]
fn a_paused_reader_loses_nothing() {
    //= READ-5, READ-6, READ-7, READ-8, READ-9
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server").on("data", |cx| cx.pause_reading()));
    let id = rig.state().id("server");
    peer.write_all(b"one").unwrap();
    rig.until(|state| state.received("server") == b"one");
    assert!(!rig.event_loop.hub().is_reading(id));
    peer.write_all(b"two").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    rig.event_loop.hub().pause_reading(id);
    assert_eq!(rig.settle(), ["server made", "server data"]);
    // No new input is needed.
    rig.event_loop.hub().resume_reading(id);
    rig.event_loop.hub().resume_reading(id);
    rig.until(|state| state.received("server") == b"onetwo");
    assert_eq!(rig.settle(), ["server made", "server data"]);
    rig.event_loop.hub().resume_reading(id);
    rig.until_saw("server lost(None)");
    assert_eq!(rig.state().log, ["server made", "server data", "server eof", "server lost(None)"]);
}

#[test]
fn pausing_in_connection_made_holds_from_the_first_byte_on() {
    //= LIFE-7, READ-5, READ-6
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server").on("made", |cx| cx.pause_reading()));
    peer.write_all(b"early").unwrap();
    assert_eq!(rig.settle(), ["server made"]);
    let id = rig.state().id("server");
    rig.event_loop.hub().resume_reading(id);
    rig.until(|state| state.received("server") == b"early");
}

#[test]
fn a_paused_reader_does_not_keep_the_loop_busy() {
    //= READ-5, RUST-6
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server").on("made", |cx| cx.pause_reading()));
    peer.write_all(b"unread").unwrap();
    drop(peer);
    rig.settle();
    let mut rounds = 0;
    let end = std::time::Instant::now() + Duration::from_millis(200);
    while std::time::Instant::now() < end {
        rig.event_loop.run_once(Some(Duration::from_millis(50))).unwrap();
        rounds += 1;
    }
    assert!(rounds < 10, "{rounds} iterations although nothing was to be done");
}

#[test]
fn one_busy_peer_does_not_starve_the_others() {
    //= READ-3
    let mut rig = Rig::new();
    let (_, addr) = rig.serve(|| Tap::new("server").echo());
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = stop.clone();
    let (_, mut busy) = rig.serve_one(|| Tap::new("busy"));
    let busy = std::thread::spawn(move || {
        let block = pattern(1 << 20);
        while !flag.load(std::sync::atomic::Ordering::Relaxed) {
            busy.write_all(&block).unwrap();
        }
    });
    let mut quiet = Link::connect(addr);
    for _ in 0..20 {
        let (before, much) = (rig.state().received("server").len(), rig.state().received("busy").len());
        quiet.write_all(b"?").unwrap();
        rig.until(|state| state.received("server").len() > before && state.received("busy").len() > much);
    }
    let fired = std::rc::Rc::new(std::cell::Cell::new(false));
    let flag = fired.clone();
    rig.event_loop.hub().call_later(Duration::from_millis(20), move |_, _| flag.set(true));
    rig.until(|_| fired.get());
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    while !busy.is_finished() {
        rig.event_loop.run_once(Some(Duration::from_millis(10))).unwrap();
    }
    busy.join().unwrap();
}

#[test]
fn one_read_brings_no_more_than_a_block() {
    //= READ-3, READ-1
    let mut event_loop = crate::backend::small_block_loop(State::default(), 1000);
    let server = event_loop
        .listen(Link::anywhere(), |_, _| {
            Tap::new("server").on("data", |cx| {
                let len = cx.state.received("server").len();
                assert!(len - cx.state.count <= 1000);
                cx.state.count = len;
            })
        })
        .unwrap();
    let mut peer = Link::connect(Link::place(&server));
    let bytes = pattern(10_500);
    peer.write_all(&bytes).unwrap();
    while event_loop.state().count < bytes.len() {
        event_loop.run_once(Some(Duration::from_millis(10))).unwrap();
        assert!(event_loop.state().reasons.is_empty());
    }
    assert!(event_loop.state().received("server") == bytes);
}

#[test]
fn bytes_and_end_are_told_to_a_reader_that_resumes_in_another_callback() {
    //= READ-14, READ-6
    let mut rig = Rig::new();
    let (_, mut held) = rig.serve_one(|| Tap::new("held").on("made", |cx| cx.pause_reading()));
    let (_, mut key) = rig.serve_one(|| {
        Tap::new("key").on("data", |cx| {
            let held = cx.state.id("held");
            cx.hub.resume_reading(held);
        })
    });
    held.write_all(b"behind the door").unwrap();
    rig.settle();
    key.write_all(b"open").unwrap();
    rig.until(|state| state.received("held") == b"behind the door");
    assert_eq!(rig.state().log, ["held made", "key made", "key data", "held data"]);
}

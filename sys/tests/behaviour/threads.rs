//! The door from other threads.

use super::kit::{Rig, Tap};
use crate::backend::HubExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn four_threads_race_a_loop_that_falls_asleep_again_and_again() {
    //= THREAD-2, THREAD-3
    const THREADS: usize = 4;
    const ITEMS: usize = 20_000;
    let mut rig = Rig::new();
    let senders: Vec<_> = (0..THREADS)
        .map(|thread| {
            let remote = rig.event_loop.remote();
            thread::spawn(move || {
                for item in 0..ITEMS {
                    remote.call_soon(move |_, state| state.log.push(format!("{thread} {item}"))).unwrap();
                    if item % 64 == 0 {
                        // Long enough for the loop to sleep.
                        thread::sleep(Duration::from_micros(50));
                    }
                }
            })
        })
        .collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    while rig.state().log.len() < THREADS * ITEMS {
        // Without a limit: a wake-up that is lost would be noticed.
        rig.event_loop.run_once(Some(Duration::from_secs(30))).unwrap();
        assert!(Instant::now() < deadline, "a wake-up was lost");
    }
    for sender in senders {
        sender.join().unwrap();
    }
    let mut next = [0; THREADS];
    for entry in &rig.state().log {
        let (thread, item) = entry.split_once(' ').unwrap();
        let thread: usize = thread.parse().unwrap();
        assert_eq!(item.parse(), Ok(next[thread]), "out of order");
        next[thread] += 1;
    }
    assert_eq!(next, [ITEMS; THREADS]);
}

#[test]
fn a_sleeping_loop_is_woken_at_once() {
    //= THREAD-2
    let mut rig = Rig::new();
    let remote = rig.event_loop.remote();
    let sender = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        let sent = Instant::now();
        remote.call_soon(|_, state| state.note("item")).unwrap();
        sent
    });
    rig.event_loop.run_once(Some(Duration::from_secs(60))).unwrap();
    // It runs in the next iteration, which does not wait.
    assert_eq!(rig.event_loop.poll_timeout(), Some(Duration::ZERO));
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert_eq!(rig.state().log, ["item"]);
    assert!(sender.join().unwrap().elapsed() < Duration::from_secs(10));
}

#[test]
fn its_own_thread_may_use_it_too() {
    //= THREAD-2, THREAD-3
    let mut rig = Rig::new();
    let remote = rig.event_loop.remote();
    let inner = remote.clone();
    remote
        .call_soon(move |_, state| {
            state.note("one");
            inner.call_soon(|_, state| state.note("three")).unwrap();
        })
        .unwrap();
    remote.call_soon(|_, state| state.note("two")).unwrap();
    rig.until_saw("three");
    assert_eq!(rig.state().log, ["one", "two", "three"]);
}

#[test]
fn the_door_is_shut_behind_a_loop_that_is_closed() {
    //= THREAD-4
    struct Bell(Arc<AtomicUsize>);
    impl Drop for Bell {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let mut rig = Rig::new();
    let remote = rig.event_loop.remote();
    let dropped = Arc::new(AtomicUsize::new(0));
    let bell = Bell(dropped.clone());
    remote.call_soon(move |_, _| panic!("called after the end: {}", bell.0.load(Ordering::SeqCst))).unwrap();
    assert_eq!(remote.len(), 1);
    rig.event_loop.close();
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "what waits is dropped, once");
    assert!(remote.is_closed());
    let back = remote.call_soon(|_, state| state.note("given back")).unwrap_err();
    assert_eq!(back.to_string(), "the loop is closed");
    (back.0)(&mut crate::backend::Engine::new(super::kit::State::default()).hub_and_state().0, rig.state());
    assert_eq!(rig.state().log, ["given back"]);

    // Racing the end, each item is called, dropped, or given back.
    for _ in 0..50 {
        let rig = Rig::new();
        let remote = rig.event_loop.remote();
        let sender = thread::spawn(move || (0..).take_while(|_| remote.call_soon(|_, _| ()).is_ok()).count());
        drop(rig);
        sender.join().unwrap();
    }
}

#[test]
fn another_thread_writes_to_a_connection_by_its_id() {
    //= THREAD-1, THREAD-2
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server"));
    let id = rig.state().id("server");
    let remote = rig.event_loop.remote();
    let other = thread::spawn(move || {
        remote
            .call_soon(move |hub, state| {
                hub.write(id, b"from afar");
                hub.with_socket(id, |socket| assert!(socket.no_delay().unwrap()));
                state.note("written");
            })
            .unwrap();
    });
    rig.until_saw("written");
    other.join().unwrap();
    let mut got = [0; 9];
    std::io::Read::read_exact(&mut peer, &mut got).unwrap();
    assert_eq!(&got, b"from afar");
    assert_eq!(rig.reported(), [""; 0]);
}

//! The loop inside another one, which watches its poller; and the other one is not ours.

use super::kit::{Rig, Tap, any_port, connect};
use mio::unix::SourceFd;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn it_runs_inside_a_loop_that_is_not_ours() {
    //= LOOP-31, THREAD-2
    let mut rig = Rig::new();
    let (_, addr) = rig.serve(|| Tap::new("server").echo());
    let mut outer = mio::Poll::new().unwrap();
    let mut events = mio::Events::with_capacity(8);
    let descriptor = rig.event_loop.as_raw_fd();
    outer.registry().register(&mut SourceFd(&descriptor), mio::Token(7), mio::Interest::READABLE).unwrap();
    let mut turns = |rig: &mut Rig, reached: &mut dyn FnMut(&mut Rig) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut turns = 0;
        while !reached(rig) {
            assert!(Instant::now() < deadline, "{:?}", rig.state().log);
            let timeout = rig.event_loop.poll_timeout();
            if timeout != Some(Duration::ZERO) {
                outer.poll(&mut events, Some(timeout.unwrap_or(LONG).min(Duration::from_secs(1)))).unwrap();
            }
            rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
            turns += 1;
        }
        turns
    };

    // Sockets wake the outer loop,
    let peer = std::thread::spawn(move || {
        let mut peer = connect(addr);
        for n in 0..50_u8 {
            peer.write_all(&[n]).unwrap();
            let mut back = [0];
            peer.read_exact(&mut back).unwrap();
            assert_eq!(back, [n]);
        }
    });
    turns(&mut rig, &mut |rig| rig.state().saw("server lost(None)"));
    peer.join().unwrap();

    // timers end its sleep,
    let start = Instant::now();
    rig.event_loop.hub().call_later(Duration::from_millis(50), |_, state| state.note("timer"));
    let count = turns(&mut rig, &mut |rig| rig.state().saw("timer"));
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!(count < 50, "{count} turns for one timer");

    // and so do other threads.
    let remote = rig.event_loop.remote();
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        remote.call_soon(|_, state| state.note("remote")).unwrap();
    });
    let start = Instant::now();
    turns(&mut rig, &mut |rig| rig.state().saw("remote"));
    assert!(start.elapsed() < Duration::from_millis(900));
    sender.join().unwrap();
}

#[test]
fn more_sockets_than_one_wait_sees_are_all_served_inside_another_loop() {
    //= RUST-6
    // The outer poll tells once, for everything; the loop says by its timeout that there is more.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit.current.is_some_and(|most| most < 8000) {
        println!("skipped: no more than {:?} descriptors allowed", limit.current);
        return;
    }
    const MANY: usize = 1500;
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(any_port(), |_, _| Tap::new("server")).unwrap();
    let addr = server.addr().inet().unwrap();
    let mut peers = Vec::new();
    for n in 0..MANY {
        peers.push(connect(addr));
        rig.until(|state| state.made.len() > n);
    }
    let mut outer = mio::Poll::new().unwrap();
    let mut events = mio::Events::with_capacity(8);
    outer.registry().register(&mut SourceFd(&rig.event_loop.as_raw_fd()), mio::Token(7), mio::Interest::READABLE).unwrap();
    rig.settle();
    let _ = outer.poll(&mut events, Some(Duration::ZERO));
    for peer in &mut peers {
        peer.write_all(b"x").unwrap();
    }
    outer.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
    loop {
        rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
        if rig.event_loop.poll_timeout() != Some(Duration::ZERO) {
            break;
        }
    }
    assert_eq!(rig.state().received("server").len(), MANY);
}

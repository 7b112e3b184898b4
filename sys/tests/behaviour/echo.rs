//! Bytes there and back.

use super::Link;
use crate::backend::{Connect, StreamId, WriteStatus};
use crate::behaviour::kit::{Family, PATIENCE, Rigged, State, Tap, pattern};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

type Rig = Rigged<Link>;

/// Sends all, finishes, and reads until the end, on a thread of its own.
fn talk(addr: <Link as Family>::Place, bytes: Vec<u8>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let peer = Link::connect(addr);
        let mut writing = peer.try_clone().unwrap();
        let writer = thread::spawn(move || {
            writing.write_all(&bytes).unwrap();
            writing.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        (&peer).read_to_end(&mut back).unwrap();
        writer.join().unwrap();
        back
    })
}

#[test]
fn what_is_sent_comes_back_whole_and_in_order() {
    //= READ-1, WRITE-1, WRITE-3, EOF-2
    for len in [1, 63, 4096, 65_536, 65_537, 3_000_000] {
        let mut rig = Rig::new();
        let (_, addr) = rig.serve(|| Tap::new("server").echo());
        let bytes = pattern(len);
        let peer = talk(addr, bytes.clone());
        rig.until(|state| !state.reasons.is_empty());
        assert!(peer.join().unwrap() == bytes, "{len} bytes came back changed");
        assert_eq!(rig.state().log.first().unwrap(), "server made");
        assert_eq!(rig.state().log.last().unwrap(), "server lost(None)");
        assert_eq!(rig.state().reasons[0].discarded(), 0);
    }
}

#[test]
fn both_ends_may_be_in_one_loop() {
    //= READ-1, LIFE-1, LIFE-2, LIFE-6
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(Link::anywhere(), |_, _| Tap::new("server").echo()).unwrap();
    let client = Tap::new("client").on("data", |cx| {
        if cx.state.received("client").len() == 5 {
            cx.close();
        }
    });
    let id = rig.event_loop.hub().connect(server.addr(), client);
    // Accepted before there is a connection.
    assert_eq!(rig.event_loop.hub().write(id, b"hello"), WriteStatus::Accepted);
    rig.until(|state| state.reasons.len() == 2);
    assert_eq!(rig.state().received("client"), b"hello");
    let log = &rig.state().log;
    let of = |name: &str| log.iter().filter(|entry| entry.starts_with(name)).map(|entry| &entry[7..]).collect::<Vec<_>>();
    assert_eq!(of("client"), ["made", "data", "lost(None)"]);
    assert_eq!(of("server"), ["made", "data", "eof", "lost(None)"]);
}

#[test]
fn a_thousand_connections_at_once() {
    //= LIFE-1, LIFE-2, READ-1, LOOP-22
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < 3000) {
        println!("skipped: no more than {:?} descriptors allowed", limit.maximum);
        return;
    }
    let more = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, more).unwrap();
    const MANY: usize = 1000;

    let mut rig = Rig::new();
    let (_, addr) = rig.serve(|| Tap::new("server").echo());
    let peers = thread::spawn(move || {
        let mut peers: Vec<_> = (0..MANY).map(|_| Link::connect(addr)).collect();
        for round in 0..3 {
            for (n, peer) in peers.iter_mut().enumerate() {
                peer.write_all(&pattern(100 + n + round)).unwrap();
            }
            for (n, peer) in peers.iter_mut().enumerate() {
                let expected = pattern(100 + n + round);
                let mut back = vec![0; expected.len()];
                peer.read_exact(&mut back).unwrap();
                assert_eq!(back, expected);
            }
        }
    });
    rig.until(|state| state.reasons.len() == MANY);
    peers.join().unwrap();
    assert_eq!(rig.state().made.len(), MANY);
    assert!(rig.state().reasons.iter().all(|reason| reason.error().is_none()));
    assert_eq!(rig.reported(), [""; 0]);
}

/// Writes until it is told to stop, and once more each time it is told to go on.
fn flood(cx: &mut crate::backend::Context<'_, State>) {
    let block = pattern(10_000);
    loop {
        cx.state.count += block.len();
        if cx.write(&block) == WriteStatus::Paused {
            return;
        }
    }
}

#[test]
fn a_peer_that_never_reads_stops_its_writer_and_nobody_else() {
    //= WRITE-1, FLOW-6, FLOW-7, FLOW-8, RUST-3
    let mut rig = Rig::new();
    let mut made = 0;
    let (_, addr) = rig.serve(move || {
        made += 1;
        if made == 1 { Tap::new("flood").on("made", flood).on("resume", flood) } else { Tap::new("other").echo() }
    });
    let mut deaf = Link::connect(addr);
    rig.until_saw("flood made");
    let mut other = Link::connect(addr);
    other.write_all(b"ping").unwrap();
    rig.until(|state| state.received("other") == b"ping");
    let mut back = [0; 4];
    other.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"ping");

    // Its buffers fill up; then it is silent.
    rig.settle();
    let sent = rig.state().count;
    let id = rig.state().id("flood");
    assert_eq!(rig.state().log.iter().rfind(|entry| entry.starts_with("flood")).unwrap(), "flood pause");
    assert!(rig.event_loop.hub().is_writing_paused(id));
    let limits = rig.event_loop.hub().write_buffer_limits(id).unwrap();
    let size = rig.event_loop.hub().write_buffer_size(id);
    assert!(size > limits.low() && size <= limits.high() + 10_000, "{size} bytes are queued");
    rig.settle();
    assert_eq!(rig.state().count, sent);

    // It reads after all: the writer goes on.
    let resumed = rig.state().times("flood resume");
    let mut taken = vec![0; sent];
    let reader = thread::spawn(move || {
        deaf.read_exact(&mut taken).unwrap();
        (deaf, taken)
    });
    rig.until(|state| state.times("flood resume") > resumed && state.count > sent);
    let deadline = std::time::Instant::now() + PATIENCE;
    while !reader.is_finished() && std::time::Instant::now() < deadline {
        rig.settle();
    }
    let (_deaf, taken) = reader.join().unwrap();
    let expected: Vec<u8> = pattern(10_000).into_iter().cycle().take(sent).collect();
    assert!(taken == expected, "the bytes came changed");
}

#[test]
fn half_closed_both_ways() {
    //= EOF-1, EOF-3, EOF-6, EOF-10
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server").keep_open());
    let id = rig.state().id("server");

    // Ours is finished, theirs goes on.
    rig.event_loop.hub().write(id, b"last words");
    rig.event_loop.hub().write_eof(id).unwrap();
    rig.settle();
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"last words");
    peer.write_all(b"go on").unwrap();
    rig.until(|state| state.received("server") == b"go on");

    // Theirs is finished too: nothing more happens until we close it.
    peer.shutdown(Shutdown::Write).unwrap();
    rig.until_saw("server eof");
    assert_eq!(rig.settle(), ["server made", "server data", "server eof"]);
    rig.event_loop.hub().close(id);
    rig.until_saw("server lost(None)");
}

#[test]
fn a_peer_that_only_finishes_is_answered_at_leisure() {
    //= EOF-1, EOF-3, EOF-5, WRITE-13
    let mut rig = Rig::new();
    let late = |cx: &mut crate::backend::Context<'_, State>| {
        let id: StreamId = cx.id;
        cx.hub.call_later(std::time::Duration::from_millis(30), move |hub, _| {
            hub.write(id, b"the answer");
            hub.close(id);
        });
    };
    let (_, addr) = rig.serve(move || Tap::new("server").keep_open().on("eof", late));
    let mut peer = Link::connect(addr);
    peer.shutdown(Shutdown::Write).unwrap();
    rig.until_saw("server lost(None)");
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"the answer");
    assert_eq!(rig.state().log, ["server made", "server eof", "server lost(None)"]);
}

#[test]
fn the_last_bytes_and_the_end_arrive_together() {
    //= READ-1, READ-2, EOF-1
    // What an edge-triggered poller tells only once.
    for _ in 0..50 {
        let mut rig = Rig::new();
        let (_, mut peer) = rig.serve_one(|| Tap::new("server"));
        peer.write_all(b"bye").unwrap();
        drop(peer);
        rig.until_saw("server lost(None)");
        assert_eq!(rig.state().received("server"), b"bye");
        assert_eq!(rig.state().log, ["server made", "server data", "server eof", "server lost(None)"]);
    }
}

#[test]
fn many_pieces_are_sent_in_order() {
    //= WRITE-3, WRITE-5, WRITE-6, WRITE-7
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(Link::anywhere(), |_, _| Tap::new("server")).unwrap();
    let id = rig.event_loop.hub().connect(Connect::to(server.addr()), Tap::new("client"));
    let mut expected = Vec::new();
    for n in 0..100 {
        // Owned pieces of 1 KiB and more are queued as they are: one call cannot take them all.
        let (small, large) = (pattern(n), pattern(1024 + n * 50));
        expected.extend_from_slice(&small);
        expected.extend_from_slice(&large);
        rig.event_loop.hub().writelines(id, [small, Vec::new(), large]);
    }
    let len = expected.len();
    rig.until(|state| state.received("server").len() >= len);
    assert!(rig.state().received("server") == expected, "the bytes came changed");
}

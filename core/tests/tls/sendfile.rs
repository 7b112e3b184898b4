//! Files on secure connections: read and encrypted, a piece at a time.

use crate::certs::{VERSIONS, tls_client};
use crate::kit::{App, QUIET, State, connected, harness, talk, to};
use crate::peer::Peer;
use plimsoll_core::testing::Harness;
use plimsoll_core::{Bytes, ErrorKind, Refusal, Resource, StreamId, WriteStatus};

fn file(contents: &[u8]) -> Resource {
    Resource::new(Bytes::copy_from_slice(contents))
}

/// Larger than any block, and not a multiple of one.
fn contents() -> Vec<u8> {
    (0..300_001_u32).map(|n| (n ^ n >> 8) as u8).collect()
}

#[test]
fn a_file_goes_behind_what_is_queued_and_before_what_comes_later() {
    //= LOOP-28, LOOP-29, TLS-15
    for version in VERSIONS {
        let (mut t, id, mut peer) = connected(version, QUIET);
        let contents = contents();
        t.window(id, 0);
        t.hub().write(id, "before ");
        t.hub().send_resource(id, file(&contents), 10..=299_999).unwrap();
        assert_eq!(t.hub().write(id, "too early"), WriteStatus::Refused(Refusal::Busy));
        assert_eq!(t.hub().send_resource(id, file(b"x"), ..).unwrap_err().kind(), ErrorKind::Busy);
        t.run();
        // A window at a time: never more than one piece and its records is kept.
        let mut most = 0;
        while !t.trace(id).contains("sent") {
            t.window(id, 10_000);
            peer.input(&t.sent(id));
            most = most.max(t.hub().write_buffer_size(id));
        }
        assert!((1..=70_000).contains(&most), "{most} bytes were kept");
        assert_eq!(t.trace(id), "cm sent(299990)");
        t.window(id, usize::MAX);
        assert_eq!(t.hub().write(id, " after"), WriteStatus::Accepted);
        talk(&mut t, id, &mut peer);
        assert!(peer.received() == [b"before ", &contents[10..300_000], b" after"].concat());
        assert_eq!(t.hub().write_buffer_size(id), 0);
    }
}

#[test]
fn reading_is_held_meanwhile_and_an_end_waits_for_the_file() {
    //= LOOP-29, TLS-11, TLS-16
    for close in [false, true] {
        let (mut t, id, mut peer) = connected(VERSIONS[1], QUIET);
        t.window(id, 0);
        t.hub().send_resource(id, file(b"contents"), ..).unwrap();
        t.run();
        peer.write(b"question");
        t.feed(id, &peer.output());
        if close {
            t.hub().close(id);
        }
        t.run();
        assert_eq!(t.trace(id), "cm");
        t.window(id, usize::MAX);
        talk(&mut t, id, &mut peer);
        assert_eq!(peer.received(), b"contents");
        if close {
            assert!(peer.closed, "the closing word comes behind the file");
            peer.close();
            talk(&mut t, id, &mut peer);
            assert_eq!(t.trace(id), "cm sent(8) lost(None)");
        } else {
            assert_eq!(t.trace(id), "cm sent(8) data(question)");
        }
    }
}

#[test]
fn the_file_may_be_empty_or_unreadable_and_the_connection_goes_on() {
    //= LOOP-28, LOOP-29
    let (mut t, id, mut peer) = connected(VERSIONS[1], QUIET);
    t.hub().send_resource(id, file(b""), ..).unwrap();
    t.run();
    t.hub().send_resource(id, Resource::new("no file"), ..).unwrap();
    t.run();
    assert_eq!(t.hub().write(id, "x"), WriteStatus::Accepted);
    talk(&mut t, id, &mut peer);
    assert!(t.trace(id).starts_with("cm sent(0) sent("), "{}", t.trace(id));
    assert_eq!(peer.received(), b"x");
    assert!(!t.is_closed(id));
}

/// A file that is on its way when something happens.
fn interrupted(act: impl FnOnce(&mut Harness<State>, StreamId)) -> String {
    let (mut t, id, _) = connected(VERSIONS[1], QUIET);
    t.window(id, 100_000);
    t.hub().send_resource(id, file(&contents()), ..).unwrap();
    t.run();
    act(&mut t, id);
    t.run();
    assert!(t.is_closed(id));
    t.trace(id)
}

#[test]
fn a_loss_is_told_behind_the_file_that_it_ended() {
    //= LOOP-28, LOOP-29, TLS-14
    for trace in [interrupted(|t, id| t.hub().abort(id)), interrupted(|t, id| t.reset(id))] {
        let (file, lost) = trace.strip_prefix("cm sent(").unwrap().split_once(") ").unwrap();
        assert!(file.parse::<u64>().is_err() && lost.starts_with("lost"), "{trace}");
    }
}

#[test]
fn it_waits_for_no_handshake() {
    //= LOOP-29, TLS-18
    let made: App = App { made: |cx, _| cx.hub.send_resource(cx.id, file(b"at once"), ..).unwrap(), ..QUIET };
    let mut t = harness();
    let id = t.open(to().tls(tls_client(VERSIONS[1])), made);
    t.run();
    assert_eq!(t.hub().send_resource(id, file(b"x"), ..).unwrap_err().kind(), ErrorKind::Busy);
    let mut peer = Peer::server(VERSIONS[1]);
    talk(&mut t, id, &mut peer);
    assert_eq!((t.trace(id).as_str(), peer.received()), ("cm sent(7)", b"at once".to_vec()));

    let mut t = harness();
    let id = t.connect(QUIET);
    t.window(id, 0);
    t.hub().send_resource(id, file(b"in the clear"), ..).unwrap();
    assert_eq!(t.hub().start_tls(id, &tls_client(VERSIONS[1]), b"").unwrap_err().error().kind(), ErrorKind::Busy);
    t.window(id, usize::MAX);
    t.run();
    t.hub().start_tls(id, &tls_client(VERSIONS[1]), b"").unwrap();
    t.run();
    assert_eq!(t.hub().send_resource(id, file(b"x"), ..).unwrap_err().kind(), ErrorKind::Busy);
}

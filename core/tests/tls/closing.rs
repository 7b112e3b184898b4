//! How secure connections end.

use crate::certs::VERSIONS;
use crate::kit::{App, ECHO, QUIET, State, connected, talk};
use crate::peer::Peer;
use core::time::Duration;
use plimsoll_core::testing::Harness;
use plimsoll_core::{Cause, ErrorKind, Refusal, StreamId, WriteStatus};

fn cause(t: &mut Harness<State>) -> (Cause, Option<ErrorKind>) {
    let reason = t.state().reasons.pop().unwrap();
    (reason.cause(), reason.error().map(|error| error.kind()))
}

#[test]
fn a_close_sends_everything_says_so_and_waits_for_the_answer() {
    //= TLS-11, TLS-12, CLOSE-1
    for version in VERSIONS {
        let (mut t, id, mut peer) = connected(version, QUIET);
        t.window(id, 10);
        t.hub().write(id, "the last words");
        t.hub().close(id);
        assert_eq!(t.hub().write(id, "too late"), WriteStatus::Discarded);
        t.run();
        t.window(id, usize::MAX);
        peer.input(&t.sent(id));
        assert_eq!((peer.received(), peer.closed, t.trace(id).as_str()), (b"the last words".to_vec(), true, "cm"));
        peer.close();
        t.feed(id, &peer.output());
        assert_eq!(t.trace(id), "cm lost(None)");
        assert_eq!(cause(&mut t), (Cause::LocalClose, None));
        assert!(t.is_closed(id) && !t.is_finished(id));
    }
}

#[test]
fn the_end_of_the_connection_is_as_good_as_an_answer() {
    //= TLS-11
    let (mut t, id, _) = connected(VERSIONS[1], QUIET);
    t.hub().close(id);
    t.run();
    t.eof(id);
    assert_eq!(t.trace(id), "cm lost(None)");
}

#[test]
fn our_closing_word_is_said_before_the_end_of_the_connection_counts() {
    //= TLS-4, TLS-11, TLS-17
    for reads in [true, false] {
        let (mut t, id, mut peer) = connected(VERSIONS[1], QUIET);
        t.window(id, 1);
        t.hub().close(id);
        t.run();
        peer.input(&t.sent(id));
        t.eof(id);
        assert_eq!(t.trace(id), "cm");
        if reads {
            t.window(id, usize::MAX);
            peer.input(&t.sent(id));
            assert!(peer.closed);
            assert_eq!(t.trace(id), "cm lost(None)");
        } else {
            t.advance(Duration::from_secs(30));
            assert_eq!(t.trace(id), "cm lost(timed out)");
        }
    }
}

#[test]
fn an_answer_that_does_not_come_is_waited_for_so_long_and_no_longer() {
    //= TLS-4, RUST-12
    let (mut t, id, _) = connected(VERSIONS[1], QUIET);
    t.advance(Duration::from_secs(500));
    t.hub().close(id);
    t.advance(Duration::from_millis(29_999));
    assert_eq!(t.trace(id), "cm");
    t.advance(Duration::from_millis(1));
    assert_eq!(t.trace(id), "cm lost(timed out)");
    assert_eq!(cause(&mut t), (Cause::TimedOut, Some(ErrorKind::TimedOut)));
}

#[test]
fn what_the_peer_sends_after_our_close_is_thrown_away() {
    //= TLS-13, CLOSE-1
    let (mut t, id, mut peer) = connected(VERSIONS[1], QUIET);
    t.hub().close(id);
    t.run();
    peer.write(&[7; 100_000]);
    t.feed(id, &peer.output());
    assert_eq!(t.trace(id), "cm");
    peer.close();
    t.feed(id, &peer.output());
    assert_eq!(t.trace(id), "cm lost(None)");
}

#[test]
fn the_peers_closing_word_is_an_end_of_file_and_answered() {
    //= TLS-8, TLS-7
    for keep in [false, true] {
        let (mut t, id, mut peer) = connected(VERSIONS[1], App { eof: keep, ..ECHO });
        peer.write(b"bye");
        peer.close();
        t.feed(id, &peer.output());
        assert_eq!(t.trace(id), "cm data(bye) eof lost(None)");
        peer.input(&t.sent(id));
        assert_eq!((peer.received(), peer.closed), (b"bye".to_vec(), true));
        assert_eq!(cause(&mut t), (Cause::PeerEof, None));
        assert_eq!(t.reports().len(), usize::from(keep));
    }
}

#[test]
fn the_queue_is_sent_before_a_closing_word_is_answered() {
    //= TLS-17
    let (mut t, id, mut peer) = connected(VERSIONS[1], QUIET);
    t.window(id, 0);
    t.hub().write(id, vec![5; 100_000]);
    t.run();
    peer.close();
    t.feed(id, &peer.output());
    assert_eq!(t.trace(id), "cm eof");
    t.window(id, usize::MAX);
    peer.input(&t.sent(id));
    assert_eq!((peer.received().len(), peer.closed, t.trace(id).as_str()), (100_000, true, "cm eof lost(None)"));

    let (mut t, id, mut peer) = connected(VERSIONS[1], QUIET);
    t.window(id, 0);
    t.hub().write(id, vec![5; 100_000]);
    t.run();
    peer.close();
    t.feed(id, &peer.output());
    t.reset(id);
    t.window(id, usize::MAX);
    assert_eq!(t.trace(id), "cm eof lost(broken pipe)");
}

#[test]
fn there_is_no_half_close() {
    //= TLS-6, EOF-7
    let (mut t, id, mut peer) = connected(VERSIONS[1], ECHO);
    assert!(!t.hub().can_write_eof(id));
    assert_eq!(t.hub().write_eof(id), Err(Refusal::Unsupported));
    peer.write(b"unharmed");
    talk(&mut t, id, &mut peer);
    assert_eq!((peer.received(), t.is_finished(id)), (b"unharmed".to_vec(), false));
}

#[test]
fn an_end_without_a_closing_word_is_an_error() {
    //= TLS-9
    let (mut t, id, mut peer) = connected(VERSIONS[1], QUIET);
    peer.write(b"whole");
    let mut wire = peer.output();
    peer.write(b"half a record");
    let half = peer.output();
    wire.extend_from_slice(&half[..half.len() - 1]);
    t.feed(id, &wire);
    t.eof(id);
    assert_eq!(t.trace(id), "cm data(whole) lost(finished without close_notify)");
    assert_eq!(cause(&mut t), (Cause::ReadFailed, Some(ErrorKind::TlsTruncated)));
}

#[test]
fn an_end_without_a_closing_word_can_be_allowed() {
    //= TLS-9
    let mut t = crate::kit::harness();
    let id = t.open(crate::kit::to().tls(crate::certs::tls_client(VERSIONS[1]).allow_truncation(true)), QUIET);
    let mut peer = Peer::server(VERSIONS[1]);
    talk(&mut t, id, &mut peer);
    peer.write(b"all");
    t.feed(id, &peer.output());
    t.eof(id);
    // Our closing word goes out, and nobody is left to answer it.
    peer.input(&t.sent(id));
    assert!(peer.closed);
    assert_eq!(t.trace(id), "cm data(all) eof lost(None)");
}

#[test]
fn what_was_decrypted_comes_before_an_error() {
    //= TLS-10
    let (mut t, id, mut peer) = connected(VERSIONS[1], App { data: |cx, _| cx.pause_reading(), ..QUIET });
    peer.write(b"good");
    let mut wire = peer.output();
    peer.write(b"corrupt");
    let mut corrupt = peer.output();
    let last = corrupt.len() - 1;
    corrupt[last] ^= 1;
    wire.extend_from_slice(&corrupt);
    t.hub().pause_reading(id);
    t.run();
    t.hub().resume_reading(id);
    t.feed(id, &wire);
    assert_eq!(t.trace(id), "cm data(good) lost(TLS error)");
    peer.input(&t.sent(id));
    assert!(matches!(peer.error, Some(rustls::Error::AlertReceived(_))), "the peer is told");
    let reason = t.state().reasons.pop().unwrap();
    assert!(reason.failure().unwrap().to_string().contains("decrypt"), "{:?}", reason.failure());

    let (mut t, id, mut peer) = connected(VERSIONS[1], QUIET);
    peer.write(b"good");
    t.feed(id, &peer.output());
    t.reset(id);
    assert_eq!(t.trace(id), "cm data(good) lost(connection reset by peer)");
}

#[test]
fn a_bad_record_is_the_error_also_where_its_alert_cannot_be_sent() {
    //= TLS-10, CLOSE-4
    let (mut t, id, mut peer) = connected(VERSIONS[1], QUIET);
    t.hub().pause_reading(id);
    t.run();
    peer.write(b"corrupt");
    t.feed(id, &spoilt(peer.output()));
    t.reset(id);
    t.hub().resume_reading(id);
    t.run();
    assert_eq!(t.trace(id), "cm lost(TLS error)");
    assert!(t.state().reasons[0].failure().is_some());
}

fn aborted(act: impl FnOnce(&mut Harness<State>, StreamId)) -> Vec<u8> {
    let (mut t, id, _) = connected(VERSIONS[1], QUIET);
    act(&mut t, id);
    t.hub().abort(id);
    t.advance(Duration::from_secs(100));
    assert_eq!(t.trace(id), "cm lost(None)");
    assert!(t.is_closed(id));
    t.sent(id)
}

#[test]
fn an_abort_says_nothing_and_waits_for_nobody() {
    //= TLS-14, CLOSE-2
    assert_eq!(aborted(|_, _| {}), b"");
    let notify = aborted(|t, id| {
        t.hub().close(id);
        t.run();
    });
    assert!(!notify.is_empty(), "an orderly end had begun");
    assert_eq!(
        aborted(|t, id| {
            t.window(id, 0);
            t.hub().write(id, "dropped");
            t.run();
        }),
        b""
    );
}

/// One bit of the last byte is another one.
fn spoilt(mut wire: Vec<u8>) -> Vec<u8> {
    *wire.last_mut().unwrap() ^= 1;
    wire
}

#[test]
fn behind_our_closing_word_a_record_that_cannot_be_decrypted_is_thrown_away_like_any_other() {
    //= TLS-11, TLS-13, RUST-6
    for version in VERSIONS {
        for piece in [1, 7, usize::MAX] {
            let (mut t, id, mut peer) = connected(version, QUIET);
            t.hub().close(id);
            t.run();
            peer.write(b"nobody asks");
            let wire = spoilt(peer.output());
            wire.chunks(piece).for_each(|piece| t.feed(id, piece));
            assert_eq!(t.trace(id), "cm");
            peer.close();
            peer.output().chunks(piece).for_each(|piece| t.feed(id, piece));
            assert_eq!(t.trace(id), "cm lost(None)");
            assert!(t.reports().is_empty());
        }
    }
}

#[test]
fn the_answer_to_our_closing_word_may_be_spoilt_and_is_one_all_the_same() {
    //= TLS-11, RUST-6
    for version in VERSIONS {
        let (mut t, id, mut peer) = connected(version, QUIET);
        // The beginning of a record is there already, and its end comes behind our word.
        peer.write(b"half");
        let half = peer.output();
        t.feed(id, &half[..9]);
        t.hub().close(id);
        t.run();
        t.feed(id, &half[9..]);
        assert_eq!(t.trace(id), "cm");
        peer.close();
        t.feed(id, &spoilt(peer.output()));
        assert_eq!(t.trace(id), "cm lost(None)");
    }
}

#[test]
fn what_is_no_record_behind_our_closing_word_is_an_error() {
    //= TLS-10, RUST-6
    for wire in [&b"HTTP/1.1 200 OK"[..], &[23, 3, 3, 0xff, 0xff], &[0; 5]] {
        let (mut t, id, mut peer) = connected(VERSIONS[1], QUIET);
        t.hub().close(id);
        t.run();
        let word = t.sent(id);
        peer.input(&word);
        t.feed(id, wire);
        assert_eq!(t.trace(id), "cm lost(TLS error)");
        assert!(t.sent(id).is_empty(), "nothing follows a closing word");
    }
}

#[test]
fn what_was_agreed_upon_is_known_until_the_connection_is_lost() {
    //= INFO-5, INFO-2
    let ends: [fn(&mut Harness<State>, StreamId, &mut Peer); 5] = [
        |t, id, _| t.reset(id),
        |t, id, _| t.eof(id),
        |t, id, _| t.hub().abort(id),
        |t, id, peer| {
            peer.close();
            t.feed(id, &peer.output());
        },
        |t, id, _| t.feed(id, b"this is no record at all"),
    ];
    for version in VERSIONS {
        for end in ends {
            let (mut t, id, mut peer) = connected(version, QUIET);
            let before = t.hub().tls_info(id).unwrap();
            end(&mut t, id, &mut peer);
            t.run();
            let [(info, resumed)] = &t.state().infos[..] else { panic!("{:?}", t.state().infos) };
            assert_eq!(info.as_ref(), Some(&before));
            assert_eq!((before.peer_certificates.len(), before.server_name.as_deref()), (1, Some("localhost")));
            assert!(before.cipher.is_some() && before.version.is_some() && before.alpn.as_deref() == Some(b"echo"));
            assert_eq!(*resumed, Some(false), "the session itself");
            assert_eq!(t.hub().tls_info(id), None);
        }
    }
}

//! What a peer may want to agree upon anew: keys, in TLS 1.3; everything, in TLS 1.2, which is refused.

use super::{VERSIONS, echoes, lost_saying, plain_client, s_client, s_server, to};
use crate::backend::{Cause, ErrorKind};
use crate::behaviour::kit::{Rig, Tap};
use std::time::Duration;

/// OpenSSL takes no for an end, and says so with an alert.
const GIVES_UP: &str = "received fatal alert: HandshakeFailure";

#[test]
fn a_clients_wish_to_renegotiate_is_refused_and_harms_nobody() {
    //= TLS-10, RUST-6
    let mut rig = Rig::new();
    let (_server, place) = echoes(&mut rig, VERSIONS[0].0);
    let Some(mut peer) = s_client(place, &["-tls1_2"]) else { return };
    rig.until_saw("server made");
    peer.say("before\n");
    peer.until_says(&mut rig, "before");
    // A line that begins with an R asks for it.
    peer.say("R\n");
    rig.until_saw("server lost(TlsError)");
    assert_eq!(rig.state().log, ["server made", "server data", "server lost(TlsError)"]);
    assert_eq!(rig.state().reasons[0].cause(), Cause::ReadFailed);
    lost_saying(&mut rig, GIVES_UP);
    assert_eq!(rig.state().received("server"), b"before\n");
    assert!(!peer.ends(&mut rig).success());
    peer.until_says(&mut rig, "no renegotiation");
    assert!(rig.reported().is_empty());
    let Some(mut other) = s_client(place, &["-quiet", "-tls1_2"]) else { return };
    other.say("still here\n");
    other.until_says(&mut rig, "still here");
}

#[test]
fn a_servers_wish_to_renegotiate_is_refused() {
    //= TLS-10, RUST-6
    // With the wish for a certificate, and without.
    for wish in ["r\n", "R\n"] {
        let mut rig = Rig::new();
        let Some((mut peer, place)) = s_server(&mut rig, &["-tls1_2"]) else { return };
        let tap = Tap::new("client").on("made", |cx| {
            cx.write("before\n");
        });
        rig.event_loop.hub().connect(to(place, plain_client(VERSIONS[0].0)), tap);
        peer.until_says(&mut rig, "before");
        peer.say(wish);
        rig.until_saw("client lost(TlsError)");
        assert_eq!(rig.state().log, ["client made", "client lost(TlsError)"]);
        let reason = &rig.state().reasons[0];
        assert_eq!((reason.cause(), reason.error().unwrap().kind()), (Cause::ReadFailed, ErrorKind::TlsError));
        lost_saying(&mut rig, GIVES_UP);
        peer.until_says(&mut rig, "no renegotiation");
        // It serves on, and so do we.
        rig.event_loop.hub().connect(to(place, plain_client(VERSIONS[0].0)), Tap::new("other client"));
        rig.until_saw("other client made");
    }
}

/// How many messages that change keys the peer has seen, sent (`>>>`) or received (`<<<`).
fn updates(said: &[String], direction: &str) -> usize {
    said.iter().filter(|line| line.starts_with(direction) && line.contains("KeyUpdate")).count()
}

#[test]
fn keys_are_changed_by_a_client_and_data_goes_on_both_ways() {
    //= TLS-1, TLS-15
    let mut rig = Rig::new();
    let (_server, place) = echoes(&mut rig, VERSIONS[1].0);
    let Some(mut peer) = s_client(place, &["-tls1_3", "-msg"]) else { return };
    rig.until_saw("server made");
    // With a K it wants us to change ours too, with a k it does not.
    for (n, letter) in ["K", "k", "K", "k", "K"].into_iter().enumerate() {
        peer.say(&format!("{letter}\n"));
        peer.until(&mut rig, |said| updates(said, ">>>") == n + 1);
        let word = format!("after change {n}");
        peer.say(&format!("{word}\n"));
        peer.until_says(&mut rig, &word);
    }
    // Three times it has asked, and was answered.
    assert_eq!(updates(&peer.said, "<<<"), 3);
    let id = rig.state().id("server");
    rig.event_loop.hub().write(id, "and of our own\n");
    peer.until_says(&mut rig, "and of our own");
    peer.finish();
    rig.until_saw("server lost(None)");
    peer.succeeds(&mut rig);
}

#[test]
fn a_client_that_changes_keys_and_nothing_else_is_sent_away() {
    //= TLS-10, RUST-6
    let mut rig = Rig::new();
    let (_server, place) = echoes(&mut rig, VERSIONS[1].0);
    let Some(mut peer) = s_client(place, &["-tls1_3", "-msg"]) else { return };
    rig.until_saw("server made");
    // So many without a word in between are too many for rustls.
    for n in 0..33 {
        peer.say("K\n");
        peer.until(&mut rig, |said| updates(said, ">>>") == n + 1);
    }
    rig.until_saw("server lost(TlsError)");
    assert_eq!(rig.state().log, ["server made", "server lost(TlsError)"]);
    lost_saying(&mut rig, "TooManyKeyUpdateRequests");
    assert!(!peer.ends(&mut rig).success());
}

#[test]
fn keys_are_changed_by_a_server_and_data_goes_on_both_ways() {
    //= TLS-1, TLS-15
    let mut rig = Rig::new();
    let Some((mut peer, place)) = s_server(&mut rig, &["-tls1_3", "-msg"]) else { return };
    let id = rig.event_loop.hub().connect(to(place, plain_client(VERSIONS[1].0)), Tap::new("client"));
    rig.until_saw("client made");
    for (n, letter) in ["K", "k", "K"].into_iter().enumerate() {
        peer.say(&format!("{letter}\n"));
        peer.until(&mut rig, |said| updates(said, ">>>") == n + 1);
        let (theirs, ours) = (format!("its word {n}\n"), format!("our word {n}"));
        peer.say(&theirs);
        rig.until(|state| state.received("client").ends_with(theirs.as_bytes()));
        rig.event_loop.hub().write(id, format!("{ours}\n"));
        peer.until_says(&mut rig, &ours);
    }
    assert_eq!(updates(&peer.said, "<<<"), 2);
    rig.event_loop.hub().close(id);
    rig.until_saw("client lost(None)");
}

#[test]
fn a_reader_that_is_paused_learns_of_neither_and_loses_nothing() {
    //= TLS-16
    let mut rig = Rig::new();
    let (_server, place) = echoes(&mut rig, VERSIONS[1].0);
    let Some(mut peer) = s_client(place, &["-tls1_3"]) else { return };
    rig.until_saw("server made");
    let id = rig.state().id("server");
    rig.event_loop.hub().pause_reading(id);
    peer.say("K\n");
    peer.until_says(&mut rig, "KEYUPDATE");
    peer.say("held back\n");
    rig.spin(Duration::from_millis(50));
    assert!(!rig.state().saw("server data"));
    // Written with the keys that we still have.
    rig.event_loop.hub().write(id, "in between\n");
    peer.until_says(&mut rig, "in between");
    rig.event_loop.hub().resume_reading(id);
    peer.until_says(&mut rig, "held back");
}

//! Resets, which only TCP has.

use super::kit::{Rig, Tap, pattern, reset};
use crate::backend::{Cause, ErrorKind, Side, SocketOption, WriteStatus};
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::time::Duration;

#[test]
fn a_reset_by_the_peer_is_the_reason() {
    //= READ-13, LIFE-4, INFO-3
    let mut rig = Rig::new();
    let (server, peer) = rig.serve_one(|| Tap::new("server"));
    let from = peer.local_addr().unwrap();
    reset(peer);
    rig.until_saw("server lost(ConnectionReset)");
    let reason = &rig.state().reasons[0];
    assert_eq!((reason.cause(), reason.first()), (Cause::ReadFailed, Side::Peer));
    assert_eq!(reason.ends().peer, Some(from.into()));
    assert_eq!(reason.ends().local.as_ref(), Some(server.addr()));
    assert_eq!(rig.settle(), ["server made", "server lost(ConnectionReset)"]);
}

#[test]
fn what_came_before_a_reset_is_delivered() {
    //= READ-11
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server"));
    peer.write_all(b"last words").unwrap();
    rig.until(|state| state.received("server") == b"last words");
    reset(peer);
    rig.until_saw("server lost(ConnectionReset)");
}

#[test]
fn a_write_that_hits_a_peer_that_is_gone() {
    //= WRITE-10, READ-10
    let mut rig = Rig::new();
    let (_, peer) = rig.serve_one(|| Tap::new("server").on("made", |cx| cx.pause_reading()));
    let id = rig.state().id("server");
    reset(peer);
    rig.spin(Duration::from_millis(20));
    // The write itself does not tell.
    assert_eq!(rig.event_loop.hub().write(id, pattern(100)), WriteStatus::Accepted);
    rig.until(|state| !state.reasons.is_empty());
    let reason = &rig.state().reasons[0];
    assert_eq!(reason.cause(), Cause::WriteFailed);
    assert!(matches!(reason.error().unwrap().kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
    assert_eq!(reason.discarded(), 100);
}

#[test]
fn finishing_on_a_connection_that_was_reset_is_no_error_of_the_call() {
    //= EOF-12
    let mut rig = Rig::new();
    let (_, peer) = rig.serve_one(|| Tap::new("server").on("made", |cx| cx.pause_reading()));
    let id = rig.state().id("server");
    reset(peer);
    rig.spin(Duration::from_millis(20));
    assert!(rig.event_loop.hub().write_eof(id).is_ok());
    rig.event_loop.hub().resume_reading(id);
    rig.until(|state| !state.reasons.is_empty());
    assert!(rig.state().reasons[0].error().is_some());
}

#[test]
fn a_reset_of_ours_is_an_option_away() {
    //= CLOSE-11
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server"));
    let id = rig.state().id("server");
    rig.event_loop.hub().set_option(id, SocketOption::Linger(Some(Duration::ZERO)));
    rig.event_loop.hub().abort(id);
    rig.until_saw("server lost(None)");
    assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), IoErrorKind::ConnectionReset);
}

//! How connections end, and what is left of them.

use super::Link;
use crate::backend::{ErrorKind, SocketOption, WriteStatus};
use crate::behaviour::kit::{Family, Rigged, Tap, pattern};
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::time::Duration;

type Rig = Rigged<Link>;

#[test]
fn a_broken_pipe_is_an_error_of_the_connection() {
    //= WRITE-10, EOF-11
    let mut rig = Rig::new();
    let (_, peer) = rig.serve_one(|| Tap::new("server").keep_open());
    let id = rig.state().id("server");
    drop(peer);
    rig.until_saw("server eof");
    for _ in 0..1000 {
        rig.event_loop.hub().write(id, b"is anybody there?");
        rig.event_loop.run_once(Some(Duration::from_millis(1))).unwrap();
        if !rig.state().reasons.is_empty() {
            break;
        }
    }
    let error = rig.state().reasons[0].error().unwrap();
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
}

#[test]
fn closing_waits_for_a_slow_reader() {
    //= CLOSE-1, CLOSE-6, CLOSE-7, WRITE-9
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server"));
    let id = rig.state().id("server");
    let bytes = pattern(8_000_000);
    rig.event_loop.hub().write(id, &bytes);
    rig.event_loop.hub().close(id);
    assert_eq!(rig.event_loop.hub().write(id, b"too late"), WriteStatus::Discarded);
    peer.write_all(b"neither delivered nor reported").unwrap();
    assert!(!rig.settle().iter().any(|entry| entry.contains("lost") || entry.contains("data")));
    assert!(rig.event_loop.hub().is_closing(id));
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = peer.read_to_end(&mut all);
        all
    });
    rig.until_saw("server lost(None)");
    let got = reader.join().unwrap();
    assert!(bytes.starts_with(&got), "the bytes came changed");
    assert_eq!(rig.state().reasons[0].discarded(), 0);
}

#[test]
fn an_orderly_close_ends_behind_the_last_byte() {
    //= CLOSE-1, CLOSE-11
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server"));
    let id = rig.state().id("server");
    let bytes = pattern(5_000_000);
    rig.event_loop.hub().write(id, &bytes);
    rig.event_loop.hub().close(id);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).map(|_| all)
    });
    rig.until_saw("server lost(None)");
    assert!(reader.join().unwrap().unwrap() == bytes, "the bytes came changed");
}

#[test]
fn an_abort_throws_the_queue_away() {
    //= CLOSE-2, CLOSE-3, WRITE-12
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server"));
    let id = rig.state().id("server");
    rig.event_loop.hub().write(id, pattern(8_000_000));
    rig.event_loop.hub().close(id);
    rig.settle();
    let queued = rig.event_loop.hub().write_buffer_size(id);
    assert!(queued > 0);
    rig.event_loop.hub().abort(id);
    rig.event_loop.hub().abort(id);
    assert_eq!(rig.event_loop.hub().write_buffer_size(id), 0);
    rig.until_saw("server lost(None)");
    assert_eq!(rig.state().reasons[0].discarded(), queued as u64);
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 8_000_000 - queued);
    assert_eq!(rig.settle().iter().filter(|entry| entry.contains("lost")).count(), 1);
}

#[test]
fn the_socket_is_open_in_connection_lost_and_closed_behind_it() {
    //= LIFE-13
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| {
        Tap::new("server").on("lost", |cx| {
            cx.state.count = usize::from(cx.state.reasons[0].ends().peer.is_some());
        })
    });
    let id = rig.state().id("server");
    peer.set_nonblocking(true).unwrap();
    rig.event_loop.hub().abort(id);
    // The turn of the abort is not that of the loss.
    assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), IoErrorKind::WouldBlock);
    rig.until_saw("server lost(None)");
    assert!(rig.event_loop.socket(id).is_none());
    assert_eq!(rig.state().count, 1);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

#[test]
fn an_old_id_never_reaches_a_newer_connection() {
    //= RUST-10, LIFE-17
    let mut rig = Rig::new();
    let (_, addr) = rig.serve(|| Tap::new("server").echo());
    drop(Link::connect(addr));
    rig.until_saw("server lost(None)");
    let old = rig.state().id("server");
    let mut peer = Link::connect(addr);
    rig.until(|state| state.made.len() == 2);
    let new = rig.state().made[1].1;
    assert_eq!(old.key().index(), new.key().index(), "the slot is used again");
    let hub = rig.event_loop.hub();
    assert_eq!(hub.write(old, b"for whom?"), WriteStatus::Discarded);
    hub.write_eof(old).unwrap();
    hub.close(old);
    hub.abort(old);
    hub.pause_reading(old);
    hub.set_option(old, SocketOption::Linger(Some(Duration::ZERO)));
    assert!(hub.is_closing(old) && hub.peer_addr(old).is_none() && hub.write_buffer_limits(old).is_none());
    assert!(hub.protocol::<Tap>(old).is_none() && hub.set_protocol(old, Tap::new("thief")).is_none());
    assert!(rig.event_loop.socket(old).is_none());
    peer.write_all(b"all is well").unwrap();
    rig.until(|state| state.received("server") == b"all is well");
    let mut back = [0; 11];
    peer.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"all is well");
}

#[test]
fn an_id_of_another_loop_names_nothing_here() {
    //= RUST-10
    let (mut one, mut other) = (Rig::new(), Rig::new());
    let (_, mut peer) = one.serve_one(|| Tap::new("server"));
    let (server, _kept) = other.serve_one(|| Tap::new("server"));
    let foreign = other.state().id("server");
    assert_eq!(foreign.key(), one.state().id("server").key());
    assert_eq!(one.event_loop.hub().write(foreign, b"no"), WriteStatus::Discarded);
    one.event_loop.hub().abort(foreign);
    one.event_loop.hub().server_close(server.id());
    assert!(one.event_loop.socket(foreign).is_none());
    peer.write_all(b"here").unwrap();
    one.until(|state| state.received("server") == b"here");
    assert!(other.event_loop.hub().is_serving(server.id()));
}

#[test]
fn a_loop_dropped_under_its_connections_closes_them_without_a_callback() {
    //= LIFE-18, THREAD-4
    for close in [false, true] {
        let mut rig = Rig::new();
        let (server, one) = rig.serve_one(|| Tap::new("server"));
        let mut peers = [one, Link::connect(Link::place(&server))];
        rig.until(|state| state.made.len() == 2);
        let id = rig.state().id("server");
        rig.event_loop.hub().write(id, pattern(100));
        rig.event_loop.hub().call_soon(|_, _| panic!("called after the end"));
        let (remote, reports) = (rig.event_loop.remote(), rig.reports.clone());
        if close {
            rig.event_loop.close();
            rig.event_loop.close();
            assert_eq!(rig.state().log, ["server made", "server made"]);
            assert!(rig.event_loop.run_once(Some(Duration::ZERO)).is_err());
            assert!(rig.event_loop.listen(Link::anywhere(), |_, _| Tap::new("server")).is_err());
            assert_eq!(rig.event_loop.hub().write(id, b"late"), WriteStatus::Discarded);
            assert_eq!(rig.event_loop.poll_timeout(), None);
        } else {
            drop(rig);
        }
        for peer in &mut peers {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            assert_eq!(all, b"");
        }
        let reports: Vec<String> = reports.borrow().iter().map(ToString::to_string).collect();
        assert_eq!(reports.len(), 2, "{reports:?}");
        assert!(reports.iter().all(|report| report.ends_with("dropped with the loop")), "{reports:?}");
        assert!(remote.call_soon(|_, _| ()).is_err());
    }
}

//! Servers: from their start to the last of their connections.

use super::Link;
use crate::backend::{Addr, ErrorKind, Listen, Protocol};
use crate::behaviour::kit::{Family, Rigged, State, Tap};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;

type Rig = Rigged<Link>;

#[test]
fn a_paused_server_serves_from_its_start_on() {
    //= LOOP-16
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(Listen::on(Link::anywhere()).paused(), |_, _| Tap::new("server")).unwrap();
    let addr = Link::place(&server);
    assert!(!rig.event_loop.hub().is_serving(server.id()));
    rig.settle();
    assert!(Link::nobody_is_at(addr));
    for _ in 0..2 {
        rig.event_loop.hub().server_start(server.id()).unwrap();
        assert!(rig.event_loop.hub().is_serving(server.id()));
    }
    rig.settle();
    let _peer = Link::connect(addr);
    rig.until_saw("server made");
    rig.event_loop.hub().server_close(server.id());
    assert!(!rig.event_loop.hub().is_serving(server.id()));
    assert_eq!(rig.event_loop.hub().server_start(server.id()).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_closed_server_leaves_its_connections() {
    //= LOOP-18, LOOP-19, LOOP-21
    let mut rig = Rig::new();
    let (server, mut peer) = rig.serve_one(|| Tap::new("server").echo());
    let addr = Link::place(&server);
    rig.event_loop.hub().wait_closed(server.id(), |_, state| state.note("over"));
    for _ in 0..2 {
        rig.event_loop.hub().server_close(server.id());
    }
    assert_eq!(rig.event_loop.hub().sockets(server.id()), []);
    rig.settle();
    assert!(Link::nobody_is_at(addr));
    assert!(Link::is_free(addr));
    peer.write_all(b"still here").unwrap();
    let mut back = [0; 10];
    rig.until(|state| state.received("server").len() == 10);
    peer.read_exact(&mut back).unwrap();
    assert!(!rig.state().saw("over"));
    drop(peer);
    rig.until_saw("over");
    assert_eq!(rig.state().log, ["server made", "server data", "server eof", "server lost(None)", "over"]);
    // And at once if it is so already.
    rig.event_loop.hub().wait_closed(server.id(), |_, state| state.note("over again"));
    rig.until_saw("over again");
}

#[test]
fn all_clients_are_closed_or_aborted_at_once() {
    //= LOOP-20, CLOSE-1, CLOSE-2, CLOSE-11
    for abort in [false, true] {
        let mut rig = Rig::new();
        let (server, addr) = rig.serve(|| {
            Tap::new("server").on("made", |cx| {
                cx.write(b"welcome");
            })
        });
        let (_, other) = rig.serve_one(|| Tap::new("other"));
        let mut peers = [Link::connect(addr), Link::connect(addr)];
        rig.until(|state| state.made.len() == 3);
        let hub = rig.event_loop.hub();
        if abort {
            hub.abort_clients(server.id())
        } else {
            hub.close_clients(server.id())
        }
        rig.until(|state| state.times("server lost(None)") == 2);
        for peer in &mut peers {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            assert_eq!(all, b"welcome");
        }
        assert!(!rig.state().saw("other lost(None)"));
        assert!(rig.event_loop.hub().is_serving(server.id()));
        drop(other);
    }
}

#[test]
fn nothing_is_made_after_the_server_was_closed() {
    //= LOOP-18
    let mut rig = Rig::new();
    let (first, mut talker) = rig.serve_one(|| {
        Tap::new("talker").on("data", |cx| {
            let server = cx.state.made.len();
            cx.state.count = server;
            cx.hub.call_soon(|_, state| state.note("turn after the close"));
        })
    });
    let server = Rc::new(RefCell::new(None));
    let closing = server.clone();
    let closer = rig
        .event_loop
        .listen(Link::anywhere(), move |_, _| {
            let closing = closing.clone();
            Tap::new("closer").on("data", move |cx| {
                if let Some(server) = closing.take() {
                    cx.hub.server_close(server);
                    cx.state.note("closed");
                }
            })
        })
        .unwrap();
    let mut closer = Link::connect(Link::place(&closer));
    rig.until_saw("closer made");
    *server.borrow_mut() = Some(first.id());
    // All at once: a connection that waits to be accepted, and the bytes that lead to the close. Whatever the loop sees first, it must not
    // make the connection once it has closed the server.
    let mut late = Link::connect(Link::place(&first));
    closer.write_all(b"x").unwrap();
    talker.write_all(b"x").unwrap();
    rig.until_saw("closed");
    let log = rig.settle();
    let closed = log.iter().position(|entry| entry == "closed").unwrap();
    assert!(!log[closed..].iter().any(|entry| entry == "talker made"), "{log:?}");
    if rig.state().times("talker made") == 1 {
        // It was not made: then it was dropped.
        let mut all = Vec::new();
        let _ = late.read_to_end(&mut all);
        assert_eq!(all, b"");
    }
}

#[test]
fn the_factory_sees_state_and_peer_once_a_connection() {
    //= LIFE-5
    let mut rig = Rig::new();
    let server = rig
        .event_loop
        .listen(Link::anywhere(), |state: &mut State, peer| {
            state.note(format!("made for {peer}"));
            Tap::new("server")
        })
        .unwrap();
    let peers = [Link::connect(Link::place(&server)), Link::connect(Link::place(&server))];
    rig.until(|state| state.made.len() == 2);
    let expected: Vec<String> = peers.iter().map(|peer| format!("made for {}", Addr::from(peer.local_addr().unwrap()))).collect();
    let log = rig.state().log.clone();
    assert_eq!(log, [expected[0].as_str(), "server made", expected[1].as_str(), "server made"]);
}

#[test]
fn a_factory_may_refuse() {
    //= LIFE-9
    let mut rig = Rig::new();
    let mut count = 0;
    let server = rig
        .event_loop
        .listen_with(Link::anywhere(), move |_, _| {
            count += 1;
            (count > 1).then(|| Box::new(Tap::new("second")) as Box<dyn Protocol<_>>)
        })
        .unwrap();
    let addr = Link::place(&server);
    let mut first = Link::connect(addr);
    rig.settle();
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
    let _second = Link::connect(addr);
    rig.until_saw("second made");
    assert_eq!(rig.state().log, ["second made"]);
}

#[test]
fn more_connections_than_one_batch_are_all_accepted() {
    //= LOOP-22
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(Listen::on(Link::anywhere()).backlog(1), |_, _| Tap::new("server")).unwrap();
    let addr = Link::place(&server);
    let peers = std::thread::spawn(move || (0..20).map(|_| Link::connect(addr)).collect::<Vec<_>>());
    rig.until(|state| state.made.len() == 20);
    peers.join().unwrap();
}

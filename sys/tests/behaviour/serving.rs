//! Servers: from their addresses to the last of their connections.

use super::kit::{Rig, Tap, any_port, any_port_v6, connect, patient};
use crate::backend::{Addr, ErrorKind, Listen, ListenError, Protocol, SocketOption};
use std::cell::RefCell;
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;

/// One that is documented never to be anybody's.
const NOT_OURS: &str = "192.0.2.1:0";

#[test]
fn several_addresses_each_with_a_port_of_its_own() {
    //= LOOP-13, LOOP-14, LOOP-21
    let mut rig = Rig::new();
    let second: SocketAddr = "127.0.0.2:0".parse().unwrap();
    let listen = Listen::on(any_port()).and(any_port_v6()).and(second).and(any_port());
    let server = rig.event_loop.listen(listen, |_, _| Tap::new("server").echo()).unwrap();
    let addrs: Vec<SocketAddr> = server.addrs().iter().map(|addr| addr.inet().unwrap()).collect();
    assert_eq!(addrs.iter().map(SocketAddr::ip).collect::<Vec<_>>(), [any_port().ip(), any_port_v6().ip(), second.ip()]);
    assert!(addrs.iter().all(|addr| addr.port() != 0));
    assert_eq!(rig.event_loop.hub().sockets(server.id()), server.addrs());
    for addr in addrs {
        let mut peer = connect(addr);
        peer.write_all(b"x").unwrap();
        let before = rig.state().received("server").len();
        rig.until(|state| state.received("server").len() > before);
        peer.read_exact(&mut [0]).unwrap();
    }
}

#[test]
fn an_ipv6_socket_leaves_ipv4_alone() {
    //= LOOP-14
    let mut rig = Rig::new();
    let v6 = rig.event_loop.listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), |_, _| Tap::new("six")).unwrap();
    let port = v6.addr().inet().unwrap().port();
    assert_eq!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err().kind(), IoErrorKind::ConnectionRefused);
    // The same port of the other family is free.
    rig.event_loop.listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), |_, _| Tap::new("four")).unwrap();
    let _peers = (connect((Ipv4Addr::LOCALHOST, port).into()), connect((Ipv6Addr::LOCALHOST, port).into()));
    rig.until(|state| state.saw("six made") && state.saw("four made"));
}

#[test]
fn a_port_in_use_is_named_and_nothing_stays_bound() {
    //= LOOP-15
    let mut rig = Rig::new();
    let other = TcpListener::bind(any_port()).unwrap();
    let taken = other.local_addr().unwrap();
    let free = TcpListener::bind(any_port()).unwrap().local_addr().unwrap();
    let error = rig.event_loop.listen(Listen::on(free).and(taken), |_, _| Tap::new("server")).unwrap_err();
    assert_eq!(error.kind(), IoErrorKind::AddrInUse);
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
    let inner = error.get_ref().unwrap().downcast_ref::<ListenError>().unwrap();
    assert_eq!(inner.addr(), Some(&Addr::from(taken)));
    rig.settle();
    TcpListener::bind(free).expect("it was closed again");
}

#[test]
fn addresses_that_are_not_available_are_skipped_if_one_is() {
    //= LOOP-15
    let mut rig = Rig::new();
    let not_ours: SocketAddr = NOT_OURS.parse().unwrap();
    let server = rig.event_loop.listen(Listen::on(not_ours).and(any_port()), |_, _| Tap::new("server")).unwrap();
    assert_eq!(server.addrs().len(), 1);
    let reported = rig.reported();
    assert_eq!(reported.len(), 1);
    assert!(reported[0].contains(NOT_OURS), "{reported:?}");
    let error = rig.event_loop.listen(not_ours, |_, _| Tap::new("server")).unwrap_err();
    assert_eq!(error.kind(), IoErrorKind::AddrNotAvailable);
    assert!(error.to_string().contains(NOT_OURS), "{error}");
}

#[test]
fn listening_from_a_callback_completes_in_a_turn_of_its_own() {
    //= RUST-9, LOOP-13, LOOP-15
    let mut rig = Rig::new();
    let taken = TcpListener::bind(any_port()).unwrap();
    let taken_addr = taken.local_addr().unwrap();
    let results = Rc::new(RefCell::new(Vec::new()));
    for addr in [any_port(), taken_addr] {
        let results = results.clone();
        rig.event_loop.hub().listen(addr, |_, _| Tap::new("server"), move |_, _, result| results.borrow_mut().push(result));
    }
    rig.settle();
    let results = results.take();
    let server = *results[0].as_ref().unwrap();
    let addr = rig.event_loop.hub().sockets(server)[0].inet().unwrap();
    let _peer = connect(addr);
    rig.until_saw("server made");
    let error = results[1].as_ref().unwrap_err();
    assert_eq!((error.addr(), error.error().kind()), (Some(&Addr::from(taken_addr)), ErrorKind::AddrInUse));
}

#[test]
fn a_paused_server_serves_from_its_start_on() {
    //= LOOP-16
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(Listen::on(any_port()).paused(), |_, _| Tap::new("server")).unwrap();
    let addr = server.addr().inet().unwrap();
    assert!(!rig.event_loop.hub().is_serving(server.id()));
    rig.settle();
    assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), IoErrorKind::ConnectionRefused);
    for _ in 0..2 {
        rig.event_loop.hub().server_start(server.id()).unwrap();
        assert!(rig.event_loop.hub().is_serving(server.id()));
    }
    rig.settle();
    let _peer = connect(addr);
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
    let addr = server.addr().inet().unwrap();
    rig.event_loop.hub().wait_closed(server.id(), |_, state| state.note("over"));
    for _ in 0..2 {
        rig.event_loop.hub().server_close(server.id());
    }
    assert_eq!(rig.event_loop.hub().sockets(server.id()), []);
    rig.settle();
    assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), IoErrorKind::ConnectionRefused);
    TcpListener::bind(addr).expect("the port is free");
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
        let mut peers = [connect(addr), connect(addr)];
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
        .listen(any_port(), move |_, _| {
            let closing = closing.clone();
            Tap::new("closer").on("data", move |cx| {
                if let Some(server) = closing.take() {
                    cx.hub.server_close(server);
                    cx.state.note("closed");
                }
            })
        })
        .unwrap();
    let mut closer = connect(closer.addr().inet().unwrap());
    rig.until_saw("closer made");
    *server.borrow_mut() = Some(first.id());
    // All at once: a connection that waits to be accepted, and the bytes that lead to the close. Whatever the loop sees first, it must not
    // make the connection once it has closed the server.
    let mut late = connect(first.addr().inet().unwrap());
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
        .listen(any_port(), |state: &mut super::kit::State, peer| {
            state.note(format!("made for {peer}"));
            Tap::new("server")
        })
        .unwrap();
    let peers = [connect(server.addr().inet().unwrap()), connect(server.addr().inet().unwrap())];
    rig.until(|state| state.made.len() == 2);
    let expected: Vec<String> = peers.iter().map(|peer| format!("made for {}", peer.local_addr().unwrap())).collect();
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
        .listen_with(any_port(), move |_, _| {
            count += 1;
            (count > 1).then(|| Box::new(Tap::new("second")) as Box<dyn Protocol<_>>)
        })
        .unwrap();
    let addr = server.addr().inet().unwrap();
    let mut first = connect(addr);
    rig.settle();
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
    let _second = connect(addr);
    rig.until_saw("second made");
    assert_eq!(rig.state().log, ["second made"]);
}

#[test]
fn more_connections_than_one_batch_are_all_accepted() {
    //= LOOP-22
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(Listen::on(any_port()).backlog(1), |_, _| Tap::new("server")).unwrap();
    let addr = server.addr().inet().unwrap();
    let peers = std::thread::spawn(move || (0..20).map(|_| patient(TcpStream::connect(addr).unwrap())).collect::<Vec<_>>());
    rig.until(|state| state.made.len() == 20);
    peers.join().unwrap();
}

#[test]
fn accepted_sockets_have_the_options_of_their_server() {
    //= LOOP-11, LOOP-14
    let mut rig = Rig::new();
    let listen = Listen::on(any_port())
        .option(SocketOption::KeepAlive(Some(std::time::Duration::from_secs(60))))
        .option(SocketOption::ReceiveBuffer(40 * 1024));
    let server = rig.event_loop.listen(listen, |_, _| Tap::new("server")).unwrap();
    let _peer = connect(server.addr().inet().unwrap());
    rig.until_saw("server made");
    let id = rig.state().id("server");
    let socket = rig.event_loop.socket(id).unwrap();
    assert!(socket.no_delay().unwrap() && socket.keep_alive().unwrap().is_some());
    assert_eq!(socket.receive_buffer().unwrap(), 80 * 1024);
}

#[test]
fn several_loops_may_share_a_port() {
    //= LOOP-14
    let (mut one, mut other) = (Rig::new(), Rig::new());
    let server = one.event_loop.listen(Listen::on(any_port()).reuse_port(true), |_, _| Tap::new("server")).unwrap();
    let addr = server.addr();
    assert!(other.event_loop.listen(addr, |_, _| Tap::new("server")).is_err());
    other.event_loop.listen(Listen::on(addr).reuse_port(true), |_, _| Tap::new("server")).unwrap();
    let _peers: Vec<TcpStream> = (0..20).map(|_| connect(addr.inet().unwrap())).collect();
    one.settle();
    other.settle();
    assert_eq!(one.state().made.len() + other.state().made.len(), 20);
}

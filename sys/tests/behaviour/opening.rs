//! Connecting, and what comes of it.

use super::kit::{Rig, Tap, any_port, any_port_v6, closed_port};
use crate::backend::{Addr, Call, Connect, ErrorKind, SocketOption};
use std::net::{SocketAddr, TcpListener};

#[test]
fn a_refused_connect_names_the_address() {
    //= RUST-9, LOOP-6
    let mut rig = Rig::new();
    let (_kept, nobody) = closed_port();
    rig.event_loop.hub().connect(nobody, Tap::new("client"));
    rig.until_saw("client refused");
    let refusal = &rig.state().refusals[0];
    assert_eq!(refusal.error().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(refusal.attempts().next().unwrap().0, Some(&Addr::from(nobody)));
    assert!(refusal.to_string().starts_with(&format!("{nobody}: connect: connection refused")), "{refusal}");
    assert_eq!(rig.settle(), ["client refused"]);
}

#[test]
fn an_address_that_cannot_be_connected_to_is_an_error_of_that_connection_only() {
    //= RUST-6, RUST-9
    let mut rig = Rig::new();
    // A broadcast address; a link-local one that does not say of which link; no port.
    let bad: [SocketAddr; 3] =
        ["255.255.255.255:80".parse().unwrap(), "[fe80::1]:80".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
    for (n, addr) in bad.into_iter().enumerate() {
        rig.event_loop.hub().connect(addr, Tap::new("client"));
        rig.until(|state| state.refusals.len() == n + 1);
        let refusal = &rig.state().refusals[n];
        assert_eq!(refusal.attempts().next().unwrap().0, Some(&Addr::from(addr)));
        assert_eq!(refusal.error().call(), Call::Connect);
    }
    assert_eq!(rig.reported(), [""; 0]);
}

#[test]
fn an_ipv6_server_is_connected_to() {
    //= LIFE-6, LOOP-14, INFO-2
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(any_port_v6(), |_, _| Tap::new("server")).unwrap();
    let id = rig.event_loop.hub().connect(server.addr(), Tap::new("client"));
    rig.until(|state| state.made.len() == 2);
    assert_eq!(rig.event_loop.hub().peer_addr(id).as_ref(), Some(server.addr()));
}

#[test]
fn a_connection_comes_from_the_local_address_asked_for() {
    //= LOOP-5, INFO-2
    let mut rig = Rig::new();
    let (_, addr) = rig.serve(|| Tap::new("server"));
    let local: SocketAddr = "127.0.0.2:0".parse().unwrap();
    let id = rig.event_loop.hub().connect(Connect::to(addr).local_addr(local), Tap::new("client"));
    rig.until(|state| state.made.len() == 2);
    let from = rig.event_loop.hub().local_addr(id).unwrap().inet().unwrap();
    assert_eq!(from.ip(), local.ip());
    let accepted = rig.state().id("server");
    assert_eq!(rig.event_loop.hub().peer_addr(accepted), Some(Addr::from(from)));
}

#[test]
fn a_local_address_that_cannot_be_had_is_named() {
    //= LOOP-5
    let mut rig = Rig::new();
    let (_, addr) = rig.serve(|| Tap::new("server"));
    let taken = TcpListener::bind(any_port()).unwrap().local_addr().unwrap();
    let cases = [
        ("192.0.2.1:0".parse().unwrap(), ErrorKind::AddrNotAvailable),
        // Of another family.
        (any_port_v6(), ErrorKind::InvalidInput),
    ];
    for (n, (local, kind)) in cases.into_iter().enumerate() {
        rig.event_loop.hub().connect(Connect::to(addr).local_addr(local), Tap::new("client"));
        rig.until(|state| state.refusals.len() == n + 1);
        let refusal = &rig.state().refusals[n];
        assert_eq!((refusal.error().call(), refusal.error().kind()), (Call::Bind, kind));
        assert_eq!(refusal.attempts().next().unwrap().0, Some(&Addr::from(local)));
    }
    // One that is free again does.
    rig.event_loop.hub().connect(Connect::to(addr).local_addr(taken), Tap::new("client"));
    rig.until_saw("client made");
}

#[test]
fn a_connect_given_up_leaves_nothing_behind() {
    //= LIFE-12, RUST-9
    let mut rig = Rig::new();
    let listener = TcpListener::bind(any_port()).unwrap();
    let addr = listener.local_addr().unwrap();
    // Before it was begun.
    let id = rig.event_loop.hub().connect(addr, Tap::new("early"));
    rig.event_loop.hub().abort(id);
    assert_eq!(rig.settle(), [""; 0]);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody connected");
    // While it is under way: the socket is closed.
    let id = rig.event_loop.hub().connect(addr, Tap::new("late"));
    rig.event_loop.hub().call_soon(move |hub, _| hub.close(id));
    assert_eq!(rig.settle(), [""; 0]);
    rig.event_loop.hub().write(id, b"nobody is told");
    assert!(rig.event_loop.hub().is_closing(id));
    assert!(rig.event_loop.socket(id).is_none());
    if let Ok((mut peer, _)) = listener.accept() {
        peer.set_nonblocking(false).unwrap();
        let mut all = Vec::new();
        let _ = std::io::Read::read_to_end(&mut peer, &mut all);
        assert_eq!(all, b"");
    }
}

#[test]
fn closing_in_connection_made_is_the_whole_story() {
    //= LIFE-8
    let mut rig = Rig::new();
    let (_, addr) = rig.serve(|| {
        Tap::new("server").on("made", |cx| {
            cx.write(b"unread");
        })
    });
    rig.event_loop.hub().connect(addr, Tap::new("closer").on("made", |cx| cx.close()));
    rig.event_loop.hub().connect(addr, Tap::new("aborter").on("made", |cx| cx.abort()));
    rig.until(|state| state.saw("closer lost(None)") && state.saw("aborter lost(None)"));
    let log = rig.settle();
    assert!(!log.iter().any(|entry| entry == "closer data" || entry == "aborter data"), "{log:?}");
}

#[test]
fn options_of_a_connect_are_set_before_it() {
    //= LOOP-11, INFO-4
    let mut rig = Rig::new();
    let (_, addr) = rig.serve(|| Tap::new("server"));
    let options = [
        SocketOption::KeepAlive(Some(std::time::Duration::from_millis(1500))),
        SocketOption::Linger(Some(std::time::Duration::from_millis(1))),
        SocketOption::SendBuffer(32 * 1024),
        SocketOption::ReceiveBuffer(48 * 1024),
    ];
    let to = options.into_iter().fold(Connect::to(addr), Connect::option);
    let id = rig.event_loop.hub().connect(to, Tap::new("client"));
    rig.until_saw("client made");
    let socket = rig.event_loop.socket(id).unwrap();
    assert!(socket.no_delay().unwrap());
    // The system counts in seconds, and a short time must not become none.
    assert_eq!(socket.linger().unwrap(), Some(std::time::Duration::from_secs(1)));
    assert_eq!(socket.keep_alive().unwrap(), Some(std::time::Duration::from_secs(2)));
    // Linux doubles what it is told.
    assert_eq!(socket.send_buffer().unwrap(), 64 * 1024);
    assert_eq!(socket.receive_buffer().unwrap(), 96 * 1024);

    // One that cannot be set fails the connect, on a live connection it is reported.
    rig.event_loop.hub().connect(Connect::to(addr).option(SocketOption::SendBuffer(usize::MAX)), Tap::new("huge"));
    rig.until_saw("huge refused");
    assert_eq!(rig.state().refusals[0].error().call(), Call::Option);
    rig.event_loop.hub().set_option(id, SocketOption::SendBuffer(usize::MAX));
    rig.event_loop.hub().set_option(id, SocketOption::KeepAlive(None));
    rig.settle();
    let reported = rig.reported();
    assert_eq!(reported.len(), 1);
    assert!(reported[0].contains("option: invalid input"), "{reported:?}");
    assert_eq!(rig.event_loop.socket(id).unwrap().keep_alive().unwrap(), None);
    assert!(!rig.event_loop.hub().is_closing(id));
}

//! Sockets that the application made.

use super::kit::{Rig, Tap, any_port, connect, patient};
use crate::backend::{ErrorKind, HubExt, UnixAddr};
use socket2::{Domain, Socket, Type};
use std::cell::RefCell;
use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::rc::Rc;

/// Two connected sockets.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(any_port()).unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, patient(listener.accept().unwrap().0))
}

#[test]
fn a_connected_socket_becomes_a_connection() {
    //= LOOP-3, LOOP-11, LIFE-6, RUST-11
    let mut rig = Rig::new();
    let (ours, mut theirs) = pair();
    assert!(!ours.nodelay().unwrap());
    let local = ours.local_addr().unwrap();
    theirs.write_all(b"waiting").unwrap();
    let twin = ours.try_clone().unwrap();
    let id = rig.event_loop.hub().adopt_stream(ours, Tap::new("client").echo());
    rig.until(|state| state.received("client") == b"waiting");
    assert_eq!(rig.state().log, ["client made", "client data"]);
    assert_eq!(rig.event_loop.hub().local_addr(id).unwrap().inet(), Some(local));
    assert_eq!(rig.event_loop.hub().peer_addr(id).unwrap().inet(), Some(theirs.local_addr().unwrap()));
    let socket = rig.event_loop.socket(id).unwrap();
    assert!(socket.no_delay().unwrap());
    assert!(socket2::SockRef::from(&twin).nonblocking().unwrap());
    drop(twin);
    theirs.read_exact(&mut [0; 7]).unwrap();
    // It is the loop's, which closes it.
    rig.event_loop.hub().close(id);
    rig.until_saw("client lost(None)");
    assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_pair_of_another_family_does_too() {
    //= LOOP-3, INFO-2
    let mut rig = Rig::new();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let id = rig.event_loop.hub().adopt_stream(ours, Tap::new("client").echo());
    theirs.write_all(b"hello").unwrap();
    rig.until(|state| state.received("client") == b"hello");
    let mut back = [0; 5];
    theirs.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
    assert_eq!(rig.event_loop.hub().peer_addr(id), Some(UnixAddr::UNNAMED.into()));
    assert_eq!(rig.reported(), [""; 0]);
}

#[test]
fn a_socket_accepted_elsewhere_belongs_to_no_server() {
    //= LOOP-12, LOOP-11
    let mut rig = Rig::new();
    let listener = TcpListener::bind(any_port()).unwrap();
    let mut peer = connect(listener.local_addr().unwrap());
    let accepted = listener.accept().unwrap().0;
    let (server, _) = rig.serve(|| Tap::new("server"));
    let id = rig.event_loop.hub().connect_accepted(accepted, Tap::new("accepted").echo());
    rig.until_saw("accepted made");
    assert!(rig.event_loop.socket(id).unwrap().no_delay().unwrap());
    rig.event_loop.hub().abort_clients(server.id());
    rig.event_loop.hub().server_close(server.id());
    rig.event_loop.hub().wait_closed(server.id(), |_, state| state.note("over"));
    rig.until_saw("over");
    peer.write_all(b"still here").unwrap();
    rig.until(|state| state.received("accepted") == b"still here");
}

#[test]
fn what_is_no_connected_stream_is_refused() {
    //= LOOP-3, LOOP-4, LOOP-12, RUST-6
    let wrong: [fn() -> OwnedFd; 6] = [
        || UdpSocket::bind(any_port()).unwrap().into(),
        || UnixDatagram::pair().unwrap().0.into(),
        || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap().into(),
        || TcpListener::bind(any_port()).unwrap().into(),
        || File::open("/dev/null").unwrap().into(),
        || {
            // Connected once, and reset.
            let (ours, theirs) = pair();
            super::kit::reset(theirs);
            std::thread::sleep(std::time::Duration::from_millis(10));
            ours.into()
        },
    ];
    let mut rig = Rig::new();
    for (n, make) in wrong.into_iter().enumerate() {
        rig.event_loop.hub().adopt_stream(make(), Tap::new("client"));
        rig.event_loop.hub().connect_accepted(make(), Tap::new("accepted"));
        rig.until(|state| state.refusals.len() == 2 * (n + 1));
        for refusal in &rig.state().refusals[2 * n..] {
            assert_eq!(refusal.error().kind(), ErrorKind::InvalidInput, "number {n}");
            assert_eq!(refusal.attempts().next().unwrap().0, None);
        }
    }
    assert!(rig.state().made.is_empty());
    assert_eq!(rig.reported(), [""; 0]);
}

#[test]
fn what_is_refused_is_closed() {
    //= LOOP-3, LOOP-4, RUST-11
    let mut rig = Rig::new();
    let (datagram, other_end) = UnixDatagram::pair().unwrap();
    rig.event_loop.hub().adopt_stream(datagram, Tap::new("client"));
    let listener = TcpListener::bind(any_port()).unwrap();
    let addr = listener.local_addr().unwrap();
    rig.event_loop.hub().adopt_stream(listener, Tap::new("client"));
    rig.until(|state| state.refusals.len() == 2);
    assert!(other_end.send(b"x").is_err(), "nobody has the other end");
    assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), IoErrorKind::ConnectionRefused);
    // Given up before it was taken over: closed too.
    let (ours, mut theirs) = pair();
    let id = rig.event_loop.hub().adopt_stream(ours, Tap::new("client"));
    rig.event_loop.hub().abort(id);
    rig.settle();
    assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_listener_is_taken_over_whether_it_listens_yet_or_not() {
    //= LOOP-13, LOOP-11
    let mut rig = Rig::new();
    let listening = TcpListener::bind(any_port()).unwrap();
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    bound.bind(&any_port().into()).unwrap();
    let bound_addr = bound.local_addr().unwrap().as_socket().unwrap();
    for (socket, addr) in [(listening.try_clone().unwrap().into(), listening.local_addr().unwrap()), (bound.into(), bound_addr)] {
        let socket: OwnedFd = socket;
        let before = rig.state().made.len();
        let server = rig.event_loop.listen_on(socket, |_, _| Tap::new("server")).unwrap();
        assert_eq!(server.addr().inet(), Some(addr));
        let _peer = connect(addr);
        rig.until(|state| state.made.len() > before);
        let id = rig.state().made[before].1;
        assert!(rig.event_loop.socket(id).unwrap().no_delay().unwrap());
        rig.event_loop.hub().server_close(server.id());
        rig.settle();
    }
}

#[test]
fn a_listener_is_taken_over_inside_of_callbacks() {
    //= RUST-9, LOOP-13
    let mut rig = Rig::new();
    let listener = TcpListener::bind(any_port()).unwrap();
    let addr = listener.local_addr().unwrap();
    let results = Rc::new(RefCell::new(Vec::new()));
    let (good, bad) = (results.clone(), results.clone());
    rig.event_loop.hub().call_soon(move |hub, _| {
        hub.adopt_listener(listener, |_, _| Tap::new("server"), move |_, _, result| good.borrow_mut().push(result));
        let (connected, _) = pair();
        hub.adopt_listener(connected, |_, _| Tap::new("server"), move |_, _, result| bad.borrow_mut().push(result));
    });
    rig.until(|_| results.borrow().len() == 2);
    let results = results.take();
    assert!(results[0].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().error().kind(), ErrorKind::InvalidInput);
    let _peer = connect(addr);
    rig.until_saw("server made");
}

#[test]
fn what_cannot_be_listened_on_is_refused() {
    //= RUST-6, LOOP-4
    let mut rig = Rig::new();
    let unbound: OwnedFd = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap().into();
    let datagram: OwnedFd = UdpSocket::bind(any_port()).unwrap().into();
    let connected: OwnedFd = pair().0.into();
    let file: OwnedFd = File::open("/dev/null").unwrap().into();
    for socket in [unbound, datagram, connected, file] {
        let error = rig.event_loop.listen_on(socket, |_, _| Tap::new("server")).unwrap_err();
        assert_eq!(error.kind(), IoErrorKind::InvalidInput);
    }
}

#[test]
fn every_stream_sends_small_segments_at_once() {
    //= LOOP-11
    let mut rig = Rig::new();
    let (_, addr) = rig.serve(|| Tap::new("accepted"));
    rig.event_loop.hub().connect(addr, Tap::new("connected"));
    rig.event_loop.hub().adopt_stream(TcpStream::connect(addr).unwrap(), Tap::new("adopted"));
    rig.until(|state| state.made.len() == 4);
    for (name, id) in rig.state().made.clone() {
        assert!(rig.event_loop.socket(id).unwrap().no_delay().unwrap(), "{name}");
    }
}

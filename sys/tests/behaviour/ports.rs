//! Servers on internet addresses: their ports, and what TCP alone can be told.

use super::kit::{Rig, Tap, any_port, any_port_v6, connect};
use crate::backend::{Addr, ErrorKind, Listen, ListenError, SocketOption};
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

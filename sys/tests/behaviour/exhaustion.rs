//! No descriptors left. It lowers the limit of the whole process, so it has one of its own.

use crate::backend::{ErrorKind, HubExt};
use crate::kit::{Rig, Tap, any_port, connect, patient};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Lets the process have no more descriptors than it has, and gives back what it was allowed.
struct Full(Rlimit);

impl Full {
    fn now() -> Self {
        let before = getrlimit(Resource::Nofile);
        // The lowest free number is the first one that is not allowed.
        let next = std::fs::File::open("/dev/null").map(|file| std::os::fd::AsRawFd::as_raw_fd(&file)).unwrap();
        setrlimit(Resource::Nofile, Rlimit { current: Some(next as u64), maximum: before.maximum }).unwrap();
        Self(before)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).unwrap();
    }
}

/// Connects a socket that was made while there were descriptors.
fn connect_made(socket: Socket, addr: SocketAddr) -> TcpStream {
    socket.connect(&addr.into()).unwrap();
    patient(socket.into())
}

#[test]
fn accepting_rests_for_a_second_and_recovers() {
    //= LOOP-23, RUST-12
    let mut rig = Rig::new();
    let (server, addr) = rig.serve(|| Tap::new("server").echo());
    let mut early = connect(addr);
    rig.until_saw("server made");
    let late: Vec<Socket> = (0..3).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect();

    let full = Full::now();
    let start = Instant::now();
    let mut late: Vec<TcpStream> = late.into_iter().map(|socket| connect_made(socket, addr)).collect();
    let mut rounds = 0;
    while start.elapsed() < Duration::from_millis(700) {
        rig.event_loop.run_once(Some(Duration::from_millis(100))).unwrap();
        rounds += 1;
    }
    assert!(rounds < 20, "{rounds} iterations: it spins");
    let reported = rig.reported();
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert!(reported[0].contains("accept: too many open files"), "{reported:?}");
    assert_eq!(rig.state().made.len(), 1);
    assert!(rig.event_loop.hub().is_serving(server.id()));
    // Other connections are not affected.
    early.write_all(b"still here").unwrap();
    rig.until(|state| state.received("server") == b"still here");
    early.read_exact(&mut [0; 10]).unwrap();

    // It is tried again, in vain, with another report and another rest.
    while start.elapsed() < Duration::from_millis(1500) {
        rig.event_loop.run_once(Some(Duration::from_millis(100))).unwrap();
    }
    assert_eq!(rig.reported().len(), 1);
    assert_eq!(rig.state().made.len(), 1);

    drop(full);
    rig.until(|state| state.made.len() == 4);
    let elapsed = start.elapsed();
    assert!((Duration::from_millis(1950)..Duration::from_millis(4000)).contains(&elapsed), "{elapsed:?}");
    assert_eq!(rig.reported(), [""; 0]);
    for peer in &mut late {
        peer.write_all(b"x").unwrap();
    }
    rig.until(|state| state.received("server").len() == 13);
    for peer in &mut late {
        peer.read_exact(&mut [0]).unwrap();
    }

    // Closing the server cancels the retry.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let full = Full::now();
    let mut last = connect_made(socket, addr);
    rig.until(|_| true);
    rig.settle();
    assert_eq!(rig.reported().len(), 1);
    assert!(rig.event_loop.poll_timeout().is_some());
    rig.event_loop.hub().server_close(server.id());
    rig.settle();
    assert_eq!(rig.event_loop.poll_timeout(), None);
    drop(full);
    rig.spin(Duration::from_millis(1200));
    assert_eq!(rig.state().made.len(), 4);
    assert_eq!(rig.reported(), [""; 0]);
    let _ = last.read(&mut [0]);

    // What cannot be opened for lack of descriptors is an error of that opening.
    let full = Full::now();
    rig.event_loop.hub().connect(addr, Tap::new("client"));
    rig.until_saw("client refused");
    assert_eq!(rig.state().refusals[0].error().kind(), ErrorKind::DescriptorLimit);
    let error = rig.event_loop.listen(any_port(), |_, _| Tap::new("server")).unwrap_err();
    assert!(error.to_string().contains("too many open files"), "{error}");
    let hub = rig.event_loop.hub();
    assert_eq!(hub.watch(&last).unwrap_err().kind(), ErrorKind::DescriptorLimit);
    assert_eq!(hub.on_signal(10, |_, _| {}).unwrap_err().kind(), ErrorKind::DescriptorLimit);
    assert!(!hub.remove_signal(10));
    drop(full);
}

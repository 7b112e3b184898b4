//! Names and several addresses, on the real loopback.

use super::kit::{PATIENCE, Rig, Tap, any_port, any_port_v6, closed_port};
use crate::backend::{Addr, Answer, Call, Connect, Error, ErrorKind, Family, Listen, Name, ThreadedResolver};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// An address that never answers: the queue of its listener is full, so the system drops whatever comes.
struct Hole {
    _listener: socket2::Socket,
    _queue: Vec<socket2::Socket>,
    addr: SocketAddr,
}

impl Hole {
    fn dig() -> Self {
        let socket = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let listener = socket();
        listener.bind(&any_port().into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        let queue = (0..4).map(|_| {
            let client = socket();
            client.set_nonblocking(true).unwrap();
            // The first fills the queue, the others wait in vain.
            let _ = client.connect(&addr.into());
            client
        });
        let queue = queue.collect();
        Self { _listener: listener, _queue: queue, addr }
    }
}

/// Says hello as soon as it can.
fn greeter() -> Tap {
    Tap::new("client").on("made", |cx| {
        cx.write("hello");
    })
}

#[test]
fn an_address_that_refuses_is_followed_by_the_next() {
    //= LOOP-1, LOOP-7, LOOP-9
    for stagger in [None, Some(Connect::STAGGER)] {
        let mut rig = Rig::new();
        let (_, good) = rig.serve(|| Tap::new("server").echo());
        let (_kept, nobody) = closed_port();
        let mut connect = Connect::to(nobody).or(good);
        if let Some(stagger) = stagger {
            connect = connect.stagger(stagger);
        }
        let id = rig.event_loop.hub().connect(connect, greeter());
        rig.until(|state| state.received("client") == b"hello");
        assert_eq!(rig.event_loop.hub().peer_addr(id), Some(good.into()));
        assert_eq!(rig.state().times("server made"), 1);
    }
}

#[test]
fn an_address_that_never_answers_holds_nobody_up() {
    //= LOOP-7, LOOP-9, RUST-12
    let hole = Hole::dig();
    let mut rig = Rig::new();
    let (_, good) = rig.serve(|| Tap::new("server").echo());
    let stagger = Duration::from_millis(50);
    let begun = Instant::now();
    let connect = Connect::to(hole.addr).or(good).stagger(stagger);
    let id = rig.event_loop.hub().connect(connect, greeter());
    rig.until_saw("client made");
    assert!(begun.elapsed() >= stagger);
    rig.until(|state| state.received("client") == b"hello");
    // It has moved to its own place: everything works there, also what is told by the poller only.
    rig.event_loop.hub().write(id, vec![b'x'; 1 << 20]);
    rig.until(|state| state.received("client").len() == 5 + (1 << 20));
    rig.event_loop.hub().close(id);
    rig.until_saw("client lost(None)");
    rig.until_saw("server lost(None)");
}

#[test]
fn every_attempt_is_named_when_all_fail() {
    //= LOOP-6
    let mut rig = Rig::new();
    let (_kept, one) = closed_port();
    let (_kept, two) = closed_port();
    rig.event_loop.hub().connect(Connect::to(one).or(two).stagger(Connect::STAGGER), Tap::new("client"));
    rig.until_saw("client refused");
    let refusal = &rig.state().refusals[0];
    let named: Vec<_> = refusal.attempts().map(|(addr, error)| (addr.cloned(), error.kind())).collect();
    assert_eq!(named, [one, two].map(|addr| (Some(Addr::from(addr)), ErrorKind::ConnectionRefused)));
}

#[test]
fn this_host_is_known_by_name() {
    //= LOOP-1, LOOP-13
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(Listen::host("localhost", 0).family(Family::V4), |_, _| Tap::new("server").echo());
    let port = server.unwrap().addr().inet().unwrap().port();
    // IPv6 may come first, where nobody listens.
    rig.event_loop.hub().connect(("localhost", port), greeter());
    rig.until(|state| state.received("client") == b"hello");
    // A host that cannot be: the name is reserved (RFC 6761).
    rig.event_loop.hub().connect(("host.invalid", port), Tap::new("nobody"));
    rig.until_saw("nobody refused");
    let refusal = &rig.state().refusals[0];
    assert_eq!((refusal.host(), refusal.error().call()), (Some("host.invalid"), Call::Resolve));
    assert!(matches!(refusal.error().kind(), ErrorKind::HostNotFound | ErrorKind::LookupFailed), "{refusal}");
}

#[test]
fn all_interfaces_are_served_in_both_families() {
    //= LOOP-13, LOOP-14, LOOP-15
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(Listen::any(0), |_, _| Tap::new("server").echo()).unwrap();
    let v6 = TcpListener::bind(any_port_v6()).is_ok();
    if !v6 {
        println!("SKIPPED in part: no IPv6 on this machine");
    }
    let addrs: Vec<_> = server.addrs().iter().map(|addr| addr.inet().unwrap()).collect();
    assert_eq!(addrs.len(), 1 + usize::from(v6), "{addrs:?}");
    for at in addrs {
        let to: SocketAddr = if at.is_ipv4() {
            (Ipv4Addr::LOCALHOST, at.port()).into()
        } else {
            (std::net::Ipv6Addr::LOCALHOST, at.port()).into()
        };
        rig.event_loop.hub().connect(to, Tap::new("client"));
    }
    rig.until(|state| state.times("client made") == 1 + usize::from(v6));
}

// ---- resolvers ----

fn good_answer(answer: Answer) {
    answer.send(Ok(vec![(Ipv4Addr::LOCALHOST, 0).into()]));
}

#[test]
fn a_resolver_of_ones_own_answers_at_once_later_or_never() {
    //= LOOP-1, LOOP-6, RUST-8
    let mut rig = Rig::new();
    let (_, good) = rig.serve(|| Tap::new("server"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    rig.event_loop.set_resolver(move |name: &Name, answer: Answer| {
        log.lock().unwrap().push(name.to_string());
        match name.host() {
            "at-once" => good_answer(answer),
            "later" => drop(std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                good_answer(answer);
            })),
            "panics" => panic!("the resolver"),
            _ => drop(answer),
        }
    });
    for (name, tap) in [("at-once", "a"), ("later", "b"), ("never", "c"), ("panics", "d")] {
        rig.event_loop.hub().connect((name, good.port()), Tap::new(tap));
    }
    rig.until(|state| state.saw("a made") && state.saw("b made") && state.saw("c refused") && state.saw("d refused"));
    assert!(rig.state().refusals.iter().all(|refusal| refusal.error().kind() == ErrorKind::LookupFailed));
    assert_eq!(*asked.lock().unwrap(), ["at-once", "later", "never", "panics"].map(|name| format!("{name}:{}", good.port())));
    assert!(rig.reported().iter().any(|report| report.contains("the resolver")));
    // It cannot wait, and says so.
    let error = rig.event_loop.listen(("at-once", 0), |_, _| Tap::new("server")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
}

#[test]
fn lookups_that_wait_run_on_four_threads_at_most() {
    //= LOOP-1, RUST-6
    let mut rig = Rig::new();
    let (_, good) = rig.serve(|| Tap::new("server"));
    let (running, most, all) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (peak, count) = (most.clone(), all.clone());
    rig.event_loop.set_resolver(ThreadedResolver::new(move |name| {
        peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        count.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        running.fetch_sub(1, Ordering::SeqCst);
        match name.host() {
            "bad" => Err(Error::new(Call::Resolve, ErrorKind::HostNotFound)),
            "panics" => panic!("the lookup"),
            _ => Ok(vec![(Ipv4Addr::LOCALHOST, 0).into()]),
        }
    }));
    for _ in 0..10 {
        for name in ["good", "bad", "panics"] {
            rig.event_loop.hub().connect((name, good.port()), Tap::new("client"));
        }
    }
    rig.until(|state| state.times("client made") == 10 && state.times("client refused") == 20);
    assert_eq!((most.load(Ordering::SeqCst), all.load(Ordering::SeqCst)), (4, 30));
}

#[test]
fn a_lookup_that_nobody_waits_for_any_more_is_not_begun_and_a_loop_does_not_wait_for_one() {
    //= LIFE-12, LIFE-18, RUST-9
    let mut rig = Rig::new();
    let (release, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let (began, begun) = channel();
    rig.event_loop.set_resolver(ThreadedResolver::new(move |name| {
        began.send(name.host().to_owned()).unwrap();
        // Until the test lets it go on.
        let _ = gate.lock().unwrap().recv();
        Err(Error::new(Call::Resolve, ErrorKind::HostNotFound))
    }));
    let ids: Vec<_> = (0..20).map(|n| rig.event_loop.hub().connect((format!("host{n}"), 80), Tap::new("client"))).collect();
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    let mut names: Vec<String> = (0..4).map(|_| begun.recv_timeout(PATIENCE).unwrap()).collect();
    names.sort();
    assert_eq!(names, ["host0", "host1", "host2", "host3"]);
    for &id in &ids[..19] {
        rig.event_loop.hub().abort(id);
    }
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    for _ in 0..4 {
        release.send(()).unwrap();
    }
    // Only the last one is still wanted.
    assert_eq!(begun.recv_timeout(PATIENCE).unwrap(), "host19");
    let started = Instant::now();
    drop(rig);
    assert!(started.elapsed() < Duration::from_secs(2));
    // Its thread ends behind it, with everything that it had.
    drop(release);
    assert!(begun.recv_timeout(PATIENCE).is_err());
}

//! Connecting and serving by name, with a resolver that answers as the test says.

use super::common::{Notes, Sim, addr, echo, on_every_host, script};
use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_core::{Addr, Connect, ErrorKind, Family, Listen, ListenError, ServerId};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What came of a connect: `made` or the error, and after how long.
fn outcome(sim: &mut Sim, connect: impl Into<Connect>) -> (String, u128) {
    let begun = sim.now();
    sim.state().said.clear();
    sim.state().failed.clear();
    let id = sim.hub().connect(connect, script().made(|cx| cx.state.say("made")).failed(|cx| cx.state.say("failed")));
    assert!(sim.run_until(1000, |sim| !sim.state().said.is_empty()));
    let time = sim.now().saturating_since(begun).as_millis();
    let what = match sim.state().failed.first() {
        Some(error) => error.to_string(),
        None => sim.state().said[0].clone(),
    };
    sim.hub().abort(id);
    sim.settle();
    (what, time)
}

#[test]
fn the_addresses_of_a_host_are_looked_up_and_tried_in_order() {
    //= LOOP-1, LOOP-6
    on_every_host(|sim| {
        // A resolver's ports do not matter.
        let found = [addr("10.0.0.20:0"), addr("10.0.0.10:9")];
        sim.sim().set_host("example.org", ms(15), Ok(&found));
        let _server = sim.sim().listen_peer(addr("10.0.0.10:80"));
        sim.sim().slow(addr("10.0.0.20:0").ip(), ms(30));
        assert_eq!(outcome(sim, ("example.org", 80)), ("made".into(), 45));
        let (error, time) = outcome(sim, (String::from("example.org"), 81));
        assert_eq!(time, 45);
        assert_eq!(
            error,
            "example.org: 10.0.0.20:81: connect: connection refused (code 111); 10.0.0.10:81: connect: connection refused (code 111)"
        );
    });
}

#[test]
fn families_alternate_when_attempts_are_staggered() {
    //= LOOP-8
    let order = |sim: &mut Sim, connect: Connect| {
        outcome(sim, connect);
        let error = sim.state().failed[0].clone();
        error.attempts().map(|(addr, _)| addr.unwrap().to_string()).collect::<Vec<_>>().join(" ")
    };
    on_every_host(|sim| {
        let found = ["[2001:db8::1]:0", "[2001:db8::2]:0", "[2001:db8::3]:0", "192.0.2.1:0", "192.0.2.2:0"].map(addr);
        sim.sim().set_host("example.org", ms(0), Ok(&found));
        let plain = "[2001:db8::1]:7 [2001:db8::2]:7 [2001:db8::3]:7 192.0.2.1:7 192.0.2.2:7";
        let alternating = "[2001:db8::1]:7 192.0.2.1:7 [2001:db8::2]:7 192.0.2.2:7 [2001:db8::3]:7";
        let after_two = "[2001:db8::1]:7 [2001:db8::2]:7 192.0.2.1:7 [2001:db8::3]:7 192.0.2.2:7";
        let connect = || Connect::host("example.org", 7);
        assert_eq!(order(sim, connect()), plain);
        assert_eq!(order(sim, connect().interleave(1)), alternating);
        assert_eq!(order(sim, connect().stagger(ms(250))), alternating);
        assert_eq!(order(sim, connect().stagger(ms(250)).interleave(2)), after_two);
        assert_eq!(order(sim, connect().stagger(ms(250)).interleave(0)), plain);
    });
}

#[test]
fn only_the_family_that_is_wanted_is_tried() {
    //= LOOP-1, LOOP-6
    on_every_host(|sim| {
        let found = [addr("[::1]:0"), addr("127.0.0.1:0")];
        sim.sim().set_host("localhost", ms(0), Ok(&found));
        let _server = sim.sim().listen_peer(addr("127.0.0.1:80"));
        assert_eq!(outcome(sim, Connect::host("localhost", 80).family(Family::V4)).0, "made");
        assert_eq!(sim.sim().looked_up()[0].family(), Some(Family::V4));
        let (error, _) = outcome(sim, Connect::host("localhost", 80).family(Family::V6));
        assert_eq!(error, "localhost: [::1]:80: connect: connection refused (code 111)");
        // An address spelled out may be of the wrong one, and nothing be left.
        let (error, _) = outcome(sim, Connect::host("::1", 80).family(Family::V4));
        assert_eq!(error, "::1: resolve: host not found");
        let (error, _) = outcome(sim, Connect::to(addr("[::1]:80")).family(Family::V4));
        assert_eq!(error, "check: invalid input");
    });
}

#[test]
fn an_address_spelled_out_is_not_looked_up_and_nonsense_neither() {
    //= LOOP-1, RUST-6
    on_every_host(|sim| {
        let _server = sim.sim().listen_peer(addr("127.0.0.1:80"));
        assert_eq!(outcome(sim, ("127.0.0.1", 80)).0, "made");
        for name in [String::new(), "a\0b".into(), "x".repeat(254)] {
            let (error, time) = outcome(sim, (name.clone(), 80));
            assert!(error.ends_with("resolve: invalid input") && !error.contains('\0'), "{error}");
            assert_eq!((time, sim.state().failed[0].host()), (0, Some(&name[..])));
        }
        assert!(sim.sim().looked_up().is_empty());
    });
}

#[test]
fn a_name_that_is_not_found_says_so() {
    //= LOOP-6
    on_every_host(|sim| {
        sim.sim().set_host("later", ms(5), Err(ErrorKind::LookupFailed));
        sim.sim().set_host("empty", ms(5), Ok(&[]));
        assert_eq!(outcome(sim, ("nobody", 80)).0, "nobody: resolve: host not found");
        assert_eq!(outcome(sim, ("later", 80)), ("later: resolve: the name cannot be looked up now".into(), 5));
        assert_eq!(outcome(sim, ("empty", 80)), ("empty: resolve: host not found".into(), 5));
        // There may be another way.
        let _server = sim.sim().listen_peer(addr("127.0.0.1:80"));
        assert_eq!(outcome(sim, Connect::host("nobody", 80).or(addr("127.0.0.1:80"))).0, "made");
        let (error, _) = outcome(sim, Connect::host("nobody", 80).or(addr("127.0.0.1:81")));
        assert_eq!(error, "nobody: resolve: host not found; 127.0.0.1:81: connect: connection refused (code 111)");
    });
}

#[test]
fn an_answer_that_nobody_waits_for_any_more_is_for_nobody() {
    //= LIFE-12, RUST-10
    on_every_host(|sim| {
        sim.sim().set_host("slow", ms(1000), Ok(&[addr("127.0.0.1:0")]));
        sim.sim().set_host("slower", ms(2000), Ok(&[addr("127.0.0.1:0")]));
        let server = sim.sim().listen_peer(addr("127.0.0.1:80"));
        let first = sim.hub().connect(("slow", 80), script());
        sim.advance(ms(500));
        sim.hub().close(first);
        // Its place is another's, and so may be the name of its lookup.
        let second = sim.hub().connect(("slower", 80), script());
        assert_eq!(second.key().index(), first.key().index());
        sim.advance(ms(1000));
        assert!(server.accept().is_none());
        assert_eq!(sim.sim().lookups(), 1);
        sim.advance(ms(1000));
        assert!(server.accept().is_some());
        assert_eq!((sim.trace(first).as_str(), sim.trace(second).as_str()), ("", "made"));
    });
}

// ---- servers ----

/// What came of listening, and where.
fn listen(sim: &mut Sim, listen: impl Into<Listen>) -> Result<(ServerId, Vec<Addr>), ListenError> {
    let outcome = std::rc::Rc::new(core::cell::RefCell::new(None));
    let told = outcome.clone();
    sim.hub().listen(listen, |_: &mut Notes, _| echo(), move |_, _, result| *told.borrow_mut() = Some(result));
    assert!(sim.run_until(1000, |_| outcome.borrow().is_some()));
    let result = outcome.borrow_mut().take();
    let server = result.expect("it was told")?;
    Ok((server, sim.hub().sockets(server)))
}

fn show(addrs: &[Addr]) -> Vec<String> {
    addrs.iter().map(Addr::to_string).collect()
}

#[test]
fn a_server_listens_on_every_address_of_its_hosts_once() {
    //= LOOP-13
    on_every_host(|sim| {
        let local: [SocketAddr; 2] = [addr("[::1]:0"), addr("127.0.0.1:0")];
        sim.sim().set_host("localhost", ms(30), Ok(&local));
        sim.sim().set_host("alias", ms(10), Ok(&local[1..]));
        let (server, addrs) = listen(sim, Listen::host("localhost", 80).and_host("alias", 80).and(addr("127.0.0.1:80"))).unwrap();
        assert_eq!(show(&addrs), ["[::1]:80", "127.0.0.1:80"]);
        for to in addrs {
            let peer = sim.sim().connect_peer(to.inet().unwrap());
            peer.send("x");
            sim.settle();
            assert_eq!(peer.recv(), b"x");
        }
        sim.hub().server_close(server);
        sim.settle();
        // The same at once, for callers that wait.
        let server = sim.listen(("localhost", 80), |_: &mut Notes, _| echo()).unwrap();
        assert_eq!(show(&sim.hub().sockets(server)), ["[::1]:80", "127.0.0.1:80"]);
    });
}

#[test]
fn an_empty_host_stands_for_all_interfaces() {
    //= LOOP-13, LOOP-14
    on_every_host(|sim| {
        for all in [Listen::any(80), Listen::host("", 80), ("", 80).into()] {
            let (server, addrs) = listen(sim, all).unwrap();
            assert_eq!(show(&addrs), ["0.0.0.0:80", "[::]:80"]);
            for to in ["127.0.0.1:80", "10.0.0.1:80", "[::1]:80"] {
                let peer = sim.sim().connect_peer(addr(to));
                peer.send("x");
                sim.settle();
                assert_eq!(peer.recv(), b"x");
            }
            sim.hub().server_close(server);
            sim.settle();
        }
        let (_, addrs) = listen(sim, Listen::any(81).family(Family::V6)).unwrap();
        assert_eq!(show(&addrs), ["[::]:81"]);
        // A free port for each.
        let (_, addrs) = listen(sim, Listen::any(0)).unwrap();
        assert!(addrs.len() == 2 && addrs.iter().all(|addr| addr.inet().unwrap().port() > 0), "{addrs:?}");
        assert!(sim.sim().looked_up().is_empty());
    });
}

#[test]
fn a_host_that_is_not_found_or_bound_leaves_no_socket() {
    //= LOOP-13, LOOP-15, RUST-11
    on_every_host(|sim| {
        sim.sim().set_host("localhost", ms(30), Ok(&[addr("127.0.0.1:0")]));
        sim.sim().set_host("elsewhere", ms(0), Ok(&[addr("192.0.2.1:0"), addr("192.0.2.2:0")]));
        let error = listen(sim, Listen::host("localhost", 80).and_host("nobody", 80)).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.host()), ("nobody: resolve: host not found", Some("nobody")));
        assert_eq!(sim.sim().descriptors(), 0);
        let error = sim.listen(("nobody", 80), |_: &mut Notes, _| echo()).unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::HostNotFound);
        // One of them is enough, and what is skipped is reported.
        let (server, addrs) = listen(sim, Listen::host("elsewhere", 80).and_host("localhost", 80)).unwrap();
        assert_eq!((show(&addrs), sim.take_reports().len()), (vec!["127.0.0.1:80".into()], 2));
        sim.hub().server_close(server);
        sim.settle();
        let error = listen(sim, ("elsewhere", 80)).unwrap_err();
        assert!(error.to_string().starts_with("192.0.2.1:80: bind: address not available"), "{error}");
        // Nothing to listen on.
        for nothing in [Listen::on(addr("[::1]:80")).family(Family::V4), Listen::host("a\0b", 80)] {
            assert_eq!(listen(sim, nothing).unwrap_err().error().kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(sim.sim().descriptors(), 0);
    });
}

#[test]
fn a_server_that_is_closed_while_names_are_looked_up_never_listens() {
    //= LOOP-18, RUST-9
    on_every_host(|sim| {
        sim.sim().set_host("localhost", ms(30), Ok(&[addr("127.0.0.1:0")]));
        let server = sim.hub().listen(
            Listen::host("localhost", 80).and_host("other", 80),
            |_: &mut Notes, _| echo(),
            |_, state: &mut Notes, result| state.say(format!("{:?}", result.unwrap_err().error().kind())),
        );
        sim.run_once(Some(ms(10)));
        sim.hub().server_close(server);
        sim.advance(ms(100));
        assert_eq!(sim.state().said, ["Closed"]);
        assert_eq!((sim.sim().descriptors(), sim.sim().lookups()), (0, 0));
    });
}

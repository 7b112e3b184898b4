//! Servers: their states, their connections, and accepting without descriptors (contract 17.7).

use super::common::{Notes, Sim, addr, echo, here, on_every_host, script, serve};
use core::time::Duration;
use plimsoll_conformance::sim::{Faults, Host};
use plimsoll_core::{ErrorKind, Listen, Report, Resource};

#[test]
fn a_paused_server_accepts_nothing_before_it_is_started() {
    //= LOOP-13, LOOP-16, LOOP-21
    on_every_host(|sim| {
        let server = sim.listen(Listen::on(here()).paused(), |_: &mut Notes, _| echo()).unwrap();
        assert_eq!(sim.hub().sockets(server), [here().into()]);
        sim.settle();
        assert!(!sim.hub().is_serving(server));
        // Bound, and nobody listens yet.
        let early = sim.sim().connect_peer(here());
        sim.settle();
        assert_eq!(early.error(), Some(ErrorKind::ConnectionRefused));
        sim.hub().server_start(server).unwrap();
        sim.hub().server_start(server).unwrap();
        assert!(sim.hub().is_serving(server));
        sim.settle();
        let peer = sim.sim().connect_peer(here());
        peer.send("x");
        sim.settle();
        assert_eq!(peer.recv(), b"x");
        sim.hub().server_close(server);
        assert_eq!(sim.hub().server_start(server).unwrap_err().kind(), ErrorKind::Closed);
        assert!(sim.hub().sockets(server).is_empty() && !sim.hub().is_serving(server));
    });
}

#[test]
fn closing_a_server_keeps_its_connections_and_drops_those_not_accepted_yet() {
    //= LOOP-18, LIFE-5
    on_every_host(|sim| {
        let server = serve(sim, echo);
        let old = sim.sim().connect_peer(here());
        sim.settle();
        let late = sim.sim().connect_peer(here());
        sim.hub().call_soon(move |hub, _| {
            hub.server_close(server);
            hub.server_close(server);
        });
        sim.settle();
        old.send("x");
        sim.settle();
        assert_eq!(old.recv(), b"x");
        assert!(late.saw_eof() || late.error().is_some());
        assert_eq!(sim.lifetimes(), (1, 0));
        let refused = sim.sim().connect_peer(here());
        sim.settle();
        assert_eq!(refused.error(), Some(ErrorKind::ConnectionRefused));
    });
}

#[test]
fn no_connection_is_made_after_the_server_was_closed_in_the_same_pass() {
    //= LOOP-18
    on_every_host(|sim| {
        let server = serve(sim, script);
        let peers: Vec<_> = (0..5).map(|_| sim.sim().connect_peer(here())).collect();
        // Accepted in one pass; `connection_made` would come in the next one.
        while sim.sim().descriptors() < 2 {
            sim.run_once(None);
        }
        assert_eq!(sim.lifetimes().0, 0);
        sim.hub().server_close(server);
        sim.settle();
        assert_eq!(sim.lifetimes(), (0, 0));
        assert_eq!(sim.sim().descriptors(), 0);
        assert!(peers.iter().all(|peer| peer.saw_eof() || peer.error().is_some()));
    });
}

#[test]
fn wait_closed_is_told_after_the_last_connection_is_lost() {
    //= LOOP-19, LOOP-20
    on_every_host(|sim| {
        let server = serve(sim, || script().lost(|cx, _| cx.state.say("lost")));
        let peers = [sim.sim().connect_peer(here()), sim.sim().connect_peer(here())];
        sim.settle();
        sim.hub().wait_closed(server, |_, notes| notes.say("closed"));
        sim.settle();
        sim.hub().server_close(server);
        sim.settle();
        assert!(sim.state().said.is_empty());
        let first = sim.state().ids[0];
        sim.hub().abort(first);
        sim.settle();
        assert_eq!(sim.state().said, ["lost"]);
        sim.hub().close_clients(server);
        sim.settle();
        assert_eq!(sim.state().said, ["lost", "lost", "closed"]);
        sim.hub().wait_closed(server, |_, notes| notes.say("closed long ago"));
        sim.settle();
        assert_eq!(sim.state().said.len(), 4);
        drop(peers);
    });
}

#[test]
fn aborting_the_clients_of_a_server_touches_no_other_connection() {
    //= LOOP-20
    on_every_host(|sim| {
        let server = serve(sim, script);
        let other = sim.listen(addr("127.0.0.1:7001"), |_: &mut Notes, _| script()).unwrap();
        let (one, two) = (sim.sim().connect_peer(here()), sim.sim().connect_peer(addr("127.0.0.1:7001")));
        sim.settle();
        sim.hub().abort_clients(server);
        sim.settle();
        assert_eq!(sim.lifetimes(), (2, 1));
        assert!(sim.hub().is_serving(server) && sim.hub().is_serving(other));
        drop((one, two));
    });
}

#[test]
fn a_server_without_descriptors_reports_once_rests_for_a_second_and_recovers() {
    //= LOOP-23, RUST-12
    on_every_host(|sim| {
        // Two sockets of one server, which rest together.
        let six = addr("[::1]:7000");
        let server = sim.listen(Listen::on(here()).and(six), |_: &mut Notes, _| echo()).unwrap();
        let first = sim.sim().connect_peer(here());
        sim.settle();
        let taken = sim.sim().descriptors() as usize;
        sim.sim().change_faults(|faults| faults.descriptors = taken);
        let waiting: Vec<_> = [here(), six, here()].into_iter().map(|at| sim.sim().connect_peer(at)).collect();
        sim.settle();
        let rests = |reports: Vec<Report>| {
            let failed = |report: &Report| matches!(report, Report::AcceptFailed { server: of, error } if *of == server && error.kind() == ErrorKind::DescriptorLimit);
            assert!(reports.iter().all(failed));
            reports.len()
        };
        // Operations take a descriptor before they wait: that one may have failed already.
        let began = sim.now();
        assert!(rests(sim.take_reports()) <= 1);
        first.send("x");
        sim.settle();
        assert_eq!(first.recv(), b"x");
        assert_eq!(sim.now(), began, "nothing else is slowed down");
        let iterations = sim.iterations();
        sim.advance(Duration::from_millis(999));
        assert!(sim.iterations() - iterations < 20, "it spins");
        assert_eq!(rests(sim.take_reports()), 0);
        assert_eq!(sim.lifetimes().0, 1);
        sim.advance(Duration::from_millis(1));
        assert_eq!(rests(sim.take_reports()), 1, "tried once more, exactly a second later");
        sim.sim().change_faults(|faults| faults.descriptors = 100);
        sim.advance(Duration::from_millis(999));
        assert_eq!(sim.lifetimes().0, 1);
        sim.advance(Duration::from_millis(1));
        assert_eq!((sim.lifetimes().0, rests(sim.take_reports())), (4, 0));
        waiting[2].send("y");
        sim.settle();
        assert_eq!(waiting[2].recv(), b"y");
    });
}

#[test]
fn closing_a_resting_server_cancels_the_retry() {
    //= LOOP-23, LOOP-18
    on_every_host(|sim| {
        let server = serve(sim, echo);
        sim.sim().change_faults(|faults| faults.descriptors = 1);
        let peer = sim.sim().connect_peer(here());
        sim.settle();
        sim.hub().server_close(server);
        sim.advance(Duration::from_secs(5));
        assert!(sim.take_reports().len() <= 1);
        assert_eq!(sim.lifetimes(), (0, 0));
        drop(peer);
    });
}

#[test]
fn a_connection_that_was_reset_in_the_queue_does_not_stop_the_batch() {
    //= LOOP-22
    on_every_host(|sim| {
        for aborted in [0, 1000] {
            sim.sim().change_faults(|faults| faults.accept_aborted = aborted);
            // It listens, and nobody accepts yet.
            let socket = sim.sim().bound_socket(here(), true);
            let doomed = sim.sim().connect_peer(here());
            let good = sim.sim().connect_peer(here());
            sim.settle();
            doomed.reset();
            good.send("x");
            sim.settle();
            let make = |_: &mut Notes, _| Some(Box::new(echo()) as Box<dyn plimsoll_core::Protocol<Notes>>);
            let server = sim.hub().listen_on(Resource::new(socket), make, |_, _, result| assert!(result.is_ok()));
            sim.settle();
            assert_eq!(good.recv(), b"x");
            sim.hub().server_close(server);
            sim.settle();
            assert!(sim.take_reports().is_empty());
        }
    });
}

#[test]
fn more_connections_than_the_backlog_come_in_by_and_by() {
    //= LOOP-22, LOOP-14
    on_every_host(|sim| {
        sim.listen(Listen::on(here()).backlog(2), |_: &mut Notes, _| echo()).unwrap();
        let peers: Vec<_> = (0..20).map(|_| sim.sim().connect_peer(here())).collect();
        sim.advance(Duration::from_secs(130));
        for peer in &peers {
            peer.send("x");
        }
        sim.settle();
        assert!(peers.iter().all(|peer| peer.recv() == b"x"));
    });
}

#[test]
fn a_taken_address_fails_the_whole_server_and_closes_what_it_had() {
    //= LOOP-13, LOOP-15, RUST-11
    on_every_host(|sim| {
        serve(sim, echo);
        let both = Listen::on(addr("127.0.0.1:0")).and(here());
        let error = sim.listen(both.clone(), |_: &mut Notes, _| echo()).unwrap_err();
        assert_eq!((error.addr(), error.error().kind()), (Some(&here().into()), ErrorKind::AddrInUse));
        sim.hub().listen(
            both,
            |_: &mut Notes, _| echo(),
            |_, notes, result| {
                notes.say(format!("{:?}", result.unwrap_err().error().kind()));
            },
        );
        sim.settle();
        assert_eq!((sim.state().said.join(""), sim.sim().descriptors()), ("AddrInUse".into(), 1));
    });
}

#[test]
fn an_address_that_is_not_ours_is_skipped_with_a_diagnostic_if_another_one_is() {
    //= LOOP-15, LOOP-13
    on_every_host(|sim| {
        let server = sim.listen(Listen::on(addr("192.0.2.1:80")).and(addr("[::1]:0")), |_: &mut Notes, _| echo()).unwrap();
        let sockets = sim.hub().sockets(server);
        let port = sockets[0].inet().unwrap().port();
        assert!(sockets.len() == 1 && port != 0);
        assert!(matches!(sim.take_reports()[..], [Report::AddressSkipped { .. }]));
        let peer = sim.sim().connect_peer(addr(&format!("[::1]:{port}")));
        peer.send("six");
        sim.settle();
        assert_eq!(peer.recv(), b"six");
        let error = sim.listen(addr("192.0.2.1:80"), |_: &mut Notes, _| echo()).unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn a_listening_socket_can_be_taken_over() {
    //= LOOP-13, RUST-11
    on_every_host(|sim| {
        for listens in [false, true] {
            let socket = sim.sim().bound_socket(here(), listens);
            let make = |_: &mut Notes, _| Some(Box::new(echo()) as Box<dyn plimsoll_core::Protocol<Notes>>);
            let server = sim.hub().listen_on(Resource::new(socket), make, |_, notes, result| {
                notes.say(if result.is_ok() { "listening" } else { "failed" });
            });
            sim.settle();
            assert_eq!(sim.state().said.last().map(String::as_str), Some("listening"));
            let peer = sim.sim().connect_peer(here());
            peer.send("x");
            sim.settle();
            assert_eq!(peer.recv(), b"x");
            sim.hub().server_close(server);
            sim.settle();
        }
    });
}

#[test]
fn a_server_closed_before_it_is_bound_is_told_so() {
    //= LOOP-18, LOOP-16
    on_every_host(|sim| {
        let server = sim.hub().listen(
            here(),
            |_: &mut Notes, _| echo(),
            |_, notes, result| {
                notes.say(format!("{:?}", result.unwrap_err().error().kind()));
            },
        );
        sim.hub().server_close(server);
        sim.settle();
        assert_eq!((sim.state().said.join(" "), sim.sim().descriptors()), ("Closed".into(), 0));
    });
}

#[test]
fn accepting_goes_on_under_every_fault_of_accept() {
    //= LOOP-22, LOOP-23, READ-4
    for seed in 0..30 {
        for host in Host::ALL {
            let mut faults = Faults::none();
            (faults.would_block, faults.spurious, faults.stale, faults.duplicate) = (300, 300, 300, 300);
            (faults.shuffle, faults.accept_aborted, faults.latency) = (true, 500, 0..=1000);
            let world = plimsoll_conformance::sim::Sim::new(seed, faults);
            let mut sim = Sim::within(&world, host, Notes::default());
            serve(&mut sim, echo);
            let peers: Vec<_> = (0..30).map(|_| world.connect_peer(here())).collect();
            for peer in &peers {
                peer.send("x");
                peer.eof();
            }
            let over = sim.run_until(10_000, |_| peers.iter().all(|peer| peer.saw_eof()));
            assert!(over && peers.iter().all(|peer| peer.recv() == b"x"), "seed {seed} on {host:?}");
        }
    }
}

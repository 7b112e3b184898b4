//! Secure connections on the simulated kernel, both ends in one loop.

use crate::certs::{VERSIONS, tls_client, tls_server};
use crate::common::{Cx, Notes, Script, Sim, echo, here, on_every_host, pattern, script, serve};
use crate::peer as tls;
use core::time::Duration;
use plimsoll_conformance::sim::{Failure, Faults, Host, Syscall};
use plimsoll_core::{Addr, Connect, Data, ErrorKind, Listen, Protocol, Report, StreamId, WriteStatus};

fn secure_server(sim: &mut Sim, make: impl Fn() -> Script + 'static) -> plimsoll_core::ServerId {
    sim.listen(Listen::on(here()).tls(tls_server(VERSIONS[1])), move |_: &mut Notes, _: Addr| make()).unwrap()
}

fn secure_client(sim: &mut Sim, protocol: impl Protocol<Notes> + 'static) -> StreamId {
    sim.hub().connect(Connect::to(here()).tls(tls_client(VERSIONS[1])), protocol)
}

/// Says all of it, and closes when all has come back.
fn asks(sent: Vec<u8>) -> Script {
    let len = sent.len();
    script()
        .made(move |cx| {
            cx.write(sent.clone());
        })
        .data(move |cx, data| {
            cx.state.got.extend_from_slice(&data);
            if cx.state.got.len() == len {
                cx.close();
            }
        })
}

#[test]
fn both_ends_of_a_loop_talk_securely_and_end_in_order() {
    //= TLS-1, TLS-8, TLS-11, TLS-12, LIFE-2, READ-1, WRITE-1
    on_every_host(|sim| {
        secure_server(sim, echo);
        let client = secure_client(sim, asks(pattern(300_000)));
        sim.settle();
        assert!(sim.state().got == pattern(300_000));
        assert_eq!(sim.trace(client).replace(" pause resume", ""), "made data(300000) lost");
        let server = *sim.state().ids.iter().find(|id| **id != client).unwrap();
        assert_eq!(sim.trace(server).replace(" pause resume", ""), "made data(300000) eof lost");
        assert_eq!(sim.lifetimes(), (2, 2));
        assert_eq!(sim.engine().hub().tls_info(client), None);
    });
}

#[test]
fn every_way_of_cutting_and_delaying_is_survived() {
    //= TLS-1, TLS-16, READ-4, RUST-12
    for seed in 0..25 {
        for host in Host::ALL {
            let mut faults = Faults::swarm(&mut fastrand::Rng::with_seed(seed));
            (faults.reset, faults.refuse, faults.lose_syn, faults.accept_nameless, faults.descriptors) = (0, 0, 0, 0, 100);
            let world = plimsoll_conformance::sim::Sim::new(seed, faults);
            let mut sim = Sim::within(&world, host, Notes::default());
            secure_server(&mut sim, echo);
            secure_client(&mut sim, asks(pattern(3000)));
            let over = sim.run_until(200_000, |sim| sim.lifetimes() == (2, 2));
            assert!(over && sim.state().got == pattern(3000), "seed {seed} on {host:?}");
            assert!(sim.state().lost.iter().all(|reason| reason.error().is_none()), "seed {seed} on {host:?}");
        }
    }
}

#[test]
fn memory_that_is_lent_is_filled_on_every_host() {
    //= BUF-8, BUF-10, TLS-16
    on_every_host(|sim| {
        secure_server(sim, || {
            script().made(|cx| {
                cx.write(pattern(50_000));
                cx.close();
            })
        });
        let client = secure_client(sim, script().eof(|_| true).buffered(7));
        sim.settle();
        assert!(sim.state().got == pattern(50_000));
        assert!(sim.trace(client).ends_with("eof lost"));
    });
}

#[test]
fn a_paused_reader_gets_the_rest_and_then_the_end() {
    //= TLS-16, READ-5, READ-9
    on_every_host(|sim| {
        secure_server(sim, || {
            script().made(|cx| {
                cx.write(pattern(500_000));
                cx.close();
            })
        });
        let client = secure_client(
            sim,
            script().data(|cx: &mut Cx<'_>, data: Data<'_>| {
                cx.state.got.extend_from_slice(&data);
                cx.pause_reading();
            }),
        );
        for _ in 0..10_000 {
            sim.settle();
            let before = sim.state().got.len();
            sim.settle();
            assert_eq!(sim.state().got.len(), before, "nothing comes while it is paused");
            if sim.lifetimes().1 == 2 {
                break;
            }
            sim.hub().resume_reading(client);
        }
        assert!(sim.state().got == pattern(500_000) && sim.trace(client).ends_with("eof lost"));
    });
}

#[test]
fn a_server_reports_handshakes_that_fail_and_serves_on() {
    //= TLS-2, LIFE-5, LIFE-9
    on_every_host(|sim| {
        secure_server(sim, echo);
        let garbage = sim.sim().connect_peer(here());
        garbage.send(b"GET / HTTP/1.0\r\n\r\n");
        sim.settle();
        assert!(garbage.saw_eof() || garbage.error().is_some());
        let reports = sim.take_reports();
        assert!(
            matches!(&reports[..], [Report::HandshakeFailed { peer: Some(_), error, .. }] if error.error().kind() == ErrorKind::TlsError),
            "{reports:?}"
        );
        for kind in [None, Some(ErrorKind::ConnectionReset), Some(ErrorKind::BrokenPipe)] {
            let leaving = sim.sim().connect_peer(here());
            sim.settle();
            if let Some(kind) = kind {
                // Whichever of the two the answer to its hello meets.
                sim.sim().fail_nth(Syscall::Send, 1, Failure::Error(kind));
                leaving.send(tls::Peer::client(VERSIONS[1]).output());
            }
            leaving.close();
            sim.settle();
            sim.sim().fail_no_call();
            assert!(sim.take_reports().is_empty(), "that a peer leaves is not worth a report");
        }
        assert_eq!(sim.lifetimes(), (0, 0));
        let client = secure_client(sim, asks(pattern(10)));
        sim.settle();
        assert_eq!(sim.trace(client), "made data(10) lost");
    });
}

#[test]
fn a_client_that_says_nothing_is_not_waited_for_without_end() {
    //= TLS-3, RUST-12
    on_every_host(|sim| {
        secure_server(sim, echo);
        let silent = sim.sim().connect_peer(here());
        sim.settle();
        sim.advance(Duration::from_secs(59));
        assert!(!silent.saw_eof());
        sim.advance(Duration::from_secs(2));
        assert!(silent.saw_eof());
        assert!(matches!(&sim.take_reports()[..], [Report::HandshakeFailed { .. }]));
    });
}

#[test]
fn a_server_that_closes_drops_its_handshakes() {
    //= LOOP-18, LOOP-19
    on_every_host(|sim| {
        let server = secure_server(sim, echo);
        let silent = sim.sim().connect_peer(here());
        sim.settle();
        sim.hub().wait_closed(server, |_, notes| notes.say("closed"));
        sim.hub().server_close(server);
        sim.settle();
        assert_eq!(sim.state().said, ["closed"]);
        assert!(silent.saw_eof() && sim.lifetimes() == (0, 0));
    });
}

#[test]
fn a_plain_connection_is_upgraded_at_both_ends() {
    //= TLS-18, TLS-19
    on_every_host(|sim| {
        serve(sim, || {
            script().data(|cx, data| {
                if &data[..] == b"STARTTLS\n" {
                    cx.write("ready\n");
                    cx.hub.start_tls(cx.id, &tls_server(VERSIONS[1]), b"").unwrap();
                } else {
                    cx.write(data);
                }
            })
        });
        let client = sim.hub().connect(
            here(),
            script()
                .made(|cx| {
                    cx.write("STARTTLS\n");
                })
                .data(|cx, data| {
                    if &data[..] == b"ready\n" {
                        cx.hub.start_tls(cx.id, &tls_client(VERSIONS[1]), b"").unwrap();
                        assert_eq!(cx.write("secret"), WriteStatus::Accepted);
                    } else {
                        cx.state.got.extend_from_slice(&data);
                        cx.close();
                    }
                }),
        );
        sim.settle();
        assert_eq!(sim.state().got, b"secret");
        assert_eq!(sim.trace(client), "made data(6) tls data(6) lost");
    });
}

#[test]
fn files_are_encrypted_on_every_host() {
    //= LOOP-28, LOOP-29, TLS-11, TLS-15
    on_every_host(|sim| {
        sim.sim().change_faults(|faults| (faults.send_space, faults.receive_space) = (1000..=1000, 1000..=1000));
        let file = sim.sim().file(pattern(200_000));
        let sent = file.clone();
        secure_server(sim, move || {
            let file = sent.clone();
            script().data(move |cx, _| {
                cx.write("A");
                cx.hub.send_resource(cx.id, file.resource(), 100..199_900).unwrap();
                cx.close();
            })
        });
        let client = secure_client(
            sim,
            script().made(|cx| {
                cx.write("?");
            }),
        );
        sim.settle();
        assert!(sim.state().got == [b"A", &pattern(200_000)[100..199_900]].concat());
        assert_eq!(file.position(), 199_900);
        let server = *sim.state().ids.iter().find(|id| **id != client).unwrap();
        assert_eq!(sim.trace(server).replace(" pause resume", ""), "made data(1) file(199800) lost");
        assert!(sim.trace(client).ends_with("eof lost"));
    });
}

#[test]
fn a_file_on_a_secure_connection_is_given_up_where_it_was() {
    //= LOOP-28, LOOP-29, TLS-14
    on_every_host(|sim| {
        sim.sim().change_faults(|faults| (faults.send_space, faults.receive_space) = (1000..=1000, 1000..=1000));
        let (file, unreadable) = (sim.sim().file(pattern(500_000)), sim.sim().file(pattern(300_000)));
        unreadable.fail_from(150_000, ErrorKind::PermissionDenied);
        secure_server(sim, script);
        let client = secure_client(sim, script());
        sim.settle();
        let server = *sim.state().ids.iter().find(|id| **id != client).unwrap();
        sim.hub().send_resource(server, unreadable.resource(), ..).unwrap();
        sim.settle();
        assert_eq!(sim.trace(server), "made file(PermissionDenied)");
        assert!(sim.state().got == pattern(300_000)[..150_000] && unreadable.position() == 150_000);

        // The connection is none the worse; and then nobody reads.
        sim.hub().pause_reading(client);
        sim.hub().send_resource(server, file.resource(), ..).unwrap();
        sim.settle();
        assert_eq!(sim.trace(server), "made file(PermissionDenied)");
        sim.hub().abort(server);
        sim.settle();
        assert_eq!(sim.trace(server), "made file(PermissionDenied) file(ConnectionAborted) lost");
        assert!(file.position() < 500_000);
        sim.hub().resume_reading(client);
        sim.settle();
        assert_eq!(sim.lifetimes(), (2, 2));
    });
}

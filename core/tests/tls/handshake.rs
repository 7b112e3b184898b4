//! Handshakes: when the protocol is told, and what may go wrong.

use crate::certs::{self, VERSIONS, suspicious_client, tls_client, tls_server};
use crate::kit::{App, ECHO, QUIET, connected, harness, talk, to};
use crate::peer::Peer;
use core::cell::Cell;
use core::time::Duration;
use plimsoll_core::tls::Tls;
use plimsoll_core::{Call, ErrorKind, Listen, ListenError, Resource, WriteStatus};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConnection, ServerConnection};
use std::rc::Rc;
use std::sync::Arc;

#[test]
fn it_is_made_when_the_handshake_is_done_and_what_was_written_before_follows() {
    //= TLS-1, TLS-15, LIFE-6
    for version in VERSIONS {
        for server in [false, true] {
            let mut t = harness();
            let (tls, mut peer) =
                if server { (tls_server(version), Peer::client(version)) } else { (tls_client(version), Peer::server(version)) };
            let id = t.open(to().tls(tls), ECHO);
            assert_eq!(t.hub().write(id, "early"), WriteStatus::Accepted);
            t.run();
            assert_eq!((t.trace(id).as_str(), t.hub().write_buffer_size(id)), ("", 5));
            assert_eq!(t.hub().tls_info(id), None);
            peer.write(b"hello");
            talk(&mut t, id, &mut peer);
            assert_eq!(t.trace(id), "cm data(hello)");
            assert_eq!(peer.received(), b"earlyhello");
            assert_eq!(t.hub().write_buffer_size(id), 0);
        }
    }
}

#[test]
fn flights_may_come_byte_by_byte() {
    //= TLS-1, READ-1
    for version in VERSIONS {
        for server in [false, true] {
            let mut t = harness();
            let (tls, mut peer) =
                if server { (tls_server(version), Peer::client(version)) } else { (tls_client(version), Peer::server(version)) };
            let id = t.open(to().tls(tls), ECHO);
            t.run();
            peer.write(b"hello");
            loop {
                let ours = t.sent(id);
                for byte in &ours {
                    peer.input(&[*byte]);
                }
                let theirs = peer.output();
                for byte in &theirs {
                    t.feed(id, &[*byte]);
                }
                if ours.is_empty() && theirs.is_empty() {
                    break;
                }
            }
            assert_eq!((t.trace(id).as_str(), peer.received()), ("cm data(hello)", b"hello".to_vec()));
        }
    }
}

#[test]
fn what_comes_with_the_last_flight_comes_after_connection_made() {
    //= TLS-1, LIFE-7
    let mut t = harness();
    let app = App { made: |cx, _| cx.pause_reading(), ..QUIET };
    let id = t.open(to().tls(tls_server(VERSIONS[1])), app);
    let mut peer = Peer::client(VERSIONS[1]);
    t.run();
    t.feed(id, &peer.output());
    peer.input(&t.sent(id));
    peer.write(b"with the last flight");
    t.feed(id, &peer.output());
    assert_eq!(t.trace(id), "cm");
    t.hub().resume_reading(id);
    t.run();
    assert_eq!(t.trace(id), "cm data(with the last flight)");
}

#[test]
fn a_handshake_that_fails_is_an_opening_that_fails() {
    //= TLS-2, RUST-9
    let expect = |act: &dyn Fn(&mut plimsoll_core::testing::Harness<_>, plimsoll_core::StreamId), call, kind| {
        let mut t = harness();
        let id = t.open(to().tls(tls_client(VERSIONS[1])), QUIET);
        t.run();
        act(&mut t, id);
        assert_eq!(t.trace(id), "failed");
        let error = t.state().failed.pop().unwrap();
        assert_eq!((error.error().call(), error.error().kind()), (call, kind), "{error}");
        assert!(t.is_closed(id) && t.hub().is_closing(id));
        assert_eq!(t.hub().write(id, "x"), WriteStatus::Discarded);
        t.advance(Duration::from_secs(100));
        assert_eq!(t.trace(id), "failed");
    };
    expect(&|t, id| t.feed(id, b"HTTP/1.1 400 Bad Request\r\n"), Call::Handshake, ErrorKind::TlsError);
    expect(&|t, id| t.eof(id), Call::Handshake, ErrorKind::ConnectionReset);
    expect(&|t, id| t.reset(id), Call::Receive, ErrorKind::ConnectionReset);
    expect(&|t, id| t.feed(id, &[21, 3, 3, 0, 2, 2, 40]), Call::Handshake, ErrorKind::TlsError);
}

#[test]
fn the_peer_is_told_why_we_refuse_it() {
    //= TLS-2
    let mut t = harness();
    let id = t.open(to().tls(Tls::client(suspicious_client(), crate::certs::name())), QUIET);
    let mut peer = Peer::server(VERSIONS[1]);
    talk(&mut t, id, &mut peer);
    assert_eq!(t.trace(id), "failed");
    let error = t.state().failed.pop().unwrap();
    assert_eq!(error.error().kind(), ErrorKind::TlsError);
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert!(matches!(peer.error, Some(rustls::Error::AlertReceived(_))));
}

#[test]
fn a_handshake_has_a_limit() {
    //= TLS-3, RUST-12
    for (limit, tls) in [
        (60, tls_client(VERSIONS[1])),
        (60, tls_server(VERSIONS[1])),
        (3, tls_client(VERSIONS[1]).handshake_limit(Duration::from_secs(3))),
    ] {
        let mut t = harness();
        let id = t.open(to().tls(tls), QUIET);
        t.run();
        t.advance(Duration::from_millis(limit * 1000 - 1));
        assert_eq!(t.trace(id), "");
        t.advance(Duration::from_millis(1));
        assert_eq!(t.trace(id), "failed");
        assert_eq!(t.state().failed.pop().unwrap().error().kind(), ErrorKind::TimedOut);
        assert!(t.is_closed(id));
    }
    // It ends with the handshake.
    let (mut t, id, _) = crate::kit::connected(VERSIONS[1], QUIET);
    t.advance(Duration::from_secs(1000));
    assert_eq!(t.trace(id), "cm");
}

#[test]
fn closing_during_a_handshake_gives_the_opening_up() {
    //= TLS-14, LIFE-12
    for abort in [false, true] {
        let mut t = harness();
        let id = t.open(to().tls(tls_client(VERSIONS[1])), QUIET);
        t.hub().write(id, "never sent");
        t.run();
        if abort {
            t.hub().abort(id)
        } else {
            t.hub().close(id)
        }
        t.advance(Duration::from_secs(100));
        assert_eq!(t.trace(id), "");
        assert!(t.is_closed(id) && t.state().failed.is_empty());
    }
}

#[test]
fn limits_of_zero_are_refused() {
    //= TLS-5
    for tls in [tls_client(VERSIONS[1]).handshake_limit(Duration::ZERO), tls_client(VERSIONS[1]).shutdown_limit(Duration::ZERO)] {
        let mut t = harness();
        let id = t.open(to().tls(tls), QUIET);
        t.run();
        assert_eq!(t.trace(id), "failed");
        assert_eq!(t.state().failed.pop().unwrap().error().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn both_ends_know_what_was_agreed_upon() {
    //= INFO-5, TLS-1
    for (version, name) in VERSIONS.into_iter().zip(["TLSv1.2", "TLSv1.3"]) {
        for server in [false, true] {
            let mut t = harness();
            let (tls, mut peer) =
                if server { (tls_server(version), Peer::client(version)) } else { (tls_client(version), Peer::server(version)) };
            let id = t.open(to().tls(tls), QUIET);
            talk(&mut t, id, &mut peer);
            let info = t.hub().tls_info(id).unwrap();
            assert_eq!((info.version, info.alpn.as_deref()), (Some(name), Some(&b"echo"[..])));
            assert_eq!(info.server_name.as_deref(), Some("localhost"));
            assert!(info.cipher.unwrap().starts_with("TLS") && info.cipher_bits.unwrap() >= 128);
            assert_eq!(info.peer_certificates.len(), usize::from(!server));
            assert!(!info.resumed);
            assert!(t.hub().tls_session::<plimsoll_core::tls::RustlsSession>(id).is_some());
            assert_eq!(t.hub().peer_addr(id), to().addrs().next().cloned());
        }
    }
}

#[test]
fn a_second_connection_resumes_the_session_of_the_first() {
    //= INFO-5, TLS-1
    for (version, name) in VERSIONS.into_iter().zip(["TLSv1.2", "TLSv1.3"]) {
        for ticketed in [false, true] {
            for server in [false, true] {
                let mut config = certs::server(version);
                if ticketed {
                    // What the server would have to remember goes with the client, encrypted.
                    config.ticketer = certs::ticketer();
                }
                let (theirs, ours) = (Arc::new(config), Arc::new(certs::client(version)));
                let tls = if server { Tls::server(theirs.clone()) } else { Tls::client(ours.clone(), certs::name()) };
                let infos = [false, true].map(|again| {
                    let mut t = harness();
                    let id = t.open(to().tls(tls.clone()), ECHO);
                    let mut peer = if server {
                        Peer::new(ClientConnection::new(ours.clone(), certs::name()).unwrap())
                    } else {
                        Peer::new(ServerConnection::new(theirs.clone()).unwrap())
                    };
                    peer.write(b"hello");
                    talk(&mut t, id, &mut peer);
                    assert_eq!((t.trace(id).as_str(), peer.received()), ("cm data(hello)", b"hello".to_vec()));
                    let info = t.hub().tls_info(id).unwrap();
                    assert_eq!(info.resumed, again, "{name}, ticketed {ticketed}, server {server}");
                    info
                });
                // Nothing else is different, although no certificate was sent the second time.
                let [first, mut second] = infos;
                second.resumed = false;
                assert_eq!(second, first);
                assert_eq!((first.version, first.peer_certificates.len()), (Some(name), usize::from(!server)));
            }
        }
    }
}

#[test]
fn a_server_knows_the_certificate_of_its_client() {
    //= INFO-5
    for version in VERSIONS {
        let roots = Arc::new(certs::roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, certs::provider()).build().unwrap();
        let mut t = harness();
        let asking = Tls::server(certs::server_with(version, |config| config.with_client_cert_verifier(verifier)));
        let id = t.open(to().tls(asking), QUIET);
        let mut peer =
            Peer::new(ClientConnection::new(Arc::new(certs::client_with_certificate(version)), certs::name()).unwrap());
        talk(&mut t, id, &mut peer);
        let info = t.hub().tls_info(id).unwrap();
        assert_eq!((info.alpn, info.peer_certificates), (None, vec![certs::certificate().to_vec()]));
    }
}

#[test]
fn a_server_knows_whom_its_client_asked_for_however_that_came() {
    //= INFO-5
    for version in VERSIONS {
        for cut in [1, 5, 6, 60, 160] {
            let mut t = harness();
            let id = t.open(to().tls(tls_server(version)), QUIET);
            t.run();
            let mut peer = Peer::client(version);
            let hello = peer.output();
            t.feed(id, &hello[..cut]);
            t.feed(id, &hello[cut..]);
            talk(&mut t, id, &mut peer);
            assert_eq!(t.hub().tls_info(id).unwrap().server_name.as_deref(), Some("localhost"), "{cut}");
        }
    }
}

#[test]
fn a_server_that_would_take_early_data_is_refused() {
    //= TLS-5
    let mut config = certs::server(VERSIONS[1]);
    config.max_early_data_size = 1;
    let mut t = harness();
    let id = t.open(to().tls(Tls::server(config)), QUIET);
    t.run();
    assert_eq!(t.trace(id), "failed");
    assert_eq!(t.state().failed.pop().unwrap().error().kind(), ErrorKind::InvalidInput);
}

#[test]
fn keys_are_changed_at_the_wish_of_the_peer_and_data_goes_on() {
    //= TLS-15, TLS-16
    let (mut t, id, mut peer) = connected(VERSIONS[1], ECHO);
    for n in 0..3 {
        peer.tls.refresh_traffic_keys().unwrap();
        peer.write(b"new keys");
        let wire = peer.output();
        // Also when a record comes in two, and is answered in between.
        t.feed(id, &wire[..wire.len() - n]);
        t.hub().write(id, "!");
        t.feed(id, &wire[wire.len() - n..]);
        talk(&mut t, id, &mut peer);
        let mut received = peer.received();
        received.retain(|&byte| byte != b'!');
        assert_eq!(received, b"new keys");
    }
    assert!(peer.error.is_none());
}

#[test]
fn a_server_whose_connections_could_not_be_made_secure_does_not_listen() {
    //= TLS-5
    let mut early = certs::server(VERSIONS[1]);
    early.max_early_data_size = 1;
    let at = core::net::SocketAddr::from(([127, 0, 0, 1], 4433));
    for tls in [
        tls_server(VERSIONS[1]).handshake_limit(Duration::ZERO),
        tls_server(VERSIONS[1]).shutdown_limit(Duration::ZERO),
        Tls::server(early),
    ] {
        let mut t = harness();
        let error = t.listen(Listen::on(at).tls(tls.clone()), |_, _| QUIET).unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::InvalidInput);
        assert_eq!(t.accept(at), None);
        // The same from within the loop, and on a socket that is there already.
        let told = Rc::new(Cell::new(0));
        for socket in [None, Some(Resource::new(0_usize))] {
            let told = told.clone();
            let done = move |_: &mut _, _: &mut _, result: Result<_, ListenError>| {
                assert_eq!(result.map_err(|error| error.error().kind()), Err(ErrorKind::InvalidInput));
                told.set(told.get() + 1);
            };
            match socket {
                None => t.hub().listen(Listen::on(at).tls(tls.clone()), |_, _| QUIET, done),
                Some(socket) => t.hub().listen_on_tls(socket, &tls, |_, _| Some(Box::new(QUIET)), done),
            };
        }
        t.run();
        assert_eq!((told.get(), t.accept(at), t.reports().len()), (2, None, 0));
    }
}

#[test]
fn a_peer_that_takes_leave_during_the_handshake_has_gone() {
    //= TLS-2, TLS-3
    const CLOSE_NOTIFY: [u8; 7] = [21, 3, 3, 0, 2, 1, 0];
    for version in VERSIONS {
        for server in [false, true] {
            for piece in [1, usize::MAX] {
                let mut t = harness();
                let id = t.open(to().tls(if server { tls_server(version) } else { tls_client(version) }), QUIET);
                t.run();
                CLOSE_NOTIFY.chunks(piece).for_each(|piece| t.feed(id, piece));
                assert_eq!(t.trace(id), "failed", "at once");
                let error = t.state().failed.pop().unwrap().error();
                assert_eq!((error.call(), error.kind()), (Call::Handshake, ErrorKind::ConnectionReset));
            }
        }
        // Behind the first flights too.
        let mut t = harness();
        let id = t.open(to().tls(tls_server(version)), QUIET);
        t.run();
        t.feed(id, &Peer::client(version).output());
        t.feed(id, &CLOSE_NOTIFY);
        assert_eq!(t.trace(id), "failed");
        assert_eq!(t.state().failed.pop().unwrap().error().kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn what_is_written_between_the_failure_of_a_handshake_and_its_word_is_discarded() {
    //= RUST-7, TLS-2
    let mut t = harness();
    let id = t.open(to().tls(tls_client(VERSIONS[1])), QUIET);
    t.run();
    let answer = Rc::new(Cell::new(None));
    let told = answer.clone();
    // A timer that is due is called behind what is read, and before the turn in which the failure is told.
    t.hub().call_later(Duration::ZERO, move |hub, _| told.set(Some(hub.write(id, "too late")))).unwrap();
    t.feed(id, b"HTTP/1.1 400 Bad Request\r\n");
    assert_eq!((answer.get(), t.trace(id).as_str()), (Some(WriteStatus::Discarded), "failed"));
}

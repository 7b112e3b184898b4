//! Who shows which certificate to whom, and who does not believe it, with OpenSSL at the other end.

use super::made::{Authority, Identity};
use super::{VERSIONS, lost_saying, s_client, s_server_with, serve, to};
use crate::backend::tls::Tls;
use crate::backend::{Call, Cause, Connect, ErrorKind, Report, Server};
use crate::behaviour::certs::{provider, server_with};
use crate::behaviour::kit::{Rig, Tap};
use rustls::SupportedProtocolVersion;
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use std::net::SocketAddr;

/// Serves echoes to whom that authority vouches for.
fn asking(rig: &mut Rig, version: &'static SupportedProtocolVersion, authority: &Authority) -> (Server, SocketAddr) {
    let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider()).build().unwrap();
    let config = server_with(version, |builder| builder.with_client_cert_verifier(verifier));
    serve(rig, Tls::server(config), || Tap::new("server").echo())
}

#[test]
fn a_server_knows_the_client_by_its_certificate() {
    //= TLS-1, INFO-5
    let authority = Authority::new("authority");
    let known = authority.vouch("known");
    for (version, argument) in VERSIONS {
        let mut rig = Rig::new();
        let (_server, place) = asking(&mut rig, version, &authority);
        let shown = ["-quiet", argument, "-cert", known.cert_file.path(), "-key", known.key_file.path()];
        let Some(mut peer) = s_client(place, &shown) else { return };
        rig.until_saw("server made");
        let id = rig.state().id("server");
        let info = rig.event_loop.hub().tls_info(id).unwrap();
        assert_eq!(info.peer_certificates, [known.certificate.der().to_vec()]);
        peer.say("hello\n");
        peer.until_says(&mut rig, "hello");
        peer.finish();
        rig.until_saw("server lost(None)");
        peer.succeeds(&mut rig);
    }
}

#[test]
fn a_server_refuses_a_client_without_a_certificate_or_with_a_wrong_one_and_says_which() {
    //= TLS-2
    let authority = Authority::new("authority");
    // The same name, and somebody else who vouches for it.
    let (forged, expired) = (Authority::new("authority").vouch("known"), authority.vouch_too_long_ago("known"));
    // What is found here, and the number of the alert that the peer gets (RFC 8446, 6).
    let cases = [
        (None, "peer sent no certificates", "alert number 116"),
        (Some(&forged), "BadSignature", "alert number 51"),
        (Some(&expired), "certificate expired", "alert number 45"),
        (Some(&Identity::alone("known")), "UnknownIssuer", "alert number 48"),
    ];
    for (version, argument) in VERSIONS {
        let mut rig = Rig::new();
        let (server, place) = asking(&mut rig, version, &authority);
        for (shown, found, alert) in &cases {
            let mut arguments = vec!["-quiet", argument];
            if let Some(identity) = shown {
                arguments.extend(["-cert", identity.cert_file.path(), "-key", identity.key_file.path()]);
            }
            let Some(mut peer) = s_client(place, &arguments) else { return };
            assert!(!peer.ends(&mut rig).success());
            peer.until_says(&mut rig, alert);
            let reports = rig.reports.take();
            let [Report::HandshakeFailed { server: whose, peer: Some(_), error }] = &reports[..] else {
                panic!("{argument} {found}: {reports:?}")
            };
            assert_eq!(*whose, server.id());
            assert_eq!((error.error().call(), error.error().kind()), (Call::Handshake, ErrorKind::TlsError));
            assert!(error.detail().contains(found), "{argument}: {error}");
        }
        assert!(rig.state().log.is_empty(), "nobody was told of a connection that was none");
    }
}

/// OpenSSL with that certificate, asking clients for one of that authority's.
fn asking_s_server<'a>(argument: &'a str, authority: &'a Authority) -> [&'a str; 7] {
    [argument, "-rev", "-Verify", "1", "-CAfile", authority.file.path(), "-verify_return_error"]
}

#[test]
fn a_client_shows_its_certificate_where_it_is_asked_for_one() {
    //= TLS-1, INFO-5
    let authority = Authority::new("authority");
    let (server, known) = (authority.vouch("localhost"), authority.vouch("known"));
    for (version, argument) in VERSIONS {
        let mut rig = Rig::new();
        let arguments = asking_s_server(argument, &authority);
        let (cert, key) = (server.cert_file.path(), server.key_file.path());
        let Some((mut peer, place)) = s_server_with(&mut rig, cert, key, &arguments) else { return };
        let tap = Tap::new("client").on("made", |cx| {
            cx.write("one line\n");
        });
        let id = rig.event_loop.hub().connect(to(place, authority.client(version, Some(&known))), tap);
        rig.until(|state| state.received("client") == b"enil eno\n");
        peer.until_says(&mut rig, "CN = known");
        let info = rig.event_loop.hub().tls_info(id).unwrap();
        assert_eq!(info.peer_certificates[0], server.certificate.der().to_vec());
        rig.event_loop.hub().close(id);
        rig.until_saw("client lost(None)");
    }
}

#[test]
fn a_client_without_a_certificate_or_with_a_wrong_one_is_told_so() {
    //= TLS-2, TLS-10
    let authority = Authority::new("authority");
    let server = authority.vouch("localhost");
    let forged = Identity::alone("known");
    let expired = authority.vouch_too_long_ago("known");
    for (version, argument) in VERSIONS {
        let mut rig = Rig::new();
        let arguments = asking_s_server(argument, &authority);
        let (cert, key) = (server.cert_file.path(), server.key_file.path());
        let Some((_peer, place)) = s_server_with(&mut rig, cert, key, &arguments) else { return };
        let missing = if argument == "-tls1_2" { "HandshakeFailure" } else { "CertificateRequired" };
        for (shown, alert) in [(None, missing), (Some(&forged), "UnknownCA"), (Some(&expired), "CertificateExpired")] {
            let alert = format!("received fatal alert: {alert}");
            rig.event_loop.hub().connect(to(place, authority.client(version, shown)), Tap::new("client"));
            if argument == "-tls1_2" {
                rig.until_saw("client refused");
                assert_eq!(rig.state().log, ["client refused"]);
                let error = rig.state().refusals.pop().unwrap();
                assert_eq!((error.error().call(), error.error().kind()), (Call::Handshake, ErrorKind::TlsError));
                assert!(error.to_string().contains(&alert), "{error}");
            } else {
                // A client of 1.3 has finished the handshake before its certificate is looked at.
                rig.until_saw("client lost(TlsError)");
                assert_eq!(rig.state().log, ["client made", "client lost(TlsError)"]);
                assert_eq!(rig.state().reasons[0].cause(), Cause::ReadFailed);
                lost_saying(&mut rig, &alert);
            }
            rig.state().log.clear();
            rig.state().reasons.clear();
        }
    }
}

#[test]
fn a_client_refuses_a_server_with_a_wrong_certificate_and_says_what_is_wrong_with_it() {
    //= TLS-2
    let authority = Authority::new("authority");
    // What is found here, and the number of the alert that the peer gets.
    let cases = [
        (authority.vouch("elsewhere"), "not valid for name \"localhost\"", "alert number 42"),
        (authority.vouch_too_long_ago("localhost"), "certificate expired", "alert number 45"),
        (Identity::alone("localhost"), "UnknownIssuer", "alert number 48"),
        (Authority::new("authority").vouch("localhost"), "BadSignature", "alert number 51"),
    ];
    for (version, argument) in VERSIONS {
        for (shown, found, alert) in &cases {
            let mut rig = Rig::new();
            let (cert, key) = (shown.cert_file.path(), shown.key_file.path());
            let Some((mut peer, place)) = s_server_with(&mut rig, cert, key, &[argument]) else { return };
            rig.event_loop.hub().connect(to(place, authority.client(version, None)), Tap::new("client"));
            rig.until_saw("client refused");
            assert_eq!(rig.settle(), ["client refused"]);
            let error = rig.state().refusals.pop().unwrap();
            assert_eq!((error.error().call(), error.error().kind()), (Call::Handshake, ErrorKind::TlsError));
            assert!(error.to_string().contains(found), "{argument}: {error}");
            assert!(error.to_string().starts_with(&place.to_string()), "{error}");
            peer.until_says(&mut rig, alert);
        }
    }
}

#[test]
fn an_address_is_a_name_too() {
    //= TLS-2
    let authority = Authority::new("authority");
    let server = authority.vouch("127.0.0.1");
    let mut rig = Rig::new();
    let Some((_peer, place)) = s_server_with(&mut rig, server.cert_file.path(), server.key_file.path(), &["-rev"]) else {
        return;
    };
    for (address, outcome) in [("127.0.0.1", "client made"), ("127.0.0.2", "client refused")] {
        let name = ServerName::try_from(address).unwrap();
        let connect = Connect::to(place).tls(Tls::client(authority.client(VERSIONS[1].0, None), name));
        let id = rig.event_loop.hub().connect(connect, Tap::new("client"));
        rig.until_saw(outcome);
        rig.event_loop.hub().abort(id);
    }
    assert!(rig.state().refusals[0].to_string().contains("127.0.0.2"));
}

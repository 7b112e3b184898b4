//! Secure connections on real sockets, with both ends ours.

use super::certs::{self, name, tls_client, tls_server};
use super::kit::{Family, Rig, Rigged, Tap, Tcp, Unix, any_port, connect, pattern, socket_path};
use crate::backend::tls::Tls;
use crate::backend::{Call, Connect, ErrorKind, HubExt, Listen, Refusal, Server, WriteStatus};
use plimsoll_sys::{TlsExt, platform_client_config};
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

pub(super) fn serve<F: Family>(rig: &mut Rigged<F>, tls: Tls, mut make: impl FnMut() -> Tap + 'static) -> (Server, F::Place) {
    let listen: Listen = F::anywhere().into();
    let server = rig.event_loop.listen(listen.tls(tls), move |_, _| make()).unwrap();
    let place = F::place(&server);
    (server, place)
}

fn both_ends_talk<F: Family>() {
    for version in certs::VERSIONS {
        let mut rig = Rigged::<F>::new();
        let (_server, place) = serve(&mut rig, tls_server(version), || Tap::new("server").echo());
        let connect: Connect = place.into();
        let sent = pattern(1 << 20);
        let message = sent.clone();
        let tap = Tap::new("client").on("made", move |cx| {
            cx.write(message.clone());
        });
        let id = rig.event_loop.hub().connect(connect.tls(tls_client(version)), tap);
        rig.until(|state| state.received("client").len() == 1 << 20);
        assert!(rig.state().received("client") == sent);
        assert!(rig.event_loop.hub().tls_info(id).is_some_and(|info| info.alpn.as_deref() == Some(b"echo")));
        rig.event_loop.hub().close(id);
        rig.until(|state| state.saw("client lost(None)") && state.saw("server lost(None)"));
        assert_eq!(rig.state().times("server eof"), 1);
        assert!(rig.reported().is_empty());
    }
}

#[test]
fn both_ends_talk_over_tcp_and_over_unix() {
    //= TLS-1, TLS-8, TLS-11, TLS-12
    both_ends_talk::<Tcp>();
    both_ends_talk::<Unix>();
}

#[test]
fn a_handshake_that_fails_is_told_at_both_ends() {
    //= TLS-2
    let mut rig = Rig::new();
    let (_server, place) = serve(&mut rig, tls_server(certs::VERSIONS[1]), || Tap::new("server"));
    let distrustful = Tls::client(certs::suspicious_client(), name());
    rig.event_loop.hub().connect(Connect::to(place).tls(distrustful), Tap::new("client"));
    rig.until_saw("client refused");
    let error = rig.state().refusals.pop().unwrap();
    assert_eq!(error.error().kind(), ErrorKind::TlsError);
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    let reports = rig.reports.clone();
    rig.until(|_| !reports.borrow().is_empty());
    // The alert that the client sent has arrived.
    assert!(rig.reported()[0].contains("received fatal alert"), "the server is told why");
    let mut stranger = connect(place);
    stranger.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    rig.until(|_| !reports.borrow().is_empty());
    rig.settle();
    assert!(!rig.state().saw("server made"));
    // Whether with an alert or without, it is over.
    let _ = stranger.read_to_end(&mut Vec::new());
}

#[test]
fn a_client_trusts_whom_the_operating_system_trusts_or_whom_it_is_told_to() {
    //= TLS-2, TLS-5
    let mut rig = Rig::new();
    let (_server, place) = serve(&mut rig, tls_server(certs::VERSIONS[1]), || Tap::new("server").echo());
    // Nobody has chosen a provider, and none is forced on anybody.
    let error = Tls::platform_client(name()).unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::InvalidInput);
    certs::provider().as_ref().clone().install_default().unwrap();
    assert_eq!(Tls::platform_client(name()).is_ok(), platform_client_config(certs::provider()).is_ok());
    match platform_client_config(certs::provider()) {
        Ok(config) => {
            rig.event_loop.hub().connect(Connect::to(place).tls(Tls::client(config, name())), Tap::new("client"));
            rig.until_saw("client refused");
            let error = rig.state().refusals.pop().unwrap();
            assert_eq!((error.error().call(), error.error().kind()), (Call::Handshake, ErrorKind::TlsError));
            assert!(error.to_string().contains("UnknownIssuer"), "{error}");
        }
        // There are systems without any roots, on which nobody is trusted.
        Err(error) => {
            println!("skipped: {error}");
            assert_eq!(error.error().kind(), ErrorKind::InvalidInput);
        }
    }
    rig.event_loop.hub().connect(Connect::to(place).tls(tls_client(certs::VERSIONS[1])), Tap::new("other client"));
    rig.until_saw("other client made");
}

#[test]
fn limits_run_on_the_loops_clock() {
    //= TLS-3, TLS-4
    let mut rig = Rig::new();
    let silent = TcpListener::bind(any_port()).unwrap();
    let limit = Duration::from_millis(50);
    let to = Connect::to(silent.local_addr().unwrap()).tls(tls_client(certs::VERSIONS[1]).handshake_limit(limit));
    rig.event_loop.hub().connect(to, Tap::new("client"));
    rig.until_saw("client refused");
    assert_eq!(rig.state().refusals[0].error().kind(), ErrorKind::TimedOut);

    // Who reads nothing does not answer a closing word either.
    let (_server, place) = serve(&mut rig, tls_server(certs::VERSIONS[1]).shutdown_limit(limit), || Tap::new("server"));
    let deaf = Tap::new("deaf client").on("made", |cx| cx.pause_reading());
    rig.event_loop.hub().connect(Connect::to(place).tls(tls_client(certs::VERSIONS[1])), deaf);
    rig.until(|state| state.saw("server made") && state.saw("deaf client made"));
    let id = rig.state().id("server");
    let begun = Instant::now();
    rig.event_loop.hub().close(id);
    rig.until_saw("server lost(TimedOut)");
    assert!(begun.elapsed() >= limit);
    let error = rig.state().reasons[0].error().unwrap();
    assert_eq!((error.call(), error.kind()), (Call::Shutdown, ErrorKind::TimedOut));
}

#[test]
fn a_file_goes_encrypted_between_two_writes_in_constant_memory() {
    //= LOOP-28, LOOP-29, TLS-15
    const SIZE: usize = 16 << 20;
    let mut rig = Rig::new();
    let contents = pattern(SIZE);
    let path = socket_path();
    fs::write(path, &contents).unwrap();
    let file = File::open(path).unwrap();
    fs::remove_file(path).unwrap();
    let mut shared = file.try_clone().unwrap();
    let mut file = Some(file);
    let (_server, place) = serve(&mut rig, tls_server(certs::VERSIONS[1]), move || {
        let mut file = file.take();
        Tap::new("server")
            .on("made", move |cx| {
                cx.write("A");
                cx.hub.sendfile(cx.id, file.take().unwrap(), ..).unwrap();
                assert_eq!(cx.write("too early"), WriteStatus::Refused(Refusal::Busy));
            })
            .on("sent", |cx| {
                cx.write("C");
                cx.close();
            })
    });
    rig.event_loop.hub().connect(Connect::to(place).tls(tls_client(certs::VERSIONS[1])), Tap::new("client"));
    rig.until_saw("server made");
    let id = rig.state().id("server");
    let mut most = 0;
    while !rig.state().saw("client lost(None)") {
        rig.event_loop.run_once(None).unwrap();
        most = most.max(rig.event_loop.hub().write_buffer_size(id));
    }
    assert!(rig.state().received("client") == [b"A", &contents[..], b"C"].concat());
    assert_eq!(rig.state().files, [Ok(SIZE as u64)]);
    assert_eq!(shared.stream_position().unwrap(), SIZE as u64);
    assert!(most <= 80 * 1024, "{most} bytes were kept");
}

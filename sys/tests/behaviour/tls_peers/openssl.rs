//! OpenSSL at the other end.

use super::{LONG, VERSIONS, digits, echoes, of_digits, plain_client, s_client, s_server, to};
use crate::backend::tls::Tls;
use crate::backend::{Connect, Context, Data, Protocol};
use crate::behaviour::certs::{self, client, name, pem_files, tls_server};
use crate::behaviour::kit::{Rig, State, Tap, any_port, socket_path};
use std::sync::Arc;

#[test]
fn openssl_is_served() {
    //= TLS-1, TLS-8, TLS-17
    for (version, argument) in VERSIONS {
        let mut rig = Rig::new();
        let (_server, place) = echoes(&mut rig, version);
        let Some(mut peer) = s_client(place, &["-quiet", argument]) else { return };
        rig.until_saw("server made");
        peer.say("hello\n");
        peer.until_says(&mut rig, "hello");
        peer.finish();
        rig.until_saw("server lost(None)");
        assert_eq!(rig.state().log, ["server made", "server data", "server eof", "server lost(None)"]);
        peer.succeeds(&mut rig);
    }
}

#[test]
fn openssl_serves_us() {
    //= TLS-1, TLS-11
    for (version, argument) in VERSIONS {
        let mut rig = Rig::new();
        let Some((_peer, place)) = s_server(&mut rig, &["-rev", argument]) else { return };
        let tap = Tap::new("client").on("made", |cx| {
            cx.write("one line\n");
        });
        let id = rig.event_loop.hub().connect(to(place, plain_client(version)), tap);
        rig.until(|state| state.received("client") == b"enil eno\n");
        rig.event_loop.hub().close(id);
        rig.until_saw("client lost(None)");
    }
}

#[test]
fn long_messages_come_back_whole_in_both_roles() {
    //= TLS-1, TLS-11, TLS-15, READ-1, WRITE-1
    let text = digits(LONG);
    let lines: Vec<&str> = text.lines().collect();
    for (version, argument) in VERSIONS {
        let mut rig = Rig::new();
        let (_server, place) = echoes(&mut rig, version);
        let Some(mut peer) = s_client(place, &["-quiet", argument]) else { return };
        let writer = peer.say_all(text.clone());
        peer.until(&mut rig, |said| of_digits(said).count() == lines.len());
        assert!(of_digits(&peer.said).eq(lines.iter().copied()), "{argument}: other lines came back");
        drop(writer.join().unwrap());
        rig.until_saw("server lost(None)");
        assert!(rig.state().received("server") == text.as_bytes());
        peer.succeeds(&mut rig);

        let Some((_peer, place)) = s_server(&mut rig, &["-rev", argument]) else { return };
        let message = text.clone();
        let tap = Tap::new("client").on("made", move |cx| {
            cx.write(message.as_str());
        });
        let id = rig.event_loop.hub().connect(to(place, plain_client(version)), tap);
        rig.until(|state| state.received("client").len() == LONG);
        let back = String::from_utf8(rig.state().received("client").to_vec()).unwrap();
        let turned: Vec<String> = back.lines().map(|line| line.chars().rev().collect()).collect();
        assert!(turned == lines, "{argument}: other lines came back");
        rig.event_loop.hub().close(id);
        rig.until_saw("client lost(None)");
    }
}

#[test]
fn sessions_are_resumed_and_openssl_sees_it_in_both_roles() {
    //= INFO-5
    for (version, argument) in VERSIONS {
        let mut rig = Rig::new();
        let (_server, place) = echoes(&mut rig, version);
        let file = socket_path().to_str().unwrap();
        for (n, (session, words)) in [("-sess_out", "New, TLS"), ("-sess_in", "Reused, TLS")].into_iter().enumerate() {
            let Some(mut peer) = s_client(place, &[argument, session, file]) else { return };
            rig.until(|state| state.made.len() == n + 1);
            let id = rig.state().made[n].1;
            assert_eq!(rig.event_loop.hub().tls_info(id).unwrap().resumed, n == 1, "{argument} {session}");
            peer.say("hello\n");
            peer.until_says(&mut rig, "hello");
            peer.finish();
            rig.until(|state| state.times("server lost(None)") == n + 1);
            assert!(peer.ends(&mut rig).success());
            peer.until_says(&mut rig, words);
        }
        std::fs::remove_file(file).unwrap();

        // A configuration keeps the sessions of the clients that it is for.
        let Some((mut peer, place)) = s_server(&mut rig, &[argument]) else { return };
        let config = Arc::new(plain_client(version));
        for resumed in [false, true] {
            let before = rig.state().made.len();
            let tap = Tap::new("client").on("made", |cx| {
                cx.write("from us\n");
            });
            let connect = Connect::to(place).tls(Tls::client(config.clone(), name()));
            let id = rig.event_loop.hub().connect(connect, tap);
            rig.until(|state| state.made.len() > before);
            assert_eq!(rig.event_loop.hub().tls_info(id).unwrap().resumed, resumed, "{argument}");
            peer.until_says(&mut rig, "from us");
            assert_eq!(peer.said.iter().any(|line| line.contains("Reused session-id")), resumed, "{:?}", peer.said);
            // In 1.3 tickets come behind the handshake; this comes behind them.
            peer.say("from it\n");
            rig.until(|state| state.received("client").ends_with(b"from it\n"));
            let lost = rig.state().times("client lost(None)");
            rig.event_loop.hub().close(id);
            rig.until(|state| state.times("client lost(None)") > lost);
            peer.said.clear();
        }
    }
}

#[test]
fn both_ends_know_the_protocol_and_the_name_that_were_agreed_upon() {
    //= INFO-5
    for (version, argument) in VERSIONS {
        let mut rig = Rig::new();
        let (_server, place) = echoes(&mut rig, version);
        let Some(mut peer) = s_client(place, &[argument, "-alpn", "other,echo"]) else { return };
        rig.until_saw("server made");
        peer.until_says(&mut rig, "ALPN protocol: echo");
        let id = rig.state().id("server");
        let info = rig.event_loop.hub().tls_info(id).unwrap();
        assert_eq!((info.alpn.as_deref(), info.server_name.as_deref()), (Some(&b"echo"[..]), Some("localhost")));
        drop(peer);

        // A client that speaks nothing that we do is told so.
        let Some(mut stranger) = s_client(place, &[argument, "-alpn", "other"]) else { return };
        assert!(!stranger.ends(&mut rig).success());
        stranger.until_says(&mut rig, "no application protocol");
        let reported = rig.reported();
        assert!(reported[0].contains("doesn't support any known protocol"), "{reported:?}");

        let Some((mut peer, place)) = s_server(&mut rig, &[argument, "-alpn", "echo"]) else { return };
        let id = rig.event_loop.hub().connect(to(place, client(version)), Tap::new("client"));
        rig.until_saw("client made");
        peer.until_says(&mut rig, "ALPN protocols selected: echo");
        let info = rig.event_loop.hub().tls_info(id).unwrap();
        assert_eq!((info.alpn.as_deref(), info.server_name.as_deref()), (Some(&b"echo"[..]), Some("localhost")));
        rig.event_loop.hub().abort(id);

        // It has another certificate for that name, or else would not look at it.
        let (cert, key) = pem_files();
        let named = [argument, "-servername", "localhost", "-cert2", cert, "-key2", key];
        let Some((mut peer, place)) = s_server(&mut rig, &named) else { return };
        rig.event_loop.hub().connect(to(place, plain_client(version)), Tap::new("named client"));
        rig.until_saw("named client made");
        peer.until_says(&mut rig, "Hostname in TLS extension: \"localhost\"");
    }
}

/// As much of SMTP as an upgrade takes, and then an echo.
#[derive(Default)]
struct Mail {
    secure: bool,
}

impl Protocol<State> for Mail {
    fn connection_made(&mut self, cx: &mut Context<'_, State>) {
        cx.write("220 localhost\r\n");
    }

    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        if self.secure {
            cx.write(data);
        } else if data.starts_with(b"EHLO") {
            cx.write("250-localhost\r\n250 STARTTLS\r\n");
        } else if &data[..] == b"STARTTLS\r\n" {
            cx.write("220 go ahead\r\n");
            cx.hub.start_tls(cx.id, &tls_server(certs::VERSIONS[1]), b"").unwrap();
        }
    }

    fn start_tls_done(&mut self, cx: &mut Context<'_, State>) {
        self.secure = true;
        cx.state.note("upgraded");
    }
}

#[test]
fn openssl_upgrades_a_connection() {
    //= TLS-18, TLS-19
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(any_port(), |_, _| Mail::default()).unwrap();
    let Some(mut peer) = s_client(server.addr().inet().unwrap(), &["-quiet", "-starttls", "smtp"]) else { return };
    rig.until_saw("upgraded");
    peer.say("in secret\n");
    peer.until_says(&mut rig, "in secret");
}

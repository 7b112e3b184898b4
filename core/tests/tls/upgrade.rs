//! `start_tls` on live connections.

use crate::certs::{VERSIONS, tls_client, tls_server};
use crate::kit::{App, QUIET, State, harness, talk, to};
use crate::peer::Peer;
use core::num::NonZeroUsize;
use core::time::Duration;
use plimsoll_core::testing::Harness;
use plimsoll_core::{Buffered, BufferedProtocol, Cause, Context, ErrorKind, Resource, Role, StreamId, WriteLimits, WriteStatus};

fn plain(app: App) -> (Harness<State>, StreamId) {
    let mut t = harness();
    let id = t.connect(app);
    (t, id)
}

/// A server of a protocol that begins with a line.
const UPGRADES: App = App {
    data: |cx, data| {
        if data == b"STARTTLS\r\n" {
            cx.write("go ahead\r\n");
            cx.hub.start_tls(cx.id, &tls_server(VERSIONS[1]), b"").unwrap();
            cx.write("secret");
        }
    },
    upgraded: |cx, _| {
        cx.write(" words");
    },
    ..QUIET
};

#[test]
fn what_was_written_before_goes_out_clear_and_the_rest_encrypted() {
    //= TLS-18, TLS-19
    for rest in [usize::MAX, 4] {
        let (mut t, id) = plain(UPGRADES);
        t.window(id, rest);
        t.feed(id, b"STARTTLS\r\n");
        t.window(id, usize::MAX);
        assert_eq!(t.sent(id), b"go ahead\r\n");
        let mut peer = Peer::client(VERSIONS[1]);
        peer.write(b"hello");
        talk(&mut t, id, &mut peer);
        assert_eq!(peer.received(), b"secret words");
        assert_eq!(t.trace(id), "cm data(STARTTLS\\r\\n) tls data(hello)");
        assert!(t.hub().tls_info(id).is_some());
        assert!(t.hub().start_tls(id, &tls_server(VERSIONS[1]), b"").is_ok(), "and once more");
    }
}

#[test]
fn a_client_upgrades_with_what_it_has_received_already() {
    //= TLS-18, TLS-19
    let (mut t, id) = plain(QUIET);
    let mut peer = Peer::server(VERSIONS[1]);
    // A server that speaks first has sent a warning already, which a client of 1.2 overlooks.
    t.hub().start_tls(id, &tls_client(VERSIONS[0]), &[21, 3, 3, 0, 2, 1, 90]).unwrap();
    talk(&mut t, id, &mut peer);
    assert_eq!(t.trace(id), "cm lost(TLS error)");

    let (mut t, id) = plain(QUIET);
    let mut peer = Peer::client(VERSIONS[1]);
    let hello = peer.output();
    t.hub().start_tls(id, &tls_server(VERSIONS[1]).allow_early(true), &hello[..20]).unwrap();
    t.feed(id, &hello[20..]);
    talk(&mut t, id, &mut peer);
    assert_eq!(t.trace(id), "cm tls");
}

#[test]
fn a_server_refuses_bytes_in_the_clear_behind_the_wish() {
    //= TLS-19
    let (mut t, id) = plain(QUIET);
    let error = t.hub().start_tls(id, &tls_server(VERSIONS[1]), b"x").unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::InvalidInput);
    assert_eq!(t.hub().write(id, "unharmed"), WriteStatus::Accepted);
    t.run();
    assert_eq!((t.trace(id).as_str(), t.sent(id)), ("cm", b"unharmed".to_vec()));
}

#[test]
fn a_paused_writer_is_resumed_across_the_upgrade() {
    //= TLS-20, FLOW-8
    let (mut t, id) = plain(QUIET);
    // Room for the flights of the handshake, which count as well.
    let limits = WriteLimits::new(600, 1000).unwrap();
    t.hub().set_write_buffer_limits(id, limits);
    t.window(id, 0);
    t.hub().write(id, vec![b'x'; 2000]);
    t.run();
    t.hub().start_tls(id, &tls_client(VERSIONS[1]), b"").unwrap();
    t.run();
    assert_eq!(t.trace(id), "cm pause");
    t.window(id, usize::MAX);
    assert_eq!(t.trace(id), "cm pause resume");
    let wire = t.sent(id);
    assert!(wire[..2000] == [b'x'; 2000] && wire[2000] == 22, "a record of the handshake follows");
    let mut peer = Peer::server(VERSIONS[1]);
    peer.input(&wire[2000..]);
    talk(&mut t, id, &mut peer);
    assert_eq!(t.trace(id), "cm pause resume tls");
    assert_eq!(t.hub().write_buffer_limits(id), Some(limits));
}

#[test]
fn an_upgrade_that_fails_loses_the_connection_once() {
    //= TLS-21, TLS-3
    let (mut t, id) = plain(QUIET);
    t.hub().start_tls(id, &tls_client(VERSIONS[1]), b"").unwrap();
    t.hub().write(id, "12345");
    t.feed(id, b"no TLS here, sorry");
    assert_eq!(t.trace(id), "cm lost(TLS error)");
    let reason = t.state().reasons.pop().unwrap();
    assert_eq!((reason.cause(), reason.discarded()), (Cause::ReadFailed, 5));
    assert!(reason.failure().is_some());

    let (mut t, id) = plain(QUIET);
    t.hub().start_tls(id, &tls_client(VERSIONS[1]), b"").unwrap();
    t.advance(Duration::from_secs(60));
    assert_eq!(t.trace(id), "cm lost(timed out)");

    let (mut t, id) = plain(QUIET);
    t.hub().start_tls(id, &tls_client(VERSIONS[1]), b"").unwrap();
    t.eof(id);
    assert_eq!(t.trace(id), "cm lost(connection reset by peer)");

    for abort in [false, true] {
        let (mut t, id) = plain(QUIET);
        t.hub().start_tls(id, &tls_client(VERSIONS[1]), b"").unwrap();
        t.run();
        if abort {
            t.hub().abort(id)
        } else {
            t.hub().close(id)
        }
        t.advance(Duration::from_secs(100));
        assert_eq!(t.trace(id), "cm lost(None)");
    }
}

#[test]
fn an_upgrade_is_refused_where_there_is_nothing_to_upgrade() {
    //= TLS-22, TLS-18
    let (mut t, id) = plain(App { eof: true, ..QUIET });
    let start =
        |t: &mut Harness<State>, id| t.hub().start_tls(id, &tls_client(VERSIONS[1]), b"").map_err(|error| error.error().kind());
    let opening = t.open(to(), QUIET);
    assert_eq!(start(&mut t, opening), Err(ErrorKind::NotConnected));
    t.hub().send_resource(id, Resource::new(plimsoll_core::Bytes::from_static(b"file")), ..).unwrap();
    assert_eq!(start(&mut t, id), Err(ErrorKind::Busy));
    t.run();
    assert_eq!(start(&mut t, id), Ok(()));
    assert_eq!(start(&mut t, id), Err(ErrorKind::Busy));
    t.hub().close(id);
    assert_eq!(start(&mut t, id), Err(ErrorKind::Closed));
    t.run();
    assert_eq!(start(&mut t, id), Err(ErrorKind::Closed));

    let pipe = t.hub().adopt(Resource::new(0_usize), Role::ReadPipe, QUIET);
    t.run();
    assert_eq!(start(&mut t, pipe), Err(ErrorKind::Unsupported));
    let pipe = t.hub().adopt_tls(Resource::new(0_usize), Role::ReadPipe, &tls_client(VERSIONS[1]), QUIET);
    t.run();
    assert_eq!((t.trace(pipe).as_str(), start(&mut t, pipe)), ("failed", Err(ErrorKind::Closed)));

    let (mut t, id) = plain(App { eof: true, ..QUIET });
    t.eof(id);
    assert_eq!(start(&mut t, id), Err(ErrorKind::Closed));
}

/// Upgrades after two bytes of what it was lent.
struct Lender([u8; 2]);

impl BufferedProtocol<State> for Lender {
    fn get_buffer(&mut self, _: Option<NonZeroUsize>) -> &mut [u8] {
        &mut self.0
    }

    fn buffer_updated(&mut self, cx: &mut Context<'_, State>, n: usize) {
        if self.0[..n] == *b"S\n" {
            cx.hub.start_tls(cx.id, &tls_server(VERSIONS[1]), b"").unwrap();
        }
    }
}

#[test]
fn what_the_loop_still_holds_goes_to_the_handshake() {
    //= TLS-19
    // In the clear below, and encrypted below: the bytes behind the wish are not seen by the protocol either way.
    let mut t = harness();
    let id = t.connect(Buffered(Lender([0; 2])));
    let mut peer = Peer::client(VERSIONS[1]);
    let wish = [&b"S\n"[..], &peer.output()].concat();
    t.feed(id, &wish);
    peer.input(&t.sent(id));
    t.feed(id, &peer.output());
    assert_eq!(t.trace(id), "cm gb bu(S\\n) tls");
}

#[test]
fn closing_gives_a_handshake_up_at_once_also_with_bytes_that_wait_for_it() {
    //= TLS-14, TLS-21
    for text in ["", "waits for the handshake"] {
        let (mut t, id) = plain(QUIET);
        t.hub().start_tls(id, &tls_client(VERSIONS[1]), b"").unwrap();
        t.hub().write(id, text);
        t.run();
        t.hub().close(id);
        t.run();
        assert_eq!((t.trace(id).as_str(), t.is_closed(id)), ("cm lost(None)", true));
    }
}

#[test]
fn closing_before_the_upgrade_is_told_leaves_nothing_to_be_told() {
    //= TLS-21, CLOSE-8
    let (mut t, id) = plain(QUIET);
    t.hub().start_tls(id, &tls_client(VERSIONS[1]), b"").unwrap();
    t.run();
    let mut peer = Peer::server(VERSIONS[1]);
    peer.input(&t.sent(id));
    // A timer that is due is called behind what is read, and before the turn in which that would be told.
    t.hub().call_later(Duration::ZERO, move |hub, _| hub.close(id)).unwrap();
    t.feed(id, &peer.output());
    t.run();
    talk(&mut t, id, &mut peer);
    // It waits for the peer's farewell.
    assert_eq!((t.trace(id).as_str(), t.hub().is_closing(id)), ("cm", true));
    t.hub().abort(id);
    t.run();
    assert_eq!(t.trace(id), "cm lost(None)");
}

#[test]
fn closing_behind_an_error_that_cost_bytes_is_no_graceful_end() {
    //= TLS-9, CLOSE-5
    let closes = App { upgraded: |cx, _| cx.close(), ..QUIET };
    let (mut t, id) = plain(closes);
    t.hub().start_tls(id, &tls_client(VERSIONS[1]), b"").unwrap();
    t.hub().write(id, "waits");
    t.run();
    let mut peer = Peer::server(VERSIONS[1]);
    peer.input(&t.sent(id));
    // The last flight, and what is no record: the bytes that waited for the handshake can never be encrypted.
    let mut wire = peer.output();
    wire.extend([0; 64]);
    t.feed(id, &wire);
    assert_eq!(t.trace(id), "cm tls lost(TLS error)");
    assert_eq!(t.state().reasons[0].discarded(), 5);
}

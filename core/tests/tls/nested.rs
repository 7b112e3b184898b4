//! TLS inside TLS.

use crate::certs::{VERSIONS, tls_client, tls_server};
use crate::kit::{App, QUIET, State, connected, harness, talk, to};
use crate::peer::Peer;
use plimsoll_core::testing::Harness;
use plimsoll_core::{Cause, Context, ErrorKind, StreamId};

/// Begins another TLS at the peer's wish, which what the peer says first may follow at once.
const INNER: App = App {
    data: |cx, data| {
        if let Some(rest) = data.strip_prefix(b"inner") {
            cx.hub.start_tls(cx.id, &tls_server(VERSIONS[1]).allow_early(true), rest).unwrap();
        } else {
            cx.write(data);
        }
    },
    ..QUIET
};

/// Lets the ends of both connections talk until nobody has anything to say.
fn exchange(t: &mut Harness<State>, id: StreamId, outer: &mut Peer, inner: &mut Peer) {
    loop {
        let wire = inner.output();
        outer.write(&wire);
        talk(t, id, outer);
        let back = outer.received();
        inner.input(&back);
        if wire.is_empty() && back.is_empty() {
            return;
        }
    }
}

fn nested(app: App) -> (Harness<State>, StreamId, Peer, Peer) {
    let (mut t, id, mut outer) = connected(VERSIONS[1], app);
    outer.write(b"inner");
    talk(&mut t, id, &mut outer);
    let mut inner = Peer::client(VERSIONS[1]);
    exchange(&mut t, id, &mut outer, &mut inner);
    assert_eq!(t.trace(id), "cm data(inner) tls");
    (t, id, outer, inner)
}

/// What the outer one says next, spoilt.
fn bad(outer: &mut Peer) -> Vec<u8> {
    outer.write(b"bad");
    let mut wire = outer.output();
    *wire.last_mut().unwrap() ^= 1;
    wire
}

#[test]
fn tls_goes_inside_tls() {
    //= TLS-18
    let (mut t, id, mut outer, mut inner) = nested(INNER);
    inner.write(b"twice encrypted");
    exchange(&mut t, id, &mut outer, &mut inner);
    assert_eq!(inner.received(), b"twice encrypted");
    assert!(t.hub().tls_session::<plimsoll_core::tls::RustlsSession>(id).is_some());
    inner.close();
    exchange(&mut t, id, &mut outer, &mut inner);
    assert!(inner.closed && outer.closed);
    assert_eq!(t.trace(id), "cm data(inner) tls data(twice encrypted) eof lost(None)");
}

#[test]
fn what_the_protocol_has_not_used_is_the_inner_ones_whether_it_gives_it_back_or_has_not_seen_it() {
    //= TLS-19, TLS-18
    for records in [1, 2, 3] {
        let (mut t, id, mut outer) = connected(VERSIONS[1], INNER);
        let mut inner = Peer::client(VERSIONS[1]);
        let first = [&b"inner"[..], &inner.output()].concat();
        // In one piece, which the protocol sees wholly; or in several records, of which it may see the first only.
        for record in first.chunks(first.len().div_ceil(records)) {
            outer.write(record);
        }
        talk(&mut t, id, &mut outer);
        inner.input(&outer.received());
        exchange(&mut t, id, &mut outer, &mut inner);
        assert!(t.trace(id).ends_with(" tls"), "{records}");
        inner.write(b"hello");
        exchange(&mut t, id, &mut outer, &mut inner);
        assert!(t.trace(id).ends_with(" tls data(hello)"), "{records}");
    }
}

#[test]
fn an_end_that_came_behind_the_wish_ends_the_handshake_at_once() {
    //= TLS-10, TLS-21
    let (mut t, id, mut outer) = connected(VERSIONS[1], INNER);
    outer.write(b"inner");
    let mut wire = outer.output();
    wire.extend(bad(&mut outer));
    t.feed(id, &wire);
    assert_eq!(t.trace(id), "cm data(inner) lost(TLS error)");

    let (mut t, id, mut outer) = connected(VERSIONS[1], INNER);
    outer.write(b"inner");
    outer.close();
    t.feed(id, &outer.output());
    assert_eq!(t.trace(id), "cm data(inner) lost(connection reset by peer)");
}

#[test]
fn an_end_of_the_outer_one_is_an_end_of_the_connection_to_the_inner_one() {
    //= TLS-9, TLS-11, TLS-18
    // In the shutdown, where that is as good as an answer.
    let (mut t, id, mut outer, _) = nested(INNER);
    t.hub().close(id);
    t.run();
    outer.input(&t.sent(id));
    assert!(outer.closed);
    outer.close();
    t.feed(id, &outer.output());
    assert_eq!(t.trace(id), "cm data(inner) tls lost(None)");

    // In the middle, where something may be missing.
    let (mut t, id, mut outer, _) = nested(INNER);
    outer.close();
    t.feed(id, &outer.output());
    assert_eq!(t.trace(id), "cm data(inner) tls lost(finished without close_notify)");

    // Unless that is allowed; whether the outer one says so or not.
    let lenient = App {
        data: |cx, data| {
            if data == b"inner" {
                cx.hub.start_tls(cx.id, &tls_server(VERSIONS[1]).allow_truncation(true), b"").unwrap();
            }
        },
        ..QUIET
    };
    for says_so in [false, true] {
        let (mut t, id, mut outer, mut inner) = nested(lenient);
        inner.write(b"all");
        let wire = inner.output();
        outer.write(&wire);
        if says_so {
            outer.close();
        }
        t.feed(id, &outer.output());
        t.eof(id);
        assert_eq!(t.trace(id), "cm data(inner) tls data(all) eof lost(None)", "{says_so}");
    }

    // And a record of the outer one's that is none is an error, as it was.
    let (mut t, id, mut outer, _) = nested(INNER);
    let wire = bad(&mut outer);
    t.feed(id, &wire);
    assert_eq!(t.trace(id), "cm data(inner) tls lost(TLS error)");
    let reason = t.state().reasons.pop().unwrap();
    assert_eq!((reason.cause(), reason.error().map(|error| error.kind())), (Cause::ReadFailed, Some(ErrorKind::TlsError)));
}

/// As a client, when told that the connection is secure.
fn once_more(cx: &mut Context<'_, State>, _: &[u8]) {
    if !core::mem::replace(&mut cx.state.upgraded, true) {
        cx.hub.start_tls(cx.id, &tls_client(VERSIONS[1]), b"").unwrap();
        let again = cx.hub.start_tls(cx.id, &tls_client(VERSIONS[1]), b"");
        assert_eq!(again.unwrap_err().error().kind(), ErrorKind::Busy, "one at a time");
        cx.write("early");
    }
}

#[test]
fn the_next_one_may_begin_when_the_one_before_is_told() {
    //= TLS-18, TLS-19, TLS-20
    // A connection that was secure from the start, in `connection_made`.
    let mut t = harness();
    let id = t.open(to().tls(tls_client(VERSIONS[1])), App { made: once_more, ..QUIET });
    let mut outer = Peer::server(VERSIONS[1]);
    talk(&mut t, id, &mut outer);
    let mut inner = Peer::server(VERSIONS[1]);
    inner.input(&outer.received());
    exchange(&mut t, id, &mut outer, &mut inner);
    assert_eq!((t.trace(id).as_str(), inner.received()), ("cm tls", b"early".to_vec()));

    // One that was upgraded, in `start_tls_done`.
    let mut t = harness();
    let id = t.connect(App { upgraded: once_more, ..QUIET });
    t.hub().start_tls(id, &tls_client(VERSIONS[1]), b"").unwrap();
    let mut outer = Peer::server(VERSIONS[1]);
    talk(&mut t, id, &mut outer);
    let mut inner = Peer::server(VERSIONS[1]);
    inner.input(&outer.received());
    exchange(&mut t, id, &mut outer, &mut inner);
    assert_eq!((t.trace(id).as_str(), inner.received()), ("cm tls tls", b"early".to_vec()));
}

#[test]
fn what_came_with_the_last_flight_is_the_inner_ones() {
    //= TLS-19, TLS-1
    let mut t = harness();
    let app = App { made: |cx, _| cx.hub.start_tls(cx.id, &tls_server(VERSIONS[1]), b"").unwrap(), ..QUIET };
    let id = t.open(to().tls(tls_server(VERSIONS[1])), app);
    let mut outer = Peer::client(VERSIONS[1]);
    t.run();
    t.feed(id, &outer.output());
    outer.input(&t.sent(id));
    let mut inner = Peer::client(VERSIONS[1]);
    let hello = inner.output();
    outer.write(&hello);
    t.feed(id, &outer.output());
    outer.input(&t.sent(id));
    inner.input(&outer.received());
    exchange(&mut t, id, &mut outer, &mut inner);
    assert_eq!(t.trace(id), "cm tls");
}

#[test]
fn a_bad_record_of_the_outer_one_is_the_error_also_behind_words_of_the_inner_one() {
    //= TLS-10, TLS-21
    for with_hello in [false, true] {
        let (mut t, id, mut outer) = connected(VERSIONS[1], INNER);
        outer.write(b"inner");
        t.feed(id, &outer.output());
        if with_hello {
            let hello = Peer::client(VERSIONS[1]).output();
            outer.write(&hello);
        }
        let mut wire = outer.output();
        wire.extend(bad(&mut outer));
        t.feed(id, &wire);
        let reason = t.state().reasons.pop().unwrap();
        assert_eq!(reason.error().map(|error| error.call()), Some(plimsoll_core::Call::Receive), "{with_hello}");
    }
}

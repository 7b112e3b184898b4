//! What a peer can make a connection hold: one record, or one message of the handshake, and not more.

use crate::certs::{VERSIONS, tls_client, tls_server};
use crate::kit::{QUIET, State, connected, harness, to};
use plimsoll_core::testing::Harness;
use plimsoll_core::tls::Tls;
use plimsoll_core::{ErrorKind, StreamId};

/// The longest message of a handshake that rustls takes.
const MESSAGE: usize = 0xffff;
/// The longest record that there may be.
const RECORD: usize = 5 + 16 * 1024 + 2048;
/// Room that vectors take to grow in: not more than as much again.
const GROWTH: usize = 2;

/// Both sides of a handshake that has not begun.
fn sides() -> [Tls; 2] {
    [tls_client(VERSIONS[1]), tls_server(VERSIONS[1])]
}

/// Feeds one piece after the other until the connection is lost: how many bytes that took, and the most that was held meanwhile.
fn feed(t: &mut Harness<State>, id: StreamId, pieces: impl Iterator<Item = Vec<u8>>) -> (usize, usize) {
    let mut fed = 0;
    let memory = allocation_counter::measure(|| {
        for piece in pieces {
            fed += piece.len();
            t.feed(id, &piece);
            if !t.state().failed.is_empty() || !t.state().reasons.is_empty() {
                return;
            }
        }
    });
    (fed, usize::try_from(memory.bytes_max).unwrap())
}

/// The beginning of a message that says it had that length; a server awaits the first kind of message, a client the second.
fn message(of: u8, len: usize) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(len).unwrap().to_be_bytes();
    vec![of, high, middle, low]
}

fn record(payload: &[u8]) -> Vec<u8> {
    let mut record = vec![22, 3, 3];
    record.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
    record.extend_from_slice(payload);
    record
}

#[test]
fn a_message_of_the_handshake_that_goes_on_and_on_is_given_up() {
    //= TLS-2
    for (tls, of) in sides().into_iter().zip([2, 1]) {
        for fragment in [1, 100, 16 * 1024] {
            let mut t = harness();
            let id = t.open(to().tls(tls.clone()), QUIET);
            t.run();
            let begin = [message(of, MESSAGE), vec![0; fragment]].concat();
            let pieces = core::iter::once(record(&begin)).chain(core::iter::repeat_with(|| record(&vec![0; fragment])));
            let (fed, most) = feed(&mut t, id, pieces);
            let error = t.state().failed.pop().unwrap();
            assert_eq!(error.error().kind(), ErrorKind::TlsError, "{error}");
            assert!(fed <= MESSAGE + 5 + fragment + RECORD, "{fed} bytes in fragments of {fragment}");
            // A server keeps them twice: it listens to the first words for a name in them.
            let bound = GROWTH * 2 * (MESSAGE + 2 * RECORD);
            assert!(most <= bound, "{most} bytes are held for fragments of {fragment}, and {bound} are the bound");
        }
    }
}

#[test]
fn a_length_that_cannot_be_is_refused_before_it_comes() {
    //= TLS-2
    for (tls, of) in sides().into_iter().zip([2, 1]) {
        for wire in [vec![22, 3, 3, 0xff, 0xff], record(&message(of, MESSAGE + 1))] {
            let mut t = harness();
            let id = t.open(to().tls(tls.clone()), QUIET);
            t.run();
            t.feed(id, &wire);
            assert_eq!(t.state().failed.pop().map(|error| error.error().kind()), Some(ErrorKind::TlsError), "{wire:?}");
        }
    }
}

#[test]
fn of_a_record_that_never_ends_what_came_is_held_and_nothing_else() {
    //= TLS-15, TLS-16
    for version in VERSIONS {
        let (mut t, id, mut peer) = connected(version, QUIET);
        peer.write(&[b'x'; 16 * 1024]);
        let wire = peer.output();
        let (last, most) = wire.split_last().unwrap();
        let pieces = most.chunks(1000).map(<[u8]>::to_vec);
        let (fed, held) = feed(&mut t, id, pieces);
        assert_eq!((fed, t.trace(id).as_str()), (wire.len() - 1, "cm"));
        let bound = GROWTH * GROWTH * RECORD;
        assert!(held <= bound, "{held} bytes are held, and {bound} are the bound");
        // It was only slow.
        t.feed(id, &[*last]);
        assert_eq!(t.trace(id).len(), "cm data()".len() + 16 * 1024);
    }
}

#[test]
fn keys_that_are_changed_over_and_over_leave_nothing_behind() {
    //= TLS-15
    let (mut t, id, mut peer) = connected(VERSIONS[1], QUIET);
    let memory = allocation_counter::measure(|| {
        for _ in 0..200 {
            peer.tls.refresh_traffic_keys().unwrap();
            // rustls bears few such wishes in a row.
            peer.write(b"x");
            t.feed(id, &peer.output());
            peer.input(&t.sent(id));
        }
    });
    assert_eq!(t.trace(id), format!("cm{}", " data(x)".repeat(200)));
    assert!(memory.bytes_max < 64 * 1024, "{} bytes are held", memory.bytes_max);
}

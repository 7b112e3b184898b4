//! What is written: the size of it, and the marks.

use crate::certs::{VERSIONS, tls_client};
use crate::kit::{App, QUIET, connected, harness, talk, to};
use crate::peer::Peer;
use plimsoll_core::{WriteLimits, WriteStatus};

#[test]
fn the_size_counts_clear_and_encrypted_bytes() {
    //= TLS-15, WRITE-12, FLOW-1
    let (mut t, id, mut peer) = connected(VERSIONS[1], QUIET);
    let limits = t.hub().write_buffer_limits(id).unwrap();
    assert_eq!((limits.low(), limits.high()), (131_072, 524_288));
    t.window(id, 0);
    assert_eq!(t.hub().write(id, vec![1; 100_000]), WriteStatus::Accepted);
    let size = t.hub().write_buffer_size(id);
    assert!(size > 100_000 && size < 101_000, "{size}");
    assert_eq!(t.hub().write(id, vec![1; 500_000]), WriteStatus::Paused);
    t.run();
    assert_eq!(t.trace(id), "cm pause");
    t.window(id, 400_000);
    assert_eq!(t.trace(id), "cm pause");
    t.window(id, usize::MAX);
    assert_eq!((t.trace(id).as_str(), t.hub().write_buffer_size(id)), ("cm pause resume", 0));
    peer.input(&t.sent(id));
    assert_eq!(peer.received().len(), 600_000);
}

#[test]
fn a_pause_promised_during_the_handshake_is_kept_after_it() {
    //= TLS-15, RUST-3, RUST-4
    let mut t = harness();
    let id = t.open(to().tls(tls_client(VERSIONS[1])), QUIET);
    t.hub().set_write_buffer_limits(id, WriteLimits::new(0, 4).unwrap());
    assert_eq!(t.hub().write(id, "hello"), WriteStatus::Paused);
    t.hub().write(id, " world");
    assert_eq!(t.hub().write_buffer_size(id), 11);
    let mut peer = Peer::server(VERSIONS[1]);
    talk(&mut t, id, &mut peer);
    assert_eq!((t.trace(id).as_str(), peer.received()), ("cm pause resume", b"hello world".to_vec()));
}

#[test]
fn writes_of_every_kind_arrive_in_order() {
    //= WRITE-1, WRITE-5, WRITE-6
    let app = App {
        made: |cx, _| {
            cx.write(b"");
            cx.writelines([&b"a"[..], b"", b"b"]);
            cx.write(vec![b'c'; 40_000]);
            cx.write("d");
        },
        ..QUIET
    };
    let (_, _, mut peer) = connected(VERSIONS[0], app);
    let all = [b"ab".to_vec(), vec![b'c'; 40_000], b"d".to_vec()].concat();
    assert!(peer.received() == all);
}

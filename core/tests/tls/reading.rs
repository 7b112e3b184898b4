//! What is read: pauses, and protocols that lend memory.

use crate::certs::{VERSIONS, tls_client};
use crate::kit::{App, QUIET, State, connected, harness, talk, to};
use crate::peer::Peer;
use core::num::NonZeroUsize;
use plimsoll_core::{Buffered, BufferedProtocol, Context};

#[test]
fn a_pause_holds_back_what_is_decrypted_and_what_is_not() {
    //= TLS-16, READ-5, READ-9
    let (mut t, id, mut peer) = connected(VERSIONS[1], App { data: |cx, _| cx.pause_reading(), ..QUIET });
    peer.write(b"one");
    t.feed(id, &peer.output());
    peer.write(b"two");
    t.feed(id, &peer.output());
    peer.write(b"three");
    peer.close();
    t.feed(id, &peer.output());
    assert_eq!(t.trace(id), "cm data(one)");
    t.hub().resume_reading(id);
    t.run();
    assert_eq!(t.trace(id), "cm data(one) data(twothree)");
    t.hub().resume_reading(id);
    t.run();
    assert_eq!(t.trace(id), "cm data(one) data(twothree) eof lost(None)");
}

/// Takes three bytes at a time, and pauses after the first five times.
struct Small([u8; 3], Vec<u8>, usize);

impl BufferedProtocol<State> for Small {
    fn get_buffer(&mut self, _: Option<NonZeroUsize>) -> &mut [u8] {
        &mut self.0
    }

    fn buffer_updated(&mut self, cx: &mut Context<'_, State>, n: usize) {
        self.1.extend_from_slice(&self.0[..n]);
        self.2 += 1;
        if self.2 == 5 {
            cx.pause_reading();
        }
    }
}

#[test]
fn small_buffers_are_filled_until_all_is_handed_out() {
    //= BUF-8, BUF-10, TLS-16
    let mut t = harness();
    let id = t.open(to().tls(tls_client(VERSIONS[1])), Buffered(Small([0; 3], Vec::new(), 0)));
    let mut peer = Peer::server(VERSIONS[1]);
    talk(&mut t, id, &mut peer);
    let data: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
    peer.write(&data);
    t.feed(id, &peer.output());
    assert_eq!(t.hub().protocol::<Small>(id).unwrap().1, data[..15]);
    t.hub().resume_reading(id);
    t.run();
    assert!(t.hub().protocol::<Small>(id).unwrap().1 == data);
}

#[test]
fn switching_between_kinds_of_protocols_loses_nothing() {
    //= BUF-9, LIFE-14
    let app = App {
        data: |cx, _| {
            cx.set_protocol(Buffered(Small([0; 3], Vec::new(), 9)));
        },
        ..QUIET
    };
    let (mut t, id, mut peer) = connected(VERSIONS[1], app);
    peer.write(b"first");
    t.feed(id, &peer.output());
    peer.write(b"second");
    t.feed(id, &peer.output());
    assert_eq!(t.hub().protocol::<Small>(id).unwrap().1, b"second");
}

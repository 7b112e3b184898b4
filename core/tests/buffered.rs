//! Protocols that receive into memory of their own.

use core::num::NonZeroUsize;
use plimsoll_core::testing::Harness;
use plimsoll_core::{Buffered, BufferedProtocol, Context, Data, Protocol, StreamId};

/// Lends so many bytes at a time, and does something after so many.
struct Taker {
    memory: Vec<u8>,
    pause_after: usize,
    close_after: usize,
    switch_after: usize,
}

impl Taker {
    fn new(size: usize) -> Self {
        Self { memory: vec![b'#'; size], pause_after: usize::MAX, close_after: usize::MAX, switch_after: usize::MAX }
    }
}

/// Everything that was received, by whomever.
type Log = Vec<u8>;

impl BufferedProtocol<Log> for Taker {
    fn get_buffer(&mut self, hint: Option<NonZeroUsize>) -> &mut [u8] {
        assert!(hint.is_some());
        &mut self.memory
    }

    fn buffer_updated(&mut self, cx: &mut Context<'_, Log>, n: usize) {
        // The rest of the memory is left as it was.
        assert!(self.memory[n..].iter().all(|&byte| byte == b'#'));
        cx.state.extend_from_slice(&self.memory[..n]);
        self.memory.fill(b'#');
        if cx.state.len() >= self.pause_after {
            self.pause_after = usize::MAX;
            cx.pause_reading();
        }
        if cx.state.len() >= self.close_after {
            cx.close();
        }
        if cx.state.len() >= self.switch_after {
            cx.set_protocol(Streamer);
        }
    }

    fn eof_received(&mut self, _: &mut Context<'_, Log>) -> bool {
        true
    }
}

/// Takes what it is given, and hands the connection back to a taker when it sees a full stop.
struct Streamer;

impl Protocol<Log> for Streamer {
    fn data_received(&mut self, cx: &mut Context<'_, Log>, data: Data<'_>) {
        cx.state.extend_from_slice(&data);
        if data.ends_with(b".") {
            cx.set_protocol(Buffered(Taker::new(2)));
        }
    }
}

fn connected(taker: Taker) -> (Harness<Log>, StreamId) {
    let mut t = Harness::new(Log::new());
    let c = t.connect(Buffered(taker));
    (t, c)
}

#[test]
fn memory_of_any_size_is_filled_from_its_start_until_all_is_received() {
    //= BUF-1, BUF-2, BUF-4, READ-1
    for size in [1, 2, 3, 64] {
        let (mut t, c) = connected(Taker::new(size));
        t.feed(c, b"hello");
        t.feed(c, b" world");
        assert_eq!(t.state(), b"hello world");
        let trace = t.trace(c);
        assert_eq!(trace.matches("bu(").count(), b"hello".len().div_ceil(size) + b" world".len().div_ceil(size), "{trace}");
    }
}

#[test]
fn nothing_is_lent_after_end_of_file() {
    //= BUF-5, EOF-1, EOF-3
    let (mut t, c) = connected(Taker::new(8));
    t.feed(c, b"last");
    t.eof(c);
    t.hub().pause_reading(c);
    t.hub().resume_reading(c);
    t.feed(c, b"ignored");
    let trace = t.trace(c);
    assert!(trace.ends_with("eof"), "{trace}");
    assert_eq!(t.state(), b"last");
}

#[test]
fn pausing_or_closing_after_a_piece_keeps_the_rest_back_or_throws_it_away() {
    //= BUF-6, BUF-7, CLOSE-8, READ-8
    let (mut t, c) = connected(Taker { pause_after: 2, ..Taker::new(2) });
    t.feed(c, b"hello");
    assert_eq!(t.state(), b"he");
    assert!(t.trace(c).ends_with("bu(he)"));
    t.hub().resume_reading(c);
    t.run();
    assert_eq!(t.state(), b"hello");

    let (mut t, c) = connected(Taker { close_after: 2, ..Taker::new(2) });
    t.feed(c, b"hello");
    assert_eq!(t.state(), b"he");
    assert!(t.trace(c).ends_with("bu(he) lost(None)"));
}

#[test]
fn switching_between_the_kinds_in_the_middle_of_a_receive_loses_no_byte() {
    //= BUF-8, BUF-9, LIFE-14
    let (mut t, c) = connected(Taker { switch_after: 2, ..Taker::new(2) });
    t.feed(c, b"buffered, then streamed.");
    t.feed(c, b"buffered again");
    assert_eq!(t.state(), b"buffered, then streamed.buffered again");
    let trace = t.trace(c);
    assert!(trace.contains("bu(bu) data(ffered, then streamed.) gb bu(bu)"), "{trace}");
    assert_eq!(trace.matches("cm").count(), 1);
}

#[test]
fn a_buffered_protocol_is_found_behind_its_wrapper() {
    //= LIFE-15
    let (mut t, c) = connected(Taker::new(7));
    assert_eq!(t.hub().protocol::<Taker>(c).unwrap().memory.len(), 7);
    assert!(t.hub().protocol::<Buffered<Taker>>(c).is_some());
    assert!(t.hub().protocol::<Streamer>(c).is_none());
}

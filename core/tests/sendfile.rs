//! Files that are sent: their place among the writes, and everything that may happen meanwhile.

use plimsoll_core::testing::Harness;
use plimsoll_core::{
    Bytes, CloseReason, Context, Data, Error, ErrorKind, Protocol, Refusal, Resource, StreamId, WriteLimits, WriteStatus,
};

/// What was received, and what became of files.
#[derive(Default)]
struct State {
    received: Vec<u8>,
    done: Vec<Result<u64, ErrorKind>>,
    lost: Vec<Option<ErrorKind>>,
}

/// Notes all, and writes one more word when a file is over.
struct Sender;

impl Protocol<State> for Sender {
    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        cx.state.received.extend_from_slice(&data);
        if data.ends_with(b"?") {
            cx.write("the file: ");
            cx.hub.send_resource(cx.id, file("contents"), ..).unwrap();
            assert_eq!(cx.write("too early"), WriteStatus::Refused(Refusal::Busy));
        }
    }

    fn eof_received(&mut self, _: &mut Context<'_, State>) -> bool {
        true
    }

    fn sendfile_done(&mut self, cx: &mut Context<'_, State>, result: Result<u64, Error>) {
        cx.state.done.push(result.map_err(|error| error.kind()));
        cx.write("!");
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, State>, reason: CloseReason) {
        cx.state.lost.push(reason.error().map(|error| error.kind()));
    }
}

fn file(contents: &'static str) -> Resource {
    Resource::new(Bytes::from_static(contents.as_bytes()))
}

fn connected() -> (Harness<State>, StreamId) {
    let mut harness = Harness::new(State::default());
    let id = harness.connect(Sender);
    (harness, id)
}

#[test]
fn a_file_goes_behind_what_is_queued_and_before_what_comes_later() {
    //= LOOP-28, LOOP-29
    let (mut harness, id) = connected();
    harness.window(id, 3);
    harness.hub().write(id, "before ");
    harness.hub().send_resource(id, file("0123456789"), 2..=7).unwrap();
    assert_eq!(harness.hub().write(id, "too early"), WriteStatus::Refused(Refusal::Busy));
    assert_eq!(harness.hub().write(id, ""), WriteStatus::Refused(Refusal::Busy));
    harness.run();
    assert_eq!((harness.sent(id), harness.state().done.len()), (b"bef".to_vec(), 0));
    // One byte of the file, and then the rest of it.
    harness.window(id, 5);
    harness.run();
    assert_eq!((harness.sent(id), harness.state().done.len()), (b"ore 2".to_vec(), 0));
    assert_eq!(harness.hub().write_buffer_size(id), 0);
    harness.window(id, usize::MAX);
    harness.run();
    assert_eq!(harness.sent(id), b"34567!");
    assert_eq!(harness.state().done, [Ok(6)]);
    assert_eq!(harness.hub().write(id, " after"), WriteStatus::Accepted);
    harness.run();
    assert_eq!(harness.sent(id), b" after");
}

#[test]
fn a_file_is_sent_from_a_callback_too() {
    //= LOOP-28, RUST-1
    let (mut harness, id) = connected();
    harness.feed(id, b"what is in the file?");
    harness.run();
    assert_eq!(harness.sent(id), b"the file: contents!");
    assert_eq!(harness.trace(id), "cm data(what is in the file?) sent(8)");
}

#[test]
fn reading_is_held_meanwhile_and_set_back_as_it_was() {
    //= LOOP-29, READ-5, READ-9, READ-12
    for paused in [false, true] {
        let (mut harness, id) = connected();
        harness.window(id, 1);
        harness.hub().send_resource(id, file("0123"), ..).unwrap();
        if paused {
            harness.hub().pause_reading(id);
        }
        harness.feed(id, b"question");
        harness.eof(id);
        harness.run();
        assert_eq!((harness.state().received.len(), harness.hub().is_reading(id)), (0, !paused));
        harness.window(id, usize::MAX);
        harness.run();
        if paused {
            assert_eq!(harness.trace(id), "cm sent(4)");
            harness.hub().resume_reading(id);
            harness.run();
        }
        // What came meanwhile comes behind the end of the file.
        assert_eq!(harness.trace(id), "cm sent(4) data(question) eof");
    }
}

#[test]
fn the_range_is_what_there_is_of_it() {
    //= LOOP-28, LOOP-29
    let (mut harness, id) = connected();
    let send = |harness: &mut Harness<State>, range: (core::ops::Bound<u64>, core::ops::Bound<u64>)| {
        let begun = harness.hub().send_resource(id, file("0123456789"), range).map_err(|error| error.kind());
        harness.run();
        (begun, harness.sent(id), harness.state().done.pop())
    };
    use core::ops::Bound::{Excluded, Included, Unbounded};
    let cases: [(_, &[u8], u64); 5] = [
        ((Unbounded, Unbounded), b"0123456789!", 10),
        ((Excluded(2), Excluded(5)), b"34!", 2),
        ((Included(8), Included(u64::MAX)), b"89!", 2),
        // Behind the end.
        ((Included(10), Unbounded), b"!", 0),
        ((Included(u64::MAX), Unbounded), b"!", 0),
    ];
    for (range, bytes, count) in cases {
        assert_eq!(send(&mut harness, range), (Ok(()), bytes.to_vec(), Some(Ok(count))), "{range:?}");
    }
    for range in
        [(Included(3), Excluded(3)), (Included(3), Excluded(2)), (Excluded(u64::MAX), Unbounded), (Included(1), Included(0))]
    {
        assert_eq!(send(&mut harness, range), (Err(ErrorKind::InvalidInput), vec![], None), "{range:?}");
    }
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    //= LOOP-29, RUST-6
    let (mut harness, id) = connected();
    harness.window(id, 0);
    let refused = |harness: &mut Harness<State>| harness.hub().send_resource(id, file("x"), ..).unwrap_err().kind();
    harness.hub().send_resource(id, file("0123"), ..).unwrap();
    assert_eq!(refused(&mut harness), ErrorKind::Busy);
    harness.run();
    assert_eq!(refused(&mut harness), ErrorKind::Busy);
    harness.hub().write_eof(id).unwrap();
    assert_eq!(refused(&mut harness), ErrorKind::Closed);
    assert_eq!(harness.hub().write(id, "x"), WriteStatus::Refused(Refusal::AfterEof));
    harness.hub().close(id);
    assert_eq!(refused(&mut harness), ErrorKind::Closed);
    harness.hub().abort(id);
    harness.run();
    assert_eq!(refused(&mut harness), ErrorKind::Closed);
    assert_eq!(harness.state().done, [Err(ErrorKind::ConnectionAborted)]);
}

#[test]
fn a_file_that_cannot_be_read_costs_nothing_else() {
    //= LOOP-28, LOOP-29
    let (mut harness, id) = connected();
    harness.hub().write(id, "before");
    harness.hub().send_resource(id, Resource::new("no file"), ..).unwrap();
    harness.run();
    assert_eq!(harness.state().done, [Err(ErrorKind::Unsupported)]);
    assert_eq!(harness.sent(id), b"before!");
    harness.feed(id, b"still here");
    harness.run();
    assert_eq!(harness.state().received, b"still here");
}

#[test]
fn close_and_write_eof_wait_for_the_file() {
    //= LOOP-28, CLOSE-1, EOF-6, EOF-9
    let (mut harness, id) = connected();
    harness.window(id, 2);
    harness.hub().send_resource(id, file("0123"), ..).unwrap();
    harness.hub().write_eof(id).unwrap();
    harness.run();
    assert!(!harness.is_finished(id));
    harness.window(id, usize::MAX);
    harness.run();
    assert!(harness.is_finished(id));
    assert_eq!((harness.sent(id), &*harness.state().done), (b"0123".to_vec(), &[Ok(4)][..]));

    let id = harness.connect(Sender);
    harness.window(id, 2);
    harness.hub().write(id, "x");
    harness.hub().send_resource(id, file("0123"), ..).unwrap();
    harness.hub().close(id);
    harness.run();
    assert!(harness.state().lost.is_empty());
    harness.window(id, usize::MAX);
    harness.run();
    assert_eq!(harness.sent(id), b"x0123");
    assert_eq!(harness.trace(id), "cm sent(4) lost(None)");
}

#[test]
fn a_loss_is_told_of_the_file_first() {
    //= LOOP-29, RUST-9, LIFE-3
    let (mut harness, id) = connected();
    harness.window(id, 2);
    harness.hub().send_resource(id, file("0123"), ..).unwrap();
    harness.run();
    harness.reset(id);
    harness.window(id, 2);
    harness.run();
    assert_eq!(harness.trace(id), "cm sent(broken pipe) lost(broken pipe)");

    let id = harness.connect(Sender);
    harness.window(id, 0);
    harness.hub().send_resource(id, file("0123"), ..).unwrap();
    harness.run();
    harness.hub().abort(id);
    harness.run();
    assert_eq!(harness.trace(id), "cm sent(connection aborted) lost(None)");

    // It is sent, and the turn that tells it has not come.
    let id = harness.connect(Sender);
    harness.hub().send_resource(id, file("0123"), ..).unwrap();
    harness.run_once();
    harness.hub().abort(id);
    harness.run();
    assert_eq!(harness.trace(id), "cm sent(4) lost(None)");
}

#[test]
fn one_that_is_given_before_the_connection_is_made_waits_for_it() {
    //= LOOP-28, LIFE-1, LIFE-12
    let mut harness = Harness::new(State::default());
    let id = harness.open(Harness::<State>::refused_addr(), Sender);
    harness.hub().send_resource(id, file("nobody"), ..).unwrap();
    harness.run();
    assert_eq!((harness.trace(id).as_str(), harness.state().done.len()), ("failed", 0));
    let to: core::net::SocketAddr = "127.0.0.1:7".parse().unwrap();
    let id = harness.open(to, Sender);
    harness.hub().write(id, "first ");
    harness.hub().send_resource(id, file("contents"), ..).unwrap();
    harness.run();
    assert_eq!(harness.sent(id), b"first contents!");
    assert_eq!(harness.trace(id), "cm sent(8)");
}

#[test]
fn a_writer_that_was_paused_is_resumed_when_its_own_bytes_are_gone() {
    //= LOOP-29, FLOW-7, RUST-3
    let (mut harness, id) = connected();
    harness.hub().set_write_buffer_limits(id, WriteLimits::new(0, 4).unwrap());
    harness.window(id, 0);
    assert_eq!(harness.hub().write(id, "much"), WriteStatus::Accepted);
    assert_eq!(harness.hub().write(id, "more"), WriteStatus::Paused);
    harness.hub().send_resource(id, file("0123"), ..).unwrap();
    harness.window(id, usize::MAX);
    harness.run();
    assert_eq!(harness.trace(id), "cm pause resume sent(4)");
    assert_eq!(harness.sent(id), b"muchmore0123!");
}

#[test]
fn who_replaces_a_protocol_gets_what_became_of_the_file() {
    //= LIFE-14, RUST-9
    let mut harness = Harness::new(State::default());
    struct First;
    impl Protocol<State> for First {
        fn data_received(&mut self, _: &mut Context<'_, State>, _: Data<'_>) {}
    }
    let id = harness.connect(First);
    harness.hub().send_resource(id, file("0123"), ..).unwrap();
    harness.hub().set_protocol(id, Sender);
    harness.run();
    assert_eq!(harness.state().done, [Ok(4)]);
}

//! Datagram endpoints in memory: addresses, boundaries, errors that are events, flow, and the batch that ends where it is told to.

use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_core::testing::Harness;
use plimsoll_core::{
    Addr, CloseReason, Context, Data, Datagram, DatagramId, DatagramProtocol, Error, ErrorKind, Family, OpenError, Refusal,
    Report, TimerId, WriteLimits, WriteStatus,
};

type Cx<'a> = Context<'a, (), DatagramId>;

/// What an endpoint does in its callbacks.
#[derive(Default)]
struct Script {
    made: Option<fn(&mut Cx<'_>)>,
    datagram: Option<fn(&mut Cx<'_>, &[u8], &Addr)>,
    error: Option<fn(&mut Cx<'_>)>,
    pause: Option<fn(&mut Cx<'_>)>,
}

impl DatagramProtocol<()> for Script {
    fn connection_made(&mut self, cx: &mut Cx<'_>) {
        if let Some(f) = self.made {
            f(cx);
        }
    }
    fn datagram_received(&mut self, cx: &mut Cx<'_>, data: Data<'_>, from: &Addr) {
        if let Some(f) = self.datagram {
            f(cx, &data, from);
        }
    }
    fn error_received(&mut self, cx: &mut Cx<'_>, _: Error) {
        if let Some(f) = self.error {
            f(cx);
        }
    }
    fn pause_writing(&mut self, cx: &mut Cx<'_>) {
        if let Some(f) = self.pause {
            f(cx);
        }
    }
}

fn at(port: u16) -> Addr {
    SocketAddr::from(([127, 0, 0, 1], port)).into()
}

fn script(f: fn(&mut Cx<'_>, &[u8], &Addr)) -> Script {
    Script { datagram: Some(f), ..Script::default() }
}

fn echo() -> Script {
    script(|cx, data, from| {
        cx.send_to(data, from);
    })
}

#[test]
fn datagrams_come_whole_with_their_sender_and_empty_ones_too() {
    //= DGRAM-1, DGRAM-2, DGRAM-3, LIFE-1, LIFE-2
    let mut t = Harness::new(());
    let c = t.datagram(at(9), echo());
    t.feed_all_from(c, [&b"ab"[..], b"", b"c"], at(5));
    t.feed_from(c, &[7; 65_535], at(6));
    let sent = t.sent_datagrams(c);
    let whole: Vec<_> = sent.iter().map(|(data, to)| (data.len(), to.clone())).collect();
    assert_eq!(whole, [(2, Some(at(5))), (0, Some(at(5))), (1, Some(at(5))), (65_535, Some(at(6)))]);
    t.hub().close(c);
    t.run();
    assert!(t.trace(c).starts_with("cm dgram(ab,127.0.0.1:5) dgram(,127.0.0.1:5) dgram(c,127.0.0.1:5) dgram("));
    assert!(t.trace(c).ends_with(" lost(None)") && t.is_closed(c));
}

#[test]
fn an_address_is_held_against_the_remote_one_before_anything_else() {
    //= DGRAM-4, DGRAM-5, DGRAM-6, DGRAM-10
    let mut t = Harness::new(());
    let anyone = t.datagram(at(9), Script::default());
    assert_eq!(t.hub().send(anyone, b"x"), WriteStatus::Refused(Refusal::NotConnected));
    assert_eq!(t.hub().send_to(anyone, b"x", at(1)), WriteStatus::Accepted);
    let connected = t.datagram(Datagram::to(at(7)), Script::default());
    assert_eq!(t.hub().send(connected, b"a"), WriteStatus::Accepted);
    assert_eq!(t.hub().send_to(connected, b"b", at(7)), WriteStatus::Accepted);
    assert_eq!(t.hub().send_to(connected, b"c", at(8)), WriteStatus::Refused(Refusal::AddressMismatch));
    t.run();
    assert_eq!(t.sent_datagrams(connected), [(b"a".to_vec(), None), (b"b".to_vec(), None)]);
    t.hub().close(connected);
    assert_eq!(t.hub().send_to(connected, b"c", at(8)), WriteStatus::Refused(Refusal::AddressMismatch));
    assert_eq!(t.hub().send(connected, b"d"), WriteStatus::Discarded);
    t.hub().abort(anyone);
    assert_eq!(t.hub().send_to(anyone, b"d", at(1)), WriteStatus::Discarded);
    t.run();
    assert_eq!(t.hub().send_to(connected, b"c", at(8)), WriteStatus::Discarded);
    assert_eq!((t.trace(connected), t.trace(anyone)), ("cm lost(None)".into(), "cm lost(None)".into()));
}

#[test]
fn with_broadcast_the_remote_address_is_fixed_and_the_kernel_is_told_it_each_time() {
    //= LOOP-27, DGRAM-4, DGRAM-6
    let mut t = Harness::new(());
    let c = t.datagram(Datagram::to(at(7)).broadcast(true), Script::default());
    assert_eq!(t.hub().send(c, b"a"), WriteStatus::Accepted);
    assert_eq!(t.hub().send_to(c, b"b", at(8)), WriteStatus::Refused(Refusal::AddressMismatch));
    t.feed_from(c, b"from anybody", at(8));
    assert_eq!(t.sent_datagrams(c), [(b"a".to_vec(), Some(at(7)))]);
    assert_eq!(t.hub().peer_addr(c), None);
    assert_eq!(t.trace(c), "cm dgram(from anybody,127.0.0.1:8)");
    t.hub().abort(c);
    t.run();
}

#[test]
fn what_is_sent_before_the_socket_is_there_is_sent_then() {
    //= DGRAM-11, LIFE-8
    let mut t = Harness::new(());
    let c = t.hub().open_datagram(Datagram::to(at(7)), Script::default());
    assert_eq!(t.hub().send(c, b"early"), WriteStatus::Accepted);
    assert_eq!(t.hub().write_buffer_size(c), 13);
    t.run();
    assert_eq!(t.sent_datagrams(c), [(b"early".to_vec(), None)]);
    let given_up = t.hub().open_datagram(Datagram::to(at(7)), Script::default());
    t.hub().send(given_up, b"never");
    t.hub().close(given_up);
    t.run();
    assert_eq!(t.trace(given_up), "");
    t.hub().abort(c);
    t.run();
}

#[test]
fn addresses_of_no_common_family_fail_the_opening() {
    //= LOOP-26, RUST-9
    struct Failed;
    impl DatagramProtocol<Vec<ErrorKind>> for Failed {
        fn datagram_received(&mut self, _: &mut Context<'_, Vec<ErrorKind>, DatagramId>, _: Data<'_>, _: &Addr) {}
        fn open_failed(self: Box<Self>, cx: &mut Context<'_, Vec<ErrorKind>, DatagramId>, error: OpenError) {
            cx.state.push(error.error().kind());
        }
    }
    let mut t = Harness::new(Vec::new());
    let v6: SocketAddr = "[::1]:7".parse().unwrap();
    let wrong = [
        Datagram::on(at(7)).remote_addr(v6),
        Datagram::on(at(7)).family(Family::V6),
        Datagram::to(v6).family(Family::V4),
        Datagram::on(Addr::unix("/tmp/a")).remote_addr(v6),
        Datagram::on(Addr::unix("/tmp/a")).broadcast(true),
        Datagram::on(Addr::unix("/tmp/a")).reuse_port(true),
    ];
    for open in wrong {
        assert!(open.check().is_err());
        let id = t.datagram(open, Failed);
        assert_eq!(t.trace(id), "failed");
    }
    assert_eq!(*t.state(), [ErrorKind::InvalidInput; 6]);
    assert!(Datagram::of(Family::V4).check().is_ok());
}

#[test]
fn an_error_is_an_event_that_costs_one_datagram() {
    //= DGRAM-7, DGRAM-8, DGRAM-14
    let mut t = Harness::new(());
    let c = t.datagram(Datagram::to(at(7)), Script::default());
    t.fail_sends(c, [ErrorKind::ConnectionRefused, ErrorKind::OutOfMemory]);
    for payload in ["1", "2", "3"] {
        t.hub().send(c, payload);
    }
    t.run();
    assert_eq!(t.sent_datagrams(c), [(b"3".to_vec(), None)]);
    t.fail_receive(c, ErrorKind::ConnectionRefused);
    t.feed_from(c, b"still here", at(7));
    assert_eq!(t.trace(c), "cm err(connection refused) err(out of memory) err(connection refused) dgram(still here,127.0.0.1:7)");
    assert!(!t.hub().is_closing(c));
    t.hub().abort(c);
    t.run();
}

#[test]
fn a_graceful_close_sends_what_is_queued_and_an_error_on_the_way_does_not_end_it() {
    //= DGRAM-8, DGRAM-12, CLOSE-1
    let mut t = Harness::new(());
    let c = t.datagram(Datagram::to(at(7)), Script::default());
    t.datagram_window(c, 0);
    for payload in ["1", "2", "3"] {
        t.hub().send(c, payload);
    }
    t.hub().send(c, b"");
    t.run();
    assert_eq!(t.hub().write_buffer_size(c), 3 + 4 * 8);
    t.hub().close(c);
    t.feed_from(c, b"too late", at(7));
    assert_eq!(t.trace(c), "cm");
    t.fail_sends(c, [ErrorKind::ConnectionRefused]);
    t.datagram_window(c, 100);
    assert_eq!(t.sent_datagrams(c), [(b"2".to_vec(), None), (b"3".to_vec(), None), (Vec::new(), None)]);
    assert_eq!(t.trace(c), "cm err(connection refused) lost(None)");
}

#[test]
fn an_error_of_the_last_datagram_comes_before_the_loss() {
    //= DGRAM-8, LIFE-3
    let mut t = Harness::new(());
    let c = t.datagram(Datagram::to(at(7)), Script::default());
    t.fail_sends(c, [ErrorKind::ConnectionRefused]);
    t.hub().send(c, "last");
    t.hub().close(c);
    t.run();
    assert_eq!(t.trace(c), "cm err(connection refused) lost(None)");
}

#[test]
fn abort_drops_the_queue_and_what_is_owed() {
    //= DGRAM-9, FLOW-15
    let mut t = Harness::new(());
    let c = t.datagram(Datagram::to(at(7)), Script::default());
    t.datagram_window(c, 0);
    t.hub().set_write_buffer_limits(c, WriteLimits::new(0, 9).unwrap());
    assert_eq!(t.hub().send(c, b"a"), WriteStatus::Accepted);
    assert_eq!(t.hub().send(c, b""), WriteStatus::Paused);
    t.hub().abort(c);
    assert_eq!(t.hub().write_buffer_size(c), 0);
    t.datagram_window(c, 100);
    assert_eq!((t.trace(c).as_str(), t.sent_datagrams(c).len()), ("cm lost(None)", 0));
}

#[test]
fn the_queue_pauses_and_resumes_the_writer_with_eight_bytes_for_each_datagram() {
    //= DGRAM-11, DGRAM-12, FLOW-6, FLOW-7, FLOW-10, FLOW-14
    let mut t = Harness::new(());
    let c = t.datagram(Datagram::to(at(7)), Script::default());
    t.datagram_window(c, 0);
    t.hub().set_write_buffer_limits(c, WriteLimits::new(20, 40).unwrap());
    for _ in 0..4 {
        assert_eq!(t.hub().send(c, b"12"), WriteStatus::Accepted);
    }
    assert_eq!(t.hub().write_buffer_size(c), 40);
    assert_eq!(t.hub().send(c, b"3"), WriteStatus::Paused);
    t.run();
    assert_eq!(t.trace(c), "cm pause");
    t.datagram_window(c, 4);
    assert_eq!(t.trace(c), "cm pause");
    t.hub().close(c);
    t.datagram_window(c, 2);
    assert_eq!(t.trace(c), "cm pause resume");
    t.datagram_window(c, 9);
    assert_eq!(t.trace(c), "cm pause resume lost(None)");
}

#[test]
fn a_batch_ends_where_it_is_closed_aborted_or_paused() {
    //= DGRAM-16, DGRAM-15, READ-5, READ-6, READ-7
    let batch = [&b"1"[..], b"2", b"3"];
    let mut t = Harness::new(());
    let closed = t.datagram(at(9), script(|cx, _, _| cx.close()));
    let aborted = t.datagram(at(9), script(|cx, _, _| cx.abort()));
    let paused = t.datagram(at(9), script(|cx, _, _| cx.pause_reading()));
    for id in [closed, aborted, paused] {
        t.feed_all_from(id, batch, at(1));
    }
    assert_eq!(t.trace(closed), "cm dgram(1,127.0.0.1:1) lost(None)");
    assert_eq!(t.trace(aborted), "cm dgram(1,127.0.0.1:1) lost(None)");
    assert_eq!(t.trace(paused), "cm dgram(1,127.0.0.1:1)");
    t.hub().pause_reading(paused);
    t.hub().resume_reading(paused);
    t.run();
    assert_eq!(t.trace(paused), "cm dgram(1,127.0.0.1:1) dgram(2,127.0.0.1:1)");
    t.feed_from(paused, b"4", at(2));
    for _ in 0..3 {
        t.hub().resume_reading(paused);
        t.run();
    }
    assert!(t.trace(paused).ends_with("dgram(2,127.0.0.1:1) dgram(3,127.0.0.1:1) dgram(4,127.0.0.1:2)"));
    t.hub().abort(paused);
    t.run();
}

#[test]
fn a_pause_that_one_datagram_makes_due_comes_before_the_next() {
    //= RUST-2, RUST-3, RUST-4, DGRAM-16
    let mut t = Harness::new(());
    let c = t.datagram(at(9), echo());
    t.hub().set_write_buffer_limits(c, WriteLimits::new(0, 0).unwrap());
    t.feed_all_from(c, [&b"1"[..], b"2"], at(1));
    assert_eq!(t.trace(c), "cm dgram(1,127.0.0.1:1) pause resume dgram(2,127.0.0.1:1) pause resume");
    let quiet = t.datagram(at(9), echo());
    t.feed_all_from(quiet, [[5; 40_000].as_slice(), &[6; 40_000], &[7; 40_000]], at(1));
    assert!(!t.trace(quiet).contains("pause"));
    assert_eq!(t.sent_datagrams(quiet).len(), 3);
    t.hub().abort(c);
    t.hub().abort(quiet);
    t.run();
}

#[test]
fn more_datagrams_than_one_call_brings_come_all_and_in_order() {
    //= DGRAM-2, READ-3
    let mut t = Harness::new(());
    let c = t.datagram(at(9), echo());
    let all: Vec<Vec<u8>> = (0..1000u16).map(|n| n.to_be_bytes().to_vec()).collect();
    t.feed_all_from(c, all.iter().map(Vec::as_slice), at(1));
    let sent: Vec<Vec<u8>> = t.sent_datagrams(c).into_iter().map(|(data, _)| data).collect();
    assert_eq!(sent, all);
    t.hub().abort(c);
    t.run();
}

#[test]
fn a_panic_costs_its_endpoint_and_a_failed_protocol_says_why() {
    //= RUST-8, LIFE-10
    let mut t = Harness::new(());
    let panics = t.datagram(at(9), script(|_, data, _| assert_ne!(data, b"2", "boom")));
    let fails = t.datagram(at(9), script(|cx, _, _| cx.fail("unheard of")));
    t.feed_all_from(panics, [&b"1"[..], b"2", b"3"], at(1));
    t.feed_all_from(fails, [&b"1"[..], b"2"], at(1));
    assert_eq!(t.trace(panics), "cm dgram(1,127.0.0.1:1) dgram(2,127.0.0.1:1) lost(callback failed)");
    assert_eq!(t.trace(fails), "cm dgram(1,127.0.0.1:1) lost(callback failed)");
    let reports = t.reports();
    assert!(reports.len() == 2 && reports[0].contains("DatagramId") && reports[1].contains("unheard of"), "{reports:?}");
    let made = t.datagram(at(9), Script { made: Some(|_| panic!("made")), ..Script::default() });
    assert_eq!(t.trace(made), "cm lost(callback failed)");
}

#[test]
fn a_panic_of_another_endpoint_in_the_middle_of_a_batch_loses_no_datagram() {
    //= RUST-8, DGRAM-2
    struct Relay(DatagramId);
    impl DatagramProtocol<()> for Relay {
        fn datagram_received(&mut self, cx: &mut Cx<'_>, data: Data<'_>, _: &Addr) {
            cx.hub.send(self.0, data);
        }
    }
    let mut t = Harness::new(());
    let other = t.datagram(Datagram::to(at(7)), Script { pause: Some(|_| panic!("paused")), ..Script::default() });
    t.hub().set_write_buffer_limits(other, WriteLimits::new(0, 0).unwrap());
    let relay = t.datagram(at(9), Relay(other));
    t.feed_all_from(relay, [&b"1"[..], b"2", b"3"], at(1));
    assert_eq!(t.trace(other), "cm pause lost(callback failed)");
    assert_eq!(t.trace(relay), "cm dgram(1,127.0.0.1:1) dgram(2,127.0.0.1:1) dgram(3,127.0.0.1:1)");
    assert_eq!(t.reports().len(), 1);
    t.hub().abort(relay);
    t.run();
}

#[test]
fn an_endpoint_that_errs_in_answer_to_each_error_keeps_nobody_waiting() {
    //= RUST-6, DGRAM-7
    let resend = |cx: &mut Cx<'_>| {
        cx.send("again");
    };
    let mut t = Harness::new(());
    let c = t.datagram(Datagram::to(at(7)), Script { error: Some(resend), ..Script::default() });
    t.fail_sends(c, [ErrorKind::Other; 100]);
    t.hub().send(c, "first");
    t.run_once();
    let told = t.trace(c).matches("err(").count();
    assert!((1..=8).contains(&told), "{told} errors in one iteration");
    t.run();
    assert_eq!(t.trace(c).matches("err(").count(), 100);
    assert_eq!(t.sent_datagrams(c), [(b"again".to_vec(), None)]);
    t.hub().abort(c);
    t.run();
}

#[test]
fn timers_belong_to_the_protocol_of_a_datagram_endpoint_too() {
    //= LIFE-14
    struct Old;
    impl DatagramProtocol<Vec<&'static str>> for Old {
        fn connection_made(&mut self, cx: &mut Context<'_, Vec<&'static str>, DatagramId>) {
            cx.set_timer(Duration::from_secs(1));
        }
        fn datagram_received(&mut self, cx: &mut Context<'_, Vec<&'static str>, DatagramId>, _: Data<'_>, _: &Addr) {
            cx.state.push("old datagram");
            cx.set_timer(Duration::from_secs(1));
            cx.set_protocol(New);
        }
        fn timer(&mut self, cx: &mut Context<'_, Vec<&'static str>, DatagramId>, _: TimerId) {
            cx.state.push("old timer");
        }
    }
    struct New;
    impl DatagramProtocol<Vec<&'static str>> for New {
        fn datagram_received(&mut self, cx: &mut Context<'_, Vec<&'static str>, DatagramId>, _: Data<'_>, _: &Addr) {
            cx.state.push("new datagram");
        }
        fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Vec<&'static str>, DatagramId>, reason: CloseReason) {
            assert!(reason.error().is_none() && reason.ends().local == Some(at(9)));
            cx.state.push("new lost");
        }
    }
    let mut t = Harness::new(Vec::new());
    let c = t.datagram(at(9), Old);
    t.advance(Duration::from_secs(2));
    t.feed_all_from(c, [&b"1"[..], b"2"], at(1));
    t.advance(Duration::from_secs(2));
    assert!(t.hub().protocol::<New>(c).is_some());
    t.hub().close(c);
    t.run();
    assert_eq!(*t.state(), ["old timer", "old datagram", "new datagram", "new lost"]);
}

#[test]
fn a_loop_that_is_closed_drops_its_datagram_endpoints_with_a_report_each() {
    //= LIFE-18
    let mut t = Harness::new(());
    let c = t.datagram(at(9), echo());
    let reports = t.close();
    assert!(matches!(reports[..], [Report::ConnectionDropped { id }] if id == c.into()));
    assert!(t.is_closed(c));
}

/// An endpoint of which datagrams come together.
fn in_runs() -> Datagram {
    Datagram::on(at(9)).receive_offload(true)
}

#[test]
fn what_comes_together_is_told_one_by_one_and_answered_in_place() {
    //= DGRAM-1, DGRAM-2, DGRAM-3, DGRAM-11
    let mut t = Harness::new(());
    let (c, plain) = (t.datagram(in_runs(), echo()), t.datagram(at(10), echo()));
    for round in 0..5_usize {
        let sizes = [3, 3, 2, 0, 0, 5_000, 5_000, 1, 70, 70, 70 + round, 40_000, 40_000, 1200];
        let all: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(n, size)| vec![(round + n) as u8; *size]).collect();
        for id in [c, plain] {
            t.feed_all_from(id, all.iter().map(|datagram| &datagram[..]), at(5));
            t.feed_all_from(id, [&b"other"[..], b"peers"], at(6));
        }
        let mut expected: Vec<_> = all.into_iter().map(|datagram| (datagram, Some(at(5)))).collect();
        expected.extend([(b"other".to_vec(), Some(at(6))), (b"peers".to_vec(), Some(at(6)))]);
        assert!(t.sent_datagrams(c) == expected && t.sent_datagrams(plain) == expected);
    }
    // Nobody can tell the difference.
    assert!(t.trace(c) == t.trace(plain));
    t.hub().close(c);
    t.hub().close(plain);
    t.run();
}

#[test]
fn a_run_ends_where_it_is_closed_or_paused_or_a_callback_panics() {
    //= DGRAM-15, DGRAM-16, RUST-8
    let five = || [&b"1"[..], b"2", b"3", b"4", b"5"];
    let mut t = Harness::new(());
    let c = t.datagram(
        in_runs(),
        script(|cx, data, _| {
            if data == b"2" {
                cx.close()
            }
        }),
    );
    t.feed_all_from(c, five(), at(5));
    assert_eq!(t.trace(c), "cm dgram(1,127.0.0.1:5) dgram(2,127.0.0.1:5) lost(None)");

    let c = t.datagram(
        in_runs(),
        script(|cx, data, _| {
            if data != b"4" {
                cx.pause_reading()
            }
        }),
    );
    t.feed_all_from(c, five(), at(5));
    for told in 1..=4 {
        assert_eq!(t.trace(c).matches("dgram").count(), if told == 4 { 5 } else { told });
        t.hub().resume_reading(c);
        t.run();
    }
    assert_eq!(
        t.trace(c),
        "cm dgram(1,127.0.0.1:5) dgram(2,127.0.0.1:5) dgram(3,127.0.0.1:5) dgram(4,127.0.0.1:5) dgram(5,127.0.0.1:5)"
    );
    t.hub().abort(c);
    t.run();

    // What another endpoint does for which nothing comes together is not disturbed by what stood in the area.
    let other = t.datagram(at(11), echo());
    let c = t.datagram(in_runs(), script(|_, data, _| assert!(data != b"3", "as asked for")));
    t.feed_all_from(c, five(), at(5));
    t.feed_all_from(other, five(), at(5));
    assert_eq!(t.sent_datagrams(other).len(), 5);
    assert_eq!(t.trace(c), "cm dgram(1,127.0.0.1:5) dgram(2,127.0.0.1:5) dgram(3,127.0.0.1:5) lost(callback failed)");
    let again = t.datagram(in_runs(), echo());
    t.feed_all_from(again, five(), at(5));
    assert_eq!(t.sent_datagrams(again).len(), 5);
    for id in [other, again] {
        t.hub().abort(id);
    }
    t.run();
}

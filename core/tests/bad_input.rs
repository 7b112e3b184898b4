//! Contract section 19, row by row: misuse is answered, nothing is lost, nothing else changes.

use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_core::testing::Harness;
use plimsoll_core::{Connect, Context, Data, ErrorKind, LimitsError, Listen, OpenError, Protocol, Refusal};
use plimsoll_core::{Resource, Role, SocketOption, StreamId, WriteLimits, WriteStatus};

/// Echoes what it gets, and keeps what became of it.
#[derive(Default)]
struct Echo;

#[derive(Default)]
struct Log {
    failed: Vec<String>,
}

impl Protocol<Log> for Echo {
    fn data_received(&mut self, cx: &mut Context<'_, Log>, data: Data<'_>) {
        cx.write(data);
    }

    fn eof_received(&mut self, _: &mut Context<'_, Log>) -> bool {
        true
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, Log>, error: OpenError) {
        cx.state.failed.push(error.to_string());
    }
}

fn connected() -> (Harness<Log>, StreamId) {
    let mut t = Harness::new(Log::default());
    let c = t.connect(Echo);
    (t, c)
}

/// The connection is unharmed: it still echoes.
#[track_caller]
fn still_echoes(t: &mut Harness<Log>, c: StreamId) {
    t.sent(c);
    t.feed(c, b"still here");
    assert_eq!(t.sent(c), b"still here");
}

/// The connection's answers once it is lost.
#[track_caller]
fn answers_like_a_lost_one(t: &mut Harness<Log>, id: StreamId) {
    let hub = t.hub();
    assert_eq!(hub.write(id, "late"), WriteStatus::Discarded);
    assert_eq!(hub.writelines(id, ["late"]), WriteStatus::Discarded);
    assert_eq!(hub.write_eof(id), Ok(()));
    hub.close(id);
    hub.abort(id);
    hub.pause_reading(id);
    hub.resume_reading(id);
    assert_eq!(hub.set_write_buffer_limits(id, WriteLimits::DEFAULT), WriteStatus::Discarded);
    assert_eq!(hub.write_buffer_size(id), 0);
    assert_eq!(hub.write_buffer_limits(id), None);
    assert!(hub.is_closing(id) && !hub.is_reading(id) && !hub.is_writing_paused(id));
    assert!(hub.protocol::<Echo>(id).is_none());
    assert!(hub.set_protocol(id, Echo).is_none());
    assert!(hub.set_timer(id, Duration::ZERO).is_none());
    assert_eq!((hub.local_addr(id), hub.peer_addr(id)), (None, None));
    hub.read_follows_write(id, id);
    hub.set_option(id, SocketOption::NoDelay(true));
    t.run();
}

#[test]
fn limits_that_make_no_sense_are_refused_and_the_marks_stay() {
    //= FLOW-2, FLOW-4, FLOW-5, RUST-6
    let (mut t, c) = connected();
    let before = t.hub().write_buffer_limits(c).unwrap();
    assert_eq!((before.low(), before.high()), (16_384, 65_536));
    assert!(matches!(WriteLimits::new(5, 4), Err(LimitsError::LowAboveHigh { .. })));
    assert!(matches!(WriteLimits::new(1, 0), Err(LimitsError::LowAboveHigh { .. })));
    assert!(matches!(WriteLimits::from_low(usize::MAX / 2), Err(LimitsError::TooLarge { .. })));
    assert_eq!(t.hub().write_buffer_limits(c), Some(before));
    still_echoes(&mut t, c);
}

#[test]
fn empty_writes_do_nothing() {
    //= WRITE-4, WRITE-6, WRITE-7
    let (mut t, c) = connected();
    assert_eq!(t.hub().write(c, ""), WriteStatus::Accepted);
    assert_eq!(t.hub().writelines(c, [""; 3]), WriteStatus::Accepted);
    assert_eq!(t.hub().writelines(c, core::iter::empty::<&[u8]>()), WriteStatus::Accepted);
    t.run();
    assert_eq!(t.hub().write_buffer_size(c), 0);
    assert_eq!(t.sent(c), b"");
    still_echoes(&mut t, c);
    t.hub().close(c);
    t.run();
    assert_eq!(t.trace(c), "cm data(still here) lost(None)");
}

#[test]
fn writes_after_write_eof_are_refused_and_the_connection_goes_on() {
    //= WRITE-8, EOF-8
    let (mut t, c) = connected();
    assert_eq!(t.hub().write_eof(c), Ok(()));
    for _ in 0..2 {
        assert_eq!(t.hub().write(c, "x"), WriteStatus::Refused(Refusal::AfterEof));
        assert_eq!(t.hub().write(c, ""), WriteStatus::Refused(Refusal::AfterEof));
        assert_eq!(t.hub().writelines(c, ["x"]), WriteStatus::Refused(Refusal::AfterEof));
        assert_eq!(t.hub().writelines(c, [""; 0]), WriteStatus::Refused(Refusal::AfterEof));
        assert_eq!(t.hub().write_eof(c), Ok(()));
        t.run();
    }
    assert!(t.is_finished(c) && !t.hub().is_closing(c));
    t.feed(c, b"in");
    assert_eq!(t.trace(c), "cm data(in)");
    t.hub().close(c);
    assert_eq!(t.hub().write(c, "x"), WriteStatus::Refused(Refusal::AfterEof));
    assert_eq!(t.hub().write_eof(c), Ok(()));
    t.run();
    assert_eq!(t.trace(c), "cm data(in) lost(None)");
}

#[test]
fn writes_once_closing_are_discarded_and_the_fifth_is_reported() {
    //= WRITE-9, WRITE-11, RUST-7
    let (mut t, c) = connected();
    t.window(c, 0);
    t.hub().write(c, "queued");
    t.hub().close(c);
    for n in 1..=6 {
        assert_eq!(t.hub().write(c, "late"), WriteStatus::Discarded);
        assert_eq!(t.reports().len(), usize::from(n > 4));
    }
    assert_eq!(t.hub().write_buffer_size(c), 6);
    t.window(c, 100);
    assert_eq!(t.sent(c), b"queued");
    assert_eq!(t.trace(c), "cm lost(None)");
}

#[test]
fn a_write_to_a_peer_that_is_gone_succeeds_and_the_loss_follows() {
    //= WRITE-10, EOF-12, READ-10
    let (mut t, c) = connected();
    t.hub().pause_reading(c);
    t.reset(c);
    assert_eq!(t.trace(c), "cm");
    assert_eq!(t.hub().write(c, "x"), WriteStatus::Accepted);
    t.run();
    assert_eq!(t.trace(c), "cm lost(broken pipe)");

    let (mut t, c) = connected();
    t.hub().pause_reading(c);
    t.reset(c);
    assert_eq!(t.hub().write_eof(c), Ok(()));
    t.run();
    assert_eq!(t.trace(c), "cm");
    t.hub().resume_reading(c);
    t.run();
    assert_eq!(t.trace(c), "cm lost(connection reset by peer)");
}

#[test]
fn closing_and_aborting_again_does_nothing() {
    //= CLOSE-3, CLOSE-4, LIFE-17
    for closes in [["close", "close"], ["close", "abort"], ["abort", "close"], ["abort", "abort"]] {
        let (mut t, c) = connected();
        for verb in closes.iter().chain(&closes) {
            if *verb == "close" {
                t.hub().close(c)
            } else {
                t.hub().abort(c)
            }
            assert!(t.hub().is_closing(c));
        }
        t.run();
        assert_eq!(t.trace(c), "cm lost(None)");
        answers_like_a_lost_one(&mut t, c);
        assert_eq!(t.trace(c), "cm lost(None)");
        assert!(t.reports().is_empty());
    }
}

#[test]
fn pausing_and_resuming_out_of_place_does_nothing() {
    //= READ-7, CLOSE-12, EOF-4
    let (mut t, c) = connected();
    t.hub().resume_reading(c);
    t.hub().pause_reading(c);
    t.hub().pause_reading(c);
    t.feed(c, b"x");
    assert_eq!(t.trace(c), "cm");
    t.hub().resume_reading(c);
    t.run();
    assert_eq!(t.trace(c), "cm data(x)");

    t.eof(c); // Kept open.
    for _ in 0..2 {
        t.hub().pause_reading(c);
        t.run();
        t.hub().resume_reading(c);
        t.run();
        assert!(!t.hub().is_reading(c));
    }
    assert_eq!(t.trace(c), "cm data(x) eof");

    t.window(c, 0);
    t.hub().write(c, "queued");
    t.hub().close(c);
    t.hub().resume_reading(c);
    t.feed(c, b"ignored");
    t.hub().pause_reading(c);
    t.window(c, 9);
    assert_eq!(t.trace(c), "cm data(x) eof lost(None)");
}

#[test]
fn a_protocol_of_a_lost_connection_cannot_be_replaced() {
    //= LIFE-14, LIFE-15, LIFE-17
    struct Last;
    impl Protocol<Log> for Last {
        fn data_received(&mut self, _: &mut Context<'_, Log>, _: Data<'_>) {}

        fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Log>, reason: plimsoll_core::CloseReason) {
            let id = cx.id;
            assert!(cx.hub.set_protocol(id, Echo).is_none());
            assert_eq!(cx.write("late"), WriteStatus::Discarded);
            assert_eq!(cx.write_eof(), Ok(()));
            cx.close();
            cx.abort();
            cx.pause_reading();
            cx.resume_reading();
            assert_eq!(cx.hub.write_buffer_size(id), 0);
            assert_eq!(cx.hub.write_buffer_limits(id), Some(WriteLimits::DEFAULT));
            assert!(cx.hub.is_closing(id) && !cx.hub.is_reading(id));
            assert_eq!(cx.hub.peer_addr(id), reason.ends().peer);
            assert!(reason.ends().peer.is_some());
            assert!(cx.set_timer(Duration::ZERO).is_none());
            cx.state.failed.push(String::from("lost"));
        }
    }
    let mut t = Harness::new(Log::default());
    let c = t.connect(Last);
    t.hub().close(c);
    t.run();
    t.advance(Duration::from_secs(1));
    assert_eq!(t.state().failed, ["lost"]);
    assert_eq!(t.trace(c), "cm lost(None)");
    assert!(t.is_closed(c));
    answers_like_a_lost_one(&mut t, c);
}

#[test]
fn lending_no_memory_ends_the_connection() {
    //= BUF-3
    struct Empty;
    impl plimsoll_core::BufferedProtocol<Log> for Empty {
        fn get_buffer(&mut self, hint: Option<core::num::NonZeroUsize>) -> &mut [u8] {
            assert!(hint.is_some());
            &mut []
        }

        fn buffer_updated(&mut self, _: &mut Context<'_, Log>, _: usize) {
            unreachable!("nothing was lent");
        }
    }
    let mut t = Harness::new(Log::default());
    let c = t.connect(plimsoll_core::Buffered(Empty));
    t.feed(c, b"x");
    assert_eq!(t.trace(c), "cm gb lost(callback failed)");
    assert_eq!(t.reports().len(), 1);
}

#[test]
fn an_address_where_nobody_listens_and_a_socket_that_is_none_fail_the_opening() {
    //= LOOP-2, LIFE-9
    let mut t = Harness::new(Log::default());
    let c = t.open(Harness::<Log>::refused_addr(), Echo);
    t.run();
    assert_eq!(t.state().failed, ["127.0.0.1:1: connect: connection refused"]);
    assert_eq!(t.trace(c), "failed");
    answers_like_a_lost_one(&mut t, c);

    let c = t.hub().adopt(Resource::new("no socket"), Role::Client, Echo);
    t.run();
    assert_eq!(t.state().failed[1], "adopt: invalid input");
    assert_eq!(t.trace(c), "failed");
}

#[test]
fn an_opening_that_is_given_up_calls_nothing() {
    //= LIFE-12
    for verb in ["close", "abort"] {
        let mut t = Harness::new(Log::default());
        let to: SocketAddr = "127.0.0.1:7".parse().unwrap();
        let c = t.open(Connect::to(to), Echo);
        assert_eq!(t.hub().write(c, "early"), WriteStatus::Accepted);
        t.hub().pause_reading(c);
        if verb == "close" {
            t.hub().close(c)
        } else {
            t.hub().abort(c)
        }
        t.run();
        assert_eq!(t.trace(c), "");
        assert!(t.state().failed.is_empty());
        answers_like_a_lost_one(&mut t, c);
    }
}

#[test]
fn a_server_that_cannot_be_bound_says_where_and_leaves_nothing() {
    //= LOOP-13, LOOP-15
    let mut t = Harness::new(Log::default());
    let [a, b, nowhere] = ["127.0.0.1:10", "127.0.0.1:11", "192.0.2.1:10"].map(|addr| addr.parse::<SocketAddr>().unwrap());
    let first = t.listen(a, |_, _| Echo).unwrap();
    assert_eq!(t.hub().sockets(first), [a.into()]);
    let error = t.listen(Listen::on(b).and(a), |_, _| Echo).unwrap_err();
    assert_eq!(error.to_string(), "127.0.0.1:10: bind: address in use");
    t.run();
    let again = t.listen(Listen::on(b).and(nowhere), |_, _| Echo).unwrap();
    assert_eq!(t.hub().sockets(again), [b.into()]);
    assert_eq!(t.reports(), ["192.0.2.1:10 is skipped: bind: address not available"]);
    let error = t.listen(nowhere, |_, _| Echo).unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::AddrNotAvailable);
    assert!(t.accept(b).is_some());
}

#[test]
fn starting_a_closed_server_is_refused_and_closing_it_again_is_not() {
    //= LOOP-16, LOOP-18, LOOP-21
    let mut t = Harness::new(Log::default());
    let at: SocketAddr = "127.0.0.1:10".parse().unwrap();
    let server = t.listen(at, |_, _| Echo).unwrap();
    assert_eq!(t.hub().server_start(server), Ok(()));
    t.hub().server_close(server);
    t.hub().server_close(server);
    assert!(!t.hub().is_serving(server) && t.hub().sockets(server).is_empty());
    assert_eq!(t.hub().server_start(server).unwrap_err().kind(), ErrorKind::Closed);
    t.hub().close_clients(server);
    t.hub().abort_clients(server);
    t.run();
    assert!(t.reports().is_empty());
}

#[test]
fn a_timer_can_be_cancelled_twice_and_after_it_ran() {
    //= LOOP-31
    let mut t = Harness::new(Log::default());
    let run = |_: &mut plimsoll_core::Hub<Log>, log: &mut Log| log.failed.push(String::from("ran"));
    let timer = t.hub().call_later(Duration::from_secs(1), run).unwrap();
    let other = t.hub().call_later(Duration::from_secs(1), run).unwrap();
    t.hub().cancel_timer(other);
    t.hub().cancel_timer(other);
    t.advance(Duration::from_secs(1));
    assert_eq!(t.state().failed, ["ran"]);
    t.hub().cancel_timer(timer);
    assert!(!t.hub().reset_timer(timer, Duration::ZERO));
    t.advance(Duration::from_secs(9));
    assert_eq!(t.state().failed, ["ran"]);
}

#[test]
fn ids_of_another_loop_name_nothing_here() {
    //= RUST-10
    use plimsoll_core::{BufPool, Engine, LoopTag};
    let (mut t, c) = connected();
    let mut other = Engine::with(Log::default(), LoopTag(1), BufPool::new());
    let to: SocketAddr = "127.0.0.1:7".parse().unwrap();
    let foreign = other.hub().connect(to, Echo);
    assert_eq!(foreign.key(), c.key());
    answers_like_a_lost_one(&mut t, foreign);
    still_echoes(&mut t, c);
}

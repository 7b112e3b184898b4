//! Contract section 19, the rows that concern the stream machine: the result as stated, and nothing else changes.

use plimsoll_core::{
    BufPool, Call, Cause, Error, ErrorKind, LimitsError, Refusal, StreamEvent, StreamTransport, Wants, WriteLimits, WriteStatus,
};

const RESET: Error = Error::new(Call::Send, ErrorKind::ConnectionReset);
const LATE: [Stage; 4] = [Stage::Flushing, Stage::Aborted, Stage::Closed, Stage::Lost];

/// Where a connection stands when it is misused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Open,
    Flushing,
    Aborted,
    Closed,
    Lost,
}

fn at(stage: Stage, pool: &mut BufPool) -> StreamTransport {
    let mut transport = StreamTransport::new(WriteLimits::new(2, 8).unwrap());
    transport.handle_open();
    assert_eq!(transport.poll_event(), Some(StreamEvent::Made));
    match stage {
        Stage::Open => {}
        Stage::Flushing => {
            assert_eq!(transport.write("queued", pool), WriteStatus::Accepted);
            transport.close(pool);
        }
        Stage::Aborted => {
            transport.abort(pool);
        }
        Stage::Closed => transport.close(pool),
        Stage::Lost => {
            transport.close(pool);
            assert!(matches!(transport.poll_event(), Some(StreamEvent::Lost(_))));
        }
    }
    transport
}

/// All there is of a machine, as text.
fn all_of(transport: &StreamTransport) -> String {
    format!("{transport:?}")
}

/// The misuse left the machine as it was, and nothing is told.
fn changes_nothing(stage: Stage, misuse: impl Fn(&mut StreamTransport, &mut BufPool)) {
    let pool = &mut BufPool::new();
    let mut transport = at(stage, pool);
    let before = all_of(&transport);
    misuse(&mut transport, pool);
    assert_eq!(all_of(&transport), before, "{stage:?}");
    if stage == Stage::Open {
        still_works(&mut transport, pool);
    }
}

/// It takes bytes, sends them, and ends as it should.
fn still_works(transport: &mut StreamTransport, pool: &mut BufPool) {
    assert_eq!(transport.poll_event(), None);
    assert_eq!(transport.write("echo", pool), WriteStatus::Accepted);
    assert_eq!(transport.as_one_slice(), Some(&b"echo"[..]));
    transport.handle_sent(4, pool);
    ends_with(transport, Cause::LocalClose, None, pool);
}

fn ends_with(transport: &mut StreamTransport, cause: Cause, error: Option<Error>, pool: &mut BufPool) {
    transport.close(pool);
    let mut lost = 0;
    while let Some(event) = transport.poll_event() {
        if let StreamEvent::Lost(ending) = event {
            assert_eq!((ending.cause(), ending.error()), (cause, error));
            lost += 1;
        }
    }
    assert_eq!(lost, 1);
}

#[test]
fn limits_that_make_no_sense_are_refused_before_they_reach_a_transport() {
    //= FLOW-2, FLOW-4
    assert!(matches!(WriteLimits::new(2, 1), Err(LimitsError::LowAboveHigh { .. })));
    assert!(matches!(WriteLimits::new(1, 0), Err(LimitsError::LowAboveHigh { .. })));
    assert!(matches!(WriteLimits::from_low(usize::MAX / 4 + 1), Err(LimitsError::TooLarge { .. })));
    assert!(matches!(WriteLimits::from_low(WriteLimits::LARGEST / 4 + 1), Err(LimitsError::TooLarge { .. })));
    assert_eq!(WriteLimits::from_high(0).map(|limits| (limits.low(), limits.high())), Ok((0, 0)));
}

#[test]
fn limits_are_stored_once_closing_and_do_nothing() {
    //= LIFE-17, FLOW-16
    let other = WriteLimits::new(0, 0).unwrap();
    for stage in LATE {
        let pool = &mut BufPool::new();
        let mut transport = at(stage, pool);
        let size = transport.write_buffer_size();
        transport.set_write_buffer_limits(other);
        assert_eq!(transport.write_buffer_limits(), other, "{stage:?}");
        assert_eq!(transport.write_buffer_size(), size, "{stage:?}");
        assert!(!transport.is_edge_due() && !transport.is_writing_paused(), "{stage:?}");
    }
}

#[test]
fn writing_nothing_does_nothing() {
    //= WRITE-4, WRITE-7
    changes_nothing(Stage::Open, |transport, pool| {
        assert_eq!(transport.write("", pool), WriteStatus::Accepted);
        assert_eq!(transport.write(Vec::new(), pool), WriteStatus::Accepted);
        assert_eq!(transport.wants_send(), Wants::Nothing);
    });
    // High mark zero: an empty write is not over it.
    let pool = &mut BufPool::new();
    let mut transport = at(Stage::Open, pool);
    transport.set_write_buffer_limits(WriteLimits::new(0, 0).unwrap());
    assert_eq!(transport.write("", pool), WriteStatus::Accepted);
    assert_eq!(transport.poll_event(), None);
}

#[test]
fn writing_after_write_eof_is_refused_also_when_it_is_nothing_and_also_when_it_is_late() {
    //= WRITE-8
    for late in [false, true] {
        let pool = &mut BufPool::new();
        let mut transport = at(Stage::Open, pool);
        transport.write("before", pool);
        assert_eq!(transport.write_eof(), Ok(()));
        if late {
            transport.close(pool);
        }
        let before = all_of(&transport);
        for data in ["after", ""] {
            assert_eq!(transport.write(data, pool), WriteStatus::Refused(Refusal::AfterEof));
        }
        assert_eq!(all_of(&transport), before);
        transport.handle_sent(6, pool);
        assert_eq!(transport.wants_send(), Wants::Fin);
        transport.handle_shutdown(Ok(()), pool);
        ends_with(&mut transport, Cause::LocalClose, None, pool);
        assert_eq!(transport.write("", pool), WriteStatus::Refused(Refusal::AfterEof));
    }
}

#[test]
fn writing_once_closing_is_thrown_away() {
    //= WRITE-9, RUST-7, LIFE-17
    for stage in LATE {
        changes_nothing(stage, |transport, pool| {
            assert_eq!(transport.write("late", pool), WriteStatus::Discarded);
            assert_eq!(transport.write(vec![0; 5000], pool), WriteStatus::Discarded);
        });
    }
}

#[test]
fn writing_to_a_peer_that_is_gone_succeeds_and_the_connection_is_lost_later() {
    //= WRITE-10
    let pool = &mut BufPool::new();
    let mut transport = at(Stage::Open, pool);
    assert_eq!(transport.write("gone", pool), WriteStatus::Accepted);
    assert_eq!(transport.handle_write_error(RESET, pool), 4);
    assert!(transport.is_closing());
    assert_eq!(transport.write_buffer_size(), 0);
    assert_eq!(transport.write("late", pool), WriteStatus::Discarded);
    ends_with(&mut transport, Cause::WriteFailed, Some(RESET), pool);
}

#[test]
fn finishing_twice_or_too_late_does_nothing() {
    //= EOF-8, LIFE-17
    let pool = &mut BufPool::new();
    let mut transport = at(Stage::Open, pool);
    assert_eq!(transport.write_eof(), Ok(()));
    let before = all_of(&transport);
    assert_eq!(transport.write_eof(), Ok(()));
    assert_eq!(all_of(&transport), before);
    transport.handle_shutdown(Ok(()), pool);
    assert_eq!(transport.write_eof(), Ok(()));
    assert_eq!(transport.wants_send(), Wants::Nothing);
    for stage in LATE {
        changes_nothing(stage, |transport, _| assert_eq!(transport.write_eof(), Ok(())));
    }
}

#[test]
fn finishing_towards_a_peer_that_has_reset_succeeds_and_the_connection_is_lost_later() {
    //= EOF-12
    let pool = &mut BufPool::new();
    let mut transport = at(Stage::Open, pool);
    assert_eq!(transport.write_eof(), Ok(()));
    transport.handle_shutdown(Err(Error::new(Call::Shutdown, ErrorKind::NotConnected)), pool);
    assert!(!transport.is_closing());
    assert_eq!(transport.poll_event(), None);
    assert_eq!(transport.handle_read_error(RESET, pool), 0);
    ends_with(&mut transport, Cause::ReadFailed, Some(RESET), pool);
}

#[test]
fn closing_twice_after_abort_or_after_loss_does_nothing() {
    //= CLOSE-3, CLOSE-4, LIFE-17
    for stage in LATE {
        changes_nothing(stage, StreamTransport::close);
    }
}

#[test]
fn aborting_twice_or_after_loss_does_nothing() {
    //= CLOSE-3, LIFE-17
    for stage in [Stage::Aborted, Stage::Closed, Stage::Lost] {
        changes_nothing(stage, |transport, pool| assert_eq!(transport.abort(pool), 0));
    }
    let pool = &mut BufPool::new();
    let mut flushing = at(Stage::Flushing, pool);
    assert_eq!(flushing.abort(pool), 6);
    ends_with(&mut flushing, Cause::LocalAbort, None, pool);
}

#[test]
fn pausing_twice_or_too_late_does_nothing() {
    //= READ-7, CLOSE-12, EOF-4
    let pool = &mut BufPool::new();
    let mut transport = at(Stage::Open, pool);
    assert!(transport.pause_reading());
    let before = all_of(&transport);
    assert!(!transport.pause_reading());
    assert_eq!(all_of(&transport), before);
    assert!(transport.resume_reading() && transport.wants_read());
    for stage in LATE {
        changes_nothing(stage, |transport, _| assert!(!transport.pause_reading()));
    }
}

#[test]
fn resuming_what_is_not_paused_or_too_late_does_nothing() {
    //= READ-7, CLOSE-12, EOF-4
    changes_nothing(Stage::Open, |transport, _| assert!(!transport.resume_reading()));
    for stage in LATE {
        changes_nothing(stage, |transport, _| assert!(!transport.resume_reading() && !transport.wants_read()));
    }
}

#[test]
fn pausing_and_resuming_after_a_kept_open_eof_do_nothing() {
    //= EOF-4, READ-12
    let pool = &mut BufPool::new();
    let mut transport = at(Stage::Open, pool);
    transport.handle_eof();
    assert_eq!(transport.poll_event(), Some(StreamEvent::Eof));
    transport.keep_open(true);
    let before = all_of(&transport);
    assert!(!transport.pause_reading() && !transport.resume_reading());
    assert_eq!(all_of(&transport), before);
    assert!(!transport.is_reading());
    still_works(&mut transport, pool);
}

#[test]
fn a_connection_that_is_over_answers_as_a_lost_one() {
    //= LIFE-16, LIFE-17
    let transport = at(Stage::Lost, &mut BufPool::new());
    assert!(transport.is_closing() && transport.is_over() && !transport.is_reading());
    assert_eq!((transport.write_buffer_size(), transport.wants_send()), (0, Wants::Nothing));
    assert_eq!(transport.write_buffer_limits(), WriteLimits::new(2, 8).unwrap());
}

#[test]
fn facts_about_a_connection_that_is_over_change_nothing() {
    //= RUST-6, CLOSE-6
    for stage in [Stage::Aborted, Stage::Closed, Stage::Lost] {
        changes_nothing(stage, |transport, pool| {
            transport.handle_open();
            transport.handle_eof();
            transport.handle_sent(7, pool);
            assert_eq!(transport.handle_read_error(RESET, pool), 0);
            assert_eq!(transport.handle_write_error(RESET, pool), 0);
            assert_eq!(transport.fail(pool), 0);
            transport.keep_open(false);
        });
    }
}

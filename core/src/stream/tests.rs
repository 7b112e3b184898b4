//! What only drivers ask and do: the models of the conformance crate hold all that is public against the contract.

use super::*;
use alloc::format;

const LIMITS: WriteLimits = WriteLimits::DEFAULT;

fn open() -> (StreamTransport, BufPool) {
    let mut transport = StreamTransport::new(LIMITS);
    transport.handle_open();
    assert!(transport.poll_made());
    (transport, BufPool::new())
}

#[test]
fn a_file_goes_behind_what_is_queued_and_before_the_end() {
    //= LOOP-29
    let (mut transport, mut pool) = open();
    assert_eq!(transport.write("ab", &mut pool), WriteStatus::Accepted);
    assert_eq!(transport.send_file(), Ok(()));
    assert_eq!(transport.send_file(), Err(ErrorKind::Busy));
    assert_eq!(transport.write("c", &mut pool), WriteStatus::Refused(Refusal::Busy));
    assert_eq!(transport.wants_send(), Wants::Bytes);
    transport.handle_sent(2, &mut pool);
    assert_eq!((transport.wants_send(), transport.has_to_send(), transport.wants_read()), (Wants::File, true, false));
    assert_eq!(transport.write_eof(), Ok(()));
    assert_eq!(transport.write("c", &mut pool), WriteStatus::Refused(Refusal::AfterEof));
    assert_eq!(transport.wants_send(), Wants::File);
    transport.handle_file_sent();
    assert_eq!(transport.wants_send(), Wants::Fin);
    assert_eq!(transport.handle_shutdown(Ok(()), &mut pool), 0);
    assert_eq!((transport.wants_send(), transport.has_to_send()), (Wants::Nothing, false));
    // Reading goes on when whoever drives it has told that the file is sent.
    assert!(!transport.wants_read());
    assert!(transport.release_reading(Hold::File));
    assert!(transport.wants_read());
}

#[test]
fn another_file_is_sent_when_the_end_of_the_first_was_told() {
    //= LOOP-29
    let (mut transport, mut pool) = open();
    assert_eq!(transport.send_file(), Ok(()));
    transport.handle_file_sent();
    assert_eq!(transport.send_file(), Err(ErrorKind::Busy));
    assert_eq!(transport.write("between", &mut pool), WriteStatus::Accepted);
    transport.release_reading(Hold::File);
    assert_eq!(transport.send_file(), Ok(()));
}

#[test]
fn closing_waits_for_a_file_and_aborting_does_not() {
    //= LOOP-29, CLOSE-1, CLOSE-2
    let (mut transport, mut pool) = open();
    assert_eq!(transport.send_file(), Ok(()));
    transport.close(&mut pool);
    assert_eq!(transport.write("late", &mut pool), WriteStatus::Discarded);
    assert_eq!((transport.wants_send(), transport.is_losing()), (Wants::File, false));
    assert_eq!(transport.send_file(), Err(ErrorKind::Closed));
    transport.handle_file_sent();
    assert!(transport.is_losing());

    let (mut transport, mut pool) = open();
    assert_eq!(transport.send_file(), Ok(()));
    assert_eq!(transport.abort(&mut pool), 0);
    assert_eq!((transport.wants_send(), transport.is_losing()), (Wants::Nothing, true));
}

#[test]
fn what_sends_no_files() {
    //= LOOP-29
    let (mut transport, _) = open();
    assert_eq!(transport.write_eof(), Ok(()));
    assert_eq!(transport.send_file(), Err(ErrorKind::Closed));
    assert_eq!(StreamTransport::read_pipe().send_file(), Err(ErrorKind::Unsupported));
    assert_eq!(StreamTransport::write_pipe(LIMITS).send_file(), Err(ErrorKind::Unsupported));
}

/// Numbers below `n`, the same ones every time.
fn numbers() -> impl FnMut(u32) -> u32 {
    let mut random = 5u32;
    move |n| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % n
    }
}

fn is_as_before(transport: &StreamTransport, before: &str) -> bool {
    format!("{transport:?}") == before
}

/// Asks for an event, and whether what can be asked beforehand tells which.
fn poll(transport: &mut StreamTransport) {
    let (owed, edge, eof) = (transport.is_pause_owed(), transport.is_edge_due(), transport.is_eof_due());
    match transport.poll_event() {
        Some(StreamEvent::PauseWriting) => assert!(owed && edge && !transport.is_pause_owed()),
        Some(StreamEvent::ResumeWriting) => assert!(edge && !owed),
        Some(StreamEvent::Eof) => assert!(eof && !edge),
        Some(StreamEvent::Made) => {}
        Some(StreamEvent::Lost(_)) | None => assert!(!edge && !eof),
    }
}

#[test]
fn the_short_ways_of_a_driver_lead_where_the_long_ones_do() {
    let mut pick = numbers();
    let limits = WriteLimits::new(1, 4).unwrap();
    for _ in 0..2000 {
        let kind = pick(4);
        let make = || match kind {
            0 => StreamTransport::read_pipe(),
            1 => StreamTransport::write_pipe(limits),
            _ => StreamTransport::new(limits),
        };
        // The same is done to both; only what is sent is told in two ways.
        let mut both = [make(), make()];
        let mut pools = [BufPool::new(), BufPool::new()];
        for _ in 0..12 {
            let (what, n) = (pick(12), pick(6) as usize);
            for (transport, pool) in both.iter_mut().zip(&mut pools) {
                match what {
                    0..=1 => transport.handle_open(),
                    2..=4 => poll(transport),
                    5..=6 => _ = transport.write(&b"abcdef"[..n], pool),
                    7 => _ = transport.write_eof(),
                    8 => transport.close(pool),
                    9 => transport.handle_eof(),
                    10 => _ = transport.send_file(),
                    _ => transport.handle_file_sent(),
                }
            }
            let [short, long] = &mut both;
            let [pool, other] = &mut pools;
            let wants = long.wants_send();
            if wants == Wants::Bytes && n == 0 {
                long.handle_sent(long.write_buffer_size(), other);
                let idle = short.handle_all_sent(pool);
                assert_eq!(idle, long.is_idle());
            }
            assert!(is_as_before(short, &format!("{long:?}")));
            let open = long.is_made() && !long.is_closing();
            let nothing_to_send = matches!(long.wants_send(), Wants::Nothing | Wants::File) && long.write_buffer_size() == 0;
            assert_eq!(
                long.is_idle(),
                open && nothing_to_send
                    && !long.is_writing_paused()
                    && !(long.wrote_eof() && long.wants_send() == Wants::File && long.can_read())
            );
            assert_eq!(long.has_to_send(), long.wants_send() != Wants::Nothing);
            assert_eq!(long.has_to_tell(), long.is_eof_due());
        }
    }
}

#[test]
fn what_ended_it_is_known_before_it_is_told() {
    //= LIFE-4
    let reset = Error::new(Call::Receive, ErrorKind::ConnectionReset);
    let (mut transport, mut pool) = open();
    assert_eq!(transport.error(), None);
    transport.handle_read_error(reset, &mut pool);
    assert_eq!(transport.error(), Some(reset));
    let (mut transport, mut pool) = open();
    transport.close(&mut pool);
    assert_eq!((transport.is_losing(), transport.error()), (true, None));
}

#[test]
fn the_end_is_a_question_until_it_is_answered() {
    //= EOF-2, EOF-3
    for stays in [true, false] {
        let (mut transport, _) = open();
        transport.handle_eof();
        assert!(matches!(transport.poll_event(), Some(StreamEvent::Eof)));
        assert!(transport.poll_event().is_none());
        assert!(!transport.is_closing(), "no answer is none of both answers");
        transport.keep_open(stays);
        assert_eq!(transport.is_closing(), !stays);
    }
}

#[test]
fn nobody_writes_past_a_layer() {
    //= TLS-18
    let (mut transport, mut pool) = open();
    transport.set_layered();
    assert_eq!(transport.write("x", &mut pool), WriteStatus::Refused(Refusal::Unsupported));
    transport.close(&mut pool);
    assert_eq!(transport.write("x", &mut pool), WriteStatus::Discarded);
}

#[test]
fn a_connection_may_begin_with_other_marks() {
    //= FLOW-10
    let mut transport = StreamTransport::new(LIMITS);
    let other = WriteLimits::new(3, 7).unwrap();
    transport.start_with(other);
    assert_eq!(transport.write_buffer_limits(), other);
}

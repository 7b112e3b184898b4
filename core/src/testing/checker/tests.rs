//! Who checks the checker: traces that the contract forbids, one for each rule, and their neighbours that it allows.

use super::*;
use crate::addr::{Addr, Ends};
use crate::error::{Call, Error, ErrorKind};
use crate::key::{DatagramId, Key, LoopTag, StreamId};
use crate::process::{ExitStatus, PipeFd};
use crate::reason::{Ending, Side};

/// How it ended, in a word: the cause, and `!` behind it for the wrong kind of error, or a number of bytes that were discarded.
fn reason(word: &str) -> CloseReason {
    let (word, discarded) = word.split_once('/').map_or((word, 0), |(word, bytes)| (word, bytes.parse().unwrap()));
    let (word, odd) = word.strip_suffix('!').map_or((word, false), |word| (word, true));
    let (cause, fails) = match word {
        "close" => (Cause::LocalClose, false),
        "abort" => (Cause::LocalAbort, false),
        "eof" => (Cause::PeerEof, false),
        "exit" => (Cause::Exited, false),
        "read" => (Cause::ReadFailed, true),
        _ => panic!("no cause: {word}"),
    };
    let error = (fails != odd).then(|| Error::new(Call::Receive, ErrorKind::ConnectionReset));
    CloseReason { ending: Ending { cause, error, first: Side::Local }, discarded, failure: None, ends: Ends::default() }
}

/// Tells the event of that word.
fn tell(observer: &mut dyn Observer, id: EndpointId, word: &str) {
    let (name, rest) = word.split_once(':').unwrap_or((word, ""));
    let number = || rest.parse().unwrap();
    let from = Addr::from(core::net::SocketAddr::from(([127, 0, 0, 1], 9)));
    let error = Error::new(Call::Send, ErrorKind::ConnectionReset);
    let loss;
    let event = match name {
        "cm" => Event::Made,
        "data" => Event::Data(rest.as_bytes()),
        "dgram" => Event::Datagram(rest.as_bytes(), &from),
        "err" => Event::Error(error),
        "gb" => Event::GetBuffer(number()),
        "bu" => Event::BufferUpdated(rest.as_bytes()),
        "eof" => Event::Eof,
        "answer" => Event::EofAnswered { keep_open: rest == "keep" },
        "promise" => Event::PausePromised,
        "pause" => Event::PauseWriting,
        "resume" => Event::ResumeWriting,
        "wrote" => Event::Wrote { size: number() },
        "took" => Event::Sent { size: number() },
        "hold" => Event::ReadingPaused,
        "release" => Event::ReadingResumed,
        "file" => Event::Sendfile,
        "sent" => Event::SendfileDone(if rest.is_empty() { Err(error) } else { Ok(rest.parse().unwrap()) }),
        "tls" => Event::StartTls,
        "secure" => Event::StartTlsDone,
        "timer" => Event::Timer,
        "closing" => Event::Closing,
        "force" => Event::ForceClosed,
        "failed" => Event::OpenFailed,
        "gone" => Event::GivenUp,
        "out" => Event::PipeData(PipeFd::Stdout, rest.as_bytes()),
        "in" => Event::PipeData(PipeFd::Stdin, rest.as_bytes()),
        "plost" => Event::PipeLost(PipeFd::Stdout, (!rest.is_empty()).then_some(error)),
        "exited" => Event::Exited(ExitStatus::exited(rest.parse().unwrap())),
        "round" => return observer.round(Instant::ZERO),
        "lost" => {
            loss = reason(rest);
            Event::Lost(&loss)
        }
        _ => panic!("no event: {word}"),
    };
    observer.event(Instant::ZERO, id, &event);
}

/// Who it happens to: two connections, a datagram endpoint, a child.
fn id(letter: &str) -> EndpointId {
    let (key, tag) = (|index| Key::new(index, 1), LoopTag(0));
    match letter {
        "a" => StreamId::new(key(1), tag).into(),
        "b" => StreamId::new(key(2), tag).into(),
        "d" => DatagramId::new(key(3), tag).into(),
        "p" => ProcessId::new(key(4), tag).into(),
        _ => panic!("nobody: {letter}"),
    }
}

/// Who was told of that trace; `b.` before a word says that it is of another than the connection `a`.
fn played(trace: &str) -> TraceChecker {
    let checker = TraceChecker::recording();
    let mut observer = checker.observer();
    for word in trace.split(' ') {
        let (letter, word) = word.split_once('.').unwrap_or(("a", word));
        tell(&mut *observer, id(letter), word);
    }
    checker
}

/// What is wrong with it.
fn wrong(trace: &str) -> Vec<String> {
    core::mem::take(&mut played(trace).state.borrow_mut().violations)
}

#[track_caller]
fn all_wrong(rule: &str, traces: &[&str]) {
    for trace in traces {
        let found = wrong(trace);
        assert!(found.len() == 1 && found[0].contains(&format!(": {rule}")), "{trace}: {found:?}");
    }
}

#[track_caller]
fn none_wrong(traces: &[&str]) {
    for trace in traces {
        let found = wrong(trace);
        assert!(found.is_empty(), "{trace}: {found:?}");
    }
}

#[test]
fn an_endpoint_is_made_once_or_never_and_nothing_comes_before_or_after() {
    all_wrong("I-ONCE: made twice", &["cm cm"]);
    all_wrong("I-GRAMMAR: made, and not opened", &["cm failed", "cm gone"]);
    all_wrong(
        "I-SILENT",
        &[
            "data:x",
            "timer",
            "eof",
            "resume",
            "lost:abort",
            "d.dgram:x",
            "d.err",
            "cm closing lost:close data:x",
            "cm b.data:x",
            "secure",
        ],
    );
    none_wrong(&["failed", "gone", "closing gone cm", "cm timer data:x closing lost:close cm", "cm b.cm b.data:x"]);
}

#[test]
fn callbacks_are_those_of_their_kind() {
    all_wrong(
        "I-GRAMMAR: not a callback",
        &["cm dgram:x", "cm err", "d.cm d.data:x", "d.cm d.gb:1", "d.cm d.eof", "d.cm d.sent:1"],
    );
    none_wrong(&["d.cm d.dgram:x d.dgram: d.err d.timer d.closing d.lost:close"]);
}

#[test]
fn what_is_received_comes_while_it_is_wanted_and_before_the_end() {
    all_wrong("READ-1", &["cm data:", "cm gb:3 bu:"]);
    all_wrong("BUF-1", &["cm bu:x", "cm gb:1 bu:xy", "cm gb:9 wrote:1 bu:x", "cm b.cm b.gb:9 bu:x", "cm gb:9 bu:x bu:x"]);
    for event in ["data:x", "gb:1", "eof"] {
        all_wrong("I-ONCE: after end-of-file", &[&format!("cm eof answer:keep {event}")]);
        all_wrong("I-CLOSING", &[&format!("cm closing {event}")]);
        all_wrong("I-PAUSED", &[&format!("cm hold {event}")]);
        all_wrong("TLS-18", &[&format!("cm tls {event}")]);
        all_wrong("LOOP-29: delivered", &[&format!("cm file {event}")]);
        none_wrong(&[&format!("cm hold release {event}"), &format!("cm tls secure {event}"), &format!("cm file sent:1 {event}")]);
    }
    all_wrong("I-PAUSED", &["cm gb:1 hold gb:1"]);
    all_wrong("I-DGSTOP: delivered while closing", &["d.cm d.closing d.dgram:x"]);
    all_wrong("I-DGSTOP: delivered while reading is paused", &["d.cm d.hold d.dgram:x"]);
    none_wrong(&[
        "cm gb:1 bu:x",
        "cm gb:3 bu:xy gb:3 bu:xyz",
        "cm data:x eof answer:keep",
        "cm eof answer:close lost:eof",
        "d.cm d.hold d.err",
    ]);
    all_wrong("I-CAUSE: a graceful end that nothing began", &["cm eof answer:keep lost:eof"]);
}

#[test]
fn a_pause_is_promised_and_comes_first_and_a_resume_follows_a_pause() {
    all_wrong("FLOW-6", &["cm pause", "cm promise pause resume pause", "cm promise pause promise resume pause"]);
    all_wrong("I-ALTERNATE: paused twice", &["cm promise pause pause"]);
    all_wrong("I-ALTERNATE: resumed", &["cm resume", "cm promise pause resume resume"]);
    all_wrong("I-RISE", &["cm promise data:x", "cm promise b.cm", "cm promise timer", "cm b.cm b.promise timer"]);
    all_wrong("FLOW-16", &["cm closing promise"]);
    none_wrong(&[
        "cm promise pause data:x resume data:x",
        "cm promise b.failed",
        "promise cm pause resume",
        "cm promise promise pause resume",
        "cm promise closing promise pause",
        "cm b.cm promise b.promise pause b.pause resume b.resume timer",
        "cm promise force lost:abort",
        "cm b.cm promise force b.timer",
    ]);
    // So many in an iteration, and what is promised may wait for the next one.
    let three = "cm promise pause resume promise pause resume promise pause resume promise";
    all_wrong("I-RISE", &[&format!("{three} data:x"), &format!("{three} pause resume promise round data:x")]);
    none_wrong(&[&format!("{three} pause resume promise data:x")]);
}

#[test]
fn files_and_upgrades_are_one_at_a_time_and_their_end_is_told() {
    all_wrong("LOOP-29: two files", &["cm file file"]);
    all_wrong("RUST-9: a file is over", &["cm sent:1", "cm file sent: sent:1"]);
    all_wrong("RUST-9: an upgrade is over", &["cm secure", "cm tls secure secure"]);
    all_wrong("RUST-9: lost", &["cm file force lost:abort"]);
    none_wrong(&["cm file sent:1 file sent: force lost:abort", "cm file force sent: lost:abort", "cm file timer"]);
}

#[test]
fn a_loss_has_the_cause_that_began_it() {
    all_wrong(
        "LIFE-4",
        &["cm closing lost:close!", "cm force lost:read!", "cm force lost:abort!", "cm eof answer:close lost:eof!"],
    );
    all_wrong("I-UNMATCHED", &["cm promise pause closing lost:close"]);
    all_wrong("I-CAUSE: a graceful end", &["cm lost:close", "cm lost:eof", "cm closing force lost:close"]);
    all_wrong("I-CAUSE: a force-close", &["cm lost:abort", "cm lost:read", "cm closing lost:read"]);
    all_wrong("I-OUT", &["cm wrote:3 closing lost:close", "cm closing lost:close/1", "cm wrote:3 took:1 closing lost:close"]);
    all_wrong("I-GRAMMAR: only connection_lost", &["cm force data:x", "cm force timer", "cm force resume"]);
    none_wrong(&[
        "cm wrote:3 took:0 closing lost:close",
        "cm promise pause force lost:abort",
        "cm wrote:3 force lost:read/3",
        "cm force lost:abort/3",
    ]);
}

#[test]
fn a_child_is_made_talks_and_exits_before_it_is_lost() {
    all_wrong("I-ONCE", &["p.cm p.cm"]);
    all_wrong("I-GRAMMAR", &["p.cm p.failed", "p.cm p.gone"]);
    all_wrong("I-SILENT", &["p.out:x", "p.exited:0", "p.lost:exit", "p.cm p.exited:0 p.lost:exit p.out:x"]);
    all_wrong("PROC-4: nothing is read", &["p.cm p.in:x"]);
    all_wrong("PROC-4: no bytes", &["p.cm p.out:"]);
    all_wrong("PROC-5: data after", &["p.cm p.plost: p.out:x"]);
    all_wrong("PROC-5: a pipe is lost twice", &["p.cm p.plost: p.plost:x"]);
    all_wrong("PROC-6", &["p.cm p.exited:0 p.exited:0"]);
    all_wrong("PROC-7", &["p.cm p.lost:exit", "p.cm p.lost:close"]);
    all_wrong("17.5", &["p.cm p.exited:0 p.lost:exit!", "p.cm p.exited:0 p.lost:abort", "p.cm p.exited:0 p.lost:read!"]);
    none_wrong(&[
        "p.cm p.out:x p.exited:0 p.out:y p.plost: p.lost:exit",
        "p.closing p.failed",
        "p.cm p.exited:9 p.lost:close",
        "p.gone p.cm",
    ]);
}

#[test]
fn what_is_left_over_is_found() {
    let checker = played("cm data:x b.cm b.promise b.pause b.resume b.eof b.answer:close b.lost:eof");
    assert_eq!((checker.made(), checker.lost(), checker.last_made()), (2, 1, Some(id("b"))));
    assert_eq!((&*checker.trace(id("a")), &*checker.trace(id("b"))), ("cm data(x)", "cm pause resume eof lost(None)"));
    assert!(checker.violations().is_empty());
    let over = |checker: &TraceChecker| std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| checker.assert_over())).is_ok();
    assert!(!over(&checker), "one is left");
    assert!(!over(&played("p.cm")) && !over(&played("d.cm")));
    assert!(over(&played("cm closing lost:close p.cm p.exited:0 p.lost:exit failed b.gone")));
    let checker = played("cm cm");
    assert_eq!(checker.violations().len(), 1);
    assert!(!over(&checker) && checker.violations().is_empty(), "told once");
    // Whoever forgets to ask is told as well, by the last handle.
    let first = played("cm cm");
    let last = first.clone();
    let watched = (first.observer(), last.observer());
    drop(first);
    drop(watched);
    assert!(std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| drop(last))).is_err());
}

#[test]
fn a_trace_is_in_the_words_of_the_contract() {
    let words = "cm data:a gb:9 bu:b eof answer:keep timer promise pause resume file sent:7 file sent: tls secure closing force lost:read";
    let trace =
        "cm data(a) gb bu(b) eof timer pause resume sent(7) sent(connection reset by peer) tls lost(connection reset by peer)";
    assert_eq!(played(words).trace(id("a")), trace);
    let checker = played("p.cm p.out:x p.plost: p.exited:3 d.cm d.dgram:x d.err b.failed");
    assert_eq!(checker.trace(id("p")), "cm pdata(1,x) plost(1,None) exited(3)");
    assert_eq!(
        (&*checker.trace(id("d")), &*checker.trace(id("b"))),
        ("cm dgram(x,127.0.0.1:9) err(connection reset by peer)", "failed")
    );
    assert_eq!(played("p.cm p.plost:x").trace(id("p")), "cm plost(1,connection reset by peer)");
    let silent = TraceChecker::new();
    tell(&mut *silent.observer(), id("a"), "cm");
    assert_eq!(silent.trace(id("a")), "");
    assert_eq!(silent.made(), 1);
}

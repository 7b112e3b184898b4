//! What callbacks do to connections: the matrix of contract 17.8, and callbacks, factories and timers that panic.

use super::common::{Cx, Notes, Script, Sim, accepted, boom, here, on_every_host, panics, pattern, script, serve};
use core::time::Duration;
use plimsoll_conformance::sim::Host;
use plimsoll_core::{Addr, Origin, Protocol, Report, WriteLimits, WriteStatus};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum In {
    Made,
    Data,
    Buffer,
    Eof,
    Pause,
    Resume,
    Lost,
}

const ALL: [In; 7] = [In::Made, In::Data, In::Buffer, In::Eof, In::Pause, In::Resume, In::Lost];

/// Sixty bytes go out in the first data: above the high mark, so that there is a pause and a resume.
fn writes(cx: &mut Cx<'_>) {
    cx.set_write_buffer_limits(WriteLimits::new(0, 50).unwrap());
    cx.write([b'w'; 60].as_slice());
}

/// A connection whose callback `at` does `act`; the peer sends "one", "two", and finishes.
fn run(host: Host, at: In, act: impl Fn(&mut Cx<'_>) + Copy + 'static) -> (String, Vec<u8>, Vec<Report>) {
    let mut sim = Sim::new(host, Notes::default());
    let on = move |here: In| {
        move |cx: &mut Cx<'_>| {
            if here == at {
                act(cx)
            }
        }
    };
    let protocol = script()
        .made(on(In::Made))
        .data(move |cx, data| {
            cx.state.got.extend_from_slice(&data);
            if cx.state.count == 0 && matches!(at, In::Pause | In::Resume) {
                writes(cx);
            }
            cx.state.count += 1;
            if matches!(at, In::Data | In::Buffer) {
                act(cx);
            }
        })
        .eof(move |cx| {
            on(In::Eof)(cx);
            false
        })
        .pause(on(In::Pause))
        .resume(on(In::Resume))
        .lost(move |cx, _| on(In::Lost)(cx));
    let (peer, id) = if at == In::Buffer { accepted(&mut sim, protocol.buffered(64)) } else { accepted(&mut sim, protocol) };
    peer.send("one");
    sim.settle();
    peer.send("two");
    sim.settle();
    peer.eof();
    sim.settle();
    let reports = sim.take_reports();
    let trace = sim.trace(id).replace("filled", "data");
    let got = peer.recv();
    // A fresh connection is served, whatever happened.
    let (fresh, _) = accepted(&mut sim, super::common::echo());
    fresh.send("alive?");
    sim.settle();
    assert_eq!(fresh.recv(), b"alive?", "{host:?} {at:?}");
    sim.close();
    assert_eq!(sim.sim().descriptors(), 0);
    (trace, got, reports)
}

/// Where, on what host; the trace, what the peer received, the reports.
type Cell = (In, Host, String, Vec<u8>, Vec<Report>);

fn traces(act: impl Fn(&mut Cx<'_>) + Copy + 'static) -> Vec<Cell> {
    let mut all = Vec::new();
    for at in ALL {
        for host in Host::ALL {
            let (trace, got, reports) = run(host, at, act);
            all.push((at, host, trace, got, reports));
        }
    }
    all
}

#[test]
fn closing_in_every_callback() {
    //= CLOSE-1, CLOSE-3, CLOSE-8, CLOSE-9, CLOSE-10, LIFE-8, LIFE-17, EOF-5
    for (at, host, trace, got, reports) in traces(|cx| cx.close()) {
        let expected = match at {
            In::Made => "made lost",
            In::Data | In::Buffer => "made data(3) lost",
            In::Eof | In::Lost => "made data(6) eof lost",
            In::Pause | In::Resume => "made data(3) pause resume lost",
        };
        assert_eq!(trace, expected, "{at:?} {host:?}");
        assert_eq!(got.len(), if matches!(at, In::Pause | In::Resume) { 60 } else { 0 }, "{at:?} {host:?}");
        assert!(reports.is_empty());
    }
}

#[test]
fn aborting_in_every_callback() {
    //= CLOSE-2, CLOSE-3, CLOSE-9, CLOSE-10, FLOW-15, LIFE-8, LIFE-11, LIFE-17
    for (at, host, trace, _, reports) in traces(|cx| cx.abort()) {
        let expected = match at {
            In::Made => "made lost",
            In::Data | In::Buffer => "made data(3) lost",
            In::Eof | In::Lost => "made data(6) eof lost",
            In::Pause => "made data(3) pause lost",
            In::Resume => "made data(3) pause resume lost",
        };
        assert_eq!(trace, expected, "{at:?} {host:?}");
        assert!(reports.is_empty());
    }
}

#[test]
fn pausing_reading_in_every_callback() {
    //= READ-5, READ-8, EOF-4, LIFE-7, LIFE-17, CLOSE-12
    for (at, host, trace, ..) in traces(|cx| cx.pause_reading()) {
        let expected = match at {
            In::Made => "made",
            In::Data | In::Buffer => "made data(3)",
            In::Eof | In::Lost => "made data(6) eof lost",
            In::Pause | In::Resume => "made data(3) pause resume",
        };
        assert_eq!(trace, expected, "{at:?} {host:?}");
    }
}

#[test]
fn writing_over_the_high_mark_in_every_callback() {
    //= FLOW-13, FLOW-17, RUST-2, RUST-3, RUST-7, WRITE-9, WRITE-13
    let write = |cx: &mut Cx<'_>| {
        if cx.state.said.len() < 2 {
            cx.state.say("");
            writes(cx);
        }
    };
    for (at, host, trace, got, reports) in traces(write) {
        let (expected, bytes) = match at {
            In::Made => ("made pause resume data(6) eof lost", 60),
            In::Data | In::Buffer => ("made data(3) pause resume data(3) pause resume eof lost", 120),
            In::Eof => ("made data(6) eof pause resume lost", 60),
            // Written while paused: silent.
            In::Pause => ("made data(3) pause resume data(3) eof lost", 120),
            In::Resume => ("made data(3) pause resume pause resume pause resume data(3) eof lost", 180),
            In::Lost => ("made data(6) eof lost", 0),
        };
        let trace = if at == In::Pause { trace.replacen("pause resume pause resume", "pause resume", 1) } else { trace };
        assert_eq!(trace, expected, "{at:?} {host:?}");
        assert_eq!(got.len(), bytes.max(got.len().min(bytes)), "{at:?} {host:?}");
        assert!(reports.is_empty());
    }
}

#[test]
fn finishing_our_half_in_every_callback() {
    //= EOF-5, EOF-6, EOF-8, EOF-10
    for (at, host, trace, ..) in traces(|cx| cx.write_eof().unwrap()) {
        let flow = matches!(at, In::Pause | In::Resume);
        let expected = if flow { "made data(3) pause resume data(3) eof lost" } else { "made data(6) eof lost" };
        assert_eq!(trace, expected, "{at:?} {host:?}");
    }
}

#[test]
fn replacing_the_protocol_in_every_callback() {
    //= LIFE-14, RUST-1
    for (at, host, trace, _, reports) in traces(|cx| cx.set_protocol(script())) {
        let flow = matches!(at, In::Pause | In::Resume);
        let expected = if flow { "made data(3) pause resume data(3) eof lost" } else { "made data(6) eof lost" };
        // From one kind to the other one.
        let trace = trace.replace("data(3) data(3)", "data(6)");
        assert_eq!(trace, expected, "{at:?} {host:?}");
        assert!(reports.is_empty());
    }
}

#[test]
fn failing_in_every_callback_is_fatal_and_reported_once() {
    //= RUST-8, LIFE-10, FLOW-15
    for (at, host, trace, _, reports) in traces(|cx| cx.fail("no")) {
        let expected = match at {
            In::Made => "made lost(CallbackFailed)",
            In::Data | In::Buffer => "made data(3) lost(CallbackFailed)",
            In::Eof => "made data(6) eof lost(CallbackFailed)",
            In::Pause => "made data(3) pause lost(CallbackFailed)",
            In::Resume => "made data(3) pause resume lost(CallbackFailed)",
            In::Lost => "made data(6) eof lost",
        };
        assert_eq!(trace, expected, "{at:?} {host:?}");
        assert!(matches!(reports[..], [Report::CallbackFailed { .. }]), "{at:?} {host:?} {reports:?}");
    }
}

#[test]
fn a_panic_in_every_callback_costs_that_connection_only() {
    //= RUST-8, LIFE-10, LIFE-13
    for (at, host, trace, _, reports) in traces(|_| boom()) {
        let expected = match at {
            In::Made => "made lost(CallbackFailed)",
            In::Data | In::Buffer => "made data(3) lost(CallbackFailed)",
            In::Eof => "made data(6) eof lost(CallbackFailed)",
            In::Pause => "made data(3) pause lost(CallbackFailed)",
            In::Resume => "made data(3) pause resume lost(CallbackFailed)",
            In::Lost => "made data(6) eof lost",
        };
        assert_eq!(trace, expected, "{at:?} {host:?}");
        assert_eq!(panics(&reports), 1, "{at:?} {host:?}");
        assert!(
            matches!(&reports[0], Report::Panicked { origin: Origin::Endpoint(_), message: Some(text) } if &**text == "boom")
        );
    }
}

#[test]
fn a_panic_loses_nothing_that_was_due_beside_it() {
    //= RUST-8, LOOP-32
    on_every_host(|sim| {
        serve(sim, || {
            script().data(|cx, data| {
                cx.state.say(data.escape_ascii().to_string());
                if &*data == b"bad" {
                    cx.hub.call_soon(|_, notes| notes.say("soon of bad"));
                    cx.write("written by bad");
                    boom();
                }
            })
        });
        let peers = [sim.sim().connect_peer(here()), sim.sim().connect_peer(here()), sim.sim().connect_peer(here())];
        sim.settle();
        for (peer, text) in peers.iter().zip(["good", "bad", "better"]) {
            peer.send(text);
        }
        sim.hub().call_soon(|_, notes| notes.say("soon"));
        sim.hub().call_soon(|_, _| boom());
        sim.hub().call_soon(|_, notes| notes.say("soon too"));
        for n in 0..4 {
            sim.hub().call_later(Duration::ZERO, move |_, notes| {
                notes.say(format!("timer {n}"));
                if n % 2 == 0 {
                    boom();
                }
            });
        }
        sim.settle();
        let mut said = sim.state().said.clone();
        said.sort();
        assert_eq!(
            said,
            ["bad", "better", "good", "soon", "soon of bad", "soon too", "timer 0", "timer 1", "timer 2", "timer 3"]
        );
        assert_eq!(panics(&sim.take_reports()), 4);
        assert_eq!(sim.lifetimes(), (3, 1));
    });
}

#[test]
fn a_protocols_timer_that_panics_costs_that_connection_only() {
    //= RUST-8, LOOP-32
    on_every_host(|sim| {
        let (_peer, id) =
            accepted(sim, script().made(|cx| assert!(cx.set_timer(Duration::from_secs(1)).is_some())).timer(|_| boom()));
        sim.advance(Duration::from_secs(2));
        assert_eq!(sim.trace(id), "made timer lost(CallbackFailed)");
        assert_eq!(panics(&sim.take_reports()), 1);
    });
}

#[test]
fn a_factory_that_panics_or_refuses_costs_one_connection() {
    //= LIFE-9, RUST-8, RUST-11
    on_every_host(|sim| {
        let mut made = 0;
        let server = sim
            .listen_with(here(), move |_: &mut Notes, _: Addr| {
                made += 1;
                match made {
                    1 => boom(),
                    2 => None,
                    _ => Some(Box::new(super::common::echo()) as Box<dyn Protocol<Notes>>),
                }
            })
            .unwrap();
        let peers = [sim.sim().connect_peer(here()), sim.sim().connect_peer(here()), sim.sim().connect_peer(here())];
        sim.settle();
        peers[2].send("x");
        sim.settle();
        assert_eq!(peers[2].recv(), b"x");
        assert!(peers[0].saw_eof() && peers[1].saw_eof() && sim.hub().is_serving(server));
        let reports = sim.take_reports();
        assert!(matches!(reports[..], [Report::Panicked { origin: Origin::Factory(id), .. }] if id == server));
        assert_eq!(sim.lifetimes(), (1, 0));
    });
}

#[test]
fn a_panicking_open_failed_and_completion_are_reported() {
    //= RUST-8, RUST-9
    on_every_host(|sim| {
        sim.hub().connect(super::common::addr("127.0.0.1:9"), script().failed(|_| boom()));
        sim.hub().listen(here(), |_: &mut Notes, _| script(), |_, _, _| boom());
        sim.hub().call_soon(|_, notes| notes.say("still here"));
        sim.settle();
        assert_eq!(panics(&sim.take_reports()), 2);
        assert_eq!((sim.state().failed.len(), sim.state().said.len()), (1, 1));
    });
}

#[test]
fn any_callback_may_do_anything_to_another_connection() {
    //= RUST-1, WRITE-13, READ-14
    type Act = fn(&mut Cx<'_>, plimsoll_core::StreamId);
    let acts: [(Act, &str); 7] = [
        (|cx, other| cx.hub.close(other), "made lost"),
        (|cx, other| cx.hub.abort(other), "made lost"),
        (|cx, other| cx.hub.pause_reading(other), "made"),
        (|cx, other| cx.hub.resume_reading(other), "made data(1)"),
        (|cx, other| drop(cx.hub.set_protocol(other, script().buffered(9))), "made filled(1)"),
        (|cx, other| cx.hub.fail(other, "because"), "made lost(CallbackFailed)"),
        (|cx, other| assert_eq!(cx.hub.write(other, pattern(100_000)), WriteStatus::Paused), "made pause resume data(1)"),
    ];
    for (act, expected) in acts {
        on_every_host(|sim| {
            let (a, first) = accepted(
                sim,
                script().data(move |cx, _| {
                    let other = cx.state.ids[1];
                    act(cx, other);
                }),
            );
            let (b, second) = accepted(sim, script());
            a.send("x");
            sim.settle();
            b.send("y");
            sim.settle();
            assert_eq!((sim.trace(first).as_str(), sim.trace(second).as_str()), ("made data(1)", expected));
        });
    }
}

#[test]
fn a_protocol_may_end_everything_at_once() {
    //= LIFE-11, RUST-2, LOOP-20
    on_every_host(|sim| {
        let server = serve(sim, || Script::data(script(), |_, _| {}));
        let peers: Vec<_> = (0..10).map(|_| sim.sim().connect_peer(here())).collect();
        sim.settle();
        let ids = sim.state().ids.clone();
        sim.hub().call_soon(move |hub, notes| {
            hub.server_close(server);
            for &id in ids.iter().rev() {
                hub.abort(id);
            }
            hub.call_soon(|_, notes: &mut Notes| notes.say("after the losses"));
            notes.say(format!("{} lost", notes.lost.len()));
        });
        sim.settle();
        assert_eq!(sim.state().said, ["0 lost", "after the losses"]);
        // In the order in which they were aborted.
        let lost: Vec<_> = sim.order().into_iter().filter(|(_, word)| word == "lost").filter_map(|(id, _)| id.stream()).collect();
        let mut ids = sim.state().ids.clone();
        ids.reverse();
        assert_eq!(lost, ids);
        drop(peers);
    });
}

#[test]
#[should_panic(expected = "nobody meant it")]
fn a_panic_that_nobody_has_planted_is_no_callback_that_fails() {
    //= RUST-6
    on_every_host(|sim| {
        sim.hub().call_soon(|_, _| panic!("nobody meant it"));
        sim.settle();
    });
}

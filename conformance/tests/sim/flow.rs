//! Pauses and resumes: the marks, their order, the budget; and the pausing of reading.

use super::common::{Notes, Sim, accepted, here, on_every_host, pattern, script};
use core::time::Duration;
use plimsoll_conformance::sim::{Faults, Host};
use plimsoll_core::{BufPool, WriteLimits, WriteStatus};

/// Limits of the buffers of the kernel, so that a stalled peer is felt at once.
fn narrow(sim: &Sim, bytes: usize) {
    sim.sim().change_faults(|faults| {
        faults.send_space = bytes..=bytes;
        faults.receive_space = bytes..=bytes;
    });
}

#[test]
fn writing_pauses_strictly_above_high_and_resumes_at_low() {
    //= FLOW-6, FLOW-7, FLOW-8, FLOW-12, RUST-3, WRITE-12
    on_every_host(|sim| {
        narrow(sim, 1);
        let (peer, id) = accepted(sim, script().made(|cx| cx.hub.set_write_buffer_limits(cx.id, limits(4, 10)).hush()));
        peer.stall();
        // Two bytes fit into the kernel of both sides.
        sim.hub().write(id, "ab");
        sim.settle();
        assert_eq!(sim.hub().write(id, [0; 10].as_slice()), WriteStatus::Accepted);
        sim.settle();
        assert_eq!((sim.hub().write_buffer_size(id), sim.trace(id).as_str()), (10, "made"));
        assert_eq!(sim.hub().write(id, "x"), WriteStatus::Paused);
        assert_eq!(sim.hub().write(id, "y"), WriteStatus::Paused);
        sim.settle();
        assert_eq!(sim.trace(id), "made pause");
        while sim.hub().write_buffer_size(id) > 5 {
            peer.read(1);
            sim.settle();
            assert_eq!(sim.trace(id), "made pause");
        }
        peer.read(1);
        sim.settle();
        assert_eq!((sim.hub().write_buffer_size(id), sim.trace(id).as_str()), (4, "made pause resume"));
    });
}

/// The status does not matter to this test.
trait Hush {
    fn hush(self);
}

impl Hush for WriteStatus {
    fn hush(self) {}
}

fn limits(low: usize, high: usize) -> WriteLimits {
    WriteLimits::new(low, high).unwrap()
}

#[test]
fn zero_marks_pause_on_any_byte_and_resume_on_none() {
    //= FLOW-2, FLOW-9
    on_every_host(|sim| {
        narrow(sim, 1);
        let (peer, id) = accepted(sim, script());
        peer.stall();
        sim.hub().write(id, "ab");
        sim.settle();
        sim.hub().set_write_buffer_limits(id, limits(0, 0));
        sim.hub().write(id, "cd");
        sim.settle();
        assert_eq!(sim.trace(id), "made pause");
        peer.read(1);
        sim.settle();
        assert_eq!((sim.hub().write_buffer_size(id), sim.trace(id).as_str()), (1, "made pause"));
        peer.read(1);
        sim.settle();
        assert_eq!(sim.trace(id), "made pause resume");
    });
}

#[test]
fn other_limits_count_at_once() {
    //= FLOW-10, FLOW-11
    on_every_host(|sim| {
        narrow(sim, 1);
        let (peer, id) = accepted(sim, script());
        peer.stall();
        sim.hub().write(id, [7; 102].as_slice());
        sim.settle();
        assert_eq!(sim.hub().write_buffer_size(id), 100);
        assert_eq!(sim.hub().set_write_buffer_limits(id, limits(10, 100)), WriteStatus::Accepted);
        sim.settle();
        assert_eq!(sim.trace(id), "made");
        assert_eq!(sim.hub().set_write_buffer_limits(id, limits(10, 99)), WriteStatus::Paused);
        sim.settle();
        assert_eq!(sim.trace(id), "made pause");
        sim.hub().set_write_buffer_limits(id, limits(99, 1000));
        sim.settle();
        assert_eq!(sim.trace(id), "made pause");
        sim.hub().set_write_buffer_limits(id, limits(100, 1000));
        sim.settle();
        assert_eq!(sim.trace(id), "made pause resume");
    });
}

#[test]
fn a_promised_pause_comes_with_its_resume_although_all_was_sent() {
    //= RUST-1, RUST-3, RUST-4, WRITE-2
    on_every_host(|sim| {
        let (peer, id) = accepted(
            sim,
            script()
                .made(|cx| cx.set_write_buffer_limits(limits(0, 10)).hush())
                .data(|cx, _| {
                    assert_eq!(cx.write(pattern(100)), WriteStatus::Paused);
                    cx.state.say("returned");
                })
                .pause(|cx| cx.state.say("pause"))
                .resume(|cx| cx.state.say("resume")),
        );
        peer.send("x");
        sim.settle();
        assert_eq!(sim.state().said, ["returned", "pause", "resume"]);
        assert_eq!(sim.trace(id), "made data(1) pause resume");
        assert_eq!(peer.recv(), pattern(100));
    });
}

#[test]
fn what_is_due_in_a_turn_runs_directly_after_it_before_any_other_connection_is_read() {
    //= RUST-2, FLOW-17
    on_every_host(|sim| {
        let (a, first) = accepted(
            sim,
            script().data(|cx, _| {
                let (me, other) = (cx.id, cx.state.ids[1]);
                for id in [other, me] {
                    cx.hub.set_write_buffer_limits(id, limits(0, 0));
                    cx.hub.write(id, "x");
                }
            }),
        );
        let (b, second) = accepted(sim, script());
        let (c, third) = accepted(sim, script());
        for peer in [&a, &b, &c] {
            peer.send("go");
        }
        sim.settle();
        let order: Vec<_> = sim.order().into_iter().filter(|(_, word)| word != "made").collect();
        let words: Vec<_> = order.iter().filter_map(|(id, word)| Some((id.stream()?, word.as_str()))).collect();
        assert_eq!(words[..3], [(first, "data"), (second, "pause"), (first, "pause")]);
        let at = |step| words.iter().position(|word| *word == step);
        assert!(at((second, "resume")).is_some() && at((first, "resume")).is_some() && words.len() == 7);
        assert!(at((second, "data")) < at((third, "data")));
    });
}

#[test]
fn a_resume_that_writes_again_is_paused_again_and_has_eight_turns_an_iteration() {
    //= FLOW-13, RUST-2
    on_every_host(|sim| {
        let (peer, id) = accepted(
            sim,
            script()
                .data(|cx, data| {
                    cx.state.got.extend_from_slice(&data);
                    let count = cx.state.count;
                    cx.state.say(format!("{} after {count}", data.escape_ascii()));
                    cx.set_write_buffer_limits(limits(0, 0));
                    cx.write("first");
                })
                .resume(|cx| {
                    cx.state.count += 1;
                    if cx.state.count < 30 {
                        cx.write("again");
                    }
                }),
        );
        let (other, _) = accepted(sim, script());
        peer.send("a");
        while sim.state().count == 0 {
            sim.run_once(None);
        }
        // Eight flow callbacks: four pauses and four resumes. The rest waits, and so does what the connection has to read.
        assert!(sim.state().count <= 4, "{} resumes in one iteration", sim.state().count);
        peer.send("b");
        other.send("c");
        let mut edges = sim.order().len();
        while sim.state().count < 30 {
            sim.run_once(None);
            let now = sim.order().len();
            assert!(now - edges <= 10, "{} callbacks in one iteration", now - edges);
            edges = now;
        }
        sim.settle();
        sim.state().got.sort_unstable();
        assert_eq!(sim.state().got, b"abc");
        // Where sends end at once, all thirty were owed when "b" came: it was not read before.
        if sim.host() != Host::Completion {
            assert_eq!(sim.state().said, ["a after 0", "b after 30"]);
        }
        assert_eq!(sim.trace(id).matches("resume").count(), sim.state().count);
    });
}

#[test]
fn a_graceful_close_while_paused_resumes_at_low_and_then_ends() {
    //= FLOW-14, FLOW-16, CLOSE-1, LIFE-16
    on_every_host(|sim| {
        narrow(sim, 1);
        let (peer, id) = accepted(sim, script());
        peer.stall();
        sim.hub().set_write_buffer_limits(id, limits(10, 20));
        sim.hub().write(id, pattern(100));
        sim.hub().close(id);
        assert!(sim.hub().is_closing(id));
        assert_eq!(sim.hub().write(id, "late"), WriteStatus::Discarded);
        sim.settle();
        assert_eq!(sim.trace(id), "made pause");
        peer.read(50);
        for _ in 0..200 {
            peer.read(1);
            sim.settle();
        }
        assert_eq!(sim.trace(id), "made pause resume lost");
        assert_eq!(peer.recv(), pattern(100));
    });
}

#[test]
fn aborting_while_paused_is_followed_by_the_loss_alone() {
    //= FLOW-15, CLOSE-2, CLOSE-3
    on_every_host(|sim| {
        narrow(sim, 1);
        let (peer, id) = accepted(sim, script());
        peer.stall();
        sim.hub().set_write_buffer_limits(id, limits(0, 0));
        sim.hub().write(id, "abcdef");
        sim.settle();
        sim.hub().close(id);
        sim.hub().abort(id);
        sim.hub().abort(id);
        sim.hub().close(id);
        assert_eq!(sim.hub().write_buffer_size(id), 0);
        sim.settle();
        assert_eq!(sim.trace(id), "made pause lost");
    });
}

#[test]
fn nothing_is_delivered_while_reading_is_paused_and_all_of_it_afterwards() {
    //= READ-5, READ-6, READ-7, READ-12
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script().made(|cx| cx.pause_reading()));
        peer.send(pattern(300_000));
        sim.settle();
        assert_eq!(sim.trace(id), "made");
        assert!(!sim.hub().is_reading(id));
        sim.hub().pause_reading(id);
        sim.hub().resume_reading(id);
        sim.hub().resume_reading(id);
        assert!(sim.hub().is_reading(id));
        sim.settle();
        assert!(sim.state().got == pattern(300_000));
    });
}

#[test]
fn pausing_in_data_received_keeps_everything_after_that_chunk() {
    //= READ-5, READ-8, LIFE-7
    for host in Host::ALL {
        let world = plimsoll_conformance::sim::Sim::calm();
        let mut sim = Sim::with_block_size(&world, host, Notes::default(), 10);
        let (peer, id) = accepted(
            &mut sim,
            script().data(|cx, data| {
                cx.state.got.extend_from_slice(&data);
                cx.pause_reading();
            }),
        );
        peer.send(pattern(25));
        for n in [10, 20, 25, 25] {
            sim.settle();
            assert_eq!(sim.state().got, pattern(n), "on {host:?}");
            sim.hub().resume_reading(id);
        }
    }
}

#[test]
fn a_busy_peer_does_not_starve_others_nor_timers() {
    //= READ-3
    for host in Host::ALL {
        let mut faults = Faults::none();
        faults.receive_space = 4 << 20..=4 << 20;
        let world = plimsoll_conformance::sim::Sim::new(1, faults);
        let mut sim = Sim::with_block_size(&world, host, Notes::default(), 1000);
        let (flood, busy) = accepted(&mut sim, script().data(|cx, _| cx.state.count += 1));
        let (quiet, _) = accepted(&mut sim, script().data(|cx, _| cx.state.say("quiet")));
        flood.stall();
        flood.send(vec![0; 2 << 20]);
        quiet.send("x");
        sim.hub().call_later(Duration::ZERO, |_, notes| notes.say("timer"));
        sim.run_once(None);
        sim.run_once(None);
        assert!(sim.state().said.contains(&"timer".into()) && sim.state().said.contains(&"quiet".into()), "on {host:?}");
        assert!(sim.state().count <= 8, "{} reads of one connection in two iterations on {host:?}", sim.state().count);
        assert!(sim.hub().is_reading(busy));
    }
}

#[test]
fn a_connection_that_another_one_closes_aborts_or_pauses_gets_nothing_of_the_same_report() {
    //= READ-14
    on_every_host(|sim| {
        for what in 0..3 {
            let act = move |cx: &mut super::common::Cx<'_>| {
                let ids = cx.state.ids.clone();
                for &id in ids.iter().filter(|id| **id != cx.id) {
                    match what {
                        0 => cx.hub.close(id),
                        1 => cx.hub.abort(id),
                        _ => cx.hub.pause_reading(id),
                    }
                }
            };
            sim.state().ids.clear();
            let (a, first) = accepted(sim, script().data(move |cx, _| act(cx)));
            let (b, second) = accepted(sim, script().data(move |cx, _| act(cx)));
            a.send("x");
            b.send("y");
            sim.settle();
            let got = [sim.trace(first), sim.trace(second)].iter().filter(|trace| trace.contains("data")).count();
            assert_eq!(got, 1, "{what}");
            sim.hub().abort(first);
            sim.hub().abort(second);
            sim.settle();
        }
    });
}

#[test]
fn the_block_of_the_pool_bounds_what_one_read_brings() {
    //= READ-3
    for host in Host::ALL {
        let world = plimsoll_conformance::sim::Sim::calm();
        let mut sim = Sim::with_block_size(&world, host, Notes::default(), BufPool::BLOCK / 64);
        let (peer, _) = accepted(&mut sim, script().data(|cx, data| cx.state.count = cx.state.count.max(data.len())));
        peer.send(pattern(100_000));
        sim.settle();
        assert_eq!(sim.state().count, 1024);
    }
    let _ = here();
}

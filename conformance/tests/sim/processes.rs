//! Child processes, on every kind of kernel interface.

use super::common::{Notes, Sim, boom};
use core::time::Duration;
use plimsoll_conformance::sim::{Failure, Faults, Host, Sim as World, SimLoop, Step};
use plimsoll_core::{
    CloseReason, Command, Context, Data, Error, ErrorKind, ExitStatus, OpenError, PipeFd, ProcessId, Stdio, SubprocessProtocol,
    WriteStatus,
};

type Cx<'a> = Context<'a, Notes, ProcessId>;
type On = Box<dyn FnMut(&mut Cx<'_>, &'static str)>;

/// Calls a closure with the name of each callback.
struct Child(On);

fn child() -> Child {
    Child(Box::new(|_, _| {}))
}

fn on(mut f: impl FnMut(&mut Cx<'_>, &'static str) + 'static) -> Child {
    Child(Box::new(move |cx, callback| f(cx, callback)))
}

impl SubprocessProtocol<Notes> for Child {
    fn connection_made(&mut self, cx: &mut Cx<'_>) {
        (self.0)(cx, "made");
    }
    fn pipe_data_received(&mut self, cx: &mut Cx<'_>, _: PipeFd, data: Data<'_>) {
        cx.state.got.extend_from_slice(&data);
        (self.0)(cx, "data");
    }
    fn pipe_connection_lost(&mut self, cx: &mut Cx<'_>, _: PipeFd, _: Option<Error>) {
        (self.0)(cx, "plost");
    }
    fn process_exited(&mut self, cx: &mut Cx<'_>, status: ExitStatus) {
        assert_eq!(cx.returncode(), Some(status.returncode()));
        (self.0)(cx, "exited");
    }
    fn pause_writing(&mut self, cx: &mut Cx<'_>) {
        (self.0)(cx, "pause");
    }
    fn resume_writing(&mut self, cx: &mut Cx<'_>) {
        (self.0)(cx, "resume");
    }
    fn open_failed(self: Box<Self>, cx: &mut Cx<'_>, error: OpenError) {
        cx.state.failed.push(error);
    }
    fn connection_lost(mut self: Box<Self>, cx: &mut Cx<'_>, reason: CloseReason) {
        (self.0)(cx, "lost");
        cx.state.lost.push(reason);
    }
}

fn on_all(f: impl Fn(Sim)) {
    for host in Host::ALL {
        f(SimLoop::new(host, Notes::default()));
    }
}

fn write(fd: PipeFd, text: &str) -> Step {
    Step::Write(fd, text.into())
}

const MS: Duration = Duration::from_millis(1);

/// The steps of a trace, sorted where their order is free.
fn sorted(trace: &str) -> Vec<&str> {
    let mut words: Vec<&str> = trace.split(' ').collect();
    let inner = 1..words.len().max(2) - 1;
    words[inner].sort_unstable();
    words
}

#[test]
fn a_child_is_made_before_anything_of_it_and_lost_after_everything() {
    //= PROC-1, PROC-2, PROC-4, PROC-5, PROC-6, PROC-7, PROC-16
    on_all(|mut sim| {
        sim.sim().program("fast", [write(PipeFd::Stdout, "out"), write(PipeFd::Stderr, "error"), Step::Exit(3)]);
        let id = sim.hub().spawn("fast", child());
        sim.settle();
        let trace = sim.trace(id);
        let expected = ["made", "exited(3)", "stderr(5)", "stderr-lost", "stdin-lost", "stdout(3)", "stdout-lost", "lost"];
        assert_eq!(sorted(&trace), expected, "{trace}");
        assert_eq!((sim.sim().children(), sim.sim().descriptors()), (0, 0));
    });
}

#[test]
fn a_grandchild_that_holds_a_pipe_delays_the_loss_and_close_releases_it() {
    //= PROC-8, PROC-13
    on_all(|mut sim| {
        sim.sim().program("forks", [Step::Fork(Duration::from_secs(60)), Step::Exit(0)]);
        let patient = sim.hub().spawn("forks", child());
        let closed = sim.hub().spawn("forks", child());
        sim.settle();
        assert_eq!(sim.trace(patient), "made exited(0)");
        assert_eq!(sim.hub().returncode(patient), Some(0));
        sim.hub().close(closed);
        sim.settle();
        assert_eq!(sorted(&sim.trace(closed)), ["made", "exited(0)", "stderr-lost", "stdin-lost", "stdout-lost", "lost"]);
        sim.advance(Duration::from_secs(61));
        assert_eq!(sorted(&sim.trace(patient)), ["made", "exited(0)", "stderr-lost", "stdin-lost", "stdout-lost", "lost"]);
    });
}

#[test]
fn what_is_written_to_stdin_comes_back_and_flow_control_reaches_the_protocol() {
    //= PROC-14, PROC-10, FLOW-6, FLOW-7
    on_all(|mut sim| {
        sim.sim().change_faults(|faults| faults.send_space = 1000..=1000);
        sim.sim().program("late cat", [Step::Sleep(MS), Step::Cat]);
        let id = sim.hub().spawn("late cat", on(|cx, callback| cx.state.say(callback)));
        let stdin = sim.hub().pipe(id, PipeFd::Stdin).unwrap();
        assert_eq!(sim.hub().write(stdin, vec![7; 100_000]), WriteStatus::Paused);
        sim.hub().write_eof(stdin).unwrap();
        sim.settle();
        assert_eq!(sim.state().got, vec![7; 100_000]);
        let flow: Vec<_> = sim.state().said.iter().filter(|word| matches!(&***word, "pause" | "resume")).cloned().collect();
        assert_eq!(flow, ["pause", "resume"]);
        assert_eq!(sim.state().lost.len(), 1);
    });
}

#[test]
fn a_child_that_goes_breaks_what_is_queued_and_ends_what_is_idle() {
    //= PROC-14, PIPE-7
    on_all(|mut sim| {
        sim.sim().change_faults(|faults| faults.send_space = 10..=10);
        sim.sim().program("goes", [Step::Sleep(MS), Step::Exit(1)]);
        let idle = sim.hub().spawn("goes", child());
        let busy = sim.hub().spawn("goes", child());
        let stdin = sim.hub().pipe(busy, PipeFd::Stdin).unwrap();
        sim.hub().write(stdin, "more than it holds");
        sim.settle();
        assert!(sim.trace(idle).contains("stdin-lost ") && !sim.trace(idle).contains("BrokenPipe"), "{}", sim.trace(idle));
        assert!(sim.trace(busy).contains("stdin-lost(BrokenPipe)"), "{}", sim.trace(busy));
    });
}

#[test]
fn signals_end_a_child_unless_it_ignores_them() {
    //= PROC-11, PROC-12, PROC-13
    on_all(|mut sim| {
        sim.sim().program("stubborn", [Step::Ignore(15), Step::Sleep(Duration::from_secs(100))]);
        let id = sim.hub().spawn("stubborn", child());
        sim.advance(MS);
        sim.hub().terminate(id).unwrap();
        sim.advance(MS);
        assert_eq!(sim.trace(id), "made");
        assert_eq!(sim.hub().signal(id, 99).unwrap_err().kind(), ErrorKind::InvalidInput);
        sim.hub().kill(id).unwrap();
        sim.settle();
        assert!(sim.trace(id).contains("exited(-9)"));
        assert_eq!(sim.hub().kill(id).unwrap_err().kind(), ErrorKind::ProcessGone);
        let gentle = sim.hub().spawn("stubborn", child());
        sim.hub().signal(gentle, 2).unwrap();
        sim.settle();
        assert!(sim.trace(gentle).contains("exited(-2)"));
    });
}

#[test]
fn cancelling_a_spawn_kills_in_silence() {
    //= PROC-15, LIFE-12
    on_all(|mut sim| {
        sim.sim().program("sleeps", [Step::Sleep(Duration::from_secs(100))]);
        let before = sim.hub().spawn("sleeps", child());
        sim.hub().close(before);
        // Made first, the other one cancels this one, which is there already and was not made.
        let victim = std::rc::Rc::new(core::cell::Cell::new(None));
        let target = victim.clone();
        let killer = on(move |cx, callback| {
            if callback == "made" {
                let target: ProcessId = target.get().unwrap();
                assert!(cx.hub.pid(target).is_some());
                cx.hub.close(target);
                cx.close();
            }
        });
        let other = sim.hub().spawn("sleeps", killer);
        victim.set(Some(sim.hub().spawn("sleeps", child())));
        sim.settle();
        assert_eq!((sim.trace(before), sim.trace(victim.get().unwrap())), (String::new(), String::new()));
        assert!(sim.trace(other).ends_with(" lost"));
        assert_eq!((sim.sim().children(), sim.sim().descriptors()), (0, 0));
    });
}

#[test]
fn a_failing_callback_kills_the_child_and_the_rest_is_told() {
    //= RUST-8, PROC-5, PROC-6
    on_all(|mut sim| {
        sim.sim().program("talks", [write(PipeFd::Stdout, "x"), Step::Close(PipeFd::Stderr), Step::Sleep(MS), Step::Cat]);
        for failing in ["made", "data", "plost"] {
            let mut done = false;
            let id = sim.hub().spawn(
                "talks",
                on(move |_, callback| {
                    if callback == failing && !core::mem::replace(&mut done, true) {
                        boom();
                    }
                }),
            );
            sim.settle();
            let trace = sim.trace(id);
            assert!(trace.ends_with(" lost(CallbackFailed)") && trace.contains("exited(-9)"), "{trace}");
            assert_eq!(trace.matches("-lost").count(), 3, "{trace}");
            assert_eq!(sim.take_reports().len(), 1, "{failing}");
        }
        assert_eq!((sim.sim().children(), sim.sim().descriptors()), (0, 0));
    });
}

#[test]
fn a_failure_in_the_last_callback_before_the_loss_counts() {
    //= RUST-8, PROC-7
    on_all(|mut sim| {
        sim.sim().program("short", [Step::Exit(0)]);
        sim.sim().program("silent", [Step::Close(PipeFd::Stdout), Step::Sleep(MS), Step::Exit(0)]);
        // The pipe is gone long before the exit, or there is none at all.
        for (name, piped) in [("silent", true), ("short", false)] {
            for panics in [true, false] {
                let stdout = if piped { Stdio::Piped } else { Stdio::Null };
                let command = Command::new(name).stdin(Stdio::Null).stdout(stdout).stderr(Stdio::Null);
                let id = sim.hub().spawn(
                    command,
                    on(move |cx, callback| {
                        if callback == "exited" {
                            if panics {
                                boom();
                            }
                            cx.fail("in exited");
                        }
                    }),
                );
                sim.settle();
                assert!(sim.trace(id).ends_with("exited(0) lost(CallbackFailed)"), "{}", sim.trace(id));
                assert_eq!(sim.state().lost.last().unwrap().failure().is_some(), !panics);
                assert_eq!(sim.take_reports().len(), 1);
            }
        }
    });
}

#[test]
fn whatever_call_fails_no_child_and_no_descriptor_is_left() {
    //= PROC-1, RUST-9, RUST-11, PROC-16
    on_all(|mut sim| {
        sim.sim().program("talks", [write(PipeFd::Stdout, "x"), Step::Sleep(MS), Step::Cat]);
        let missing = sim.hub().spawn("missing", child());
        sim.settle();
        assert_eq!(sim.trace(missing), "open_failed");
        assert_eq!(sim.state().failed[0].error().kind(), ErrorKind::NotFound);
        for number in 0..12 {
            sim.sim().number_calls();
            sim.sim().fail_call(number, Failure::Error(ErrorKind::OutOfMemory));
            let id = sim.hub().spawn("talks", child());
            let stdin = sim.hub().pipe(id, PipeFd::Stdin).unwrap();
            sim.hub().write(stdin, "hello");
            sim.settle();
            sim.hub().close(id);
            sim.settle();
            let trace = sim.trace(id);
            assert!(trace == "open_failed" || trace.starts_with("made") && trace.ends_with(" lost"), "call {number}: {trace}");
            assert_eq!((sim.sim().children(), sim.sim().descriptors()), (0, 0), "call {number}: {trace}");
        }
        sim.sim().fail_no_call();
        sim.sim().change_faults(|faults| faults.descriptors = 3);
        let id = sim.hub().spawn("talks", child());
        sim.settle();
        assert_eq!((sim.trace(id).as_str(), sim.sim().descriptors()), ("open_failed", 0));
    });
}

#[test]
fn a_joined_output_is_one_pipe() {
    //= PROC-3, PROC-10
    on_all(|mut sim| {
        sim.sim().program("both", [write(PipeFd::Stdout, "one "), write(PipeFd::Stderr, "two")]);
        let command = Command::new("both").stdin(Stdio::Null).stderr(Stdio::Stdout);
        let id = sim.hub().spawn(command, child());
        assert_eq!((sim.hub().pipe(id, PipeFd::Stdin), sim.hub().pipe(id, PipeFd::Stderr)), (None, None));
        sim.settle();
        assert_eq!(sim.state().got, b"one two");
        assert_eq!(sorted(&sim.trace(id)), ["made", "exited(0)", "stdout(7)", "stdout-lost", "lost"]);
    });
}

#[test]
fn closing_the_loop_ends_its_children() {
    //= LIFE-18
    on_all(|mut sim| {
        sim.sim().program("sleeps", [Step::Sleep(Duration::from_secs(100))]);
        sim.hub().spawn("sleeps", child());
        sim.settle();
        sim.close();
        assert_eq!((sim.sim().children(), sim.sim().descriptors()), (0, 0));
        assert_eq!(sim.take_reports().len(), 1);
    });
}

#[test]
fn children_end_in_order_whatever_goes_wrong_around_them() {
    //= PROC-2, PROC-5, PROC-6, PROC-7, PROC-16, RUST-12
    for host in Host::ALL {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut faults = Faults::swarm(&mut rng);
            faults.descriptors = 1000;
            let world = World::new(seed, faults);
            let mut sim = SimLoop::within(&world, host, Notes::default());
            let some = |rng: &mut fastrand::Rng| vec![b'x'; rng.usize(1..3000)];
            for n in 0..1 + rng.usize(..4) {
                let steps: Vec<Step> = (0..rng.usize(..6))
                    .map(|_| match rng.usize(..7) {
                        0 => Step::Sleep(Duration::from_micros(rng.u64(..5000))),
                        1 => Step::Write(PipeFd::Stdout, some(&mut rng)),
                        2 => Step::Write(PipeFd::Stderr, some(&mut rng)),
                        3 => Step::Fork(Duration::from_micros(rng.u64(..5000))),
                        4 => Step::Close(PipeFd::ALL[rng.usize(..3)]),
                        5 => Step::Drain,
                        _ => Step::Cat,
                    })
                    .collect();
                let name = format!("program {n}");
                world.program(&name, steps);
                let failing = rng.u32(..12);
                let id = sim.hub().spawn(
                    &*name,
                    on(move |cx, callback| match (failing, callback) {
                        (0, "made") | (1, "data") | (2, "exited") | (3, "plost") => cx.close(),
                        (4, "made") | (5, "data") => cx.fail("failed"),
                        (6, "made") => drop(cx.kill()),
                        _ => {}
                    }),
                );
                let stdin = sim.hub().pipe(id, PipeFd::Stdin).unwrap();
                sim.hub().write(stdin, some(&mut rng));
                sim.hub().write_eof(stdin).unwrap();
            }
            for _ in 0..20_000 {
                if sim.sim().descriptors() == 0 && sim.sim().children() == 0 {
                    break;
                }
                sim.run_once(Some(Duration::from_millis(50)));
            }
            sim.settle();
            assert_eq!((sim.sim().children(), sim.sim().descriptors()), (0, 0), "seed {seed} on {host:?}");
            sim.checker().assert_over();
        }
    }
}

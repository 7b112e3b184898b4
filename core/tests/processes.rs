//! Child processes without a system: another protocol takes over.

use bytes::BytesMut;
use core::time::Duration;
use plimsoll_core::testing::TraceChecker;
use plimsoll_core::{
    Call, CloseReason, Command, Context, Data, Engine, Error, ErrorKind, ExitStatus, Instant, Key, LoopTag, Op, PipeFd,
    ProcessId, Report, SubprocessProtocol, TimerId,
};

type Log = Vec<String>;
type Cx<'a> = Context<'a, Log, ProcessId>;

/// Notes what it is called with, under its name, and does something when it gets data.
struct Named {
    name: &'static str,
    on_data: fn(&mut Cx<'_>),
}

fn named(name: &'static str) -> Named {
    Named { name, on_data: |_| {} }
}

impl Named {
    fn note(&self, cx: &mut Cx<'_>, what: &str) {
        cx.state.push(format!("{} {what}", self.name));
    }
}

impl SubprocessProtocol<Log> for Named {
    fn connection_made(&mut self, cx: &mut Cx<'_>) {
        self.note(cx, "made");
        cx.set_timer(Duration::from_secs(1));
    }
    fn pipe_data_received(&mut self, cx: &mut Cx<'_>, _: PipeFd, _: Data<'_>) {
        self.note(cx, "data");
        (self.on_data)(cx);
    }
    fn pipe_connection_lost(&mut self, cx: &mut Cx<'_>, fd: PipeFd, _: Option<Error>) {
        self.note(cx, &format!("{fd:?} lost"));
    }
    fn process_exited(&mut self, cx: &mut Cx<'_>, _: ExitStatus) {
        self.note(cx, "exited");
    }
    fn pause_writing(&mut self, cx: &mut Cx<'_>) {
        self.note(cx, "pause");
    }
    fn resume_writing(&mut self, cx: &mut Cx<'_>) {
        self.note(cx, "resume");
    }
    fn timer(&mut self, cx: &mut Cx<'_>, _: TimerId) {
        self.note(cx, "timer");
    }
    fn connection_lost(self: Box<Self>, cx: &mut Cx<'_>, _: CloseReason) {
        self.note(cx, "lost");
    }
}

fn run(engine: &mut Engine<Log>) {
    engine.begin_round(Instant::ZERO);
    while engine.run_one_ready() {
        while let Some(key) = engine.next_due() {
            engine.deliver_edge(key);
        }
    }
}

fn receive(engine: &mut Engine<Log>, key: Key, bytes: &[u8]) {
    let mut block = BytesMut::from(bytes);
    engine.received(key, Data::new(&mut block, bytes.len()));
}

/// A child that is made, with its pipes.
fn child(protocol: Named) -> (Engine<Log>, TraceChecker, ProcessId) {
    let checker = TraceChecker::new();
    let mut engine = Engine::new(Log::new());
    engine.set_observer(checker.observer());
    let id = engine.hub().spawn(Command::new("anything"), protocol);
    assert!(matches!(engine.poll_op(), Some(Op::Spawn(..))));
    engine.spawned(id, Ok(1234));
    run(&mut engine);
    (engine, checker, id)
}

/// All that is left of it.
fn end(engine: &mut Engine<Log>, id: ProcessId) {
    engine.exited(id.key(), ExitStatus::exited(0));
    for fd in [PipeFd::Stdout, PipeFd::Stderr] {
        let pipe = engine.hub().pipe(id, fd).unwrap();
        engine.read_eof(pipe.key());
    }
    let stdin = engine.hub().pipe(id, PipeFd::Stdin).unwrap();
    engine.hub().close(stdin);
    for _ in 0..8 {
        run(engine);
    }
}

#[test]
fn another_protocol_gets_every_later_callback_and_the_old_one_comes_back() {
    //= LIFE-14, LIFE-15
    let (mut engine, _checker, id) = child(named("old"));
    let old = engine.hub().set_process_protocol(id, named("new"));
    assert!(old.is_some());
    assert_eq!(engine.hub().protocol::<Named>(id).unwrap().name, "new");
    let stdout = engine.hub().pipe(id, PipeFd::Stdout).unwrap();
    receive(&mut engine, stdout.key(), b"x");
    // A timer of the old one is silent.
    engine.set_now(Instant::ZERO.saturating_add(Duration::from_secs(2)));
    while engine.run_one_timer() {}
    end(&mut engine, id);
    let log = engine.state();
    assert_eq!(log[..2], ["old made", "new data"]);
    assert!(log.iter().skip(1).all(|what| what.starts_with("new ")), "{log:?}");
    assert_eq!(log.last().unwrap(), "new lost");
    assert!(!log.iter().any(|what| what.contains("timer")));
}

#[test]
fn a_protocol_that_hands_over_in_a_callback_of_a_pipe_is_not_put_back() {
    //= LIFE-14
    let (mut engine, _checker, id) = child(Named { name: "old", on_data: |cx| cx.set_protocol(named("new")) });
    for fd in [PipeFd::Stdout, PipeFd::Stderr] {
        let pipe = engine.hub().pipe(id, fd).unwrap();
        receive(&mut engine, pipe.key(), b"x");
    }
    end(&mut engine, id);
    let log = engine.state();
    assert_eq!(log[..3], ["old made", "old data", "new data"]);
    assert_eq!(log.last().unwrap(), "new lost");
}

#[test]
fn a_pause_of_stdin_is_resumed_for_the_new_one() {
    //= LIFE-14, PROC-14
    let (mut engine, _checker, id) = child(named("old"));
    let stdin = engine.hub().pipe(id, PipeFd::Stdin).unwrap();
    engine.hub().write(stdin, vec![7; 100_000]);
    while let Some(key) = engine.next_due() {
        engine.deliver_edge(key);
    }
    assert!(engine.hub().set_process_protocol(id, named("new")).is_some());
    engine.sent(stdin.key(), 100_000);
    while let Some(key) = engine.next_due() {
        engine.deliver_edge(key);
    }
    assert_eq!(*engine.state(), ["old made", "old pause", "new resume"]);
}

#[test]
fn a_child_that_is_gone_or_of_another_loop_takes_no_protocol() {
    //= RUST-10, LIFE-17
    let (mut engine, _checker, id) = child(named("old"));
    let mut other = Engine::with(Log::new(), LoopTag(1), plimsoll_core::BufPool::new());
    let foreign = other.hub().spawn(Command::new("anything"), named("foreign"));
    assert_eq!(foreign.key(), id.key());
    assert!(engine.hub().set_process_protocol(foreign, named("new")).is_none());
    assert_eq!(engine.hub().protocol::<Named>(id).unwrap().name, "old");
    end(&mut engine, id);
    assert_eq!(engine.state().last().unwrap(), "old lost");
    assert!(engine.hub().set_process_protocol(id, named("new")).is_none());
    assert!(engine.hub().protocol::<Named>(id).is_none());
}

#[test]
fn a_child_is_started_once_and_for_nobody_who_has_given_it_up() {
    //= PROC-1, LIFE-12, RUST-10
    let mut engine = Engine::new(Log::new());
    let id = engine.hub().spawn(Command::new("anything"), named("a"));
    let mut other = Engine::with(Log::new(), LoopTag(1), plimsoll_core::BufPool::new());
    let foreign = other.hub().spawn(Command::new("anything"), named("foreign"));
    assert!(engine.is_to_spawn(id) && !engine.is_to_spawn(foreign));
    engine.spawned(id, Ok(1234));
    assert!(!engine.is_to_spawn(id));
    let given_up = engine.hub().spawn(Command::new("anything"), named("b"));
    assert!(engine.is_to_spawn(given_up));
    engine.hub().abort(given_up);
    run(&mut engine);
    assert!(!engine.is_to_spawn(given_up));
}

#[test]
fn an_exit_that_cannot_be_found_out_and_a_signal_that_cannot_be_sent_are_reported() {
    //= PROC-9, PROC-11, PROC-16
    let (mut engine, _checker, id) = child(named("a"));
    engine.signal_failed(id, Error::new(Call::Signal, ErrorKind::PermissionDenied));
    assert!(matches!(engine.poll_report(), Some(Report::SignalFailed { id: told, .. }) if told == id.into()));
    assert!(engine.awaits_exit(id.key()));
    engine.exit_unknown(id.key(), Error::new(Call::Wait, ErrorKind::Closed));
    assert!(matches!(engine.poll_report(), Some(Report::ExitUnknown { id: told, .. }) if told == id.into()));
    assert!(!engine.awaits_exit(id.key()));
    assert_eq!(engine.hub().returncode(id), Some(255));
    run(&mut engine);
    assert_eq!(*engine.state(), ["a made", "a exited"]);
}

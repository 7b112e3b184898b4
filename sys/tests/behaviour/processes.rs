//! Child processes.

use crate::backend::{
    CloseReason, Command, CommandExt, Context, Data, Error, ErrorKind, ExitStatus, HubExt, OpenError, PipeFd, ProcessId, Refusal,
    Stdio, SubprocessProtocol, WriteStatus,
};
use crate::behaviour::kit::{PATIENCE, Rig, State, Tap, pattern};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

type Cx<'a> = Context<'a, State, ProcessId>;
type Act = Box<dyn FnMut(&mut Cx<'_>)>;

/// Notes each callback under its name, as a `Tap` does.
struct Child {
    name: &'static str,
    out: &'static str,
    err: &'static str,
    acts: BTreeMap<&'static str, Act>,
}

fn child() -> Child {
    Child { name: "child", out: "out", err: "err", acts: BTreeMap::new() }
}

impl Child {
    /// Does this in each callback of that name: `made`, `data`, `plost`, `exited`, `pause`, `resume`, `lost`, `refused`.
    fn on(mut self, callback: &'static str, act: impl FnMut(&mut Cx<'_>) + 'static) -> Self {
        self.acts.insert(callback, Box::new(act));
        self
    }

    fn act(&mut self, cx: &mut Cx<'_>, callback: &'static str) {
        if let Some(act) = self.acts.get_mut(callback) {
            act(cx);
        }
    }
}

impl SubprocessProtocol<State> for Child {
    fn connection_made(&mut self, cx: &mut Cx<'_>) {
        assert!(cx.pid().is_some());
        cx.state.note(format!("{} made", self.name));
        self.act(cx, "made");
    }

    fn pipe_data_received(&mut self, cx: &mut Cx<'_>, fd: PipeFd, data: Data<'_>) {
        let name = if fd == PipeFd::Stdout { self.out } else { self.err };
        cx.state.bytes.entry(name).or_default().extend_from_slice(&data);
        self.act(cx, "data");
    }

    fn pipe_connection_lost(&mut self, cx: &mut Cx<'_>, fd: PipeFd, error: Option<Error>) {
        let why = error.map_or("None".into(), |error| format!("{:?}", error.kind()));
        cx.state.note(format!("{} plost({}, {why})", self.name, fd as u8));
        self.act(cx, "plost");
    }

    fn process_exited(&mut self, cx: &mut Cx<'_>, status: ExitStatus) {
        assert_eq!(cx.returncode(), Some(status.returncode()));
        assert_eq!(cx.hub.kill(cx.id).unwrap_err().kind(), ErrorKind::ProcessGone);
        cx.state.note(format!("{} exited({})", self.name, status.returncode()));
        self.act(cx, "exited");
    }

    fn pause_writing(&mut self, cx: &mut Cx<'_>) {
        cx.state.note(format!("{} pause", self.name));
        self.act(cx, "pause");
    }

    fn resume_writing(&mut self, cx: &mut Cx<'_>) {
        cx.state.note(format!("{} resume", self.name));
        self.act(cx, "resume");
    }

    fn timer(&mut self, cx: &mut Cx<'_>, _: crate::backend::TimerId) {
        cx.state.note(format!("{} timer", self.name));
        self.act(cx, "timer");
    }

    fn open_failed(mut self: Box<Self>, cx: &mut Cx<'_>, error: OpenError) {
        cx.state.note(format!("{} failed({:?})", self.name, error.error().kind()));
        cx.state.refusals.push(error);
        self.act(cx, "refused");
    }

    fn connection_lost(mut self: Box<Self>, cx: &mut Cx<'_>, reason: CloseReason) {
        assert!(cx.hub.is_closing(cx.id));
        let why = reason.error().map_or("None".into(), |error| format!("{:?}", error.kind()));
        cx.state.note(format!("{} lost({why})", self.name));
        cx.state.reasons.push(reason);
        self.act(cx, "lost");
    }
}

fn spawn(rig: &mut Rig, command: Command, protocol: Child) -> ProcessId {
    rig.event_loop.hub().spawn(command, protocol)
}

/// The log, sorted where the contract leaves the order free: between the first entry and the last.
fn sorted(rig: &mut Rig) -> Vec<String> {
    let mut log = rig.state().log.clone();
    let inner = 1..log.len().max(2) - 1;
    log[inner].sort();
    log
}

/// Whether there is such a process, dead or alive, that is ours.
fn is_there(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().unwrap().split_whitespace().nth(1) == Some(&std::process::id().to_string()))
}

#[test]
fn a_child_is_made_writes_exits_and_is_lost() {
    //= PROC-1, PROC-3, PROC-4, PROC-5, PROC-6, PROC-7, PROC-9, PROC-17, LIFE-16
    let mut rig = Rig::new();
    let protocol = child().on("made", |cx| assert!(!cx.hub.is_closing(cx.id)));
    let id = spawn(&mut rig, Command::shell("echo out; echo err >&2; exit 7"), protocol);
    assert_eq!((rig.event_loop.hub().pid(id), rig.event_loop.hub().returncode(id)), (None, None));
    rig.until_saw("child lost(None)");
    let expected = [
        "child made",
        "child exited(7)",
        "child plost(0, None)",
        "child plost(1, None)",
        "child plost(2, None)",
        "child lost(None)",
    ];
    assert_eq!(sorted(&mut rig), expected);
    assert_eq!(rig.state().received("out"), b"out\n");
    assert_eq!(rig.state().received("err"), b"err\n");
    let hub = rig.event_loop.hub();
    assert_eq!((hub.pid(id), hub.returncode(id), hub.pipe(id, PipeFd::Stdout), hub.is_closing(id)), (None, None, None, true));
    assert_eq!(hub.signal(id, 15).unwrap_err().kind(), ErrorKind::ProcessGone);
}

#[test]
fn stdin_is_written_to_and_finished() {
    //= PROC-10, PROC-14, PIPE-9, RUST-5
    let mut rig = Rig::new();
    let id = spawn(&mut rig, Command::new("cat"), child());
    let hub = rig.event_loop.hub();
    let (stdin, stdout) = (hub.pipe(id, PipeFd::Stdin).unwrap(), hub.pipe(id, PipeFd::Stdout).unwrap());
    // Before it is there, too.
    assert_eq!(hub.write(stdin, "hello "), WriteStatus::Accepted);
    assert_eq!(hub.write(stdout, "x"), WriteStatus::Refused(Refusal::Unsupported));
    rig.until_saw("child made");
    rig.event_loop.hub().write(stdin, "child");
    rig.until(|state| state.received("out") == b"hello child");
    rig.event_loop.hub().write_eof(stdin).unwrap();
    rig.until_saw("child lost(None)");
    assert_eq!(rig.event_loop.hub().pipe(id, PipeFd::Stdin), None);
    assert!(rig.state().saw("child plost(0, None)") && rig.state().saw("child exited(0)"));
}

#[test]
fn a_million_bytes_and_an_exit_lose_nothing() {
    //= PROC-2, PROC-4, PROC-5, PROC-7, READ-1
    let mut rig = Rig::new();
    spawn(&mut rig, Command::shell("head -c 1048576 /dev/zero | tr '\\0' 'x'; head -c 300000 /dev/zero >&2"), child());
    rig.until_saw("child lost(None)");
    assert!(rig.state().received("out").len() == 1 << 20 && rig.state().received("out").iter().all(|&byte| byte == b'x'));
    assert_eq!(rig.state().received("err").len(), 300_000);
}

#[test]
fn flow_control_of_stdin_reaches_the_protocol_and_every_byte_comes_back() {
    //= PROC-14, FLOW-1, FLOW-6, FLOW-7, PIPE-10
    let mut rig = Rig::new();
    let id = spawn(&mut rig, Command::new("cat"), child());
    let stdin = rig.event_loop.hub().pipe(id, PipeFd::Stdin).unwrap();
    let sent = pattern(1_000_000);
    assert_eq!(rig.event_loop.hub().write(stdin, &sent[..]), WriteStatus::Paused);
    rig.event_loop.hub().write_eof(stdin).unwrap();
    rig.until_saw("child lost(None)");
    assert!(rig.state().received("out") == sent);
    assert_eq!((rig.state().times("child pause"), rig.state().times("child resume")), (1, 1));
    assert_eq!(rig.state().log[..2], ["child made", "child pause"]);
}

#[test]
fn a_child_that_goes_breaks_what_is_queued_for_it() {
    //= PROC-14, PIPE-7
    let mut rig = Rig::new();
    let id = spawn(&mut rig, Command::shell("exit 0"), child());
    let stdin = rig.event_loop.hub().pipe(id, PipeFd::Stdin).unwrap();
    rig.event_loop.hub().write(stdin, vec![0; 1_000_000]);
    rig.until_saw("child lost(None)");
    assert!(rig.state().saw("child plost(0, BrokenPipe)"));
    assert_eq!(rig.event_loop.hub().write(stdin, "x"), WriteStatus::Discarded);
}

#[test]
fn a_grandchild_on_a_pipe_delays_its_end_and_the_loss_but_not_the_exit() {
    //= PROC-8, PROC-6, PROC-9
    let mut rig = Rig::new();
    let id = spawn(&mut rig, Command::shell("exec 5<&0; (read line <&5; echo late) & echo early; exit 3"), child());
    rig.until_saw("child exited(3)");
    rig.until(|state| state.received("out") == b"early\n");
    assert!(!rig.settle().iter().any(|entry| entry.contains("lost(")));
    let hub = rig.event_loop.hub();
    assert_eq!((hub.returncode(id), hub.pid(id).is_some()), (Some(3), true));
    let stdin = hub.pipe(id, PipeFd::Stdin).unwrap();
    hub.write(stdin, "go\n");
    rig.until_saw("child lost(None)");
    assert_eq!(rig.state().received("out"), b"early\nlate\n");
}

#[test]
fn close_kills_a_child_that_runs_and_leaves_one_that_has_finished_alone() {
    //= PROC-13, PROC-17, PROC-16
    let mut rig = Rig::new();
    let id = spawn(&mut rig, Command::shell("trap '' TERM; echo ready; while :; do sleep 60; done"), child());
    rig.until(|state| state.received("out") == b"ready\n");
    let pid = rig.event_loop.hub().pid(id).unwrap();
    let hub = rig.event_loop.hub();
    // It ignores the polite one.
    hub.terminate(id).unwrap();
    assert!(!rig.settle().iter().any(|entry| entry.contains("exited")));
    let hub = rig.event_loop.hub();
    hub.close(id);
    assert!(hub.is_closing(id));
    hub.close(id);
    rig.until_saw("child lost(None)");
    let expected = [
        "child made",
        "child exited(-9)",
        "child plost(0, None)",
        "child plost(1, None)",
        "child plost(2, None)",
        "child lost(None)",
    ];
    assert_eq!(sorted(&mut rig), expected);
    assert!(!is_there(pid), "a zombie");

    // Finished, and a grandchild holds its pipes: they are released.
    rig.state().log.clear();
    let id = spawn(&mut rig, Command::shell("sleep 60 & exit 5"), child());
    rig.until_saw("child exited(5)");
    rig.event_loop.hub().close(id);
    rig.until_saw("child lost(None)");
    assert_eq!(rig.state().times("child exited(5)"), 1);
    assert!(rig.reported().is_empty());
}

#[test]
fn signals_reach_the_child_and_bad_ones_are_refused() {
    //= PROC-11, PROC-12, PROC-9
    let mut rig = Rig::new();
    let id = spawn(&mut rig, Command::shell("trap 'echo usr1; exit 4' USR1; echo ready; while :; do sleep 0.01; done"), child());
    rig.until(|state| state.received("out") == b"ready\n");
    let hub = rig.event_loop.hub();
    for bad in [-1, 0, 32, 64, 1000] {
        assert_eq!(hub.signal(id, bad).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    hub.signal(id, 10).unwrap();
    rig.until_saw("child lost(None)");
    assert_eq!(rig.state().received("out"), b"ready\nusr1\n");
    assert!(rig.state().saw("child exited(4)"));

    rig.state().log.clear();
    let id = spawn(&mut rig, Command::new("sleep").arg("60"), child());
    // As soon as there is an id, although there is no child yet.
    rig.event_loop.hub().terminate(id).unwrap();
    rig.until_saw("child lost(None)");
    assert!(rig.state().saw("child exited(-15)"));

    // A zombie that nobody has noticed takes a signal.
    rig.state().log.clear();
    let id = spawn(&mut rig, Command::new("true"), child().on("made", |_| std::thread::sleep(Duration::from_millis(50))));
    rig.until_saw("child made");
    rig.event_loop.hub().kill(id).ok();
    rig.until_saw("child lost(None)");
    assert!(rig.state().saw("child exited(0)") && rig.reported().is_empty());
}

#[test]
fn what_cannot_be_started_is_told_and_leaves_nothing() {
    //= PROC-1, RUST-6
    let mut rig = Rig::new();
    let refused = [
        (Command::new(""), ErrorKind::InvalidInput),
        (Command::new("a\0b"), ErrorKind::InvalidInput),
        (Command::new("true").arg("a\0b"), ErrorKind::InvalidInput),
        (Command::new("true").env("A=B", "c"), ErrorKind::InvalidInput),
        (Command::new("true").env("", "c"), ErrorKind::InvalidInput),
        (Command::new("true").env("A", "c\0"), ErrorKind::InvalidInput),
        (Command::new("true").current_dir("a\0b"), ErrorKind::InvalidInput),
        (Command::new("true").stdin(Stdio::Stdout), ErrorKind::InvalidInput),
        (Command::new("true").pass(2, File::open("/dev/null").unwrap()), ErrorKind::InvalidInput),
        (Command::new("true").stdin(Stdio::Given(crate::backend::Resource::new("no descriptor"))), ErrorKind::InvalidInput),
        (Command::new("/nonexistent/program"), ErrorKind::NotFound),
        (Command::new("true").current_dir("/nonexistent"), ErrorKind::NotFound),
        (Command::new("/etc/passwd"), ErrorKind::PermissionDenied),
    ];
    for (command, kind) in refused {
        let id = spawn(&mut rig, command, child());
        let stdin = rig.event_loop.hub().pipe(id, PipeFd::Stdin);
        if let Some(stdin) = stdin {
            rig.event_loop.hub().write(stdin, "never");
        }
        let what = format!("child failed({kind:?})");
        rig.until_saw(&what);
        assert_eq!(rig.state().log, [what]);
        rig.state().log.clear();
        if let Some(stdin) = stdin {
            assert_eq!(rig.event_loop.hub().write(stdin, "x"), WriteStatus::Discarded);
        }
    }
    assert!(rig.reported().is_empty());
}

#[test]
fn standard_descriptors_can_be_null_given_or_joined() {
    //= PROC-3, PROC-10
    let mut rig = Rig::new();
    let command = Command::shell("cat; echo one; echo two >&2; echo three").stdin(Stdio::Null).stderr(Stdio::Stdout);
    let id = spawn(&mut rig, command, child());
    let hub = rig.event_loop.hub();
    assert_eq!((hub.pipe(id, PipeFd::Stdin), hub.pipe(id, PipeFd::Stderr)), (None, None));
    assert!(hub.pipe(id, PipeFd::Stdout).is_some());
    rig.until_saw("child lost(None)");
    assert_eq!(rig.state().received("out"), b"one\ntwo\nthree\n");
    assert_eq!(sorted(&mut rig), ["child made", "child exited(0)", "child plost(1, None)", "child lost(None)"]);

    // No pipes at all: the exit is the end.
    rig.state().log.clear();
    let file = tempfile();
    let mut read = file.try_clone().unwrap();
    let mut input = tempfile();
    input.write_all(b"from a file\n").unwrap();
    input.seek(SeekFrom::Start(0)).unwrap();
    let command = Command::shell("cat; echo to a file; echo error >&2").stdin_from(input).stdout_to(file).stderr(Stdio::Stdout);
    spawn(&mut rig, command, child());
    rig.until_saw("child lost(None)");
    assert_eq!(rig.state().log, ["child made", "child exited(0)", "child lost(None)"]);
    let mut all = String::new();
    read.seek(SeekFrom::Start(0)).unwrap();
    read.read_to_string(&mut all).unwrap();
    assert_eq!(all, "from a file\nto a file\nerror\n");

    rig.state().log.clear();
    let command = Command::shell("echo error >&2").stdout(Stdio::Null).stdin(Stdio::Inherit).stderr_to(tempfile());
    spawn(&mut rig, command, child());
    let null = Command::shell("echo both; echo both >&2").stdout(Stdio::Null).stderr(Stdio::Stdout);
    spawn(&mut rig, null, child());
    rig.until(|state| state.times("child lost(None)") == 2);
}

/// An unnamed file.
fn tempfile() -> File {
    let path = std::env::temp_dir().join(format!("plimsoll-{}-{:?}", std::process::id(), std::thread::current().id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

#[test]
fn environment_directory_arguments_and_descriptors_are_those_that_were_asked_for() {
    //= PROC-3, PROC-1
    let mut rig = Rig::new();
    let mut extra = tempfile();
    extra.write_all(b"seven").unwrap();
    extra.seek(SeekFrom::Start(0)).unwrap();
    let command = Command::new("/bin/sh")
        .args(["-c", "echo \"$0 $1 $A ${HOME-none} $(pwd)\"; cat <&7; ls -l /proc/self/fd | wc -l"])
        .args(["zero", "one two"])
        .env("A", "b c")
        .env("PATH", "/usr/bin:/bin")
        .env_clear()
        .current_dir("/usr")
        .pass(7, extra);
    spawn(&mut rig, command, child());
    rig.until_saw("child lost(None)");
    let out = String::from_utf8(rig.state().received("out").to_vec()).unwrap();
    let mut lines = out.lines();
    assert_eq!(lines.next(), Some("zero one two b c none /usr"));
    let rest = lines.next().unwrap();
    // 0, 1, 2, 7, the directory that ls reads, and the line "total": nothing of ours has got into it but what whoever started the test has left open for
    // everybody.
    let expected = (6 + inherited()).to_string();
    assert_eq!(rest.strip_prefix("seven").map(str::trim), Some(&*expected), "{out}");

    rig.state().log.clear();
    rig.state().bytes.clear();
    spawn(&mut rig, Command::shell("echo ${HOME-none} ${A-none}").env_remove("HOME"), child());
    rig.until_saw("child lost(None)");
    assert_eq!(rig.state().received("out"), b"none none\n");
}

/// How many descriptors, beside the standard three, every child of this process gets.
fn inherited() -> usize {
    let open = std::fs::read_dir("/proc/self/fdinfo").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        let number: i32 = entry.file_name().to_str()?.parse().ok()?;
        let info = std::fs::read_to_string(entry.path()).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let closed_on_exec = u32::from_str_radix(flags.trim(), 8).ok()? & 0o2_000_000 != 0;
        Some(number > 2 && !closed_on_exec)
    });
    open.filter(|&open| open).count()
}

#[test]
fn closing_or_pausing_one_pipe_affects_that_one_only() {
    //= PROC-14, READ-5
    let mut rig = Rig::new();
    let id = spawn(
        &mut rig,
        Command::shell("echo out; echo err >&2"),
        child().on("made", |cx| {
            let stdout = cx.pipe(PipeFd::Stdout).unwrap();
            cx.hub.pause_reading(stdout);
        }),
    );
    rig.until_saw("child plost(2, None)");
    rig.until_saw("child exited(0)");
    rig.settle();
    assert!(rig.state().received("out").is_empty() && !rig.state().saw("child lost(None)"));
    let stdout = rig.event_loop.hub().pipe(id, PipeFd::Stdout).unwrap();
    rig.event_loop.hub().resume_reading(stdout);
    rig.until_saw("child lost(None)");
    assert_eq!(rig.state().received("out"), b"out\n");

    rig.state().log.clear();
    let id = spawn(
        &mut rig,
        // A child that another test is just starting may have our end for a moment: one writes until nobody reads.
        Command::shell("read line; while echo x; do sleep 0.01; done; exit 9"),
        child().on("made", |cx| {
            let stdout = cx.pipe(PipeFd::Stdout).unwrap();
            cx.hub.close(stdout);
        }),
    );
    // Not before: a fast child could still write to it.
    rig.until_saw("child plost(1, None)");
    let stdin = rig.event_loop.hub().pipe(id, PipeFd::Stdin).unwrap();
    rig.event_loop.hub().write(stdin, "go\n");
    // By a signal or an error, as the shell has it: it could not write.
    rig.until_saw("child lost(None)");
    assert!(rig.state().saw("child exited(-13)") || rig.state().saw("child exited(9)"));
}

#[test]
fn a_pipe_can_have_a_protocol_of_its_own_and_the_child_hears_of_its_end() {
    //= LIFE-14, PROC-5
    let mut rig = Rig::new();
    let id = spawn(&mut rig, Command::shell("echo to the tap"), child());
    let stdout = rig.event_loop.hub().pipe(id, PipeFd::Stdout).unwrap();
    rig.event_loop.hub().set_protocol(stdout, Tap::new("tap"));
    rig.until_saw("child lost(None)");
    assert_eq!(rig.state().received("tap"), b"to the tap\n");
    let at = |state: &State, what: &str| state.log.iter().position(|entry| entry == what).expect("it was noted");
    let state = rig.state();
    assert!(at(state, "tap lost(None)") < at(state, "child plost(1, None)"));
    assert!(state.received("out").is_empty());
}

#[test]
fn a_failing_callback_kills_the_child_and_its_loss_is_last() {
    //= RUST-8, PROC-5, PROC-6, PROC-7
    for (callback, panics) in
        [("made", true), ("made", false), ("data", true), ("data", false), ("plost", true), ("exited", true)]
    {
        let mut rig = Rig::new();
        let protocol = child().on(callback, move |cx| {
            // Once: what follows is told.
            if core::mem::replace(&mut cx.state.count, 1) == 0 {
                assert!(!panics, "in {callback}");
                cx.fail("failed");
            }
        });
        spawn(
            &mut rig,
            Command::shell("echo x; exec 2>&-; while [ \"$0\" != exited ]; do sleep 60; done").arg(callback),
            protocol,
        );
        rig.until_saw("child lost(CallbackFailed)");
        let log = sorted(&mut rig);
        assert_eq!(log.last().unwrap(), "child lost(CallbackFailed)");
        assert_eq!(log.iter().filter(|entry| entry.contains("plost")).count(), 3, "{log:?}");
        assert_eq!(log.iter().filter(|entry| entry.contains("exited")).count(), 1, "{log:?}");
        let reports = rig.reported();
        assert_eq!(reports.len(), 1, "{callback}: {reports:?}");
    }
}

#[test]
fn cancelling_a_spawn_leaves_no_child_and_calls_nothing() {
    //= PROC-15, RUST-9, PROC-16
    let mut rig = Rig::new();
    // Before it is started.
    let id = spawn(&mut rig, Command::shell("sleep 60"), child());
    rig.event_loop.hub().close(id);
    rig.settle();
    // After it was started, before it was made: the one that is asked for first is made first, and cancels the other.
    let other = std::rc::Rc::new(std::cell::Cell::new(None));
    let target = other.clone();
    let pid = std::rc::Rc::new(std::cell::Cell::new(None));
    let seen = pid.clone();
    spawn(
        &mut rig,
        Command::new("true"),
        Child { name: "first", ..child() }.on("made", move |cx| {
            let id = target.get().unwrap();
            seen.set(cx.hub.pid(id));
            cx.hub.close(id);
            assert!(cx.hub.is_closing(id));
            assert_eq!(cx.hub.kill(id).unwrap_err().kind(), ErrorKind::ProcessGone);
        }),
    );
    other.set(Some(spawn(&mut rig, Command::new("sleep").arg("60"), child())));
    rig.until_saw("first lost(None)");
    until_gone(&mut rig, pid.get().expect("it was started"));
    assert!(rig.state().log.iter().all(|entry| entry.starts_with("first")));
    // In `connection_made` it is a close like any other.
    rig.state().log.clear();
    spawn(&mut rig, Command::new("sleep").arg("60"), child().on("made", |cx| cx.close()));
    rig.until_saw("child lost(None)");
    assert!(rig.state().saw("child exited(-9)") && rig.state().saw("child plost(1, None)"));
}

#[track_caller]
fn until_gone(rig: &mut Rig, pid: u32) {
    let deadline = Instant::now() + PATIENCE;
    while is_there(pid) {
        assert!(Instant::now() < deadline, "{pid} is still there");
        rig.event_loop.run_once(Some(Duration::from_millis(5))).unwrap();
    }
}

#[test]
fn five_hundred_fast_children_in_a_row() {
    //= PROC-2, PROC-7, PROC-16
    let mut rig = Rig::new();
    for n in 0..500 {
        let command = Command::new(if n % 2 == 0 { "true" } else { "false" });
        let id = spawn(&mut rig, command, child());
        rig.until(|state| state.reasons.len() == n + 1);
        assert_eq!(rig.event_loop.hub().pid(id), None);
        let expected = format!("child exited({})", n % 2);
        assert_eq!(rig.state().log.len(), 6);
        assert!(rig.state().saw(&expected));
        rig.state().log.clear();
    }
    let children = std::fs::read_to_string(format!("/proc/self/task/{}/children", rustix::thread::gettid())).unwrap_or_default();
    for pid in children.split_whitespace() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(!stat.contains(") Z "), "a zombie: {stat}");
    }
    assert!(rig.reported().is_empty());
}

#[test]
fn many_children_at_once_and_none_of_the_processs_other_ones_is_reaped() {
    //= PROC-16, PROC-2
    let mut rig = Rig::new();
    let mut foreign = std::process::Command::new("sh").args(["-c", "exit 42"]).spawn().unwrap();
    for _ in 0..60 {
        spawn(&mut rig, Command::shell("echo x"), child());
    }
    rig.until(|state| state.reasons.len() == 60);
    assert_eq!(rig.state().received("out").len(), 120);
    assert_eq!(foreign.wait().unwrap().code(), Some(42));
}

#[test]
fn closing_the_loop_kills_and_reaps_its_children() {
    //= LIFE-18
    let mut rig = Rig::new();
    let id = spawn(&mut rig, Command::shell("trap '' TERM; echo x; while :; do sleep 60; done"), child());
    rig.until(|state| !state.received("out").is_empty());
    let pid = rig.event_loop.hub().pid(id).unwrap();
    let begun = Instant::now();
    rig.event_loop.close();
    assert!(!is_there(pid) && begun.elapsed() < Duration::from_secs(1));
    let reported = rig.reported();
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert!(rig.state().log.len() == 1);
}

#[test]
fn timers_belong_to_a_child_too() {
    //= LIFE-14, LOOP-31
    let mut rig = Rig::new();
    let protocol = child()
        .on("made", |cx| {
            cx.set_timer(Duration::from_millis(5));
        })
        .on("timer", |cx| cx.terminate().unwrap());
    spawn(&mut rig, Command::new("sleep").arg("60"), protocol);
    rig.until_saw("child lost(None)");
    assert!(rig.state().saw("child timer") && rig.state().saw("child exited(-15)"));
}

#[test]
fn a_child_can_be_looked_at_until_it_is_reaped() {
    //= INFO-6, PROC-9
    let mut rig = Rig::new();
    let look = |cx: &mut Cx<'_>| {
        let pid = cx.pid();
        let seen = std::rc::Rc::new(std::cell::Cell::new(false));
        let mark = seen.clone();
        cx.hub.with_process(cx.id, move |child| {
            assert_eq!(Some(child.pid()), pid);
            assert!(!child.has_ended() && is_there(child.pid()));
            mark.set(true);
        });
        cx.hub.call_soon(move |_, state| state.note(format!("seen: {}", seen.get())));
    };
    let id = spawn(&mut rig, Command::new("cat"), child().on("made", look));
    rig.event_loop.hub().with_process(id, |_| panic!("it is not there yet"));
    assert!(rig.event_loop.process(id).is_none());
    rig.until_saw("seen: true");
    let pid = rig.event_loop.hub().pid(id).unwrap();
    assert_eq!(rig.event_loop.process(id).unwrap().pid(), pid);
    assert!(rig.event_loop.socket(id).is_none());
    rig.event_loop.hub().with_socket(id, |_| panic!("it is not a socket"));
    // It ends, and the loop does not know it yet.
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), rustix::process::Signal::KILL).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !rig.event_loop.process(id).unwrap().has_ended() {
        assert!(Instant::now() < deadline);
    }
    rig.until_saw("child exited(-9)");
    assert!(rig.event_loop.process(id).is_none(), "reaped: the number may be another's");
    rig.event_loop.hub().with_process(id, |_| panic!("it is reaped"));
    rig.until_saw("child lost(None)");
    assert!(rig.event_loop.process(id).is_none());
    rig.settle();
    assert_eq!(rig.reported(), [""; 0]);
}

#[test]
fn a_child_is_handed_to_another_protocol_by_what_it_says() {
    //= LIFE-14
    let mut rig = Rig::new();
    let hand_over = |cx: &mut Cx<'_>| cx.set_protocol(Child { name: "second", out: "more", ..child() });
    let id = spawn(&mut rig, Command::new("cat"), child().on("data", hand_over));
    let stdin = rig.event_loop.hub().pipe(id, PipeFd::Stdin).unwrap();
    rig.event_loop.hub().write(stdin, "one");
    rig.until(|state| state.received("out") == b"one");
    rig.event_loop.hub().write(stdin, "two");
    rig.until(|state| state.received("more") == b"two");
    rig.event_loop.hub().close(stdin);
    rig.until_saw("second lost(None)");
    assert!(rig.state().saw("second exited(0)"));
    assert_eq!(rig.state().received("out"), b"one");
    assert_eq!(rig.state().times("child exited(0)"), 0);
}

#[test]
fn the_pipes_of_a_child_can_be_looked_at() {
    //= INFO-6
    let mut rig = Rig::new();
    let id = spawn(&mut rig, Command::new("cat"), child());
    rig.until_saw("child made");
    let seen = std::rc::Rc::new(std::cell::Cell::new(0));
    for fd in PipeFd::ALL {
        let seen = seen.clone();
        let pipe = rig.event_loop.hub().pipe(id, fd).unwrap();
        rig.event_loop.hub().with_pipe(pipe, move |pipe| {
            assert_eq!(pipe.kind().unwrap(), crate::backend::PipeKind::Pipe);
            seen.set(seen.get() + 1);
        });
    }
    rig.settle();
    assert_eq!(seen.get(), 3);
    rig.event_loop.hub().close(id);
    rig.until_saw("child lost(None)");
}

//! Ends of pipes, FIFOs, sockets and terminals.

use crate::backend::{ErrorKind, HubExt, PipeKind, Refusal, WriteLimits, WriteStatus};
use crate::behaviour::kit::{PATIENCE, Rig, Tap, pattern};
use crate::behaviour::missing::missing;
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).unwrap()
}

/// A pipe that is read by us, and written by the test.
fn read_end(rig: &mut Rig, tap: Tap) -> File {
    let (reader, writer) = pipe();
    rig.event_loop.hub().connect_read_pipe(reader, tap);
    writer.into()
}

/// A pipe that is written by us, and read by the test.
fn write_end(rig: &mut Rig, tap: Tap) -> File {
    let (reader, writer) = pipe();
    rig.event_loop.hub().connect_write_pipe(writer, tap);
    reader.into()
}

/// A FIFO in a directory of its own, gone with this.
struct Fifo(PathBuf);

impl Fifo {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("plimsoll-{}-{name}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn open(&self, flags: OFlags) -> OwnedFd {
        rustix::fs::open(&self.0, flags | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).unwrap()
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

/// Both sides of a terminal.
fn terminal() -> (OwnedFd, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let mut raw = rustix::termios::tcgetattr(&slave).unwrap();
    raw.make_raw();
    rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &raw).unwrap();
    (master, slave)
}

#[test]
fn a_read_pipe_brings_the_bytes_and_then_its_end_whatever_the_protocol_answers() {
    //= PIPE-1, PIPE-2, READ-1
    let mut rig = Rig::new();
    let closing = |cx: &mut crate::backend::Context<'_, super::kit::State>| assert!(cx.hub.is_closing(cx.id));
    let mut writer = read_end(&mut rig, Tap::new("r").keep_open().on("eof", closing));
    rig.until_saw("r made");
    let sent = pattern(100_000);
    let expected = sent.clone();
    let peer = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    rig.until_saw("r lost(None)");
    peer.join().unwrap();
    assert_eq!(rig.state().log, ["r made", "r data", "r eof", "r lost(None)"]);
    assert_eq!(rig.state().received("r"), expected);
}

#[test]
fn a_paused_read_pipe_keeps_bytes_and_end_until_it_is_resumed() {
    //= PIPE-3, READ-5, READ-6, READ-9, LIFE-7
    let mut rig = Rig::new();
    let mut writer = read_end(&mut rig, Tap::new("r").on("made", |cx| cx.pause_reading()));
    writer.write_all(b"kept").unwrap();
    drop(writer);
    rig.until_saw("r made");
    assert_eq!(rig.settle(), ["r made"]);
    let id = rig.state().id("r");
    rig.event_loop.hub().resume_reading(id);
    rig.until_saw("r lost(None)");
    assert_eq!(rig.state().log, ["r made", "r data", "r eof", "r lost(None)"]);
}

#[test]
fn closing_a_read_pipe_tells_no_end_and_what_it_does_not_have_is_refused() {
    //= PIPE-4, PIPE-1, RUST-5
    let mut rig = Rig::new();
    let mut writer = read_end(&mut rig, Tap::new("r"));
    rig.until_saw("r made");
    let id = rig.state().id("r");
    let hub = rig.event_loop.hub();
    assert_eq!(hub.write(id, "x"), WriteStatus::Refused(Refusal::Unsupported));
    assert_eq!(hub.write_eof(id), Err(Refusal::Unsupported));
    assert_eq!(hub.set_write_buffer_limits(id, WriteLimits::DEFAULT), WriteStatus::Refused(Refusal::Unsupported));
    assert_eq!((hub.can_write_eof(id), hub.write_buffer_limits(id), hub.is_closing(id)), (false, None, false));
    writer.write_all(b"unread").unwrap();
    hub.close(id);
    rig.until_saw("r lost(None)");
    assert_eq!(rig.state().log, ["r made", "r lost(None)"]);
    assert_eq!(writer.write(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn a_write_pipe_sends_in_order_pauses_above_high_and_resumes_at_low() {
    //= PIPE-6, PIPE-10, WRITE-1, WRITE-3, FLOW-6, FLOW-7
    let mut rig = Rig::new();
    let mut reader = write_end(
        &mut rig,
        Tap::new("w").on("resume", |cx| {
            assert!(cx.hub.write_buffer_size(cx.id) <= 16 * 1024);
            assert!(cx.hub.write_buffer_size(cx.id) > 0, "CPython waits until it is empty, we do not");
        }),
    );
    rig.until_saw("w made");
    let id = rig.state().id("w");
    let sent = pattern(300_000);
    assert_eq!(rig.event_loop.hub().write(id, &sent[..]), WriteStatus::Paused);
    rig.until_saw("w pause");
    let mut received = vec![0; sent.len()];
    // Slowly, so that the low mark is passed while something is left.
    let mut at = 0;
    while at < received.len() {
        let most = received.len().min(at + 4096);
        reader.read_exact(&mut received[at..most]).unwrap();
        at = most;
        rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    }
    assert!(received == sent);
    rig.until_saw("w resume");
    assert_eq!(rig.event_loop.hub().write_eof(id), Ok(()));
    rig.until_saw("w lost(None)");
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    assert_eq!(rig.state().log, ["w made", "w pause", "w resume", "w lost(None)"]);
}

#[test]
fn write_eof_closes_a_write_pipe_and_refuses_what_comes_later() {
    //= PIPE-9, EOF-7, EOF-8, WRITE-8
    let mut rig = Rig::new();
    let (reader, writer) = pipe();
    let id = rig.event_loop.hub().connect_write_pipe(writer, Tap::new("w"));
    // Before it is there, too.
    rig.event_loop.hub().write(id, "early ");
    rig.until_saw("w made");
    let hub = rig.event_loop.hub();
    assert!(hub.can_write_eof(id));
    hub.write(id, "and late");
    assert_eq!(hub.write_eof(id), Ok(()));
    assert!(hub.is_closing(id));
    assert_eq!(hub.write_eof(id), Ok(()));
    assert_eq!(hub.write(id, "x"), WriteStatus::Refused(Refusal::AfterEof));
    rig.until_saw("w lost(None)");
    let mut all = String::new();
    File::from(reader).read_to_string(&mut all).unwrap();
    assert_eq!(all, "early and late");
    // Given to a pipe that is not there yet it waits for `connection_made`.
    let (reader, writer) = pipe();
    let id = rig.event_loop.hub().connect_write_pipe(writer, Tap::new("x").on("made", |cx| assert!(cx.hub.is_closing(cx.id))));
    rig.event_loop.hub().write(id, "bytes");
    assert_eq!(rig.event_loop.hub().write_eof(id), Ok(()));
    rig.until_saw("x lost(None)");
    all.clear();
    File::from(reader).read_to_string(&mut all).unwrap();
    assert_eq!(all, "bytes");
}

#[test]
fn a_reader_that_goes_away_ends_an_idle_write_pipe_without_an_error_and_a_busy_one_with_it() {
    //= PIPE-7, PIPE-8, PIPE-12
    let mut rig = Rig::new();
    let reader = write_end(&mut rig, Tap::new("idle"));
    rig.until_saw("idle made");
    rig.settle();
    drop(reader);
    rig.until_saw("idle lost(None)");

    let reader = write_end(&mut rig, Tap::new("busy"));
    rig.until_saw("busy made");
    let id = rig.state().id("busy");
    rig.event_loop.hub().write(id, vec![7; 200_000]);
    rig.until_saw("busy pause");
    drop(reader);
    rig.until_saw("busy lost(BrokenPipe)");
    assert_eq!(rig.state().log.last().unwrap(), "busy lost(BrokenPipe)");

    // The write itself finds out, and is not told.
    let reader = write_end(&mut rig, Tap::new("late"));
    rig.until_saw("late made");
    let id = rig.state().id("late");
    drop(reader);
    let hub = rig.event_loop.hub();
    assert_eq!(hub.write(id, "x"), WriteStatus::Accepted);
    rig.until_saw("late lost(BrokenPipe)");
    assert_eq!(rig.event_loop.hub().write(id, "x"), WriteStatus::Discarded);

    // Gone before anybody looked.
    let (reader, writer) = pipe();
    drop(reader);
    rig.event_loop.hub().connect_write_pipe(writer, Tap::new("never"));
    rig.until_saw("never lost(None)");
    assert!(rig.state().saw("never made"));

    let _reader = write_end(&mut rig, Tap::new("aborted"));
    rig.until_saw("aborted made");
    let id = rig.state().id("aborted");
    let hub = rig.event_loop.hub();
    hub.write(id, vec![7; 200_000]);
    hub.close(id);
    hub.abort(id);
    hub.abort(id);
    rig.until_saw("aborted lost(None)");
    assert_eq!(rig.state().times("aborted lost(None)"), 1);
    assert!(rig.reported().is_empty());
}

#[test]
fn bytes_that_lie_unread_in_a_fifo_or_come_back_on_a_socket_are_no_reader_that_has_gone() {
    //= PIPE-11, PIPE-5
    let mut rig = Rig::new();
    let fifo = Fifo::new("unread");
    // A reader of its own, so that it can be opened at all.
    let reader = fifo.open(OFlags::RDONLY);
    let writer = fifo.open(OFlags::WRONLY);
    let id = rig.event_loop.hub().connect_write_pipe(writer, Tap::new("fifo"));
    rig.event_loop.hub().write(id, "unread");
    let both = fifo.open(OFlags::RDWR);
    rig.event_loop.hub().connect_write_pipe(both, Tap::new("both"));
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    rig.event_loop.hub().connect_write_pipe(ours, Tap::new("socket"));
    theirs.write_all(b"the other direction").unwrap();
    rig.until(|state| state.made.len() == 3);
    assert_eq!(rig.settle(), ["fifo made", "both made", "socket made"]);
    // Nor is the end of that direction.
    theirs.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rig.settle().len(), 3);
    let socket = rig.state().id("socket");
    rig.event_loop.hub().write(socket, "still there");
    theirs.set_read_timeout(Some(PATIENCE)).unwrap();
    rig.settle();
    let mut buf = [0; 11];
    theirs.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"still there");
    drop(theirs);
    rig.until_saw("socket lost(None)");
    // The last reader of the FIFO is the end that is open for both.
    drop(reader);
    assert!(!rig.settle().iter().any(|entry| entry.starts_with("fifo lost")));
    let both = rig.state().id("both");
    rig.event_loop.hub().close(both);
    rig.until_saw("fifo lost(None)");
}

#[test]
fn what_is_no_pipe_is_refused_and_closed() {
    //= PIPE-5, RUST-11
    let mut rig = Rig::new();
    let dir = std::env::temp_dir();
    let path = dir.join(format!("plimsoll-regular-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::write(&path, "x").unwrap();
    let (reader, writer) = pipe();
    let hub = rig.event_loop.hub();
    hub.connect_read_pipe(File::open(&path).unwrap(), Tap::new("file"));
    hub.connect_write_pipe(File::options().write(true).open(&path).unwrap(), Tap::new("file"));
    hub.connect_read_pipe(File::open(&dir).unwrap(), Tap::new("directory"));
    // The wrong end is no more use.
    hub.connect_write_pipe(reader, Tap::new("wrong end"));
    hub.connect_read_pipe(writer, Tap::new("wrong end"));
    std::fs::remove_file(&path).unwrap();
    rig.until(|state| state.refusals.len() == 5);
    let kinds: Vec<_> = rig.state().refusals.iter().map(|refusal| refusal.error().kind()).collect();
    assert_eq!(kinds, [ErrorKind::InvalidInput; 5]);
    assert!(rig.state().made.is_empty());
}

/// A program of this machine; none if it is not here.
fn program(name: &str, arguments: &[&str]) -> Option<Child> {
    match Command::new(name).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            missing(name, error);
            None
        }
    }
}

#[test]
fn a_fifo_that_python_writes_in_pieces_is_read_to_its_end() {
    //= PIPE-1, PIPE-5
    let mut rig = Rig::new();
    let fifo = Fifo::new("python");
    rig.event_loop.hub().connect_read_pipe(fifo.open(OFlags::RDONLY), Tap::new("r"));
    rig.until_saw("r made");
    // Nobody has opened the other end yet, and that is no end of file.
    assert_eq!(rig.settle(), ["r made"]);
    let script = "import sys, time\nwith open(sys.argv[1], 'wb', 0) as f:\n  for n in range(20):\n    f.write(b'%05d' % n * 1000)\n    time.sleep(0.001)\n";
    let Some(mut python) = program("python3", &["-c", script, fifo.path()]) else { return };
    rig.until_saw("r lost(None)");
    assert!(python.wait().unwrap().success());
    let expected: String = (0..20).map(|n| format!("{n:05}").repeat(1000)).collect();
    assert!(rig.state().received("r") == expected.as_bytes());
    assert_eq!(rig.state().log, ["r made", "r data", "r eof", "r lost(None)"]);
}

#[test]
fn a_fifo_that_cat_reads_gets_every_byte() {
    //= PIPE-5, PIPE-6, PIPE-9
    let mut rig = Rig::new();
    let fifo = Fifo::new("cat");
    let Some(mut cat) = program("cat", &[fifo.path()]) else { return };
    let deadline = Instant::now() + PATIENCE;
    let writer = loop {
        match rustix::fs::open(&fifo.0, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()) {
            Ok(writer) => break writer,
            Err(_) => assert!(Instant::now() < deadline, "cat does not open it"),
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let id = rig.event_loop.hub().connect_write_pipe(writer, Tap::new("w"));
    let sent = pattern(500_000);
    rig.event_loop.hub().write(id, &sent[..]);
    rig.event_loop.hub().write_eof(id).unwrap();
    let mut out = cat.stdout.take().unwrap();
    let read = std::thread::spawn(move || {
        let mut all = Vec::new();
        out.read_to_end(&mut all).unwrap();
        all
    });
    rig.until_saw("w lost(None)");
    assert!(read.join().unwrap() == sent);
    assert!(cat.wait().unwrap().success());
}

#[test]
fn a_fifo_that_socat_writes_is_read_to_its_end() {
    //= PIPE-1, PIPE-5
    let mut rig = Rig::new();
    let fifo = Fifo::new("socat");
    rig.event_loop.hub().connect_read_pipe(fifo.open(OFlags::RDONLY), Tap::new("r"));
    let to = format!("PIPE:{},wronly", fifo.path());
    let Some(mut socat) = program("socat", &["-u", "EXEC:echo from socat", &to]) else { return };
    rig.until_saw("r lost(None)");
    assert_eq!(rig.state().received("r"), b"from socat\n");
    socat.wait().unwrap();
}

#[test]
fn a_terminal_that_hangs_up_brings_its_bytes_and_then_the_systems_error() {
    //= PIPE-13
    let mut rig = Rig::new();
    let (master, slave) = terminal();
    rig.event_loop.hub().connect_read_pipe(master, Tap::new("master"));
    rig.until_saw("master made");
    let mut slave = File::from(slave);
    slave.write_all(b"one\n").unwrap();
    slave.write_all(b"two\n").unwrap();
    rig.until(|state| state.received("master") == b"one\ntwo\n");
    slave.write_all(b"last words").unwrap();
    drop(slave);
    rig.until(|state| state.reasons.len() == 1);
    assert_eq!(rig.state().received("master"), b"one\ntwo\nlast words");
    let error = rig.state().reasons[0].error().expect("Linux says EIO");
    assert_eq!(error.code(), Some(rustix::io::Errno::IO.raw_os_error()));
    assert!(!rig.state().saw("master eof"));
}

#[test]
fn a_terminal_is_read_line_by_line_and_no_line_is_left_behind() {
    //= PIPE-5, READ-6
    let mut rig = Rig::new();
    let (master, slave) = terminal();
    // Lines are kept apart: a short read does not mean that there is no other.
    let mut cooked = rustix::termios::tcgetattr(&slave).unwrap();
    cooked.local_modes |= rustix::termios::LocalModes::ICANON;
    rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &cooked).unwrap();
    let mut master = File::from(master);
    master.write_all(b"first\nsecond\nthird\n").unwrap();
    rig.event_loop.hub().connect_read_pipe(slave, Tap::new("terminal"));
    rig.until(|state| state.received("terminal") == b"first\nsecond\nthird\n");
    // And the other direction, on another descriptor of it.
    let id = rig.state().id("terminal");
    rig.event_loop.hub().close(id);
    rig.until_saw("terminal lost(None)");
}

#[test]
fn devices_that_the_kernel_refuses_to_watch_are_always_ready() {
    //= PIPE-5
    let mut rig = Rig::new();
    let null = || File::options().read(true).write(true).open("/dev/null").unwrap();
    rig.event_loop.hub().connect_read_pipe(null(), Tap::new("empty"));
    rig.until_saw("empty lost(None)");
    assert_eq!(rig.state().log, ["empty made", "empty eof", "empty lost(None)"]);
    let id = rig.event_loop.hub().connect_write_pipe(null(), Tap::new("sink"));
    rig.until_saw("sink made");
    rig.event_loop.hub().write(id, vec![1; 1_000_000]);
    rig.until(move |_| true);
    rig.spin(Duration::from_millis(20));
    assert_eq!(rig.event_loop.hub().write_buffer_size(id), 0);
    rig.event_loop.hub().close(id);
    rig.until_saw("sink lost(None)");
    // It never ends, and others come to their turn.
    rig.event_loop.hub().connect_read_pipe(File::open("/dev/zero").unwrap(), Tap::new("zeros"));
    let mut writer = read_end(&mut rig, Tap::new("other"));
    writer.write_all(b"x").unwrap();
    rig.until(|state| state.received("other") == b"x" && state.received("zeros").len() > 1 << 20);
    let zeros = rig.state().id("zeros");
    rig.event_loop.hub().close(zeros);
    rig.until_saw("zeros lost(None)");
    // One that cannot take anything says so.
    let full = File::options().write(true).open("/dev/full").unwrap();
    let id = rig.event_loop.hub().connect_write_pipe(full, Tap::new("full"));
    rig.event_loop.hub().write(id, "x");
    rig.until(|state| state.log.iter().any(|entry| entry.starts_with("full lost(")));
    let code = rig.state().reasons.last().unwrap().error().unwrap().code();
    assert_eq!(code, Some(rustix::io::Errno::NOSPC.raw_os_error()));
}

#[test]
fn sockets_can_be_read_and_written_like_pipes() {
    //= PIPE-5
    let mut rig = Rig::new();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let other = ours.try_clone().unwrap();
    rig.event_loop.hub().connect_read_pipe(ours, Tap::new("in"));
    let out = rig.event_loop.hub().connect_write_pipe(other, Tap::new("out"));
    theirs.write_all(b"to it").unwrap();
    rig.event_loop.hub().write(out, "from it");
    rig.until(|state| state.received("in") == b"to it");
    let mut buf = [0; 7];
    theirs.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"from it");
    drop(theirs);
    rig.until(|state| state.reasons.len() == 2);
    assert!(rig.state().saw("in lost(None)") && rig.state().saw("out lost(None)"));
    // One with boundaries is read until there is nothing more.
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    for word in ["one", "two", "three"] {
        theirs.send(word.as_bytes()).unwrap();
    }
    rig.event_loop.hub().connect_read_pipe(ours, Tap::new("words"));
    rig.until(|state| state.received("words") == b"onetwothree");
}

#[test]
fn a_pipe_can_be_looked_at() {
    //= INFO-6
    let mut rig = Rig::new();
    let _writer = read_end(&mut rig, Tap::new("r"));
    let (_master, slave) = terminal();
    let terminal = rig.event_loop.hub().connect_read_pipe(slave, Tap::new("t"));
    rig.until(|state| state.made.len() == 2);
    let id = rig.state().id("r");
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let sink = seen.clone();
    rig.event_loop.hub().with_pipe(id, move |pipe| {
        assert_eq!(pipe.set_capacity(4096).unwrap(), 4096);
        sink.borrow_mut().push((pipe.kind().unwrap(), pipe.capacity().ok()));
    });
    let sink = seen.clone();
    rig.event_loop.hub().with_pipe(terminal, move |pipe| sink.borrow_mut().push((pipe.kind().unwrap(), pipe.capacity().ok())));
    rig.settle();
    assert_eq!(*seen.borrow(), [(PipeKind::Pipe, Some(4096)), (PipeKind::Terminal, None)]);
}

#[test]
fn a_callback_of_a_pipe_that_fails_costs_that_pipe() {
    //= RUST-8
    let mut rig = Rig::new();
    let mut writer = read_end(&mut rig, Tap::new("data").on("data", |_| panic!("data")));
    writer.write_all(b"x").unwrap();
    rig.until_saw("data lost(CallbackFailed)");
    let writer = read_end(&mut rig, Tap::new("eof").on("eof", |cx| cx.fail("eof")));
    drop(writer);
    rig.until_saw("eof lost(CallbackFailed)");
    let _reader = write_end(&mut rig, Tap::new("made").on("made", |_| panic!("made")));
    rig.until_saw("made lost(CallbackFailed)");
    assert_eq!(rig.reported().len(), 3);
}

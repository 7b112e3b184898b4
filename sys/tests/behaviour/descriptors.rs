//! Every descriptor that is opened is closed. It counts those of the whole process, so it has one of its own.

use crate::backend::{
    Answer, CloseReason, Command, CommandExt, Connect, Context, HubExt, Listen, Name, OpenError, ProcessId, Stdio,
    SubprocessProtocol,
};
use crate::kit::{Rig, State, Tap, any_port, closed_port, connect, reset, socket_path};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Nobody else opens anything as long as this is kept.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every descriptor of this process.
pub(crate) fn open_now() -> Vec<String> {
    let mut all: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let target = std::fs::read_link(&path).ok()?.to_string_lossy().into_owned();
            (!target.starts_with("/proc/")).then(|| format!("{} {target}", path.display()))
        })
        .collect();
    all.sort();
    all
}

/// A bit of everything; what is still open is dropped with the loop, or closed by it.
fn a_day_in_the_life(close: bool) {
    let mut rig = Rig::new();
    let (server, addr) = rig.serve(|| Tap::new("server").echo());
    let (paused, _) = rig.serve(|| Tap::new("other"));
    // An ordinary life, a reset, and one that is left open.
    let mut peers: Vec<TcpStream> = (0..5).map(|_| connect(addr)).collect();
    rig.until(|state| state.made.len() == 5);
    peers[0].write_all(b"x").unwrap();
    rig.until(|state| state.received("server") == b"x");
    peers[0].read_exact(&mut [0]).unwrap();
    reset(peers.pop().unwrap());
    drop(peers.pop());
    rig.until(|state| state.reasons.len() == 2);
    let id = rig.state().id("server");
    rig.event_loop.hub().abort(id);
    // Openings: made, refused, given up, of the wrong kind.
    rig.event_loop.hub().connect(addr, Tap::new("client"));
    let (_kept, nobody) = closed_port();
    rig.event_loop.hub().connect(nobody, Tap::new("client"));
    let given_up = rig.event_loop.hub().connect(addr, Tap::new("client"));
    rig.event_loop.hub().call_soon(move |hub, _| hub.abort(given_up));
    rig.event_loop.hub().adopt_stream(UdpSocket::bind(any_port()).unwrap(), Tap::new("client"));
    rig.event_loop.hub().adopt_stream(TcpListener::bind(any_port()).unwrap(), Tap::new("client"));
    rig.event_loop.hub().adopt_stream(TcpStream::connect(addr).unwrap(), Tap::new("client"));
    rig.event_loop.listen(any_port(), |_, _| Tap::new("server")).unwrap();
    assert!(rig.event_loop.listen(addr, |_, _| Tap::new("server")).is_err());
    assert!(rig.event_loop.listen_on(UdpSocket::bind(any_port()).unwrap(), |_, _| Tap::new("server")).is_err());
    rig.until(|state| state.refusals.len() == 3);
    // The same on Unix sockets.
    let path = socket_path();
    let unix = rig.event_loop.listen(path, |_, _| Tap::new("unix")).unwrap();
    assert!(rig.event_loop.listen(Listen::on(path).reuse_port(true), |_, _| Tap::new("unix")).is_err());
    rig.event_loop.hub().connect(path, Tap::new("client"));
    rig.event_loop.hub().connect(socket_path(), Tap::new("client"));
    rig.event_loop.hub().adopt_stream(UnixStream::connect(path).unwrap(), Tap::new("client"));
    rig.until(|state| state.refusals.len() == 4 && state.times("unix made") == 2);
    rig.event_loop.hub().close_clients(unix.id());
    rig.until(|state| state.times("unix lost(None)") == 2);
    // A callback that panics, a factory that does, a panic at the end.
    let (_, victim) = rig.serve_one(|| Tap::new("victim").on("made", |_| panic!("made")).on("lost", |_| panic!("lost")));
    let broken = rig.event_loop.listen_with(any_port(), |_, _| panic!("factory")).unwrap();
    let _refused = connect(broken.addr().inet().unwrap());
    rig.settle();
    drop(victim);
    rig.event_loop.hub().server_close(paused.id());
    // A connection that waits to be accepted by a server that closes.
    let _waiting = connect(addr);
    rig.event_loop.hub().server_close(server.id());
    pipes_and_children(&mut rig);
    let remote = rig.event_loop.remote();
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    rig.reports.borrow_mut().clear();
    // Ops that are never carried out.
    rig.event_loop.hub().adopt_stream(TcpListener::bind(any_port()).unwrap(), Tap::new("client"));
    if close {
        rig.event_loop.close();
        assert!(!path.exists());
    }
    drop(rig);
    assert!(!path.exists());
    assert!(remote.is_closed());
    // A remote outlives its loop, and holds nothing of it.
    KEPT.with_borrow_mut(|kept| kept.push(Box::new(remote)));
}

/// Ends with a child that runs, one that was cancelled, and pipes that are open.
fn pipes_and_children(rig: &mut Rig) {
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let lost = rig.state().reasons.len();
    let refused = rig.state().refusals.len();
    let hub = rig.event_loop.hub();
    let (reader, writer) = pipe();
    hub.connect_read_pipe(reader, Tap::new("read"));
    drop(writer);
    let (reader, writer) = pipe();
    hub.connect_write_pipe(writer, Tap::new("write"));
    drop(reader);
    let (reader, writer) = pipe();
    hub.connect_write_pipe(reader, Tap::new("wrong end"));
    hub.connect_read_pipe(writer, Tap::new("wrong end"));
    hub.connect_read_pipe(std::fs::File::open("/").unwrap(), Tap::new("directory"));
    hub.connect_read_pipe(std::fs::File::open("/dev/null").unwrap(), Tap::new("read"));
    hub.spawn(Command::shell("echo out; echo err >&2"), Quiet);
    hub.spawn(Command::shell("exit 3").stderr(Stdio::Stdout).pass(9, pipe().0), Quiet);
    hub.spawn(Command::new("/nonexistent").stdin_from(pipe().0), Quiet);
    hub.spawn(Command::new("true").arg("\0").stdin_from(pipe().0), Quiet);
    hub.spawn(Command::new("true").pass(1, pipe().0), Quiet);
    let cancelled = hub.spawn(Command::new("true").stdin_from(pipe().0), Quiet);
    hub.close(cancelled);
    let killed = hub.spawn(Command::new("sleep").arg("60"), Quiet);
    hub.call_soon(move |hub, _| hub.close(killed));
    rig.until(|state| state.reasons.len() == lost + 3 && state.refusals.len() == refused + 3 && state.count >= 5);
    rig.state().count = 0;
    let hub = rig.event_loop.hub();
    hub.connect_read_pipe(pipe().0, Tap::new("read"));
    hub.spawn(Command::new("sleep").arg("60"), Quiet);
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    // Never carried out.
    rig.event_loop.hub().spawn(Command::new("sleep").arg("60").stdin_from(pipe().0), Quiet);
}

/// Counts how children end: two by themselves, three that cannot be started.
struct Quiet;

impl SubprocessProtocol<State> for Quiet {
    fn open_failed(self: Box<Self>, cx: &mut Context<'_, State, ProcessId>, _: OpenError) {
        cx.state.count += 1;
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, State, ProcessId>, _: CloseReason) {
        cx.state.count += 1;
    }
}

/// Ten thousand openings that are refused, or given up at every stage; none leaves anything while the loop goes on.
fn openings_that_come_to_nothing() {
    let mut rig = Rig::new();
    let (_kept, nobody) = closed_port();
    let (_kept, nobody_else) = closed_port();
    rig.event_loop.set_resolver(move |_: &Name, answer: Answer| answer.send(Ok(vec![nobody, nobody_else])));
    let port = nobody.port();
    let before = open_now();
    for round in 1..=100 {
        for n in 0..100 {
            let both = Connect::to(nobody).or(nobody_else);
            let connect = match n % 4 {
                0 => both,
                1 => both.stagger(Duration::ZERO),
                2 => both.stagger(Connect::STAGGER),
                _ => Connect::host("nobody", port).stagger(Duration::ZERO),
            };
            let id = rig.event_loop.hub().connect(connect, Tap::new("client"));
            if n >= 50 {
                match n % 3 {
                    0 => rig.event_loop.hub().abort(id),
                    1 => rig.event_loop.hub().call_soon(move |hub, _| hub.abort(id)),
                    _ => {
                        rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
                        rig.event_loop.hub().abort(id);
                    }
                }
            }
        }
        rig.until(|state| state.refusals.len() >= 50 * round);
    }
    rig.settle();
    assert_eq!(open_now(), before);
}

thread_local! {
    static KEPT: std::cell::RefCell<Vec<Box<dyn std::any::Any>>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[test]
fn as_many_are_open_afterwards_as_before() {
    //= LIFE-13, LIFE-18, RUST-9, RUST-11, LIFE-12
    let _alone = alone();
    a_day_in_the_life(false);
    let before = open_now();
    for n in 0..4 {
        a_day_in_the_life(n % 2 == 0);
    }
    assert_eq!(open_now(), before);

    // A loop that is closed, and not dropped yet, has nothing but its poller.
    let mut rig = Rig::new();
    let idle = open_now().len();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server"));
    rig.event_loop.close();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    drop(peer);
    assert_eq!(open_now().len(), idle);
    drop(rig);
    assert_eq!(open_now(), before);

    openings_that_come_to_nothing();
    assert_eq!(open_now(), before);
}

//! Ten thousand of everything, begun and ended in every way, and nothing is left: no descriptor, no child, no thread. It counts those of the whole
//! process, so it has one of its own.

use crate::backend::{
    Addr, CloseReason, Command, Connect, Context, Data, DatagramId, DatagramProtocol, EndpointId, HubExt, Listen, OpenError,
    ProcessId, Stdio, SubprocessProtocol,
};
use crate::kit::{PATIENCE, Rig, State, Tap, any_port, socket_path};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const ALL: usize = 10_000;

/// So many at a time.
const SOME: usize = 50;

/// What is open now, and how many threads there are.
fn left() -> (Vec<String>, usize) {
    let descriptor = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let target = std::fs::read_link(&path).ok()?.to_string_lossy().into_owned();
        (!target.starts_with("/proc/")).then(|| format!("{} {target}", path.display()))
    };
    let mut open: Vec<String> = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(descriptor).collect();
    open.sort();
    (open, std::fs::read_dir("/proc/self/task").unwrap().count())
}

/// Whether there is a child of ours, running or ended.
fn has_children() -> bool {
    let found = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT);
    !matches!(found, Err(rustix::io::Errno::CHILD))
}

/// Waits until it is as it was.
#[track_caller]
fn eventually<T: PartialEq + std::fmt::Debug>(what: &str, before: &T, mut now: impl FnMut() -> T) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = now();
        if now == *before {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {now:?}, not {before:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Does so many of something on a loop of its own, in batches, and looks at what is left while the loop goes on, and after it.
fn nothing_is_left(what: &str, all: usize, mut batch: impl FnMut(&mut Rig, usize)) {
    let begin = Instant::now();
    let before = left();
    let mut rig = Rig::new();
    let idle = left();
    for n in 0..all / SOME {
        batch(&mut rig, n);
        // Nobody looks, and it would only grow.
        rig.state().log.clear();
        rig.state().made.clear();
    }
    let open = |rig: &mut Rig| {
        rig.settle();
        left().0
    };
    eventually(what, &idle.0, || open(&mut rig));
    assert!(!has_children(), "{what}");
    drop(rig);
    // Threads end by themselves, and those of the resolver may still be looking something up.
    eventually(what, &before, left);
    println!("{all} {what}: {:?}", begin.elapsed());
}

/// Ends an endpoint now, in the next iteration, or in the one after that.
fn give_up(rig: &mut Rig, id: impl Into<EndpointId>, n: usize) {
    let id = id.into();
    match n % 4 {
        0 => rig.event_loop.hub().abort(id),
        1 => rig.event_loop.hub().close(id),
        2 => rig.event_loop.hub().call_soon(move |hub, _| hub.abort(id)),
        _ => rig.event_loop.hub().call_soon(move |hub, _| hub.call_soon(move |hub, _| hub.close(id))),
    }
}

/// As often as it takes to open something, to make it, and to lose it.
fn iterate(rig: &mut Rig) {
    for _ in 0..5 {
        rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    }
}

/// A batch of connections to a server, each ended by either side in one of three ways.
fn connections(rig: &mut Rig, at: impl Into<Listen>, to: impl Fn(&Addr) -> Connect) {
    let server = rig.event_loop.listen(at, |_, _| Tap::new("server").on("data", |cx| cx.close())).unwrap();
    rig.state().reasons.clear();
    for n in 0..SOME {
        let client = Tap::new("client").on("made", move |cx| match n % 3 {
            0 => cx.close(),
            1 => cx.abort(),
            _ => drop(cx.write("x")),
        });
        rig.event_loop.hub().connect(to(server.addr()), client);
    }
    rig.until(|state| state.reasons.len() == 2 * SOME);
    rig.event_loop.hub().server_close(server.id());
    rig.until(|_| true);
}

fn pipes(rig: &mut Rig) {
    rig.state().reasons.clear();
    rig.state().refusals.clear();
    let (mut told, mut refused) = (0, 0);
    for n in 0..SOME {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let hub = rig.event_loop.hub();
        match n % 5 {
            0 => {
                // The other end goes first.
                hub.connect_read_pipe(reader, Tap::new("read"));
                told += 1;
            }
            1 => {
                hub.connect_write_pipe(writer, Tap::new("write"));
                told += 1;
            }
            2 => {
                hub.connect_write_pipe(writer, Tap::new("write").on("made", |cx| cx.write_eof().unwrap()));
                hub.connect_read_pipe(reader, Tap::new("read"));
                told += 2;
            }
            3 => {
                hub.connect_read_pipe(writer, Tap::new("wrong end"));
                refused += 1;
            }
            _ => {
                let id = hub.connect_read_pipe(reader, Tap::new("given up"));
                hub.abort(id);
            }
        }
    }
    rig.until(|state| state.reasons.len() == told && state.refusals.len() == refused);
}

fn listeners(rig: &mut Rig) {
    let path = socket_path();
    let taken = TcpListener::bind(any_port()).unwrap();
    let addr = taken.local_addr().unwrap();
    rig.state().count = 0;
    for n in 0..SOME {
        let hub = rig.event_loop.hub();
        let listen: Listen = match n % 4 {
            0 => Listen::on(any_port()).and(any_port()),
            1 => Listen::on(path),
            2 => Listen::on(any_port()).and(addr),
            _ => Listen::on(any_port()).paused(),
        };
        let id = hub.listen(
            listen,
            |_, _| Tap::new("server"),
            |hub, state: &mut State, listening| {
                state.count += 1;
                if let Ok(id) = listening {
                    hub.server_close(id);
                }
            },
        );
        if n % 8 == 0 {
            hub.server_close(id);
        }
        if n % 4 == 1 {
            // The next one takes its place.
            rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
        }
    }
    rig.until(|state| state.count == SOME);
}

fn datagrams(rig: &mut Rig) {
    /// Aborts, or closes, when it is made.
    struct Quiet(bool);
    type Cx<'a> = Context<'a, State, DatagramId>;
    impl DatagramProtocol<State> for Quiet {
        fn connection_made(&mut self, cx: &mut Cx<'_>) {
            if self.0 { cx.abort() } else { cx.close() }
        }
        fn datagram_received(&mut self, _: &mut Cx<'_>, _: Data<'_>, _: &Addr) {}
        fn open_failed(self: Box<Self>, cx: &mut Cx<'_>, _: OpenError) {
            cx.state.count += 1;
        }
        fn connection_lost(self: Box<Self>, cx: &mut Cx<'_>, _: CloseReason) {
            cx.state.count += 1;
        }
    }
    let taken = UdpSocket::bind(any_port()).unwrap();
    rig.state().count = 0;
    let mut told = 0;
    for n in 0..SOME {
        let hub = rig.event_loop.hub();
        let quiet = Quiet(n % 2 == 0);
        let id = match n % 4 {
            0 => hub.open_datagram(taken.local_addr().unwrap(), quiet),
            1 => hub.adopt_datagram(TcpListener::bind(any_port()).unwrap(), quiet),
            2 => hub.adopt_datagram(UdpSocket::bind(any_port()).unwrap(), quiet),
            _ => hub.open_datagram(any_port(), quiet),
        };
        match n % 7 {
            // Nobody is told of what is given up before it is made.
            0 => hub.abort(id),
            1 => hub.call_soon(move |hub, _| hub.abort(id)),
            _ => told += 1,
        }
    }
    rig.until(|state| state.count == told);
}

/// Files that are not sent to their end.
fn files(rig: &mut Rig, file: &File) {
    rig.state().reasons.clear();
    let mut peers = Vec::new();
    for n in 0..SOME {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let file = file.try_clone().unwrap();
        let client = Tap::new("client").on("made", move |cx| {
            let id = cx.id;
            cx.hub.sendfile(id, file.try_clone().unwrap(), ..).unwrap();
            match n % 3 {
                // At once; when the buffers are full; and by a peer that goes.
                0 => cx.abort(),
                1 => cx.hub.call_soon(move |hub, _| hub.abort(id)),
                _ => {}
            }
        });
        rig.event_loop.hub().adopt_stream(ours, client);
        peers.push(theirs);
    }
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    drop(peers);
    rig.until(|state| state.reasons.len() == SOME);
    assert_eq!(rig.state().files.len() % SOME, 0, "each file was told of");
}

fn watches(rig: &mut Rig) {
    rig.state().count = 0;
    for n in 0..SOME {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let hub = rig.event_loop.hub();
        let id = hub.watch(&ours).unwrap();
        hub.add_writer(id, move |hub, state: &mut State| {
            state.count += 1;
            let _ours = &ours;
            assert!(n != 0, "a callback that panics");
            hub.unwatch(id);
        })
        .unwrap();
        if n % 4 == 1 {
            hub.unwatch(id);
            rig.state().count += 1;
        }
        drop(theirs);
        assert!(rig.event_loop.hub().watch(File::open("/").unwrap()).is_err());
    }
    rig.until(|state| state.count == SOME);
    rig.reports.borrow_mut().clear();
}

/// Handled and not, in this loop and another one.
fn signals(rig: &mut Rig) {
    let signals = [10, 12, 23, 28]; // USR1, USR2, URG, WINCH: none is sent.
    for n in 0..SOME {
        let hub = rig.event_loop.hub();
        let signal = signals[n % signals.len()];
        hub.on_signal(signal, |_, _| {}).unwrap();
        if n % 3 == 0 {
            hub.on_signal(signal, |_, _| {}).unwrap();
        }
        assert!(hub.on_signal(9, |_, _| {}).is_err());
        if n % 5 == 0 {
            rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
        }
        assert!(rig.event_loop.hub().remove_signal(signal));
    }
}

/// Kills its child when it is made, or lets it end.
struct Quiet {
    kills: bool,
}

impl SubprocessProtocol<State> for Quiet {
    fn connection_made(&mut self, cx: &mut Context<'_, State, ProcessId>) {
        if self.kills {
            cx.close();
        }
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, State, ProcessId>, _: OpenError) {
        cx.state.count += 1;
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, State, ProcessId>, _: CloseReason) {
        cx.state.count += 1;
    }
}

/// Children that end, are killed, are given up, or are not to be found.
fn children(rig: &mut Rig) {
    rig.state().count = 0;
    let mut told = 0;
    for n in 0..SOME {
        let ends = Command::new("/bin/true");
        let command = match n % 5 {
            0 => ends,
            1 => ends.stdin(Stdio::Null).stdout(Stdio::Null).stderr(Stdio::Null),
            2 => ends.stderr(Stdio::Stdout),
            3 => Command::new("/bin/sleep").arg("60"),
            _ => Command::new("/nonexistent"),
        };
        let hub = rig.event_loop.hub();
        let id = hub.spawn(command, Quiet { kills: n % 5 == 3 });
        match n % 10 {
            // Before it is there, and when it was started and is not made yet: nobody is told.
            5 => hub.close(id),
            0 => hub.call_soon(move |hub, _| hub.call_soon(move |hub, _| hub.close(id))),
            _ => told += 1,
        }
    }
    rig.until(|state| state.count == told);
    // Those that were given up are waited for in silence.
    let deadline = Instant::now() + PATIENCE;
    while has_children() {
        assert!(Instant::now() < deadline, "a child is left");
        rig.event_loop.run_once(Some(Duration::from_millis(1))).unwrap();
    }
}

#[test]
fn ten_thousand_of_everything_leave_nothing() {
    //= LIFE-12, LIFE-13, RUST-9, RUST-11, LOOP-9, LOOP-26, LOOP-29, PROC-15, PROC-16
    let path = socket_path();
    nothing_is_left("connections by TCP", ALL, |rig, _| connections(rig, any_port(), |at| at.inet().unwrap().into()));
    nothing_is_left("connections on Unix sockets", ALL, |rig, _| connections(rig, path, |_| path.into()));
    nothing_is_left("datagram endpoints", ALL, |rig, _| datagrams(rig));
    nothing_is_left("pipes", ALL, |rig, _| pipes(rig));
    nothing_is_left("servers", ALL, |rig, _| listeners(rig));
    let sparse = File::options().read(true).write(true).create_new(true).open(path).unwrap();
    sparse.set_len(10_000_000).unwrap();
    std::fs::remove_file(path).unwrap();
    nothing_is_left("files that are not sent to their end", ALL, |rig, _| files(rig, &sparse));
    nothing_is_left("watched descriptors", ALL, |rig, _| watches(rig));
    nothing_is_left("handled signals", ALL, |rig, _| signals(rig));
    nothing_is_left("lookups that are given up", ALL, |rig, n| {
        for m in 0..SOME {
            let id = rig.event_loop.hub().connect(Connect::host("localhost", 9), Tap::new("client"));
            give_up(rig, id, n + m);
        }
        iterate(rig);
    });
    let listener = TcpListener::bind(any_port()).unwrap();
    let addr = listener.local_addr().unwrap();
    nothing_is_left("adopted connections that are given up", ALL, |rig, n| {
        for m in 0..SOME {
            let client = TcpStream::connect(addr).unwrap();
            drop(listener.accept().unwrap());
            let id = rig.event_loop.hub().adopt_stream(client, Tap::new("client"));
            give_up(rig, id, n + m);
        }
        iterate(rig);
    });
    nothing_is_left("children", ALL, |rig, _| children(rig));
}

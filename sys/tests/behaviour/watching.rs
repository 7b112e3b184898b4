//! Descriptors that are watched without a transport.

use super::kit::{Rig, State, Tap, connect};
use crate::backend::{ErrorKind, Hub, HubExt, WatchId, event_loop};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

fn pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

/// A watch whose callbacks note that they were called, and do nothing.
fn watch(rig: &mut Rig, descriptor: impl AsFd) -> WatchId {
    rig.event_loop.hub().watch(descriptor).unwrap()
}

fn note(what: &'static str) -> impl FnMut(&mut Hub<State>, &mut State) {
    move |_, state| state.log.push(what.into())
}

/// Nothing is called, and the loop sleeps: a wait takes as long as it may.
#[track_caller]
fn sleeps(rig: &mut Rig) {
    // What was ready is asked once more.
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    let before = rig.state().log.len();
    let (begin, mut waits) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_millis(50) {
        rig.event_loop.run_once(Some(Duration::from_millis(50))).unwrap();
        waits += 1;
    }
    assert!(waits <= 3, "{waits} waits in 50 ms");
    assert_eq!(rig.state().log.len(), before, "{:?}", rig.state().log);
}

#[test]
fn a_reader_is_called_for_as_long_as_something_can_be_read() {
    let mut rig = Rig::new();
    let (mut ours, mut theirs) = pair();
    let id = watch(&mut rig, &ours);
    rig.event_loop
        .hub()
        .add_reader(id, move |_, state| {
            // One byte a call, though there are more.
            let mut byte = [0];
            ours.read_exact(&mut byte).unwrap();
            state.log.push(format!("{}", byte[0] as char));
        })
        .unwrap();
    sleeps(&mut rig);
    theirs.write_all(b"abc").unwrap();
    rig.until(|state| state.log.len() == 3);
    sleeps(&mut rig);
    theirs.write_all(b"d").unwrap();
    rig.until(|state| state.log.len() == 4);
    assert_eq!(rig.state().log, ["a", "b", "c", "d"]);
    sleeps(&mut rig);
    assert!(rig.event_loop.hub().unwatch(id));
    // The callback had the other one, and both are closed.
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert!(theirs.write_all(b"e").is_err());
    assert_eq!(rig.reported(), [""; 0]);
}

#[test]
fn a_reader_is_called_once_an_iteration_and_others_are_served_between() {
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server").echo());
    let (ours, mut theirs) = pair();
    let id = watch(&mut rig, &ours);
    // It never reads, so it is called on and on.
    rig.event_loop.hub().add_reader(id, note("watch")).unwrap();
    theirs.write_all(b"x").unwrap();
    rig.until(|state| state.times("watch") >= 3);
    let before = rig.state().times("watch");
    rig.event_loop.run_once(None).unwrap();
    assert_eq!(rig.state().times("watch"), before + 1);
    peer.write_all(b"ping").unwrap();
    rig.until(|state| state.received("server") == b"ping");
    peer.read_exact(&mut [0; 4]).unwrap();
    assert!(rig.event_loop.hub().remove_reader(id));
    assert!(!rig.event_loop.hub().remove_reader(id));
    sleeps(&mut rig);
    // It was ready all the time.
    rig.event_loop.hub().add_reader(id, note("again")).unwrap();
    rig.until_saw("again");
}

#[test]
fn a_writer_is_called_while_there_is_room_and_after_there_is_room_again() {
    let mut rig = Rig::new();
    let (ours, mut theirs) = pair();
    let id = watch(&mut rig, &ours);
    let writer = move |_: &mut Hub<State>, state: &mut State| match (&ours).write(&[7; 4096]) {
        Ok(n) => state.count += n,
        Err(error) => panic!("not ready: {error}"),
    };
    rig.event_loop.hub().add_writer(id, writer).unwrap();
    rig.until(|state| state.count > 0);
    rig.settle();
    sleeps(&mut rig);
    let full = rig.state().count;
    let mut all = vec![0; full];
    theirs.read_exact(&mut all).unwrap();
    rig.until(|state| state.count > full);
    assert!(rig.event_loop.hub().remove_writer(id));
    sleeps(&mut rig);
}

#[test]
fn both_directions_are_told_apart_and_removed_apart() {
    let mut rig = Rig::new();
    let (ours, mut theirs) = pair();
    let id = watch(&mut rig, &ours);
    let hub = rig.event_loop.hub();
    hub.add_reader(id, note("read")).unwrap();
    hub.add_writer(id, move |hub, state| {
        state.log.push("write".into());
        // In its own callback.
        assert!(hub.remove_writer(id));
        assert!(!hub.remove_writer(id));
    })
    .unwrap();
    rig.until_saw("write");
    sleeps(&mut rig);
    assert_eq!(rig.state().log, ["write"]);
    theirs.write_all(b"x").unwrap();
    rig.until_saw("read");
    assert!(rig.event_loop.hub().is_watching(id));
    // Replaced in its own callback, and by another one.
    rig.event_loop
        .hub()
        .add_reader(id, move |hub, state| {
            state.log.push("first".into());
            hub.add_reader(id, note("second")).unwrap();
        })
        .unwrap();
    rig.state().log.clear();
    rig.until(|state| state.times("second") == 2);
    assert_eq!(rig.state().log, ["first", "second", "second"]);
    let hub = rig.event_loop.hub();
    hub.add_writer(id, note("write")).unwrap();
    hub.add_reader(id, move |hub, state| {
        state.log.push("last".into());
        // The other callback of the same descriptor is due in this very pass.
        hub.unwatch(id);
    })
    .unwrap();
    rig.state().log.clear();
    rig.until_saw("last");
    sleeps(&mut rig);
    assert_eq!(rig.state().log, ["last"]);
    assert!(!rig.event_loop.hub().is_watching(id));
}

#[test]
fn whoever_is_removed_by_another_callback_of_the_pass_is_not_called() {
    let mut rig = Rig::new();
    let pairs: Vec<_> = (0..2).map(|_| pair()).collect();
    let ids: Vec<WatchId> = pairs.iter().map(|(ours, _)| rig.event_loop.hub().watch(ours).unwrap()).collect();
    for (id, other) in [(ids[0], ids[1]), (ids[1], ids[0])] {
        rig.event_loop
            .hub()
            .add_reader(id, move |hub, state| {
                state.count += 1;
                assert!(hub.unwatch(other));
                hub.remove_reader(id);
            })
            .unwrap();
    }
    for (_, theirs) in &pairs {
        let mut theirs = theirs;
        theirs.write_all(b"x").unwrap();
    }
    rig.until(|state| state.count > 0);
    sleeps(&mut rig);
    assert_eq!(rig.state().count, 1);
}

#[test]
fn an_end_and_an_error_are_told_to_both_directions() {
    // The reader of a pipe goes: what is left is an error, and no room.
    let mut rig = Rig::new();
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[0; 4096]).is_ok() {}
    let id = watch(&mut rig, &writer);
    rig.event_loop
        .hub()
        .add_writer(id, move |hub, state| {
            state.note(format!("{:?}", rustix::io::write(&writer, b"x")));
            hub.unwatch(id);
        })
        .unwrap();
    sleeps(&mut rig);
    drop(reader);
    rig.until(|state| !state.log.is_empty());
    assert_eq!(rig.state().log, [format!("{:?}", Err::<usize, _>(Errno::PIPE))]);
    // The writer of a pipe goes: that is readable.
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let id = watch(&mut rig, &reader);
    rig.event_loop
        .hub()
        .add_reader(id, move |hub, state| {
            state.note(format!("end {:?}", rustix::io::read(&reader, &mut [0; 8])));
            hub.remove_reader(id);
        })
        .unwrap();
    sleeps(&mut rig);
    drop(writer);
    rig.until_saw("end Ok(0)");
    // Hung up, with nobody who wants to know: the loop sleeps.
    sleeps(&mut rig);
    // A socket whose peer is gone is ready for everything.
    let (ours, theirs) = pair();
    let id = watch(&mut rig, &ours);
    let hub = rig.event_loop.hub();
    hub.add_reader(id, move |hub, state| {
        state.note("readable");
        hub.remove_reader(id);
    })
    .unwrap();
    drop(theirs);
    rig.until_saw("readable");
    rig.event_loop
        .hub()
        .add_writer(id, move |hub, state| {
            state.note("writable");
            hub.remove_writer(id);
        })
        .unwrap();
    rig.until_saw("writable");
    sleeps(&mut rig);
}

#[test]
fn a_callback_that_panics_ends_its_watch() {
    //= RUST-8, LOOP-32
    for writes in [false, true] {
        let mut rig = Rig::new();
        let (_, mut peer) = rig.serve_one(|| Tap::new("server").echo());
        let (ours, mut theirs) = pair();
        let (other, mut others) = pair();
        let id = watch(&mut rig, &ours);
        let bystander = watch(&mut rig, &other);
        let kept = Rc::new(());
        let held = Rc::downgrade(&kept);
        let hub = rig.event_loop.hub();
        let fails = move |_: &mut Hub<State>, state: &mut State| {
            state.note("victim");
            let _kept = &kept;
            panic!("no more");
        };
        let bystands = move |hub: &mut Hub<State>, state: &mut State| {
            state.note("bystander");
            hub.remove_reader(bystander);
        };
        if writes {
            hub.add_writer(id, fails).unwrap();
            // Its other callback goes with it.
            hub.add_reader(id, note("other direction")).unwrap();
        } else {
            hub.add_reader(id, fails).unwrap();
        }
        hub.add_reader(bystander, bystands).unwrap();
        if !writes {
            theirs.write_all(b"x").unwrap();
        }
        others.write_all(b"x").unwrap();
        rig.until_saw("bystander");
        rig.until_saw("victim");
        sleeps(&mut rig);
        assert_eq!(rig.state().times("victim"), 1);
        let reported = rig.reported();
        assert!(reported.len() == 1 && reported[0].ends_with("a callback panicked: no more"), "{reported:?}");
        assert!(!rig.event_loop.hub().is_watching(id));
        assert!(held.upgrade().is_none());
        drop(ours);
        assert!(theirs.write_all(b"y").is_err(), "the loop's descriptor is closed");
        peer.write_all(b"ping").unwrap();
        rig.until(|state| state.received("server") == b"ping");
    }
}

#[test]
fn a_callback_may_do_whatever_a_callback_may_do() {
    //= RUST-1, RUST-2
    let mut rig = Rig::new();
    let (server, mut peer) = rig.serve_one(|| Tap::new("server"));
    let (ours, mut theirs) = pair();
    let id = watch(&mut rig, &ours);
    let connection = rig.state().id("server");
    let place = server.addr().clone();
    rig.event_loop
        .hub()
        .add_reader(id, move |hub, state| {
            state.note("watch");
            hub.remove_reader(id);
            hub.write(connection, vec![1; 1_000_000]);
            hub.connect(place.inet().unwrap(), Tap::new("client"));
            hub.call_soon(|_, state| state.note("soon"));
            let (mine, _) = pair();
            let inner = hub.watch(mine).unwrap();
            hub.add_writer(inner, move |hub, state| {
                state.note("inner");
                hub.unwatch(inner);
            })
            .unwrap();
            state.note("watch over");
        })
        .unwrap();
    theirs.write_all(b"x").unwrap();
    rig.until_saw("client made");
    rig.until_saw("inner");
    rig.until_saw("soon");
    let log = rig.state().log.clone();
    let over = log.iter().position(|what| what == "watch over").unwrap();
    // What it made due comes behind it, and a pause first of all.
    assert_eq!(&log[over - 1..over + 2], ["watch", "watch over", "server pause"]);
    let mut all = vec![0; 1_000_000];
    let reader = std::thread::spawn(move || peer.read_exact(&mut all));
    rig.until_saw("server resume");
    reader.join().unwrap().unwrap();
}

#[test]
fn what_is_always_ready_is_refused() {
    let mut rig = Rig::new();
    let refused: [File; 2] = [File::open(std::env::current_exe().unwrap()).unwrap(), File::open("/").unwrap()];
    for file in refused {
        assert_eq!(rig.event_loop.hub().watch(file).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    #[cfg(target_os = "linux")]
    assert_eq!(rig.event_loop.hub().watch(File::open("/dev/null").unwrap()).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(rig.settle(), [""; 0]);
    assert_eq!(rig.reported(), [""; 0]);
}

#[test]
fn a_watch_that_has_ended_is_told_from_every_other() {
    //= RUST-10
    let mut rig = Rig::new();
    let (ours, _theirs) = pair();
    let id = watch(&mut rig, &ours);
    assert!(rig.event_loop.hub().unwatch(id));
    assert!(!rig.event_loop.hub().unwatch(id));
    // It may have the same place.
    let next = watch(&mut rig, &ours);
    let hub = rig.event_loop.hub();
    assert_eq!(hub.add_reader(id, note("stale")).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(hub.add_writer(id, note("stale")).unwrap_err().kind(), ErrorKind::Closed);
    assert!(!hub.remove_reader(id) && !hub.remove_writer(id) && !hub.is_watching(id));
    hub.add_writer(next, note("next")).unwrap();
    rig.until_saw("next");
    // Of another loop.
    let mut other = event_loop(State::default());
    assert_eq!(other.hub().add_reader(next, note("other")).unwrap_err().kind(), ErrorKind::Closed);
    assert!(!other.hub().unwatch(next) && !other.hub().is_watching(next));
    assert!(rig.event_loop.hub().is_watching(next));
    // One that never came about, and one that goes with the loop.
    let early = watch(&mut rig, &ours);
    rig.event_loop.hub().unwatch(early);
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    rig.event_loop.close();
    assert!(!rig.event_loop.hub().is_watching(next));
    assert_eq!(rig.reported(), [""; 0]);
}

#[test]
fn many_are_watched_at_once_and_each_is_told() {
    let mut rig = Rig::new();
    let pairs: Vec<_> = (0..1500).map(|_| pair()).collect();
    let mut peers = Vec::new();
    for (ours, theirs) in pairs {
        let id = watch(&mut rig, &ours);
        let reader = move |hub: &mut Hub<State>, state: &mut State| {
            state.count += (&ours).read(&mut [0; 8]).unwrap();
            hub.remove_reader(id);
        };
        rig.event_loop.hub().add_reader(id, reader).unwrap();
        peers.push(theirs);
    }
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    for peer in &mut peers {
        peer.write_all(b"x").unwrap();
    }
    rig.until(|state| state.count == 1500);
    sleeps(&mut rig);
    assert_eq!(rig.state().count, 1500);
}

#[test]
fn the_same_descriptor_may_be_watched_twice_and_closed_by_the_application() {
    let mut rig = Rig::new();
    let (ours, mut theirs) = pair();
    for name in ["one", "other"] {
        let id = watch(&mut rig, &ours);
        rig.event_loop
            .hub()
            .add_reader(id, move |hub, state| {
                state.note(name);
                hub.unwatch(id);
            })
            .unwrap();
    }
    drop(ours);
    theirs.write_all(b"x").unwrap();
    rig.until(|state| state.log.len() == 2);
    rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert!(theirs.write_all(b"y").is_err());
}

#[test]
fn a_socket_of_another_library_gets_its_datagrams_though_its_calls_may_wait() {
    let mut rig = Rig::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let id = watch(&mut rig, &socket);
    rig.event_loop
        .hub()
        .add_reader(id, move |_, state| {
            // It would wait if it were called for nothing.
            let len = socket.recv(&mut [0; 2048]).unwrap();
            state.log.push(format!("{len}"));
        })
        .unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    for len in [1, 0, 1000] {
        peer.send_to(&vec![0; len], addr).unwrap();
    }
    rig.until(|state| state.log.len() == 3);
    sleeps(&mut rig);
    assert_eq!(rig.state().log, ["1", "0", "1000"]);
}

#[test]
fn a_watch_of_what_another_callback_has_emptied_is_not_called() {
    let mut rig = Rig::new();
    let (ours, mut theirs) = pair();
    let ours = Rc::new(ours);
    for _ in 0..2 {
        let id = watch(&mut rig, &*ours);
        let ours = ours.clone();
        // Whoever is called takes everything: the other one must not be.
        let reader = move |_: &mut Hub<State>, state: &mut State| {
            state.count += (&*ours).read(&mut [0; 64]).expect("called for nothing");
        };
        rig.event_loop.hub().add_reader(id, reader).unwrap();
    }
    for n in 1..=20 {
        theirs.write_all(b"x").unwrap();
        rig.until(|state| state.count == n);
    }
    sleeps(&mut rig);
}

/// What Linux has more of.
#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fs::inotify;
    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};

    #[test]
    fn counters_timers_and_changes_of_files_are_watched() {
        let mut rig = Rig::new();
        let drain = |descriptor: OwnedFd, what: &'static str| {
            move |_: &mut Hub<State>, state: &mut State| {
                let mut bytes = [0; 4096];
                let len = rustix::io::read(&descriptor, &mut bytes).unwrap();
                state.log.push(format!("{what} {len}"));
            }
        };
        let counter = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let bell = counter.try_clone().unwrap();
        let id = watch(&mut rig, &counter);
        rig.event_loop.hub().add_reader(id, drain(counter, "counter")).unwrap();

        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap();
        let soon = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let id = watch(&mut rig, &timer);
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: never, it_value: soon }).unwrap();
        rig.event_loop.hub().add_reader(id, drain(timer, "timer")).unwrap();

        let dir = super::super::kit::socket_path();
        std::fs::create_dir(dir).unwrap();
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&changes, dir, inotify::WatchFlags::CREATE).unwrap();
        let id = watch(&mut rig, &changes);
        rig.event_loop.hub().add_reader(id, drain(changes, "change")).unwrap();

        rig.until_saw("timer 8");
        assert_eq!(rig.state().log, ["timer 8"]);
        rustix::io::write(&bell, &5_u64.to_ne_bytes()).unwrap();
        rig.until_saw("counter 8");
        File::create(dir.join("new")).unwrap();
        rig.until(|state| state.log.iter().any(|what| what.starts_with("change ")));
        sleeps(&mut rig);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[cfg(not(polling_test_poll_backend))]
    #[test]
    fn a_loop_watches_another_one_and_cannot_watch_itself() {
        let mut rig = Rig::new();
        let mut inner = Rig::new();
        let (_, addr) = inner.serve(|| Tap::new("inner").echo());
        let serve = |inner: &mut Rig| {
            // It has something to do at once as long as it does not want to sleep.
            inner.event_loop.run_once(Some(Duration::ZERO)).unwrap();
            while inner.event_loop.poll_timeout() == Some(Duration::ZERO) {
                inner.event_loop.run_once(Some(Duration::ZERO)).unwrap();
            }
        };
        serve(&mut inner);
        let id = rig.event_loop.hub().watch(&inner.event_loop).unwrap();
        rig.event_loop
            .hub()
            .add_reader(id, move |_, state| {
                serve(&mut inner);
                state.count = inner.state().received("inner").len();
            })
            .unwrap();
        let mut peer = connect(addr);
        peer.write_all(b"ping").unwrap();
        rig.until(|state| state.count == 4);
        peer.read_exact(&mut [0; 4]).unwrap();
        sleeps(&mut rig);
        rig.event_loop.hub().unwatch(id);

        let itself = rig.event_loop.as_fd().try_clone_to_owned().unwrap();
        let id = rig.event_loop.hub().watch(&itself).unwrap();
        rig.event_loop.hub().add_reader(id, note("itself")).unwrap();
        sleeps(&mut rig);
        let reported = rig.reported();
        assert!(reported.len() == 1 && reported[0].contains("register: "), "{reported:?}");
        assert!(!rig.event_loop.hub().is_watching(id));
    }
}

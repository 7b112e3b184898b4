//! Descriptors that are watched without a transport, on every kind of kernel interface.

use super::common::{Notes, Sim, echo};
use core::cell::RefCell;
use core::time::Duration;
use plimsoll_conformance::sim::{Faults, Host, Peer, Planted, Sim as World, SimLoop};
use plimsoll_core::{Error, ErrorKind, Report, Resource, WatchId};
use std::rc::Rc;

/// On each kernel, calm and not; no descriptor may be left.
fn on_all(test: impl Fn(&mut Sim)) {
    for host in Host::ALL {
        for seed in 0..6 {
            let mut faults = Faults::none();
            if seed > 0 {
                (faults.spurious, faults.duplicate, faults.shuffle, faults.bare) = (100, 100, true, seed % 2 == 0);
                faults.completion = 0..=50_000;
            }
            let mut sim = SimLoop::within(&World::new(seed, faults), host, Notes::default());
            test(&mut sim);
            sim.close();
            assert_eq!(sim.sim().descriptors(), 0, "descriptors are left on {host:?}");
        }
    }
}

/// The reading end of a pipe that is watched, the application's own descriptor of it, and the writer.
fn reader(sim: &mut Sim) -> (WatchId, Peer, Peer) {
    let (watched, ours, writer) = sim.sim().watched_pipe(false);
    (sim.hub().watch_resource(Resource::new(watched)), ours, writer)
}

/// The other way round.
fn writer(sim: &mut Sim) -> (WatchId, Peer, Peer) {
    let (watched, ours, reader) = sim.sim().watched_pipe(true);
    reader.stall();
    (sim.hub().watch_resource(Resource::new(watched)), ours, reader)
}

#[test]
fn a_reader_is_called_as_long_as_something_can_be_read_and_then_not() {
    //= LOOP-33, RUST-6
    on_all(|sim| {
        let (id, ours, writer) = reader(sim);
        sim.hub()
            .add_reader(id, move |_, notes| {
                ours.read(1);
                notes.got.extend(ours.recv());
            })
            .unwrap();
        sim.settle();
        assert!(sim.state().got.is_empty());
        for word in ["one", "t", "three and more"] {
            writer.send(word);
            sim.settle();
            assert_eq!(core::mem::take(&mut sim.state().got), word.as_bytes());
        }
        // Everybody else is served meanwhile.
        let server = sim.listen("127.0.0.1:9".parse::<core::net::SocketAddr>().unwrap(), |_, _| echo()).unwrap();
        let peer = sim.sim().connect_peer("127.0.0.1:9".parse().unwrap());
        peer.send("hello");
        writer.send("xyz");
        assert!(sim.run_until(1000, |sim| sim.state().got.len() == 3));
        sim.settle();
        assert_eq!(peer.recv(), b"hello");
        sim.hub().server_close(server);
        drop(peer);
        sim.settle();
        // Not any more.
        assert!(sim.hub().remove_reader(id) && !sim.hub().remove_reader(id));
        writer.send("unheard");
        sim.settle();
        assert_eq!(sim.state().got, b"xyz");
        assert!(sim.hub().is_watching(id) && sim.hub().unwatch(id) && !sim.hub().is_watching(id));
        sim.settle();
        assert_eq!(sim.hub().add_reader(id, |_, _| {}).map_err(Error::kind), Err(ErrorKind::Closed));
    });
}

#[test]
fn a_writer_is_called_while_there_is_room_and_when_there_is_room_again() {
    //= LOOP-33
    on_all(|sim| {
        let (id, ours, reader) = writer(sim);
        // Full before anybody watches.
        ours.fill();
        let calls = Rc::new(RefCell::new(0));
        let count = calls.clone();
        sim.hub()
            .add_writer(id, move |hub, _| {
                *count.borrow_mut() += 1;
                if *count.borrow() == 3 {
                    hub.remove_writer(id);
                }
            })
            .unwrap();
        sim.settle();
        assert_eq!(*calls.borrow(), 0);
        reader.drain();
        sim.settle();
        assert_eq!(*calls.borrow(), 3, "as long as there is room, until it is removed");
        sim.hub().unwatch(id);
        sim.settle();
        drop(ours);
    });
}

#[test]
fn the_end_is_told_and_what_another_callback_has_emptied_is_not() {
    //= LOOP-33, RUST-6
    on_all(|sim| {
        let (id, ours, peer) = reader(sim);
        sim.hub()
            .add_reader(id, move |hub, notes| {
                notes.say("end");
                hub.remove_reader(id);
            })
            .unwrap();
        sim.settle();
        peer.close();
        sim.settle();
        assert_eq!(core::mem::take(&mut sim.state().said), ["end"]);
        drop(ours);
        sim.hub().unwatch(id);

        let pipes = [reader(sim), reader(sim)];
        let ids = [pipes[0].0, pipes[1].0];
        let owns: Rc<Vec<Peer>> = Rc::new(pipes.iter().map(|(_, ours, _)| ours.duplicate().unwrap()).collect());
        for id in ids {
            let owns = owns.clone();
            sim.hub()
                .add_reader(id, move |_, notes| {
                    notes.count += 1;
                    // Whoever comes first takes all.
                    owns.iter().for_each(|own| own.read(100));
                })
                .unwrap();
        }
        for (.., writer) in &pipes {
            writer.send("x");
        }
        sim.settle();
        assert_eq!(sim.state().count, 1, "the other one has nothing to read any more");
        for id in ids {
            sim.hub().unwatch(id);
        }
        sim.settle();
    });
}

#[test]
fn a_callback_that_panics_ends_its_watch_and_nothing_else() {
    //= RUST-8
    on_all(|sim| {
        let (id, _ours, writer) = reader(sim);
        sim.hub().add_reader(id, |_, _| Planted::panic("as asked for")).unwrap();
        writer.send("x");
        sim.settle();
        assert!(!sim.hub().is_watching(id));
        let reports = sim.take_reports();
        assert!(matches!(&reports[..], [Report::Panicked { .. }]), "{reports:?}");
        sim.advance(Duration::from_secs(1));
        sim.settle();
    });
}

#[test]
fn what_cannot_be_watched_is_reported() {
    //= RUST-5, RUST-9, RUST-11
    on_all(|sim| {
        let id = sim.hub().watch_resource(Resource::new("no descriptor"));
        sim.settle();
        assert!(!sim.hub().is_watching(id));
        let reports = sim.take_reports();
        let [Report::WatchFailed { id: failed, error }] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!((*failed, error.kind()), (id, ErrorKind::InvalidInput));
        // Given up before it began: the descriptor goes all the same.
        let (id, ..) = reader(sim);
        sim.hub().unwatch(id);
        sim.settle();
        assert!(sim.take_reports().is_empty());
    });
}

//! Files that are sent, on every kind of kernel interface.

use core::time::Duration;
use plimsoll_conformance::sim::{Failure, Faults, Host, Peer, Sim as World, SimFile, SimLoop, Syscall};
use plimsoll_core::{
    CloseReason, Context, Data, Error, ErrorKind, Protocol, Refusal, Resource, Role, StreamId, WriteLimits, WriteStatus,
};

/// What was received, and how connections ended.
#[derive(Default)]
struct State {
    got: Vec<u8>,
    lost: Vec<Option<ErrorKind>>,
}

/// Writes one more word when a file is over.
struct Sender;

impl Protocol<State> for Sender {
    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        cx.state.got.extend_from_slice(&data);
    }
    fn eof_received(&mut self, _: &mut Context<'_, State>) -> bool {
        true
    }
    fn sendfile_done(&mut self, cx: &mut Context<'_, State>, _: Result<u64, Error>) {
        cx.write("!");
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, State>, reason: CloseReason) {
        cx.state.lost.push(reason.error().map(|error| error.kind()));
    }
}

type Sim = SimLoop<State>;

/// On each kernel and over each kind of stream, with buffers of that size; no descriptor may be left.
fn on_all(space: usize, test: impl Fn(&mut Sim, StreamId, Peer)) {
    for host in Host::ALL {
        for unix in [false, true] {
            let mut sim = SimLoop::new(host, State::default());
            sim.sim().change_faults(|faults| (faults.send_space, faults.receive_space) = (space..=space, space..=space));
            let (ours, peer) = if unix { sim.sim().unix_pair("/pair") } else { sim.sim().socket_pair() };
            let id = sim.hub().adopt(Resource::new(ours), Role::Client, Sender);
            sim.settle();
            test(&mut sim, id, peer);
            sim.close();
            assert_eq!(sim.sim().descriptors(), 0, "descriptors are left on {host:?}");
        }
    }
}

fn send(sim: &mut Sim, id: StreamId, file: &SimFile) {
    sim.hub().send_resource(id, file.resource(), ..).unwrap();
}

#[test]
fn a_file_goes_behind_what_is_queued_and_before_what_comes_later() {
    //= LOOP-28, LOOP-29, INFO-1
    on_all(4, |sim, id, peer| {
        peer.stall();
        let file = sim.sim().file("0123456789");
        assert_eq!(sim.hub().write(id, "before "), WriteStatus::Accepted);
        sim.hub().send_resource(id, file.resource(), 2..=7).unwrap();
        assert_eq!(sim.hub().write(id, "too early"), WriteStatus::Refused(Refusal::Busy));
        assert_eq!(sim.hub().send_resource(id, file.resource(), ..).unwrap_err().kind(), ErrorKind::Busy);
        sim.settle();
        assert_eq!(sim.trace(id), "made");
        peer.drain();
        sim.settle();
        assert_eq!(peer.recv(), b"before 234567!");
        assert_eq!((sim.trace(id).as_str(), file.position()), ("made file(6)", 8));
        assert_eq!(sim.hub().write(id, " after"), WriteStatus::Accepted);
        sim.settle();
        assert_eq!(peer.recv(), b" after");
    });
}

#[test]
fn reading_is_held_meanwhile_and_set_back_as_it_was() {
    //= LOOP-29, READ-5, READ-9
    for paused in [false, true] {
        on_all(4, |sim, id, peer| {
            peer.stall();
            let file = sim.sim().file("0123456789");
            send(sim, id, &file);
            if paused {
                sim.hub().pause_reading(id);
            }
            peer.send("abc");
            peer.eof();
            sim.settle();
            assert_eq!(sim.trace(id), "made");
            peer.drain();
            sim.settle();
            if paused {
                assert_eq!(sim.trace(id), "made file(10)");
                sim.hub().resume_reading(id);
                sim.settle();
            }
            assert_eq!(sim.trace(id), "made file(10) data(3) eof");
        });
    }
}

#[test]
fn the_range_is_what_there_is_of_it() {
    //= LOOP-28, LOOP-29
    on_all(4096, |sim, id, peer| {
        let file = sim.sim().file("0123456789");
        for (range, n) in [(8..20, 2), (10..20, 0), (100..101, 0), (0..1, 1)] {
            sim.hub().send_resource(id, file.resource(), range).unwrap();
            sim.settle();
            assert!(sim.trace(id).ends_with(&format!("file({n})")), "{}", sim.trace(id));
        }
        assert_eq!((peer.recv(), file.position()), (b"89!!!0!".to_vec(), 1));
        assert_eq!(sim.hub().send_resource(id, file.resource(), 3..3).unwrap_err().kind(), ErrorKind::InvalidInput);
        sim.hub().close(id);
        assert_eq!(sim.hub().send_resource(id, file.resource(), ..).unwrap_err().kind(), ErrorKind::Closed);
    });
}

#[test]
fn a_file_that_shrinks_or_grows_meanwhile_ends_where_it_ends_then() {
    //= LOOP-28
    on_all(4, |sim, id, peer| {
        for (grows, n) in [(false, 5), (true, 15)] {
            peer.stall();
            let file = sim.sim().file("0123456789");
            send(sim, id, &file);
            sim.settle();
            // What fills the buffers has gone already, or is about to: no more than that.
            if grows {
                file.append(b"abcde");
            } else {
                file.truncate(5);
            }
            peer.drain();
            sim.settle();
            let sent = peer.recv();
            let text = &b"0123456789abcde"[..sent.len() - 1];
            assert_eq!(sent, [text, b"!"].concat());
            assert!(if grows { text.len() == n } else { (n..10).contains(&text.len()) }, "{}", text.len());
            assert!(sim.trace(id).ends_with(&format!("file({})", text.len())));
            assert_eq!(file.position(), text.len() as u64);
        }
    });
}

#[test]
fn an_error_of_the_file_is_not_one_of_the_connection() {
    //= LOOP-28, RUST-9
    on_all(4096, |sim, id, peer| {
        let file = sim.sim().file("0123456789");
        file.fail_from(4, ErrorKind::Other);
        send(sim, id, &file);
        sim.settle();
        assert_eq!((sim.trace(id).as_str(), peer.recv(), file.position()), ("made file(Other)", b"0123!".to_vec(), 4));
        sim.hub().send_resource(id, Resource::new("a string"), ..).unwrap();
        sim.settle();
        assert_eq!(sim.trace(id), "made file(Other) file(InvalidInput)");
        assert_eq!(peer.recv(), b"!");
    });
}

#[test]
fn a_peer_that_goes_in_the_middle_ends_the_file_and_then_the_connection() {
    //= LOOP-29, LIFE-2, RUST-11
    on_all(4, |sim, id, peer| {
        peer.stall();
        let file = sim.sim().file(vec![7; 100]);
        send(sim, id, &file);
        sim.settle();
        assert_eq!(sim.trace(id), "made");
        drop(peer);
        sim.settle();
        let trace = sim.trace(id);
        let (told, lost) = trace.strip_prefix("made file(").and_then(|rest| rest.split_once(") lost(")).unwrap();
        assert_eq!(lost.trim_end_matches(')'), told);
        assert!(sim.state().lost[0].is_some());
        assert!(file.position() > 0 && file.position() < 100, "{} of {trace} on {:?}", file.position(), sim.host());
    });
}

#[test]
fn an_end_waits_for_a_file_and_an_abort_does_not() {
    //= LOOP-28, CLOSE-1, EOF-6, CLOSE-9
    on_all(4, |sim, id, peer| {
        peer.stall();
        let file = sim.sim().file("0123456789");
        send(sim, id, &file);
        sim.hub().close(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made");
        peer.drain();
        sim.settle();
        assert_eq!((sim.trace(id).as_str(), peer.recv()), ("made file(10) lost", b"0123456789".to_vec()));
        assert!(peer.saw_eof());
    });
    on_all(4, |sim, id, peer| {
        peer.stall();
        let file = sim.sim().file("0123456789");
        send(sim, id, &file);
        sim.hub().write_eof(id).unwrap();
        sim.settle();
        peer.drain();
        sim.settle();
        assert_eq!((sim.trace(id).as_str(), peer.recv()), ("made file(10)", b"0123456789".to_vec()));
        assert!(peer.saw_eof());
    });
    on_all(4, |sim, id, peer| {
        peer.stall();
        let file = sim.sim().file("0123456789");
        send(sim, id, &file);
        sim.settle();
        sim.hub().abort(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made file(ConnectionAborted) lost");
    });
}

#[test]
fn what_the_kernel_refuses_is_read_and_sent_and_a_backend_without_files_says_so() {
    //= LOOP-28, RUST-9
    on_all(4096, |sim, id, peer| {
        let file = sim.sim().file("0123456789");
        for failure in [Failure::Error(ErrorKind::Unsupported), Failure::OneByte, Failure::WouldBlock] {
            sim.sim().fail_nth(Syscall::SendFile, 1, failure);
            send(sim, id, &file);
            sim.settle();
            assert_eq!(peer.recv(), b"0123456789!");
        }
        sim.sim().change_faults(|faults| faults.no_sendfile = true);
        send(sim, id, &file);
        sim.settle();
        assert_eq!(sim.trace(id), "made file(10) file(10) file(10) file(Unsupported)");
        assert_eq!((peer.recv(), sim.hub().write(id, "?")), (b"!".to_vec(), WriteStatus::Accepted));
    });
}

#[test]
fn a_large_file_pauses_nobody_and_keeps_its_memory() {
    //= LOOP-28, FLOW-6
    on_all(65_536, |sim, id, peer| {
        sim.hub().set_write_buffer_limits(id, WriteLimits::new(0, 10).unwrap());
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n >> 8) as u8 ^ n as u8).collect();
        let file = sim.sim().file(bytes.clone());
        send(sim, id, &file);
        assert_eq!(sim.hub().write_buffer_size(id), 0);
        sim.settle();
        assert_eq!(sim.trace(id), "made file(3000000)");
        let got = peer.recv();
        assert!(got[..3_000_000] == bytes && &got[3_000_000..] == b"!");
    });
}

#[test]
fn every_byte_of_a_file_arrives_whatever_goes_wrong_around_it() {
    //= LOOP-28, WRITE-3, RUST-12
    for host in Host::ALL {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut faults = Faults::swarm(&mut rng);
            (faults.descriptors, faults.reset) = (1000, 0);
            let world = World::new(seed, faults);
            let mut sim = SimLoop::within(&world, host, State::default());
            sim.set_traced(true);
            let (ours, peer) = if rng.bool() { world.unix_pair("/pair") } else { world.socket_pair() };
            let id = sim.hub().adopt(Resource::new(ours), Role::Client, Sender);
            let bytes: Vec<u8> = (0..rng.usize(1..2000)).map(|_| rng.u8(..)).collect();
            let file = world.file(bytes.clone());
            sim.hub().write(id, "<");
            let _ = sim.hub().send_resource(id, file.resource(), ..).map_err(|error| panic!("{error}"));
            assert!(sim.run_until(50_000, |sim| sim.trace(id).contains("file(")), "seed {seed} on {host:?}");
            sim.hub().close(id);
            assert!(sim.run_until(50_000, |sim| !sim.state().lost.is_empty()), "seed {seed} on {host:?}");
            for _ in 0..1000 {
                sim.run_once(Some(Duration::from_millis(100)));
            }
            assert!(peer.recv() == [b"<", &bytes[..], b"!"].concat(), "seed {seed} on {host:?}");
            assert_eq!(file.position(), bytes.len() as u64);
        }
    }
}

#[test]
fn every_call_may_fail_in_every_way_while_a_file_is_sent() {
    //= LOOP-29, RUST-6, RUST-11
    for host in Host::ALL {
        for unix in [false, true] {
            let run = |prepare: &dyn Fn(&World)| {
                let world = World::calm();
                let mut sim = SimLoop::within(&world, host, State::default());
                prepare(&world);
                let (ours, peer) = if unix { world.unix_pair("/pair") } else { world.socket_pair() };
                let id = sim.hub().adopt(Resource::new(ours), Role::Client, Sender);
                sim.hub().write(id, "before");
                sim.settle();
                let file = world.file("0123456789");
                // It may be gone by now.
                let _ = sim.hub().send_resource(id, file.resource(), ..);
                sim.settle();
                let _ = sim.hub().write_eof(id);
                peer.eof();
                sim.settle();
                sim.hub().close(id);
                sim.settle();
                sim.checker().assert_over();
                assert_eq!(world.descriptors(), 0, "{}", world.sockets());
                world.calls()
            };
            for (number, call) in run(&World::number_calls).into_iter().enumerate() {
                for &failure in call.failures() {
                    run(&|world| {
                        world.number_calls();
                        world.fail_call(number, failure);
                    });
                }
            }
        }
    }
}

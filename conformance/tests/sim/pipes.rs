//! Pipes, on every kind of kernel interface.

use super::common::{Notes, Sim, boom, script};
use core::time::Duration;
use plimsoll_conformance::sim::{Faults, Host, Sim as World, SimLoop};
use plimsoll_core::{ErrorKind, Refusal, Resource, Role, WriteLimits, WriteStatus};

fn on_all(f: impl Fn(Sim)) {
    for host in Host::ALL {
        f(SimLoop::new(host, Notes::default()));
    }
}

#[test]
fn a_read_pipe_ends_with_its_last_writer_whatever_the_protocol_answers() {
    //= PIPE-1, PIPE-2, PROC-8
    on_all(|mut sim| {
        let (ours, writer) = sim.sim().read_pipe();
        let other = writer.duplicate().unwrap();
        let protocol = script().eof(|cx| {
            assert!(cx.hub.is_closing(cx.id));
            true
        });
        let id = sim.hub().adopt(Resource::new(ours), Role::ReadPipe, protocol);
        assert!(writer.send("hello"));
        drop(writer);
        sim.settle();
        assert_eq!(sim.trace(id), "made data(5)");
        drop(other);
        sim.settle();
        assert_eq!(sim.trace(id), "made data(5) eof lost");
        assert_eq!(sim.sim().descriptors(), 0);
    });
}

#[test]
fn a_pause_holds_bytes_and_end_of_a_read_pipe() {
    //= PIPE-3, READ-5, READ-8, READ-9
    on_all(|mut sim| {
        let (ours, writer) = sim.sim().read_pipe();
        let id = sim.hub().adopt(Resource::new(ours), Role::ReadPipe, script().data(|cx, _| cx.pause_reading()));
        writer.send("one");
        sim.settle();
        writer.send("two");
        drop(writer);
        sim.settle();
        assert_eq!(sim.trace(id), "made data(3)");
        sim.hub().resume_reading(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made data(6)");
        sim.hub().resume_reading(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made data(6) eof lost");
    });
}

#[test]
fn buffered_protocols_read_pipes_too() {
    //= BUF-8, PIPE-1
    on_all(|mut sim| {
        let (ours, writer) = sim.sim().read_pipe();
        let id = sim.hub().adopt(Resource::new(ours), Role::ReadPipe, script().buffered(2));
        writer.send("hello");
        drop(writer);
        sim.settle();
        assert_eq!((sim.trace(id).as_str(), &sim.state().got[..]), ("made filled(5) eof lost", &b"hello"[..]));
    });
}

#[test]
fn a_failing_end_of_file_is_fatal_on_a_pipe() {
    //= RUST-8, PIPE-2
    on_all(|mut sim| {
        for panics in [false, true] {
            let (ours, writer) = sim.sim().read_pipe();
            let protocol = script().eof(move |cx| {
                if panics {
                    boom();
                }
                cx.fail("in eof");
                false
            });
            let id = sim.hub().adopt(Resource::new(ours), Role::ReadPipe, protocol);
            drop(writer);
            sim.settle();
            assert_eq!(sim.trace(id), "made eof lost(CallbackFailed)");
            assert_eq!(sim.take_reports().len(), 1);
        }
    });
}

#[test]
fn what_a_read_pipe_does_not_have_is_refused() {
    //= PIPE-1, PIPE-4, RUST-5
    on_all(|mut sim| {
        let (ours, writer) = sim.sim().read_pipe();
        let id = sim.hub().adopt(Resource::new(ours), Role::ReadPipe, script());
        sim.settle();
        let hub = sim.hub();
        assert_eq!(hub.write(id, ""), WriteStatus::Refused(Refusal::Unsupported));
        assert_eq!(hub.write_eof(id), Err(Refusal::Unsupported));
        assert_eq!(hub.set_write_buffer_limits(id, WriteLimits::DEFAULT), WriteStatus::Refused(Refusal::Unsupported));
        assert!(!hub.can_write_eof(id) && hub.is_reading(id));
        writer.send("unread");
        hub.abort(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made lost");
        assert!(!writer.send("x"));
    });
}

#[test]
fn a_write_pipe_pauses_and_resumes_and_write_eof_closes_it() {
    //= PIPE-6, PIPE-9, PIPE-10, FLOW-6, FLOW-7
    on_all(|mut sim| {
        sim.sim().change_faults(|faults| faults.send_space = 4..=4);
        let (ours, reader) = sim.sim().write_pipe();
        reader.stall();
        let protocol = script().resume(|cx| assert_eq!(cx.hub.write_buffer_size(cx.id), 2));
        let id = sim.hub().adopt(Resource::new(ours), Role::WritePipe, protocol);
        sim.hub().set_write_buffer_limits(id, WriteLimits::new(2, 4).unwrap());
        sim.settle();
        assert_eq!(sim.hub().write(id, "0123456789"), WriteStatus::Paused);
        assert_eq!(sim.hub().write_eof(id), Ok(()));
        assert_eq!(sim.hub().write(id, "x"), WriteStatus::Refused(Refusal::AfterEof));
        sim.settle();
        assert_eq!(sim.trace(id), "made pause");
        reader.read(4);
        sim.settle();
        assert_eq!(sim.trace(id), "made pause resume");
        reader.drain();
        sim.settle();
        assert_eq!(sim.trace(id), "made pause resume lost");
        assert_eq!(reader.recv(), b"0123456789");
    });
}

#[test]
fn a_reader_that_has_gone_ends_a_write_pipe_after_it_was_made() {
    //= PIPE-7, PIPE-8
    on_all(|mut sim| {
        for (queued, trace) in [("", "made lost"), ("bytes", "made lost(BrokenPipe)")] {
            let (ours, reader) = sim.sim().write_pipe();
            drop(reader);
            let id = sim.hub().adopt(Resource::new(ours), Role::WritePipe, script());
            sim.hub().write(id, queued);
            sim.settle();
            assert_eq!(sim.trace(id), trace);
        }
        sim.sim().change_faults(|faults| faults.send_space = 4..=4);
        let (ours, reader) = sim.sim().write_pipe();
        reader.stall();
        let id = sim.hub().adopt(Resource::new(ours), Role::WritePipe, script());
        sim.settle();
        sim.hub().write(id, "0123456789");
        sim.hub().close(id);
        sim.settle();
        drop(reader);
        sim.settle();
        assert_eq!(sim.trace(id), "made lost(BrokenPipe)");
        assert_eq!(sim.state().lost.last().unwrap().discarded(), 6);
    });
}

#[test]
fn every_byte_gets_through_a_pipe_whatever_goes_wrong_around_it() {
    //= PIPE-1, PIPE-6, READ-1, WRITE-3, RUST-12
    for host in Host::ALL {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut faults = Faults::swarm(&mut rng);
            faults.descriptors = 1000;
            let world = World::new(seed, faults);
            let mut sim = SimLoop::with_block_size(&world, host, Notes::default(), [1, 7, 4096][rng.usize(..3)]);
            let bytes: Vec<u8> = (0..rng.usize(..2000)).map(|_| rng.u8(..)).collect();
            let (source, writer) = world.read_pipe();
            let (sink, reader) = world.write_pipe();
            let out = sim.hub().adopt(Resource::new(sink), Role::WritePipe, script());
            let copy = script()
                .data(move |cx, data| {
                    cx.hub.write(out, data);
                })
                .lost(move |cx, _| assert!(cx.hub.write_eof(out).is_ok()));
            let id = sim.hub().adopt(Resource::new(source), Role::ReadPipe, copy);
            sim.hub().set_write_buffer_limits(out, WriteLimits::new(0, rng.usize(..50)).unwrap());
            sim.hub().read_follows_write(id, out);
            for piece in bytes.chunks(1 + rng.usize(..100)) {
                writer.send(piece);
                sim.run_once(Some(Duration::from_micros(rng.u64(..50))));
            }
            drop(writer);
            for _ in 0..20_000 {
                if sim.state().lost.len() == 2 {
                    break;
                }
                sim.run_once(Some(Duration::from_millis(100)));
            }
            assert_eq!(sim.state().lost.len(), 2, "seed {seed} on {host:?}: {:?}", sim.sim().sockets());
            assert!(sim.state().lost.iter().all(|reason| reason.error().is_none()), "seed {seed} on {host:?}");
            assert!(reader.recv() == bytes, "seed {seed} on {host:?}");
            assert!(sim.take_reports().is_empty(), "seed {seed} on {host:?}");
        }
    }
}

#[test]
fn what_is_no_such_end_is_refused() {
    //= PIPE-5
    on_all(|mut sim| {
        let (reading, _writer) = sim.sim().read_pipe();
        let (writing, _reader) = sim.sim().write_pipe();
        sim.hub().adopt(Resource::new(reading), Role::WritePipe, script());
        sim.hub().adopt(Resource::new(writing), Role::ReadPipe, script());
        sim.hub().adopt(Resource::new("a string"), Role::ReadPipe, script());
        sim.settle();
        let kinds: Vec<_> = sim.state().failed.iter().map(|failed| failed.error().kind()).collect();
        assert_eq!(kinds, [ErrorKind::InvalidInput; 3]);
        assert_eq!(sim.sim().descriptors(), 0);
    });
}

//! Every call that may fail fails once, with everything that it may fail with: nothing leaks, nothing hangs, and the loop serves on.

use super::common::{Notes, Sim, addr, echo, here, pattern, script};
use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_conformance::sim::{Failure, Faults, Host, Sim as World, Syscall};
use plimsoll_core::{ErrorKind, Listen, Resource, Role, SocketOption, WriteLimits};

/// A bit of everything. Whether it does what it should is not asked; only that it comes to its end.
fn scenario(sim: &mut Sim, once: bool) {
    let world = sim.sim().clone();
    let upstream = world.listen_peer(addr("10.0.0.2:80"));
    let made =
        sim.listen(Listen::on(here()).and(addr("[::1]:7000")).option(SocketOption::KeepAlive(None)), |_: &mut Notes, _| echo());
    let server = made.ok();
    let peer = world.connect_peer(here());
    let other = world.connect_peer(addr("[::1]:7000"));
    let writer = script()
        .made(|cx| {
            let _ = cx.set_write_buffer_limits(WriteLimits::new(10, 100).unwrap_or_default());
            cx.write(pattern(3000));
        })
        .resume(|cx| {
            cx.state.count += 1;
            if cx.state.count < 3 {
                cx.write(pattern(500));
            } else {
                let _ = cx.write_eof();
            }
        })
        .eof(|_| true);
    let up = sim.hub().connect(addr("10.0.0.2:80"), writer);
    let (socket, adopted) = world.socket_pair();
    let id = sim.hub().adopt(Resource::new(socket), Role::Client, script().buffered(50));
    peer.send(pattern(700));
    adopted.send("for the adopted one");
    sim.settle();
    let accepted = upstream.accept();
    sim.hub().set_option(id, SocketOption::NoDelay(false));
    sim.hub().pause_reading(id);
    adopted.send("while it is paused");
    peer.eof();
    other.reset();
    sim.settle();
    sim.hub().resume_reading(id);
    sim.hub().write(id, pattern(900));
    let _ = sim.hub().write_eof(id);
    sim.hub().close(id);
    if let Some(accepted) = accepted {
        accepted.eof();
        sim.settle();
        accepted.close();
    }
    sim.settle();
    for opening in [up, id] {
        let trace = sim.trace(opening);
        assert!(trace == "open_failed" || trace.starts_with("made"), "{opening:?}: {trace}");
    }
    sim.hub().close(up);
    // A server that had to rest has rested.
    sim.advance(Duration::from_secs(3));
    drop((peer, adopted));
    if let Some(server) = server {
        if once {
            // An address that is not available was skipped.
            let at = sim.hub().sockets(server)[0].inet().unwrap();
            // The first newcomer may be the one whose call fails.
            assert!(serves(sim, at) || serves(sim, at), "the server is deaf");
        }
        sim.hub().server_close(server);
        sim.hub().abort_clients(server);
    }
    sim.settle();
}

/// Whether a newcomer is served there within two seconds.
fn serves(sim: &mut Sim, at: SocketAddr) -> bool {
    let fresh = sim.sim().connect_peer(at);
    fresh.send("alive?");
    sim.advance(Duration::from_secs(2));
    fresh.eof();
    sim.settle();
    fresh.recv() == b"alive?"
}

fn run(host: Host, fails: Option<(usize, Failure)>, persists: Option<Syscall>) -> Vec<Syscall> {
    let mut faults = Faults::none();
    (faults.send_space, faults.receive_space, faults.segment) = (200..=200, 200..=200, 100..=100);
    let world = World::new(0, faults);
    let mut sim = Sim::within(&world, host, Notes::default());
    sim.set_traced(true);
    world.number_calls();
    if let Some((number, failure)) = fails {
        match persists {
            Some(call) => world.fail_calls(number, call, failure),
            None => world.fail_call(number, failure),
        }
    }
    scenario(&mut sim, persists.is_none());
    let calls = world.calls();
    world.fail_no_call();
    // Whatever happened, it serves a newcomer.
    let at = addr("127.0.0.1:7999");
    let server = sim.listen(at, |_: &mut Notes, _| echo()).unwrap();
    assert!(serves(&mut sim, at));
    sim.hub().server_close(server);
    sim.settle();
    let (made, lost) = sim.lifetimes();
    assert_eq!(made, lost);
    sim.checker().assert_over();
    assert_eq!(world.descriptors(), 0, "{}", world.sockets());
    sim.close();
    calls
}

#[test]
fn every_call_may_fail_once_with_everything() {
    //= RUST-6, RUST-11, READ-4, READ-13, WRITE-10, EOF-12, LIFE-2, LIFE-13, LOOP-23
    for host in Host::ALL {
        let calls = run(host, None, None);
        assert!(calls.len() > 60, "{} calls", calls.len());
        let mut runs = 0;
        for (number, call) in calls.iter().enumerate() {
            for &failure in call.failures() {
                let what = (host, number, *call, failure);
                let named = Named(format!("{what:?}"));
                run(host, Some((number, failure)), None);
                drop(named);
                runs += 1;
            }
        }
        println!("{host:?}: {} calls, {runs} failures", calls.len());
    }
}

#[test]
fn every_kind_of_call_may_fail_for_good() {
    //= RUST-6, RUST-11, READ-13, WRITE-10, LIFE-2, LOOP-23
    for host in Host::ALL {
        let calls = run(host, None, None);
        for (number, call) in calls.iter().enumerate() {
            for &failure in call.failures().iter().filter(|failure| lasts(*call, **failure)) {
                let named = Named(format!("{:?}", (host, number, *call, failure)));
                run(host, Some((number, failure)), Some(*call));
                drop(named);
            }
        }
    }
}

/// What would block for ever blocks for ever, and each error of one connection takes that one out of the queue.
const fn lasts(call: Syscall, failure: Failure) -> bool {
    match (call, failure) {
        (Syscall::Accept, Failure::Error(kind)) => !matches!(
            kind,
            ErrorKind::ConnectionAborted | ErrorKind::PermissionDenied | ErrorKind::TimedOut | ErrorKind::Unreachable
        ),
        (_, failure) => matches!(failure, Failure::Error(_)),
    }
}

struct Named(String);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with {}", self.0);
        }
    }
}

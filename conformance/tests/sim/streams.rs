//! Bytes through the production engine on the simulated kernel: echo, proxy, buffered protocols, other protocols in mid-stream.

use super::common::{Cx, Notes, Sim, accepted, addr, echo, here, on_every_host, pattern, script, serve};
use plimsoll_conformance::sim::{Faults, Host, SocketVisitor};
use plimsoll_core::{CloseReason, Data, Protocol, Resource, Role, SocketOption, StreamId, WriteLimits, WriteStatus};

#[test]
fn an_echo_gives_back_every_byte_and_ends_with_the_peer() {
    //= LIFE-1, LIFE-2, LIFE-3, LIFE-4, READ-1, WRITE-1, EOF-2
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, echo());
        let sent = pattern(300_000);
        peer.send(&sent);
        peer.eof();
        sim.settle();
        assert!(peer.recv() == sent && peer.saw_eof());
        assert_eq!(sim.trace(id).replace(" pause resume", ""), "made data(300000) eof lost");
    });
}

#[test]
fn an_echo_survives_every_way_of_cutting_and_delaying() {
    //= READ-1, READ-4, WRITE-3, RUST-12
    for seed in 0..60 {
        for host in Host::ALL {
            let faults = Faults::swarm(&mut fastrand::Rng::with_seed(seed)).harmless();
            let world = plimsoll_conformance::sim::Sim::new(seed, faults);
            let mut sim = Sim::within(&world, host, Notes::default());
            serve(&mut sim, echo);
            let peer = world.connect_peer(here());
            let sent = pattern(3000);
            peer.send(&sent);
            peer.eof();
            let mut back = Vec::new();
            let over = sim.run_until(200_000, |_| {
                back.extend(peer.recv());
                peer.saw_eof()
            });
            back.extend(peer.recv());
            assert!(over && back == sent, "seed {seed} on {host:?}: {} of {}", back.len(), sent.len());
        }
    }
}

/// One half of a proxy: bytes go to the other one, and so does the end.
struct Half {
    other: Option<StreamId>,
}

impl Protocol<Notes> for Half {
    fn connection_made(&mut self, cx: &mut Cx<'_>) {
        cx.state.ids.push(cx.id);
        if let Some(other) = self.other {
            cx.hub.read_follows_write(other, cx.id);
            cx.hub.read_follows_write(cx.id, other);
            cx.hub.resume_reading(other);
            return;
        }
        let up = cx.hub.connect(addr("127.0.0.1:9000"), Self { other: Some(cx.id) });
        self.other = Some(up);
        cx.pause_reading();
    }
    fn data_received(&mut self, cx: &mut Cx<'_>, data: Data<'_>) {
        let other = self.other.unwrap();
        cx.hub.write(other, data);
        cx.state.count = cx.state.count.max(cx.hub.write_buffer_size(other));
    }
    fn eof_received(&mut self, cx: &mut Cx<'_>) -> bool {
        let other = self.other.unwrap();
        cx.hub.write_eof(other).unwrap();
        cx.state.say("eof");
        if cx.state.said.len() == 2 {
            cx.close();
            cx.hub.close(other);
        }
        true
    }
    fn connection_lost(self: Box<Self>, cx: &mut Cx<'_>, reason: CloseReason) {
        cx.hub.close(self.other.unwrap());
        cx.state.lost.push(reason);
    }
}

#[test]
fn a_proxy_holds_its_readers_back_and_passes_both_half_closes_on() {
    //= EOF-3, EOF-6, EOF-10, FLOW-8, READ-6, WRITE-3, WRITE-13
    on_every_host(|sim| {
        let upstream = sim.sim().listen_peer(addr("127.0.0.1:9000"));
        sim.listen(here(), |_: &mut Notes, _| Half { other: None }).unwrap();
        let client = sim.sim().connect_peer(here());
        sim.settle();
        let server = upstream.accept().unwrap();
        server.stall();
        let there = pattern(4 << 20);
        client.send(&there);
        client.eof();
        sim.settle();
        // The server reads nothing: what is on the way is bounded by the marks and the reads, not by what was sent.
        assert!(sim.state().count <= 64 * 1024 + 2 * 65_536, "{} bytes are queued", sim.state().count);
        server.drain();
        sim.settle();
        assert!(server.recv() == there && server.saw_eof());
        assert!(!client.saw_eof());
        let back = pattern(1 << 20);
        server.send(&back);
        server.eof();
        sim.settle();
        assert!(client.recv() == back && client.saw_eof());
        assert!(sim.state().lost.iter().all(|reason| reason.error().is_none()));
        assert_eq!(sim.lifetimes(), (2, 2));
    });
}

#[test]
fn a_buffered_protocol_gets_the_bytes_in_its_own_memory() {
    //= BUF-1, BUF-4, BUF-8
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script().buffered(7));
        let sent = pattern(1000);
        peer.send(&sent);
        peer.eof();
        sim.settle();
        assert_eq!(sim.state().got, sent);
        assert_eq!(sim.trace(id), "made filled(1000) eof lost");
    });
}

#[test]
fn pausing_inside_buffer_updated_holds_back_the_next_buffer() {
    //= BUF-7, READ-8
    on_every_host(|sim| {
        let (peer, id) = accepted(
            sim,
            script()
                .data(|cx, data| {
                    cx.state.got.extend_from_slice(&data);
                    cx.pause_reading();
                })
                .buffered(10),
        );
        peer.send(pattern(35));
        sim.settle();
        for n in [10, 20, 30, 35] {
            assert_eq!(sim.state().got, pattern(n));
            sim.hub().resume_reading(id);
            sim.settle();
        }
    });
}

#[test]
fn lending_no_memory_ends_the_connection() {
    //= BUF-3
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script().buffered(0));
        peer.send("x");
        sim.settle();
        assert_eq!(sim.trace(id), "made lost(CallbackFailed)");
        assert_eq!(sim.take_reports().len(), 1);
    });
}

/// Reads a few bytes, then hands over to one of the other kind.
fn switching(left: usize, size: usize) -> super::common::Script {
    script().data(move |cx, data| {
        cx.state.got.extend_from_slice(&data);
        if left > 0 {
            if left % 2 == 0 {
                cx.set_protocol(switching(left - 1, size));
            } else {
                cx.set_protocol(switching(left - 1, size).buffered(1 + left % size));
            }
        }
    })
}

#[test]
fn switching_between_kinds_in_a_callback_loses_and_repeats_nothing() {
    //= BUF-9, LIFE-14
    on_every_host(|sim| {
        for left in [1, 2, 9, 40] {
            let (peer, _) = accepted(sim, switching(left, 13));
            sim.state().got.clear();
            for piece in pattern(20_000).chunks(777) {
                peer.send(piece);
                sim.settle();
            }
            assert!(sim.state().got == pattern(20_000));
        }
    });
}

#[test]
fn a_successor_gets_every_later_callback_and_no_connection_made() {
    //= LIFE-14, LIFE-15
    on_every_host(|sim| {
        let (peer, id) = accepted(
            sim,
            script()
                .data(|cx, _| {
                    let second = script()
                        .made(|cx| cx.state.say("second made"))
                        .data(|cx, data| cx.state.say(format!("second {}", data.escape_ascii())))
                        .resume(|cx| cx.state.say("second resume"))
                        .lost(|cx, _| cx.state.say("second lost"));
                    cx.set_protocol(second);
                    // Due in this turn: it goes to the successor.
                    assert_eq!(cx.write(vec![0; 1 << 20]), WriteStatus::Paused);
                })
                .pause(|cx| cx.state.say("first pause"))
                .resume(|cx| cx.state.say("first resume"))
                .lost(|cx, _| cx.state.say("first lost")),
        );
        peer.send("a");
        sim.settle();
        peer.send("b");
        sim.settle();
        assert!(sim.hub().protocol::<super::common::Script>(id).is_some());
        peer.eof();
        sim.settle();
        assert_eq!(sim.state().said, ["second resume", "second b", "second lost"]);
    });
}

#[test]
fn the_old_protocol_comes_back_to_whoever_replaces_it_from_outside() {
    //= LIFE-14
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script());
        let old = sim.hub().set_protocol(id, echo().buffered(5));
        assert!(old.is_some());
        peer.send("seven b");
        peer.eof();
        sim.settle();
        assert_eq!(peer.recv(), b"seven b");
        assert_eq!(sim.trace(id), "made filled(7) eof lost");
    });
}

#[test]
fn an_adopted_socket_is_a_connection_like_any_other() {
    //= LOOP-3, LOOP-11, LOOP-12, RUST-11, INFO-2
    on_every_host(|sim| {
        for role in [Role::Client, Role::Accepted] {
            let (socket, peer) = sim.sim().socket_pair();
            let id = sim.hub().adopt(Resource::new(socket), role, echo());
            peer.send("hi");
            sim.settle();
            assert_eq!(peer.recv(), b"hi");
            assert_eq!(sim.hub().peer_addr(id), Some(peer.addr().into()));
            let options = std::rc::Rc::new(core::cell::RefCell::new(Vec::new()));
            let seen = options.clone();
            sim.hub().visit(id, Resource::new(SocketVisitor::new(move |view| *seen.borrow_mut() = view.options.clone())));
            sim.settle();
            assert_eq!(*options.borrow(), [SocketOption::NoDelay(true)]);
            peer.eof();
            sim.settle();
            assert_eq!(sim.trace(id), "made data(2) eof lost");
        }
    });
}

#[test]
fn what_cannot_be_adopted_is_refused_and_closed() {
    //= LOOP-4, RUST-11
    on_every_host(|sim| {
        let listening = sim.sim().bound_socket(addr("127.0.0.1:1"), true);
        let connecting = sim.sim().connecting_socket(addr("127.0.0.1:2"));
        let (connected, _peer) = sim.sim().socket_pair();
        sim.hub().adopt(Resource::new(listening), Role::Client, script());
        sim.hub().adopt(Resource::new(connecting), Role::Client, script());
        sim.hub().adopt(Resource::new(connected), Role::Listener, script());
        sim.hub().adopt(Resource::new("no socket at all"), Role::Client, script());
        sim.settle();
        assert_eq!(sim.state().failed.len(), 4);
        assert!(sim.state().failed.iter().all(|error| error.error().kind() == plimsoll_core::ErrorKind::InvalidInput));
        assert_eq!(sim.sim().descriptors(), 0);
    });
}

#[test]
fn writelines_is_write_for_each_line_and_sends_any_number_of_pieces() {
    //= WRITE-3, WRITE-6, WRITE-7
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script());
        let lines: Vec<Vec<u8>> = (0..100).map(|n| vec![n; usize::from(n) * 37]).collect();
        sim.hub().set_write_buffer_limits(id, WriteLimits::new(0, 1000).unwrap());
        assert_eq!(sim.hub().writelines(id, lines.iter()), WriteStatus::Paused);
        sim.settle();
        assert!(peer.recv() == lines.concat());
        assert_eq!(sim.trace(id), "made pause resume");
    });
}

#[test]
fn a_write_before_the_connection_is_there_is_sent_when_it_is() {
    //= WRITE-13, LIFE-6
    on_every_host(|sim| {
        let listener = sim.sim().listen_peer(addr("10.0.0.9:5"));
        let id = sim.hub().connect(
            addr("10.0.0.9:5"),
            script().made(|cx| {
                cx.write("b");
            }),
        );
        sim.hub().write(id, "a");
        sim.settle();
        assert_eq!(listener.accept().unwrap().recv(), b"ab");
    });
}

#[test]
fn two_connections_of_one_loop_write_to_each_other() {
    //= WRITE-13, READ-1
    on_every_host(|sim| {
        serve(sim, echo);
        let id = sim.hub().connect(
            here(),
            script().made(|cx| {
                cx.write(pattern(500_000));
                cx.write_eof().unwrap();
            }),
        );
        sim.settle();
        assert!(sim.state().got == pattern(500_000));
        assert!(sim.trace(id).ends_with("eof lost"));
    });
}

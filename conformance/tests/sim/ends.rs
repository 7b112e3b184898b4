//! How connections end: end-of-file, half-close, close, abort, resets.

use super::common::{Sim, accepted, here, on_every_host, pattern, script, serve};
use plimsoll_conformance::sim::Host;
use plimsoll_core::{Cause, ErrorKind, Refusal, Side, WriteStatus};

#[test]
fn a_peer_that_only_finishes_yields_eof_and_the_loss() {
    //= EOF-1, EOF-2, LIFE-4, LIFE-13
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script());
        peer.eof();
        sim.settle();
        assert_eq!(sim.trace(id), "made eof lost");
        let reason = &sim.state().lost[0];
        assert_eq!((reason.cause(), reason.first()), (Cause::PeerEof, Side::Peer));
        assert!(peer.saw_eof());
        assert_eq!(sim.sim().descriptors(), 0);
    });
}

#[test]
fn bytes_and_the_end_that_come_while_reading_is_paused_come_after_the_resume() {
    //= READ-9, EOF-1
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script().made(|cx| cx.pause_reading()));
        peer.send("last words");
        peer.eof();
        sim.settle();
        assert_eq!(sim.trace(id), "made");
        sim.hub().resume_reading(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made data(10) eof lost");
    });
}

#[test]
fn a_kept_open_connection_writes_on_and_hears_nothing_more() {
    //= EOF-3, EOF-4, READ-12
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script().eof(|_| true));
        peer.eof();
        sim.settle();
        assert!(!sim.hub().is_reading(id));
        sim.hub().pause_reading(id);
        sim.hub().resume_reading(id);
        sim.hub().write(id, "still here");
        sim.settle();
        assert_eq!((sim.trace(id).as_str(), peer.recv()), ("made eof", b"still here".to_vec()));
        sim.hub().close(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made eof lost");
        assert!(peer.saw_eof());
    });
}

#[test]
fn what_eof_received_writes_is_flushed_before_the_end() {
    //= EOF-2, EOF-5
    on_every_host(|sim| {
        let (peer, id) = accepted(
            sim,
            script().eof(|cx| {
                cx.write(pattern(1_000_000));
                false
            }),
        );
        peer.eof();
        sim.settle();
        assert!(peer.recv() == pattern(1_000_000) && peer.saw_eof());
        assert_eq!(sim.trace(id), "made eof pause resume lost");
    });
}

#[test]
fn closing_in_eof_received_wins_over_its_answer() {
    //= EOF-5
    on_every_host(|sim| {
        let (peer, id) = accepted(
            sim,
            script().eof(|cx| {
                cx.write("bye");
                cx.close();
                true
            }),
        );
        peer.eof();
        sim.settle();
        assert_eq!((sim.trace(id).as_str(), peer.recv()), ("made eof lost", b"bye".to_vec()));
        assert_eq!(sim.state().lost[0].cause(), Cause::LocalClose);
    });
}

#[test]
fn write_eof_goes_behind_the_queue_and_reading_goes_on() {
    //= EOF-6, EOF-7, EOF-8, EOF-10, WRITE-8
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script());
        peer.stall();
        sim.hub().write(id, pattern(1_000_000));
        assert!(sim.hub().can_write_eof(id));
        sim.hub().write_eof(id).unwrap();
        sim.hub().write_eof(id).unwrap();
        assert_eq!(sim.hub().write(id, "late"), WriteStatus::Refused(Refusal::AfterEof));
        assert_eq!(sim.hub().write(id, ""), WriteStatus::Refused(Refusal::AfterEof));
        sim.settle();
        assert!(!peer.saw_eof());
        peer.drain();
        peer.send("still read");
        sim.settle();
        assert!(peer.saw_eof() && peer.recv() == pattern(1_000_000));
        assert!(sim.trace(id).contains("data(10)"));
        peer.eof();
        sim.settle();
        assert!(sim.trace(id).ends_with("eof lost"));
    });
}

#[test]
fn write_eof_and_close_with_a_queue_send_everything_and_one_end() {
    //= EOF-9, CLOSE-1, CLOSE-11
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script());
        peer.stall();
        sim.hub().write(id, pattern(700_000));
        sim.hub().write_eof(id).unwrap();
        sim.hub().close(id);
        sim.settle();
        peer.drain();
        sim.settle();
        assert!(peer.recv() == pattern(700_000) && peer.saw_eof() && peer.error().is_none());
        assert!(sim.trace(id).ends_with("lost"));
    });
}

#[test]
fn both_halves_finished_and_kept_open_waits_for_close() {
    //= EOF-10
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script().eof(|_| true));
        sim.hub().write_eof(id).unwrap();
        peer.eof();
        sim.settle();
        assert_eq!(sim.trace(id), "made eof");
        sim.hub().close(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made eof lost");
    });
}

#[test]
fn what_the_peer_says_while_we_flush_is_not_heard() {
    //= CLOSE-6, CLOSE-7, CLOSE-12
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script());
        peer.stall();
        sim.hub().write(id, pattern(2_000_000));
        sim.hub().close(id);
        peer.send("do you hear me?");
        peer.eof();
        sim.hub().resume_reading(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made pause");
        sim.advance(core::time::Duration::from_secs(3600));
        assert_eq!(sim.trace(id), "made pause");
        peer.drain();
        sim.settle();
        assert_eq!(sim.trace(id), "made pause resume lost");
    });
}

#[test]
fn aborting_drops_the_queue_and_counts_what_was_dropped() {
    //= CLOSE-2, LIFE-4, LIFE-11, WRITE-12
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script());
        peer.stall();
        sim.hub().write(id, pattern(2_000_000));
        sim.settle();
        let size = sim.hub().write_buffer_size(id);
        sim.hub().abort(id);
        assert!(!sim.trace(id).contains("lost"));
        sim.settle();
        assert!(sim.trace(id).ends_with("pause lost"));
        assert_eq!(sim.state().lost[0].discarded(), size as u64);
        assert_eq!(sim.state().lost[0].cause(), Cause::LocalAbort);
    });
}

#[test]
fn bytes_that_came_before_a_reset_are_delivered_before_the_loss() {
    //= READ-11, READ-13, LIFE-4
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script());
        peer.send("last words");
        peer.reset();
        sim.settle();
        assert_eq!(sim.trace(id), "made data(10) lost(ConnectionReset)");
        assert_eq!(sim.state().lost[0].first(), Side::Peer);
    });
}

#[test]
fn a_reset_while_reading_is_paused_is_told_after_the_resume() {
    //= READ-10, READ-11
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script().made(|cx| cx.pause_reading()));
        peer.send("last words");
        sim.settle();
        peer.reset();
        sim.settle();
        assert!(["made", "made lost(ConnectionReset)"].contains(&sim.trace(id).as_str()), "{}", sim.trace(id));
        sim.hub().resume_reading(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made data(10) lost(ConnectionReset)");
    });
}

#[test]
fn a_reset_is_noticed_through_the_queue_although_reading_is_paused() {
    //= READ-10, WRITE-10
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script().made(|cx| cx.pause_reading()));
        peer.stall();
        sim.hub().write(id, pattern(1_000_000));
        sim.settle();
        peer.reset();
        sim.settle();
        assert_eq!(sim.trace(id), "made pause lost(ConnectionReset)");
        assert!(sim.state().lost[0].discarded() > 0);
    });
}

#[test]
fn a_send_that_fails_is_never_the_answer_of_a_write() {
    //= WRITE-10
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script().made(|cx| cx.pause_reading()));
        peer.reset();
        sim.settle();
        assert_eq!(sim.hub().write(id, "x"), WriteStatus::Accepted);
        sim.settle();
        assert_eq!(sim.trace(id), "made lost(ConnectionReset)");
    });
}

#[test]
fn a_reset_after_a_kept_open_end_is_told_by_the_next_send_at_the_latest() {
    //= EOF-11
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script().eof(|_| true));
        peer.eof();
        sim.settle();
        peer.reset();
        sim.settle();
        for _ in 0..2 {
            sim.hub().write(id, "anybody there?");
            sim.settle();
        }
        assert_eq!(sim.trace(id), "made eof lost(BrokenPipe)");
    });
}

#[test]
fn write_eof_on_a_reset_connection_returns_and_the_loss_carries_the_error() {
    //= EOF-12
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script().made(|cx| cx.pause_reading()));
        peer.reset();
        sim.settle();
        sim.hub().write_eof(id).unwrap();
        sim.settle();
        sim.hub().resume_reading(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made lost(ConnectionReset)");
    });
}

#[test]
fn a_reset_while_flushing_ends_the_flush_with_its_error() {
    //= CLOSE-5
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script());
        peer.stall();
        sim.hub().write(id, pattern(1_000_000));
        sim.hub().close(id);
        sim.settle();
        peer.reset();
        sim.settle();
        // A receive that was under way when it closed takes the kernel's first error.
        assert!(["made pause lost(ConnectionReset)", "made pause lost(BrokenPipe)"].contains(&sim.trace(id).as_str()));
    });
}

#[test]
fn the_first_cause_stays_whatever_follows() {
    //= CLOSE-3, CLOSE-4
    on_every_host(|sim| {
        let (peer, id) = accepted(sim, script());
        peer.stall();
        sim.hub().write(id, pattern(1_000_000));
        sim.settle();
        sim.hub().abort(id);
        peer.reset();
        sim.settle();
        assert_eq!(sim.trace(id), "made pause lost");
    });
}

#[test]
fn closing_with_unread_input_resets_on_the_wire() {
    //= CLOSE-11
    for host in [Host::Edge, Host::Level] {
        let mut sim = Sim::new(host, super::common::Notes::default());
        let (peer, id) = accepted(&mut sim, script().made(|cx| cx.pause_reading()));
        peer.send("unread");
        sim.settle();
        sim.hub().write(id, "perhaps");
        sim.hub().close(id);
        sim.settle();
        assert_eq!(sim.trace(id), "made lost");
        assert_eq!(peer.error(), Some(ErrorKind::ConnectionReset));
    }
}

#[test]
fn late_writes_are_discarded_and_the_fifth_is_reported() {
    //= WRITE-9, WRITE-11, RUST-7
    on_every_host(|sim| {
        let (_peer, id) = accepted(
            sim,
            script().lost(|cx, _| {
                assert_eq!(cx.write("in lost"), WriteStatus::Discarded);
                assert!(cx.hub.is_closing(cx.id) && cx.hub.write_buffer_size(cx.id) == 0);
            }),
        );
        sim.hub().close(id);
        for _ in 0..5 {
            assert_eq!(sim.hub().write(id, "late"), WriteStatus::Discarded);
        }
        sim.settle();
        assert_eq!(sim.take_reports().len(), 2);
        assert_eq!(sim.hub().write(id, "after"), WriteStatus::Discarded);
    });
}

#[test]
fn a_stale_id_never_reaches_the_connection_that_got_its_slot() {
    //= RUST-10, LIFE-17, LIFE-13
    on_every_host(|sim| {
        serve(sim, script);
        let mut old = Vec::new();
        for n in 0..20 {
            let peer = sim.sim().connect_peer(here());
            sim.settle();
            let id = *sim.state().ids.last().unwrap();
            for &stale in &old {
                assert_eq!(sim.hub().write(stale, "x"), WriteStatus::Discarded);
                sim.hub().close(stale);
                sim.hub().abort(stale);
                sim.hub().pause_reading(stale);
                assert!(sim.hub().write_eof(stale).is_ok() && sim.hub().is_closing(stale) && !sim.hub().is_reading(stale));
                assert!(sim.hub().peer_addr(stale).is_none() && sim.hub().write_buffer_limits(stale).is_none());
            }
            peer.send("ok");
            sim.settle();
            assert_eq!(sim.trace(id), "made data(2)", "{n}");
            assert_eq!(peer.recv(), b"");
            peer.eof();
            sim.settle();
            old.push(id);
        }
        assert!(old.iter().any(|id| id.key().index() == old[0].key().index() && *id != old[0]));
    });
}

#[test]
fn closing_the_loop_closes_every_socket_and_calls_nobody() {
    //= LIFE-18
    on_every_host(|sim| {
        serve(sim, || script().lost(|cx, _| cx.state.say("lost")));
        let peers = [sim.sim().connect_peer(here()), sim.sim().connect_peer(here())];
        sim.settle();
        let id = sim.state().ids[0];
        sim.hub().write(id, "never sent");
        sim.hub().call_soon(|_, notes| notes.say("soon"));
        sim.close();
        assert!(sim.state().said.is_empty());
        let dropped = |report: &plimsoll_core::Report| matches!(report, plimsoll_core::Report::ConnectionDropped { .. });
        assert_eq!(sim.take_reports().iter().filter(|report| dropped(report)).count(), 2);
        assert_eq!(sim.sim().descriptors(), 0);
        drop(peers);
    });
}

//! Unix datagrams.

use super::{echo, kinds, on_all, open, payloads, script};
use core::time::Duration;
use plimsoll_core::{Addr, BufPool, Datagram, ErrorKind, Resource, UnixAddr, WriteLimits};

#[test]
fn unix_datagrams_name_their_senders_and_a_left_file_is_replaced() {
    //= DGRAM-2, LOOP-26, INFO-2
    on_all(|sim| {
        let here = Addr::unix("/run/here");
        for _ in 0..2 {
            // The file of the first one is left, and nobody is told.
            let id = open(sim, here.clone(), echo());
            let named = sim.sim().datagram_peer(Addr::unix("/run/there"));
            let abstracted = sim.sim().datagram_peer(Addr::from(UnixAddr::abstract_name("there")));
            let unnamed = sim.sim().datagram_peer(Addr::from(UnixAddr::UNNAMED));
            for peer in [&named, &abstracted, &unnamed] {
                assert!(peer.send_to("hello", here.clone()));
            }
            sim.settle();
            assert_eq!((payloads(&named), payloads(&abstracted)), (vec![b"hello".to_vec()], vec![b"hello".to_vec()]));
            let from: Vec<_> = sim.state().got.drain(..).map(|(_, from)| from).collect();
            assert_eq!(from, [named.addr(), abstracted.addr(), Addr::from(UnixAddr::UNNAMED)]);
            // Nobody can answer whoever has no name.
            assert_eq!(kinds(&core::mem::take(&mut sim.state().errors)), [ErrorKind::InvalidInput]);
            sim.hub().close(id);
            sim.settle();
            assert!(sim.sim().has_file("/run/here"));
            assert!(!named.send_to("stale", here.clone()));
        }
        sim.sim().remove_file("/run/here");
        sim.sim().put_file("/run/here");
        let id = open(sim, here, script());
        assert_eq!((sim.trace(id).as_str(), sim.state().failed[0].error().kind()), ("open_failed", ErrorKind::AddrInUse));
    });
}

#[test]
fn unix_addresses_that_cannot_be_sent_to_are_errors_of_one_datagram() {
    //= DGRAM-7, DGRAM-8
    on_all(|sim| {
        let stale = sim.sim().datagram_peer(Addr::unix("/stale"));
        drop(stale);
        let friend = sim.sim().datagram_peer(Addr::unix("/friend"));
        let taken = sim.sim().datagram_peer(Datagram::on(Addr::unix("/taken")).remote_addr(Addr::unix("/friend")));
        sim.sim().change_faults(|faults| faults.send_space = 100..=100);
        let id = open(sim, Addr::from(UnixAddr::UNNAMED), script());
        for to in ["/nowhere", "/stale", "/taken", "/friend"] {
            sim.hub().send_to(id, "x", Addr::unix(to));
        }
        sim.hub().send_to(id, vec![0; 101], Addr::unix("/friend"));
        sim.hub().send_to(id, "y", Addr::unix("/friend"));
        sim.settle();
        let told = [ErrorKind::NotFound, ErrorKind::ConnectionRefused, ErrorKind::PermissionDenied, ErrorKind::MessageTooLong];
        assert_eq!(kinds(&sim.state().errors), told);
        assert_eq!(payloads(&friend), [b"x", b"y"]);
        drop(taken);
    });
}

#[test]
fn a_full_unix_queue_is_waited_for_connected_or_not() {
    //= DGRAM-11, FLOW-6, FLOW-7, DGRAM-8
    on_all(|sim| {
        for connected in [true, false] {
            let reader = sim.sim().datagram_peer(Addr::unix("/reader"));
            reader.stall();
            let to = Addr::unix("/reader");
            let what = if connected { Datagram::to(to.clone()) } else { Datagram::on(UnixAddr::UNNAMED) };
            let id = open(sim, what, script());
            sim.hub().set_write_buffer_limits(id, WriteLimits::new(0, 50).unwrap());
            for n in 0..30_u8 {
                sim.hub().send_to(id, &[n], to.clone());
            }
            sim.settle();
            // Eleven lie in front of the reader.
            assert_eq!((sim.trace(id).as_str(), sim.hub().write_buffer_size(id)), ("made pause", 19 * 9));
            reader.read(1);
            sim.advance(Duration::from_millis(6));
            assert_eq!(sim.hub().write_buffer_size(id), 18 * 9);
            sim.hub().close(id);
            reader.drain();
            sim.advance(Duration::from_millis(20));
            assert_eq!(sim.trace(id), "made pause resume lost");
            assert_eq!(payloads(&reader), (0..30).map(|n| vec![n]).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_unix_peer_that_goes_is_an_error_and_the_queue_goes_on() {
    //= DGRAM-7, DGRAM-8
    on_all(|sim| {
        let (ours, theirs) = sim.sim().datagram_pair();
        let id = sim.hub().adopt_datagram_socket(Resource::new(ours), script());
        sim.settle();
        theirs.stall();
        for n in 0..13_u8 {
            sim.hub().send(id, &[n]);
        }
        sim.settle();
        assert_eq!(sim.hub().write_buffer_size(id), 2 * 9);
        drop(theirs);
        sim.settle();
        assert_eq!(kinds(&sim.state().errors), [ErrorKind::ConnectionRefused, ErrorKind::NotConnected]);
        assert_eq!(sim.hub().write_buffer_size(id), 0);
        sim.hub().close(id);
        sim.settle();
        assert!(sim.trace(id).ends_with(" lost"));
    });
}

#[test]
fn a_unix_datagram_that_is_larger_than_the_area_is_cut() {
    //= DGRAM-13
    on_all(|sim| {
        let id = open(sim, Addr::unix("/here"), script());
        let peer = sim.sim().datagram_peer(Addr::unix("/there"));
        assert!(peer.send_to(vec![1; 100_000], Addr::unix("/here")));
        assert!(peer.send_to("next", Addr::unix("/here")));
        sim.settle();
        assert_eq!(sim.trace(id), format!("made dgram({}) dgram(4)", BufPool::BLOCK));
    });
}

//! What sockets are opened, shared and taken over, and whom they reach.

use super::{Cx, at, echo, on_all, open, payloads, script};
use core::net::{Ipv4Addr, SocketAddr};
use plimsoll_conformance::sim::{Host, SimLoop};
use plimsoll_core::{
    Addr, Data, Datagram, ErrorKind, Family, Group, Refusal, Resource, Role, SocketOption, UnixAddr, WriteStatus,
};

#[test]
fn two_endpoints_of_one_loop_talk_to_each_other() {
    //= DGRAM-2, DGRAM-4
    on_all(|sim| {
        let count = |cx: &mut Cx<'_>, data: Data<'_>, from: &Addr| {
            if data[0] < 200 {
                cx.send_to(&[data[0] + 1], from);
            }
        };
        let server = open(sim, at(9), script().datagram(count));
        let client = open(sim, Datagram::to(at(9)), script().datagram(count));
        sim.hub().send(client, &[1]);
        sim.settle();
        let said: Vec<_> = sim.state().got.iter().map(|(payload, _)| payload[0]).collect();
        assert_eq!(said, (1..=200).collect::<Vec<_>>());
        assert_eq!(sim.trace(server).matches("dgram").count(), 100);
    });
}

#[test]
fn addresses_that_are_not_to_be_had_fail_the_opening() {
    //= LOOP-26, RUST-9
    on_all(|sim| {
        let _taken = sim.sim().datagram_peer(at(9));
        sim.sim().unreachable(Ipv4Addr::new(10, 0, 0, 9).into());
        let far = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 9), 7));
        let wrong: [(Datagram, ErrorKind, Option<Addr>); 5] = [
            (Datagram::on(at(9)), ErrorKind::AddrInUse, Some(at(9).into())),
            (Datagram::on(far), ErrorKind::AddrNotAvailable, Some(far.into())),
            (Datagram::to(far), ErrorKind::Unreachable, Some(far.into())),
            (Datagram::to(Addr::unix("/nobody")), ErrorKind::NotFound, Some(Addr::unix("/nobody"))),
            (Datagram::of(Family::V4).option(SocketOption::NoDelay(true)), ErrorKind::Unsupported, None),
        ];
        for (what, kind, at) in wrong {
            let id = open(sim, what, script());
            assert_eq!(sim.trace(id), "open_failed");
            let failed = sim.state().failed.pop().unwrap();
            assert_eq!((failed.error().kind(), failed.attempts().next().and_then(|(at, _)| at.cloned())), (kind, at));
        }
        sim.sim().change_faults(|faults| faults.descriptors = 0);
        open(sim, at(10), script());
        assert_eq!(sim.state().failed[0].error().kind(), ErrorKind::DescriptorLimit);
    });
}

#[test]
fn an_address_is_shared_by_those_who_all_say_so() {
    //= LOOP-26
    on_all(|sim| {
        let shared = Datagram::on(at(9)).reuse_port(true);
        let (one, other) = (open(sim, shared.clone(), script()), open(sim, shared, script()));
        let alone = open(sim, at(9), script());
        assert_eq!(sim.trace(alone), "open_failed");
        let peer = sim.sim().datagram_peer(at(5));
        for _ in 0..50 {
            peer.send_to("x", at(9));
        }
        sim.settle();
        let counts = [one, other].map(|id| sim.trace(id).matches("dgram").count());
        assert!(counts.iter().sum::<usize>() == 50 && counts.iter().all(|&count| count > 0), "{counts:?}");
    });
}

#[test]
fn sockets_of_the_application_are_taken_over_or_refused() {
    //= LOOP-26, RUST-11
    on_all(|sim| {
        let peer = sim.sim().datagram_peer(at(7));
        let bound = Resource::new(sim.sim().datagram_socket(at(9)));
        let bound = sim.hub().adopt_datagram_socket(bound, echo());
        let connected = Resource::new(sim.sim().datagram_socket(Datagram::to(at(7))));
        let connected = sim.hub().adopt_datagram_socket(connected, script());
        let (ours, theirs) = sim.sim().datagram_pair();
        let paired = sim.hub().adopt_datagram_socket(Resource::new(ours), echo());
        assert_eq!(sim.hub().send(connected, "early"), WriteStatus::Refused(Refusal::NotConnected));
        sim.settle();
        assert_eq!(sim.hub().send(connected, "a"), WriteStatus::Accepted);
        assert_eq!(sim.hub().send(paired, "b"), WriteStatus::Accepted);
        assert_eq!(sim.hub().peer_addr(paired), Some(Addr::from(UnixAddr::UNNAMED)));
        peer.send_to("c", at(9));
        theirs.send("d");
        sim.settle();
        assert_eq!(payloads(&peer), [b"a", b"c"]);
        assert_eq!(payloads(&theirs), [b"b", b"d"]);
        assert_eq!(sim.trace(bound), "made dgram(1)");
        let (stream, _other) = sim.sim().socket_pair();
        for wrong in [Resource::new(stream), Resource::new("a string")] {
            sim.hub().adopt_datagram_socket(wrong, script());
        }
        sim.settle();
        let failed: Vec<_> = sim.state().failed.iter().map(|failed| failed.error().kind()).collect();
        assert_eq!(failed, [ErrorKind::InvalidInput; 2]);
    });
}

#[test]
fn a_datagram_socket_is_no_stream() {
    //= LOOP-3, RUST-11
    for host in Host::ALL {
        let mut sim = SimLoop::new(host, super::super::common::Notes::default());
        let socket = Resource::new(sim.sim().datagram_socket(at(9)));
        sim.hub().adopt(socket, Role::Client, super::super::common::script());
        sim.settle();
        assert_eq!(sim.state().failed[0].error().kind(), ErrorKind::InvalidInput);
        assert_eq!(sim.sim().descriptors(), 0);
    }
}

#[test]
fn with_broadcast_everybody_is_reached_and_everybody_may_answer() {
    //= LOOP-27, DGRAM-4, DGRAM-6
    on_all(|sim| {
        let all = SocketAddr::from((Ipv4Addr::BROADCAST, 7));
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7));
        let one = sim.sim().datagram_peer(Datagram::on(any).reuse_port(true));
        let other = sim.sim().datagram_peer(Datagram::on(any).reuse_port(true));
        let id = open(sim, Datagram::to(all).broadcast(true), script());
        assert_eq!((sim.hub().peer_addr(id), sim.hub().send(id, "who is there")), (None, WriteStatus::Accepted));
        assert_eq!(sim.hub().send_to(id, "x", at(7)), WriteStatus::Refused(Refusal::AddressMismatch));
        sim.settle();
        for peer in [&one, &other] {
            let (payload, from) = peer.recv().pop().unwrap();
            assert_eq!(payload, b"who is there");
            peer.send_to("me", from);
        }
        sim.settle();
        assert_eq!(sim.trace(id), "made dgram(2) dgram(2)");
    });
}

#[test]
fn members_of_a_group_get_what_is_sent_to_it() {
    //= LOOP-26, DGRAM-2
    on_all(|sim| {
        let ip = Ipv4Addr::new(239, 1, 1, 1);
        let member = SocketOption::JoinGroup(Group::V4 { group: ip, interface: Ipv4Addr::UNSPECIFIED });
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7));
        let ours = open(sim, Datagram::on(any).reuse_port(true).option(member), script());
        let stranger = open(sim, Datagram::on(any).reuse_port(true), script());
        let theirs = sim.sim().datagram_peer(Datagram::on(any).reuse_port(true).option(member));
        let group = SocketAddr::from((ip, 7));
        for (comes_back, expected) in [(true, 1), (false, 1)] {
            let sender = open(sim, Datagram::of(Family::V4).option(SocketOption::MulticastLoop(comes_back)), script());
            sim.hub().send_to(sender, "to all", group);
            sim.settle();
            assert_eq!(sim.trace(ours).matches("dgram").count(), expected);
            assert_eq!(theirs.recv().len(), 1);
        }
        assert_eq!(sim.trace(stranger), "made");
        let twice = open(sim, Datagram::of(Family::V4).option(member).option(member), script());
        assert_eq!(sim.trace(twice), "open_failed");
    });
}

// ---- Unix sockets ----

#[test]
fn an_endpoint_may_send_to_itself() {
    //= DGRAM-2, DGRAM-11
    on_all(|sim| {
        for own in [Addr::from(at(9)), Addr::unix("/self")] {
            let id = open(sim, own.clone(), script());
            sim.hub().send_to(id, "to myself", own);
            sim.settle();
            assert_eq!(sim.trace(id), "made dgram(9)");
        }
    });
}

// ---- what goes wrong ----

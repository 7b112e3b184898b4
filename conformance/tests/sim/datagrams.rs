//! Datagram endpoints, on every kind of kernel interface.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use plimsoll_conformance::sim::{DatagramPeer, Failure, Faults, Host, Sim as World, SimLoop, Syscall};
use plimsoll_core::{
    Addr, BufPool, CloseReason, Context, Data, Datagram, DatagramId, DatagramProtocol, Error, ErrorKind, Family, Group,
    OpenError, Refusal, Resource, Role, SocketOption, UnixAddr, WriteLimits, WriteStatus,
};

type Sim = SimLoop<Notes>;
type Cx<'a> = Context<'a, Notes, DatagramId>;
type On = Box<dyn FnMut(&mut Cx<'_>)>;
type OnDatagram = Box<dyn FnMut(&mut Cx<'_>, Data<'_>, &Addr)>;

/// What happened so far.
#[derive(Default)]
struct Notes {
    got: Vec<(Vec<u8>, Addr)>,
    errors: Vec<Error>,
    lost: Vec<CloseReason>,
    failed: Vec<OpenError>,
}

/// A protocol made of closures. Without any it keeps what it receives.
struct Script {
    datagram: OnDatagram,
    error: On,
    resume: On,
}

fn script() -> Script {
    Script { datagram: Box::new(|_, _, _| {}), error: Box::new(|_| {}), resume: Box::new(|_| {}) }
}

fn echo() -> Script {
    script().datagram(|cx, data, from| {
        cx.send_to(data, from);
    })
}

impl Script {
    fn datagram(mut self, f: impl FnMut(&mut Cx<'_>, Data<'_>, &Addr) + 'static) -> Self {
        self.datagram = Box::new(f);
        self
    }
    fn error(mut self, f: impl FnMut(&mut Cx<'_>) + 'static) -> Self {
        self.error = Box::new(f);
        self
    }
    fn resume(mut self, f: impl FnMut(&mut Cx<'_>) + 'static) -> Self {
        self.resume = Box::new(f);
        self
    }
}

impl DatagramProtocol<Notes> for Script {
    fn datagram_received(&mut self, cx: &mut Cx<'_>, data: Data<'_>, from: &Addr) {
        cx.state.got.push((data.to_vec(), from.clone()));
        (self.datagram)(cx, data, from);
    }
    fn error_received(&mut self, cx: &mut Cx<'_>, error: Error) {
        cx.state.errors.push(error);
        (self.error)(cx);
    }
    fn resume_writing(&mut self, cx: &mut Cx<'_>) {
        (self.resume)(cx);
    }
    fn open_failed(self: Box<Self>, cx: &mut Cx<'_>, error: OpenError) {
        cx.state.failed.push(error);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Cx<'_>, reason: CloseReason) {
        cx.state.lost.push(reason);
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Names the host in the output of a test that fails, and looks for descriptors that are left.
fn on_all(test: impl Fn(&mut Sim)) {
    struct OnHost(Host);
    impl Drop for OnHost {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("on the host {:?}", self.0);
            }
        }
    }
    for host in Host::ALL {
        let _named = OnHost(host);
        let mut sim = SimLoop::new(host, Notes::default());
        test(&mut sim);
        sim.close();
        assert_eq!(sim.sim().descriptors(), 0, "descriptors are left");
    }
}

fn open(sim: &mut Sim, open: impl Into<Datagram>, protocol: Script) -> DatagramId {
    let id = sim.hub().open_datagram(open, protocol);
    sim.settle();
    id
}

fn payloads(peer: &DatagramPeer) -> Vec<Vec<u8>> {
    peer.recv().into_iter().map(|(payload, _)| payload).collect()
}

fn kinds(errors: &[Error]) -> Vec<ErrorKind> {
    errors.iter().map(|error| error.kind()).collect()
}

#[test]
fn datagrams_come_whole_with_their_sender_and_go_back_empty_ones_too() {
    //= DGRAM-1, DGRAM-2, DGRAM-3, DGRAM-13
    on_all(|sim| {
        let id = open(sim, at(9), echo());
        let peer = sim.sim().datagram_peer(at(5));
        let largest = vec![7; 65_507];
        for payload in [&b"ab"[..], b"", b"c", &largest] {
            assert!(peer.send_to(payload, at(9)));
        }
        sim.settle();
        assert_eq!(sim.trace(id), "made dgram(2) dgram(0) dgram(1) dgram(65507)");
        assert!(sim.state().got.iter().all(|(_, from)| *from == Addr::from(at(5))));
        assert_eq!(peer.recv(), [&b"ab"[..], b"", b"c", &largest].map(|payload| (payload.to_vec(), Addr::from(at(9)))));
        sim.hub().close(id);
        sim.settle();
        assert!(sim.trace(id).ends_with(" lost"));
    });
}

#[test]
fn many_datagrams_at_once_come_in_order_and_each_is_answered() {
    //= DGRAM-2, DGRAM-11, READ-3
    on_all(|sim| {
        let id = open(sim, at(9), echo());
        let peer = sim.sim().datagram_peer(at(5));
        let all: Vec<Vec<u8>> = (0..1000_u32).map(|n| n.to_le_bytes().to_vec()).collect();
        for payload in &all {
            peer.send_to(payload, at(9));
        }
        sim.settle();
        assert_eq!(payloads(&peer), all);
        assert_eq!(sim.hub().write_buffer_size(id), 0);
    });
}

#[test]
fn an_endpoint_with_a_remote_address_hears_and_reaches_that_one_only() {
    //= DGRAM-4, DGRAM-5, DGRAM-6, INFO-2
    on_all(|sim| {
        let (friend, stranger) = (sim.sim().datagram_peer(at(7)), sim.sim().datagram_peer(at(8)));
        let id = open(sim, Datagram::to(at(7)), script());
        let own = sim.hub().local_addr(id).unwrap();
        assert!(own.inet().is_some_and(|own| own.ip() == at(0).ip() && own.port() != 0));
        assert_eq!(sim.hub().peer_addr(id), Some(Addr::from(at(7))));
        assert_eq!(sim.hub().send(id, "to the peer"), WriteStatus::Accepted);
        assert_eq!(sim.hub().send_to(id, "by its name", at(7)), WriteStatus::Accepted);
        assert_eq!(sim.hub().send_to(id, "to others", at(8)), WriteStatus::Refused(Refusal::AddressMismatch));
        stranger.send_to("not welcome", own.clone());
        friend.send_to("welcome", own);
        sim.settle();
        assert_eq!(payloads(&friend), [b"to the peer", b"by its name"]);
        assert!(stranger.recv().is_empty());
        assert_eq!(sim.trace(id), "made dgram(7)");
        let anyone = open(sim, Datagram::of(Family::V4), script());
        assert_eq!(sim.hub().send(anyone, "to nobody"), WriteStatus::Refused(Refusal::NotConnected));
        assert_eq!(sim.hub().send_to(anyone, "to somebody", at(8)), WriteStatus::Accepted);
        sim.settle();
        assert_eq!(payloads(&stranger), [b"to somebody"]);
    });
}

#[test]
fn that_nobody_is_there_is_told_late_and_to_connected_ones_only() {
    //= DGRAM-7, DGRAM-1
    on_all(|sim| {
        sim.sim().change_faults(|faults| faults.latency = 1_000_000..=1_000_000);
        let connected = open(sim, Datagram::to(at(7)), script());
        let anyone = open(sim, at(9), script());
        sim.hub().send(connected, "lost");
        sim.hub().send_to(anyone, "lost as well", at(7));
        sim.run_once(Some(Duration::ZERO));
        assert_eq!((sim.trace(connected).as_str(), sim.hub().write_buffer_size(connected)), ("made", 0));
        sim.settle();
        assert_eq!((sim.trace(connected), sim.trace(anyone)), ("made error(ConnectionRefused)".into(), "made".into()));
        let peer = sim.sim().datagram_peer(at(7));
        sim.hub().send(connected, "there");
        sim.hub().send_to(anyone, "there as well", at(7));
        sim.settle();
        assert_eq!(payloads(&peer), [&b"there"[..], b"there as well"]);
        assert_eq!(kinds(&sim.state().errors), [ErrorKind::ConnectionRefused]);
    });
}

#[test]
fn an_endpoint_that_answers_errors_with_new_ones_does_not_spin() {
    //= DGRAM-7, RUST-2
    on_all(|sim| {
        let id = open(
            sim,
            Datagram::to(at(7)),
            script().error(|cx| {
                if cx.state.errors.len() < 100 {
                    cx.send("again");
                }
            }),
        );
        sim.hub().send(id, "first");
        sim.settle();
        assert_eq!(sim.state().errors.len(), 100);
    });
}

#[test]
fn what_cannot_be_sent_costs_itself_alone() {
    //= DGRAM-7, DGRAM-8, DGRAM-11, DGRAM-12
    on_all(|sim| {
        let far = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 9), 7));
        sim.sim().unreachable(far.ip());
        let peer = sim.sim().datagram_peer(at(7));
        let id = open(sim, at(9), script());
        let hub = sim.hub();
        hub.send_to(id, "1", at(7));
        hub.send_to(id, vec![0; 65_508], at(7));
        hub.send_to(id, "2", at(7));
        hub.send_to(id, "3", far);
        hub.send_to(id, "4", SocketAddr::from((Ipv4Addr::BROADCAST, 7)));
        hub.send_to(id, "5", "[::1]:7".parse::<SocketAddr>().unwrap());
        hub.send_to(id, "6", at(7));
        hub.close(id);
        sim.settle();
        assert_eq!(payloads(&peer), [b"1", b"2", b"6"]);
        let told = [ErrorKind::MessageTooLong, ErrorKind::Unreachable, ErrorKind::PermissionDenied, ErrorKind::Unsupported];
        assert_eq!(kinds(&sim.state().errors), told);
        assert!(sim.trace(id).ends_with(" lost"), "{}", sim.trace(id));
    });
}

#[test]
fn a_full_buffer_of_the_kernel_pauses_and_resumes_and_keeps_the_order() {
    //= DGRAM-11, DGRAM-12, FLOW-6, FLOW-7
    on_all(|sim| {
        sim.sim().change_faults(|faults| {
            faults.send_space = 4..=4;
            faults.latency = 1_000_000..=1_000_000;
        });
        let peer = sim.sim().datagram_peer(at(7));
        let id = open(sim, Datagram::to(at(7)), script().resume(|cx| assert!(cx.hub.write_buffer_size(cx.id) <= 24)));
        sim.hub().set_write_buffer_limits(id, WriteLimits::new(24, 48).unwrap());
        for n in 0..20_u8 {
            let status = sim.hub().send(id, &[n; 4]);
            assert_eq!(status == WriteStatus::Paused, n >= 4, "{n}");
        }
        assert_eq!(sim.hub().write_buffer_size(id), 20 * 12);
        sim.settle();
        assert_eq!(sim.trace(id), "made pause resume");
        assert_eq!(payloads(&peer), (0..20).map(|n| vec![n; 4]).collect::<Vec<_>>());
        assert_eq!(sim.hub().write_buffer_size(id), 0);
    });
}

#[test]
fn close_sends_what_is_queued_and_abort_does_not() {
    //= DGRAM-8, DGRAM-9, DGRAM-10
    on_all(|sim| {
        sim.sim().change_faults(|faults| {
            faults.send_space = 1..=1;
            faults.latency = 1_000_000..=1_000_000;
        });
        for aborts in [false, true] {
            let peer = sim.sim().datagram_peer(at(7));
            let id = open(sim, Datagram::to(at(7)), script());
            for payload in ["1", "2", "3"] {
                sim.hub().send(id, payload);
            }
            sim.run_once(Some(Duration::ZERO));
            if aborts {
                sim.hub().abort(id);
            } else {
                sim.hub().close(id);
            }
            assert_eq!(sim.hub().send(id, "4"), WriteStatus::Discarded);
            peer.send_to("ignored", sim.hub().local_addr(id).unwrap());
            sim.settle();
            assert_eq!(sim.trace(id), "made lost");
            let first: &[&[u8]] = if aborts { &[b"1"] } else { &[b"1", b"2", b"3"] };
            assert_eq!(payloads(&peer), first);
        }
    });
}

#[test]
fn nothing_comes_after_a_pause_or_an_end_in_the_middle_of_a_batch() {
    //= DGRAM-15, DGRAM-16, READ-5
    on_all(|sim| {
        let peer = sim.sim().datagram_peer(at(5));
        let stops: [fn(&mut Cx<'_>); 3] = [|cx| cx.pause_reading(), |cx| cx.close(), |cx| cx.abort()];
        for (n, stop) in stops.into_iter().enumerate() {
            sim.state().got.clear();
            let id = open(sim, at(9), script().datagram(move |cx, _, _| stop(cx)));
            for payload in ["1", "2", "3", "4"] {
                peer.send_to(payload, at(9));
            }
            sim.settle();
            assert_eq!(sim.state().got.len(), 1);
            if n == 0 {
                for count in 2..=4 {
                    sim.hub().resume_reading(id);
                    sim.settle();
                    assert_eq!(sim.state().got.len(), count);
                }
                let all: Vec<_> = sim.state().got.iter().map(|(payload, _)| payload[0]).collect();
                assert_eq!(all, *b"1234");
                sim.hub().close(id);
                sim.settle();
            } else {
                assert_eq!(sim.trace(id), "made dgram(1) lost");
            }
        }
    });
}

#[test]
fn a_paused_endpoint_keeps_what_the_kernel_has_room_for_and_sends_all_the_same() {
    //= DGRAM-15
    on_all(|sim| {
        sim.sim().change_faults(|faults| faults.receive_space = 10..=10);
        let peer = sim.sim().datagram_peer(at(5));
        let id = open(sim, at(9), script());
        sim.hub().pause_reading(id);
        sim.settle();
        for n in 0..10_u8 {
            peer.send_to([n; 4], at(9));
        }
        sim.hub().send_to(id, "still here", at(5));
        sim.settle();
        assert_eq!((sim.trace(id).as_str(), payloads(&peer)), ("made", vec![b"still here".to_vec()]));
        sim.hub().resume_reading(id);
        sim.settle();
        // The queue of the kernel takes one more as long as it is not full; an operation that was under way had one already.
        let kept = if sim.host() == Host::Completion { 4 } else { 3 };
        let got: Vec<_> = sim.state().got.iter().map(|(payload, _)| payload[0]).collect();
        assert_eq!(got, (0..kept).collect::<Vec<_>>());
    });
}

#[test]
fn a_callback_that_fails_ends_the_endpoint_and_nothing_else() {
    //= RUST-8, DGRAM-16, DGRAM-1
    on_all(|sim| {
        let other = open(sim, at(10), script());
        let peer = sim.sim().datagram_peer(at(5));
        for panics in [false, true] {
            let id = open(
                sim,
                at(9),
                script().datagram(move |cx, _, _| {
                    assert!(!panics, "in a callback");
                    cx.fail("in a callback");
                }),
            );
            for payload in ["1", "2"] {
                peer.send_to(payload, at(9));
                peer.send_to(payload, at(10));
            }
            sim.settle();
            assert_eq!(sim.trace(id), "made dgram(1) lost(CallbackFailed)");
            assert_eq!(sim.take_reports().len(), 1);
        }
        assert_eq!(sim.trace(other), "made dgram(1) dgram(1) dgram(1) dgram(1)");
    });
}

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
        let mut sim = SimLoop::new(host, super::common::Notes::default());
        let socket = Resource::new(sim.sim().datagram_socket(at(9)));
        sim.hub().adopt(socket, Role::Client, super::common::script());
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

#[test]
fn in_a_calm_world_nothing_is_lost_and_nothing_is_exchanged() {
    //= DGRAM-2, DGRAM-11
    for host in Host::ALL {
        for seed in 0..20 {
            let mut faults = Faults::none();
            faults.latency = 0..=1_000_000;
            faults.completion = 0..=1_000_000;
            let world = World::new(seed, faults);
            let mut sim = SimLoop::within(&world, host, Notes::default());
            open(&mut sim, at(9), echo());
            let peer = world.datagram_peer(at(5));
            let all: Vec<Vec<u8>> = (0..100).map(|n| vec![n]).collect();
            for payload in &all {
                peer.send_to(payload, at(9));
            }
            sim.settle();
            assert_eq!(payloads(&peer), all, "seed {seed} on {host:?}");
        }
    }
}

#[test]
fn datagrams_are_lost_doubled_and_exchanged_as_the_world_has_it() {
    //= DGRAM-2, RUST-12
    for host in Host::ALL {
        let (mut lost, mut doubled, mut exchanged) = (0, 0, 0);
        for seed in 0..30 {
            let mut faults = Faults::none();
            (faults.lose_datagram, faults.duplicate_datagram, faults.reorder_datagram) = (100, 100, 200);
            faults.datagram_delay = 0..=1_000_000;
            faults.latency = 0..=1_000;
            let world = World::new(seed, faults);
            let mut sim = SimLoop::within(&world, host, Notes::default());
            open(&mut sim, at(9), script());
            let peer = world.datagram_peer(at(5));
            for n in 0..100 {
                peer.send_to([n], at(9));
            }
            sim.settle();
            let got: Vec<u8> = sim.state().got.iter().map(|(payload, _)| payload[0]).collect();
            let mut sorted = got.clone();
            sorted.sort_unstable();
            exchanged += usize::from(sorted != got);
            doubled += sorted.windows(2).filter(|pair| pair[0] == pair[1]).count();
            sorted.dedup();
            lost += 100 - sorted.len();
        }
        assert!(lost > 100 && doubled > 100 && exchanged > 20, "{lost} {doubled} {exchanged}");
    }
}

/// An exchange with everything in it: openings, answers, an error, an end.
fn exchange(host: Host, prepare: impl FnOnce(&World)) -> Sim {
    let world = World::calm();
    let mut sim = SimLoop::within(&world, host, Notes::default());
    prepare(&world);
    let server = sim.hub().open_datagram(at(9), echo());
    let unix = sim.hub().open_datagram(Addr::unix("/here"), echo());
    let client = sim.hub().open_datagram(Datagram::to(at(9)), script());
    let nobody = sim.hub().open_datagram(Datagram::to(at(11)), script());
    let (ours, theirs) = world.datagram_pair();
    let adopted = sim.hub().adopt_datagram_socket(Resource::new(ours), echo());
    sim.settle();
    let peer = world.datagram_peer(Addr::unix("/there"));
    for n in 0..3 {
        sim.hub().send(client, &[n]);
        sim.hub().send(nobody, &[n]);
        peer.send_to([n], Addr::unix("/here"));
        theirs.send([n]);
    }
    sim.advance(Duration::from_millis(20));
    for id in [server, unix, client, nobody, adopted] {
        sim.hub().close(id);
    }
    sim.advance(Duration::from_millis(20));
    sim.checker().assert_over();
    assert_eq!(world.descriptors(), 0);
    sim
}

#[test]
fn every_call_may_fail_in_every_way() {
    //= DGRAM-7, DGRAM-8, RUST-6, RUST-11
    for host in Host::ALL {
        let calls = exchange(host, World::number_calls).sim().calls();
        assert!(calls.len() > 20, "{calls:?}");
        for (number, call) in calls.iter().enumerate() {
            for &failure in call.failures() {
                for persists in [false, true] {
                    // What never goes on never ends, and neither do errors of a receive that are told one after the other.
                    if persists && (failure == Failure::WouldBlock || *call == Syscall::RecvFrom) {
                        continue;
                    }
                    exchange(host, |world| {
                        world.number_calls();
                        if persists {
                            world.fail_calls(number, *call, failure);
                        } else {
                            world.fail_call(number, failure);
                        }
                    });
                }
            }
        }
    }
}

#[test]
fn whatever_goes_wrong_each_datagram_is_one_that_was_sent_and_the_queue_drains() {
    //= DGRAM-1, DGRAM-2, DGRAM-8, DGRAM-11, DGRAM-12, RUST-12
    for host in Host::ALL {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut faults = Faults::swarm(&mut rng);
            faults.descriptors = 1000;
            let world = World::new(seed, faults);
            let mut sim = SimLoop::within(&world, host, Notes::default());
            let unix = rng.bool();
            let (here, there) = if unix { (Addr::unix("/a"), Addr::unix("/b")) } else { (at(1).into(), at(2).into()) };
            let receiver = sim.hub().open_datagram(here.clone(), script());
            let sender = sim.hub().open_datagram(Datagram::on(there.clone()), script());
            sim.hub().set_write_buffer_limits(sender, WriteLimits::new(0, rng.usize(..50)).unwrap());
            for n in 0..100_u8 {
                sim.hub().send_to(sender, vec![n; usize::from(n % 7)], here.clone());
                if rng.u32(..10) == 0 {
                    sim.hub().pause_reading(receiver);
                } else if rng.u32(..5) == 0 {
                    sim.hub().resume_reading(receiver);
                }
                sim.run_once(Some(Duration::from_micros(rng.u64(..50))));
            }
            world.set_faults(Faults::none());
            sim.hub().resume_reading(receiver);
            sim.hub().close(sender);
            sim.advance(Duration::from_secs(2));
            assert_eq!(sim.hub().write_buffer_size(sender), 0);
            sim.hub().close(receiver);
            sim.advance(Duration::from_secs(2));
            sim.checker().assert_over();
            let got = &sim.state().got;
            let whole = got.iter().all(|(payload, from)| {
                *from == there
                    && payload.iter().all(|n| *n == payload[0])
                    && payload.first().is_none_or(|n| usize::from(n % 7) == payload.len())
            });
            assert!(whole, "seed {seed} on {host:?}");
            if unix {
                let refused = kinds(&sim.state().errors).iter().filter(|kind| **kind == ErrorKind::MessageTooLong).count();
                assert_eq!(sim.state().got.len() + refused, 100, "seed {seed} on {host:?}");
                let first: Vec<u8> = sim.state().got.iter().filter_map(|(payload, _)| payload.first().copied()).collect();
                assert!(first.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed} on {host:?}");
            }
            assert!(sim.take_reports().is_empty(), "seed {seed} on {host:?}");
            assert_eq!(world.descriptors(), 0);
        }
    }
}

//! Datagram endpoints, on every kind of kernel interface.

mod sockets;
mod unix;
mod worlds;

use crate::common::boom;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use plimsoll_conformance::sim::{DatagramPeer, Host, SimLoop};
use plimsoll_core::{
    Addr, CloseReason, Context, Data, Datagram, DatagramId, DatagramProtocol, Error, ErrorKind, Family, OpenError, Refusal,
    WriteLimits, WriteStatus,
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
                    if panics {
                        boom();
                    }
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

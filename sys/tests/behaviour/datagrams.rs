//! Datagram endpoints on real sockets.

use super::kit::{PATIENCE, Rig, Tap, any_port, any_port_v6, pattern, socket_path};
use crate::backend::{
    Addr, CloseReason, Context, Data, Datagram, DatagramId, DatagramProtocol, Error, Family, Group, HubExt, OpenError, Refusal,
    SocketOption, UnixAddr, WriteLimits, WriteStatus,
};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketType};
use std::cell::RefCell;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use std::time::Duration;

pub(super) type Cx<'a> = Context<'a, super::kit::State, DatagramId>;

pub(super) type Act = fn(&mut Cx<'_>);

/// What came, in words; shared with the test.
pub(super) type Log = Rc<RefCell<Vec<String>>>;

/// An endpoint that writes down what it is called with.
#[derive(Default)]
pub(super) struct Ear {
    pub(super) log: Log,
    pub(super) echo: bool,
    pub(super) act: Option<Act>,
}

impl Ear {
    fn note(&self, what: impl Into<String>) {
        self.log.borrow_mut().push(what.into());
    }
}

impl DatagramProtocol<super::kit::State> for Ear {
    fn connection_made(&mut self, _: &mut Cx<'_>) {
        self.note("made");
    }
    fn datagram_received(&mut self, cx: &mut Cx<'_>, data: Data<'_>, from: &Addr) {
        self.note(if data.len() < 20 { format!("{}", data.escape_ascii()) } else { format!("{} bytes", data.len()) });
        if self.echo {
            cx.send_to(data, from);
        }
        if let Some(act) = self.act {
            act(cx);
        }
    }
    fn error_received(&mut self, _: &mut Cx<'_>, error: Error) {
        self.note(format!("err({:?})", error.kind()));
    }
    fn pause_writing(&mut self, _: &mut Cx<'_>) {
        self.note("pause");
    }
    fn resume_writing(&mut self, _: &mut Cx<'_>) {
        self.note("resume");
    }
    fn open_failed(self: Box<Self>, _: &mut Cx<'_>, error: OpenError) {
        self.note(format!("refused({:?})", error.error().kind()));
    }
    fn connection_lost(self: Box<Self>, _: &mut Cx<'_>, reason: CloseReason) {
        self.note(reason.error().map_or("lost(None)".into(), |error| format!("lost({:?})", error.kind())));
    }
}

impl Rig {
    /// An endpoint that is made, its address, and what it writes down from then on.
    pub(super) fn datagram(&mut self, open: impl Into<Datagram>, ear: Ear) -> (DatagramId, Addr, Log) {
        let log = ear.log.clone();
        let id = self.event_loop.hub().open_datagram(open, ear);
        self.heard(&log, "made");
        log.borrow_mut().clear();
        let addr = self.event_loop.hub().local_addr(id).unwrap();
        (id, addr, log)
    }

    #[track_caller]
    pub(super) fn heard(&mut self, log: &Log, what: &str) {
        self.until(|_| log.borrow().iter().any(|heard| heard == what));
    }
}

fn echo() -> Ear {
    Ear { echo: true, ..Ear::default() }
}

pub(super) fn udp() -> UdpSocket {
    patient(UdpSocket::bind(any_port()).unwrap())
}

pub(super) fn patient(socket: UdpSocket) -> UdpSocket {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

pub(super) fn inet(addr: &Addr) -> SocketAddr {
    addr.inet().unwrap()
}

/// A port where nobody receives.
fn nobody() -> SocketAddr {
    UdpSocket::bind(any_port()).unwrap().local_addr().unwrap()
}

#[test]
fn datagrams_come_back_whole_empty_ones_and_the_largest_too() {
    //= DGRAM-1, DGRAM-2, DGRAM-3, DGRAM-13
    for any in [any_port(), any_port_v6()] {
        let mut rig = Rig::new();
        let (id, addr, log) = rig.datagram(any, echo());
        let peer = patient(UdpSocket::bind(any).unwrap());
        let largest = if any.is_ipv4() { 65_507 } else { 65_527 };
        let sizes = [0, 1, 64, 1400, 9000, largest, 0, 3];
        for size in sizes {
            peer.send_to(&pattern(size), inet(&addr)).unwrap();
            let before = log.borrow().len();
            rig.until(|_| log.borrow().len() > before);
            let mut room = vec![0; 70_000];
            let (n, from) = peer.recv_from(&mut room).unwrap();
            assert_eq!((n, from), (size, inet(&addr)));
            assert_eq!(room[..n], pattern(size)[..]);
        }
        assert_eq!(rig.event_loop.hub().write_buffer_size(id), 0);
        rig.event_loop.hub().close(id);
        rig.heard(&log, "lost(None)");
        assert_eq!(log.borrow().len(), sizes.len() + 1);
    }
}

#[test]
fn many_datagrams_from_many_peers_are_answered_each_to_its_own() {
    //= DGRAM-2, DGRAM-11, READ-3
    for any in [any_port(), any_port_v6()] {
        let mut rig = Rig::new();
        let (id, addr, log) = rig.datagram(any, echo());
        let peers: Vec<UdpSocket> = (0..60).map(|_| patient(UdpSocket::bind(any).unwrap())).collect();
        for (n, peer) in peers.iter().enumerate() {
            peer.send_to(&[n as u8], inet(&addr)).unwrap();
            peer.send_to(&[n as u8; 3], inet(&addr)).unwrap();
        }
        rig.until(|_| log.borrow().len() == 120);
        for (n, peer) in peers.iter().enumerate() {
            for size in [1, 3] {
                let mut room = [0; 10];
                let (len, from) = peer.recv_from(&mut room).unwrap();
                assert_eq!((len, from), (size, inet(&addr)));
                assert_eq!(room[..len], [n as u8; 3][..size]);
            }
        }
        rig.event_loop.hub().abort(id);
        rig.heard(&log, "lost(None)");
    }
}

#[test]
fn a_connected_endpoint_talks_to_its_peer_only() {
    //= DGRAM-4, DGRAM-6, LOOP-26, INFO-2, INFO-3
    let mut rig = Rig::new();
    let (peer, stranger) = (udp(), udp());
    let remote = peer.local_addr().unwrap();
    let (id, addr, log) = rig.datagram(Datagram::on(any_port()).remote_addr(remote), Ear::default());
    let hub = rig.event_loop.hub();
    assert_eq!(hub.peer_addr(id), Some(remote.into()));
    assert_eq!(hub.send(id, "one"), WriteStatus::Accepted);
    assert_eq!(hub.send_to(id, "two", remote), WriteStatus::Accepted);
    assert_eq!(hub.send_to(id, "three", stranger.local_addr().unwrap()), WriteStatus::Refused(Refusal::AddressMismatch));
    stranger.send_to(b"stranger", inet(&addr)).unwrap();
    peer.send_to(b"peer", inet(&addr)).unwrap();
    rig.heard(&log, "peer");
    let mut room = [0; 10];
    for expected in ["one", "two"] {
        let (n, from) = peer.recv_from(&mut room).unwrap();
        assert_eq!((&room[..n], from), (expected.as_bytes(), inet(&addr)));
    }
    assert_eq!(*log.borrow(), ["peer"]);
    rig.event_loop.hub().close(id);
    rig.heard(&log, "lost(None)");
}

#[test]
fn an_endpoint_of_a_family_alone_is_bound_by_its_first_send() {
    //= LOOP-26, DGRAM-5
    let mut rig = Rig::new();
    let peer = udp();
    let (id, _, log) = rig.datagram(Datagram::of(Family::V4), Ear::default());
    assert_eq!(rig.event_loop.hub().send(id, "?"), WriteStatus::Refused(Refusal::NotConnected));
    rig.event_loop.hub().send_to(id, "hello", peer.local_addr().unwrap());
    rig.settle();
    let (n, from) = peer.recv_from(&mut [0; 10]).unwrap();
    peer.send_to(b"back", from).unwrap();
    rig.heard(&log, "back");
    assert_eq!(n, 5);
    rig.event_loop.hub().abort(id);
    rig.heard(&log, "lost(None)");
}

#[test]
fn a_refused_port_is_told_and_the_endpoint_lives() {
    //= DGRAM-7
    let mut rig = Rig::new();
    let closed = nobody();
    let (id, addr, log) = rig.datagram(Datagram::to(closed), Ear::default());
    rig.event_loop.hub().send(id, "anybody?");
    rig.heard(&log, "err(ConnectionRefused)");
    assert!(!rig.event_loop.hub().is_closing(id));
    // Somebody comes: the same endpoint reaches them.
    let peer = patient(UdpSocket::bind(closed).unwrap());
    rig.event_loop.hub().send(id, "now?");
    rig.settle();
    let mut room = [0; 10];
    let n = peer.recv(&mut room).unwrap();
    assert_eq!(&room[..n], b"now?");
    peer.send_to(b"yes", inet(&addr)).unwrap();
    rig.heard(&log, "yes");
    rig.event_loop.hub().close(id);
    rig.heard(&log, "lost(None)");
    assert_eq!(log.borrow().iter().filter(|heard| heard.starts_with("err")).count(), 1);
}

#[test]
fn an_overlong_datagram_is_told_and_what_is_behind_it_is_sent() {
    //= DGRAM-7, DGRAM-8
    let mut rig = Rig::new();
    let peer = udp();
    let remote = peer.local_addr().unwrap();
    let (id, _, log) = rig.datagram(any_port(), Ear::default());
    let hub = rig.event_loop.hub();
    hub.send_to(id, "first", remote);
    hub.send_to(id, pattern(65_536), remote);
    hub.send_to(id, "odd port", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    hub.send_to(id, "other family", any_port_v6());
    hub.send_to(id, "last", remote);
    hub.close(id);
    rig.heard(&log, "lost(None)");
    let mut room = [0; 10];
    for expected in ["first", "last"] {
        let n = peer.recv(&mut room).unwrap();
        assert_eq!(&room[..n], expected.as_bytes());
    }
    log.borrow_mut().retain(|heard| heard != "pause" && heard != "resume");
    assert_eq!(log.borrow()[0], "err(MessageTooLong)");
    assert_eq!(log.borrow().iter().filter(|heard| heard.starts_with("err")).count(), 3, "{:?}", log.borrow());
}

#[test]
fn openings_that_make_no_sense_fail() {
    //= LOOP-26, RUST-11
    let mut rig = Rig::new();
    let taken = udp();
    let failed = |rig: &mut Rig, open: Datagram| {
        let log = Log::default();
        rig.event_loop.hub().open_datagram(open, Ear { log: log.clone(), ..Ear::default() });
        rig.until(|_| !log.borrow().is_empty());
        log.take().remove(0)
    };
    let invalid = [
        Datagram::on(any_port()).remote_addr(any_port_v6()),
        Datagram::on(Addr::unix("a\0b")),
        Datagram::on(Addr::unix(vec![b'a'; 200])),
        Datagram::to(UnixAddr::UNNAMED),
    ];
    for open in invalid {
        assert_eq!(failed(&mut rig, open.clone()), "refused(InvalidInput)", "{open:?}");
    }
    assert_eq!(failed(&mut rig, taken.local_addr().unwrap().into()), "refused(AddrInUse)");
    assert_eq!(failed(&mut rig, SocketAddr::from(([192, 0, 2, 1], 0)).into()), "refused(AddrNotAvailable)");
    assert_eq!(failed(&mut rig, Datagram::to(Addr::unix("/nowhere/at/all"))), "refused(NotFound)");
    let group = Group::V4 { group: Ipv4Addr::new(10, 0, 0, 1), interface: Ipv4Addr::LOCALHOST };
    assert_eq!(failed(&mut rig, Datagram::on(any_port()).option(SocketOption::JoinGroup(group))), "refused(InvalidInput)");
}

#[test]
fn a_socket_of_the_applications_is_taken_over_if_it_is_one() {
    //= LOOP-26, DGRAM-4, DGRAM-6, RUST-11
    let mut rig = Rig::new();
    let peer = udp();
    let remote = peer.local_addr().unwrap();
    let socket = UdpSocket::bind(any_port()).unwrap();
    socket.connect(remote).unwrap();
    let log = Log::default();
    let hub = rig.event_loop.hub();
    let id = hub.adopt_datagram(socket, Ear { log: log.clone(), ..Ear::default() });
    assert_eq!(hub.send(id, "too early"), WriteStatus::Refused(Refusal::NotConnected));
    rig.heard(&log, "made");
    let hub = rig.event_loop.hub();
    assert_eq!(hub.send(id, "hello"), WriteStatus::Accepted);
    assert_eq!(hub.send_to(id, "hello", any_port()), WriteStatus::Refused(Refusal::AddressMismatch));
    hub.close(id);
    rig.heard(&log, "lost(None)");
    let mut room = [0; 10];
    assert_eq!(peer.recv(&mut room).unwrap(), 5);

    let wrong: [std::os::fd::OwnedFd; 2] =
        [std::net::TcpListener::bind(any_port()).unwrap().into(), std::fs::File::open("/dev/null").unwrap().into()];
    for wrong in wrong {
        let log = Log::default();
        rig.event_loop.hub().adopt_datagram(wrong, Ear { log: log.clone(), ..Ear::default() });
        rig.heard(&log, "refused(InvalidInput)");
    }
}

#[test]
fn a_peer_without_a_name_is_a_peer() {
    //= DGRAM-4, DGRAM-6, INFO-2
    let mut rig = Rig::new();
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let log = Log::default();
    let id = rig.event_loop.hub().adopt_datagram(ours, Ear { log: log.clone(), echo: true, ..Ear::default() });
    rig.heard(&log, "made");
    theirs.send(b"ping").unwrap();
    theirs.send(b"").unwrap();
    rig.heard(&log, "");
    let mut room = [0; 10];
    assert_eq!(theirs.recv(&mut room).unwrap(), 4);
    assert_eq!(theirs.recv(&mut room).unwrap(), 0);
    let hub = rig.event_loop.hub();
    assert_eq!(hub.peer_addr(id), Some(UnixAddr::UNNAMED.into()));
    assert_eq!(hub.send_to(id, "x", any_port()), WriteStatus::Refused(Refusal::AddressMismatch));
    hub.close(id);
    rig.heard(&log, "lost(None)");
}

#[test]
fn unix_datagrams_go_between_paths_and_a_socket_file_that_was_left_is_replaced() {
    //= DGRAM-2, LOOP-26, INFO-2
    let mut rig = Rig::new();
    let (here, there) = (socket_path(), socket_path());
    drop(UnixDatagram::bind(here).unwrap());
    assert!(here.exists());
    let (id, addr, log) = rig.datagram(Addr::from(UnixAddr::from(here)), echo());
    assert_eq!(addr.as_unix().unwrap().as_path(), Some(here));
    let peer = UnixDatagram::bind(there).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.send_to(b"hello", here).unwrap();
    rig.heard(&log, "hello");
    let mut room = vec![0; 70_000];
    let (n, from) = peer.recv_from(&mut room).unwrap();
    assert_eq!((&room[..n], from.as_pathname()), (&b"hello"[..], Some(here)));
    // From a socket without a name there is no way back.
    UnixDatagram::unbound().unwrap().send_to(b"who?", here).unwrap();
    rig.heard(&log, "err(InvalidInput)");
    // Nor from one whose path fills the system's room: it is told like one without a name.
    let stem = std::env::temp_dir().join(format!("{}-", std::process::id()));
    let longest = format!("{:d<108}", stem.display());
    let _ = std::fs::remove_file(&longest);
    let nameless = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
    rustix::net::bind(&nameless, &SocketAddrUnix::new(longest.as_str()).unwrap()).unwrap();
    let to = SocketAddrUnix::new(here).unwrap();
    rustix::net::sendto(&nameless, b"far", SendFlags::empty(), &to).unwrap();
    std::fs::remove_file(&longest).unwrap();
    rig.heard(&log, "far");
    rig.until(|_| log.borrow().iter().filter(|heard| *heard == "err(InvalidInput)").count() == 2);
    // What is larger than the area is cut (contract DGRAM-13).
    peer.send_to(&pattern(100_000), here).unwrap();
    rig.heard(&log, "65536 bytes");
    rig.event_loop.hub().abort(id);
    rig.heard(&log, "lost(None)");
    std::fs::remove_file(here).unwrap();
    std::fs::remove_file(there).unwrap();
}

#[test]
fn a_peer_that_does_not_receive_fills_the_queue_and_pauses_the_writer() {
    //= DGRAM-11, DGRAM-12, FLOW-6, FLOW-7, FLOW-8, DGRAM-8
    for connected in [true, false] {
        let mut rig = Rig::new();
        let (here, there) = (socket_path(), socket_path());
        let peer = UnixDatagram::bind(there).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let open = Datagram::on(UnixAddr::from(here));
        let open = if connected { open.remote_addr(UnixAddr::from(there)) } else { open };
        let (id, _, log) = rig.datagram(open, Ear::default());
        rig.event_loop.hub().set_write_buffer_limits(id, WriteLimits::new(2_000, 10_000).unwrap());
        let mut sent = 0_u32;
        while !log.borrow().iter().any(|heard| heard == "pause") {
            let payload = sent.to_be_bytes();
            let hub = rig.event_loop.hub();
            let status = if connected { hub.send(id, &payload) } else { hub.send_to(id, &payload, UnixAddr::from(there)) };
            assert!(matches!(status, WriteStatus::Accepted | WriteStatus::Paused));
            sent += 1;
            rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
        }
        let size = rig.event_loop.hub().write_buffer_size(id);
        assert!(size > 10_000 && size % 12 == 0, "{size}");
        rig.event_loop.hub().close(id);
        for expected in 0..sent {
            let mut room = [0; 10];
            peer.set_nonblocking(true).unwrap();
            loop {
                match peer.recv(&mut room) {
                    Ok(n) => {
                        assert_eq!(room[..n], expected.to_be_bytes());
                        break;
                    }
                    Err(_) => rig.event_loop.run_once(Some(Duration::from_millis(1))).unwrap(),
                }
            }
        }
        rig.heard(&log, "lost(None)");
        assert_eq!(*log.borrow(), ["pause", "resume", "lost(None)"]);
        std::fs::remove_file(here).unwrap();
        std::fs::remove_file(there).unwrap();
    }
}

#[test]
fn a_batch_ends_where_it_is_closed_aborted_or_paused() {
    //= DGRAM-15, DGRAM-16, READ-6
    let acts: [(Act, &str); 3] =
        [(|cx| cx.close(), "lost(None)"), (|cx| cx.abort(), "lost(None)"), (|cx| cx.pause_reading(), "0")];
    for (act, last) in acts {
        let mut rig = Rig::new();
        let (id, addr, log) = rig.datagram(any_port(), Ear { act: Some(act), ..Ear::default() });
        let peer = udp();
        for n in 0..5 {
            peer.send_to(n.to_string().as_bytes(), inet(&addr)).unwrap();
        }
        rig.heard(&log, last);
        rig.settle();
        if last == "0" {
            for n in 0..5 {
                assert_eq!(*log.borrow(), (0..=n).map(|n| n.to_string()).collect::<Vec<_>>());
                rig.event_loop.hub().resume_reading(id);
                rig.settle();
            }
        } else {
            assert_eq!(*log.borrow(), ["0", "lost(None)"]);
        }
    }
}

#[test]
fn a_broadcast_reaches_whoever_listens_and_anybody_may_answer() {
    //= LOOP-27, DGRAM-4, DGRAM-6
    let mut rig = Rig::new();
    let everybody = Ipv4Addr::new(127, 255, 255, 255);
    // What is bound to one address does not hear what is sent to all of its network.
    let listener = patient(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
    let remote = SocketAddr::from((everybody, listener.local_addr().unwrap().port()));
    let (id, addr, log) = rig.datagram(Datagram::on(any_port()).remote_addr(remote).broadcast(true), Ear::default());
    assert_eq!(rig.event_loop.hub().peer_addr(id), None);
    assert_eq!(rig.event_loop.hub().send(id, "all"), WriteStatus::Accepted);
    rig.settle();
    let mut room = [0; 10];
    let (n, from) = listener.recv_from(&mut room).unwrap();
    assert_eq!((&room[..n], from), (&b"all"[..], inet(&addr)));
    udp().send_to(b"me", from).unwrap();
    rig.heard(&log, "me");
    rig.event_loop.hub().abort(id);
    rig.heard(&log, "lost(None)");
    // Without the option the system does not allow it.
    let (id, _, log) = rig.datagram(any_port(), Ear::default());
    rig.event_loop.hub().send_to(id, "all", remote);
    rig.heard(&log, "err(PermissionDenied)");
    rig.event_loop.hub().abort(id);
    rig.heard(&log, "lost(None)");
}

#[test]
fn a_group_is_joined_and_left() {
    //= LOOP-26, DGRAM-2
    let mut rig = Rig::new();
    let v4 = Ipv4Addr::new(239, 1, 2, 3);
    let v6 = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 0x1234);
    // The loopback interface is the first one.
    let groups = [
        (
            any_port(),
            Group::V4 { group: v4, interface: Ipv4Addr::LOCALHOST },
            SocketOption::MulticastInterfaceV4(Ipv4Addr::LOCALHOST),
        ),
        (any_port_v6(), Group::V6 { group: v6, interface: 1 }, SocketOption::MulticastInterfaceV6(1)),
    ];
    for (any, group, interface) in groups {
        let unspecified: SocketAddr =
            if any.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let (member, addr, log) = rig.datagram(Datagram::on(unspecified).option(SocketOption::JoinGroup(group)), Ear::default());
        let sender = Datagram::on(unspecified)
            .option(interface)
            .option(SocketOption::MulticastLoop(true))
            .option(SocketOption::MulticastHops(1));
        let (speaker, _, spoken) = rig.datagram(sender, Ear::default());
        let to: SocketAddr = match group {
            Group::V4 { group, .. } => (group, inet(&addr).port()).into(),
            Group::V6 { group, .. } => (group, inet(&addr).port()).into(),
        };
        rig.event_loop.hub().send_to(speaker, "to all members", to);
        rig.until(|_| !log.borrow().is_empty() || !spoken.borrow().is_empty());
        // The loopback interface of many systems has no route to groups of IPv6.
        let routed = !(any.is_ipv6() && *spoken.borrow() == ["err(Unreachable)"]);
        assert!(!routed || *log.borrow() == ["to all members"], "{:?}", spoken.borrow());
        spoken.borrow_mut().clear();
        rig.event_loop.hub().set_option(member, SocketOption::LeaveGroup(group));
        rig.settle();
        rig.event_loop.hub().send_to(speaker, "members only", to);
        rig.settle();
        assert_eq!(log.borrow().len(), usize::from(routed));
        rig.event_loop.hub().set_option(member, SocketOption::LeaveGroup(group));
        rig.settle();
        assert!(rig.reported()[0].contains("DatagramId"));
        for id in [member, speaker] {
            rig.event_loop.hub().abort(id);
        }
        rig.heard(&log, "lost(None)");
        rig.heard(&spoken, "lost(None)");
    }
}

#[test]
fn two_endpoints_share_a_port_if_both_say_so() {
    //= LOOP-26
    let mut rig = Rig::new();
    let (one, addr, first) = rig.datagram(Datagram::on(any_port()).reuse_port(true), Ear::default());
    let (two, same, second) = rig.datagram(Datagram::on(&addr).reuse_port(true), Ear::default());
    assert_eq!(addr, same);
    let total = || first.borrow().len() + second.borrow().len();
    for n in 0..40 {
        udp().send_to(b"x", inet(&addr)).unwrap();
        rig.until(|_| total() > n);
    }
    assert!(!first.borrow().is_empty() && !second.borrow().is_empty(), "the kernel spreads peers over both");
    for (id, log) in [(one, first), (two, second)] {
        rig.event_loop.hub().close(id);
        rig.heard(&log, "lost(None)");
    }
}

#[test]
fn the_socket_of_an_endpoint_can_be_looked_at() {
    //= INFO-2, INFO-4
    let mut rig = Rig::new();
    let (id, addr, log) = rig.datagram(any_port(), Ear::default());
    rig.event_loop.hub().set_option(id, SocketOption::ReceiveBuffer(100_000));
    let seen = Rc::new(RefCell::new(None));
    let note = seen.clone();
    rig.event_loop.hub().with_socket(id, move |socket| {
        *note.borrow_mut() = Some((socket.local_addr(), socket.peer_addr(), socket.receive_buffer().unwrap()));
    });
    rig.settle();
    assert_eq!(seen.take(), Some((Some(addr), None, 200_000)));
    assert!(rig.event_loop.socket(id).is_some());
    rig.event_loop.hub().close(id);
    rig.heard(&log, "lost(None)");
    assert!(rig.event_loop.socket(id).is_none());
}

#[test]
fn a_flood_does_not_keep_others_waiting() {
    //= READ-3, RUST-6
    let mut rig = Rig::new();
    let (flooded, addr, log) = rig.datagram(any_port(), Ear::default());
    let (_server, peer) = rig.serve_one(|| Tap::new("quiet").echo());
    let flood = udp();
    let mut peer = peer;
    for _ in 0..20 {
        for _ in 0..500 {
            // What does not fit is lost, as it is with datagrams.
            let _ = flood.send_to(&[0; 100], inet(&addr));
        }
        std::io::Write::write_all(&mut peer, b"x").unwrap();
        let heard = log.borrow().len();
        rig.event_loop.run_once(Some(Duration::from_millis(100))).unwrap();
        assert!(log.borrow().len() - heard <= 256);
        rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    }
    rig.until(|state| state.received("quiet").len() == 20);
    rig.event_loop.hub().abort(flooded);
    rig.heard(&log, "lost(None)");
}

#[test]
fn a_datagram_that_has_left_wakes_nobody() {
    //= DGRAM-11, RUST-6
    let mut rig = Rig::new();
    let (inet_peer, unix_peer) = (udp(), UnixDatagram::pair().unwrap());
    let (inet, _, _) = rig.datagram(Datagram::to(inet_peer.local_addr().unwrap()), Ear::default());
    let log = Log::default();
    let unix = rig.event_loop.hub().adopt_datagram(unix_peer.0, Ear { log: log.clone(), ..Ear::default() });
    rig.heard(&log, "made");
    rig.settle();
    for _ in 0..3 {
        for id in [inet, unix] {
            assert_eq!(rig.event_loop.hub().send(id, "word"), WriteStatus::Accepted);
            rig.event_loop.run_once(Some(Duration::ZERO)).unwrap();
        }
        assert_eq!((inet_peer.recv(&mut [0; 9]).unwrap(), unix_peer.1.recv(&mut [0; 9]).unwrap()), (4, 4));
        // Nothing has to be done: the whole of it is waited.
        let begun = std::time::Instant::now();
        rig.event_loop.run_once(Some(Duration::from_millis(20))).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(20), "woken after {:?}", begun.elapsed());
    }
}

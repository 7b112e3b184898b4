//! Datagrams of one flow: the kernel cuts them and puts them together, and nobody sees it.

use super::datagrams::{Ear, Log, inet, patient, udp};
use super::kit::{Rig, any_port, any_port_v6};
use crate::backend::{Addr, Context, Data, Datagram, DatagramId, DatagramProtocol, HubExt, WriteStatus};
use std::cell::RefCell;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::rc::Rc;

/// What was received, and from whom.
type Came = Rc<RefCell<Vec<(Vec<u8>, SocketAddr)>>>;

/// An endpoint that keeps what it receives, and sends it back if it is to.
#[derive(Default)]
struct Sink {
    came: Came,
    echo: bool,
}

impl DatagramProtocol<super::kit::State> for Sink {
    fn datagram_received(&mut self, cx: &mut Context<'_, super::kit::State, DatagramId>, data: Data<'_>, from: &Addr) {
        self.came.borrow_mut().push((data.to_vec(), inet(from)));
        if self.echo {
            cx.send_to(data, from);
        }
    }
}

/// Runs, and what ends them: shorter ones, longer ones, empty ones. Each has bytes of its own.
fn mixed() -> Vec<Vec<u8>> {
    let sizes = [1200, 1200, 1200, 7, 0, 0, 64, 64, 65, 64, 64, 64, 1, 5000, 5000, 2000, 900];
    sizes.iter().enumerate().map(|(n, size)| vec![n as u8 + 1; *size]).collect()
}

/// The next so many of a plain socket.
#[track_caller]
fn receive(socket: &UdpSocket, count: usize) -> Vec<(Vec<u8>, SocketAddr)> {
    let mut room = vec![0; 65_536];
    let next = |_| socket.recv_from(&mut room).map(|(n, from)| (room[..n].to_vec(), from)).unwrap();
    (0..count).map(next).collect()
}

fn from(datagrams: &[Vec<u8>], from: SocketAddr) -> Vec<(Vec<u8>, SocketAddr)> {
    datagrams.iter().map(|datagram| (datagram.clone(), from)).collect()
}

#[test]
fn a_plain_peer_sees_single_datagrams_whatever_was_sent_together() {
    //= DGRAM-3, DGRAM-11
    for any in [any_port(), any_port_v6()] {
        let mut rig = Rig::new();
        let (one, other) = (patient(UdpSocket::bind(any).unwrap()), patient(UdpSocket::bind(any).unwrap()));
        let (to_one, to_other) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let (id, addr, log) = rig.datagram(any, Ear::default());
        let (connected, from_connected, _) = rig.datagram(Datagram::to(to_one), Ear::default());
        for _ in 0..3 {
            for datagram in mixed() {
                assert_eq!(rig.event_loop.hub().send_to(id, datagram, to_one), WriteStatus::Accepted);
            }
            rig.settle();
            assert!(receive(&one, 17) == from(&mixed(), inet(&addr)));
            // Three to one, three to the other; both runs are in one batch.
            for (n, datagram) in mixed().into_iter().enumerate() {
                rig.event_loop.hub().send_to(id, datagram, if n / 3 % 2 == 0 { to_one } else { to_other });
            }
            rig.settle();
            let (to_first, to_second): (Vec<_>, Vec<_>) = mixed().into_iter().enumerate().partition(|(n, _)| n / 3 % 2 == 0);
            for (socket, sent) in [(&one, to_first), (&other, to_second)] {
                let sent: Vec<_> = sent.into_iter().map(|(_, datagram)| datagram).collect();
                assert!(receive(socket, sent.len()) == from(&sent, inet(&addr)));
            }
            for datagram in mixed() {
                rig.event_loop.hub().send(connected, datagram);
            }
            rig.settle();
            assert!(receive(&one, 17) == from(&mixed(), inet(&from_connected)));
        }
        assert!(log.borrow().is_empty(), "{:?}", log.borrow());
    }
}

#[test]
fn what_comes_together_is_told_one_by_one_with_its_sender() {
    //= DGRAM-1, DGRAM-2, DGRAM-3, DGRAM-16
    for any in [any_port(), any_port_v6()] {
        let mut rig = Rig::new();
        let came = Came::default();
        let sink = Sink { came: came.clone(), echo: true };
        let server = rig.event_loop.hub().open_datagram(Datagram::on(any).receive_offload(true), sink);
        rig.settle();
        let to = inet(&rig.event_loop.hub().local_addr(server).unwrap());
        let (back, plain) = (Came::default(), patient(UdpSocket::bind(any).unwrap()));
        let client = Datagram::on(any).receive_offload(true);
        let client = rig.event_loop.hub().open_datagram(client, Sink { came: back.clone(), echo: false });
        rig.settle();
        let addr = inet(&rig.event_loop.hub().local_addr(client).unwrap());
        for _ in 0..3 {
            for datagram in mixed() {
                rig.event_loop.hub().send_to(client, datagram, to);
            }
            rig.until(|_| back.borrow().len() == 17);
            assert!(came.take() == from(&mixed(), addr), "they came as they were sent");
            assert!(back.take() == from(&mixed(), to), "and came back");
            for datagram in mixed() {
                plain.send_to(&datagram, to).unwrap();
            }
            rig.until(|_| came.borrow().len() == 17);
            assert!(came.take() == from(&mixed(), plain.local_addr().unwrap()));
            assert!(receive(&plain, 17) == from(&mixed(), to));
        }
        for id in [server, client] {
            rig.event_loop.hub().close(id);
        }
        rig.settle();
    }
}

#[test]
fn an_error_in_a_run_is_told_and_costs_one_datagram() {
    //= DGRAM-7, DGRAM-8
    let mut rig = Rig::new();
    let closed = udp().local_addr().unwrap();
    let (id, _, log) = rig.datagram(Datagram::to(closed), Ear::default());
    // The first run finds out that nobody is there, which the next call is told.
    for _ in 0..2 {
        for n in 0..8 {
            rig.event_loop.hub().send(id, vec![n; 100]);
        }
        rig.settle();
    }
    rig.heard(&log, "err(ConnectionRefused)");
    let peer = patient(UdpSocket::bind(closed).unwrap());
    rig.event_loop.hub().send(id, "still here");
    rig.settle();
    assert_eq!(receive(&peer, 1)[0].0, b"still here");
    assert!(!rig.event_loop.hub().is_closing(id));
    // What is too long for one datagram is an error of its own, and not of those around it.
    let peer = udp();
    let to = peer.local_addr().unwrap();
    let (id, addr, log) = rig.datagram(any_port(), Ear::default());
    let datagrams = [vec![1; 50], vec![2; 50], vec![3; 65_508], vec![4; 50], vec![5; 50]];
    for datagram in &datagrams {
        rig.event_loop.hub().send_to(id, datagram, to);
    }
    rig.heard(&log, "err(MessageTooLong)");
    rig.settle();
    let sent: Vec<_> = datagrams.into_iter().filter(|datagram| datagram.len() == 50).collect();
    assert_eq!(receive(&peer, 4), from(&sent, inet(&addr)));
    assert_eq!(log.borrow().iter().filter(|heard| heard.starts_with("err")).count(), 1);
}

/// An option of the socket's, set by somebody who has no need of unsafe code for it.
#[cfg(target_os = "linux")]
fn set_by_python(socket: impl std::os::fd::AsFd, level: u32, option: u32, value: u32) {
    let script = format!("import socket; socket.socket(fileno=0).setsockopt({level}, {option}, {value})");
    let stdin = socket.as_fd().try_clone_to_owned().unwrap();
    assert!(Command::new("python3").args(["-c", &script]).stdin(stdin).status().expect("there is a Python").success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_that_refuses_to_cut_sends_one_by_one_and_loses_and_doubles_nothing() {
    //= DGRAM-3, DGRAM-7, DGRAM-11
    let mut rig = Rig::new();
    let (peer, socket) = (udp(), UdpSocket::bind(any_port()).unwrap());
    let (to, addr) = (peer.local_addr().unwrap(), socket.local_addr().unwrap());
    // The kernel makes no checksums for this socket from now on, and cuts nothing for it: what an interface does that cannot offload it.
    set_by_python(&socket, 1, 11, 1);
    let log = Log::default();
    let id = rig.event_loop.hub().adopt_datagram(socket, Ear { log: log.clone(), ..Ear::default() });
    rig.heard(&log, "made");
    for _ in 0..3 {
        for datagram in mixed() {
            rig.event_loop.hub().send_to(id, datagram, to);
        }
        rig.settle();
        assert!(receive(&peer, 17) == from(&mixed(), addr));
        peer.set_nonblocking(true).unwrap();
        assert!(peer.recv(&mut [0; 9]).is_err(), "there is none more");
        peer.set_nonblocking(false).unwrap();
    }
    assert_eq!(*log.borrow(), ["made"], "nobody hears of it");
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_socket_of_the_applications_puts_together_is_told_one_by_one() {
    //= DGRAM-3, LOOP-26
    let mut rig = Rig::new();
    let socket = UdpSocket::bind(any_port()).unwrap();
    let to = socket.local_addr().unwrap();
    set_by_python(&socket, 17, 104, 1);
    let came = Came::default();
    let server = rig.event_loop.hub().adopt_datagram(socket, Sink { came: came.clone(), echo: false });
    rig.settle();
    let (client, addr, _) = rig.datagram(any_port(), Ear::default());
    for datagram in mixed() {
        rig.event_loop.hub().send_to(client, datagram, to);
    }
    rig.until(|_| came.borrow().len() == 17);
    assert!(came.take() == from(&mixed(), inet(&addr)));
    rig.event_loop.hub().abort(server);
    rig.settle();
}

#[cfg(target_os = "linux")]
#[test]
fn what_was_put_together_before_a_socket_is_taken_over_is_told_one_by_one() {
    //= DGRAM-2, LOOP-26
    let mut rig = Rig::new();
    let socket = UdpSocket::bind(any_port()).unwrap();
    let to = socket.local_addr().unwrap();
    set_by_python(&socket, 17, 104, 1);
    let (client, addr, _) = rig.datagram(any_port(), Ear::default());
    let sent: Vec<Vec<u8>> = (1..=3).map(|n| vec![n; 100]).collect();
    for datagram in &sent {
        rig.event_loop.hub().send_to(client, datagram, to);
    }
    rig.settle();
    // They wait in the socket's buffer when it is handed over, as with a socket activation.
    let came = Came::default();
    rig.event_loop.hub().adopt_datagram(socket, Sink { came: came.clone(), echo: false });
    rig.settle();
    let sizes: Vec<usize> = came.borrow().iter().map(|(datagram, _)| datagram.len()).collect();
    assert_eq!(sizes, [100, 100, 100]);
    assert!(came.take() == from(&sent, inet(&addr)));
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_of_the_applications_that_cuts_does_so_no_more() {
    //= DGRAM-2, DGRAM-11
    let mut rig = Rig::new();
    let (peer, socket) = (udp(), UdpSocket::bind(any_port()).unwrap());
    let to = peer.local_addr().unwrap();
    set_by_python(&socket, 17, 103, 100);
    let id = rig.event_loop.hub().adopt_datagram(socket, Ear::default());
    rig.settle();
    rig.event_loop.hub().send_to(id, vec![1; 250], to);
    rig.settle();
    assert_eq!(receive(&peer, 1)[0].0.len(), 250);
}

/// Keeps what it receives, sends it back, and pauses every few.
struct Moody(Came, u32);

impl DatagramProtocol<super::kit::State> for Moody {
    fn datagram_received(&mut self, cx: &mut Context<'_, super::kit::State, DatagramId>, data: Data<'_>, from: &Addr) {
        self.0.borrow_mut().push((data.to_vec(), inet(from)));
        self.1 = self.1.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match (self.1 >> 24) % 8 {
            0 => {
                let id = cx.id;
                cx.send_to(data, from);
                cx.hub.pause_reading(id);
                cx.hub.call_soon(move |hub, _| hub.resume_reading(id));
            }
            1 => {
                let data = data.to_vec();
                cx.send_to(&data[..], from);
            }
            _ => {
                cx.send_to(data, from);
            }
        }
    }
}

#[test]
fn nothing_is_lost_doubled_or_mixed_up_whatever_comes() {
    //= DGRAM-2, DGRAM-3, DGRAM-11, DGRAM-15
    for any in [any_port(), any_port_v6()] {
        let mut rig = Rig::new();
        let came = Came::default();
        let server = rig.event_loop.hub().open_datagram(Datagram::on(any).receive_offload(true), Moody(came.clone(), 7));
        rig.settle();
        let to = inet(&rig.event_loop.hub().local_addr(server).unwrap());
        let clients: Vec<_> = (0..3)
            .map(|n| {
                let back = Came::default();
                let client = Datagram::on(any).receive_offload(n > 0);
                let id = rig.event_loop.hub().open_datagram(client, Sink { came: back.clone(), echo: false });
                rig.settle();
                (id, back)
            })
            .collect();
        let mut seed = 5_u32;
        let mut random = |most: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % most
        };
        for round in 0..20 {
            let (mut sent, mut total, mut size, mut who) = (vec![Vec::new(); 3], 0, 1200, 0);
            while total < 60_000 && sent.iter().map(Vec::len).sum::<usize>() < 60 {
                if random(7) == 0 {
                    size = [0, 1, 2, 64, 1_199, 1_200, 9_000, 20_000][random(8) as usize];
                }
                if random(9) == 0 {
                    who = random(3) as usize;
                }
                let datagram: Vec<u8> = (0..size).map(|_| random(256) as u8).collect();
                total += size + 700;
                rig.event_loop.hub().send_to(clients[who].0, &datagram[..], to);
                sent[who].push(datagram);
            }
            let all: usize = sent.iter().map(Vec::len).sum();
            rig.until(|_| clients.iter().map(|(_, back)| back.borrow().len()).sum::<usize>() >= all);
            rig.settle();
            for (n, ((id, back), sent)) in clients.iter().zip(&sent).enumerate() {
                let addr = inet(&rig.event_loop.hub().local_addr(*id).unwrap());
                let heard: Vec<Vec<u8>> =
                    came.borrow().iter().filter(|(_, from)| *from == addr).map(|(datagram, _)| datagram.clone()).collect();
                assert!(heard == *sent, "round {round}, client {n}");
                assert!(back.take() == from(sent, to), "back, round {round}, client {n}");
            }
            came.borrow_mut().clear();
        }
    }
}

//! `recvmmsg` and `sendmmsg` on real sockets.
#![cfg(any(target_os = "android", target_os = "linux"))]

use core::net::SocketAddr;
use plimsoll_raw::mmsg::{BATCH, Receiver, Sender};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

const FOUR: &str = "127.0.0.1:0";
const SIX: &str = "[::1]:0";

fn socket(addr: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(addr).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

type Came = Vec<(Vec<u8>, Option<SocketAddr>)>;

/// Receives once, into so many buffers of that size.
fn receive(receiver: &mut Receiver, socket: impl AsFd, count: usize, size: usize) -> std::io::Result<Came> {
    let mut buffers = vec![vec![0; size]; count];
    let came: Vec<_> = receiver
        .receive(socket, buffers.iter_mut().map(|buffer| &mut buffer[..]))?
        .map(|message| (message.len(), message.from()))
        .collect();
    Ok(came.into_iter().zip(buffers).map(|((len, from), buffer)| (buffer[..len].to_vec(), from)).collect())
}

#[test]
fn datagrams_come_in_order_with_their_boundaries_and_senders() {
    for at in [FOUR, SIX] {
        let ((here, to), (there, from), (other, from_other)) = (socket(at), socket(at), socket(at));
        let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
        let payloads = [&b"one"[..], b"", b"three"];
        assert_eq!(sender.send(&there, payloads.map(|payload| (payload, Some(&to)))).unwrap(), 3);
        assert_eq!(sender.send(&other, [(&b"four"[..], Some(&to))]).unwrap(), 1);
        let came = receive(&mut receiver, &here, 8, 100).unwrap();
        let all: Came = payloads.iter().map(|payload| (payload.to_vec(), Some(from))).collect();
        assert_eq!(came, [&all[..], &[(b"four".to_vec(), Some(from_other))]].concat());
        assert_eq!(receive(&mut receiver, &here, 8, 100).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn one_batch_is_the_most_and_the_same_room_serves_again_and_again() {
    let ((here, to), (there, from)) = (socket(FOUR), socket(FOUR));
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
    for round in 0..5 {
        let payloads: Vec<[u8; 2]> = (0..BATCH as u8 + 8).map(|n| [round, n]).collect();
        let taken = sender.send(&there, payloads.iter().map(|payload| (&payload[..], Some(&to)))).unwrap();
        assert_eq!(taken, BATCH);
        let mut came = receive(&mut receiver, &here, 5, 9).unwrap();
        assert_eq!(came.len(), 5, "as many as there are buffers");
        came.extend(receive(&mut receiver, &here, 2 * BATCH, 9).unwrap());
        assert_eq!(came, payloads[..BATCH].iter().map(|payload| (payload.to_vec(), Some(from))).collect::<Came>());
    }
    // Moved somewhere else, it works all the same.
    let (mut sender, mut receiver) = (Box::new(sender), Box::new(receiver));
    assert_eq!(sender.send(&there, [(&b"x"[..], Some(&to))]).unwrap(), 1);
    assert_eq!(receive(&mut receiver, &here, 1, 9).unwrap(), [(b"x".to_vec(), Some(from))]);
}

#[test]
fn senders_of_both_families_come_through_one_room() {
    let (four, to_four) = socket(FOUR);
    let (six, to_six) = socket(SIX);
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
    for _ in 0..2 {
        for (socket, to) in [(&six, to_six), (&four, to_four)] {
            assert_eq!(sender.send(socket, [(&b"a"[..], Some(&to)), (b"b", Some(&to))]).unwrap(), 2);
            let came = receive(&mut receiver, socket, 4, 4).unwrap();
            assert_eq!(came, [(b"a".to_vec(), Some(to)), (b"b".to_vec(), Some(to))]);
        }
    }
}

#[test]
fn without_an_address_a_datagram_goes_to_the_peer_whatever_was_sent_before() {
    let ((here, to), (there, from), (stranger, elsewhere)) = (socket(FOUR), socket(FOUR), socket(FOUR));
    there.connect(to).unwrap();
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
    assert_eq!(sender.send(&here, [(&b"x"[..], Some(&elsewhere)), (b"y", Some(&elsewhere))]).unwrap(), 2);
    assert_eq!(sender.send(&there, [(&b"a"[..], None), (b"b", None)]).unwrap(), 2);
    assert_eq!(receive(&mut receiver, &stranger, 4, 4).unwrap().len(), 2);
    let came = receive(&mut receiver, &here, 4, 4).unwrap();
    assert_eq!(came, [(b"a".to_vec(), Some(from)), (b"b".to_vec(), Some(from))]);
}

#[test]
fn an_error_is_the_foremost_datagrams() {
    let ((here, to), (there, _)) = (socket(FOUR), socket(FOUR));
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
    let long = vec![0; 65_508];
    // What stands behind one that is not taken is not tried.
    assert_eq!(sender.send(&there, [(&b"a"[..], Some(&to)), (&long[..], Some(&to)), (b"b", Some(&to))]).unwrap(), 1);
    let errno = sender.send(&there, [(&long[..], Some(&to)), (b"b", Some(&to))]).unwrap_err().raw_os_error();
    assert_eq!(errno, Some(libc::EMSGSIZE));
    let six = socket(SIX).1;
    let errno = sender.send(&there, [(&b"c"[..], Some(&six))]).unwrap_err().raw_os_error();
    assert_eq!(errno, Some(libc::EAFNOSUPPORT));
    assert_eq!(receive(&mut receiver, &here, 4, 4).unwrap().len(), 1);
    // Nothing at all is not an error.
    assert_eq!(sender.send(&there, []).unwrap(), 0);
    assert_eq!(receive(&mut receiver, &here, 0, 4).unwrap(), []);
}

#[test]
fn a_datagram_is_cut_to_its_buffer_and_nothing_is_written_behind_it() {
    let ((here, to), (there, _)) = (socket(FOUR), socket(FOUR));
    there.send_to(b"0123456789", to).unwrap();
    there.send_to(b"abc", to).unwrap();
    let mut room = [b'.'; 16];
    let (first, second) = room.split_at_mut(8);
    let mut receiver = Receiver::new();
    let lens: Vec<usize> =
        receiver.receive(&here, [&mut first[..4], &mut second[..4]]).unwrap().map(|message| message.len()).collect();
    assert_eq!((lens, &room), (vec![4, 3], b"0123....abc....."));
}

#[test]
fn what_is_no_internet_address_is_none() {
    let path = std::env::temp_dir().join(format!("plimsoll-raw-{}-{}", std::process::id(), "x".repeat(40)));
    let here = UnixDatagram::bind(&path).unwrap();
    let pair = UnixDatagram::pair().unwrap();
    here.send_to(b"to myself", &path).unwrap();
    pair.0.send(b"of no name").unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut receiver = Receiver::new();
    // The path does not fit; nothing is written behind the room for it.
    assert_eq!(receive(&mut receiver, &here, 2, 20).unwrap(), [(b"to myself".to_vec(), None)]);
    assert_eq!(receive(&mut receiver, &pair.1, 2, 20).unwrap(), [(b"of no name".to_vec(), None)]);
    let (there, to) = socket(FOUR);
    there.send_to(b"", to).unwrap();
    assert_eq!(receive(&mut receiver, &there, 2, 20).unwrap(), [(Vec::new(), Some(to))]);
}

#[test]
fn what_is_no_socket_is_an_error() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let errno = |result: std::io::Result<usize>| result.unwrap_err().raw_os_error();
    assert_eq!(errno(receive(&mut Receiver::new(), &file, 1, 1).map(|came| came.len())), Some(libc::ENOTSOCK));
    assert_eq!(errno(Sender::new().send(&file, [(&b"a"[..], None)])), Some(libc::ENOTSOCK));
}

#[test]
fn a_batch_begins_alike_if_the_first_two_are_of_one_flow_and_one_size() {
    let [one, other]: [SocketAddr; 2] = ["127.0.0.1:1", "127.0.0.1:2"].map(|addr| addr.parse().unwrap());
    let six: [SocketAddr; 2] = ["[::1]:1", "[::2]:1"].map(|addr| addr.parse().unwrap());
    let mut sender = Sender::new();
    let mut alike = |datagrams: &[(usize, Option<&SocketAddr>)]| {
        let mut batch = sender.batch();
        for (len, to) in datagrams {
            batch.push(&[0; 9][..*len], *to);
        }
        batch.begins_alike()
    };
    // One after the other in one room: what stands there of the one before does not count.
    assert!(!alike(&[(5, Some(&six[0])), (5, Some(&six[1]))]));
    assert!(alike(&[(5, Some(&one)), (5, Some(&one)), (6, Some(&other))]));
    assert!(!alike(&[(5, Some(&one)), (5, Some(&other))]));
    assert!(alike(&[(5, None), (5, None)]));
    assert!(!alike(&[(5, None), (5, Some(&one))]));
    assert!(!alike(&[(5, Some(&one)), (6, Some(&one))]));
    assert!(!alike(&[(5, Some(&one))]) && !alike(&[]));
    assert!(alike(&[(0, Some(&six[1])), (0, Some(&six[1]))]));
}

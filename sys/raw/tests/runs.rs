//! Runs on real sockets: cut by the kernel on the way out, put together on the way in.
#![cfg(any(target_os = "android", target_os = "linux"))]

use core::net::SocketAddr;
use plimsoll_raw::mmsg::{BATCH, Receiver, RunReceiver, RunSender, Sender, can_cut, put_together};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixDatagram;

const FOUR: &str = "127.0.0.1:0";
const SIX: &str = "[::1]:0";

fn socket(addr: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(addr).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// What plain receives bring.
fn all(socket: &UdpSocket) -> Vec<(Vec<u8>, SocketAddr)> {
    socket.set_nonblocking(true).unwrap();
    let mut room = vec![0; 65_536];
    core::iter::from_fn(|| socket.recv_from(&mut room).ok().map(|(n, from)| (room[..n].to_vec(), from))).collect()
}

/// Sends these, to that address or to the peer; how many were taken.
fn send(sender: &mut RunSender, socket: &UdpSocket, datagrams: &[(Vec<u8>, Option<SocketAddr>)]) -> std::io::Result<usize> {
    let mut runs = sender.runs();
    for (payload, to) in datagrams {
        assert!(runs.push(payload, to.as_ref()));
    }
    runs.send(socket)
}

/// Bytes, size of the pieces, sender.
type Came = Vec<(Vec<u8>, Option<usize>, Option<SocketAddr>)>;

/// Receives once.
fn receive(receiver: &mut RunReceiver, socket: impl AsFd, count: usize) -> std::io::Result<Came> {
    let mut buffers = vec![vec![0; 65_536]; count];
    let mut places = vec![(0, None, None); count];
    let came =
        receiver.receive(socket, buffers.iter_mut().map(|buffer| &mut buffer[..]), &mut places, |place, message, size| {
            *place = (message.len(), size, message.from());
        })?;
    places.truncate(came);
    Ok(places.into_iter().zip(buffers).map(|((len, size, from), buffer)| (buffer[..len].to_vec(), size, from)).collect())
}

#[test]
fn a_plain_peer_sees_single_datagrams_in_order() {
    for at in [FOUR, SIX] {
        let ((one, to_one), (other, to_other), (here, from)) = (socket(at), socket(at), socket(at));
        assert!(can_cut(&here), "this kernel is too old for the tests");
        let mut sender = RunSender::new();
        for round in 0..3 {
            let mut expected = (Vec::new(), Vec::new());
            let sizes = [1200, 1200, 700, 0, 0, 64, 64, 64, 65, 64, 64, 1, 9_000, 9_000, 9_000];
            let datagrams: Vec<_> = sizes
                .iter()
                .enumerate()
                .map(|(n, size)| (vec![(n + round) as u8; *size], Some(if n / 3 % 2 == 0 { to_one } else { to_other })))
                .collect();
            for (payload, to) in &datagrams {
                let expected = if *to == Some(to_one) { &mut expected.0 } else { &mut expected.1 };
                expected.push((payload.clone(), from));
            }
            let mut rest = &datagrams[..];
            while !rest.is_empty() {
                rest = &rest[send(&mut sender, &here, rest).unwrap()..];
            }
            assert!((all(&one), all(&other)) == expected, "{at}");
        }
    }
}

#[test]
fn a_run_goes_to_the_peer_of_a_connected_socket_and_ends_with_the_batch() {
    let ((there, to), (here, from)) = (socket(FOUR), socket(FOUR));
    here.connect(to).unwrap();
    let mut sender = RunSender::new();
    let payloads: Vec<[u8; 100]> = (0..BATCH as u8 + 3).map(|n| [n; 100]).collect();
    let mut runs = sender.runs();
    assert!(runs.is_empty() && !runs.begins_with_several());
    let pushed: Vec<bool> = payloads.iter().map(|payload| runs.push(payload, None)).collect();
    assert_eq!(pushed.iter().filter(|pushed| **pushed).count(), BATCH);
    assert!(!runs.is_empty() && runs.begins_with_several());
    assert_eq!(runs.send(&here).unwrap(), BATCH);
    assert_eq!(all(&there), payloads[..BATCH].iter().map(|payload| (payload.to_vec(), from)).collect::<Vec<_>>());
    // Nothing at all is no error, and nothing is left of the batch before.
    assert_eq!(sender.runs().send(&here).unwrap(), 0);
    assert_eq!(send(&mut sender, &here, &[(b"x".to_vec(), None)]).unwrap(), 1);
    assert_eq!(all(&there), [(b"x".to_vec(), from)]);
}

#[test]
fn what_comes_in_a_row_is_put_together_and_told_with_its_size_and_sender() {
    for at in [FOUR, SIX] {
        let ((here, to), (there, from), (other, from_other)) = (socket(at), socket(at), socket(at));
        put_together(&here, true).unwrap();
        let (mut sender, mut receiver) = (RunSender::new(), RunReceiver::new());
        let flow: Vec<_> = [1200, 1200, 1200, 5].map(|size| (vec![size as u8; size], Some(to))).into();
        assert_eq!(send(&mut sender, &there, &flow).unwrap(), 4);
        other.send_to(b"alone", to).unwrap();
        other.send_to(b"", to).unwrap();
        assert_eq!(send(&mut sender, &there, &[(vec![7; 64], Some(to)), (vec![8; 64], Some(to))]).unwrap(), 2);
        let mut came = Vec::new();
        while let Ok(some) = receive(&mut receiver, &here, 3) {
            came.extend(some);
        }
        let whole: Vec<u8> = flow.iter().flat_map(|(payload, _)| payload.clone()).collect();
        assert_eq!(
            came,
            [
                (whole, Some(1200), Some(from)),
                (b"alone".to_vec(), None, Some(from_other)),
                (Vec::new(), None, Some(from_other)),
                ([[7; 64], [8; 64]].concat(), Some(64), Some(from)),
            ]
        );
        // Not any more.
        put_together(&here, false).unwrap();
        assert_eq!(send(&mut sender, &there, &flow).unwrap(), 4);
        assert_eq!(receive(&mut receiver, &here, 8).unwrap().iter().map(|came| came.1).collect::<Vec<_>>(), [None; 4]);
        assert_eq!(receive(&mut receiver, &here, 8).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn an_error_of_a_run_is_told_and_none_of_it_is_sent() {
    let ((there, to), (here, from)) = (socket(FOUR), socket(FOUR));
    let mut sender = RunSender::new();
    // The kernel cuts nothing that it is to make no checksums for: a socket that refuses.
    let yes: libc::c_int = 1;
    // SAFETY: the system reads four bytes, which are there.
    let set = unsafe { libc::setsockopt(here.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, (&raw const yes).cast(), 4) };
    assert_eq!(set, 0);
    let run = [(vec![1; 10], Some(to)), (vec![2; 10], Some(to))];
    let mixed = [(vec![0; 9], Some(to)), run[0].clone(), run[1].clone()];
    assert_eq!(send(&mut sender, &here, &run).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    // What stands in front of it is taken, and nothing else.
    assert_eq!(send(&mut sender, &here, &mixed).unwrap(), 1);
    assert_eq!(all(&there), [(vec![0; 9], from)]);
    // Others serve it as ever.
    let plain = run.iter().map(|(payload, to)| (&payload[..], to.as_ref()));
    assert_eq!(Sender::new().send(&here, plain).unwrap(), 2);
    assert_eq!(all(&there).len(), 2);
}

#[test]
fn whoever_does_not_cut_or_put_together_is_known() {
    let (unix, file) = (UnixDatagram::unbound().unwrap(), std::fs::File::open("/dev/null").unwrap());
    let tcp = std::net::TcpListener::bind(FOUR).unwrap();
    assert!(!can_cut(&unix) && !can_cut(&file) && !can_cut(&tcp));
    assert!(put_together(&unix, true).is_err() && put_together(&file, true).is_err() && put_together(&tcp, true).is_err());
    // And what one receiver was told with a message it does not tell of another.
    let ((here, to), (there, _)) = (socket(FOUR), socket(FOUR));
    let mut receiver = RunReceiver::new();
    put_together(&here, true).unwrap();
    send(&mut RunSender::new(), &there, &[(vec![1; 9], Some(to)), (vec![2; 9], Some(to))]).unwrap();
    assert_eq!(receive(&mut receiver, &here, 1).unwrap()[0].1, Some(9));
    let pair = UnixDatagram::pair().unwrap();
    pair.0.send(&[0; 40]).unwrap();
    assert_eq!(receive(&mut receiver, &pair.1, 1).unwrap(), [(vec![0; 40], None, None)]);
    let mut plain = Receiver::new();
    there.send_to(b"ab", to).unwrap();
    let mut buffer = [0; 9];
    assert_eq!(plain.receive(&here, [&mut buffer[..]]).unwrap().next().unwrap().len(), 2);
}

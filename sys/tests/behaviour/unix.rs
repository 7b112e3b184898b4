//! What is special about Unix sockets: their names, their files, and how they end.

use super::kit::{Rig, State, Tap, any_port, socket_path};
use crate::backend::{
    Addr, Buffered, BufferedProtocol, Call, Cause, Connect, Context, ErrorKind, HubExt, Listen, SocketOption, UnixAddr,
};
use rustix::net::{AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketType};
use std::fs;
use std::io::{ErrorKind as IoErrorKind, IoSlice, Write};
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

#[test]
fn both_ends_know_their_addresses_before_and_after_the_end() {
    //= INFO-2, INFO-3, LOOP-10, LOOP-24
    let mut rig = Rig::new();
    let path = socket_path();
    let name = UnixAddr::abstract_name(format!("plimsoll\0{}", path.display()));
    for addr in [Addr::from(path), Addr::from(name)] {
        let before = rig.state().reasons.len();
        let server = rig.event_loop.listen(&addr, |_, _| Tap::new("server")).unwrap();
        assert_eq!((server.addr(), server.addrs().len()), (&addr, 1));
        let id = rig.event_loop.hub().connect(&addr, Tap::new("client"));
        rig.until(|state| state.made.len() == before + 2);
        let hub = rig.event_loop.hub();
        assert_eq!((hub.local_addr(id), hub.peer_addr(id)), (Some(UnixAddr::UNNAMED.into()), Some(addr.clone())));
        let socket = rig.event_loop.socket(id).unwrap();
        assert_eq!((socket.local_addr(), socket.peer_addr()), (Some(UnixAddr::UNNAMED.into()), Some(addr.clone())));
        rig.event_loop.hub().close(id);
        rig.until(|state| state.reasons.len() == before + 2);
        for reason in &rig.state().reasons[before..] {
            let ends = [reason.ends().local.clone().unwrap(), reason.ends().peer.clone().unwrap()];
            assert!(ends.contains(&addr) && ends.contains(&UnixAddr::UNNAMED.into()), "{ends:?}");
        }
    }
    assert_eq!(rig.reported(), [""; 0]);
}

#[test]
fn a_client_may_have_a_name_of_its_own() {
    //= INFO-2, LOOP-5
    let mut rig = Rig::new();
    let (path, local) = (socket_path(), socket_path());
    rig.event_loop
        .listen(path, |state: &mut State, peer| {
            state.note(format!("made for {peer}"));
            Tap::new("server")
        })
        .unwrap();
    rig.event_loop.hub().connect(Connect::to(path).local_addr(local), Tap::new("client"));
    rig.until_saw(&format!("made for unix:{}", local.display()));
    fs::remove_file(local).unwrap();
    // Of another family.
    rig.event_loop.hub().connect(Connect::to(path).local_addr(any_port()), Tap::new("stranger"));
    rig.event_loop.hub().connect(Connect::to(any_port()).local_addr(local), Tap::new("stranger"));
    rig.until(|state| state.refusals.len() == 2);
    for refusal in &rig.state().refusals {
        assert_eq!((refusal.error().call(), refusal.error().kind()), (Call::Bind, ErrorKind::InvalidInput));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_without_a_name_gets_one() {
    //= LOOP-24, INFO-2
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(UnixAddr::UNNAMED, |_, _| Tap::new("server")).unwrap();
    assert!(server.addr().as_unix().unwrap().as_abstract_name().is_some_and(|name| !name.is_empty()));
    rig.event_loop.hub().connect(server.addr(), Tap::new("client"));
    rig.until(|state| state.made.len() == 2);
}

#[test]
#[cfg(target_os = "linux")]
fn the_longest_names_are_told_whole() {
    //= INFO-2, RUST-6
    let mut rig = Rig::new();
    let path = socket_path();
    rig.event_loop.listen(path, |_, _| Tap::new("server")).unwrap();
    let stem = std::env::temp_dir().join(format!("{}-", std::process::id()));
    // The last one fills the room that the system has, and is not closed by a NUL.
    for len in [107, 108] {
        let name = format!("{:x<len$}", stem.display());
        let _ = fs::remove_file(&name);
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(name.as_str()).unwrap()).unwrap();
        rustix::net::connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        let before = rig.state().made.len();
        rig.until(|state| state.made.len() > before);
        fs::remove_file(&name).unwrap();
        let id = rig.state().made[before].1;
        assert_eq!(rig.event_loop.hub().peer_addr(id), Some(Addr::unix(name.as_str())));
    }
}

#[test]
fn names_that_cannot_be_are_refused() {
    //= LOOP-10, RUST-6
    let mut rig = Rig::new();
    let bad = [Addr::unix(""), Addr::unix(vec![b'x'; 108]), Addr::unix("/tmp/a\0b"), UnixAddr::abstract_name([b'x'; 108]).into()];
    for addr in &bad {
        let error = rig.event_loop.listen(addr, |_, _| Tap::new("server")).unwrap_err();
        assert_eq!(error.kind(), IoErrorKind::InvalidInput, "{addr}");
        rig.event_loop.hub().connect(addr, Tap::new("client"));
    }
    rig.event_loop.hub().connect(UnixAddr::UNNAMED, Tap::new("client"));
    rig.until(|state| state.refusals.len() == 5);
    for (refusal, addr) in rig.state().refusals.iter().zip(bad.iter().chain([&UnixAddr::UNNAMED.into()])) {
        assert_eq!(refusal.error().kind(), ErrorKind::InvalidInput);
        assert_eq!(refusal.attempts().next().unwrap().0, Some(addr));
    }
}

#[test]
fn nobody_at_the_path() {
    //= LOOP-10, RUST-9
    let mut rig = Rig::new();
    let (nothing, stale, datagram, file) = (socket_path(), socket_path(), socket_path(), socket_path());
    drop(UnixListener::bind(stale).unwrap());
    let _socket = UnixDatagram::bind(datagram).unwrap();
    fs::write(file, "").unwrap();
    let cases = [
        (nothing, ErrorKind::NotFound),
        (stale, ErrorKind::ConnectionRefused),
        (datagram, ErrorKind::InvalidInput),
        (file, ErrorKind::ConnectionRefused),
    ];
    for (n, (path, kind)) in cases.into_iter().enumerate() {
        rig.event_loop.hub().connect(path, Tap::new("client"));
        rig.until(|state| state.refusals.len() == n + 1);
        assert_eq!(rig.state().refusals[n].error().kind(), kind, "{}", path.display());
    }
    for path in [stale, datagram, file] {
        fs::remove_file(path).unwrap();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_that_does_not_keep_up_is_busy() {
    //= RUST-9, RUST-6
    let mut rig = Rig::new();
    let path = socket_path();
    let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    listener.bind(&socket2::SockAddr::unix(path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    for _ in 0..2 {
        rig.event_loop.hub().connect(path, Tap::new("client"));
    }
    rig.until_saw("client refused");
    assert_eq!(rig.state().refusals[0].error().kind(), ErrorKind::Busy);
    rig.until_saw("client made");
    fs::remove_file(path).unwrap();
}

#[test]
fn a_leftover_socket_file_is_replaced_and_nothing_else() {
    //= LOOP-24
    let mut rig = Rig::new();
    let path = socket_path();
    drop(UnixListener::bind(path).unwrap());
    let server = rig.event_loop.listen(path, |_, _| Tap::new("server")).unwrap();
    let _peer = UnixStream::connect(path).unwrap();
    rig.until_saw("server made");
    rig.event_loop.hub().server_close(server.id());
    rig.settle();
    assert!(!path.exists());

    let target = socket_path();
    let others = ["a file", "a directory", "a link to a socket"];
    let _listener = UnixListener::bind(target).unwrap();
    for what in others {
        match what {
            "a file" => fs::write(path, "precious"),
            "a directory" => fs::create_dir(path),
            _ => symlink(target, path),
        }
        .unwrap();
        let before = fs::symlink_metadata(path).unwrap();
        let error = rig.event_loop.listen(path, |_, _| Tap::new("server")).unwrap_err();
        assert_eq!(error.kind(), IoErrorKind::AddrInUse, "{what}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        let after = fs::symlink_metadata(path).unwrap();
        assert_eq!((before.file_type(), before.len()), (after.file_type(), after.len()), "{what}");
        if after.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) }.unwrap();
    }
    fs::remove_file(target).unwrap();
}

#[test]
fn a_server_removes_its_own_file_only() {
    //= LOOP-25
    let mut rig = Rig::new();
    let path = socket_path();
    // As made.
    let server = rig.event_loop.listen(path, |_, _| Tap::new("server")).unwrap();
    assert!(is_socket(path));
    rig.event_loop.hub().server_close(server.id());
    rig.settle();
    assert!(!path.exists());
    // Switched off.
    let server = rig.event_loop.listen(Listen::on(path).cleanup_socket(false), |_, _| Tap::new("server")).unwrap();
    rig.event_loop.hub().server_close(server.id());
    rig.settle();
    assert!(is_socket(path));
    // Gone already.
    let server = rig.event_loop.listen(path, |_, _| Tap::new("server")).unwrap();
    fs::remove_file(path).unwrap();
    rig.event_loop.hub().server_close(server.id());
    rig.settle();
    // Another's by now, of the same loop and of somebody else's.
    let first = rig.event_loop.listen(path, |_, _| Tap::new("first")).unwrap();
    let second = rig.event_loop.listen(path, |_, _| Tap::new("second")).unwrap();
    rig.event_loop.hub().server_close(first.id());
    rig.settle();
    let _peer = UnixStream::connect(path).unwrap();
    rig.until_saw("second made");
    fs::remove_file(path).unwrap();
    fs::write(path, "precious").unwrap();
    rig.event_loop.hub().server_close(second.id());
    rig.settle();
    assert_eq!(fs::read(path).unwrap(), b"precious");
    fs::remove_file(path).unwrap();
    assert_eq!(rig.reported(), [""; 0]);
}

#[test]
fn a_server_that_does_not_come_about_leaves_no_file() {
    //= LOOP-25, RUST-11
    let mut rig = Rig::new();
    let (path, taken) = (socket_path(), socket_path());
    fs::write(taken, "precious").unwrap();
    // The second of its addresses cannot be had.
    rig.event_loop.listen(Listen::on(path).and(taken), |_, _| Tap::new("server")).unwrap_err();
    rig.settle();
    assert!(!path.exists());
    // Closed before it was bound, or behind it.
    let server = rig.event_loop.hub().listen(path, |_, _| Tap::new("server"), |_, state, _| state.note("done"));
    rig.event_loop.hub().server_close(server);
    rig.settle();
    assert!(!path.exists());
    fs::remove_file(taken).unwrap();
    // The loop goes first.
    rig.event_loop.listen(path, |_, _| Tap::new("server")).unwrap();
    assert!(is_socket(path));
    drop(rig);
    assert!(!path.exists());
}

#[test]
fn a_listener_that_was_made_elsewhere_keeps_its_file() {
    //= LOOP-24, LOOP-25, LOOP-13
    let mut rig = Rig::new();
    let path = socket_path();
    let server = rig.event_loop.listen_on(UnixListener::bind(path).unwrap(), |_, _| Tap::new("server").echo()).unwrap();
    assert_eq!(server.addrs(), [Addr::from(path)]);
    let mut peer = UnixStream::connect(path).unwrap();
    peer.write_all(b"hello").unwrap();
    rig.until(|state| state.received("server") == b"hello");
    rig.event_loop.hub().server_close(server.id());
    rig.settle();
    assert!(is_socket(path));
    fs::remove_file(path).unwrap();
    // One without a name.
    let unbound = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    let error = rig.event_loop.listen_on(unbound, |_, _| Tap::new("server")).unwrap_err();
    assert_eq!(error.kind(), IoErrorKind::InvalidInput);
}

#[test]
fn a_port_cannot_be_shared_where_there_is_none() {
    //= LOOP-14
    let mut rig = Rig::new();
    let path = socket_path();
    let error = rig.event_loop.listen(Listen::on(path).reuse_port(true), |_, _| Tap::new("server")).unwrap_err();
    assert_eq!(error.kind(), IoErrorKind::InvalidInput);
    assert!(!path.exists());
}

#[test]
fn options_of_tcp_are_left_alone() {
    //= LOOP-11, RUST-6
    let mut rig = Rig::new();
    let path = socket_path();
    rig.event_loop.listen(Listen::on(path).and(any_port()), |_, _| Tap::new("server")).unwrap();
    let id = rig.event_loop.hub().connect(path, Tap::new("client"));
    rig.until(|state| state.made.len() == 2);
    assert_eq!(rig.event_loop.socket(id).unwrap().no_delay().unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(rig.reported(), [""; 0]);
    // Who insists is told.
    rig.event_loop.hub().set_option(id, SocketOption::NoDelay(true));
    rig.event_loop.hub().connect(Connect::to(path).option(SocketOption::NoDelay(true)), Tap::new("other"));
    rig.until_saw("other refused");
    assert_eq!((rig.state().refusals[0].error().call(), rig.reported().len()), (Call::Option, 1));
}

#[test]
fn a_peer_that_goes_is_an_end_and_over_unread_bytes_a_reset() {
    //= READ-11, READ-13, EOF-2, WRITE-10
    let mut rig = Rig::new();
    let path = socket_path();
    rig.event_loop.listen(path, |_, _| Tap::new("server")).unwrap();
    // There is nothing to linger for, and no reset to be asked for.
    let peer = UnixStream::connect(path).unwrap();
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    rig.until_saw("server lost(None)");
    assert_eq!(rig.state().log, ["server made", "server eof", "server lost(None)"]);

    // What it has not read is lost, and we are told; what it sent comes first.
    let mut peer = UnixStream::connect(path).unwrap();
    rig.until(|state| state.made.len() == 2);
    let id = rig.state().made[1].1;
    rig.event_loop.hub().write(id, b"never read");
    rig.spin(Duration::from_millis(10));
    peer.write_all(b"last words").unwrap();
    drop(peer);
    rig.until_saw("server lost(ConnectionReset)");
    assert_eq!(rig.state().received("server"), b"last words");
    assert_eq!(rig.state().reasons[1].cause(), Cause::ReadFailed);
}

#[test]
fn a_write_to_nobody_is_a_broken_pipe() {
    //= WRITE-10, EOF-11
    let mut rig = Rig::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let id = rig.event_loop.hub().adopt_stream(ours, Tap::new("client").keep_open());
    drop(theirs);
    rig.until_saw("client eof");
    rig.event_loop.hub().write(id, b"is anybody there?");
    rig.until_saw("client lost(BrokenPipe)");
    assert_eq!(rig.state().reasons[0].discarded(), 17);
}

/// Notes what it received, in memory of its own.
struct Lending([u8; 64]);

impl BufferedProtocol<State> for Lending {
    fn get_buffer(&mut self, _: Option<NonZeroUsize>) -> &mut [u8] {
        &mut self.0
    }

    fn buffer_updated(&mut self, cx: &mut Context<'_, State>, n: usize) {
        cx.state.bytes.entry("server").or_default().extend_from_slice(&self.0[..n]);
    }

    fn eof_received(&mut self, cx: &mut Context<'_, State>) -> bool {
        cx.state.note("server eof");
        false
    }
}

#[test]
fn bytes_that_come_with_descriptors_are_all_read() {
    //= READ-1, RUST-6
    // Each such message ends a receive, so that a short one does not mean that nothing is left.
    for lends in [false, true] {
        let mut rig = Rig::new();
        let (ours, theirs) = UnixStream::pair().unwrap();
        for n in 0..10 {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let fds = [theirs.as_fd()];
            assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
            let text = format!("message {n};");
            rustix::net::sendmsg(&theirs, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::empty()).unwrap();
        }
        let expected: String = (0..10).map(|n| format!("message {n};")).collect();
        if lends {
            rig.event_loop.hub().adopt_stream(ours, Buffered(Lending([0; 64])));
        } else {
            rig.event_loop.hub().adopt_stream(ours, Tap::new("server"));
        }
        rig.until(|state| state.received("server").len() == expected.len());
        assert_eq!(rig.state().received("server"), expected.as_bytes());
        // None of the descriptors stays with us: nobody else keeps the other end open.
        drop(theirs);
        rig.until_saw("server eof");
    }
}

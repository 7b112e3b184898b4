//! Files that are sent.

use super::Link;
use crate::backend::{ErrorKind, HubExt, Refusal, WriteStatus};
use crate::behaviour::kit::{Family, Rigged, State, Tap, pattern, socket_path};
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::thread;

type Rig = Rigged<Link>;

const MIB: u64 = 1 << 20;

/// A file that has no name any more.
fn file(contents: &[u8]) -> File {
    let path = socket_path();
    fs::write(path, contents).unwrap();
    let file = File::options().read(true).write(true).open(path).unwrap();
    fs::remove_file(path).unwrap();
    file
}

/// The memory that this process has in use, where Linux shows it.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

/// Reads until the end, and keeps what is not zero, with its place.
fn reader(mut peer: <Link as Family>::Peer) -> thread::JoinHandle<(u64, Vec<(u64, u8)>)> {
    thread::spawn(move || {
        let (mut count, mut kept, mut block) = (0, Vec::new(), vec![0; 1 << 18]);
        loop {
            let n = peer.read(&mut block).unwrap();
            if n == 0 {
                return (count, kept);
            }
            if block[..n].iter().any(|&byte| byte != 0) {
                let marked = block[..n].iter().enumerate().filter(|(_, byte)| **byte != 0);
                kept.extend(marked.map(|(at, byte)| (count + at as u64, *byte)));
            }
            count += n as u64;
        }
    })
}

#[test]
fn a_gibibyte_goes_between_two_writes_in_constant_memory() {
    //= LOOP-28, LOOP-29, WRITE-3
    const SIZE: u64 = 1024 * MIB;
    let mut rig = Rig::new();
    let (_, peer) = rig.serve_one(|| {
        Tap::new("server").on("sent", |cx| {
            assert_eq!(cx.write(b"C"), WriteStatus::Accepted);
            cx.close();
        })
    });
    let id = rig.state().id("server");
    let sparse = file(b"");
    sparse.set_len(SIZE).unwrap();
    sparse.write_all_at(b"B", SIZE - 1).unwrap();
    let mut shared = sparse.try_clone().unwrap();
    let before = resident();
    rig.event_loop.hub().write(id, b"A");
    rig.event_loop.hub().sendfile(id, sparse, ..).unwrap();
    assert_eq!(rig.event_loop.hub().write(id, b"D"), WriteStatus::Refused(Refusal::Busy));
    let reader = reader(peer);
    let mut most = 0;
    while rig.state().files.is_empty() {
        rig.event_loop.run_once(None).unwrap();
        most = most.max(resident());
        assert!(rig.event_loop.hub().write_buffer_size(id) <= 1);
    }
    rig.until_saw("server lost(None)");
    assert_eq!(rig.state().files, [Ok(SIZE)]);
    assert_eq!(reader.join().unwrap(), (SIZE + 2, vec![(0, b'A'), (SIZE, b'B'), (SIZE + 1, b'C')]));
    assert_eq!(shared.stream_position().unwrap(), SIZE);
    // Others grow in this process too.
    assert!(most.saturating_sub(before) < 256 * MIB, "{} MiB more", (most - before) / MIB);
}

#[test]
fn the_position_is_behind_what_was_sent() {
    //= LOOP-28, LOOP-29
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server"));
    let id = rig.state().id("server");
    let bytes = pattern(300_000);
    let mut shared = file(&bytes);
    let mut back = vec![0; 300_000];
    for (n, (range, position)) in
        [(10..200_010, 200_010), (299_000..400_000, 300_000), (300_000..300_001, 300_000)].into_iter().enumerate()
    {
        let expected = &bytes[range.start.min(300_000) as usize..range.end.min(300_000) as usize];
        rig.event_loop.hub().sendfile(id, shared.try_clone().unwrap(), range).unwrap();
        let reader = thread::spawn(move || {
            peer.read_exact(&mut back[..expected_len(n)]).unwrap();
            (peer, back)
        });
        rig.until(|state| state.files.len() == n + 1);
        (peer, back) = reader.join().unwrap();
        assert!(back.starts_with(expected), "other bytes came");
        assert_eq!(rig.state().files[n], Ok(expected.len() as u64));
        assert_eq!(shared.stream_position().unwrap(), position);
    }
    // Nothing of it is left to come.
    rig.event_loop.hub().write(id, b"!");
    rig.settle();
    peer.read_exact(&mut back[..1]).unwrap();
    assert_eq!(back[0], b'!');
}

const fn expected_len(n: usize) -> usize {
    [200_000, 1000, 0][n]
}

#[test]
fn a_file_that_the_kernel_does_not_send_is_read() {
    //= LOOP-28
    // Such files are made up when they are read: there is nothing to be sent by itself.
    let Ok(expected) = fs::read("/proc/self/limits") else { return println!("skipped: there is no such file here") };
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server"));
    let id = rig.state().id("server");
    rig.event_loop.hub().sendfile(id, File::open("/proc/self/limits").unwrap(), ..).unwrap();
    rig.until_saw("server sent");
    assert_eq!(rig.state().files, [Ok(expected.len() as u64)]);
    let mut back = vec![0; expected.len()];
    peer.read_exact(&mut back).unwrap();
    assert_eq!(back, expected);
}

#[test]
fn a_peer_that_goes_in_the_middle_is_the_end_of_both() {
    //= LOOP-28, LOOP-29, WRITE-10
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server"));
    let id = rig.state().id("server");
    let sparse = file(b"");
    sparse.set_len(1024 * MIB).unwrap();
    let mut shared = sparse.try_clone().unwrap();
    rig.event_loop.hub().sendfile(id, sparse, ..).unwrap();
    rig.spin(std::time::Duration::from_millis(20));
    peer.read_exact(&mut [0; 4096]).unwrap();
    drop(peer);
    rig.until(|state| !state.reasons.is_empty());
    let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(matches!(rig.state().files[..], [Err(kind)] if gone.contains(&kind)), "{:?}", rig.state().files);
    let error = rig.state().reasons[0].error().unwrap();
    assert!(gone.contains(&error.kind()), "{error}");
    assert_eq!(rig.state().log[..2], ["server made", "server sent"]);
    let position = shared.stream_position().unwrap();
    assert!((4096..1024 * MIB).contains(&position), "{position}");
}

#[test]
fn a_file_that_becomes_shorter_ends_there() {
    //= LOOP-28
    let mut rig = Rig::new();
    let (_, peer) = rig.serve_one(|| Tap::new("server").on("sent", |cx| cx.close()));
    let id = rig.state().id("server");
    let sparse = file(b"");
    sparse.set_len(256 * MIB).unwrap();
    let shared = sparse.try_clone().unwrap();
    rig.event_loop.hub().sendfile(id, sparse, ..).unwrap();
    rig.spin(std::time::Duration::from_millis(20));
    shared.set_len(0).unwrap();
    let reader = reader(peer);
    rig.until_saw("server lost(None)");
    let (count, kept) = reader.join().unwrap();
    assert!(count < 256 * MIB && kept.is_empty());
    assert_eq!(rig.state().files, [Ok(count)]);
}

#[test]
fn what_is_no_file_is_refused() {
    //= LOOP-29, RUST-6
    let mut rig = Rig::new();
    let (_, mut peer) = rig.serve_one(|| Tap::new("server").echo());
    let id = rig.state().id("server");
    let socket = File::from(OwnedFd::from(UnixStream::pair().unwrap().0));
    for odd in [File::open("/dev/null").unwrap(), File::open("/").unwrap(), socket] {
        assert_eq!(rig.event_loop.hub().sendfile(id, odd, ..).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(rig.event_loop.hub().sendfile(id, file(b"x"), 3..3).unwrap_err().kind(), ErrorKind::InvalidInput);
    // One that cannot be read is found out when its turn comes.
    let path = socket_path();
    let unreadable = File::create(path).unwrap();
    fs::remove_file(path).unwrap();
    rig.event_loop.hub().sendfile(id, unreadable, ..).unwrap();
    rig.until_saw("server sent");
    assert_eq!(rig.state().files, [Err(ErrorKind::InvalidInput)]);
    peer.write_all(b"all is well").unwrap();
    rig.until(|state: &mut State| state.received("server") == b"all is well");
    peer.read_exact(&mut [0; 11]).unwrap();
}

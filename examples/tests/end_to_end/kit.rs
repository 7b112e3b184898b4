//! Programs, peers, and what can be seen of them from outside.

mod identity;
mod kernel;
mod lines;
#[path = "../../../sys/tests/behaviour/missing.rs"]
mod missing;
mod pattern;
mod program;

pub(crate) use identity::{Identity, printed_by};
pub(crate) use kernel::kept_between;
pub(crate) use lines::Lines;
pub(crate) use missing::missing;
pub(crate) use pattern::Pattern;
pub(crate) use program::Program;

use core::net::SocketAddr;
use core::time::Duration;
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

/// After this a test has failed. Nothing takes as long that goes well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A peer that takes nothing for so long has stopped taking.
pub(crate) const STALL: Duration = Duration::from_millis(500);

/// The names of the backends, as the examples take them.
pub(crate) const BACKENDS: [&str; 2] = ["mio", "polling"];

pub(crate) const MIB: u64 = 1 << 20;

/// Runs a test on both backends at once; a failure names the thread, which is named for the backend.
pub(crate) fn on_both(test: impl Fn(&'static str) + Sync) {
    thread::scope(|scope| {
        for backend in BACKENDS {
            let test = &test;
            thread::Builder::new().name(String::from(backend)).spawn_scoped(scope, move || test(backend)).unwrap();
        }
    });
}

/// Waits for what no barrier tells.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "still not: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A connection that waits patiently, but not for ever.
pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    patient(TcpStream::connect_timeout(&addr, PATIENCE).unwrap())
}

pub(crate) fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A listener of the test's own.
pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    patient(listener.accept().unwrap().0)
}

/// Ends a connection with a reset.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

pub(crate) fn finish(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
}

/// Whether the connection has ended, in whatever way: waits for it, and takes nothing else.
pub(crate) fn ended(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(n) => n == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Sends the word, and says whether it came back.
pub(crate) fn echoes(mut stream: &TcpStream, word: &str) -> bool {
    let mut back = vec![0; word.len()];
    stream.write_all(word.as_bytes()).is_ok() && stream.read_exact(&mut back).is_ok() && back == word.as_bytes()
}

/// Sends the pattern's bytes from `at` up to `end`, or until the peer takes no more; says how far it came.
pub(crate) fn send_until_stalled(mut stream: &TcpStream, pattern: Pattern, mut at: u64, end: u64) -> u64 {
    stream.set_write_timeout(Some(STALL)).unwrap();
    let mut block = vec![0; 65_536];
    while at < end {
        let len = block.len().min(usize::try_from(end - at).unwrap());
        pattern.fill(at, &mut block[..len]);
        match stream.write(&block[..len]) {
            Ok(sent) => at += sent as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("sending failed at {at}: {error}"),
        }
    }
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    at
}

/// Sends the pattern's bytes from `at` up to `end`.
pub(crate) fn send(mut stream: &TcpStream, pattern: Pattern, mut at: u64, end: u64) {
    let mut block = vec![0; 65_536];
    while at < end {
        let len = block.len().min(usize::try_from(end - at).unwrap());
        pattern.fill(at, &mut block[..len]);
        stream.write_all(&block[..len]).unwrap_or_else(|error| panic!("sending failed at {at}: {error}"));
        at += len as u64;
    }
}

/// Receives the pattern's bytes from `at` up to `end`, and not one that differs.
pub(crate) fn receive(mut stream: &TcpStream, pattern: Pattern, mut at: u64, end: u64) {
    let mut block = vec![0; 65_536];
    let mut expected = vec![0; 65_536];
    while at < end {
        let most = block.len().min(usize::try_from(end - at).unwrap());
        let len = stream.read(&mut block[..most]).unwrap_or_else(|error| panic!("receiving failed at {at}: {error}"));
        assert!(len > 0, "the end came at {at}, not at {end}");
        pattern.fill(at, &mut expected[..len]);
        assert!(block[..len] == expected[..len], "other bytes, somewhere from {at} to {}", at + len as u64);
        at += len as u64;
    }
}

/// Receives the pattern's bytes from `at` up to `end`, and the end of the stream behind them.
pub(crate) fn receive_to_the_end(mut stream: &TcpStream, pattern: Pattern, at: u64, end: u64) {
    receive(stream, pattern, at, end);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "more than was sent");
}

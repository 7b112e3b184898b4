//! The echo on Unix sockets, both its ends, with each other and with peers that are not ours.

use crate::kit::{BACKENDS, PATIENCE, Program, STALL, on_both};
use crate::peers::{CONTENT, gets_everything_back};
use core::sync::atomic::{AtomicUsize, Ordering};
use rustix::process::Signal;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

const FINE: [&str; 3] = ["data sent: Hello World!", "data received: Hello World!", "the connection is closed"];

/// A path where nothing is; what is there at the end of the test is taken away.
struct Path(PathBuf);

impl Path {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("plimsoll-echo-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn as_str(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        // Mostly nothing is there any more.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A server that serves there.
fn server(backend: &str, place: &str) -> Program {
    let server = Program::example("unix_echo", backend, &["server", place]);
    server.out.wait_for(1, &format!("listening on unix:{place}"));
    server
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(&path.0).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn the_client_gets_its_message_back_from_the_server() {
    //= LOOP-10, LIFE-4
    on_both(|backend| {
        let path = Path::new();
        let name = format!("@{}", path.as_str());
        for place in [path.as_str(), &name] {
            let server = server(backend, place);
            let descriptors = server.descriptors();
            for client in BACKENDS {
                Program::example("unix_echo", client, &["client", place]).prints(&FINE);
            }
            server.out.wait_for(2, ": finished by the peer");
            server.comes_to(descriptors);
        }
    });
}

#[test]
fn asyncio_is_content_at_either_end() {
    //= LOOP-10, READ-1, WRITE-3, EOF-2
    on_both(|backend| {
        let path = Path::new();
        let server = server(backend, path.as_str());
        let descriptors = server.descriptors();
        let Some(mut clients) = Program::python("echo_client.py", &[path.as_str()]) else { return };
        clients.prints(&CONTENT);
        server.out.wait_for(6, ": finished by the peer");
        server.comes_to(descriptors);

        let path = Path::new();
        let Some(server) = Program::python("echo_server.py", &[path.as_str()]) else { return };
        server.out.wait_for(1, "listening on ");
        Program::example("unix_echo", backend, &["client", path.as_str()]).prints(&FINE);
    });
}

#[test]
fn socat_is_content_at_either_end() {
    //= LOOP-10, READ-1, WRITE-3, EOF-2
    on_both(|backend| {
        let path = Path::new();
        let _server = server(backend, path.as_str());
        let place = format!("UNIX-CONNECT:{}", path.as_str());
        let Some(socat) = Program::tool("socat", &["-t", "30", "-", &place]) else { return };
        gets_everything_back(socat);

        let name = Path::new();
        let _server = server(backend, &format!("@{}", name.as_str()));
        let place = format!("ABSTRACT-CONNECT:{}", name.as_str());
        let Some(socat) = Program::tool("socat", &["-t", "30", "-", &place]) else { return };
        gets_everything_back(socat);

        let path = Path::new();
        let Some(socat) = Program::tool("socat", &["-d", "-d", &format!("UNIX-LISTEN:{}", path.as_str()), "PIPE"]) else {
            return;
        };
        socat.err.wait_for(1, "listening on ");
        Program::example("unix_echo", backend, &["client", path.as_str()]).prints(&FINE);
    });
}

#[test]
fn a_server_that_is_told_to_end_takes_its_file_away_and_its_connections_to_their_end() {
    //= LOOP-18, LOOP-19, LOOP-20, LOOP-25
    on_both(|backend| {
        for signal in [Signal::TERM, Signal::INT] {
            let path = Path::new();
            let mut server = server(backend, path.as_str());
            let mut peer = connect(&path);
            peer.write_all(b"once more").unwrap();
            let mut back = [0; 9];
            peer.read_exact(&mut back).unwrap();
            server.signal(signal);
            assert_eq!(peer.read(&mut back).unwrap(), 0);
            assert!(server.status().success(), "{:?}", server.err.all());
            assert!(!path.0.exists());
            server.out.wait_for(1, ": closed");
        }
    });
}

#[test]
fn a_second_signal_cuts_off_who_does_not_take_its_echo() {
    //= LOOP-20, CLOSE-7
    on_both(|backend| {
        let path = Path::new();
        let mut server = server(backend, path.as_str());
        let mut peer = connect(&path);
        peer.set_write_timeout(Some(STALL)).unwrap();
        while peer.write(&[7; 65_536]).is_ok() {}
        server.falls_asleep();
        server.signal(Signal::TERM);
        server.out.wait_for(1, "ending");
        server.falls_asleep();
        assert!(!path.0.exists());
        server.signal(Signal::TERM);
        assert!(server.status().success(), "{:?}", server.err.all());
        server.out.wait_for(1, ": aborted");
    });
}

#[test]
fn what_is_in_the_way_is_replaced_if_it_is_a_socket_and_said_if_it_is_not() {
    //= LOOP-24
    on_both(|backend| {
        let path = Path::new();
        drop(UnixListener::bind(&path.0).unwrap());
        assert!(path.0.exists());
        Program::example("unix_echo", backend, &["client", path.as_str()]).fails("connection refused");
        let _server = server(backend, path.as_str());
        Program::example("unix_echo", backend, &["client", path.as_str()]).prints(&FINE);

        let path = Path::new();
        Program::example("unix_echo", backend, &["client", path.as_str()]).fails("not found");
        File::create(&path.0).unwrap().write_all(b"precious").unwrap();
        Program::example("unix_echo", backend, &["server", path.as_str()]).fails("address in use");
        assert_eq!(std::fs::read(&path.0).unwrap(), b"precious");
    });
}

#[test]
fn a_bad_argument_is_explained() {
    Program::example("unix_echo", "mio", &["/tmp/socket"]).fails("it is server or client");
    Program::example("unix_echo", "mio", &["server", &"x".repeat(200)]).fails("bind: invalid input");
    Program::example("unix_echo", "mio", &["client", "/x", "/y"]).fails("not 3");
    Program::example("unix_echo", "io_uring", &[]).fails("mio or polling, not io_uring");
}

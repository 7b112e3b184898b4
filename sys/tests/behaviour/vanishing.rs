//! Peers that are gone in the middle of a handshake, of data, or of a shutdown: each time there is one ending, and nothing is left.

use super::certs::{self, client, name, pem_files, server, tls_client, tls_server};
use super::descriptors::{alone, open_now};
use super::kit::{PATIENCE, Rig, Tap, any_port, connect, patient, pattern, reset};
use super::tool::Tool;
use crate::backend::{Cause, Connect, ErrorKind, Listen, StreamId};
use rustix::process::Signal;
use rustls::{ClientConnection, Connection, ServerConnection, SupportedProtocolVersion};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Plain rustls at the other end of a socket, which does a step when it is told to.
struct Peer {
    tls: Connection,
    socket: TcpStream,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Fin,
    Reset,
}

const WAYS: [Way; 2] = [Way::Fin, Way::Reset];

impl Peer {
    fn client(place: SocketAddr, version: &'static SupportedProtocolVersion) -> Self {
        let tls = ClientConnection::new(Arc::new(client(version)), name()).unwrap();
        Self { tls: tls.into(), socket: connect(place) }
    }

    fn server(listener: &TcpListener, version: &'static SupportedProtocolVersion) -> Self {
        let tls = ServerConnection::new(Arc::new(server(version))).unwrap();
        Self { tls: tls.into(), socket: patient(listener.accept().unwrap().0) }
    }

    /// What it has to say next.
    fn words(&mut self) -> Vec<u8> {
        let mut words = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut words).unwrap();
        }
        words
    }

    fn send(&mut self) {
        let words = self.words();
        self.socket.write_all(&words).unwrap();
    }

    /// Takes what has come, once something has.
    fn receive(&mut self) {
        assert!(self.tls.read_tls(&mut self.socket).unwrap() > 0);
        self.tls.process_new_packets().unwrap();
    }

    fn shake_hands(&mut self, rig: &mut Rig) {
        self.socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        while self.tls.is_handshaking() {
            self.send();
            rig.spin(Duration::from_millis(2));
            if matches!(self.tls.read_tls(&mut self.socket), Ok(1..)) {
                self.tls.process_new_packets().unwrap();
            }
        }
        self.send();
        rig.spin(Duration::from_millis(5));
        // What it had not read when it goes would make a reset of its end: tickets, in 1.3.
        while matches!(self.tls.read_tls(&mut self.socket), Ok(1..)) {
            self.tls.process_new_packets().unwrap();
        }
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    fn vanish(self, way: Way) {
        if way == Way::Reset {
            reset(self.socket);
        }
    }
}

/// How far a peer comes.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Stage {
    Connected,
    HalfOfItsWords,
    AllOfItsWords,
    HeardOurs,
}

const STAGES: [Stage; 4] = [Stage::Connected, Stage::HalfOfItsWords, Stage::AllOfItsWords, Stage::HeardOurs];

/// Nothing is open but what was.
#[track_caller]
fn nothing_is_left(rig: &mut Rig, before: &[String]) {
    rig.until(|_| open_now() == before);
    rig.settle();
}

#[test]
fn clients_that_vanish_during_the_handshake_are_not_worth_a_word() {
    //= TLS-2, LIFE-2, LIFE-13, RUST-11
    let _alone = alone();
    for version in certs::VERSIONS {
        let mut rig = Rig::new();
        let server = rig.event_loop.listen(Listen::on(any_port()).tls(tls_server(version)), |_, _| Tap::new("server")).unwrap();
        let place = server.addr().inet().unwrap();
        let before = open_now();
        for (stage, way) in STAGES.into_iter().flat_map(|stage| WAYS.map(|way| (stage, way))) {
            let mut peer = Peer::client(place, version);
            let words = peer.words();
            let said = match stage {
                Stage::Connected => 0,
                Stage::HalfOfItsWords => words.len() / 2,
                Stage::AllOfItsWords | Stage::HeardOurs => words.len(),
            };
            peer.socket.write_all(&words[..said]).unwrap();
            rig.spin(Duration::from_millis(10));
            if stage == Stage::HeardOurs {
                peer.receive();
            }
            peer.vanish(way);
            nothing_is_left(&mut rig, &before);
            assert!(rig.state().log.is_empty() && rig.reported().is_empty(), "{version:?} {stage:?} {way:?}");
        }
    }
}

#[test]
fn servers_that_vanish_during_the_handshake_are_resets() {
    //= TLS-2, LIFE-2, LIFE-13, RUST-11
    let _alone = alone();
    for version in certs::VERSIONS {
        let mut rig = Rig::new();
        let listener = TcpListener::bind(any_port()).unwrap();
        let place = listener.local_addr().unwrap();
        let before = open_now();
        // All of its words would be enough for a client of 1.3.
        for (stage, way) in
            [Stage::Connected, Stage::HeardOurs, Stage::HalfOfItsWords].into_iter().flat_map(|stage| WAYS.map(|way| (stage, way)))
        {
            rig.event_loop.hub().connect(Connect::to(place).tls(tls_client(version)), Tap::new("client"));
            rig.spin(Duration::from_millis(10));
            let mut peer = Peer::server(&listener, version);
            if stage != Stage::Connected {
                peer.receive();
            }
            if stage == Stage::HalfOfItsWords {
                let words = peer.words();
                peer.socket.write_all(&words[..words.len() / 2]).unwrap();
                rig.spin(Duration::from_millis(10));
            }
            peer.vanish(way);
            rig.until_saw("client refused");
            nothing_is_left(&mut rig, &before);
            assert_eq!(rig.state().log, ["client refused"], "{version:?} {stage:?} {way:?}");
            assert_eq!(
                rig.state().refusals.pop().unwrap().error().kind(),
                ErrorKind::ConnectionReset,
                "{version:?} {stage:?} {way:?}"
            );
            rig.state().log.clear();
        }
        assert!(rig.reported().is_empty());
    }
}

/// A connection of that version whose other end is a peer's, and what was open before it.
fn established(rig: &mut Rig, version: &'static SupportedProtocolVersion, as_server: bool) -> (Peer, StreamId, Vec<String>) {
    let mut peer;
    let before;
    if as_server {
        let listen = Listen::on(any_port()).tls(tls_server(version));
        let server = rig.event_loop.listen(listen, |_, _| Tap::new("ours")).unwrap();
        before = open_now();
        peer = Peer::client(server.addr().inet().unwrap(), version);
    } else {
        let listener = TcpListener::bind(any_port()).unwrap();
        before = open_now().into_iter().filter(|descriptor| !is_of(descriptor, &listener)).collect();
        let connect = Connect::to(listener.local_addr().unwrap()).tls(tls_client(version));
        rig.event_loop.hub().connect(connect, Tap::new("ours"));
        rig.spin(Duration::from_millis(5));
        peer = Peer::server(&listener, version);
    }
    peer.shake_hands(rig);
    rig.until_saw("ours made");
    let id = rig.state().id("ours");
    (peer, id, before)
}

fn is_of(descriptor: &str, listener: &TcpListener) -> bool {
    use std::os::fd::AsRawFd;
    descriptor.starts_with(&format!("/proc/self/fd/{} ", listener.as_raw_fd()))
}

/// Where a peer is when it goes, once we have said our closing word.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Parting {
    /// It has not even seen it.
    Unheard,
    Heard,
    /// It has begun to answer.
    HalfAnswered,
}

#[test]
fn peers_that_vanish_during_the_shutdown_end_it() {
    //= TLS-4, TLS-10, TLS-11, LIFE-2, LIFE-13, RUST-11
    let _alone = alone();
    let partings = [Parting::Unheard, Parting::Heard, Parting::HalfAnswered];
    for (version, as_server) in certs::VERSIONS.into_iter().flat_map(|version| [false, true].map(|role| (version, role))) {
        for (parting, way) in partings.into_iter().flat_map(|parting| WAYS.map(|way| (parting, way))) {
            let mut rig = Rig::new();
            let (mut peer, id, before) = established(&mut rig, version, as_server);
            rig.event_loop.hub().close(id);
            rig.spin(Duration::from_millis(10));
            if parting != Parting::Unheard {
                peer.receive();
            }
            if parting == Parting::HalfAnswered {
                peer.tls.send_close_notify();
                let words = peer.words();
                peer.socket.write_all(&words[..words.len() / 2]).unwrap();
                rig.spin(Duration::from_millis(5));
            }
            peer.vanish(way);
            // What it has not read makes a reset of its end.
            let reset = way == Way::Reset || parting == Parting::Unheard;
            rig.until(|state| !state.reasons.is_empty());
            nothing_is_left(&mut rig, &before);
            let ending = if reset { "ours lost(ConnectionReset)" } else { "ours lost(None)" };
            assert_eq!(rig.state().log, ["ours made", ending], "{version:?} {as_server} {parting:?} {way:?}");
            assert!(rig.reported().is_empty());
        }
    }
}

#[test]
fn what_is_written_to_a_peer_that_has_gone_breaks_the_pipe() {
    //= TLS-10, WRITE-10, LIFE-2, LIFE-13
    let _alone = alone();
    for version in certs::VERSIONS {
        let mut rig = Rig::new();
        let (peer, id, before) = established(&mut rig, version, true);
        rig.event_loop.hub().pause_reading(id);
        rig.spin(Duration::from_millis(10));
        // Its end is behind what we do not read. The first write is answered with a reset: EPIPE, for us who might have known (tcp_reset).
        peer.vanish(Way::Fin);
        rig.event_loop.hub().write(id, "the first word");
        rig.spin(Duration::from_millis(20));
        rig.event_loop.hub().write(id, "and the next");
        rig.until(|state| !state.reasons.is_empty());
        nothing_is_left(&mut rig, &before);
        assert_eq!(rig.state().log, ["ours made", "ours lost(BrokenPipe)"], "{version:?}");
        assert_eq!(rig.state().reasons[0].cause(), Cause::WriteFailed);
    }
}

#[test]
fn openssl_that_is_killed_is_a_reset_whatever_was_going_on() {
    //= TLS-2, TLS-10, TLS-11, LIFE-2, LIFE-13, RUST-11
    let _alone = alone();
    let mut rig = Rig::new();
    let (cert, key) = pem_files();

    // As a server that is asleep it has a connection and our first words, but has not looked at them.
    let before = open_now();
    let arguments = ["s_server", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key];
    let Some(mut peer) = Tool::start("openssl", &arguments) else { return };
    let line = peer.until_says(&mut rig, "ACCEPT ");
    let place: SocketAddr = line["ACCEPT ".len()..].parse().unwrap();
    peer.signal(Signal::STOP);
    rig.event_loop.hub().connect(Connect::to(place).tls(tls_client(certs::VERSIONS[1])), Tap::new("client"));
    rig.spin(Duration::from_millis(50));
    assert!(rig.state().log.is_empty());
    drop(peer);
    rig.until_saw("client refused");
    nothing_is_left(&mut rig, &before);
    assert_eq!(rig.state().log, ["client refused"]);
    assert_eq!(rig.state().refusals[0].error().kind(), ErrorKind::ConnectionReset);

    // As a client that is asleep it does not see our closing word, nor much of what is before it.
    for queued in [0, 8 << 20] {
        let mut rig = Rig::new();
        let listen = Listen::on(any_port()).tls(tls_server(certs::VERSIONS[1]));
        let server = rig.event_loop.listen(listen, |_, _| Tap::new("server")).unwrap();
        let before = open_now();
        let at = server.addr().to_string();
        let Some(peer) = Tool::start("openssl", &["s_client", "-connect", &at, "-quiet"]) else { return };
        rig.until_saw("server made");
        rig.spin(Duration::from_millis(50));
        peer.signal(Signal::STOP);
        let id = rig.state().id("server");
        rig.event_loop.hub().write(id, pattern(queued));
        rig.event_loop.hub().close(id);
        rig.spin(Duration::from_millis(50));
        assert!(rig.state().reasons.is_empty(), "it waits for its answer");
        drop(peer);
        rig.until(|state| !state.reasons.is_empty());
        nothing_is_left(&mut rig, &before);
        let reason = &rig.state().reasons[0];
        assert!(matches!(reason.error().unwrap().kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{reason:?}");
        assert_eq!(reason.discarded() > 0, queued > 0);
        let log: Vec<&String> = rig.state().log.iter().filter(|entry| *entry != "server pause").collect();
        assert!(log.len() == 2 && log[1].starts_with("server lost"), "{log:?}");
    }
}

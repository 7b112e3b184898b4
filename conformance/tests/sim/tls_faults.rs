//! Every fault that a byte of a secure connection can have, at either end of it, while it is being made, used and ended.

use crate::certs::{VERSIONS, tls_client, tls_server};
use crate::common::{Notes, Script, Sim, addr, here, on_every_host, script};
use crate::peer::Peer;
use core::time::Duration;
use plimsoll_conformance::sim::{Peer as Socket, PeerListener};
use plimsoll_core::{Addr, Connect, ErrorKind, Listen};
use rustls::SupportedProtocolVersion;

/// Which end of the connection is ours; the other one is plain rustls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ours {
    Server,
    Client,
}

/// Who ends the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaves {
    We,
    They,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    ours: Ours,
    leaves: Leaves,
    version: &'static SupportedProtocolVersion,
}

/// What is done to the stream of the other end at one of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Fin,
    Reset,
    /// Nothing comes any more, and nobody says why.
    Silence,
    Flip(u8),
}

/// A byte of a stream: in which of its records, and where in that. The records of a session are as many each time; a signature may be a byte longer or shorter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    record: usize,
    byte: usize,
}

/// The lengths of the records that these bytes are.
fn records(mut wire: &[u8]) -> Vec<usize> {
    let mut lens = Vec::new();
    while let [_, _, _, high, low, ..] = *wire {
        let len = 5 + usize::from(u16::from_be_bytes([high, low]));
        lens.push(len);
        wire = &wire[len..];
    }
    assert!(wire.is_empty(), "half a record");
    lens
}

/// Says `hi`, and ends the connection when it was greeted, if it is to.
fn ours(leaves: Leaves) -> Script {
    script()
        .made(|cx| {
            cx.write("hi");
        })
        .data(move |cx, data| {
            cx.state.got.extend_from_slice(&data);
            if leaves == Leaves::We && cx.state.got.len() >= 5 {
                cx.close();
            }
        })
}

/// A world with one of our ends, and what was there before any connection was.
struct Stage<'a> {
    sim: &'a mut Sim,
    case: Case,
    listener: Option<PeerListener>,
    descriptors: u64,
    /// Where a flight is cut: nowhere, or into bytes.
    bytewise: bool,
}

impl<'a> Stage<'a> {
    fn new(sim: &'a mut Sim, case: Case) -> Self {
        let listener = match case.ours {
            Ours::Server => {
                let listen = Listen::on(here()).tls(tls_server(case.version));
                sim.listen(listen, move |_: &mut Notes, _: Addr| ours(case.leaves)).unwrap();
                None
            }
            Ours::Client => Some(sim.sim().listen_peer(addr("127.0.0.1:7001"))),
        };
        sim.settle();
        let descriptors = sim.sim().descriptors();
        Self { sim, case, listener, descriptors, bytewise: false }
    }

    /// A connection that nothing was said on, as the other end has it.
    fn connect(&mut self) -> (Socket, Peer) {
        let Some(listener) = &self.listener else {
            return (self.sim.sim().connect_peer(here()), Peer::client(self.case.version));
        };
        let to = Connect::to(listener.addr()).tls(tls_client(self.case.version));
        self.sim.hub().connect(to, ours(self.case.leaves));
        self.sim.settle();
        (listener.accept().expect("it connects"), Peer::server(self.case.version))
    }

    /// Sends, and lets everything happen that follows.
    fn send(&mut self, socket: &Socket, bytes: &[u8]) {
        for piece in bytes.chunks(if self.bytewise { 1 } else { usize::MAX }) {
            socket.send(piece);
            self.sim.settle();
        }
    }

    /// Both ends shake hands, greet each other and take leave; at one byte of the other end's stream something happens, if it has that byte. The lengths of the
    /// records that the other end has sent wholly, and its socket unless something happened to that.
    fn play(&mut self, fault: Option<(Place, Fault)>) -> (Vec<usize>, Option<Socket>) {
        let (socket, mut peer) = self.connect();
        let (mut sent, mut said, mut left) = (Vec::new(), false, false);
        loop {
            self.sim.settle();
            for piece in socket.recv().chunks(if self.bytewise { 1 } else { usize::MAX }) {
                peer.input(piece);
            }
            if !peer.tls.is_handshaking() && !said && peer.error.is_none() {
                said = true;
                peer.write(b"hello");
            }
            let leaves = if self.case.leaves == Leaves::They { said } else { peer.closed };
            if leaves && !left && peer.error.is_none() {
                left = true;
                peer.close();
            }
            let out = peer.output();
            if out.is_empty() || socket.saw_eof() || socket.error().is_some() {
                return (sent, Some(socket));
            }
            let mut rest = &out[..];
            for len in records(&out) {
                let (record, behind) = rest.split_at(len);
                rest = behind;
                match fault.filter(|(place, _)| place.record == sent.len() && place.byte < len) {
                    None => self.send(&socket, record),
                    Some((place, Fault::Flip(bit))) => {
                        let mut record = record.to_vec();
                        record[place.byte] ^= 1 << bit;
                        self.send(&socket, &record);
                    }
                    Some((place, fault)) => {
                        self.send(&socket, &record[..place.byte]);
                        sent.push(len);
                        match fault {
                            Fault::Fin => socket.eof(),
                            Fault::Reset => {
                                socket.reset();
                                self.sim.settle();
                                return (sent, None);
                            }
                            Fault::Silence | Fault::Flip(_) => {}
                        }
                        self.sim.settle();
                        return (sent, Some(socket));
                    }
                }
                sent.push(len);
            }
        }
    }

    /// What became of our end: exactly one ending, in time, with nothing left behind; and whether it is one that such a fault may have.
    #[track_caller]
    fn ends(&mut self, what: Option<(Place, Fault)>, socket: Option<Socket>) {
        let case = self.case;
        if matches!(what, Some((_, Fault::Silence))) {
            // The handshake gives up by itself. An open connection does not, and is closed here: then the shutdown gives up.
            self.sim.advance(Duration::from_secs(61));
            if let (1, 0) = (self.sim.state().ids.len(), self.sim.state().lost.len()) {
                let id = self.sim.state().ids[0];
                self.sim.hub().close(id);
                self.sim.settle();
                self.sim.advance(Duration::from_secs(31));
            }
        } else if let Some(Fault::Flip(_)) = what.map(|(_, fault)| fault) {
            // A length that has grown waits for bytes that never come.
            drop(socket);
            self.sim.settle();
            self.sim.advance(Duration::from_secs(31));
        } else {
            // A peer that has not gone is not what it takes: the fault was enough.
            self.sim.settle();
        }
        let notes = core::mem::take(self.sim.state());
        let (made, lost, failed) = (notes.ids.len(), notes.lost.len(), notes.failed.len());
        let about = format!("{case:?}, {what:?}: made {made}, lost {:?}, failed {:?}", notes.lost, notes.failed);
        assert!(made == lost && made + failed <= 1, "{about}");
        assert!(case.ours == Ours::Server || made + failed == 1, "{about}");
        assert!(b"hello".starts_with(&notes.got[..]), "{about}: {:?}", notes.got);
        let error = notes.lost.first().map(|reason| reason.error());
        let error = error.unwrap_or_else(|| notes.failed.first().map(|failed| failed.error())).map(|error| error.kind());
        let open = made == 1;
        let closing = case.leaves == Leaves::We && notes.got == b"hello";
        let broken = [Some(ErrorKind::ConnectionReset), Some(ErrorKind::BrokenPipe)];
        let legal = match what.map(|(_, fault)| fault) {
            None => open && error.is_none() && notes.got == b"hello",
            Some(Fault::Fin) if closing => error.is_none(),
            Some(Fault::Fin) if open => error == Some(ErrorKind::TlsTruncated),
            Some(Fault::Silence) if open || failed == 1 => error == Some(ErrorKind::TimedOut),
            Some(Fault::Reset | Fault::Fin) if open || failed == 1 => broken.contains(&error),
            // What comes behind our closing word is not decrypted: only what is no record at all is found.
            Some(Fault::Flip(_)) if closing => [None, Some(ErrorKind::TlsError)].contains(&error),
            // Some bits of the first records mean nothing, so nothing is changed.
            Some(Fault::Flip(_)) if open => [None, Some(ErrorKind::TlsError), Some(ErrorKind::TlsTruncated)].contains(&error),
            Some(Fault::Flip(_)) if failed == 1 => error == Some(ErrorKind::TlsError) || broken.contains(&error),
            // A server's handshake that fails calls nobody.
            Some(_) => true,
        };
        assert!(legal, "{about}");
        self.nothing_is_left(&about);
    }

    #[track_caller]
    fn nothing_is_left(&mut self, about: &str) {
        assert_eq!(self.sim.engine().poll_timeout(), None, "{about}: a timer is left");
        assert_eq!(self.sim.sim().descriptors(), self.descriptors, "{about}: a descriptor is left");
        self.sim.take_reports();
    }
}

const BOTH: [Ours; 2] = [Ours::Server, Ours::Client];

/// Plays a session with each of the faults at each byte of the other end's stream, or only of what it says to take leave.
fn at_every_byte(ours: Ours, leaves: Leaves, faults: impl Fn(usize, usize) -> Vec<Fault>) {
    for version in VERSIONS {
        on_every_host(|sim| {
            let mut stage = Stage::new(sim, Case { ours, leaves, version });
            let (whole, socket) = stage.play(None);
            stage.ends(None, socket);
            // If it is we who leave, all that comes before is what it is if they do.
            let first = if leaves == Leaves::We { whole.len() - 1 } else { 0 };
            for (record, len) in whole.into_iter().enumerate().skip(first) {
                for byte in 0..len {
                    for fault in faults(byte, len) {
                        let at = Place { record, byte };
                        let (sent, socket) = stage.play(Some((at, fault)));
                        let happened = sent.get(record).is_some_and(|&len| byte < len);
                        stage.ends(happened.then_some((at, fault)), socket);
                    }
                }
            }
            // Nobody is the worse.
            let (_, socket) = stage.play(None);
            stage.ends(None, socket);
        });
    }
}

fn endings(_: usize, _: usize) -> Vec<Fault> {
    vec![Fault::Fin, Fault::Reset, Fault::Silence]
}

/// Every bit of a small record, and one of each byte of a large one.
fn bits(byte: usize, len: usize) -> Vec<Fault> {
    if len <= 32 { (0..8).map(Fault::Flip).collect() } else { vec![Fault::Flip((byte % 8) as u8)] }
}

#[test]
fn an_end_at_every_byte_of_a_clients_stream_is_one_legal_end() {
    //= TLS-2, TLS-3, TLS-4, TLS-9, TLS-10, LIFE-2, RUST-12
    at_every_byte(Ours::Server, Leaves::They, endings);
}

#[test]
fn an_end_at_every_byte_of_a_servers_stream_is_one_legal_end() {
    //= TLS-2, TLS-3, TLS-4, TLS-9, TLS-10, LIFE-2, RUST-12
    at_every_byte(Ours::Client, Leaves::They, endings);
}

#[test]
fn an_end_at_every_byte_of_an_answer_to_our_closing_word_is_one_legal_end() {
    //= TLS-4, TLS-11, TLS-12, LIFE-2, RUST-12
    for ours in BOTH {
        at_every_byte(ours, Leaves::We, endings);
    }
}

#[test]
fn a_bit_flipped_in_every_byte_of_a_clients_stream_is_found() {
    //= TLS-2, TLS-10, LIFE-2
    at_every_byte(Ours::Server, Leaves::They, bits);
}

#[test]
fn a_bit_flipped_in_every_byte_of_a_servers_stream_is_found() {
    //= TLS-2, TLS-10, LIFE-2
    at_every_byte(Ours::Client, Leaves::They, bits);
}

#[test]
fn a_bit_flipped_in_an_answer_to_our_closing_word_is_found_or_does_not_matter() {
    //= TLS-10, TLS-11, LIFE-2
    for ours in BOTH {
        at_every_byte(ours, Leaves::We, bits);
    }
}

#[test]
fn every_flight_may_come_and_go_byte_by_byte() {
    //= TLS-1, TLS-8, TLS-11, READ-1, WRITE-3
    for version in VERSIONS {
        for ours in BOTH {
            for leaves in [Leaves::We, Leaves::They] {
                on_every_host(|sim| {
                    sim.sim().change_faults(|faults| (faults.send_space, faults.receive_space) = (1..=1, 1..=1));
                    let mut stage = Stage::new(sim, Case { ours, leaves, version });
                    stage.bytewise = true;
                    let (_, socket) = stage.play(None);
                    stage.ends(None, socket);
                });
            }
        }
    }
}

/// The other end takes so many bytes of what we say to take leave, and then goes; whether that was all of it.
fn goes_during_our_closing_word(stage: &mut Stage<'_>, taken: usize, fault: Fault) -> bool {
    let (socket, mut peer) = stage.connect();
    while peer.tls.is_handshaking() || peer.received.is_empty() {
        stage.sim.settle();
        peer.input(&socket.recv());
        socket.send(peer.output());
    }
    stage.sim.settle();
    socket.stall();
    peer.write(b"hello");
    socket.send(peer.output());
    stage.sim.settle();
    for _ in 0..taken {
        socket.read(1);
        stage.sim.settle();
    }
    peer.input(&socket.recv());
    let socket = match fault {
        Fault::Reset => {
            socket.reset();
            None
        }
        // It has finished, and reads on: our word is said to its end.
        Fault::Fin => {
            socket.eof();
            stage.sim.settle();
            socket.drain();
            Some(socket)
        }
        // It has finished, and reads no more.
        Fault::Silence | Fault::Flip(_) => {
            socket.eof();
            stage.sim.settle();
            stage.sim.advance(Duration::from_secs(31));
            Some(socket)
        }
    };
    stage.sim.settle();
    drop(socket);
    stage.sim.settle();
    let notes = core::mem::take(stage.sim.state());
    let about = format!("{:?}, {fault:?} behind {taken}: {:?}", stage.case, notes.lost);
    assert_eq!((notes.ids.len(), notes.lost.len()), (1, 1), "{about}");
    match (fault, notes.lost[0].error().map(|error| error.kind())) {
        (Fault::Fin, None) | (Fault::Reset, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)) => {}
        // What the kernel had taken before it finished is said; the rest is waited for until the limit.
        (Fault::Silence, Some(ErrorKind::TimedOut)) if !peer.closed => {}
        (Fault::Silence, None) if taken > 0 => {}
        _ => panic!("{about}"),
    }
    stage.nothing_is_left(&about);
    peer.closed
}

#[test]
fn an_end_at_every_byte_of_our_closing_word_is_one_legal_end() {
    //= TLS-4, TLS-11, LIFE-2, WRITE-10
    for version in VERSIONS {
        for ours in BOTH {
            on_every_host(|sim| {
                // The kernel holds two bytes at most, so the rest waits with us.
                sim.sim().change_faults(|faults| (faults.send_space, faults.receive_space) = (1..=1, 1..=1));
                let mut stage = Stage::new(sim, Case { ours, leaves: Leaves::We, version });
                for fault in [Fault::Fin, Fault::Reset, Fault::Silence] {
                    let mut taken = 0;
                    while !goes_during_our_closing_word(&mut stage, taken, fault) {
                        taken += 1;
                        assert!(taken < 100, "it never says its closing word");
                    }
                }
            });
        }
    }
}

//! A secure connection over rustls, in a loop in memory, and a peer that does anything: plain rustls, and between what that says any bytes, with any bit flipped.
//! What the cryptography lets through is what was said; nothing panics, and everything comes to an end.

use super::Act;
use super::app::{App, Script, act};
use crate::choices::Choices;
use crate::harness::{Run, Violation, ensure};
use crate::machines::pattern;
use crate::scenario::secure;
use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_core::testing::Harness;
use plimsoll_core::tls::Tls;
use plimsoll_core::{Connect, StreamId};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

/// What happens next.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Step {
    Act(Act),
    InCallback(Act),
    /// So many bytes of what is on its way arrive.
    Arrive(usize),
    /// The peer hears what was sent to it.
    Hear,
    PeerWrites(usize),
    PeerCloses,
    /// It takes other keys.
    Rekey,
    /// Bytes that it did not say, behind what is on its way.
    Bytes(Vec<u8>),
    /// The bit with that number is flipped in what is on its way.
    Garble(usize),
    Fin,
    Reset,
    Window(usize),
    Seconds(u64),
}

struct World<'a, 'r> {
    run: &'a mut Run<'r>,
    harness: Harness<App>,
    id: StreamId,
    peer: Connection,
    /// It has found something wrong, or has said its closing word: it is buffered rustls, which may panic over anything wrong that it hears after that.
    deaf: bool,
    heard: Vec<u8>,
    wire: Vec<u8>,
    written: usize,
}

/// One connection at random, as a client or as a server, with its handshake done or to be done.
///
/// # Errors
/// If something panics, bytes come that were not said, or the connection does not come to its end.
pub fn over_rustls(run: &mut Run<'_>) -> Result<(), Violation> {
    let mut world = World::new(run)?;
    if world.run.choices().one_in(2) {
        world.talk()?;
    }
    for _ in 0..[8, 30][world.run.choices().pick(2)] {
        if world.run.choices().is_exhausted() {
            break;
        }
        let step = any_step(world.run.choices());
        world.step(step)?;
    }
    world.end()
}

fn any_step(choices: &mut dyn Choices) -> Step {
    let some = |choices: &mut dyn Choices| [usize::MAX, 1, 0, 5, 60, 700][choices.pick(6)];
    match choices.weighted(&[8, 4, 4, 3, 2, 2, 1, 5, 2, 1, 1, 1, 1]) {
        0 => Step::Arrive(some(choices)),
        1 => Step::Hear,
        2 => Step::PeerWrites([1, 0, 2, 40, 900][choices.pick(5)]),
        3 => Step::Act(any_act(choices)),
        4 => Step::InCallback(any_act(choices)),
        5 => Step::PeerCloses,
        6 => Step::Rekey,
        7 => Step::Bytes(any_bytes(choices)),
        8 => Step::Garble(choices.pick(1 << 14)),
        9 => Step::Fin,
        10 => Step::Reset,
        11 => Step::Window(some(choices)),
        _ => Step::Seconds([1, 31, 61][choices.pick(3)]),
    }
}

fn any_act(choices: &mut dyn Choices) -> Act {
    match choices.weighted(&[6, 2, 2, 3, 1]) {
        0 => Act::Write([1, 0, 40, 700][choices.pick(4)]),
        1 => Act::Pause,
        2 => Act::Resume,
        3 => Act::Close,
        _ => Act::Abort,
    }
}

/// A record of any kind with anything in it, a message of the handshake, an alert in the clear, or no record at all.
fn any_bytes(choices: &mut dyn Choices) -> Vec<u8> {
    let byte = |choices: &mut dyn Choices| choices.pick(256) as u8;
    let any = |choices: &mut dyn Choices, most: usize| -> Vec<u8> {
        let len = choices.pick(most);
        (0..len).map(|_| byte(choices)).collect()
    };
    let record = |kind: u8, body: &[u8]| [&[kind, 3, 3, 0, body.len() as u8], body].concat();
    match choices.pick(5) {
        0 => record(20 + choices.pick(5) as u8, &any(choices, 30)),
        1 => {
            let body = any(choices, 30);
            let len = [body.len() as u8, byte(choices)][choices.pick(2)];
            record(22, &[&[choices.pick(26) as u8, 0, 0, len][..], &body].concat())
        }
        2 => record(21, &[1 + choices.pick(3) as u8, [0, 90, 40, 100][choices.pick(4)]]),
        3 => vec![20 + choices.pick(4) as u8, 3, byte(choices), byte(choices), byte(choices)],
        _ => any(choices, 12),
    }
}

type Configs = (Arc<ClientConfig>, Arc<ServerConfig>);

/// Of both ends, for 1.2 or for 1.3.
fn configs(newest: bool) -> Result<Configs, Violation> {
    static CONFIGS: [OnceLock<Result<Configs, String>>; 2] = [OnceLock::new(), OnceLock::new()];
    static VERSIONS: [[&SupportedProtocolVersion; 1]; 2] = [[&TLS12], [&TLS13]];
    let which = usize::from(newest);
    CONFIGS[which].get_or_init(|| secure::configs(&VERSIONS[which])).clone().map_err(Violation)
}

impl<'a, 'r> World<'a, 'r> {
    fn new(run: &'a mut Run<'r>) -> Result<Self, Violation> {
        let choices = run.choices();
        let (newest, is_server) = (!choices.one_in(2), choices.one_in(2));
        let (client, server) = configs(newest)?;
        let failed = |error: rustls::Error| Violation(error.to_string());
        let name = secure::name(secure::NAME).map_err(Violation)?;
        let (tls, mut peer) = if is_server {
            (Tls::server(server), Connection::from(ClientConnection::new(client, name).map_err(failed)?))
        } else {
            (Tls::client(client, name), Connection::from(ServerConnection::new(server).map_err(failed)?))
        };
        peer.set_buffer_limit(None);
        let keeps_open = choices.one_in(2);
        let block = [4096, 1, 40][choices.pick(3)];
        let mut harness = Harness::with_block_size(App::default(), block);
        // Whatever comes may be wrong.
        harness.state().may_fail = true;
        let id = harness.open(Connect::to(SocketAddr::from(([127, 0, 0, 1], 7))).tls(tls), Script { keeps_open });
        harness.run();
        Ok(Self { run, harness, id, peer, deaf: false, heard: Vec::new(), wire: Vec::new(), written: 0 })
    }

    fn step(&mut self, step: Step) -> Result<(), Violation> {
        self.run.step(&step);
        match step {
            Step::Act(what) => {
                // Outside of callbacks the verbs and the state are borrowed one after the other.
                let mut app = core::mem::take(self.harness.state());
                act(self.harness.hub(), &mut app, self.id, what);
                *self.harness.state() = app;
            }
            Step::InCallback(what) => self.harness.state().script.push_back(what),
            Step::Arrive(n) => {
                self.listen();
                let rest = self.wire.split_off(n.min(self.wire.len()));
                let bytes = core::mem::replace(&mut self.wire, rest);
                self.harness.feed(self.id, &bytes);
            }
            Step::Hear => self.hear(),
            Step::PeerWrites(n) => {
                if self.peer_speaks() {
                    let written = self.peer.writer().write(pattern::bytes(self.written as u64, n));
                    self.written += written.unwrap_or(0);
                }
            }
            Step::PeerCloses => {
                self.close_peer();
                self.listen();
            }
            Step::Rekey => {
                if self.peer_speaks() {
                    // Refused by 1.2.
                    let _ = self.peer.refresh_traffic_keys();
                }
            }
            Step::Bytes(bytes) => {
                self.listen();
                self.wire.extend(bytes);
            }
            Step::Garble(bit) => {
                self.listen();
                let bits = self.wire.len() * 8;
                if bits > 0 {
                    self.wire[bit % bits / 8] ^= 1 << (bit % 8);
                }
            }
            Step::Fin => self.harness.eof(self.id),
            Step::Reset => self.harness.reset(self.id),
            Step::Window(n) => self.harness.window(self.id, n),
            Step::Seconds(n) => self.harness.advance(Duration::from_secs(n)),
        }
        self.harness.run();
        self.check()
    }

    /// Whether the peer may say something of its own: not behind its closing word, where rustls itself would not stop it.
    fn peer_speaks(&self) -> bool {
        !self.deaf && !self.peer.is_handshaking()
    }

    fn close_peer(&mut self) {
        self.peer.send_close_notify();
        self.deaf = true;
    }

    fn listen(&mut self) {
        while self.peer.wants_write() {
            let _ = self.peer.write_tls(&mut self.wire);
        }
    }

    fn hear(&mut self) {
        let sent = self.harness.sent(self.id);
        let mut sent = &sent[..];
        while !sent.is_empty() && !self.deaf {
            if !matches!(self.peer.read_tls(&mut sent), Ok(1..)) {
                return;
            }
            self.deaf = self.peer.process_new_packets().is_err();
            // The end of it says nothing new.
            let _ = self.peer.reader().read_to_end(&mut self.heard);
        }
    }

    fn check(&mut self) -> Result<(), Violation> {
        let reports = self.harness.reports();
        ensure!(!reports.iter().any(|report| report.contains("panicked")), "{reports:?}");
        let app = self.harness.state();
        ensure!(app.wrong.is_none(), "{:?}", app.wrong);
        ensure!(app.received.len() <= self.written && pattern::is(0, &app.received), "bytes came that were not said");
        ensure!(app.failed.is_none() || app.lost.is_none(), "it failed to open, and was lost");
        let accepted = app.accepted;
        ensure!(self.heard.len() <= accepted && pattern::is(0, &self.heard), "the peer heard what was not written");
        Ok(())
    }

    /// Both sides say what they have to say.
    fn talk(&mut self) -> Result<(), Violation> {
        for _ in 0..1000 {
            self.hear();
            self.listen();
            let quiet = self.wire.is_empty();
            self.step(Step::Arrive(usize::MAX))?;
            if quiet {
                return Ok(());
            }
        }
        Err(Violation(String::from("they never stop talking")))
    }

    /// The application closes, and the peer says what it has to say, or nothing.
    fn end(mut self) -> Result<(), Violation> {
        self.harness.state().script.clear();
        self.step(Step::Window(usize::MAX))?;
        self.step(Step::Act(Act::Close))?;
        if self.run.choices().one_in(2) {
            self.close_peer();
            self.talk()?;
        }
        self.step(Step::Seconds(31))?;
        ensure!(self.harness.is_closed(self.id), "its socket is not closed");
        let trace = self.harness.trace(self.id);
        self.step(Step::Seconds(3600))?;
        ensure!(self.harness.trace(self.id) == trace, "something came after the end");
        Ok(())
    }
}

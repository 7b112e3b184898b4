//! A secure connection over a TLS that has no cryptography, in a loop in memory: what came in is what the peer said, every byte is counted once, and it
//! ends once, in time, and for the reason that there was.

mod app;
mod ending;
mod over_rustls;
mod session;
mod small;

pub use over_rustls::over_rustls;
pub use small::small_world;

use super::pattern;
use crate::choices::Choices;
use crate::harness::{Run, Violation, ensure};
use app::{Act, App, Script, act};
use core::net::SocketAddr;
use core::time::Duration;
use ending::Facts;
use plimsoll_core::testing::Harness;
use plimsoll_core::{Connect, StreamId};
use session::{Manner, Peer, books, open_books, tls};

/// How the connection comes to be secure.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Way {
    /// From the beginning, as a client.
    Open,
    /// By `start_tls` on a live one, as a client, or as a server.
    Upgrade { is_server: bool },
}

/// What happens next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    /// The application acts, outside of callbacks.
    Act(Act),
    /// It will act in the next callback that has nothing to do yet.
    InCallback(Act),
    /// So many bytes of what the peer has said arrive.
    Arrive(usize),
    PeerWrites(usize),
    PeerCloses,
    /// The connection ends behind what has arrived; what is still on its way gets lost.
    Fin,
    Reset,
    /// One bit of what is on its way is flipped.
    Garble(usize),
    /// The peer says what is no record.
    Junk(u8),
    /// The peer's kernel takes so many bytes more.
    Window(usize),
    Seconds(u64),
}

/// What a run may choose from.
struct Draw {
    manner: Manner,
    way: Way,
    keeps_open: bool,
    truncation: bool,
    /// A receive brings at most so many bytes.
    block: usize,
    window: usize,
    limits: (usize, usize),
    steps: usize,
}

struct World<'a, 'r> {
    run: &'a mut Run<'r>,
    harness: Harness<App>,
    id: StreamId,
    peer: Peer,
    /// What the peer has said and has not arrived.
    wire: Vec<u8>,
    written: usize,
    sent: usize,
    /// So many bytes of it until the closing word is complete.
    until_bye: Option<usize>,
    arrived_bye: bool,
    /// What has happened that a connection may end for.
    garbled: bool,
    fin: bool,
    reset: bool,
    clock: u64,
    /// When our closing word was said: at the beginning of that step, or in it.
    word_at: Option<u64>,
    truncation: bool,
}

/// One connection at random: a handshake, data, faults, a shutdown; then a peer that does what it should, or nothing any more.
///
/// # Errors
/// If a byte is lost, doubled or swapped, the size of the queue is not what is queued on both layers, or the connection does not come to its one legal end.
pub fn lifetime(run: &mut Run<'_>) -> Result<(), Violation> {
    let draw = Draw::any(run.choices());
    let weights =
        Weights { faults: u32::from(!run.choices().one_in(3)), callbacks: run.choices().pick(3) as u32, ..Weights::default() };
    live(run, &draw, weights)
}

/// What runs look for that wait for bytes of a lower layer: whole records lie below while the application pauses, and nothing more arrives.
///
/// # Errors
/// As of [`lifetime`].
pub fn held_below(run: &mut Run<'_>) -> Result<(), Violation> {
    let choices = run.choices();
    let draw = Draw { block: [1, 7, 64][choices.pick(3)], steps: 120, truncation: false, ..Draw::any(choices) };
    live(run, &draw, Weights { callbacks: 2, gates: 8, ..Weights::default() })
}

/// What runs look for that end gracefully without a limit: a peer that falls silent at any byte, in a handshake or in a shutdown, and time that passes.
///
/// # Errors
/// As of [`lifetime`].
pub fn silence(run: &mut Run<'_>) -> Result<(), Violation> {
    let choices = run.choices();
    let draw = Draw { window: [0, 1, 50, usize::MAX][choices.pick(4)], steps: 30, ..Draw::any(choices) };
    live(run, &draw, Weights { callbacks: 1, seconds: 6, ends: 4, ..Weights::default() })
}

fn live(run: &mut Run<'_>, draw: &Draw, weights: Weights) -> Result<(), Violation> {
    let mut world = World::new(run, draw)?;
    for _ in 0..draw.steps {
        if world.run.choices().is_exhausted() {
            break;
        }
        let step = any_step(world.run.choices(), weights);
        world.step(step)?;
    }
    world.end()
}

/// How likely the steps are that not every run takes.
#[derive(Clone, Copy)]
struct Weights {
    faults: u32,
    callbacks: u32,
    /// The application pauses and resumes reading, beside its other acts.
    gates: u32,
    /// Time passes.
    seconds: u32,
    /// One side closes.
    ends: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { faults: 0, callbacks: 0, gates: 0, seconds: 1, ends: 1 }
    }
}

impl Draw {
    /// Any that there is.
    fn any(choices: &mut dyn Choices) -> Self {
        let manner = Manner {
            flights: 2 + choices.pick(3) as u8,
            flight: [1, 0, 9, 200][choices.pick(4)],
            record: [16, 1, 3, 200][choices.pick(4)],
        };
        let high = [1000, 0, 10, 64][choices.pick(4)];
        Self {
            manner,
            way: [Way::Open, Way::Upgrade { is_server: false }, Way::Upgrade { is_server: true }][choices.pick(3)],
            keeps_open: choices.one_in(3),
            truncation: choices.one_in(4),
            block: [4096, 1, 7, 64][choices.pick(4)],
            window: [usize::MAX, 0, 1, 50][choices.weighted(&[5, 1, 1, 2])],
            limits: (choices.pick(high + 1), high),
            steps: [30, 8, 120][choices.pick(3)],
        }
    }
}

fn any_step(choices: &mut dyn Choices, weights: Weights) -> Step {
    let Weights { faults, callbacks, gates, seconds, ends } = weights;
    let some = |choices: &mut dyn Choices| [1, 0, 2, 5, 17, 300][choices.weighted(&[4, 1, 3, 3, 2, 1])];
    match choices.weighted(&[8, 6, 3, 2 * callbacks, ends, 2, seconds, faults, faults, faults, faults, gates, ends - 1]) {
        0 => Step::Arrive(some(choices)),
        1 => Step::PeerWrites(some(choices)),
        2 => Step::Act(any_act(choices)),
        3 => Step::InCallback(any_act(choices)),
        4 => Step::PeerCloses,
        5 => Step::Window(some(choices)),
        6 => Step::Seconds([1, 29, 31, 61][choices.pick(4)]),
        7 => Step::Fin,
        8 => Step::Reset,
        9 => Step::Garble(choices.pick(4096)),
        10 => Step::Junk(choices.pick(256) as u8),
        11 => Step::Act([Act::Pause, Act::Resume][choices.pick(2)]),
        _ => Step::Act(Act::Close),
    }
}

fn any_act(choices: &mut dyn Choices) -> Act {
    match choices.weighted(&[6, 2, 3, 3, 1, 1, 1, 1]) {
        0 => Act::Write([1, 0, 2, 40, 700][choices.pick(5)]),
        1 => Act::Nothing,
        2 => Act::Pause,
        3 => Act::Resume,
        4 => Act::Close,
        5 => Act::Abort,
        6 => Act::WriteEof,
        _ => {
            let high = choices.pick(40);
            Act::Limits(choices.pick(high + 1), high)
        }
    }
}

impl<'a, 'r> World<'a, 'r> {
    fn new(run: &'a mut Run<'r>, draw: &Draw) -> Result<Self, Violation> {
        open_books();
        let mut harness = Harness::with_block_size(App::default(), draw.block);
        let is_server = draw.way == Way::Upgrade { is_server: true };
        let secure = tls(draw.manner, is_server).allow_truncation(draw.truncation);
        let to = Connect::to(SocketAddr::from(([127, 0, 0, 1], 7)));
        let script = Script { keeps_open: draw.keeps_open };
        let id = match draw.way {
            Way::Open => harness.open(to.tls(secure), script),
            Way::Upgrade { .. } => {
                let id = harness.connect(script);
                let started = harness.hub().start_tls(id, &secure, b"");
                ensure!(started.is_ok(), "start_tls: {started:?}");
                id
            }
        };
        let mut peer = Peer::new(draw.manner, !is_server);
        peer.hear(&[]);
        let (low, high) = draw.limits;
        let mut this = Self {
            run,
            harness,
            id,
            peer,
            wire: Vec::new(),
            written: 0,
            sent: 0,
            until_bye: None,
            arrived_bye: false,
            garbled: false,
            fin: false,
            reset: false,
            clock: 0,
            word_at: None,
            truncation: draw.truncation,
        };
        this.step(Step::Act(Act::Limits(low, high)))?;
        this.step(Step::Window(draw.window))?;
        Ok(this)
    }

    fn step(&mut self, step: Step) -> Result<(), Violation> {
        self.run.step(step);
        let began = self.clock;
        self.harness.state().may_fail |= matches!(step, Step::Reset | Step::Garble(_) | Step::Junk(_));
        match step {
            Step::Act(what) => self.act(what),
            Step::InCallback(what) => self.harness.state().script.push_back(what),
            Step::Arrive(n) => self.arrive(n),
            Step::PeerWrites(n) => {
                if self.peer.can_write() {
                    self.peer.write(pattern::bytes(self.written as u64, n));
                    self.written += n;
                }
            }
            Step::PeerCloses => {
                if self.peer.can_write() {
                    self.peer.close();
                }
                self.listen();
            }
            Step::Fin => {
                self.fin = true;
                self.wire.clear();
                self.harness.eof(self.id);
            }
            Step::Reset => {
                self.reset = true;
                self.harness.reset(self.id);
            }
            Step::Garble(at) => {
                self.listen();
                let bits = self.wire.len() * 8;
                if bits > 0 {
                    self.garbled = true;
                    self.wire[at % bits / 8] ^= 1 << (at % 8);
                }
            }
            Step::Junk(byte) => {
                self.listen();
                self.garbled = true;
                self.wire.push(byte);
            }
            Step::Window(n) => self.harness.window(self.id, n),
            Step::Seconds(n) => {
                self.clock += n;
                self.harness.advance(Duration::from_secs(n));
            }
        }
        self.harness.run();
        if books().word {
            self.word_at.get_or_insert(began);
        }
        self.check()
    }

    fn act(&mut self, what: Act) {
        // Outside of callbacks the verbs and the state are borrowed one after the other.
        let mut app = core::mem::take(self.harness.state());
        act(self.harness.hub(), &mut app, self.id, what);
        *self.harness.state() = app;
    }

    /// What the peer says gets on its way.
    fn listen(&mut self) {
        let said = self.peer.say();
        if !self.fin {
            self.wire.extend(said);
            if self.peer.has_closed() && self.until_bye.is_none() {
                self.until_bye = Some(self.wire.len());
            }
        }
    }

    fn arrive(&mut self, n: usize) {
        self.listen();
        let n = n.min(self.wire.len());
        let rest = self.wire.split_off(n);
        let bytes = core::mem::replace(&mut self.wire, rest);
        if let Some(left) = &mut self.until_bye {
            self.arrived_bye |= n >= *left && !self.fin;
            *left = left.saturating_sub(n);
        }
        if !bytes.is_empty() {
            self.harness.feed(self.id, &bytes);
        }
    }

    /// What holds at every moment.
    fn check(&mut self) -> Result<(), Violation> {
        let unheard = self.harness.sent(self.id);
        self.sent += unheard.len();
        // It is on its way to the peer.
        self.peer.hear(&unheard);
        let app = self.harness.state();
        ensure!(app.wrong.is_none(), "{:?}", app.wrong);
        let received = app.received.len();
        ensure!(received <= self.written && pattern::is(0, &app.received), "{} bytes came that were not said", received);
        ensure!(!app.eof || self.arrived_bye || self.fin && self.truncation, "an end-of-file that nobody said");
        ensure!(app.failed.is_none() || app.lost.is_none(), "it failed to open, and was lost");
        let (accepted, over) = (app.accepted, app.is_over());
        let heard = self.peer.heard();
        ensure!(heard.len() <= accepted && pattern::is(0, heard), "the peer heard {} bytes that were not written", heard.len());
        if !over && !self.harness.hub().is_closing(self.id) {
            let books = books();
            let queued = books.wire - self.sent + (accepted - books.plain);
            let size = self.harness.hub().write_buffer_size(self.id);
            ensure!(size == queued, "the queue is said to hold {size} bytes, and holds {queued}");
        }
        self.check_reason()
    }

    /// It ends as the model says, for what has happened.
    fn check_reason(&mut self) -> Result<(), Violation> {
        let session = books();
        let (fin, reset, truncation, age, word_at) = (self.fin, self.reset, self.truncation, self.clock, self.word_at);
        let sent = self.sent;
        let app = self.harness.state();
        let &mut App { closed, gave_up, aborted, eof, accepted, .. } = app;
        let (cause, error) = match (&app.lost, &app.failed) {
            (Some(reason), _) => (Some(reason.cause()), reason.error()),
            (_, Some(error)) => (None, Some(error.error())),
            _ => return Ok(()),
        };
        let unsent = session.wire - sent + (accepted - session.plain);
        let shutdown = word_at.map_or(0, |at| age - at);
        let facts = Facts { session, fin, reset, truncation, closed, gave_up, aborted, eof, age, shutdown, unsent };
        ending::check(&facts, cause, error)
    }

    /// From here on the peer says what it should, or nothing; and the application closes.
    fn end(mut self) -> Result<(), Violation> {
        self.harness.state().script.clear();
        self.step(Step::Window(usize::MAX))?;
        let speaks = self.run.choices().one_in(2);
        let waits = self.run.choices().one_in(2);
        if speaks {
            self.talk()?;
        }
        let secure = self.harness.state().secure;
        if waits {
            self.step(Step::Act(Act::Resume))?;
            self.talk_if(speaks)?;
        }
        self.step(Step::Act(Act::Close))?;
        self.talk_if(speaks)?;
        let harmless = !self.garbled && !self.fin && !self.reset && speaks && secure;
        let app = self.harness.state();
        if harmless && !app.aborted && self.clock == 0 {
            ensure!(app.lost.as_ref().is_some_and(|reason| reason.error().is_none()), "it is not closed: {:?}", app.lost);
            let (accepted, heard) = (app.accepted, self.peer.heard().len());
            ensure!(accepted == heard, "{accepted} bytes were written, and {heard} arrived");
            ensure!(self.peer.was_told_goodbye(), "the peer was not told");
        }
        // Whatever there is to wait for has a limit.
        self.step(Step::Seconds(31))?;
        let app = self.harness.state();
        let given_up = app.lost.is_none() && app.failed.is_none();
        ensure!(!given_up || !app.secure, "it is not over");
        ensure!(self.harness.is_closed(self.id), "its socket is not closed");
        let trace = self.harness.trace(self.id);
        self.step(Step::Seconds(3600))?;
        ensure!(self.harness.trace(self.id) == trace, "something came after the end");
        Ok(())
    }

    fn talk_if(&mut self, speaks: bool) -> Result<(), Violation> {
        if speaks { self.talk() } else { Ok(()) }
    }

    /// Both sides say what they have to say.
    fn talk(&mut self) -> Result<(), Violation> {
        for _ in 0..10_000 {
            if self.peer.was_told_goodbye() && !self.peer.broken {
                self.peer.close();
            }
            self.listen();
            let left = self.wire.len();
            self.step(Step::Arrive(usize::MAX))?;
            if left == 0 {
                return Ok(());
            }
        }
        Err(Violation(String::from("they never stop talking")))
    }
}

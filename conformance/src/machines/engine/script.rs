//! What a run does, as values: drawn from choices before it happens, so that seeds, fuzzers and enumeration share them.

use super::super::ops::How;
use crate::choices::Choices;

/// Whom a command is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Who {
    /// The endpoint that is being called; in a scheduled callback the youngest.
    Me,
    /// One that is alive.
    Live(usize),
    /// One whose id names nothing any more, if there is one.
    Stale(usize),
}

/// What becomes of a connect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Plan {
    /// It is there when the poller says so.
    Succeeds,
    /// It fails when the poller says so.
    Fails,
    /// It cannot even begin.
    FailsAtOnce,
    /// It takes until the end of the run.
    Hangs,
}

/// A command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Act {
    Write(Who, How, usize),
    Writelines(Who, [usize; 3]),
    WriteEof(Who),
    Close(Who),
    Abort(Who),
    Fail(Who),
    PauseReading(Who),
    ResumeReading(Who),
    Limits(Who, usize, usize),
    SetProtocol(Who, bool),
    SetTimer(Who, u64),
    ResetTimer(usize, u64),
    CancelTimer(usize),
    CallSoon,
    CallLater(u64),
    Connect(Plan, bool),
    Follow(Who, Who),
    Report,
    /// Whether it begins paused, and whether its address can be bound.
    Listen(bool, bool),
    ServerStart(usize),
    ServerClose(usize),
    EndClients(usize, bool),
    WaitClosed(usize),
}

/// What one callback does.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Script {
    pub(super) acts: Vec<Act>,
    /// It panics at its end.
    pub(super) panics: bool,
    /// `eof_received` keeps our half open; a factory makes a protocol that lends memory.
    pub(super) yes: bool,
    /// A factory refuses; `get_buffer` lends nothing.
    pub(super) refuses: bool,
}

/// What the world does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Stir {
    /// The peer sends so many bytes.
    Feed(usize, usize),
    /// The peer finishes.
    Finish(usize),
    /// The peer resets.
    Reset(usize),
    /// The kernel has room for so many bytes more.
    Room(usize, usize),
    /// The next send fails.
    SendFails(usize),
    /// The FIN fails: "not connected", or otherwise.
    FinFails(usize, bool),
    /// Somebody connects to a listener.
    Arrive(usize),
    /// Accepting fails: one connection's fault, or ours.
    AcceptFails(usize, bool),
    /// The poller says something that is not so.
    Spurious(usize),
    /// Somebody outside of callbacks acts.
    Outside,
}

/// What a run is like: drawn anew for each.
#[derive(Clone, Debug)]
pub(super) struct Swarm {
    acts: [u32; ACTS],
    stirs: [u32; STIRS],
    sizes: [u32; 3],
    /// Callbacks do so many things at most.
    pub(super) most_acts: usize,
    pub(super) panics: u32,
    /// What every protocol does first in `connection_made`.
    pub(super) marks: Option<(usize, usize)>,
    /// Sends take so much at first.
    pub(super) room: usize,
    pub(super) block: usize,
    pub(super) level: bool,
    pub(super) buffered: u32,
    pub(super) rounds: usize,
    /// What the poller says is held back once in so many times.
    pub(super) lag: usize,
    pub(super) clients: usize,
    pub(super) server: bool,
    /// Flow callbacks without a script write over the high mark again.
    pub(super) chatty: bool,
}

const ACTS: usize = 23;
/// The acts by name, in the order of their weights.
const ACT_NAMES: [&str; ACTS] = [
    "write",
    "writelines",
    "write_eof",
    "close",
    "abort",
    "fail",
    "pause_reading",
    "resume_reading",
    "limits",
    "set_protocol",
    "set_timer",
    "reset_timer",
    "cancel_timer",
    "call_soon",
    "call_later",
    "connect",
    "follow",
    "report",
    "listen",
    "server_start",
    "server_close",
    "end_clients",
    "wait_closed",
];
const STIRS: usize = 10;
/// What the world does, likewise.
const STIR_NAMES: [&str; STIRS] =
    ["feed", "finish", "reset", "room", "send_fails", "fin_fails", "arrive", "accept_fails", "spurious", "outside"];
/// How many endpoints live at a time.
pub(super) const MOST_LIVE: usize = 6;

impl Swarm {
    pub(super) fn draw(choices: &mut dyn Choices) -> Self {
        let mut acts = [0; ACTS];
        for (index, weight) in acts.iter_mut().enumerate() {
            *weight = match index {
                // Writes are what most of it is about.
                0 => [10, 30, 60][choices.pick(3)],
                // What ends connections, or litters, is drawn less often.
                3 | 4 | 5 | 20 | 21 => [0, 1, 4][choices.weighted(&[3, 3, 1])],
                _ => [0, 2, 8][choices.weighted(&[3, 3, 1])],
            };
        }
        let mut stirs = [20, 3, 1, 12, 1, 1, 4, 1, 2, 4];
        for weight in &mut stirs[1..] {
            *weight *= [0, 1, 3][choices.weighted(&[2, 4, 1])];
        }
        Self {
            acts,
            stirs,
            sizes: [8, [4, 0][choices.pick(2)], [0, 1][choices.weighted(&[3, 1])]],
            most_acts: [1, 2, 4][choices.weighted(&[3, 4, 2])],
            panics: [0, 1, 6][choices.weighted(&[3, 3, 1])],
            marks: [Some((0, 0)), Some((2, 8)), Some((8, 8)), Some((100, 400)), None][choices.weighted(&[1, 4, 1, 2, 1])],
            room: [usize::MAX, 0, 10, 1000][choices.weighted(&[3, 2, 3, 2])],
            block: [64 * 1024, 8, 100][choices.weighted(&[4, 2, 2])],
            level: choices.pick(2) == 1,
            buffered: [0, 1, 3][choices.weighted(&[2, 2, 1])],
            rounds: [4, 10, 25][choices.weighted(&[2, 4, 2])],
            lag: [0, 3][choices.weighted(&[3, 1])],
            clients: 1 + choices.pick(3),
            server: choices.pick(2) == 1,
            chatty: choices.weighted(&[5, 1]) == 1,
        }
    }

    /// Of the small world: only what a test says happens.
    pub(super) const fn small(room: usize) -> Self {
        Self {
            acts: [0; ACTS],
            stirs: [0; STIRS],
            sizes: [1, 0, 0],
            most_acts: 0,
            panics: 0,
            marks: Some((0, 2)),
            room,
            block: 64 * 1024,
            level: false,
            buffered: 0,
            rounds: 0,
            lag: 0,
            clients: 0,
            server: false,
            chatty: false,
        }
    }

    /// These weigh so much at least: acts by their names, then what the world does.
    pub(super) fn weigh(&mut self, acts: &[&str], weight: u32, stirs: &[&str], weight_of_stirs: u32) {
        raise(&mut self.acts, &ACT_NAMES, acts, weight);
        raise(&mut self.stirs, &STIR_NAMES, stirs, weight_of_stirs);
    }

    fn who(choices: &mut dyn Choices) -> Who {
        match choices.weighted(&[12, 8, 1]) {
            0 => Who::Me,
            1 => Who::Live(choices.pick(MOST_LIVE)),
            _ => Who::Stale(choices.pick(4)),
        }
    }

    fn size(&self, choices: &mut dyn Choices) -> usize {
        match choices.weighted(&self.sizes) {
            0 => choices.pick(13),
            1 => choices.pick(300),
            _ => choices.pick(70_000),
        }
    }

    fn marks(choices: &mut dyn Choices) -> (usize, usize) {
        let high = [choices.pick(20), 400][choices.weighted(&[5, 1])];
        (choices.pick(high + 1), high)
    }

    fn millis(choices: &mut dyn Choices) -> u64 {
        choices.pick(4) as u64 * 5
    }

    fn act(&self, choices: &mut dyn Choices) -> Act {
        match choices.weighted(&self.acts) {
            0 => Act::Write(Self::who(choices), How::ALL[choices.pick(How::ALL.len())], self.size(choices)),
            1 => Act::Writelines(Self::who(choices), [choices.pick(9), choices.pick(9), choices.pick(9)]),
            2 => Act::WriteEof(Self::who(choices)),
            3 => Act::Close(Self::who(choices)),
            4 => Act::Abort(Self::who(choices)),
            5 => Act::Fail(Self::who(choices)),
            6 => Act::PauseReading(Self::who(choices)),
            7 => Act::ResumeReading(Self::who(choices)),
            8 => {
                let (low, high) = Self::marks(choices);
                Act::Limits(Self::who(choices), low, high)
            }
            9 => Act::SetProtocol(Self::who(choices), choices.pick(2) == 1),
            10 => Act::SetTimer(Self::who(choices), Self::millis(choices)),
            11 => Act::ResetTimer(choices.pick(4), Self::millis(choices)),
            12 => Act::CancelTimer(choices.pick(4)),
            13 => Act::CallSoon,
            14 => Act::CallLater(Self::millis(choices)),
            15 => Act::Connect(Self::plan(choices), choices.pick(4) == 1),
            16 => Act::Follow(Self::who(choices), Self::who(choices)),
            17 => Act::Report,
            18 => Act::Listen(choices.pick(3) == 1, choices.pick(4) != 1),
            19 => Act::ServerStart(choices.pick(3)),
            20 => Act::ServerClose(choices.pick(3)),
            21 => Act::EndClients(choices.pick(3), choices.pick(2) == 1),
            _ => Act::WaitClosed(choices.pick(3)),
        }
    }

    fn plan(choices: &mut dyn Choices) -> Plan {
        [Plan::Succeeds, Plan::Fails, Plan::FailsAtOnce, Plan::Hangs][choices.weighted(&[12, 2, 2, 1])]
    }

    pub(super) fn script(&self, choices: &mut dyn Choices) -> Script {
        let mut script = Script::default();
        for _ in 0..choices.pick(self.most_acts + 1) {
            let act = self.act(choices);
            script.acts.push(act);
        }
        script.panics = choices.weighted(&[40, self.panics]) == 1;
        script.yes = choices.weighted(&[3, 1 + self.buffered]) == 1;
        script.refuses = choices.weighted(&[20, self.panics]) == 1;
        script
    }

    pub(super) fn stir(&self, choices: &mut dyn Choices) -> Stir {
        let which = choices.weighted(&self.stirs);
        let whose = if which == 9 { 0 } else { choices.pick(MOST_LIVE) };
        match which {
            0 => Stir::Feed(whose, [1 + choices.pick(30), 1 + choices.pick(1000), 70_000][choices.weighted(&[10, 3, 1])]),
            1 => Stir::Finish(whose),
            2 => Stir::Reset(whose),
            3 => Stir::Room(whose, [1 + choices.pick(20), 1000, 1 << 20][choices.weighted(&[6, 2, 2])]),
            4 => Stir::SendFails(whose),
            5 => Stir::FinFails(whose, choices.pick(2) == 1),
            6 => Stir::Arrive(whose),
            7 => Stir::AcceptFails(whose, choices.pick(2) == 1),
            8 => Stir::Spurious(whose),
            _ => Stir::Outside,
        }
    }
}

fn raise(weights: &mut [u32], names: &[&str], chosen: &[&str], least: u32) {
    assert!(chosen.iter().all(|name| names.contains(name)), "{chosen:?} are not all of {names:?}");
    for (weight, _) in weights.iter_mut().zip(names).filter(|(_, name)| chosen.contains(name)) {
        *weight = (*weight).max(least);
    }
}

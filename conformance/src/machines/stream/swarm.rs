//! Which operations a run makes, and how likely: drawn anew for each (uniform weights reach nothing deep).

use super::super::ops::{BROKEN, How, NOT_CONNECTED, Op, RESET, SHUTDOWN, Why};
use super::super::pattern::LONGEST;
use super::Joint;
use crate::choices::Choices;
use crate::model::{self, State};
use plimsoll_core::Wants;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Poll,
    Write,
    Send,
    Take,
    Done,
    Pause,
    Resume,
    Limits,
    WriteEof,
    Eof,
    KeepOpen,
    Shutdown,
    Hold,
    Release,
    Open,
    Stale,
    Close,
    Abort,
    Fail,
    ReadError,
    WriteError,
    HangUp,
}

const KINDS: [Kind; 22] = [
    Kind::Poll,
    Kind::Write,
    Kind::Send,
    Kind::Take,
    Kind::Done,
    Kind::Pause,
    Kind::Resume,
    Kind::Limits,
    Kind::WriteEof,
    Kind::Eof,
    Kind::KeepOpen,
    Kind::Shutdown,
    Kind::Hold,
    Kind::Release,
    Kind::Open,
    Kind::Stale,
    Kind::Close,
    Kind::Abort,
    Kind::Fail,
    Kind::ReadError,
    Kind::WriteError,
    Kind::HangUp,
];

/// What a run is like.
#[derive(Debug)]
pub(super) struct Swarm {
    weights: [u32; KINDS.len()],
    /// Writes are tiny, middling, large or very large: how likely.
    sizes: [u32; 4],
    /// Sends take one byte, some, all: how likely.
    takes: [u32; 3],
    pub(super) marks: (usize, usize),
    pub(super) steps: usize,
    /// All events are asked for after one step in so many; never, if zero.
    pub(super) drain: usize,
}

impl Swarm {
    pub(super) fn draw(choices: &mut dyn Choices, transport: model::Kind) -> Self {
        let mut weights = [0; KINDS.len()];
        for (kind, weight) in KINDS.iter().zip(&mut weights) {
            *weight = match kind {
                // Without these nothing moves.
                Kind::Poll | Kind::KeepOpen | Kind::Done => 2,
                // What ends a connection ends the run.
                Kind::Close | Kind::Abort | Kind::Fail | Kind::ReadError | Kind::WriteError => {
                    [0, 1][choices.weighted(&[5, 2])] as u32
                }
                Kind::Open => 1,
                Kind::HangUp if transport == model::Kind::WritePipe => [0, 1][choices.pick(2)] as u32,
                Kind::HangUp => 0,
                _ => [0, 4, 12, 40][choices.weighted(&[2, 3, 2, 1])],
            };
        }
        let sizes = [4, [0, 4][choices.pick(2)], [0, 1, 8][choices.pick(3)], [0, 1][choices.weighted(&[15, 1])]];
        let takes = [[1, 0, 8][choices.pick(3)], [0, 4][choices.pick(2)], [0, 2][choices.pick(2)]];
        let marks = match choices.weighted(&[10, 2, 1]) {
            0 => tiny_marks(choices),
            1 => (choices.pick(400), 400 + choices.pick(2000)),
            _ => (16 * 1024, 64 * 1024),
        };
        let steps = [6, 20, 60, 200][choices.weighted(&[4, 8, 4, 1])];
        let drain = [1, 2, 5, 0][choices.weighted(&[6, 2, 1, 1])];
        Self { weights, sizes, takes, marks, steps, drain }
    }

    pub(super) fn next(&self, joint: &Joint, choices: &mut dyn Choices) -> Op {
        let mut weights = self.weights;
        for (kind, weight) in KINDS.iter().zip(&mut weights) {
            if !makes_sense(*kind, joint) {
                *weight = 0;
            }
        }
        match KINDS[choices.weighted(&weights)] {
            Kind::Poll => Op::Poll,
            Kind::Write => Op::Write(How::ALL[choices.pick(How::ALL.len())], self.size(choices)),
            Kind::Send => Op::Send([1, 2, 16, 24][choices.pick(4)], self.most(joint, choices)),
            Kind::Take => Op::Take,
            Kind::Done => Op::Done(self.most(joint, choices)),
            Kind::Pause => Op::Pause,
            Kind::Resume => Op::Resume,
            Kind::Limits => {
                let (low, high) = if choices.one_in(8) { (300, 1200) } else { tiny_marks(choices) };
                Op::Limits(low, high)
            }
            Kind::WriteEof => Op::WriteEof,
            Kind::Eof => Op::Eof,
            Kind::KeepOpen => Op::KeepOpen(choices.pick(3) != 1),
            Kind::Shutdown => Op::Shutdown([Ok(()), Err(NOT_CONNECTED), Err(SHUTDOWN)][choices.weighted(&[4, 2, 1])]),
            Kind::Hold => Op::Hold([Why::Writer, Why::Edges][choices.pick(2)]),
            Kind::Release => Op::Release([Why::Writer, Why::Edges][choices.pick(2)]),
            Kind::Open => Op::Open,
            Kind::Stale => Op::Stale(choices.pick(9)),
            Kind::Close => Op::Close,
            Kind::Abort => Op::Abort,
            Kind::Fail => Op::Fail,
            Kind::ReadError => Op::ReadError(RESET),
            Kind::WriteError => Op::WriteError(BROKEN),
            Kind::HangUp => Op::HangUp,
        }
    }

    fn size(&self, choices: &mut dyn Choices) -> usize {
        match choices.weighted(&self.sizes) {
            0 => choices.pick(9),
            1 => 1 + choices.pick(300),
            2 => 1000 + choices.pick(4000),
            _ => 4096 + choices.pick(LONGEST - 4096),
        }
    }

    fn most(&self, joint: &Joint, choices: &mut dyn Choices) -> usize {
        match choices.weighted(&self.takes) {
            0 => 1,
            1 => choices.pick(joint.model().queue.len() + 1),
            _ => usize::MAX,
        }
    }
}

fn tiny_marks(choices: &mut dyn Choices) -> (usize, usize) {
    let high = choices.pick(9);
    (choices.pick(high + 1), high)
}

/// What a driver, a kernel or an application may do now.
fn makes_sense(kind: Kind, joint: &Joint) -> bool {
    let model = joint.model();
    let closed = matches!(model.state(), State::Losing | State::Lost | State::Gone);
    match kind {
        // Commands: always, also inside of `eof_received`. An answer nobody asked for changes nothing.
        Kind::KeepOpen
        | Kind::Write
        | Kind::WriteEof
        | Kind::Pause
        | Kind::Resume
        | Kind::Limits
        | Kind::Close
        | Kind::Abort
        | Kind::Fail => true,
        // The world waits while a callback runs.
        _ if model.is_asked() => false,
        Kind::Send | Kind::Take => joint.wants_send() == Wants::Bytes && !joint.is_in_flight(),
        Kind::Done => joint.is_in_flight(),
        Kind::Shutdown => closed || (joint.wants_send() == Wants::Fin && !joint.is_in_flight()),
        Kind::Stale => closed,
        Kind::Poll | Kind::Eof | Kind::Hold | Kind::Release | Kind::Open | Kind::ReadError | Kind::WriteError | Kind::HangUp => {
            true
        }
    }
}

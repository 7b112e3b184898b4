//! All there is in a small world: every state that tiny operations lead to, and every sequence of a length.

use super::How;
use super::ops::{BROKEN, NOT_CONNECTED, Op, RESET, SHUTDOWN, Why};
use super::stream::{Joint, Seen};
use crate::choices::{Choices, Odometer};
use crate::harness::Violation;
use crate::model::{Kind, State, StreamModel};
use core::hash::{Hash, Hasher};
use plimsoll_core::{BufPool, Wants};
use std::collections::BTreeSet;
use std::hash::DefaultHasher;

/// How small a world is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_structs, reason = "a test makes its own")]
pub struct Bounds {
    /// Which directions the transport has.
    pub kind: Kind,
    /// Nothing is written over so many queued bytes.
    pub full: usize,
    /// Bytes repeat after so many; one: all are the same, and their order does not show.
    pub period: u64,
    /// The marks at first, and what `set_write_buffer_limits` changes them to.
    pub marks: &'static [(usize, usize)],
    /// The walk ends there, and is not complete.
    pub states: usize,
}

impl Bounds {
    /// A world that is walked through in a second or two.
    pub const SMALL: Self = Self { kind: Kind::Duplex, full: 3, period: 1, marks: &[(1, 2), (0, 0)], states: 200_000 };
    /// A world in which the order of bytes shows: a minute or two.
    pub const LARGE: Self = Self { kind: Kind::Duplex, full: 4, period: 5, marks: &[(1, 2), (0, 0), (2, 3)], states: 2_000_000 };
}

/// Everything that can be done there.
const OPS: [Op; 29] = [
    Op::Poll,
    Op::Open,
    Op::Write(How::Slice, 0),
    Op::Write(How::Slice, 1),
    Op::Write(How::Slice, 3),
    Op::WriteEof,
    Op::Close,
    Op::Abort,
    Op::Fail,
    Op::Pause,
    Op::Resume,
    Op::Hold(Why::Writer),
    Op::Release(Why::Writer),
    Op::Eof,
    Op::KeepOpen(true),
    Op::KeepOpen(false),
    Op::Send(1, 1),
    Op::Send(16, usize::MAX),
    Op::Take,
    Op::Done(0),
    Op::Done(1),
    Op::Done(usize::MAX),
    Op::Stale(1),
    Op::Shutdown(Ok(())),
    Op::Shutdown(Err(NOT_CONNECTED)),
    Op::Shutdown(Err(SHUTDOWN)),
    Op::ReadError(RESET),
    Op::WriteError(BROKEN),
    Op::HangUp,
];

/// What an exhaustive walk saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct World {
    /// Different states of machine and model together; how a machine keeps its bytes makes a difference here.
    pub states: usize,
    /// Different states of the model alone: what the contract tells apart.
    pub models: usize,
    /// Steps from one of them, each compared.
    pub steps: u64,
    /// Operations that lead to the furthest state at least.
    pub depth: usize,
    /// There is nothing beyond: the walk is a proof for all runs in this world, however long.
    pub closed: bool,
}

/// Breadth first through all states that can be reached with tiny writes, each operation from each state.
///
/// The machine cannot be copied, so each state is reached anew by the operations that first led to it.
///
/// # Errors
/// If machine and model disagree anywhere; the message has the shortest operations that lead there.
pub fn explore(bounds: Bounds) -> Result<World, Violation> {
    let mut ops = OPS.to_vec();
    ops.extend(bounds.marks.iter().map(|(low, high)| Op::Limits(*low, *high)));
    let mut seen = BTreeSet::new();
    let mut models = BTreeSet::new();
    let mut paths = vec![Path { before: 0, op: Op::Poll, depth: 0 }];
    let first = walk(bounds, &[])?;
    seen.insert(key(&first));
    models.insert(hash(first.model()));
    let mut world = World { states: 1, models: 1, steps: 0, depth: 0, closed: true };
    let mut at = 0;
    while at < paths.len() {
        let path = path_to(&paths, at);
        let here = walk(bounds, &path)?;
        for op in &ops {
            if !makes_sense(*op, &here, bounds.full) {
                continue;
            }
            let mut joint = walk(bounds, &path)?;
            world.steps += 1;
            joint.apply(*op, &mut BufPool::new()).map_err(|violation| found(&path, *op, &violation))?;
            if seen.insert(key(&joint)) {
                if paths.len() == bounds.states {
                    world.closed = false;
                    return Ok(world);
                }
                models.insert(hash(joint.model()));
                world.models = models.len();
                world.depth = path.len() + 1;
                world.states += 1;
                paths.push(Path { before: at, op: *op, depth: world.depth });
            }
        }
        at += 1;
    }
    Ok(world)
}

#[derive(Clone, Copy)]
struct Path {
    before: usize,
    op: Op,
    depth: usize,
}

fn path_to(paths: &[Path], mut at: usize) -> Vec<Op> {
    let mut ops = Vec::with_capacity(paths[at].depth);
    while at != 0 {
        ops.push(paths[at].op);
        at = paths[at].before;
    }
    ops.reverse();
    ops
}

fn walk(bounds: Bounds, path: &[Op]) -> Result<Joint, Violation> {
    let mut joint = Joint::repeating(bounds.kind, bounds.marks[0].0, bounds.marks[0].1, bounds.period)?;
    let mut pool = BufPool::new();
    for op in path {
        joint.apply(*op, &mut pool)?;
    }
    Ok(joint)
}

fn found(path: &[Op], op: Op, violation: &Violation) -> Violation {
    Violation(format!("{violation}\n  after {path:?}\n  at {op:?}"))
}

fn key(joint: &Joint) -> u64 {
    hash((joint.model(), joint.fingerprint()))
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// What a driver, a kernel or an application may do now, and what changes nothing that another operation does not.
fn makes_sense(op: Op, joint: &Joint, full: usize) -> bool {
    let model = joint.model();
    let over = matches!(model.state(), State::Losing | State::Lost | State::Gone);
    match op {
        Op::Write(_, len) => model.queue.len() + len <= full,
        // An answer nobody asked for changes nothing.
        Op::KeepOpen(_) | Op::WriteEof | Op::Close | Op::Abort | Op::Fail | Op::Pause | Op::Resume | Op::Limits(..) => true,
        _ if model.is_asked() => false,
        Op::Send(..) | Op::Take => joint.wants_send() == Wants::Bytes && !joint.is_in_flight(),
        Op::Done(_) => joint.is_in_flight(),
        Op::Stale(_) => over,
        Op::Shutdown(_) => over || (joint.wants_send() == Wants::Fin && !joint.is_in_flight()),
        Op::Poll | Op::Open | Op::Hold(_) | Op::Release(_) | Op::Eof | Op::ReadError(_) | Op::WriteError(_) | Op::HangUp => true,
    }
}

/// What one step of a sequence may be: fewer operations, so that sequences can be longer.
const FEW: [Op; 12] = [
    Op::Write(How::Slice, 3),
    Op::Send(16, 2),
    Op::Poll,
    Op::WriteEof,
    Op::Close,
    Op::Abort,
    Op::Pause,
    Op::Resume,
    Op::Eof,
    Op::Shutdown(Ok(())),
    Op::WriteError(BROKEN),
    Op::Limits(0, 8),
];

/// Every sequence of `length` operations after `connection_made`, without a look at states; how many they are. The answer to
/// `eof_received` is a step like any other.
///
/// # Errors
/// If machine and model disagree; the message has the operations.
pub fn sequences(length: usize) -> Result<u64, Violation> {
    let mut all = Odometer::new();
    let mut count = 0;
    loop {
        let mut joint = Joint::new(1, 2)?;
        let mut pool = BufPool::new();
        let mut path = vec![Op::Open, Op::Poll];
        for op in &path {
            joint.apply(*op, &mut pool)?;
        }
        while path.len() < length + 2 {
            let op = if joint.model().is_asked() {
                Op::KeepOpen(all.pick(2) == 0)
            } else {
                let possible: Vec<_> = FEW.into_iter().filter(|op| makes_sense_here(*op, joint.model())).collect();
                possible[all.pick(possible.len())]
            };
            path.push(op);
            let seen = joint.apply(op, &mut pool).map_err(|violation| found(&path, op, &violation))?;
            if op == Op::Poll && seen == Seen::Quiet && joint.model().is_over() {
                break;
            }
        }
        count += 1;
        if !all.advance() {
            return Ok(count);
        }
    }
}

fn makes_sense_here(op: Op, model: &StreamModel) -> bool {
    match op {
        Op::Send(..) => model.wants_send() == Wants::Bytes,
        Op::Shutdown(_) => model.wants_send() == Wants::Fin,
        _ => true,
    }
}

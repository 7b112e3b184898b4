//! Rare branches of a run: a generator that never gets there tests nothing.

use super::script::{Act, Script};
use super::world::World;
use crate::model::{Ep, Outcome, Phase, State, Turn};
use plimsoll_core::Cause;

/// A rare branch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[repr(u32)]
pub enum Mark {
    /// An endpoint had its eight flow callbacks and owed another.
    NinthEdge,
    /// Several endpoints owed edges at once.
    ManyDue,
    /// A pause after `connection_made` that was owed since before.
    PauseFromInit,
    /// A callback panicked.
    Panic,
    /// `connection_lost` panicked.
    PanicInLost,
    /// `get_buffer` panicked.
    PanicInLend,
    /// `get_buffer` lent nothing.
    NothingLent,
    /// A factory panicked.
    PanicInFactory,
    /// A factory refused.
    Refused,
    /// A scheduled callback panicked.
    PanicInJob,
    /// `open_failed`.
    OpenFailed,
    /// An opening was cancelled when its `connection_made` was due already.
    CancelledWhenMade,
    /// A server was closed before an accepted connection's turn.
    Orphan,
    /// A timer of a connection fired.
    Timer,
    /// A timer while flushing.
    TimerWhileFlushing,
    /// A protocol installed by another one got a callback.
    Switched,
    /// A receive into lent memory.
    Filled,
    /// A write on an id that names nothing.
    Stale,
    /// Bytes wait, and a paused writer holds the reader.
    HeldByWriter,
    /// Accepting rests.
    Resting,
    /// Lost with an error of a send.
    WriteFailed,
    /// Lost with an error of a receive.
    ReadFailed,
    /// Several losses in one iteration.
    ManyLost,
    /// An end-of-file kept open.
    KeptOpen,
}

impl Mark {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::NinthEdge,
        Self::ManyDue,
        Self::PauseFromInit,
        Self::Panic,
        Self::PanicInLost,
        Self::PanicInLend,
        Self::NothingLent,
        Self::PanicInFactory,
        Self::Refused,
        Self::PanicInJob,
        Self::OpenFailed,
        Self::CancelledWhenMade,
        Self::Orphan,
        Self::Timer,
        Self::TimerWhileFlushing,
        Self::Switched,
        Self::Filled,
        Self::Stale,
        Self::HeldByWriter,
        Self::Resting,
        Self::WriteFailed,
        Self::ReadFailed,
        Self::ManyLost,
        Self::KeptOpen,
    ];

    /// Whether a run's marks have it.
    #[must_use]
    pub const fn is_in(self, marks: u64) -> bool {
        marks & 1 << self as u32 != 0
    }
}

/// A turn is about to begin.
pub(super) fn before(world: &mut World, turn: Turn) {
    let owed = world.model.owed();
    if owed > 1 {
        world.mark(Mark::ManyDue);
    }
    match turn {
        Turn::Filled(_) => world.mark(Mark::Filled),
        Turn::OpenFailed(_) => world.mark(Mark::OpenFailed),
        Turn::Made(ep) if world.model.stream(ep).is_writing_paused() => world.mark(Mark::PauseFromInit),
        Turn::Timer(ep, _) => {
            world.mark(Mark::Timer);
            if world.model.stream(ep).state() == State::Flushing {
                world.mark(Mark::TimerWhileFlushing);
            }
        }
        Turn::Lost(_, cause, ..) => {
            match cause {
                Cause::WriteFailed => world.mark(Mark::WriteFailed),
                Cause::ReadFailed => world.mark(Mark::ReadFailed),
                _ => {}
            }
            if core::mem::replace(&mut world.lost_in_round, true) {
                world.mark(Mark::ManyLost);
            }
        }
        _ => {}
    }
    if let Some(ep) = turn.ep() {
        if world.model.is_switched(ep) {
            world.mark(Mark::Switched);
        }
    }
}

/// Its script has run, and it is about to end.
pub(super) fn ending(world: &mut World, script: &Script, outcome: Outcome) {
    let Some(turn) = world.model.running() else { return };
    let mark = match (turn, outcome) {
        (Turn::Factory(_), _) if script.panics => Mark::PanicInFactory,
        (Turn::Lend(_), _) if script.panics => Mark::PanicInLend,
        (Turn::Lost(..), _) if script.panics => Mark::PanicInLost,
        (Turn::Job(_) | Turn::Later(_), _) if script.panics => Mark::PanicInJob,
        _ if script.panics => Mark::Panic,
        (Turn::Factory(_), Outcome::Refused) => Mark::Refused,
        (Turn::Lend(_), Outcome::Lent(0)) => Mark::NothingLent,
        (Turn::Eof(_), Outcome::KeepOpen(true)) => Mark::KeptOpen,
        _ => return,
    };
    world.mark(mark);
}

/// A command for an endpoint.
pub(super) fn command(world: &mut World, act: Act, ep: Ep) {
    if world.model.is_stale(ep) {
        world.mark(Mark::Stale);
    } else if matches!(act, Act::Close(_) | Act::Abort(_)) && world.model.stream(ep).state() == State::Made {
        world.mark(Mark::CancelledWhenMade);
    }
}

/// Between two phases.
pub(super) fn between(world: &mut World) {
    if world.model.phase() == Phase::Between && (0..world.model.endpoints()).any(|ep| world.model.is_late(ep)) {
        world.mark(Mark::NinthEdge);
    }
    if world.model.orphans() > 0 {
        world.mark(Mark::Orphan);
    }
}

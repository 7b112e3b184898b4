//! What the worlds of all transports have in common: how they answer, and how they are lost.

use super::walk::World;
use plimsoll_core::{Ending, Error, ErrorKind, Refusal, WriteLimits, WriteStatus};

/// What a write or a send answers, where that is more than "yes".
pub(super) fn answer(status: WriteStatus) -> Option<&'static str> {
    match status {
        WriteStatus::Discarded => Some("Discarded"),
        WriteStatus::Refused(Refusal::AfterEof) => Some("WriteAfterEof"),
        WriteStatus::Refused(Refusal::AddressMismatch) => Some("AddressMismatch"),
        WriteStatus::Refused(_) => Some("Unsupported"),
        _ => None,
    }
}

/// `connection_lost` and its argument.
pub(super) fn lost(ending: &Ending) -> &'static str {
    match ending.error().map(Error::kind) {
        None => "lost(None)",
        Some(ErrorKind::CallbackFailed) => "lost(CallbackFailed)",
        Some(_) => "lost(E)",
    }
}

/// With which argument it will be lost, seen by letting another one like it go the same way and then have its turn.
pub(super) fn cause<W: World>(mut other: W, past: &[W::Input], turn: W::Input) -> &'static str {
    for &input in past {
        other.apply(input);
    }
    match other.apply(turn).last() {
        Some(&"lost(None)") => "None",
        Some(&"lost(CallbackFailed)") => "CallbackFailed",
        _ => "E",
    }
}

pub(super) fn marks(low: usize, high: usize) -> WriteLimits {
    WriteLimits::new(low, high).unwrap_or(WriteLimits::DEFAULT)
}

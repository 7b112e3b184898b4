//! Drivers: the two kinds of kernel interface under one engine.
//!
//! A backend supplies system calls ([`ReadinessIo`] or [`CompletionIo`], both over [`Sockets`]) and a way to wait; everything else is here. The
//! iteration of a loop is
//!
//! 1. `prepare`: the ready queue as it stands, then everything that it led to;
//! 2. wait, at most for `timeout`, and `mark` (or `complete`) what happened, which calls nothing of the application's;
//! 3. `process`: what was marked, the timers that are due, then everything that they led to.
//!
//! If a callback panics, `prepare` and `process` unwind and can be called again: they go on behind the callback that panicked.

mod completion;
mod drive;
mod readiness;
mod sockets;
mod table;

pub use completion::{Completion, CompletionDriver, CompletionIo};
pub use readiness::{BATCH, Incoming, IncomingRun, Interest, ReadinessDriver, ReadinessIo, Ready, Trigger};
pub use sockets::{Attached, FileError, Sockets, Spawned};

use drive::{Drive, Phase, concerns_one_connection};
use table::Table;

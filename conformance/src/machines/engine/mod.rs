//! The engine under its drivers, beside the model of the loop.
//!
//! A run is a loop with up to six stream endpoints and three servers on sockets of its own. Protocols, factories, timers and scheduled callbacks
//! do what short scripts say; every turn must be the one that the model says comes next, and every command must answer as the model does.

mod acts;
mod driver;
mod io;
mod marks;
mod net;
mod protocol;
mod ring;
mod round;
mod script;
mod shape;
mod small;
mod world;

pub use marks::Mark;
pub use shape::{Shape, shaped};
pub use small::small_world;

use crate::harness::{Run, Violation};
use crate::model::{Ep, Turn};
use round::Loop;
use script::{Act, Script, Stir, Swarm};

/// One step of a run, for its log.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Step {
    Turn(Turn),
    Act(Act),
    Io(Ep, IoStep),
    Stir(Stir),
    Scripts(Vec<Script>),
    Prepare(u64),
    Process,
}

/// A call of the kernel's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum IoStep {
    Connect,
    Connected,
    Refused,
    Accept,
    Exhausted,
    Bind(bool),
    Recv(usize),
    RecvBlocks,
    RecvError,
    Send(usize),
    SendError,
    Fin(bool),
    Close,
}

/// One run under the readiness driver.
///
/// # Errors
/// If a turn is not the next one, an answer is another than the model's, or something is left at the end.
pub fn readiness(run: &mut Run<'_>) -> Result<(), Violation> {
    let swarm = Swarm::draw(run.choices());
    Loop::new(swarm, false).live(run, Loop::lives)
}

/// One run under the completion driver.
///
/// # Errors
/// As [`readiness`].
pub fn completion(run: &mut Run<'_>) -> Result<(), Violation> {
    let swarm = Swarm::draw(run.choices());
    Loop::new(swarm, true).live(run, Loop::lives)
}

/// One run under either driver: for fuzzers, which find out themselves what the first choice means.
///
/// # Errors
/// As [`readiness`].
pub fn either(run: &mut Run<'_>) -> Result<(), Violation> {
    if run.choices().pick(2) == 0 { readiness(run) } else { completion(run) }
}

//! Runs that look for one shape of bug each: the shapes in which event loops have been wrong again and again.
//!
//! A run of [`readiness`](super::readiness) draws from everything; what takes two rare things at the same time is rare in it. These runs are swarms in
//! which a shape's own operations are always likely. What is checked is the same: every turn and every answer beside the model.

use super::script::Swarm;
use super::{Loop, Violation};
use crate::choices::Choices;
use crate::harness::Run;

/// What may be wrong, and what a run does most of therefore.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Shape {
    /// One of the ways to write lacks a check that the others have: writes in every form, at every mark, after every way of closing.
    SecondWritePath,
    /// Something goes on after a callback as if nothing had been called in it: callbacks that close, abort, replace and panic.
    StateAfterCallback,
    /// What is queued at a close is lost, sent twice, or keeps the connection for ever: closing over full kernels, which then take a little.
    ClosingWithQueue,
    /// What belongs to a connection that is gone reaches the one that has its number now: short lives, late news, stale ids.
    ReusedNumber,
}

impl Shape {
    /// A swarm of this shape.
    fn swarm(self, choices: &mut dyn Choices) -> Swarm {
        let mut swarm = Swarm::draw(choices);
        match self {
            Self::SecondWritePath => {
                swarm.weigh(&["write", "writelines"], 30, &["room"], 6);
                swarm.weigh(&["write_eof", "close", "abort", "limits"], 4, &[], 0);
                swarm.marks = [Some((0, 0)), Some((2, 8)), Some((8, 8))][choices.pick(3)];
                swarm.room = [0, 10, 1000][choices.pick(3)];
            }
            Self::StateAfterCallback => {
                let acts = ["close", "abort", "fail", "pause_reading", "resume_reading", "set_protocol"];
                swarm.weigh(&acts, 8, &["feed", "room"], 20);
                swarm.most_acts = 4;
                swarm.panics = 6;
                swarm.chatty = choices.pick(2) == 1;
            }
            Self::ClosingWithQueue => {
                swarm.weigh(&["write"], 40, &["room", "finish", "reset", "send_fails"], 6);
                swarm.weigh(&["close", "write_eof", "end_clients"], 10, &[], 0);
                swarm.room = [0, 10][choices.pick(2)];
            }
            Self::ReusedNumber => {
                let acts = ["connect", "close", "abort", "set_timer", "cancel_timer"];
                swarm.weigh(&acts, 20, &["arrive", "reset", "spurious"], 8);
                swarm.server = true;
                swarm.lag = 3;
                swarm.rounds = 25;
            }
        }
        swarm
    }
}

/// One run of this shape, under either driver.
///
/// # Errors
/// As [`readiness`](super::readiness).
pub fn shaped(run: &mut Run<'_>, shape: Shape) -> Result<(), Violation> {
    let completions = run.choices().pick(2) == 1;
    let swarm = shape.swarm(run.choices());
    Loop::new(swarm, completions).live(run, Loop::lives)
}

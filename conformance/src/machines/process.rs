//! The subprocess beside its model: random lifetimes, every state, every order.

use crate::choices::{Choices, Odometer};
use crate::harness::{Run, Violation, ensure, same};
use crate::model::{ChildTold, ProcessModel};
use core::hash::{Hash, Hasher};
use plimsoll_core::{Call, Error, ErrorKind, ExitStatus, PipeFd, ProcessEvent, Subprocess};
use std::collections::BTreeSet;
use std::hash::DefaultHasher;

const BROKEN: Error = Error::from_code(Call::Send, ErrorKind::BrokenPipe, 32);

/// One command, fact, wish or poll.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ChildOp {
    /// Asks for the next event.
    Poll,
    /// The child is there.
    Spawned,
    /// A pipe is gone.
    PipeLost(PipeFd, Option<Error>),
    /// The child has ended.
    Exited(ExitStatus),
    /// `close`.
    Close,
    /// A callback failed.
    Fail,
    /// Asks whether to kill.
    Kill,
    /// Asks whether to release the pipes.
    Release,
}

/// Everything that can be done.
const OPS: [ChildOp; 12] = [
    ChildOp::Poll,
    ChildOp::Spawned,
    ChildOp::PipeLost(PipeFd::Stdin, None),
    ChildOp::PipeLost(PipeFd::Stdin, Some(BROKEN)),
    ChildOp::PipeLost(PipeFd::Stdout, None),
    ChildOp::PipeLost(PipeFd::Stderr, None),
    ChildOp::Exited(ExitStatus::exited(3)),
    ChildOp::Exited(ExitStatus::signaled(9)),
    ChildOp::Close,
    ChildOp::Fail,
    ChildOp::Kill,
    ChildOp::Release,
];

/// The word that a protocol was told, held against 17.5: a check on machine and model alike.
#[derive(Clone, Default, Debug)]
struct Word {
    made: bool,
    lost_pipes: Vec<PipeFd>,
    exited: bool,
    lost: bool,
}

impl Word {
    fn told(&mut self, what: ChildTold, pipes: &[PipeFd]) -> Result<(), Violation> {
        ensure!(!self.lost, "I-SILENT: {what:?} after lost");
        ensure!(self.made != (what == ChildTold::Made), "PROC-2: {what:?}, made: {}", self.made);
        match what {
            ChildTold::Made => self.made = true,
            ChildTold::PipeLost(fd, _) => {
                ensure!(pipes.contains(&fd) && !self.lost_pipes.contains(&fd), "PROC-5: {fd:?} is lost again, or was never made");
                self.lost_pipes.push(fd);
            }
            ChildTold::Exited(_) => {
                ensure!(!self.exited, "PROC-6: exited twice");
                self.exited = true;
            }
            ChildTold::Lost(..) => {
                ensure!(self.exited && self.lost_pipes.len() == pipes.len(), "PROC-7: lost before {self:?}");
                self.lost = true;
            }
        }
        Ok(())
    }
}

/// A machine and its model, in step.
#[derive(Debug)]
pub struct ChildJoint {
    machine: Subprocess,
    model: ProcessModel,
    word: Word,
    pipes: Vec<PipeFd>,
}

impl ChildJoint {
    /// Both new, with these pipes.
    ///
    /// # Errors
    /// If they disagree already.
    pub fn new(pipes: &[PipeFd]) -> Result<Self, Violation> {
        let joint = Self {
            machine: Subprocess::new(pipes.iter().copied()),
            model: ProcessModel::new(pipes),
            word: Word::default(),
            pipes: pipes.to_vec(),
        };
        joint.compare()?;
        Ok(joint)
    }

    /// The model.
    #[must_use]
    pub const fn model(&self) -> &ProcessModel {
        &self.model
    }

    /// One step of both, compared; whether a poll had something to tell.
    ///
    /// # Errors
    /// If they disagree.
    pub fn apply(&mut self, op: ChildOp) -> Result<bool, Violation> {
        let mut told = false;
        match op {
            ChildOp::Poll => {
                let event = self.model.poll();
                same!("poll_event", self.machine.poll_event().map(told_by).transpose()?, event);
                told = event.is_some();
                if let Some(event) = event {
                    self.word.told(event, &self.pipes)?;
                }
            }
            ChildOp::Spawned => {
                self.machine.handle_spawned(7);
                self.model.spawned(7);
            }
            ChildOp::PipeLost(fd, error) => {
                self.machine.handle_pipe_lost(fd, error);
                self.model.pipe_lost(fd, error);
            }
            ChildOp::Exited(status) => {
                self.machine.handle_exited(status);
                self.model.exited(status);
            }
            ChildOp::Close => {
                self.machine.close();
                self.model.close();
            }
            ChildOp::Fail => {
                self.machine.fail();
                self.model.fail();
            }
            ChildOp::Kill => same!("poll_kill", self.machine.poll_kill(), self.model.kill()),
            ChildOp::Release => same!("poll_release", self.machine.poll_release(), self.model.release()),
        }
        self.compare()?;
        Ok(told)
    }

    fn compare(&self) -> Result<(), Violation> {
        let (machine, model) = (&self.machine, &self.model);
        same!("is_closing", machine.is_closing(), model.is_closing());
        same!("is_losing", machine.is_losing(), model.is_complete());
        same!("is_over", machine.is_over(), model.is_over());
        same!("is_made", machine.is_made(), model.is_made());
        same!("is_given_up", machine.is_given_up(), model.is_given_up());
        same!("has_happened", machine.has_happened(), model.has_happened());
        same!("pid", machine.pid(), model.pid());
        same!("status", machine.status(), model.status());
        ensure!(!self.word.lost || model.is_over(), "lost, and not over");
        Ok(())
    }

    /// All events that are due.
    fn drain(&mut self) -> Result<(), Violation> {
        for _ in 0..8 {
            if !self.apply(ChildOp::Poll)? {
                return Ok(());
            }
        }
        Err(Violation(String::from("I-TOTAL: events without end")))
    }

    /// Liveness: when the child has ended and every pipe is gone it is over, and was lost if it was made.
    fn end(mut self) -> Result<(), Violation> {
        self.apply(ChildOp::Close)?;
        self.drain()?;
        self.apply(ChildOp::Exited(ExitStatus::signaled(9)))?;
        for fd in PipeFd::ALL {
            self.apply(ChildOp::PipeLost(fd, None))?;
        }
        self.drain()?;
        ensure!(self.model.is_over(), "liveness: it is not over");
        ensure!(self.word.lost == self.word.made, "I-ONCE: {:?}", self.word);
        Ok(())
    }
}

fn told_by(event: ProcessEvent) -> Result<ChildTold, Violation> {
    Ok(match event {
        ProcessEvent::Made => ChildTold::Made,
        ProcessEvent::PipeLost(fd, error) => ChildTold::PipeLost(fd, error),
        ProcessEvent::Exited(status) => ChildTold::Exited(status),
        ProcessEvent::Lost(ending) => ChildTold::Lost(ending.cause(), ending.error()),
        other => return Err(Violation(format!("an unknown event: {other:?}"))),
    })
}

/// The pipes whose bits are set.
fn pipes_of(bits: usize) -> Vec<PipeFd> {
    PipeFd::ALL.into_iter().filter(|&fd| bits & 1 << fd as usize != 0).collect()
}

/// One generated child, from its start until it is over, beside its model.
///
/// # Errors
/// If machine and model disagree, or what was told is no word of the grammar's.
pub fn lifetime(run: &mut Run<'_>) -> Result<(), Violation> {
    let pipes = pipes_of(7 - run.choices().pick(8));
    let mut joint = ChildJoint::new(&pipes)?;
    // What ends it is rare in most runs.
    let ends = [0, 1, 4][run.choices().pick(3)];
    let weights = [8, 4, 2, 1, 2, 2, 2, 1, ends, ends, 2, 2];
    for _ in 0..4 + run.choices().pick(24) {
        if run.choices().is_exhausted() {
            break;
        }
        let op = OPS[run.choices().weighted(&weights)];
        run.step(op);
        joint.apply(op)?;
    }
    joint.end()
}

/// What an exhaustive walk saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Children {
    /// Different states of machine and model together.
    pub states: usize,
    /// Steps from one of them, each compared.
    pub steps: u64,
}

/// Every state that these operations lead to, from every set of pipes, and each operation from each of them: there are finitely many, so this holds for runs of any
/// length.
///
/// # Errors
/// If machine and model disagree anywhere; the message has the operations that lead there.
pub fn explore() -> Result<Children, Violation> {
    let mut all = Children { states: 0, steps: 0 };
    for bits in 0..8 {
        let pipes = pipes_of(bits);
        let mut seen = BTreeSet::new();
        let mut paths: Vec<Vec<ChildOp>> = vec![Vec::new()];
        seen.insert(key(&ChildJoint::new(&pipes)?));
        let mut at = 0;
        while at < paths.len() {
            let path = paths[at].clone();
            at += 1;
            for op in OPS {
                let mut joint = ChildJoint::new(&pipes)?;
                for before in &path {
                    joint.apply(*before)?;
                }
                all.steps += 1;
                joint.apply(op).map_err(|violation| Violation(format!("{violation}\n  after {path:?}\n  at {op:?}")))?;
                if seen.insert(key(&joint)) {
                    paths.push(path.iter().copied().chain([op]).collect());
                }
            }
        }
        all.states += paths.len();
    }
    Ok(all)
}

fn key(joint: &ChildJoint) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&joint.model, format!("{:?}", joint.machine)).hash(&mut hasher);
    hasher.finish()
}

/// Every order in which a child can come to be, lose its three pipes, exit, and be closed or fail, told at once or later after each; how many they are.
///
/// # Errors
/// If machine and model disagree; the message has the operations.
pub fn orders() -> Result<u64, Violation> {
    let mut all = Odometer::new();
    let mut count = 0;
    loop {
        let mut left = vec![
            ChildOp::Spawned,
            ChildOp::PipeLost(PipeFd::Stdin, Some(BROKEN)),
            ChildOp::PipeLost(PipeFd::Stdout, None),
            ChildOp::PipeLost(PipeFd::Stderr, None),
            ChildOp::Exited(ExitStatus::exited(0)),
            [ChildOp::Close, ChildOp::Fail, ChildOp::Poll][all.pick(3)],
        ];
        let mut joint = ChildJoint::new(&PipeFd::ALL)?;
        let mut path = Vec::new();
        while !left.is_empty() {
            let op = left.remove(all.pick(left.len()));
            path.push(op);
            let found = |violation: Violation| Violation(format!("{violation}\n  after {path:?}"));
            joint.apply(op).map_err(found)?;
            if all.pick(2) == 1 {
                joint.drain().map_err(found)?;
            }
        }
        joint.end().map_err(|violation| Violation(format!("{violation}\n  after {path:?}")))?;
        count += 1;
        if !all.advance() {
            return Ok(count);
        }
    }
}

//! Rule 17.5: a child process, its pipes and its exit.

use plimsoll_core::{Call, Cause, Error, ErrorKind, ExitStatus, PipeFd};
use std::collections::VecDeque;

/// What a subprocess protocol is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ChildTold {
    /// `connection_made`.
    Made,
    /// `pipe_connection_lost`.
    PipeLost(PipeFd, Option<Error>),
    /// `process_exited`.
    Exited(ExitStatus),
    /// `connection_lost`.
    Lost(Cause, Option<Error>),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Phase {
    Starting,
    Started,
    Told,
    Cancelled,
    Over,
}

/// One child as the contract has it: a list of what has happened and was not told, and who wanted an end.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ProcessModel {
    phase: Phase,
    made: bool,
    pid: Option<u32>,
    status: Option<ExitStatus>,
    open: Vec<PipeFd>,
    backlog: VecDeque<ChildTold>,
    /// Something of the backlog is being told: the end is not there before that is over.
    telling: bool,
    closed: bool,
    failed: bool,
    kills: u32,
    releases: u32,
}

impl ProcessModel {
    /// A child that is to be started with these pipes.
    #[must_use]
    pub fn new(pipes: &[PipeFd]) -> Self {
        Self {
            phase: Phase::Starting,
            made: false,
            pid: None,
            status: None,
            open: pipes.to_vec(),
            backlog: VecDeque::new(),
            telling: false,
            closed: false,
            failed: false,
            kills: 0,
            releases: 0,
        }
    }

    /// PROC-13, PROC-15: kills and releases; before `connection_made` it gives up, and waits for the end of a child that is there.
    pub fn close(&mut self) {
        match self.phase {
            Phase::Starting | Phase::Started => self.cancel(),
            Phase::Told => self.closed = true,
            Phase::Cancelled | Phase::Over => {}
        }
    }

    /// RUST-8, also in the last callback before the loss. *Ruling:* an end that was complete before keeps its cause.
    pub fn fail(&mut self) {
        match self.phase {
            Phase::Starting | Phase::Started => self.cancel(),
            Phase::Told if !self.is_complete() => {
                self.failed = true;
                self.telling = false;
            }
            Phase::Told | Phase::Cancelled | Phase::Over => {}
        }
    }

    fn cancel(&mut self) {
        let alive = self.pid.is_some() && self.status.is_none();
        self.phase = if alive { Phase::Cancelled } else { Phase::Over };
    }

    /// The child is there.
    pub fn spawned(&mut self, pid: u32) {
        if self.phase == Phase::Starting {
            self.phase = Phase::Started;
            self.pid = Some(pid);
        }
    }

    /// PROC-5: each pipe once.
    pub fn pipe_lost(&mut self, fd: PipeFd, error: Option<Error>) {
        let before = self.open.len();
        self.open.retain(|&open| open != fd);
        if self.open.len() < before {
            self.backlog.push_back(ChildTold::PipeLost(fd, error));
        }
    }

    /// PROC-6: once, of a child that was started.
    pub fn exited(&mut self, status: ExitStatus) {
        if self.pid.is_some() && self.status.is_none() {
            self.status = Some(status);
            self.backlog.push_back(ChildTold::Exited(status));
            if self.phase == Phase::Cancelled {
                self.phase = Phase::Over;
            }
        }
    }

    const fn wants_end(&self) -> bool {
        self.closed || self.failed || matches!(self.phase, Phase::Cancelled)
    }

    /// PROC-13: a child that still runs is killed, once.
    pub fn kill(&mut self) -> bool {
        let due = self.wants_end() && self.pid.is_some() && self.status.is_none() && self.kills == 0;
        self.kills += u32::from(due);
        due
    }

    /// PROC-13: its pipes are released, once.
    pub fn release(&mut self) -> bool {
        let due = self.wants_end() && self.releases == 0;
        self.releases += u32::from(due);
        due
    }

    /// PROC-7, PROC-8: everything has happened, and was told.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let all = self.status.is_some() && self.open.is_empty() && self.backlog.is_empty();
        self.phase == Phase::Told && all && !self.telling
    }

    /// PROC-2: made first, then what has happened in order, then lost.
    pub fn poll(&mut self) -> Option<ChildTold> {
        self.telling = false; // Asking again says that it was told.
        match self.phase {
            Phase::Started => {
                self.phase = Phase::Told;
                self.made = true;
                Some(ChildTold::Made)
            }
            Phase::Told if self.is_complete() => {
                self.phase = Phase::Over;
                Some(match (self.failed, self.closed) {
                    (true, _) => {
                        ChildTold::Lost(Cause::CallbackFailed, Some(Error::new(Call::Callback, ErrorKind::CallbackFailed)))
                    }
                    (false, true) => ChildTold::Lost(Cause::LocalClose, None),
                    (false, false) => ChildTold::Lost(Cause::Exited, None),
                })
            }
            Phase::Told => {
                let next = self.backlog.pop_front();
                self.telling = next.is_some();
                next
            }
            Phase::Starting | Phase::Cancelled | Phase::Over => None,
        }
    }

    /// Something is to be told that is neither the first nor the last.
    #[must_use]
    pub fn has_happened(&self) -> bool {
        self.phase == Phase::Told && !self.backlog.is_empty()
    }

    /// PROC-17.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.wants_end() || self.phase == Phase::Over
    }

    /// Nothing will ever come of it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// `connection_made` was delivered.
    #[must_use]
    pub const fn is_made(&self) -> bool {
        self.made
    }

    /// Given up, and nobody is told.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        !self.made && matches!(self.phase, Phase::Cancelled | Phase::Over)
    }

    /// PROC-9.
    #[must_use]
    pub const fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// PROC-9.
    #[must_use]
    pub const fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// Pipes that are not lost.
    #[must_use]
    pub fn open(&self) -> &[PipeFd] {
        &self.open
    }
}

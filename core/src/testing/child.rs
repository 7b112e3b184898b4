//! Holds every child process of a loop to the grammar of contract 17.5.

use crate::observer::Event;
use crate::process::PipeFd;
use crate::reason::{Cause, CloseReason};

/// What is known of one child.
#[derive(Debug, Default)]
pub(super) struct Child {
    made: bool,
    exited: bool,
    lost: [bool; 3],
}

impl Child {
    pub(super) const fn is_made(&self) -> bool {
        self.made
    }

    /// What forbids that `event` comes now.
    pub(super) fn event(&mut self, event: &Event<'_>) -> Option<&'static str> {
        let before = self.made;
        match *event {
            Event::Made => {
                self.made = true;
                before.then_some("I-ONCE: made twice")
            }
            Event::OpenFailed | Event::GivenUp => before.then_some("I-GRAMMAR: made, and not opened"),
            Event::Closing => None,
            _ if !before => Some("I-SILENT: before connection_made"),
            Event::PipeData(PipeFd::Stdin, _) => Some("PROC-4: nothing is read from stdin"),
            Event::PipeData(_, []) => Some("PROC-4: no bytes"),
            Event::PipeData(fd, _) if self.lost[fd as usize] => Some("PROC-5: data after its pipe was lost"),
            Event::PipeLost(fd, _) => {
                core::mem::replace(&mut self.lost[fd as usize], true).then_some("PROC-5: a pipe is lost twice")
            }
            Event::Exited(_) => core::mem::replace(&mut self.exited, true).then_some("PROC-6: exited twice"),
            Event::Lost(reason) => self.problem_of_loss(reason),
            _ => None,
        }
    }

    fn problem_of_loss(&self, reason: &CloseReason) -> Option<&'static str> {
        let regular = matches!(reason.cause(), Cause::Exited | Cause::LocalClose);
        if !self.exited {
            Some("PROC-7: lost before its exit")
        } else if regular != reason.error().is_none() {
            Some("17.5: a child is lost without an error, or for a failed callback")
        } else {
            None
        }
    }
}

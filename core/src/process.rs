//! The subprocess: three pipes and one exit, in whatever order they come to their end.

use crate::error::{Call, Error, ErrorKind};
use crate::reason::{Cause, Ending, Side};
use core::fmt;

/// One of the standard descriptors of a child.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "there are three")]
pub enum PipeFd {
    /// 0: we write, the child reads.
    Stdin = 0,
    /// 1: the child writes, we read.
    Stdout = 1,
    /// 2: the child writes, we read.
    Stderr = 2,
}

impl PipeFd {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Stdin, Self::Stdout, Self::Stderr];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for PipeFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

/// How a child ended: with an exit code, or by a signal.
///
/// ```
/// use plimsoll_core::ExitStatus;
///
/// assert_eq!(ExitStatus::exited(3).returncode(), 3);
/// assert_eq!((ExitStatus::signaled(9).returncode(), ExitStatus::signaled(9).code()), (-9, None));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ExitStatus(i32);

impl ExitStatus {
    /// It ended by itself, with this code.
    #[must_use]
    pub const fn exited(code: u8) -> Self {
        Self(code as i32)
    }

    /// This signal ended it; there is no signal 0.
    #[must_use]
    pub const fn signaled(signal: u8) -> Self {
        Self(-(signal as i32))
    }

    /// As asyncio has it: the exit code, or −N after a death by signal N (contract PROC-9).
    #[must_use]
    pub const fn returncode(self) -> i32 {
        self.0
    }

    /// The exit code, if it ended by itself.
    #[must_use]
    pub const fn code(self) -> Option<i32> {
        if self.0 >= 0 { Some(self.0) } else { None }
    }

    /// The signal that ended it.
    #[must_use]
    pub const fn signal(self) -> Option<i32> {
        if self.0 < 0 { Some(-self.0) } else { None }
    }

    /// It ended by itself with code 0.
    #[must_use]
    pub const fn success(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.signal() {
            Some(signal) => write!(f, "ended by signal {signal}"),
            None => write!(f, "exit code {}", self.0),
        }
    }
}

/// What a subprocess protocol is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProcessEvent {
    /// `connection_made`.
    Made,
    /// `pipe_connection_lost`.
    PipeLost(PipeFd, Option<Error>),
    /// `process_exited`.
    Exited(ExitStatus),
    /// `connection_lost`: the last event.
    Lost(Ending),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    /// The child is not there yet.
    Init,
    /// It is there, and `connection_made` is to be delivered.
    Made,
    Open,
    /// Given up before `connection_made`: it is killed, its exit is waited for, and nobody is told.
    Reaping,
    /// `connection_lost` was delivered, or the opening was given up.
    Lost,
}

/// A child process without the process: pure bookkeeping, because its order is the whole difficulty (contract 17.5).
///
/// Its exit and the ends of its pipes come in any order, also before `connection_made`, which is told first all the same (contract PROC-2); the loss
/// is last, when the exit is known and every pipe is gone (contract PROC-7): a descendant that holds a pipe delays it (contract PROC-8). The pipes themselves are
/// machines of their own: [`WritePipe`](crate::WritePipe) and [`ReadPipe`](crate::ReadPipe).
///
/// - **commands**: [`close`](Self::close), [`fail`](Self::fail);
/// - **facts**: [`handle_spawned`](Self::handle_spawned), [`handle_pipe_lost`](Self::handle_pipe_lost), [`handle_exited`](Self::handle_exited);
/// - **wishes**: [`poll_kill`](Self::poll_kill), [`poll_release`](Self::poll_release);
/// - **events**: [`poll_event`](Self::poll_event).
///
/// ```
/// use plimsoll_core::{ExitStatus, PipeFd, ProcessEvent, Subprocess};
///
/// let mut child = Subprocess::new([PipeFd::Stdout]);
/// child.handle_spawned(4711);
/// child.handle_exited(ExitStatus::exited(0));
/// assert_eq!(child.poll_event(), Some(ProcessEvent::Made));
/// assert_eq!(child.poll_event(), Some(ProcessEvent::Exited(ExitStatus::exited(0))));
/// assert_eq!(child.poll_event(), None);
/// child.handle_pipe_lost(PipeFd::Stdout, None);
/// assert_eq!(child.poll_event(), Some(ProcessEvent::PipeLost(PipeFd::Stdout, None)));
/// assert!(matches!(child.poll_event(), Some(ProcessEvent::Lost(why)) if why.error().is_none()));
/// ```
#[derive(Debug)]
pub struct Subprocess {
    life: Life,
    made: bool,
    pid: Option<u32>,
    status: Option<ExitStatus>,
    /// Pipes that are not lost yet.
    pipes: u8,
    /// What happened and was not told, in order: each pipe once and the exit.
    happened: [Option<ProcessEvent>; 4],
    /// One of it is being told: until that is over it is not lost, and can still fail.
    telling: bool,
    closing: bool,
    failed: bool,
    killed: bool,
    released: bool,
}

impl Subprocess {
    /// A child that is to be started, with pipes for these descriptors.
    #[must_use]
    pub fn new(pipes: impl IntoIterator<Item = PipeFd>) -> Self {
        Self {
            life: Life::Init,
            made: false,
            pid: None,
            status: None,
            pipes: pipes.into_iter().fold(0, |bits, fd| bits | fd.bit()),
            happened: [None; 4],
            telling: false,
            closing: false,
            failed: false,
            killed: false,
            released: false,
        }
    }

    // ---- commands ----

    /// Kills the child if it still runs, and lets its pipes go (contract PROC-13). Before `connection_made` the opening is given up: the child is
    /// killed and reaped, and nobody is told (contract PROC-15).
    pub fn close(&mut self) {
        match self.life {
            Life::Init | Life::Made => self.give_up(),
            Life::Open => self.closing = true,
            Life::Reaping | Life::Lost => {}
        }
    }

    /// A callback failed: as [`close`](Self::close), with `CallbackFailed` as the error of the loss (contract RUST-8). An end that was there already
    /// keeps its cause.
    pub fn fail(&mut self) {
        match self.life {
            Life::Init | Life::Made => self.give_up(),
            Life::Open => {
                self.failed |= !self.is_losing();
                self.telling = false;
            }
            Life::Reaping | Life::Lost => {}
        }
    }

    fn give_up(&mut self) {
        self.life = if self.pid.is_some() && self.status.is_none() { Life::Reaping } else { Life::Lost };
    }

    // ---- facts ----

    /// The child is there.
    pub fn handle_spawned(&mut self, pid: u32) {
        if self.life == Life::Init {
            self.life = Life::Made;
            self.pid = Some(pid);
        }
    }

    /// A pipe has come to its end, with this error of its loss. The first time counts.
    pub fn handle_pipe_lost(&mut self, fd: PipeFd, error: Option<Error>) {
        if self.pipes & fd.bit() != 0 {
            self.pipes &= !fd.bit();
            self.happen(ProcessEvent::PipeLost(fd, error));
        }
    }

    /// The child has ended, and was reaped. The first time counts.
    pub fn handle_exited(&mut self, status: ExitStatus) {
        if self.pid.is_none() || self.status.is_some() {
            return;
        }
        self.status = Some(status);
        self.happen(ProcessEvent::Exited(status));
        if self.life == Life::Reaping {
            self.life = Life::Lost;
        }
    }

    fn happen(&mut self, event: ProcessEvent) {
        if let Some(place) = self.happened.iter_mut().find(|place| place.is_none()) {
            *place = Some(event);
        }
    }

    // ---- wishes ----

    /// Whether the child is to be killed now; once.
    pub fn poll_kill(&mut self) -> bool {
        let kill = self.ends() && self.pid.is_some() && self.status.is_none() && !self.killed;
        self.killed |= kill;
        kill
    }

    /// Whether the pipes that are left are to be let go now; once.
    pub fn poll_release(&mut self) -> bool {
        let release = self.ends() && !self.released;
        self.released |= release;
        release
    }

    fn ends(&self) -> bool {
        self.closing || self.failed || self.life == Life::Reaping
    }

    // ---- events ----

    /// What the protocol is to be told next; `None`: nothing for now. Asking again says that it was told.
    pub fn poll_event(&mut self) -> Option<ProcessEvent> {
        self.handle_told();
        if self.poll_made() {
            return Some(ProcessEvent::Made);
        }
        self.poll_happened().or_else(|| self.poll_lost().map(ProcessEvent::Lost))
    }

    /// Takes the `connection_made` that is due.
    pub fn poll_made(&mut self) -> bool {
        let due = self.life == Life::Made;
        if due {
            self.life = Life::Open;
            self.made = true;
        }
        due
    }

    /// Whether a pipe's end or the exit is to be told.
    #[must_use]
    pub fn has_happened(&self) -> bool {
        self.life == Life::Open && self.happened[0].is_some()
    }

    /// Takes the next pipe's end, or the exit, that is to be told; say [`handle_told`](Self::handle_told) when that is over.
    pub fn poll_happened(&mut self) -> Option<ProcessEvent> {
        if self.life != Life::Open {
            return None;
        }
        let event = self.happened[0].take();
        self.happened.rotate_left(1);
        self.telling = event.is_some();
        event
    }

    /// What was taken last has been told.
    pub fn handle_told(&mut self) {
        self.telling = false;
    }

    /// Takes the `connection_lost` that is due.
    pub fn poll_lost(&mut self) -> Option<Ending> {
        if !self.is_losing() {
            return None;
        }
        self.life = Life::Lost;
        let failed = Error::new(Call::Callback, ErrorKind::CallbackFailed);
        Some(if self.failed {
            Ending { cause: Cause::CallbackFailed, error: Some(failed), first: Side::Local }
        } else if self.closing {
            Ending { cause: Cause::LocalClose, error: None, first: Side::Local }
        } else {
            Ending { cause: Cause::Exited, error: None, first: Side::Peer }
        })
    }

    // ---- questions ----

    /// Whether `connection_lost` is due: the exit is known, every pipe is gone, and all that was told.
    #[must_use]
    pub fn is_losing(&self) -> bool {
        let complete = self.status.is_some() && self.pipes == 0 && self.happened[0].is_none();
        self.life == Life::Open && complete && !self.telling
    }

    /// `close` was called or a callback failed, or it is lost (contract PROC-17).
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.ends() || self.life == Life::Lost
    }

    /// All is over, or the opening was given up and there is no child left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.life == Life::Lost
    }

    /// `connection_made` has been delivered.
    #[must_use]
    pub const fn is_made(&self) -> bool {
        self.made
    }

    /// The opening was given up, or never came about: nobody is told anything.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        !self.made && matches!(self.life, Life::Reaping | Life::Lost)
    }

    /// The child's id; the system may give it away again once the exit is known.
    #[must_use]
    pub const fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// How it ended, as soon as that is known.
    #[must_use]
    pub const fn status(&self) -> Option<ExitStatus> {
        self.status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_ended_by_itself_or_by_a_signal() {
        //= PROC-9
        let of = |status: ExitStatus| (status.returncode(), status.code(), status.signal(), status.success());
        assert_eq!(of(ExitStatus::exited(0)), (0, Some(0), None, true));
        assert_eq!(of(ExitStatus::exited(1)), (1, Some(1), None, false));
        assert_eq!(of(ExitStatus::exited(255)), (255, Some(255), None, false));
        assert_eq!(of(ExitStatus::signaled(9)), (-9, None, Some(9), false));
    }

    #[test]
    fn a_pipe_that_is_not_there_does_not_end() {
        //= PROC-5, PROC-7
        let mut child = Subprocess::new([PipeFd::Stdin, PipeFd::Stderr]);
        child.handle_spawned(1);
        assert!(child.poll_made());
        child.handle_pipe_lost(PipeFd::Stdout, None);
        assert!(!child.has_happened());
        child.handle_exited(ExitStatus::exited(0));
        assert_eq!(child.poll_happened(), Some(ProcessEvent::Exited(ExitStatus::exited(0))));
        child.handle_told();
        for fd in [PipeFd::Stderr, PipeFd::Stdin] {
            assert!(!child.is_losing(), "{fd} is still there");
            child.handle_pipe_lost(fd, None);
            assert_eq!(child.poll_happened(), Some(ProcessEvent::PipeLost(fd, None)));
            assert_eq!(child.poll_lost(), None, "it is being told");
            child.handle_told();
        }
        assert!(child.is_losing());
    }
}

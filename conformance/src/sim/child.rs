//! Children of the simulated kernel: programs that are scripts.

use super::clock::Happening;
use super::fault::Syscall;
use super::net::{Kind, Net, Owner, SockId, Socket};
use super::pipe::PipeEnd;
use core::time::Duration;
use plimsoll_core::{ErrorKind, ExitStatus, Key, PipeFd, UnixAddr};

const SIGKILL: i32 = 9;
const SIGPIPE: u8 = 13;

/// A step of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Waits.
    Sleep(Duration),
    /// Writes to stdout or stderr, however much that is. Without a reader it is ended by SIGPIPE.
    Write(PipeFd, Vec<u8>),
    /// Copies its stdin to its stdout, until that ends.
    Cat,
    /// Reads its stdin until that ends, and forgets it.
    Drain,
    /// Closes one of its descriptors.
    Close(PipeFd),
    /// Leaves a child of its own behind, which has all of its descriptors for that long.
    Fork(Duration),
    /// Is not ended by this signal from now on; by SIGKILL it is.
    Ignore(i32),
    /// Waits for a line of its stdin, or for the end of it.
    ReadLine,
    /// Waits until it is told to go on: [`Sim::go`](super::Sim::go).
    Await,
    /// Leaves a child of its own behind, which takes these steps and has all of its descriptors.
    Leave(Vec<Self>),
    /// Ends itself by this signal.
    Die(u8),
    /// Ends, with this code; so it does with 0 behind the last step.
    Exit(u8),
}

/// A running program.
#[derive(Debug)]
pub(crate) struct Child {
    steps: Vec<Step>,
    at: usize,
    /// Its ends of its pipes.
    ends: [Option<SockId>; 3],
    /// Where its stderr is, if joined, its stdout is.
    joined: bool,
    ignored: Vec<i32>,
    /// The descriptor that tells of its end.
    watcher: SockId,
    status: Option<ExitStatus>,
    /// Nobody waits for it: it is a child of a child.
    orphan: bool,
}

impl Net {
    /// Starts a program; the descriptor that tells of its end, its number, and our ends of its pipes.
    #[allow(clippy::type_complexity, reason = "three things come about at once")]
    pub(crate) fn spawn(
        &mut self,
        name: &[u8],
        piped: [bool; 3],
        joined: bool,
    ) -> Result<(u32, SockId, [Option<SockId>; 3]), ErrorKind> {
        let program = self.programs.iter().rev().find(|(known, _)| known.as_bytes() == name);
        let steps = program.map(|(_, steps)| steps.clone()).ok_or(ErrorKind::NotFound)?;
        let needed = 1 + piped.iter().filter(|&&piped| piped).count() as u64;
        if self.opened - self.closed + needed > self.faults.descriptors as u64 {
            return Err(ErrorKind::DescriptorLimit);
        }
        let mut ours = [None; 3];
        let mut ends = [None; 3];
        for fd in PipeFd::ALL.into_iter().filter(|&fd| piped[fd as usize]) {
            let (our, their) = if fd == PipeFd::Stdin {
                let (reader, writer) = self.new_pipe(Owner::Peer, Owner::Process);
                (writer, reader)
            } else {
                self.new_pipe(Owner::Process, Owner::Peer)
            };
            ours[fd as usize] = Some(our);
            ends[fd as usize] = Some(their);
        }
        let watcher = self.new_socket(Kind::Child(Key::from_bits(0)), UnixAddr::UNNAMED, Owner::Process);
        let child = Child { steps, at: 0, ends, joined, ignored: Vec::new(), watcher, status: None, orphan: false };
        let child = self.children.insert(child).unwrap_or(Key::from_bits(0));
        if let Some(socket) = self.sockets.get_mut(watcher) {
            socket.kind = Kind::Child(child);
        }
        self.adopt_ends(child, ends);
        self.go_on(child);
        let pid = 1000 + child.index() as u32;
        Ok((pid, watcher, ours))
    }

    /// These are a child's: it hears of what happens to them.
    fn adopt_ends(&mut self, child: Key, ends: [Option<SockId>; 3]) {
        for end in ends.into_iter().flatten() {
            if let Some(Socket { kind: Kind::Pipe(PipeEnd { child: of, .. }), .. }) = self.sockets.get_mut(end) {
                *of = Some(child);
            }
        }
    }

    /// One child that waits for it goes on, or the next that comes to wait.
    pub(crate) fn child_goes(&mut self) {
        self.told_to_go += 1;
        let waits = |child: &Child| child.status.is_none() && matches!(child.steps.get(child.at), Some(Step::Await));
        let waiting = self.children.iter().find(|(_, child)| waits(child)).map(|(key, _)| key);
        if let Some(key) = waiting {
            self.go_on(key);
        }
    }

    /// Its next step comes when the kernel gets to it.
    fn go_on(&mut self, child: Key) {
        let at = self.arrival();
        self.clock.push(at, Happening::Step { child });
    }

    /// A child takes steps until it has to wait.
    pub(crate) fn child_steps(&mut self, key: Key) {
        let Some(child) = self.children.get_mut(key) else { return };
        if child.status.is_some() {
            return;
        }
        let step = child.steps.get(child.at).cloned().unwrap_or(Step::Exit(0));
        let (ends, joined) = (child.ends, child.joined);
        match step {
            Step::Sleep(time) => {
                child.at += 1;
                let at = self.clock.now().saturating_add(time);
                self.clock.push(at, Happening::Step { child: key });
                return;
            }
            Step::Write(fd, bytes) => {
                child.at += 1;
                let fd = if joined { PipeFd::Stdout } else { fd };
                if ends[fd as usize].is_some_and(|end| !self.peer_writes(end, &bytes)) {
                    self.child_ends(key, ExitStatus::signaled(SIGPIPE));
                    return;
                }
            }
            Step::Cat | Step::Drain | Step::ReadLine => {
                self.child_reads(key);
                return;
            }
            Step::Close(fd) => {
                child.at += 1;
                if let Some(end) = child.ends[fd as usize].take() {
                    self.close(end);
                }
            }
            Step::Fork(time) => {
                child.at += 1;
                for end in ends.into_iter().flatten() {
                    if let Some(copy) = self.duplicate_pipe_end(end, Owner::Peer) {
                        let at = self.clock.now().saturating_add(time);
                        self.clock.push(at, Happening::Dies { sock: copy });
                    }
                }
            }
            Step::Await => {
                if self.told_to_go == 0 {
                    return;
                }
                self.told_to_go -= 1;
                child.at += 1;
            }
            Step::Leave(steps) => {
                child.at += 1;
                let (ignored, watcher) = (child.ignored.clone(), child.watcher);
                let ends = ends.map(|end| end.and_then(|end| self.duplicate_pipe_end(end, Owner::Peer)));
                let orphan = Child { steps, at: 0, ends, joined, ignored, watcher, status: None, orphan: true };
                if let Some(orphan) = self.children.insert(orphan) {
                    self.adopt_ends(orphan, ends);
                    self.go_on(orphan);
                }
            }
            Step::Die(signal) => {
                self.child_ends(key, ExitStatus::signaled(signal));
                return;
            }
            Step::Ignore(signal) => {
                child.at += 1;
                child.ignored.push(signal);
            }
            Step::Exit(code) => {
                self.child_ends(key, ExitStatus::exited(code));
                return;
            }
        }
        self.go_on(key);
    }

    /// Something of its stdin changed, or it has come to read it.
    pub(crate) fn child_reads(&mut self, key: Key) {
        let Some(child) = self.children.get_mut(key).filter(|child| child.status.is_none()) else { return };
        let copies = match child.steps.get(child.at) {
            Some(Step::Cat) => true,
            Some(Step::Drain) => false,
            Some(Step::ReadLine) => {
                self.child_reads_line(key);
                return;
            }
            _ => return,
        };
        let [stdin, stdout, _] = child.ends;
        let mut block = [0; 4096];
        loop {
            match stdin.map_or(Ok(Some(0)), |stdin| self.read_pipe(stdin, &mut block)) {
                Ok(None) => return,
                Ok(Some(n)) if n > 0 => {
                    if copies && stdout.is_some_and(|stdout| !self.peer_writes(stdout, &block[..n])) {
                        self.child_ends(key, ExitStatus::signaled(SIGPIPE));
                        return;
                    }
                }
                Ok(Some(_)) | Err(_) => break,
            }
        }
        if let Some(child) = self.children.get_mut(key) {
            child.at += 1;
            self.go_on(key);
        }
    }

    fn child_reads_line(&mut self, key: Key) {
        let Some(stdin) = self.children.get(key).map(|child| child.ends[0]) else { return };
        let mut byte = [0];
        loop {
            match stdin.map_or(Ok(Some(0)), |stdin| self.read_pipe(stdin, &mut byte)) {
                Ok(None) => return,
                Ok(Some(1)) if byte != *b"\n" => {}
                Ok(Some(_)) | Err(_) => break,
            }
        }
        if let Some(child) = self.children.get_mut(key) {
            child.at += 1;
            self.go_on(key);
        }
    }

    /// A signal arrives; a zombie takes it too.
    pub(crate) fn child_signalled(&mut self, key: Key, signal: i32) {
        let Some(child) = self.children.get_mut(key) else { return };
        if child.status.is_none() && (signal == SIGKILL || !child.ignored.contains(&signal)) {
            self.child_ends(key, ExitStatus::signaled(signal as u8));
        }
    }

    fn child_ends(&mut self, key: Key, status: ExitStatus) {
        let Some(child) = self.children.get_mut(key) else { return };
        child.status = Some(status);
        let watcher = child.watcher;
        let orphan = child.orphan;
        for end in core::mem::take(&mut child.ends).into_iter().flatten() {
            self.close(end);
        }
        if orphan {
            self.children.remove(key);
        } else {
            self.wake(watcher);
        }
    }

    /// The child of a descriptor.
    pub(crate) fn child_of(&self, id: SockId) -> Option<Key> {
        match self.sockets.get(id) {
            Some(Socket { kind: Kind::Child(child), .. }) => Some(*child),
            _ => None,
        }
    }

    pub(crate) fn has_ended(&self, child: Key) -> bool {
        self.children.get(child).is_some_and(|child| child.status.is_some())
    }

    /// Reaps a child that has ended.
    pub(crate) fn reap(&mut self, id: SockId) -> Result<Option<ExitStatus>, ErrorKind> {
        let child = self.child_of(id).ok_or(ErrorKind::InvalidInput)?;
        if self.children.get(child).ok_or(ErrorKind::Other)?.status.is_none() {
            return Ok(None);
        }
        self.enter(Syscall::WaitChild, None)?;
        Ok(self.children.remove(child).and_then(|child| child.status))
    }

    /// The descriptor of a child goes: one that still runs is killed, and reaped at once.
    pub(crate) fn close_child(&mut self, id: SockId) {
        let Some(child) = self.child_of(id) else { return };
        self.sockets.remove(id);
        self.child_signalled(child, SIGKILL);
        self.children.remove(child);
    }
}

//! Verbs of child processes.

use super::{Hub, Ready};
use crate::command::Command;
use crate::endpoint::{About, Child, Common, Endpoint, Process, Stream};
use crate::engine::Forward;
use crate::error::{Call, Error, ErrorKind};
use crate::flow::limits::WriteLimits;
use crate::key::{Key, ProcessId, StreamId};
use crate::op::Op;
use crate::process::{ExitStatus, PipeFd, Subprocess};
use crate::protocol::SubprocessProtocol;
use crate::stream::StreamTransport;
use alloc::boxed::Box;

/// The signals that every POSIX system has under these numbers.
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// Signals have numbers up to here; those for real-time use, above, cannot be sent.
const LAST_SIGNAL: i32 = 31;

impl<S> Hub<S> {
    /// Starts a child for `protocol`: `connection_made` follows, or `open_failed` with the system's error, or `InvalidInput` if the command makes no
    /// sense (contract PROC-1).
    ///
    /// The id and its [pipes](Self::pipe) are good at once: bytes may be written to its stdin. [`close`](Self::close) before `connection_made`
    /// cancels the opening: a child that is there already is killed and reaped, and nobody is told (contract PROC-15).
    pub fn spawn(&mut self, command: impl Into<Command>, protocol: impl SubprocessProtocol<S> + 'static) -> ProcessId {
        let command = command.into();
        let piped = PipeFd::ALL.into_iter().filter(|&fd| command.is_piped(fd));
        let child = Child::new(Subprocess::new(piped.clone()));
        let process = Process { protocol: Some(Box::new(protocol)), transport: child, common: Common::default() };
        let Some(key) = self.insert(Endpoint::Process(process), About::default()) else {
            return ProcessId::new(Key::from_bits(0), self.tag);
        };
        for fd in piped {
            let pipe = self.insert_pipe(key, fd);
            if let Some(process) = self.process_at(key) {
                process.transport.pipes[fd as usize] = pipe;
            }
            if pipe.is_none() {
                self.pipe_lost(key, fd, None);
            }
        }
        let id = ProcessId::new(key, self.tag);
        self.ops.push_back(Op::Spawn(id, Box::new(command)));
        id
    }

    fn insert_pipe(&mut self, process: Key, fd: PipeFd) -> Option<Key> {
        let transport = match fd {
            PipeFd::Stdin => StreamTransport::write_pipe(WriteLimits::DEFAULT),
            PipeFd::Stdout | PipeFd::Stderr => StreamTransport::read_pipe(),
        };
        let mut stream = Stream::with(transport, Some(Box::new(Forward { process, fd })));
        stream.common.cold().child = Some((process, fd));
        self.insert(Endpoint::Stream(stream), About::default())
    }

    pub(crate) fn process_at(&mut self, key: Key) -> Option<&mut Process<S>> {
        match self.endpoints.get_mut(key) {
            Some(Endpoint::Process(process)) => Some(process),
            _ => None,
        }
    }

    fn child(&self, id: ProcessId) -> Option<&Child> {
        match self.endpoints.get(id.key) {
            Some(Endpoint::Process(process)) if id.tag == self.tag => Some(&process.transport),
            _ => None,
        }
    }

    /// The child's process id; `None` before it is there, and once lost (contract PROC-9).
    #[must_use]
    pub fn pid(&self, id: ProcessId) -> Option<u32> {
        self.child(id)?.machine.pid()
    }

    /// How the child ended; `None` until that is known, and once lost.
    #[must_use]
    pub fn exit_status(&self, id: ProcessId) -> Option<ExitStatus> {
        self.child(id)?.machine.status()
    }

    /// The child's exit code, or −N after a death by signal N; `None` until that is known, and once lost (contract PROC-9).
    #[must_use]
    pub fn returncode(&self, id: ProcessId) -> Option<i32> {
        self.exit_status(id).map(ExitStatus::returncode)
    }

    /// The transport of a pipe that was made: that of stdin writes, those of stdout and stderr read, and every verb of a connection works on it. `None` if
    /// there is none for that descriptor, and once the process is lost (contract PROC-10).
    #[must_use]
    pub fn pipe(&self, id: ProcessId, fd: PipeFd) -> Option<StreamId> {
        self.child(id)?.pipes[fd as usize].map(|key| self.stream_id(key))
    }

    /// As [`pipe`](Self::pipe), if it has not been given up.
    pub(crate) fn open_pipe(&self, id: ProcessId, fd: PipeFd) -> Option<Key> {
        self.pipe(id, fd).filter(|&pipe| self.stream(pipe).is_some()).map(StreamId::key)
    }

    /// As [`set_protocol`](Self::set_protocol), for a child process: what its pipes bring goes to the new one too.
    pub fn set_process_protocol(
        &mut self,
        id: ProcessId,
        protocol: impl SubprocessProtocol<S> + 'static,
    ) -> Option<Box<dyn SubprocessProtocol<S>>> {
        if self.machine(id.into())?.is_over() {
            return None;
        }
        self.cancel_timers_of(id.key);
        self.process_at(id.key)?.protocol.replace(Box::new(protocol))
    }

    /// Sends a signal, after the callback that runs now: never to a process of the same number that came later (contract PROC-11, PROC-12).
    ///
    /// # Errors
    /// `ProcessGone` once the loop has learned of the exit; `InvalidInput` if there is no such signal. What the system refuses then is reported.
    pub fn signal(&mut self, id: ProcessId, signal: i32) -> Result<(), Error> {
        let gone = |child: &Child| child.machine.status().is_some() || child.machine.is_given_up();
        if self.child(id).is_none_or(gone) {
            return Err(Error::new(Call::Signal, ErrorKind::ProcessGone));
        }
        if !(1..=LAST_SIGNAL).contains(&signal) {
            return Err(Error::new(Call::Signal, ErrorKind::InvalidInput));
        }
        self.ops.push_back(Op::Signal(id, signal));
        Ok(())
    }

    /// Asks the child to end: SIGTERM.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub fn terminate(&mut self, id: ProcessId) -> Result<(), Error> {
        self.signal(id, SIGTERM)
    }

    /// Ends the child: SIGKILL.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub fn kill(&mut self, id: ProcessId) -> Result<(), Error> {
        self.signal(id, SIGKILL)
    }

    // ---- what commands and facts lead to ----

    /// A pipe of a child has come to its end, or is given up.
    pub(crate) fn pipe_lost(&mut self, process: Key, fd: PipeFd, error: Option<Error>) {
        if let Some(process) = self.process_at(process) {
            process.transport.machine.handle_pipe_lost(fd, error);
        }
        self.tend(process);
    }

    /// Something of a child changed: what it wants is done, and what it has to tell gets a turn.
    pub(crate) fn tend(&mut self, key: Key) {
        let Some(process) = self.process_at(key) else { return };
        let child = &mut process.transport;
        let (kill, release) = (child.machine.poll_kill(), child.machine.poll_release());
        let tell = child.machine.has_happened() && !core::mem::replace(&mut child.queued, true);
        let pipes = child.pipes;
        if kill {
            self.ops.push_back(Op::Signal(ProcessId::new(key, self.tag), SIGKILL));
        }
        if tell {
            self.ready.push_back(Ready::Happened(key));
        }
        if release {
            // Nobody is left to take what is queued, unless a descendant, and nothing may wait for that one.
            for pipe in pipes.into_iter().flatten() {
                self.abort(self.stream_id(pipe));
            }
        }
    }
}

//! Children: starting, signalling and reaping them, each by its own descriptor.

use super::{Kind, Source};
use crate::error::{error, io_error, refused};
use command_fds::{CommandFdExt, FdMapping};
use core::time::Duration;
use plimsoll_core::driver::Spawned;
use plimsoll_core::{Call, Command, Error, ExitStatus, Resource, Stdio};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::process;
use std::time::Instant;

/// The children of a loop that need more than their descriptor.
#[derive(Debug, Default)]
pub(crate) struct Children {
    /// Those that a thread waits for, by the descriptor that it closes: their numbers stay theirs until we have reaped them.
    waited: BTreeMap<RawFd, Pid>,
    /// Killed, and not reaped yet: nobody else knows of them any more.
    dying: Vec<Source>,
}

impl Children {
    /// Starts a child. Its descriptors are those that it was given, and no others: all of ours are closed in it.
    pub(super) fn spawn(&mut self, command: Command) -> Result<Spawned<Source>, Error> {
        self.reap_dying(Duration::ZERO);
        let parts = command.into_parts();
        let mut argv = parts.argv.into_iter().map(OsString::from_vec);
        let mut command = process::Command::new(argv.next().unwrap_or_default());
        command.args(argv);
        if parts.clear_env {
            command.env_clear();
        }
        for (name, value) in parts.env {
            match value {
                Some(value) => command.env(OsString::from_vec(name), OsString::from_vec(value)),
                None => command.env_remove(OsString::from_vec(name)),
            };
        }
        if let Some(dir) = parts.cwd {
            command.current_dir(OsString::from_vec(dir));
        }
        let [stdin, stdout, stderr] = parts.stdio;
        let joined = matches!(stderr, Stdio::Stdout);
        command.stdin(stdio(stdin)?);
        let mut output = None;
        if joined {
            let (ours, one, other) = joined_output(stdout)?;
            output = ours;
            command.stdout(one).stderr(other);
        } else {
            command.stdout(stdio(stdout)?).stderr(stdio(stderr)?);
        }
        let mut mappings = Vec::with_capacity(parts.descriptors.len());
        for (child_fd, resource) in parts.descriptors {
            mappings.push(FdMapping { parent_fd: descriptor(resource)?, child_fd });
        }
        if !mappings.is_empty() {
            command.fd_mappings(mappings).map_err(|_| refused(Call::Spawn))?;
        }
        let mut child = command.spawn().map_err(|reason| io_error(Call::Spawn, &reason))?;
        // It has what it was given; with these open we would never see the end of a joined output.
        drop(command);
        let pipes = [
            child.stdin.take().map(OwnedFd::from),
            child.stdout.take().map(OwnedFd::from).or(output),
            child.stderr.take().map(OwnedFd::from),
        ];
        self.kept(&child, pipes).inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })
    }

    fn kept(&mut self, child: &process::Child, pipes: [Option<OwnedFd>; 3]) -> Result<Spawned<Source>, Error> {
        let pid = Pid::from_child(child);
        for pipe in pipes.iter().flatten() {
            rustix::io::ioctl_fionbio(pipe, true).map_err(|errno| error(Call::Spawn, errno))?;
        }
        let source = match pidfd(pid) {
            Some(descriptor) => Source { descriptor: descriptor.map_err(|errno| error(Call::Spawn, errno))?, kind: Kind::Child },
            None => self.wait_on_a_thread(pid)?,
        };
        let pipes = pipes.map(|pipe| pipe.map(|descriptor| Source { descriptor, kind: Kind::Pipe }));
        Ok(Spawned { pid: child.id(), child: source, pipes })
    }

    /// Where there is no descriptor of a process: a thread waits for its end, without reaping it, and closes a pipe.
    fn wait_on_a_thread(&mut self, pid: Pid) -> Result<Source, Error> {
        let (descriptor, held) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| error(Call::Spawn, errno))?;
        let wait = move || {
            let until_exit = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(rustix::process::waitid(WaitId::Pid(pid), until_exit), Err(Errno::INTR)) {}
            drop(held);
        };
        let thread = std::thread::Builder::new().name(String::from("plimsoll-wait")).spawn(wait);
        thread.map_err(|reason| io_error(Call::Spawn, &reason))?;
        self.waited.insert(descriptor.as_raw_fd(), pid);
        Ok(Source { descriptor, kind: Kind::Waited })
    }

    /// Sends a signal; a child that has ended and was not reaped takes it.
    pub(super) fn signal(&self, child: &Source, signal: i32) -> Result<(), Error> {
        let signal = Signal::from_named_raw(signal).ok_or(refused(Call::Signal))?;
        let sent = match child.kind {
            #[cfg(target_os = "linux")]
            Kind::Child => rustix::process::pidfd_send_signal(child, signal),
            Kind::Waited => match self.waited.get(&child.descriptor.as_raw_fd()) {
                Some(&pid) => rustix::process::kill_process(pid, signal),
                None => Err(Errno::SRCH),
            },
            _ => Err(Errno::SRCH),
        };
        match sent {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(error(Call::Signal, errno)),
        }
    }

    /// Reaps a child that has ended; this one, and no other of the process.
    pub(super) fn wait(&mut self, child: &mut Source) -> Result<Option<ExitStatus>, Error> {
        let raw = child.descriptor.as_raw_fd();
        let id = match child.kind {
            #[cfg(target_os = "linux")]
            Kind::Child => WaitId::PidFd(child.as_fd()),
            Kind::Waited => match self.waited.get(&raw) {
                Some(&pid) => WaitId::Pid(pid),
                None => return Err(refused(Call::Wait)),
            },
            _ => return Err(refused(Call::Wait)),
        };
        let status = loop {
            match rustix::process::waitid(id.clone(), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
                Ok(None) => return Ok(None),
                Ok(Some(status)) => break Ok(status),
                Err(Errno::INTR) => {}
                Err(errno) => break Err(error(Call::Wait, errno)),
            }
        };
        // Its number may be another's from now on.
        self.waited.remove(&raw);
        child.kind = Kind::Reaped;
        status.map(|status| Some(exit_status(&status)))
    }

    /// A child goes: one that still runs is killed, and reaped as soon as that can be done.
    pub(super) fn forget(&mut self, mut child: Source) {
        self.end(&mut child, Duration::ZERO);
        if child.kind != Kind::Reaped {
            self.dying.push(child);
        }
    }

    /// Kills a child, and waits for its end for so long.
    pub(super) fn end(&mut self, child: &mut Source, limit: Duration) {
        // It can only fail for a child that is not ours to signal any more: then its end is all that is left to wait for.
        let _ = self.signal(child, Signal::KILL.as_raw());
        let deadline = Instant::now() + limit;
        loop {
            if matches!(self.wait(child), Ok(Some(_)) | Err(_)) {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let mut polled = [PollFd::new(&child.descriptor, PollFlags::IN)];
            let _ = rustix::event::poll(&mut polled, Timespec::try_from(left).ok().as_ref());
        }
    }

    /// Reaps what was killed, and waits for all of it together for so long; what is left then is left to the system (contract LIFE-18).
    pub(crate) fn reap_dying(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for mut child in core::mem::take(&mut self.dying) {
            self.end(&mut child, deadline.saturating_duration_since(Instant::now()));
            if child.kind != Kind::Reaped {
                self.dying.push(child);
            }
        }
    }
}

/// The descriptor of a process; none where the system has no such thing.
#[cfg(target_os = "linux")]
fn pidfd(pid: Pid) -> Option<Result<OwnedFd, Errno>> {
    if cfg!(plimsoll_waiter_thread) {
        return None;
    }
    match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        Err(Errno::NOSYS) => None,
        opened => Some(opened),
    }
}

#[cfg(not(target_os = "linux"))]
const fn pidfd(_: Pid) -> Option<Result<OwnedFd, Errno>> {
    None
}

fn exit_status(status: &WaitIdStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::exited(code as u8),
        (None, signal) => ExitStatus::signaled(signal.unwrap_or_default() as u8),
    }
}

fn descriptor(resource: Resource) -> Result<OwnedFd, Error> {
    resource.downcast::<OwnedFd>().map_err(|_| refused(Call::Spawn))
}

fn stdio(what: Stdio) -> Result<process::Stdio, Error> {
    Ok(match what {
        Stdio::Piped => process::Stdio::piped(),
        Stdio::Inherit => process::Stdio::inherit(),
        Stdio::Null => process::Stdio::null(),
        Stdio::Given(resource) => descriptor(resource)?.into(),
        _ => return Err(refused(Call::Spawn)),
    })
}

/// One output for stdout and stderr: our end of it, if it is a pipe, and theirs twice (contract PROC-3).
fn joined_output(stdout: Stdio) -> Result<(Option<OwnedFd>, process::Stdio, process::Stdio), Error> {
    let failed = |errno| error(Call::Spawn, errno);
    let twice = |descriptor: OwnedFd| {
        let other = descriptor.try_clone().map_err(|reason| io_error(Call::Spawn, &reason))?;
        Ok((process::Stdio::from(descriptor), process::Stdio::from(other)))
    };
    let (ours, (one, other)) = match stdout {
        Stdio::Piped => {
            let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
            (Some(ours), twice(theirs)?)
        }
        Stdio::Inherit => (None, twice(rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 3).map_err(failed)?)?),
        Stdio::Given(resource) => (None, twice(descriptor(resource)?)?),
        other => (None, (stdio(other)?, process::Stdio::null())),
    };
    Ok((ours, one, other))
}

//! Pipes for the backends, and whatever can be read or written like one: what the loop gets, and the other end.

use super::host::{PeerEnd, Seen};
use super::model::{Kind, Link, Through};
use super::peer_real::{Places, RealPeer};
use plimsoll_core::Addr;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use socket2::{Domain, Socket, Type};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

/// What is given to the loop, and the other end if there is one. Ours is blocking, as it would come from elsewhere: the loop has to change that.
pub(crate) fn pair(places: &mut Places, link: &Link) -> io::Result<(OwnedFd, Option<Box<dyn PeerEnd>>)> {
    let reads = link.kind == Kind::ReadPipe;
    let of = |reader: OwnedFd, writer: OwnedFd| {
        let (ours, theirs) = if reads { (reader, writer) } else { (writer, reader) };
        (ours, PipePeer::boxed(theirs, reads))
    };
    match link.through {
        Through::Pipe => {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            let (ours, peer) = of(reader, writer);
            Ok((ours, Some(peer?)))
        }
        Through::Fifo | Through::FifoBoth => {
            let path = places.next_path();
            fifo(&path)?;
            // Opening one direction waits for the other: this one does not.
            let both = rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
            let end = |flags| rustix::fs::open(&path, flags | OFlags::CLOEXEC, Mode::empty());
            let theirs = end(if reads { OFlags::WRONLY } else { OFlags::RDONLY })?;
            let one = end(if reads { OFlags::RDONLY } else { OFlags::WRONLY })?;
            let ours = if link.through == Through::FifoBoth { both } else { one };
            Ok((ours, Some(PipePeer::boxed(theirs, reads)?)))
        }
        Through::Socket => {
            let (ours, theirs) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
            ours.set_nonblocking(false)?;
            Ok((ours.into(), Some(Box::new(RealPeer::new(theirs)?))))
        }
        Through::Terminal => {
            // Of the line it is seen when nobody has the terminal open any more; the other way round Linux tells an end like any other.
            let (theirs, ours) = terminal()?;
            Ok((ours, Some(PipePeer::boxed_two_way(theirs)?)))
        }
        Through::File => {
            Ok((File::options().create(true).truncate(true).read(true).write(true).open(places.next_path())?.into(), None))
        }
        Through::Folder => {
            let path = places.next_path();
            fs::create_dir(&path)?;
            Ok((File::open(&path)?.into(), None))
        }
        Through::OtherEnd => {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            Ok((if reads { writer } else { reader }, None))
        }
    }
}

/// Somebody who reads a file, or whatever that is.
pub(crate) fn reader(end: OwnedFd) -> io::Result<Box<dyn PeerEnd>> {
    PipePeer::boxed(end, false)
}

/// A FIFO at this place.
pub(crate) fn fifo(path: &Path) -> io::Result<()> {
    // Not every system has the call that rustix knows.
    let made = Command::new("mkfifo").arg(path).status()?;
    if made.success() { Ok(()) } else { Err(io::Error::other("mkfifo failed")) }
}

/// Both sides of a terminal that changes nothing of what goes through: the process's, and the one that stands for the line.
fn terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let line = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&line)?;
    unlockpt(&line)?;
    let name = ptsname(&line, Vec::new())?;
    let ours = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut raw = tcgetattr(&ours)?;
    raw.make_raw();
    tcsetattr(&ours, OptionalActions::Now, &raw)?;
    Ok((ours, line))
}

/// The other end of a pipe. Its `eof` closes it, if it writes.
struct PipePeer {
    end: Option<OwnedFd>,
    reads: bool,
    writes: bool,
}

impl PipePeer {
    fn boxed(end: OwnedFd, writes: bool) -> io::Result<Box<dyn PeerEnd>> {
        rustix::io::ioctl_fionbio(&end, true)?;
        Ok(Box::new(Self { end: Some(end), reads: !writes, writes }))
    }

    fn boxed_two_way(end: OwnedFd) -> io::Result<Box<dyn PeerEnd>> {
        rustix::io::ioctl_fionbio(&end, true)?;
        Ok(Box::new(Self { end: Some(end), reads: true, writes: true }))
    }
}

impl PeerEnd for PipePeer {
    fn is_connected(&self) -> bool {
        true
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        let Some(end) = &self.end else { return bytes.len() };
        match rustix::io::write(end, bytes) {
            Ok(n) => n,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => bytes.len(),
        }
    }

    fn read(&mut self, most: usize) -> Seen {
        let Some(end) = &self.end else { return Seen::Eof };
        if !self.reads {
            let mut polled = [PollFd::new(end, PollFlags::empty())];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            let gone = matches!(rustix::event::poll(&mut polled, Some(&now)), Ok(1..));
            return if gone { Seen::Eof } else { Seen::Nothing };
        }
        let mut bytes = vec![0; most];
        match rustix::io::read(end, &mut bytes) {
            Ok(0) => Seen::Eof,
            Ok(n) => Seen::Bytes(bytes[..n].to_vec()),
            Err(Errno::AGAIN | Errno::INTR) => Seen::Nothing,
            Err(_) => Seen::Reset,
        }
    }

    fn eof(&mut self) {
        if self.writes {
            self.end = None;
        }
    }

    fn reset(self: Box<Self>) {}

    fn ends(&self) -> Option<(Addr, Addr)> {
        None
    }

    fn unread(&self) -> Option<usize> {
        let end = self.end.as_ref().filter(|_| self.reads)?;
        rustix::io::ioctl_fionread(end).ok().map(|n| n as usize)
    }
}

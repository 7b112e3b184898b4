//! Ends of pipes, and of whatever can be read or written like one.

use super::{Kind, Source, addr};
use crate::error::{error, refused};
use plimsoll_core::{Call, Error, MAX_PIECES, ReadResult, Resource, Role};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use rustix::net::{SocketType, sockopt};
use std::io::IoSlice;
use std::os::fd::OwnedFd;

/// Takes a descriptor over, if it is a pipe, FIFO, socket or character device, open for that direction; else it is closed here (contract PIPE-5,
/// RUST-11).
pub(super) fn adopt(resource: Resource, role: Role) -> Result<Source, Error> {
    let descriptor = resource.downcast::<OwnedFd>().map_err(|_| refused(Call::Adopt))?;
    let failed = |errno| error(Call::Adopt, errno);
    let mode = rustix::fs::fstat(&descriptor).map_err(failed)?.st_mode;
    let flags = rustix::fs::fcntl_getfl(&descriptor).map_err(failed)?;
    let other = if role == Role::ReadPipe { OFlags::WRONLY } else { OFlags::RDONLY };
    if flags & OFlags::RWMODE == other {
        return Err(refused(Call::Adopt));
    }
    let kind = match FileType::from_raw_mode(mode) {
        // A pipe may keep what was written together apart, and tells of it once.
        FileType::Fifo if is_packet_mode(flags) => Kind::Device,
        FileType::Fifo => Kind::Pipe,
        FileType::CharacterDevice => Kind::Device,
        FileType::Socket if sockopt::socket_type(&descriptor).map_err(failed)? == SocketType::STREAM => {
            Source::kind_of_stream(addr::local(&descriptor).as_ref())
        }
        FileType::Socket => Kind::Pieces,
        _ => return Err(refused(Call::Adopt)),
    };
    rustix::fs::fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK).map_err(failed)?;
    Ok(Source { descriptor, kind })
}

#[cfg(target_os = "linux")]
fn is_packet_mode(flags: OFlags) -> bool {
    flags.contains(OFlags::DIRECT)
}

#[cfg(not(target_os = "linux"))]
const fn is_packet_mode(_: OFlags) -> bool {
    false
}

/// A read that brought nothing: it would have blocked, or failed. "Try again" of a device that nobody can wait for is an error like any other.
#[cold]
pub(super) fn not_read(source: &Source, errno: Errno) -> ReadResult {
    if errno == Errno::AGAIN && source.kind != Kind::AlwaysReady { Ok(None) } else { Err(error(Call::Receive, errno)) }
}

/// Writes the foremost bytes. There is no flag for pipes that keeps a broken one from being a signal: Rust's programs ignore that signal from
/// their start.
pub(super) fn write(source: &Source, bufs: &[&[u8]]) -> ReadResult {
    let mut pieces = [IoSlice::new(&[]); MAX_PIECES];
    for (piece, buf) in pieces.iter_mut().zip(bufs) {
        *piece = IoSlice::new(buf);
    }
    let count = bufs.len().min(MAX_PIECES);
    let mut pieces = &mut pieces[..count];
    let mut total = 0;
    loop {
        match rustix::io::writev(&source.descriptor, pieces) {
            // Nobody would tell when there is room for the rest.
            Ok(n) if source.kind == Kind::AlwaysReady && n > 0 => {
                total += n;
                IoSlice::advance_slices(&mut pieces, n);
                if pieces.is_empty() {
                    return Ok(Some(total));
                }
            }
            Ok(n) => return Ok(Some(total + n)),
            Err(Errno::AGAIN) if source.kind != Kind::AlwaysReady => return Ok(None),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(error(Call::Send, errno)),
        }
    }
}

/// Whether the reader has gone. Bytes that lie unread do not count, nor what comes in the other direction of a socket (contract PIPE-11).
pub(super) fn is_hung_up(source: &Source) -> bool {
    let mut polled = [PollFd::new(&source.descriptor, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(rustix::event::poll(&mut polled, Some(&now)), Ok(1..))
        && polled[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

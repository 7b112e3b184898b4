//! Descriptors that are watched without a transport.

use super::{Kind, Source};
use crate::error::{error, io_error, refused};
use plimsoll_core::driver::Interest;
use plimsoll_core::{Call, Error, Resource};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A descriptor of our own for what is to be watched: the poller's, as long as it watches, whatever becomes of the one that was given.
pub(crate) fn resource(descriptor: impl AsFd) -> Result<Resource, Error> {
    let ours = descriptor.as_fd().try_clone_to_owned().map_err(|reason| io_error(Call::Watch, &reason))?;
    check(ours.as_fd())?;
    Ok(Resource::new(ours))
}

/// A file or a directory is always ready, so nobody can wait for it. The kernel knows what else is like that, and is asked here, where its answer can be returned.
#[cfg(target_os = "linux")]
fn check(descriptor: BorrowedFd<'_>) -> Result<(), Error> {
    use rustix::event::epoll::{CreateFlags, EventData, EventFlags, add, create};

    let epoll = create(CreateFlags::CLOEXEC).map_err(|errno| error(Call::Watch, errno))?;
    match add(&epoll, descriptor, EventData::new_u64(0), EventFlags::IN) {
        Err(Errno::PERM) => Err(refused(Call::Watch)),
        other => other.map_err(|errno| error(Call::Watch, errno)),
    }
}

/// As above, where only the poller knows what else is like that.
#[cfg(not(target_os = "linux"))]
fn check(descriptor: BorrowedFd<'_>) -> Result<(), Error> {
    use rustix::fs::FileType;

    let mode = rustix::fs::fstat(descriptor).map_err(|errno| error(Call::Watch, errno))?.st_mode;
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile | FileType::Directory | FileType::BlockDevice => Err(refused(Call::Watch)),
        _ => Ok(()),
    }
}

pub(super) fn adopt(resource: Resource) -> Result<Source, Error> {
    let descriptor = resource.downcast::<OwnedFd>().map_err(|_| refused(Call::Watch))?;
    Ok(Source { descriptor, kind: Kind::Watched })
}

/// What of it would not wait now; all of it after an error or a hang-up, which every call tells.
pub(super) fn is_ready(source: &Source, asked: Interest) -> Interest {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, asked.readable);
    flags.set(PollFlags::OUT, asked.writable);
    let mut polled = [PollFd::new(&source.descriptor, flags)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let told = loop {
        match rustix::event::poll(&mut polled, Some(&now)) {
            Ok(_) => break polled[0].revents(),
            Err(Errno::INTR) => {}
            // Said once too often is harmless, kept silent it is lost.
            Err(_) => return asked,
        }
    };
    let over = told.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
    Interest {
        readable: asked.readable && (over || told.contains(PollFlags::IN)),
        writable: asked.writable && (over || told.contains(PollFlags::OUT)),
        hang_up: false,
    }
}

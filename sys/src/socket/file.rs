//! Files that are sent.

use super::Source;
use crate::error::{error, refused};
use plimsoll_core::driver::FileError;
use plimsoll_core::{Call, Error, Resource};
use rustix::fs::{FileType, SeekFrom};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::fs::File;

/// What is read at once where the kernel does not send by itself.
const BLOCK: usize = 64 * 1024;

/// A file on its way out.
#[derive(Debug)]
struct Outgoing {
    file: File,
    /// The kernel refused to send it by itself, or cannot.
    read: bool,
}

impl Outgoing {
    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        loop {
            match rustix::io::pread(&self.file, &mut *buf, offset) {
                Ok(n) => return Ok(n),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(error(Call::SendFile, errno)),
            }
        }
    }
}

/// A file to be sent, for the core to carry; `InvalidInput` if it is something that has no offsets: reading that might wait.
pub(crate) fn resource(file: File) -> Result<Resource, Error> {
    let mode = rustix::fs::fstat(&file).map_err(|errno| error(Call::SendFile, errno))?.st_mode;
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile | FileType::BlockDevice => {
            Ok(Resource::new(Outgoing { file, read: cfg!(not(any(target_os = "linux", target_os = "android"))) }))
        }
        _ => Err(refused(Call::SendFile)),
    }
}

/// Reads bytes of a file that something else sends.
pub(super) fn read(file: &mut Resource, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
    file.get_mut::<Outgoing>().ok_or(refused(Call::SendFile))?.read(offset, buf)
}

/// Sends bytes of a file. Whatever the kernel says against sending it by itself, it is read and sent from then on: that works with any file, and tells an error of
/// the file from one of the socket.
pub(super) fn send(
    source: &Source,
    file: &mut Resource,
    offset: u64,
    most: u64,
    block: &mut Vec<u8>,
) -> Result<Option<u64>, FileError> {
    let Some(outgoing) = file.get_mut::<Outgoing>() else { return Err(FileError::File(refused(Call::SendFile))) };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if !outgoing.read {
        match send_by_kernel(source, &outgoing.file, offset, most) {
            Ok(sent) => return Ok(sent),
            Err(_) => outgoing.read = true,
        }
    }
    block.resize(BLOCK, 0);
    let most = most.min(BLOCK);
    let read = outgoing.read(offset, &mut block[..most]).map_err(FileError::File)?;
    if read == 0 {
        return Ok(Some(0));
    }
    loop {
        match rustix::net::send(&source.descriptor, &block[..read], SendFlags::NOSIGNAL) {
            Ok(n) => return Ok(Some(n as u64)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(FileError::Socket(error(Call::Send, errno))),
        }
    }
}

/// There is no flag that keeps a broken pipe from being a signal here: Rust's programs ignore that signal from their start.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn send_by_kernel(source: &Source, file: &File, mut offset: u64, most: usize) -> Result<Option<u64>, Errno> {
    loop {
        match rustix::fs::sendfile(&source.descriptor, file, Some(&mut offset), most) {
            Ok(n) => return Ok(Some(n as u64)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
const fn send_by_kernel(_: &Source, _: &File, _: u64, _: usize) -> Result<Option<u64>, Errno> {
    Err(Errno::NOSYS)
}

/// Leaves the file, which others may share, where it was sent up to.
pub(super) fn finish(file: Resource, position: u64) {
    if let Ok(Outgoing { file, .. }) = file.downcast() {
        // A file that can be sent can be positioned.
        let _ = rustix::fs::seek(&file, SeekFrom::Start(position));
    }
}

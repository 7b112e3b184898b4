//! The files of Unix sockets.

use plimsoll_core::{Error, ErrorKind};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Binds to a path. A socket file that was left there is replaced, whether somebody listens on it or not, as asyncio does; what else is there
/// stays (contract LOOP-24). A symbolic link is not a socket.
pub(super) fn bind(path: &Path, mut bind: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    match bind() {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            // If it cannot be looked at or removed, the second attempt tells what is wrong with the address.
            if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
                let _ = fs::remove_file(path);
            }
            bind()
        }
        result => result,
    }
}

/// The file that a socket was bound to. Dropping it removes the file, if it is still the same one (contract LOOP-25).
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and number: another file of that path is somebody else's.
    identity: (u64, u64),
}

impl SocketFile {
    /// The file that was just made; none if it is gone already.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let identity = Self::identity(path)?;
        // The process may go to another directory.
        let path = std::path::absolute(path).ok()?;
        Some(Self { path, identity })
    }

    fn identity(path: &Path) -> Option<(u64, u64)> {
        let found = fs::symlink_metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if Self::identity(&self.path) == Some(self.identity) {
            // What cannot be removed is replaced by the next server.
            let _ = fs::remove_file(&self.path);
        }
    }
}

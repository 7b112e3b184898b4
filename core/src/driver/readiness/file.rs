//! Sending files.

use super::{BLOCKED, ReadinessDriver, ReadinessIo};
use crate::driver::{Drive, FileError};
use crate::key::Key;

/// The most of a file that one call sends: one that never blocks should not take long either.
const MOST: u64 = 1 << 20;

impl<S, Y: ReadinessIo> ReadinessDriver<S, Y> {
    /// Sends a piece of the file that is next; whether there may be more to send.
    #[cold]
    pub(super) fn send_file(&mut self, key: Key) -> bool {
        if self.engine.is_layered(key) {
            return self.encrypt_file(key);
        }
        let Some(conn) = self.conns.get_mut(key) else { return false };
        let Some((file, offset, left)) = self.engine.file(key) else { return false };
        match self.io.send_file(&mut conn.source, file, offset, left.min(MOST)) {
            Ok(Some(n)) => {
                self.engine.file_sent(key, n);
                return true;
            }
            // That there is room again is told.
            Ok(None) => conn.flags |= BLOCKED,
            Err(FileError::File(error)) => {
                self.engine.file_failed(key, error);
                return true;
            }
            Err(FileError::Socket(error)) => self.engine.send_failed(key, error),
        }
        false
    }
}

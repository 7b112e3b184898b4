//! Facts of files that are being sent, and the callback that they lead to.

use super::Engine;
use crate::endpoint::Stream;
use crate::error::Error;
use crate::flow::read_gate::Hold;
use crate::key::Key;
use crate::observer::Event;
use crate::open::Resource;

impl<S> Engine<S> {
    /// The file that a connection sends, the offset from which on, and the most that is left of it; for [`Wants::File`](crate::Wants::File). Answer with
    /// [`file_sent`](Self::file_sent) or [`file_failed`](Self::file_failed), or with [`send_failed`](Self::send_failed) if it was the socket's fault.
    pub fn file(&mut self, key: Key) -> Option<(&mut Resource, u64, u64)> {
        let file = self.hub.file_at(key)?;
        Some((file.file.as_mut()?, file.offset, file.left))
    }

    /// As [`file`](Self::file), for an operation that owns it until it comes back: [`return_file`](Self::return_file) before the answer.
    pub fn take_file(&mut self, key: Key) -> Option<(Resource, u64, u64)> {
        let file = self.hub.file_at(key)?;
        Some((file.file.take()?, file.offset, file.left))
    }

    /// Gives back what was taken.
    ///
    /// # Errors
    /// The file, if the connection is gone: set its position.
    pub fn return_file(&mut self, key: Key, resource: Resource) -> Result<(), Resource> {
        match self.hub.file_at(key) {
            Some(file) if file.file.is_none() => {
                file.file = Some(resource);
                Ok(())
            }
            _ => Err(resource),
        }
    }

    /// Whether it has been decided what is told of the file.
    pub(crate) fn is_file_over(&mut self, key: Key) -> bool {
        self.hub.file_at(key).is_some_and(|file| file.result.is_some())
    }

    /// As [`take_file`](Self::take_file), for a secure connection: what was encrypted of it has been sent.
    pub(crate) fn next_piece(&mut self, key: Key) -> Option<(Resource, u64, u64)> {
        let queued = core::mem::take(&mut self.hub.file_at(key)?.queued);
        if queued > 0 {
            self.file_sent(key, queued);
        }
        if self.is_file_over(key) { None } else { self.take_file(key) }
    }

    /// That piece of it was read, and is on its way. `false`: it is not, and the connection is lost.
    pub(crate) fn encrypt_piece(&mut self, key: Key, piece: &[u8]) -> bool {
        let taken = self.hub.write_file_layered(key, piece);
        if let Some(file) = self.hub.file_at(key).filter(|_| taken) {
            file.queued = piece.len() as u64;
        }
        taken
    }

    /// The kernel took so many bytes of the file; none: it has come to its end.
    pub fn file_sent(&mut self, key: Key, n: u64) {
        let Some(file) = self.hub.file_at(key) else { return };
        file.sent += n;
        file.offset += n;
        file.left -= n.min(file.left);
        let sent = file.sent;
        if file.result.is_some() {
            // The connection was lost while the operation was under way.
            let finish = file.finish();
            self.hub.ops.extend(finish);
        } else if n == 0 || file.left == 0 {
            self.file_over(key, Ok(sent));
        }
    }

    /// The file cannot be read; the connection is none the worse.
    pub fn file_failed(&mut self, key: Key, error: Error) {
        self.file_over(key, Err(error));
    }

    fn file_over(&mut self, key: Key, result: Result<u64, Error>) {
        // Told before the loss that may have waited for it.
        self.hub.finish_file(key, result);
        if let Some(stream) = self.hub.stream_at(key) {
            stream.transport.handle_file_sent();
            self.hub.touch(key);
        }
    }

    /// The turn in which that is told.
    pub(super) fn sendfile_done(&mut self, key: Key) {
        let Some(stream) = self.hub.stream_at(key) else { return };
        let Some(result) = stream.common.cold.as_mut().and_then(|cold| cold.file.take()).and_then(|file| file.result) else {
            return;
        };
        // What the peer sent meanwhile comes behind it.
        stream.transport.release_reading(Hold::File);
        self.hub.observe(key, &Event::SendfileDone(result));
        self.call::<Stream<S>, _>(key, |protocol, cx| protocol.sendfile_done(cx, result));
        self.hub.touch(key);
        self.hub.look_at(key);
    }
}

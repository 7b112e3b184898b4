//! Sending files.

use super::{Hub, Ready};
use crate::error::{Call, Error, ErrorKind};
use crate::key::{Key, StreamId};
use crate::observer::Event;
use crate::op::Op;
use crate::open::Resource;
use core::ops::{Bound, RangeBounds};

/// A file on its way out.
#[derive(Debug)]
pub(crate) struct Sendfile {
    /// None while an operation has it that is under way.
    pub(crate) file: Option<Resource>,
    /// Of the next byte.
    pub(crate) offset: u64,
    /// How many bytes are left of what was asked for; all that there are, if that is more.
    pub(crate) left: u64,
    pub(crate) sent: u64,
    /// Of a piece that was encrypted, and that the kernel has not taken whole.
    pub(crate) queued: u64,
    /// How it ended: to be told.
    pub(crate) result: Option<Result<u64, Error>>,
}

impl Sendfile {
    fn new(file: Resource, range: impl RangeBounds<u64>) -> Option<Self> {
        let offset = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before.checked_add(1)?,
            Bound::Unbounded => 0,
        };
        let left = match range.end_bound() {
            Bound::Included(&last) => last.checked_sub(offset)?.saturating_add(1),
            Bound::Excluded(&end) => end.checked_sub(offset)?,
            Bound::Unbounded => u64::MAX,
        };
        (left > 0).then_some(Self { file: Some(file), offset, left, sent: 0, queued: 0, result: None })
    }

    /// What is left to be done with the file, once it is over and the file is here.
    pub(crate) fn finish(&mut self) -> Option<Op> {
        let file = self.file.take()?;
        (self.sent > 0).then(|| Op::FinishFile(file, self.offset))
    }
}

impl<S> Hub<S> {
    /// Sends bytes of a file of the backend's, all or those of a range of offsets: behind everything queued, and before everything that is written
    /// when it is [over](crate::Protocol::sendfile_done). Meanwhile writes are refused as `Busy`, and nothing is received (contract LOOP-28, LOOP-29).
    ///
    /// `close` and `write_eof` wait for it, `abort` does not. It ends at the end of the file; a range behind that sends nothing. Afterwards the
    /// position of the file is behind the last byte that was sent, if one was.
    ///
    /// On a secure connection it is read and encrypted, a piece at a time, each when the kernel has taken the one before; what is read of it waits as what is
    /// written does, and counts in the size (contract TLS-15).
    ///
    /// # Errors
    /// `InvalidInput` for an empty range, `Closed` once closing or finished, `Busy` while another file is sent and during a handshake, `Unsupported` on a pipe.
    pub fn send_resource(&mut self, id: StreamId, file: Resource, range: impl RangeBounds<u64>) -> Result<(), Error> {
        let refused = |kind| Error::new(Call::SendFile, kind);
        let file = Sendfile::new(file, range).ok_or(refused(ErrorKind::InvalidInput))?;
        let stream = self.stream_mut(id).ok_or(refused(ErrorKind::Closed))?;
        if stream.layer().is_some_and(|layer| !layer.can_encrypt()) && !stream.transport.is_closing() {
            return Err(refused(ErrorKind::Busy));
        }
        stream.transport.send_file().map_err(refused)?;
        stream.common.cold().file = Some(file);
        self.observe(id.key, &Event::Sendfile);
        // Also from a callback of its own: whoever is called may not have had anything else to say.
        self.look_at(id.key);
        Ok(())
    }

    /// The file is not sent any more: that is told in a turn of its own.
    pub(crate) fn finish_file(&mut self, key: Key, result: Result<u64, Error>) {
        let Some(file) = self.file_at(key).filter(|file| file.result.is_none()) else { return };
        file.result = Some(result);
        let finish = file.finish();
        self.ops.extend(finish);
        self.ready.push_back(Ready::SendfileDone(key));
    }

    /// The connection is lost: a file that it still sends comes before that.
    #[inline]
    pub(crate) fn give_file_up(&mut self, key: Key) {
        if self.file_at(key).is_some() {
            let reason = self.stream_at(key).and_then(|stream| stream.transport.error());
            self.finish_file(key, Err(reason.unwrap_or(Error::new(Call::SendFile, ErrorKind::ConnectionAborted))));
        }
    }

    /// The file that a connection sends, which most never do.
    pub(crate) fn file_at(&mut self, key: Key) -> Option<&mut Sendfile> {
        self.stream_at(key)?.common.cold.as_mut()?.file.as_mut()
    }
}

//! What a backend supplies: a poller's words, and calls that never block.

use super::datagrams::Incoming;
use super::runs::IncomingRun;
use crate::addr::Ends;
use crate::driver::{FileError, Sockets};
use crate::engine::ReadResult;
use crate::error::{Call, Error, ErrorKind};
use crate::flow::datagrams::Outgoing;
use crate::key::Key;
use crate::open::{Attempt, Resource};
use crate::process::ExitStatus;
use bytes::BytesMut;

/// What a poller said of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "made by backends, field by field")]
pub struct Ready {
    /// A receive, or an accept, would not block.
    pub readable: bool,
    /// A send would not block, or a connect has come to its end.
    pub writable: bool,
    /// The peer has finished sending.
    pub read_closed: bool,
    /// Sending is over: the peer receives no more.
    pub write_closed: bool,
    /// An error waits to be fetched.
    pub error: bool,
}

/// What a level-triggered poller is to tell of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "a poller knows nothing else")]
pub struct Interest {
    /// That a receive would not block.
    pub readable: bool,
    /// That a send would not block.
    pub writable: bool,
    /// That the peer has gone, even if nothing else is wanted: of the writing end of a pipe.
    pub hang_up: bool,
}

/// How a poller tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a poller tells once or on and on")]
pub enum Trigger {
    /// Once, when something becomes possible: nothing ever has to be armed.
    Edge,
    /// As long as it is possible: what is not wanted now has to be disarmed.
    Level,
}

/// Calls that never block: `Ok(None)` says that they would have. An interrupted call is to be repeated inside, or told as that.
pub trait ReadinessIo: Sockets {
    /// How the poller tells.
    fn trigger(&self) -> Trigger;

    /// Receives into `buf`; `Some(0)` is the end.
    ///
    /// # Errors
    /// The system's: they end the connection.
    fn recv(&mut self, source: &mut Self::Source, buf: &mut [u8]) -> ReadResult;

    /// Sends the foremost bytes of `bufs`, at most [`MAX_PIECES`](crate::MAX_PIECES) slices; how many the kernel took.
    ///
    /// # Errors
    /// The system's: they end the connection.
    fn send(&mut self, source: &mut Self::Source, bufs: &[&[u8]]) -> ReadResult;

    /// Sends bytes of a file from `offset` on, at most `most` of them; how many, and zero at its end. The position of the file does not matter and does not
    /// change. A backend that sends no files leaves it as it is.
    ///
    /// # Errors
    /// The system's, and whose they are.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn send_file(
        &mut self,
        source: &mut Self::Source,
        file: &mut Resource,
        offset: u64,
        most: u64,
    ) -> Result<Option<u64>, FileError> {
        Err(FileError::File(Error::new(Call::SendFile, ErrorKind::Unsupported)))
    }

    /// As [`send`](Self::send), to the writing end of a pipe: apart, so that sockets need not be told from pipes at every message.
    ///
    /// # Errors
    /// As there.
    fn send_pipe(&mut self, source: &mut Self::Source, bufs: &[&[u8]]) -> ReadResult {
        self.send(source, bufs)
    }

    /// Finishes the sending half.
    ///
    /// # Errors
    /// The system's.
    fn shutdown_write(&mut self, source: &mut Self::Source) -> Result<(), Error>;

    /// Receives datagrams, one into each of `blocks` from the front, and puts down what came in the same place of `came`, which is as long; how many, at
    /// least one. Less than there is room for means that none is left. Asked of datagram sockets only, so a backend without them leaves it as it is.
    ///
    /// # Errors
    /// The system's.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn recv_from(&mut self, source: &mut Self::Source, blocks: &mut [BytesMut], came: &mut [Incoming]) -> ReadResult {
        Err(Error::new(Call::Receive, ErrorKind::Unsupported))
    }

    /// Whether datagrams of this socket may come together: then they are received by [`recv_runs`](Self::recv_runs). Asked of datagram sockets
    /// only, before each receive.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn receives_runs(&self, source: &Self::Source) -> bool {
        false
    }

    /// As [`recv_from`](Self::recv_from), several datagrams of one sender into each block, one behind the other, if they came like that.
    ///
    /// # Errors
    /// The system's.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn recv_runs(&mut self, source: &mut Self::Source, blocks: &mut [BytesMut], came: &mut [IncomingRun]) -> ReadResult {
        Err(Error::new(Call::Receive, ErrorKind::Unsupported))
    }

    /// Sends datagrams in order, at most [`BATCH`](super::BATCH) of them; how many were taken. `None`: none, and the poller will tell when to try again. Zero: none, and it will not. Likewise.
    ///
    /// # Errors
    /// The system's, which is the foremost datagram's.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn send_to<'a>(
        &mut self,
        source: &mut Self::Source,
        datagrams: impl ExactSizeIterator<Item = Outgoing<'a>> + Clone,
    ) -> ReadResult {
        Err(Error::new(Call::Send, ErrorKind::Unsupported))
    }

    /// Lets an edge-triggered poller tell that a datagram socket has room, or no more. It may be silent about that until it is first asked: the kernel says so after each
    /// datagram that has left, which would be an iteration for nothing. If there is room already, that is told. One that tells of everything leaves this as it is.
    ///
    /// # Errors
    /// The system's: the endpoint is lost.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn tell_room(&mut self, source: &Self::Source, key: Key, yes: bool) -> Result<(), Error> {
        Ok(())
    }

    /// Whether the reader at the other end of a write pipe has gone. Asked when the poller said so. A backend that takes no pipes over leaves
    /// it as it is.
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn is_hung_up(&mut self, source: &mut Self::Source) -> bool {
        false
    }

    /// Which of these a watched descriptor is ready for now; for both if it has an error or was hung up. Asked before its callbacks are called. A backend that
    /// watches no descriptors leaves it as it is.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn is_ready(&mut self, source: &mut Self::Source, asked: Interest) -> Interest {
        Interest::default()
    }

    /// Reaps a child if it has ended; `None`: it has not. Asked when its source is readable.
    ///
    /// # Errors
    /// The system's: how it ended will never be known.
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn wait_child(&mut self, child: &mut Self::Source) -> Result<Option<ExitStatus>, Error> {
        Err(Error::new(Call::Wait, ErrorKind::Unsupported))
    }

    /// Begins to connect; it is writable when that has come to its end.
    ///
    /// # Errors
    /// If it cannot even begin.
    fn connect(&mut self, to: &Attempt) -> Result<Self::Source, Error>;

    /// What has become of a connect; `None`: it is under way.
    ///
    /// # Errors
    /// Why it failed.
    fn connect_result(&mut self, source: &mut Self::Source) -> Result<Option<Ends>, Error>;

    /// Accepts a connection.
    ///
    /// # Errors
    /// Of one connection (`ConnectionAborted`, `PermissionDenied` …) or for lack of something, which lets accepting rest.
    fn accept(&mut self, source: &mut Self::Source) -> Result<Option<(Self::Source, Ends)>, Error>;

    /// Tells a level-triggered poller what to tell; nothing at all means: not even errors. Never called for an edge-triggered one.
    ///
    /// # Errors
    /// The system's.
    fn arm(&mut self, source: &Self::Source, key: Key, interest: Interest) -> Result<(), Error>;
}

//! What a backend supplies: operations that own their memory, and what they come back with.

use crate::addr::{Addr, Ends};
use crate::driver::{FileError, Sockets};
use crate::error::{Call, Error, ErrorKind};
use crate::flow::queue::InFlight;
use crate::key::Key;
use crate::open::{Attempt, Resource};
use crate::process::ExitStatus;
use bytes::{Bytes, BytesMut};

/// An operation that has come to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum Completion<Source> {
    /// A receive: the memory that it was given, and how much of it was filled (0: the end).
    Received(BytesMut, Result<usize, Error>),
    /// A send: how many bytes were taken, at least one.
    Sent(Result<usize, Error>),
    /// A send of a file from that offset on: the file, and how many bytes were taken, zero at its end.
    FileSent(Resource, u64, Result<u64, FileError>),
    /// A shutdown.
    ShutDown(Result<(), Error>),
    /// A connect.
    Connected(Result<Ends, Error>),
    /// An accept.
    Accepted(Result<(Source, Ends), Error>),
    /// The peer receives no more.
    HungUp,
    /// What is watched can be read without waiting.
    Readable,
    /// What is watched can be written without waiting.
    Writable,
    /// A receive of a datagram: the memory that it was given, how much of it was filled, and from whom.
    DatagramReceived(BytesMut, Result<(usize, Addr), Error>),
    /// A send of a datagram: it was taken, or refused.
    DatagramSent(Result<(), Error>),
    /// A child has ended, and was reaped; or how it ended will never be known.
    Exited(Result<ExitStatus, Error>),
}

/// Operations that own their memory: each is begun here and comes back as one [`Completion`] under the key that it was begun with, also when
/// its socket was closed meanwhile. At most one receive and one send (or shutdown) of a socket are under way at a time.
pub trait CompletionIo: Sockets {
    /// Receives into `memory`, at most its length.
    fn recv(&mut self, source: &mut Self::Source, key: Key, memory: BytesMut);

    /// Sends the foremost bytes.
    fn send(&mut self, source: &mut Self::Source, key: Key, bytes: InFlight);

    /// Sends bytes of a file from `offset` on, at most `most` of them. In the place of a send: none is under way meanwhile.
    ///
    /// # Errors
    /// The file, from a backend that sends none: nothing comes back.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn send_file(&mut self, source: &mut Self::Source, key: Key, file: Resource, offset: u64, most: u64) -> Result<(), Resource> {
        Err(file)
    }

    /// Finishes the sending half.
    fn shutdown_write(&mut self, source: &mut Self::Source, key: Key);

    /// Connects.
    ///
    /// # Errors
    /// If it cannot even begin; then nothing comes back.
    fn connect(&mut self, key: Key, to: &Attempt) -> Result<Self::Source, Error>;

    /// Accepts one connection.
    fn accept(&mut self, source: &mut Self::Source, key: Key);

    /// Receives one datagram into `memory`; what does not fit into its length is cut off. Begun for datagram sockets only, so a backend without them
    /// leaves it as it is.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn recv_from(&mut self, source: &mut Self::Source, key: Key, memory: BytesMut) {}

    /// Sends one datagram, to that address or to the peer that the socket is connected to. Likewise.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn send_to(&mut self, source: &mut Self::Source, key: Key, payload: Bytes, to: Option<Addr>) {}

    /// Waits until the peer receives no more: begun once for each writing end of a pipe. A backend that takes no pipes over leaves
    /// it as it is.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn watch_hang_up(&mut self, source: &mut Self::Source, key: Key) {}

    /// Waits until something that is watched without a transport can be read without waiting, at its end and after an error too; or until it can be written, if
    /// `writable`. Begun for a watch only, one of each at a time.
    ///
    /// # Errors
    /// From a backend that watches nothing: nothing comes back.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn poll(&mut self, source: &mut Self::Source, key: Key, writable: bool) -> Result<(), Error> {
        Err(Error::new(Call::Watch, ErrorKind::Unsupported))
    }

    /// Whether it still is: asked before its callback is called, since an earlier one may have undone it.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn is_ready(&mut self, source: &mut Self::Source, writable: bool) -> bool {
        true
    }

    /// Waits until a child has ended, and reaps it: begun once for each.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn wait_child(&mut self, child: &mut Self::Source, key: Key) {}
}

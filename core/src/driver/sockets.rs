//! What both kinds of backends do with sockets beside moving bytes.

use crate::addr::{Addr, Ends};
use crate::command::Command;
use crate::error::{Call, Error, ErrorKind};
use crate::key::{Key, QueryId};
use crate::name::Name;
use crate::op::Role;
use crate::open::{Datagram, Listen, Resource, SocketOption};
use alloc::vec::Vec;
use core::net::SocketAddr;

/// What both kinds of backends do with sockets beside moving bytes. None of it waits.
pub trait Sockets {
    /// A socket, owned. Dropping it closes it.
    type Source;

    /// Makes a socket and binds it, without listening yet; and the address that it got.
    ///
    /// # Errors
    /// The system's; `AddrNotAvailable` lets a server with other addresses skip this one.
    fn bind(&mut self, at: &Addr, listen: &Listen) -> Result<(Self::Source, Addr), Error>;

    /// Listens on a bound socket; a no-op if it does already.
    ///
    /// # Errors
    /// The system's.
    fn listen(&mut self, source: &mut Self::Source, backlog: u32) -> Result<(), Error>;

    /// Takes a socket over that the application made: a connected one, or one that is bound or listens; or an end of a pipe. It is made
    /// non-blocking.
    ///
    /// # Errors
    /// `InvalidInput` if it is something else (contract LOOP-3, LOOP-4, PIPE-5); it is closed then, as everywhere else (contract RUST-11).
    fn adopt(&mut self, resource: Resource, role: Role) -> Result<(Self::Source, Ends), Error>;

    /// Makes a datagram socket, bound and connected as it says ([`Datagram::connects`]), with its options; and its addresses. A backend without
    /// datagrams leaves it as it is.
    ///
    /// # Errors
    /// The system's.
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn open_datagram(&mut self, open: &Datagram) -> Result<(Self::Source, Ends), Error> {
        Err(Error::new(Call::Socket, ErrorKind::Unsupported))
    }

    /// Takes a datagram socket over that the application made. It is made non-blocking. A backend without datagrams leaves it as it is.
    ///
    /// # Errors
    /// `InvalidInput` if it is something else; it is closed then (contract LOOP-26, RUST-11).
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn adopt_datagram(&mut self, resource: Resource) -> Result<(Self::Source, Ends), Error> {
        Err(Error::new(Call::Adopt, ErrorKind::Unsupported))
    }

    /// Takes a descriptor over that is to be watched, and nothing else. A backend that cannot do that leaves it as it is.
    ///
    /// # Errors
    /// The system's; it is closed then (contract RUST-11).
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn watch(&mut self, resource: Resource) -> Result<Self::Source, Error> {
        Err(Error::new(Call::Watch, ErrorKind::Unsupported))
    }

    /// Sets an option.
    ///
    /// # Errors
    /// The system's.
    fn set_option(&mut self, source: &Self::Source, option: SocketOption) -> Result<(), Error>;

    /// Shows the socket to a visitor of the backend's own kind.
    fn visit(&mut self, source: &Self::Source, visitor: Resource);

    /// Reads bytes of a file from `offset` on, as many as `buf` has room for unless it ends before; how many, and zero at its end. The position of the file does
    /// not matter and does not change. For secure connections, on which the kernel cannot send it. A backend that sends no files leaves it as it is.
    ///
    /// # Errors
    /// The file's.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn read_file(&mut self, file: &mut Resource, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        Err(Error::new(Call::SendFile, ErrorKind::Unsupported))
    }

    /// A file is not sent any more: its position is to be there, behind the last byte that was (contract LOOP-28). A backend that sends no files leaves it as it is.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn finish_file(&mut self, file: Resource, position: u64) {}

    /// Prepares to be told about the socket under this key, and says how that will be.
    ///
    /// # Errors
    /// The system's.
    fn attach(&mut self, source: &mut Self::Source, key: Key) -> Result<Attached, Error>;

    /// From now on the socket is known under another key, which no other socket has, and nothing that is so already may be kept silent. By default it is
    /// attached anew.
    ///
    /// # Errors
    /// The system's. The socket is closed then.
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn rekey(&mut self, source: &mut Self::Source, from: Key, to: Key) -> Result<(), Error> {
        self.attach(source, to).map(drop)
    }

    /// Begins to look a name up, without waiting. The addresses, if they are known at once; otherwise [`Engine::resolved`](crate::Engine::resolved) is
    /// told later. Their ports do not matter.
    ///
    /// # Errors
    /// That it cannot; nothing comes later. A backend without a resolver says `Unsupported`.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn resolve(&mut self, query: QueryId, name: &Name) -> Result<Option<Vec<SocketAddr>>, Error> {
        Err(Error::new(Call::Resolve, ErrorKind::Unsupported))
    }

    /// Nobody waits for that answer any more; it may come all the same.
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn forget(&mut self, query: QueryId) {}

    /// Looks a name up and waits for the answer: for listening outside of callbacks.
    ///
    /// # Errors
    /// As for [`resolve`](Self::resolve).
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn resolve_now(&mut self, name: &Name) -> Result<Vec<SocketAddr>, Error> {
        Err(Error::new(Call::Resolve, ErrorKind::Unsupported))
    }

    /// Closes a socket that was never attached: a server did not come about.
    fn discard(&mut self, source: Self::Source) {
        drop(source);
    }

    /// Starts a child. Whatever the command carries is dropped here, also if that fails. A backend without processes leaves it as it is.
    ///
    /// # Errors
    /// The system's; then there is no child.
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn spawn(&mut self, command: Command) -> Result<Spawned<Self::Source>, Error> {
        Err(Error::new(Call::Spawn, ErrorKind::Unsupported))
    }

    /// Sends a signal to a child that has not been reaped; one that has ended already takes it too.
    ///
    /// # Errors
    /// The system's.
    #[allow(unused_variables, reason = "the names document the default body")]
    fn signal(&mut self, child: &mut Self::Source, signal: i32) -> Result<(), Error> {
        Err(Error::new(Call::Signal, ErrorKind::Unsupported))
    }

    /// Closes a socket that was attached, or the source of a child: one that has not ended is killed, and reaped when it has. A completion backend
    /// cancels what is in flight first, and drops the socket when the last
    /// of it has come back.
    fn close(&mut self, source: Self::Source, key: Key);
}

/// Why bytes of a file were not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a file is sent from one end to the other")]
pub enum FileError {
    /// The file cannot be read, or is none: the connection goes on.
    File(Error),
    /// The socket does not take them: the connection is lost.
    Socket(Error),
}

/// What is told of a source once it is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Attached {
    /// That it can be read or written. A receive that brings less than there was room for has emptied it.
    Stream,
    /// The same, but it is read piece by piece, as a terminal line by line: it is empty only when a receive would block.
    Pieces,
    /// Nothing: the kernel refuses to watch it, because its calls never block.
    AlwaysReady,
}

/// A child that was started: its id, the source that tells of its exit, and our ends of its pipes.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "made by backends, field by field")]
pub struct Spawned<Source> {
    /// Its process id.
    pub pid: u32,
    /// Tells when it has ended.
    pub child: Source,
    /// Of stdin, stdout and stderr, where they are piped.
    pub pipes: [Option<Source>; 3],
}

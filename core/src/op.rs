//! What the engine asks of its driver beside moving bytes.

use crate::command::Command;
use crate::key::{DatagramId, EndpointId, Key, ListenerId, ProcessId, QueryId, ServerId, StreamId, WatchId};
use crate::name::Name;
use crate::open::{Attempt, Datagram, Listen, Resource, SocketOption};
use alloc::boxed::Box;

/// On which side of its making an adopted connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Role {
    /// We connected it.
    Client,
    /// We accepted it.
    Accepted,
    /// It is not a connection: it listens.
    Listener,
    /// It is the reading end of a pipe, or of something that can be read like one.
    ReadPipe,
    /// It is the writing end of a pipe, or of something that can be written like one.
    WritePipe,
}

/// An operation for the driver to carry out: control, never data. In order, each exactly once.
#[derive(Debug)]
#[non_exhaustive]
pub enum Op {
    /// Begin to connect; the socket stands under this key, and [`Engine::connected`](crate::Engine::connected) is the answer. A connection that tries several
    /// addresses at once has several such sockets, one of them under its own key.
    Connect(Key, Attempt),
    /// The socket under this key is the connection: it stands under the connection's own key from now on. Answer with
    /// [`Engine::moved`](crate::Engine::moved).
    Move(Key, StreamId),
    /// Look a name up; answer with [`Engine::resolved`](crate::Engine::resolved), whenever that is.
    Resolve(QueryId, Name),
    /// Nobody waits for that answer any more.
    Forget(QueryId),
    /// Take a connected socket, or an end of a pipe, over; answer with [`Engine::adopted`](crate::Engine::adopted).
    Adopt(StreamId, Resource, Role),
    /// Open a datagram socket; answer with [`Engine::datagram_opened`](crate::Engine::datagram_opened).
    OpenDatagram(DatagramId, Datagram),
    /// Take a datagram socket over; answer likewise.
    AdoptDatagram(DatagramId, Resource),
    /// Bind a server's addresses; answer with [`Engine::bound`](crate::Engine::bound) for each, then [`Engine::listening`](crate::Engine::listening).
    Bind(ServerId, Listen),
    /// Take a listening socket over; answer likewise.
    AdoptListener(ServerId, Resource),
    /// Listen, and accept connections, or accept again after a rest; answer with [`Engine::accepted`](crate::Engine::accepted).
    Accept(ListenerId),
    /// Watch a descriptor; a failure goes to [`Engine::watch_failed`](crate::Engine::watch_failed).
    Watch(WatchId, Resource),
    /// Start a child; answer with [`Engine::spawned`](crate::Engine::spawned).
    Spawn(ProcessId, Box<Command>),
    /// Send a signal to a child; a failure goes to [`Engine::signal_failed`](crate::Engine::signal_failed).
    Signal(ProcessId, i32),
    /// Close the source under this key, whatever it is. If there is none any more, it was never made.
    Close(Key),
    /// Set an option of an endpoint's socket; a failure goes to [`Engine::option_failed`](crate::Engine::option_failed).
    SetOption(EndpointId, SocketOption),
    /// A file is not sent any more, as far as it was sent: its position is to be there (contract LOOP-28).
    FinishFile(Resource, u64),
    /// Show an endpoint's socket to a visitor.
    Visit(EndpointId, Resource),
}

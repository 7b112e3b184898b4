//! Verbs for what the core cannot name: descriptors.

use crate::socket::{PipeVisitor, Visitor, file};
use crate::view::{PipeView, SocketView};
use core::ops::RangeBounds;
use plimsoll_core::{
    Addr, Command, DatagramId, DatagramProtocol, EndpointId, Error, Hub, ListenError, Protocol, Resource, Role, ServerId, Stdio,
    StreamId,
};
use std::fs::File;
use std::os::fd::OwnedFd;

/// Verbs of a hub for sockets that the application made, and for a look at those that the loop made.
///
/// A socket is moved in: from then on the loop owns it, on every path (contract RUST-11). So no two connections can have the same one (contract
/// LOOP-33), unless it was duplicated before:
///
/// ```compile_fail,E0382
/// //= LOOP-33
/// use plimsoll_core::{Hub, Protocol};
/// use plimsoll_sys::HubExt;
///
/// fn twice<S>(hub: &mut Hub<S>, socket: std::net::TcpStream, one: impl Protocol<S> + 'static, other: impl Protocol<S> + 'static) {
///     hub.adopt_stream(socket, one);
///     hub.adopt_stream(socket, other);
/// }
/// ```
pub trait HubExt<S> {
    /// Makes a connection of a connected stream socket: `connection_made` follows, or `open_failed` with `InvalidInput` if it is something else
    /// (contract LOOP-3, LOOP-4). It is made non-blocking.
    fn adopt_stream(&mut self, socket: impl Into<OwnedFd>, protocol: impl Protocol<S> + 'static) -> StreamId;

    /// As [`adopt_stream`](Self::adopt_stream), for a connection that was accepted elsewhere; it belongs to no server (contract LOOP-12).
    fn connect_accepted(&mut self, socket: impl Into<OwnedFd>, protocol: impl Protocol<S> + 'static) -> StreamId;

    /// As [`Hub::listen`], on a TCP socket that is bound, or listens already.
    fn adopt_listener<P: Protocol<S> + 'static>(
        &mut self,
        socket: impl Into<OwnedFd>,
        make: impl FnMut(&mut S, Addr) -> P + 'static,
        done: impl FnOnce(&mut Hub<S>, &mut S, Result<ServerId, ListenError>) + 'static,
    ) -> ServerId;

    /// Makes a datagram endpoint of a datagram socket, connected or not: `connection_made` follows, or `open_failed` with `InvalidInput` if it is something
    /// else (contract LOOP-26). It is made non-blocking.
    fn adopt_datagram(&mut self, socket: impl Into<OwnedFd>, protocol: impl DatagramProtocol<S> + 'static) -> DatagramId;

    /// Reads from the end of a pipe, a FIFO, a socket or a character device such as a terminal: `connection_made`, data, end-of-file, lost (contract PIPE-1).
    /// End-of-file always closes it. `open_failed` with `InvalidInput` if it is anything else, or not open for reading (contract
    /// PIPE-5).
    ///
    /// It is made non-blocking. That holds for everybody who shares it: a standard input that came from a shell is the shell's too.
    fn connect_read_pipe(&mut self, end: impl Into<OwnedFd>, protocol: impl Protocol<S> + 'static) -> StreamId;

    /// Writes to the end of a pipe, a FIFO, a socket or a character device: `connection_made`, pauses and resumes, lost (contract PIPE-6). A reader that goes
    /// away ends it: without an error if nothing is queued, else with `BrokenPipe` (contract PIPE-7). Refused as
    /// [`connect_read_pipe`](Self::connect_read_pipe) does.
    ///
    /// The process must ignore `SIGPIPE`, as Rust's programs do unless told otherwise.
    fn connect_write_pipe(&mut self, end: impl Into<OwnedFd>, protocol: impl Protocol<S> + 'static) -> StreamId;

    /// Sends bytes of a file, all or those of a range of offsets, with the kernel's `sendfile` where it can: behind everything queued, and before
    /// everything that is written when it is [over](Protocol::sendfile_done). Meanwhile writes are refused as `Busy`, and nothing is received (contract
    /// LOOP-28, LOOP-29). A file that is not in memory may keep the loop waiting for its disk.
    ///
    /// Afterwards the file's position, which a [`File::try_clone`] shares, is behind the last byte that was sent. The process must ignore `SIGPIPE`, as Rust's
    /// programs do unless told otherwise.
    ///
    /// # Errors
    /// `InvalidInput` for an empty range and for what is no regular file, `Closed` once closing or finished, `Busy` while another file is sent,
    /// `Unsupported` on a pipe. The file is closed.
    fn sendfile(&mut self, id: StreamId, file: File, range: impl RangeBounds<u64>) -> Result<(), Error>;

    /// Shows the descriptor of a pipe to `look`, right after the callback that runs now; not at all if there is none (contract INFO-6).
    fn with_pipe(&mut self, id: StreamId, look: impl FnOnce(PipeView<'_>) + 'static);

    /// Shows the socket of a connection to `look`, right after the callback that runs now; not at all if there is none (contract INFO-4).
    fn with_socket(&mut self, id: impl Into<EndpointId>, look: impl FnOnce(SocketView<'_>) + 'static);
}

/// What a [`Command`] carries that the core cannot name: descriptors, moved in.
pub trait CommandExt {
    /// Its standard input is this.
    fn stdin_from(self, descriptor: impl Into<OwnedFd>) -> Self;

    /// Its standard output is this.
    fn stdout_to(self, descriptor: impl Into<OwnedFd>) -> Self;

    /// Its standard error output is this.
    fn stderr_to(self, descriptor: impl Into<OwnedFd>) -> Self;

    /// It has this too, under this number, 3 at least. All other descriptors of ours are closed in it.
    fn pass(self, number: i32, descriptor: impl Into<OwnedFd>) -> Self;
}

impl CommandExt for Command {
    fn stdin_from(self, descriptor: impl Into<OwnedFd>) -> Self {
        self.stdin(Stdio::Given(Resource::new(descriptor.into())))
    }

    fn stdout_to(self, descriptor: impl Into<OwnedFd>) -> Self {
        self.stdout(Stdio::Given(Resource::new(descriptor.into())))
    }

    fn stderr_to(self, descriptor: impl Into<OwnedFd>) -> Self {
        self.stderr(Stdio::Given(Resource::new(descriptor.into())))
    }

    fn pass(self, number: i32, descriptor: impl Into<OwnedFd>) -> Self {
        self.descriptor(number, Resource::new(descriptor.into()))
    }
}

impl<S> HubExt<S> for Hub<S> {
    fn adopt_stream(&mut self, socket: impl Into<OwnedFd>, protocol: impl Protocol<S> + 'static) -> StreamId {
        self.adopt(Resource::new(socket.into()), Role::Client, protocol)
    }

    fn connect_accepted(&mut self, socket: impl Into<OwnedFd>, protocol: impl Protocol<S> + 'static) -> StreamId {
        self.adopt(Resource::new(socket.into()), Role::Accepted, protocol)
    }

    fn adopt_listener<P: Protocol<S> + 'static>(
        &mut self,
        socket: impl Into<OwnedFd>,
        mut make: impl FnMut(&mut S, Addr) -> P + 'static,
        done: impl FnOnce(&mut Self, &mut S, Result<ServerId, ListenError>) + 'static,
    ) -> ServerId {
        let make = move |state: &mut S, peer| Some(Box::new(make(state, peer)) as Box<dyn Protocol<S>>);
        self.listen_on(Resource::new(socket.into()), make, done)
    }

    fn adopt_datagram(&mut self, socket: impl Into<OwnedFd>, protocol: impl DatagramProtocol<S> + 'static) -> DatagramId {
        self.adopt_datagram_socket(Resource::new(socket.into()), protocol)
    }

    fn connect_read_pipe(&mut self, end: impl Into<OwnedFd>, protocol: impl Protocol<S> + 'static) -> StreamId {
        self.adopt(Resource::new(end.into()), Role::ReadPipe, protocol)
    }

    fn connect_write_pipe(&mut self, end: impl Into<OwnedFd>, protocol: impl Protocol<S> + 'static) -> StreamId {
        self.adopt(Resource::new(end.into()), Role::WritePipe, protocol)
    }

    fn sendfile(&mut self, id: StreamId, file: File, range: impl RangeBounds<u64>) -> Result<(), Error> {
        self.send_resource(id, file::resource(file)?, range)
    }

    fn with_pipe(&mut self, id: StreamId, look: impl FnOnce(PipeView<'_>) + 'static) {
        self.visit(id, Resource::new(PipeVisitor(Box::new(look))));
    }

    fn with_socket(&mut self, id: impl Into<EndpointId>, look: impl FnOnce(SocketView<'_>) + 'static) {
        self.visit(id, Resource::new(Visitor(Box::new(look))));
    }
}

//! Verbs for what the core cannot name: descriptors.

use crate::signal;
use crate::socket::{PipeVisitor, ProcessVisitor, Visitor, file, watch};
use crate::view::{PipeView, ProcessView, SocketView};
use core::ops::RangeBounds;
use plimsoll_core::{
    Addr, Command, DatagramId, DatagramProtocol, EndpointId, Error, Hub, ListenError, ProcessId, Protocol, Resource, Role,
    ServerId, Stdio, StreamId, WatchId,
};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

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
    /// LOOP-28, LOOP-29). A file that is not in memory may keep the loop waiting for its disk. On a secure connection the file is read and encrypted piece by
    /// piece, in constant memory.
    ///
    /// Afterwards the file's position, which a [`File::try_clone`] shares, is behind the last byte that was sent. The process must ignore `SIGPIPE`, as Rust's
    /// programs do unless told otherwise.
    ///
    /// # Errors
    /// `InvalidInput` for an empty range and for what is no regular file, `Closed` once closing or finished, `Busy` while another file is sent and during
    /// a handshake, `Unsupported` on a pipe. The file is closed.
    fn sendfile(&mut self, id: StreamId, file: File, range: impl RangeBounds<u64>) -> Result<(), Error>;

    /// Shows the descriptor of a pipe to `look`, right after the callback that runs now; not at all if there is none (contract INFO-6).
    fn with_pipe(&mut self, id: StreamId, look: impl FnOnce(PipeView<'_>) + 'static);

    /// Shows a child process to `look`, right after the callback that runs now; not at all before `connection_made`, and once it was reaped (contract
    /// INFO-6).
    fn with_process(&mut self, id: ProcessId, look: impl FnOnce(ProcessView<'_>) + 'static);

    /// Shows the socket of a connection or a datagram endpoint to `look`, right after the callback that runs now; not at all if there is none: a pipe has
    /// [its own view](Self::with_pipe) (contract INFO-4).
    fn with_socket(&mut self, id: impl Into<EndpointId>, look: impl FnOnce(SocketView<'_>) + 'static);

    /// Watches a descriptor that no transport has: that of a library with sockets of its own, of inotify, a timer. [`Hub::add_reader`] and
    /// [`Hub::add_writer`] say what is called, on and on for as long as it is ready; [`Hub::unwatch`] ends it.
    ///
    /// The loop watches a duplicate, which it closes when the watch ends. The descriptor itself stays with the application, to make the calls with. They
    /// share what they refer to, so a peer sees the end of a connection when both are closed; nothing of it is changed, and whether calls may wait
    /// is the application's to say. Each watch is one of its own, also of the same descriptor.
    ///
    /// ```
    /// use plimsoll_core::{Error, Hub};
    /// use plimsoll_sys::HubExt;
    /// use std::net::UdpSocket;
    ///
    /// fn count_datagrams(hub: &mut Hub<usize>, socket: UdpSocket) -> Result<(), Error> {
    ///     let watch = hub.watch(&socket)?;
    ///     hub.add_reader(watch, move |hub, count| {
    ///         if socket.recv(&mut [0; 2048]).is_ok() {
    ///             *count += 1;
    ///         } else {
    ///             hub.unwatch(watch);
    ///         }
    ///     })
    /// }
    /// ```
    ///
    /// What a transport has cannot be watched: nothing gives it away (contract LOOP-33).
    ///
    /// ```compile_fail,E0277
    /// //= LOOP-33
    /// use plimsoll_core::Hub;
    /// use plimsoll_sys::{HubExt, SocketView};
    ///
    /// fn of_a_transport(hub: &mut Hub<()>, socket: SocketView<'_>) {
    ///     let _ = hub.watch(socket);
    /// }
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` if it is a file, a directory, or something else that is always ready; the system's, if it cannot be duplicated. What the poller
    /// says later is a [`Report::WatchFailed`](plimsoll_core::Report::WatchFailed).
    fn watch(&mut self, descriptor: impl AsFd) -> Result<WatchId, Error>;

    /// Calls `f` in the loop when the process gets this signal, in place of what it did before; a callback that was there is replaced. Signals of one number
    /// that come before it is called are one call. Several loops may handle the same signal: each is told.
    ///
    /// A callback that panics is removed, and that is reported (contract RUST-8). A handler that was there before in C is still called, and so is whatever
    /// else signal-hook was told to do.
    ///
    /// # Errors
    /// `InvalidInput` for what is no signal, for real-time signals, and for those that cannot be handled, or not like this: `SIGKILL`, `SIGSTOP`, `SIGILL`,
    /// `SIGFPE` and `SIGSEGV`. The system's, if there are no descriptors for it.
    fn on_signal(&mut self, signal: i32, f: impl FnMut(&mut Self, &mut S) + 'static) -> Result<(), Error>;

    /// The callback for that signal is not called any more; whether there was one. When no loop of the process handles the signal, it does again what it does by
    /// default, whatever it did before the first callback: most signals end the process. The end of a loop removes its callbacks.
    fn remove_signal(&mut self, signal: i32) -> bool;
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
        if self.is_pipe(id) {
            self.visit(id, Resource::new(PipeVisitor(Box::new(look))));
        }
    }

    fn with_process(&mut self, id: ProcessId, look: impl FnOnce(ProcessView<'_>) + 'static) {
        if let Some(pid) = self.pid(id) {
            self.visit(id, Resource::new(ProcessVisitor(pid, Box::new(look))));
        }
    }

    fn with_socket(&mut self, id: impl Into<EndpointId>, look: impl FnOnce(SocketView<'_>) + 'static) {
        let id = id.into();
        if has_socket(self, id) {
            self.visit(id, Resource::new(Visitor(Box::new(look))));
        }
    }

    fn watch(&mut self, descriptor: impl AsFd) -> Result<WatchId, Error> {
        Ok(self.watch_resource(watch::resource(descriptor)?))
    }

    fn on_signal(&mut self, signal: i32, f: impl FnMut(&mut Self, &mut S) + 'static) -> Result<(), Error> {
        signal::on_signal(self, signal, f)
    }

    fn remove_signal(&mut self, signal: i32) -> bool {
        signal::remove_signal(self, signal)
    }
}

/// Whether what an endpoint has is a socket to its users.
pub(crate) fn has_socket<S>(hub: &Hub<S>, id: EndpointId) -> bool {
    match id {
        EndpointId::Stream(id) => !hub.is_pipe(id),
        EndpointId::Datagram(_) => true,
        _ => false,
    }
}

//! What the application implements: the callbacks of a connection.

mod batch;

pub(crate) use batch::{Batch, Deliver};

use crate::addr::Addr;
use crate::context::Context;
use crate::error::Error;
use crate::flow::data::Data;
use crate::key::{DatagramId, ProcessId, TimerId};
use crate::open::OpenError;
use crate::process::{ExitStatus, PipeFd};
use crate::reason::CloseReason;
use alloc::boxed::Box;
use core::any::Any;
use core::num::NonZeroUsize;

/// Lets [`Hub::protocol`](crate::Hub::protocol) find the type behind a boxed protocol.
#[doc(hidden)]
#[allow(unnameable_types, reason = "nobody has to name it: it is implemented for everything")]
pub trait AsAny {
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<T: Any> AsAny for T {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// The callbacks of a stream connection, one object a connection.
///
/// Their order is fixed (contract 17.2): `connection_made` once, then any number of `data_received` and at most one `eof_received`, with
/// `pause_writing` and `resume_writing` strictly alternating anywhere between, then `connection_lost` once. Callbacks never run
/// inside a command: what a command makes due runs after the callback that gave it has returned. A callback may do anything to any
/// connection, also close, replace or abort its own.
///
/// `S` is the application's own state, lent to every callback as `cx.state`; protocols of libraries are written for any `S`.
///
/// ```
/// use plimsoll_core::{Context, Data, Protocol};
///
/// struct Echo;
///
/// impl<S> Protocol<S> for Echo {
///     fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
///         cx.write(data);
///     }
/// }
/// ```
#[allow(unused_variables, reason = "the names document the default bodies")]
pub trait Protocol<S>: AsAny {
    /// The connection is established: the first callback, once (contract LIFE-1). Reading begins after it has returned.
    fn connection_made(&mut self, cx: &mut Context<'_, S>) {}

    /// Bytes have come, at least one; where they are cut means nothing (contract READ-1).
    fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>);

    /// The peer has finished sending; at most once, after the last data. `true` keeps our sending half open, `false` closes the
    /// connection when all that is queued has been sent (contract EOF-1 to EOF-3).
    fn eof_received(&mut self, cx: &mut Context<'_, S>) -> bool {
        false
    }

    /// More is queued than the high mark allows: advice to stop writing (contract FLOW-6).
    fn pause_writing(&mut self, cx: &mut Context<'_, S>) {}

    /// The queue has come down to the low mark: write on (contract FLOW-7).
    fn resume_writing(&mut self, cx: &mut Context<'_, S>) {}

    /// A file that was given to [`Hub::send_resource`](crate::Hub::send_resource) is over: how many bytes were sent, or why not all of them were; once for each that was accepted, also
    /// before a `connection_lost` (contract LOOP-28, LOOP-29). An error of the file leaves the connection as it is.
    fn sendfile_done(&mut self, cx: &mut Context<'_, S>, result: Result<u64, Error>) {}

    /// The connection is secure: what [`Hub::start_tls`](crate::Hub::start_tls) began has come to a good end (contract TLS-18). What the peer sends comes from here on
    /// decrypted. A handshake that fails ends the connection, and `connection_lost` is told why.
    fn start_tls_done(&mut self, cx: &mut Context<'_, S>) {}

    /// A timer of [`Hub::set_timer`](crate::Hub::set_timer) is due. Timers belong to the protocol that set them: replacing the
    /// protocol and losing the connection cancel them.
    fn timer(&mut self, cx: &mut Context<'_, S>, timer: TimerId) {}

    /// The connection could not be opened; nothing else is ever called on this object. `cx.id` names nothing any more.
    fn open_failed(self: Box<Self>, cx: &mut Context<'_, S>, error: OpenError) {}

    /// The connection is lost: the last callback, once (contract LIFE-2). The socket is still open, and is closed directly afterwards.
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, S>, reason: CloseReason) {}

    /// Whether this protocol lends memory to receive into: asked once, when it is installed.
    #[doc(hidden)]
    fn lends_memory(&self) -> bool {
        false
    }

    #[doc(hidden)]
    fn lend_memory(&mut self, hint: Option<NonZeroUsize>) -> &mut [u8] {
        &mut []
    }

    #[doc(hidden)]
    fn memory_filled(&mut self, cx: &mut Context<'_, S>, n: usize) {}
}

/// The callbacks of a stream connection that receives into memory of its own; worn as [`Buffered`].
///
/// Each receive is a `get_buffer`, the read into that buffer, and `buffer_updated` with at least one byte; a `get_buffer` may be
/// followed by none if there was nothing to read (contract BUF-1). `get_buffer` gets no context: nothing can change between it and
/// its read (contract BUF-6).
///
/// ```compile_fail,E0050
/// //= BUF-6
/// use core::num::NonZeroUsize;
/// use plimsoll_core::{BufferedProtocol, Context};
///
/// struct Closes;
///
/// impl<S> BufferedProtocol<S> for Closes {
///     fn get_buffer(&mut self, cx: &mut Context<'_, S>, _hint: Option<NonZeroUsize>) -> &mut [u8] {
///         cx.close();
///         &mut []
///     }
///     fn buffer_updated(&mut self, _cx: &mut Context<'_, S>, _n: usize) {}
/// }
/// ```
///
/// ```
/// use core::num::NonZeroUsize;
/// use plimsoll_core::{BufferedProtocol, Context};
///
/// struct Header([u8; 8], usize);
///
/// impl<S> BufferedProtocol<S> for Header {
///     fn get_buffer(&mut self, _hint: Option<NonZeroUsize>) -> &mut [u8] {
///         &mut self.0[self.1..]
///     }
///     fn buffer_updated(&mut self, cx: &mut Context<'_, S>, n: usize) {
///         self.1 += n;
///         if self.1 == 8 {
///             cx.write(&self.0);
///             cx.close();
///         }
///     }
/// }
/// ```
#[allow(unused_variables, reason = "the names document the default bodies")]
pub trait BufferedProtocol<S>: AsAny {
    /// Memory to receive into, from its start; `hint` is a recommended size. Lending none is an error that ends the connection
    /// (contract BUF-2, BUF-3).
    fn get_buffer(&mut self, hint: Option<NonZeroUsize>) -> &mut [u8];

    /// The first `n` bytes of the memory last lent were received.
    fn buffer_updated(&mut self, cx: &mut Context<'_, S>, n: usize);

    /// As [`Protocol::connection_made`].
    fn connection_made(&mut self, cx: &mut Context<'_, S>) {}

    /// As [`Protocol::eof_received`].
    fn eof_received(&mut self, cx: &mut Context<'_, S>) -> bool {
        false
    }

    /// As [`Protocol::pause_writing`].
    fn pause_writing(&mut self, cx: &mut Context<'_, S>) {}

    /// As [`Protocol::resume_writing`].
    fn resume_writing(&mut self, cx: &mut Context<'_, S>) {}

    /// As [`Protocol::sendfile_done`].
    fn sendfile_done(&mut self, cx: &mut Context<'_, S>, result: Result<u64, Error>) {}

    /// As [`Protocol::start_tls_done`].
    fn start_tls_done(&mut self, cx: &mut Context<'_, S>) {}

    /// As [`Protocol::timer`].
    fn timer(&mut self, cx: &mut Context<'_, S>, timer: TimerId) {}

    /// As [`Protocol::open_failed`].
    fn open_failed(self: Box<Self>, cx: &mut Context<'_, S>, error: OpenError) {}

    /// As [`Protocol::connection_lost`].
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, S>, reason: CloseReason) {}
}

/// The callbacks of a datagram endpoint, one object an endpoint.
///
/// Their order is fixed (contract 17.4): `connection_made` once, then any number of `datagram_received` and `error_received`, with
/// `pause_writing` and `resume_writing` strictly alternating anywhere between, then `connection_lost` once. As everywhere, no callback runs
/// inside of a command.
///
/// ```
/// use plimsoll_core::{Addr, Context, Data, DatagramId, DatagramProtocol};
///
/// struct Echo;
///
/// impl<S> DatagramProtocol<S> for Echo {
///     fn datagram_received(&mut self, cx: &mut Context<'_, S, DatagramId>, data: Data<'_>, from: &Addr) {
///         cx.send_to(data, from);
///     }
/// }
/// ```
#[allow(unused_variables, reason = "the names document the default bodies")]
pub trait DatagramProtocol<S>: AsAny + Deliver<S> {
    /// The socket is there: the first callback, once. Receiving begins after it has returned.
    fn connection_made(&mut self, cx: &mut Context<'_, S, DatagramId>) {}

    /// A datagram has come, whole, from that address; it may be empty (contract DGRAM-2, DGRAM-3). One that is larger than 65 535 bytes, as
    /// Unix sockets allow, is cut to that (contract DGRAM-13).
    fn datagram_received(&mut self, cx: &mut Context<'_, S, DatagramId>, data: Data<'_>, from: &Addr);

    /// An earlier send or receive failed: nobody listens there, for example, or the datagram was too long. The endpoint stays as it is
    /// (contract DGRAM-7). At most one datagram was lost with it.
    fn error_received(&mut self, cx: &mut Context<'_, S, DatagramId>, error: Error) {}

    /// As [`Protocol::pause_writing`].
    fn pause_writing(&mut self, cx: &mut Context<'_, S, DatagramId>) {}

    /// As [`Protocol::resume_writing`].
    fn resume_writing(&mut self, cx: &mut Context<'_, S, DatagramId>) {}

    /// As [`Protocol::timer`].
    fn timer(&mut self, cx: &mut Context<'_, S, DatagramId>, timer: TimerId) {}

    /// As [`Protocol::open_failed`].
    fn open_failed(self: Box<Self>, cx: &mut Context<'_, S, DatagramId>, error: OpenError) {}

    /// As [`Protocol::connection_lost`]. There is an error only if a callback failed, or the descriptor itself (contract 17.4).
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, S, DatagramId>, reason: CloseReason) {}
}

/// The callbacks of a child process (contract 17.5).
///
/// `connection_made` is first and `connection_lost` last. Between them `process_exited` comes once and each pipe has its data and then its
/// `pipe_connection_lost`, in any order among each other: an exit does not wait for output that is still in a pipe, and a descendant that holds a pipe
/// delays that pipe's end and the loss (contract PROC-6, PROC-8).
///
/// ```
/// use plimsoll_core::{Context, Data, ExitStatus, PipeFd, ProcessId, SubprocessProtocol};
///
/// struct Lines(Vec<u8>);
///
/// impl SubprocessProtocol<Vec<String>> for Lines {
///     fn pipe_data_received(&mut self, _: &mut Context<'_, Vec<String>, ProcessId>, _: PipeFd, data: Data<'_>) {
///         self.0.extend_from_slice(&data);
///     }
///     fn process_exited(&mut self, cx: &mut Context<'_, Vec<String>, ProcessId>, status: ExitStatus) {
///         cx.state.push(status.to_string());
///     }
/// }
/// ```
#[allow(unused_variables, reason = "the names document the default bodies")]
pub trait SubprocessProtocol<S>: AsAny {
    /// The child is there: the first callback, once. What it has done meanwhile is told afterwards (contract PROC-2).
    fn connection_made(&mut self, cx: &mut Context<'_, S, ProcessId>) {}

    /// Bytes have come from its stdout or stderr, at least one, in order for each (contract PROC-4).
    fn pipe_data_received(&mut self, cx: &mut Context<'_, S, ProcessId>, fd: PipeFd, data: Data<'_>) {}

    /// A pipe is lost, after its last data; once for each that was made (contract PROC-5).
    fn pipe_connection_lost(&mut self, cx: &mut Context<'_, S, ProcessId>, fd: PipeFd, error: Option<Error>) {}

    /// The child has ended; once (contract PROC-6). There is no zombie any more.
    fn process_exited(&mut self, cx: &mut Context<'_, S, ProcessId>, status: ExitStatus) {}

    /// More is queued for its stdin than the high mark allows (contract FLOW-6, PROC-14).
    fn pause_writing(&mut self, cx: &mut Context<'_, S, ProcessId>) {}

    /// What is queued for its stdin has come down to the low mark (contract FLOW-7, PROC-14).
    fn resume_writing(&mut self, cx: &mut Context<'_, S, ProcessId>) {}

    /// As [`Protocol::timer`].
    fn timer(&mut self, cx: &mut Context<'_, S, ProcessId>, timer: TimerId) {}

    /// The child could not be started; nothing else is ever called on this object. `cx.id` names nothing any more.
    fn open_failed(self: Box<Self>, cx: &mut Context<'_, S, ProcessId>, error: OpenError) {}

    /// It has exited and every pipe is gone: the last callback, once (contract PROC-7).
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, S, ProcessId>, reason: CloseReason) {}
}

/// Wears a [`BufferedProtocol`] as a [`Protocol`], so that both kinds stand wherever a protocol is asked for (contract BUF-8).
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "a wrapper to be written and matched")]
pub struct Buffered<P>(pub P);

impl<S, P: BufferedProtocol<S> + 'static> Protocol<S> for Buffered<P> {
    fn connection_made(&mut self, cx: &mut Context<'_, S>) {
        self.0.connection_made(cx);
    }

    /// Never called by an engine, which asks for memory instead; copies, for whoever calls it by hand.
    fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
        let mut rest = &data[..];
        while !rest.is_empty() {
            let into = self.0.get_buffer(None);
            let n = into.len().min(rest.len());
            if n == 0 {
                cx.fail(Error::new(crate::Call::Callback, crate::ErrorKind::InvalidInput));
                return;
            }
            into[..n].copy_from_slice(&rest[..n]);
            rest = &rest[n..];
            self.0.buffer_updated(cx, n);
        }
    }

    fn eof_received(&mut self, cx: &mut Context<'_, S>) -> bool {
        self.0.eof_received(cx)
    }

    fn pause_writing(&mut self, cx: &mut Context<'_, S>) {
        self.0.pause_writing(cx);
    }

    fn resume_writing(&mut self, cx: &mut Context<'_, S>) {
        self.0.resume_writing(cx);
    }

    fn sendfile_done(&mut self, cx: &mut Context<'_, S>, result: Result<u64, Error>) {
        self.0.sendfile_done(cx, result);
    }

    fn start_tls_done(&mut self, cx: &mut Context<'_, S>) {
        self.0.start_tls_done(cx);
    }

    fn timer(&mut self, cx: &mut Context<'_, S>, timer: TimerId) {
        self.0.timer(cx, timer);
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, S>, error: OpenError) {
        Box::new(self.0).open_failed(cx, error);
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, S>, reason: CloseReason) {
        Box::new(self.0).connection_lost(cx, reason);
    }

    fn lends_memory(&self) -> bool {
        true
    }

    fn lend_memory(&mut self, hint: Option<NonZeroUsize>) -> &mut [u8] {
        self.0.get_buffer(hint)
    }

    fn memory_filled(&mut self, cx: &mut Context<'_, S>, n: usize) {
        self.0.buffer_updated(cx, n);
    }
}

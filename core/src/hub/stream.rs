//! Verbs of stream connections.

use super::{Hub, tls::write_layered};
use crate::endpoint::{About, Endpoint, LAYERED, Stream};
use crate::flow::data::WriteData;
use crate::flow::limits::WriteLimits;
use crate::flow::pool::BufPool;
use crate::key::{Key, StreamId};
use crate::observer::Event;
use crate::op::{Op, Role};
use crate::open::{Connect, Resource};
use crate::protocol::Protocol;
use crate::status::{Refusal, WriteStatus};
use crate::stream::StreamTransport;
use crate::tls::Tls;
use alloc::boxed::Box;

impl<S> Hub<S> {
    /// Opens a connection for `protocol`: `connection_made` follows, or `open_failed` (contract LIFE-6, LOOP-1).
    ///
    /// The id is good at once: bytes may be written, and are sent when the connection is there; closing or aborting it before then
    /// cancels the opening without any callback.
    ///
    /// Where to is always said, and a socket that there is already is [adopted](Self::adopt) instead: neither is both, or nothing.
    ///
    /// ```compile_fail,E0061
    /// //= LOOP-2
    /// use plimsoll_core::{Hub, Protocol};
    ///
    /// fn nowhere(hub: &mut Hub<()>, protocol: impl Protocol<()> + 'static) {
    ///     hub.connect(protocol);
    /// }
    /// ```
    ///
    /// ```compile_fail,E0061
    /// //= LOOP-2
    /// use plimsoll_core::{Connect, Hub, Protocol, Resource};
    ///
    /// fn both(hub: &mut Hub<()>, to: Connect, socket: Resource, protocol: impl Protocol<()> + 'static) {
    ///     hub.connect(to, socket, protocol);
    /// }
    /// ```
    pub fn connect(&mut self, to: impl Into<Connect>, protocol: impl Protocol<S> + 'static) -> StreamId {
        let to = to.into();
        let limits = if to.get_tls().is_some() { Tls::LIMITS } else { WriteLimits::DEFAULT };
        let id = self.open(StreamTransport::new(limits), Box::new(protocol));
        if self.stream(id).is_none() {
            return id;
        }
        let layer = to.get_tls().map(Tls::layer);
        if layer.is_none_or(|layer| self.open_with_layer(id.key, layer)) {
            self.begin_opening(id.key, to);
        }
        id
    }

    /// Takes over a connected socket of the backend's for `protocol` (contract LOOP-3, LOOP-4, LOOP-12), or an end of a pipe (contract
    /// PIPE-1, PIPE-6).
    pub fn adopt(&mut self, resource: Resource, role: Role, protocol: impl Protocol<S> + 'static) -> StreamId {
        let transport = match role {
            Role::Client | Role::Accepted | Role::Listener => StreamTransport::new(WriteLimits::DEFAULT),
            Role::ReadPipe => StreamTransport::read_pipe(),
            Role::WritePipe => StreamTransport::write_pipe(WriteLimits::DEFAULT),
        };
        let id = self.open(transport, Box::new(protocol));
        if self.stream(id).is_some() {
            self.ops.push_back(Op::Adopt(id, resource, role));
        }
        id
    }

    pub(super) fn open(&mut self, transport: StreamTransport, protocol: Box<dyn Protocol<S>>) -> StreamId {
        let key = self.insert(Endpoint::Stream(Stream::with(transport, Some(protocol))), About::default());
        // 2³² endpoints at once: there is no slot to name it by, so it fails like a connection that is already gone.
        self.stream_id(key.unwrap_or(Key::from_bits(0)))
    }

    /// Queues bytes; they are sent in order when the callback that runs now has returned, or as the peer takes them. Never blocks
    /// (contract WRITE-1, FLOW-12).
    #[inline]
    pub fn write(&mut self, id: StreamId, data: impl WriteData) -> WriteStatus {
        let empty = data.is_empty();
        let Some((stream, pool)) = self.checked(id) else { return WriteStatus::Discarded };
        let status = if stream.common.has(LAYERED) {
            let (status, failed) = write_layered(stream, pool, data.as_slice());
            if failed {
                self.look_at(id.key);
            }
            status
        } else {
            stream.transport.write(data, pool)
        };
        let unremarkable = status == WriteStatus::Accepted && self.is_current(id.key) && self.observer.is_none();
        if !unremarkable && !empty {
            self.wrote(id.key, status);
        }
        status
    }

    /// As [`write`](Self::write) for each piece in order, with nothing in between (contract WRITE-6). The answer is the last one.
    pub fn writelines<D: WriteData>(&mut self, id: StreamId, lines: impl IntoIterator<Item = D>) -> WriteStatus {
        let mut status = self.write(id, &[]);
        for line in lines {
            status = self.write(id, line);
        }
        status
    }

    /// Finishes our sending half behind everything queued; reading goes on (contract EOF-6). A no-op the second time, once closing and
    /// once lost (contract EOF-8). On a write pipe it is a graceful close, after which writes are refused (contract PIPE-9).
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] where [`can_write_eof`](Self::can_write_eof) is false: on a read pipe, and on a secure connection (contract TLS-6).
    pub fn write_eof(&mut self, id: StreamId) -> Result<(), Refusal> {
        let Some(stream) = self.stream_mut(id) else { return Ok(()) };
        let before = stream.transport.is_closing();
        stream.transport.write_eof()?;
        if stream.transport.is_closing() && !before {
            self.observe(id.key, &Event::Closing);
        }
        self.touch(id.key);
        Ok(())
    }

    /// Whether it has one direction only: it is an end of a pipe, or of what is used like one (contract PIPE-1, PIPE-6).
    #[must_use]
    pub fn is_pipe(&self, id: StreamId) -> bool {
        self.stream(id).is_some_and(|stream| stream.transport.can_read() != stream.transport.can_write())
    }

    /// Whether [`write_eof`](Self::write_eof) is supported (contract EOF-7).
    #[must_use]
    pub fn can_write_eof(&self, id: StreamId) -> bool {
        self.stream(id).is_some_and(|stream| stream.transport.can_write_eof())
    }

    #[inline]
    fn checked(&mut self, id: StreamId) -> Option<(&mut Stream<S>, &mut BufPool)> {
        if id.tag == self.tag { self.stream_and_pool(id.key) } else { None }
    }

    /// Hands a connection to another protocol, which gets every later callback but no `connection_made` (contract LIFE-14). The old one is
    /// given back, unless it is being called right now: then it is dropped when its callback has returned. On a lost connection
    /// nothing happens.
    pub fn set_protocol(&mut self, id: StreamId, protocol: impl Protocol<S> + 'static) -> Option<Box<dyn Protocol<S>>> {
        self.set_boxed_protocol(id, Box::new(protocol))
    }

    /// As [`set_protocol`](Self::set_protocol), for a protocol whose type is not known.
    pub fn set_boxed_protocol(&mut self, id: StreamId, protocol: Box<dyn Protocol<S>>) -> Option<Box<dyn Protocol<S>>> {
        if self.stream(id)?.transport.is_over() {
            return None;
        }
        self.cancel_timers_of(id.key);
        self.stream_mut(id)?.install(protocol)
    }
}

//! Verbs of stream connections.

use super::{Hub, Ready};
use crate::addr::Addr;
use crate::endpoint::{About, Endpoint, IN_DIRTY, LOSS_QUEUED, Stream};
use crate::error::{Call, Error, ErrorKind};
use crate::flow::data::WriteData;
use crate::flow::limits::WriteLimits;
use crate::key::{Key, StreamId};
use crate::observer::Event;
use crate::op::{Op, Role};
use crate::open::{Connect, OpenError, Resource, SocketOption};
use crate::protocol::{Buffered, Protocol};
use crate::report::Report;
use crate::status::{Refusal, WriteStatus};
use alloc::boxed::Box;
use alloc::rc::Rc;
use core::any::Any;

/// So many writes on a closing connection are discarded in silence; each further one is reported (contract WRITE-11).
const SILENT_WRITES: u8 = 4;

impl<S> Hub<S> {
    /// Opens a connection for `protocol`: `connection_made` follows, or `open_failed` (contract LIFE-6, LOOP-1).
    ///
    /// The id is good at once: bytes may be written, and are sent when the connection is there; closing or aborting it before then
    /// cancels the opening without any callback.
    pub fn connect(&mut self, to: impl Into<Connect>, protocol: impl Protocol<S> + 'static) -> StreamId {
        let to = to.into();
        self.open(Box::new(protocol), |id| Op::Connect(id, to))
    }

    /// Takes over a connected socket of the backend's for `protocol` (contract LOOP-3, LOOP-4, LOOP-12).
    pub fn adopt(&mut self, resource: Resource, role: Role, protocol: impl Protocol<S> + 'static) -> StreamId {
        self.open(Box::new(protocol), |id| Op::Adopt(id, resource, role))
    }

    fn open(&mut self, protocol: Box<dyn Protocol<S>>, op: impl FnOnce(StreamId) -> Op) -> StreamId {
        match self.insert(Endpoint::Stream(Stream::new(Some(protocol))), About::default()) {
            Some(key) => {
                let id = self.stream_id(key);
                self.ops.push_back(op(id));
                id
            }
            // 2³² endpoints at once: there is no slot to name it by, so it fails like a connection that is already gone.
            None => self.stream_id(Key::from_bits(0)),
        }
    }

    /// Queues bytes; they are sent in order when the callback that runs now has returned, or as the peer takes them. Never blocks
    /// (contract WRITE-1, FLOW-12).
    #[inline]
    pub fn write(&mut self, id: StreamId, data: impl WriteData) -> WriteStatus {
        let empty = data.is_empty();
        let Some((stream, pool)) = self.checked(id) else { return WriteStatus::Discarded };
        let status = stream.transport.write(data, pool);
        let unremarkable = status == WriteStatus::Accepted && self.current == Some(id.key) && self.observer.is_none();
        if !unremarkable && !empty {
            self.wrote(id.key, status);
        }
        status
    }

    fn wrote(&mut self, key: Key, status: WriteStatus) {
        match status {
            WriteStatus::Accepted => {
                self.touch_dirty(key);
                self.observe_size(key);
            }
            WriteStatus::Paused => {
                self.touch_dirty(key);
                self.observe_size(key);
                self.paused(key);
            }
            WriteStatus::Discarded => self.wrote_late(key),
            WriteStatus::Refused(_) => {}
        }
    }

    #[inline]
    fn observe_size(&mut self, key: Key) {
        if self.observer.is_some() {
            let size = self.stream_at(key).map_or(0, |stream| stream.transport.write_buffer_size());
            self.observe(key, &Event::Wrote { size });
        }
    }

    /// A write or other limits answered "paused": a pause may have become due, and readers that follow are held.
    #[cold]
    fn paused(&mut self, key: Key) {
        let promised = self.stream_at(key).is_some_and(|stream| stream.transport.is_pause_owed());
        if promised {
            self.observe(key, &Event::PausePromised);
        }
        self.touch_edges(key);
        self.hold_followers(key);
    }

    #[cold]
    fn wrote_late(&mut self, key: Key) {
        let Some(stream) = self.stream_at(key) else { return };
        let cold = stream.cold();
        cold.late_writes = cold.late_writes.saturating_add(1);
        if cold.late_writes > SILENT_WRITES {
            let id = self.stream_id(key);
            self.reports.push(Report::WriteDiscarded { id });
        }
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
    /// once lost (contract EOF-8).
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] where [`can_write_eof`](Self::can_write_eof) is false: on no endpoint of this version.
    pub fn write_eof(&mut self, id: StreamId) -> Result<(), Refusal> {
        if let Some(stream) = self.stream_mut(id) {
            stream.transport.write_eof();
            self.touch(id.key);
        }
        Ok(())
    }

    /// Whether [`write_eof`](Self::write_eof) is supported (contract EOF-7).
    #[must_use]
    pub fn can_write_eof(&self, id: StreamId) -> bool {
        self.stream(id).is_some()
    }

    /// Stops reading at once, lets the queue drain, then `connection_lost` follows without an error (contract CLOSE-1). There is no
    /// deadline: a peer that never reads keeps it waiting until [`abort`](Self::abort) (contract CLOSE-7).
    pub fn close(&mut self, id: StreamId) {
        let Some((stream, pool)) = self.checked(id) else { return };
        let before = stream.transport.is_closing();
        stream.transport.close(pool);
        if !before {
            if !stream.transport.is_over() {
                self.observe(id.key, &Event::Closing);
            }
            self.touch(id.key);
        }
    }

    /// Throws the queue away; `connection_lost` follows without an error (contract CLOSE-2).
    pub fn abort(&mut self, id: StreamId) {
        let Some((stream, pool)) = self.checked(id) else { return };
        let dropped = stream.transport.abort(pool);
        self.force_closed(id.key, dropped);
    }

    /// As [`abort`](Self::abort), but with `CallbackFailed` and `error` as the reason, and reported once: see
    /// [`Context::fail`](crate::Context::fail).
    pub fn fail(&mut self, id: StreamId, error: impl Into<Box<dyn core::error::Error>>) {
        let Some((stream, pool)) = self.checked(id) else { return };
        let error: Rc<dyn core::error::Error> = Rc::from(error.into());
        let first = !stream.transport.is_losing() && !stream.transport.is_over();
        let dropped = stream.transport.fail(pool);
        if first {
            stream.cold().failure = Some(error.clone());
        }
        self.reports.push(Report::CallbackFailed { id, error });
        self.force_closed(id.key, dropped);
    }

    /// A callback panicked: the connection is force-closed (contract RUST-8).
    pub(crate) fn fail_panicked(&mut self, key: Key) {
        if let Some((stream, pool)) = self.stream_and_pool(key) {
            let dropped = stream.transport.fail(pool);
            self.force_closed(key, dropped);
        }
    }

    /// The transport has just been force-closed, with so many bytes dropped.
    pub(crate) fn force_closed(&mut self, key: Key, dropped: usize) {
        let Some(stream) = self.stream_at(key) else { return };
        if stream.transport.is_losing() && !stream.has(LOSS_QUEUED) {
            self.observe(key, &Event::ForceClosed);
        }
        self.add_discarded(key, dropped);
        self.release_followers(key);
        self.touch(key);
    }

    #[inline]
    fn checked(&mut self, id: StreamId) -> Option<(&mut Stream<S>, &mut crate::flow::pool::BufPool)> {
        if id.tag == self.tag { self.stream_and_pool(id.key) } else { None }
    }

    /// Nothing is delivered to the protocol until [`resume_reading`](Self::resume_reading) (contract READ-5).
    pub fn pause_reading(&mut self, id: StreamId) {
        if self.stream_mut(id).is_some_and(|stream| stream.transport.pause_reading()) {
            self.observe(id.key, &Event::ReadingPaused);
        }
    }

    /// Undoes any number of pauses: what is in hand comes first, then what the peer sends (contract READ-6, READ-7).
    pub fn resume_reading(&mut self, id: StreamId) {
        if self.stream_mut(id).is_some_and(|stream| stream.transport.resume_reading()) {
            self.observe(id.key, &Event::ReadingResumed);
            self.look_at(id.key);
        }
    }

    /// Its reading may go on: whoever drives the loop has to look.
    pub(crate) fn look_at(&mut self, key: Key) {
        if let Some(stream) = self.stream_at(key) {
            if stream.set(IN_DIRTY) {
                self.dirty.push_back(key);
            }
        }
    }

    /// Other marks, held against the queue at once (contract FLOW-10, FLOW-11).
    pub fn set_write_buffer_limits(&mut self, id: StreamId, limits: WriteLimits) -> WriteStatus {
        let Some(stream) = self.stream_mut(id) else { return WriteStatus::Discarded };
        let status = stream.transport.set_write_buffer_limits(limits);
        self.observe(id.key, &Event::LimitsSet { low: limits.low(), high: limits.high() });
        match status {
            WriteStatus::Paused => self.paused(id.key),
            _ => self.touch_edges(id.key),
        }
        status
    }

    /// The marks; `None` once lost.
    #[must_use]
    pub fn write_buffer_limits(&self, id: StreamId) -> Option<WriteLimits> {
        self.stream(id).map(|stream| stream.transport.write_buffer_limits())
    }

    /// Bytes accepted that the kernel has not taken yet; 0 once lost (contract WRITE-12).
    #[must_use]
    pub fn write_buffer_size(&self, id: StreamId) -> usize {
        self.stream(id).map_or(0, |stream| stream.transport.write_buffer_size())
    }

    /// Whether the writer is paused, or about to be told so: the level beside the edges.
    #[must_use]
    pub fn is_writing_paused(&self, id: StreamId) -> bool {
        self.stream(id).is_some_and(|stream| stream.transport.is_writing_paused())
    }

    /// Whether data may still be delivered (contract READ-12).
    #[must_use]
    pub fn is_reading(&self, id: StreamId) -> bool {
        self.stream(id).is_some_and(|stream| stream.transport.is_reading())
    }

    /// Closing has begun, or the connection is lost (contract LIFE-16).
    #[must_use]
    pub fn is_closing(&self, id: StreamId) -> bool {
        self.stream(id).is_none_or(|stream| stream.transport.is_closing())
    }

    /// Our address, as captured when the connection was made; `None` before and once lost (contract INFO-2, INFO-3).
    #[must_use]
    pub fn local_addr(&self, id: StreamId) -> Option<Addr> {
        self.made(id)?.ends.local.clone()
    }

    /// The peer's address, as captured when the connection was made; `None` before and once lost (contract INFO-2, INFO-3).
    #[must_use]
    pub fn peer_addr(&self, id: StreamId) -> Option<Addr> {
        self.made(id)?.ends.peer.clone()
    }

    /// While a connection is being opened, its addresses are those that are tried.
    fn made(&self, id: StreamId) -> Option<&About> {
        self.stream(id).filter(|stream| stream.transport.is_made()).map(|_| self.about(id.key))
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

    /// The protocol of a connection, to look into or to talk to, through [`Buffered`] too (contract LIFE-15). `None` if it is of
    /// another type, lost, or the one that is being called right now: that one is `self`.
    pub fn protocol<P: Any>(&mut self, id: StreamId) -> Option<&mut P> {
        let protocol = self.stream_mut(id)?.protocol.as_mut()?;
        let any = (**protocol).as_any();
        if any.is::<P>() { any.downcast_mut() } else { any.downcast_mut::<Buffered<P>>().map(|buffered| &mut buffered.0) }
    }

    /// Sets an option of its socket, right after the callback that runs now; a failure is reported.
    pub fn set_option(&mut self, id: StreamId, option: SocketOption) {
        if self.stream(id).is_some() {
            self.ops.push_back(Op::SetOption(id, option));
        }
    }

    /// Shows its socket to a visitor of the backend's, right after the callback that runs now (contract INFO-4).
    pub fn visit(&mut self, id: StreamId, visitor: Resource) {
        if self.stream(id).is_some() {
            self.ops.push_back(Op::Visit(id, visitor));
        }
    }

    pub(crate) fn open_failed(&mut self, key: Key, addr: Option<Addr>, error: Error) {
        self.ready.push_back(Ready::OpenFailed(key, OpenError::new(addr, error)));
    }
}

/// The error of a connection whose protocol lent no memory (contract BUF-3).
pub(crate) const NO_MEMORY_LENT: Error = Error::new(Call::Callback, ErrorKind::InvalidInput);

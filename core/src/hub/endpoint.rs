//! Verbs of endpoints of every kind.

use super::Hub;
use crate::addr::Addr;
use crate::endpoint::{About, Endpoint, IN_DIRTY, LOSS_QUEUED};
use crate::error::{Call, Error, ErrorKind};
use crate::flow::limits::WriteLimits;
use crate::key::{EndpointId, Key};
use crate::observer::Event;
use crate::op::Op;
use crate::open::{Resource, SocketOption};
use crate::protocol::Buffered;
use crate::report::Report;
use crate::status::WriteStatus;
use alloc::boxed::Box;
use alloc::rc::Rc;
use core::any::Any;

/// So many writes on a closing connection are discarded in silence; each further one is reported (contract WRITE-11).
const SILENT_WRITES: u8 = 4;

impl<S> Hub<S> {
    /// Stops reading at once, lets the queue drain, then `connection_lost` follows without an error (contract CLOSE-1). There is no
    /// deadline: a peer that never reads keeps it waiting until [`abort`](Self::abort) (contract CLOSE-7).
    pub fn close(&mut self, id: impl Into<EndpointId>) {
        let id = id.into();
        let Some((machine, _, pool)) = self.checked_parts(id) else { return };
        let before = machine.is_closing();
        machine.close(pool);
        if !before {
            if !machine.is_over() {
                self.observe(id.key(), &Event::Closing);
            }
            self.touch(id.key());
        }
    }

    /// Throws the queue away; `connection_lost` follows without an error (contract CLOSE-2). A read pipe has no queue: there it is as good
    /// as [`close`](Self::close).
    pub fn abort(&mut self, id: impl Into<EndpointId>) {
        let id = id.into();
        let Some((machine, _, pool)) = self.checked_parts(id) else { return };
        let dropped = machine.abort(pool);
        self.force_closed(id.key(), dropped);
    }

    /// As [`abort`](Self::abort), but with `CallbackFailed` and `error` as the reason, and reported once: see
    /// [`Context::fail`](crate::Context::fail).
    pub fn fail(&mut self, id: impl Into<EndpointId>, error: impl Into<Box<dyn core::error::Error>>) {
        let id = id.into();
        let Some((machine, common, pool)) = self.checked_parts(id) else { return };
        let error: Rc<dyn core::error::Error> = Rc::from(error.into());
        let first = !machine.is_losing() && !machine.is_over();
        let dropped = machine.fail(pool);
        if first {
            common.cold().failure.get_or_insert_with(|| error.clone());
        }
        self.reports.push(Report::CallbackFailed { id, error });
        self.force_closed(id.key(), dropped);
    }

    /// A callback panicked: the connection is force-closed (contract RUST-8).
    pub(crate) fn fail_panicked(&mut self, key: Key) {
        if let Some((machine, _, pool)) = self.parts(key) {
            let dropped = machine.fail(pool);
            self.force_closed(key, dropped);
        }
    }

    /// The transport has just been force-closed, with so many bytes dropped.
    pub(crate) fn force_closed(&mut self, key: Key, dropped: usize) {
        let Some((machine, common, _)) = self.parts(key) else { return };
        if machine.is_losing() && !common.has(LOSS_QUEUED) {
            self.observe(key, &Event::ForceClosed);
        }
        self.add_discarded(key, dropped);
        self.release_followers(key);
        self.touch(key);
    }

    /// Nothing is delivered to the protocol until [`resume_reading`](Self::resume_reading) (contract READ-5).
    pub fn pause_reading(&mut self, id: impl Into<EndpointId>) {
        let id = id.into();
        if self.checked_parts(id).is_some_and(|(machine, ..)| machine.pause_reading()) {
            self.observe(id.key(), &Event::ReadingPaused);
        }
    }

    /// Undoes any number of pauses: what is in hand comes first, then what the peer sends (contract READ-6, READ-7).
    pub fn resume_reading(&mut self, id: impl Into<EndpointId>) {
        let id = id.into();
        if self.checked_parts(id).is_some_and(|(machine, ..)| machine.resume_reading()) {
            self.observe(id.key(), &Event::ReadingResumed);
            self.look_at(id.key());
        }
    }

    /// Its reading may go on: whoever drives the loop has to look.
    pub(crate) fn look_at(&mut self, key: Key) {
        if self.parts(key).is_some_and(|(_, common, _)| common.set(IN_DIRTY)) {
            self.dirty.push_back(key);
        }
    }

    /// Other marks, held against the queue at once (contract FLOW-10, FLOW-11); refused on a read pipe, which has no queue.
    pub fn set_write_buffer_limits(&mut self, id: impl Into<EndpointId>, limits: WriteLimits) -> WriteStatus {
        let id = id.into();
        let Some((machine, ..)) = self.checked_parts(id) else { return WriteStatus::Discarded };
        let status = machine.set_write_buffer_limits(limits);
        if matches!(status, WriteStatus::Refused(_)) {
            return status;
        }
        self.observe(id.key(), &Event::LimitsSet { low: limits.low(), high: limits.high() });
        match status {
            WriteStatus::Paused => self.paused(id.key()),
            _ => self.touch_edges(id.key()),
        }
        status
    }

    /// The marks; `None` once lost, and on a read pipe.
    #[must_use]
    pub fn write_buffer_limits(&self, id: impl Into<EndpointId>) -> Option<WriteLimits> {
        let id = id.into();
        match self.endpoints.get(id.key()) {
            Some(Endpoint::Stream(stream)) if !stream.transport.can_write() => None,
            _ => self.machine(id).map(|machine| machine.write_buffer_limits()),
        }
    }

    /// Bytes accepted that the kernel has not taken yet; 0 once lost (contract WRITE-12).
    #[must_use]
    pub fn write_buffer_size(&self, id: impl Into<EndpointId>) -> usize {
        let id = id.into();
        self.machine(id).map_or(0, |machine| self.answers.size_of(id.key()).unwrap_or_else(|| machine.write_buffer_size()))
    }

    /// Whether the writer is paused, or about to be told so: the level beside the edges.
    #[must_use]
    pub fn is_writing_paused(&self, id: impl Into<EndpointId>) -> bool {
        self.machine(id.into()).is_some_and(|machine| machine.is_writing_paused())
    }

    /// Whether data may still be delivered (contract READ-12).
    #[must_use]
    pub fn is_reading(&self, id: impl Into<EndpointId>) -> bool {
        self.machine(id.into()).is_some_and(|machine| machine.is_reading())
    }

    /// Closing has begun, or the connection is lost (contract LIFE-16).
    #[must_use]
    pub fn is_closing(&self, id: impl Into<EndpointId>) -> bool {
        self.machine(id.into()).is_none_or(|machine| machine.is_closing())
    }

    /// Our address, as captured when the connection was made; `None` before and once lost (contract INFO-2, INFO-3).
    #[must_use]
    pub fn local_addr(&self, id: impl Into<EndpointId>) -> Option<Addr> {
        self.made(id.into())?.ends.local.clone()
    }

    /// The peer's address, as captured when the connection was made; `None` before and once lost (contract INFO-2, INFO-3).
    ///
    /// What is not known is none here, as everywhere in what a transport tells of itself, and nobody can overlook that:
    ///
    /// ```compile_fail,E0308
    /// //= INFO-1
    /// use plimsoll_core::{Addr, Hub, StreamId};
    ///
    /// fn peer(hub: &Hub<()>, id: StreamId) -> Addr {
    ///     hub.peer_addr(id)
    /// }
    /// ```
    #[must_use]
    pub fn peer_addr(&self, id: impl Into<EndpointId>) -> Option<Addr> {
        self.made(id.into())?.ends.peer.clone()
    }

    /// While a connection is being opened, its addresses are those that are tried.
    fn made(&self, id: EndpointId) -> Option<&About> {
        self.machine(id).filter(|machine| machine.is_made()).map(|_| self.about(id.key()))
    }

    /// The protocol of a connection, to look into or to talk to, through [`Buffered`] too (contract LIFE-15). `None` if it is of
    /// another type, lost, or the one that is being called right now: that one is `self`.
    pub fn protocol<P: Any>(&mut self, id: impl Into<EndpointId>) -> Option<&mut P> {
        let any = self.endpoint_mut(id.into())?.protocol_as_any()?;
        if any.is::<P>() { any.downcast_mut() } else { any.downcast_mut::<Buffered<P>>().map(|buffered| &mut buffered.0) }
    }

    /// Sets an option of its socket, right after the callback that runs now; a failure is reported.
    pub fn set_option(&mut self, id: impl Into<EndpointId>, option: SocketOption) {
        let id = id.into();
        if self.machine(id).is_some() {
            self.ops.push_back(Op::SetOption(id, option));
        }
    }

    /// Shows its socket to a visitor of the backend's, right after the callback that runs now (contract INFO-4).
    pub fn visit(&mut self, id: impl Into<EndpointId>, visitor: Resource) {
        let id = id.into();
        if self.machine(id).is_some() {
            self.ops.push_back(Op::Visit(id, visitor));
        }
    }

    /// A write was answered so.
    pub(super) fn wrote(&mut self, key: Key, status: WriteStatus) {
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
            let size = self.parts(key).map_or(0, |(machine, ..)| machine.write_buffer_size());
            self.observe(key, &Event::Wrote { size });
        }
    }

    /// A write or other limits answered "paused": a pause may have become due, and readers that follow are held.
    #[cold]
    pub(crate) fn paused(&mut self, key: Key) {
        if self.parts(key).is_some_and(|(machine, ..)| machine.is_pause_owed()) {
            self.observe(key, &Event::PausePromised);
        }
        self.touch_edges(key);
        self.hold_followers(key);
    }

    #[cold]
    fn wrote_late(&mut self, key: Key) {
        let Some((_, common, _)) = self.parts(key) else { return };
        let cold = common.cold();
        cold.late_writes = cold.late_writes.saturating_add(1);
        if cold.late_writes > SILENT_WRITES {
            self.report_of(key, |id| Report::WriteDiscarded { id });
        }
    }
}

/// The error of a connection whose protocol lent no memory (contract BUF-3).
pub(crate) const NO_MEMORY_LENT: Error = Error::new(Call::Callback, ErrorKind::InvalidInput);

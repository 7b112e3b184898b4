//! What a callback gets.

use crate::addr::ToAddr;
use crate::error::Error;
use crate::flow::data::WriteData;
use crate::flow::limits::WriteLimits;
use crate::hub::Hub;
use crate::key::{DatagramId, EndpointId, ProcessId, StreamId, TimerId};
use crate::process::PipeFd;
use crate::protocol::{DatagramProtocol, Protocol, SubprocessProtocol};
use crate::status::{Refusal, WriteStatus};
use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

/// Who is called (`id`), what it may do (`hub`, to any connection, by id) and the application's own state (`state`).
///
/// The fields are public so that they can be borrowed apart: `for &id in &cx.state.members { cx.hub.write(id, line); }`. The methods are
/// the hub's, said of this connection.
#[non_exhaustive]
pub struct Context<'a, S, Id = StreamId> {
    /// The endpoint whose protocol is called.
    pub id: Id,
    /// Everything that can be done.
    pub hub: &'a mut Hub<S>,
    /// The application's state.
    pub state: &'a mut S,
}

impl<S> Context<'_, S, StreamId> {
    /// See [`Hub::write`].
    #[inline]
    pub fn write(&mut self, data: impl WriteData) -> WriteStatus {
        self.hub.write(self.id, data)
    }

    /// See [`Hub::writelines`].
    pub fn writelines<D: WriteData>(&mut self, lines: impl IntoIterator<Item = D>) -> WriteStatus {
        self.hub.writelines(self.id, lines)
    }

    /// See [`Hub::write_eof`].
    ///
    /// # Errors
    /// As there.
    pub fn write_eof(&mut self) -> Result<(), Refusal> {
        self.hub.write_eof(self.id)
    }

    /// Hands the connection to another protocol, which gets every later callback; this one is dropped when its callback has
    /// returned (contract LIFE-14).
    pub fn set_protocol(&mut self, protocol: impl Protocol<S> + 'static) {
        self.hub.set_protocol(self.id, protocol);
    }
}

impl<S> Context<'_, S, DatagramId> {
    /// See [`Hub::send`].
    #[inline]
    pub fn send(&mut self, data: impl WriteData) -> WriteStatus {
        self.hub.send(self.id, data)
    }

    /// See [`Hub::send_to`].
    #[inline]
    pub fn send_to(&mut self, data: impl WriteData, to: impl ToAddr) -> WriteStatus {
        self.hub.send_to(self.id, data, to)
    }

    /// Hands the endpoint to another protocol, which gets every later callback; this one is dropped when its callback has
    /// returned (contract LIFE-14).
    pub fn set_protocol(&mut self, protocol: impl DatagramProtocol<S> + 'static) {
        self.hub.set_datagram_protocol(self.id, protocol);
    }
}

impl<S> Context<'_, S, ProcessId> {
    /// See [`Hub::pid`].
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.hub.pid(self.id)
    }

    /// See [`Hub::returncode`].
    #[must_use]
    pub fn returncode(&self) -> Option<i32> {
        self.hub.returncode(self.id)
    }

    /// See [`Hub::pipe`].
    #[must_use]
    pub fn pipe(&self, fd: PipeFd) -> Option<StreamId> {
        self.hub.pipe(self.id, fd)
    }

    /// Hands the child to another protocol, which gets every later callback; this one is dropped when its callback has returned (contract LIFE-14).
    pub fn set_protocol(&mut self, protocol: impl SubprocessProtocol<S> + 'static) {
        self.hub.set_process_protocol(self.id, protocol);
    }

    /// See [`Hub::signal`].
    ///
    /// # Errors
    /// As there.
    pub fn signal(&mut self, signal: i32) -> Result<(), Error> {
        self.hub.signal(self.id, signal)
    }

    /// See [`Hub::terminate`].
    ///
    /// # Errors
    /// As there.
    pub fn terminate(&mut self) -> Result<(), Error> {
        self.hub.terminate(self.id)
    }

    /// See [`Hub::kill`].
    ///
    /// # Errors
    /// As there.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.hub.kill(self.id)
    }
}

impl<S, Id: Copy + Into<EndpointId>> Context<'_, S, Id> {
    /// See [`Hub::close`].
    pub fn close(&mut self) {
        self.hub.close(self.id);
    }

    /// See [`Hub::abort`].
    pub fn abort(&mut self) {
        self.hub.abort(self.id);
    }

    /// This protocol cannot go on, for example because of what the peer sent: the connection is force-closed and its
    /// `connection_lost` gets `CallbackFailed` with the error, which is also reported once (contract RUST-8).
    pub fn fail(&mut self, error: impl Into<Box<dyn core::error::Error>>) {
        self.hub.fail(self.id, error);
    }

    /// See [`Hub::pause_reading`].
    pub fn pause_reading(&mut self) {
        self.hub.pause_reading(self.id);
    }

    /// See [`Hub::resume_reading`].
    pub fn resume_reading(&mut self) {
        self.hub.resume_reading(self.id);
    }

    /// See [`Hub::set_write_buffer_limits`].
    pub fn set_write_buffer_limits(&mut self, limits: WriteLimits) -> WriteStatus {
        self.hub.set_write_buffer_limits(self.id, limits)
    }

    /// See [`Hub::set_timer`].
    pub fn set_timer(&mut self, after: Duration) -> Option<TimerId> {
        self.hub.set_timer(self.id, after)
    }
}

impl<S, Id: fmt::Debug> fmt::Debug for Context<'_, S, Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("id", &self.id).finish_non_exhaustive()
    }
}

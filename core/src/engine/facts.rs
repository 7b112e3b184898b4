//! Facts from the world, and the callbacks that they lead to.

use super::{Engine, MOST_EDGES};
use crate::addr::Ends;
use crate::endpoint::{IN_DUE, LAYERED, Stream};
use crate::error::{Error, ErrorKind};
use crate::flow::data::Data;
use crate::flow::pool::BufPool;
use crate::flow::read_gate::Hold;
use crate::flow::write_flow::Edge;
use crate::hub::{Hub, NO_MEMORY_LENT};
use crate::key::{EndpointId, Key, QueryId, StreamId};
use crate::kind::Callback;
use crate::observer::Event;
use crate::open::OpenError;
use crate::protocol::Protocol;
use crate::reason::Cause;
use crate::report::Report;
use crate::status::Wants;
use crate::tls::Fact;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::num::NonZeroUsize;
use core::time::Duration;

/// How long accepting rests when the system has run out of something (contract LOOP-23).
const ACCEPT_REST: Duration = Duration::from_secs(1);

/// What a read brought: nothing yet, so many bytes (0: the end), or an error.
pub type ReadResult = Result<Option<usize>, Error>;

impl<S> Engine<S> {
    // ---- openings ----

    /// What has become of an [`Op::Connect`](crate::Op::Connect). `false`: nobody waits for it any more, and the socket is closed by an
    /// [`Op::Close`](crate::Op::Close) that has come, or comes.
    pub fn connected(&mut self, place: Key, result: Result<Ends, Error>) -> bool {
        self.hub.attempt_ended(place, result)
    }

    /// Whether somebody waits for an [`Op::Connect`](crate::Op::Connect) to be carried out: it may have been given up meanwhile.
    #[must_use]
    pub fn wants_connect(&self, place: Key) -> bool {
        self.hub.is_attempt(place)
    }

    /// What has become of an [`Op::Move`](crate::Op::Move). If it could not be carried out, the socket is closed.
    pub fn moved(&mut self, id: StreamId, result: Result<(), Error>) {
        self.hub.attempt_moved(id, result);
    }

    /// What has become of an [`Op::Adopt`](crate::Op::Adopt). If nobody waits for it any more, nothing happens.
    pub fn adopted(&mut self, id: StreamId, result: Result<Ends, Error>) {
        if self.hub.stream(id).is_none() {
            return;
        }
        match result {
            Ok(ends) => self.hub.established(id.key, ends),
            Err(error) => self.hub.open_failed(id.key, OpenError::new(None, error)),
        }
    }

    /// The answer to an [`Op::Resolve`](crate::Op::Resolve): the addresses of the host, best first; their ports do not matter. Ignored if nobody waits for it any
    /// more. Say before [what time it is](Self::set_now).
    pub fn resolved(&mut self, query: QueryId, found: Result<Vec<SocketAddr>, Error>) {
        self.hub.resolved(query, found);
    }

    /// A listener accepted a connection. `None`: nobody serves there any more, close the socket.
    pub fn accepted(&mut self, listener: Key, ends: Ends) -> Option<Key> {
        self.hub.server_accepted(listener, ends)
    }

    /// An accepted connection could not be attached to the poller: nothing comes of it, and the server rests.
    pub fn accepted_in_vain(&mut self, listener: Key, key: Key, error: Error) {
        drop(self.hub.remove(key));
        self.accept_failed(listener, error);
    }

    /// Accepting failed, not for one connection but for lack of something: it rests for a second (contract LOOP-23).
    pub fn accept_failed(&mut self, listener: Key, error: Error) {
        self.hub.server_exhausted(listener, error, ACCEPT_REST);
    }

    /// An option could not be set.
    pub fn option_failed(&mut self, id: EndpointId, error: Error) {
        self.hub.reports.push(Report::OptionFailed { id, error });
    }

    // ---- receiving ----

    /// Bytes came for a protocol that lends no memory. Ignored if it does not want any now: look at
    /// [`wants_read`](Self::wants_read) first, and send what it has to send afterwards.
    #[inline]
    pub fn received(&mut self, key: Key, mut data: Data<'_>) {
        if self.is_layered(key) {
            self.lend_plain(key);
            return self.hub.layer_fact(key, Fact::Received(data.as_mut_slice()));
        }
        if let Some(protocol) = self.wanting(key).filter(|_| !data.is_empty()).and_then(|stream| stream.protocol.take()) {
            self.deliver(key, protocol, data);
        }
    }

    /// The connection, if it wants to be read now.
    #[inline]
    pub(crate) fn wanting(&mut self, key: Key) -> Option<&mut Stream<S>> {
        self.hub.stream_at(key).filter(|stream| stream.transport.wants_read())
    }

    /// Hands bytes to a protocol that was lifted out for them; the connection as it stands then.
    #[inline(always)]
    pub(crate) fn deliver(
        &mut self,
        key: Key,
        protocol: Box<dyn Protocol<S>>,
        data: Data<'_>,
    ) -> Option<(&mut Stream<S>, &mut BufPool)> {
        self.hub.observe(key, &Event::Data(&data));
        let ((), after) = self.call_lifted::<Stream<S>, _>(key, protocol, |protocol, cx| protocol.data_received(cx, data));
        after
    }

    /// Lends the protocol's own memory to a read and tells it of the bytes: one unit, with nothing in between (contract BUF-1).
    pub fn read_into(&mut self, key: Key, read: impl FnOnce(&mut [u8]) -> ReadResult) -> ReadResult {
        if self.is_layered(key) {
            return Ok(None);
        }
        self.lend(key, |_, memory| read(memory))
    }

    /// As [`read_into`](Self::read_into), whatever there is below.
    pub(super) fn lend(&mut self, key: Key, read: impl FnOnce(&mut Hub<S>, &mut [u8]) -> ReadResult) -> ReadResult {
        let hint = NonZeroUsize::new(self.hub.pool.block_size());
        let result = self.call::<Stream<S>, _>(key, |protocol, cx| {
            let memory = protocol.lend_memory(hint);
            cx.hub.observe(key, &Event::GetBuffer(memory.len()));
            if memory.is_empty() {
                cx.fail(NO_MEMORY_LENT);
                return Ok(None);
            }
            let result = read(cx.hub, memory);
            match result {
                Ok(Some(n)) if n > memory.len() => {
                    // A backend that says so has written where it must not, or lies; the protocol is not told either way.
                    cx.fail(NO_MEMORY_LENT);
                    Ok(None)
                }
                Ok(Some(n)) if n > 0 => {
                    cx.hub.observe(key, &Event::BufferUpdated(&memory[..n]));
                    protocol.memory_filled(cx, n);
                    result
                }
                _ => result,
            }
        });
        result.unwrap_or(Ok(None))
    }

    /// The peer has finished. It is told at once, or when reading is resumed.
    pub fn read_eof(&mut self, key: Key) {
        if self.ended_below(key, None) {
            return;
        }
        if let Some(stream) = self.hub.stream_at(key) {
            stream.transport.handle_eof();
        }
        self.deliver_eof(key);
    }

    /// Tells an end-of-file that is due.
    pub fn deliver_eof(&mut self, key: Key) {
        if !self.hub.stream_at(key).is_some_and(|stream| stream.transport.poll_eof()) {
            return;
        }
        self.hub.observe(key, &Event::Eof);
        let keep_open = self.call::<Stream<S>, _>(key, |protocol, cx| protocol.eof_received(cx)).unwrap_or(false);
        let Some(stream) = self.hub.stream_at(key) else { return };
        // A read pipe closes whatever the answer is (contract PIPE-2), unless its protocol failed.
        let pipe = !stream.transport.can_write();
        let layered = stream.common.has(LAYERED);
        let counts = if pipe { !stream.transport.is_losing() } else { !stream.transport.is_closing() };
        stream.transport.keep_open(keep_open);
        if counts {
            self.hub.observe(key, &Event::EofAnswered { keep_open: keep_open && !pipe && !layered });
            if keep_open && layered {
                self.hub.report_of(key, |id| Report::NoHalfClose { id });
            }
        }
        self.hub.touch(key);
    }

    /// Receiving failed: the connection is lost with that error (contract READ-13).
    pub fn read_failed(&mut self, key: Key, error: Error) {
        if self.ended_below(key, Some((Cause::ReadFailed, error))) {
            return;
        }
        if let Some((stream, pool)) = self.hub.stream_and_pool(key) {
            let dropped = stream.transport.handle_read_error(error, pool);
            self.hub.force_closed(key, dropped);
        }
    }

    // ---- sending ----

    /// The kernel took the foremost `n` bytes.
    #[inline]
    pub fn sent(&mut self, key: Key, n: usize) {
        let Some((stream, pool)) = self.hub.stream_and_pool(key) else { return };
        stream.transport.handle_sent(n, pool);
        self.after_sent(key);
    }

    /// What follows from bytes that were taken.
    pub(crate) fn after_sent(&mut self, key: Key) {
        let size = self.hub.stream_at(key).map_or(0, |stream| stream.transport.write_buffer_size());
        self.hub.observe(key, &Event::Sent { size });
        self.hub.touch_sent(key);
    }

    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.hub.observer.is_some()
    }

    /// Sending failed: the connection is lost with that error (contract WRITE-10).
    pub fn send_failed(&mut self, key: Key, error: Error) {
        if !self.is_made(key) && self.ended_below(key, Some((Cause::WriteFailed, error))) {
            return;
        }
        if self.failed_before(key) {
            return;
        }
        if let Some((stream, pool)) = self.hub.stream_and_pool(key) {
            let dropped = stream.transport.handle_write_error(error, pool);
            self.hub.force_closed(key, dropped);
        }
    }

    fn is_made(&mut self, key: Key) -> bool {
        self.hub.stream_at(key).is_some_and(|stream| stream.transport.is_made())
    }

    /// The reader at the other end of a write pipe has gone. Send what is queued first: that it cannot be sent says more (contract PIPE-7). Ignored before
    /// `connection_made`, and on anything but a write pipe.
    pub fn hung_up(&mut self, key: Key) {
        let Some((stream, pool)) = self.hub.stream_and_pool(key) else { return };
        let before = stream.transport.is_closing();
        let dropped = stream.transport.handle_hang_up(pool);
        if dropped > 0 {
            self.hub.force_closed(key, dropped);
        } else if stream.transport.is_closing() && !before {
            self.hub.observe(key, &Event::Closing);
            self.hub.touch(key);
        }
    }

    /// The kernel finished the sending half, or could not (contract EOF-12).
    pub fn shut_down(&mut self, key: Key, result: Result<(), Error>) {
        if let Some((stream, pool)) = self.hub.stream_and_pool(key) {
            let dropped = stream.transport.handle_shutdown(result, pool);
            let fatal = result.is_err_and(|error| error.kind() != ErrorKind::NotConnected);
            if stream.transport.is_losing() && fatal {
                self.hub.force_closed(key, dropped);
            } else {
                self.hub.touch(key);
            }
        }
    }

    /// Delivers one pause or resume that is due to an endpoint of [`next_due`](Self::next_due); if there is another one, it is put behind those
    /// that became due before (contract RUST-2).
    pub fn deliver_edge(&mut self, key: Key) {
        let round = self.hub.round;
        let Some((machine, common, _)) = self.hub.parts(key) else { return };
        // Not before: what was sent meanwhile must not take a second place in the list.
        common.flags &= !IN_DUE;
        if !machine.is_edge_due() {
            // It may have waited for this iteration, and a write has undone its resume since.
            if machine.release_reading(Hold::Edges) {
                self.hub.look_at(key);
            }
            return;
        }
        if common.edge_round != round {
            common.edge_round = round;
            common.edges = 0;
        }
        if common.edges == MOST_EDGES {
            machine.hold_reading(Hold::Edges);
            common.flags |= IN_DUE;
            self.hub.late.push_back(key);
            return;
        }
        common.edges += 1;
        let may_read = machine.release_reading(Hold::Edges);
        let edge = machine.poll_edge();
        if may_read {
            self.hub.look_at(key);
        }
        // The resume of a queue that has drained is due from here on, before anything that the callback makes due (contract RUST-4).
        self.hub.touch_edges(key);
        match edge {
            Some(Edge::Pause) => {
                self.hub.observe(key, &Event::PauseWriting);
                self.call_back(key, Callback::Pause);
            }
            Some(Edge::Resume) => {
                self.hub.observe(key, &Event::ResumeWriting);
                self.hub.release_followers(key);
                self.call_back(key, Callback::Resume);
            }
            None => {}
        }
        self.hub.touch(key);
    }

    /// Whether a connection has something to send: for drivers that look before they call.
    #[must_use]
    pub fn wants_send(&mut self, key: Key) -> Wants {
        self.hub.stream_at(key).map_or(Wants::Nothing, |stream| stream.transport.wants_send())
    }

    /// What a protocol failed with goes to it at the end.
    pub(crate) fn failure_of(&mut self, key: Key) -> (u64, Option<Rc<dyn core::error::Error>>) {
        match self.hub.parts(key).and_then(|(_, common, _)| common.cold.as_mut()) {
            Some(cold) => (cold.discarded, cold.failure.take()),
            None => (0, None),
        }
    }
}

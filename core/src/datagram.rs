//! The datagram transport: datagrams with their boundaries, and errors that are told and cost nothing but one of them.

use crate::addr::{Addr, AddrRef};
use crate::error::Error;
use crate::flow::data::WriteData;
use crate::flow::datagrams::{DatagramQueue, Outgoing};
use crate::flow::limits::WriteLimits;
use crate::flow::pool::BufPool;
use crate::flow::read_gate::Hold;
use crate::flow::write_flow::Edge;
use crate::life::{Life, Phase};
use crate::reason::{Cause, Ending};
use crate::status::{DatagramEvent, Refusal, WriteStatus};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};

/// To whom an endpoint may send (contract DGRAM-4 to DGRAM-6).
#[derive(Debug)]
enum Target {
    /// Not known before it is open: a socket of the application's.
    Unknown,
    /// To whom it says each time.
    Anyone,
    /// To one peer, who is named to the kernel each time (contract LOOP-27).
    Fixed(Addr),
    /// To one peer, whom the kernel knows.
    Connected(Addr),
}

impl Target {
    /// How the kernel is told to whom a datagram goes, if it may go there.
    #[inline(never)]
    fn remote<'a>(&'a self, to: Option<AddrRef<'a>>) -> Result<Option<AddrRef<'a>>, Refusal> {
        match (self, to) {
            (Self::Anyone, Some(to)) => Ok(Some(to)),
            (Self::Anyone | Self::Unknown, _) => Err(Refusal::NotConnected),
            (Self::Connected(remote) | Self::Fixed(remote), Some(to)) if to != remote.into() => Err(Refusal::AddressMismatch),
            (Self::Connected(_), _) => Ok(None),
            (Self::Fixed(remote), _) => Ok(Some(remote.into())),
        }
    }
}

/// One datagram endpoint without its socket: commands and facts in, events and wishes out.
///
/// It works as [`StreamTransport`](crate::StreamTransport) does, but what it queues are datagrams, and an error of the system's is an
/// event and not the end: it costs at most the one datagram that it concerns (contract DGRAM-7, DGRAM-8). While an error has not been told, nothing
/// else is sent or received in its direction, so that errors are bounded too.
///
/// ```
/// use plimsoll_core::{Addr, AddrRef, BufPool, DatagramEvent, DatagramTransport, Outgoing, Refusal, WriteLimits, WriteStatus};
///
/// let peer = Addr::from(core::net::SocketAddr::from(([127, 0, 0, 1], 7)));
/// let mut pool = BufPool::new();
/// let mut t = DatagramTransport::new(WriteLimits::DEFAULT);
/// t.handle_open(None);
/// assert!(matches!(t.poll_event(), Some(DatagramEvent::Made)));
/// assert_eq!(t.send(b"lost", None), WriteStatus::Refused(Refusal::NotConnected));
/// assert_eq!(t.send(b"hello", Some(peer.clone())), WriteStatus::Accepted);
/// assert_eq!(t.write_buffer_size(), 5 + 8);
/// let all: Vec<Outgoing<'_>> = t.outgoing(4).collect();
/// assert_eq!(all, [Outgoing { payload: b"hello", to: Some(AddrRef::from(&peer)) }]);
/// t.handle_sent(1, &mut pool);
/// assert_eq!(t.write_buffer_size(), 0);
/// ```
#[derive(Debug)]
pub struct DatagramTransport {
    queue: Box<DatagramQueue>,
    life: Life,
    target: Target,
    /// Received while it was not wanted, and delivered first.
    held: VecDeque<(BytesMut, Addr)>,
    send_error: Option<Error>,
    receive_error: Option<Error>,
    resting: bool,
}

impl DatagramTransport {
    /// An endpoint that is being opened, and has no remote address: every datagram says to whom.
    #[must_use]
    pub fn new(limits: WriteLimits) -> Self {
        Self::with(limits, Target::Anyone)
    }

    /// An endpoint that is being opened, and sends to one address only. Whether it is `connected`: else the kernel is told the address with each
    /// datagram, and lets others in (contract LOOP-27).
    #[must_use]
    pub fn with_remote(limits: WriteLimits, remote: Addr, connected: bool) -> Self {
        Self::with(limits, if connected { Target::Connected(remote) } else { Target::Fixed(remote) })
    }

    /// An endpoint made of a socket about which nothing is known before it is open; until then it refuses to send.
    #[must_use]
    pub fn adopted(limits: WriteLimits) -> Self {
        Self::with(limits, Target::Unknown)
    }

    fn with(limits: WriteLimits, target: Target) -> Self {
        Self {
            queue: Box::default(),
            life: Life::new(limits),
            target,
            held: VecDeque::new(),
            send_error: None,
            receive_error: None,
            resting: false,
        }
    }

    // ---- commands ----

    /// Queues a datagram behind all others, to that address or to the remote address of the endpoint (contract DGRAM-3 to DGRAM-6, DGRAM-10). Who it is
    /// for is checked before anything else.
    #[inline]
    pub fn send(&mut self, data: impl WriteData, to: Option<Addr>) -> WriteStatus {
        self.send_to(data, to.as_ref().map(AddrRef::from)).0
    }

    /// As [`send`](Self::send), to an address on loan; and whether nothing follows from it but a send: it was accepted, and no more is queued than the low
    /// mark.
    pub(crate) fn send_to(&mut self, data: impl WriteData, to: Option<AddrRef<'_>>) -> (WriteStatus, bool) {
        let to = match (&self.target, to) {
            (Target::Anyone, Some(to)) => Some(to),
            (target, to) => match target.remote(to) {
                Ok(to) => to,
                Err(refusal) => return (WriteStatus::Refused(refusal), false),
            },
        };
        if self.life.is_closing() {
            return (WriteStatus::Discarded, false);
        }
        self.queue.push(data, to);
        if self.has_little() && !self.is_writing_paused() {
            return (WriteStatus::Accepted, true);
        }
        (self.grew(), false)
    }

    /// Up to which size datagrams to internet addresses can be queued so that nothing follows from it but a send: the low mark, or none at all.
    pub(crate) fn ease(&self) -> usize {
        let easy = matches!(self.target, Target::Anyone) && !self.is_closing() && !self.is_writing_paused();
        if easy { self.write_buffer_limits().low() } else { 0 }
    }

    /// Lends the queue out for an empty one, or takes it back.
    pub(crate) const fn swap_queue(&mut self, other: &mut Box<DatagramQueue>) {
        core::mem::swap(&mut self.queue, other);
    }

    /// More than the low mark is queued, or was: perhaps it is time to pause.
    #[inline(never)]
    fn grew(&mut self) -> WriteStatus {
        if !self.has_little() {
            self.life.flow().wrote(self.queue.size());
        }
        self.status()
    }

    fn status(&self) -> WriteStatus {
        if self.is_writing_paused() { WriteStatus::Paused } else { WriteStatus::Accepted }
    }

    /// Receives no more, lets the queue drain, then the endpoint is lost without an error (contract DGRAM-8). While it is being opened it is given
    /// up without any event.
    pub fn close(&mut self, pool: &mut BufPool) {
        if self.life.phase() == Phase::Open {
            self.receive_error = None;
            self.held.clear();
            self.life.close(Cause::LocalClose, !self.queue.is_empty());
        } else if !self.is_closing() {
            self.abort(pool);
        }
    }

    /// Throws the queue away; the endpoint is lost without an error (contract DGRAM-9). How many accepted bytes were dropped.
    pub fn abort(&mut self, pool: &mut BufPool) -> usize {
        self.end(Cause::LocalAbort, None, pool)
    }

    /// A callback of the protocol failed: as [`abort`](Self::abort), with `CallbackFailed` as the error (contract RUST-8).
    pub fn fail(&mut self, pool: &mut BufPool) -> usize {
        if self.life.fail() { self.drop_queue(pool) } else { 0 }
    }

    fn end(&mut self, cause: Cause, error: Option<Error>, pool: &mut BufPool) -> usize {
        if self.life.end(cause, error) { self.drop_queue(pool) } else { 0 }
    }

    fn drop_queue(&mut self, pool: &mut BufPool) -> usize {
        let dropped = self.queue.payload();
        self.queue.advance(usize::MAX, pool);
        self.held.clear();
        self.send_error = None;
        self.receive_error = None;
        dropped
    }

    /// Nothing is delivered until [`resume_reading`](Self::resume_reading) (contract DGRAM-15); whether that is new.
    pub fn pause_reading(&mut self) -> bool {
        self.life.pause_reading()
    }

    /// Undoes any number of pauses; whether there was one.
    pub fn resume_reading(&mut self) -> bool {
        self.life.resume_reading()
    }

    /// Adds a reason not to read beside the application's own.
    pub fn hold_reading(&mut self, why: Hold) {
        self.life.gate().hold(why);
    }

    /// Takes such a reason away; whether that opened the gate.
    pub fn release_reading(&mut self, why: Hold) -> bool {
        self.life.release_reading(why)
    }

    /// Other marks, held against the queue at once (contract FLOW-10, FLOW-11).
    pub fn set_write_buffer_limits(&mut self, limits: WriteLimits) -> WriteStatus {
        let size = self.write_buffer_size();
        self.life.flow().set_limits(limits, size);
        self.status()
    }

    // ---- facts ----

    /// The socket is there. The peer that it is connected to counts for an [adopted](Self::adopted) one; others know already.
    pub fn handle_open(&mut self, peer: Option<Addr>) {
        if matches!(self.target, Target::Unknown) {
            self.target = peer.map_or(Target::Anyone, Target::Connected);
        }
        self.life.open();
    }

    /// The kernel took the foremost `n` datagrams.
    pub fn handle_sent(&mut self, n: usize, pool: &mut BufPool) {
        self.queue.advance(n, pool);
        if self.queue.is_empty() {
            self.life.flushed();
        }
    }

    /// A send would block, and nobody will say when it would not: nothing is sent until [`handle_rested`](Self::handle_rested).
    pub const fn handle_no_room(&mut self) {
        self.resting = true;
    }

    /// It may be tried again.
    pub const fn handle_rested(&mut self) {
        self.resting = false;
    }

    /// A datagram came that is not wanted now: it is kept, and the first to be delivered when reading goes on. Nothing is to be received before
    /// that, so it is for the caller to bound what is kept. Thrown away once closing.
    pub fn hold(&mut self, datagram: BytesMut, from: Addr) {
        if !self.is_closing() {
            self.held.push_back((datagram, from));
        }
    }

    /// Takes the first datagram that was kept, if one is welcome now.
    pub fn poll_held(&mut self) -> Option<(BytesMut, Addr)> {
        if self.wants_read() { self.held.pop_front() } else { None }
    }

    /// The kernel refused the foremost datagram, or says now what became of an earlier one: it is dropped, the error is to be told, and what is behind it
    /// is sent (contract DGRAM-7, DGRAM-8, DGRAM-14).
    pub fn handle_send_error(&mut self, error: Error, pool: &mut BufPool) {
        if self.life.sends() && !self.queue.is_empty() {
            self.send_error = Some(error);
            self.handle_sent(1, pool);
        }
    }

    /// Receiving failed: that is to be told (contract DGRAM-7). Nobody's business once closing, and before it is made.
    pub fn handle_receive_error(&mut self, error: Error) {
        if self.life.phase() == Phase::Open {
            self.receive_error = Some(error);
        }
    }

    /// The descriptor itself cannot be used any more, to be told of it for example: the endpoint is lost with that error (contract 17.4). How many
    /// accepted bytes were dropped.
    pub fn handle_failure(&mut self, error: Error, pool: &mut BufPool) -> usize {
        self.end(Cause::ReadFailed, Some(error), pool)
    }

    // ---- wishes ----

    /// Whether one should be received from the kernel now.
    #[inline]
    #[must_use]
    pub fn wants_receive(&self) -> bool {
        self.wants_read() && self.held.is_empty()
    }

    /// Whether a received datagram would be welcome now.
    #[inline]
    #[must_use]
    pub const fn wants_read(&self) -> bool {
        self.life.reading().is_open() && self.receive_error.is_none()
    }

    /// Whether the kernel should be given the foremost datagrams: [`outgoing`](Self::outgoing) or [`in_flight`](Self::in_flight).
    #[inline]
    #[must_use]
    pub fn wants_send(&self) -> bool {
        !self.queue.is_empty() && self.life.sends() && self.send_error.is_none() && !self.resting
    }

    pub(crate) fn has_to_send(&self) -> bool {
        self.wants_send()
    }

    pub(crate) const fn has_to_tell(&self) -> bool {
        self.is_error_due()
    }

    /// Lends the foremost datagrams to a send, at most so many.
    #[inline]
    pub fn outgoing(&self, most: usize) -> impl ExactSizeIterator<Item = Outgoing<'_>> + Clone {
        self.outgoing_from(most, &[])
    }

    /// As [`outgoing`](Self::outgoing), if some of them may still stand in these blocks.
    #[inline]
    pub(crate) fn outgoing_from<'a>(
        &'a self,
        most: usize,
        blocks: &'a [BytesMut],
    ) -> impl ExactSizeIterator<Item = Outgoing<'a>> + Clone {
        self.queue.outgoing(most, blocks)
    }

    /// The blocks are to be used for others.
    pub(crate) fn keep(&mut self, blocks: &[BytesMut], pool: &mut BufPool) {
        self.queue.keep(blocks, pool);
    }

    pub(crate) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Shares the foremost datagram with an operation that owns its memory.
    pub fn in_flight(&mut self) -> Option<(Bytes, Option<Addr>)> {
        self.queue.in_flight()
    }

    // ---- events ----

    /// What the protocol is to be told next; `None`: nothing for now. In this order: made, owed pauses and resumes, errors, lost.
    pub fn poll_event(&mut self) -> Option<DatagramEvent> {
        if self.poll_made() {
            return Some(DatagramEvent::Made);
        }
        match self.poll_edge() {
            Some(Edge::Pause) => return Some(DatagramEvent::PauseWriting),
            Some(Edge::Resume) => return Some(DatagramEvent::ResumeWriting),
            None => {}
        }
        if let Some(error) = self.poll_error() {
            return Some(DatagramEvent::Error(error));
        }
        self.poll_lost().map(DatagramEvent::Lost)
    }

    /// Takes the `connection_made` that is due. From then on the endpoint is open.
    pub fn poll_made(&mut self) -> bool {
        self.life.poll_made()
    }

    /// Takes the pause or resume that is due.
    #[inline]
    pub fn poll_edge(&mut self) -> Option<Edge> {
        self.life.poll_edge(self.write_buffer_size())
    }

    /// Whether a pause or resume is due.
    #[inline]
    #[must_use]
    pub fn is_edge_due(&self) -> bool {
        self.life.is_edge_due(self.write_buffer_size())
    }

    /// A pause was promised and has not been delivered yet.
    #[must_use]
    pub const fn is_pause_owed(&self) -> bool {
        self.life.writing().is_pause_owed()
    }

    /// Takes the error that is to be told.
    pub fn poll_error(&mut self) -> Option<Error> {
        self.receive_error.take().or_else(|| self.send_error.take())
    }

    /// Whether an error is to be told.
    #[must_use]
    pub const fn is_error_due(&self) -> bool {
        self.receive_error.is_some() || self.send_error.is_some()
    }

    /// Whether `connection_lost` is due, or something else that is owed is all that it waits for.
    #[inline]
    #[must_use]
    pub fn is_losing(&self) -> bool {
        self.life.is_losing()
    }

    /// Takes the `connection_lost` that is due; a pause, resume or error still owed comes first.
    pub fn poll_lost(&mut self) -> Option<Ending> {
        if self.is_error_due() { None } else { self.life.poll_lost(self.write_buffer_size()) }
    }

    // ---- questions ----

    /// The address that it sends to when none is given, and the only one that it sends to.
    #[must_use]
    pub const fn remote(&self) -> Option<&Addr> {
        match &self.target {
            Target::Connected(remote) | Target::Fixed(remote) => Some(remote),
            Target::Anyone | Target::Unknown => None,
        }
    }

    /// Closing has begun, or the endpoint is lost (contract LIFE-16).
    #[inline]
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.life.is_closing()
    }

    /// All is over, or the opening was given up: nothing will ever come of it again.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.life.is_over()
    }

    /// `connection_made` has been delivered.
    #[must_use]
    pub const fn is_made(&self) -> bool {
        self.life.is_made()
    }

    /// Whether datagrams may still be delivered (contract READ-12).
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.life.is_reading()
    }

    /// The writer is paused, or about to be told so: the level beside the edges.
    #[inline]
    #[must_use]
    pub const fn is_writing_paused(&self) -> bool {
        self.life.writing().is_paused()
    }

    /// What is queued: the payloads, and 8 bytes for each datagram; exactly zero when there is none (contract DGRAM-12).
    #[inline]
    #[must_use]
    pub fn write_buffer_size(&self) -> usize {
        self.queue.size()
    }

    /// Whether no more is queued than the low mark.
    #[inline]
    pub(crate) const fn has_little(&self) -> bool {
        self.queue.size() <= self.write_buffer_limits().low()
    }

    /// The marks.
    #[must_use]
    pub const fn write_buffer_limits(&self) -> WriteLimits {
        self.life.writing().limits()
    }
}

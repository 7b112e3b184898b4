//! The stream transport: one table of transitions for everything that carries bytes both ways.

use crate::error::{Call, Error, ErrorKind};
use crate::flow::data::WriteData;
use crate::flow::limits::WriteLimits;
use crate::flow::pool::BufPool;
use crate::flow::queue::{InFlight, SendQueue};
use crate::flow::read_gate::Hold;
use crate::flow::write_flow::Edge;
use crate::life::{Life, Phase};
use crate::reason::{Cause, Ending, Side};
use crate::status::{Refusal, StreamEvent, Wants, WriteStatus};
use alloc::boxed::Box;
use alloc::vec::Vec;

const WROTE_EOF: u8 = 1;
const FIN_SENT: u8 = 1 << 1;
const EOF_ASKED: u8 = 1 << 2;
/// Two bits say what it is; neither of them: a connection.
const KIND: u8 = NO_INPUT | NO_OUTPUT;
/// A write pipe: nothing is ever received.
const NO_INPUT: u8 = 1 << 3;
/// A read pipe: nothing is ever sent.
const NO_OUTPUT: u8 = 1 << 4;
/// A connection under a layer, which stands between the application and the queue: it alone writes, and says when there is nothing left to say.
const LAYERED: u8 = NO_INPUT | NO_OUTPUT;
/// Behind what is queued a file is to be sent.
const FILE: u8 = 1 << 5;

/// One stream connection without its socket: commands and facts in, events and wishes out.
///
/// It is [`ReadGate`](crate::ReadGate) + [`SendQueue`] + [`WriteFlow`](crate::WriteFlow) and a life. The methods are of four kinds:
///
/// - **commands** of the application: [`write`](Self::write), [`write_eof`](Self::write_eof), [`close`](Self::close), [`abort`](Self::abort),
///   [`pause_reading`](Self::pause_reading), [`resume_reading`](Self::resume_reading), [`set_write_buffer_limits`](Self::set_write_buffer_limits);
/// - **facts** from the world, `handle_*`;
/// - **wishes** to the world: [`wants_read`](Self::wants_read), [`wants_send`](Self::wants_send) with [`gather`](Self::gather) or
///   [`in_flight`](Self::in_flight);
/// - **events** for the protocol: [`poll_event`](Self::poll_event), to be drained after every command and fact.
///
/// Received bytes pass by it: whoever drives it reads while `wants_read()` and hands them on. Memory to queue in is lent by a
/// [`BufPool`], so an idle transport holds none.
///
/// ```
/// use plimsoll_core::{BufPool, StreamEvent, StreamTransport, Wants, WriteLimits, WriteStatus};
///
/// let mut pool = BufPool::new();
/// let mut t = StreamTransport::new(WriteLimits::new(0, 4).unwrap());
/// t.handle_open();
/// assert!(matches!(t.poll_event(), Some(StreamEvent::Made)));
/// assert_eq!(t.write("hello", &mut pool), WriteStatus::Paused);
/// assert!(matches!(t.poll_event(), Some(StreamEvent::PauseWriting)));
/// t.close(&mut pool);
/// assert!(!t.wants_read() && t.wants_send() == Wants::Bytes);
/// t.handle_sent(5, &mut pool);
/// assert!(matches!(t.poll_event(), Some(StreamEvent::ResumeWriting)));
/// assert!(matches!(t.poll_event(), Some(StreamEvent::Lost(why)) if why.error().is_none()));
/// ```
#[derive(Debug)]
pub struct StreamTransport {
    queue: Option<Box<SendQueue>>,
    life: Life,
}

impl StreamTransport {
    /// A connection that is being opened.
    #[must_use]
    pub const fn new(limits: WriteLimits) -> Self {
        Self::with(limits, 0)
    }

    const fn with(limits: WriteLimits, marks: u8) -> Self {
        let mut life = Life::new(limits);
        life.set(marks, true);
        Self { queue: None, life }
    }

    /// A pipe of which we have the reading end: [`ReadPipe`](crate::ReadPipe) shows what it has.
    #[must_use]
    pub const fn read_pipe() -> Self {
        Self::with(WriteLimits::DEFAULT, NO_OUTPUT)
    }

    /// A pipe of which we have the writing end: [`WritePipe`](crate::WritePipe) shows what it has.
    #[must_use]
    pub fn write_pipe(limits: WriteLimits) -> Self {
        let mut pipe = Self::with(limits, NO_INPUT);
        // Its receiving half is one whose end has come, and was told.
        pipe.life.gate().hold(Hold::Eof);
        pipe
    }

    // ---- commands ----

    /// Queues bytes behind all others; they are sent as the peer takes them (contract WRITE, FLOW).
    #[inline]
    pub fn write(&mut self, data: impl WriteData, pool: &mut BufPool) -> WriteStatus {
        if let Some(status) = self.refuses_write() {
            return status;
        }
        if !data.is_empty() {
            let queue = self.queue.get_or_insert_with(|| pool.take_queue());
            queue.push(data);
            self.life.flow().wrote(queue.len());
        }
        self.status()
    }

    /// The answer to any write, empty or not, that queues nothing.
    #[inline]
    fn refuses_write(&self) -> Option<WriteStatus> {
        if self.life.has(WROTE_EOF | NO_OUTPUT | FILE) {
            Some(self.refusal())
        } else if self.is_closing() {
            Some(WriteStatus::Discarded)
        } else {
            None
        }
    }

    #[cold]
    fn refusal(&self) -> WriteStatus {
        if !self.can_write() || self.is_layered() && !self.is_closing() {
            WriteStatus::Refused(Refusal::Unsupported)
        } else if self.wrote_eof() {
            WriteStatus::Refused(Refusal::AfterEof)
        } else if self.is_closing() {
            WriteStatus::Discarded
        } else {
            WriteStatus::Refused(Refusal::Busy)
        }
    }

    fn status(&self) -> WriteStatus {
        if self.life.writing().is_paused() { WriteStatus::Paused } else { WriteStatus::Accepted }
    }

    /// Finishes the sending half behind everything queued; reading goes on (contract EOF-6). No-op the second time and once closing.
    /// On a write pipe it is a graceful close (contract PIPE-9), that waits for `connection_made`.
    ///
    /// # Errors
    /// `Unsupported` where [`can_write_eof`](Self::can_write_eof) is false.
    pub fn write_eof(&mut self) -> Result<(), Refusal> {
        if !self.can_write_eof() {
            return Err(Refusal::Unsupported);
        }
        if !self.is_closing() {
            self.life.set(WROTE_EOF, true);
            self.life.first(Side::Local);
            if !self.can_read() {
                // Closing the descriptor is what sends it.
                self.life.set(FIN_SENT, true);
                if self.life.phase() == Phase::Open {
                    self.begin_close(Cause::LocalClose);
                }
            }
        }
        Ok(())
    }

    /// Stops reading, lets the queue drain, then the connection is lost without an error (contract CLOSE-1). While the connection is
    /// being opened it is given up without any event.
    pub fn close(&mut self, pool: &mut BufPool) {
        if self.life.phase() == Phase::Open {
            self.begin_close(Cause::LocalClose);
        } else if !self.is_closing() {
            self.abort(pool);
        }
    }

    /// Only while open.
    fn begin_close(&mut self, cause: Cause) {
        self.life.close(cause, self.queue.is_some() || self.life.has(FILE) || self.is_layered());
    }

    /// Throws the queue away; the connection is lost without an error (contract CLOSE-2). How many accepted bytes were dropped.
    pub fn abort(&mut self, pool: &mut BufPool) -> usize {
        if self.life.end(Cause::LocalAbort, None) { self.drop_queue(pool) } else { 0 }
    }

    /// A callback of the protocol failed: as [`abort`](Self::abort), with `CallbackFailed` as the error (contract RUST-8).
    pub fn fail(&mut self, pool: &mut BufPool) -> usize {
        if self.life.fail() { self.drop_queue(pool) } else { 0 }
    }

    /// How many accepted bytes that were.
    fn drop_queue(&mut self, pool: &mut BufPool) -> usize {
        let dropped = self.write_buffer_size();
        self.give_back(pool);
        dropped
    }

    fn give_back(&mut self, pool: &mut BufPool) {
        if let Some(queue) = self.queue.take() {
            pool.give_queue(queue);
        }
    }

    /// Nothing is read until [`resume_reading`](Self::resume_reading) (contract READ-5); whether that is new.
    pub fn pause_reading(&mut self) -> bool {
        self.life.pause_reading()
    }

    /// Undoes any number of pauses (contract READ-7); whether there was one.
    pub fn resume_reading(&mut self) -> bool {
        self.life.resume_reading()
    }

    /// Adds a reason not to read beside the application's own.
    pub fn hold_reading(&mut self, why: Hold) {
        self.life.gate().hold(why);
    }

    /// Takes such a reason away; whether that opened the gate or made an end-of-file due.
    pub fn release_reading(&mut self, why: Hold) -> bool {
        self.life.release_reading(why)
    }

    /// Other marks, held against the queue at once (contract FLOW-10, FLOW-11).
    pub fn set_write_buffer_limits(&mut self, limits: WriteLimits) -> WriteStatus {
        if !self.can_write() {
            return WriteStatus::Refused(Refusal::Unsupported);
        }
        let size = self.write_buffer_size();
        self.life.flow().set_limits(limits, size);
        self.status()
    }

    /// Sends a file behind what is queued: until [`handle_file_sent`](Self::handle_file_sent) nothing can be written, and until
    /// [`Hold::File`] is [released](Self::release_reading) nothing is read (contract LOOP-29). The file itself is with whoever drives the transport.
    ///
    /// # Errors
    /// `Unsupported` on a pipe, `Closed` once closing or finished, `Busy` if there is one already.
    pub fn send_file(&mut self) -> Result<(), ErrorKind> {
        if !(self.can_read() && self.can_write()) {
            Err(ErrorKind::Unsupported)
        } else if self.is_closing() || self.wrote_eof() {
            Err(ErrorKind::Closed)
        } else if self.life.reading().is_held(Hold::File) {
            Err(ErrorKind::Busy)
        } else {
            self.life.set(FILE, true);
            self.life.gate().hold(Hold::File);
            Ok(())
        }
    }

    // ---- facts ----

    /// The file has been sent, or cannot be.
    pub fn handle_file_sent(&mut self) {
        if self.life.has(FILE) {
            self.life.set(FILE, false);
            self.flushed();
        }
    }

    /// The connection is established.
    pub fn handle_open(&mut self) {
        self.life.open();
    }

    /// The peer has finished sending. Ignored once closing (contract CLOSE-6), and on a write pipe (contract PIPE-6).
    pub fn handle_eof(&mut self) {
        if !self.is_closing() && self.can_read() {
            self.life.first(Side::Peer);
            self.life.gate().handle_eof();
        }
    }

    /// The reader at the other end of a write pipe has gone: with nothing queued the pipe is lost without an error, else as broken
    /// (contract PIPE-7). How many accepted bytes were dropped. Not before `connection_made`, and on nothing but a write pipe.
    pub fn handle_hang_up(&mut self, pool: &mut BufPool) -> usize {
        match self.life.phase() {
            Phase::Open | Phase::Flushing if self.can_read() => 0,
            Phase::Open if self.queue.is_none() => {
                self.begin_close(Cause::PeerEof);
                0
            }
            Phase::Open | Phase::Flushing => self.handle_write_error(Error::new(Call::Send, ErrorKind::BrokenPipe), pool),
            Phase::Init | Phase::Made | Phase::Losing | Phase::Lost => 0,
        }
    }

    /// The protocol's answer to [`StreamEvent::Eof`]: whether our sending half stays open (contract EOF-2, EOF-3). A read pipe has none,
    /// and closes whatever the answer is (contract PIPE-2), as does a connection under a layer (contract TLS-7).
    pub fn keep_open(&mut self, yes: bool) {
        let asked = self.life.has(EOF_ASKED);
        self.life.set(EOF_ASKED, false);
        if asked && (!yes || self.is_layered()) && self.life.phase() == Phase::Open {
            self.begin_close(Cause::PeerEof);
        }
        if asked && !self.can_write() {
            self.flushed();
        }
    }

    /// The kernel took the foremost `n` bytes.
    pub fn handle_sent(&mut self, n: usize, pool: &mut BufPool) {
        let Some(queue) = &mut self.queue else { return };
        queue.advance(n.min(queue.to_send()), pool);
        if queue.is_empty() {
            self.give_back(pool);
            self.flushed();
        }
    }

    /// The kernel took all that was queued; whether that left it [idle](Self::is_idle).
    #[inline(always)]
    pub(crate) fn handle_all_sent(&mut self, pool: &mut BufPool) -> bool {
        if let Some(mut queue) = self.queue.take() {
            queue.advance(queue.len(), pool);
            pool.give_queue(queue);
        }
        let idle = self.is_idle();
        if !idle {
            self.flushed();
        }
        idle
    }

    /// The kernel finished our sending half, or could not. An error that only says "not connected" is left to the next receive or
    /// send to report (contract EOF-12); every other one ends the connection. How many accepted bytes were dropped.
    pub fn handle_shutdown(&mut self, result: Result<(), Error>, pool: &mut BufPool) -> usize {
        if self.wants_send() != Wants::Fin {
            return 0;
        }
        self.life.set(FIN_SENT, true);
        match result {
            Err(error) if error.kind() != ErrorKind::NotConnected => self.handle_write_error(error, pool),
            Ok(()) | Err(_) => {
                self.flushed();
                0
            }
        }
    }

    /// The queue is empty, the sending half finished, or the end of a read pipe told: a graceful close has nothing left to wait for.
    fn flushed(&mut self) {
        if self.wants_send() == Wants::Nothing && !self.is_layered() {
            self.life.flushed();
        }
    }

    /// Receiving failed (before `connection_made`: the opening is given up without any event): the connection is lost with that error (contract READ-13). How many accepted bytes were dropped.
    pub fn handle_read_error(&mut self, error: Error, pool: &mut BufPool) -> usize {
        // Nothing is read while closing, so an error of a receive still under way then is nobody's business.
        if self.is_closing() { 0 } else { self.broken(Cause::ReadFailed, error, pool) }
    }

    /// Sending failed: the connection is lost with that error (contract WRITE-10, CLOSE-5). How many accepted bytes were dropped.
    pub fn handle_write_error(&mut self, error: Error, pool: &mut BufPool) -> usize {
        self.broken(Cause::WriteFailed, error, pool)
    }

    fn broken(&mut self, cause: Cause, error: Error, pool: &mut BufPool) -> usize {
        if self.life.end(cause, Some(error)) { self.drop_queue(pool) } else { 0 }
    }

    // ---- wishes ----

    /// Whether received bytes, or an end-of-file, would be welcome now.
    #[inline]
    #[must_use]
    pub const fn wants_read(&self) -> bool {
        self.life.reading().is_open()
    }

    /// What the kernel should be given next.
    #[inline]
    #[must_use]
    pub fn wants_send(&self) -> Wants {
        if !self.life.sends() && !self.shakes_hands() {
            Wants::Nothing
        } else if self.queue.as_ref().is_some_and(|queue| queue.to_send() > 0) {
            Wants::Bytes
        } else if self.life.has(FILE) {
            Wants::File
        } else if self.owes_fin() {
            Wants::Fin
        } else {
            Wants::Nothing
        }
    }

    /// The sending half is finished, and the kernel has not been told.
    #[inline(always)]
    const fn owes_fin(&self) -> bool {
        self.life.has(WROTE_EOF) && !self.life.has(FIN_SENT)
    }

    /// Whether the kernel should be given something.
    pub(crate) fn has_to_send(&self) -> bool {
        self.wants_send() != Wants::Nothing
    }

    /// Whether something is to be told that waits for whoever drives it to look.
    pub(crate) fn has_to_tell(&self) -> bool {
        // Bytes that wait for the end of a handshake are none to wait for: closing gives it up.
        self.is_eof_due() || self.is_layered() && self.life.phase() == Phase::Flushing && !self.has_to_send()
    }

    /// Lends the foremost queued bytes to a vectored send; how many slices it lent.
    #[inline]
    pub fn gather<'a>(&'a self, out: &mut [&'a [u8]]) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.gather(out))
    }

    /// All bytes that are to be sent now, if there are any and they are one piece.
    #[inline(always)]
    #[must_use]
    pub fn as_one_slice(&self) -> Option<&[u8]> {
        if self.life.sends() { self.queue.as_ref()?.as_one_slice() } else { None }
    }

    /// Shares the foremost queued bytes with an operation that owns its memory.
    pub fn in_flight(&mut self) -> InFlight {
        self.queue.as_mut().map_or_else(InFlight::default, |queue| queue.in_flight())
    }

    // ---- events ----

    /// What the protocol is to be told next; `None`: nothing for now. In this order: made, owed pauses and resumes, end-of-file,
    /// lost.
    pub fn poll_event(&mut self) -> Option<StreamEvent> {
        if !self.can_write() {
            self.keep_open(false); // Whoever asks again has told it.
        }
        if self.poll_made() {
            return Some(StreamEvent::Made);
        }
        match self.poll_edge() {
            Some(Edge::Pause) => return Some(StreamEvent::PauseWriting),
            Some(Edge::Resume) => return Some(StreamEvent::ResumeWriting),
            None => {}
        }
        if self.poll_eof() {
            return Some(StreamEvent::Eof);
        }
        self.poll_lost().map(StreamEvent::Lost)
    }

    /// Takes the `connection_made` that is due. From then on the connection is open.
    pub fn poll_made(&mut self) -> bool {
        let made = self.life.poll_made();
        if made && !self.can_read() && self.wrote_eof() {
            self.begin_close(Cause::LocalClose);
        }
        made
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

    /// Whether an end-of-file is due.
    #[inline]
    #[must_use]
    pub const fn is_eof_due(&self) -> bool {
        self.life.reading().is_eof_due()
    }

    /// Takes the end-of-file that is due; answer it with [`keep_open`](Self::keep_open).
    pub fn poll_eof(&mut self) -> bool {
        let due = self.life.gate().poll_eof();
        if due {
            self.life.set(EOF_ASKED, true);
            if !self.can_write() {
                // Closing already while it is told, and lost when that is over: until then it can still fail.
                self.life.close(Cause::PeerEof, true);
            }
        }
        due
    }

    /// Whether it is open with nothing to send and nothing to tell.
    #[inline(always)]
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        self.life.phase() == Phase::Open && self.queue.is_none() && !self.owes_fin() && !self.life.writing().is_paused()
    }

    /// Whether `connection_lost` is due, or owed flow callbacks are all that it waits for.
    #[inline]
    #[must_use]
    pub fn is_losing(&self) -> bool {
        self.life.is_losing()
    }

    /// Takes the `connection_lost` that is due; a pause or resume still owed comes first.
    pub fn poll_lost(&mut self) -> Option<Ending> {
        self.life.poll_lost(self.write_buffer_size())
    }

    // ---- questions ----

    /// Whether it receives at all: a write pipe does not.
    #[inline]
    #[must_use]
    pub const fn can_read(&self) -> bool {
        self.life.marks() & KIND != NO_INPUT
    }

    /// Whether it sends at all: a read pipe does not.
    #[inline]
    #[must_use]
    pub const fn can_write(&self) -> bool {
        self.life.marks() & KIND != NO_OUTPUT
    }

    /// Whether our sending half can be finished by itself: on connections without a layer, and on write pipes (contract EOF-7, TLS-6).
    #[must_use]
    pub const fn can_write_eof(&self) -> bool {
        !self.life.has(NO_OUTPUT)
    }

    /// Closing has begun, or the connection is lost (contract LIFE-16).
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
    pub fn is_made(&self) -> bool {
        self.life.is_made()
    }

    /// Whether data may still be delivered (contract READ-12).
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.life.is_reading()
    }

    /// The sending half was finished by `write_eof`.
    #[must_use]
    pub const fn wrote_eof(&self) -> bool {
        self.life.has(WROTE_EOF)
    }

    /// The writer is paused, or about to be told so: the level beside the edges.
    #[must_use]
    pub const fn is_writing_paused(&self) -> bool {
        self.life.writing().is_paused()
    }

    /// What ended it, as far as it has come to that.
    pub(crate) const fn error(&self) -> Option<Error> {
        self.life.error()
    }

    /// Bytes accepted that the kernel has not taken yet (contract WRITE-12).
    #[inline]
    #[must_use]
    pub fn write_buffer_size(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.len())
    }

    /// The marks.
    #[must_use]
    pub const fn write_buffer_limits(&self) -> WriteLimits {
        self.life.writing().limits()
    }

    // ---- under a layer ----

    /// Puts a layer between the application and the queue, for good: what is queued already goes out as it is.
    pub(crate) fn set_layered(&mut self) {
        self.life.set(LAYERED, true);
    }

    /// The marks that it begins with, if they are others than those it was made with.
    pub(crate) fn start_with(&mut self, limits: WriteLimits) {
        self.life.flow().set_limits(limits, 0);
    }

    /// Whether a layer can be put in now.
    pub(crate) fn can_start_tls(&self) -> Result<(), ErrorKind> {
        let reading = self.life.reading();
        if !self.is_made() {
            Err(ErrorKind::NotConnected)
        } else if self.is_closing() || self.wrote_eof() || reading.is_held(Hold::Eof) {
            Err(ErrorKind::Closed)
        } else if reading.is_held(Hold::File) {
            Err(ErrorKind::Busy)
        } else {
            Ok(())
        }
    }

    /// Whether there is a layer.
    #[inline]
    pub(crate) const fn is_layered(&self) -> bool {
        self.life.marks() & KIND == LAYERED
    }

    /// A layer that is being opened sends before the application may.
    fn shakes_hands(&self) -> bool {
        self.is_layered() && self.life.phase() == Phase::Init
    }

    /// The answer to a write through the layer, if it queues nothing.
    pub(crate) fn refuses_layered_write(&self) -> Option<WriteStatus> {
        if self.is_closing() {
            Some(WriteStatus::Discarded)
        } else {
            self.life.has(FILE).then_some(WriteStatus::Refused(Refusal::Busy))
        }
    }

    /// Queues plain bytes until the layer can take them.
    pub(crate) fn write_backlog(&mut self, data: &[u8], pool: &mut BufPool) {
        self.queue.get_or_insert_with(|| pool.take_queue()).push_backlog(data);
        self.settle_layer(pool);
    }

    /// Takes them out, for the layer.
    pub(crate) fn take_backlog(&mut self) -> Vec<u8> {
        self.queue.as_mut().map(|queue| queue.take_backlog()).unwrap_or_default()
    }

    /// Lends the layer a queue for what it answers to what came, which mostly is nothing: then no queue is borrowed for that.
    #[inline(always)]
    pub(crate) fn answer_below<R>(&mut self, pool: &mut BufPool, f: impl FnOnce(&mut SendQueue) -> R) -> R {
        if self.queue.is_some() {
            let result = f(self.layer_output(pool));
            self.settle_layer(pool);
            return result;
        }
        let result = f(pool.answers());
        if let Some(answers) = pool.take_answers() {
            self.queue = Some(answers);
            self.settle_layer(pool);
        }
        result
    }

    /// Where the layer puts what is to be sent; [`settle_layer`](Self::settle_layer) afterwards.
    #[inline]
    pub(crate) fn layer_output(&mut self, pool: &mut BufPool) -> &mut SendQueue {
        self.queue.get_or_insert_with(|| pool.take_queue())
    }

    /// The queue has changed: it is held against the marks, and given back if nothing is in it.
    #[inline]
    pub(crate) fn settle_layer(&mut self, pool: &mut BufPool) {
        let size = self.write_buffer_size();
        if size == 0 {
            self.give_back(pool);
        }
        self.life.flow().wrote(size);
    }

    /// What a write through the layer is answered.
    pub(crate) fn layered_status(&self) -> WriteStatus {
        self.status()
    }

    /// It is closing, and the application's bytes are gone: it is for the layer to say the last word.
    pub(crate) fn is_drained(&self) -> bool {
        self.life.phase() == Phase::Flushing && self.queue.is_none() && !self.life.has(FILE)
    }

    /// The layer has nothing left to say, and nothing to wait for.
    pub(crate) fn handle_layer_over(&mut self, pool: &mut BufPool) {
        self.give_back(pool);
        self.life.flushed();
    }

    /// The layer has failed, or was given up: an error of the connection, also while it is closing. How many accepted bytes were dropped.
    pub(crate) fn handle_layer_error(&mut self, cause: Cause, error: Error, pool: &mut BufPool) -> usize {
        self.broken(cause, error, pool)
    }
}

#[cfg(test)]
mod tests;

//! What stands between a connection and its protocol while the connection is secure.

use super::nested::Nested;
use super::{Session, Tls, TlsError};
use crate::error::{Call, Error, ErrorKind};
use crate::flow::pool::BufPool;
use crate::key::Key;
use crate::reason::Cause;
use crate::status::WriteStatus;
use crate::stream::StreamTransport;
use crate::time::Instant;
use alloc::boxed::Box;
use bytes::BytesMut;
use core::mem;
use core::time::Duration;

/// Where a layer stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// There is no connection yet.
    Waiting,
    Handshake,
    /// The handshake is done, and the protocol is to be told.
    Agreed,
    Open,
    /// Our closing word is said, and the peer's is awaited.
    Shutdown,
    Over,
}

/// How the connection below ended.
#[derive(Debug)]
enum End {
    /// Without an error: the peer sends no more.
    Finished,
    Failed(Cause, TlsError),
}

/// What comes from below.
pub(crate) enum Fact<'a> {
    /// The connection is there.
    Connected,
    /// What stands there afterwards means nothing.
    Received(&'a mut [u8]),
    Finished,
    /// It cannot be received from, or sent to, or the session cannot go on.
    Failed(Cause, TlsError),
    /// The deadline may have passed.
    Time,
}

/// What has become of the layer: what is to be done before it goes on.
pub(crate) enum Step {
    /// Nothing, for now.
    Rest,
    /// Send what there is to send.
    Send,
    /// The handshake is done: tell it, then say so ([`Layer::told`]).
    Agreed,
    /// Hand on what was decrypted ([`Layer::take_plain`]).
    Deliver,
    /// Tell the end-of-file that is due.
    Eof,
    /// The connection has come to its end.
    Over,
    /// The connection has failed, with so many bytes dropped; if it is being opened still, its transport does not know yet.
    Failed(TlsError, usize),
    /// The handshake was given up, with so many bytes dropped.
    GivenUp(usize),
}

/// The layer of one connection: a session, and what the contract says of it (13, and the differences below table 17.10).
///
/// It works on the connection's transport, which keeps the queue, the one hysteresis and the life: facts are noted by [`handle`](Self::handle), and
/// everything that follows from them, and from the transport, is done by [`step`](Self::step).
#[derive(Debug)]
pub(crate) struct Layer {
    session: Hidden,
    state: State,
    connected: bool,
    /// Decrypted, and not delivered yet.
    plain: BytesMut,
    end: Option<End>,
    handshake_limit: Duration,
    shutdown_limit: Duration,
    allow_truncation: bool,
    deadline: Option<Instant>,
    /// What will tell of it.
    pub(crate) timer: Option<(Instant, Key)>,
}

struct Hidden(Box<dyn Session>);

impl core::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Session")
    }
}

impl Layer {
    pub(crate) fn new(session: Box<dyn Session>, tls: &Tls) -> Self {
        Self {
            session: Hidden(session),
            state: State::Waiting,
            connected: false,
            plain: BytesMut::new(),
            end: None,
            handshake_limit: tls.handshake_limit,
            shutdown_limit: tls.shutdown_limit,
            allow_truncation: tls.allow_truncation,
            deadline: None,
            timer: None,
        }
    }

    // ---- from above ----

    /// Encrypts, or keeps until that is possible (contract TLS-15).
    pub(crate) fn write(&mut self, data: &[u8], stream: &mut StreamTransport, pool: &mut BufPool) -> WriteStatus {
        if let Some(status) = stream.refuses_layered_write() {
            return status;
        }
        if self.end_is_failure() || self.state == State::Over {
            // It has failed, and that is not told yet, nor perhaps what came before it: there is nobody to say it to.
            return WriteStatus::Discarded;
        }
        if !(data.is_empty() || self.can_encrypt() && self.encrypt(data, stream, pool)) {
            stream.write_backlog(data, pool);
        }
        stream.layered_status()
    }

    /// Encrypts a piece of a file, while the application cannot write. `false`: that is not possible any more.
    pub(crate) fn write_file(&mut self, piece: &[u8], stream: &mut StreamTransport, pool: &mut BufPool) -> bool {
        !self.end_is_failure() && self.state != State::Over && self.encrypt(piece, stream, pool)
    }

    /// `false`: that failed, and so has the connection.
    #[inline(always)]
    fn encrypt(&mut self, plain: &[u8], stream: &mut StreamTransport, pool: &mut BufPool) -> bool {
        let result = self.session.0.encrypt(plain, stream.layer_output(pool));
        stream.settle_layer(pool);
        match result {
            Ok(()) => true,
            Err(error) => {
                self.note_end(End::Failed(Cause::WriteFailed, error));
                false
            }
        }
    }

    /// The protocol was told that the handshake is done.
    pub(crate) fn told(&mut self) {
        if self.state == State::Agreed {
            self.state = State::Open;
        }
    }

    /// What is to be delivered; not before [`Step::Deliver`].
    pub(crate) fn take_plain(&mut self) -> BytesMut {
        mem::take(&mut self.plain)
    }

    /// What is to be delivered, piece by piece.
    pub(crate) const fn plain(&mut self) -> &mut BytesMut {
        &mut self.plain
    }

    /// Memory to decrypt into.
    pub(crate) fn give_plain(&mut self, plain: BytesMut) {
        self.plain = plain;
    }

    pub(crate) fn has_memory(&self) -> bool {
        self.plain.capacity() > 0
    }

    /// Memory that nothing is in.
    pub(crate) fn take_memory(&mut self) -> Option<BytesMut> {
        (self.plain.is_empty() && self.plain.capacity() > 0).then(|| mem::take(&mut self.plain))
    }

    pub(crate) const fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// The same on top of another one, which is open: its session encrypts what this one's has encrypted. What came through that one is for this one: first
    /// what the protocol has given back, then what it has not seen, and then the end, if that has come.
    #[must_use]
    pub(crate) fn on(mut self, below: Self, given_back: &[u8]) -> Self {
        let mut between = BytesMut::from(given_back);
        between.unsplit(below.plain);
        self.session = Hidden(Box::new(Nested::new(below.session.0, self.session.0, between)));
        self.end = below.end;
        self
    }

    // ---- from below ----

    /// Notes what came from below; [`step`](Self::step) draws the consequences.
    pub(crate) fn handle(&mut self, fact: Fact<'_>, stream: &mut StreamTransport, pool: &mut BufPool, now: Instant) {
        match fact {
            Fact::Connected => self.connected = true,
            Fact::Received(wire) => self.receive(wire, stream, pool),
            Fact::Finished => self.note_end(End::Finished),
            Fact::Failed(cause, error) => self.note_end(End::Failed(cause, error)),
            Fact::Time if self.deadline.is_some_and(|deadline| deadline <= now) => {
                let call = if self.state == State::Handshake { Call::Handshake } else { Call::Shutdown };
                let error = TlsError::from(Error::new(call, ErrorKind::TimedOut));
                self.end = Some(End::Failed(Cause::TimedOut, error));
            }
            Fact::Time => {}
        }
    }

    fn receive(&mut self, wire: &mut [u8], stream: &mut StreamTransport, pool: &mut BufPool) {
        if self.end.is_some() || self.state == State::Over {
            return;
        }
        let result = stream.answer_below(pool, |out| self.session.0.receive(wire, &mut self.plain, out));
        if let Err(error) = result {
            self.note_error(error);
        }
    }

    /// As [`handle`](Self::handle) of bytes that came and are [wanted](Self::wants_read), with memory to decrypt into. Whether they were data for a reader who
    /// wants it, and nothing else is to be done, before it and after: then it stands in that memory, and is not noted. To a reader who is `lent` what came it is
    /// noted always.
    #[inline(always)]
    pub(crate) fn receive_data(
        &mut self,
        wire: &mut [u8],
        memory: &mut BytesMut,
        stream: &mut StreamTransport,
        pool: &mut BufPool,
        lent: bool,
    ) -> bool {
        if self.has_memory() {
            self.receive(wire, stream, pool);
            return false;
        }
        memory.clear();
        let result = stream.answer_below(pool, |out| self.session.0.receive(wire, memory, out));
        let only_data = result.is_ok() && !memory.is_empty() && stream.is_idle() && self.state == State::Open;
        if only_data && !lent && !self.session.0.is_closed_by_peer() {
            return true;
        }
        mem::swap(memory, &mut self.plain);
        if let Err(error) = result {
            self.note_error(error);
        }
        false
    }

    /// Why nothing more can be received.
    fn note_error(&mut self, error: TlsError) {
        self.note_end(match error.error().kind() {
            ErrorKind::TlsTruncated => End::Finished,
            _ => End::Failed(Cause::ReadFailed, error),
        });
    }

    /// The first end counts.
    fn note_end(&mut self, end: End) {
        if self.end.is_none() {
            self.end = Some(end);
        }
    }

    const fn end_is_failure(&self) -> bool {
        matches!(self.end, Some(End::Failed(..)))
    }

    // ---- what follows ----

    /// Every transition: what follows next from where the layer and its transport stand. To be called until it [rests](Step::Rest), after every command and fact,
    /// and what it says to be done each time.
    pub(crate) fn step(&mut self, stream: &mut StreamTransport, pool: &mut BufPool, now: Instant) -> Step {
        if stream.is_losing() || stream.is_over() {
            self.enter(State::Over, None);
            return Step::Rest;
        }
        match self.state {
            State::Waiting if self.connected => {
                self.enter(State::Handshake, Some(now.saturating_add(self.handshake_limit)));
                self.receive(&mut [], stream, pool);
                Step::Send
            }
            State::Handshake if stream.is_closing() => {
                // Whoever closes during a handshake gives it up (contract TLS-14, TLS-21).
                let dropped = stream.abort(pool);
                self.enter(State::Over, None);
                Step::GivenUp(dropped)
            }
            State::Handshake if self.session.0.is_handshaking() => match self.end.take() {
                None => Step::Rest,
                Some(end) => self.fail(end, stream, pool),
            },
            State::Handshake => {
                self.enter(State::Agreed, None);
                if !self.end_is_failure() {
                    let backlog = stream.take_backlog();
                    stream.settle_layer(pool);
                    // What cannot be encrypted stays queued, and is dropped with the connection.
                    if !backlog.is_empty() && !self.encrypt(&backlog, stream, pool) {
                        stream.write_backlog(&backlog, pool);
                    }
                }
                Step::Agreed
            }
            State::Agreed | State::Open if stream.is_closing() && self.end_is_failure() && !stream.has_to_send() => {
                match self.end.take() {
                    // Bytes were accepted that nobody will get: that is no graceful end.
                    Some(end) if stream.write_buffer_size() > 0 => self.fail(end, stream, pool),
                    // There is nobody to say the closing word to.
                    _ => self.end(stream, pool),
                }
            }
            State::Agreed | State::Open if stream.is_drained() => {
                self.plain.clear();
                self.session.0.close(stream.layer_output(pool));
                stream.settle_layer(pool);
                self.enter(State::Shutdown, Some(now.saturating_add(self.shutdown_limit)));
                Step::Send
            }
            State::Open if stream.is_closing() => Step::Rest,
            State::Open if !self.plain.is_empty() => {
                if stream.wants_read() {
                    Step::Deliver
                } else {
                    Step::Rest
                }
            }
            State::Open if self.is_read_out() => {
                stream.handle_eof();
                if stream.is_eof_due() { Step::Eof } else { Step::Rest }
            }
            State::Open => match self.end.take() {
                None => Step::Rest,
                Some(end) => self.fail(end, stream, pool),
            },
            State::Shutdown => {
                // What the peer still sends is not wanted any more (contract TLS-13).
                self.plain.clear();
                let finished = matches!(self.end, Some(End::Finished)) || self.session.0.is_closed_by_peer();
                match self.end.take_if(|end| matches!(end, End::Failed(..))) {
                    Some(end) => self.fail(end, stream, pool),
                    // Our own closing word is said to its end all the same: the peer may be reading still.
                    None if finished && !stream.has_to_send() => self.end(stream, pool),
                    None => Step::Rest,
                }
            }
            State::Waiting | State::Agreed | State::Over => Step::Rest,
        }
    }

    fn enter(&mut self, state: State, deadline: Option<Instant>) {
        self.state = state;
        self.deadline = deadline;
    }

    /// The peer has said its closing word, or what we take for that, and all of its data was delivered.
    fn is_read_out(&self) -> bool {
        self.session.0.is_closed_by_peer() || self.allow_truncation && matches!(self.end, Some(End::Finished))
    }

    /// An orderly end.
    fn end(&mut self, stream: &mut StreamTransport, pool: &mut BufPool) -> Step {
        self.enter(State::Over, None);
        stream.handle_layer_over(pool);
        Step::Over
    }

    /// An end that is none.
    fn fail(&mut self, end: End, stream: &mut StreamTransport, pool: &mut BufPool) -> Step {
        let (cause, error) = match end {
            End::Finished if self.state == State::Handshake => {
                (Cause::ReadFailed, Error::new(Call::Handshake, ErrorKind::ConnectionReset).into())
            }
            End::Finished => (Cause::ReadFailed, Error::new(Call::Receive, ErrorKind::TlsTruncated).into()),
            End::Failed(cause, error) => (cause, error),
        };
        self.enter(State::Over, None);
        let dropped = if stream.is_made() { stream.handle_layer_error(cause, error.error(), pool) } else { 0 };
        Step::Failed(error, dropped)
    }

    /// Fails at once with what is noted, if that is a failure.
    pub(crate) fn fail_now(&mut self, stream: &mut StreamTransport, pool: &mut BufPool) -> Option<Step> {
        let end = self.end.take_if(|end| matches!(end, End::Failed(..)))?;
        Some(self.fail(end, stream, pool))
    }

    // ---- questions ----

    /// Whether bytes of the peer's are wanted: not while decrypted ones wait for a reader that is paused (contract TLS-16).
    pub(crate) fn wants_read(&self, stream: &StreamTransport) -> bool {
        self.end.is_none()
            && match self.state {
                State::Handshake => !stream.is_closing(),
                State::Open => stream.wants_read() && self.plain.is_empty(),
                State::Shutdown => !self.session.0.is_closed_by_peer(),
                State::Waiting | State::Agreed | State::Over => false,
            }
    }

    /// Whether the handshake is not done yet, or nobody knows.
    pub(crate) const fn is_shaking_hands(&self) -> bool {
        matches!(self.state, State::Waiting | State::Handshake | State::Agreed)
    }

    /// Whether what is written is encrypted at once.
    pub(crate) const fn can_encrypt(&self) -> bool {
        !matches!(self.state, State::Waiting | State::Handshake)
    }

    /// When it is to be told the [time](Fact::Time).
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn session(&mut self) -> &mut (dyn Session + 'static) {
        &mut *self.session.0
    }

    pub(crate) fn session_ref(&self) -> &dyn Session {
        &*self.session.0
    }
}

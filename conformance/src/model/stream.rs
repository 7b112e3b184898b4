//! Table 17.10: the stream transport.

use super::{FlowModel, GateModel, QueueModel};
use plimsoll_core::{Call, Cause, Edge, Error, ErrorKind, Hold, Refusal, Side, Wants, WriteStatus};

/// The states of table 17.10, and what comes before *Open*.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum State {
    /// *Init*: being opened.
    Init,
    /// *Init* still, but the connection exists and `connection_made` is due.
    Made,
    /// Both directions usable.
    Open,
    /// End-of-file was delivered and answered with true.
    PeerEof,
    /// `write_eof` was called.
    WroteEof,
    /// Both.
    BothEof,
    /// Closing, with something still to be sent.
    Flushing,
    /// The cause is fixed, `connection_lost` is due.
    Losing,
    /// `connection_lost` was delivered.
    Lost,
    /// Given up before `connection_made`: nothing is ever told.
    Gone,
}

/// Which directions a transport has (contract 17.2, 17.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "there are two directions")]
pub enum Kind {
    /// Both.
    Duplex,
    /// A read pipe.
    ReadPipe,
    /// A write pipe.
    WritePipe,
}

/// What a protocol is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Told {
    /// `connection_made`.
    Made,
    /// `pause_writing`.
    Pause,
    /// `resume_writing`.
    Resume,
    /// `eof_received`.
    Eof,
    /// `connection_lost` with its cause, error, and who was the first to end something.
    Lost(Cause, Option<Error>, Side),
}

/// The sending half's end, behind the queue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Fin {
    No,
    Owed,
    Sent,
}

/// A fact about the peer that ends the connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Peer {
    /// A receive failed.
    ReadError(Error),
    /// A send failed.
    WriteError(Error),
}

/// One connection as the contract's table has it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StreamModel {
    kind: Kind,
    state: State,
    /// The bytes that were accepted and not sent.
    pub queue: QueueModel,
    flow: FlowModel,
    gate: GateModel,
    fin: Fin,
    cause: Option<(Cause, Option<Error>)>,
    first: Option<Side>,
    asked: bool,
}

impl StreamModel {
    /// A connection that is being opened, with these marks.
    #[must_use]
    pub fn new(low: usize, high: usize) -> Self {
        Self::of(Kind::Duplex, low, high)
    }

    /// The same, of a kind.
    #[must_use]
    pub fn of(kind: Kind, low: usize, high: usize) -> Self {
        Self {
            kind,
            state: State::Init,
            queue: QueueModel::new(),
            flow: FlowModel::new(low, high),
            gate: if kind == Kind::WritePipe { GateModel::finished() } else { GateModel::new() },
            fin: Fin::No,
            cause: None,
            first: None,
            asked: false,
        }
    }

    /// Which directions it has.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    const fn is_opening(&self) -> bool {
        matches!(self.state, State::Init | State::Made)
    }

    const fn is_usable(&self) -> bool {
        matches!(self.state, State::Open | State::PeerEof | State::WroteEof | State::BothEof)
    }

    // Commands.

    /// Rows `write`/`writelines` and `write`, empty. *Ruling:* an empty write that comes too late answers as any late write.
    pub fn write(&mut self, data: &[u8]) -> WriteStatus {
        if self.kind == Kind::ReadPipe {
            return WriteStatus::Refused(Refusal::Unsupported); // PIPE-1
        }
        if self.wrote_eof() {
            return WriteStatus::Refused(Refusal::AfterEof);
        }
        if !self.is_opening() && !self.is_usable() {
            return WriteStatus::Discarded;
        }
        if !data.is_empty() {
            self.queue.push(data);
            self.flow.evaluate(self.queue.len());
        }
        self.status()
    }

    fn status(&self) -> WriteStatus {
        if self.flow.is_paused() { WriteStatus::Paused } else { WriteStatus::Accepted }
    }

    /// Row `write_eof`. *Ruling:* while opening it is kept like a write is. PIPE-9: on a write pipe it is a graceful close.
    ///
    /// # Errors
    /// PIPE-1: a read pipe has none.
    pub fn write_eof(&mut self) -> Result<(), Refusal> {
        if self.kind == Kind::ReadPipe {
            return Err(Refusal::Unsupported);
        }
        if self.kind == Kind::WritePipe && self.fin == Fin::No && (self.is_opening() || self.is_usable()) {
            self.fin = Fin::Sent;
            self.first.get_or_insert(Side::Local);
            if self.is_usable() {
                self.begin_closing(Cause::LocalClose);
            }
        }
        if self.fin == Fin::No && (self.is_opening() || self.is_usable()) {
            self.fin = Fin::Owed;
            self.first.get_or_insert(Side::Local);
            self.state = match self.state {
                State::Open => State::WroteEof,
                State::PeerEof => State::BothEof,
                other => other,
            };
        }
        Ok(())
    }

    /// Row `close()`.
    pub fn close(&mut self) {
        if self.is_opening() {
            self.give_up();
        } else if self.is_usable() {
            self.first.get_or_insert(Side::Local);
            self.begin_closing(Cause::LocalClose);
        }
    }

    /// "→C". *Ruling:* by the letter; a FIN that was promised behind an empty queue is what closing the descriptor sends.
    fn begin_closing(&mut self, cause: Cause) {
        self.cause = Some((cause, None));
        self.flow.close();
        self.state = if self.queue.is_empty() { State::Losing } else { State::Flushing };
    }

    fn is_flushed(&self) -> bool {
        self.queue.is_empty() && self.fin != Fin::Owed
    }

    fn give_up(&mut self) -> usize {
        self.flow.end();
        self.state = State::Gone;
        self.queue.drop_all()
    }

    /// Row `abort()`; how many accepted bytes were dropped.
    pub fn abort(&mut self) -> usize {
        self.force(Cause::LocalAbort, None, Side::Local)
    }

    /// Row "fatal callback failure"; how many accepted bytes were dropped.
    pub fn fail(&mut self) -> usize {
        self.force(Cause::CallbackFailed, Some(Error::new(Call::Callback, ErrorKind::CallbackFailed)), Side::Local)
    }

    fn force(&mut self, cause: Cause, error: Option<Error>, side: Side) -> usize {
        if self.is_opening() {
            return self.give_up();
        }
        if !self.is_usable() && self.state != State::Flushing {
            return 0;
        }
        self.first.get_or_insert(side);
        self.cause = Some((cause, error));
        self.flow.end();
        self.state = State::Losing;
        self.queue.drop_all()
    }

    /// Row `pause_reading`; whether that is new.
    pub fn pause_reading(&mut self) -> bool {
        !self.reads_no_more() && self.gate.hold(Hold::User)
    }

    /// Row `resume_reading`; whether there was a pause.
    pub fn resume_reading(&mut self) -> bool {
        !self.reads_no_more() && self.gate.release(Hold::User)
    }

    fn reads_no_more(&self) -> bool {
        self.gate.is_eof_told() || !(self.is_opening() || self.is_usable())
    }

    /// A reason not to read beside the application's.
    pub fn hold_reading(&mut self, why: Hold) {
        self.gate.hold(why);
    }

    /// Takes it away; whether reading or an end-of-file became possible by that.
    pub fn release_reading(&mut self, why: Hold) -> bool {
        let before = (self.wants_read(), self.is_eof_due());
        self.gate.release(why);
        before != (self.wants_read(), self.is_eof_due())
    }

    /// Rows "set limits".
    pub fn set_limits(&mut self, low: usize, high: usize) -> WriteStatus {
        if self.kind == Kind::ReadPipe {
            return WriteStatus::Refused(Refusal::Unsupported);
        }
        self.flow.set_limits(low, high, self.queue.len());
        self.status()
    }

    // Facts.

    /// The connection is established.
    pub fn handle_open(&mut self) {
        if self.state == State::Init {
            self.state = State::Made;
        }
    }

    /// Rows "peer FIN".
    pub fn handle_eof(&mut self) {
        if (self.is_opening() || self.is_usable()) && self.gate.is_open_to_eof() {
            self.gate.handle_eof();
            self.first.get_or_insert(Side::Peer);
        }
    }

    /// PIPE-7: the reader of a write pipe has gone; how many accepted bytes were dropped. *Ruling:* with bytes queued it is the error that the next
    /// send would bring. Nothing is heard of it before `connection_made`.
    pub fn handle_hang_up(&mut self) -> usize {
        if self.kind != Kind::WritePipe || self.is_opening() {
            return 0;
        }
        if !self.queue.is_empty() {
            return self.force(Cause::WriteFailed, Some(Error::new(Call::Send, ErrorKind::BrokenPipe)), Side::Peer);
        }
        if self.is_usable() {
            self.first.get_or_insert(Side::Peer);
            self.begin_closing(Cause::PeerEof);
        }
        0
    }

    /// The answer to [`Told::Eof`]. PIPE-2: a read pipe has been closing since that was told, and is over with it.
    pub fn keep_open(&mut self, yes: bool) {
        if self.kind == Kind::ReadPipe && core::mem::take(&mut self.asked) && self.state == State::Flushing {
            self.state = State::Losing;
        }
        if !core::mem::take(&mut self.asked) || !self.is_usable() {
            return;
        }
        match (yes, self.state) {
            (false, _) => self.begin_closing(Cause::PeerEof),
            (true, State::WroteEof) => self.state = State::BothEof,
            (true, _) => self.state = State::PeerEof,
        }
    }

    /// The protocol has been asked for that answer.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        self.asked
    }

    /// Rows "send progress".
    pub fn handle_sent(&mut self, n: usize) {
        self.queue.advance(n);
        self.settle();
    }

    fn settle(&mut self) {
        if self.state == State::Flushing && self.is_flushed() {
            self.state = State::Losing;
        }
    }

    /// The FIN was sent, or an error answered; how many accepted bytes were dropped. An answer that nobody waits for any more is
    /// ignored.
    pub fn handle_shutdown(&mut self, result: Result<(), Error>) -> usize {
        if self.wants_send() != Wants::Fin {
            return 0;
        }
        match result {
            // EOF-12: "not connected" is left to the next read or send.
            Err(error) if error.kind() != ErrorKind::NotConnected => self.handle_error(Peer::WriteError(error)),
            _ => {
                self.fin = Fin::Sent;
                self.settle();
                0
            }
        }
    }

    /// Rows "read error" and "send or FIN error"; how many accepted bytes were dropped.
    pub fn handle_error(&mut self, peer: Peer) -> usize {
        match peer {
            // Flushing is not read: the send will find out (row "read error").
            Peer::ReadError(_) if self.state == State::Flushing => 0,
            Peer::ReadError(error) => self.force(Cause::ReadFailed, Some(error), Side::Peer),
            Peer::WriteError(error) => self.force(Cause::WriteFailed, Some(error), Side::Peer),
        }
    }

    // What it wants and says.

    /// Received bytes would be delivered (I-WANTS).
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.is_usable() && self.gate.is_open()
    }

    /// End-of-file has come, was not told, and can be told.
    #[must_use]
    pub fn is_eof_due(&self) -> bool {
        self.is_usable() && self.gate.is_eof_due()
    }

    /// What can be given to the kernel (I-WANTS, I-FIN).
    #[must_use]
    pub fn wants_send(&self) -> Wants {
        if !self.is_usable() && self.state != State::Flushing {
            Wants::Nothing
        } else if !self.queue.is_empty() {
            Wants::Bytes
        } else if self.fin == Fin::Owed {
            Wants::Fin
        } else {
            Wants::Nothing
        }
    }

    /// LIFE-16.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        !self.is_opening() && !self.is_usable()
    }

    /// READ-12. *Rulings:* false before `connection_made`; EOF is seen when it arrives; the driver's own reasons are not a pause.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.is_usable() && !self.gate.is_held(Hold::User) && !self.gate.is_held(Hold::Eof)
    }

    /// `write_eof` was called in time.
    #[must_use]
    pub fn wrote_eof(&self) -> bool {
        self.fin != Fin::No
    }

    /// Writing is paused, or about to be.
    #[must_use]
    pub fn is_writing_paused(&self) -> bool {
        self.flow.is_paused()
    }

    /// The marks.
    #[must_use]
    pub const fn limits(&self) -> (usize, usize) {
        self.flow.limits()
    }

    /// `connection_made` was delivered.
    #[must_use]
    pub const fn is_made(&self) -> bool {
        !matches!(self.state, State::Init | State::Made | State::Gone)
    }

    /// Nothing will ever come of it.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Lost | State::Gone)
    }

    /// A pause or resume can be told now.
    #[must_use]
    pub fn is_edge_due(&self) -> bool {
        self.is_made() && !self.is_over() && self.flow.due(self.queue.len()).is_some()
    }

    /// What the protocol is told next: made, flow, end-of-file, lost.
    pub fn poll(&mut self) -> Option<Told> {
        if self.kind == Kind::ReadPipe {
            self.keep_open(false); // Asking again says that it was told.
        }
        if self.state == State::Made {
            self.state = if self.wrote_eof() { State::WroteEof } else { State::Open };
            if self.kind == Kind::WritePipe && self.wrote_eof() {
                self.begin_closing(Cause::LocalClose);
            }
            return Some(Told::Made);
        }
        if self.is_edge_due() {
            return self.flow.next(self.queue.len()).map(|edge| match edge {
                Edge::Pause => Told::Pause,
                Edge::Resume => Told::Resume,
            });
        }
        if self.is_eof_due() {
            self.asked = self.gate.tell_eof();
            if self.kind == Kind::ReadPipe {
                self.begin_closing(Cause::PeerEof);
                self.state = State::Flushing; // PIPE-2: closing, and a callback can still fail.
            }
            return Some(Told::Eof);
        }
        if self.state == State::Losing {
            self.state = State::Lost;
            self.flow.end();
            let (cause, error) = self.cause?;
            return Some(Told::Lost(cause, error, self.first?));
        }
        None
    }
}

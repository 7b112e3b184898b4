//! One generated lifetime of a stream transport.

use super::super::ops::Op;
use super::swarm::Swarm;
use super::{Joint, Seen};
use crate::harness::{Run, Violation, ensure, same};
use crate::model::{Kind, State, Told};
use plimsoll_core::{BufPool, MAX_PIECES, Refusal, Wants, WriteStatus};

/// More events than there are kinds can never be due at once.
const MOST_EVENTS: usize = 6;

/// Rare branches: a generator that never gets there tests nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[repr(u32)]
pub enum Mark {
    /// A pause that was owed although the queue had drained.
    PauseAfterDrain,
    /// A pause owed since before `connection_made`.
    PauseFromInit,
    /// A resume while flushing.
    ResumeWhileFlushing,
    /// Both edges with the cause already fixed.
    EdgesWhileLosing,
    /// Other limits made a resume due.
    ResumeByLimits,
    /// An end-of-file that had waited for `resume_reading`.
    EofAfterResume,
    /// Both directions finished, and open.
    BothEof,
    /// `close` inside of `eof_received`.
    CloseInEof,
    /// `abort` inside of `eof_received`.
    AbortInEof,
    /// `abort` while flushing.
    AbortWhileFlushing,
    /// A send error while flushing.
    ErrorWhileFlushing,
    /// A FIN answered by "not connected".
    FinNotConnected,
    /// A FIN answered by an error.
    FinFailed,
    /// An operation outlived the queue its bytes came from.
    FlightOutlives,
    /// Given up before `connection_made`, with bytes queued.
    GivenUpWithBytes,
    /// A read error after a kept-open end-of-file.
    ReadErrorAfterEof,
    /// A write refused although closing.
    RefusedWhileClosing,
    /// A write thrown away.
    Discarded,
    /// More pieces queued than one send takes.
    ManyPieces,
    /// A FIN sent while flushing.
    FinWhileFlushing,
    /// An end-of-file on a read pipe that failed inside of it.
    FailInEof,
    /// The reader of a pipe went with bytes queued.
    HangUpWithBytes,
    /// The reader of a pipe went with nothing queued.
    HangUpIdle,
    /// `write_eof` closed a pipe before it was made.
    WriteEofFromInit,
    /// A resume on a pipe that `write_eof` is closing.
    ResumeAfterWriteEof,
}

impl Mark {
    /// All of those of pipes alone.
    pub const OF_PIPES: [Self; 5] =
        [Self::FailInEof, Self::HangUpWithBytes, Self::HangUpIdle, Self::WriteEofFromInit, Self::ResumeAfterWriteEof];

    /// All of those of streams.
    pub const ALL: [Self; 20] = [
        Self::PauseAfterDrain,
        Self::PauseFromInit,
        Self::ResumeWhileFlushing,
        Self::EdgesWhileLosing,
        Self::ResumeByLimits,
        Self::EofAfterResume,
        Self::BothEof,
        Self::CloseInEof,
        Self::AbortInEof,
        Self::AbortWhileFlushing,
        Self::ErrorWhileFlushing,
        Self::FinNotConnected,
        Self::FinFailed,
        Self::FlightOutlives,
        Self::GivenUpWithBytes,
        Self::ReadErrorAfterEof,
        Self::RefusedWhileClosing,
        Self::Discarded,
        Self::ManyPieces,
        Self::FinWhileFlushing,
    ];

    /// Whether a run's marks have it.
    #[must_use]
    pub const fn is_in(self, marks: u64) -> bool {
        marks & 1 << self as u32 != 0
    }
}

/// One to three transports, one after another in the memory of the same pool, each from its opening until it is over, beside its
/// model.
///
/// # Errors
/// If machine and model disagree, or the word of a connection is none of the grammar's.
pub fn lifetime(run: &mut Run<'_>) -> Result<(), Violation> {
    lifetime_of(run, Kind::Duplex)
}

/// The same, of read pipes and write pipes.
///
/// # Errors
/// As [`lifetime`].
pub fn pipe_lifetime(run: &mut Run<'_>) -> Result<(), Violation> {
    let kind = [Kind::ReadPipe, Kind::WritePipe][run.choices().pick(2)];
    lifetime_of(run, kind)
}

fn lifetime_of(run: &mut Run<'_>, kind: Kind) -> Result<(), Violation> {
    let block = [BufPool::BLOCK, 1, 1500][run.choices().weighted(&[4, 1, 1])];
    let mut pool = BufPool::with_block_size(block);
    for _ in 0..=run.choices().weighted(&[4, 1, 1]) {
        let swarm = Swarm::draw(run.choices(), kind);
        Life { joint: Joint::of(kind, swarm.marks.0, swarm.marks.1)?, run: &mut *run, pool: &mut pool, last: Op::Poll }
            .live(&swarm)?;
    }
    Ok(())
}

struct Life<'a, 'r> {
    joint: Joint,
    run: &'a mut Run<'r>,
    pool: &'a mut BufPool,
    /// The last operation that was no poll.
    last: Op,
}

impl Life<'_, '_> {
    fn live(mut self, swarm: &Swarm) -> Result<(), Violation> {
        let mut after_the_end = 0;
        for _ in 0..swarm.steps {
            if self.run.choices().is_exhausted() || after_the_end > 12 {
                break;
            }
            let op = swarm.next(&self.joint, self.run.choices());
            self.apply(op)?;
            if matches!(op, Op::Close | Op::Abort | Op::Pause | Op::Resume | Op::WriteEof) && self.run.choices().one_in(16) {
                self.twice(op)?;
            }
            if swarm.drain > 0 && self.run.choices().one_in(swarm.drain) {
                self.drain()?;
            }
            after_the_end += usize::from(self.joint.model().is_over());
        }
        self.end()
    }

    fn apply(&mut self, op: Op) -> Result<Seen, Violation> {
        self.run.step(op);
        let before = self.joint.model().state();
        let queued = self.joint.model().queue.len();
        let asked = self.joint.model().is_asked();
        let seen = self.joint.apply(op, self.pool)?;
        self.look(op, seen, before, queued, asked);
        if op != Op::Poll {
            self.last = op;
        }
        Ok(seen)
    }

    /// I-IDEMPOTENT: the second time changes nothing.
    fn twice(&mut self, op: Op) -> Result<(), Violation> {
        let model = self.joint.model().clone();
        // As text a large queue takes longer than all the rest of the run.
        let small = model.queue.len() < 64;
        let machine = small.then(|| self.joint.fingerprint());
        self.apply(op)?;
        same!(format!("I-IDEMPOTENT: {op:?} twice"), small.then(|| self.joint.fingerprint()), machine);
        ensure!(*self.joint.model() == model, "the model is not idempotent: {op:?}");
        Ok(())
    }

    /// All events that are due; stops inside of `eof_received`.
    fn drain(&mut self) -> Result<(), Violation> {
        for _ in 0..=MOST_EVENTS {
            if self.joint.model().is_asked() || self.apply(Op::Poll)? == Seen::Quiet {
                return Ok(());
            }
        }
        Err(Violation(String::from("I-TOTAL: events without end")))
    }

    /// Liveness: faults are off, it is closed, and after a counted number of steps it is over.
    fn end(mut self) -> Result<(), Violation> {
        self.apply(Op::Done(usize::MAX))?;
        if self.joint.model().is_asked() {
            self.apply(Op::KeepOpen(true))?;
        }
        self.drain()?;
        if self.joint.model().is_asked() {
            self.apply(Op::KeepOpen(true))?;
        }
        self.apply(Op::Close)?;
        self.drain()?;
        let most = 2 + self.joint.model().queue.len();
        for _ in 0..=most {
            match self.joint.wants_send() {
                Wants::Nothing => break,
                Wants::Bytes => self.apply(Op::Send(MAX_PIECES, usize::MAX))?,
                Wants::Fin => self.apply(Op::Shutdown(Ok(())))?,
                Wants::File => return Err(Violation("no file was given to it".into())),
            };
            self.drain()?;
        }
        ensure!(self.joint.model().is_over(), "liveness: it is not over but {:?}", self.joint.model().state());
        let (made, lost) = (self.joint.trace().is_made(), self.joint.trace().is_lost());
        ensure!(made == lost, "I-ONCE: made {made}, lost {lost}");
        Ok(())
    }

    fn look(&mut self, op: Op, seen: Seen, before: State, queued: usize, asked: bool) {
        let model = self.joint.model();
        let closing = matches!(before, State::Flushing | State::Losing | State::Lost);
        let low = model.limits().0;
        let kind = model.kind();
        let mark = match (op, seen) {
            (Op::Fail, _) if asked && kind == Kind::ReadPipe => Mark::FailInEof,
            (Op::HangUp, _) if before == State::Open && model.state() == State::Losing => {
                if queued > 0 {
                    Mark::HangUpWithBytes
                } else {
                    Mark::HangUpIdle
                }
            }
            (_, Seen::Told(Told::Made)) if kind == Kind::WritePipe && model.is_closing() => Mark::WriteEofFromInit,
            (_, Seen::Told(Told::Resume)) if kind == Kind::WritePipe && model.wrote_eof() => Mark::ResumeAfterWriteEof,
            (_, Seen::Told(Told::Pause)) if before == State::Losing => Mark::EdgesWhileLosing,
            (_, Seen::Told(Told::Pause)) if queued <= low => Mark::PauseAfterDrain,
            (_, Seen::Told(Told::Resume)) if before == State::Flushing => Mark::ResumeWhileFlushing,
            (_, Seen::Told(Told::Resume)) if matches!(self.last, Op::Limits(..)) => Mark::ResumeByLimits,
            (_, Seen::Told(Told::Eof)) if self.last == Op::Resume => Mark::EofAfterResume,
            (_, Seen::Told(Told::Made)) if model.is_writing_paused() => Mark::PauseFromInit,
            (_, Seen::Answer(WriteStatus::Refused(Refusal::AfterEof))) if closing => Mark::RefusedWhileClosing,
            (_, Seen::Answer(WriteStatus::Discarded)) => Mark::Discarded,
            (Op::Close, _) if asked => Mark::CloseInEof,
            (Op::Abort, _) if asked => Mark::AbortInEof,
            (Op::Abort, _) if before == State::Flushing => Mark::AbortWhileFlushing,
            (Op::WriteError(_), _) if before == State::Flushing => Mark::ErrorWhileFlushing,
            (Op::Shutdown(Err(_)), _)
                if before != model.state() && model.state() == State::Losing && before != State::Flushing =>
            {
                Mark::FinFailed
            }
            (Op::Shutdown(Err(_)), _) if matches!(before, State::WroteEof | State::BothEof) => Mark::FinNotConnected,
            (Op::Shutdown(_), _) if before == State::Flushing => Mark::FinWhileFlushing,
            (Op::Done(n), _) if queued == 0 && n > 0 && closing => Mark::FlightOutlives,
            (Op::Close | Op::Abort, _) if matches!(before, State::Init | State::Made) && queued > 0 => Mark::GivenUpWithBytes,
            (Op::ReadError(_), _) if matches!(before, State::PeerEof | State::BothEof) => Mark::ReadErrorAfterEof,
            (Op::Send(..), _) if self.joint.pieces > MAX_PIECES => Mark::ManyPieces,
            _ if model.state() == State::BothEof => Mark::BothEof,
            _ => return,
        };
        self.run.mark(mark as u32);
    }
}

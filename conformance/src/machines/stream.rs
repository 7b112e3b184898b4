//! The stream transport beside its model.

mod lifetime;
mod swarm;

use super::ops::Op;
use super::pattern;
use crate::harness::{Violation, ensure, same};
use crate::model::{Kind, Peer, State, StreamModel, Told, Trace};
use plimsoll_core::{BufPool, InFlight, MAX_PIECES, StreamEvent, StreamTransport, Wants, WriteLimits, WriteStatus};

pub use lifetime::{Mark, lifetime, pipe_lifetime};

/// How many pieces a send is offered at most; more than an operation in flight takes.
const SLICES: usize = 24;

/// An operation that owns shares of queued bytes, and what they were when it began.
#[derive(Debug)]
struct Flight {
    shares: InFlight,
    bytes: Vec<u8>,
}

/// A machine and its model, in step.
#[derive(Debug)]
pub struct Joint {
    machine: StreamTransport,
    model: StreamModel,
    trace: Trace,
    flight: Option<Flight>,
    accepted: u64,
    sent: u64,
    dropped: u64,
    /// The numbers of the bytes written start again here; zero: never.
    period: u64,
    /// How many pieces were offered last.
    pieces: usize,
}

/// What a step made of machine and model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Seen {
    /// Nothing to speak of.
    Nothing,
    /// A write was answered.
    Answer(WriteStatus),
    /// The protocol is told something.
    Told(Told),
    /// There was nothing to tell.
    Quiet,
}

impl Joint {
    /// Both new, with these marks.
    ///
    /// # Errors
    /// If machine and model disagree already, or the marks are none.
    pub fn new(low: usize, high: usize) -> Result<Self, Violation> {
        Self::of(Kind::Duplex, low, high)
    }

    /// The same, of a kind.
    ///
    /// # Errors
    /// As [`Joint::new`].
    pub fn of(kind: Kind, low: usize, high: usize) -> Result<Self, Violation> {
        let limits = WriteLimits::new(low, high).map_err(|error| Violation(error.to_string()))?;
        let joint = Self {
            machine: match kind {
                Kind::Duplex => StreamTransport::new(limits),
                Kind::ReadPipe => StreamTransport::read_pipe(),
                Kind::WritePipe => StreamTransport::write_pipe(limits),
            },
            model: match kind {
                // It has no marks to choose.
                Kind::ReadPipe => StreamModel::of(kind, WriteLimits::DEFAULT.low(), WriteLimits::DEFAULT.high()),
                _ => StreamModel::of(kind, low, high),
            },
            trace: Trace::new(kind),
            flight: None,
            accepted: 0,
            sent: 0,
            dropped: 0,
            period: 0,
            pieces: 0,
        };
        joint.compare()?;
        Ok(joint)
    }

    /// The same, but the written bytes repeat after so many, so that there are finitely many states.
    ///
    /// # Errors
    /// As [`Joint::new`].
    pub fn repeating(kind: Kind, low: usize, high: usize, period: u64) -> Result<Self, Violation> {
        Ok(Self { period, ..Self::of(kind, low, high)? })
    }

    /// The model, to see which operations make sense.
    #[must_use]
    pub const fn model(&self) -> &StreamModel {
        &self.model
    }

    /// What the protocol was told so far.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// An operation owns shares of queued bytes.
    #[must_use]
    pub const fn is_in_flight(&self) -> bool {
        self.flight.is_some()
    }

    /// All there is to know of the machine, as text: equal texts, equal machines.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("{:?} {:?}", self.machine, self.flight)
    }

    /// One step of both, compared.
    ///
    /// # Errors
    /// If they disagree.
    pub fn apply(&mut self, op: Op, pool: &mut BufPool) -> Result<Seen, Violation> {
        let seen = self.step(op, pool)?;
        self.compare()?;
        Ok(seen)
    }

    fn step(&mut self, op: Op, pool: &mut BufPool) -> Result<Seen, Violation> {
        let mut seen = Seen::Nothing;
        match op {
            Op::Poll => seen = self.poll()?,
            Op::Open => {
                self.machine.handle_open();
                self.model.handle_open();
            }
            Op::Write(how, len) => {
                let at = if self.period == 0 { self.accepted } else { self.accepted % self.period };
                let data = pattern::bytes(at, len);
                let before = self.model.queue.len();
                let answer = self.model.write(data);
                same!("write", pattern::write(&mut self.machine, how, data, pool), answer);
                self.accepted += (self.model.queue.len() - before) as u64;
                self.trace.answered(answer);
                seen = Seen::Answer(answer);
            }
            Op::WriteEof => {
                let answer = self.model.write_eof();
                same!("write_eof", self.machine.write_eof(), answer);
            }
            Op::Close => {
                // Before `connection_made` closing gives the opening up, and the bytes with it.
                self.machine.close(pool);
                let before = self.model.queue.len();
                self.model.close();
                self.dropped += (before - self.model.queue.len()) as u64;
            }
            Op::Abort => self.drops("abort", |machine| machine.abort(pool), StreamModel::abort)?,
            Op::Fail => self.drops("fail", |machine| machine.fail(pool), StreamModel::fail)?,
            Op::Pause => same!("pause_reading", self.machine.pause_reading(), self.model.pause_reading()),
            Op::Resume => same!("resume_reading", self.machine.resume_reading(), self.model.resume_reading()),
            Op::Hold(why) => {
                self.machine.hold_reading(why.into());
                self.model.hold_reading(why.into());
            }
            Op::Release(why) => {
                same!("release_reading", self.machine.release_reading(why.into()), self.model.release_reading(why.into()));
            }
            Op::Limits(low, high) => {
                let limits = WriteLimits::new(low, high).map_err(|error| Violation(error.to_string()))?;
                let answer = self.model.set_limits(low, high);
                same!("set_write_buffer_limits", self.machine.set_write_buffer_limits(limits), answer);
                self.trace.answered(answer);
            }
            Op::Eof => {
                self.machine.handle_eof();
                self.model.handle_eof();
            }
            Op::KeepOpen(yes) => {
                self.machine.keep_open(yes);
                self.model.keep_open(yes);
            }
            Op::Send(pieces, most) => self.send(pieces, most, pool)?,
            Op::Take => self.take()?,
            Op::Done(most) => self.done(most, pool)?,
            Op::Stale(n) => {
                self.machine.handle_sent(n, pool);
                self.model.handle_sent(n);
            }
            Op::Shutdown(result) => {
                self.drops(
                    "handle_shutdown",
                    |machine| machine.handle_shutdown(result, pool),
                    |model| model.handle_shutdown(result),
                )?;
            }
            Op::ReadError(error) => {
                let fact = Peer::ReadError(error);
                self.drops(
                    "handle_read_error",
                    |machine| machine.handle_read_error(error, pool),
                    |model| model.handle_error(fact),
                )?;
            }
            Op::HangUp => {
                self.drops("handle_hang_up", |machine| machine.handle_hang_up(pool), StreamModel::handle_hang_up)?;
            }
            Op::WriteError(error) => {
                self.flight = None;
                let fact = Peer::WriteError(error);
                self.drops(
                    "handle_write_error",
                    |machine| machine.handle_write_error(error, pool),
                    |model| model.handle_error(fact),
                )?;
            }
        }
        Ok(seen)
    }

    /// A step that may drop accepted bytes, and says how many.
    fn drops(
        &mut self,
        what: &str,
        machine: impl FnOnce(&mut StreamTransport) -> usize,
        model: impl FnOnce(&mut StreamModel) -> usize,
    ) -> Result<(), Violation> {
        let dropped = model(&mut self.model);
        same!(what, machine(&mut self.machine), dropped);
        self.dropped += dropped as u64;
        Ok(())
    }

    fn poll(&mut self) -> Result<Seen, Violation> {
        let told = self.model.poll();
        same!("poll_event", self.machine.poll_event().map(told_by).transpose()?, told);
        match told {
            Some(told) => {
                self.trace.told(told)?;
                Ok(Seen::Told(told))
            }
            None => Ok(Seen::Quiet),
        }
    }

    /// A vectored send: offers the foremost pieces, and some of their bytes are taken.
    fn send(&mut self, pieces: usize, most: usize, pool: &mut BufPool) -> Result<(), Violation> {
        let mut slices: [&[u8]; SLICES] = [&[]; SLICES];
        let room = pieces.min(SLICES);
        let lent = self.machine.gather(&mut slices[..room]);
        ensure!(lent <= room, "gather: {lent} slices, room for {room}");
        let slices = &slices[..lent];
        ensure!(slices.iter().all(|slice| !slice.is_empty()), "gather: an empty slice");
        let offered = self.model.queue.prefix(slices.iter().copied());
        let Some(offered) = offered else {
            return Err(Violation(String::from("I-OUT: other bytes are offered than were accepted")));
        };
        ensure!(
            lent == room || offered == self.model.queue.len(),
            "I-OUT: {offered} of {} bytes offered",
            self.model.queue.len()
        );
        ensure!(
            lent != 1 || offered < self.model.queue.len() || self.machine.as_one_slice().is_some(),
            "as_one_slice: it is one"
        );
        self.pieces = lent;
        let n = most.min(offered);
        self.machine.handle_sent(n, pool);
        self.model.handle_sent(n);
        self.sent += n as u64;
        Ok(())
    }

    fn take(&mut self) -> Result<(), Violation> {
        let shares = self.machine.in_flight();
        let pieces = shares.pieces();
        ensure!(pieces.len() <= MAX_PIECES, "in_flight: {} pieces", pieces.len());
        ensure!(pieces.iter().all(|piece| !piece.is_empty()), "in_flight: an empty piece");
        let taken = self.model.queue.prefix(pieces.iter().map(|piece| &piece[..]));
        same!("I-OUT: bytes in flight", Some(shares.len()), taken);
        same!("in_flight: is_empty", shares.is_empty(), self.model.queue.is_empty());
        let bytes = pieces.concat();
        self.flight = Some(Flight { shares, bytes });
        Ok(())
    }

    /// The operation ends; whatever was written, or dropped, meanwhile has not touched its bytes.
    fn done(&mut self, most: usize, pool: &mut BufPool) -> Result<(), Violation> {
        if let Some(Flight { shares, bytes }) = self.flight.take() {
            ensure!(shares.pieces().concat() == bytes, "WRITE-5: bytes in flight have changed");
            // First dropped, then told, or the other way round: both are allowed.
            let n = most.min(bytes.len());
            self.machine.handle_sent(n, pool);
            let before = self.model.queue.len();
            self.model.handle_sent(n);
            self.sent += (before - self.model.queue.len()) as u64;
        }
        Ok(())
    }

    /// All that can be asked.
    fn compare(&self) -> Result<(), Violation> {
        let (machine, model) = (&self.machine, &self.model);
        same!("is_closing", machine.is_closing(), model.is_closing());
        same!("I-WANTS: wants_read", machine.wants_read(), model.wants_read());
        same!("I-WANTS: wants_send", machine.wants_send(), model.wants_send());
        same!("can_read", machine.can_read(), model.kind() != Kind::WritePipe);
        same!("can_write", machine.can_write(), model.kind() != Kind::ReadPipe);
        same!("is_reading", machine.is_reading(), model.is_reading());
        same!("I-SIZE: write_buffer_size", machine.write_buffer_size(), model.queue.len());
        same!("write_buffer_limits", (machine.write_buffer_limits().low(), machine.write_buffer_limits().high()), model.limits());
        same!("is_writing_paused", machine.is_writing_paused(), model.is_writing_paused());
        same!("is_edge_due", machine.is_edge_due(), model.is_edge_due());
        same!("wrote_eof", machine.wrote_eof(), model.wrote_eof());
        same!("is_made", machine.is_made(), model.is_made());
        same!("is_losing", machine.is_losing(), model.state() == State::Losing);
        same!("is_over", machine.is_over(), model.is_over());
        same!("the trace", self.trace.is_lost(), model.state() == State::Lost);
        if let Some(slice) = machine.as_one_slice() {
            same!("as_one_slice", Some(slice.len()), model.queue.prefix([slice]));
            same!("as_one_slice", slice.len(), model.queue.len());
        }
        let queued = model.queue.len() as u64;
        same!("I-OUT: accepted", self.accepted, self.sent + self.dropped + queued);
        Ok(())
    }

    /// Whether the kernel can be given something.
    #[must_use]
    pub fn wants_send(&self) -> Wants {
        self.model.wants_send()
    }
}

/// The machine's event in the model's words.
pub(crate) fn told_by(event: StreamEvent) -> Result<Told, Violation> {
    Ok(match event {
        StreamEvent::Made => Told::Made,
        StreamEvent::PauseWriting => Told::Pause,
        StreamEvent::ResumeWriting => Told::Resume,
        StreamEvent::Eof => Told::Eof,
        StreamEvent::Lost(ending) => Told::Lost(ending.cause(), ending.error(), ending.first()),
        other => return Err(Violation(format!("an unknown event: {other:?}"))),
    })
}

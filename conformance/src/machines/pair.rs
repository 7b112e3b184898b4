//! Two transports with a wire between them: what one accepted, the other receives.

use super::How;
use super::ops::{BROKEN, NOT_CONNECTED, RESET};
use super::pattern;
use super::stream::told_by;
use crate::choices::Choices;
use crate::harness::{Run, Violation, ensure, same};
use crate::model::{Kind, Told, Trace};
use plimsoll_core::{BufPool, Cause, StreamTransport, Wants, WriteLimits, WriteStatus};
use std::collections::VecDeque;

/// The byte number that each side begins with: the directions carry different bytes.
const FIRST: [u64; 2] = [0, 30_011];

/// What is on its way.
#[derive(Debug)]
enum Segment {
    Bytes(Vec<u8>),
    Fin,
    Reset,
}

/// One end: the transport, its socket, and what went through.
#[derive(Debug)]
struct End {
    transport: StreamTransport,
    trace: Trace,
    /// Segments on their way to this end.
    wire: VecDeque<Segment>,
    /// What has arrived and was not read.
    arrived: VecDeque<u8>,
    fin_arrived: bool,
    reset_arrived: bool,
    /// The socket is closed.
    closed: bool,
    fin_sent: bool,
    accepted: u64,
    sent: u64,
    received: u64,
    dropped: u64,
    cause: Option<Cause>,
    keeps_open: bool,
}

struct Pair<'a, 'r> {
    run: &'a mut Run<'r>,
    pool: BufPool,
    ends: [End; 2],
    /// How many bytes the wire and the receiver's socket hold together.
    window: usize,
    /// A reset was sent: bytes may be lost from now on.
    reset: bool,
    faults: bool,
}

/// Both ends at random, over a wire that delays and cuts; then a liveness phase, after which both are lost.
///
/// # Errors
/// If a byte is lost, doubled or swapped, a trace is none of the grammar's, or an end does not come to its end.
pub fn lifetime(run: &mut Run<'_>) -> Result<(), Violation> {
    let high = run.choices().pick(12);
    let low = run.choices().pick(high + 1);
    let limits = WriteLimits::new(low, high).map_err(|error| Violation(error.to_string()))?;
    let window = [3, 40, 700, 9000][run.choices().pick(4)];
    let mut end = || End {
        transport: StreamTransport::new(limits),
        trace: Trace::new(Kind::Duplex),
        wire: VecDeque::new(),
        arrived: VecDeque::new(),
        fin_arrived: false,
        reset_arrived: false,
        closed: false,
        fin_sent: false,
        accepted: 0,
        sent: 0,
        received: 0,
        dropped: 0,
        cause: None,
        keeps_open: run.choices().one_in(2),
    };
    let ends = [end(), end()];
    let mut pair = Pair { run, pool: BufPool::new(), ends, window, reset: false, faults: true };
    pair.random()?;
    pair.liveness()
}

impl Pair<'_, '_> {
    fn random(&mut self) -> Result<(), Violation> {
        let rare = |choices: &mut dyn Choices| [0, 1][choices.weighted(&[3, 1])];
        let often = |choices: &mut dyn Choices| [0, 3, 12][choices.pick(3)];
        let choices = self.run.choices();
        let weights = [
            2 + often(choices),
            8,
            8,
            8,
            often(choices) / 3,
            often(choices) / 2,
            rare(choices),
            rare(choices),
            rare(choices),
            rare(choices),
        ];
        let long = choices.one_in(4);
        for _ in 0..[20, 80, 300][self.run.choices().weighted(&[3, 3, 1])] {
            if self.run.choices().is_exhausted() {
                break;
            }
            let at = self.run.choices().pick(2);
            match self.run.choices().weighted(&weights) {
                0 => self.write(at, long),
                1 => self.send(at)?,
                2 => self.deliver(at),
                3 => self.read(at)?,
                4 => drop(self.ends[at].transport.pause_reading()),
                5 => drop(self.ends[at].transport.resume_reading()),
                6 => same!("write_eof", self.ends[at].transport.write_eof(), Ok(())),
                7 => self.ends[at].transport.close(&mut self.pool),
                8 => self.ends[at].dropped += self.ends[at].transport.abort(&mut self.pool) as u64,
                _ => self.cut_off(),
            }
            self.tell(at)?;
            self.ends[at].transport.handle_open();
            self.tell(at)?;
            self.conserved()?;
        }
        Ok(())
    }

    /// Faults are off, everything is read, both are closed; each round makes progress or is the last.
    fn liveness(mut self) -> Result<(), Violation> {
        self.faults = false;
        self.window = usize::MAX;
        for at in [0, 1] {
            self.ends[at].transport.handle_open();
            self.ends[at].transport.resume_reading();
            self.tell(at)?;
        }
        self.settle()?;
        for at in [0, 1] {
            let (this, other) = (&self.ends[at], &self.ends[1 - at]);
            if !this.closed && !other.closed && !self.reset && !this.transport.is_closing() && !other.transport.is_closing() {
                same!("I-IN: everything arrives", other.received, this.accepted);
            }
        }
        for at in [0, 1] {
            self.ends[at].transport.close(&mut self.pool);
            self.tell(at)?;
        }
        self.settle()?;
        for at in [0, 1] {
            let end = &self.ends[at];
            ensure!(end.transport.is_over(), "liveness: end {at} is not over");
            same!("I-ONCE: made and lost", end.trace.is_made(), end.trace.is_lost());
        }
        Ok(())
    }

    /// Until nothing moves any more, in a counted number of rounds.
    fn settle(&mut self) -> Result<(), Violation> {
        let queued: usize = self.ends.iter().map(|end| end.transport.write_buffer_size() + end.arrived.len()).sum();
        let segments: usize = self.ends.iter().map(|end| end.wire.len()).sum();
        // Each round moves something of everything there is, at least a byte of it.
        for _ in 0..16 + queued + segments {
            let before = self.progress();
            for at in [0, 1] {
                self.send(at)?;
                self.tell(at)?;
                self.deliver(at);
                self.read(at)?;
                self.tell(at)?;
                self.conserved()?;
            }
            if self.progress() == before {
                return Ok(());
            }
        }
        Err(Violation(String::from("liveness: no end of it")))
    }

    fn progress(&self) -> [(u64, u64, usize, bool, bool, bool); 2] {
        [0, 1].map(|at| {
            let end = &self.ends[at];
            (end.sent, end.received, end.wire.len(), end.fin_sent, end.trace.saw_eof(), end.closed)
        })
    }

    fn write(&mut self, at: usize, long: bool) {
        let len = if long { self.run.choices().pick(3000) } else { self.run.choices().pick(9) };
        let how = How::ALL[self.run.choices().pick(How::ALL.len())];
        let end = &mut self.ends[at];
        let data = pattern::bytes(FIRST[at] + end.accepted, len);
        let answer = pattern::write(&mut end.transport, how, data, &mut self.pool);
        end.trace.answered(answer);
        if matches!(answer, WriteStatus::Accepted | WriteStatus::Paused) {
            end.accepted += len as u64;
        }
        self.run.step(("write", at, len, how));
    }

    /// The kernel takes what it has room for, or the FIN.
    fn send(&mut self, at: usize) -> Result<(), Violation> {
        let wants = self.ends[at].transport.wants_send();
        if wants == Wants::Nothing {
            return Ok(());
        }
        ensure!(!self.ends[at].closed, "end {at} wants to send on a closed socket");
        if self.ends[at].reset_arrived {
            let end = &mut self.ends[at];
            let dropped = match wants {
                Wants::Fin => end.transport.handle_shutdown(Err(NOT_CONNECTED), &mut self.pool),
                _ => end.transport.handle_write_error(BROKEN, &mut self.pool),
            };
            end.dropped += dropped as u64;
            self.run.step(("send fails", at, dropped));
            return Ok(());
        }
        if wants == Wants::Fin {
            ensure!(!self.ends[at].fin_sent, "I-FIN: a second one");
            self.ends[at].fin_sent = true;
            self.ends[at].transport.handle_shutdown(Ok(()), &mut self.pool);
            self.ends[1 - at].wire.push_back(Segment::Fin);
            self.run.step(("fin", at));
            return Ok(());
        }
        ensure!(!self.ends[at].fin_sent, "I-FIN: bytes after it");
        let other = &self.ends[1 - at];
        let on_the_way: usize =
            other.wire.iter().map(|segment| if let Segment::Bytes(bytes) = segment { bytes.len() } else { 0 }).sum();
        let room = self.window.saturating_sub(on_the_way + other.arrived.len());
        let mut slices: [&[u8]; 16] = [&[]; 16];
        let pieces = if self.faults { 1 + self.run.choices().pick(16) } else { 16 };
        let lent = self.ends[at].transport.gather(&mut slices[..pieces]);
        let mut bytes = slices[..lent].concat();
        ensure!(!bytes.is_empty(), "I-WANTS: nothing to send");
        let most =
            if self.faults && self.run.choices().one_in(2) { self.run.choices().pick(bytes.len() + 1) } else { bytes.len() };
        bytes.truncate(most.min(room));
        let end = &mut self.ends[at];
        ensure!(pattern::is(FIRST[at] + end.sent, &bytes), "I-OUT: end {at} sends other bytes");
        end.transport.handle_sent(bytes.len(), &mut self.pool);
        end.sent += bytes.len() as u64;
        self.run.step(("send", at, bytes.len()));
        if !bytes.is_empty() {
            self.ends[1 - at].wire.push_back(Segment::Bytes(bytes));
        }
        Ok(())
    }

    /// The first segment arrives, or a piece of it.
    fn deliver(&mut self, at: usize) {
        let cut = self.faults && self.run.choices().one_in(3);
        let end = &mut self.ends[at];
        match end.wire.pop_front() {
            Some(Segment::Bytes(mut bytes)) => {
                if cut {
                    let rest = bytes.split_off(self.run.choices().pick(bytes.len()));
                    end.wire.push_front(Segment::Bytes(rest));
                }
                if end.closed {
                    self.send_reset(1 - at);
                } else if !end.reset_arrived {
                    self.run.step(("arrives", at, bytes.len()));
                    end.arrived.extend(bytes);
                }
            }
            Some(Segment::Fin) => end.fin_arrived = true,
            Some(Segment::Reset) => {
                self.run.step(("reset arrives", at));
                end.reset_arrived = true;
            }
            None => {}
        }
    }

    /// Towards that end.
    fn send_reset(&mut self, to: usize) {
        self.reset = true;
        self.ends[to].wire.push_back(Segment::Reset);
    }

    /// The network cuts both off.
    fn cut_off(&mut self) {
        if self.faults {
            self.run.step("cut off");
            self.send_reset(0);
            self.send_reset(1);
        }
    }

    /// One bounded read, if it is wanted: bytes first, then the end (contract READ-11).
    fn read(&mut self, at: usize) -> Result<(), Violation> {
        if !self.ends[at].transport.wants_read() {
            return Ok(());
        }
        ensure!(!self.ends[at].closed, "end {at} wants to read from a closed socket");
        let here = self.ends[at].arrived.len();
        let n = if self.faults && here > 0 { 1 + self.run.choices().pick(here) } else { here };
        let end = &mut self.ends[at];
        if n > 0 {
            let data: Vec<u8> = end.arrived.drain(..n).collect();
            ensure!(pattern::is(FIRST[1 - at] + end.received, &data), "I-IN: end {at} receives other bytes");
            ensure!(!end.trace.saw_eof(), "READ-2: data after eof");
            end.received += n as u64;
            self.run.step(("data", at, n));
        } else if end.reset_arrived {
            end.dropped += end.transport.handle_read_error(RESET, &mut self.pool) as u64;
            self.run.step(("read fails", at));
        } else if end.fin_arrived {
            end.transport.handle_eof();
            self.run.step(("eof", at));
        }
        Ok(())
    }

    /// All events that are due to one end.
    fn tell(&mut self, at: usize) -> Result<(), Violation> {
        for _ in 0..8 {
            let Some(event) = self.ends[at].transport.poll_event() else {
                return Ok(());
            };
            let told = told_by(event)?;
            self.run.step((at, told));
            self.ends[at].trace.told(told)?;
            match told {
                Told::Eof => self.told_eof(at)?,
                Told::Lost(cause, ..) => self.told_lost(at, cause)?,
                Told::Made | Told::Pause | Told::Resume => {}
            }
        }
        Err(Violation(String::from("I-TOTAL: events without end")))
    }

    fn told_eof(&mut self, at: usize) -> Result<(), Violation> {
        let (this, other) = (&self.ends[at], &self.ends[1 - at]);
        same!("I-IN: all that was sent, at eof", this.received, other.sent);
        if !matches!(other.cause, Some(Cause::LocalAbort | Cause::ReadFailed | Cause::WriteFailed)) {
            same!("EOF-6: all that was accepted, at eof", this.received, other.accepted);
        }
        if self.faults && self.run.choices().one_in(4) {
            self.write(at, false);
        }
        let end = &mut self.ends[at];
        let yes = end.keeps_open;
        end.transport.keep_open(yes);
        Ok(())
    }

    /// The socket is closed: a FIN, or a reset if anything was left unread (contract CLOSE-11).
    fn told_lost(&mut self, at: usize, cause: Cause) -> Result<(), Violation> {
        let end = &mut self.ends[at];
        end.cause = Some(cause);
        end.closed = true;
        if matches!(cause, Cause::LocalClose | Cause::PeerEof) {
            same!("CLOSE-1: all that was accepted was sent", end.sent, end.accepted);
        }
        if matches!(cause, Cause::ReadFailed | Cause::WriteFailed) {
            ensure!(end.reset_arrived, "17.9: {cause:?}, and nothing had failed");
        }
        if !end.arrived.is_empty() || end.reset_arrived {
            self.send_reset(1 - at);
        } else if !end.fin_sent {
            end.fin_sent = true;
            self.ends[1 - at].wire.push_back(Segment::Fin);
        }
        Ok(())
    }

    fn conserved(&self) -> Result<(), Violation> {
        for end in &self.ends {
            let queued = end.transport.write_buffer_size() as u64;
            // Given up before `connection_made`, a transport does not say how many bytes went with it.
            if end.trace.is_made() {
                same!("I-OUT: accepted", end.accepted, end.sent + end.dropped + queued);
            }
            ensure!(!(end.transport.is_closing() && end.transport.wants_read()), "I-CLOSING: it still wants to read");
        }
        Ok(())
    }
}

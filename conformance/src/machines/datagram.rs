//! The datagram endpoint beside its model: random lifetimes, and every state of a small world.

use super::ops::Why;
use crate::choices::Choices;
use crate::harness::{Run, Violation, ensure, same};
use crate::model::{DatagramModel, DatagramTold, Remote};
use bytes::BytesMut;
use core::hash::{Hash, Hasher};
use core::net::SocketAddr;
use plimsoll_core::{
    Addr, AddrRef, BufPool, Bytes, Call, DatagramEvent, DatagramTransport, Error, ErrorKind, WriteLimits, WriteStatus,
};
use std::collections::BTreeSet;
use std::hash::DefaultHasher;

const REFUSED: Error = Error::from_code(Call::Send, ErrorKind::ConnectionRefused, 111);
const NO_ROOM: Error = Error::from_code(Call::Send, ErrorKind::OutOfMemory, 105);
const UNHEARD: Error = Error::from_code(Call::Receive, ErrorKind::ConnectionRefused, 111);

/// So many datagrams are offered to a send at most.
const OFFERED: usize = 6;

/// Two addresses, or none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum To {
    /// Not said.
    Nobody,
    /// The remote one, if there is one.
    One,
    /// Another.
    Two,
}

impl To {
    const ALL: [Self; 3] = [Self::Nobody, Self::One, Self::Two];

    fn addr(self) -> Option<Addr> {
        match self {
            Self::Nobody => None,
            Self::One => Some(SocketAddr::from(([127, 0, 0, 1], 1)).into()),
            Self::Two => Some(SocketAddr::from(([127, 0, 0, 1], 2)).into()),
        }
    }
}

/// One command, fact, wish or poll.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DatagramOp {
    /// Asks for the next event.
    Poll,
    /// Asks for the loss alone, as an engine does: whatever is owed comes first.
    PollLost,
    /// The socket is there, connected to that.
    Open(To),
    /// A datagram of so many bytes.
    Send(usize, To),
    /// `close`.
    Close,
    /// `abort`.
    Abort,
    /// A callback failed.
    Fail,
    /// The descriptor failed.
    Failure,
    /// `pause_reading`.
    Pause,
    /// `resume_reading`.
    Resume,
    /// A reason not to read beside the application's.
    Hold(Why),
    /// One less.
    Release(Why),
    /// Other marks.
    Limits(usize, usize),
    /// The kernel takes so many of those that are offered.
    Sent(usize),
    /// So many are said to be sent, whatever is queued.
    Stale(usize),
    /// The kernel refuses the foremost one.
    SendError(Error),
    /// Receiving fails.
    ReceiveError(Error),
    /// A send would block and nobody will tell.
    NoRoom,
    /// It may be tried again.
    Rested,
    /// A datagram came: it is delivered, or held.
    Came(u8),
    /// What is held is asked for.
    Held,
    /// The foremost datagram goes with an operation of its own.
    Flight,
}

/// The word that a protocol was told, held against 17.4.
#[derive(Clone, Copy, Default, Debug)]
struct Word {
    made: bool,
    paused: bool,
    promised: bool,
    lost: bool,
}

impl Word {
    fn told(&mut self, what: DatagramTold) -> Result<(), Violation> {
        ensure!(!self.lost, "I-SILENT: {what:?} after lost");
        ensure!(self.made != (what == DatagramTold::Made), "DGRAM-1: {what:?}, made: {}", self.made);
        match what {
            DatagramTold::Made => self.made = true,
            DatagramTold::Pause => {
                ensure!(!self.paused, "I-ALTERNATE: paused twice");
                (self.paused, self.promised) = (true, false);
            }
            DatagramTold::Resume => {
                ensure!(self.paused, "I-ALTERNATE: resumed, and not paused");
                self.paused = false;
            }
            DatagramTold::Error(_) => {}
            DatagramTold::Lost(..) => {
                ensure!(!self.promised, "I-PROMISE: {what:?} before a promised pause");
                self.lost = true;
            }
        }
        Ok(())
    }
}

/// A machine and its model, in step.
#[derive(Debug)]
pub struct DatagramJoint {
    machine: DatagramTransport,
    model: DatagramModel,
    word: Word,
    /// Datagrams accepted, handed to the kernel, refused by it, and dropped at the end: each is accounted for (I-BOUNDARY).
    accepted: u64,
    sent: u64,
    refused: u64,
    dropped: u64,
}

impl DatagramJoint {
    /// Both new.
    ///
    /// # Errors
    /// If they disagree already.
    pub fn new(remote: &Remote, low: usize, high: usize) -> Result<Self, Violation> {
        let limits = WriteLimits::new(low, high).map_err(|error| Violation(error.to_string()))?;
        let machine = match remote {
            Remote::Named(addr) => DatagramTransport::with_remote(limits, addr.clone(), false),
            Remote::Connected(addr) => DatagramTransport::with_remote(limits, addr.clone(), true),
            Remote::Unknown => DatagramTransport::adopted(limits),
            Remote::None => DatagramTransport::new(limits),
        };
        let model = DatagramModel::new(remote.clone(), low, high);
        let joint = Self { machine, model, word: Word::default(), accepted: 0, sent: 0, refused: 0, dropped: 0 };
        joint.compare()?;
        Ok(joint)
    }

    /// One step of both, compared; whether a poll had something to tell.
    ///
    /// # Errors
    /// If they disagree.
    pub fn apply(&mut self, op: DatagramOp, pool: &mut BufPool) -> Result<bool, Violation> {
        let mut told = false;
        let before = self.model.queue.len() as u64;
        match op {
            DatagramOp::Poll => {
                let event = self.model.poll();
                same!("poll_event", self.machine.poll_event().map(told_by).transpose()?, event);
                told = event.is_some();
                if let Some(event) = event {
                    self.word.told(event)?;
                }
            }
            DatagramOp::PollLost => {
                let lost = self.machine.poll_lost().map(|ending| DatagramTold::Lost(ending.cause(), ending.error()));
                let event = if self.model.is_loss_next() { self.model.poll() } else { None };
                same!("poll_lost", lost, event);
                if let Some(event) = event {
                    self.word.told(event)?;
                }
            }
            DatagramOp::Open(peer) => {
                self.machine.handle_open(peer.addr());
                self.model.open(peer.addr());
            }
            DatagramOp::Send(len, to) => {
                let payload: Vec<u8> = (0..len).map(|n| (31 * n + 7) as u8).collect();
                let answer = self.model.send(payload.clone(), to.addr());
                // Slices are copied, and what is large is taken over.
                let given =
                    if len % 2 == 0 { self.machine.send(&payload, to.addr()) } else { self.machine.send(payload, to.addr()) };
                same!("send", given, answer);
                self.accepted += u64::from(matches!(answer, WriteStatus::Accepted | WriteStatus::Paused));
                self.word.promised |= answer == WriteStatus::Paused && !self.word.paused;
            }
            DatagramOp::Close => {
                self.machine.close(pool);
                self.model.close();
                self.dropped += before - self.model.queue.len() as u64;
            }
            DatagramOp::Abort => self.ended(DatagramTransport::abort, DatagramModel::abort, pool)?,
            DatagramOp::Fail => self.ended(DatagramTransport::fail, DatagramModel::fail, pool)?,
            DatagramOp::Failure => {
                self.ended(|machine, pool| machine.handle_failure(NO_ROOM, pool), |model| model.failure(NO_ROOM), pool)?;
            }
            DatagramOp::Pause => same!("pause_reading", self.machine.pause_reading(), self.model.pause_reading()),
            DatagramOp::Resume => same!("resume_reading", self.machine.resume_reading(), self.model.resume_reading()),
            DatagramOp::Hold(why) => {
                self.machine.hold_reading(why.into());
                self.model.hold_reading(why.into());
            }
            DatagramOp::Release(why) => {
                same!("release_reading", self.machine.release_reading(why.into()), self.model.release_reading(why.into()));
            }
            DatagramOp::Limits(low, high) => {
                let limits = WriteLimits::new(low, high).map_err(|error| Violation(error.to_string()))?;
                let answer = self.model.set_limits(low, high);
                same!("set_write_buffer_limits", self.machine.set_write_buffer_limits(limits), answer);
                self.word.promised |= answer == WriteStatus::Paused && !self.word.paused && !self.model.is_over();
            }
            DatagramOp::Sent(most) => self.send(most, pool),
            DatagramOp::Stale(n) => {
                self.machine.handle_sent(n, pool);
                self.model.sent(n);
                self.sent += before - self.model.queue.len() as u64;
            }
            DatagramOp::SendError(error) => {
                self.machine.handle_send_error(error, pool);
                self.model.send_error(error);
                self.refused += before - self.model.queue.len() as u64;
            }
            DatagramOp::ReceiveError(error) => {
                self.machine.handle_receive_error(error);
                self.model.receive_error(error);
            }
            DatagramOp::NoRoom => {
                self.machine.handle_no_room();
                self.model.no_room();
            }
            DatagramOp::Rested => {
                self.machine.handle_rested();
                self.model.rested();
            }
            DatagramOp::Came(mark) => {
                // Whoever drives it receives nothing while something is held.
                if !self.model.wants_receive() && self.model.held.len() < 2 {
                    self.machine.hold(BytesMut::from(&[mark][..]), SocketAddr::from(([127, 0, 0, 1], 1)).into());
                    self.model.hold(mark);
                }
            }
            DatagramOp::Held => {
                let held = self.machine.poll_held().map(|(data, _)| data[0]);
                same!("poll_held", held, self.model.poll_held());
            }
            DatagramOp::Flight => {
                let front = self.model.queue.front().map(|(payload, to)| (Bytes::from(payload.clone()), to.clone()));
                same!("in_flight", self.machine.in_flight(), front);
            }
        }
        self.compare()?;
        Ok(told)
    }

    fn ended(
        &mut self,
        machine: impl FnOnce(&mut DatagramTransport, &mut BufPool) -> usize,
        model: impl FnOnce(&mut DatagramModel) -> usize,
        pool: &mut BufPool,
    ) -> Result<(), Violation> {
        let before = self.model.queue.len() as u64;
        same!("bytes dropped", machine(&mut self.machine, pool), model(&mut self.model));
        self.dropped += before - self.model.queue.len() as u64;
        if self.model.is_closing() {
            self.word.promised = false;
        }
        Ok(())
    }

    /// As a driver sends: what is offered, and as much of it as is taken.
    fn send(&mut self, most: usize, pool: &mut BufPool) {
        if self.model.wants_send() {
            let taken = most.min(self.model.queue.len()).min(OFFERED);
            self.machine.handle_sent(taken, pool);
            self.model.sent(taken);
            self.sent += taken as u64;
        }
    }

    fn compare(&self) -> Result<(), Violation> {
        let (machine, model) = (&self.machine, &self.model);
        same!("is_closing", machine.is_closing(), model.is_closing());
        same!("is_losing", machine.is_losing(), model.is_losing());
        same!("is_over", machine.is_over(), model.is_over());
        same!("is_made", machine.is_made(), model.is_made());
        same!("is_reading", machine.is_reading(), model.is_reading());
        same!("is_writing_paused", machine.is_writing_paused(), model.is_writing_paused());
        same!("wants_read", machine.wants_read(), model.wants_read());
        same!("wants_receive", machine.wants_receive(), model.wants_receive());
        same!("wants_send", machine.wants_send(), model.wants_send());
        same!("is_edge_due", machine.is_edge_due(), model.edge().is_some());
        same!("is_error_due", machine.is_error_due(), model.is_error_due());
        same!("write_buffer_size", machine.write_buffer_size(), model.size());
        let limits = machine.write_buffer_limits();
        same!("write_buffer_limits", (limits.low(), limits.high()), model.limits());
        // I-BOUNDARY: the accepted ones in order, each whole.
        let out = machine.outgoing(OFFERED);
        same!("outgoing", out.len(), model.queue.len().min(OFFERED));
        for (lent, (payload, to)) in out.zip(&model.queue) {
            same!("a datagram", (lent.payload, lent.to), (&payload[..], to.as_ref().map(AddrRef::from)));
        }
        let accounted = self.sent + self.refused + self.dropped + model.queue.len() as u64;
        ensure!(self.accepted == accounted, "I-BOUNDARY: {} accepted, {accounted} accounted for", self.accepted);
        ensure!(!self.word.lost || model.is_over(), "lost, and not over");
        Ok(())
    }

    fn drain(&mut self, pool: &mut BufPool) -> Result<(), Violation> {
        for _ in 0..8 {
            if !self.apply(DatagramOp::Poll, pool)? {
                return Ok(());
            }
        }
        Err(Violation(String::from("I-TOTAL: events without end")))
    }

    /// Liveness: closed, and with a kernel that takes what there is, it comes to its end.
    fn end(mut self, pool: &mut BufPool) -> Result<(), Violation> {
        self.apply(DatagramOp::Rested, pool)?;
        self.drain(pool)?;
        self.apply(DatagramOp::Close, pool)?;
        for _ in 0..=self.model.queue.len() {
            self.apply(DatagramOp::Sent(OFFERED), pool)?;
            self.drain(pool)?;
        }
        ensure!(self.model.is_over() && self.model.size() == 0, "liveness: it is not over");
        ensure!(self.word.lost == self.word.made, "I-ONCE: {:?}", self.word);
        Ok(())
    }
}

fn told_by(event: DatagramEvent) -> Result<DatagramTold, Violation> {
    Ok(match event {
        DatagramEvent::Made => DatagramTold::Made,
        DatagramEvent::PauseWriting => DatagramTold::Pause,
        DatagramEvent::ResumeWriting => DatagramTold::Resume,
        DatagramEvent::Error(error) => DatagramTold::Error(error),
        DatagramEvent::Lost(ending) => DatagramTold::Lost(ending.cause(), ending.error()),
        other => return Err(Violation(format!("an unknown event: {other:?}"))),
    })
}

fn remote_of(n: usize) -> Remote {
    match (n, To::One.addr()) {
        (1, Some(addr)) => Remote::Named(addr),
        (2, Some(addr)) => Remote::Connected(addr),
        (3, _) => Remote::Unknown,
        _ => Remote::None,
    }
}

/// One generated endpoint, from its opening until it is over, beside its model.
///
/// # Errors
/// If machine and model disagree, or what was told is no word of the grammar's.
pub fn lifetime(run: &mut Run<'_>) -> Result<(), Violation> {
    let mut pool = BufPool::new();
    let remote = remote_of(run.choices().pick(4));
    let low = [0, 8, 20, 3000][run.choices().pick(4)];
    let mut joint = DatagramJoint::new(&remote, low, low + [0, 8, 40, 5000][run.choices().pick(4)])?;
    // What ends it is rare in most runs.
    let ends = [0, 1, 4][run.choices().pick(3)];
    let weights = [8, 6, 10, ends, ends, ends, ends, 2, 2, 1, 1, 2, 8, 1, 3, 2, 1, 2, 3, 3, 2, 2];
    for _ in 0..6 + run.choices().pick(40) {
        if run.choices().is_exhausted() {
            break;
        }
        let op = pick(run.choices(), &weights);
        run.step(op);
        joint.apply(op, &mut pool)?;
    }
    joint.end(&mut pool)
}

fn pick(choices: &mut dyn Choices, weights: &[u32]) -> DatagramOp {
    let why = |choices: &mut dyn Choices| [Why::Writer, Why::Edges][choices.pick(2)];
    match choices.weighted(weights) {
        0 => DatagramOp::Poll,
        1 => DatagramOp::Open(To::ALL[choices.pick(2)]),
        2 => DatagramOp::Send([0, 1, 2, 11, 1023, 1025, 4000][choices.pick(7)], To::ALL[choices.pick(3)]),
        3 => DatagramOp::Close,
        4 => DatagramOp::Abort,
        5 => DatagramOp::Fail,
        6 => DatagramOp::Failure,
        7 => DatagramOp::Pause,
        8 => DatagramOp::Resume,
        9 => DatagramOp::Hold(why(choices)),
        10 => DatagramOp::Release(why(choices)),
        11 => {
            let low = [0, 8, 16][choices.pick(3)];
            DatagramOp::Limits(low, low + [0, 8, 100][choices.pick(3)])
        }
        12 => DatagramOp::Sent(1 + choices.pick(OFFERED)),
        13 => DatagramOp::Stale(choices.pick(4)),
        14 => DatagramOp::SendError([REFUSED, NO_ROOM][choices.pick(2)]),
        15 => DatagramOp::ReceiveError(UNHEARD),
        16 => DatagramOp::NoRoom,
        17 => DatagramOp::Rested,
        18 => DatagramOp::Came(choices.pick(3) as u8),
        19 => DatagramOp::Held,
        20 => DatagramOp::PollLost,
        _ => DatagramOp::Flight,
    }
}

/// What an exhaustive walk saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Endpoints {
    /// Different states of machine and model together.
    pub states: usize,
    /// Steps from one of them, each compared.
    pub steps: u64,
}

/// Every state that tiny operations lead to, with at most two datagrams queued, and each operation from each of them: there are finitely many, so this holds for
/// runs of any length.
///
/// # Errors
/// If machine and model disagree anywhere; the message has the operations that lead there.
pub fn explore() -> Result<Endpoints, Violation> {
    const OPS: [DatagramOp; 20] = [
        DatagramOp::Poll,
        DatagramOp::PollLost,
        DatagramOp::Open(To::One),
        DatagramOp::Send(0, To::Nobody),
        DatagramOp::Send(1, To::One),
        DatagramOp::Send(1, To::Two),
        DatagramOp::Close,
        DatagramOp::Abort,
        DatagramOp::Fail,
        DatagramOp::Failure,
        DatagramOp::Pause,
        DatagramOp::Resume,
        DatagramOp::Limits(0, 8),
        DatagramOp::Limits(8, 16),
        DatagramOp::Sent(1),
        DatagramOp::SendError(REFUSED),
        DatagramOp::ReceiveError(UNHEARD),
        DatagramOp::NoRoom,
        DatagramOp::Rested,
        DatagramOp::Held,
    ];
    let mut all = Endpoints { states: 0, steps: 0 };
    for n in 0..4 {
        let remote = remote_of(n);
        let mut seen = BTreeSet::new();
        let mut paths: Vec<Vec<DatagramOp>> = vec![Vec::new()];
        seen.insert(key(&DatagramJoint::new(&remote, 0, 8)?));
        let mut at = 0;
        while at < paths.len() {
            let path = paths[at].clone();
            at += 1;
            for op in OPS {
                let mut pool = BufPool::new();
                let mut joint = DatagramJoint::new(&remote, 0, 8)?;
                for before in &path {
                    joint.apply(*before, &mut pool)?;
                }
                if matches!(op, DatagramOp::Send(..)) && joint.model.queue.len() >= 2 {
                    continue;
                }
                all.steps += 1;
                joint
                    .apply(op, &mut pool)
                    .map_err(|violation| Violation(format!("{violation}\n  after {path:?}\n  at {op:?}")))?;
                if seen.insert(key(&joint)) {
                    paths.push(path.iter().copied().chain([op]).collect());
                }
            }
        }
        all.states += paths.len();
    }
    Ok(all)
}

/// What can still make a difference: the model, and of the machine what is not a matter of how its memory is laid out.
fn key(joint: &DatagramJoint) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&joint.model, joint.word.paused, joint.word.made, joint.word.lost).hash(&mut hasher);
    hasher.finish()
}

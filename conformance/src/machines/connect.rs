//! The connector beside its model.

mod small;

pub use small::{World, explore};

use crate::choices::Choices;
use crate::harness::{Run, Violation, ensure, same};
use crate::model::ConnectModel;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use plimsoll_core::{Addr, Call, Connector, ConnectorOp, Error, ErrorKind, Instant};

/// Rare branches: a generator that never gets there tests nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[repr(u32)]
pub enum Mark {
    /// Two attempts had won before anybody asked.
    TwoAtOnce,
    /// A loser failed by itself before it was told to stop.
    LoserFailed,
    /// An attempt was begun and overtaken by a success before it was asked for.
    NeverStarted,
    /// The next address of ours served where the one before could not be bound.
    NextSource,
    /// An address without an address of ours was passed over.
    PassedOver,
    /// An attempt that was not the last one failed, and another went on.
    EarlierFailed,
    /// An attempt began because it was time.
    ByTime,
    /// All failed, more than one.
    AllFailed,
    /// It was given up between a success and the word of it.
    GivenUpWon,
}

impl Mark {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::TwoAtOnce,
        Self::LoserFailed,
        Self::NeverStarted,
        Self::NextSource,
        Self::PassedOver,
        Self::EarlierFailed,
        Self::ByTime,
        Self::AllFailed,
        Self::GivenUpWon,
    ];

    /// Whether a run's marks have it.
    #[must_use]
    pub const fn is_in(self, marks: u64) -> bool {
        marks & 1 << self as u32 != 0
    }
}

const REFUSED: Error = Error::from_code(Call::Connect, ErrorKind::ConnectionRefused, 111);
const TAKEN: Error = Error::from_code(Call::Bind, ErrorKind::AddrInUse, 98);

/// What can be done to a connector.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Step {
    /// Asks once what it wants.
    Poll,
    Result(u8, Result<(), Error>),
    /// So long after the present time.
    Timeout(Duration),
    Cancel,
}

/// An address of ours or a peer's: the number tells them apart within a family.
pub(super) fn addr(v6: bool, number: usize) -> Addr {
    let ip = if v6 {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number as u16))
    } else {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, number as u8))
    };
    SocketAddr::new(ip, 80 + (number >> 8) as u16).into()
}

/// The two together, and the sockets that the machine's caller holds.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Joint {
    machine: Connector,
    model: ConnectModel,
    now: Instant,
    sockets: Vec<u8>,
    outcome: Option<ConnectorOp>,
}

impl Joint {
    pub(super) fn new(to: &[Addr], from: &[Addr], stagger: Option<Duration>) -> Self {
        let now = Instant::from_nanos(1000);
        let machine = Connector::new(to.iter().cloned(), from.iter().cloned(), stagger, now);
        Self { machine, model: ConnectModel::new(to, from, stagger, now), now, sockets: Vec::new(), outcome: None }
    }

    /// Does it to both; what they ask for, if they were asked.
    pub(super) fn apply(&mut self, step: Step) -> Result<Option<ConnectorOp>, Violation> {
        let mut asked = None;
        match step {
            Step::Poll => {
                asked = self.machine.poll_op();
                same!("poll_op", asked, self.model.poll());
                self.carry_out(asked.as_ref())?;
            }
            Step::Result(attempt, result) => {
                if result.is_err() && self.model.open().contains(&attempt) && !self.model.has_won(attempt) {
                    // Whoever tells of a failure has closed the socket; one that has succeeded does not fail any more.
                    self.sockets.retain(|open| *open != attempt);
                }
                self.machine.handle_result(attempt, result, self.now);
                self.model.result(attempt, result, self.now);
            }
            Step::Timeout(after) => {
                self.now = self.now.saturating_add(after);
                self.machine.handle_timeout(self.now);
                self.model.timeout(self.now);
            }
            Step::Cancel => {
                self.machine.cancel();
                self.model.cancel();
            }
        }
        same!("poll_timeout", self.machine.poll_timeout(), self.model.next_at());
        Ok(asked)
    }

    /// What a caller does, and what it may be asked for at all.
    fn carry_out(&mut self, op: Option<&ConnectorOp>) -> Result<(), Violation> {
        match op {
            Some(ConnectorOp::Start { attempt, .. }) => {
                ensure!(self.outcome.is_none(), "LOOP-7: attempt {attempt} after {:?}", self.outcome);
                ensure!(!self.sockets.contains(attempt), "LOOP-9: attempt {attempt} has two sockets");
                self.sockets.push(*attempt);
            }
            Some(ConnectorOp::Cancel(attempt)) => {
                ensure!(self.outcome.is_none(), "LOOP-9: {attempt} is cancelled after {:?}", self.outcome);
                ensure!(self.sockets.contains(attempt), "LOOP-9: {attempt} is cancelled without a socket");
                self.sockets.retain(|open| open != attempt);
            }
            Some(op @ ConnectorOp::Won(attempt)) => {
                ensure!(self.outcome.is_none(), "LOOP-9: {op:?} after {:?}", self.outcome);
                ensure!(self.sockets == [*attempt], "LOOP-9: {attempt} has won, open are {:?}", self.sockets);
                self.outcome = Some(op.clone());
            }
            Some(op @ ConnectorOp::Failed(_)) => {
                ensure!(self.outcome.is_none(), "LOOP-6: {op:?} after {:?}", self.outcome);
                ensure!(self.sockets.is_empty(), "LOOP-9: failed, open are {:?}", self.sockets);
                self.outcome = Some(op.clone());
            }
            _ => {}
        }
        Ok(())
    }
}

/// One opening from its beginning to its end.
///
/// # Errors
/// If machine and model disagree, a socket is left over, or it never comes to an end.
pub fn lifetime(run: &mut Run<'_>) -> Result<(), Violation> {
    interleaving(run)?;
    let count = run.choices().weighted(&[1, 4, 6, 6, 4, 2]);
    let to: Vec<Addr> = (0..count).map(|n| addr(run.choices().pick(2) == 1, n)).collect();
    let ours = run.choices().weighted(&[6, 2, 2, 1]);
    let from: Vec<Addr> = (0..ours).map(|n| addr(run.choices().pick(2) == 1, 100 + n)).collect();
    let stagger =
        [None, Some(Duration::from_nanos(250)), Some(Duration::ZERO), Some(Duration::MAX)][run.choices().weighted(&[3, 6, 1, 1])];
    run.step((count, ours, stagger));
    let mut joint = Joint::new(&to, &from, stagger);
    // Swarm: asked after each step or seldom, succeeding often or hardly ever.
    let weights = [[12, 3][run.choices().pick(2)], 6, [0, 4][run.choices().pick(2)], [0, 1][run.choices().weighted(&[3, 1])]];
    let good = [1, 1, 12][run.choices().pick(3)];
    let mut last_won = None;
    for _ in 0..[8, 30][run.choices().pick(2)] {
        if run.choices().is_exhausted() {
            break;
        }
        let step = draw(run.choices(), &joint, &weights, good);
        run.step(step);
        let before = joint.clone();
        let asked = joint.apply(step)?;
        look(run, step, asked.as_ref(), &before, &joint, &mut last_won);
    }
    // Everything that is under way comes to its end: it has to as well.
    for _ in 0..=4 * (count + 1) * (ours + 1) {
        while joint.apply(Step::Poll)?.is_some() {}
        if joint.model.is_over() {
            break;
        }
        match joint.model.open().first() {
            Some(&attempt) => joint.apply(Step::Result(attempt, Err(REFUSED)))?,
            None => return Err(Violation(String::from("liveness: nothing is under way, and it is not over"))),
        };
    }
    ensure!(joint.model.is_over(), "liveness: it does not end");
    same!("sockets at the end", joint.sockets.len(), usize::from(matches!(joint.outcome, Some(ConnectorOp::Won(_)))));
    Ok(())
}

fn draw(choices: &mut dyn Choices, joint: &Joint, weights: &[u32], good: u32) -> Step {
    match choices.weighted(weights) {
        0 => Step::Poll,
        1 => {
            let open = joint.model.open();
            // Seldom one that is not under way.
            let attempt =
                if open.is_empty() || choices.one_in(12) { choices.pick(8) as u8 } else { open[choices.pick(open.len())] };
            let result = [Err(REFUSED), Ok(()), Err(TAKEN)][choices.weighted(&[4, good, 2])];
            Step::Result(attempt, result)
        }
        2 => {
            let due = joint.model.next_at().map_or(Duration::from_nanos(7), |at| at.saturating_since(joint.now));
            let early = due.saturating_sub(Duration::from_nanos(1));
            let late = due.saturating_add(Duration::from_nanos(999));
            Step::Timeout([due, early, late, Duration::ZERO][choices.weighted(&[4, 1, 1, 1])])
        }
        _ => Step::Cancel,
    }
}

fn look(run: &mut Run<'_>, step: Step, asked: Option<&ConnectorOp>, before: &Joint, after: &Joint, won: &mut Option<u8>) {
    let over = before.model.is_over() || before.outcome.is_some();
    let mark = match (step, asked) {
        (Step::Result(attempt, Ok(())), _) if before.model.open().contains(&attempt) && !over => match *won {
            Some(first) if first != attempt => Mark::TwoAtOnce,
            _ => {
                *won = Some(attempt);
                if !(0..8).any(|n| before.model.owes(n)) || after.model == before.model {
                    return;
                }
                Mark::NeverStarted
            }
        },
        (Step::Result(attempt, Err(_)), _) if won.is_some() && before.model.owes(attempt) => Mark::LoserFailed,
        (Step::Result(_, Err(error)), _) if error == TAKEN && after.model.open().len() < before.model.open().len() => {
            let again = (0..8).any(|n| after.model.owes(n) && !before.model.owes(n) && before.model.open().contains(&n));
            if !again {
                return;
            }
            Mark::NextSource
        }
        (Step::Result(..), _)
            if after.model.open().len() < before.model.open().len()
                && after.machine.poll_timeout() == before.machine.poll_timeout()
                && !after.model.open().is_empty() =>
        {
            Mark::EarlierFailed
        }
        (Step::Timeout(_), _) if after.model != before.model => Mark::ByTime,
        (Step::Cancel, _) if won.is_some() && !over => Mark::GivenUpWon,
        (_, Some(ConnectorOp::Failed(errors))) => {
            if errors.iter().any(|(_, error)| error.call() == Call::Bind && error.code().is_none()) {
                run.mark(Mark::PassedOver as u32);
            }
            if errors.len() < 2 {
                return;
            }
            Mark::AllFailed
        }
        _ => return,
    };
    run.mark(mark as u32);
}

/// LOOP-8.
fn interleaving(run: &mut Run<'_>) -> Result<(), Violation> {
    let addrs: Vec<Addr> = (0..run.choices().pick(7)).map(|n| addr(run.choices().pick(2) == 1, n)).collect();
    let first = run.choices().pick(5);
    run.step((addrs.len(), first));
    same!("interleave", Connector::interleave(addrs.clone(), first), ConnectModel::interleaved(&addrs, first));
    Ok(())
}

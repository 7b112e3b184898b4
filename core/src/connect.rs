//! The connector: several addresses, one connection.

use crate::addr::{Addr, Family};
use crate::error::{Call, Error, ErrorKind};
use crate::time::Instant;
use alloc::vec::Vec;
use core::time::Duration;

/// Where one attempt stands.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Stage {
    /// It has not begun.
    Waiting,
    /// It is to be started, from the local address of this index.
    Due(usize),
    UnderWay(usize),
    /// It lost, and its cancelling is to be told.
    Losing,
    /// Nothing is under way; it failed, unless it never began or lost.
    Over(Option<(Addr, Error)>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Attempt {
    to: Addr,
    stage: Stage,
}

/// What all of it has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    None,
    Won(u8),
    Failed,
    /// Nothing is told any more, but what is to be cancelled.
    Told,
}

/// What a [`Connector`] wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConnectorOp {
    /// Connect, and answer with [`handle_result`](Connector::handle_result). An attempt that could not be bound may be started again, from another
    /// address of ours.
    Start {
        /// Names the attempt: the place of its address in the list.
        attempt: u8,
        /// The peer.
        to: Addr,
        /// The address to bind to, of the same family.
        from: Option<Addr>,
    },
    /// Close the socket of this attempt, whatever has become of it.
    Cancel(u8),
    /// This attempt is the connection. Nothing follows.
    Won(u8),
    /// Every attempt failed: each address with its error, in the order of the list. An address of ours is named where that could not be
    /// bound. Empty only if there was no address to connect to. Nothing follows.
    Failed(Vec<(Addr, Error)>),
}

/// Connects to the first of several addresses that answers, without a socket and without a clock (contract LOOP-5 to LOOP-9, RFC 8305).
///
/// Attempts begin in the order of the list, each when the one before it has failed. With a stagger, "happy eyeballs", each begins also when the one before it has
/// been under way for that long; the earlier ones go on meanwhile. The first success wins, and all others are cancelled, also one that
/// succeeds a moment later.
///
/// The methods are facts, `handle_*`, and a command, [`cancel`](Self::cancel); after each of them [`poll_op`](Self::poll_op) is to be drained, and
/// [`poll_timeout`](Self::poll_timeout) tells when to call [`handle_timeout`](Self::handle_timeout).
///
/// ```
/// use core::net::SocketAddr;
/// use core::time::Duration;
/// use plimsoll_core::{Addr, Connector, ConnectorOp, Instant};
///
/// let v6: Addr = "[2001:db8::1]:80".parse::<SocketAddr>().unwrap().into();
/// let v4: Addr = "192.0.2.1:80".parse::<SocketAddr>().unwrap().into();
/// let mut connector = Connector::new([v6.clone(), v4.clone()], [], Some(Duration::from_millis(250)), Instant::ZERO);
/// assert_eq!(connector.poll_op(), Some(ConnectorOp::Start { attempt: 0, to: v6, from: None }));
///
/// // Nothing is heard of it.
/// let later = connector.poll_timeout().unwrap();
/// connector.handle_timeout(later);
/// assert_eq!(connector.poll_op(), Some(ConnectorOp::Start { attempt: 1, to: v4, from: None }));
///
/// connector.handle_result(1, Ok(()), later);
/// assert_eq!(connector.poll_op(), Some(ConnectorOp::Cancel(0)));
/// assert_eq!(connector.poll_op(), Some(ConnectorOp::Won(1)));
/// assert_eq!(connector.poll_op(), None);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connector {
    attempts: Vec<Attempt>,
    from: Vec<Addr>,
    stagger: Option<Duration>,
    /// How many attempts have begun, or could not.
    begun: usize,
    /// When the next attempt begins, although the one before it is under way.
    deadline: Option<Instant>,
    outcome: Outcome,
}

impl Connector {
    /// The most addresses that are tried; a list may be longer.
    pub const MOST: usize = 256;

    /// The stagger that RFC 8305 recommends, a quarter of a second.
    pub const STAGGER: Duration = Duration::from_millis(250);

    /// Begins to connect to these addresses, in this order; each is tried once, and the first [`MOST`](Self::MOST) are.
    ///
    /// If there are addresses of ours in `from`, each attempt is bound to the first one of its family that can be bound; without one of its
    /// family it fails (contract LOOP-5).
    pub fn new(
        to: impl IntoIterator<Item = Addr>,
        from: impl IntoIterator<Item = Addr>,
        stagger: Option<Duration>,
        now: Instant,
    ) -> Self {
        let mut attempts: Vec<Attempt> = Vec::new();
        for to in to {
            if attempts.len() == Self::MOST {
                break;
            }
            if !attempts.iter().any(|attempt| attempt.to == to) {
                attempts.push(Attempt { to, stage: Stage::Waiting });
            }
        }
        let from = from.into_iter().collect();
        let mut this = Self { attempts, from, stagger, begun: 0, deadline: None, outcome: Outcome::None };
        this.begin_next(now);
        this
    }

    /// Puts addresses into an order in which families alternate, after the first `first` of the family that comes first; within a family they
    /// keep their order. With 0 nothing changes (contract LOOP-8).
    #[must_use]
    pub fn interleave(addrs: Vec<Addr>, first: usize) -> Vec<Addr> {
        if first == 0 {
            return addrs;
        }
        let mut families: Vec<(Option<Family>, Vec<Addr>)> = Vec::new();
        for addr in addrs {
            let family = addr.family();
            match families.iter_mut().find(|(other, _)| *other == family) {
                Some((_, list)) => list.push(addr),
                None => families.push((family, Vec::from([addr]))),
            }
        }
        let mut lists: Vec<_> = families.into_iter().map(|(_, list)| list.into_iter()).collect();
        let mut order = Vec::new();
        if let Some(list) = lists.first_mut() {
            order.extend(list.take(first - 1));
        }
        loop {
            let before = order.len();
            order.extend(lists.iter_mut().filter_map(Iterator::next));
            if order.len() == before {
                return order;
            }
        }
    }

    // ---- facts ----

    /// What has become of an attempt that was started. If it failed, its socket is the caller's to close. Ignored if it is not under way any more: then it
    /// was cancelled, or will be.
    pub fn handle_result(&mut self, attempt: u8, result: Result<(), Error>, now: Instant) {
        let index = usize::from(attempt);
        let Some(Attempt { to, stage }) = self.attempts.get_mut(index) else { return };
        let (local, error) = match (&*stage, result) {
            // The winner is told about, and a second time it has not won.
            (Stage::UnderWay(_), _) if self.outcome != Outcome::None => return,
            (Stage::UnderWay(_), Ok(())) => {
                self.stop(Outcome::Won(attempt));
                return;
            }
            (Stage::UnderWay(local), Err(error)) => (*local, error),
            (Stage::Losing, Err(_)) => {
                *stage = Stage::Over(None);
                return;
            }
            _ => return,
        };
        let bound = self.from.get(local).filter(|_| error.call() == Call::Bind);
        if bound.is_some() {
            if let Some(next) = usable(&self.from, to, local + 1) {
                *stage = Stage::Due(next);
                return;
            }
        }
        *stage = Stage::Over(Some((bound.unwrap_or(to).clone(), error)));
        if index + 1 == self.begun {
            self.begin_next(now);
        } else {
            self.check_failed();
        }
    }

    /// It is `now`: the next attempt begins, if it is time for it.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.begin_next(now);
        }
    }

    // ---- a command ----

    /// Gives it up: whatever is under way is cancelled, and nothing else is told.
    pub fn cancel(&mut self) {
        self.stop(Outcome::Told);
    }

    // ---- to the world ----

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not at all.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// The next thing to do.
    pub fn poll_op(&mut self) -> Option<ConnectorOp> {
        for (index, Attempt { to, stage }) in self.attempts[..self.begun].iter_mut().enumerate() {
            let attempt = index as u8;
            match *stage {
                Stage::Losing => {
                    *stage = Stage::Over(None);
                    return Some(ConnectorOp::Cancel(attempt));
                }
                Stage::Due(local) => {
                    *stage = Stage::UnderWay(local);
                    return Some(ConnectorOp::Start { attempt, to: to.clone(), from: self.from.get(local).cloned() });
                }
                _ => {}
            }
        }
        match core::mem::replace(&mut self.outcome, Outcome::Told) {
            Outcome::None => {
                self.outcome = Outcome::None;
                None
            }
            Outcome::Won(attempt) => {
                self.attempts[usize::from(attempt)].stage = Stage::Over(None);
                Some(ConnectorOp::Won(attempt))
            }
            Outcome::Failed => {
                let errors = self.attempts.iter().filter_map(|attempt| match attempt.stage.clone() {
                    Stage::Over(error) => error,
                    _ => None,
                });
                Some(ConnectorOp::Failed(errors.collect()))
            }
            Outcome::Told => None,
        }
    }

    // ---- inside ----

    /// The next attempt that can begin does; more of them without a stagger to wait for.
    fn begin_next(&mut self, now: Instant) {
        self.deadline = None;
        while let Some(Attempt { to, stage }) = self.attempts.get_mut(self.begun) {
            self.begun += 1;
            let Some(local) = usable(&self.from, to, 0) else {
                // Named by the first address of ours, which is of no use.
                let error = Error::new(Call::Bind, ErrorKind::InvalidInput);
                *stage = Stage::Over(self.from.first().map(|from| (from.clone(), error)));
                continue;
            };
            *stage = Stage::Due(local);
            match self.stagger {
                Some(Duration::ZERO) => {}
                Some(stagger) if self.begun < self.attempts.len() => {
                    self.deadline = Some(now.saturating_add(stagger));
                    return;
                }
                _ => return,
            }
        }
        self.check_failed();
    }

    /// Nothing is under way and nothing can begin any more.
    fn check_failed(&mut self) {
        let over = |attempt: &Attempt| matches!(attempt.stage, Stage::Over(_));
        if self.outcome == Outcome::None && self.attempts.iter().all(over) {
            self.outcome = Outcome::Failed;
        }
    }

    /// It has come to its end: all that is under way but the winner is to be cancelled, what has not been started will not be.
    fn stop(&mut self, outcome: Outcome) {
        for (index, Attempt { stage, .. }) in self.attempts.iter_mut().enumerate() {
            match stage {
                Stage::UnderWay(_) if outcome == Outcome::Won(index as u8) => {}
                Stage::UnderWay(_) => *stage = Stage::Losing,
                Stage::Waiting | Stage::Due(_) => *stage = Stage::Over(None),
                Stage::Losing | Stage::Over(_) => {}
            }
        }
        self.deadline = None;
        self.outcome = outcome;
    }
}

/// The first address of ours, from that index on, that an attempt can be bound to; if there are none at all, any index will do.
fn usable(from: &[Addr], to: &Addr, index: usize) -> Option<usize> {
    if from.is_empty() {
        return Some(0);
    }
    (index..from.len()).find(|&local| from[local].family() == to.family())
}

//! Several addresses, one connection: LOOP-5 to LOOP-9.

use core::time::Duration;
use plimsoll_core::{Addr, Call, ConnectorOp, Error, ErrorKind, Family, Instant};

/// What is known of one address.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Track {
    /// The numbers of the addresses of ours that it was started from so far, the last one counts.
    tried: Vec<usize>,
    /// A socket is open.
    open: bool,
    /// It began, or could not.
    begun: bool,
    failed: Option<(Addr, Error)>,
}

/// A list of what is owed is kept, and taken back where it is overtaken: the machine computes it.
///
/// *Ruling:* an attempt that cannot be bound to one address of ours goes on from the next one of the family, and is one attempt all the while: the time of the next
/// one does not change. One that has no address of ours at all fails without a socket, named by the first of ours.
///
/// *Ruling:* a loser that has failed by itself before its cancelling was told is not cancelled as well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectModel {
    to: Vec<Addr>,
    from: Vec<Addr>,
    stagger: Option<Duration>,
    tracks: Vec<Track>,
    owed: Vec<ConnectorOp>,
    next_at: Option<Instant>,
    /// Won, failed, or given up.
    over: bool,
}

impl ConnectModel {
    /// Begins.
    #[must_use]
    pub fn new(to: &[Addr], from: &[Addr], stagger: Option<Duration>, now: Instant) -> Self {
        let mut distinct: Vec<Addr> = Vec::new();
        for addr in to {
            if !distinct.contains(addr) {
                distinct.push(addr.clone());
            }
        }
        distinct.truncate(256);
        let tracks = vec![Track::default(); distinct.len()];
        let mut this = Self { to: distinct, from: from.to_vec(), stagger, tracks, owed: Vec::new(), next_at: None, over: false };
        this.another(now);
        this
    }

    fn family(&self, attempt: usize) -> Option<Family> {
        self.to[attempt].family()
    }

    /// Which addresses of ours an attempt may use, in order; `None` stands for the system's choice.
    fn sources(&self, attempt: usize) -> Vec<Option<usize>> {
        match self.from.len() {
            0 => vec![None],
            n => (0..n).filter(|&n| self.from[n].family() == self.family(attempt)).map(Some).collect(),
        }
    }

    fn start(&mut self, attempt: usize, source: Option<usize>) {
        let track = &mut self.tracks[attempt];
        track.tried.push(source.unwrap_or(0));
        let from = source.map(|source| self.from[source].clone());
        self.owed.push(ConnectorOp::Start { attempt: attempt as u8, to: self.to[attempt].clone(), from });
    }

    /// The next address has its turn; those that have no source fail on the way, and without a delay all do.
    fn another(&mut self, now: Instant) {
        self.next_at = None;
        while let Some(attempt) = self.tracks.iter().position(|track| !track.begun) {
            self.tracks[attempt].begun = true;
            match self.sources(attempt).first() {
                Some(source) => {
                    self.start(attempt, *source);
                    if self.stagger != Some(Duration::ZERO) {
                        let more = attempt + 1 < self.to.len();
                        self.next_at = self.stagger.filter(|_| more).map(|stagger| now.saturating_add(stagger));
                        return;
                    }
                }
                None => {
                    let error = Error::new(Call::Bind, ErrorKind::InvalidInput);
                    self.tracks[attempt].failed = Some((self.from[0].clone(), error));
                }
            }
        }
        self.all_failed();
    }

    fn all_failed(&mut self) {
        if !self.over && self.tracks.iter().all(|track| track.failed.is_some()) {
            self.over = true;
            let errors = self.tracks.iter().filter_map(|track| track.failed.clone()).collect();
            self.owed.push(ConnectorOp::Failed(errors));
        }
    }

    fn owes_start(&self, attempt: usize) -> bool {
        self.owed.iter().any(|op| matches!(op, ConnectorOp::Start { attempt: owed, .. } if usize::from(*owed) == attempt))
    }

    fn owes_cancel(&self, attempt: usize) -> bool {
        self.owed.contains(&ConnectorOp::Cancel(attempt as u8))
    }

    /// The result of an attempt.
    pub fn result(&mut self, attempt: u8, result: Result<(), Error>, now: Instant) {
        let index = usize::from(attempt);
        if index >= self.tracks.len() || !self.tracks[index].open {
            return;
        }
        if self.over {
            if result.is_err() && self.owes_cancel(index) {
                self.owed.retain(|op| *op != ConnectorOp::Cancel(attempt));
                self.tracks[index].open = false;
            }
            return;
        }
        let Err(error) = result else {
            self.end(Some(attempt));
            return;
        };
        self.tracks[index].open = false;
        let sources = self.sources(index);
        let at_bind = error.call() == Call::Bind && !self.from.is_empty();
        let tried = self.tracks[index].tried.len();
        if at_bind && tried < sources.len() {
            self.start(index, sources[tried]);
            return;
        }
        let name = if at_bind { &self.from[self.tracks[index].tried[tried - 1]] } else { &self.to[index] };
        self.tracks[index].failed = Some((name.clone(), error));
        let last_begun = self.tracks.iter().rposition(|track| track.begun);
        if last_begun == Some(index) {
            self.another(now);
        } else {
            self.all_failed();
        }
    }

    /// It is that late.
    pub fn timeout(&mut self, now: Instant) {
        if self.next_at.is_some_and(|at| at <= now) {
            self.another(now);
        }
    }

    /// It is given up.
    pub fn cancel(&mut self) {
        self.end(None);
    }

    fn end(&mut self, winner: Option<u8>) {
        self.over = true;
        self.next_at = None;
        self.owed.retain(|op| matches!(op, ConnectorOp::Cancel(_)));
        for attempt in 0..self.tracks.len() {
            if self.tracks[attempt].open && winner != Some(attempt as u8) && !self.owes_cancel(attempt) {
                self.owed.push(ConnectorOp::Cancel(attempt as u8));
            }
        }
        self.owed.extend(winner.map(ConnectorOp::Won));
    }

    /// What the machine must ask for next: of what is owed that of the first attempt, and the outcome last.
    pub fn poll(&mut self) -> Option<ConnectorOp> {
        let rank = |op: &ConnectorOp| match op {
            ConnectorOp::Start { attempt, .. } | ConnectorOp::Cancel(attempt) => usize::from(*attempt),
            _ => usize::MAX,
        };
        let first = (0..self.owed.len()).min_by_key(|&n| rank(&self.owed[n]))?;
        let op = self.owed.remove(first);
        match op {
            ConnectorOp::Start { attempt, .. } => self.tracks[usize::from(attempt)].open = true,
            // The socket of a winner is somebody else's from now on.
            ConnectorOp::Cancel(attempt) | ConnectorOp::Won(attempt) => self.tracks[usize::from(attempt)].open = false,
            _ => {}
        }
        Some(op)
    }

    /// When the next attempt begins.
    #[must_use]
    pub const fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    /// The attempts whose sockets are open.
    #[must_use]
    pub fn open(&self) -> Vec<u8> {
        (0..self.tracks.len()).filter(|&attempt| self.tracks[attempt].open).map(|attempt| attempt as u8).collect()
    }

    /// Whether anything is under way, or will be.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over && self.owed.is_empty()
    }

    /// An attempt was begun and not asked for yet, or is to be cancelled.
    #[must_use]
    pub fn owes(&self, attempt: u8) -> bool {
        self.owes_start(attempt.into()) || self.owes_cancel(attempt.into())
    }

    /// It has won, and nobody has asked yet.
    #[must_use]
    pub fn has_won(&self, attempt: u8) -> bool {
        self.owed.contains(&ConnectorOp::Won(attempt))
    }

    /// LOOP-8, as a place for each address: the first `first` of the first family are by themselves but the last of them, then the families take
    /// turns.
    #[must_use]
    pub fn interleaved(addrs: &[Addr], first: usize) -> Vec<Addr> {
        if first == 0 {
            return addrs.to_vec();
        }
        let mut families: Vec<Option<Family>> = Vec::new();
        let mut places: Vec<((usize, usize), &Addr)> = Vec::new();
        for (n, addr) in addrs.iter().enumerate() {
            let family = addr.family();
            if !families.contains(&family) {
                families.push(family);
            }
            let rank = families.iter().position(|other| *other == family).unwrap_or(0);
            let before = addrs[..n].iter().filter(|other| other.family() == family).count();
            let place = match rank {
                0 if before + 1 < first => (0, before),
                0 => (before + 2 - first, rank),
                _ => (before + 1, rank),
            };
            places.push((place, addr));
        }
        places.sort_by_key(|place| place.0);
        places.into_iter().map(|(_, addr)| addr.clone()).collect()
    }
}

//! What came of a suite, in the shapes that the page shows.

use super::requirements::{self, Requirement};
use crate::scenario::report::Outcome;
use crate::scenario::words::{FOLDERS, OTHERS};
use crate::scenario::{Scenario, Verdict, host};
use core::time::Duration;
use std::rc::Rc;

/// Everything that the page shows.
pub(super) struct Model {
    pub(super) hosts: Vec<Column>,
    pub(super) areas: Vec<Area>,
    pub(super) requirements: Vec<Requirement>,
}

/// A host.
pub(super) struct Column {
    pub(super) name: String,
    /// What it is.
    pub(super) kind: String,
    pub(super) time: Duration,
    pub(super) counts: Counts,
}

/// An area of the contract, or the matrix of re-entrancy.
pub(super) struct Area {
    pub(super) name: String,
    /// By host.
    pub(super) counts: Vec<Counts>,
    pub(super) cards: Vec<Card>,
}

/// A scenario, and what came of it.
pub(super) struct Card {
    pub(super) scenario: Rc<Scenario>,
    /// By host; the worst one, if it was played with several seeds.
    pub(super) outcomes: Vec<Option<Outcome>>,
}

/// How a scenario went on a host, or a requirement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Standing {
    Skipped,
    Passed,
    Departed,
    Failed,
}

impl Standing {
    pub(super) const ALL: [Self; 4] = [Self::Passed, Self::Departed, Self::Failed, Self::Skipped];

    pub(super) const fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::Passed,
            Verdict::Departed(_) => Self::Departed,
            Verdict::Skipped(_) => Self::Skipped,
            Verdict::Failed(_) | Verdict::Broken(_) => Self::Failed,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Departed => "departed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// A sign that is told from the others without its colour.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Passed => "✓",
            Self::Departed => "◇",
            Self::Failed => "✕",
            Self::Skipped => "–",
        }
    }
}

/// How many went how.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counts([usize; 4]);

impl Counts {
    pub(super) fn add(&mut self, standing: Standing) {
        self.0[standing as usize] += 1;
    }

    pub(super) const fn of(self, standing: Standing) -> usize {
        self.0[standing as usize]
    }

    pub(super) fn all(self) -> usize {
        self.0.iter().sum()
    }

    /// The worst of them, if there is any.
    pub(super) fn worst(self) -> Option<Standing> {
        [Standing::Failed, Standing::Departed, Standing::Passed, Standing::Skipped].into_iter().find(|&one| self.of(one) > 0)
    }
}

impl Card {
    pub(super) fn standing(&self, host: usize) -> Option<Standing> {
        self.outcomes[host].as_ref().map(|outcome| Standing::of(&outcome.verdict))
    }

    /// The hosts whose run is drawn: those where it failed, at most two; otherwise the first that has a time axis, and those that depart.
    pub(super) fn drawn(&self) -> Vec<usize> {
        let has = |&host: &usize| {
            let record = self.outcomes[host].as_ref().and_then(|outcome| outcome.record.as_ref());
            record.is_some_and(|record| !record.timeline.moments().is_empty())
        };
        let failed = |&host: &usize| self.standing(host) == Some(Standing::Failed);
        let hosts = || (0..self.outcomes.len()).filter(has);
        let found: Vec<usize> = hosts().filter(failed).take(2).collect();
        if !found.is_empty() {
            return found;
        }
        let departed = |host: &usize| self.standing(*host) == Some(Standing::Departed);
        let first = hosts().next();
        first.into_iter().chain(hosts().filter(departed).filter(|host| Some(*host) != first)).collect()
    }
}

/// What came of it so far: of each scenario on each host the worst run.
pub(super) struct Found {
    columns: Vec<Column>,
    cards: Vec<Card>,
}

impl Found {
    pub(super) fn new(hosts: &[String], scenarios: &[Rc<Scenario>]) -> Self {
        let card = |scenario: &Rc<Scenario>| Card { scenario: scenario.clone(), outcomes: hosts.iter().map(|_| None).collect() };
        Self { columns: hosts.iter().map(|name| Column::new(name)).collect(), cards: scenarios.iter().map(card).collect() }
    }

    pub(super) fn take(&mut self, outcome: Outcome) {
        let column = self.columns.iter().position(|column| column.name == outcome.host);
        let card = self.cards.iter_mut().find(|card| card.scenario.id == outcome.id);
        let (Some(at), Some(card)) = (column, card) else { return };
        let column = &mut self.columns[at];
        column.time += outcome.time;
        if !outcome.version.is_empty() {
            column.kind.clone_from(&outcome.version);
        }
        let worse = |before: &Outcome| Standing::of(&before.verdict) < Standing::of(&outcome.verdict);
        if card.outcomes[at].as_ref().is_none_or(worse) {
            card.outcomes[at] = Some(outcome);
        }
    }
}

impl Model {
    pub(super) fn new(found: Found) -> Self {
        let Found { mut columns, cards } = found;
        let hosts = columns.len();
        for (host, column) in columns.iter_mut().enumerate() {
            cards.iter().filter_map(|card| card.standing(host)).for_each(|standing| column.counts.add(standing));
        }
        let requirements = requirements::standing(&cards, hosts);
        Self { hosts: columns, areas: areas(cards, hosts), requirements }
    }
}

/// In the order of the contract; others, of folders outside of this project, behind.
fn areas(cards: Vec<Card>, hosts: usize) -> Vec<Area> {
    let mut areas: Vec<Area> = Vec::new();
    for card in cards {
        let name = card.scenario.area().to_owned();
        let at = areas.iter().position(|area| area.name == name).unwrap_or_else(|| {
            areas.push(Area { name, counts: vec![Counts::default(); hosts], cards: Vec::new() });
            areas.len() - 1
        });
        let area = &mut areas[at];
        for host in 0..hosts {
            if let Some(standing) = card.standing(host) {
                area.counts[host].add(standing);
            }
        }
        area.cards.push(card);
    }
    areas.sort_by_key(|area| FOLDERS.iter().position(|folder| *folder == area.name).unwrap_or(FOLDERS.len()));
    areas
}

impl Column {
    fn new(name: &str) -> Self {
        let kind = match name {
            "sim" => "simulated kernel, edge-triggered",
            "level" => "simulated kernel, level-triggered",
            "completion" => "simulated kernel, completions",
            _ if host::is_simulated(name) => "simulated kernel",
            _ if OTHERS.contains(&name) => "not plimsoll",
            _ => "real sockets",
        };
        Self { name: name.into(), kind: kind.into(), time: Duration::ZERO, counts: Counts::default() }
    }
}

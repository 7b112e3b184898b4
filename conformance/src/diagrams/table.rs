//! What was seen of a machine, as a table: for each state and input what is told, where it leads, and under which condition.

use super::walk::{World, explore};
use std::collections::{BTreeMap, BTreeSet};

/// A state, and where its box stands in the drawing.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct State {
    /// Its name.
    pub name: &'static str,
    /// What it means, for the text.
    pub means: &'static str,
    /// The middle of its box.
    pub at: (i32, i32),
}

/// A state of a table.
pub(super) const fn state(name: &'static str, at: (i32, i32), means: &'static str) -> State {
    State { name, means, at }
}

/// States in which the same inputs lead to the same states: drawn in a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) name: &'static str,
    pub(super) states: &'static [&'static str],
    /// Left, top, right, bottom.
    pub(super) edges: (i32, i32, i32, i32),
}

/// An arrow that is not drawn straight, or whose words stand elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) via: &'static [(i32, i32)],
    /// Where its words begin.
    pub(super) label: (i32, i32),
}

/// A route of a table.
pub(super) const fn route(from: &'static str, to: &'static str, via: &'static [(i32, i32)], label: (i32, i32)) -> Route {
    Route { from, to, via, label }
}

/// What may make a difference: the words if it is so, the words if not, and whether it is, seen before and after the input.
pub(super) struct Fact<W> {
    pub(super) yes: &'static str,
    pub(super) no: &'static str,
    pub(super) holds: fn(&W, &W) -> bool,
}

/// One way of looking at a world: which state it is in, and what its inputs are called.
pub(super) struct View<W: World> {
    pub(super) state: fn(&W) -> Option<&'static str>,
    pub(super) input: fn(&W, W::Input, &W) -> Option<&'static str>,
    pub(super) facts: Vec<Fact<W>>,
    /// Which of all that is told belongs to this view.
    pub(super) shown: &'static [&'static str],
    /// What else is to be said of a state that was just entered.
    pub(super) detail: fn(&W) -> &'static str,
}

/// What comes of an input.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Callbacks and answers, in order.
    pub told: Vec<&'static str>,
    /// The state that it leads to.
    pub to: &'static str,
    /// What is said of that state, as the cause of a loss.
    pub detail: &'static str,
}

/// An outcome and its condition.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub struct Case {
    /// When it comes to this; empty: always.
    pub guard: String,
    /// What it comes to.
    pub outcome: Outcome,
}

/// A machine as it is documented.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Machine {
    /// Its name in file names.
    pub name: &'static str,
    /// Its name in headings.
    pub title: &'static str,
    /// What the text says of it.
    pub about: &'static str,
    /// Its states, in the order of their columns.
    pub states: &'static [State],
    /// Its inputs, in the order of their rows.
    pub inputs: Vec<&'static str>,
    /// By state and input; an input that is impossible in a state has no entry.
    pub cases: BTreeMap<(&'static str, &'static str), Vec<Case>>,
    /// How many different states the walk came through: there are no others.
    pub walked: usize,
    pub(super) frames: &'static [Frame],
    pub(super) routes: &'static [Route],
    pub(super) size: (i32, i32),
}

type Seen = BTreeSet<(Vec<bool>, Outcome)>;

impl Machine {
    /// Nothing has been seen of it yet.
    pub(super) const fn blank(name: &'static str, title: &'static str, about: &'static str, states: &'static [State]) -> Self {
        let inputs = Vec::new();
        let cases = BTreeMap::new();
        Self { name, title, about, states, inputs, cases, walked: 0, frames: &[], routes: &[], size: (0, 0) }
    }

    /// All that can be seen in a world: the cases, the inputs in the order in which the names are given.
    pub(super) fn seen<W: World>(mut self, new: impl Fn() -> W, view: &View<W>) -> Self {
        let mut steps: BTreeMap<(&'static str, &'static str), Seen> = BTreeMap::new();
        self.walked = explore(new, |before, input, told, after| {
            let name = (view.input)(before, input, after);
            let (Some(from), Some(to), Some(name)) = ((view.state)(before), (view.state)(after), name) else { return };
            let told = told.iter().copied().filter(|word| view.shown.contains(word)).collect();
            let detail = if from == to { "" } else { (view.detail)(after) };
            let facts = view.facts.iter().map(|fact| (fact.holds)(before, after)).collect();
            steps.entry((from, name)).or_default().insert((facts, Outcome { told, to, detail }));
        });
        let found: BTreeSet<&'static str> = steps.keys().map(|(_, name)| *name).collect();
        let unknown: Vec<_> = found.iter().filter(|name| !self.inputs.contains(name)).collect();
        assert!(unknown.is_empty(), "{}: inputs without a row: {unknown:?}", self.name);
        self.inputs.retain(|name| found.contains(name));
        let words: Vec<(&str, &str)> = view.facts.iter().map(|fact| (fact.yes, fact.no)).collect();
        self.cases = steps.into_iter().map(|(key, seen)| (key, cases(&seen, &words))).collect();
        self
    }

    /// What can come of an input in a state.
    pub fn outcomes<'a>(&'a self, state: &str, input: &str) -> impl Iterator<Item = &'a Outcome> {
        let found = self.cases.iter().find(|((from, name), _)| *from == state && *name == input);
        found.into_iter().flat_map(|(_, cases)| cases).map(|case| &case.outcome)
    }
}

/// The fewest facts that tell the outcomes apart, and each outcome with what they say then.
fn cases(seen: &Seen, words: &[(&str, &str)]) -> Vec<Case> {
    let outcomes: BTreeSet<&Outcome> = seen.iter().map(|(_, outcome)| outcome).collect();
    let mut subsets: Vec<u32> = (0..1 << words.len()).collect();
    subsets.sort_by_key(|set| set.count_ones());
    let valuation = |set: u32, facts: &[bool]| -> Vec<Option<bool>> {
        facts.iter().enumerate().map(|(at, &fact)| (set & (1 << at) != 0).then_some(fact)).collect()
    };
    let tells = |set: &u32| {
        let mut by: BTreeMap<Vec<Option<bool>>, &Outcome> = BTreeMap::new();
        seen.iter().all(|(facts, outcome)| *by.entry(valuation(*set, facts)).or_insert(outcome) == outcome)
    };
    // If no facts do, all outcomes are possible.
    let set = subsets.into_iter().find(tells).unwrap_or(0);
    let mut cases: Vec<(usize, Case)> = outcomes
        .into_iter()
        .map(|outcome| {
            let when: BTreeSet<Vec<Option<bool>>> =
                seen.iter().filter(|(_, other)| other == outcome).map(|(facts, _)| valuation(set, facts)).collect();
            let literal = |at: usize, holds: bool| if holds { words[at].0 } else { words[at].1 };
            let text = |facts: &Vec<Option<bool>>| {
                let parts = facts.iter().enumerate().filter_map(|(at, fact)| fact.map(|holds| literal(at, holds)));
                parts.collect::<Vec<_>>().join(", ")
            };
            let guard = if when.len() > 1 { "otherwise".into() } else { when.iter().map(text).collect() };
            (when.len(), Case { guard, outcome: outcome.clone() })
        })
        .collect();
    cases.sort();
    // Two of them cannot both be what is left.
    let others = cases.iter().filter(|(when, _)| *when > 1).count();
    assert!(others <= 1, "more than one case needs several conditions: {cases:?}");
    cases.into_iter().map(|(_, case)| case).collect()
}

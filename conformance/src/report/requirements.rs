//! Every requirement of the contract, and how it stands on every host.

use super::model::{Card, Counts};
use crate::trace::{self, Status, Trace, Tree, contract};

/// A requirement.
pub(super) struct Requirement {
    pub(super) id: String,
    pub(super) strength: String,
    /// What it says, in its first sentence.
    pub(super) title: String,
    /// The other sentences.
    pub(super) more: String,
    /// How the scenarios that cover it went, by host.
    pub(super) counts: Vec<Counts>,
    /// The scenarios that cover it.
    pub(super) scenarios: Vec<String>,
    /// How many tests and examples show it too.
    pub(super) tests: usize,
    /// No scenario of the project covers it: tests do.
    by_tests: bool,
    /// How far it is held; unknown outside of the project's tree.
    pub(super) status: Option<Status>,
}

impl Requirement {
    /// The sign and the words for it where no scenario that covers it was played.
    pub(super) const fn without(&self) -> (&'static str, &'static str) {
        match self.status {
            Some(Status::ByType) => ("T", "held by type"),
            Some(Status::NotYet(_)) => ("·", "not yet"),
            Some(Status::Exception { .. }) => ("∗", "an exception"),
            _ if self.by_tests => ("t", "held by tests alone"),
            _ => (" ", "no scenario of it was played"),
        }
    }

    /// Why it is not held, where it is not.
    pub(super) fn note(&self) -> String {
        match &self.status {
            Some(Status::ByType) => "held by type: nothing else compiles".into(),
            Some(Status::NotYet(why)) => format!("not yet: {why}"),
            Some(Status::Exception { reason, .. }) => format!("exception: {reason}"),
            _ => String::new(),
        }
    }
}

/// All of them, in the order of the contract.
pub(super) fn standing(cards: &[Card], hosts: usize) -> Vec<Requirement> {
    let trace = Tree::read(&trace::own_root()).ok().map(|tree| Trace::of(&tree));
    let all = contract::own().requirements.iter();
    all.map(|requirement| {
        let id = requirement.id.as_str();
        let covering: Vec<&Card> = cards.iter().filter(|card| card.scenario.covers.iter().any(|one| one == id)).collect();
        let mut counts = vec![Counts::default(); hosts];
        for (host, counts) in counts.iter_mut().enumerate() {
            covering.iter().filter_map(|card| card.standing(host)).for_each(|standing| counts.add(standing));
        }
        let (title, more) = sentences(&requirement.text);
        Requirement {
            id: id.into(),
            strength: requirement.strength_text(),
            title: title.into(),
            more: more.into(),
            counts,
            scenarios: covering.iter().map(|card| card.scenario.id.clone()).collect(),
            tests: trace.as_ref().map_or(0, |trace| trace.evidence.tests(id).len()),
            by_tests: trace.as_ref().is_some_and(|trace| trace.evidence.scenarios(id).is_empty()),
            status: trace.as_ref().and_then(|trace| trace.entry(id)).map(|entry| entry.status.clone()),
        }
    })
    .collect()
}

/// The first sentence, and what stands behind it. A full stop in an abbreviation or in code ends nothing: a capital follows it.
fn sentences(text: &str) -> (&str, &str) {
    let mut ends = text.match_indices('.').map(|(at, _)| at + 1);
    let end = ends.find(|&end| {
        let (before, behind) = text.split_at(end);
        let begins = behind.strip_prefix(' ').and_then(|behind| behind.chars().find(|c| !['*', '`', '(', '“'].contains(c)));
        before.matches('`').count() % 2 == 0 && begins.is_some_and(char::is_uppercase)
    });
    let (title, more) = text.split_at(end.unwrap_or(text.len()));
    (title, more.trim_start())
}

#[cfg(test)]
mod tests {
    use super::sentences;

    #[test]
    fn a_sentence_ends_before_a_capital() {
        assert_eq!(sentences("One e.g. two. Three."), ("One e.g. two.", "Three."));
        assert_eq!(sentences("One `a. B` two. *Rust:* three."), ("One `a. B` two.", "*Rust:* three."));
        assert_eq!(sentences("One"), ("One", ""));
    }
}

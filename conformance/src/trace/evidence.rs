//! What shows the requirements: the scenarios that cover them, and the tests that cite them.

use super::cite::{self, Kind};
use super::contract::Contract;
use super::tree::Tree;
use crate::scenario::{self, Problem, host};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Where the scenarios stand in the tree.
const SCENARIOS: &str = "conformance/scenarios";

/// A scenario that covers an id.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Shown {
    /// The scenario.
    pub scenario: String,
    /// The hosts of this project that can play it.
    pub hosts: Vec<&'static str>,
    pub(crate) path: PathBuf,
    pub(crate) line: usize,
}

impl Shown {
    /// Whether a backend on a real kernel can play it.
    #[must_use]
    pub fn is_real(&self) -> bool {
        self.hosts.iter().any(|host| !host::is_simulated(host))
    }
}

/// A test that cites an id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cited {
    pub(crate) test: String,
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    pub(crate) line: usize,
}

/// All that shows something, by id.
#[derive(Clone, Default, Debug)]
pub struct Evidence {
    scenarios: BTreeMap<String, Vec<Shown>>,
    tests: BTreeMap<String, Vec<Cited>>,
}

impl Evidence {
    /// Looks through the tree, and says what names an id that does not exist or stands where it cannot.
    pub(crate) fn gather(tree: &Tree, contract: &Contract) -> (Self, Vec<Problem>) {
        let (mut evidence, mut problems) = (Self::default(), Vec::new());
        let mut unknown = |id: &str, path: &std::path::Path, line: usize| {
            if !contract.knows(id) {
                let message = format!("`{id}` is no id of the contract; several have commas between them");
                problems.push(Problem { path: path.to_owned(), line, message });
            }
        };
        let mut broken = Vec::new();
        for (path, text) in tree.below(SCENARIOS, "toml") {
            match scenario::parse(path, text) {
                Ok(scenario) => {
                    for id in &scenario.covers {
                        let line = line_of(text, id);
                        unknown(id, path, line);
                        let can = |host: &&str| scenario.needs.iter().all(|need| host::can(host, need));
                        let hosts = host::NAMES.into_iter().filter(can).collect();
                        let shown = Shown { scenario: scenario.id.clone(), hosts, path: path.to_owned(), line };
                        evidence.scenarios.entry(id.clone()).or_default().push(shown);
                    }
                }
                Err(problem) => broken.push(problem),
            }
        }
        for (path, text) in tree.below("", "rs") {
            let (citations, misplaced) = cite::scan(path, text);
            broken.extend(misplaced);
            for citation in citations {
                unknown(&citation.id, path, citation.line);
                let cited = Cited { test: citation.test, kind: citation.kind, path: path.to_owned(), line: citation.line };
                evidence.tests.entry(citation.id).or_default().push(cited);
            }
        }
        problems.extend(broken);
        (evidence, problems)
    }

    /// The scenarios that cover this id.
    #[must_use]
    pub fn scenarios(&self, id: &str) -> &[Shown] {
        self.scenarios.get(id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn cited(&self, id: &str) -> &[Cited] {
        self.tests.get(id).map_or(&[], Vec::as_slice)
    }

    /// The names of the tests that cite this id, each once.
    #[must_use]
    pub fn tests(&self, id: &str) -> BTreeSet<&str> {
        self.cited(id).iter().map(|cited| cited.test.as_str()).collect()
    }
}

/// The line in which a scenario names an id.
fn line_of(text: &str, id: &str) -> usize {
    let quoted = format!("\"{id}\"");
    text.lines().position(|line| line.contains(&quoted)).map_or(1, |at| at + 1)
}

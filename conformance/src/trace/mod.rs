//! Traceability: whether the contract, the statuses in `requirements.toml`, the scenarios and the tests belong together.
//!
//! [`Trace::of`] looks through a [`Tree`] and finds whatever does not: an id that nothing shows, a citation of an id that does not exist, a MUST
//! without a scenario on a real backend, a status that has gone stale. [`cli`] is the command.

mod cite;
pub mod cli;
pub mod contract;
mod evidence;
mod mention;
mod merge;
pub mod register;
mod rules;
mod tree;

#[cfg(test)]
mod tests;

pub use contract::{Contract, Requirement, Strength};
pub use evidence::{Evidence, Shown};
pub use register::{Entry, Status};
pub use tree::Tree;

use crate::scenario::Problem;
use std::path::{Path, PathBuf};

/// The root of this project.
#[must_use]
pub fn own_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a tree says of its contract.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trace {
    /// The contract.
    pub contract: Contract,
    /// The statuses.
    pub entries: Vec<Entry>,
    /// What shows the requirements.
    pub evidence: Evidence,
    /// Whatever does not belong together, each with its place.
    pub problems: Vec<Problem>,
}

impl Trace {
    /// Looks through a tree.
    #[must_use]
    pub fn of(tree: &Tree) -> Self {
        let (contract_text, register_text) = (tree.text(contract::PATH), tree.text(register::PATH));
        let mut problems = Vec::new();
        for (path, text) in [(contract::PATH, contract_text), (register::PATH, register_text)] {
            if text.is_none() {
                problems.push(Problem { path: path.into(), line: 0, message: "there is no such file".into() });
            }
        }
        let contract_text = contract_text.unwrap_or_default();
        let (contract, wrong) = Contract::read(contract_text);
        problems.extend(wrong);
        let (entries, wrong) = register::read(register_text.unwrap_or_default());
        let unread = !wrong.is_empty();
        problems.extend(wrong);
        let (evidence, wrong) = Evidence::gather(tree, &contract);
        problems.extend(wrong);
        // An entry that cannot be read would be told to be missing too.
        if !unread {
            problems.extend(rules::check(&contract, &entries, &evidence));
        }
        if contract::with_counts(contract_text, &contract.counts()).as_deref() != Some(contract_text) {
            let message = "the table of counts is not current: run `trace --write`".into();
            problems.push(Problem { path: contract::PATH.into(), line: 1, message });
        }
        problems.extend(mention::check(tree, &contract));
        // What is cited wrongly is also named wrongly; one of the two is enough.
        let mut places = std::collections::BTreeSet::new();
        problems.retain(|problem| {
            let id = problem.message.split('`').nth(1).unwrap_or(&problem.message).to_owned();
            places.insert((problem.path.clone(), problem.line, id))
        });
        Self { contract, entries, evidence, problems }
    }

    /// The entry of an id.
    #[must_use]
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// The generated parts made anew: each file with its text. What is written by hand is kept, and a merge that is stuck in the lists is ended.
    ///
    /// # Errors
    /// Why that cannot be done.
    pub fn renewed(&self, tree: &Tree) -> Result<[(&'static str, String); 2], Problem> {
        let broken = |path: &str, line, message: &str| Problem { path: path.into(), line, message: message.into() };
        let text = tree.text(register::PATH).unwrap_or_default();
        let text = if merge::is_stuck(text) { merge::resolve(text)? } else { text.into() };
        let (entries, wrong) = register::read(&text);
        // What cannot be read would be lost.
        if let Some(problem) = wrong.into_iter().next() {
            return Err(problem);
        }
        let contract = tree.text(contract::PATH).and_then(|text| contract::with_counts(text, &self.contract.counts()));
        let contract = contract.ok_or_else(|| broken(contract::PATH, 0, "there is no place for the table of counts"))?;
        Ok([(contract::PATH, contract), (register::PATH, register::write(&entries, &self.contract, &self.evidence))])
    }
}

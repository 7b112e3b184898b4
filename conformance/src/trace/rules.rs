//! What must be so between the contract, the statuses and what shows them.

use super::cite::Kind;
use super::contract::{self, Contract, Requirement, Strength};
use super::evidence::{Evidence, Shown};
use super::register::{self, Entry, Status};
use crate::scenario::Problem;

/// How to have the lists made anew.
const WRITE: &str = "run `cargo run --release -p plimsoll-conformance -- trace --write`";

/// Everything that is not so.
pub(crate) fn check(contract: &Contract, entries: &[Entry], evidence: &Evidence) -> Vec<Problem> {
    let mut problems = Vec::new();
    for requirement in &contract.requirements {
        match entries.iter().find(|entry| entry.id == requirement.id) {
            Some(entry) => problems.extend(judge(requirement, entry, evidence)),
            None => {
                let message = format!("`{}` has no entry in {}: {WRITE} and give it a status", requirement.id, register::PATH);
                problems.push(Problem { path: contract::PATH.into(), line: requirement.line, message });
            }
        }
    }
    for entry in entries.iter().filter(|entry| !contract.knows(&entry.id)) {
        problems.push(at(entry, format!("`{}` is no id of {}", entry.id, contract::PATH)));
    }
    let stale: Vec<&Entry> = entries.iter().filter(|entry| contract.knows(&entry.id) && !entry.is_current(evidence)).collect();
    if let Some(first) = stale.first() {
        let ids: Vec<&str> = stale.iter().map(|entry| entry.id.as_str()).collect();
        problems.push(at(first, format!("the scenarios and tests of {} are not those that there are: {WRITE}", ids.join(", "))));
    }
    problems
}

fn at(entry: &Entry, message: String) -> Problem {
    Problem { path: register::PATH.into(), line: entry.line, message }
}

fn judge(requirement: &Requirement, entry: &Entry, evidence: &Evidence) -> Vec<Problem> {
    let id = &requirement.id;
    let scenarios = evidence.scenarios(id);
    let real = scenarios.iter().find(|shown| shown.is_real());
    match &entry.status {
        Status::Held => held(requirement, scenarios, real.is_some(), !evidence.cited(id).is_empty())
            .map(|message| at(entry, message))
            .into_iter()
            .collect(),
        Status::ByType if evidence.cited(id).iter().any(|cited| cited.kind == Kind::CompileFail) => Vec::new(),
        Status::ByType => vec![at(entry, format!("`{id}` is held by type, and no `compile_fail` doctest cites it"))],
        Status::Exception { partly: false, .. } => real.map(|shown| stale(id, entry, shown)).into_iter().collect(),
        Status::Exception { partly: true, .. } if real.is_none() => {
            vec![at(
                entry,
                format!("`{id}` is held `partly`, and no scenario shows any of it on a real backend: take `partly` away"),
            )]
        }
        Status::Exception { .. } => Vec::new(),
        Status::NotYet(_) => not_yet(id, entry, evidence).into_iter().collect(),
    }
}

/// A scenario shows what is said to be an exception.
fn stale(id: &str, entry: &Entry, shown: &Shown) -> Problem {
    let message = format!(
        "`{id}` is an exception in {}:{}, and this scenario shows it on a real backend: make it held there, or say `partly = true` and in the reason what is missing",
        register::PATH,
        entry.line
    );
    Problem { path: shown.path.clone(), line: shown.line, message }
}

/// Why a requirement cannot be said to be held.
fn held(requirement: &Requirement, scenarios: &[Shown], real: bool, tested: bool) -> Option<String> {
    let (id, strength) = (&requirement.id, requirement.strength_text());
    if scenarios.is_empty() && !tested {
        return Some(format!("`{id}` is held, and no scenario covers it and no test cites it"));
    }
    if requirement.strength == Strength::Should || real {
        return None;
    }
    Some(match scenarios.first() {
        None => {
            format!("`{id}` ({strength}) is held, and only tests cite it: a MUST needs a scenario that a real backend can play")
        }
        Some(shown) => {
            let on = shown.hosts.join(", ");
            format!(
                "`{id}` ({strength}) is held, and no real backend can play what covers it: {} runs on {on} only",
                shown.scenario
            )
        }
    })
}

/// What is cited is built.
fn not_yet(id: &str, entry: &Entry, evidence: &Evidence) -> Option<Problem> {
    let scenarios = evidence.scenarios(id).iter().map(|shown| (&shown.path, shown.line));
    let mut places = scenarios.chain(evidence.cited(id).iter().map(|cited| (&cited.path, cited.line)));
    let (path, line) = places.next()?;
    let others = match places.count() {
        0 => String::new(),
        1 => " and in another place".into(),
        count => format!(" and in {count} other places"),
    };
    let message = format!(
        "`{id}` is cited here{others}, and {}:{} says that it is not yet built: make it `status = \"held\"` there, or an exception with what is missing",
        register::PATH,
        entry.line
    );
    Some(Problem { path: path.clone(), line, message })
}

//! `requirements.toml`: the status of every id, written by hand, and what shows it, found by scanning.

use super::contract::Contract;
use super::evidence::Evidence;
use crate::scenario::Problem;
use crate::scenario::node::{Keys, Node, Source, Value};
use core::fmt::Write;
use std::collections::BTreeSet;
use std::path::Path;

/// Where it stands in the tree.
pub const PATH: &str = "conformance/requirements.toml";

/// How far a requirement is held.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "who judges by it must know all")]
pub enum Status {
    /// It is so, and something shows it.
    Held,
    /// It is so because nothing else compiles.
    ByType,
    /// It is not so everywhere, or no scenario can show it.
    Exception {
        /// What is missing, and why.
        reason: String,
        /// Scenarios show some of it on real backends; the reason says what they do not.
        partly: bool,
    },
    /// What it speaks of is not built; why.
    NotYet(String),
}

/// One id.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The id.
    pub id: String,
    /// How far it is held.
    pub status: Status,
    pub(crate) line: usize,
    scenarios: Vec<String>,
    tests: Vec<String>,
}

impl Entry {
    /// Whether the lists are what was found.
    pub(crate) fn is_current(&self, evidence: &Evidence) -> bool {
        let scenarios: Vec<&str> = evidence.scenarios(&self.id).iter().map(|shown| shown.scenario.as_str()).collect();
        same(&self.scenarios, scenarios) && same(&self.tests, evidence.tests(&self.id))
    }
}

/// In which order they stand does not matter, so that two branches that each add a line can be merged.
fn same<'a>(listed: &[String], found: impl IntoIterator<Item = &'a str>) -> bool {
    let set: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    set.len() == listed.len() && set == found.into_iter().collect()
}

/// Reads it, and says what is wrong with it.
pub(crate) fn read(text: &str) -> (Vec<Entry>, Vec<Problem>) {
    let source = Source::new(Path::new(PATH), text);
    let root = match source.parse() {
        Ok(root) => root,
        Err(mut problem) => {
            if problem.message.contains("duplicate key") {
                problem.message.push_str("; if a merge kept both sides, take one of the two away");
            }
            return (Vec::new(), vec![problem]);
        }
    };
    let Value::Table(tables) = root.value else { return (Vec::new(), Vec::new()) };
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for (id, line, node) in &tables {
        match entry(&source, id, *line, node) {
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push(problem),
        }
    }
    (entries, problems)
}

fn entry(source: &Source<'_>, id: &str, line: usize, node: &Node) -> Result<Entry, Problem> {
    let keys = source.keys(node, "an entry")?;
    let texts = |key: &str| match keys.get(key) {
        None => Ok(Vec::new()),
        Some(list) => source.list(list)?.iter().map(|text| source.text(text).map(str::to_owned)).collect(),
    };
    let (scenarios, tests) = (texts("scenarios")?, texts("tests")?);
    let by = optional(source, &keys, "by")?;
    let reason = optional(source, &keys, "reason")?;
    let partly = keys.get("partly").map(|node| Ok((source.flag(node)?, node.line))).transpose()?;
    let (word, at) = match keys.get("status") {
        Some(node) => (source.text(node)?, node.line),
        None => return Err(source.problem(line, format!("`{id}` has no `status`"))),
    };
    keys.end(source)?;
    let reason = reason.map(|(reason, line)| (reason.trim(), line));
    let why = || match reason {
        Some((reason, _)) if !reason.is_empty() => Ok(reason.to_owned()),
        _ => Err(source.problem(at, format!("`{id}` is \"{word}\" and gives no `reason`"))),
    };
    let status = match (word, by) {
        ("held", None) => Status::Held,
        ("held", Some(("type", _))) => Status::ByType,
        (_, Some((other, line))) => {
            return Err(source.problem(line, format!("`by = \"{other}\"`: only what is held can be so `by = \"type\"`")));
        }
        ("exception", _) => Status::Exception { reason: why()?, partly: partly.is_some_and(|(yes, _)| yes) },
        ("not yet", _) => Status::NotYet(why()?),
        (other, _) => return Err(source.problem(at, format!("`{other}` is no status; there are: held, exception, not yet"))),
    };
    match (&status, reason, partly) {
        (Status::Held | Status::ByType, Some((_, line)), _) => {
            Err(source.problem(line, format!("`{id}` is held, which needs no `reason`")))
        }
        (Status::Held | Status::ByType | Status::NotYet(_), _, Some((_, line))) => {
            Err(source.problem(line, "only an exception can be held `partly`"))
        }
        _ => Ok(Entry { id: id.into(), status, line, scenarios, tests }),
    }
}

fn optional<'a>(source: &Source<'_>, keys: &Keys<'a>, key: &str) -> Result<Option<(&'a str, usize)>, Problem> {
    keys.get(key).map(|node| Ok((source.text(node)?, node.line))).transpose()
}

const HEADER: &str = "\
# How far each requirement of CONTRACT.md is held, in its order. Section 20 there says what a status means and what is checked.
#
# `status`, `by`, `reason` and `partly` are written by hand. `scenarios` and `tests` are found by scanning; after a change of either run
#
#     cargo run --release -p plimsoll-conformance -- trace --write
#
# which keeps what is written by hand. It ends a conflict of a merge too, unless both sides have changed a status.
";

/// The text as it must be: the entries that there are, and one without a reason for each id that has none.
pub(crate) fn write(entries: &[Entry], contract: &Contract, evidence: &Evidence) -> String {
    let mut text = String::from(HEADER);
    let missing = Status::NotYet(String::new());
    for requirement in &contract.requirements {
        let entry = entries.iter().find(|entry| entry.id == requirement.id);
        one(&mut text, &requirement.id, entry.map_or(&missing, |entry| &entry.status), evidence);
    }
    for entry in entries.iter().filter(|entry| !contract.knows(&entry.id)) {
        one(&mut text, &entry.id, &entry.status, evidence);
    }
    text
}

fn one(text: &mut String, id: &str, status: &Status, evidence: &Evidence) {
    let (word, more) = match status {
        Status::Held => ("held", None),
        Status::ByType => ("held", Some(("by", "type"))),
        Status::Exception { reason, .. } => ("exception", Some(("reason", reason.as_str()))),
        Status::NotYet(reason) => ("not yet", Some(("reason", reason.as_str()))),
    };
    let mut line = |line: String| _ = writeln!(text, "{line}");
    line(format!("\n[{id}]\nstatus = \"{word}\""));
    if let Some((key, value)) = more {
        line(format!("{key} = {}", quoted(value)));
    }
    if matches!(status, Status::Exception { partly: true, .. }) {
        line("partly = true".into());
    }
    let scenarios: BTreeSet<&str> = evidence.scenarios(id).iter().map(|shown| shown.scenario.as_str()).collect();
    for (key, list) in [("scenarios", scenarios), ("tests", evidence.tests(id))] {
        if !list.is_empty() {
            let items: String = list.iter().map(|item| format!("  {},\n", quoted(item))).collect();
            line(format!("{key} = [\n{items}]"));
        }
    }
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    let escaped: String = text.chars().flat_map(|c| if matches!(c, '"' | '\\') { vec!['\\', c] } else { vec![c] }).collect();
    format!("\"{escaped}\"")
}

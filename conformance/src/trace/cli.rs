//! `plimsoll-conformance trace`: checks the traceability, and says how far each area is held.

use super::register::Status;
use super::{Strength, Trace, Tree, contract, own_root};
use crate::scenario::host;
use std::fs;

/// How the command is used.
pub const USAGE: &str = "\
usage: plimsoll-conformance trace [option | ID …]
  --check           only check (exit code 1: something is wrong)
  --write           make the generated lists and tables anew, which also ends a conflict of a merge in them, then check
  --gaps            which requirements are held and not shown by scenarios on every host
  ID …              what these requirements say, how far they are held, and what shows them
without anything: check, and say how far each area is held";

/// Runs the command; the arguments are those behind `trace`. Whether everything is right.
///
/// # Errors
/// What is wrong with the arguments or with the files.
pub fn run(args: impl Iterator<Item = String>) -> Result<bool, String> {
    let args: Vec<String> = args.collect();
    let option = match &args[..] {
        [] => "",
        [option] if ["--check", "--write", "--gaps"].contains(&option.as_str()) => option,
        ids if ids.iter().any(|id| id.starts_with('-')) => return Err(USAGE.into()),
        ids => {
            let trace = Trace::of(&read()?);
            let texts: Vec<String> = ids.iter().map(|id| explain(&trace, id)).collect::<Result<_, _>>()?;
            print!("{}", texts.join("\n"));
            return Ok(true);
        }
    };
    let mut tree = read()?;
    let mut trace = Trace::of(&tree);
    if option == "--write" {
        for (path, text) in trace.renewed(&tree).map_err(|problem| problem.to_string())? {
            if tree.text(path) != Some(&text) {
                fs::write(own_root().join(path), &text).map_err(|error| format!("{path}: {error}"))?;
                println!("{path}: made anew");
                tree.insert(path, text);
            }
        }
        trace = Trace::of(&tree);
    }
    match option {
        "" if !trace.entries.is_empty() => print!("{}", summary(&trace)),
        "--gaps" => print!("{}", gaps(&trace)),
        _ => {}
    }
    for problem in &trace.problems {
        eprintln!("{problem}");
    }
    if !trace.problems.is_empty() {
        eprintln!("{} problems", trace.problems.len());
    }
    Ok(trace.problems.is_empty())
}

fn read() -> Result<Tree, String> {
    Tree::read(&own_root()).map_err(|error| error.to_string())
}

/// What a requirement says, how far it is held, and what shows it.
///
/// # Errors
/// There is no such id.
pub fn explain(trace: &Trace, id: &str) -> Result<String, String> {
    let requirement = trace.contract.get(id).ok_or_else(|| format!("`{id}` is no id of {}", contract::PATH))?;
    let status = match trace.entry(id).map(|entry| &entry.status) {
        None => "without a status".into(),
        Some(Status::Held) => "held".into(),
        Some(Status::ByType) => "held by type".into(),
        Some(Status::Exception { reason, partly }) => {
            format!("exception{}: {reason}", if *partly { ", held partly" } else { "" })
        }
        Some(Status::NotYet(reason)) => format!("not yet: {reason}"),
    };
    let mut text = format!("{id} {}: {}\n  {status}\n", requirement.strength_text(), requirement.text);
    for shown in trace.evidence.scenarios(id) {
        text += &format!("  scenario {} on {}\n", shown.scenario, shown.hosts.join(", "));
    }
    for test in trace.evidence.tests(id) {
        text += &format!("  test {test}\n");
    }
    Ok(text)
}

/// How far each area is held.
#[must_use]
pub fn summary(trace: &Trace) -> String {
    let mut lines = vec![format!("{:8}{:>5}{:>6}{:>9}{:>11}{:>9}", "area", "ids", "held", "by type", "exception", "not yet")];
    let mut all = [0; 5];
    for area in trace.contract.areas() {
        let mut row = [0; 5];
        for requirement in trace.contract.requirements.iter().filter(|one| one.area() == area) {
            row[0] += 1;
            match trace.entry(&requirement.id).map(|entry| &entry.status) {
                Some(Status::Held) => row[1] += 1,
                Some(Status::ByType) => row[2] += 1,
                Some(Status::Exception { .. }) => row[3] += 1,
                Some(Status::NotYet(_)) => row[4] += 1,
                None => {}
            }
        }
        lines.push(line(area, row));
        for (sum, count) in all.iter_mut().zip(row) {
            *sum += count;
        }
    }
    lines.push(line("all", all));
    let held = trace.contract.requirements.iter().filter(|one| missing(trace, &one.id).is_some());
    let (everywhere, elsewhere): (Vec<_>, Vec<_>) =
        held.partition(|one| missing(trace, &one.id).is_some_and(|hosts| hosts.is_empty()));
    lines.push(format!(
        "by scenarios on every host: {} of those held; see --gaps for the {} others",
        everywhere.len(),
        elsewhere.len()
    ));
    lines.join("\n") + "\n"
}

fn line(name: &str, row: [usize; 5]) -> String {
    format!("{name:8}{:>5}{:>6}{:>9}{:>11}{:>9}", row[0], row[1], row[2], row[3], row[4])
}

/// The hosts on which no scenario shows an id; `None`: it is not held in a way that scenarios could show.
fn missing(trace: &Trace, id: &str) -> Option<Vec<&'static str>> {
    let status = &trace.entry(id)?.status;
    if !matches!(status, Status::Held) {
        return None;
    }
    let shown = trace.evidence.scenarios(id);
    Some(host::NAMES.into_iter().filter(|host| !shown.iter().any(|shown| shown.hosts.contains(host))).collect())
}

/// The requirements that are held and not shown by scenarios on every host.
#[must_use]
pub fn gaps(trace: &Trace) -> String {
    let mut text = String::new();
    for requirement in &trace.contract.requirements {
        let Some(hosts) = missing(trace, &requirement.id).filter(|hosts| !hosts.is_empty()) else { continue };
        let strength = if requirement.strength == Strength::Must { "MUST" } else { "SHOULD" };
        let on = if hosts.len() == host::NAMES.len() { "any host".into() } else { hosts.join(", ") };
        let tests = trace.evidence.tests(&requirement.id).len();
        text += &format!("{:10} {strength:7} no scenario on {on}; {tests} tests\n", requirement.id);
    }
    text
}

//! Whether the tables of the contract say what was seen.

use super::table::{Machine, Outcome};
use std::collections::BTreeSet;

/// The rows of 17.10, and the inputs that each is about. Rows that are no input of the machine are about none: marks that are none
/// never reach it, a protocol is not its business, and a loop that closes drops it.
const STREAM: &[(&str, &[&str])] = &[
    ("`write`, `writelines` of bytes", &["`write` of bytes"]),
    ("`write` of nothing", &["`write` of nothing"]),
    ("`write_eof`", &["`write_eof`"]),
    ("`close()`", &["`close`"]),
    ("`abort()`", &["`abort`"]),
    ("`pause_reading`, `resume_reading`", &["`pause_reading`, `resume_reading`"]),
    ("marks, valid", &["new marks"]),
    ("marks, invalid", &[]),
    ("`set_protocol`", &[]),
    ("bytes to read, reading", &["bytes to read, reading"]),
    ("bytes to read, paused", &["bytes to read, paused"]),
    ("the peer's FIN, reading", &["the peer's end, answered true", "the peer's end, answered false"]),
    ("the peer's FIN, paused", &["the peer's end, reading paused"]),
    ("a read fails", &["a read fails"]),
    ("bytes sent, q not empty", &["some bytes sent"]),
    ("bytes sent, q empty", &["all bytes sent"]),
    ("a send or the FIN fails", &["a send or the FIN fails"]),
    ("a callback fails fatally", &["a callback fails"]),
    ("`lost` is first in the ready list", &["the turn of `lost`"]),
    ("the loop is closed", &[]),
];

/// What a write that is refused may answer.
const ANSWERS: [&str; 2] = ["Discarded", "WriteAfterEof"];

/// Everything in which 17.10 differs from a stream transport, and 17.11 and 17.12 from its parts.
#[must_use]
pub fn differences(contract: &str, machines: &[Machine]) -> Vec<String> {
    let mut found = Vec::new();
    let mut of = |section: &str, name: &str, check: fn(&[Vec<String>], &Machine) -> Vec<String>| {
        let rows = table(contract, section);
        match machines.iter().find(|machine| machine.name == name) {
            Some(machine) if rows.len() > 1 => {
                found.extend(check(&rows, machine).into_iter().map(|text| format!("{section}: {text}")))
            }
            _ => found.push(format!("{section}: there is no such table, or no machine `{name}`")),
        }
    };
    of("17.10", "stream", stream);
    of("17.11", "flow", |rows, machine| parts(rows, machine, "Ended"));
    of("17.12", "reading", |rows, machine| parts(rows, machine, "Ended"));
    found
}

/// The widest table of a section, by rows and cells.
fn table(contract: &str, section: &str) -> Vec<Vec<String>> {
    let begins = format!("### {section} ");
    let text = contract.lines().skip_while(|line| !line.starts_with(&begins)).skip(1).take_while(|line| !line.starts_with('#'));
    let mut tables: Vec<Vec<Vec<String>>> = vec![Vec::new()];
    for line in text {
        match line.strip_prefix('|') {
            Some(row) if row.starts_with("---") => {}
            Some(row) => {
                let cells = row.trim_end_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
                tables.last_mut().into_iter().for_each(|table| table.push(Vec::clone(&cells)));
            }
            None => tables.push(Vec::new()),
        }
    }
    tables.into_iter().max_by_key(|table| table.first().map_or(0, Vec::len)).unwrap_or_default()
}

// ---- 17.10 ----

fn stream(rows: &[Vec<String>], machine: &Machine) -> Vec<String> {
    let mut found = Vec::new();
    let columns = &rows[0][1..];
    let mut told_of: BTreeSet<&str> = BTreeSet::new();
    for row in &rows[1..] {
        let Some((_, inputs)) = STREAM.iter().find(|(name, _)| *name == row[0]) else {
            found.push(format!("the row `{}` is unknown", row[0]));
            continue;
        };
        told_of.extend(*inputs);
        for (column, cell) in columns.iter().zip(&row[1..]) {
            for input in *inputs {
                let outcomes: Vec<&Outcome> = machine.outcomes(column, input).collect();
                if let Some(problem) = cell_differs(column, input, cell, &outcomes) {
                    found.push(format!("{} in {column}: `{cell}` in the contract, but {problem}", row[0]));
                }
            }
        }
    }
    // What only Init has, and what is part of another row.
    let beside = ["connected", "FIN sent (or nobody there)"];
    for input in machine.inputs.iter().filter(|input| !told_of.contains(*input) && !beside.contains(input)) {
        found.push(format!("`{input}` has no row"));
    }
    found
}

/// A word for a state that is led to, with the cause of a loss.
fn place(outcome: &Outcome) -> String {
    if outcome.detail.is_empty() { outcome.to.into() } else { format!("{}({})", outcome.to, outcome.detail) }
}

fn cell_differs(state: &str, input: &str, cell: &str, outcomes: &[&Outcome]) -> Option<String> {
    let seen: BTreeSet<String> = outcomes.iter().map(|outcome| place(outcome)).collect();
    let may_be_absent = ["not read", "ignored", "may: Losing(E)"].contains(&cell);
    if cell == "–" || (may_be_absent && seen.is_empty()) {
        return (!seen.is_empty()).then(|| format!("it leads to {seen:?}"));
    }
    let stays = || BTreeSet::from([state.to_owned()]);
    let closes = || BTreeSet::from(["Losing(None)".to_owned(), "Flushing".to_owned()]);
    let cell = cell.trim_end_matches(" ¹").trim_start_matches("may: ");
    // `eof`: false →C, true → PeerEof
    let cell = match (cell.split_once("false →C, true → "), input.ends_with("true")) {
        (Some(_), false) => "→C",
        (Some((_, kept)), true) => kept,
        (None, _) => cell,
    };
    let (leads, optional) = match cell.rsplit_once("→ ").map_or(cell, |(_, to)| to) {
        "→C" => (closes(), BTreeSet::new()),
        // What is left to send is sent first.
        "Losing(None)" if cell.contains("if owed") => (BTreeSet::from(["Losing(None)".to_owned()]), stays()),
        to if to.starts_with("Losing") || ["PeerEof", "WroteEof", "BothEof", "Lost"].contains(&to) => {
            (BTreeSet::from([to.to_owned()]), BTreeSet::new())
        }
        _ => (stays(), BTreeSet::new()),
    };
    if !leads.is_subset(&seen) || !seen.iter().all(|one| leads.contains(one) || optional.contains(one)) {
        return Some(format!("it leads to {seen:?}, not to {leads:?}"));
    }
    let told: BTreeSet<&str> = outcomes.iter().flat_map(|outcome| outcome.told.iter().copied()).collect();
    let (answers, callbacks): (BTreeSet<&str>, BTreeSet<&str>) = told.into_iter().partition(|word| ANSWERS.contains(word));
    let late = BTreeSet::from(ANSWERS);
    let expected = match cell {
        "`WriteAfterEof`" => BTreeSet::from([ANSWERS[1]]),
        // Footnote 1; nothing that is written too late is answered as anything is that is.
        "`Discarded`" => late,
        "=" if input == "`write` of nothing" && ["Flushing", "Losing", "Lost"].contains(&state) => late,
        _ => BTreeSet::new(),
    };
    if answers != expected {
        return Some(format!("it answers {answers:?}, not {expected:?}"));
    }
    let expected: BTreeSet<&str> = match input {
        "bytes to read, reading" if cell.contains("data") => BTreeSet::from(["data"]),
        _ if input.starts_with("the peer's end, answered") => BTreeSet::from(["eof"]),
        "the turn of `lost`" => BTreeSet::from(["lost(None)", "lost(E)", "lost(CallbackFailed)"]),
        _ => BTreeSet::new(),
    };
    (callbacks != expected).then(|| format!("it tells {callbacks:?}, not {expected:?}"))
}

// ---- 17.11 and 17.12 ----

/// Every way from state to state, with what is told: the same in the contract and in the machine.
fn parts(rows: &[Vec<String>], machine: &Machine, ended: &str) -> Vec<String> {
    let mut said: BTreeSet<(String, String, String)> = BTreeSet::new();
    for row in &rows[1..] {
        let told = ["pause", "resume"].into_iter().find(|word| row[2] == format!("`{word}`")).unwrap_or_default();
        let told = if row[2].ends_with("told") && row[1] == "readable" { "data" } else { told };
        for from in row[0].split([',', ';', '/']).map(str::trim) {
            let to = match row[3].as_str() {
                "the same" => from,
                "ended" => ended,
                to => to,
            };
            said.insert((from.into(), told.into(), to.into()));
        }
    }
    let mut seen = BTreeSet::new();
    for ((from, input), cases) in &machine.cases {
        for outcome in cases.iter().map(|case| &case.outcome) {
            // An end is told on the way out of Reading, and what was kept back as soon as it reads again: 17.12 has both ways.
            let told = outcome.told.iter().copied().filter(|word| *word != "eof").collect::<Vec<_>>().join(" ");
            let kept_back = *input == "`resume_reading`" && outcome.told == ["eof"];
            let from = if kept_back { "Reading" } else { from };
            seen.insert((from.to_owned(), told, outcome.to.to_owned()));
        }
    }
    // What is over stays so, and not every table says it.
    if said.iter().all(|(from, ..)| from != ended) {
        seen.retain(|(from, _, to)| (from.as_str(), to.as_str()) != (ended, ended));
    }
    let text = |(from, told, to): &(String, String, String)| format!("{from} → {to}, telling `{told}`");
    let missing = said.difference(&seen).map(|way| format!("{} was never seen", text(way)));
    let beyond = seen.difference(&said).map(|way| format!("{} is not in the table", text(way)));
    missing.chain(beyond).collect()
}

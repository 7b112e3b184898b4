//! Scenario files as a hand that slips leaves them: lines lost, doubled and swapped, words of other files, stray characters.
//!
//! Whatever comes of it, the parser answers: with a scenario, which then can be played without a panic, a hang or a breach of the contract, or with what
//! is wrong and in which line.

use super::{Scenario, host, parse, play};
use crate::choices::Choices;
use crate::harness::{Run, Violation, ensure};
use core::hash::{Hash, Hasher};
use std::hash::DefaultHasher;
use std::path::Path;
use std::rc::Rc;

/// What is edited: files of every kind.
const BASES: [(&str, &str); 12] = [
    ("flow/abort-while-paused", include_str!("../../scenarios/flow/abort-while-paused.toml")),
    ("buf/switch-in-updated", include_str!("../../scenarios/buf/switch-in-updated.toml")),
    ("close/with-unread-input", include_str!("../../scenarios/close/with-unread-input.toml")),
    ("dgram/senders", include_str!("../../scenarios/dgram/senders.toml")),
    ("dgram/pause-ends-the-batch", include_str!("../../scenarios/dgram/pause-ends-the-batch.toml")),
    ("eof/shutdown-fails", include_str!("../../scenarios/eof/shutdown-fails.toml")),
    ("life/switch-twice", include_str!("../../scenarios/life/switch-twice.toml")),
    ("loop/close-clients", include_str!("../../scenarios/loop/close-clients.toml")),
    ("loop/jobs-in-order", include_str!("../../scenarios/loop/jobs-in-order.toml")),
    ("loop/local-address", include_str!("../../scenarios/loop/local-address.toml")),
    ("loop/no-descriptors", include_str!("../../scenarios/loop/no-descriptors.toml")),
    ("info/addresses", include_str!("../../scenarios/info/addresses.toml")),
];

/// The longest a step of a scenario that nobody meant may be busy.
const MOST_TURNS: u32 = 2000;

/// One file, edited at random, read and played.
///
/// # Errors
/// If what is wrong is not said with its line, or if a scenario that was accepted breaks the contract on the simulated kernel.
pub fn edited(run: &mut Run<'_>) -> Result<(), Violation> {
    let (id, text) = BASES[run.choices().pick(BASES.len())];
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    for _ in 0..1 + run.choices().pick(4) {
        if run.choices().is_exhausted() {
            break;
        }
        edit(run.choices(), &mut lines);
    }
    let text = lines.join("\n");
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    run.step(("text", hasher.finish()));
    let path = format!("{id}.toml");
    match parse(Path::new(&path), &text) {
        Err(problem) => {
            let said = problem.to_string();
            ensure!(said.starts_with(&path) && !problem.message.is_empty(), "a problem without its file: {said}");
            ensure!((1..=lines.len().max(1)).contains(&problem.line), "line {} of {}: {said}", problem.line, lines.len());
            run.step(("refused", problem.line));
            Ok(())
        }
        Ok(scenario) => played(run, scenario),
    }
}

fn played(run: &mut Run<'_>, scenario: Scenario) -> Result<(), Violation> {
    if host::plays("sim", &scenario).is_err() {
        return Ok(());
    }
    let opens = "the link could not be opened";
    match play::limited("sim", &Rc::new(scenario), 0, play::deadline(), MOST_TURNS).broken {
        Some(why) if !why.starts_with(opens) => Err(Violation(why)),
        broken => {
            run.step(("played", broken.is_none()));
            Ok(())
        }
    }
}

/// One slip of a hand.
fn edit(choices: &mut dyn Choices, lines: &mut Vec<String>) {
    let count = lines.len();
    if count == 0 {
        return;
    }
    let at = choices.pick(count);
    match choices.pick(7) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => lines.swap(at, choices.pick(count)),
        3 => {
            // A line of another file.
            let other: Vec<&str> = BASES[choices.pick(BASES.len())].1.lines().collect();
            lines.insert(at, other[choices.pick(other.len())].into());
        }
        4 => {
            // A word of another line in the place of one of this.
            let from = words(&lines[choices.pick(count)]);
            let to = words(&lines[at]);
            if let (Some(from), Some(to)) = (pick(choices, &from), pick(choices, &to)) {
                lines[at] = lines[at].replacen(&to, &from, 1);
            }
        }
        5 => {
            let to = words(&lines[at]);
            let odd = ["-1", "0", "65536", "1e9", "18446744073709551616", "\"\"", "[]", "{}", "true", "nothing"];
            if let Some(to) = pick(choices, &to) {
                lines[at] = lines[at].replacen(&to, odd[choices.pick(odd.len())], 1);
            }
        }
        _ => {
            let place = choices.pick(lines[at].chars().count() + 1);
            let odd = ['"', '[', ']', '{', '}', ',', '=', '#', '\\', '\'', '0', '-', '\u{0}', '\u{e9}', '\u{1f600}'];
            let place = lines[at].char_indices().nth(place).map_or(lines[at].len(), |(place, _)| place);
            lines[at].insert(place, odd[choices.pick(odd.len())]);
        }
    }
}

fn words(line: &str) -> Vec<String> {
    let parts = line.split(|c: char| !(c.is_alphanumeric() || "-_.\"".contains(c)));
    parts.filter(|word| !word.is_empty()).map(String::from).collect()
}

fn pick(choices: &mut dyn Choices, words: &[String]) -> Option<String> {
    words.get(choices.pick(words.len())).cloned()
}

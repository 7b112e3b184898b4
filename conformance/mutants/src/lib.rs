//! Mutation testing of plimsoll-core: what became of every mutant, and why those survive that do.
//!
//! `run.sh` has cargo-mutants list the changes, one place of the core each, builds all of them at once ([`planted`]), has `tests/machines.rs`,
//! `quick.rs`, `loops.rs`, `sims.rs` and the tests beside the code judge each ([`judges`]), and writes the verdicts down:
//! `verdicts.txt` has a line for each mutant, `survivors.txt` a reason for each that was not caught. Both name mutants without line numbers, so
//! that they outlive edits; where a function has several of one kind, they are numbered from its top. `tests/list.rs` checks them. With a verdict
//! stands a [print](prints) of the function that was changed: once that reads otherwise, the verdict says nothing any more, and its mutant counts as untried.
//!
//! The crate is a crate of its own for the sake of speed: its judges open no socket, and the first failure ends them.
#![forbid(unsafe_code)]

pub mod judges;
pub mod planted;
pub mod prints;

use crate::prints::{Print, Prints};
use core::fmt;
use core::ops::AddAssign;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The least that must be caught, of a hundred that can be, of all that were tried of a group of files.
pub const GOAL: usize = 95;

/// A mutant, wherever it stands today.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(clippy::exhaustive_structs, reason = "a line of a list")]
pub struct Mutant {
    /// The file, from the root of the tree.
    pub file: String,
    /// What is done to it, as cargo-mutants says it; ` (2)` is the second that it says this of.
    pub change: String,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}", self.file, self.change)
    }
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "these are all")]
pub enum Verdict {
    /// A test failed, or did not come to its end.
    Caught,
    /// Every test passed.
    Missed,
    /// It does not compile.
    Unviable,
    /// Nobody has looked yet.
    Untried,
}

impl Verdict {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Caught, "caught"), (Self::Missed, "missed"), (Self::Unviable, "unviable"), (Self::Untried, "untried")];

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(verdict, _)| *verdict == self).map_or("", |(_, name)| name)
    }
}

/// A line of `verdicts.txt`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_structs, reason = "a line of a list")]
pub struct Entry {
    /// What became of it.
    pub verdict: Verdict,
    /// Of the function as it was then.
    pub print: Option<Print>,
}

impl Entry {
    const UNTRIED: Self = Self { verdict: Verdict::Untried, print: None };

    fn read(text: &str) -> Option<Self> {
        let (name, print) = match text.split_once(' ') {
            Some((name, print)) => (name, Some(Print::read(print)?)),
            None => (text, None),
        };
        let (verdict, _) = Verdict::ALL.into_iter().find(|(_, known)| *known == name)?;
        Some(Self { verdict, print })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verdict.name())?;
        self.print.map_or(Ok(()), |print| write!(f, " {print}"))
    }
}

/// Why a mutant survives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "these are all")]
pub enum Why {
    /// It does the same, whatever is done to it.
    Equivalent,
    /// It takes more time or memory, and nothing else.
    Cost,
    /// A test could tell, and none does yet.
    Open,
}

impl Why {
    const ALL: [(Self, &'static str); 3] = [(Self::Equivalent, "equivalent: "), (Self::Cost, "cost: "), (Self::Open, "open: ")];
}

/// `verdicts.txt`.
pub type Verdicts = BTreeMap<Mutant, Entry>;

/// `survivors.txt`.
pub type Survivors = BTreeMap<Mutant, Why>;

/// Where the lists are.
#[must_use]
pub fn list(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Reads `verdicts.txt`.
///
/// # Errors
/// The first line that cannot be read, or that is there already.
pub fn verdicts(text: &str) -> Result<Verdicts, String> {
    read(text, Entry::read)
}

/// Reads `survivors.txt`.
///
/// # Errors
/// The first line that cannot be read, that gives no reason, or that is there already.
pub fn survivors(text: &str) -> Result<Survivors, String> {
    read(text, |reason| {
        Why::ALL
            .into_iter()
            .find(|(_, kind)| reason.strip_prefix(kind).is_some_and(|why| !why.trim().is_empty()))
            .map(|(why, _)| why)
    })
}

fn read<T>(text: &str, value: impl Fn(&str) -> Option<T>) -> Result<BTreeMap<Mutant, T>, String> {
    let mut all = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let wrong = |what: &str| format!("line {number}: {what}: {line}");
        let [file, change, last] = line.split('\t').collect::<Vec<_>>()[..] else { return Err(wrong("not three columns")) };
        let value = value(last).ok_or_else(|| wrong("the last column is none of those that there are"))?;
        if all.insert(Mutant { file: file.into(), change: change.into() }, value).is_some() {
            return Err(wrong("twice"));
        }
    }
    Ok(all)
}

/// The text of `verdicts.txt`.
#[must_use]
pub fn text(verdicts: &Verdicts) -> String {
    let head = "# Made by `run.sh`: file, mutant, verdict, and the print of the function that it was passed on.\n".into();
    verdicts.iter().fold(head, |text, (mutant, entry)| text + &format!("{mutant}\t{entry}\n"))
}

/// Which mutant each name of cargo-mutants' list is: `FILE:LINE:COLUMN: CHANGE`, in the order of lines.
fn named(all: &Value) -> Result<BTreeMap<String, Mutant>, String> {
    let mut names = BTreeMap::new();
    let mut counts = BTreeMap::<Mutant, usize>::new();
    for mutant in all.as_array().ok_or("the list of mutants is no list")? {
        let text = |key: &str| mutant[key].as_str().ok_or_else(|| format!("a mutant without `{key}`"));
        let (file, name) = (text("file")?, text("name")?);
        let (_, change) = name.split_once(": ").ok_or_else(|| format!("a name without a change: {name}"))?;
        let mut mutant = Mutant { file: file.into(), change: change.into() };
        let count = counts.entry(mutant.clone()).or_default();
        *count += 1;
        if *count > 1 {
            mutant.change += &format!(" ({count})");
        }
        names.insert(name.to_owned(), mutant);
    }
    Ok(names)
}

/// What the verdicts are worth for the sources as they are: those of functions that read otherwise now are taken back, and of files that are gone
/// nothing stays.
#[must_use]
pub fn fresh(verdicts: Verdicts, source: impl Fn(&str) -> Option<String>) -> Verdicts {
    let files: BTreeSet<_> = verdicts.keys().map(|mutant| mutant.file.clone()).collect();
    let prints: BTreeMap<_, _> =
        files.into_iter().filter_map(|file| Some((source(&file)?, file))).map(|(text, file)| (file, Prints::of(&text))).collect();
    let known = |mutant: &Mutant, entry: Entry| entry.print.is_some_and(|print| prints[&mutant.file].contains(print));
    let kept = verdicts.into_iter().filter(|(mutant, _)| prints.contains_key(&mutant.file));
    kept.map(|(mutant, entry)| if known(&mutant, entry) { (mutant, entry) } else { (mutant, Entry::UNTRIED) }).collect()
}

/// The names in cargo-mutants' list of those that are not known to be caught, nor not to compile.
///
/// # Errors
/// What is not as cargo-mutants writes it.
pub fn left(verdicts: &Verdicts, all: &Value) -> Result<Vec<String>, String> {
    let done =
        |mutant: &Mutant| verdicts.get(mutant).is_some_and(|entry| matches!(entry.verdict, Verdict::Caught | Verdict::Unviable));
    Ok(named(all)?.into_iter().filter(|(_, mutant)| !done(mutant)).map(|(name, _)| name).collect())
}

/// Takes over what a run found: `all` is cargo-mutants' list of the files that were mutated, `outcomes` what it says of the passes, in order.
/// What is not a mutant of these files any more goes; what was not tried keeps its verdict, or has none. `source` is what the files were then.
///
/// # Errors
/// What is not as cargo-mutants writes it.
pub fn merge(old: &mut Verdicts, all: &Value, outcomes: &[Value], source: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let names = named(all)?;
    let mut prints = BTreeMap::<String, Prints>::new();
    let mut new = BTreeMap::new();
    for outcome in outcomes.iter().flat_map(|outcomes| outcomes["outcomes"].as_array().into_iter().flatten()) {
        let Some(name) = outcome["scenario"]["Mutant"]["name"].as_str() else { continue };
        let verdict = match outcome["summary"].as_str() {
            Some("CaughtMutant" | "Timeout") => Verdict::Caught,
            Some("MissedMutant") => Verdict::Missed,
            Some("Unviable") => Verdict::Unviable,
            other => return Err(format!("{name}: {other:?} is no verdict")),
        };
        let mutant = names.get(name).ok_or_else(|| format!("{name} is not in the list"))?;
        let prints = prints
            .entry(mutant.file.clone())
            .or_insert_with_key(|file| source(file).map_or_else(Prints::default, |text| Prints::of(&text)));
        let line = name.split(':').nth(1).and_then(|line| line.parse().ok());
        let print = line.and_then(|line| prints.at(line)).ok_or_else(|| format!("{name} stands in no function"))?;
        new.insert(mutant.clone(), Entry { verdict, print: Some(print) });
    }
    let files: BTreeSet<_> = names.values().map(|mutant| mutant.file.clone()).collect();
    let known: BTreeSet<_> = names.into_values().collect();
    old.retain(|mutant, _| !files.contains(&mutant.file) || known.contains(mutant));
    for mutant in known {
        old.entry(mutant).or_insert(Entry::UNTRIED);
    }
    old.append(&mut new);
    Ok(())
}

/// How a file stands, a group of them, or all.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Score {
    /// Caught.
    pub caught: usize,
    /// Not caught.
    pub missed: usize,
    /// Those of the missed that cannot be caught.
    pub equivalent: usize,
    /// What does not compile.
    pub unviable: usize,
    /// What was not tried.
    pub untried: usize,
}

impl Score {
    /// Whether enough are caught of those that can be, as far as they were tried.
    #[must_use]
    pub const fn is_enough(self) -> bool {
        self.caught * 100 >= (self.caught + self.missed - self.equivalent) * GOAL
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.caught += other.caught;
        self.missed += other.missed;
        self.equivalent += other.equivalent;
        self.unviable += other.unviable;
        self.untried += other.untried;
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caught, missed, equivalent, unviable, untried } = *self;
        let viable = caught + missed;
        if viable == 0 {
            f.write_str("none tried")?;
        } else {
            write!(f, "{caught} of {viable} viable mutants caught, {:.1} %", percent(caught, viable))?;
        }
        if equivalent > 0 {
            write!(f, " ({:.1} % without the {equivalent} equivalent ones)", percent(caught, viable - equivalent))?;
        }
        if unviable > 0 {
            write!(f, "; {unviable} do not compile")?;
        }
        if untried > 0 { write!(f, "; {untried} untried") } else { Ok(()) }
    }
}

fn percent(part: usize, of: usize) -> f64 {
    if of == 0 { 100.0 } else { part as f64 * 100.0 / of as f64 }
}

/// How each file stands.
#[must_use]
pub fn scores(verdicts: &Verdicts, survivors: &Survivors) -> BTreeMap<String, Score> {
    let mut scores = BTreeMap::<String, Score>::new();
    for (mutant, entry) in verdicts {
        let score = scores.entry(mutant.file.clone()).or_default();
        match entry.verdict {
            Verdict::Caught => score.caught += 1,
            Verdict::Unviable => score.unviable += 1,
            Verdict::Untried => score.untried += 1,
            Verdict::Missed => {
                score.missed += 1;
                score.equivalent += usize::from(survivors.get(mutant) == Some(&Why::Equivalent));
            }
        }
    }
    scores
}

/// What a file belongs to: its folder, but a large machine stands for itself, and so do the parts of a secure connection, wherever they are.
#[must_use]
pub fn group(file: &str) -> &str {
    let path = file.strip_prefix("core/src/").unwrap_or(file);
    match path.rsplit_once('/') {
        _ if path == "stream.rs" => "stream",
        _ if path == "hub/tls.rs" => "tls",
        Some((folder, _)) => folder,
        None => "the rest",
    }
}

/// How each group of files stands.
#[must_use]
pub fn groups(scores: &BTreeMap<String, Score>) -> BTreeMap<String, Score> {
    let mut groups = BTreeMap::<String, Score>::new();
    for (file, &score) in scores {
        *groups.entry(group(file).into()).or_default() += score;
    }
    groups
}

/// What is wrong with the two lists together: also that too few are caught of a group, which an average would hide.
#[must_use]
pub fn problems(verdicts: &Verdicts, survivors: &Survivors) -> Vec<String> {
    let is_missed = |mutant: &Mutant| verdicts.get(mutant).is_some_and(|entry| entry.verdict == Verdict::Missed);
    let missed = verdicts.keys().filter(|mutant| is_missed(mutant));
    let silent =
        missed.filter(|mutant| !survivors.contains_key(mutant)).map(|mutant| format!("survives without a reason: {mutant}"));
    let stale = survivors.keys().filter(|mutant| !is_missed(mutant));
    let stale = stale.map(|mutant| format!("has a reason to survive and does not: {mutant}"));
    let groups = groups(&scores(verdicts, survivors));
    let low = groups.iter().filter(|(_, score)| !score.is_enough()).map(|(name, score)| format!("too few of {name}: {score}"));
    silent.chain(stale).chain(low).collect()
}

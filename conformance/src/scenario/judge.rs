//! Whether what happened was permitted.

use super::lane::{Arg, Event, Record, Streams};
use super::model::{Act, Scenario};
use super::pattern::Expect;
use super::play::Played;
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

/// What became of a scenario on a host.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// It went as expected.
    Passed,
    /// It went as the file says that this loop departs; only loops that are not plimsoll.
    Departed(String),
    /// It went otherwise.
    Failed(Mismatch),
    /// The host cannot do what it needs.
    Skipped(String),
    /// It could not be played, or the host broke a rule beside the lanes.
    Broken(String),
}

impl Verdict {
    /// Whether it counts as a failure.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Broken(_))
    }
}

/// Where a lane is not as expected.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Mismatch {
    /// Which lane.
    pub lane: String,
    /// What was expected, a line an event.
    pub expected: Vec<String>,
    /// What happened, a line an event.
    pub actual: Vec<String>,
    /// The first event that is not as expected.
    pub at: usize,
    /// What else there is to say.
    pub note: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.note.is_empty() {
            writeln!(f, "  {}", self.note)?;
        }
        let width = self.expected.iter().map(|line| line.chars().count()).max().unwrap_or(0).clamp(8, 70);
        writeln!(f, "  lane `{}`:", self.lane)?;
        writeln!(f, "    {:<width$} | actual", "expected")?;
        for n in 0..self.expected.len().max(self.actual.len()) {
            let of = |lines: &[String]| lines.get(n).cloned().unwrap_or_default();
            let mark = if n == self.at { "  <- the first difference" } else { "" };
            writeln!(f, "    {:<width$} | {}{mark}", of(&self.expected), of(&self.actual))?;
        }
        if self.at >= self.expected.len().max(self.actual.len()) {
            writeln!(f, "    {:<width$} | <- the first difference: something is missing", "")?;
        }
        Ok(())
    }
}

/// Holds the lanes against what is expected; a lane that is not mentioned must be empty.
pub(crate) fn judge(expect: &BTreeMap<String, Expect>, record: &Record) -> Result<(), Mismatch> {
    let silence = Expect::Sequence(Vec::new());
    let names: BTreeSet<&String> = expect.keys().chain(record.lanes.keys()).collect();
    for name in names {
        let expected = expect.get(name).unwrap_or(&silence);
        let lane = record.lane(name);
        let connection = name.split_once('.').map_or("", |(_, connection)| connection);
        let streams = record.streams.get(connection).cloned().unwrap_or_default();
        check(name, expected, lane, &streams)?;
    }
    Ok(())
}

fn check(name: &str, expected: &Expect, lane: &[Event], streams: &Streams) -> Result<(), Mismatch> {
    expected.check(lane, streams).map_err(|at| Mismatch {
        lane: name.into(),
        expected: expected.lines(),
        actual: lane.iter().map(ToString::to_string).collect(),
        at,
        note: String::new(),
    })
}

/// The verdict on a host of this project: there are no departures.
#[must_use]
pub fn of_own(scenario: &Scenario, played: &Played) -> Verdict {
    let record = &played.record;
    match (&played.broken, judge(&scenario.expect, record)) {
        (Some(why), _) => Verdict::Broken(why.clone()),
        (None, Ok(())) => Verdict::Passed,
        (None, Err(mismatch)) => failed(scenario, record, mismatch),
    }
}

/// The verdict on another loop, which may depart where the file says so, and must then.
#[must_use]
pub fn of_other(scenario: &Scenario, who: &str, version: &str, record: &Record) -> Verdict {
    let own = judge(&scenario.expect, record);
    let Some(departure) =
        scenario.departs.get(who).into_iter().flatten().find(|departure| departure.applies(version, scenario.kind()))
    else {
        return own.map_or_else(|mismatch| failed(scenario, record, mismatch), |()| Verdict::Passed);
    };
    let mut expect = scenario.expect.clone();
    expect.extend(departure.expect.clone());
    match (judge(&expect, record), own) {
        (Ok(()), Err(_)) => Verdict::Departed(departure.why.clone()),
        (_, Ok(())) => Verdict::Failed(Mismatch {
            lane: "-".into(),
            expected: vec![departure.why.clone()],
            actual: vec!["as the contract says".into()],
            at: 0,
            note: format!("the departure of {who} in line {} is stale: it does as the contract says", departure.line),
        }),
        (Err(mismatch), _) => {
            let note = format!("neither as the contract says nor as {who} is said to depart in line {}", departure.line);
            failed(scenario, record, Mismatch { note, ..mismatch })
        }
    }
}

/// A step that got stuck is said before anything else: the rest follows from it.
fn failed(scenario: &Scenario, record: &Record, mismatch: Mismatch) -> Verdict {
    let Some(stuck) = stuck(scenario, record) else { return Verdict::Failed(mismatch) };
    let note = if mismatch.note.is_empty() { stuck } else { format!("{stuck}\n  {}", mismatch.note) };
    Verdict::Failed(Mismatch { note, ..mismatch })
}

/// The step at which it got stuck: its line, what it waited for, and how much of that came.
fn stuck(scenario: &Scenario, record: &Record) -> Option<String> {
    let event = record.lane("host").iter().find(|event| event.name == "stuck")?;
    let [.., Arg::Int(step)] = event.args[..] else { return None };
    let command = scenario.steps.get(usize::try_from(step).ok()?.checked_sub(1)?)?;
    let lane = scenario.lane_of(command.actor);
    let came = match &command.act {
        Act::Wait { event, amount } => format!(": {} of {amount} came", record.amount(&lane, event)),
        Act::Recv(_) | Act::RecvEof | Act::DrainUntil(_) => {
            format!(": all that the peer received is {} bytes", record.amount(&lane, "data"))
        }
        Act::Fill(size) => format!(": the transport never held {size} bytes"),
        Act::Open => ": that never ended".into(),
        Act::Connect => ": nobody answered".into(),
        _ => String::new(),
    };
    Some(format!("line {}: stuck in `{lane} {}`{came}", command.line, command.text))
}

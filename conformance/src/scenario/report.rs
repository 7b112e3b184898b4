//! Results for people and for machines.

use super::judge::Verdict;
use super::lane::{Arg, Event, Record};
use core::fmt::Write;
use core::time::Duration;
use serde_json::{Value, json};

/// One scenario on one host.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) id: String,
    pub(crate) covers: Vec<String>,
    pub(crate) host: String,
    /// What a loop of others says of itself; empty for those of this project.
    pub(crate) version: String,
    pub(crate) seed: u64,
    pub(crate) verdict: Verdict,
    pub(crate) record: Option<Record>,
    pub(crate) time: Duration,
    pub(crate) replay: String,
}

/// A failure with everything that helps to understand it.
pub(crate) fn text(outcome: &Outcome) -> String {
    let mut out = format!("FAIL {} on {}\n", outcome.id, outcome.host);
    // Writing to a string cannot fail.
    let _ = match &outcome.verdict {
        Verdict::Failed(mismatch) => write!(out, "{mismatch}"),
        Verdict::Broken(why) => writeln!(out, "  {}", why.replace('\n', "\n  ")),
        _ => Ok(()),
    };
    if let Some(record) = &outcome.record {
        for (name, lane) in &record.lanes {
            let words: Vec<String> = lane.iter().map(ToString::to_string).collect();
            let _ = writeln!(out, "  {name}: {}", words.join(" "));
        }
    }
    let _ = writeln!(out, "  again: {}", outcome.replay);
    out
}

/// One word for it.
pub(crate) const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Departed(_) => "departed",
        Verdict::Failed(_) => "failed",
        Verdict::Skipped(_) => "skipped",
        Verdict::Broken(_) => "broken",
    }
}

fn why(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Passed => String::new(),
        Verdict::Departed(why) | Verdict::Skipped(why) | Verdict::Broken(why) => why.clone(),
        Verdict::Failed(mismatch) => mismatch.to_string(),
    }
}

/// One line of JSON.
pub(crate) fn json(outcome: &Outcome) -> String {
    let lanes = outcome.record.as_ref().map_or_else(serde_json::Map::new, |record| {
        record.lanes.iter().map(|(name, lane)| (name.clone(), lane.iter().map(event).collect())).collect()
    });
    json!({
        "suite": "plimsoll-conformance",
        "id": outcome.id,
        "covers": outcome.covers,
        "host": outcome.host,
        "seed": outcome.seed,
        "verdict": word(&outcome.verdict),
        "why": why(&outcome.verdict),
        "ms": outcome.time.as_secs_f64() * 1000.0,
        "lanes": lanes,
    })
    .to_string()
}

fn event(event: &Event) -> Value {
    let args = event.args.iter().map(|arg| match arg {
        Arg::Word(word) => json!(word),
        Arg::Int(number) => json!(number),
        Arg::Bool(yes) => json!(yes),
        Arg::Bytes(bytes) if bytes.len() <= 64 => json!({ "bytes": bytes.len(), "text": bytes.escape_ascii().to_string() }),
        Arg::Bytes(bytes) => json!({ "bytes": bytes.len() }),
    });
    core::iter::once(json!(event.name)).chain(args).collect()
}

/// One of the cases that JUnit has.
pub(crate) fn junit_case(outcome: &Outcome) -> String {
    let (host, id, time) = (escaped(&outcome.host), escaped(&outcome.id), outcome.time.as_secs_f64());
    let head = format!("  <testcase classname=\"{host}\" name=\"{id}\" time=\"{time:.6}\"");
    let why = escaped(&why(&outcome.verdict));
    match &outcome.verdict {
        Verdict::Failed(_) | Verdict::Broken(_) => format!("{head}>{FAILURE}{why}</failure></testcase>\n"),
        Verdict::Skipped(_) => format!("{head}>{SKIPPED}\"{why}\"/></testcase>\n"),
        _ => format!("{head}/>\n"),
    }
}

const FAILURE: &str = "<failure>";
const SKIPPED: &str = "<skipped message=";

/// All of these cases as JUnit has it.
pub(crate) fn junit(cases: &str) -> String {
    let [tests, failures, skipped] = ["<testcase ", FAILURE, SKIPPED].map(|tag| cases.matches(tag).count());
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuite name=\"plimsoll-conformance\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\">\n{cases}</testsuite>\n"
    )
}

/// As text of XML or HTML, and inside of quotes there.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

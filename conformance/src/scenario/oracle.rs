//! The same files on CPython: played by `oracle/run.py`, or as they were played when they were recorded.

use super::Scenario;
use super::lane::{Arg, Event, Record, Streams, pattern};
use super::timeline::Timeline;
use core::time::Duration;
use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What another loop made of a scenario.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Played {
    /// It was played.
    Record(Record),
    /// It cannot be: why.
    Skipped(String),
    /// The player failed: why.
    Broken(String),
}

/// One line of a player's output.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Line {
    /// Which scenario.
    pub id: String,
    /// On which kind of connection.
    pub kind: String,
    /// What played it: `CPython 3.13.0`, `uvloop 0.23.0`.
    pub version: String,
    /// What came of it.
    pub played: Played,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

impl Line {
    /// Whether it is this scenario, on this kind of connection.
    #[must_use]
    pub fn is_of(&self, scenario: &Scenario) -> bool {
        self.id == scenario.id && self.kind == scenario.kind().word()
    }
}

/// The folder of the Python player.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle")
}

/// Where the traces of a loop are recorded.
#[must_use]
pub fn recorded(who: &str) -> PathBuf {
    folder().join("recorded").join(format!("{who}.jsonl"))
}

/// A Python of 3.11 or later, or why there is none; `PLIMSOLL_PYTHON` names another than `python3`.
///
/// # Errors
/// What is missing.
pub fn python(who: &str) -> Result<String, String> {
    let python = env::var("PLIMSOLL_PYTHON").unwrap_or_else(|_| "python3".into());
    let import = if who == "uvloop" { "import uvloop" } else { "pass" };
    let probe = format!(
        "import sys\nif sys.version_info < (3, 11): sys.exit('Python ' + sys.version.split()[0] + ' is older than 3.11')\n{import}"
    );
    let output = Command::new(&python).args(["-c", &probe]).output().map_err(|error| format!("{python}: {error}"))?;
    if output.status.success() {
        return Ok(python);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(text.lines().last().unwrap_or("it fails").to_owned())
}

/// Has files played by a loop of Python's, each of whose steps may take so long; one line a file, in their order.
///
/// # Errors
/// That it cannot be run.
pub fn play(who: &str, files: &[PathBuf], patience: Option<Duration>) -> Result<Vec<Line>, String> {
    let python = python(who)?;
    let mut command = Command::new(python);
    command.arg(folder().join("run.py")).args(["--loop", who]);
    if let Some(patience) = patience {
        command.arg("--patience").arg(patience.as_secs_f64().to_string());
    }
    command.args(files);
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    lines(&String::from_utf8_lossy(&output.stdout))
}

/// The recorded lines of a loop.
///
/// # Errors
/// That they cannot be read.
pub fn read_recorded(who: &str) -> Result<Vec<Line>, String> {
    let path = recorded(who);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    lines(&text)
}

fn lines(text: &str) -> Result<Vec<Line>, String> {
    text.lines().map(|line| read(line).ok_or_else(|| format!("not a line of a player: {line}"))).collect()
}

fn read(line: &str) -> Option<Line> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| value.get(key)?.as_str().map(ToOwned::to_owned);
    let played = match text("status")?.as_str() {
        "played" => Played::Record(record(&value)?),
        "skipped" => Played::Skipped(text("why")?),
        _ => Played::Broken(text("why")?),
    };
    let ms = value.get("ms").and_then(Value::as_f64).unwrap_or(0.0);
    Some(Line { id: text("id")?, kind: text("kind")?, version: text("version")?, played, ms })
}

fn record(value: &Value) -> Option<Record> {
    let mut record = Record::default();
    for (name, streams) in value.get("streams")?.as_object()? {
        let of =
            |key: &str| streams.get(key)?.as_array()?.iter().map(piece).collect::<Option<Vec<_>>>().map(|parts| parts.concat());
        *record.streams(name) = Streams { written: of("written")?, sent: of("sent")? };
    }
    let streams: BTreeMap<String, Streams> = record.streams.clone();
    for (name, lane) in value.get("lanes")?.as_object()? {
        let connection = name.split_once('.').map_or("", |(_, connection)| connection);
        let streams = streams.get(connection).cloned().unwrap_or_default();
        for item in lane.as_array()? {
            let (head, args) = item.as_array()?.split_first()?;
            let mut event = Event::new(head.as_str()?);
            for arg in args {
                event = event.with(argument(arg, &streams)?);
            }
            record.push(name, event);
        }
    }
    record.timeline = timeline(value.get("order"), &record);
    Some(record)
}

/// The events of the lanes and the steps in their order, if they were written down.
fn timeline(order: Option<&Value>, record: &Record) -> Timeline {
    let timeline = Timeline::default();
    let mut next: BTreeMap<&str, usize> = BTreeMap::new();
    for item in order.and_then(Value::as_array).into_iter().flatten() {
        if let Some(lane) = item.as_str() {
            let at = next.entry(lane).or_default();
            record.lane(lane).get(*at).into_iter().for_each(|event| timeline.event(lane, event));
            *at += 1;
        } else if let (Some(lane), Some(text)) = (item[0].as_str(), item[1].as_str()) {
            timeline.step(lane, 0, text);
        }
    }
    timeline
}

/// A piece of a stream: text, or so much of the pattern.
fn piece(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        _ => {
            let (from, len) = range(value.get("pattern")?)?;
            Some(pattern(from, len))
        }
    }
}

fn range(value: &Value) -> Option<(usize, usize)> {
    let [from, len] = value.as_array()?.as_slice() else { return None };
    Some((usize::try_from(from.as_u64()?).ok()?, usize::try_from(len.as_u64()?).ok()?))
}

fn argument(value: &Value, streams: &Streams) -> Option<Arg> {
    Some(match value {
        Value::String(word) => Arg::Word(word.clone()),
        Value::Number(number) => Arg::Int(number.as_i64()?),
        Value::Bool(yes) => Arg::Bool(*yes),
        _ => Arg::Bytes(bytes(value, streams)?),
    })
}

fn bytes(value: &Value, streams: &Streams) -> Option<Vec<u8>> {
    Some(if let Some(text) = value.get("text") {
        text.as_str()?.as_bytes().to_vec()
    } else if let Some(pieces) = value.get("pieces") {
        pieces.as_array()?.iter().map(|piece| bytes(piece, streams)).collect::<Option<Vec<_>>>()?.concat()
    } else if let Some(run) = value.get("pattern") {
        let (from, len) = range(run)?;
        pattern(from, len)
    } else if let Some(repeat) = value.get("repeat") {
        let (byte, len) = range(repeat)?;
        vec![u8::try_from(byte).ok()?; len]
    } else if let Some(hex) = value.get("hex") {
        let hex = hex.as_str()?;
        (0..hex.len() / 2).map(|i| u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok()).collect::<Option<_>>()?
    } else {
        let (from, of) = match value.get("written") {
            Some(at) => (at, &streams.written),
            None => (value.get("sent")?, &streams.sent),
        };
        let (from, len) = range(from)?;
        of.get(from..from + len)?.to_vec()
    })
}

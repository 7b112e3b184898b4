//! Whether the simulated kernels are like the real ones: the same random scenario on both, and what happened compared.
//!
//! A scenario of a few steps is drawn, with a `settle` behind each, so that nothing hangs on who is faster, and no write but a large one meets a full
//! buffer, so that nothing hangs on how large buffers are. What every lane has recorded must be the same then; where bytes are cut means nothing. What
//! differs is printed as the scenario file that shows it.

use super::lane::{Event, Record};
use super::{Kind, Scenario, host, parse, play};
use crate::choices::Choices;
use crate::harness::{Run, Violation, ensure};
use core::fmt::Write as _;
use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::hash::DefaultHasher;
use std::path::Path;
use std::rc::Rc;

/// Where a scenario is played: simulated kernels first, each compared with the first. The one that completes operations is like no real one that there
/// is a backend for: what a peer has sent is received there while reading is paused, and does not reset the connection when that is closed.
const HOSTS: [&str; 4] = ["sim", "level", "mio", "polling"];

/// No step of these waits for more than the other end of a loopback.
const PATIENCE: Duration = Duration::from_millis(500);

/// More than the kernel takes, far above the marks.
const MUCH: usize = 1_000_000;

/// One scenario, on every host that is here.
///
/// # Errors
/// If two hosts do not record the same.
pub fn alike(run: &mut Run<'_>) -> Result<(), Violation> {
    let text = Draw::new(run.choices()).text(run.choices());
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    run.step(("text", hasher.finish()));
    let scenario = parse(Path::new("loop/drawn.toml"), &text).map_err(|problem| Violation(format!("{problem}\n{text}")))?;
    for kind in scenario.variants().into_iter().map(Rc::new) {
        let mut first: Option<(&str, String)> = None;
        for name in HOSTS {
            if host::plays(name, &kind).is_err() {
                continue;
            }
            let played = play::run_within(name, &kind, 0, PATIENCE);
            if let Some(broken) = played.broken {
                return Err(Violation(format!("on {name}: {broken}\n{text}")));
            }
            let told = lanes(&played.record, text.contains("\"fill\""));
            match &first {
                None => first = Some((name, told)),
                Some((other, was)) => {
                    let on = word(&kind);
                    ensure!(*was == told, "{on} on {other}:\n{was}on {name}:\n{told}by this scenario:\n{text}");
                }
            }
        }
    }
    Ok(())
}

fn word(scenario: &Scenario) -> &'static str {
    scenario.kind().word()
}

/// What was recorded, a line a lane. How many bytes came of a large write is for the kernel to say; and which call meets the end of a connection first,
/// one that receives (a reset) or one that sends (a broken pipe), is for the driver.
fn lanes(record: &Record, fills: bool) -> String {
    let mut text = String::new();
    for (lane, events) in record.lanes.iter().filter(|(_, events)| !events.is_empty()) {
        let told = |event: &Event| {
            if fills && event.bytes().is_some() { event.name.clone() } else { event.to_string().replace("broken-pipe", "reset") }
        };
        let events: Vec<String> = events.iter().map(told).collect();
        let _ = writeln!(text, "  {lane}: {}", events.join(", "));
    }
    text
}

/// What a scenario is like, and how far it has got.
struct Draw {
    kind: Kind,
    /// Large writes happen: how much the kernel takes of them differs.
    fills: bool,
    written: usize,
    received: usize,
    finished: bool,
    gone: bool,
}

impl Draw {
    fn new(choices: &mut dyn Choices) -> Self {
        let kind = [Kind::Tcp, Kind::Unix][choices.pick(2)];
        Self { kind, fills: choices.one_in(4), written: 0, received: 0, finished: false, gone: false }
    }

    fn text(mut self, choices: &mut dyn Choices) -> String {
        let mut text = String::from("id = \"loop/drawn\"\nabout = \"Drawn at random.\"\ncovers = [\"READ-1\"]\n");
        let buffers = if self.fills { ", sndbuf = 32768, rcvbuf = 32768" } else { "" };
        let _ = writeln!(text, "link = {{ kind = \"{}\"{buffers} }}", self.kind.word());
        if self.kind == Kind::Tcp {
            text.push_str("needs = [\"reset\"]\n");
        }
        if choices.pick(2) == 1 {
            text.push_str("app.eof = \"keep-open\"\n");
        }
        for callback in ["cm", "data", "eof", "pause", "resume"] {
            if choices.one_in(5) {
                let act = in_callback(choices);
                let _ = writeln!(text, "app.on.{callback} = [{act}]");
            }
        }
        text.push_str("steps = [\n  [\"app\", \"settle\"],\n");
        for _ in 0..1 + choices.pick(8) {
            if let Some(step) = self.step(choices) {
                let _ = writeln!(text, "  {step},\n  [\"app\", \"settle\"],");
            }
        }
        text.push_str("  [\"app\", \"close\"],\n  [\"app\", \"settle\"],\n");
        if !self.gone {
            text.push_str("  [\"peer\", \"recv-eof\"],\n  [\"app\", \"settle\"],\n");
        }
        text.push_str("]\nexpect.app = [\"cm\"]\nexpect.peer = [[\"data\", { anything = true }]]\n");
        text
    }

    fn step(&mut self, choices: &mut dyn Choices) -> Option<String> {
        let peer = !self.gone;
        Some(match choices.pick(16) {
            0 | 1 => {
                let n = 1 + choices.pick(900);
                self.written += n;
                format!("[\"app\", \"write\", {{ pattern = {n} }}]")
            }
            2 if self.fills => format!("[\"app\", \"fill\", {MUCH}]"),
            3 => String::from("[\"app\", \"write_eof\"]"),
            4 => String::from("[\"app\", \"pause_reading\"]"),
            5 => String::from("[\"app\", \"resume_reading\"]"),
            6 => format!("[\"app\", \"probe\", \"{}\"]", ["closing", "reading", "paused"][choices.pick(3)]),
            7 if !self.fills => String::from("[\"app\", \"probe\", \"size\"]"),
            8 => format!("[\"app\", \"{}\"]", ["close", "abort"][choices.pick(2)]),
            9 | 10 if peer && !self.finished => format!("[\"peer\", \"send\", {{ pattern = {} }}]", 1 + choices.pick(900)),
            11 if peer && !self.finished => {
                self.finished = true;
                String::from("[\"peer\", \"eof\"]")
            }
            12 if peer => {
                self.gone = true;
                String::from("[\"peer\", \"close\"]")
            }
            13 if peer && self.kind == Kind::Tcp => {
                self.gone = true;
                String::from("[\"peer\", \"reset\"]")
            }
            14 if peer && !self.fills && self.received < self.written => {
                let n = 1 + choices.pick(self.written - self.received);
                self.received += n;
                format!("[\"peer\", \"recv\", {n}]")
            }
            15 if peer && self.fills => String::from("[\"peer\", \"drain-until\", 0]"),
            _ => return None,
        })
    }
}

/// What a callback does by itself, once.
fn in_callback(choices: &mut dyn Choices) -> String {
    match choices.pick(8) {
        0 => format!("[\"write\", {{ pattern = {} }}]", 1 + choices.pick(900)),
        1 => String::from("[\"write_eof\"]"),
        2 => String::from("[\"close\"]"),
        3 => String::from("[\"abort\"]"),
        4 => String::from("[\"pause_reading\"]"),
        5 => String::from("[\"resume_reading\"]"),
        6 => String::from("[\"limits\", { low = 0, high = 0 }]"),
        _ => String::from("[\"fail\"]"),
    }
}

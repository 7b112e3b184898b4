//! What is to be seen: rows from the world to the application, and what stands in them, in order.

use crate::scenario::timeline::{Moment, Turning, What};
use crate::scenario::words::CALLBACKS;
use core::time::Duration;
use std::collections::BTreeSet;

/// Longer words are cut.
const WORDS: usize = 34;

/// What comes behind so many marks is only counted: a drawing is to be looked at.
const MARKS: usize = 300;

/// What a row is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Peer,
    Transport,
    Callbacks,
    Application,
    /// Server, loop, hook, host.
    Other,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub(super) kind: Kind,
    lane: String,
    pub(super) label: String,
}

/// What a mark looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Glyph {
    /// Towards the transport.
    In,
    /// From the transport.
    Out,
    /// Somebody waits.
    Wait,
    /// A fact.
    Note,
}

/// Something with words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    pub(super) row: usize,
    pub(super) glyph: Glyph,
    pub(super) text: String,
    /// All of it, if it was cut.
    pub(super) title: Option<String>,
    /// The callback or job that it was done in, as its item.
    pub(super) within: Option<usize>,
    /// Its number, if it is a step of the file.
    pub(super) step: Option<usize>,
    pub(super) time: Duration,
    name: String,
    bytes: usize,
    /// How often the same came in a row.
    times: usize,
    turn: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Item {
    Mark(Mark),
    /// That mark goes on until here.
    Longer(usize),
    Size(usize, usize),
    Marks(usize, usize, usize),
    Turned(usize, Turning),
}

/// Rows, and what stands in them.
pub(super) struct Scene {
    pub(super) rows: Vec<Row>,
    pub(super) items: Vec<Item>,
    steps: usize,
    marks: usize,
    /// The last mark among the items.
    last: Option<usize>,
}

impl Scene {
    pub(super) fn new(moments: &[Moment]) -> Self {
        let mut scene = Self { rows: rows(moments), items: Vec::new(), steps: 0, marks: 0, last: None };
        for moment in moments {
            scene.moment(moment);
        }
        if let (Some(beyond @ 1..), Some((_, last))) = (scene.marks.checked_sub(MARKS), scene.last()) {
            let text = format!("… and {} more", number(beyond));
            last.say(&text);
        }
        scene
    }

    fn row(&self, kind: Kind, lane: &str) -> Option<usize> {
        self.rows.iter().position(|row| row.kind == kind && row.lane == lane)
    }

    fn last(&mut self) -> Option<(usize, &mut Mark)> {
        let at = self.last?;
        match &mut self.items[at] {
            Item::Mark(mark) => Some((at, mark)),
            _ => None,
        }
    }

    fn moment(&mut self, moment: &Moment) {
        let lane = moment.lane.as_str();
        let transport = self.row(Kind::Transport, lane);
        match &moment.what {
            What::Step { text, .. } => {
                self.steps += 1;
                let step = Some(self.steps);
                self.command(moment, text, None, step);
            }
            What::Command { text, answer } => {
                if let Some((_, last)) = self.last() {
                    if last.step.is_some() && last.name == *text {
                        last.answer(answer.as_deref());
                        return;
                    }
                }
                self.command(moment, text, answer.as_deref(), None);
            }
            What::Event { name, text, bytes } => self.event(moment, name, text, *bytes),
            What::Size(_) if self.marks > MARKS => {}
            What::Size(size) => self.items.extend(transport.map(|row| Item::Size(row, *size))),
            What::Marks(low, high) => self.items.extend(transport.map(|row| Item::Marks(row, *low, *high))),
            What::Turned(turning) => self.items.extend(transport.map(|row| Item::Turned(row, *turning))),
        }
    }

    fn command(&mut self, moment: &Moment, text: &str, answer: Option<&str>, step: Option<usize>) {
        let verb = text.split(' ').next().unwrap_or_default();
        let kind = kind_of(&moment.lane, false);
        let Some(row) = self.row(kind, &moment.lane) else { return };
        let waits = ["wait", "settle", "recv", "recv-eof", "drain-until"].contains(&verb);
        let glyph = match verb {
            _ if waits => Glyph::Wait,
            "probe" => Glyph::Note,
            _ => Glyph::In,
        };
        // A step is done by nobody; what is done in a turn is done by the step.
        let within = match self.last() {
            Some((_, last)) if step.is_some() || last.turn => None,
            Some((at, last)) if last.glyph == Glyph::Out || last.name.starts_with("soon(") || last.name.starts_with("timer(") => {
                Some(at)
            }
            Some((_, last)) if last.step.is_none() => last.within,
            _ => None,
        };
        let turn = verb == "turn" || (step.is_none() && self.last().is_some_and(|(_, last)| last.turn));
        let shown = if verb == "turn" { "turn" } else { text };
        let mut mark = Mark::new(row, glyph, shown, moment.time);
        (mark.name, mark.within, mark.step, mark.turn) = (text.into(), within, step, turn);
        mark.answer(answer);
        self.push(mark);
    }

    fn event(&mut self, moment: &Moment, name: &str, text: &str, bytes: usize) {
        let called = CALLBACKS.contains(&name) || name == "done";
        let Some(row) = self.row(kind_of(&moment.lane, called), &moment.lane) else { return };
        if let Some((at, last)) = self.last() {
            if name == "probe" && last.name.starts_with("probe") {
                let answer = text.split_once(", ").map_or(text, |(_, answer)| answer).trim_end_matches(')');
                last.say(&format!("{} = {answer}", last.name));
                return;
            }
            if bytes > 0 && last.bytes > 0 && last.row == row && last.name == name {
                last.bytes += bytes;
                last.say(&format!("{name} {}", amount(last.bytes)));
                self.items.push(Item::Longer(at));
                return;
            }
        }
        if let Some((at, last)) = self.last() {
            if bytes == 0 && last.row == row && last.step.is_none() && last.name == text {
                last.times += 1;
                last.say(&format!("{text} × {}", number(last.times)));
                self.items.push(Item::Longer(at));
                return;
            }
        }
        let glyph = match self.rows[row].kind {
            Kind::Peer | Kind::Callbacks => Glyph::Out,
            _ => Glyph::Note,
        };
        let short = if bytes > 24 { format!("{name} {}", amount(bytes)) } else { text.to_owned() };
        let mut mark = Mark::new(row, glyph, &short, moment.time);
        // Bytes go together by their event, others if they are the same.
        (mark.name, mark.bytes) = (if bytes > 0 { name.into() } else { text.into() }, bytes);
        self.push(mark);
    }

    fn push(&mut self, mark: Mark) {
        self.marks += 1;
        if self.marks > MARKS + 1 {
            return;
        }
        self.last = Some(self.items.len());
        self.items.push(Item::Mark(mark));
    }
}

impl Mark {
    fn new(row: usize, glyph: Glyph, text: &str, time: Duration) -> Self {
        let mut mark = Self {
            row,
            glyph,
            text: String::new(),
            title: None,
            within: None,
            step: None,
            time,
            name: String::new(),
            bytes: 0,
            times: 1,
            turn: false,
        };
        mark.say(text);
        mark
    }

    /// What it shows, in as few words as do.
    fn say(&mut self, text: &str) {
        let whole = plain(text);
        if whole.chars().count() > WORDS {
            self.text = whole.chars().take(WORDS - 1).chain(['…']).collect();
            self.title = Some(whole);
        } else {
            (self.text, self.title) = (whole, None);
        }
    }

    /// What is usual is not said.
    fn answer(&mut self, answer: Option<&str>) {
        if let Some(answer) = answer.filter(|answer| !["Accepted", "Done"].contains(answer)) {
            let text = format!("{} → {answer}", self.title.as_ref().unwrap_or(&self.text));
            self.say(&text);
        }
    }
}

/// The words of the file, less its punctuation: `write { pattern = 5 }` is `write 5 bytes`, `wait "eof"` is `wait eof`.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{ pattern = ") {
        let (number, behind) = behind.split_once(" }").unwrap_or((behind, ""));
        out += before;
        out += &number.parse().map_or_else(|_| number.into(), amount);
        rest = behind;
    }
    out += rest;
    let named = ["wait", "probe", "set_protocol", "call_soon", "call_later", "cancel", "threadsafe"];
    if named.contains(&text.split(' ').next().unwrap_or_default()) {
        out = out.replace('"', "");
    }
    out.replace("{ size = -", "{ size - ").replace("{ size = ", "{ size + ").replace("{ ", "").replace(" }", "")
}

pub(super) fn amount(bytes: usize) -> String {
    if bytes == 1 { "1 byte".into() } else { format!("{} bytes", number(bytes)) }
}

/// With narrow gaps between thousands.
pub(super) fn number(n: usize) -> String {
    let digits = n.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn kind_of(lane: &str, called: bool) -> Kind {
    match lane.split('.').next() {
        Some("peer") => Kind::Peer,
        Some("app") if called => Kind::Callbacks,
        Some("app") => Kind::Application,
        _ => Kind::Other,
    }
}

/// Four for each connection, and one for each other lane in which something happened.
fn rows(moments: &[Moment]) -> Vec<Row> {
    let lanes: BTreeSet<&str> = moments.iter().map(|moment| moment.lane.as_str()).collect();
    let of = |lane: &str| ["app", "peer"].contains(&lane.split('.').next().unwrap_or_default());
    let names: BTreeSet<&str> =
        lanes.iter().filter(|lane| of(lane)).map(|lane| lane.split_once('.').map_or("", |(_, name)| name)).collect();
    // Nobody looks into the transports of other loops.
    let watched = moments.iter().any(|moment| matches!(moment.what, What::Size(_) | What::Marks(..) | What::Turned(_)));
    let mut rows = Vec::new();
    for name in names {
        let lane = |kind: &str| if name.is_empty() { kind.to_owned() } else { format!("{kind}.{name}") };
        let label = |word: &str| if name.is_empty() { word.to_owned() } else { format!("{word} {name}") };
        rows.push(Row { kind: Kind::Peer, lane: lane("peer"), label: label("peer") });
        if watched {
            rows.push(Row { kind: Kind::Transport, lane: lane("app"), label: label("transport") });
        }
        rows.push(Row { kind: Kind::Callbacks, lane: lane("app"), label: label("callbacks") });
        rows.push(Row { kind: Kind::Application, lane: lane("app"), label: label("application") });
    }
    for lane in ["server", "loop", "hook", "host"].into_iter().filter(|lane| lanes.contains(lane)) {
        rows.push(Row { kind: Kind::Other, lane: lane.into(), label: lane.into() });
    }
    rows
}

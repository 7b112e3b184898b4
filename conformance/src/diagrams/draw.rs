//! A machine as SVG: boxes where the table puts them, arrows with what leads along them.

use super::table::{Frame, Machine, Route};
use crate::scenario::report::escaped;
use std::collections::{BTreeMap, BTreeSet};

/// Half of a box.
const BOX: (i32, i32) = (55, 20);
/// From line to line of a label, and the most characters of one.
const LINE: i32 = 15;
const WRAP: usize = 42;
/// How far the two ways between a pair of states are apart.
const APART: i32 = 9;

const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#33414d;paint-order:stroke;stroke:#fff;stroke-width:5px;stroke-linejoin:round}\
.ground{fill:#fff}.name{font:600 14px ui-monospace,Menlo,Consolas,monospace;text-anchor:middle;fill:#16202a;stroke:none}\
.box{fill:#eaf2f7;stroke:#0b629c;stroke-width:1.5}.end{fill:#eceff0;stroke:#53616e}.frame{fill:none;stroke:#8ea0ae;stroke-dasharray:5 4}\
.framed{font-style:italic;fill:#53616e;text-anchor:end}.way{fill:none;stroke:#53616e;stroke-width:1.4;stroke-linejoin:round}.told{fill:#0b629c}\
@media (prefers-color-scheme:dark){text{fill:#c6d2dc;stroke:#151d25}.ground{fill:#151d25}.name{fill:#dfe7ee}.box{fill:#1b2b39;stroke:#6cb9f0}\
.end{fill:#242f39;stroke:#98a7b5}.frame{stroke:#5f7385}.framed{fill:#98a7b5}.way{stroke:#98a7b5}.told{fill:#6cb9f0}}";

/// A box or a frame, by its edges: left, top, right, bottom.
#[derive(Clone, Copy)]
struct Edges(i32, i32, i32, i32);

impl Edges {
    const fn middle(self) -> (i32, i32) {
        ((self.0 + self.2) / 2, (self.1 + self.3) / 2)
    }
}

pub(super) fn svg(machine: &Machine) -> String {
    let (width, height) = machine.size;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
        <title>{}: states and transitions</title>\n<style>{STYLE}</style>\n\
        <rect class=\"ground\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n",
        escaped(machine.title)
    );
    for frame in machine.frames {
        let (left, top, right, bottom) = frame.edges;
        out += &format!(
            "<rect class=\"frame\" x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" rx=\"12\"/>\
            <text class=\"framed\" x=\"{}\" y=\"{}\">{}</text>\n",
            right - left,
            bottom - top,
            right - 14,
            top + 20,
            frame.name
        );
    }
    let ways = ways(machine);
    let pairs: BTreeSet<(&str, &str)> = ways.keys().copied().collect();
    let mut labels = String::new();
    for ((from, to), words) in &ways {
        let route = machine.routes.iter().find(|route| (route.from, route.to) == (*from, *to));
        let apart = if pairs.contains(&(*to, *from)) { APART } else { 0 };
        way(&mut out, &mut labels, edges(machine, from), edges(machine, to), words, route, apart);
    }
    out += &labels;
    for state in machine.states {
        let (x, y) = state.at;
        let leads_on = machine
            .cases
            .iter()
            .any(|((from, _), cases)| *from == state.name && cases.iter().any(|case| case.outcome.to != state.name));
        let class = if leads_on { "box" } else { "box end" };
        out += &format!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"9\"/>\
            <text class=\"name\" x=\"{x}\" y=\"{}\">{}</text>\n",
            x - BOX.0,
            y - BOX.1,
            2 * BOX.0,
            2 * BOX.1,
            y + 5,
            state.name
        );
    }
    out + "</svg>\n"
}

fn edges(machine: &Machine, name: &str) -> Edges {
    if let Some(frame) = machine.frames.iter().find(|frame| frame.name == name) {
        let (left, top, right, bottom) = frame.edges;
        return Edges(left, top, right, bottom);
    }
    let at = machine.states.iter().find(|state| state.name == name).map_or((0, 0), |state| state.at);
    Edges(at.0 - BOX.0, at.1 - BOX.1, at.0 + BOX.0, at.1 + BOX.1)
}

/// One thing that leads along an arrow.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Reason {
    guard: String,
    /// What is told: one of these.
    told: Vec<String>,
    detail: &'static str,
}

type Inputs = Vec<&'static str>;

/// From where to where, and why; in the order of the rows.
fn ways(machine: &Machine) -> BTreeMap<(&str, &str), Vec<(Reason, Inputs)>> {
    let mut ways: BTreeMap<(&str, &str), Vec<(Reason, Inputs)>> = BTreeMap::new();
    for input in &machine.inputs {
        let mut framed: BTreeSet<(&str, &str, Reason)> = BTreeSet::new();
        for state in machine.states {
            for (to, reason) in reasons(machine, state.name, input) {
                let frame = machine.frames.iter().find(|frame| is_shared(machine, frame, state.name, input, to, &reason));
                let from = frame.map_or(state.name, |frame| frame.name);
                if frame.is_some() && !framed.insert((from, to, reason.clone())) {
                    continue;
                }
                let along = ways.entry((from, to)).or_default();
                match along.iter_mut().find(|(other, _)| *other == reason) {
                    Some((_, inputs)) => inputs.push(input),
                    None => along.push((reason, vec![input])),
                }
            }
        }
    }
    ways
}

/// Where an input leads to from a state, other than to itself. Several things that may be told on one way are one reason.
fn reasons<'a>(machine: &'a Machine, state: &'static str, input: &'static str) -> Vec<(&'a str, Reason)> {
    let mut found: Vec<(&str, Reason)> = Vec::new();
    for case in machine.cases.get(&(state, input)).into_iter().flatten().filter(|case| case.outcome.to != state) {
        let told = case.outcome.told.join(", ");
        let same = found.iter_mut().find(|(to, reason)| {
            (*to, reason.guard.as_str(), reason.detail) == (case.outcome.to, case.guard.as_str(), case.outcome.detail)
        });
        match same {
            Some((_, reason)) => reason.told.push(told),
            None => {
                let told = if told.is_empty() { Vec::new() } else { vec![told] };
                found.push((case.outcome.to, Reason { guard: case.guard.clone(), told, detail: case.outcome.detail }));
            }
        }
    }
    found
}

/// Whether all states of the frame in which the input is possible lead there, more than one of them.
fn is_shared(machine: &Machine, frame: &Frame, state: &str, input: &'static str, to: &str, reason: &Reason) -> bool {
    if !frame.states.contains(&state) || frame.states.contains(&to) {
        return false;
    }
    let possible: Vec<&&str> = frame.states.iter().filter(|one| machine.cases.contains_key(&(**one, input))).collect();
    possible.len() > 1
        && possible.iter().all(|one| reasons(machine, one, input).iter().any(|(other, why)| *other == to && why == reason))
}

/// What stands beside an arrow, in lines: what happens, and what is told, which is marked. Lines break between things, not inside.
fn lines(words: &[(Reason, Inputs)]) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = Vec::new();
    for (reason, inputs) in words {
        let between = |(n, input): (usize, &&str)| format!("{}{input}", if n > 0 { "· " } else { "" });
        let mut parts: Vec<String> = inputs.iter().enumerate().map(between).collect();
        parts.extend((!reason.guard.is_empty()).then(|| format!("[{}]", reason.guard)));
        parts.extend((!reason.detail.is_empty()).then(|| format!("({})", reason.detail)));
        let happens = parts.len();
        let told = reason.told.iter().enumerate().map(|(n, told)| format!("{} {told}", if n > 0 { "or" } else { "/" }));
        parts.extend(told);
        let mut line = (String::new(), String::new());
        for (n, part) in parts.iter().enumerate() {
            let part = part.replace('`', "");
            let length = [&line.0, &line.1, &part].iter().map(|text| text.chars().count()).sum::<usize>();
            if length >= WRAP && n > 0 {
                lines.push(core::mem::take(&mut line));
            }
            let side = if n < happens { &mut line.0 } else { &mut line.1 };
            *side += if side.is_empty() { "" } else { " " };
            *side += &part;
        }
        lines.push(line);
    }
    lines
}

fn way(
    out: &mut String,
    labels: &mut String,
    from: Edges,
    to: Edges,
    words: &[(Reason, Inputs)],
    route: Option<&Route>,
    apart: i32,
) {
    let via = route.map_or(&[][..], |route| route.via);
    let mut points = Vec::from(via);
    let (first, last) = (points.first().copied(), points.last().copied());
    let (start, end) = straight(from, to);
    points.insert(0, first.map_or(start, |first| leave(from, first)));
    points.push(last.map_or(end, |last| leave(to, last)));
    // The right-hand side of the way is where it is moved to, if there is one back.
    let ((x1, y1), (x2, y2)) = (points[0], points[points.len() - 1]);
    let length = f64::from((x2 - x1).pow(2) + (y2 - y1).pow(2)).sqrt().max(1.0);
    let shift = |by: i32| (f64::from(by * apart) / length).round() as i32;
    let (dx, dy) = (shift(y2 - y1), shift(x1 - x2));
    points.iter_mut().for_each(|point| *point = (point.0 + dx, point.1 + dy));
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x} {y}")).collect();
    *out += &format!("<path class=\"way\" d=\"M{}{}\"/>\n", path.join("L"), head(&points));
    let lines = lines(words);
    let count = lines.len() as i32;
    let half = points.len() / 2;
    let (a, b) = (points[half - 1], points[half]);
    let middle = ((a.0 + b.0) / 2, (a.1 + b.1) / 2);
    let (x, y, anchor) = match route.map(|route| route.label) {
        Some((x, y)) => (x, y, "start"),
        None if a.0 == b.0 => (middle.0 + 10, middle.1 - (count - 1) * LINE / 2 + 2, "start"),
        None if a.1 == b.1 && dy > 0 => (middle.0, middle.1 + LINE + 4, "middle"),
        None if a.1 == b.1 => (middle.0, middle.1 - 10 - (count - 1) * LINE, "middle"),
        // Below the line, on the side where it is open.
        None if (a.0 < b.0) == (a.1 < b.1) => (middle.0 - 6, middle.1 + LINE, "end"),
        None => (middle.0 + 6, middle.1 + LINE, "start"),
    };
    *labels += &format!("<text text-anchor=\"{anchor}\">");
    for (n, (text, told)) in (0..).zip(&lines) {
        let gap = if text.is_empty() { "" } else { " " };
        let told = if told.is_empty() { String::new() } else { format!("{gap}<tspan class=\"told\">{}</tspan>", escaped(told)) };
        *labels += &format!("<tspan x=\"{x}\" y=\"{}\">{}{told}</tspan>", y + n * LINE, escaped(text));
    }
    *labels += "</text>\n";
}

/// From border to border: along an axis if they face each other, else between the middles.
fn straight(from: Edges, to: Edges) -> ((i32, i32), (i32, i32)) {
    let ((fx, fy), (tx, ty)) = (from.middle(), to.middle());
    let inside = |low: i32, at: i32, high: i32| low < at && at < high;
    if inside(from.0, tx, from.2) {
        let down = ty > fy;
        return ((tx, if down { from.3 } else { from.1 }), (tx, if down { to.1 } else { to.3 }));
    }
    if inside(from.1, ty, from.3) {
        let right = tx > fx;
        return ((if right { from.2 } else { from.0 }, ty), (if right { to.0 } else { to.2 }, ty));
    }
    (leave(from, (tx, ty)), leave(to, (fx, fy)))
}

/// Where the line from the middle towards a point leaves a box; straight on if the point is beside it.
fn leave(edges: Edges, towards: (i32, i32)) -> (i32, i32) {
    let (x, y) = edges.middle();
    let (dx, dy) = (f64::from(towards.0 - x), f64::from(towards.1 - y));
    let (w, h) = (f64::from(edges.2 - x), f64::from(edges.3 - y));
    let scale = (w / dx.abs().max(0.001)).min(h / dy.abs().max(0.001));
    (x + (dx * scale).round() as i32, y + (dy * scale).round() as i32)
}

/// The head of an arrow, behind its last point.
fn head(points: &[(i32, i32)]) -> String {
    let (from, to) = (points[points.len() - 2], points[points.len() - 1]);
    let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
    let length = dx.hypot(dy).max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    let point = |along: f64, aside: f64| {
        let x = f64::from(to.0) - ux * along - uy * aside;
        let y = f64::from(to.1) - uy * along + ux * aside;
        format!("{x:.1} {y:.1}")
    };
    format!("M{}L{} {}L{}", point(8.0, 4.0), to.0, to.1, point(8.0, -4.0))
}

//! The drawing as SVG. Colours and strokes are those of the page's style sheet.

use super::layout::Places;
use super::scene::{Glyph, Item, Kind, Mark, Scene, number};
use crate::scenario::report::escaped;
use crate::scenario::timeline::Turning;
use core::time::Duration;

/// The least width of the names of the rows, and that of a character of them.
const NAMES: i32 = 84;
const CHAR: i32 = 7;

pub(super) fn write(scene: &Scene, places: &Places, title: &str) -> String {
    let mut out = String::from("<div class=\"draw\">");
    names(&mut out, scene, places);
    let (width, height) = (places.width, places.height);
    out += &format!(
        "<div class=\"roll\" tabindex=\"0\"><svg role=\"img\" aria-label=\"{}\" width=\"{width}\" height=\"{height}\">",
        escaped(title)
    );
    floor(&mut out, scene, places);
    for (row, of) in scene.rows.iter().enumerate() {
        if of.kind == Kind::Transport {
            transport(&mut out, scene, places, row);
        }
    }
    axis(&mut out, scene, places);
    for (at, item) in scene.items.iter().enumerate() {
        if let Item::Mark(mark) = item {
            draw_mark(&mut out, scene, places, at, mark);
        }
    }
    out += "</svg></div></div>";
    out
}

fn names(out: &mut String, scene: &Scene, places: &Places) {
    let longest = scene.rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0);
    let width = NAMES.max(longest as i32 * CHAR + 8);
    *out += &format!("<svg class=\"names\" aria-hidden=\"true\" width=\"{width}\" height=\"{}\">", places.height);
    for (row, of) in scene.rows.iter().enumerate() {
        let y = places.y[row] + places.heights[row] / 2 + 4;
        *out += &format!("<text x=\"{}\" y=\"{y}\">{}</text>", width - 8, escaped(&of.label));
    }
    *out += "</svg>";
}

/// The lines that the rows stand on.
fn floor(out: &mut String, scene: &Scene, places: &Places) {
    let mut path = String::new();
    for (row, of) in scene.rows.iter().enumerate() {
        if of.kind != Kind::Transport && of.kind != Kind::Peer {
            path += &format!("M0 {}H{}", places.y[row] + places.heights[row], places.width);
        }
    }
    *out += &format!("<path class=\"floor\" d=\"{path}\"/>");
}

/// A line and a number for each step, and the time where it goes on.
fn axis(out: &mut String, scene: &Scene, places: &Places) {
    let (mut lines, mut before, mut free) = (String::new(), None, 0);
    let times = scene.items.iter().filter_map(|item| if let Item::Mark(mark) = item { Some(mark.time) } else { None });
    let stands_still = times.clone().min() == times.max();
    for (item, &x) in scene.items.iter().zip(&places.x) {
        let Item::Mark(mark) = item else { continue };
        if let Some(step) = mark.step {
            lines += &format!("M{x} 13V{}", places.height - 14);
            *out += &format!("<text class=\"nr\" x=\"{x}\" y=\"10\">{step}</text>");
        }
        if !stands_still && before != Some(mark.time) && x >= free {
            let text = time(mark.time);
            *out += &format!("<text class=\"at\" x=\"{x}\" y=\"{}\">{text}</text>", places.height - 4);
            free = x + 12 + 6 * text.chars().count() as i32;
            before = Some(mark.time);
        }
    }
    *out += &format!("<path class=\"steps\" d=\"{lines}\"/>");
}

fn time(time: Duration) -> String {
    let nanos = time.as_nanos();
    match nanos {
        0 => "0".into(),
        1..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{} µs", nanos / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", (nanos / 100_000) as f64 / 10.0),
        _ => format!("{} s", (nanos / 10_000_000) as f64 / 100.0),
    }
}

fn draw_mark(out: &mut String, scene: &Scene, places: &Places, at: usize, mark: &Mark) {
    let (x, y, height) = (places.x[at], places.y[mark.row], places.heights[mark.row]);
    let kind = scene.rows[mark.row].kind;
    let class = match (kind, mark.glyph) {
        (_, Glyph::Wait) => "w",
        (Kind::Peer, _) => "p",
        (Kind::Callbacks, _) => "c",
        (_, Glyph::Note) => "n",
        _ => "a",
    };
    let last = scene.items.iter().rposition(|item| *item == Item::Longer(at)).map(|item| places.x[item]);
    if let Some(last) = last.filter(|last| *last > x) {
        let bar = if kind == Kind::Peer { y + height - 3 } else { y + 3 };
        *out += &format!("<path class=\"{class} bar\" d=\"M{x} {bar}H{last}\"/>");
    }
    if let Some(Item::Mark(outer)) = mark.within.map(|within| &scene.items[within]) {
        let (from_x, from_y) = (places.x[mark.within.unwrap_or(0)], places.y[outer.row] + places.heights[outer.row] / 2 + 5);
        // From a row below, as from a job, it leads upwards. It runs along the edge of the row, clear of words.
        let (from_y, edge) = if outer.row > mark.row { (from_y - 10, y + height - 2) } else { (from_y, y + 3) };
        *out += &format!("<path class=\"in\" d=\"M{from_x} {from_y}V{edge}H{x}\"/>");
    }
    // Above the transport inwards is down, below it inwards is up.
    let (top, bottom) = match kind {
        Kind::Peer => (y + 8, y + height - 1),
        Kind::Callbacks => (y + 1, y + height - 9),
        _ => (y + 6, y + height - 5),
    };
    let middle = (top + bottom) / 2;
    let down = (kind == Kind::Peer) == (mark.glyph == Glyph::In);
    let shape = match mark.glyph {
        Glyph::Wait => format!("M{} {}a3 3 0 1 0 6 0a3 3 0 1 0-6 0", x - 3, middle),
        Glyph::Note => format!("M{} {}l3-3 3 3-3 3z", x - 3, middle),
        _ if down => format!("M{x} {top}V{bottom}m-3-4 3 4 3-4"),
        _ => format!("M{x} {bottom}V{top}m-3 4 3-4 3 4"),
    };
    *out += &format!("<path class=\"{class}\" d=\"{shape}\"/>");
    let baseline = middle + 4;
    let title = mark.title.as_ref().map_or_else(String::new, |title| format!("<title>{}</title>", escaped(title)));
    *out += &format!("<text class=\"{class}\" x=\"{}\" y=\"{baseline}\">{}{title}</text>", x + 7, escaped(&mark.text));
}

/// What is known of one transport, as it changes along the axis.
#[derive(Default)]
struct Course {
    /// Where the queue has which size.
    sizes: Vec<(i32, usize)>,
    /// From where which marks hold.
    marks: Vec<(i32, usize, usize)>,
    /// From where to where.
    reading_paused: Vec<(i32, i32)>,
    writing_paused: Vec<(i32, i32)>,
    closing: Option<i32>,
    over: Option<i32>,
}

impl Course {
    fn new(scene: &Scene, places: &Places, row: usize) -> Self {
        let mut course = Self::default();
        let (mut reading, mut writing) = (None, None);
        for (item, &x) in scene.items.iter().zip(&places.x) {
            match *item {
                Item::Size(at, size) if at == row => course.sizes.push((x, size)),
                Item::Marks(at, low, high) if at == row => course.marks.push((x, low, high)),
                Item::Turned(at, turning) if at == row => match turning {
                    Turning::WritingPaused => writing = writing.or(Some(x)),
                    Turning::WritingResumed => course.writing_paused.extend(writing.take().map(|from| (from, x))),
                    Turning::ReadingPaused => reading = reading.or(Some(x)),
                    Turning::ReadingResumed => course.reading_paused.extend(reading.take().map(|from| (from, x))),
                    Turning::Closing | Turning::ForceClosed => {
                        course.closing = course.closing.or(Some(x));
                        course.reading_paused.extend(reading.take().map(|from| (from, x)));
                        if turning == Turning::ForceClosed {
                            course.sizes.push((x, 0));
                        }
                    }
                    Turning::Over => course.over = course.over.or(Some(x)),
                },
                _ => {}
            }
        }
        let end = course.over.unwrap_or(places.end);
        course.writing_paused.extend(writing.map(|from| (from, end)));
        course.reading_paused.extend(reading.map(|from| (from, end)));
        course
    }
}

/// The transport's life as a vessel: it begins when the transport is there and ends when it is lost; the queue is the water in it.
fn transport(out: &mut String, scene: &Scene, places: &Places, row: usize) {
    let course = Course::new(scene, places, row);
    let Some(&(begin, ..)) = course.marks.first() else { return };
    let (y, height) = (places.y[row], places.heights[row]);
    let end = course.over.unwrap_or(places.end).max(begin + 8);
    let rect = |class: &str, from: i32, to: i32, y: i32, height: i32| {
        format!("<rect class=\"{class}\" x=\"{from}\" y=\"{y}\" width=\"{}\" height=\"{height}\"/>", (to - from).max(2))
    };
    *out += &rect("hull", begin, end, y, height);
    if let Some(from) = course.closing {
        *out += &rect("cl", from, end, y, height);
    }
    for &(from, to) in &course.writing_paused {
        *out += &rect("wp", from, to, y, height);
    }
    let deep = height > 30;
    if deep {
        levels(out, &course, begin, end, y, height);
    }
    for &(from, to) in &course.reading_paused {
        *out += &rect("rp", from, to, y, if deep { 12 } else { height });
        label(out, "reading paused", from, to, y + if deep { 10 } else { 16 });
    }
    for &(from, to) in &course.writing_paused {
        label(out, "writing paused", from, to, y + height - 4);
    }
    if let Some(from) = course.closing {
        let taken = course.writing_paused.iter().any(|&(_, to)| to > from);
        if !taken {
            label(out, "closing", from, end, y + height - 4);
        }
    }
}

/// Only where it fits.
fn label(out: &mut String, text: &str, from: i32, to: i32, y: i32) {
    if to - from > 6 * text.len() as i32 {
        *out += &format!("<text class=\"sp\" x=\"{}\" y=\"{y}\">{text}</text>", from + 4);
    }
}

/// The curve and both marks. Heights are fourth roots: a few bytes and a million are both to be seen.
fn levels(out: &mut String, course: &Course, begin: i32, end: i32, y: i32, height: i32) {
    let peak = course.sizes.iter().map(|&(_, size)| size).max().unwrap_or(0);
    let top = course.marks.iter().map(|&(_, _, high)| high).max().unwrap_or(0).max(peak).max(7);
    let floor = y + height;
    let level = |bytes: usize| floor - (f64::from(height - 22) * (bytes as f64 / top as f64).powf(0.25)).round() as i32;

    if peak > 0 {
        let mut line = format!("M{begin} {floor}");
        let mut now = 0;
        for (at, &(x, size)) in course.sizes.iter().enumerate() {
            // Points on one spot: the highest and the last are to be seen.
            let hidden = course.sizes.get(at + 1).is_some_and(|&(next, to)| next == x && to >= size.min(now));
            if size != now && !hidden {
                line += &format!("H{x}V{}", level(size));
                now = size;
            }
        }
        *out += &format!("<path class=\"water\" d=\"{line}H{end}V{floor}z\"/><path class=\"level\" d=\"{line}H{end}\"/>");
    }
    let (mut high_line, mut low_line) = (String::new(), String::new());
    for (at, &(x, low, high)) in course.marks.iter().enumerate() {
        let to = course.marks.get(at + 1).map_or(end, |&(next, ..)| next);
        high_line += &format!("M{x} {}H{to}", level(high));
        low_line += &format!("M{x} {}H{to}", level(low));
    }
    *out += &format!("<path class=\"hi\" d=\"{high_line}\"/><path class=\"lo\" d=\"{low_line}\"/>");
    if let Some(&(_, low, high)) = course.marks.last() {
        let (at_high, at_low) = (level(high).min(floor - 14), level(low).min(floor - 3));
        let at_low = at_low.max(at_high + 11);
        *out += &format!("<text class=\"hi\" x=\"{}\" y=\"{}\">high {}</text>", end + 6, at_high + 3, number(high));
        *out += &format!("<text class=\"lo\" x=\"{}\" y=\"{}\">low {}</text>", end + 6, at_low + 3, number(low));
    }
    if let Some(&(x, size)) = course.sizes.iter().find(|&&(_, size)| size == peak && size > 0) {
        *out += &format!("<text class=\"pk\" x=\"{}\" y=\"{}\">{}</text>", x + 3, level(size) - 3, number(size));
    }
}

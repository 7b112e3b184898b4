//! A scenario: what it shows, how it went everywhere, and a run of it.

use super::drawing;
use super::model::{Card, Column, Standing};
use crate::scenario::report::{Outcome, escaped};
use crate::scenario::{Mismatch, Verdict};
use std::collections::BTreeMap;
use std::fs;

pub(super) fn write(out: &mut String, card: &Card, hosts: &[Column]) {
    let scenario = &card.scenario;
    let found: Vec<Standing> = Standing::ALL
        .into_iter()
        .filter(|standing| (0..hosts.len()).any(|host| card.standing(host) == Some(*standing)))
        .collect();
    let words: Vec<&str> = found.iter().map(|standing| standing.word()).collect();
    let id = escaped(&scenario.id);
    let name = scenario.id.split_once('/').map_or(scenario.id.as_str(), |(_, name)| name);
    *out += &format!("<article class=\"card\" id=\"{id}\" data-v=\"{}\">", words.join(" "));
    *out += &format!("<h4><a href=\"#{id}\">{}</a></h4><p class=\"about\">{}</p>", escaped(name), prose(&scenario.about));
    *out += "<div class=\"meta\"><p class=\"covers\">";
    for id in &scenario.covers {
        *out += &format!("<a href=\"#{id}\">{id}</a> ");
    }
    *out += "</p><ul class=\"hosts\">";
    for (host, column) in hosts.iter().enumerate() {
        if let Some(standing) = card.standing(host) {
            let (word, sign) = (standing.word(), standing.sign());
            *out += &format!("<li class=\"{word}\"><b title=\"{word}\">{sign}</b> {}</li>", escaped(&column.name));
        }
    }
    *out += "</ul></div>";
    skips(out, card);
    let told = |outcome: &&Outcome| !matches!(outcome.verdict, Verdict::Passed | Verdict::Skipped(_));
    card.outcomes.iter().flatten().filter(told).for_each(|outcome| verdict(out, outcome));
    for host in card.drawn() {
        let Some(outcome) = &card.outcomes[host] else { continue };
        let Some(record) = &outcome.record else { continue };
        let title = format!("{} on {}", scenario.id, outcome.host);
        let seed = if outcome.seed > 0 { format!(", seed {}", outcome.seed) } else { String::new() };
        let drawing = drawing::draw(&record.timeline.moments(), &title);
        *out += &format!("<figure>{drawing}<figcaption>as it went on {}{seed}</figcaption></figure>", escaped(&outcome.host));
    }
    if let Ok(text) = fs::read_to_string(&scenario.path) {
        *out += &format!("<details><summary>the file</summary><pre>{}</pre></details>", escaped(text.trim_end()));
    }
    *out += "</article>\n";
}

/// Text with `code` and *stress* in it.
pub(super) fn prose(text: &str) -> String {
    marked(&escaped(text), '`', "code", |plain| marked(plain, '*', "em", str::to_owned))
}

/// What stands between two of these signs becomes an element; a sign without its second one stays.
fn marked(text: &str, sign: char, element: &str, plain: impl Fn(&str) -> String) -> String {
    let parts: Vec<&str> = text.split(sign).collect();
    let mut out = String::new();
    for (n, part) in parts.iter().enumerate() {
        out += &match n % 2 {
            0 => plain(part),
            _ if n + 1 == parts.len() => format!("{sign}{}", plain(part)),
            _ => format!("<{element}>{part}</{element}>"),
        };
    }
    out
}

/// Why it was skipped, once for all hosts with the same reason.
fn skips(out: &mut String, card: &Card) {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for outcome in card.outcomes.iter().flatten() {
        if let Verdict::Skipped(why) = &outcome.verdict {
            reasons.entry(why).or_default().push(&outcome.host);
        }
    }
    for (why, hosts) in reasons {
        let (hosts, sign) = (escaped(&hosts.join(", ")), Standing::Skipped.sign());
        *out += &format!("<div class=\"told skipped\"><p><b>{sign} {hosts} skipped</b> {}</p></div>", prose(why));
    }
}

fn verdict(out: &mut String, outcome: &Outcome) {
    let standing = Standing::of(&outcome.verdict);
    let (word, sign, host) = (standing.word(), standing.sign(), escaped(&outcome.host));
    *out += &format!("<div class=\"told {word}\"><p><b>{sign} {host} {word}</b> ");
    match &outcome.verdict {
        Verdict::Departed(why) => *out += &format!("{}</p>{}", prose(why), lanes(outcome)),
        Verdict::Broken(why) => *out += &format!("</p><pre>{}</pre>", escaped(why)),
        Verdict::Failed(mismatch) => {
            *out += &format!("{} in lane <code>{}</code></p>", prose(&mismatch.note), escaped(&mismatch.lane));
            difference(out, mismatch);
            *out += &lanes(outcome);
        }
        Verdict::Passed | Verdict::Skipped(_) => *out += "</p>",
    }
    if standing == Standing::Failed {
        *out += &format!("<p class=\"again\">again: <code>{}</code></p>", escaped(&outcome.replay));
    }
    *out += "</div>";
}

/// Everything that happened, a line a lane.
fn lanes(outcome: &Outcome) -> String {
    let Some(record) = &outcome.record else { return String::new() };
    let lines = record.lanes.iter().map(|(name, lane)| {
        let events = lane.chunk_by(PartialEq::eq).map(|same| match same {
            [one] => escaped(&one.to_string()),
            _ => format!("{} × {}", escaped(&same[0].to_string()), same.len()),
        });
        format!("<b>{}</b> {}", escaped(name), events.collect::<Vec<_>>().join(" · "))
    });
    format!("<pre>{}</pre>", lines.collect::<Vec<_>>().join("\n"))
}

/// Expected and actual side by side, with the first difference marked.
fn difference(out: &mut String, mismatch: &Mismatch) {
    *out += "<div class=\"scroll\"><table class=\"diff\"><tr><th scope=\"col\">expected</th><th scope=\"col\">actual</th></tr>";
    let rows = mismatch.expected.len().max(mismatch.actual.len()).max(mismatch.at + 1);
    for n in 0..rows {
        let of = |lines: &[String]| lines.get(n).map_or_else(|| "<i>nothing</i>".into(), |line| escaped(line));
        let here = if n == mismatch.at { " class=\"here\"" } else { "" };
        let mark = if n == mismatch.at { " <b>← the first difference</b>" } else { "" };
        *out += &format!("<tr{here}><td>{}</td><td>{}{mark}</td></tr>", of(&mismatch.expected), of(&mismatch.actual));
    }
    *out += "</table></div>";
}

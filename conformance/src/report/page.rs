//! The whole page: one file that needs nothing beside itself.

use super::model::{Model, Standing};
use super::{card, overview};
use crate::scenario::report::escaped;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// A ship's load line: the disc, and the mark that the water may not rise above.
const SIGN: &str = "<svg class=\"sign\" aria-hidden=\"true\" width=\"44\" height=\"34\" viewBox=\"0 0 44 34\">\
    <path class=\"sea\" d=\"M0 17h44v17H0z\"/><circle cx=\"22\" cy=\"17\" r=\"11\"/><path d=\"M3 17h38\"/></svg>";

/// What all drawings share.
const SHARED: &str = "<svg class=\"shared\" aria-hidden=\"true\" width=\"0\" height=\"0\"><defs>\
    <pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
    <path class=\"hatch\" d=\"M1 0v6\"/></pattern></defs></svg>";

pub(super) fn html(model: &Model) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>");
    out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>";
    out += "<meta name=\"color-scheme\" content=\"light dark\"/>";
    out += &format!("<title>plimsoll: conformance</title><style>\n{STYLE}</style></head><body>");
    out += "<a class=\"skip\" href=\"#scenarios\">to the scenarios</a>";
    head(&mut out, model);
    out += SHARED;
    out += "<main>";
    out += "<section id=\"overview\" aria-labelledby=\"h-overview\"><h2 id=\"h-overview\">Areas and hosts</h2>";
    overview::table(&mut out, model);
    out += "</section><section id=\"requirements\" aria-labelledby=\"h-requirements\">\
        <h2 id=\"h-requirements\">Requirements</h2><p class=\"lead\">Every id of the contract. \
        <b class=\"passed\">✓</b> held: every scenario that covers it passed there. <b class=\"departed\">◇</b> another loop departs, as its files \
        say. <b class=\"failed\">✕</b> a scenario failed. <b class=\"skipped\">–</b> the host cannot do it. <b>T</b> held by \
        type. <b>t</b> by tests alone. <b>∗</b> an exception. <b>·</b> not yet.</p>";
    overview::requirements(&mut out, model);
    out += "</section><section id=\"scenarios\" aria-labelledby=\"h-scenarios\"><h2 id=\"h-scenarios\">Scenarios</h2>";
    legend(&mut out);
    for area in &model.areas {
        let (name, count) = (escaped(&area.name), area.cards.len());
        out += &format!(
            "<section class=\"group\" aria-labelledby=\"area-{name}\"><h3 id=\"area-{name}\">{name} <small>{count}</small></h3>"
        );
        area.cards.iter().for_each(|one| card::write(&mut out, one, &model.hosts));
        out += "</section>";
    }
    out += &format!("</section></main><script>\n{SCRIPT}</script></body></html>\n");
    out
}

fn head(out: &mut String, model: &Model) {
    *out += &format!("<header class=\"top\">{SIGN}<div><h1>plimsoll <span>conformance</span></h1>");
    *out += "<p>asyncio's transports and protocols: the contract, scenario by scenario, on every host.</p></div>";
    overview::figures(out, model);
    *out += "</header><nav aria-label=\"sections\"><div class=\"links\"><a href=\"#overview\">areas</a><a href=\"#requirements\">requirements</a>";
    for area in &model.areas {
        let name = escaped(&area.name);
        *out += &format!("<a class=\"area\" href=\"#area-{name}\">{name}</a>");
    }
    *out += "</div><div class=\"find\" role=\"search\"><input id=\"find\" type=\"search\" placeholder=\"filter: flow, CLOSE-4, half-close … ( / )\" \
        aria-label=\"filter scenarios and requirements\"/><select id=\"went\" aria-label=\"how it went\"><option value=\"\">all</option>";
    for standing in Standing::ALL {
        let word = standing.word();
        *out += &format!("<option value=\"{word}\">{word} somewhere</option>");
    }
    *out += "</select><output id=\"count\" for=\"find went\"></output></div></nav>";
}

/// What the drawings are made of.
fn legend(out: &mut String) {
    *out += "<ul class=\"legend\" aria-label=\"what the drawings are made of\">";
    let mut entry = |shape: &str, text: &str| {
        *out += &format!("<li><svg aria-hidden=\"true\" width=\"34\" height=\"18\">{shape}</svg> {text}</li>");
    };
    entry("<path class=\"p\" d=\"M17 2V15m-3-4 3 4 3-4\"/>", "from the peer to the transport");
    entry("<path class=\"c\" d=\"M17 2V15m-3-4 3 4 3-4\"/>", "a callback");
    entry("<path class=\"a\" d=\"M17 15V2m-3 4 3-4 3 4\"/>", "a command of the application");
    entry("<path class=\"in\" d=\"M6 2V9H28V15\"/>", "given inside of that callback");
    entry("<path class=\"w\" d=\"M14 9a3 3 0 1 0 6 0a3 3 0 1 0-6 0\"/>", "somebody waits");
    entry(
        "<path class=\"water\" d=\"M0 17V5H14V12H34V17z\"/><path class=\"level\" d=\"M0 17V5H14V12H34\"/>",
        "bytes in the send queue, as their fourth root",
    );
    entry("<path class=\"hi\" d=\"M0 5H34\"/><path class=\"lo\" d=\"M0 13H34\"/>", "its marks, high and low");
    entry(
        "<rect class=\"hull\" x=\"0\" y=\"1\" width=\"34\" height=\"16\"/><rect class=\"wp\" x=\"8\" y=\"1\" width=\"18\" height=\"16\"/>",
        "writing is paused",
    );
    entry(
        "<rect class=\"hull\" x=\"0\" y=\"1\" width=\"34\" height=\"16\"/><rect class=\"rp\" x=\"8\" y=\"1\" width=\"18\" height=\"9\"/>",
        "reading is paused",
    );
    entry(
        "<rect class=\"hull\" x=\"0\" y=\"1\" width=\"34\" height=\"16\"/><rect class=\"cl\" x=\"14\" y=\"1\" width=\"20\" height=\"16\"/>",
        "closing",
    );
    *out += "</ul>";
}

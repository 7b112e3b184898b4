//! Areas by hosts, and requirements by hosts.

use super::card::prose;
use super::model::{Column, Counts, Model, Standing};
use super::requirements::Requirement;
use crate::scenario::report::escaped;

/// What stands at the top of a page, in figures.
pub(super) fn figures(out: &mut String, model: &Model) {
    let scenarios: usize = model.areas.iter().map(|area| area.cards.len()).sum();
    let covered = model.requirements.iter().filter(|requirement| !requirement.scenarios.is_empty()).count();
    *out += "<ul class=\"figures\">";
    let mut figure = |number: usize, word: &str, class: &str| {
        *out += &format!("<li class=\"{class}\"><b>{number}</b> {word}</li>");
    };
    figure(scenarios, "scenarios", "");
    figure(model.hosts.len(), "hosts", "");
    for standing in Standing::ALL {
        let count = model.hosts.iter().map(|host| host.counts.of(standing)).sum();
        figure(count, standing.word(), standing.word());
    }
    figure(covered, "requirements shown", "");
    *out += "</ul>";
}

/// Areas × hosts.
pub(super) fn table(out: &mut String, model: &Model) {
    *out += "<div class=\"scroll\" tabindex=\"0\"><table class=\"areas\"><thead><tr><th scope=\"col\">area</th>";
    for host in &model.hosts {
        let name = escaped(&host.name);
        *out += &format!("<th scope=\"col\">{name}<small>{}</small></th>", escaped(&host.kind));
    }
    *out += "</tr></thead><tbody>";
    for area in &model.areas {
        let name = escaped(&area.name);
        let link = format!("<a href=\"#area-{name}\">{name}</a>");
        *out += &format!("<tr><th scope=\"row\">{link}<small>{}</small></th>", area.cards.len());
        area.counts.iter().for_each(|counts| cell(out, *counts));
        *out += "</tr>";
    }
    *out += "</tbody><tfoot><tr><th scope=\"row\">all</th>";
    model.hosts.iter().for_each(|host| cell(out, host.counts));
    *out += "</tr><tr class=\"time\"><th scope=\"row\">time</th>";
    for host in &model.hosts {
        *out += &format!("<td>{:.2} s</td>", host.time.as_secs_f64());
    }
    *out += "</tr></tfoot></table></div>";
}

/// The number that passed, what else there is, and a bar of all of them.
fn cell(out: &mut String, counts: Counts) {
    let Some(worst) = counts.worst() else {
        *out += "<td class=\"none\">·</td>";
        return;
    };
    *out += &format!("<td class=\"{}\"><span class=\"n\">", worst.word());
    for standing in Standing::ALL {
        let (count, word, sign) = (counts.of(standing), standing.word(), standing.sign());
        if count > 0 {
            *out += &format!("<span class=\"{word}\" title=\"{word}\">{sign} {count}</span> ");
        }
    }
    *out += "</span><span class=\"bar\">";
    for standing in Standing::ALL {
        let count = counts.of(standing);
        if count > 0 {
            *out += &format!("<i class=\"{}\" style=\"flex:{count}\"></i>", standing.word());
        }
    }
    *out += "</span></td>";
}

/// Every requirement × hosts.
pub(super) fn requirements(out: &mut String, model: &Model) {
    *out += "<div class=\"scroll\" tabindex=\"0\"><table class=\"reqs\"><thead><tr><th scope=\"col\">id</th><th scope=\"col\">what it says</th>";
    for host in &model.hosts {
        *out += &format!("<th scope=\"col\" class=\"host\"><span>{}</span></th>", escaped(&host.name));
    }
    *out += "</tr></thead>";
    let mut area = "";
    for requirement in &model.requirements {
        let own = requirement.id.split('-').next().unwrap_or_default();
        if own != area {
            if !area.is_empty() {
                *out += "</tbody>";
            }
            let width = model.hosts.len() + 2;
            *out +=
                &format!("<tbody><tr class=\"area\"><th colspan=\"{width}\" scope=\"rowgroup\" id=\"req-{own}\">{own}</th></tr>");
            area = own;
        }
        row(out, requirement, &model.hosts);
    }
    *out += if area.is_empty() { "</table></div>" } else { "</tbody></table></div>" };
}

fn row(out: &mut String, requirement: &Requirement, hosts: &[Column]) {
    let (id, strength) = (&requirement.id, &requirement.strength);
    *out += &format!("<tr class=\"req\" id=\"{id}\"><th scope=\"row\"><a href=\"#{id}\">{id}</a><small>{strength}</small></th>");
    *out += &format!("<td>{}", prose(&requirement.title));
    let note = requirement.note();
    if !note.is_empty() {
        *out += &format!(" <span class=\"note\">{}</span>", prose(&note));
    }
    let amount = |count: usize, word: &str| match count {
        0 => String::new(),
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    let evidence = [amount(requirement.scenarios.len(), "scenario"), amount(requirement.tests, "test")];
    let evidence: Vec<&str> = evidence.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    if !evidence.is_empty() || !requirement.more.is_empty() {
        let summary = if evidence.is_empty() { "more".into() } else { evidence.join(", ") };
        *out += &format!("<details><summary>{summary}</summary>");
        if !requirement.more.is_empty() {
            *out += &format!("<p>{}</p>", prose(&requirement.more));
        }
        for scenario in &requirement.scenarios {
            let scenario = escaped(scenario);
            *out += &format!("<a href=\"#{scenario}\">{scenario}</a> ");
        }
        *out += "</details>";
    }
    *out += "</td>";
    for (counts, host) in requirement.counts.iter().zip(hosts) {
        verdict(out, *counts, requirement, &escaped(&host.name));
    }
    *out += "</tr>\n";
}

/// Held where every scenario that covers it passed.
fn verdict(out: &mut String, counts: Counts, requirement: &Requirement, host: &str) {
    let Some(worst) = counts.worst() else {
        let (sign, word) = requirement.without();
        *out += &format!("<td class=\"v none\" data-h=\"{host}\"><span title=\"{word}\">{sign}</span></td>");
        return;
    };
    let (of, all) = (counts.of(worst), counts.all());
    let (word, sign) = match worst {
        Standing::Passed if of < all => (format!("held by {of} of {all} scenarios, the others were skipped"), "✓–"),
        Standing::Passed => ("held".into(), worst.sign()),
        Standing::Skipped => ("skipped".into(), worst.sign()),
        _ => (format!("{} in {of} of {all} scenarios", worst.word()), worst.sign()),
    };
    *out += &format!("<td class=\"v {}\" data-h=\"{host}\"><span title=\"{word}\">{sign}</span></td>", worst.word());
}

//! What a scenario is about, and what shows a requirement of the contract.

use super::Scenario;
use crate::trace::{self, Trace, Tree, contract};

/// What there is to say of an id: of one of these scenarios, or of the contract.
///
/// # Errors
/// Nothing has this id.
pub(crate) fn explain(scenarios: &[Scenario], id: &str) -> Result<String, String> {
    if let Some(scenario) = scenarios.iter().find(|scenario| scenario.id == id) {
        return Ok(of_scenario(scenario));
    }
    if contract::own().areas().contains(&id) {
        return Ok(of_area(id));
    }
    let requirement = contract::own().get(id).ok_or_else(|| {
        let areas = contract::own().areas().join(", ");
        format!("`{id}` is neither a scenario nor an id of {}, whose areas are: {areas}", contract::PATH)
    })?;
    // Outside of the project's tree nothing is known of statuses and tests.
    let Ok(tree) = Tree::read(&trace::own_root()) else {
        return Ok(format!("{id} {}: {}\n", requirement.strength_text(), requirement.text));
    };
    let mut text = trace::cli::explain(&Trace::of(&tree), id)?;
    // Scenarios of elsewhere show something too.
    let covering = scenarios.iter().filter(|scenario| scenario.covers.iter().any(|one| one == id));
    for scenario in covering.filter(|scenario| !scenario.path.starts_with(super::own_folder())) {
        text += &format!("  scenario {} in {}\n", scenario.id, scenario.path.display());
    }
    Ok(text)
}

/// The ids of an area, each with what it says first.
fn of_area(area: &str) -> String {
    let of = contract::own().requirements.iter().filter(|requirement| requirement.area() == area);
    of.map(|requirement| {
        let first = requirement.text.split_inclusive(". ").next().unwrap_or_default();
        format!("{} {}: {}\n", requirement.id, requirement.strength_text(), first.trim_end())
    })
    .collect()
}

fn of_scenario(scenario: &Scenario) -> String {
    let kinds: Vec<&str> = scenario.kinds().iter().map(|kind| kind.word()).collect();
    let covers = scenario.covers.join(", ");
    let mut text = format!("{} on {}\n  {}\n  shows {covers}\n", scenario.id, kinds.join(" and "), scenario.about);
    if !scenario.needs.is_empty() {
        text += &format!("  needs {}\n", scenario.needs.join(", "));
    }
    for (lane, expect) in &scenario.expect {
        text += &format!("  {lane}: {}\n", expect.lines().join(", "));
    }
    for (who, departure) in scenario.departs.iter().flat_map(|(who, list)| list.iter().map(move |departure| (who, departure))) {
        text += &format!("  but {who}: {}\n", departure.why);
        for (lane, expect) in &departure.expect {
            text += &format!("    {lane}: {}\n", expect.lines().join(", "));
        }
    }
    text + &format!("  in {}\n", scenario.path.display())
}

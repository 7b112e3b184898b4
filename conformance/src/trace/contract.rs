//! `CONTRACT.md`, read: the requirements, the rows of disagreements, and the sections.

use crate::scenario::Problem;
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

/// Where the contract stands in the tree.
pub const PATH: &str = "conformance/CONTRACT.md";

/// How strong a requirement is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "the contract has these two")]
pub enum Strength {
    /// asyncio's documentation says so.
    Must,
    /// CPython does so, and programs rely on it.
    Should,
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
        })
    }
}

/// One numbered requirement.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Requirement {
    /// Its id, as `LIFE-2`.
    pub id: String,
    /// How strong it is.
    pub strength: Strength,
    /// Whether it is a ruling of this project (†).
    pub ruling: bool,
    /// What must be so, in Markdown, on one line.
    pub text: String,
    /// The line it begins in.
    pub line: usize,
}

impl Requirement {
    /// The part of the id before the number.
    #[must_use]
    pub fn area(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }

    /// Its strength as it is written: `MUST†`.
    #[must_use]
    pub fn strength_text(&self) -> String {
        format!("{}{}", self.strength, if self.ruling { "†" } else { "" })
    }
}

/// The contract.
#[derive(Clone, Default, Debug)]
#[non_exhaustive]
pub struct Contract {
    /// The requirements, in their order.
    pub requirements: Vec<Requirement>,
    index: BTreeMap<String, usize>,
    rows: BTreeSet<u32>,
    sections: BTreeSet<String>,
}

/// The contract of this project, as it was when this was compiled.
#[must_use]
pub fn own() -> &'static Contract {
    static OWN: OnceLock<Contract> = OnceLock::new();
    OWN.get_or_init(|| Contract::read(include_str!("../../CONTRACT.md")).0)
}

impl Contract {
    /// Reads the text of a contract, and what is wrong with it.
    #[must_use]
    pub fn read(text: &str) -> (Self, Vec<Problem>) {
        let mut contract = Self::default();
        let mut problems = Vec::new();
        let mut problem = |line: usize, message: String| {
            problems.push(Problem { path: Path::new(PATH).to_owned(), line, message });
        };
        let mut last: Option<Requirement> = None;
        for (line, content) in (1..).zip(text.lines()) {
            if let (Some(requirement), Some(more)) = (&mut last, content.strip_prefix("  ")) {
                requirement.text.push(' ');
                requirement.text.push_str(more.trim());
                continue;
            }
            contract.take(last.take(), &mut problem);
            if content.starts_with("- **") {
                match requirement(content, line) {
                    Some(requirement) => last = Some(requirement),
                    None => {
                        problem(line, "this is no requirement: `- **AREA-1** MUST — …`, or SHOULD, with † for a ruling".into())
                    }
                }
            } else if let Some(row) = content.strip_prefix("| DIS-") {
                let number: Option<u32> = row.split(' ').next().and_then(|number| number.parse().ok());
                match number {
                    Some(number) if number == contract.rows.len() as u32 + 1 => _ = contract.rows.insert(number),
                    _ => problem(line, format!("DIS-{} is the next row", contract.rows.len() + 1)),
                }
            } else if let Some(heading) = content.strip_prefix('#') {
                let number = heading.trim_start_matches('#').trim_start().split(' ').next().unwrap_or_default();
                if number.starts_with(|c: char| c.is_ascii_digit()) {
                    contract.sections.insert(number.into());
                }
            }
        }
        contract.take(last, &mut problem);
        if contract.requirements.is_empty() {
            problem(1, "there is no requirement in it".into());
        }
        (contract, problems)
    }

    fn take(&mut self, requirement: Option<Requirement>, problem: &mut impl FnMut(usize, String)) {
        let Some(requirement) = requirement else { return };
        let number = 1 + self.requirements.iter().filter(|other| other.area() == requirement.area()).count();
        let next = format!("{}-{number}", requirement.area());
        if requirement.id != next {
            problem(requirement.line, format!("`{}` stands where `{next}` is due", requirement.id));
        }
        if requirement.text.is_empty() {
            problem(requirement.line, format!("`{}` says nothing", requirement.id));
        }
        self.index.insert(requirement.id.clone(), self.requirements.len());
        self.requirements.push(requirement);
    }

    /// The requirement of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Requirement> {
        self.index.get(id).map(|&index| &self.requirements[index])
    }

    /// Whether there is a requirement of this id.
    #[must_use]
    pub fn knows(&self, id: &str) -> bool {
        self.index.contains_key(id)
    }

    /// The areas, in their order.
    #[must_use]
    pub fn areas(&self) -> Vec<&str> {
        let mut areas = Vec::new();
        for requirement in &self.requirements {
            if !areas.contains(&requirement.area()) {
                areas.push(requirement.area());
            }
        }
        areas
    }

    /// Whether there is this row of disagreements.
    #[must_use]
    pub fn has_row(&self, number: u32) -> bool {
        self.rows.contains(&number)
    }

    /// Whether a section has this number, as `17.8`.
    #[must_use]
    pub fn has_section(&self, number: &str) -> bool {
        self.sections.contains(number)
    }

    /// The table of counts, as it must stand in the text.
    #[must_use]
    pub fn counts(&self) -> String {
        let mut rows = vec!["| area | requirements | MUST | SHOULD | of these † |".into(), "|---|---|---|---|---|".into()];
        let count = |of: &dyn Fn(&&Requirement) -> bool| self.requirements.iter().filter(of).count();
        let mut row = |name: &str, mark: &str, of: &dyn Fn(&Requirement) -> bool| {
            let cells = [
                name.to_string(),
                count(&|one| of(one)).to_string(),
                count(&|one| of(one) && one.strength == Strength::Must).to_string(),
                count(&|one| of(one) && one.strength == Strength::Should).to_string(),
                count(&|one| of(one) && one.ruling).to_string(),
            ];
            rows.push(format!("| {} |", cells.map(|cell| format!("{mark}{cell}{mark}")).join(" | ")));
        };
        for area in self.areas() {
            row(area, "", &|one| one.area() == area);
        }
        row("all", "**", &|_| true);
        rows.join("\n") + "\n"
    }
}

fn requirement(content: &str, line: usize) -> Option<Requirement> {
    let (id, rest) = content.strip_prefix("- **")?.split_once("** ")?;
    let (strength, text) = rest.split_once(" — ").or_else(|| rest.strip_suffix(" —").map(|strength| (strength, "")))?;
    let (area, number) = id.split_once('-')?;
    let plain = !area.is_empty() && area.bytes().all(|byte| byte.is_ascii_uppercase());
    let number: u32 = number.parse().ok().filter(|number| *number > 0)?;
    let ruling = strength.ends_with('†');
    let strength = match strength.trim_end_matches('†') {
        "MUST" => Strength::Must,
        "SHOULD" => Strength::Should,
        _ => return None,
    };
    (plain && id == format!("{area}-{number}")).then(|| Requirement {
        id: id.into(),
        strength,
        ruling,
        text: text.trim().into(),
        line,
    })
}

const OPEN: &str = "<!-- counts: generated by `plimsoll-conformance trace --write` -->\n";
const SHUT: &str = "<!-- /counts -->";

/// The text with its table of counts as it must be; `None` if there is no place for it.
pub(crate) fn with_counts(text: &str, counts: &str) -> Option<String> {
    let (before, rest) = text.split_once(OPEN)?;
    let (_, after) = rest.split_once(SHUT)?;
    Some(format!("{before}{OPEN}{counts}{SHUT}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_has_every_requirement_row_and_section() {
        let (contract, problems) = Contract::read(include_str!("../../CONTRACT.md"));
        assert_eq!(problems, []);
        assert_eq!((contract.requirements.len(), contract.areas().len(), contract.rows.len()), (219, 15, 64));
        let must = contract.requirements.iter().filter(|one| one.strength == Strength::Must).count();
        let ruled = contract.requirements.iter().filter(|one| one.ruling).count();
        assert_eq!((must, ruled), (89, 47));
        assert!(contract.has_section("17.8") && contract.has_section("20") && !contract.has_section("17.13"));
    }

    #[test]
    fn a_requirement_may_go_on_in_indented_lines() {
        let (contract, problems) = Contract::read("- **LIFE-1** MUST† — one\n  two\n\ntext\n- **LIFE-2** SHOULD — three\n");
        assert_eq!(problems, []);
        let life = contract.get("LIFE-1").unwrap();
        assert_eq!((&*life.text, life.strength, life.ruling, life.line), ("one two", Strength::Must, true, 1));
        assert_eq!(contract.get("LIFE-2").unwrap().line, 5);
    }

    #[test]
    fn what_is_wrong_with_a_contract_is_said_with_its_line() {
        for (text, line, part) in [
            ("- **LIFE-1** MUST — a\n- **LIFE-3** MUST — b\n", 2, "`LIFE-2` is due"),
            ("- **LIFE-1** MUST — a\n- **LIFE-1** MUST — b\n", 2, "`LIFE-2` is due"),
            ("- **LIFE-1** MAY — a\n", 1, "no requirement"),
            ("- **LIFE-0** MUST — a\n", 1, "no requirement"),
            ("- **Life** MUST — a\n", 1, "no requirement"),
            ("- **LIFE-1** MUST —\n", 1, "says nothing"),
            ("- **LIFE-1** MUST — a\n\n| DIS-2 | x |\n", 3, "DIS-1 is the next"),
            ("nothing\n", 1, "no requirement in it"),
        ] {
            let (_, problems) = Contract::read(text);
            let found = problems.iter().any(|problem| problem.line == line && problem.message.contains(part));
            assert!(found, "{text:?}: {problems:?}");
        }
    }

    #[test]
    fn counts_are_put_between_their_marks() {
        let text = format!("a\n{OPEN}old\n{SHUT}\nb\n");
        assert_eq!(with_counts(&text, "new\n"), Some(format!("a\n{OPEN}new\n{SHUT}\nb\n")));
        assert_eq!(with_counts("a\n", "new\n"), None);
        let (contract, _) = Contract::read("- **LIFE-1** MUST† — a\n- **READ-1** SHOULD — b\n");
        assert!(
            contract
                .counts()
                .ends_with("| LIFE | 1 | 1 | 0 | 1 |\n| READ | 1 | 0 | 1 | 0 |\n| **all** | **2** | **1** | **1** | **1** |\n")
        );
    }
}

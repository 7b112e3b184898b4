//! Ids, rows and sections of the contract wherever a file names them: there must be such.

use super::contract::Contract;
use super::tree::Tree;
use crate::scenario::Problem;

/// What a text names with a hyphen and a number: `LIFE-2`, `DIS-14`.
pub(crate) fn ids_in(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices('-').filter_map(|(hyphen, _)| {
        let (before, after) = (&text[..hyphen], &text[hyphen + 1..]);
        let area = &before[before.trim_end_matches(|c: char| c.is_ascii_uppercase()).len()..];
        let number = &after[..after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len()];
        let joined = |c: char| c.is_alphanumeric() || c == '_';
        let begins = !before[..before.len() - area.len()].ends_with(|c| joined(c) || c == '-');
        let ends = !after[number.len()..].starts_with(joined);
        (!area.is_empty() && !number.is_empty() && begins && ends).then_some((area, number))
    })
}

/// The sections that a line names: `contract 17.8`, `contract section 19`.
fn sections_in(text: &str) -> impl Iterator<Item = &str> {
    let lower = text.to_ascii_lowercase();
    let places: Vec<usize> = lower.match_indices("contract ").map(|(at, word)| at + word.len()).collect();
    places.into_iter().filter_map(move |at| {
        let rest = text[at..].strip_prefix("section ").unwrap_or(&text[at..]);
        let len = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let number = rest[..len].trim_end_matches('.');
        (!number.is_empty()).then_some(number)
    })
}

/// Whatever is named and does not exist. A zero is never meant: tests of wrong ids are written with it.
pub(crate) fn check(tree: &Tree, contract: &Contract) -> Vec<Problem> {
    let areas = contract.areas();
    let mut problems = Vec::new();
    for (path, text) in tree.files() {
        for (line, content) in (1..).zip(text.lines()) {
            let mut problem = |message: String| problems.push(Problem { path: path.to_owned(), line, message });
            for (area, number) in ids_in(content) {
                let id = format!("{area}-{number}");
                if area == "DIS" && !number.parse().is_ok_and(|number| contract.has_row(number)) {
                    problem(format!("`{id}` is no row of the contract's disagreements"));
                } else if areas.contains(&area) && number != "0" && !contract.knows(&id) {
                    problem(format!("`{id}` is no id of the contract"));
                }
            }
            for section in sections_in(content).filter(|section| !contract.has_section(section)) {
                problem(format!("the contract has no section {section}"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_capitals_a_hyphen_and_a_number_and_stands_alone() {
        let ids = |text: &'static str| ids_in(text).map(|(area, number)| format!("{area} {number}")).collect::<Vec<_>>();
        assert_eq!(ids("(contract LIFE-1, READ-12), EOF-1–EOF-3"), ["LIFE 1", "READ 12", "EOF 1", "EOF 3"]);
        assert_eq!(ids("x-LIFE-1 aLIFE-1 LIFE-1a LIFE- LIFE-x -1 DIS-7: CLOSE-1."), ["DIS 7", "CLOSE 1"]);
    }

    #[test]
    fn what_is_named_and_does_not_exist_is_found_with_its_line() {
        let (contract, _) = Contract::read("# 17 Here\n## 17.8 There\n- **LIFE-1** MUST — a\n\n| DIS-1 | x |\n");
        let mut tree = Tree::default();
        tree.insert(
            "a.rs",
            "// contract LIFE-1, DIS-1, Contract 17.8.\n\n// contract LIFE-2\n// EOF-9 is not of this contract, LIFE-0 a test's",
        );
        // Numbers are put together here, so that this file names nothing that does not exist.
        tree.insert("b.md", format!("DIS-{}\n\ncontract section {}.", 2, "17.9"));
        let told: Vec<String> = check(&tree, &contract).iter().map(ToString::to_string).collect();
        let expected = ["a.rs:3: `LIFE-2` is no id", "b.md:1: `DIS-2` is no row", "b.md:3: the contract has no section 17.9"];
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{told}");
        }
    }
}

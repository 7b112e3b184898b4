//! `requirements.toml` while a merge is stuck in it: most conflicts are of the lists, which are found anew anyway. So only what is written by hand
//! is compared, side by side.

use super::register::PATH;
use crate::scenario::Problem;
use std::collections::BTreeMap;

/// What an entry says by hand on one side: its lines.
type Lines<'a> = Vec<&'a str>;

/// The two sides of an entry, and where it begins.
#[derive(Default)]
struct Sides<'a> {
    line: usize,
    ours: Lines<'a>,
    theirs: Lines<'a>,
}

/// Where a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Ours,
    /// What both sides come from, which some settings of git add.
    Base,
    Theirs,
}

/// Whether a merge has left its marks.
pub(crate) fn is_stuck(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("<<<<<<< "))
}

/// What is written by hand, without marks and without lists. Where one side says "not yet" and the other does not, something was built, and the
/// other is taken.
///
/// # Errors
/// The sides say different things of an id.
pub(crate) fn resolve(text: &str) -> Result<String, Problem> {
    let mut entries: BTreeMap<&str, Sides<'_>> = BTreeMap::new();
    let mut side = Side::Both;
    let (mut id, mut id_before) = ("", "");
    for (number, line) in (1..).zip(text.lines()) {
        match line.split(' ').next() {
            Some("<<<<<<<") => (side, id_before) = (Side::Ours, id),
            Some("|||||||") => side = Side::Base,
            // Both sides begin in the entry that the conflict begins in.
            Some("=======") => (side, id) = (Side::Theirs, id_before),
            Some(">>>>>>>") => side = Side::Both,
            _ if side == Side::Base => {}
            _ if line.starts_with('[') => {
                id = line;
                entries.entry(id).or_default().line = number;
            }
            Some("status" | "by" | "reason" | "partly") => {
                let entry = entries.entry(id).or_default();
                if side != Side::Theirs {
                    entry.ours.push(line);
                }
                if side != Side::Ours {
                    entry.theirs.push(line);
                }
            }
            _ => {}
        }
    }
    let mut resolved = String::new();
    for (id, entry) in &entries {
        let chosen = choose(entry).ok_or_else(|| Problem {
            path: PATH.into(),
            line: entry.line,
            message: format!("the two sides of the merge say different things of {id}: take one away"),
        })?;
        resolved += &format!("{id}\n{}\n", chosen.join("\n"));
    }
    Ok(resolved)
}

fn choose<'a, 'b>(entry: &'b Sides<'a>) -> Option<&'b Lines<'a>> {
    let is_not_yet = |lines: &Lines<'_>| lines.iter().any(|line| line.starts_with("status = \"not yet\""));
    match (&entry.ours, &entry.theirs) {
        (ours, theirs) if ours == theirs || theirs.is_empty() => Some(ours),
        (ours, theirs) if ours.is_empty() => Some(theirs),
        (ours, theirs) if is_not_yet(theirs) && !is_not_yet(ours) => Some(ours),
        (ours, theirs) if is_not_yet(ours) && !is_not_yet(theirs) => Some(theirs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_never_conflict_and_what_was_built_is_taken() {
        let text = "\
[LIFE-1]
<<<<<<< HEAD
status = \"held\"
tests = [
  \"a::one\",
]

[LIFE-2]
status = \"not yet\"
reason = \"x\"
||||||| base
status = \"exception\"
=======
status = \"held\"
tests = [
  \"b::two\",
]

[LIFE-2]
status = \"held\"
by = \"type\"
>>>>>>> mine
tests = [
  \"c::three\",
]

[LIFE-3]
status = \"held\"
";
        assert!(is_stuck(text));
        let expected = "[LIFE-1]\nstatus = \"held\"\n[LIFE-2]\nstatus = \"held\"\nby = \"type\"\n[LIFE-3]\nstatus = \"held\"\n";
        assert_eq!(resolve(text).as_deref(), Ok(expected));
        assert!(!is_stuck(expected));
        assert_eq!(resolve(expected).as_deref(), Ok(expected));
    }

    #[test]
    fn an_entry_that_only_one_side_has_is_kept() {
        let text = "[LIFE-1]\nstatus = \"held\"\n<<<<<<< a\n=======\n[LIFE-2]\nstatus = \"held\"\n>>>>>>> b\n";
        assert_eq!(resolve(text).as_deref(), Ok("[LIFE-1]\nstatus = \"held\"\n[LIFE-2]\nstatus = \"held\"\n"));
    }

    #[test]
    fn two_different_statuses_are_left_to_whoever_merges() {
        let text = "\n[LIFE-1]\n<<<<<<< a\nstatus = \"held\"\n=======\nstatus = \"exception\"\nreason = \"x\"\n>>>>>>> b\n";
        let problem = resolve(text).expect_err("two statuses");
        assert_eq!((problem.line, problem.message.contains("[LIFE-1]")), (2, true));
    }
}

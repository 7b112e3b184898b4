//! Citations in Rust: `//= LIFE-2, FLOW-6` in a test, directly above it, or in an example of the documentation.

use crate::scenario::Problem;
use std::path::Path;

/// What cites an id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// A test, or a fuzz target.
    Test,
    /// An example that is compiled and run.
    Example,
    /// An example that must not compile.
    CompileFail,
}

/// One id, cited in one place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Citation {
    pub(crate) id: String,
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    /// The path and the name of the test, or of what the example documents.
    pub(crate) test: String,
}

/// Where in the documentation the lines are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    /// Not in an example.
    Outside,
    /// In one that nobody compiles.
    Text,
    Example,
    CompileFail,
}

/// The citations of a file, and what is wrong with them.
pub(crate) fn scan(path: &Path, text: &str) -> (Vec<Citation>, Vec<Problem>) {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let file = File { path, lines: &lines, is_fuzz_target: path.components().any(|part| part.as_os_str() == "fuzz_targets") };
    let (mut citations, mut problems) = (Vec::new(), Vec::new());
    let mut block = Block::Outside;
    for (at, content) in lines.iter().enumerate() {
        let doc = content.strip_prefix("///").or_else(|| content.strip_prefix("//!")).map(str::trim_start);
        match doc.and_then(|doc| doc.strip_prefix("```")) {
            Some(_) if block != Block::Outside => block = Block::Outside,
            Some(language) if language.contains("compile_fail") => block = Block::CompileFail,
            Some(language) if ["text", "ignore"].iter().any(|word| language.starts_with(word)) => block = Block::Text,
            Some(_) => block = Block::Example,
            None if doc.is_none() => block = Block::Outside,
            None => {}
        }
        let Some(ids) = doc.unwrap_or(content).strip_prefix("//=") else { continue };
        let place = if doc.is_some() { file.example(at, block) } else { file.test(at) };
        match place {
            Ok((kind, test)) => {
                let ids = ids.split(',').map(|id| id.trim().to_owned());
                citations.extend(ids.map(|id| Citation { id, line: at + 1, kind, test: test.clone() }));
            }
            Err(message) => problems.push(Problem { path: path.to_owned(), line: at + 1, message: message.into() }),
        }
    }
    (citations, problems)
}

struct File<'a> {
    path: &'a Path,
    lines: &'a [&'a str],
    is_fuzz_target: bool,
}

impl File<'_> {
    /// What an example of this line documents.
    fn example(&self, at: usize, block: Block) -> Result<(Kind, String), &'static str> {
        let (kind, word) = match block {
            Block::Outside | Block::Text => return Err("in documentation a citation stands in an example that is compiled"),
            Block::Example => (Kind::Example, "example"),
            Block::CompileFail => (Kind::CompileFail, "compile_fail"),
        };
        let item = self.lines[at..].iter().find(|line| !line.starts_with("//") && !line.starts_with('#'));
        let name = item.filter(|_| self.lines[at].starts_with("///")).and_then(|line| name_of(line));
        let path = self.path.display();
        Ok((kind, name.map_or_else(|| format!("{path} ({word})"), |name| format!("{path}::{name} ({word})"))))
    }

    /// The test that this line is in, or that begins below it.
    fn test(&self, at: usize) -> Result<(Kind, String), &'static str> {
        let between = |line: &&str| line.starts_with("//") || line.starts_with("#[");
        let below = at + self.lines[at..].iter().take_while(|line| between(line)).count();
        let is_function = |line: usize| self.lines.get(line).is_some_and(|content| function(content).is_some());
        let function_at = if is_function(below) { Some(below) } else { (0..at).rev().find(|&line| is_function(line)) };
        let path = self.path.display();
        let Some(function_at) = function_at else {
            return if self.is_fuzz_target { Ok((Kind::Test, path.to_string())) } else { Err(MISPLACED) };
        };
        let attributes: Vec<&str> = self.lines[..function_at].iter().rev().take_while(|line| between(line)).copied().collect();
        let has = |attribute: &str| attributes.iter().any(|line| line.starts_with(attribute));
        if !has("#[test]") {
            return Err(MISPLACED);
        }
        if has("#[ignore") {
            return Err("a test that is ignored shows nothing");
        }
        Ok((Kind::Test, format!("{path}::{}", function(self.lines[function_at]).unwrap_or_default())))
    }
}

const MISPLACED: &str = "a citation stands in a test, directly above one, or in an example";

/// The name of the function that begins in a line.
fn function(line: &str) -> Option<&str> {
    let before = line.find("fn ")?;
    let qualifiers = line[..before].split_whitespace();
    let plain = |word: &str| ["async", "const", "unsafe", "extern"].contains(&word) || word.starts_with("pub");
    if qualifiers.into_iter().all(plain) { identifier(&line[before + 3..]) } else { None }
}

/// The name of the item that begins in a line.
fn name_of(line: &str) -> Option<&str> {
    const KINDS: [&str; 9] = ["struct", "enum", "trait", "fn", "mod", "type", "const", "static", "macro_rules!"];
    let mut words = line.split_whitespace().skip_while(|word| !KINDS.contains(word) || *word == "const" && line.contains(" fn "));
    words.next()?;
    words.next().and_then(identifier)
}

fn identifier(text: &str) -> Option<&str> {
    let len = text.len() - text.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len();
    (len > 0).then(|| &text[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> Vec<String> {
        let (citations, problems) = scan(Path::new(path), text);
        let citation = |one: &Citation| format!("{} {} {:?} {}", one.line, one.id, one.kind, one.test);
        citations.iter().map(citation).chain(problems.iter().map(ToString::to_string)).collect()
    }

    #[test]
    fn a_citation_belongs_to_the_test_around_it_or_below_it() {
        let text = "//= LIFE-1, LIFE-2\n#[test]\n// why\npub async fn first() {\n    x();\n}\n\n#[test]\nfn second() {\n    //= EOF-1\n}\n";
        let expected = ["1 LIFE-1 Test tests/a.rs::first", "1 LIFE-2 Test tests/a.rs::first", "10 EOF-1 Test tests/a.rs::second"];
        assert_eq!(told("tests/a.rs", text), expected);
        assert_eq!(told("src/a.rs", text)[0], "1 LIFE-1 Test src/a.rs::first");
    }

    #[test]
    fn only_a_test_that_runs_can_cite() {
        for path in ["src/a.rs", "tests/a.rs"] {
            assert_eq!(told(path, "fn a() {\n    //= LIFE-1\n}\n"), [format!("{path}:2: {MISPLACED}")]);
            assert_eq!(told(path, "//= LIFE-1\n"), [format!("{path}:1: {MISPLACED}")]);
            let ignored = "#[test]\n#[ignore = \"slow\"]\nfn a() {\n    //= LIFE-1\n}\n";
            assert_eq!(told(path, ignored), [format!("{path}:4: a test that is ignored shows nothing")]);
        }
        assert_eq!(told("fuzz/fuzz_targets/a.rs", "//= LIFE-1\nfuzz_target!(x);\n"), ["1 LIFE-1 Test fuzz/fuzz_targets/a.rs"]);
    }

    #[test]
    fn an_example_cites_for_what_it_documents() {
        let text = "/// Text.\n/// ```compile_fail,E0277\n/// //= LIFE-1\n/// ```\n/// ```\n/// //= LIFE-2\n/// ```\n#[derive(Debug)]\npub struct One;\n";
        assert_eq!(
            told("src/a.rs", text),
            ["3 LIFE-1 CompileFail src/a.rs::One (compile_fail)", "6 LIFE-2 Example src/a.rs::One (example)"]
        );
        assert_eq!(told("src/a.rs", "//! ```\n//! //= LIFE-1\n//! ```\n"), ["2 LIFE-1 Example src/a.rs (example)"]);
        assert_eq!(
            told("src/a.rs", "/// //= LIFE-1\nstruct A;\n"),
            ["src/a.rs:1: in documentation a citation stands in an example that is compiled"]
        );
        let text = told("src/a.rs", "/// ```text\n/// //= LIFE-1\n/// ```\nstruct A;\n");
        assert_eq!(text, ["src/a.rs:2: in documentation a citation stands in an example that is compiled"]);
        let method = "    /// ```\n    /// //= LIFE-1\n    /// ```\n    pub const fn two(&self) {}\n";
        assert_eq!(told("src/a.rs", method), ["2 LIFE-1 Example src/a.rs::two (example)"]);
    }
}

//! All mutants in one build: every function that is to be changed gets all of its changed bodies beside its own, and which one runs is said by
//! an environment variable. A mutant then costs what its judges cost to run, and nothing to build.
//!
//! Whether a mutant compiles is asked of the compiler as often as it has something to say; whoever is at fault is left out. What cannot be
//! planted so is left to cargo-mutants itself: bodies of functions that constants need, and types that only one body can have.

use crate::judges::{cargo, messages};
use core::ops::Range;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The variable that says which mutant is at work. None is if it is 0.
pub const VARIABLE: &str = "PLIMSOLL_MUTANT";

/// In the mutated crate: which of them is at work.
const SWITCH: &str = r#"
#[doc(hidden)]
pub mod mutant {
    extern crate std;
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static NOW: AtomicU32 = AtomicU32::new(u32::MAX);
    #[inline(never)]
    fn read() -> u32 {
        let now = std::env::var("PLIMSOLL_MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        NOW.store(now, Relaxed);
        now
    }
    #[inline]
    pub fn now() -> u32 {
        let now = NOW.load(Relaxed);
        if now == u32::MAX { read() } else { now }
    }
}
"#;

/// The same where only the compiler looks at it: there constants may depend on it.
const NO_SWITCH: &str = "\n#[doc(hidden)]\npub mod mutant {\n    pub const fn now() -> u32 {\n        0\n    }\n}\n";

/// A change of one function.
#[derive(Clone, Debug)]
struct Change {
    number: usize,
    span: Range<usize>,
    replacement: String,
}

/// A function, and how it may be changed.
#[derive(Clone, Debug)]
struct Function {
    body: Range<usize>,
    name: String,
    changes: Vec<Change>,
}

/// What is to be planted, and what has become of it.
#[derive(Debug)]
pub struct Field {
    names: Vec<String>,
    functions: BTreeMap<String, Vec<Function>>,
    sources: BTreeMap<String, String>,
    /// What does not compile.
    unviable: BTreeSet<usize>,
    /// What cannot be planted.
    left: BTreeSet<usize>,
    /// Functions that constants need, by name.
    constants: BTreeSet<String>,
}

/// Where mutants stand in a written file: the lines of each, and the lines of each function that has any.
#[derive(Default, Debug)]
struct Places {
    mutants: Vec<(Range<usize>, usize)>,
    functions: Vec<(Range<usize>, Vec<usize>)>,
}

impl Field {
    /// The mutants of cargo-mutants' list `all`, over the sources in `tree`; only those that are `wanted` if there are any such.
    ///
    /// # Errors
    /// A list that is not as cargo-mutants writes it, a file that cannot be read.
    pub fn new(tree: &Path, all: &Value, wanted: Option<&BTreeSet<String>>) -> Result<Self, String> {
        let mut field = Self {
            names: Vec::new(),
            functions: BTreeMap::new(),
            sources: sources(tree)?,
            unviable: BTreeSet::new(),
            left: BTreeSet::new(),
            constants: BTreeSet::new(),
        };
        for mutant in all.as_array().ok_or("the list of mutants is no list")? {
            let name = mutant["name"].as_str().ok_or("a mutant without a name")?;
            if wanted.is_none_or(|wanted| wanted.contains(name)) {
                field.names.push(name.into());
                field.add(mutant).ok_or_else(|| format!("{name} cannot be found"))?;
            }
        }
        for functions in field.functions.values_mut() {
            functions.sort_by_key(|function| (function.body.start, core::cmp::Reverse(function.body.end)));
            // A function within a function: only the outer one has bodies to choose from.
            let mut end = 0;
            functions.retain(|function| {
                let inner = function.body.start < end;
                if inner {
                    field.left.extend(function.changes.iter().map(|change| change.number));
                } else {
                    end = function.body.end;
                }
                !inner
            });
        }
        Ok(field)
    }

    fn add(&mut self, mutant: &Value) -> Option<()> {
        let number = self.names.len();
        let file = mutant["file"].as_str()?;
        let source = self.sources.get(file)?;
        let change = Change { number, span: span(source, &mutant["span"])?, replacement: mutant["replacement"].as_str()?.into() };
        let function = &mutant["function"];
        let Some(whole) = span(source, &function["span"]) else {
            self.left.insert(number);
            return Some(());
        };
        let (name, body) = body(source, whole)?;
        let opaque = function["return_type"].as_str().is_some_and(|text| text.contains("impl "));
        if opaque || change.span.start < body.start || change.span.end > body.end {
            self.left.insert(number);
            return Some(());
        }
        let functions = self.functions.entry(file.into()).or_default();
        match functions.iter_mut().find(|function| function.body == body) {
            Some(function) => function.changes.push(change),
            None => functions.push(Function { body, name, changes: vec![change] }),
        }
        Some(())
    }

    /// The name of each mutant; the first has the number 1.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether a mutant does not compile.
    #[must_use]
    pub fn is_unviable(&self, number: usize) -> bool {
        self.unviable.contains(&number)
    }

    /// Whether a mutant stands in what was built.
    #[must_use]
    pub fn is_planted(&self, number: usize) -> bool {
        !self.unviable.contains(&number) && !self.left.contains(&number)
    }

    /// Writes the core with its mutants into `tree`, until all that are left compile; then with the switch, until whatever is `built` does.
    /// Says what the last build said.
    ///
    /// # Errors
    /// A file that cannot be written, and errors of the compiler that no mutant is to blame for.
    pub fn plant(&mut self, tree: &Path, build: &[&str]) -> Result<Vec<Value>, String> {
        loop {
            let places = self.write(tree, false)?;
            let said = messages(cargo(tree, &["check", "--quiet", "--package=plimsoll-core", "--features=std,testing,rustls"])?)?;
            if !self.blame(&said, &places)? {
                break;
            }
        }
        loop {
            let places = self.write(tree, true)?;
            let said = messages(cargo(tree, build)?)?;
            if !self.blame(&said, &places)? {
                return Ok(said);
            }
        }
    }

    /// Leaves out who is at fault; whether there was anybody.
    fn blame(&mut self, said: &[Value], places: &BTreeMap<String, Places>) -> Result<bool, String> {
        let before = (self.unviable.len(), self.left.len(), self.constants.len());
        let mut unknown = Vec::new();
        let errors = said.iter().map(|line| &line["message"]).filter(|message| message["level"] == "error");
        for error in errors {
            let text = error["message"].as_str().unwrap_or_default();
            let spans: Vec<_> =
                error["spans"].as_array().into_iter().flatten().filter(|span| span["is_primary"] == true).collect();
            if spans.is_empty() {
                continue; // a summary
            }
            if error["code"]["code"] == "E0015" {
                if let Some(name) = text.split('`').nth(1).and_then(|path| path.rsplit("::").next()) {
                    if self.constants.insert(name.into()) {
                        continue;
                    }
                }
            }
            let mut found = false;
            for span in spans {
                let (Some(file), Some(line)) = (span["file_name"].as_str(), span["line_start"].as_u64()) else { continue };
                let Some(places) = places.get(file) else { continue };
                let line = line as usize;
                if let Some((_, number)) = places.mutants.iter().find(|(lines, _)| lines.contains(&line)) {
                    self.unviable.insert(*number);
                    found = true;
                } else if let Some((_, numbers)) = places.functions.iter().find(|(lines, _)| lines.contains(&line)) {
                    self.left.extend(numbers);
                    found = true;
                }
            }
            if !found {
                unknown.push(error["rendered"].as_str().unwrap_or(text).to_owned());
            }
        }
        let after = (self.unviable.len(), self.left.len(), self.constants.len());
        if before == after && !unknown.is_empty() { Err(unknown.join("\n")) } else { Ok(before != after) }
    }

    fn write(&mut self, tree: &Path, switch: bool) -> Result<BTreeMap<String, Places>, String> {
        let mut all = BTreeMap::new();
        for (file, source) in &self.sources {
            let mut text = String::with_capacity(source.len());
            let mut places = Places::default();
            let mut at = 0;
            for function in self.functions.get(file).into_iter().flatten() {
                if switch && self.constants.contains(&function.name) {
                    self.left.extend(
                        function.changes.iter().map(|change| change.number).filter(|number| !self.unviable.contains(number)),
                    );
                }
                let out = |change: &&Change| !self.unviable.contains(&change.number) && !self.left.contains(&change.number);
                let changes: Vec<_> = function.changes.iter().filter(out).collect();
                let Some(_) = changes.first() else { continue };
                let Range { start, end } = function.body;
                let own = &source[start..end];
                text += &source[at..start];
                let mut line = text.matches('\n').count() + 1;
                let first = line;
                let mut put = |text: &mut String, more: &str| {
                    *text += more;
                    line += more.matches('\n').count();
                    line
                };
                put(&mut text, " match crate::mutant::now() {\n");
                for change in &changes {
                    let Range { start: from, end: to } = change.span;
                    let number = change.number;
                    let from_line = put(&mut text, &format!("{number}u32 => {{\n"));
                    put(&mut text, &own[..from - start]);
                    put(&mut text, &format!(" {} ", change.replacement));
                    put(&mut text, &own[to - start..]);
                    let to_line = put(&mut text, "\n}\n");
                    places.mutants.push((from_line..to_line, number));
                }
                put(&mut text, "_ => {\n");
                put(&mut text, own);
                let last = put(&mut text, "\n} }\n");
                places.functions.push((first..last + 1, changes.iter().map(|change| change.number).collect()));
                at = end;
            }
            text += &source[at..];
            // All bodies of a function within each of all bodies of another take for ever to build.
            text = text.replace("#[inline(always)]", "").replace("#[inline]", "");
            if switch {
                text = without_constants(&text, &self.constants);
            }
            if file == "core/src/lib.rs" {
                text += if switch { SWITCH } else { NO_SWITCH };
            }
            let path = tree.join(file);
            // What is the same keeps its time, and what was built of it.
            if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
                fs::write(&path, text).map_err(|error| format!("{file}: {error}"))?;
            }
            all.insert(file.clone(), places);
        }
        Ok(all)
    }
}

/// Functions are no longer constant, other than those that have to be.
fn without_constants(text: &str, needed: &BTreeSet<String>) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.split_once("const fn ") {
            Some((head, rest)) if !head.trim_start().starts_with("//") => {
                let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                out += head;
                out += if needed.contains(name) { "const fn " } else { "fn " };
                out += rest;
            }
            _ => out += line,
        }
    }
    out
}

fn sources(tree: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![tree.join("core/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = path.strip_prefix(tree).map_err(|error| error.to_string())?.display().to_string();
                all.insert(name, fs::read_to_string(&path).map_err(|error| error.to_string())?);
            }
        }
    }
    Ok(all)
}

/// Bytes of a span of cargo-mutants': lines and columns count from one, columns in characters.
fn span(source: &str, span: &Value) -> Option<Range<usize>> {
    let place = |end: &Value| {
        let (line, column) = (end["line"].as_u64()? as usize, end["column"].as_u64()? as usize);
        let start: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let text = source[start..].split_inclusive('\n').next().unwrap_or_default();
        Some(start + text.chars().take(column - 1).map(char::len_utf8).sum::<usize>())
    };
    Some(place(&span["start"])?..place(&span["end"])?)
}

/// The name of a function and what stands between its outermost braces, after its documentation and attributes.
fn body(source: &str, whole: Range<usize>) -> Option<(String, Range<usize>)> {
    let mut at = whole.start;
    for line in source[whole.clone()].split_inclusive('\n') {
        let text = line.trim_start();
        let is_head = !text.starts_with("//") && !text.starts_with('#');
        if let Some((_, head)) = text.split_once("fn ").filter(|_| is_head) {
            let name = head.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
            let open = at + source[at..whole.end].find('{')? + 1;
            return Some((name.into(), open..whole.end - 1));
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::PathBuf;

    const SOURCE: &str = "/// Whether { it is small.\n#[inline(always)]\npub const fn small(n: usize) -> bool {\n    n < 4\n}\n\npub fn all() -> impl Iterator<Item = u8> {\n    0..4\n}\n";

    fn mutant(name: &str, of: &str, lines: [u32; 2], span: [u32; 3], replacement: &str) -> Value {
        let range = |[from, start, to, end]: [u32; 4]| json!({ "start": { "line": from, "column": start }, "end": { "line": to, "column": end } });
        let [line, start, end] = span;
        json!({
            "file": "core/src/lib.rs",
            "name": name,
            "span": range([line, start, line, end]),
            "replacement": replacement,
            "function": { "return_type": of, "span": range([lines[0], 1, lines[1], 2]) },
        })
    }

    fn tree(name: &str) -> PathBuf {
        let tree = std::env::temp_dir().join(format!("plimsoll-planted-{}-{name}", std::process::id()));
        fs::create_dir_all(tree.join("core/src")).unwrap();
        fs::write(tree.join("core/src/lib.rs"), SOURCE).unwrap();
        tree
    }

    fn all() -> Value {
        json!([
            mutant("true", "-> bool", [1, 5], [4, 5, 10], "true"),
            mutant("<=", "-> bool", [1, 5], [4, 7, 8], "<="),
            mutant("opaque", "-> impl Iterator<Item = u8>", [7, 9], [8, 5, 9], "::std::iter::empty()"),
        ])
    }

    fn error(line: u32) -> Value {
        let span = json!({ "file_name": "core/src/lib.rs", "line_start": line, "is_primary": true });
        json!({ "message": { "level": "error", "message": "mismatched types", "code": { "code": "E0308" }, "spans": [span] } })
    }

    #[test]
    fn a_function_gets_all_its_bodies_and_the_compiler_says_whose_does_not_fit() {
        let tree = tree("bodies");
        let mut field = Field::new(&tree, &all(), None).unwrap();
        assert_eq!(field.names(), ["true", "<=", "opaque"]);
        assert!(field.is_planted(1) && field.is_planted(2) && !field.is_planted(3) && !field.is_unviable(3));
        let places = field.write(&tree, true).unwrap();
        let text = fs::read_to_string(tree.join("core/src/lib.rs")).unwrap();
        for body in ["1u32 => {\n\n     true \n", "2u32 => {\n\n    n  <=  4\n", "_ => {\n\n    n < 4\n"] {
            assert!(text.contains(body), "{body:?} in {text}");
        }
        assert!(
            text.contains("\n\npub fn small(") && text.contains("fn read()"),
            "no constant asks which mutant is at work, and nothing is inlined: {text}"
        );

        let line = |what: &str| text.lines().position(|line| line.contains(what)).unwrap() as u32 + 1;
        assert!(field.blame(&[error(line("n  <=  4"))], &places).unwrap());
        assert!(field.is_planted(1) && field.is_unviable(2) && !field.is_planted(2));
        field.write(&tree, false).unwrap();
        let text = fs::read_to_string(tree.join("core/src/lib.rs")).unwrap();
        assert!(!text.contains("<=") && text.contains("pub const fn small("), "{text}");
        fs::remove_dir_all(tree).unwrap();
    }

    #[test]
    fn what_no_mutant_is_to_blame_for_is_an_error_and_what_constants_need_is_left() {
        let tree = tree("blame");
        let wanted = BTreeSet::from(["true".into()]);
        let mut field = Field::new(&tree, &all(), Some(&wanted)).unwrap();
        let places = field.write(&tree, true).unwrap();
        assert!(field.blame(&[error(1)], &places).is_err());
        assert!(!field.blame(&[], &places).unwrap());
        let mut constant = error(1);
        constant["message"]["code"]["code"] = "E0015".into();
        constant["message"]["message"] = "cannot call non-const function `other::small` in constants".into();
        assert!(field.blame(&[constant], &places).unwrap());
        field.write(&tree, true).unwrap();
        assert!(!field.is_planted(1) && !field.is_unviable(1));
        let text = fs::read_to_string(tree.join("core/src/lib.rs")).unwrap();
        assert!(text.contains("pub const fn small(n: usize) -> bool {\n    n < 4\n}"), "{text}");
        fs::remove_dir_all(tree).unwrap();
    }
}

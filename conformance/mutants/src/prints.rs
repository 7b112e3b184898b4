//! Prints of functions: a few digits that are others once the function reads otherwise. What a verdict was passed on is known by them.
//!
//! Functions are found by how rustfmt lays them out, so that nobody needs cargo-mutants, nor a parser, to see which verdicts still count.

use core::fmt;
use core::ops::RangeInclusive;

/// Of one function, without its comments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Print(u32);

impl Print {
    /// Reads what is printed.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        u32::from_str_radix(text, 16).ok().map(Self)
    }

    /// FNV-1a, folded.
    fn of(lines: &[&str]) -> Self {
        let code = lines.iter().map(|line| line.trim()).filter(|line| !line.starts_with("//"));
        let bytes = code.flat_map(|line| line.bytes().chain([b'\n']));
        let hash = bytes.fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
        Self((hash ^ (hash >> 32)) as u32)
    }
}

impl fmt::Display for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// Of all functions of a file, outer ones first, and of every line that is in none: constants are changed too.
#[derive(Clone, Default, Debug)]
pub struct Prints(Vec<(RangeInclusive<usize>, Print)>);

impl Prints {
    /// Of a source as rustfmt leaves it.
    #[must_use]
    pub fn of(source: &str) -> Self {
        let lines: Vec<_> = source.lines().collect();
        let mut all = Vec::new();
        for (first, line) in lines.iter().enumerate().filter(|(_, line)| is_head(line)) {
            let indent = &line[..line.len() - line.trim_start().len()];
            // The head ends where its body begins, or it has none.
            let Some(head) = lines[first..].iter().position(|line| line.ends_with(['{', '}', ';'])) else { continue };
            let head = first + head;
            let last = match lines[head].ends_with('{') {
                true => lines[head..].iter().position(|line| line.strip_prefix(indent) == Some("}")).map(|more| head + more),
                false => Some(head),
            };
            if let Some(last) = last {
                all.push((first + 1..=last + 1, Print::of(&lines[first..=last])));
            }
        }
        for (at, line) in (1..).zip(&lines) {
            if !line.is_empty() && !all.iter().any(|(lines, _)| lines.contains(&at)) {
                all.push((at..=at, Print::of(&[line])));
            }
        }
        Self(all)
    }

    /// Of the outermost function around a line, counted from one; of the line itself, if it stands outside of functions.
    #[must_use]
    pub fn at(&self, line: usize) -> Option<Print> {
        self.0.iter().find(|(lines, _)| lines.contains(&line)).map(|(_, print)| *print)
    }

    /// Whether there is such a function.
    #[must_use]
    pub fn contains(&self, print: Print) -> bool {
        self.0.iter().any(|(_, known)| *known == print)
    }
}

/// Whether a line begins a function.
fn is_head(line: &str) -> bool {
    let text = line.trim_start();
    let Some((before, _)) = text.split_once("fn ") else { return false };
    before.split_whitespace().all(|word| {
        ["async", "const", "default", "extern", "pub", "unsafe", "\"C\""].contains(&word)
            || word.starts_with("pub(")
            || word.ends_with(')')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
impl Small {
    /// Said of it: fn is a word.
    pub(crate) const fn one(self) -> u8 {
        // One.
        1
    }

    fn two(
        self,
        more: impl Fn(u8) -> u8,
    ) -> u8 {
        fn inner() -> u8 {
            2
        }
        more(inner())
    }

    fn none(self);
    fn short(self) {}
}
";

    #[test]
    fn functions_are_where_they_begin_and_end() {
        let Prints(all) = Prints::of(SOURCE);
        let lines: Vec<_> = all.into_iter().map(|(lines, _)| lines).collect();
        assert_eq!(lines, [3..=6, 8..=16, 12..=14, 18..=18, 19..=19, 1..=1, 2..=2, 20..=20]);
    }

    #[test]
    fn comments_and_indentation_change_no_print_and_everything_else_does() {
        let prints = Prints::of(SOURCE);
        let one = prints.at(5).unwrap();
        assert!(prints.at(1).is_some_and(|print| print != one) && prints.at(7).is_none());
        assert_eq!(prints.at(13), prints.at(15), "a function within one belongs to it");
        assert_eq!(Print::read(&one.to_string()), Some(one));
        let same = SOURCE.replace("One.", "It is one.").replace("    ", "");
        assert!(Prints::of(&same).contains(one));
        for other in [SOURCE.replace("        1", "        3"), SOURCE.replace("one", "eins")] {
            assert!(!Prints::of(&other).contains(one), "{other}");
        }
        assert!(prints.contains(one) && !prints.contains(Print(0)));
    }
}

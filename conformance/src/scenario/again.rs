//! How to do again what was done: the line that is printed beside a failure.

use std::env;
use std::path::Path;

/// The command that was called, as far as the word behind its options: what it was called with, if not by cargo.
pub(crate) fn command() -> String {
    if env::var_os("CARGO_MANIFEST_DIR").is_none() {
        if let Some(program) = env::args_os().next() {
            return quoted(&program.to_string_lossy());
        }
    }
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    let bare = if cfg!(feature = "backends") { "" } else { " --no-default-features --features loops" };
    format!("cargo run{release} -p plimsoll-conformance{bare} --")
}

/// The option that names the folder of the files, if they are not the project's own.
pub(crate) fn folder(folder: &Path) -> String {
    if folder == super::own_folder() { String::new() } else { format!(" --scenarios {}", quoted(&folder.to_string_lossy())) }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:,@%=".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_is_quoted_if_a_shell_would_see_more_in_it() {
        assert_eq!(quoted("target/release/x"), "target/release/x");
        assert_eq!(quoted("my files"), "'my files'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted("$HOME"), "'$HOME'");
        assert_eq!(quoted(""), "''");
    }
}

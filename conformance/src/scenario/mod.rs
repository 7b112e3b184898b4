//! The scenario files: read, played on a host, judged.
//!
//! `FORMAT.md` says how they are written. [`load`] reads a folder of them, [`play::run`] plays one on one of the [`host::NAMES`], [`oracle`] has them
//! played by CPython, and [`cli`] is the command.

pub(crate) mod again;
mod child;
pub mod cli;
mod disk;
mod edits;
mod explain;
#[cfg(feature = "backends")]
mod fidelity;
pub mod host;
#[cfg(feature = "backends")]
mod host_real;
mod host_sim;
pub mod judge;
pub mod lane;
#[cfg(feature = "backends")]
mod mail_real;
mod model;
pub(crate) mod node;
mod options;
pub mod oracle;
mod parse;
mod parse_check;
mod parse_child;
mod parse_command;
mod parse_datagram;
mod parse_expect;
mod parse_kind;
mod parse_link;
mod pattern;
#[cfg(feature = "backends")]
mod peer_real;
mod perform;
mod perform_datagram;
mod perform_process;
#[cfg(feature = "backends")]
mod pipe_real;
pub mod play;
mod race;
#[cfg(feature = "backends")]
mod race_real;
pub(crate) mod report;
pub mod schema;
pub(crate) mod secure;
mod stage;
mod stage_datagram;
mod stage_process;
mod tally;
pub mod timeline;
pub mod torture;
pub mod torture_cli;
pub(crate) mod words;

pub use edits::edited;
#[cfg(feature = "backends")]
pub use fidelity::alike;
pub use judge::{Mismatch, Verdict};
pub use model::{Departure, Kind, Scenario};

use core::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// What is wrong with a file, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

impl core::error::Error for Problem {}

/// Reads the text of a scenario; its id must be that of the path.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse(path: &Path, text: &str) -> Result<Scenario, Problem> {
    parse::parse(path, text)
}

/// The scenarios of this project.
#[must_use]
pub fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Every `*.toml` below a folder, in the order of their paths; or one file.
///
/// # Errors
/// What cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    if folder.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let broken = |error: std::io::Error| Problem { path: folder.to_owned(), line: 0, message: error.to_string() };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(broken)? {
        let path = entry.map_err(broken)?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Reads every scenario below a folder.
///
/// # Errors
/// What is wrong, with each file that something is wrong with.
pub fn load(folder: &Path) -> Result<Vec<Scenario>, Vec<Problem>> {
    let mut scenarios = Vec::new();
    let mut problems = Vec::new();
    for path in files(folder).map_err(|problem| vec![problem])? {
        let text = fs::read_to_string(&path).map_err(|error| Problem { path: path.clone(), line: 0, message: error.to_string() });
        match text.and_then(|text| parse(&path, &text)) {
            Ok(scenario) => scenarios.push(scenario),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(scenarios) } else { Err(problems) }
}

//! `plimsoll-conformance report`: the suite on every host as one page to look at.
//!
//! - `model`: what came of it, by area, host, requirement and scenario;
//! - `drawing`: one run, drawn;
//! - `page`: all of it as HTML that needs nothing beside itself.

mod card;
mod drawing;
mod model;
mod overview;
mod page;
mod requirements;

use crate::scenario::cli;
use std::fs;
use std::path::Path;

/// How the command is used.
pub const USAGE: &str = "\
usage: plimsoll-conformance report --html FILE [options]
  the options of `run` that choose what is played: --host, --area, --id, --scenarios, --seeds, --seed, --repeat, --patience";

/// Runs the command; the arguments are those behind `report`. Whether everything passed.
///
/// # Errors
/// What is wrong with the arguments or with the files, or why the page cannot be written.
pub fn run(mut args: impl Iterator<Item = String>) -> Result<bool, String> {
    let (mut file, mut others) = (None, Vec::new());
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--html" => file = Some(args.next().ok_or(USAGE)?),
            "--help" => return Err(USAGE.into()),
            "--format" | "--list" | "--explain" | "--schema" => return Err(format!("`{arg}` is of `run`\n{USAGE}")),
            _ => others.push(arg),
        }
    }
    let file = file.ok_or(USAGE)?;
    let options = cli::Options::read(others.into_iter())?.ok_or(USAGE)?;
    let scenarios = options.scenarios()?;
    let hosts = options.hosts();
    let mut found = model::Found::new(&hosts, &scenarios);
    let good = cli::play_all(&options, &hosts, &scenarios, |outcome| found.take(outcome));
    let html = page::html(&model::Model::new(found));
    fs::write(Path::new(&file), &html).map_err(|error| format!("{file}: {error}"))?;
    println!("{file}: {} KB", html.len().div_ceil(1000));
    Ok(good)
}

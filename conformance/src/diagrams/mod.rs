//! State diagrams of the core's machines, drawn from what the machines do.
//!
//! Each machine is walked through in every state that tiny inputs lead to, seen from outside only: its answers, its callbacks, its public
//! questions. What was seen is the table and the drawing; nobody writes transitions down. `plimsoll-conformance diagrams --write` renews
//! `docs/machines.md` and the drawings beside it, and a test holds the tables of the contract against what was seen.
//!
//! - `walk`: every state of a world, and every input in each;
//! - `table`: what was seen as cases with their conditions;
//! - `stream`, `pipe`, `datagram`, `process`, `connect`, `server`: the worlds and what is looked at in them, a small file each;
//! - `lifetime`: what the worlds of transports have in common;
//! - `draw`, `document`: SVG and Markdown;
//! - `contract`: whether tables 17.10 to 17.12 say the same.
//!
//! Another machine is a `walk::World` around it, and a `table::Machine` with the names and places of its states: see `pipe.rs`.

mod connect;
pub mod contract;
mod datagram;
mod document;
mod draw;
mod lifetime;
mod pipe;
mod process;
mod server;
mod stream;
pub mod table;
mod walk;

use std::fs;
use std::path::Path;
use table::Machine;

/// How the command is used.
pub const USAGE: &str = "\
usage: plimsoll-conformance diagrams [--write]
  says whether docs/machines.md and its drawings are current; --write renews them";

/// Every machine that is documented, walked through.
#[must_use]
pub fn machines() -> Vec<Machine> {
    let all = [
        stream::machines(),
        pipe::machines(),
        datagram::machines(),
        process::machines(),
        connect::machines(),
        server::machines(),
    ];
    all.into_iter().flatten().collect()
}

/// The generated files: their paths below the root of the project, and their texts.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    let machines = machines();
    let drawings = machines.iter().map(|machine| (format!("docs/machines/{}.svg", machine.name), draw::svg(machine)));
    let document = (String::from("docs/machines.md"), document::markdown(&machines));
    core::iter::once(document).chain(drawings).collect()
}

/// Runs the command; the arguments are those behind `diagrams`. Whether everything is current.
///
/// # Errors
/// What is wrong with the arguments, or why a file cannot be written.
pub fn run(args: impl Iterator<Item = String>) -> Result<bool, String> {
    let args: Vec<String> = args.collect();
    let write = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => false,
        ["--write"] => true,
        _ => return Err(USAGE.into()),
    };
    let root = crate::trace::own_root();
    let mut current = true;
    for (path, text) in files() {
        if is_current(&root, &path, &text) {
            continue;
        }
        if write {
            let full = root.join(&path);
            let written = fs::create_dir_all(full.parent().unwrap_or(&root)).and_then(|()| fs::write(&full, text));
            written.map_err(|error| format!("{path}: {error}"))?;
            println!("{path} is renewed");
        } else {
            current = false;
            println!("{path} is not current: run `cargo run --release -p plimsoll-conformance -- diagrams --write`");
        }
    }
    Ok(current)
}

/// Whether a generated file is what it should be.
#[must_use]
pub fn is_current(root: &Path, path: &str, text: &str) -> bool {
    fs::read_to_string(root.join(path)).is_ok_and(|found| found == text)
}

//! `plimsoll-conformance run`: the conformance suite on every host; see `run --help` and `FORMAT.md`.
//!
//! `plimsoll-conformance torture`: every scenario with every call failing once; see `torture --help`.
//!
//! `plimsoll-conformance report --html FILE`: the same as a page to look at.
//!
//! `plimsoll-conformance trace`: whether every requirement of `CONTRACT.md` is shown; see `trace --help`.
//!
//! `plimsoll-conformance corpus pack|unpack NAME FOLDER`: the inputs that fuzzers found worth keeping.
//!
//! `plimsoll-conformance simulate`: random runs of whole loops; see `simulate --help`.
//!
//! `plimsoll-conformance worlds`: every machine in a world so small that all there is can be tried.
#![forbid(unsafe_code)]

use plimsoll_conformance::scenario::{cli, torture_cli};
use plimsoll_conformance::{corpus, diagrams, report, simulate, trace, worlds};
use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let done = match args.next().as_deref() {
        Some("run") => cli::run(args),
        Some("report") => report::run(args),
        Some("diagrams") => diagrams::run(args),
        Some("trace") => trace::cli::run(args),
        Some("torture") => torture_cli::run(args),
        Some("corpus") => corpus::run(args),
        Some("simulate") => simulate::cli::run(args),
        Some("worlds") => worlds::run(args),
        _ => Err([
            cli::USAGE,
            torture_cli::USAGE,
            report::USAGE,
            diagrams::USAGE,
            trace::cli::USAGE,
            corpus::USAGE,
            simulate::cli::USAGE,
        ]
        .join(
            "

",
        )),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

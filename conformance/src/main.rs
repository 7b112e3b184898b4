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
//! `plimsoll-conformance simulate --seeds N [--seed FIRST] [--host sim|level|completion] [--trace yes]`: random runs of whole loops.
#![forbid(unsafe_code)]

use plimsoll_conformance::scenario::{cli, torture_cli};
use plimsoll_conformance::sim::Host;
use plimsoll_conformance::{corpus, diagrams, report, simulate, trace};
use std::env;
use std::process::ExitCode;

const USAGE: &str = "usage: plimsoll-conformance simulate [--seeds N] [--seed FIRST] [--host sim|level|completion] [--trace yes]";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let done = match args.next().as_deref() {
        Some("run") => cli::run(args),
        Some("report") => report::run(args),
        Some("diagrams") => diagrams::run(args),
        Some("trace") => trace::cli::run(args),
        Some("torture") => torture_cli::run(args),
        Some("corpus") => corpus::run(args),
        Some("simulate") => run(args),
        _ => Err([cli::USAGE, torture_cli::USAGE, report::USAGE, diagrams::USAGE, trace::cli::USAGE, corpus::USAGE, USAGE].join(
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

/// Runs simulations; whether nothing was found.
fn run(mut args: impl Iterator<Item = String>) -> Result<bool, String> {
    let (mut count, mut first, mut hosts, mut trace) = (1000, 0, Host::ALL.to_vec(), false);
    while let Some(option) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        let number = || value.parse().map_err(|_| USAGE);
        match option.as_str() {
            "--seeds" => count = number()?,
            "--trace" => trace = value == "yes",
            "--seed" => first = number()?,
            "--host" => {
                hosts.retain(|&host| simulate::name_of(host) == value);
                if hosts.is_empty() {
                    return Err(USAGE.into());
                }
            }
            _ => return Err(USAGE.into()),
        }
    }
    for host in hosts {
        let found = if trace {
            simulate::trace(first, host).err()
        } else {
            match simulate::seeds(first..first.saturating_add(count), &[host]) {
                Ok(figures) => {
                    println!("{}: {figures}", simulate::name_of(host));
                    None
                }
                Err(failure) => Some(failure),
            }
        };
        if let Some(failure) = found {
            eprintln!("{failure}");
            return Ok(false);
        }
    }
    Ok(true)
}

//! `plimsoll-conformance run`: the conformance suite on every host; see `run --help` and `FORMAT.md`.
//!
//! `plimsoll-conformance simulate --seeds N [--seed FIRST] [--host sim|level|completion] [--trace yes]`: random runs of whole loops.
#![forbid(unsafe_code)]

use plimsoll_conformance::scenario::cli;
use plimsoll_conformance::sim::Host;
use plimsoll_conformance::simulate;
use std::env;
use std::process::ExitCode;

const USAGE: &str = "usage: plimsoll-conformance simulate [--seeds N] [--seed FIRST] [--host sim|level|completion] [--trace yes]";

fn main() -> ExitCode {
    let mut args = env::args().skip(1).peekable();
    if args.next_if(|word| word == "run").is_some() {
        return match cli::run(args) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(message) => {
                eprintln!("{message}");
                ExitCode::from(2)
            }
        };
    }
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<(), String> {
    if args.next().as_deref() != Some("simulate") {
        return Err(format!("{}\n\n{USAGE}", cli::USAGE));
    }
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
        if trace {
            simulate::trace(first, host).map_err(|failure| failure.to_string())?;
            continue;
        }
        let figures = simulate::seeds(first..first.saturating_add(count), &[host]).map_err(|failure| failure.to_string())?;
        println!("{}: {figures}", simulate::name_of(host));
    }
    Ok(())
}

//! Judges a mutant by whole loops: the engine beside its model, the scenarios on simulated kernels, random protocols. The first failure ends it.
#![forbid(unsafe_code)]

use plimsoll_conformance::harness::{Case, first_failure};
use plimsoll_conformance::machines::engine;
use plimsoll_conformance::scenario::{Kind, Scenario, host, judge, load, own_folder, play};
use plimsoll_conformance::sim::Host;
use plimsoll_conformance::simulate;
use std::panic;
use std::process::ExitCode;
use std::rc::Rc;

/// The kernels that scenarios are played on, and how rough they are: not at all, and some.
const KERNELS: [(&str, u64); 2] = [("sim", 0), ("completion", 1)];

fn main() -> ExitCode {
    // A mutant that panics does so a thousand times, and what it says does not matter.
    panic::set_hook(Box::new(|_| {}));
    for (name, stage) in
        [("engine", engine as fn() -> Result<(), String>), ("scenarios", scenarios), ("whole loops", simulations)]
    {
        if let Err(why) = panic::catch_unwind(stage).unwrap_or_else(|_| Err("it panics".into())) {
            println!("{name}: {why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn engine() -> Result<(), String> {
    for (name, case) in [("readiness", engine::readiness as Case), ("completions", engine::completion)] {
        first_failure(300, case).map_or(Ok(()), |seed| Err(format!("over {name}: seed {seed}")))?;
    }
    for completions in [false, true] {
        engine::small_world(completions, 1).map_err(|violation| violation.0)?;
    }
    Ok(())
}

fn scenarios() -> Result<(), String> {
    let all = load(&own_folder()).map_err(|problems| format!("{} files cannot be read", problems.len()))?;
    let all: Vec<_> = all.iter().flat_map(Scenario::variants).filter(|one| one.kind() == Kind::Tcp).map(Rc::new).collect();
    for (name, seed) in KERNELS {
        for scenario in all.iter().filter(|one| host::plays(name, one).is_ok()) {
            if judge::of_own(scenario, &play::run(name, scenario, seed)) != judge::Verdict::Passed {
                return Err(format!("{} on {name}, seed {seed}", scenario.title()));
            }
        }
    }
    Ok(())
}

fn simulations() -> Result<(), String> {
    simulate::seeds(0..10, &Host::ALL).map_err(|failure| failure.to_string()).map(|_| ())
}

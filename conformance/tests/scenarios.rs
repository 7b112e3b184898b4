//! The conformance suite on every host of this project. One test, alone in its process: it counts descriptors.

use plimsoll_conformance::scenario::{Kind, Scenario, host, judge, load, own_folder, play};
use std::rc::Rc;
use std::time::Instant;

/// Seeds of the simulated kernels, beside the calm one.
const SEEDS: u64 = 5;

/// The seeds of a scenario. What is secure costs ten times as much, so of its seeds one is tried, on one of the kernels, each another.
fn seeds(host: &str, scenario: &Scenario, index: usize) -> Vec<u64> {
    let Some(number) = host::NAMES.iter().position(|name| *name == host && host::is_simulated(name)) else { return vec![0] };
    match scenario.kind() {
        Kind::Tls if index % 3 == number => vec![0, 1 + index as u64 % SEEDS],
        Kind::Tls => vec![0],
        _ => (0..=SEEDS).collect(),
    }
}

#[test]
fn every_scenario_passes_on_every_host() {
    let scenarios: Vec<Rc<Scenario>> = match load(&own_folder()) {
        Ok(scenarios) => scenarios.iter().flat_map(Scenario::variants).map(Rc::new).collect(),
        Err(problems) => panic!("{}", problems.iter().map(|problem| format!("{problem}\n")).collect::<String>()),
    };
    assert!(scenarios.len() >= 1500, "{} scenarios were found", scenarios.len());
    let mut failures = Vec::new();
    for name in host::NAMES {
        let begun = Instant::now();
        let (mut passed, mut skipped) = (0, 0);
        for (index, scenario) in scenarios.iter().enumerate() {
            if host::plays(name, scenario).is_err() {
                skipped += 1;
                continue;
            }
            for seed in seeds(name, scenario, index) {
                match judge::of_own(scenario, &play::run(name, scenario, seed)) {
                    judge::Verdict::Passed => passed += 1,
                    other => failures.push(format!("{} on {name}, seed {seed}: {other:?}", scenario.title())),
                }
            }
        }
        println!("{name}: {passed} passed, {skipped} skipped, {:.2?}", begun.elapsed());
        // What only a simulated kernel can do: calls that fail, time that is given, addresses that answer late; and what only a real one has: FIFOs, terminals.
        let most = if host::is_simulated(name) { 20 } else { 90 };
        assert!(skipped <= most, "{name} skips {skipped} scenarios");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

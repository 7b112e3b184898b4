//! The generated tests that fuzzers run: what they have found worth keeping is replayed, and the shapes of bugs are looked for by seeds.

use plimsoll_conformance::harness::{self, Failure};
use plimsoll_conformance::{corpus, targets};
use std::fs;
use std::path::Path;

#[test]
fn what_fuzzers_found_worth_keeping_finds_nothing_any_more() {
    //= RUST-6, LIFE-2, WRITE-1, WRITE-3, FLOW-8, CLOSE-3
    for target in targets::ALL {
        let inputs = corpus::read(target.name).unwrap_or_else(|error| panic!("{}: {error}", target.name));
        assert!(!inputs.is_empty() && inputs.len() <= corpus::MOST, "{}: {} inputs", target.name, inputs.len());
        for (line, input) in inputs.iter().enumerate() {
            if let Err(failure) = harness::input(target.name, input, target.case) {
                panic!("{}, line {}: {failure}", corpus::path_of(target.name).display(), line + 1);
            }
        }
    }
}

#[test]
fn every_target_is_a_program_of_the_fuzzer_and_every_program_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("the fuzzer's manifest");
    for target in targets::ALL {
        let program = folder.join("fuzz_targets").join(target.name).with_extension("rs");
        let text = fs::read_to_string(&program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        assert!(text.contains(&format!("targets::fuzz(\"{}\"", target.name)), "{} runs another", program.display());
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{}.rs\"", target.name)), "{} is not built", target.name);
    }
    let programs = fs::read_dir(folder.join("fuzz_targets")).expect("the fuzzer's programs").count();
    assert_eq!(programs, targets::ALL.len());
}

fn seeds(name: &str, count: u64) -> Result<(), Failure> {
    let target = targets::named(name).expect("a target");
    println!("{name}: {}", harness::seeds(name, count, target.case)?);
    Ok(())
}

#[test]
fn every_way_to_write_has_every_check() -> Result<(), Failure> {
    //= WRITE-4, WRITE-5, WRITE-8, WRITE-9, FLOW-6, FLOW-8, RUST-3, RUST-4
    seeds("second_write_path", 10_000)
}

#[test]
fn state_is_looked_up_again_after_every_callback() -> Result<(), Failure> {
    //= LIFE-2, LIFE-11, READ-5, READ-14, RUST-1, RUST-8
    seeds("state_after_callback", 10_000)
}

#[test]
fn what_is_queued_at_a_close_is_sent_once_or_dropped_for_a_reason() -> Result<(), Failure> {
    //= CLOSE-1, CLOSE-2, CLOSE-3, CLOSE-4, EOF-6, WRITE-1, WRITE-3
    seeds("closing_with_queue", 10_000)
}

#[test]
fn a_secure_connection_never_waits_for_bytes_that_it_has() -> Result<(), Failure> {
    //= TLS-13, TLS-14, READ-5, READ-9
    seeds("held_below", 4000)
}

#[test]
fn news_of_one_that_is_gone_reach_nobody() -> Result<(), Failure> {
    //= LIFE-17, RUST-10, LOOP-31
    seeds("reused_number", 10_000)
}

#[test]
fn every_graceful_way_to_end_has_a_limit() -> Result<(), Failure> {
    //= TLS-3, TLS-4, TLS-11, TLS-16
    seeds("no_deadline", 10_000)
}

#[test]
fn a_scenario_file_with_slips_is_refused_with_its_line_or_keeps_the_contract() -> Result<(), Failure> {
    //= RUST-6
    seeds("scenario", 3000)
}

//! The conformance suite on CPython: as it was recorded, and again where there is a Python.

use plimsoll_conformance::scenario::judge::{self, Verdict};
use plimsoll_conformance::scenario::oracle::{self, Line, Played};
use plimsoll_conformance::scenario::{Scenario, files, load, own_folder};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

#[path = "../../sys/tests/behaviour/missing.rs"]
mod missing;
use missing::missing;

fn scenarios() -> Vec<Scenario> {
    load(&own_folder()).expect("the suite can be read").iter().flat_map(Scenario::variants).collect()
}

/// Every scenario must be there, pass or depart as its file says; how many passed, departed and were skipped.
fn check(who: &str, scenarios: &[Scenario], lines: &[Line]) -> (usize, usize, usize) {
    let (mut passed, mut departed, mut skipped) = (0, 0, 0);
    let mut failures = Vec::new();
    for scenario in scenarios {
        let Some(line) = lines.iter().find(|line| line.is_of(scenario)) else {
            failures.push(format!("{} was not played by {who}: record again", scenario.id));
            continue;
        };
        match &line.played {
            Played::Skipped(_) => skipped += 1,
            Played::Broken(why) => failures.push(format!("{}: {why}", scenario.id)),
            Played::Record(record) => match judge::of_other(scenario, who, &line.version, record) {
                Verdict::Passed => passed += 1,
                Verdict::Departed(_) => departed += 1,
                Verdict::Failed(mismatch) => failures.push(format!("{} on {}:\n{mismatch}", scenario.id, line.version)),
                other => failures.push(format!("{}: {other:?}", scenario.id)),
            },
            _ => failures.push(format!("{}: unknown", scenario.id)),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    (passed, departed, skipped)
}

#[test]
fn the_recorded_traces_are_those_that_the_files_expect() {
    let scenarios = scenarios();
    for who in ["asyncio", "uvloop"] {
        let lines = oracle::read_recorded(who).unwrap();
        for line in &lines {
            assert!(scenarios.iter().any(|scenario| line.is_of(scenario)), "{} was recorded and is gone: record again", line.id);
        }
        let (passed, departed, skipped) = check(who, &scenarios, &lines);
        println!("{who}: {passed} passed, {departed} departed, {skipped} skipped");
        assert!(passed >= 1100 && skipped <= 300, "{who}: only {passed} passed, {skipped} skipped");
    }
}

#[test]
fn a_trace_that_was_tampered_with_is_found_out() {
    let scenarios = scenarios();
    let lines = oracle::read_recorded("asyncio").unwrap();
    let mut found = 0;
    for scenario in &scenarios {
        let Some(Line { played: Played::Record(record), version, .. }) = lines.iter().find(|line| line.is_of(scenario)) else {
            continue;
        };
        for name in record.lanes.keys() {
            let mut broken = record.clone();
            broken.lanes.get_mut(name).and_then(Vec::pop);
            // The last event may be one of those that need not come.
            found += usize::from(judge::of_other(scenario, "asyncio", version, &broken).is_failure());
        }
    }
    assert!(found >= 350, "only {found} lanes without their last event failed");
}

#[test]
fn the_matrix_is_what_its_generator_writes() {
    let python = match oracle::python("asyncio") {
        Ok(python) => python,
        Err(why) => return missing("Python", why),
    };
    let matrix = own_folder().join("reentry");
    let fresh = std::env::temp_dir().join(format!("plimsoll-reentry-{}", std::process::id()));
    fs::create_dir_all(&fresh).unwrap();
    let status = Command::new(python).arg(matrix.join("generate.py")).arg(&fresh).status().unwrap();
    assert!(status.success());
    let texts = |folder: &Path| -> BTreeMap<String, String> {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        files(folder).unwrap().iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
    };
    let (kept, written) = (texts(&matrix), texts(&fresh));
    fs::remove_dir_all(&fresh).unwrap();
    assert!(kept.len() > 290, "{} cells", kept.len());
    assert!(kept == written, "run scenarios/reentry/generate.py again");
}

#[test]
fn python_plays_them_again() {
    if let Err(why) = oracle::python("asyncio") {
        return missing("Python", why);
    }
    let scenarios = scenarios();
    let mut files: Vec<_> = scenarios.iter().map(|scenario| scenario.path.clone()).collect();
    files.dedup();
    let lines = oracle::play("asyncio", &files, None).unwrap();
    let (passed, departed, skipped) = check("asyncio", &scenarios, &lines);
    println!("asyncio: {passed} passed, {departed} departed, {skipped} skipped");
}

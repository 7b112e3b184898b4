//! Who judges a mutant that stands in a build with all others, and how.

use crate::planted::{Field, VARIABLE};
use core::time::Duration;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

/// How they are built; which of them, stands behind it.
const BUILD: [&str; 6] =
    ["test", "--quiet", "--no-run", "--package=plimsoll-core", "--package=plimsoll-mutants", "--profile=mutants"];

/// Seconds of processor time that a judge may take, several times what it takes: a mutant that loops for ever is told from a machine that is busy.
const SECONDS: u64 = 3;

/// The same, for the one that has most to look at.
const SECONDS_OF_SIMS: u64 = 10;

/// Seconds of the clock: a mutant that waits for ever takes no time of the processor.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn cargo(tree: &Path, args: &[&str]) -> Result<Output, String> {
    let profile = if args.contains(&"--profile=mutants") { None } else { Some("--profile=mutants") };
    Command::new("cargo")
        .args(args)
        .args(profile)
        .args(["--message-format=json", "--keep-going"].iter().take(if args[0] == "test" { 1 } else { 2 }))
        .current_dir(tree)
        .env("RUSTFLAGS", "--cap-lints=allow")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo: {error}"))
}

pub(crate) fn messages(output: Output) -> Result<Vec<Value>, String> {
    let text = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))).collect()
}

struct Judge {
    name: String,
    program: PathBuf,
    caught: usize,
    time: Duration,
}

impl Judge {
    /// Whether it finds nothing wrong.
    fn passes(&mut self, tree: &Path, number: usize) -> Result<bool, String> {
        let began = Instant::now();
        let folder = if ["plimsoll_core", "tls"].contains(&&*self.name) { "core" } else { "conformance/mutants" };
        let seconds = if self.name == "sims" { SECONDS_OF_SIMS } else { SECONDS };
        let mut child = Command::new("bash")
            .args(["-c", &format!("ulimit -t {seconds} -v 12000000; exec \"$0\" \"$@\"")])
            .arg(&self.program)
            .args((!["machines", "loops"].contains(&&*self.name)).then_some("--test-threads=1"))
            .current_dir(tree.join(folder))
            .env(VARIABLE, number.to_string())
            .env("RUST_BACKTRACE", "0") // of no use to anybody, and they take time
            .env("CARGO_MANIFEST_DIR", tree.join(folder))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.name))?;
        let passed = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break status.success();
            }
            if began.elapsed() > PATIENCE {
                child.kill().map_err(|error| error.to_string())?;
                child.wait().map_err(|error| error.to_string())?;
                break false;
            }
            thread::sleep(Duration::from_millis(5));
        };
        self.time += began.elapsed();
        self.caught += usize::from(!passed);
        Ok(passed)
    }
}

/// Numbers from one, spread over all of them however soon one stops: a run that was stopped is a fair sample, by a fixed rule.
fn order(count: usize) -> Vec<usize> {
    let mut all: Vec<_> = (1..=count).collect();
    all.sort_by_key(|&number| (number as u32).wrapping_mul(0x9E37_79B1));
    all
}

/// Plants what is in `field` in `tree`, and has `judges` look at each, one after another. What cargo-mutants would say of it
/// goes to `planted.json` in the folder `out`, the names of those that cannot be planted to `unplanted`.
///
/// # Errors
/// What cannot be built, and a judge that condemns the core as it is.
pub fn judge(tree: &Path, field: &mut Field, judges: &[String], out: &Path) -> Result<(), String> {
    let write = |name: &str, text: &str| fs::write(out.join(name), text).map_err(|error| format!("{name}: {error}"));
    let targets: Vec<_> =
        judges.iter().map(|name| if name == "units" { "--lib".into() } else { format!("--test={name}") }).collect();
    // What only whole loops need takes longest to build.
    let loops = judges.iter().any(|name| ["loops", "sims"].contains(&name.as_str()));
    let features = if loops {
        "--features=plimsoll-mutants/machines,plimsoll-mutants/loops"
    } else {
        "--features=plimsoll-mutants/machines"
    };
    let build: Vec<_> = BUILD.into_iter().chain([features]).chain(targets.iter().map(String::as_str)).collect();
    let said = field.plant(tree, &build)?;
    let programs: BTreeMap<_, _> =
        said.iter().filter_map(|line| Some((line["target"]["name"].as_str()?, line["executable"].as_str()?))).collect();
    let mut judges = judges
        .iter()
        .map(|name| {
            let target = if name == "units" { "plimsoll_core" } else { name };
            let built = programs.get(target).ok_or_else(|| format!("there is no judge {name}"))?;
            // The next build may begin while this one is judged.
            let program = out.canonicalize().map_err(|error| error.to_string())?.join(name);
            fs::copy(built, &program).map_err(|error| format!("{built}: {error}"))?;
            Ok(Judge { name: target.into(), program, caught: 0, time: Duration::ZERO })
        })
        .collect::<Result<Vec<_>, String>>()?;
    for judge in &mut judges {
        if !judge.passes(tree, 0)? {
            return Err(format!("{} fails without a mutant", judge.name));
        }
        println!("{}: passes in {:?}", judge.name, judge.time);
        judge.time = Duration::ZERO;
    }
    let mut outcomes = Vec::new();
    let mut unplanted = String::new();
    for number in order(field.names().len()) {
        let name = &field.names()[number - 1];
        let mut by = "";
        let summary = if field.is_unviable(number) {
            "Unviable"
        } else if field.is_planted(number) {
            for judge in &mut judges {
                if !judge.passes(tree, number)? {
                    by = &judge.name;
                    break;
                }
            }
            if by.is_empty() { "MissedMutant" } else { "CaughtMutant" }
        } else {
            unplanted += &format!("{name}\n");
            continue;
        };
        println!("{summary} {by} {name}");
        outcomes.push(json!({ "scenario": { "Mutant": { "name": name } }, "summary": summary }));
        // Now and then, should it be stopped.
        if outcomes.len() % 16 == 0 {
            write("planted.json", &json!({ "outcomes": &outcomes }).to_string())?;
        }
    }
    write("planted.json", &json!({ "outcomes": outcomes }).to_string())?;
    write("unplanted", &unplanted)?;
    for Judge { name, caught, time, .. } in judges {
        println!("{name}: caught {caught} in {time:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_an_order_are_spread_over_all() {
        let order = order(100);
        let mut all = order.clone();
        all.sort_unstable();
        assert_eq!(all, (1..=100).collect::<Vec<_>>());
        for part in 0..5 {
            let of_part = order[..25].iter().filter(|&&number| (number - 1) / 20 == part).count();
            assert!((4..=6).contains(&of_part), "{of_part} of part {part}");
        }
    }
}

//! `plimsoll-conformance run`: plays scenario files on hosts, and says what came of it.

use super::explain::explain;
use super::judge::{self, Verdict};
use super::lane::Record;
pub(crate) use super::options::Options;
pub use super::options::USAGE;
use super::oracle::{self, Played};
use super::report::{self, Outcome};
use super::tally::Tally;
use super::words::OTHERS;
use super::{Scenario, again, host, play};
use core::time::Duration;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

/// Runs the command; the arguments are those behind `run`. Whether everything passed.
///
/// # Errors
/// What is wrong with the arguments or with the files.
pub fn run(args: impl Iterator<Item = String>) -> Result<bool, String> {
    let Some(options) = Options::read(args)? else {
        print!("{}", super::schema::text());
        return Ok(true);
    };
    if let Some(id) = &options.explain {
        print!("{}", explain(&options.load()?, id)?);
        return Ok(true);
    }
    let of_kind = |scenario: &Scenario| options.is_of_kind(scenario);
    let chosen: Vec<Rc<Scenario>> =
        options.scenarios()?.iter().flat_map(|scenario| scenario.variants()).filter(of_kind).map(Rc::new).collect();
    if options.list {
        for scenario in &chosen {
            println!("{:<44} {}", scenario.title(), scenario.covers.join(" "));
        }
        println!("{} scenarios", chosen.len());
        return Ok(true);
    }
    let mut cases = String::new();
    let good = play_all(&options, &options.hosts(), &chosen, |outcome| {
        if options.format == "junit" {
            cases += &report::junit_case(&outcome);
        }
    });
    if options.format == "junit" {
        print!("{}", report::junit(&cases));
    }
    Ok(good)
}

/// Plays them on every host, with progress on a terminal, and says what came of it; whether nothing failed. Nothing of an outcome is kept here.
pub(crate) fn play_all(options: &Options, hosts: &[String], scenarios: &[Rc<Scenario>], mut also: impl FnMut(Outcome)) -> bool {
    let begun = Instant::now();
    let progress = options.format == "text" && std::io::stderr().is_terminal();
    let clear = if progress { "\r\x1b[K" } else { "" };
    let mut tally = Tally::new(hosts, options.repeat > 1);
    let mut take = |outcome: Outcome| {
        if progress {
            eprint!("{clear}{} {}", outcome.host, outcome.id);
            // A terminal that is gone shows no progress.
            let _ = std::io::stderr().flush();
        }
        let new = tally.take(&outcome);
        match options.format.as_str() {
            "text" if new => println!("{clear}{}", report::text(&outcome)),
            "json" => println!("{}", report::json(&outcome)),
            _ => {}
        }
        also(outcome);
    };
    for host in (0..options.repeat).flat_map(|_| hosts) {
        if OTHERS.contains(&host.as_str()) {
            of_other(host, scenarios, options, &mut take);
        } else {
            for scenario in scenarios {
                of_own(host, scenario, options, &mut take);
            }
        }
    }
    let text = tally.lines(begun.elapsed()).join("\n");
    if options.format == "text" {
        println!("{clear}{text}");
    } else {
        eprintln!("{text}");
    }
    tally.is_good()
}

fn of_own(host: &str, scenario: &Rc<Scenario>, options: &Options, take: &mut impl FnMut(Outcome)) {
    if let Err(why) = host::plays(host, scenario) {
        let verdict = Verdict::Skipped(why);
        take(outcome(host, scenario, 0, verdict, None, Duration::ZERO, options));
        return;
    }
    let seeds = if host::is_simulated(host) { options.seed..options.seed.saturating_add(options.seeds) } else { 0..1 };
    for seed in seeds {
        let begun = Instant::now();
        let played = play::run_within(host, scenario, seed, options.deadline());
        let time = begun.elapsed();
        let verdict = judge::of_own(scenario, &played);
        take(outcome(host, scenario, seed, verdict, Some(played.record), time, options));
    }
}

fn of_other(host: &str, scenarios: &[Rc<Scenario>], options: &Options, take: &mut impl FnMut(Outcome)) {
    let mut files: Vec<PathBuf> = scenarios.iter().map(|scenario| scenario.path.clone()).collect();
    files.dedup();
    let lines = oracle::play(host, &files, options.patience);
    for scenario in scenarios {
        let line = lines.as_ref().map(|lines| lines.iter().find(|line| line.is_of(scenario)));
        let version = line.as_ref().ok().copied().flatten().map_or_else(String::new, |line| line.version.clone());
        let (verdict, record, ms) = match line {
            Err(why) => (Verdict::Broken(why.clone()), None, 0.0),
            Ok(None) => (Verdict::Broken("it was not played".into()), None, 0.0),
            Ok(Some(line)) => match &line.played {
                Played::Skipped(why) => (Verdict::Skipped(why.clone()), None, 0.0),
                Played::Broken(why) => (Verdict::Broken(why.clone()), None, line.ms),
                Played::Record(record) => (judge::of_other(scenario, host, &line.version, record), Some(record.clone()), line.ms),
            },
        };
        let outcome = outcome(host, scenario, 0, verdict, record, Duration::from_secs_f64(ms / 1000.0), options);
        take(Outcome { version, ..outcome });
    }
}

fn outcome(
    host: &str,
    scenario: &Scenario,
    seed: u64,
    verdict: Verdict,
    record: Option<Record>,
    time: Duration,
    options: &Options,
) -> Outcome {
    let mut replay = format!("{} run --host {host} --id {}", again::command(), scenario.id);
    if scenario.kinds().len() > 1 {
        replay += &format!(" --kind {}", scenario.kind().word());
    }
    if seed > 0 {
        replay += &format!(" --seed {seed}");
    }
    if let Some(patience) = options.patience {
        replay += &format!(" --patience {}", patience.as_secs_f64());
    }
    replay += &again::folder(&options.folder);
    let (id, covers) = (scenario.title(), scenario.covers.clone());
    Outcome { id, covers, host: host.into(), version: String::new(), seed, verdict, record, time, replay }
}

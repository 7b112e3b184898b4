//! `plimsoll-conformance run`: plays scenario files on hosts, and says what came of it.

use super::host::{self, NAMES};
use super::judge::{self, Verdict};
use super::oracle::{self, Played};
use super::report::{self, Outcome};
use super::words::OTHERS;
use super::{Scenario, load, own_folder, play};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

/// How the command is used.
pub const USAGE: &str = "\
usage: plimsoll-conformance run [options]
  --host NAME       sim, level, completion, mio, polling, asyncio or uvloop; may be given several times; all that can run here unless given
  --area AREA       only the scenarios of this area
  --id ID           only this scenario; may be given several times
  --kind KIND       only on connections of this kind: tcp or unix
  --scenarios DIR   these files, instead of the project's own; may be a single file
  --seeds N         on simulated kernels, run each scenario with the seeds 0 to N - 1 (1 unless given: the calm one)
  --seed FIRST      begin with this seed
  --repeat N        do all of it N times, and name whatever does not come out the same each time
  --format FORMAT   text, json (a line for each result) or junit
  --list            only say which scenarios there are
  --explain ID      what a scenario is about and expects; of an id of the contract (FLOW-6): every scenario that shows something of it
  --schema          print the schema of the files";

/// What was chosen on the command line.
pub(crate) struct Options {
    pub(crate) hosts: Vec<String>,
    area: Option<String>,
    ids: Vec<String>,
    folder: PathBuf,
    seeds: u64,
    seed: u64,
    kind: Option<String>,
    repeat: usize,
    pub(crate) format: String,
    list: bool,
    explain: Option<String>,
}

/// Runs the command; the arguments are those behind `run`. Whether everything passed.
///
/// # Errors
/// What is wrong with the arguments or with the files.
pub fn run(args: impl Iterator<Item = String>) -> Result<bool, String> {
    let Some(options) = options(args)? else {
        print!("{}", super::schema::text());
        return Ok(true);
    };
    let chosen = read(&options)?;
    if options.explain.is_some() {
        chosen.iter().for_each(|scenario| explain(scenario));
        return Ok(true);
    }
    let of_kind = |scenario: &Scenario| options.kind.as_ref().is_none_or(|kind| kind == scenario.kind().word());
    let chosen: Vec<Rc<Scenario>> = chosen.iter().flat_map(|scenario| scenario.variants()).filter(of_kind).map(Rc::new).collect();
    if options.list {
        for scenario in &chosen {
            println!("{:<44} {}", scenario.title(), scenario.covers.join(" "));
        }
        println!("{} scenarios", chosen.len());
        return Ok(true);
    }
    let begun = Instant::now();
    let outcomes = play_all(&options, &chosen);
    if options.format == "junit" {
        print!("{}", report::junit(&outcomes));
    }
    Ok(summary(&options, &outcomes, begun.elapsed()))
}

/// The scenarios that were chosen: at least one.
pub(crate) fn read(options: &Options) -> Result<Vec<Rc<Scenario>>, String> {
    let scenarios = load(&options.folder).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    let chosen: Vec<_> = scenarios.into_iter().filter(|scenario| chosen(options, scenario)).map(Rc::new).collect();
    if chosen.is_empty() { Err("no scenario was chosen".into()) } else { Ok(chosen) }
}

/// What was chosen; `None`: the schema is asked for.
pub(crate) fn options(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        hosts: Vec::new(),
        area: None,
        ids: Vec::new(),
        folder: own_folder(),
        seeds: 1,
        seed: 0,
        kind: None,
        repeat: 1,
        format: "text".into(),
        list: false,
        explain: None,
    };
    while let Some(option) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("`{option}` lacks its value\n{USAGE}"));
        match option.as_str() {
            "--host" => options.hosts.push(value()?),
            "--area" => options.area = Some(value()?),
            "--id" => options.ids.push(value()?),
            "--kind" => options.kind = Some(value()?),
            "--repeat" => options.repeat = value()?.parse().ok().filter(|times| *times > 0).ok_or(USAGE)?,
            "--scenarios" => options.folder = value()?.into(),
            "--seeds" => options.seeds = value()?.parse().map_err(|_| USAGE)?,
            "--seed" => options.seed = value()?.parse().map_err(|_| USAGE)?,
            "--format" => options.format = value()?,
            "--list" => options.list = true,
            "--explain" => options.explain = Some(value()?),
            "--schema" => return Ok(None),
            "--help" => return Err(USAGE.into()),
            _ => return Err(format!("`{option}` is unknown\n{USAGE}")),
        }
    }
    if !["text", "json", "junit"].contains(&options.format.as_str()) {
        return Err(format!("`{}` is no format\n{USAGE}", options.format));
    }
    if let Some(unknown) = options.hosts.iter().find(|host| !NAMES.contains(&host.as_str()) && !OTHERS.contains(&host.as_str())) {
        return Err(format!("there is no host `{unknown}`\n{USAGE}"));
    }
    if options.hosts.is_empty() {
        let others = OTHERS.iter().filter(|who| match oracle::python(who) {
            Ok(_) => true,
            Err(why) => {
                eprintln!("{who} cannot run here: {why}");
                false
            }
        });
        options.hosts = NAMES.iter().chain(others).map(|&name| name.to_owned()).collect();
    }
    Ok(Some(options))
}

fn chosen(options: &Options, scenario: &Scenario) -> bool {
    options.area.as_ref().is_none_or(|area| scenario.area() == area)
        && (options.ids.is_empty() || options.ids.contains(&scenario.id))
        && options.explain.as_ref().is_none_or(|id| *id == scenario.id || scenario.covers.contains(id))
}

fn explain(scenario: &Scenario) {
    let kinds: Vec<&str> = scenario.kinds().iter().map(|kind| kind.word()).collect();
    println!("{} on {}\n  {}\n  shows {}", scenario.id, kinds.join(" and "), scenario.about, scenario.covers.join(", "));
    if !scenario.needs.is_empty() {
        println!("  needs {}", scenario.needs.join(", "));
    }
    for (lane, expect) in &scenario.expect {
        println!("  {lane}: {}", expect.lines().join(", "));
    }
    for (who, departure) in scenario.departs.iter().flat_map(|(who, list)| list.iter().map(move |departure| (who, departure))) {
        println!("  but {who}: {}", departure.why);
        for (lane, expect) in &departure.expect {
            println!("    {lane}: {}", expect.lines().join(", "));
        }
    }
    println!("  in {}", scenario.path.display());
}

/// Plays them on every host, with progress on a terminal.
pub(crate) fn play_all(options: &Options, scenarios: &[Rc<Scenario>]) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    let progress = shows_progress(options);
    for host in (0..options.repeat).flat_map(|_| &options.hosts) {
        let mut take = |outcome: Outcome| {
            if progress {
                eprint!("\r\x1b[K{} {}", outcome.host, outcome.id);
                // A terminal that is gone shows no progress.
                let _ = std::io::stderr().flush();
            }
            match options.format.as_str() {
                "text" if outcome.verdict.is_failure() => {
                    println!("{}{}", if progress { "\r\x1b[K" } else { "" }, report::text(&outcome))
                }
                "json" => println!("{}", report::json(&outcome)),
                _ => {}
            }
            outcomes.push(outcome);
        };
        if OTHERS.contains(&host.as_str()) {
            of_other(host, scenarios, options, &mut take);
        } else {
            for scenario in scenarios {
                of_own(host, scenario, options, &mut take);
            }
        }
    }
    outcomes
}

fn shows_progress(options: &Options) -> bool {
    options.format == "text" && std::io::stderr().is_terminal()
}

/// Says what came of it; whether nothing failed.
pub(crate) fn summary(options: &Options, outcomes: &[Outcome], time: Duration) -> bool {
    let count = |pick: &dyn Fn(&Verdict) -> bool| outcomes.iter().filter(|outcome| pick(&outcome.verdict)).count();
    let failed = count(&Verdict::is_failure);
    let skipped = count(&|verdict| matches!(verdict, Verdict::Skipped(_)));
    let passed = outcomes.len() - failed - skipped;
    let mut lines = Vec::new();
    for host in &options.hosts {
        let of = |pick: &dyn Fn(&Verdict) -> bool| {
            outcomes.iter().filter(|outcome| outcome.host == *host && pick(&outcome.verdict)).count()
        };
        let departed = of(&|verdict| matches!(verdict, Verdict::Departed(_)));
        let ms: f64 = outcomes.iter().filter(|outcome| outcome.host == *host).map(|outcome| outcome.time.as_secs_f64()).sum();
        let departures = if departed > 0 { format!(" ({departed} as they are known to depart)") } else { String::new() };
        let good = of(&|verdict| matches!(verdict, Verdict::Passed | Verdict::Departed(_)));
        lines.push(format!(
            "{host:<11} {good} passed{departures}, {} failed, {} skipped, {ms:.2} s",
            of(&Verdict::is_failure),
            of(&|verdict| matches!(verdict, Verdict::Skipped(_)))
        ));
    }
    let mut skips: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| match &outcome.verdict {
            Verdict::Skipped(why) => Some(format!("skipped on {}: {why}", outcome.host)),
            _ => None,
        })
        .collect();
    skips.sort();
    skips.dedup();
    lines.extend(skips);
    if options.repeat > 1 {
        lines.push(flaky(outcomes));
    }
    lines.push(format!("{:.2} s in all", time.as_secs_f64()));
    lines.push(format!("{passed} passed, {failed} failed, {skipped} skipped"));
    let text = lines.join("\n");
    match options.format.as_str() {
        "text" => println!("{}{text}", if shows_progress(options) { "\r\x1b[K" } else { "" }),
        _ => eprintln!("{text}"),
    }
    failed == 0
}

/// What did not come out the same each time.
fn flaky(outcomes: &[Outcome]) -> String {
    let mut verdicts: BTreeMap<(&str, &str, u64), BTreeSet<bool>> = BTreeMap::new();
    for outcome in outcomes {
        verdicts.entry((&outcome.host, &outcome.id, outcome.seed)).or_default().insert(outcome.verdict.is_failure());
    }
    let differs = verdicts.iter().filter(|(_, seen)| seen.len() > 1);
    let flaky: Vec<String> = differs.map(|((host, id, _), _)| format!("{id} on {host}")).collect();
    format!("flaky: {}", if flaky.is_empty() { "none".into() } else { flaky.join(", ") })
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
        let played = play::run(host, scenario, seed);
        let time = begun.elapsed();
        let record = played.clone().ok();
        take(outcome(host, scenario, seed, judge::of_own(scenario, played), record, time, options));
    }
}

fn of_other(host: &str, scenarios: &[Rc<Scenario>], options: &Options, take: &mut impl FnMut(Outcome)) {
    let mut files: Vec<PathBuf> = scenarios.iter().map(|scenario| scenario.path.clone()).collect();
    files.dedup();
    let lines = oracle::play(host, &files);
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
    record: Option<super::lane::Record>,
    time: Duration,
    options: &Options,
) -> Outcome {
    let mut replay = format!("cargo run --release -p plimsoll-conformance -- run --host {host} --id {}", scenario.id);
    if scenario.kinds().len() > 1 {
        replay += &format!(" --kind {}", scenario.kind().word());
    }
    if seed > 0 {
        replay += &format!(" --seed {seed}");
    }
    if options.folder != own_folder() {
        replay += &format!(" --scenarios {}", options.folder.display());
    }
    let (id, covers) = (scenario.title(), scenario.covers.clone());
    Outcome { id, covers, host: host.into(), version: String::new(), seed, verdict, record, time, replay }
}

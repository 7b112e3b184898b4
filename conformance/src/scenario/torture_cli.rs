//! `plimsoll-conformance torture`.

use super::host::plays;
use super::torture::{Case, Figures, HOSTS, Seen, cases, sample, torture};
use super::{Scenario, again, load, own_folder};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

/// How the command is used.
pub const USAGE: &str = "\
usage: plimsoll-conformance torture [options]
  --host NAME       sim, level or completion; may be given several times; all unless given
  --area AREA       only the scenarios of this area
  --id ID           only this scenario; may be given several times
  --kind KIND       only on connections of this kind: tcp, unix, tls, read-pipe …
  --scenarios DIR   these files, instead of the project's own; may be a single file
  --call N          only the call of that number, from 0
  --error E         only this error
  --sample          only what the gate tries: the first case of each call and error, and some of the others";

struct Options {
    hosts: Vec<String>,
    area: Option<String>,
    ids: Vec<String>,
    kind: Option<String>,
    folder: PathBuf,
    call: Option<usize>,
    error: Option<String>,
    sample: bool,
}

/// Runs the command; the arguments are those behind `torture`. Whether everything held.
///
/// # Errors
/// What is wrong with the arguments or with the files.
pub fn run(args: impl Iterator<Item = String>) -> Result<bool, String> {
    let options = options(args)?;
    let scenarios = load(&options.folder).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    let chosen: Vec<Rc<Scenario>> = scenarios
        .into_iter()
        .filter(|scenario| options.area.as_ref().is_none_or(|area| scenario.area() == area))
        .filter(|scenario| options.ids.is_empty() || options.ids.contains(&scenario.id))
        .flat_map(|scenario| scenario.variants())
        .filter(|scenario| options.kind.as_ref().is_none_or(|kind| scenario.kind().word() == kind))
        .map(Rc::new)
        .collect();
    if chosen.is_empty() {
        return Err("no scenario was chosen".into());
    }
    let mut failed = 0;
    for host in &options.hosts {
        let figures = of_host(&options, host, &chosen);
        println!("{host:<11} {figures}");
        failed += figures.failed;
    }
    Ok(failed == 0)
}

fn of_host(options: &Options, host: &str, scenarios: &[Rc<Scenario>]) -> Figures {
    let progress = std::io::stderr().is_terminal();
    let begun = Instant::now();
    let (mut figures, mut seen) = (Figures::default(), Seen::new());
    let wanted = |case: &Case| {
        options.call.is_none_or(|call| call == case.number)
            && options.error.as_ref().is_none_or(|error| error == case.failure.word())
    };
    for scenario in scenarios.iter().filter(|scenario| plays(host, scenario).is_ok()) {
        if progress {
            eprint!("\r\x1b[K{host} {} ({} cases)", scenario.id, figures.runs);
            // A terminal that is gone shows no progress.
            let _ = std::io::stderr().flush();
        }
        let all = match cases(host, scenario) {
            Ok(all) => all,
            Err(why) => {
                println!("FAIL {} on {host}, with nothing that fails\n  {why}\n", scenario.id);
                figures.failed += 1;
                continue;
            }
        };
        figures.count(&all);
        let tried = if options.sample { sample(all, &mut seen) } else { all };
        for case in tried.iter().filter(|case| wanted(case)) {
            figures.runs += 1;
            if let Err(why) = torture(scenario, case) {
                let clear = if progress { "\r\x1b[K" } else { "" };
                println!("{clear}FAIL {case}{}\n  {}\n", again::folder(&options.folder), why.replace('\n', "\n  "));
                figures.failed += 1;
            }
        }
    }
    if progress {
        eprint!("\r\x1b[K");
    }
    figures.time = begun.elapsed();
    figures
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        hosts: Vec::new(),
        area: None,
        ids: Vec::new(),
        kind: None,
        folder: own_folder(),
        call: None,
        error: None,
        sample: false,
    };
    while let Some(option) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("`{option}` lacks its value\n{USAGE}"));
        match option.as_str() {
            "--host" => options.hosts.push(value()?),
            "--area" => options.area = Some(value()?),
            "--id" => options.ids.push(value()?),
            "--kind" => options.kind = Some(value()?),
            "--scenarios" => options.folder = value()?.into(),
            "--call" => options.call = Some(value()?.parse().map_err(|_| USAGE)?),
            "--error" => options.error = Some(value()?),
            "--sample" => options.sample = true,
            "--help" => return Err(USAGE.into()),
            _ => return Err(format!("`{option}` is unknown\n{USAGE}")),
        }
    }
    if let Some(unknown) = options.hosts.iter().find(|host| !HOSTS.contains(&host.as_str())) {
        return Err(format!("`{unknown}` is no simulated kernel\n{USAGE}"));
    }
    if options.hosts.is_empty() {
        options.hosts = HOSTS.iter().map(|&host| host.to_owned()).collect();
    }
    Ok(options)
}

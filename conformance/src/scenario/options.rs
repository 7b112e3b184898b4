//! What can be chosen on the command line of `run` and `report`.

use super::host::NAMES;
use super::words::OTHERS;
use super::{Scenario, load, oracle, own_folder, play};
use core::time::Duration;
use std::path::PathBuf;
use std::rc::Rc;

/// How the command is used.
pub const USAGE: &str = "\
usage: plimsoll-conformance run [options]
  --host NAME       sim, level, completion, mio, polling, asyncio or uvloop; may be given several times; all that can run here unless given
  --area AREA       only the scenarios of this area
  --id ID           only this scenario; may be given several times
  --kind KIND       only on connections of this kind: tcp, unix, tls, read-pipe …
  --scenarios DIR   these files, instead of the project's own; may be a single file
  --seeds N         on simulated kernels, run each scenario with the seeds 0 to N - 1 (1 unless given: the calm one)
  --seed FIRST      begin with this seed
  --repeat N        do all of it N times, and name whatever does not come out the same each time
  --patience S      how many seconds a step may take on real kernels before it is stuck (10 unless given)
  --format FORMAT   text, json (a line for each result) or junit
  --list            only say which scenarios there are
  --explain ID      what a scenario is about and expects; of an id of the contract (FLOW-6): what it says, how far it is held, and what shows it;
                    of an area (FLOW): which ids there are
  --schema          print the schema of the files";

/// What was chosen on the command line.
pub(crate) struct Options {
    /// Each once; empty: whatever can run here.
    hosts: Vec<String>,
    area: Option<String>,
    ids: Vec<String>,
    pub(crate) folder: PathBuf,
    pub(crate) seeds: u64,
    pub(crate) seed: u64,
    kind: Option<String>,
    pub(crate) repeat: usize,
    /// How long a step may take before it is stuck, if that was said.
    pub(crate) patience: Option<Duration>,
    pub(crate) format: String,
    pub(crate) list: bool,
    pub(crate) explain: Option<String>,
}

impl Options {
    /// What was chosen; `None`: the schema is asked for.
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self {
            hosts: Vec::new(),
            area: None,
            ids: Vec::new(),
            folder: own_folder(),
            seeds: 1,
            seed: 0,
            kind: None,
            repeat: 1,
            patience: None,
            format: "text".into(),
            list: false,
            explain: None,
        };
        while let Some(option) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("`{option}` lacks its value\n{USAGE}"));
            match option.as_str() {
                "--host" => {
                    let host = value()?;
                    if !options.hosts.contains(&host) {
                        options.hosts.push(host);
                    }
                }
                "--area" => options.area = Some(value()?),
                "--id" => options.ids.push(value()?),
                "--kind" => options.kind = Some(value()?),
                "--repeat" => options.repeat = value()?.parse().ok().filter(|times| *times > 0).ok_or(USAGE)?,
                "--patience" => options.patience = Some(patience(&value()?)?),
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
        let known = |host: &&String| NAMES.contains(&host.as_str()) || OTHERS.contains(&host.as_str());
        if let Some(unknown) = options.hosts.iter().find(|host| !known(host)) {
            return Err(format!("there is no host `{unknown}`\n{USAGE}"));
        }
        Ok(Some(options))
    }

    /// The hosts to play on. Which others can run here is found out only if nobody said: that starts them.
    pub(crate) fn hosts(&self) -> Vec<String> {
        if !self.hosts.is_empty() {
            return self.hosts.clone();
        }
        let others = OTHERS.iter().filter(|who| match oracle::python(who) {
            Ok(_) => true,
            Err(why) => {
                eprintln!("{who} cannot run here: {why}");
                false
            }
        });
        NAMES.iter().chain(others).map(|&name| name.to_owned()).collect()
    }

    /// How long a step may take on real kernels.
    pub(crate) fn deadline(&self) -> Duration {
        self.patience.unwrap_or_else(play::deadline)
    }

    /// The scenarios that were chosen: at least one.
    pub(crate) fn scenarios(&self) -> Result<Vec<Rc<Scenario>>, String> {
        let scenarios = self.load()?;
        let chosen: Vec<_> = scenarios.into_iter().filter(|scenario| self.chose(scenario)).map(Rc::new).collect();
        if chosen.is_empty() { Err("no scenario was chosen".into()) } else { Ok(chosen) }
    }

    /// Every scenario of the folder.
    pub(crate) fn load(&self) -> Result<Vec<Scenario>, String> {
        load(&self.folder).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            lines.join("\n")
        })
    }

    fn chose(&self, scenario: &Scenario) -> bool {
        self.area.as_ref().is_none_or(|area| scenario.area() == area) && (self.ids.is_empty() || self.ids.contains(&scenario.id))
    }

    /// Whether it is on connections of a kind that was chosen.
    pub(crate) fn is_of_kind(&self, scenario: &Scenario) -> bool {
        self.kind.as_ref().is_none_or(|kind| kind == scenario.kind().word())
    }
}

fn patience(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    let patience = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).filter(|time| !time.is_zero());
    patience.ok_or_else(|| format!("`{text}` is no number of seconds\n{USAGE}"))
}

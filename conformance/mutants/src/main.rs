//! `plimsoll-mutants`: how every file stands, and every group of files. `run.sh` calls the others: `judge TREE LIST FOLDER JUDGES…` plants and judges the mutants of
//! a list, `merge TREE LIST OUTCOMES…` takes over what was found of the sources in a tree.
#![forbid(unsafe_code)]

use plimsoll_mutants::judges::judge;
use plimsoll_mutants::planted::Field;
use plimsoll_mutants::{Score, fresh, groups, left, list, merge, problems, scores, survivors, text, verdicts};
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    match run(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(clean) => ExitCode::from(u8::from(!clean)),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &[String]) -> Result<bool, String> {
    let read = |name: &str| fs::read_to_string(name).map_err(|error| format!("{name}: {error}"));
    let json = |name: &String| serde_json::from_str::<Value>(&read(name)?).map_err(|error| format!("{name}: {error}"));
    let path = list("verdicts.txt");
    let mut verdicts = verdicts(&fs::read_to_string(&path).unwrap_or_default())?;
    let survivors = survivors(&fs::read_to_string(list("survivors.txt")).map_err(|error| error.to_string())?)?;
    let source = |file: &str| fs::read_to_string(list("../..").join(file)).ok();
    match args {
        [] => {}
        [command, tree, all, outcomes @ ..] if command == "merge" => {
            let outcomes = outcomes.iter().map(json).collect::<Result<Vec<_>, _>>()?;
            merge(&mut verdicts, &json(all)?, &outcomes, |file| fs::read_to_string(Path::new(tree).join(file)).ok())?;
            fs::write(&path, text(&verdicts)).map_err(|error| error.to_string())?;
        }
        [command, tree, all, out, judges @ ..] if command == "judge" => {
            let all = json(all)?;
            let wanted = if env::var_os("LEFT").is_some() {
                Some(left(&fresh(verdicts, source), &all)?.into_iter().collect())
            } else {
                None
            };
            let mut field = Field::new(Path::new(tree), &all, wanted.as_ref())?;
            judge(Path::new(tree), &mut field, judges, Path::new(out))?;
            return Ok(true);
        }
        _ => return Err("usage: plimsoll-mutants [judge TREE LIST FOLDER JUDGES… | merge TREE LIST OUTCOMES…]".into()),
    }
    let problems = problems(&verdicts, &survivors);
    let mut sum = Score::default();
    let scores = scores(&fresh(verdicts, source), &survivors);
    for (file, score) in &scores {
        println!("{file}: {score}");
        sum += *score;
    }
    println!();
    for (name, score) in groups(&scores) {
        println!("{name}: {score}");
    }
    println!("all: {sum}");
    for problem in &problems {
        println!("{problem}");
    }
    Ok(problems.is_empty())
}

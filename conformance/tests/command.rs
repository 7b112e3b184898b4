//! The command `run`, as somebody calls it who has files of his own.

use core::time::Duration;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// A peer says something and ends.
const GOOD: &str = r#"
id = "eof/good"
about = "A test."
covers = ["EOF-1", "READ-1"]
link = { kind = "tcp" }
steps = [["peer", "send", "some"], ["peer", "eof"], ["app", "wait", "lost"]]
expect.app = ["cm", ["data", "some"], "eof", ["lost", "none"]]
expect.peer = []
"#;

/// A folder of files that is gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, String)]) -> Self {
        // Its name has to be quoted for a shell.
        let root = env::temp_dir().join(format!("plimsoll command-{}-{name}", std::process::id()));
        fs::create_dir_all(root.join("eof")).unwrap();
        for (name, text) in files {
            let text = text.replace("eof/good", &format!("eof/{name}"));
            fs::write(root.join("eof").join(format!("{name}.toml")), text).unwrap();
        }
        Self(root)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn wrong() -> String {
    GOOD.replace("[\"data\", \"some\"]", "[\"data\", \"none\"]")
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_plimsoll-conformance"))
}

/// Whether it went well, and what it said.
fn ran(command: &mut Command) -> (bool, String, String) {
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn run(folder: &Path, options: &[&str]) -> (bool, String, String) {
    ran(program().arg("run").args(options).arg("--scenarios").arg(folder))
}

#[test]
fn the_same_failure_is_told_once_with_every_host() {
    let folder = Folder::new("same", &[("good", GOOD.into()), ("wrong", wrong())]);
    let hosts = ["--host", "sim", "--host", "level", "--host", "sim", "--host", "polling", "--repeat", "3"];
    let (good, text, _) = run(&folder.0, &hosts);
    assert!(!good);
    assert_eq!(text.matches("FAIL eof/wrong on ").count(), 1, "{text}");
    assert!(text.contains("\nfailed: eof/wrong on sim (3 times), level (3 times), polling (3 times)\n"), "{text}");
    // A host that is named twice is one host.
    assert_eq!(text.matches("\nsim  ").count(), 1, "{text}");
    assert!(text.contains("\nflaky: none\n") && text.ends_with("\n9 passed, 9 failed, 0 skipped\n"), "{text}");
}

#[test]
fn the_line_that_plays_a_failure_again_does_so_as_it_stands() {
    let folder = Folder::new("again", &[("wrong", wrong().replace("\"tcp\"", "[\"tcp\", \"unix\"]"))]);
    // As somebody calls it who has the program and no cargo.
    let (_, text, _) = ran(program()
        .env_remove("CARGO_MANIFEST_DIR")
        .args(["run", "--host", "sim", "--kind", "unix", "--seed", "7", "--patience", "2.5", "--scenarios"])
        .arg(&folder.0));
    let line = text.lines().find_map(|line| line.trim().strip_prefix("again: ")).expect("a line");
    assert!(line.starts_with(env!("CARGO_BIN_EXE_plimsoll-conformance")), "{line}");
    let (good, again, _) = ran(Command::new("sh").env_remove("CARGO_MANIFEST_DIR").args(["-c", line]));
    let whole = |text: &str| text.split("\nfailed: ").next().unwrap().to_owned();
    assert!(!good);
    assert_eq!(whole(&again), whole(&text));
    // By cargo it is called by cargo.
    let (_, text, _) = run(&folder.0, &["--host", "sim", "--kind", "unix"]);
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    let line =
        format!("again: cargo run{release} -p plimsoll-conformance -- run --host sim --id eof/wrong --kind unix --scenarios '");
    assert!(text.contains(&line), "{text}");
}

#[test]
fn a_step_that_is_stuck_on_a_real_kernel_says_soon_what_it_waited_for() {
    let stuck = GOOD.replace("[\"peer\", \"eof\"], [\"app\", \"wait\", \"lost\"]", "[\"app\", \"wait\", { data = 10 }]");
    let stuck = stuck.replace("[\"data\", \"some\"]", "[\"data\", \"some and more\"]");
    let folder = Folder::new("stuck", &[("stuck", stuck)]);
    let begun = Instant::now();
    let (good, text, _) = run(&folder.0, &["--host", "polling", "--patience", "0.2"]);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let first = "FAIL eof/stuck on polling\n  line 6: stuck in `app wait { data = 10 }`: 4 of 10 came\n";
    assert!(!good && text.starts_with(first), "{text}");
    let (good, _, errors) = run(&folder.0, &["--host", "sim", "--patience", "-1"]);
    assert!(!good && errors.starts_with("`-1` is no number of seconds\n"), "{errors}");
}

#[test]
fn what_a_requirement_says_and_what_shows_it_can_be_asked() {
    let folder = Folder::new("explain", &[("good", GOOD.into())]);
    // Nothing is started for that: no Python, not even to see whether there is one.
    let python = folder.0.join("python");
    fs::write(&python, format!("#!/bin/sh\ntouch '{}'\n", folder.0.join("started").display())).unwrap();
    let mut command = Command::new("chmod");
    assert!(command.arg("+x").arg(&python).status().unwrap().success());
    for (options, parts) in [
        (&["--list"][..], &["eof/good ", "\n1 scenarios\n"][..]),
        (
            &["--explain", "EOF-1"],
            &["EOF-1 MUST", "\n  held\n", "\n  scenario eof/once on sim", "\n  test ", "scenario eof/good in "],
        ),
        (&["--explain", "eof/good"], &["eof/good on tcp\n  A test.\n  shows EOF-1, READ-1\n"]),
    ] {
        let (good, text, errors) =
            ran(program().arg("run").args(options).arg("--scenarios").arg(&folder.0).env("PLIMSOLL_PYTHON", &python));
        assert!(good && errors.is_empty(), "{errors}");
        parts.iter().for_each(|part| assert!(text.contains(part), "{part} in {text}"));
    }
    let (good, _, errors) = run(&folder.0, &["--explain", "eof/nothing"]);
    assert!(!good && errors.starts_with("`eof/nothing` is neither a scenario nor an id of "), "{errors}");
    assert!(!folder.0.join("started").exists());
    // Where hosts are needed and none was named, it is looked for.
    let (_, _, errors) = ran(program().args(["run", "--scenarios"]).arg(&folder.0).env("PLIMSOLL_PYTHON", &python));
    assert!(folder.0.join("started").exists(), "{errors}");
}

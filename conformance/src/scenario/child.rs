//! What a child process does: a script that is given to a real child and to a simulated one alike.

use super::model::Payload;
use crate::sim::Step;
use plimsoll_core::PipeFd;
#[cfg(feature = "backends")]
use std::{fs, io, path::PathBuf};

/// What a standard descriptor of the child is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Std {
    Pipe,
    Null,
    Inherit,
    /// A file, which the peer of that name reads.
    File,
    /// Of stderr: the same as stdout.
    Joined,
}

/// A step of a child's.
#[derive(Clone, Debug)]
pub(crate) enum ChildStep {
    Write(PipeFd, Payload),
    /// Waits for a line on its stdin, or the end of it.
    Read,
    /// Reads its stdin to the end.
    Drain,
    /// Copies its stdin to its stdout until that ends.
    Cat,
    Close(PipeFd),
    /// Is not ended by this signal any more.
    Ignore(u8),
    Exit(u8),
    /// Ends itself by this signal.
    Die(u8),
    /// Waits until the peer says `go`.
    Await,
    /// Leaves a child of its own behind that does this, and has all of its descriptors.
    Leave(Vec<Self>),
}

/// The script for a simulated child.
pub(crate) fn simulated(steps: &[ChildStep]) -> Vec<Step> {
    let step = |step: &ChildStep| match step {
        ChildStep::Write(fd, payload) => Step::Write(*fd, payload.bytes()),
        ChildStep::Read => Step::ReadLine,
        ChildStep::Drain => Step::Drain,
        ChildStep::Cat => Step::Cat,
        ChildStep::Close(fd) => Step::Close(*fd),
        ChildStep::Ignore(signal) => Step::Ignore(i32::from(*signal)),
        ChildStep::Exit(code) => Step::Exit(*code),
        ChildStep::Die(signal) => Step::Die(*signal),
        ChildStep::Await => Step::Await,
        ChildStep::Leave(steps) => Step::Leave(simulated(steps)),
    };
    steps.iter().map(step).collect()
}

/// Whether it repeats what it hears.
pub(crate) fn echoes(steps: &[ChildStep]) -> bool {
    steps.iter().any(|step| matches!(step, ChildStep::Cat))
}

/// All that it and what it leaves behind writes to a descriptor, in the order of the script.
pub(crate) fn says(steps: &[ChildStep], to: PipeFd, joined: bool) -> Vec<u8> {
    let said = |step: &ChildStep| match step {
        ChildStep::Write(fd, payload) if (if joined { PipeFd::Stdout } else { *fd }) == to => payload.bytes(),
        ChildStep::Leave(steps) => says(steps, to, joined),
        _ => Vec::new(),
    };
    steps.iter().flat_map(said).collect()
}

/// The script for the shell: `$0` is where it hears that it is to go on. What is more than a text is put into a file.
#[cfg(feature = "backends")]
pub(crate) fn shell(steps: &[ChildStep], place: &mut impl FnMut() -> PathBuf) -> io::Result<String> {
    let mut lines = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        // A program in its place, so that nobody is left behind when it is killed.
        let exec = if n + 1 == steps.len() { "exec " } else { "" };
        lines.push(match step {
            ChildStep::Write(fd, payload) => {
                let to = if *fd == PipeFd::Stderr { " >&2" } else { "" };
                match payload {
                    Payload::Text(text) => format!("printf %s {}{to}", quoted(text)),
                    payload => {
                        let path = place();
                        fs::write(&path, payload.bytes())?;
                        format!("{exec}cat {}{to}", quoted(&path.display().to_string()))
                    }
                }
            }
            ChildStep::Read => "read -r _".into(),
            ChildStep::Drain => format!("{exec}cat >/dev/null"),
            ChildStep::Cat => format!("{exec}cat"),
            ChildStep::Close(PipeFd::Stdin) => "exec <&-".into(),
            ChildStep::Close(PipeFd::Stdout) => "exec >&-".into(),
            ChildStep::Close(PipeFd::Stderr) => "exec 2>&-".into(),
            ChildStep::Ignore(signal) => format!("trap '' {signal}"),
            ChildStep::Exit(code) => format!("exit {code}"),
            ChildStep::Die(signal) => format!("kill -{signal} $$"),
            ChildStep::Await => "read -r _ <\"$0\"".into(),
            // What runs in the background has no stdin of its own accord.
            ChildStep::Leave(steps) => format!("exec 3<&0\n(\n{}\n) <&3 3<&- &\nexec 3<&-", shell(steps, place)?),
        });
    }
    // What it ends with is said, not left to what the last command ended with.
    lines.push("exit 0".into());
    Ok(lines.join("\n"))
}

#[cfg(feature = "backends")]
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

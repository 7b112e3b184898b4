//! Reads what a child process does, and what its standard descriptors are.

use super::Problem;
use super::child::{ChildStep, Std};
use super::model::Kind;
use super::node::{Keys, Node, Source};
use super::parse_command::payload;
use super::words::CHILD;
use plimsoll_core::PipeFd;

/// The names of the standard descriptors, as connections and in steps.
pub(crate) const NAMES: [&str; 3] = ["stdin", "stdout", "stderr"];

/// What they may be; `"stdout"` is for stderr only.
pub(crate) const STDIO: &[&str] = &["pipe", "null", "inherit", "file", "stdout"];

/// What the standard descriptors are; they go with a process only.
pub(crate) fn stdio(source: &Source<'_>, keys: &Keys<'_>, kinds: &[Kind]) -> Result<[Std; 3], Problem> {
    let mut stdio = [Std::Pipe; 3];
    for (std, name) in stdio.iter_mut().zip(NAMES) {
        let Some(node) = keys.get(name) else { continue };
        if kinds != [Kind::Process] {
            return Err(source.problem(node.line, format!("`{name}` goes with the kind `process`")));
        }
        *std = match (source.text(node)?, name) {
            ("pipe", _) => Std::Pipe,
            ("null", _) => Std::Null,
            ("inherit", _) => Std::Inherit,
            ("file", "stdout" | "stderr") => Std::File,
            ("stdout", "stderr") => Std::Joined,
            (word, _) => {
                return Err(source.problem(node.line, format!("`{name}` cannot be `{word}`; there are: {}", STDIO.join(", "))));
            }
        };
    }
    Ok(stdio)
}

/// The script.
pub(crate) fn steps(source: &Source<'_>, node: &Node) -> Result<Vec<ChildStep>, Problem> {
    let items = source.list(node)?;
    let steps: Vec<ChildStep> = items.iter().map(|item| step(source, item)).collect::<Result<_, _>>()?;
    let last = steps.len().saturating_sub(1);
    match steps[..last].iter().position(|step| matches!(step, ChildStep::Exit(_) | ChildStep::Die(_))) {
        Some(at) => Err(source.problem(items[at + 1].line, "the child has ended before this")),
        None => Ok(steps),
    }
}

fn step(source: &Source<'_>, node: &Node) -> Result<ChildStep, Problem> {
    let Some((verb, args)) = source.list(node)?.split_first() else {
        return Err(source.problem(node.line, "an empty step"));
    };
    let name = source.text(verb)?;
    let number = |node: &Node, most: u8| {
        let n = source.count(node)?;
        u8::try_from(n).ok().filter(|n| *n <= most).ok_or_else(|| source.problem(node.line, format!("{n} is more than {most}")))
    };
    let fd = |node: &Node, from: usize| {
        let word = source.text(node)?;
        let found = NAMES.iter().position(|name| *name == word).filter(|at| *at >= from);
        found
            .map(|at| PipeFd::ALL[at])
            .ok_or_else(|| source.problem(node.line, format!("`{word}` is none of: {}", NAMES[from..].join(", "))))
    };
    Ok(match (name, args) {
        ("write", [to, bytes]) => ChildStep::Write(fd(to, 1)?, payload(source, bytes)?),
        ("close", [which]) => ChildStep::Close(fd(which, 0)?),
        ("ignore", [signal]) => ChildStep::Ignore(number(signal, 31)?),
        ("exit", [code]) => ChildStep::Exit(number(code, 255)?),
        ("die", [signal]) => ChildStep::Die(number(signal, 31)?),
        ("leave", [script]) => ChildStep::Leave(steps(source, script)?),
        ("read", []) => ChildStep::Read,
        ("drain", []) => ChildStep::Drain,
        ("cat", []) => ChildStep::Cat,
        ("await", []) => ChildStep::Await,
        _ => {
            let known: Vec<&str> = CHILD.iter().map(|step| step.0).collect();
            return Err(match CHILD.iter().find(|step| step.0 == name) {
                Some((_, arguments)) => source.problem(node.line, format!("`{name}` takes {arguments}")),
                None => source.problem(verb.line, format!("a child has no step `{name}`; there are: {}", known.join(", "))),
            });
        }
    })
}

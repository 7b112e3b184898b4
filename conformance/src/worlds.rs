//! `plimsoll-conformance worlds`: the machines in worlds so small that all there is can be tried.
//!
//! Where states are walked, every operation is tried in every state that operations lead to, and nothing is beyond: that holds for runs of any length.
//! Where sequences are tried, it holds for runs of that length.

use crate::harness::Violation;
use crate::machines::small_world::{self, Bounds};
use crate::machines::{connect, datagram, engine, process, tls};
use crate::model::Kind;
use std::time::Instant;

/// How the command is used.
pub const USAGE: &str = "usage: plimsoll-conformance worlds [--deep yes]";

/// Runs the command; the arguments are those behind `worlds`. Whether nothing was found.
///
/// # Errors
/// What is wrong with the arguments.
pub fn run(mut args: impl Iterator<Item = String>) -> Result<bool, String> {
    let deep = match (args.next().as_deref(), args.next().as_deref()) {
        (None, None) => false,
        (Some("--deep"), Some(answer @ ("yes" | "no"))) => answer == "yes",
        _ => return Err(USAGE.into()),
    };
    println!("{:<42} {:>12} {:>12} {:>9}", "", "states", "transitions", "seconds");
    let found = all(deep);
    if let Err(violation) = &found {
        eprintln!("{violation}");
    }
    Ok(found.is_ok())
}

fn all(deep: bool) -> Result<(), Violation> {
    for (kind, name) in [(Kind::Duplex, "stream"), (Kind::ReadPipe, "pipe to read from"), (Kind::WritePipe, "pipe to write to")] {
        line(name, || walked(small_world::explore(Bounds { kind, ..Bounds::SMALL })?))?;
    }
    if deep {
        line("stream, where the order of bytes shows", || walked(small_world::explore(Bounds::LARGE)?))?;
    }
    line("datagram endpoint", || datagram::explore().map(|world| (Some(world.states as u64), world.steps)))?;
    line("subprocess", || process::explore().map(|world| (Some(world.states as u64), world.steps)))?;
    line("connector, up to three addresses", || connect::explore(3).map(|world| (Some(world.states as u64), world.steps)))?;
    let length = if deep { 6 } else { 5 };
    line(&format!("stream, sequences of {length}"), || Ok((None, small_world::sequences(length)?)))?;
    line("subprocess, orders of its ends", || Ok((None, process::orders()?)))?;
    let length = if deep { 4 } else { 3 };
    line(&format!("secure connection, sequences of {length}"), || Ok((None, tls::small_world(length)?)))?;
    let scripts = if deep { 3 } else { 2 };
    for (completions, over) in [(false, "readiness"), (true, "completions")] {
        line(&format!("loop over {over}, {scripts} callbacks"), || Ok((None, engine::small_world(completions, scripts)?)))?;
    }
    Ok(())
}

fn walked(world: small_world::World) -> Result<(Option<u64>, u64), Violation> {
    if world.closed {
        Ok((Some(world.states as u64), world.steps))
    } else {
        Err(Violation("the world is larger than its bounds".into()))
    }
}

/// One world: its states, if they are told apart, and what was tried in it.
fn line(name: &str, explore: impl FnOnce() -> Result<(Option<u64>, u64), Violation>) -> Result<(), Violation> {
    let begun = Instant::now();
    let (states, transitions) = explore().map_err(|Violation(what)| Violation(format!("{name}: {what}")))?;
    let states = states.map_or_else(|| String::from("-"), |states| states.to_string());
    println!("{name:<42} {states:>12} {transitions:>12} {:>9.1}", begun.elapsed().as_secs_f64());
    Ok(())
}

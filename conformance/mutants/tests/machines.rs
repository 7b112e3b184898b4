//! Judges a mutant by the reference models of the machines: the cheapest and most lethal first, and the first failure ends it.
#![forbid(unsafe_code)]

use plimsoll_conformance::harness::{Case, first_failure};
use plimsoll_conformance::machines::small_world::{self, Bounds};
use plimsoll_conformance::machines::{connect, datagram, flow, gate, pair, process, queue, stream};
use plimsoll_conformance::model::Kind;
use std::panic;
use std::process::ExitCode;

/// Each machine beside its model, so many seeds of each.
const SEEDS: [(&str, u64, Case); 9] = [
    ("gate", 300, gate::lifetime),
    ("flow", 500, flow::lifetime),
    ("queue", 400, queue::lifetime),
    ("stream", 1500, stream::lifetime),
    ("pipe", 500, stream::pipe_lifetime),
    ("connect", 800, connect::lifetime),
    ("process", 1000, process::lifetime),
    ("datagram", 800, datagram::lifetime),
    ("pair", 200, pair::lifetime),
];

fn main() -> ExitCode {
    // A mutant that panics does so a thousand times, and what it says does not matter.
    panic::set_hook(Box::new(|_| {}));
    for (name, count, case) in SEEDS {
        if let Some(seed) = first_failure(count, case) {
            println!("{name}: seed {seed}");
            return ExitCode::FAILURE;
        }
    }
    match panic::catch_unwind(small_worlds) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(violation)) => {
            println!("small worlds: {violation}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn small_worlds() -> Result<(), String> {
    let small = Bounds { marks: &[(1, 2)], full: 2, ..Bounds::SMALL };
    for kind in [Kind::ReadPipe, Kind::WritePipe, Kind::Duplex] {
        small_world::explore(Bounds { kind, ..small }).map_err(|violation| violation.0)?;
    }
    connect::explore(2).map_err(|violation| violation.0)?;
    Ok(())
}

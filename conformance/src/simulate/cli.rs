//! `plimsoll-conformance simulate`: random runs of whole loops, as many as there is time for.

use super::many::many;
use super::shrink::{Limits, shrunk};
use super::{Figures, name_of, seeds, trace};
use crate::sim::Host;
use core::time::Duration;
use std::time::Instant;

/// How the command is used.
pub const USAGE: &str = "\
usage: plimsoll-conformance simulate [options]
  --host NAME       sim, level or completion; all of them unless given
  --seeds N         so many worlds on each (1000 unless given)
  --seed FIRST      begin with this seed
  --minutes M       so many more seeds as there is time for
  --lifetimes N     or until so many connections have lived
  --trace yes       print everything that happens in the first world
  --limits LIST     leave something out of it: what a failure says
  --connections N   instead: one loop with so many connections, nearly all of them idle, beside one with a thousandth of them";

/// Seeds between two looks at the clock.
const SLICE: u64 = 200;

/// A run that takes longer says so often how far it is.
const NEWS: Duration = Duration::from_secs(30);

/// An echo among a thousand times as many idle connections may cost so many times as much: caches are small, but nobody walks.
const DEAREST: u32 = 20;

/// Runs the command; the arguments are those behind `simulate`. Whether nothing was found.
///
/// # Errors
/// What is wrong with the arguments.
pub fn run(mut args: impl Iterator<Item = String>) -> Result<bool, String> {
    let (mut count, mut first, mut hosts, mut traced) = (1000_u64, 0_u64, Host::ALL.to_vec(), false);
    let (mut minutes, mut lifetimes, mut limits, mut connections) = (0_u64, 0_u64, Limits::default(), None);
    while let Some(option) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        let number = || value.parse().map_err(|_| USAGE);
        match option.as_str() {
            "--seeds" => count = number()?,
            "--seed" => first = number()?,
            "--minutes" => minutes = number()?,
            "--lifetimes" => lifetimes = number()?,
            "--connections" => connections = Some(number()? as usize),
            "--trace" => traced = value == "yes",
            "--limits" => limits = Limits::parse(&value).ok_or(USAGE)?,
            "--host" => {
                hosts.retain(|&host| name_of(host) == value);
                if hosts.is_empty() {
                    return Err(USAGE.into());
                }
            }
            _ => return Err(USAGE.into()),
        }
    }
    if let Some(connections) = connections {
        return Ok(hosts.into_iter().all(|host| one_loop(host, connections)));
    }
    if traced || limits != Limits::default() {
        return Ok(hosts.into_iter().all(|host| match trace(first, host, limits, traced) {
            Ok(()) => true,
            Err(failure) => {
                eprintln!("{failure}");
                false
            }
        }));
    }
    let ends = Instant::now() + Duration::from_secs(60 * minutes);
    let last = first.saturating_add(count);
    let (mut all, mut seed) = (Figures::default(), first);
    let mut of_host = vec![Figures::default(); hosts.len()];
    let mut told = Instant::now();
    while seed < last || Instant::now() < ends || all.lifetimes < lifetimes {
        let next = seed.saturating_add(SLICE);
        let next = if seed < last { next.min(last) } else { next };
        for (host, figures) in hosts.iter().zip(&mut of_host) {
            match seeds(seed..next, &[*host]) {
                Ok(more) => {
                    figures.add(&more);
                    all.add(&more);
                }
                Err(failure) => {
                    eprintln!("{}", shrunk(&failure));
                    return Ok(false);
                }
            }
        }
        seed = next;
        if told.elapsed() >= NEWS {
            eprintln!("seeds {first} to {seed} so far: {all}");
            told = Instant::now();
        }
    }
    for (host, figures) in hosts.iter().zip(&of_host) {
        println!("{}: {figures}", name_of(*host));
    }
    println!("in all: {all}");
    Ok(true)
}

/// Whether an echo costs among many idle connections what it costs among few.
fn one_loop(host: Host, connections: usize) -> bool {
    let both = many(host, (connections / 1000).max(1)).and_then(|few| Ok((few, many(host, connections)?)));
    match both {
        Err(what) => {
            eprintln!("{}: {what}", name_of(host));
            false
        }
        Ok((few, all)) => {
            println!("{}: {few}", name_of(host));
            println!("{}: {all}", name_of(host));
            let walks = all.echo > few.echo * DEAREST || all.calls > few.calls + few.calls / 10;
            if walks {
                eprintln!("{}: what is idle costs something", name_of(host));
            }
            !walks
        }
    }
}

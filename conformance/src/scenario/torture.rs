//! Torture: every scenario again, with each call that may fail failing once, with everything that it may fail with.
//!
//! Whether the scenario goes as its file says is not asked. What must hold whatever fails: the grammar of the contract, that nobody hears bytes that were not
//! sent to him in that order, that every connection that was made is lost, that no descriptor is left, that nothing panics, spins or hangs, and that
//! somebody who comes afterwards is served.

use super::host_sim::Simulated;
use super::lane::{Arg, Event, Record, Streams};
use super::model::{Kind, Scenario};
use super::play::Play;
use super::secure::Manner;
use super::stage::{Stage, caught};
use super::{again, child};
use crate::sim::{Failure, Syscall};
use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Instant;

/// The kernels that can be made to fail.
pub const HOSTS: [&str; 3] = ["sim", "level", "completion"];

/// A run takes some milliseconds; one that takes so long hangs.
const LONGEST: Duration = Duration::from_secs(20);

/// How much was tried.
#[derive(Clone, Default, Debug)]
#[non_exhaustive]
pub struct Figures {
    /// Scenarios.
    pub scenarios: usize,
    /// Calls that may fail, of all of them.
    pub calls: usize,
    /// Calls times errors.
    pub cases: usize,
    /// Cases that were run.
    pub runs: usize,
    /// Cases in which something did not hold.
    pub failed: usize,
    /// How long it took.
    pub time: Duration,
}

impl Figures {
    /// A scenario with these cases.
    pub fn count(&mut self, cases: &[Case]) {
        self.scenarios += 1;
        self.calls += cases.last().map_or(0, |last| last.number + 1);
        self.cases += cases.len();
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenarios, calls, cases, runs, failed, time } = self;
        write!(
            f,
            "{scenarios} scenarios, {calls} calls, {cases} calls × errors: {runs} run, {failed} failed, {:.2} s",
            time.as_secs_f64()
        )
    }
}

/// So many iterations are enough for any step that goes on at all: a scenario may keep its loop busy for ever.
const MOST_TURNS: u32 = 5000;

/// One call of one scenario that fails.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_structs, reason = "what the command line names")]
pub struct Case {
    /// On which kernel.
    pub host: String,
    /// Of which scenario.
    pub id: String,
    /// On connections of which kind.
    pub kind: Kind,
    /// The number of the call, from 0.
    pub number: usize,
    /// Which call it is.
    pub call: Syscall,
    /// How it fails.
    pub failure: Failure,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, id, kind, number, call, failure } = self;
        let (kind, call, failure) = (kind.word(), call.word(), failure.word());
        writeln!(f, "{id} ({kind}) on {host}: call {number} ({call}) fails with `{failure}`")?;
        write!(f, "  again: {} torture --host {host} --id {id} --kind {kind} --call {number} --error {failure}", again::command())
    }
}

/// The calls that a scenario makes on a simulated kernel when nothing fails.
///
/// # Errors
/// What is wrong even then.
pub fn calls(host: &str, scenario: &Rc<Scenario>) -> Result<Vec<Syscall>, String> {
    run(host, scenario, None)
}

/// Every case of a scenario on a simulated kernel.
///
/// # Errors
/// What is wrong even when nothing fails.
pub fn cases(host: &str, scenario: &Rc<Scenario>) -> Result<Vec<Case>, String> {
    let calls = calls(host, scenario)?;
    let each = calls.into_iter().enumerate().flat_map(|(number, call)| {
        let case =
            move |&failure| Case { host: host.into(), id: scenario.id.clone(), kind: scenario.kind(), number, call, failure };
        call.failures().iter().map(case).collect::<Vec<_>>()
    });
    Ok(each.collect())
}

/// The calls and errors that were tried already.
pub type Seen = BTreeSet<(Syscall, &'static str)>;

/// What the gate tries of the cases of a scenario: each call and error that was not tried before, and every 19th of the others, on other connections than TCP
/// every 59th, on secure ones every 199th: primes, so that no error of a call is always left out. All of them are a matter of minutes.
#[must_use]
pub fn sample(cases: Vec<Case>, seen: &mut Seen) -> Vec<Case> {
    let taken = |(index, case): &(usize, Case)| {
        let each = match case.kind {
            Kind::Tcp => 19,
            Kind::Tls => 199,
            _ => 59,
        };
        seen.insert((case.call, case.failure.word())) || index % each == 0
    };
    cases.into_iter().enumerate().filter(taken).map(|(_, case)| case).collect()
}

/// Runs one case.
///
/// # Errors
/// What does not hold.
pub fn torture(scenario: &Rc<Scenario>, case: &Case) -> Result<(), String> {
    run(&case.host, scenario, Some(case)).map(|_| ())
}

fn run(host: &str, scenario: &Rc<Scenario>, case: Option<&Case>) -> Result<Vec<Syscall>, String> {
    let begun = Instant::now();
    let host = Simulated::named(host, Stage::new(scenario), 0).ok_or_else(|| format!("`{host}` cannot be made to fail"))?;
    let calls = caught(move || {
        let sim = host.sim().clone();
        sim.number_calls();
        if let Some(case) = case {
            sim.fail_call(case.number, case.failure);
        }
        let mut play = Play::new(Box::new(host), scenario.clone(), true).with_most_turns(MOST_TURNS);
        // That it gets stuck somewhere, or does not even begin, is what a failing call may lead to.
        let _ = play.all();
        let calls = sim.calls();
        sim.fail_no_call();
        if !play.broken().is_empty() {
            return Err(play.broken().join("\n"));
        }
        // Where one end speaks TLS and the other does not, what is heard is what neither said.
        let apart = scenario.has_tls() && (!scenario.kind().is_secure() || scenario.link.tls.manner == Manner::Plain);
        if !apart {
            heard_is_said(play.record(), child::echoes(&scenario.child))?;
        }
        received_is_sent(play.record())?;
        if !play.serves() {
            return Err("nobody is served any more".into());
        }
        match play.end()? {
            0 => Ok(calls),
            left => Err(format!("{left} descriptors are left open:\n{}", sim.sockets())),
        }
    })??;
    if begun.elapsed() > LONGEST {
        return Err(format!("it took {:.1?}", begun.elapsed()));
    }
    Ok(calls)
}

/// Datagrams come whole, and in the order in which they were sent; some may be lost.
fn received_is_sent(record: &Record) -> Result<(), String> {
    let arrived = record.lanes.iter().flat_map(|(lane, events)| events.iter().map(move |event| (lane, event)));
    let mut left: BTreeMap<_, _> = BTreeMap::new();
    for (lane, event) in arrived {
        let [Arg::Bytes(payload), Arg::Word(from)] = &event.args[..] else { continue };
        let sent = record.letters.get(from).map_or(&[][..], Vec::as_slice);
        let left = left.entry((lane, from)).or_insert(sent);
        match left.iter().position(|letter| letter == payload) {
            Some(at) => *left = &left[at + 1..],
            None => return Err(format!("{lane} received what {from} did not send: {} bytes", payload.len())),
        }
    }
    Ok(())
}

/// Everybody hears the beginning of what was said to him. Who is connected to whom may be another than in the file, if a connection failed.
fn heard_is_said(record: &Record, echoes: bool) -> Result<(), String> {
    for (lane, events) in &record.lanes {
        let heard: Vec<&[u8]> = events.iter().filter(|event| event.args.len() == 1).filter_map(Event::bytes).collect();
        let begins = |mut said: &[u8]| {
            heard.iter().all(|piece| {
                let rest = said.strip_prefix(*piece);
                said = rest.unwrap_or_default();
                rest.is_some()
            })
        };
        // A child that echoes says what was written to it.
        let from_peer = lane.starts_with("app") && !echoes;
        let told = |streams: &Streams| begins(if from_peer { &streams.sent } else { &streams.written });
        if !heard.is_empty() && !record.streams.values().any(told) {
            return Err(format!("{lane} heard what nobody said: {} bytes", heard.concat().len()));
        }
    }
    Ok(())
}

//! The generated tests by name: what the fuzzers run, and what their corpora are replayed with.

use crate::harness::{self, Case, Run, Violation};
use crate::machines::engine::{self, Shape};
use crate::machines::{connect, datagram, pair, process, queue, stream, tls};
use crate::scenario;

/// A generated test with a name.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Target {
    /// Its name: of the fuzz target and of its corpus.
    pub name: &'static str,
    /// What it looks for.
    pub about: &'static str,
    /// The test.
    pub case: Case,
}

const fn target(name: &'static str, about: &'static str, case: Case) -> Target {
    Target { name, about, case }
}

/// All of them: machines first, then shapes of bugs.
pub const ALL: &[Target] = &[
    target("queue", "the send queue gives back what was pushed, in order", queue::lifetime),
    target("stream", "lifetimes of a stream transport beside its model", stream::lifetime),
    target("pair", "two stream transports and a wire", pair::lifetime),
    target("pipe", "lifetimes of a pipe transport beside its model", stream::pipe_lifetime),
    target("datagram", "lifetimes of a datagram endpoint beside its model", datagram::lifetime),
    target("process", "lifetimes of a subprocess beside its model", process::lifetime),
    target("connect", "attempts of a connector beside its model", connect::lifetime),
    target("tls", "lifetimes of a secure connection over a TLS without cryptography", tls::lifetime),
    target("tls_over_rustls", "lifetimes of a secure connection over rustls, and a peer that does anything", tls::over_rustls),
    target("engine", "loops of several endpoints, servers and scripted protocols beside the model", engine::either),
    target("scenario", "scenario files with slips of a hand in them: read, and played", scenario::edited),
    target("second_write_path", "a way to write that lacks a check", second_write_path),
    target("state_after_callback", "state that is not looked up again after a callback", state_after_callback),
    target("closing_with_queue", "closing while bytes are queued", closing_with_queue),
    target("held_below", "bytes of a lower layer that the upper one waits for", tls::held_below),
    target("reused_number", "news of one that is gone, for the one that has its number", reused_number),
    target("no_deadline", "a graceful way to end that has no limit", tls::silence),
];

fn second_write_path(run: &mut Run<'_>) -> Result<(), Violation> {
    engine::shaped(run, Shape::SecondWritePath)
}

fn state_after_callback(run: &mut Run<'_>) -> Result<(), Violation> {
    engine::shaped(run, Shape::StateAfterCallback)
}

fn closing_with_queue(run: &mut Run<'_>) -> Result<(), Violation> {
    engine::shaped(run, Shape::ClosingWithQueue)
}

fn reused_number(run: &mut Run<'_>) -> Result<(), Violation> {
    engine::shaped(run, Shape::ReusedNumber)
}

/// The one of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}

/// What a fuzzer calls with its input.
///
/// # Panics
/// With the failure, shrunk, if there is one; and if there is no such target.
pub fn fuzz(name: &str, input: &[u8]) {
    let target = named(name).unwrap_or_else(|| panic!("there is no target `{name}`"));
    if let Err(failure) = harness::input(name, input, target.case) {
        panic!("{failure}");
    }
}

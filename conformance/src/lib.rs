//! The contract as programs: reference models, and generators that hold the machines against them.
//!
//! - [`choices`]: where every decision of a generated test comes from (a seed, a fuzzer, an odometer, a saved case), and the shrinker;
//! - [`corpus`]: the inputs that fuzzers found worth keeping;
//! - [`harness`]: runs a generated test many times and makes a replayable [`Failure`](harness::Failure) of what goes wrong;
//! - [`model`]: the contract's tables 17.9–17.12, written down again without a look at the machines;
//! - [`machines`]: each machine beside its model, compared after every step;
//! - [`report`]: what came of that suite, as a page to look at;
//! - [`scenario`]: the conformance suite, files that are played on every backend and on CPython's asyncio;
//! - [`sim`]: a kernel and a network under virtual time, for the production engine and drivers;
//! - [`simulate`]: random runs of whole loops on it;
//! - [`targets`]: the generated tests by name, for fuzzers and their corpora;
//! - [`trace`]: whether every requirement of `CONTRACT.md` is shown by a scenario or a test;
//! - [`worlds`]: each machine in a world so small that all there is can be tried.
//!
//! All of it is there by default. Without the feature `backends` there are no hosts with real sockets, and without `loops` there are the machines and
//! their models alone: what a mutant of the core is judged by, in seconds (the crate in `mutants`).
//!
//! ```
//! use plimsoll_conformance::{harness, machines};
//!
//! let figures = harness::seeds("stream", 100, machines::stream::lifetime)?;
//! assert_eq!(figures.runs, 100);
//! # Ok::<(), harness::Failure>(())
//! ```
#![forbid(unsafe_code)]

pub mod choices;
#[cfg(feature = "loops")]
pub mod corpus;
#[cfg(feature = "loops")]
pub mod diagrams;
pub mod harness;
pub mod machines;
pub mod model;
#[cfg(feature = "loops")]
pub mod report;
#[cfg(feature = "loops")]
pub mod scenario;
#[cfg(feature = "loops")]
pub mod sim;
#[cfg(feature = "loops")]
pub mod simulate;
#[cfg(feature = "loops")]
pub mod targets;
#[cfg(feature = "loops")]
pub mod trace;
#[cfg(feature = "loops")]
pub mod worlds;

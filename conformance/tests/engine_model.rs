//! The engine under its drivers against the model of the loop, by many seeds.

use plimsoll_conformance::harness::{self, Failure};
use plimsoll_conformance::machines::engine::{self, Mark};

#[test]
fn an_engine_over_readiness_does_what_the_model_of_the_loop_says() -> Result<(), Failure> {
    //= RUST-1, RUST-2
    let figures = harness::seeds("engine", 20_000, engine::readiness)?;
    println!("engine over readiness: {figures}");
    let missed: Vec<_> = Mark::ALL.into_iter().filter(|mark| !mark.is_in(figures.marks)).collect();
    assert!(missed.is_empty() || figures.runs < 1000, "never reached: {missed:?}");
    Ok(())
}

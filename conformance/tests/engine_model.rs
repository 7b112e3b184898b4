//! The engine under its drivers against the model of the loop, by many seeds.

use plimsoll_conformance::harness::{self, Failure, Violation};
use plimsoll_conformance::machines::engine::{self, Mark};

#[test]
fn an_engine_over_readiness_does_what_the_model_of_the_loop_says() -> Result<(), Failure> {
    //= RUST-1, RUST-2, RUST-3, RUST-4, RUST-6, RUST-7, RUST-8, RUST-9, RUST-10, LIFE-1, LIFE-2, LIFE-3, LIFE-4, LIFE-5, LIFE-7, LIFE-8
    //= LIFE-9, LIFE-10, LIFE-11, LIFE-12, LIFE-13, LIFE-14, LIFE-16, LIFE-17, READ-1, READ-2, READ-3, READ-4, READ-5, READ-6, READ-7
    //= READ-8, READ-9, READ-11, READ-12, READ-13, READ-14, WRITE-1, WRITE-3, WRITE-4, WRITE-6, WRITE-8, WRITE-9, WRITE-10, WRITE-11
    //= WRITE-12, WRITE-13, FLOW-6, FLOW-7, FLOW-8, FLOW-9, FLOW-10, FLOW-11, FLOW-13, FLOW-14, FLOW-15, FLOW-16, FLOW-17
    //= EOF-1, EOF-2, EOF-3, EOF-4, EOF-5, EOF-6, EOF-8, EOF-9, EOF-12, CLOSE-1, CLOSE-2, CLOSE-3, CLOSE-4, CLOSE-5, CLOSE-8, CLOSE-9
    //= CLOSE-10, BUF-1, BUF-3, BUF-5, BUF-7, BUF-8, BUF-9, LOOP-16, LOOP-18, LOOP-19, LOOP-20, LOOP-22, LOOP-23, LOOP-30, LOOP-31
    //= LOOP-32
    let figures = harness::seeds("engine", 20_000, engine::readiness)?;
    println!("engine over readiness: {figures}");
    let missed: Vec<_> = Mark::ALL.into_iter().filter(|mark| !mark.is_in(figures.marks)).collect();
    assert!(missed.is_empty() || figures.runs < 1000, "never reached: {missed:?}");
    Ok(())
}

#[test]
fn an_engine_over_completions_does_what_the_model_of_the_loop_says() -> Result<(), Failure> {
    //= RUST-1, RUST-2, RUST-4, RUST-8, LIFE-1, LIFE-2, LIFE-3, LIFE-11, LIFE-13, LIFE-14, READ-1, READ-5, READ-6, READ-9, READ-14
    //= WRITE-1, WRITE-3, WRITE-5, EOF-1, EOF-6, CLOSE-2, CLOSE-8, BUF-1, BUF-8, BUF-9, LOOP-18, LOOP-23, LOOP-30, LOOP-31
    let figures = harness::seeds("engine over completions", 20_000, engine::completion)?;
    println!("engine over completions: {figures}");
    // A send that is under way comes back in the next iteration: nobody is told nine edges in one.
    let possible = Mark::ALL.into_iter().filter(|&mark| mark != Mark::NinthEdge);
    let missed: Vec<_> = possible.filter(|mark| !mark.is_in(figures.marks)).collect();
    assert!(missed.is_empty() || figures.runs < 1000, "never reached: {missed:?}");
    Ok(())
}

#[test]
fn loop_and_model_agree_on_all_that_two_callbacks_of_two_connections_can_do() -> Result<(), Violation> {
    //= RUST-1, RUST-2, RUST-4, RUST-8, LIFE-11, LIFE-14, READ-14, CLOSE-3, FLOW-8
    for completions in [false, true] {
        let count = engine::small_world(completions, 2)?;
        println!("small world of the engine, over completions: {completions}: {count} runs");
        assert_eq!(count, 2 * 6 * 19 * 19);
    }
    Ok(())
}

#[test]
fn loop_and_model_agree_on_all_that_three_callbacks_of_two_connections_can_do() -> Result<(), Violation> {
    //= RUST-1, RUST-2, RUST-4, RUST-8, LIFE-11, LIFE-14, READ-14, CLOSE-3, FLOW-8
    if std::env::var_os("DEEP").is_none() {
        println!("skipped: ten seconds; set DEEP=1");
        return Ok(());
    }
    for completions in [false, true] {
        assert_eq!(engine::small_world(completions, 3)?, 2 * 6 * 19 * 19 * 19);
    }
    Ok(())
}

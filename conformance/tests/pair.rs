//! Two machines and a wire.

use plimsoll_conformance::harness::{self, Failure};
use plimsoll_conformance::machines::pair;

#[test]
fn what_one_end_accepts_the_other_receives_and_both_end() -> Result<(), Failure> {
    //= LIFE-1, LIFE-2, LIFE-3, READ-1, READ-2, READ-11, WRITE-1, WRITE-3, EOF-1, EOF-6, EOF-9, CLOSE-1, CLOSE-11
    let figures = harness::seeds("pair", 60_000, pair::lifetime)?;
    println!("pair: {figures}");
    Ok(())
}

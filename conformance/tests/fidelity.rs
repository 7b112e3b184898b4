//! The simulated kernels beside the real ones.

use plimsoll_conformance::harness::{self, Failure};
use plimsoll_conformance::scenario;

#[test]
fn simulated_kernels_and_real_ones_do_the_same() -> Result<(), Failure> {
    //= RUST-12, LIFE-1, LIFE-2, EOF-1, CLOSE-1, CLOSE-2, CLOSE-11
    // What is shrunk is played on real sockets thousands of times: `PLIMSOLL_SEED` first, if it is to be quick.
    let figures = harness::seeds("fidelity", 150, scenario::alike)?;
    println!("fidelity: {figures}");
    Ok(())
}

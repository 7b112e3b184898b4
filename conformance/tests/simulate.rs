//! Random runs of whole loops, on every kind of kernel interface.

use plimsoll_conformance::sim::Host;
use plimsoll_conformance::simulate::{self, Failure};

#[test]
fn random_protocols_on_a_random_network_keep_the_contract() -> Result<(), Failure> {
    //= LIFE-1, LIFE-2, LIFE-3, LIFE-4, READ-1, READ-2, WRITE-1, WRITE-3, EOF-1, CLOSE-3, RUST-6, RUST-8, RUST-11, RUST-12, LOOP-19
    // `PLIMSOLL_SEEDS` multiplies the count, as for the machines.
    let times = std::env::var("PLIMSOLL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let figures = simulate::seeds(0..800 * times, &Host::ALL)?;
    println!("simulate: {figures}");
    Ok(())
}

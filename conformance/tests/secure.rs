//! Secure connections over a TLS without cryptography.

use plimsoll_conformance::harness::{self, Failure, Violation};
use plimsoll_conformance::machines::tls;

#[test]
fn a_secure_connection_counts_every_byte_and_ends_once() -> Result<(), Failure> {
    //= TLS-1, TLS-2, TLS-3, TLS-4, TLS-6, TLS-7, TLS-8, TLS-9, TLS-11, TLS-13, TLS-14, TLS-15, TLS-16, TLS-18, TLS-21
    let figures = harness::seeds("tls", 10_000, tls::lifetime)?;
    println!("tls: {figures}");
    Ok(())
}

#[test]
fn a_peer_that_does_anything_meets_no_panic_and_no_end_that_never_comes() -> Result<(), Failure> {
    //= TLS-2, TLS-4, TLS-10, TLS-13, RUST-6, LIFE-2
    let figures = harness::seeds("tls_over_rustls", 3000, tls::over_rustls)?;
    println!("tls_over_rustls: {figures}");
    Ok(())
}

#[test]
fn every_short_life_of_a_secure_connection_ends_as_it_may() -> Result<(), Violation> {
    //= TLS-2, TLS-4, TLS-9, TLS-11, TLS-14, TLS-15, TLS-16, TLS-21
    println!("{} lives", tls::small_world(3)?);
    Ok(())
}

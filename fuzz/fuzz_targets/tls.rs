//! Lives of a secure connection over a TLS without cryptography.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_conformance::{harness, machines};

fuzz_target!(|input: &[u8]| {
    if let Err(failure) = harness::input("tls", input, machines::tls::lifetime) {
        panic!("{failure}");
    }
});

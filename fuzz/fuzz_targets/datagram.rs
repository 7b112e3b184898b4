//! Lifetimes of a datagram endpoint beside its model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_conformance::{harness, machines};

fuzz_target!(|input: &[u8]| {
    if let Err(failure) = harness::input("datagram", input, machines::datagram::lifetime) {
        panic!("{failure}");
    }
});

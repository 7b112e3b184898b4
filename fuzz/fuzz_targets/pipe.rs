//! Lifetimes of read pipes and write pipes beside their model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_conformance::{harness, machines};

fuzz_target!(|input: &[u8]| {
    if let Err(failure) = harness::input("pipe", input, machines::stream::pipe_lifetime) {
        panic!("{failure}");
    }
});

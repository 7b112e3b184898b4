//! A loop under its drivers, beside the model of the loop.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_conformance::{harness, machines};

fuzz_target!(|input: &[u8]| {
    if let Err(failure) = harness::input("engine", input, machines::engine::either) {
        panic!("{failure}");
    }
});

//! Lifetimes of a pipe transport beside its model.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| plimsoll_conformance::targets::fuzz("pipe", input));

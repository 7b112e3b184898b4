//! The send queue gives back what was pushed, in order.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| plimsoll_conformance::targets::fuzz("queue", input));

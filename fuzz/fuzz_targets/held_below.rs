//! Bytes of a lower layer that the upper one waits for.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| plimsoll_conformance::targets::fuzz("held_below", input));

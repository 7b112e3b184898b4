//! News of one that is gone, for the one that has its number.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| plimsoll_conformance::targets::fuzz("reused_number", input));

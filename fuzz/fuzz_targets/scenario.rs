//! Scenario files with slips of a hand in them: read, and played.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| plimsoll_conformance::targets::fuzz("scenario", input));

//! A graceful way to end that has no limit.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| plimsoll_conformance::targets::fuzz("no_deadline", input));

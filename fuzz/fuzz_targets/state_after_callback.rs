//! State that is not looked up again after a callback.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| plimsoll_conformance::targets::fuzz("state_after_callback", input));

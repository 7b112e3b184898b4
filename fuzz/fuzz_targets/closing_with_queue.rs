//! Closing while bytes are queued.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| plimsoll_conformance::targets::fuzz("closing_with_queue", input));

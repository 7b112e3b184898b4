//! Lifetimes of a secure connection over a TLS without cryptography.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| plimsoll_conformance::targets::fuzz("tls", input));

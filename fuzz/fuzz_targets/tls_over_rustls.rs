//! Lifetimes of a secure connection over rustls, and a peer that does anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| plimsoll_conformance::targets::fuzz("tls_over_rustls", input));

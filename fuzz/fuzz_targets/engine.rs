//! Loops of several endpoints, servers and scripted protocols beside the model.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| plimsoll_conformance::targets::fuzz("engine", input));

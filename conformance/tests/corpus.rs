//! What the fuzzers have found worth keeping, replayed.

use plimsoll_conformance::harness::{self, Case};
use plimsoll_conformance::machines;
use std::fs;
use std::path::Path;

/// Every file of a target's corpus; how many they are.
fn replay(target: &str, case: Case) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files {
        if let Err(failure) = harness::input(target, &fs::read(file).unwrap(), case) {
            panic!("{}: {failure}", file.display());
        }
    }
    files.len()
}

#[test]
fn the_corpus_of_the_send_queue_finds_nothing_any_more() {
    //= WRITE-1, WRITE-3, RUST-6
    assert!(replay("queue", machines::queue::lifetime) > 0);
}

#[test]
fn the_corpus_of_the_stream_transport_finds_nothing_any_more() {
    //= RUST-6, LIFE-2, FLOW-8, CLOSE-3
    assert!(replay("stream", machines::stream::lifetime) > 0);
}

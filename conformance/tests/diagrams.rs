//! The documented machines are those of the code, and the tables of the contract say the same.

use plimsoll_conformance::diagrams::{self, contract};
use plimsoll_conformance::trace;
use std::fs;

fn contract_text() -> String {
    fs::read_to_string(trace::own_root().join(trace::contract::PATH)).unwrap()
}

#[test]
fn the_page_and_its_drawings_are_current() {
    let root = trace::own_root();
    let stale: Vec<String> = diagrams::files()
        .into_iter()
        .filter(|(path, text)| !diagrams::is_current(&root, path, text))
        .map(|(path, _)| path)
        .collect();
    assert!(stale.is_empty(), "{stale:?}: run `cargo run --release -p plimsoll-conformance -- diagrams --write`");
}

#[test]
fn the_tables_of_the_contract_say_what_the_machines_do() {
    //= LIFE-1, LIFE-2, LIFE-3, LIFE-4, LIFE-16, FLOW-6, FLOW-7, FLOW-11, FLOW-14, FLOW-15, FLOW-16, READ-5, READ-6, READ-7, READ-12
    //= EOF-2, EOF-3, EOF-4, EOF-8, EOF-12, CLOSE-1, CLOSE-2, CLOSE-3, CLOSE-4, CLOSE-5, CLOSE-6, WRITE-8, WRITE-9, RUST-7, RUST-8
    let found = contract::differences(&contract_text(), &diagrams::machines());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_table_that_says_something_else_is_found_out() {
    let (text, machines) = (contract_text(), diagrams::machines());
    let wrong = [
        // 17.10: another state, another cause, a call back that is none, an answer that is another, something impossible.
        ("| FIN behind q → WroteEof |", "| FIN behind q → BothEof |"),
        ("| Losing(E) | may: Losing(E) |", "| Losing(None) | may: Losing(E) |"),
        ("| `close()` | →C |", "| `close()` | = |"),
        ("`eof`: false →C, true → PeerEof |", "`eof`: false →C, true → Open |"),
        ("| `WriteAfterEof` | `WriteAfterEof` | `Discarded` ¹", "| `WriteAfterEof` | `Discarded` ¹ | `Discarded` ¹"),
        ("| bytes to read, reading | `data` or", "| bytes to read, reading | kept; `dat` or"),
        ("| **F**, FIN if owed → Losing(None) |", "| **F** |"),
        ("| the peer's FIN, paused | kept | – |", "| the peer's FIN, paused | kept | kept |"),
        ("| a read fails |", "| a read is interrupted |"),
        // 17.11 and 17.12.
        ("| `pause` | Paused |", "| – | Paused |"),
        ("| `resume` | Ready |", "| `resume` | Paused |"),
        ("| nothing more is told, not even bytes in hand | Paused |", "| nothing more is told | Ended |"),
        ("| one bounded read at most, told | Reading |", "| one bounded read at most | Reading |"),
        ("### 17.12 ", "### 17.13 "),
    ];
    for (old, new) in wrong {
        let changed = text.replacen(old, new, 1);
        assert_ne!(changed, text, "the contract has no `{old}`");
        assert!(!contract::differences(&changed, &machines).is_empty(), "`{new}` is not found out");
    }
}

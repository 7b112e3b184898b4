//! What tests need, and a machine may lack.

use core::fmt::Display;

/// A peer is not here. The gate, which sets `CI`, installs the peers that it can: there that is a failure, and elsewhere it is said.
pub(crate) fn missing(what: &str, why: impl Display) {
    assert!(std::env::var_os("CI").is_none_or(|set| set.is_empty()), "{what} is missing: {why}");
    println!("SKIPPED: no {what} here: {why}");
}

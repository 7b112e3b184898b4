#!/usr/bin/env bash
# What is `unsafe` and our own, plimsoll-raw, under AddressSanitizer with the nightly compiler and under valgrind's memcheck: `fuzz/sanitize.sh`.
#
# The core forbids `unsafe`; the fuzz targets run under AddressSanitizer by `SANITIZER=address fuzz/grow.sh`. ThreadSanitizer needs a standard library that was
# built with it, or it sees races in the locks of that: what crosses threads is tried by loom instead (`loom_inbox`, `loom_resolver`).
set -euo pipefail
cd "$(dirname "$0")/.."
triple=$(rustc -vV | sed -n 's/^host: //p')
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan" RUSTFLAGS="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer" \
    cargo +nightly test --quiet --target "$triple" -p plimsoll-raw --tests
if command -v valgrind >/dev/null; then
    cargo test --quiet -p plimsoll-raw --no-run --message-format=json --tests | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' |
        xargs -I '{}' valgrind --quiet --error-exitcode=9 '{}' --test-threads=1
else
    echo "SKIPPED: valgrind is not installed"
fi

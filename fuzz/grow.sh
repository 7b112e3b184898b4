#!/usr/bin/env bash
# Lets the fuzzers look, and keeps the inputs that reach something new: `fuzz/grow.sh [SECONDS [TARGET ...]]`, a minute of processor time and all
# targets unless given.
#
# KEEP=no       only looks; the corpora stay as they are
# SANITIZER=address  with the nightly compiler; without one, and with any compiler, unless given: the core forbids `unsafe`, and it is four times as fast
# JOBS=N        so many targets at a time
#
# What a target finds is written to `artifacts`, printed with the shrunk operations that lead to it, and ends the run with an error.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
shift $(($# > 0))
sanitizer=${SANITIZER:-none}
toolchain=()
[ "$sanitizer" = none ] || toolchain=(+nightly)
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz
cargo "${toolchain[@]}" fuzz build --sanitizer "$sanitizer" 2>&1 | { grep -v '^ *\(Compiling\|Finished\)' || true; }
triple=$(rustc -vV | sed -n 's/^host: //p')
bin="${CARGO_TARGET_DIR:-target}/$triple/release"
# The profile of the tests, so that it is built already where they have run.
corpus() { cargo run --quiet --profile test --manifest-path ../Cargo.toml -p plimsoll-conformance -- corpus "$@"; }
export -f corpus
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(corpus list | cut -d' ' -f1)

used() { # process: how many seconds of processor time it has had
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || { echo 0; return; }
    # Behind the name, which may hold anything, the 12th and 13th.
    set -- ${stat##*) }
    echo $(((${12} + ${13}) / $(getconf CLK_TCK)))
}
export -f used

one() { # target
    local name=$1 work
    work=$(mktemp -d)
    corpus unpack "$name" "$work/kept" >/dev/null
    mkdir -p "$work/merged" "artifacts/$name"
    "$bin/$name" "$work/kept" -max_len=2048 -timeout=300 -print_final_stats=1 -close_fd_mask=1 -artifact_prefix="artifacts/$name/" >"$work/log" 2>&1 &
    local fuzzer=$!
    # A busy machine gives it less than a clock says. On this signal it ends as if it had seen enough.
    while kill -0 "$fuzzer" 2>/dev/null; do
        [ "$(used "$fuzzer")" -lt "$seconds" ] || kill -USR1 "$fuzzer" 2>/dev/null || true
        sleep 1
    done
    if ! wait "$fuzzer"; then
        echo "$name: FOUND SOMETHING"
        grep -v '^#' "$work/log" | tail -n 60
        return 1
    fi
    local runs cover
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
    cover=$(sed -n 's/.* cov: \([0-9]*\) ft: \([0-9]*\).*/\1 edges, \2 features/p' "$work/log" | tail -n 1)
    echo "$name: $runs runs in $seconds s of a processor, $cover"
    if [ "${KEEP:-yes}" = yes ]; then
        "$bin/$name" -merge=1 -max_len=2048 -close_fd_mask=3 "$work/merged" "$work/kept" >"$work/log" 2>&1
        corpus pack "$name" "$work/merged"
    fi
    rm -rf "$work"
}
export -f one
export bin seconds
printf '%s\n' "${targets[@]}" | xargs -P "${JOBS:-1}" -I '{}' bash -euo pipefail -c 'one {}'

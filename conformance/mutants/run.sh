#!/usr/bin/env bash
# Mutates the files that are named, or all of the core, and merges the verdicts into `verdicts.txt`:
#
#     conformance/mutants/run.sh core/src/flow/queue.rs core/src/life.rs
#
# A first pass lets the models of the machines judge; what they let pass, the unit tests of the core and all that runs on the simulated
# kernels. FIRST=units or FIRST=rest begins with these instead, where a file has no model. It works in a copy below `target`, which is kept, so that a mutant costs what one changed function costs to build.
# TREE=NAME names another copy, so that two runs can go on side by side.
set -eu
cd "$(dirname "$0")/../.."
here=conformance/mutants
tree="target/mutants-${TREE:-tree}"
out="$tree.out"

command -v cargo-mutants >/dev/null || cargo install --locked cargo-mutants

files=()
for file in "$@"; do files+=(--file "$file"); done
[ $# -gt 0 ] || files=(--file 'core/src/**')

rm -rf "$out"
mkdir -p "$tree" "$out"
# Sources that have gone must go there too; what is built stays.
find "$tree" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -c | tar -x -C "$tree"
# The copy has the times of the originals, and the last mutant was built after them.
touch "$tree/core/src/lib.rs"
(cd "$tree" && nice cargo test --quiet --profile mutants --no-run -p plimsoll-mutants --no-default-features --test machines &&
    nice cargo test --quiet --profile mutants --no-run -p plimsoll-core -p plimsoll-mutants --lib --test loops --test sims)

pass() { # NAME, what judges, which mutants
    local name=$1 judges=$2
    shift 2
    # Seconds of processor time, not of a clock: a mutant that loops for ever is told from a machine that is busy.
    (
        ulimit -t 60 -v 12000000
        nice -n "${NICE:-10}" cargo mutants --dir "$tree" --in-place --config "$here/mutants.toml" --package plimsoll-core --baseline skip \
            --profile mutants --timeout 900 --build-timeout 900 --no-shuffle --colors never --output "$out/$name" $judges "$@"
    ) || case $? in 2 | 3) ;; *) exit 1 ;; esac
}

cargo mutants --dir "$tree" --config "$here/mutants.toml" --package plimsoll-core --list --json "${files[@]}" >"$out/all.json"
machines="--test-package plimsoll-mutants --no-default-features --cargo-arg=--test=machines"
units="--test-package plimsoll-core --cargo-arg=--lib"
rest="--test-package plimsoll-core,plimsoll-mutants --cargo-arg=--lib --cargo-arg=--test=loops --cargo-arg=--test=sims"
case ${FIRST:-machines} in
    machines) passes=("$machines" "$rest") ;;
    units) passes=("$units" "$rest") ;;
    rest) passes=("$rest") ;;
esac
left=()
for at in "${!passes[@]}"; do
    pass "$at" "${passes[$at]}" "${files[@]}" "${left[@]}"
    missed="$out/$at/mutants.out/missed.txt"
    [ -s "$missed" ] || break
    # Names as they are, with line and column, so that only these are tried again.
    left=()
    while read -r name; do left+=(--re "^$(sed 's/[][\.*^$+?(){}|]/\\&/g' <<<"$name")\$"); done <"$missed"
done
cargo run --quiet -p plimsoll-mutants -- merge "$out/all.json" "$out"/*/mutants.out/outcomes.json

#!/usr/bin/env bash
# Mutates the files that are named, or all of the core, and merges the verdicts into `verdicts.txt`:
#
#     conformance/mutants/run.sh core/src/flow/queue.rs 'core/src/engine/*'
#
# All mutants are built at once (`src/planted.rs`), and each costs what its judges take to run. Judges are asked one after another, until one
# condemns it: `machines` (the models of the machines), `units` (the tests beside the code), `tls` (the core's tests of secure connections), `quick` (its
# other tests), `loops` (the engine beside its model, scenarios and whole loops on simulated kernels), `sims` (the behaviour tests on simulated kernels).
# JUDGES="loops sims" asks others, or in another order.
#
# Mutants that cannot be built beside others stay untried; SLOW=yes has cargo-mutants build and judge them one by one.
#
# It works in a copy below `target`, which is kept for the sake of what is built in it. LEFT=yes tries only what is not known to be caught. A run
# that was stopped has written down what it knew: MERGE=yes and the same files take it over.
set -eu
cd "$(dirname "$0")/../.."
here=conformance/mutants
tree=target/mutants-tree
out="$tree.out"

command -v cargo-mutants >/dev/null || cargo install --locked cargo-mutants

files=()
for file in "$@"; do files+=(--file "$file"); done
[ $# -gt 0 ] || files=(--file 'core/src/**')

copy() {
    mkdir -p "$tree"
    # Sources that have gone must go there too; what is built stays.
    find "$tree" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
    git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -c | tar -x -C "$tree"
    # The copy has the times of the originals, and what was built last was built after them.
    find "$tree/core/src" -name '*.rs' -exec touch {} +
}

slowly() ( # NAMES…: what stands in `unplanted`, one by one
    export RUSTFLAGS=--cap-lints=allow # as in the other build
    packages=(plimsoll-core plimsoll-mutants)
    tests=(--features=plimsoll-mutants/machines,plimsoll-mutants/loops --lib --test=machines --test=quick --test=loops --test=sims --test=tls)
    (cd "$tree" && nice cargo test --quiet --profile mutants --no-run "${packages[@]/#/--package=}" "${tests[@]}")
    # Seconds of processor time, not of a clock: a mutant that loops for ever is told from a machine that is busy.
    (
        ulimit -t 120 -v 12000000
        nice cargo mutants --dir "$tree" --in-place --config "$here/mutants.toml" --package plimsoll-core "${packages[@]/#/--test-package=}" \
            "${tests[@]/#/--cargo-arg=}" --profile mutants --baseline skip --timeout 900 --build-timeout 900 --no-shuffle --colors never \
            --output "$out/slow" "$@"
    ) || case $? in 2 | 3) ;; *) exit 1 ;; esac # 2 and 3: some were missed, some took too long
)

if [ -z "${MERGE:-}" ]; then
    rm -rf "$out"
    mkdir -p "$out"
    copy
    cargo mutants --dir "$tree" --config "$here/mutants.toml" --package plimsoll-core --list --json "${files[@]}" >"$out/all.json"
    mkdir "$out/core" && cp -r "$tree/core/src" "$out/core/src" # as they were, for the prints
    # shellcheck disable=SC2086 # words
    cargo run --quiet -p plimsoll-mutants -- judge "$tree" "$out/all.json" "$out" ${JUDGES:-machines units tls quick loops sims}
    if [ -n "${SLOW:-}" ] && [ -s "$out/unplanted" ]; then
        copy
        # Names as they are, with line and column, so that only these are tried.
        mapfile -t names < <(sed 's/[][\.*^$+?(){}|]/\\&/g; s/.*/--re=^&$/' "$out/unplanted")
        slowly "${files[@]}" "${names[@]}"
        cp "$out/slow/mutants.out/outcomes.json" "$out/slow.json"
    fi
fi
outcomes=("$out/planted.json")
[ ! -f "$out/slow.json" ] || outcomes+=("$out/slow.json")
cargo run --quiet -p plimsoll-mutants -- merge "$out" "$out/all.json" "${outcomes[@]}"

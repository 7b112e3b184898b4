#!/usr/bin/env bash
# Mutates the files that are named, or all of the core, and merges the verdicts into `verdicts.txt`:
#
#     conformance/mutants/run.sh core/src/flow/queue.rs core/src/life.rs
#
# Judges are asked one after another, about what those before them let pass: `machines` (the models of the machines), `units` (the tests beside
# the code), `rest` (whole loops on simulated kernels). JUDGES="units rest" asks others, where a file has no model.
#
# It works in a copy below `target`, which is kept, so that a mutant costs what one changed function costs to build. TREE=NAME names another
# copy, so that two runs can go on side by side. LEFT=yes tries only what is not known to be caught. A run that was stopped is taken over by
# MERGE=yes and the same files.
set -eu
cd "$(dirname "$0")/../.."
here=conformance/mutants
tree="target/mutants-${TREE:-tree}"
out="$tree.out"

command -v cargo-mutants >/dev/null || cargo install --locked cargo-mutants

files=()
for file in "$@"; do files+=(--file "$file"); done
[ $# -gt 0 ] || files=(--file 'core/src/**')

judge() { # JUDGE: the packages whose tests it is, which of them, and how long they may take
    case $1 in
        machines) seconds=20 packages=(plimsoll-mutants) tests=(--features=machines --test=machines) ;;
        units) seconds=20 packages=(plimsoll-core) tests=(--lib) ;;
        rest) seconds=90 packages=(plimsoll-core plimsoll-mutants) tests=(--features=plimsoll-mutants/loops --lib --test=loops --test=sims) ;;
        *) echo "there is no judge $1" >&2 && exit 2 ;;
    esac
}

pass() { # NUMBER JUDGE MUTANTS…
    local number=$1
    judge "$2"
    shift 2
    echo "judged by ${tests[*]}"
    # As it is, so that what is built for a mutant is what it changes.
    (cd "$tree" && nice cargo test --quiet --profile mutants --no-run "${packages[@]/#/--package=}" "${tests[@]}")
    # Seconds of processor time, not of a clock: a mutant that loops for ever is told from a machine that is busy.
    (
        ulimit -t "$seconds" -v 12000000
        nice cargo mutants --dir "$tree" --in-place --config "$here/mutants.toml" --package plimsoll-core "${packages[@]/#/--test-package=}" \
            "${tests[@]/#/--cargo-arg=}" --profile mutants --baseline skip --timeout 900 --build-timeout 900 --no-shuffle --colors never \
            --output "$out/$number" "$@"
    ) || case $? in 2 | 3) ;; *) exit 1 ;; esac # 2 and 3: some were missed, some took too long
}

if [ -z "${MERGE:-}" ]; then
    rm -rf "$out"
    mkdir -p "$tree" "$out"
    # Sources that have gone must go there too; what is built stays.
    find "$tree" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
    git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -c | tar -x -C "$tree"
    # The copy has the times of the originals, and the last mutant was built after them.
    touch "$tree/core/src/lib.rs"
    cargo mutants --dir "$tree" --config "$here/mutants.toml" --package plimsoll-core --list --json "${files[@]}" >"$out/all.json"
    number=0
    names=()
    [ -z "${LEFT:-}" ] || cargo run --quiet -p plimsoll-mutants -- left "$out/all.json" >"$out/left"
    for judge in ${JUDGES:-machines units rest}; do
        # Names as they are, with line and column, so that only these are tried.
        if [ -f "$out/left" ]; then
            [ -s "$out/left" ] || break
            mapfile -t names < <(sed 's/[][\.*^$+?(){}|]/\\&/g; s/.*/--re=^&$/' "$out/left")
        fi
        number=$((number + 1))
        pass "$number" "$judge" "${files[@]}" "${names[@]}"
        cp "$out/$number/mutants.out/missed.txt" "$out/left"
    done
fi
cargo run --quiet -p plimsoll-mutants -- merge "$out/all.json" "$out"/*/mutants.out/outcomes.json

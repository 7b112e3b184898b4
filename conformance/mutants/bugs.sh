#!/usr/bin/env bash
# Plants bugs that other loops have had, one after another, and sees the checks that are named for each of them fail:
#
#     conformance/mutants/bugs.sh [NAME…]
#
# A bug is a patch in `bugs`, below a few lines that say what goes wrong, where it was seen, and which checks have to notice (`Caught by`).
# `bugs.sh --fits` only looks whether every patch can still be applied. It works on what is committed, in a copy below `target`, which is kept.
set -eu
cd "$(dirname "$0")/../.."
folder=$PWD/conformance/mutants/bugs
tree=target/bugs-tree

if [ "${1:-}" = --fits ]; then
    for patch in "$folder"/*.patch; do
        git apply --check "$patch" || { echo "$(basename "$patch") does not fit any more"; exit 1; }
    done
    echo "$(find "$folder" -name '*.patch' | wc -l) bugs can be planted"
    exit 0
fi

names=("$@")
[ $# -gt 0 ] || mapfile -t names < <(cd "$folder" && printf '%s\n' *.patch | sed 's/\.patch$//')

git worktree prune
[ -d "$tree" ] || git worktree add --quiet --detach "$tree"
trap 'git -C "$tree" checkout --quiet --force --detach "$(git rev-parse HEAD)"' EXIT

checks() { sed -n 's/^Caught by: //p' "$folder/$1.patch"; }

# A check that fails without the bug shows nothing, and one that is not there cannot fail.
git -C "$tree" checkout --quiet --force --detach "$(git rev-parse HEAD)"
for name in "${names[@]}"; do checks "$name"; done | sort -u | while read -r check; do
    said=$(cd "$tree" && bash -c "$check" 2>&1 </dev/null) || { echo "$said" && echo "fails as it is: $check" && exit 1; }
    grep -q '^test .* ok$' <<<"$said" || { echo "there is no such check: $check" && exit 1; }
done

missed=0
for name in "${names[@]}"; do
    git -C "$tree" checkout --quiet --force --detach "$(git rev-parse HEAD)"
    git -C "$tree" apply "$folder/$name.patch"
    while read -r check; do
        if said=$(cd "$tree" && bash -c "$check" 2>&1 </dev/null); then
            echo "MISSED $name by $check"
            missed=$((missed + 1))
        elif grep -q '^test .* FAILED$' <<<"$said"; then
            echo "caught $name by ${check##* }"
        else
            echo "$said"
            echo "BROKEN $name: $check"
            missed=$((missed + 1))
        fi
    done < <(checks "$name")
done
[ "$missed" = 0 ]

#!/usr/bin/env bash
# What an echo and an idle connection cost, on this machine: `bench/measure.sh [BACKEND ...]`, by default mio, polling and raw-mio.
#
# instructions  in user space for one echoed message of 64 B, 50 connections: valgrind's callgrind counts a longer and a shorter run, and the
#               difference is divided by the difference in messages, so that start-up does not count
# system calls  for one such message: strace counts receives and sends (with the poll's own share beside them)
# memory        resident, of one of 9 000 idle connections, before any byte and after one echo each
set -eu
cd "$(dirname "$0")/.."
cargo build --release --quiet -p plimsoll-bench
bin="${CARGO_TARGET_DIR:-target}/release"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
backends=("$@")
[ ${#backends[@]} -gt 0 ] || backends=(mio polling raw-mio)
connections=50
port=27100

instructions() { # backend rounds
    port=$((port + 1))
    valgrind --quiet --tool=callgrind --callgrind-out-file="$out/callgrind.$1.$2" \
        "$bin/echo_server" "$1" "127.0.0.1:$port" >"$out/server" 2>&1 &
    "$bin/load" "127.0.0.1:$port" $connections "$2" 64 >"$out/load"
    wait $!
    sed -n 's/^summary: //p; s/^totals: //p' "$out/callgrind.$1.$2" | head -n 1
}

for backend in "${backends[@]}"; do
    if command -v valgrind >/dev/null; then
        few=$(instructions "$backend" 100)
        many=$(instructions "$backend" 1100)
        echo "$backend: $(((many - few) / (connections * 1000))) instructions in user space for each echo of 64 B"
    else
        echo "$backend: instructions not measured, valgrind is not installed"
    fi
    if command -v strace >/dev/null; then
        port=$((port + 1))
        strace -f -qq -o "$out/strace" "$bin/echo_server" "$backend" "127.0.0.1:$port" >"$out/server" &
        "$bin/load" "127.0.0.1:$port" $connections 200 64 >"$out/load"
        wait $!
        awk -v messages=$((connections * 200)) -v backend="$backend" '
            / (recvfrom|recvmsg|read|readv)\(/ { receives++ }
            / (sendto|sendmsg|write|writev)\(/ { sends++ }
            / epoll_(p?)wait/ { polls++ }
            END { printf "%s: %.3f receives, %.3f sends, %.3f polls for each echo of 64 B\n", backend, receives / messages, sends / messages, polls / messages }
        ' "$out/strace"
    fi
    if [ "$(ulimit -n)" -ge 9100 ] || ulimit -n 9100 2>/dev/null; then
        port=$((port + 1))
        "$bin/idle" "$bin/echo_server" "$backend" "127.0.0.1:$port" 9000
    else
        echo "$backend: memory not measured, the descriptor limit is below 9100"
    fi
done

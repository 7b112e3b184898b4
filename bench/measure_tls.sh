#!/usr/bin/env bash
# What a secure echo costs beside rustls on mio by hand, on this machine: `bench/measure_tls.sh [BACKEND ...]`, by default mio and raw-mio.
#
# instructions  in user space for one echoed message of 64 B, 50 connections: callgrind counts a longer and a shorter run, and the difference is divided
#               by the difference in messages, so that handshakes do not count
# bulk          messages of 16 KiB over 4 connections: processor time of the server for each MiB that it echoes, the best of three runs; user and
#               system time together, since the clock that tells them apart is coarse. Instructions say nothing of it: callgrind counts each byte that a string
#               instruction moves or fills as one of them
# memory        resident, of one idle connection that has echoed 64 B once: the server's with 900 of them less that with 100
set -eu
cd "$(dirname "$0")/.."
cargo build --release --quiet -p plimsoll-bench
bin="${CARGO_TARGET_DIR:-target}/release"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
backends=("$@")
[ ${#backends[@]} -gt 0 ] || backends=(mio raw-mio)
port=27300

instructions() { # backend rounds
    port=$((port + 1))
    valgrind --quiet --tool=callgrind --callgrind-out-file="$out/callgrind.$1.$2" \
        "$bin/tls_echo_server" "$1" "127.0.0.1:$port" "$out/cert" >"$out/server" 2>&1 &
    "$bin/tls_load" "127.0.0.1:$port" "$out/cert" 50 "$2" 64 >"$out/load"
    wait $!
    sed -n 's/^summary: //p; s/^totals: //p' "$out/callgrind.$1.$2" | head -n 1
}

bulk() { # backend
    port=$((port + 1))
    TIMEFORMAT='%U %S'
    { time "$bin/tls_echo_server" "$1" "127.0.0.1:$port" "$out/cert" >"$out/server"; } 2>"$out/time" &
    "$bin/tls_load" "127.0.0.1:$port" "$out/cert" 4 4000 16384 >"$out/load"
    wait $!
    awk '{ print $1 + $2 }' "$out/time"
}

resident() { # backend connections
    port=$((port + 1))
    "$bin/tls_echo_server" "$1" "127.0.0.1:$port" "$out/cert" >"$out/server" &
    "$bin/tls_load" "127.0.0.1:$port" "$out/cert" "$2" 1 64 $! >"$out/load"
    wait $!
    sed -n 's/^resident //p' "$out/load"
}

for backend in "${backends[@]}"; do
    if command -v valgrind >/dev/null; then
        few=$(instructions "$backend" 100)
        many=$(instructions "$backend" 600)
        echo "$backend: $(((many - few) / (50 * 500))) instructions in user space for each secure echo of 64 B"
    else
        echo "$backend: instructions not measured, valgrind is not installed"
    fi
    best=$(for _ in 1 2 3; do bulk "$backend"; done | sort -n | head -n 1)
    awk -v seconds="$best" -v backend="$backend" 'BEGIN { printf "%s: %.2f ms of processor time for each MiB that is echoed\n", backend, seconds * 1000 / 250 }'
    few=$(resident "$backend" 100)
    many=$(resident "$backend" 900)
    echo "$backend: $(((many - few) / 800)) B for each idle secure connection"
done

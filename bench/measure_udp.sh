#!/usr/bin/env bash
# What a UDP echo costs, on this machine: `bench/measure_udp.sh [BACKEND ...]`, by default mio, polling, raw-mio and raw-mmsg.
#
# instructions  in user space for one echoed datagram of 64 B, 50 peers: valgrind's callgrind counts a longer and a shorter run, and the
#               difference is divided by the difference in datagrams, so that start-up does not count
#               One datagram of each peer is on the way. The server is slower than its peers then, so that a call brings 24 of them on average: it is a
#               measure of batches, with a poll for every 36
# system calls  for one such datagram with four of each peer on the way: strace counts receives and sends (with the poll's own share beside them)
set -eu
cd "$(dirname "$0")/.."
cargo build --release --quiet -p plimsoll-bench
bin="${CARGO_TARGET_DIR:-target}/release"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
backends=("$@")
[ ${#backends[@]} -gt 0 ] || backends=(mio polling raw-mio raw-mmsg)
peers=50
port=28100

instructions() { # backend rounds
    port=$((port + 1))
    valgrind --quiet --tool=callgrind --callgrind-out-file="$out/callgrind.$1.$2" \
        "$bin/udp_echo_server" "$1" "127.0.0.1:$port" >"$out/server" 2>&1 &
    "$bin/udp_load" "127.0.0.1:$port" $peers "$2" 64 1 >"$out/load"
    wait $!
    sed -n 's/^summary: //p; s/^totals: //p' "$out/callgrind.$1.$2" | head -n 1
}

for backend in "${backends[@]}"; do
    if command -v valgrind >/dev/null; then
        few=$(instructions "$backend" 100)
        many=$(instructions "$backend" 1100)
        echo "$backend: $(((many - few) / (peers * 1000))) instructions in user space for each UDP echo of 64 B"
    else
        echo "$backend: instructions not measured, valgrind is not installed"
    fi
    if command -v strace >/dev/null; then
        port=$((port + 1))
        strace -f -qq -o "$out/strace" "$bin/udp_echo_server" "$backend" "127.0.0.1:$port" >"$out/server" &
        "$bin/udp_load" "127.0.0.1:$port" $peers 100 64 4 >"$out/load"
        wait $!
        awk -v datagrams=$((peers * 400)) -v backend="$backend" '
            / (recvfrom|recvmsg|recvmmsg)\(/ { receives++ }
            / (sendto|sendmsg|sendmmsg)\(/ { sends++ }
            / epoll_(p?)wait/ { polls++ }
            END { printf "%s: %.3f receives, %.3f sends, %.3f polls for each UDP echo of 64 B\n", backend, receives / datagrams, sends / datagrams, polls / datagrams }
        ' "$out/strace"
    fi
done

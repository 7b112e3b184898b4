#!/usr/bin/env bash
# What UDP costs, on this machine: `bench/measure_udp.sh [BACKEND ...]`, by default mio, polling, raw-mio, raw-mmsg and bulk.
#
# instructions  in user space for one echoed datagram of 64 B, 50 peers: valgrind's callgrind counts a longer and a shorter run, and the
#               difference is divided by the difference in datagrams, so that start-up does not count
#               One datagram of each peer is on the way. The server is slower than its peers then, so that a call brings 24 of them on average: it is a
#               measure of batches, with a poll for every 36
# system calls  for one such datagram with four of each peer on the way: strace counts receives and sends (with the poll's own share beside them)
# bulk          is a flow of 1 200 B from one endpoint to another of the same loop (mio), in bursts of 32: the processor's time for sending and receiving one,
#               and the calls; each burst as 32 messages, as one that the kernel cuts, and as one that it puts together again too
set -eu
cd "$(dirname "$0")/.."
cargo build --release --quiet -p plimsoll-bench
bin="${CARGO_TARGET_DIR:-target}/release"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
backends=("$@")
[ ${#backends[@]} -gt 0 ] || backends=(mio polling raw-mio raw-mmsg bulk)
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

bulk() {
    local datagrams=640000 calls=6400 TIMEFORMAT='%U %S'
    for way in plain cut together; do
        { time "$bin/udp_bulk" "$way" $datagrams 2>"$out/bulk"; } 2>"$out/time"
        awk -v datagrams=$datagrams -v way="$way" '{ printf "bulk, %s: %.2f us of processor time for each datagram of 1200 B", way, ($1 + $2) * 1e6 / datagrams }' "$out/time"
        if command -v strace >/dev/null; then
            strace -f -qq -o "$out/strace" "$bin/udp_bulk" "$way" $calls 2>"$out/bulk"
            awk -v datagrams=$calls '
                / (recvfrom|recvmsg|recvmmsg)\(/ { receives++ }
                / (sendto|sendmsg|sendmmsg)\(/ { sends++ }
                END { printf ", %.3f receives, %.3f sends", receives / datagrams, sends / datagrams }
            ' "$out/strace"
        fi
        echo
    done
}

for backend in "${backends[@]}"; do
    if [ "$backend" = bulk ]; then
        bulk
        continue
    fi
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

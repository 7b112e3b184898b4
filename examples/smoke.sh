#!/usr/bin/env bash
# Runs every example once on each backend, in release, as a user would, and looks at what can be seen.
set -eu
cd "$(dirname "$0")/.."
bin="${CARGO_TARGET_DIR:-target}/release/examples"
dir=$(mktemp -d)
started=()
clean_up() {
    [ "${#started[@]}" = 0 ] || kill "${started[@]}" 2>/dev/null || true
    rm -rf "$dir"
}
trap clean_up EXIT

fail() {
    echo "FAILED: $1"
    tail -n 20 "$dir"/* 2>/dev/null || true
    exit 1
}

# Waits until a file contains a text: `await NAME TEXT`.
await() {
    for _ in $(seq 300); do
        grep -qF -- "$2" "$dir/$1" 2>/dev/null && return
        sleep 0.1
    done
    fail "$1 does not say: $2"
}

# Starts a server and waits until it listens: `serve NAME COMMAND ...` leaves its address in $addr.
serve() {
    local name=$1
    shift
    "$@" >"$dir/$name" 2>&1 &
    started+=($!)
    await "$name" "listening on "
    addr=$(sed -n 's/^listening on //p' "$dir/$name")
    port=${addr##*:}
}

# Sends a line to $port and expects it back: `echoes TEXT`.
echoes() {
    local back
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    echo "$1" >&3
    read -r -t 10 back <&3 || fail "nothing came back"
    exec 3>&-
    [ "$back" = "$1" ] || fail "$back came back, not $1"
}

# The client against whatever is at $addr: `client BACKEND`.
client() {
    "$bin/tcp_echo_client" --backend "$1" "$addr" >"$dir/client" 2>&1 || fail "the client fails"
    grep -qF "data received: Hello World!" "$dir/client" || fail "the client gets no echo"
}

# A server of pages over TLS that is not ours: CPython's.
pages='
import functools, http.server, ssl, sys
folder, certificate, key = sys.argv[1:]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening on 127.0.0.1:%d" % server.server_port, flush=True)
server.serve_forever()
'
have_pages=yes
for tool in openssl python3; do
    command -v "$tool" >/dev/null && continue
    [ -z "${CI:-}" ] || fail "there is no $tool"
    echo "SKIPPED: no $tool, so https_get fetches nothing"
    have_pages=
done
if [ -n "$have_pages" ]; then
    mkdir "$dir/pages" "$dir/own"
    seq 100000 >"$dir/pages/numbers"
    # As `examples/tls_echo_server.rs` says.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -addext basicConstraints=critical,CA:FALSE -keyout "$dir/own/key.pem" -out "$dir/own/cert.pem" 2>/dev/null || fail "openssl makes no certificate"
fi

command=$(sed -n '/<!-- run -->/,/<!-- \/run -->/s/^    //p' README.md)
[ -n "$command" ] || fail "README.md does not say how to run the server"
cargo build --release --quiet --examples

for backend in mio polling; do
    serve "tcp_echo_server-$backend" $command -- --backend "$backend" 127.0.0.1:0
    echoes "one line"
    echo "$command -- --backend $backend: a line comes back"

    client "$backend"
    await "tcp_echo_server-$backend" "finished by the peer"
    echo "tcp_echo_client on $backend: $(tail -n 2 "$dir/client" | head -n 1)"

    serve "proxy-$backend" "$bin/proxy" --backend "$backend" 127.0.0.1:0 "$addr"
    client "$backend"
    echo "proxy on $backend: the client gets its echo through it"

    serve "udp_echo_server-$backend" "$bin/udp_echo_server" --backend "$backend" 127.0.0.1:0
    said=$("$bin/udp_echo_client" --backend "$backend" "$addr") || fail "udp_echo_client fails"
    case $said in *"data received: Hello World!"*) ;; *) fail "udp_echo_client says: $said" ;; esac
    echo "udp_echo_server and udp_echo_client on $backend: $(echo "$said" | sed -n 2p)"

    serve "tls_echo_server-$backend" "$bin/tls_echo_server" --backend "$backend" 127.0.0.1:0
    said=$(ROOTS="$dir/tls_echo_server-$backend" "$bin/tls_client" --backend "$backend" "localhost:$port") || fail "tls_client fails"
    case $said in *"data received: Hello World!"*) ;; *) fail "tls_client says: $said" ;; esac
    echo "tls_echo_server and tls_client on $backend: $(echo "$said" | sed -n 1p)"

    serve "starttls-$backend" "$bin/starttls" --backend "$backend" server 127.0.0.1:0
    said=$(ROOTS="$dir/starttls-$backend" "$bin/starttls" --backend "$backend" client "localhost:$port") || fail "starttls fails"
    case $said in *"data received: Hello World!"*) ;; *) fail "starttls says: $said" ;; esac
    echo "starttls on $backend: $(echo "$said" | sed -n 1p)"

    said=$(ROOTS="$dir/starttls-$backend" "$bin/https_get" --backend "$backend" https://localhost:1/ 2>&1) && fail "https_get finds nobody, and is content"
    case $said in *"connection refused"*) ;; *) fail "https_get says: $said" ;; esac
    echo "https_get on $backend: $said"

    if [ -n "$have_pages" ]; then
        serve "pages-$backend" python3 -c "$pages" "$dir/pages" "$dir/own/cert.pem" "$dir/own/key.pem"
        https_get() { ROOTS="$1" "$bin/https_get" --backend "$backend" "https://$2:$port/$3" 2>&1; }
        said=$(https_get "$dir/own/cert.pem" localhost numbers) || fail "https_get fails: $(echo "$said" | tail -n 1)"
        [ "$said" = "200 OK"$'\n'"$(cat "$dir/pages/numbers")" ] || fail "https_get prints another page, or another status"
        echo "https_get on $backend: 200 OK, and all $(wc -c <"$dir/pages/numbers") bytes"
        said=$(https_get "$dir/own/cert.pem" localhost nothing) && fail "https_get is content with a page that is not there"
        case $said in "404 "*"error: the status is 404") ;; *) fail "https_get says of no page: $said" ;; esac
        said=$(https_get "$dir/own/cert.pem" 127.0.0.1 numbers) && fail "https_get takes one name for another"
        case $said in *"not valid for name"*) ;; *) fail "https_get says of another name: $said" ;; esac
        said=$(https_get "$dir/tls_echo_server-$backend" localhost numbers) && fail "https_get trusts anybody"
        case $said in *"invalid peer certificate"*) ;; *) fail "https_get says of a stranger: $said" ;; esac
        echo "https_get on $backend: neither another name nor a stranger is trusted"
    fi

    serve "unix_echo-$backend" "$bin/unix_echo" --backend "$backend" server "$dir/socket"
    said=$("$bin/unix_echo" --backend "$backend" client "$dir/socket") || fail "unix_echo fails"
    case $said in *"data received: Hello World!"*) ;; *) fail "unix_echo says: $said" ;; esac
    kill "${started[-1]}"
    wait "${started[-1]}" || fail "unix_echo does not end well"
    [ ! -e "$dir/socket" ] || fail "unix_echo leaves its file behind"
    echo "unix_echo on $backend: $(echo "$said" | sed -n 2p), and its file is taken away"

    said=$("$bin/existing_socket" --backend "$backend") || fail "existing_socket fails"
    [ "$said" = "received: abc" ] || fail "existing_socket says: $said"
    echo "existing_socket on $backend: $said"

    said=$("$bin/subprocess_date" --backend "$backend") || fail "subprocess_date fails"
    case $said in "Current date: "?*) ;; *) fail "subprocess_date says: $said" ;; esac
    echo "subprocess_date on $backend: $said"

    "$bin/supervisor" --backend "$backend" >"$dir/supervisor-$backend" 2>&1 &
    supervisor=$!
    started+=($supervisor)
    await "supervisor-$backend" "ticker: tick"
    await "supervisor-$backend" "stubborn: up"
    await "supervisor-$backend" "brief: exit code 3"
    kill "$supervisor"
    wait "$supervisor" || fail "the supervisor fails"
    await "supervisor-$backend" "stubborn: ended by signal 9"
    await "supervisor-$backend" "ticker: ended by signal 15"
    echo "supervisor on $backend: its services are started again, and ended in order"

    serve "chat-$backend" "$bin/chat" --backend "$backend" 127.0.0.1:0
    exec 4<>"/dev/tcp/127.0.0.1/$port" 5<>"/dev/tcp/127.0.0.1/$port"
    for member in 4 5; do
        read -r -t 10 here <&"$member" || fail "the chat does not greet"
    done
    echo "good morning" >&4
    read -r -t 10 heard <&5 || fail "nobody hears anything"
    exec 4>&- 5>&-
    [ "$heard" = "good morning" ] || fail "the other member hears: $heard"
    echo "chat on $backend: \"$here\", and hears \"$heard\""

    serve "nested-$backend" "$bin/nested" --backend "$backend" 127.0.0.1:0
    echoes "from the inner loop"
    await "nested-$backend" "the outer loop is alive"
    echoes "still from the inner loop"
    echo "nested on $backend: lines come back, and the outer loop is alive"
done

# As README.md says it, word for word, if nobody else has the port.
if ! (exec 3<>/dev/tcp/127.0.0.1/8888) 2>/dev/null; then
    serve tcp_echo_server-default $command
    [ "$addr" = 127.0.0.1:8888 ] || fail "the default address is $addr"
    client mio
    echo "$command: serves $addr"
else
    echo "SKIPPED: port 8888 is somebody else's, so $command alone is not run"
fi
echo "all examples run (${SECONDS}s)"

//! Peers that are not ours, where this machine has them.

use super::kit::{Family, Rig, Rigged, Tap, Tcp, Unix, pattern, socket_path};
use super::missing::missing;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A peer written in Python, on CPython's asyncio; none if there is no Python.
fn python(script: &str, argument: &str) -> Option<Child> {
    let child = Command::new("python3").args(["-c", script, argument]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    match child {
        Ok(child) => Some(child),
        Err(error) => {
            missing("python3", error);
            None
        }
    }
}

/// A server would go on without us.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tool(name: &str, arguments: &[&str]) -> Option<Child> {
    match Command::new(name).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            missing(name, error);
            None
        }
    }
}

const CLIENT: &str = r#"
import asyncio, sys

class Client(asyncio.Protocol):
    def __init__(self, done, message):
        self.done, self.message, self.got, self.eof = done, message, bytearray(), False

    def connection_made(self, transport):
        transport.write(self.message)
        transport.write_eof()

    def data_received(self, data):
        self.got += data

    def eof_received(self):
        self.eof = True

    def connection_lost(self, error):
        self.done.set_result((error, self.eof, bytes(self.got) == self.message))

async def main():
    loop = asyncio.get_running_loop()
    where = sys.argv[1]
    for size in (1, 1000, 70_000, 2_000_000):
        done = loop.create_future()
        message = bytes(n * 7 % 251 for n in range(size))
        if where.startswith("/"):
            await loop.create_unix_connection(lambda: Client(done, message), where)
        else:
            host, port = where.rsplit(":", 1)
            await loop.create_connection(lambda: Client(done, message), host, int(port))
        result = await asyncio.wait_for(done, 20)
        assert result == (None, True, True), result
    print("fine")

asyncio.run(main())
"#;

#[test]
fn an_asyncio_client_is_served() {
    //= READ-1, WRITE-3, EOF-2, CLOSE-11
    serve_asyncio::<Tcp>(|addr| addr.to_string());
    serve_asyncio::<Unix>(|path| path.to_str().unwrap().into());
}

fn serve_asyncio<F: Family>(named: impl Fn(F::Place) -> String) {
    let mut rig = Rigged::<F>::new();
    let (_, place) = rig.serve(|| Tap::new("server").echo());
    let Some(client) = python(CLIENT, &named(place)) else { return };
    let client = std::thread::spawn(move || client.wait_with_output().unwrap());
    while !client.is_finished() {
        rig.event_loop.run_once(Some(std::time::Duration::from_millis(10))).unwrap();
    }
    let output = client.join().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"fine\n");
    rig.until(|state| state.reasons.len() == 4);
    assert!(rig.state().reasons.iter().all(|reason| reason.error().is_none()));
}

/// More is written at once than the high mark allows.
const FLOW: [&str; 2] = ["client pause", "client resume"];

const SERVER: &str = r#"
import asyncio, sys

class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"hello\n")

    def data_received(self, data):
        self.transport.write(data.upper())

    def eof_received(self):
        self.transport.write(b"goodbye\n")
        return False

async def main():
    loop = asyncio.get_running_loop()
    if sys.argv[1]:
        server = await loop.create_unix_server(Server, sys.argv[1])
        print(server.sockets[0].getsockname(), flush=True)
    else:
        server = await loop.create_server(Server, "127.0.0.1", 0)
        print("%s:%d" % server.sockets[0].getsockname(), flush=True)
    await asyncio.wait_for(server.serve_forever(), 20)

asyncio.run(main())
"#;

#[test]
fn an_asyncio_server_is_used() {
    //= LIFE-6, EOF-6, EOF-10, READ-1
    use_asyncio::<Tcp>("", |line| line.parse::<SocketAddr>().unwrap());
    let path = socket_path();
    use_asyncio::<Unix>(path.to_str().unwrap(), |line| {
        assert_eq!(Path::new(line), path);
        path
    });
    let _ = std::fs::remove_file(path);
}

fn use_asyncio<F: Family>(at: &str, place: impl Fn(&str) -> F::Place) {
    let Some(server) = python(SERVER, at) else { return };
    let mut server = Killed(server);
    let mut line = String::new();
    BufReader::new(server.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let addr = place(line.trim());
    let mut rig = Rigged::<F>::new();
    let text = "a line of text\n".repeat(20_000);
    let message = text.clone();
    rig.event_loop.hub().connect(
        addr,
        Tap::new("client").on("made", move |cx| {
            cx.write(&*message);
            cx.write_eof().unwrap();
        }),
    );
    rig.until(|state| !state.reasons.is_empty());
    assert!(rig.state().received("client") == format!("hello\n{}goodbye\n", text.to_uppercase()).as_bytes());
    let mut log: Vec<&str> = rig.state().log.iter().map(String::as_str).filter(|entry| !FLOW.contains(entry)).collect();
    log.dedup();
    assert_eq!(log, ["client made", "client data", "client eof", "client lost(None)"]);
}

#[test]
fn the_usual_tools_are_served() {
    //= READ-1, EOF-2
    for (name, arguments) in [("socat", &["-", "TCP:127.0.0.1:PLACE"][..]), ("nc", &["-N", "127.0.0.1", "PLACE"])] {
        serve_tool::<Tcp>(name, arguments, |addr| addr.port().to_string());
    }
    for (name, arguments) in [("socat", &["-", "UNIX-CONNECT:PLACE"][..]), ("nc", &["-N", "-U", "PLACE"])] {
        serve_tool::<Unix>(name, arguments, |path| path.to_str().unwrap().into());
    }
}

fn serve_tool<F: Family>(name: &str, arguments: &[&str], named: impl Fn(F::Place) -> String) {
    let mut rig = Rigged::<F>::new();
    let (_, place) = rig.serve(|| Tap::new("server").echo());
    let arguments: Vec<String> = arguments.iter().map(|word| word.replace("PLACE", &named(place))).collect();
    let Some(mut client) = tool(name, &arguments.iter().map(String::as_str).collect::<Vec<_>>()) else { return };
    let bytes = pattern(100_000);
    let mut stdin = client.stdin.take().unwrap();
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent));
    let client = std::thread::spawn(move || client.wait_with_output().unwrap());
    while !client.is_finished() {
        rig.event_loop.run_once(Some(std::time::Duration::from_millis(10))).unwrap();
    }
    writer.join().unwrap().unwrap();
    assert!(client.join().unwrap().stdout == bytes, "{name} got other bytes back");
}

#[test]
fn socat_serves_on_a_unix_socket() {
    //= LOOP-10, READ-1, EOF-6
    let path = socket_path();
    let listen = format!("UNIX-LISTEN:{},unlink-close", path.display());
    let Some(server) = tool("socat", &[&listen, "SYSTEM:cat"]) else { return };
    let _server = Killed(server);
    let deadline = std::time::Instant::now() + super::kit::PATIENCE;
    while !path.exists() {
        assert!(std::time::Instant::now() < deadline, "socat does not listen");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let mut rig = Rig::new();
    let bytes = pattern(100_000);
    let sent = bytes.clone();
    rig.event_loop.hub().connect(
        path,
        Tap::new("client").on("made", move |cx| {
            cx.write(&sent);
            cx.write_eof().unwrap();
        }),
    );
    rig.until(|state| !(state.reasons.is_empty() && state.refusals.is_empty()));
    assert!(rig.state().received("client") == bytes, "the bytes came changed");
    assert!(rig.state().saw("client lost(None)"));
}

#[test]
fn curl_gets_an_answer() {
    //= WRITE-13, CLOSE-11
    let mut rig = Rig::new();
    let answer = "HTTP/1.0 200 OK\r\ncontent-length: 6\r\n\r\nhello\n";
    let (_, addr) = rig.serve(move || {
        Tap::new("server").on("data", move |cx| {
            if cx.state.received("server").ends_with(b"\r\n\r\n") {
                cx.write(answer);
                cx.close();
            }
        })
    });
    let Some(client) = tool("curl", &["-s", "--max-time", "10", "--noproxy", "*", &format!("http://{addr}/")]) else { return };
    let client = std::thread::spawn(move || client.wait_with_output().unwrap());
    while !client.is_finished() {
        rig.event_loop.run_once(Some(std::time::Duration::from_millis(10))).unwrap();
    }
    assert_eq!(client.join().unwrap().stdout, b"hello\n");
}

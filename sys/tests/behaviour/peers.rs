//! Peers that are not ours, where this machine has them.

use super::kit::{Rig, Tap, pattern};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A peer written in Python, on CPython's asyncio; none if there is no Python.
fn python(script: &str, argument: &str) -> Option<Child> {
    let child = Command::new("python3").args(["-c", script, argument]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    match child {
        Ok(child) => Some(child),
        Err(error) => {
            println!("skipped: python3: {error}");
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
            println!("skipped: {name}: {error}");
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
    host, port = sys.argv[1].rsplit(":", 1)
    for size in (1, 1000, 70_000, 2_000_000):
        done = loop.create_future()
        message = bytes(n * 7 % 251 for n in range(size))
        await loop.create_connection(lambda: Client(done, message), host, int(port))
        result = await asyncio.wait_for(done, 20)
        assert result == (None, True, True), result
    print("fine")

asyncio.run(main())
"#;

#[test]
fn an_asyncio_client_is_served() {
    //= READ-1, WRITE-3, EOF-2, CLOSE-11
    let mut rig = Rig::new();
    let (_, addr) = rig.serve(|| Tap::new("server").echo());
    let Some(client) = python(CLIENT, &addr.to_string()) else { return };
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
import asyncio

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
    server = await loop.create_server(Server, "127.0.0.1", 0)
    print("%s:%d" % server.sockets[0].getsockname(), flush=True)
    await asyncio.wait_for(server.serve_forever(), 20)

asyncio.run(main())
"#;

#[test]
fn an_asyncio_server_is_used() {
    //= LIFE-6, EOF-6, EOF-10, READ-1
    let Some(server) = python(SERVER, "") else { return };
    let mut server = Killed(server);
    let mut line = String::new();
    BufReader::new(server.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let addr: SocketAddr = line.trim().parse().unwrap();
    let mut rig = Rig::new();
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
    let log: Vec<&str> = rig.state().log.iter().map(String::as_str).filter(|entry| !FLOW.contains(entry)).collect();
    assert_eq!(log, ["client made", "client data", "client eof", "client lost(None)"]);
}

#[test]
fn the_usual_tools_are_served() {
    //= READ-1, EOF-2
    for (name, arguments) in [("socat", &["-", "TCP:127.0.0.1:PORT"][..]), ("nc", &["-N", "127.0.0.1", "PORT"])] {
        let mut rig = Rig::new();
        let (_, addr) = rig.serve(|| Tap::new("server").echo());
        let arguments: Vec<String> = arguments.iter().map(|word| word.replace("PORT", &addr.port().to_string())).collect();
        let Some(mut client) = tool(name, &arguments.iter().map(String::as_str).collect::<Vec<_>>()) else { continue };
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

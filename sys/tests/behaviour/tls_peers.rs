//! Secure connections with peers that are not ours: OpenSSL, CPython, tokio-rustls, curl.

use super::certs::{self, client, name, pem_files, server, tls_client, tls_server};
use super::kit::{PATIENCE, Rig, State, Tap, any_port, pattern, socket_path};
use super::tls::serve;
use crate::backend::tls::Tls;
use crate::backend::{Connect, Context, Data, Listen, Protocol};
use rustls::server::WebPkiClientVerifier;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A tool of the system's, whose lines come one by one; none, and a line that says so, if it is not there.
struct Tool {
    child: Child,
    lines: Receiver<String>,
}

impl Tool {
    fn start(name: &str, arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new(name);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: {name}: {error}");
                return None;
            }
        };
        let (send, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Some(Self { child, lines })
    }

    fn say(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// Iterates the loop until the tool has said that.
    #[track_caller]
    fn until_says(&self, rig: &mut Rig, what: &str) {
        let mut said = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while !said.iter().any(|line: &String| line.contains(what)) {
            let reported = rig.reports.borrow();
            assert!(Instant::now() < deadline, "it never said {what}: {said:?}, {:?}, {reported:?}", rig.event_loop.state().log);
            drop(reported);
            rig.spin(Duration::from_millis(5));
            said.extend(self.lines.try_iter());
        }
    }

    /// Says nothing more.
    fn finish(&mut self) {
        self.child.stdin.take();
    }

    #[track_caller]
    fn succeeds(mut self, rig: &mut Rig) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            rig.spin(Duration::from_millis(5));
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            assert!(Instant::now() < deadline, "it never ends");
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const OPENSSL_VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

fn s_client(place: SocketAddr, arguments: &[&str]) -> Option<Tool> {
    let (cert, _) = pem_files();
    let at = place.to_string();
    let common = ["s_client", "-connect", &at, "-CAfile", cert, "-verify_return_error", "-servername", "localhost"];
    Tool::start("openssl", &[&common[..], &["-quiet", "-no_ign_eof"], arguments].concat())
}

#[test]
fn openssl_is_served() {
    //= TLS-1, TLS-8, TLS-17
    for (version, argument) in certs::VERSIONS.into_iter().zip(OPENSSL_VERSIONS) {
        let mut rig = Rig::new();
        let (_server, place) = serve(&mut rig, tls_server(version), || Tap::new("server").echo());
        let Some(mut peer) = s_client(place, &[argument]) else { return };
        rig.until_saw("server made");
        peer.say("hello\n");
        peer.until_says(&mut rig, "hello");
        peer.finish();
        rig.until_saw("server lost(None)");
        assert_eq!(rig.state().log, ["server made", "server data", "server eof", "server lost(None)"]);
        peer.succeeds(&mut rig);
    }
}

#[test]
fn a_renegotiation_is_refused_and_harms_nobody() {
    //= TLS-10, RUST-6
    let mut rig = Rig::new();
    let (_server, place) = serve(&mut rig, tls_server(certs::VERSIONS[0]), || Tap::new("server").echo());
    let at = place.to_string();
    let Some(mut peer) = Tool::start("openssl", &["s_client", "-connect", &at, "-tls1_2", "-no_ign_eof"]) else { return };
    rig.until_saw("server made");
    // A line with an R alone asks for it.
    peer.say("R\n");
    rig.until(|state| state.log.iter().any(|entry| entry.starts_with("server lost")));
    let Some(mut other) = s_client(place, &["-tls1_2"]) else { return };
    other.say("still here\n");
    other.until_says(&mut rig, "still here");
}

#[test]
fn openssl_shows_its_certificate_where_it_is_asked_to() {
    //= TLS-2, INFO-5
    for (version, argument) in certs::VERSIONS.into_iter().zip(OPENSSL_VERSIONS) {
        let roots = Arc::new(certs::roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, certs::provider()).build().unwrap();
        let asking = Tls::server(certs::server_with(version, |config| config.with_client_cert_verifier(verifier)));
        let mut rig = Rig::new();
        let (_server, place) = serve(&mut rig, asking, || Tap::new("server").echo());
        let (cert, key) = pem_files();
        let Some(mut peer) = s_client(place, &[argument, "-cert", cert, "-key", key]) else { return };
        rig.until_saw("server made");
        let id = rig.state().id("server");
        assert_eq!(rig.event_loop.hub().tls_info(id).unwrap().peer_certificates.len(), 1);
        peer.say("hello\n");
        peer.until_says(&mut rig, "hello");
        let Some(_nameless) = s_client(place, &[argument]) else { return };
        let reports = rig.reports.clone();
        rig.until(|_| !reports.borrow().is_empty());
        assert!(rig.reported()[0].contains("no certificate"), "who shows none is refused");
    }
}

/// A port on which nobody listens.
fn free_port() -> SocketAddr {
    TcpListener::bind(any_port()).unwrap().local_addr().unwrap()
}

#[test]
fn openssl_serves_us() {
    //= TLS-1, TLS-11
    for (version, argument) in certs::VERSIONS.into_iter().zip(OPENSSL_VERSIONS) {
        let mut rig = Rig::new();
        let place = free_port();
        let (cert, key) = pem_files();
        let port = place.port().to_string();
        let Some(peer) = Tool::start("openssl", &["s_server", "-accept", &port, "-cert", cert, "-key", key, "-rev", argument])
        else {
            return;
        };
        peer.until_says(&mut rig, "ACCEPT");
        let tap = Tap::new("client").on("made", |cx| {
            cx.write("one line\n");
        });
        let mut config = client(version);
        config.alpn_protocols.clear();
        let id = rig.event_loop.hub().connect(Connect::to(place).tls(Tls::client(config, name())), tap);
        rig.until(|state| state.received("client") == b"enil eno\n");
        rig.event_loop.hub().close(id);
        rig.until_saw("client lost(None)");
    }
}

#[test]
fn we_show_our_certificate_to_openssl_where_it_asks_for_one() {
    //= TLS-2, INFO-5
    for (version, argument) in certs::VERSIONS.into_iter().zip(OPENSSL_VERSIONS) {
        let mut rig = Rig::new();
        let place = free_port();
        let (cert, key) = pem_files();
        let port = place.port().to_string();
        let asks = ["s_server", "-accept", &port, "-cert", cert, "-key", key, "-rev", argument];
        let asks = [&asks[..], &["-Verify", "1", "-CAfile", cert, "-verify_return_error"]].concat();
        let Some(peer) = Tool::start("openssl", &asks) else { return };
        peer.until_says(&mut rig, "ACCEPT");
        let tap = Tap::new("client").on("made", |cx| {
            cx.write("one line\n");
        });
        let known = Tls::client(certs::client_with_certificate(version), name());
        let id = rig.event_loop.hub().connect(Connect::to(place).tls(known), tap);
        rig.until(|state| state.received("client") == b"enil eno\n");
        rig.event_loop.hub().close(id);
        rig.until_saw("client lost(None)");

        // Who shows none is told so: in the handshake, or, since a client of 1.3 has finished that by then, behind it.
        let mut config = client(version);
        config.alpn_protocols.clear();
        rig.event_loop.hub().connect(Connect::to(place).tls(Tls::client(config, name())), Tap::new("stranger"));
        rig.until(|state| state.saw("stranger refused") || state.saw("stranger lost(TlsError)"));
        assert!(!rig.state().saw("stranger data"));
    }
}

#[test]
fn openssl_resumes_its_session() {
    //= INFO-5
    for (version, argument) in certs::VERSIONS.into_iter().zip(OPENSSL_VERSIONS) {
        let mut rig = Rig::new();
        let (_server, place) = serve(&mut rig, tls_server(version), || Tap::new("server").echo());
        let file = socket_path().to_str().unwrap();
        for (n, session) in ["-sess_out", "-sess_in"].into_iter().enumerate() {
            let Some(mut peer) = s_client(place, &[argument, session, file]) else { return };
            rig.until(|state| state.made.len() == n + 1);
            let id = rig.state().made[n].1;
            assert_eq!(rig.event_loop.hub().tls_info(id).unwrap().resumed, n == 1, "{argument} {session}");
            peer.say("hello\n");
            peer.until_says(&mut rig, "hello");
            peer.finish();
            rig.until(|state| state.times("server lost(None)") == n + 1);
            peer.succeeds(&mut rig);
        }
        std::fs::remove_file(file).unwrap();
    }
}

/// Runs a future of tokio's on a thread of its own.
fn tokio<F: Future<Output = ()> + Send + 'static>(future: F) -> thread::JoinHandle<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    thread::spawn(move || runtime.block_on(future))
}

#[test]
fn tokio_rustls_talks_to_us_in_both_roles() {
    //= TLS-1, TLS-8, TLS-11
    let sent = pattern(1 << 20);
    for version in certs::VERSIONS {
        let mut rig = Rig::new();
        let (_server, place) = serve(&mut rig, tls_server(version), || Tap::new("server").echo());
        let message = sent.clone();
        let peer = tokio(async move {
            let stream = tokio::net::TcpStream::connect(place).await.unwrap();
            let mut stream = TlsConnector::from(Arc::new(client(version))).connect(name(), stream).await.unwrap();
            stream.write_all(&message).await.unwrap();
            stream.flush().await.unwrap();
            let mut back = vec![0; message.len()];
            stream.read_exact(&mut back).await.unwrap();
            assert!(back == message);
            stream.shutdown().await.unwrap();
            // An end without a closing word would be an error.
            assert_eq!(stream.read(&mut back).await.unwrap(), 0);
        });
        rig.until_saw("server lost(None)");
        peer.join().unwrap();

        let listener = TcpListener::bind(any_port()).unwrap();
        let place = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let peer = tokio(async move {
            let (stream, _) = tokio::net::TcpListener::from_std(listener).unwrap().accept().await.unwrap();
            let stream = TlsAcceptor::from(Arc::new(server(version))).accept(stream).await.unwrap();
            let (mut from, mut to) = tokio::io::split(stream);
            // Until we take leave, in order.
            tokio::io::copy(&mut from, &mut to).await.unwrap();
            to.shutdown().await.unwrap();
        });
        let message = sent.clone();
        let tap = Tap::new("client").on("made", move |cx| {
            cx.write(message.clone());
        });
        let id = rig.event_loop.hub().connect(Connect::to(place).tls(tls_client(version)), tap);
        rig.until(|state| state.received("client").len() == 1 << 20);
        assert!(rig.state().received("client") == sent);
        rig.event_loop.hub().close(id);
        rig.until_saw("client lost(None)");
        peer.join().unwrap();
    }
}

const PYTHON_CLIENT: &str = r#"
import asyncio, ssl, sys
async def main(port, cafile):
    context = ssl.create_default_context(cafile=cafile)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    message = bytes(range(256)) * 4096
    writer.write(message)
    assert await reader.readexactly(len(message)) == message
    writer.close()
    await writer.wait_closed()
    print("done", flush=True)
asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
"#;

const PYTHON_SERVER: &str = r#"
import asyncio, ssl, sys
async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def main(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main(sys.argv[1], sys.argv[2]))
"#;

#[test]
fn cpythons_asyncio_talks_to_us_in_both_roles() {
    //= TLS-1, TLS-8, TLS-11
    let (cert, key) = pem_files();
    let mut rig = Rig::new();
    let (_server, place) = serve(&mut rig, tls_server(certs::VERSIONS[1]), || Tap::new("server").echo());
    let port = place.port().to_string();
    let Some(peer) = Tool::start("python3", &["-c", PYTHON_CLIENT, &port, cert]) else { return };
    peer.until_says(&mut rig, "done");
    rig.until_saw("server lost(None)");
    peer.succeeds(&mut rig);

    let Some(peer) = Tool::start("python3", &["-c", PYTHON_SERVER, cert, key]) else { return };
    let line = peer.lines.recv_timeout(PATIENCE).unwrap();
    let port: u16 = line.strip_prefix("port ").unwrap().parse().unwrap();
    let sent = pattern(1 << 20);
    let message = sent.clone();
    let tap = Tap::new("client").on("made", move |cx| {
        cx.write(message.clone());
    });
    let mut config = client(certs::VERSIONS[1]);
    config.alpn_protocols.clear();
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    let id = rig.event_loop.hub().connect(Connect::to(to).tls(Tls::client(config, name())), tap);
    rig.until(|state| state.received("client").len() == 1 << 20);
    assert!(rig.state().received("client") == sent);
    rig.event_loop.hub().close(id);
    rig.until_saw("client lost(None)");
}

/// Answers one request and closes.
struct Page;

impl Protocol<State> for Page {
    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        if data.ends_with(b"\r\n\r\n") {
            cx.write("HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\nover TLS 1\n");
            cx.close();
        }
    }
}

#[test]
fn curl_fetches_a_page() {
    //= TLS-1, TLS-11
    let mut rig = Rig::new();
    let mut config = server(certs::VERSIONS[1]);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let listen = Listen::on(any_port()).tls(Tls::server(config));
    let server = rig.event_loop.listen(listen, |_, _| Page).unwrap();
    let port = server.addr().inet().unwrap().port();
    let (cert, _) = pem_files();
    let url = format!("https://localhost:{port}/");
    let resolve = format!("localhost:{port}:127.0.0.1");
    let Some(peer) = Tool::start("curl", &["--silent", "--show-error", "--cacert", cert, "--resolve", &resolve, &url]) else {
        return;
    };
    peer.until_says(&mut rig, "over TLS 1");
    peer.succeeds(&mut rig);
}

/// As much of SMTP as an upgrade takes, and then an echo.
#[derive(Default)]
struct Mail {
    secure: bool,
}

impl Protocol<State> for Mail {
    fn connection_made(&mut self, cx: &mut Context<'_, State>) {
        cx.write("220 localhost\r\n");
    }

    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        if self.secure {
            cx.write(data);
        } else if data.starts_with(b"EHLO") {
            cx.write("250-localhost\r\n250 STARTTLS\r\n");
        } else if &data[..] == b"STARTTLS\r\n" {
            cx.write("220 go ahead\r\n");
            cx.hub.start_tls(cx.id, &tls_server(certs::VERSIONS[1]), b"").unwrap();
        }
    }

    fn start_tls_done(&mut self, cx: &mut Context<'_, State>) {
        self.secure = true;
        cx.state.note("upgraded");
    }
}

#[test]
fn openssl_upgrades_a_connection() {
    //= TLS-18, TLS-19
    let mut rig = Rig::new();
    let server = rig.event_loop.listen(any_port(), |_, _| Mail::default()).unwrap();
    let Some(mut peer) = s_client(server.addr().inet().unwrap(), &["-starttls", "smtp"]) else { return };
    rig.until_saw("upgraded");
    peer.say("in secret\n");
    peer.until_says(&mut rig, "in secret");
}

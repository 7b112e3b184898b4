//! Sends a message over TLS, prints the echo, and ends: `tls_client [--backend mio|polling] [HOST:PORT]`.
//!
//! The server's certificate has to be for HOST, and one that the operating system trusts; or, if the environment variable ROOTS names a file, one that the
//! certificates in it vouch for, in PEM.

use plimsoll_examples::ByName;
use plimsoll_examples::tls::client_config;
use plimsoll_mio::tls::Tls;
use plimsoll_mio::{CloseReason, Connect, Context, Data, OpenError, Protocol, Selector};
use rustls::pki_types::ServerName;
use std::io;
use std::process::ExitCode;

const MESSAGE: &str = "Hello World!";

/// What became of the connection.
type Outcome = Option<io::Result<()>>;

#[derive(Default)]
struct Client {
    received: Vec<u8>,
}

impl Protocol<Outcome> for Client {
    /// The handshake is done, and the server is who it should be.
    fn connection_made(&mut self, cx: &mut Context<'_, Outcome>) {
        if let Some(info) = cx.hub.tls_info(cx.id) {
            println!("{}, {}", info.version.unwrap_or("TLS"), info.cipher.unwrap_or("a cipher without a name"));
        }
        cx.write(MESSAGE);
        println!("data sent: {MESSAGE}");
    }

    fn data_received(&mut self, cx: &mut Context<'_, Outcome>, data: Data<'_>) {
        self.received.extend_from_slice(&data);
        if self.received.len() >= MESSAGE.len() {
            println!("data received: {}", String::from_utf8_lossy(&self.received));
            cx.close();
        }
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, Outcome>, error: OpenError) {
        *cx.state = Some(Err(error.into()));
        cx.hub.stop();
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Outcome>, reason: CloseReason) {
        println!("the connection is {reason}");
        let complete = self.received == MESSAGE.as_bytes();
        *cx.state = Some(if complete { Ok(()) } else { Err(io::Error::other("that is not the echo of what was sent")) });
        cx.hub.stop();
    }
}

struct Main;

impl ByName for Main {
    fn run<P: Selector>(self, hosts: &[(String, u16)]) -> io::Result<()> {
        let (host, port) = &hosts[0];
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let to = Connect::host(host.as_str(), *port).stagger(Connect::STAGGER).tls(Tls::client(client_config()?, name));
        let mut event_loop = plimsoll_sys::EventLoop::<Outcome, P>::new(None)?;
        event_loop.hub().connect(to, Client::default());
        event_loop.run()?;
        event_loop.state().take().unwrap_or(Ok(()))
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main_by_name(Main, &["localhost:8443"])
}

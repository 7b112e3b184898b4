//! Sends a message over TLS, prints the echo, and ends: `tls_client [--backend mio|polling] [HOST:PORT]`.
//!
//! The server's certificate has to be for HOST, and one that the operating system trusts; or, if the environment variable ROOTS names a file, one that the
//! certificates in it vouch for, in PEM.

use plimsoll_examples::ByName;
use plimsoll_mio::tls::Tls;
use plimsoll_mio::{CloseReason, Connect, Context, Data, OpenError, Protocol, Selector};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::env;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

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

fn config() -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let Ok(file) = env::var("ROOTS") else {
        return Ok(builder.with_platform_verifier().map_err(io::Error::other)?.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(io::Error::other)? {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

struct Main;

impl ByName for Main {
    fn run<P: Selector>(self, hosts: &[(String, u16)]) -> io::Result<()> {
        let (host, port) = &hosts[0];
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let to = Connect::host(host.as_str(), *port).stagger(Connect::STAGGER).tls(Tls::client(config()?, name));
        let mut event_loop = plimsoll_sys::EventLoop::<Outcome, P>::new(None)?;
        event_loop.hub().connect(to, Client::default());
        event_loop.run()?;
        event_loop.state().take().unwrap_or(Ok(()))
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main_by_name(Main, &["localhost:8443"])
}

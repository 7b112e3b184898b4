//! Sends back what it gets, over TLS: `tls_echo_server [--backend mio|polling] [ADDR]`.
//!
//! The environment variables CERT and KEY name a certificate and its key, in PEM. Without them it makes a certificate for `localhost`, which is good for as long
//! as it runs, and prints it for clients that are to trust it.

use core::net::SocketAddr;
use plimsoll_examples::Example;
use plimsoll_mio::tls::Tls;
use plimsoll_mio::{CloseReason, Context, Data, Listen, Protocol, Selector};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::env;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

struct Echo;

impl Protocol<()> for Echo {
    /// The handshake is done.
    fn connection_made(&mut self, cx: &mut Context<'_, ()>) {
        if let (Some(peer), Some(info)) = (cx.hub.peer_addr(cx.id), cx.hub.tls_info(cx.id)) {
            println!("connection from {peer}, {}", info.version.unwrap_or("TLS"));
        }
        cx.hub.read_follows_write(cx.id, cx.id);
    }

    fn data_received(&mut self, cx: &mut Context<'_, ()>, data: Data<'_>) {
        cx.write(data);
    }

    fn connection_lost(self: Box<Self>, _: &mut Context<'_, ()>, reason: CloseReason) {
        if let Some(peer) = &reason.ends().peer {
            println!("{peer}: {reason}");
        }
    }
}

/// A certificate with its key.
fn identity() -> io::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    if let (Ok(certificate), Ok(key)) = (env::var("CERT"), env::var("KEY")) {
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect).map_err(io::Error::other)?;
        return Ok((chain, PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?));
    }
    let made = rcgen::generate_simple_self_signed([String::from("localhost")]).map_err(io::Error::other)?;
    print!("{}", made.cert.pem());
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.der().clone()], key.into()))
}

struct Server;

impl Example for Server {
    fn run<P: Selector>(self, addrs: &[SocketAddr]) -> io::Result<()> {
        let (chain, key) = identity()?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(io::Error::other)?;
        let mut event_loop = plimsoll_sys::EventLoop::<(), P>::new(())?;
        let server = event_loop.listen(Listen::on(addrs[0]).tls(Tls::server(config)), |_, _| Echo)?;
        println!("listening on {}", server.addr());
        event_loop.run()
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main(Server, &["127.0.0.1:8443"])
}

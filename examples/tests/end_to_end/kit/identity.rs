//! Who a secure server is.

use super::{PATIENCE, Program};
use core::sync::atomic::{AtomicUsize, Ordering};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

/// A file that goes with the test.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    pub(crate) fn new(content: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("plimsoll-{}-{number}.pem", std::process::id()));
        fs::write(&path, content).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The certificate that a server has printed before it said anything else.
pub(crate) fn printed_by(server: &Program) -> Temporary {
    let mut printed: Vec<String> = Vec::new();
    while !printed.last().is_some_and(|line| line.contains("END CERTIFICATE")) {
        printed.push(server.out.wait_for(printed.len() + 1, "").1);
    }
    Temporary::new(&printed.join("\n"))
}

/// A certificate for `localhost` and its key, in files; and a server over plain rustls that has them.
pub(crate) struct Identity {
    pub(crate) certificate: Temporary,
    pub(crate) key: Temporary,
    config: Arc<ServerConfig>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let (certificate, key) = (Temporary::new(&made.cert.pem()), Temporary::new(&made.signing_key.serialize_pem()));
        Self { certificate, key, config: Arc::new(config) }
    }

    /// The server's side of a connection. The handshake comes with the first byte.
    pub(crate) fn serve(&self, stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        StreamOwned::new(ServerConnection::new(self.config.clone()).unwrap(), stream)
    }
}

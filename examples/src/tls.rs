//! What the secure examples have in common: who they are, and whom they trust.

use plimsoll_mio::platform_client_config;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::env;
use std::io;
use std::sync::Arc;

/// Every application chooses its own; no crate of plimsoll's does.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A server with the certificate and the key that the environment variables CERT and KEY name, in PEM. Without them it makes a certificate for `localhost`, which is
/// good for as long as the program runs, and prints it for clients that are to trust it.
///
/// # Errors
/// If they cannot be read, or do not belong together.
pub fn server_config() -> io::Result<ServerConfig> {
    let (chain, key) = identity()?;
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)
}

/// A client that trusts whom the operating system trusts; or, if the environment variable ROOTS names a file, the certificates in it, in PEM, and nobody else.
///
/// # Errors
/// If there is nobody to trust.
pub fn client_config() -> io::Result<ClientConfig> {
    let Ok(file) = env::var("ROOTS") else {
        return platform_client_config(provider()).map_err(io::Error::other);
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(io::Error::other)? {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    Ok(builder.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth())
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

//! A certificate for `localhost`, and configurations of both ends: for tests of the core, of the simulator and of backends.
#![allow(dead_code, reason = "not every test uses all of it")]

use plimsoll_core::tls::Tls;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{ProducesTickets, WantsServerCert};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion, WantsVerifier};
use std::sync::{Arc, OnceLock};

pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    /// Of the certificate and of the key.
    pem: [String; 2],
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let pem = [made.cert.pem(), made.signing_key.serialize_pem()];
        Identity { certificate: made.cert.der().clone(), key: made.signing_key.serialize_der(), pem }
    })
}

/// The certificate and its key in files, for peers that read them; they stay for as long as the temporary directory does.
pub(crate) fn pem_files() -> (&'static str, &'static str) {
    static FILES: OnceLock<[String; 2]> = OnceLock::new();
    let [certificate, key] = FILES.get_or_init(|| {
        let mut parts = ["cert", "key"].into_iter().zip(&identity().pem);
        [(); 2].map(|()| {
            let (name, pem) = parts.next().unwrap();
            let path = std::env::temp_dir().join(format!("plimsoll-{}-{name}.pem", std::process::id()));
            std::fs::write(&path, pem).unwrap();
            String::from(path.to_str().unwrap())
        })
    });
    (certificate, key)
}

/// With `RUSTFLAGS="--cfg plimsoll_aws_lc_rs"` it is the other one.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    #[cfg(plimsoll_aws_lc_rs)]
    return Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(not(plimsoll_aws_lc_rs))]
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What keeps sessions in tickets.
pub(crate) fn ticketer() -> Arc<dyn ProducesTickets> {
    #[cfg(plimsoll_aws_lc_rs)]
    return rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    #[cfg(not(plimsoll_aws_lc_rs))]
    rustls::crypto::ring::Ticketer::new().unwrap()
}

pub(crate) fn certificate() -> &'static CertificateDer<'static> {
    &identity().certificate
}

/// That certificate is one's own root.
pub(crate) fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(identity().certificate.clone()).unwrap();
    roots
}

pub(crate) fn name() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}

fn key() -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(identity().key.clone()).into()
}

pub(crate) fn client(version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"echo".to_vec()];
    config
}

/// Shows a certificate too, and speaks no protocol in particular.
pub(crate) fn client_with_certificate(version: &'static SupportedProtocolVersion) -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots())
        .with_client_auth_cert(vec![identity().certificate.clone()], key())
        .unwrap()
}

/// Trusts nobody.
pub(crate) fn suspicious_client() -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

pub(crate) fn server(version: &'static SupportedProtocolVersion) -> ServerConfig {
    server_with(version, ConfigBuilder::<ServerConfig, _>::with_no_client_auth)
}

/// A server that asks for what is said there of its clients.
pub(crate) fn server_with(
    version: &'static SupportedProtocolVersion,
    clients: impl FnOnce(ConfigBuilder<ServerConfig, WantsVerifier>) -> ConfigBuilder<ServerConfig, WantsServerCert>,
) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
    let mut config = clients(builder).with_single_cert(vec![identity().certificate.clone()], key()).unwrap();
    config.alpn_protocols = vec![b"echo".to_vec()];
    config
}

pub(crate) fn tls_client(version: &'static SupportedProtocolVersion) -> Tls {
    Tls::client(client(version), name())
}

pub(crate) fn tls_server(version: &'static SupportedProtocolVersion) -> Tls {
    Tls::server(server(version))
}

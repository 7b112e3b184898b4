//! A certificate for `localhost`, and configurations of both ends: for tests of the core, of the simulator and of backends.
#![allow(dead_code, reason = "not every test uses all of it")]

use plimsoll_core::tls::Tls;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::{Arc, OnceLock};

pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn identity() -> &'static (CertificateDer<'static>, Vec<u8>) {
    static IDENTITY: OnceLock<(CertificateDer<'static>, Vec<u8>)> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        (made.cert.der().clone(), made.signing_key.serialize_der())
    })
}

pub(crate) fn name() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}

fn key() -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(identity().1.clone()).into()
}

pub(crate) fn client(version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(identity().0.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"echo".to_vec()];
    config
}

/// Trusts nobody.
pub(crate) fn suspicious_client() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

pub(crate) fn server(version: &'static SupportedProtocolVersion) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity().0.clone()], key())
        .unwrap();
    config.alpn_protocols = vec![b"echo".to_vec()];
    config
}

pub(crate) fn tls_client(version: &'static SupportedProtocolVersion) -> Tls {
    Tls::client(client(version), name())
}

pub(crate) fn tls_server(version: &'static SupportedProtocolVersion) -> Tls {
    Tls::server(server(version))
}

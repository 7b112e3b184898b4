//! Certificates that are made for a test, good ones and bad ones.

use crate::behaviour::certs::provider;
use crate::behaviour::kit::socket_path;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::client::{ClientConfig, WebPkiServerVerifier};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, SupportedProtocolVersion};
use std::path::Path;
use std::sync::Arc;

/// Who vouches for others.
pub(super) struct Authority {
    pub(super) file: Pem,
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap();
        Self { file: Pem::new(&certificate.pem()), certificate, issuer: Issuer::new(params, key) }
    }

    pub(super) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// Vouches for whoever has that name.
    pub(super) fn vouch(&self, name: &str) -> Identity {
        self.sign(params(name, &[name]))
    }

    /// Has vouched for that name, until some years ago.
    pub(super) fn vouch_too_long_ago(&self, name: &str) -> Identity {
        let mut params = params(name, &[name]);
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        Identity::new(params.signed_by(&key, &self.issuer).unwrap(), &key)
    }

    /// A client that trusts whom we vouch for, and shows that certificate, if any.
    pub(super) fn client(&self, version: &'static SupportedProtocolVersion, shown: Option<&Identity>) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
        let builder =
            builder.with_webpki_verifier(WebPkiServerVerifier::builder_with_provider(self.roots(), provider()).build().unwrap());
        match shown {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_auth_cert(vec![identity.certificate.der().clone()], identity.key()).unwrap(),
        }
    }
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A certificate with its key, in files too.
pub(super) struct Identity {
    pub(super) certificate: Certificate,
    key: Vec<u8>,
    pub(super) cert_file: Pem,
    pub(super) key_file: Pem,
}

impl Identity {
    fn new(certificate: Certificate, key: &KeyPair) -> Self {
        let (cert_file, key_file) = (Pem::new(&certificate.pem()), Pem::new(&key.serialize_pem()));
        Self { certificate, key: key.serialize_der(), cert_file, key_file }
    }

    /// Nobody vouches for it but itself.
    pub(super) fn alone(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self::new(params(name, &[name]).self_signed(&key).unwrap(), &key)
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

/// A file that goes with the test.
pub(super) struct Pem(&'static Path);

impl Pem {
    fn new(text: &str) -> Self {
        let path = socket_path();
        std::fs::write(path, text).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &'static str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0);
    }
}

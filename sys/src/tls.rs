//! Clients that trust whom the operating system trusts.

use plimsoll_core::tls::{Tls, TlsError};
use plimsoll_core::{Call, Error, ErrorKind};
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;

/// What this crate adds to [`Tls`].
pub trait TlsExt: Sized {
    /// As a client that speaks to the server of this name, and believes its certificate if the operating system does; with the provider of cryptography that the
    /// process has [installed](CryptoProvider::install_default). For another provider, ALPN, or a certificate of one's own: [`platform_client_config`].
    ///
    /// Where the operating system keeps its roots in files they are read here, all of them: clone what this makes rather than make it anew.
    ///
    /// ```no_run
    /// use plimsoll_sys::TlsExt;
    /// use plimsoll_core::Connect;
    /// use plimsoll_core::tls::Tls;
    /// use rustls::pki_types::ServerName;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// rustls::crypto::ring::default_provider().install_default().ok();
    /// let to = Connect::host("example.org", 443).tls(Tls::platform_client(ServerName::try_from("example.org")?)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` if no provider is installed, or if the operating system has no roots.
    fn platform_client(name: ServerName<'static>) -> Result<Self, TlsError>;
}

impl TlsExt for Tls {
    fn platform_client(name: ServerName<'static>) -> Result<Self, TlsError> {
        let provider = CryptoProvider::get_default().ok_or_else(|| unusable("no provider of cryptography is installed"))?;
        Ok(Self::client(platform_client_config(provider.clone())?, name))
    }
}

/// A configuration of clients that believe the certificates that the operating system believes, with this provider of cryptography, its safe versions of TLS and no
/// certificate of their own; for [`Tls::client`]. ALPN and resumption can be set on it. Clients with a certificate, or with roots of their own, are made by
/// [`ClientConfig::builder_with_provider`].
///
/// # Errors
/// `InvalidInput` if the provider can do no version of TLS, or if the operating system has no roots.
pub fn platform_client_config(provider: Arc<CryptoProvider>) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let verified = builder.and_then(BuilderVerifierExt::with_platform_verifier).map_err(|error| unusable(error.to_string()))?;
    Ok(verified.with_no_client_auth())
}

fn unusable(detail: impl Into<Box<str>>) -> TlsError {
    TlsError::new(Error::new(Call::Check, ErrorKind::InvalidInput), detail)
}

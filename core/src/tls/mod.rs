//! Secure connections: TLS between a protocol and its connection.
//!
//! A [`Session`] is one end of a TLS connection without a transport: bytes in, bytes out. [`RustlsSession`] is one over rustls (feature
//! `rustls`); another implementation needs nothing but that trait. [`Tls`] says how sessions are made and how long they may take, and is given to
//! [`Connect::tls`](crate::Connect::tls), [`Listen::tls`](crate::Listen::tls), [`Hub::adopt_tls`](crate::Hub::adopt_tls) or
//! [`Hub::start_tls`](crate::Hub::start_tls). The protocol is the same as without:
//!
//! - `connection_made` comes when the handshake is done, and what is written before then waits for it (contract TLS-1);
//! - a handshake that fails, or takes longer than its limit, is an opening that fails (contract TLS-2, TLS-3); on a server it is reported, and nobody is called;
//! - `close` sends what is queued, says so to the peer and waits for its answer, at most for the limit (contract TLS-4, TLS-11);
//! - there is no half-close: `write_eof` is refused, and `eof_received` cannot keep the connection (contract TLS-6, TLS-7);
//! - a connection that ends without a closing word ends with [`TlsTruncated`](crate::ErrorKind::TlsTruncated) and without `eof_received` (contract TLS-9);
//! - the size of the queue counts every byte, clear or encrypted, against one pair of marks (contract TLS-15).
//!
//! Written bytes are encrypted as they are written. Nothing is received while decrypted bytes wait for a paused reader, so what a connection
//! holds is bounded by one receive and one record; during the handshake by a message of that, which may have 64 KiB.
//!
//! # Who does the cryptography
//!
//! A provider of rustls', which the application chooses, and this crate does not: it names none, and depends on none. With ring:
//!
//! ```toml
//! rustls = { version = "0.23", default-features = false, features = ["std", "ring", "tls12"] }
//! ```
//!
//! and with `aws_lc_rs` in the place of `ring` over aws-lc-rs, which needs a compiler for C. A configuration is made with the provider
//! (`ClientConfig::builder_with_provider`), or with the one that the process has installed. The core's tests of secure connections run with either:
//!
//! ```text
//! cargo test -p plimsoll-core --all-features --test tls
//! RUSTFLAGS="--cfg plimsoll_aws_lc_rs" CARGO_TARGET_DIR=target/aws cargo test -p plimsoll-core --all-features --test tls
//! ```

#[cfg(feature = "rustls")]
mod heads;
mod layer;
mod nested;
#[cfg(feature = "rustls")]
mod records;
#[cfg(feature = "rustls")]
mod rustls;
mod session;

#[cfg(feature = "rustls")]
pub use self::rustls::RustlsSession;
pub(crate) use layer::{Fact, Layer, Step};
pub(crate) use nested::any_of;
pub use session::{MakeSession, Session, TlsError, TlsInfo};

use crate::error::{Call, Error, ErrorKind};
use crate::flow::limits::WriteLimits;
use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

/// How connections are made secure: how their sessions are made, and how long they may take.
///
/// With the feature `rustls`, `Tls::client` and `Tls::server` make one of rustls' configurations.
pub struct Tls {
    sessions: Box<dyn MakeSession>,
    pub(crate) handshake_limit: Duration,
    pub(crate) shutdown_limit: Duration,
    pub(crate) allow_truncation: bool,
    allow_early: bool,
}

impl Tls {
    /// The marks that a secure connection starts with: 128 KiB and 512 KiB (contract FLOW-1). [`Hub::start_tls`](crate::Hub::start_tls) leaves a connection
    /// those that it has.
    pub const LIMITS: WriteLimits = match WriteLimits::new(128 * 1024, 512 * 1024) {
        Ok(limits) => limits,
        Err(_) => WriteLimits::DEFAULT,
    };

    /// With sessions of any kind.
    pub fn new(sessions: impl MakeSession) -> Self {
        Self {
            sessions: Box::new(sessions),
            handshake_limit: Duration::from_secs(60),
            shutdown_limit: Duration::from_secs(30),
            allow_truncation: false,
            allow_early: false,
        }
    }

    /// How long a handshake may take: 60 seconds unless said otherwise (contract TLS-3). Zero is refused as `InvalidInput` where the connection is opened
    /// (contract TLS-5).
    #[must_use]
    pub const fn handshake_limit(mut self, limit: Duration) -> Self {
        self.handshake_limit = limit;
        self
    }

    /// How long the peer may take to answer our closing word: 30 seconds unless said otherwise (contract TLS-4). It begins when all that was written has been
    /// taken by the kernel; a peer that does not read keeps a connection as it does without TLS (contract CLOSE-7). Zero is refused likewise.
    #[must_use]
    pub const fn shutdown_limit(mut self, limit: Duration) -> Self {
        self.shutdown_limit = limit;
        self
    }

    /// Takes the end of a connection for that of the data also without a closing word (contract TLS-9). Only for protocols that know by themselves whether
    /// something is missing: anybody on the way can end a connection.
    #[must_use]
    pub const fn allow_truncation(mut self, yes: bool) -> Self {
        self.allow_truncation = yes;
        self
    }

    /// As a server, lets [`Hub::start_tls`](crate::Hub::start_tls) take bytes that the client sent behind its wish for TLS and before ours was answered
    /// (contract TLS-19). They are taken for the beginning of its handshake, so this is for protocols that do without an answer.
    #[must_use]
    pub const fn allow_early(mut self, yes: bool) -> Self {
        self.allow_early = yes;
        self
    }

    /// Whether bytes that came early are refused.
    pub(crate) fn refuses_early(&self) -> bool {
        self.sessions.is_server() && !self.allow_early
    }

    /// Whether connections can be made secure so at all (contract TLS-5).
    pub(crate) fn check(&self) -> Result<(), TlsError> {
        self.layer().map(drop)
    }

    /// A session for a connection, and its layer.
    pub(crate) fn layer(&self) -> Result<Layer, TlsError> {
        if self.handshake_limit.is_zero() || self.shutdown_limit.is_zero() {
            return Err(TlsError::new(Error::new(Call::Check, ErrorKind::InvalidInput), "a limit of zero"));
        }
        Ok(Layer::new(self.sessions.make()?, self))
    }
}

impl Clone for Tls {
    fn clone(&self) -> Self {
        Self { sessions: self.sessions.boxed(), ..*self }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server", &self.sessions.is_server())
            .field("handshake_limit", &self.handshake_limit)
            .field("shutdown_limit", &self.shutdown_limit)
            .finish_non_exhaustive()
    }
}

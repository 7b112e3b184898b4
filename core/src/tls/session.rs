//! What an implementation of TLS has to be.

use crate::error::Error;
use crate::flow::queue::SendQueue;
use crate::protocol::AsAny;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::BytesMut;
use core::fmt;

/// One end of a secure connection, without the connection.
///
/// It holds no bytes but a record that is incomplete: what came is taken whole, what is to be sent is appended to a queue. No method waits or calls back.
pub trait Session: AsAny {
    /// Takes bytes of the peer's, all of them. Appends what is decrypted to `plain`, and what the peer is to be told to `out`: answers of the handshake, or
    /// the alert that says what is wrong. Without any bytes it begins the handshake. It may decrypt in place: what stands in `wire` afterwards means nothing.
    ///
    /// # Errors
    /// Why the connection cannot go on. What was decrypted before is good. [`TlsTruncated`](crate::ErrorKind::TlsTruncated) stands for an end of the connection
    /// that only the session has seen: the peer says nothing any more, and has not said its closing word.
    fn receive(&mut self, wire: &mut [u8], plain: &mut BytesMut, out: &mut SendQueue) -> Result<(), TlsError>;

    /// Encrypts, once the handshake is done.
    ///
    /// # Errors
    /// If its keys must not be used any more.
    fn encrypt(&mut self, plain: &[u8], out: &mut SendQueue) -> Result<(), TlsError>;

    /// The closing word: nothing is encrypted after it.
    fn close(&mut self, out: &mut SendQueue);

    /// Whether nothing can be encrypted yet.
    fn is_handshaking(&self) -> bool;

    /// Whether the peer has said its closing word. What comes after it is ignored.
    fn is_closed_by_peer(&self) -> bool;

    /// What was agreed upon, once the handshake is done (contract INFO-5).
    fn info(&self) -> TlsInfo;
}

/// Makes the session of each connection. It is sent between threads with the [`Connect`](crate::Connect) or [`Listen`](crate::Listen) that it is part of.
pub trait MakeSession: Send + Sync + 'static {
    /// A session.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    fn make(&self) -> Result<Box<dyn Session>, TlsError>;

    /// Whether they are the servers' side of connections, whoever connected.
    fn is_server(&self) -> bool;

    /// Another one like it.
    fn boxed(&self) -> Box<dyn MakeSession>;
}

/// What the two ends of a secure connection have agreed upon (contract INFO-5). Compression is always none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The protocol's version: `TLSv1.3`.
    pub version: Option<&'static str>,
    /// The name of the cipher suite.
    pub cipher: Option<&'static str>,
    /// The size of its secret, in bits.
    pub cipher_bits: Option<u16>,
    /// The application's protocol, chosen by ALPN.
    pub alpn: Option<Vec<u8>>,
    /// The name of the server: for a server, the one that the client asked for.
    pub server_name: Option<String>,
    /// The certificates of the peer in DER, its own first; empty if it showed none.
    pub peer_certificates: Vec<Vec<u8>>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

/// What is wrong with a secure connection: an [`Error`], and the words of whoever found it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsError {
    error: Error,
    detail: Box<str>,
}

impl TlsError {
    /// An error, and what is known of it.
    pub fn new(error: Error, detail: impl Into<Box<str>>) -> Self {
        Self { error, detail: detail.into() }
    }

    /// The error.
    #[must_use]
    pub const fn error(&self) -> Error {
        self.error
    }

    /// In words.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        Self::new(error, "")
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl core::error::Error for TlsError {}

//! Why something could not be opened.

use crate::addr::Addr;
use crate::error::{Call, Error, ErrorKind};
use crate::name::Name;
use crate::tls::TlsError;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// Why a connection could not be opened: each address that was tried with its error (contract LOOP-6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenError {
    host: Option<Box<str>>,
    /// At least one.
    attempts: Vec<(Option<Addr>, Error)>,
    detail: Box<str>,
}

impl OpenError {
    /// One attempt, one error. There is no address to name where a socket was taken over, or a name could not be looked up.
    #[must_use]
    pub fn new(addr: Option<Addr>, error: Error) -> Self {
        Self { host: None, attempts: vec![(addr, error)], detail: Box::default() }
    }

    /// There was a connection, but it could not be made secure.
    pub(crate) fn of_tls(addr: Option<Addr>, error: &TlsError) -> Self {
        Self { detail: error.detail().into(), ..Self::new(addr, error.error()) }
    }

    /// Several attempts to reach this host; without one there is another cause.
    pub(crate) fn all(host: Option<&Name>, mut attempts: Vec<(Option<Addr>, Error)>) -> Self {
        if attempts.is_empty() {
            let nothing = match host {
                Some(_) => Error::new(Call::Resolve, ErrorKind::HostNotFound),
                None => Error::new(Call::Check, ErrorKind::InvalidInput),
            };
            attempts.push((None, nothing));
        }
        // An address spelled out is named by its attempt.
        let unnamed = attempts.iter().all(|(addr, _)| addr.is_none());
        let host = host.filter(|name| unnamed || name.literal().is_none());
        Self { host: host.map(|name| name.host().into()), attempts, detail: Box::default() }
    }

    /// The host, if it was given by name.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The error, of the last attempt if there were several.
    #[must_use]
    pub fn error(&self) -> Error {
        self.attempts[self.attempts.len() - 1].1
    }

    /// What is known of the error beyond its kind, in words: of a handshake that failed; else empty.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Every attempt, in order. An address of ours is named where that could not be bound, and none where there was no address to try.
    pub fn attempts(&self) -> impl Iterator<Item = (Option<&Addr>, Error)> {
        self.attempts.iter().map(|(addr, error)| (addr.as_ref(), *error))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{}: ", host.escape_debug())?;
        }
        for (n, (addr, error)) in self.attempts().enumerate() {
            if n > 0 {
                f.write_str("; ")?;
            }
            if let Some(addr) = addr {
                write!(f, "{addr}: ")?;
            }
            error.fmt(f)?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl core::error::Error for OpenError {}

#[cfg(feature = "std")]
impl From<OpenError> for std::io::Error {
    fn from(error: OpenError) -> Self {
        Self::new(Self::from(error.error()).kind(), error)
    }
}

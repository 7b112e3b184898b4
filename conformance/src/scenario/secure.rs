//! Secure connections: what the application's end is made secure with, and the TLS of the other end, which is plain rustls.
//!
//! The certificates are fixed, and their keys lie open beside them (`conformance/tls`). Their signatures are all of one length and there is neither
//! resumption nor a ticket, so a handshake is the same to the byte count each time.

use super::host::{PeerEnd, Seen};
use core::time::Duration;
use plimsoll_core::Addr;
use plimsoll_core::tls::Tls;
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};
use std::io::{Read, Write};
use std::sync::Arc;

/// A certificate for this name is what everybody trusts.
pub(crate) const NAME: &str = "localhost";

const KNOWN: [&[u8]; 2] = [include_bytes!("../../tls/known.pem"), include_bytes!("../../tls/known.key")];
/// For the same name, and nobody vouches for it.
const STRANGER: [&[u8]; 2] = [include_bytes!("../../tls/stranger.pem"), include_bytes!("../../tls/stranger.key")];

type Versions = &'static [&'static SupportedProtocolVersion];

/// As much as is encrypted in one go.
const RECORD: usize = 16 * 1024;

/// What the other end of a secure connection is like.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Manner {
    /// It speaks TLS, and answers a closing word by itself.
    #[default]
    Polite,
    /// It never answers a closing word by itself.
    Mute,
    /// It knows nothing of TLS: what it sends goes as it is.
    Plain,
    /// It shows a certificate that nobody vouches for.
    Stranger,
}

/// How the connections of a scenario are made secure.
#[derive(Clone, Default, Debug)]
pub(crate) struct Security {
    pub(crate) manner: Manner,
    /// Whom the application asks for, if not for the one that the certificate names.
    pub(crate) name: Option<String>,
    /// The protocols that the application and its peer offer.
    pub(crate) alpn: Vec<String>,
    pub(crate) peer_alpn: Vec<String>,
    pub(crate) handshake: Option<Duration>,
    pub(crate) shutdown: Option<Duration>,
}

impl Security {
    /// For the application's end.
    ///
    /// # Errors
    /// That its name is none.
    pub(crate) fn of_app(&self, server: bool) -> Result<Tls, String> {
        let tls = if server {
            Tls::server(server_config(KNOWN, &self.alpn, ALL_VERSIONS)?)
        } else {
            Tls::client(client_config(&self.alpn, ALL_VERSIONS)?, name(self.name.as_deref().unwrap_or(NAME))?)
        };
        let tls = self.handshake.map_or(tls.clone(), |limit| tls.handshake_limit(limit));
        Ok(self.shutdown.map_or(tls.clone(), |limit| tls.shutdown_limit(limit)))
    }

    /// The other end, on top of its socket.
    pub(crate) fn of_peer(&self, wire: Box<dyn PeerEnd>, server: bool) -> Result<Box<dyn PeerEnd>, String> {
        let failed = |error: rustls::Error| error.to_string();
        let mut tls: Connection = if server {
            let identity = if self.manner == Manner::Stranger { STRANGER } else { KNOWN };
            ServerConnection::new(server_config(identity, &self.peer_alpn, ALL_VERSIONS)?).map_err(failed)?.into()
        } else {
            ClientConnection::new(client_config(&self.peer_alpn, ALL_VERSIONS)?, name(NAME)?).map_err(failed)?.into()
        };
        tls.set_buffer_limit(None);
        let answers = self.manner != Manner::Mute;
        Ok(Box::new(SecurePeer { wire, tls, out: Vec::new(), in_flight: 0, plain: Vec::new(), answers, said: false, end: None }))
    }
}

pub(crate) fn name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())
}

/// Of both ends, who trust each other, for these versions.
///
/// # Errors
/// What is wrong with the certificate.
pub(crate) fn configs(versions: Versions) -> Result<(Arc<ClientConfig>, Arc<ServerConfig>), String> {
    Ok((client_config(&[], versions)?, server_config(KNOWN, &[], versions)?))
}

fn protocols(alpn: &[String]) -> Vec<Vec<u8>> {
    alpn.iter().map(|name| name.clone().into_bytes()).collect()
}

fn client_config(alpn: &[String], versions: Versions) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(KNOWN[0]).map_err(|error| error.to_string())?;
    roots.add(certificate).map_err(|error| error.to_string())?;
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_protocol_versions(versions);
    let mut config = builder.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = protocols(alpn);
    Ok(Arc::new(config))
}

fn server_config([certificate, key]: [&[u8]; 2], alpn: &[String], versions: Versions) -> Result<Arc<ServerConfig>, String> {
    let certificate = CertificateDer::from_pem_slice(certificate).map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| error.to_string())?;
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_protocol_versions(versions);
    let builder = builder.map_err(|error| error.to_string())?.with_no_client_auth();
    let mut config = builder.with_single_cert(vec![certificate], key).map_err(|error| error.to_string())?;
    config.send_tls13_tickets = 0;
    config.alpn_protocols = protocols(alpn);
    Ok(Arc::new(config))
}

/// How it ended for the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Closed,
    /// Without a closing word.
    Truncated,
    Reset,
    /// What came is not TLS, or is refused.
    Failed,
}

/// The other end of a secure connection. It has read ahead what `plain` holds.
struct SecurePeer {
    wire: Box<dyn PeerEnd>,
    tls: Connection,
    /// Encrypted, and not sent yet.
    out: Vec<u8>,
    /// How much of what it was last given to send that is.
    in_flight: usize,
    plain: Vec<u8>,
    answers: bool,
    /// It has said its closing word.
    said: bool,
    end: Option<End>,
}

impl SecurePeer {
    /// Whether something could be sent; what cannot be stays.
    fn flush(&mut self) -> bool {
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut self.out).is_err() {
                break;
            }
        }
        let sent = if self.out.is_empty() { 0 } else { self.wire.send(&self.out) };
        self.out.drain(..sent);
        sent > 0
    }

    /// Reads what is there, at most so much.
    fn take(&mut self, most: usize) -> bool {
        let end = match self.wire.read(most) {
            Seen::Nothing => return false,
            Seen::Bytes(bytes) => {
                self.digest(&bytes);
                None
            }
            Seen::Reset => Some(End::Reset),
            _ => Some(End::Truncated),
        };
        self.end = self.end.or(end);
        true
    }

    fn digest(&mut self, mut wire: &[u8]) {
        while !wire.is_empty() && self.end.is_none() {
            if !matches!(self.tls.read_tls(&mut wire), Ok(1..)) {
                self.end = Some(End::Failed);
                return;
            }
            match self.tls.process_new_packets() {
                Ok(state) if state.peer_has_closed() => self.end = Some(End::Closed),
                Ok(_) => {}
                Err(_) => self.end = Some(End::Failed),
            }
            // Its end is told by an error, which says nothing new.
            let _ = self.tls.reader().read_to_end(&mut self.plain);
        }
        if self.end == Some(End::Closed) && self.answers {
            self.say_goodbye();
        }
    }

    fn say_goodbye(&mut self) {
        if !core::mem::replace(&mut self.said, true) {
            self.tls.send_close_notify();
        }
    }
}

impl PeerEnd for SecurePeer {
    fn is_connected(&self) -> bool {
        self.wire.is_connected()
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        self.flush();
        if !self.out.is_empty() {
            return 0;
        }
        let sent = core::mem::take(&mut self.in_flight);
        let piece = &bytes[sent..bytes.len().min(sent + RECORD)];
        // Whatever it is given it takes: there is no limit.
        let _ = self.tls.writer().write_all(piece);
        self.flush();
        if self.out.is_empty() {
            return sent + piece.len();
        }
        self.in_flight = piece.len();
        sent
    }

    fn read(&mut self, most: usize) -> Seen {
        while self.plain.is_empty() && self.end.is_none() && most > 0 {
            if !self.take(RECORD) {
                break;
            }
        }
        self.flush();
        let most = most.min(self.plain.len());
        if most > 0 {
            return Seen::Bytes(self.plain.drain(..most).collect());
        }
        match self.end.filter(|_| self.plain.is_empty()) {
            None => Seen::Nothing,
            Some(End::Closed) => Seen::Eof,
            Some(End::Truncated) => Seen::Truncated,
            Some(End::Reset) => Seen::Reset,
            Some(End::Failed) => Seen::Failed,
        }
    }

    fn eof(&mut self) {
        self.say_goodbye();
        self.flush();
    }

    fn truncate(&mut self) {
        self.flush();
        self.wire.eof();
    }

    fn close(mut self: Box<Self>) {
        self.eof();
    }

    fn reset(self: Box<Self>) {
        self.wire.reset();
    }

    fn ends(&self) -> Option<(Addr, Addr)> {
        self.wire.ends()
    }

    fn unread(&self) -> Option<usize> {
        self.wire.unread().map(|unread| unread + self.plain.len())
    }

    fn is_secure(&self) -> bool {
        true
    }

    fn is_shaking_hands(&self) -> bool {
        self.tls.is_handshaking() && self.end.is_none()
    }

    fn pump(&mut self, ahead: bool) -> bool {
        let mut moved = self.flush();
        while self.end.is_none() && (ahead || self.tls.is_handshaking()) && self.take(RECORD) {
            moved = true;
        }
        self.flush() || moved
    }
}

/// Whose certificates these are.
pub(crate) fn whose(certificates: &[Vec<u8>]) -> &'static str {
    let is = |pem: &[u8], der: &[u8]| CertificateDer::from_pem_slice(pem).is_ok_and(|own| *own == *der);
    match certificates {
        [] => "none",
        [own, ..] if is(KNOWN[0], own) => "known",
        _ => "other",
    }
}

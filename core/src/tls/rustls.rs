//! A session over rustls.

use super::heads::{Head, Heads};
use super::{MakeSession, Session, Tls, TlsError, TlsInfo, records};
use crate::error::{Call, Error, ErrorKind};
use crate::flow::queue::SendQueue;
use ::rustls::client::UnbufferedClientConnection;
use ::rustls::pki_types::ServerName;
use ::rustls::server::{Acceptor, UnbufferedServerConnection};
use ::rustls::{AlertDescription, ClientConfig, CommonState, Error as RustlsError, HandshakeKind, ProtocolVersion, ServerConfig};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::BytesMut;
use core::{fmt, mem};

impl Tls {
    /// As a client of rustls' that speaks to the server of this name, as its certificate has to say. Roots, client certificates, ALPN and resumption are
    /// the configuration's business.
    pub fn client(config: impl Into<Arc<ClientConfig>>, name: ServerName<'static>) -> Self {
        Self::new(Client { config: config.into(), name })
    }

    /// As a server of rustls'. Certificates, the wish for client certificates, ALPN and resumption are the configuration's business.
    /// One that lets clients send early data is refused as `InvalidInput`: anybody could send that once more.
    pub fn server(config: impl Into<Arc<ServerConfig>>) -> Self {
        Self::new(Server(config.into()))
    }
}

#[derive(Clone)]
struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl MakeSession for Client {
    fn make(&self) -> Result<Box<dyn Session>, TlsError> {
        let connection =
            UnbufferedClientConnection::new(self.config.clone(), self.name.clone()).map_err(|error| unusable(&error))?;
        Ok(Box::new(RustlsSession::new(Side::Client(connection), Some(self.name.to_str().into_owned()))))
    }

    fn is_server(&self) -> bool {
        false
    }

    fn boxed(&self) -> Box<dyn MakeSession> {
        Box::new(self.clone())
    }
}

#[derive(Clone)]
struct Server(Arc<ServerConfig>);

impl MakeSession for Server {
    fn make(&self) -> Result<Box<dyn Session>, TlsError> {
        if self.0.max_early_data_size > 0 {
            return Err(TlsError::new(Error::new(Call::Check, ErrorKind::InvalidInput), "early data is not supported"));
        }
        let connection = UnbufferedServerConnection::new(self.0.clone()).map_err(|error| unusable(&error))?;
        Ok(Box::new(RustlsSession::new(Side::Server(connection), None)))
    }

    fn is_server(&self) -> bool {
        true
    }

    fn boxed(&self) -> Box<dyn MakeSession> {
        Box::new(self.clone())
    }
}

/// A session over a connection of rustls'. It keeps what has come of an incomplete record, and nothing else.
pub struct RustlsSession {
    side: Side,
    /// Whom a client speaks to; whom the client of a server wants to speak to.
    name: Option<String>,
    hello: Hello,
    /// The beginning of a record, or of a message of the handshake.
    kept: Vec<u8>,
    /// Where the peer's records stand.
    heads: Heads,
    hearing: Hearing,
    /// Our closing word is said, or it cannot go on.
    silent: bool,
}

/// What is made of what the peer says.
///
/// A connection of rustls' takes for granted that a peer is told only once that it ends, and why: with debug assertions it panics where it finds another reason
/// afterwards, as a record behind our own closing word that cannot be decrypted. So from a last word on it is not asked any more.
#[derive(Clone, Copy)]
enum Hearing {
    Everything,
    /// Our closing word is said, and its record had this head.
    Answer(Head),
    /// Nothing: the peer has said its closing word.
    Closed,
    /// Nothing: it cannot go on.
    Failed,
}

enum Side {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// A server listens to the client's first words for the name in them, which its unbuffered connections do not tell.
enum Hello {
    Awaited,
    Begun(Box<Acceptor>),
    Over,
}

/// The most that is kept of what cannot be used yet: rustls lets messages of the handshake have that length.
const MOST_KEPT: usize = 0xffff;

impl RustlsSession {
    fn new(side: Side, name: Option<String>) -> Self {
        let hello = if matches!(side, Side::Server(_)) { Hello::Awaited } else { Hello::Over };
        Self { side, name, hello, kept: Vec::new(), heads: Heads::default(), hearing: Hearing::Everything, silent: false }
    }

    /// What rustls knows of the connection.
    #[must_use]
    pub fn state(&self) -> &CommonState {
        match &self.side {
            Side::Client(client) => client,
            Side::Server(server) => server,
        }
    }

    #[cold]
    fn hear(&mut self, mut wire: &[u8]) {
        let mut acceptor = match mem::replace(&mut self.hello, Hello::Over) {
            Hello::Awaited => Box::default(),
            Hello::Begun(acceptor) => acceptor,
            Hello::Over => return,
        };
        while !wire.is_empty() {
            // Of whatever is wrong the connection finds the same, and says so.
            if !matches!(acceptor.read_tls(&mut wire), Ok(1..)) {
                return;
            }
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    self.name = accepted.client_hello().server_name().map(ToString::to_string);
                    return;
                }
                Err(_) => return,
            }
        }
        self.hello = Hello::Begun(acceptor);
    }

    /// Listens to a client's first words, and what came with what was kept before it. `None` if that is nothing.
    #[cold]
    fn with_kept(&mut self, wire: &[u8]) -> Option<Vec<u8>> {
        self.hear(wire);
        let mut kept = mem::take(&mut self.kept);
        (!kept.is_empty()).then(|| {
            kept.extend_from_slice(wire);
            kept
        })
    }

    /// What comes of what was received, if that is not all of it, and data. `parts`: the peer has said in the clear that it goes.
    #[cold]
    fn keep(&mut self, rest: Vec<u8>, closed: bool, parts: bool, error: Option<RustlsError>) -> Result<(), TlsError> {
        self.kept = rest;
        let result = match error {
            Some(RustlsError::AlertReceived(AlertDescription::CloseNotify)) if self.is_handshaking() => Err(parted()),
            Some(error) => {
                let call = if self.is_handshaking() { Call::Handshake } else { Call::Receive };
                Err(failed(call, &error))
            }
            None if closed => {
                self.hearing = Hearing::Closed;
                Ok(())
            }
            // rustls overlooks that, and would wait.
            None if parts && self.is_handshaking() => Err(parted()),
            None if self.kept.len() > MOST_KEPT => Err(wrong("a message is too long")),
            None => Ok(()),
        };
        if result.is_err() {
            self.fail();
        }
        if !matches!(self.hearing, Hearing::Everything) {
            // What comes behind a closing word, or a wrong one, is ignored.
            self.kept = Vec::new();
        }
        result
    }

    fn fail(&mut self) {
        self.hearing = Hearing::Failed;
        self.silent = true;
    }

    /// Follows the records of the peer's: whether it says in the clear that it goes.
    #[cold]
    fn follow(&mut self, wire: &[u8]) -> bool {
        let mut parts = false;
        self.heads.follow(wire, |record| parts |= record.is_clear_close_notify());
        parts
    }

    /// Behind a last word. What the peer says is not decrypted then, and nobody would be told of it: only its own closing word is waited for, and that is a record
    /// with the head that ours had.
    #[cold]
    fn await_answer(&mut self, wire: &[u8]) -> Result<(), TlsError> {
        let Hearing::Answer(word) = self.hearing else { return Ok(()) };
        let (mut answered, mut possible) = (false, true);
        self.heads.follow(wire, |record| {
            possible &= record.is_possible();
            answered |= possible && record.head() == word;
        });
        if answered {
            self.hearing = Hearing::Closed;
        } else if !possible || !self.heads.is_possible() {
            self.fail();
            return Err(wrong("no record"));
        }
        Ok(())
    }
}

impl Session for RustlsSession {
    fn receive(&mut self, wire: &mut [u8], plain: &mut BytesMut, out: &mut SendQueue) -> Result<(), TlsError> {
        if !matches!(self.hearing, Hearing::Everything) {
            return self.await_answer(wire);
        }
        let parts = !self.heads.is_one_of_data(wire) && self.follow(wire);
        let first = self.kept.is_empty() && matches!(self.hello, Hello::Over);
        let mut joined = if first { None } else { self.with_kept(wire) };
        let bytes = joined.as_deref_mut().unwrap_or(&mut *wire);
        let mut error = None;
        let (used, closed) = match &mut self.side {
            Side::Client(client) => records::receive(client, bytes, plain, out, &mut error),
            Side::Server(server) => records::receive(server, bytes, plain, out, &mut error),
        };
        if used == bytes.len() && !closed && !parts && error.is_none() {
            return Ok(());
        }
        let rest = match joined {
            Some(mut kept) => {
                kept.drain(..used);
                kept
            }
            None => wire[used..].to_vec(),
        };
        self.keep(rest, closed, parts, error)
    }

    fn encrypt(&mut self, plain: &[u8], out: &mut SendQueue) -> Result<(), TlsError> {
        if self.silent {
            return Err(Error::new(Call::Send, ErrorKind::TlsError).into());
        }
        let result = match &mut self.side {
            Side::Client(client) => records::encrypt(client, &mut self.kept, plain, out),
            Side::Server(server) => records::encrypt(server, &mut self.kept, plain, out),
        };
        result.map_err(|error| {
            self.fail();
            failed(Call::Send, &error)
        })
    }

    fn close(&mut self, out: &mut SendQueue) {
        if self.silent {
            return;
        }
        self.silent = true;
        let head = match &mut self.side {
            Side::Client(client) => records::close(client, &mut self.kept, out),
            Side::Server(server) => records::close(server, &mut self.kept, out),
        };
        self.kept = Vec::new();
        if matches!(self.hearing, Hearing::Everything) {
            self.hearing = head.map_or(Hearing::Failed, Hearing::Answer);
        }
    }

    fn is_handshaking(&self) -> bool {
        self.state().is_handshaking()
    }

    fn is_closed_by_peer(&self) -> bool {
        matches!(self.hearing, Hearing::Closed)
    }

    fn info(&self) -> TlsInfo {
        let state = self.state();
        let suite = state.negotiated_cipher_suite().map(|suite| suite.suite());
        let cipher = suite.and_then(|suite| suite.as_str());
        TlsInfo {
            version: match state.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => Some("TLSv1.3"),
                Some(ProtocolVersion::TLSv1_2) => Some("TLSv1.2"),
                _ => None,
            },
            cipher,
            cipher_bits: cipher.map(|name| if name.contains("AES_128") { 128 } else { 256 }),
            alpn: state.alpn_protocol().map(Vec::from),
            server_name: self.name.clone(),
            peer_certificates: state.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect(),
            resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

impl fmt::Debug for RustlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustlsSession").field("name", &self.name).finish_non_exhaustive()
    }
}

fn failed(call: Call, error: &RustlsError) -> TlsError {
    let code = match error {
        RustlsError::AlertReceived(alert) => i32::from(u8::from(*alert)),
        _ => 0,
    };
    TlsError::new(Error::from_code(call, ErrorKind::TlsError, code), error.to_string())
}

/// The peer breaks the rules.
fn wrong(why: &str) -> TlsError {
    TlsError::new(Error::new(Call::Receive, ErrorKind::TlsError), why)
}

/// A closing word before there was anything to close.
fn parted() -> TlsError {
    TlsError::new(Error::new(Call::Handshake, ErrorKind::TlsTruncated), "close_notify during the handshake")
}

/// A configuration that no connection can be made of.
fn unusable(error: &RustlsError) -> TlsError {
    TlsError::new(Error::new(Call::Check, ErrorKind::InvalidInput), error.to_string())
}

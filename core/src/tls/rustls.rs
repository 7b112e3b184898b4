//! A session over rustls.

use super::{MakeSession, Session, Tls, TlsError, TlsInfo};
use crate::error::{Call, Error, ErrorKind};
use crate::flow::queue::SendQueue;
use ::rustls::pki_types::ServerName;
use ::rustls::{
    ClientConfig, ClientConnection, Connection, Error as RustlsError, HandshakeKind, ProtocolVersion, ServerConfig,
    ServerConnection,
};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::BytesMut;
use core::fmt;
use std::io::{self, BufRead, IoSlice, Write};

impl Tls {
    /// As a client of rustls' that speaks to the server of this name, as its certificate has to say. Roots, client certificates, ALPN and resumption are
    /// the configuration's business.
    pub fn client(config: impl Into<Arc<ClientConfig>>, name: ServerName<'static>) -> Self {
        Self::new(Client { config: config.into(), name })
    }

    /// As a server of rustls'. Certificates, the wish for client certificates, ALPN and resumption are the configuration's business.
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
        let connection = ClientConnection::new(self.config.clone(), self.name.clone()).map_err(|error| unusable(&error))?;
        Ok(Box::new(RustlsSession::new(connection.into(), Some(self.name.to_str().into_owned()))))
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
        let connection = ServerConnection::new(self.0.clone()).map_err(|error| unusable(&error))?;
        Ok(Box::new(RustlsSession::new(connection.into(), None)))
    }

    fn is_server(&self) -> bool {
        true
    }

    fn boxed(&self) -> Box<dyn MakeSession> {
        Box::new(self.clone())
    }
}

/// A session over a connection of rustls'. It keeps one incomplete record, and a buffer of 4 KiB once something was received.
pub struct RustlsSession {
    connection: Connection,
    /// For a client, whom it speaks to.
    name: Option<String>,
    closed_by_peer: bool,
}

impl RustlsSession {
    fn new(mut connection: Connection, name: Option<String>) -> Self {
        // What was written is bounded by the connection's marks, and leaves rustls' buffers within the call.
        connection.set_buffer_limit(None);
        Self { connection, name, closed_by_peer: false }
    }

    /// What rustls knows of the connection. Bytes are not to be moved through it.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What is to be sent goes out.
    fn send(&mut self, out: &mut SendQueue) {
        while self.connection.wants_write() {
            // A queue takes everything.
            let _ = self.connection.write_tls(&mut Out(out));
        }
    }

    /// Takes out what was decrypted: so much, or as much as there is.
    fn take_plain(&mut self, mut len: usize, plain: &mut BytesMut) {
        let mut reader = self.connection.reader();
        while len > 0 {
            let Ok(chunk @ [_, ..]) = reader.fill_buf() else { return };
            plain.extend_from_slice(chunk);
            let taken = chunk.len();
            reader.consume(taken);
            len = len.saturating_sub(taken);
        }
    }

    fn call(&self) -> Call {
        if self.connection.is_handshaking() { Call::Handshake } else { Call::Receive }
    }
}

impl Session for RustlsSession {
    fn receive(&mut self, mut wire: &[u8], plain: &mut BytesMut, out: &mut SendQueue) -> Result<(), TlsError> {
        let call = self.call();
        let mut result = Ok(());
        while !wire.is_empty() && result.is_ok() {
            result = match self.connection.read_tls(&mut wire) {
                // What comes behind a closing word is ignored.
                Ok(0) if self.closed_by_peer => break,
                Ok(0) => Err(TlsError::new(Error::new(call, ErrorKind::TlsError), "a record is too long")),
                Ok(_) => match self.connection.process_new_packets() {
                    Ok(state) => {
                        self.closed_by_peer = state.peer_has_closed();
                        self.take_plain(state.plaintext_bytes_to_read(), plain);
                        Ok(())
                    }
                    Err(error) => {
                        self.take_plain(usize::MAX, plain);
                        Err(failed(call, &error))
                    }
                },
                Err(error) => Err(TlsError::new(Error::new(call, ErrorKind::TlsError), error.to_string())),
            };
        }
        self.send(out);
        result
    }

    fn encrypt(&mut self, plain: &[u8], out: &mut SendQueue) -> Result<(), TlsError> {
        let result = self.connection.writer().write_all(plain);
        self.send(out);
        result.map_err(|error| TlsError::new(Error::new(Call::Send, ErrorKind::TlsError), error.to_string()))
    }

    fn close(&mut self, out: &mut SendQueue) {
        self.connection.send_close_notify();
        self.send(out);
    }

    fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    fn is_closed_by_peer(&self) -> bool {
        self.closed_by_peer
    }

    fn info(&self) -> TlsInfo {
        let suite = self.connection.negotiated_cipher_suite().map(|suite| suite.suite());
        let cipher = suite.and_then(|suite| suite.as_str());
        let server_name = match &self.connection {
            Connection::Client(_) => self.name.clone(),
            Connection::Server(server) => server.server_name().map(ToString::to_string),
        };
        TlsInfo {
            version: match self.connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => Some("TLSv1.3"),
                Some(ProtocolVersion::TLSv1_2) => Some("TLSv1.2"),
                _ => None,
            },
            cipher,
            cipher_bits: cipher.map(|name| if name.contains("AES_128") { 128 } else { 256 }),
            alpn: self.connection.alpn_protocol().map(Vec::from),
            server_name,
            peer_certificates: self.connection.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect(),
            resumed: self.connection.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

impl fmt::Debug for RustlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustlsSession").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// A queue that rustls writes into.
struct Out<'a>(&'a mut SendQueue);

impl Write for Out<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.push(data);
        Ok(data.len())
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        pieces.iter().map(|piece| self.write(piece)).sum()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(call: Call, error: &RustlsError) -> TlsError {
    let code = match error {
        RustlsError::AlertReceived(alert) => i32::from(u8::from(*alert)),
        _ => 0,
    };
    TlsError::new(Error::from_code(call, ErrorKind::TlsError, code), error.to_string())
}

/// A configuration that no connection can be made of.
fn unusable(error: &RustlsError) -> TlsError {
    TlsError::new(Error::new(Call::Check, ErrorKind::InvalidInput), error.to_string())
}

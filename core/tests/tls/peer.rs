//! The other end of a secure connection: plain rustls, fed by hand.
#![allow(dead_code, reason = "not every test uses all of it")]

use crate::certs::{client, name, server};
use rustls::{ClientConnection, Connection, ServerConnection, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::sync::Arc;

/// The other end.
pub(crate) struct Peer {
    pub(crate) tls: Connection,
    pub(crate) received: Vec<u8>,
    pub(crate) closed: bool,
    pub(crate) error: Option<rustls::Error>,
}

impl Peer {
    pub(crate) fn new(tls: impl Into<Connection>) -> Self {
        let mut tls = tls.into();
        tls.set_buffer_limit(None);
        Self { tls, received: Vec::new(), closed: false, error: None }
    }

    pub(crate) fn server(version: &'static SupportedProtocolVersion) -> Self {
        Self::new(ServerConnection::new(Arc::new(server(version))).unwrap())
    }

    pub(crate) fn client(version: &'static SupportedProtocolVersion) -> Self {
        Self::new(ClientConnection::new(Arc::new(client(version)), name()).unwrap())
    }

    pub(crate) fn write(&mut self, data: &[u8]) {
        self.tls.writer().write_all(data).unwrap();
    }

    pub(crate) fn close(&mut self) {
        self.tls.send_close_notify();
    }

    /// What it has to say.
    pub(crate) fn output(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut wire).unwrap();
        }
        wire
    }

    /// What it is told.
    pub(crate) fn input(&mut self, mut wire: &[u8]) {
        while !wire.is_empty() && self.error.is_none() && !self.closed {
            self.tls.read_tls(&mut wire).unwrap();
            match self.tls.process_new_packets() {
                Ok(state) => self.closed = state.peer_has_closed(),
                Err(error) => self.error = Some(error),
            }
            // The end of it is told by an error, which says nothing new.
            let _ = self.tls.reader().read_to_end(&mut self.received);
        }
    }

    pub(crate) fn received(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.received)
    }
}

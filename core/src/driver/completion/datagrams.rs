//! Datagrams: one operation each.

use super::{CompletionDriver, CompletionIo, RECEIVING, SENDING};
use crate::addr::Addr;
use crate::driver::Drive;
use crate::error::Error;
use crate::flow::data::Data;
use crate::key::Key;
use bytes::BytesMut;

impl<S, Y: CompletionIo> CompletionDriver<S, Y> {
    pub(super) fn flush_datagrams(&mut self, key: Key) {
        let Some(transport) = self.engine.datagrams(key).filter(|transport| transport.wants_send()) else { return };
        let Some(conn) = self.conns.get_mut(key).filter(|conn| conn.flags & SENDING == 0) else { return };
        if let Some((payload, to)) = transport.in_flight() {
            conn.flags |= SENDING;
            self.io.send_to(&mut conn.source, key, payload, to);
        }
    }

    pub(super) fn datagram_sent(&mut self, key: Key, result: Result<(), Error>) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.flags &= !SENDING;
        match result {
            Ok(()) => self.engine.datagrams_sent(key, 1),
            Err(error) => self.engine.datagram_send_failed(key, error),
        }
        self.flush(key);
    }

    /// Begins to receive a datagram, if that is wanted and nothing is held.
    pub(super) fn receive_datagram(&mut self, key: Key) {
        if !self.engine.datagrams(key).is_some_and(|transport| transport.wants_receive()) {
            return;
        }
        if let Some(conn) = self.conns.get_mut(key).filter(|conn| conn.flags & RECEIVING == 0) {
            conn.flags |= RECEIVING;
            let memory = self.engine.datagram_pool().take_block();
            self.io.recv_from(&mut conn.source, key, memory);
        }
    }

    pub(super) fn datagram_received(&mut self, key: Key, mut memory: BytesMut, result: Result<(usize, Addr), Error>) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.flags &= !RECEIVING;
            self.delivering = Some(key);
            match result {
                Ok((n, from)) => {
                    if !self.engine.datagram_received(key, Data::new(&mut memory, n), &from) {
                        self.engine.hold_datagram(key, &memory[..n.min(memory.len())], from);
                    }
                }
                Err(error) => self.engine.datagram_receive_failed(key, error),
            }
            self.delivering = None;
            self.flush(key);
        }
        self.engine.datagram_pool().give_block(memory);
        self.receive_datagram(key);
    }
}

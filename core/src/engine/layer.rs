//! Secure connections: what comes from below their layers, and the callbacks that it leads to.

use super::Engine;
use super::turn::lend;
use crate::context::Context;
use crate::endpoint::{LAYERED, LENDS, Stream};
use crate::error::Error;
use crate::flow::data::Data;
use crate::flow::pool::BufPool;
use crate::key::Key;
use crate::observer::Event;
use crate::protocol::Protocol;
use crate::reason::Cause;
use crate::tls::{Fact, Step, TlsError};
use alloc::boxed::Box;
use alloc::rc::Rc;
use bytes::{Buf, BytesMut};

impl<S> Engine<S> {
    /// Whether a layer stands between a connection and its protocol.
    #[inline]
    pub(crate) fn is_layered(&mut self, key: Key) -> bool {
        self.hub.stream_at(key).is_some_and(|stream| stream.common.has(LAYERED))
    }

    /// Takes one step of what a connection's layer has to do; to be called, and what there is to send to be sent, until the answer is `false`.
    pub(crate) fn advance_layer(&mut self, key: Key) -> bool {
        let now = self.hub.now;
        let Some((stream, pool)) = self.hub.stream_and_pool(key) else { return false };
        let Some((layer, transport)) = stream.layered() else { return false };
        let step = layer.step(transport, pool, now);
        let memory = layer.take_memory();
        if transport.is_pause_owed() {
            self.hub.paused(key);
        }
        if let Some(memory) = memory {
            self.plain = memory;
        }
        self.hub.set_layer_timer(key);
        match step {
            Step::Rest => return false,
            Step::Send => {}
            Step::Deliver => self.deliver_plain(key),
            Step::Eof => self.deliver_eof(key),
            Step::Agreed => self.agreed(key),
            Step::Over => self.hub.touch(key),
            Step::GivenUp(dropped) => self.hub.force_closed(key, dropped),
            Step::Failed(error, dropped) => self.layer_failed(key, error, dropped),
        }
        true
    }

    /// The handshake is done. Who is to be told is, in a turn of its own.
    fn agreed(&mut self, key: Key) {
        let Some(stream) = self.hub.stream_at(key) else { return };
        if stream.transport.is_made() {
            self.push_ready(crate::hub::Ready::StartTlsDone(key));
            // What has been encrypted meanwhile may be less than what waited, or more.
            self.hub.touch_edges(key);
        } else {
            self.hub.can_be_made(key);
        }
    }

    fn layer_failed(&mut self, key: Key, error: TlsError, dropped: usize) {
        let Some(stream) = self.hub.stream_at(key) else { return };
        if stream.transport.is_made() {
            stream.common.cold().failure.get_or_insert_with(|| Rc::new(error));
            self.hub.force_closed(key, dropped);
        } else {
            self.hub.handshake_failed(key, error);
        }
    }

    /// Something could not be sent. Whether the layer had failed before that, as over a bad record, whose alert cannot be sent: then the connection fails with
    /// what that was (contract CLOSE-4).
    pub(super) fn failed_before(&mut self, key: Key) -> bool {
        let Some((stream, pool)) = self.hub.stream_and_pool(key) else { return false };
        let Some((layer, transport)) = stream.layered() else { return false };
        let Some(Step::Failed(error, dropped)) = layer.fail_now(transport, pool) else { return false };
        self.layer_failed(key, error, dropped);
        true
    }

    /// Hands on what was decrypted; to a protocol that lends memory, as much as that takes.
    fn deliver_plain(&mut self, key: Key) {
        let Some(stream) = self.hub.stream_at(key) else { return };
        if stream.common.has(LENDS) {
            // An error is the protocol's, and has had its consequences.
            let _ = self.lend(key, |hub, memory| {
                let Some((layer, _)) = hub.stream_at(key).and_then(|stream| stream.layered()) else { return Ok(None) };
                let plain = layer.plain();
                let n = memory.len().min(plain.len());
                plain.copy_to_slice(&mut memory[..n]);
                Ok(Some(n))
            });
            return;
        }
        let Some((layer, _)) = stream.layered() else { return };
        let mut plain = layer.take_plain();
        if let Some(protocol) = stream.protocol.take() {
            let len = plain.len();
            self.deliver(key, protocol, Data::new(&mut plain, len));
        }
        self.plain = plain;
    }

    /// The turn in which an upgrade is told.
    pub(super) fn start_tls_done(&mut self, key: Key) {
        if !self.hub.stream_at(key).is_some_and(|stream| stream.common.has(LAYERED) && !stream.transport.is_closing()) {
            return;
        }
        self.hub.observe(key, &Event::StartTlsDone);
        self.layer_told(key);
        self.call::<Stream<S>, _>(key, |protocol, cx| protocol.start_tls_done(cx));
        self.hub.touch(key);
        self.hub.look_at(key);
    }

    /// The protocol is being told that the connection is secure: what the peer sends may come next, and it may go on to another layer at once.
    pub(super) fn layer_told(&mut self, key: Key) {
        if let Some((layer, _)) = self.hub.stream_at(key).and_then(|stream| stream.layered()) {
            layer.told();
        }
    }

    // ---- facts ----

    /// A connection under a layer, if that wants to be told what comes from below; and memory to decrypt into.
    #[inline]
    pub(crate) fn below(&mut self, key: Key) -> Option<(&mut Stream<S>, &mut BytesMut, &mut BufPool)> {
        let (stream, pool) = self.hub.stream_and_pool(key)?;
        if stream.wants_read() { Some((stream, &mut self.plain, pool)) } else { None }
    }

    /// The layer was told what came, and keeps it: [`advance_layer`](Self::advance_layer) does what is to be done.
    pub(crate) fn received_below(&mut self, key: Key) {
        if self.transport(key).is_some_and(|transport| transport.is_pause_owed()) {
            self.hub.paused(key);
        }
    }

    /// Hands what was decrypted to a protocol that was lifted out for it; the connection as it stands then.
    #[inline(always)]
    pub(crate) fn deliver_decrypted(
        &mut self,
        key: Key,
        protocol: Box<dyn Protocol<S>>,
    ) -> Option<(&mut Stream<S>, &mut BufPool)> {
        let Self { hub, state, plain, .. } = self;
        let len = plain.len();
        let data = Data::new(plain, len);
        hub.observe(key, &Event::Data(&data));
        let ((), after) = lend::<S, Stream<S>, _>(hub, key, protocol, |protocol, id, hub| {
            protocol.data_received(&mut Context { id, hub, state }, data);
        });
        after
    }

    /// A layer without memory to decrypt into gets some.
    pub(super) fn lend_plain(&mut self, key: Key) {
        if let Some((layer, _)) = self.hub.stream_at(key).and_then(|stream| stream.layered()) {
            if !layer.has_memory() {
                self.plain.clear();
                layer.give_plain(core::mem::take(&mut self.plain));
            }
        }
    }

    /// The connection below came to its end. `false`: there is no layer to be told.
    pub(super) fn ended_below(&mut self, key: Key, error: Option<(Cause, Error)>) -> bool {
        if !self.is_layered(key) {
            return false;
        }
        let fact = match error {
            None => Fact::Finished,
            Some((cause, error)) => Fact::Failed(cause, error.into()),
        };
        self.hub.layer_fact(key, fact);
        true
    }
}

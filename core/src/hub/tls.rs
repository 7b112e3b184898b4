//! Verbs of secure connections, and what their layers are told.

use super::{Hub, Work};
use crate::endpoint::{Endpoint, LAYERED, Stream};
use crate::error::{Call, Error, ErrorKind};
use crate::flow::pool::BufPool;
use crate::key::{Key, StreamId};
use crate::observer::Event;
use crate::op::{Op, Role};
use crate::open::{OpenError, Resource};
use crate::protocol::Protocol;
use crate::status::WriteStatus;
use crate::stream::StreamTransport;
use crate::tls::{Fact, Layer, Session, Tls, TlsError, TlsInfo, any_of};
use alloc::boxed::Box;
use alloc::vec::Vec;

impl<S> Hub<S> {
    /// As [`adopt`](Self::adopt), and makes the connection secure before `connection_made` (contract LOOP-12). Pipes cannot be: `open_failed` says `Unsupported`.
    pub fn adopt_tls(&mut self, resource: Resource, role: Role, tls: &Tls, protocol: impl Protocol<S> + 'static) -> StreamId {
        let id = self.open(StreamTransport::new(Tls::LIMITS), Box::new(protocol));
        if self.stream(id).is_none() {
            return id;
        }
        let layer = match role {
            Role::Client | Role::Accepted => tls.layer(),
            Role::Listener | Role::ReadPipe | Role::WritePipe => Err(refused(ErrorKind::Unsupported)),
        };
        if self.open_with_layer(id.key, layer) {
            self.ops.push_back(Op::Adopt(id, resource, role));
        }
        id
    }

    /// Makes a live connection secure, as client or server as `tls` says: [`Protocol::start_tls_done`] follows, or `connection_lost` with what went wrong (contract
    /// TLS-18, TLS-21). The id, the protocol, what is paused and the marks stay as they are.
    ///
    /// What was written before goes out as it is, ahead of the handshake; what is written from here on is encrypted, and waits for that. `leftover` is what the
    /// protocol has received and not used, and it is taken for the peer's first words. A server refuses any: bytes that were sent in the clear could be somebody
    /// else's, and must not be taken for the client's; [`Tls::allow_early`] lets them pass (contract TLS-19). Closing during the handshake gives it up, as does
    /// aborting.
    ///
    /// # Errors
    /// `Closed` once closing, finished or lost, or if the peer has finished; `NotConnected` before `connection_made`; `Unsupported` on a pipe; `Busy` from
    /// `start_tls` until `start_tls_done`, and while a file is sent; `InvalidInput` for a leftover that is refused, and for a configuration that is none. The connection is unaffected.
    pub fn start_tls(&mut self, id: StreamId, tls: &Tls, leftover: &[u8]) -> Result<(), TlsError> {
        let stream = self.stream_mut(id).ok_or(refused(ErrorKind::Closed))?;
        if !(stream.transport.can_read() && stream.transport.can_write()) {
            return Err(refused(ErrorKind::Unsupported));
        }
        stream.transport.can_start_tls().map_err(refused)?;
        if !leftover.is_empty() && tls.refuses_early() {
            let detail = "bytes in the clear behind the wish for TLS";
            return Err(TlsError::new(Error::new(Call::Handshake, ErrorKind::InvalidInput), detail));
        }
        if stream.layer().is_some_and(Layer::is_shaking_hands) {
            return Err(refused(ErrorKind::Busy));
        }
        let layer = tls.layer()?;
        let below = stream.common.cold.as_mut().and_then(|cold| cold.layer.take());
        let (layer, received) = match below {
            None => (layer, leftover),
            Some(below) => (layer.on(*below, leftover), &[][..]),
        };
        self.install_layer(id.key, layer);
        self.observe(id.key, &Event::StartTls);
        self.layer_fact(id.key, Fact::Connected);
        if !received.is_empty() {
            self.layer_fact(id.key, Fact::Received(&mut Vec::from(received)));
        }
        Ok(())
    }

    /// What a secure connection's ends have agreed upon; `None` without TLS, before the handshake is done, and once lost (contract INFO-5).
    #[must_use]
    pub fn tls_info(&self, id: StreamId) -> Option<TlsInfo> {
        let layer = self.stream(id)?.layer()?;
        (!layer.session_ref().is_handshaking()).then(|| layer.session_ref().info())
    }

    /// The session of a secure connection, for what [`tls_info`](Self::tls_info) does not tell (contract INFO-5). `None` if it is of another type.
    #[must_use]
    pub fn tls_session<X: Session + 'static>(&mut self, id: StreamId) -> Option<&mut X> {
        let (layer, _) = self.stream_mut(id)?.layered()?;
        any_of(layer.session()).downcast_mut()
    }

    // ---- for the other verbs ----

    /// A piece of a file for a connection under a layer. `false`: it cannot be sent.
    pub(crate) fn write_file_layered(&mut self, key: Key, piece: &[u8]) -> bool {
        let Some((stream, pool)) = self.stream_and_pool(key) else { return false };
        let Some((layer, transport)) = stream.layered() else { return false };
        let taken = layer.write_file(piece, transport, pool);
        if transport.is_pause_owed() {
            self.paused(key);
        }
        if !taken {
            self.look_at(key);
        }
        taken
    }

    /// A connection that is being opened gets a layer. `false`: it cannot, and the opening has failed.
    pub(super) fn open_with_layer(&mut self, key: Key, layer: Result<Layer, TlsError>) -> bool {
        match layer {
            Ok(layer) => self.install_layer(key, layer),
            Err(ref error) => self.open_failed(key, OpenError::of_tls(None, error)),
        }
        layer_is_there(self.endpoints.get(key))
    }

    fn install_layer(&mut self, key: Key, layer: Layer) {
        let Some(stream) = self.stream_at(key) else { return };
        stream.common.set(LAYERED);
        stream.common.cold().layer = Some(Box::new(layer));
        stream.transport.set_layered();
    }

    // ---- from the engine ----

    /// A connection that a server accepted has its protocol: if the server is a secure one, the handshake comes first.
    pub(crate) fn begin_accepted_handshake(&mut self, key: Key, server: Key) -> bool {
        let Some(tls) = self.servers.get(server).and_then(|server| server.tls.as_ref()) else { return false };
        match tls.layer() {
            Ok(layer) => {
                if let Some(stream) = self.stream_at(key) {
                    stream.transport.start_with(Tls::LIMITS);
                }
                self.install_layer(key, layer);
                self.layer_fact(key, Fact::Connected);
            }
            Err(error) => self.handshake_failed(key, error),
        }
        true
    }

    /// An opening has failed at its handshake.
    pub(crate) fn handshake_failed(&mut self, key: Key, error: TlsError) {
        let about = self.about(key);
        let peer = about.ends.peer.clone();
        match about.server {
            None => self.open_failed(key, OpenError::of_tls(peer, &error)),
            Some(server) => {
                // That peers leave is not worth a report, however they do it (contract TLS-2).
                if !matches!(error.error().kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) {
                    let server = self.server_id(server);
                    self.reports.push(crate::report::Report::HandshakeFailed { server, peer, error });
                }
                drop(self.remove(key));
            }
        }
    }

    /// Tells a layer, and lets the driver look at what it makes of it.
    pub(crate) fn layer_fact(&mut self, key: Key, fact: Fact<'_>) {
        // An end that is told again, as by a send that fails until somebody has time to tell of the first, must not make the driver look for ever.
        let again = matches!(fact, Fact::Finished | Fact::Failed(..))
            && self.stream_at(key).and_then(|stream| stream.layered()).is_some_and(|(layer, _)| layer.has_ended());
        let now = self.now;
        let Some((stream, pool)) = self.stream_and_pool(key) else { return };
        let Some((layer, transport)) = stream.layered() else { return };
        layer.handle(fact, transport, pool, now);
        if transport.is_pause_owed() {
            self.paused(key);
        }
        if !again {
            self.look_at(key);
        }
    }

    /// The deadline of a layer is another one, or none.
    #[inline]
    pub(crate) fn set_layer_timer(&mut self, key: Key) {
        let Some((layer, _)) = self.stream_at(key).and_then(|stream| stream.layered()) else { return };
        if layer.timer.map(|(at, _)| at) != layer.deadline() {
            self.reset_layer_timer(key);
        }
    }

    fn reset_layer_timer(&mut self, key: Key) {
        self.cancel_layer_timer(key);
        let Some((layer, _)) = self.stream_at(key).and_then(|stream| stream.layered()) else { return };
        let Some(at) = layer.deadline() else { return };
        let timer = self.timers.set(at, Work::Layer { stream: key });
        if let Some((layer, _)) = self.stream_at(key).and_then(|stream| stream.layered()) {
            layer.timer = timer.map(|timer| (at, timer));
        }
    }

    pub(crate) fn cancel_layer_timer(&mut self, key: Key) {
        let layer = self.stream_at(key).and_then(|stream| stream.layered());
        if let Some((_, timer)) = layer.and_then(|(layer, _)| layer.timer.take()) {
            self.timers.cancel(timer);
        }
    }

    /// A deadline has passed.
    pub(crate) fn layer_time(&mut self, key: Key) {
        if let Some((layer, _)) = self.stream_at(key).and_then(|stream| stream.layered()) {
            layer.timer = None;
        }
        self.layer_fact(key, Fact::Time);
    }
}

/// A write to a connection under a layer; whether that has failed.
#[inline(never)]
pub(super) fn write_layered<S>(stream: &mut Stream<S>, pool: &mut BufPool, data: &[u8]) -> (WriteStatus, bool) {
    let Some((layer, transport)) = stream.layered() else { return (WriteStatus::Discarded, false) };
    (layer.write(data, transport, pool), layer.has_ended())
}

const fn layer_is_there<S>(endpoint: Option<&Endpoint<S>>) -> bool {
    matches!(endpoint, Some(Endpoint::Stream(stream)) if stream.common.has(LAYERED))
}

fn refused(kind: ErrorKind) -> TlsError {
    Error::new(Call::Handshake, kind).into()
}

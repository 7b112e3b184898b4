//! A loop in memory, and a protocol that does as it is told.

use crate::certs::tls_client;
use crate::peer::Peer;
use core::net::SocketAddr;
use plimsoll_core::testing::Harness;
use plimsoll_core::tls::{RustlsSession, TlsInfo};
use plimsoll_core::{CloseReason, Connect, Context, Data, OpenError, Protocol, StreamId};
use rustls::{HandshakeKind, SupportedProtocolVersion};

/// Lets both ends talk until neither has anything to say.
#[track_caller]
pub(crate) fn talk(t: &mut Harness<State>, id: StreamId, peer: &mut Peer) {
    loop {
        t.run();
        let ours = t.sent(id);
        peer.input(&ours);
        let theirs = peer.output();
        if !theirs.is_empty() {
            t.feed(id, &theirs);
        } else if ours.is_empty() {
            return;
        }
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) failed: Vec<OpenError>,
    pub(crate) reasons: Vec<CloseReason>,
    /// It went on to another TLS.
    pub(crate) upgraded: bool,
    /// What `connection_lost` could find out of the connection, and of its session whether it was resumed.
    pub(crate) infos: Vec<(Option<TlsInfo>, Option<bool>)>,
}

type Act = fn(&mut Context<'_, State>, &[u8]);

/// Does something in callbacks.
#[derive(Clone, Copy)]
pub(crate) struct App {
    pub(crate) made: Act,
    pub(crate) data: Act,
    pub(crate) eof: bool,
    pub(crate) upgraded: Act,
}

pub(crate) const QUIET: App = App { made: |_, _| {}, data: |_, _| {}, eof: false, upgraded: |_, _| {} };
pub(crate) const ECHO: App = App {
    data: |cx, data| {
        cx.write(data);
    },
    ..QUIET
};

impl Protocol<State> for App {
    fn connection_made(&mut self, cx: &mut Context<'_, State>) {
        (self.made)(cx, b"");
    }

    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        (self.data)(cx, &data);
    }

    fn eof_received(&mut self, _: &mut Context<'_, State>) -> bool {
        self.eof
    }

    fn start_tls_done(&mut self, cx: &mut Context<'_, State>) {
        (self.upgraded)(cx, b"");
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, State>, error: OpenError) {
        cx.state.failed.push(error);
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, State>, reason: CloseReason) {
        cx.state.reasons.push(reason);
        let session = cx.hub.tls_session::<RustlsSession>(cx.id);
        let resumed = session.map(|session| session.state().handshake_kind() == Some(HandshakeKind::Resumed));
        cx.state.infos.push((cx.hub.tls_info(cx.id), resumed));
    }
}

pub(crate) fn harness() -> Harness<State> {
    Harness::new(State::default())
}

pub(crate) fn to() -> Connect {
    Connect::to(SocketAddr::from(([127, 0, 0, 1], 7)))
}

/// A secure connection of which we are the client, opened and ready to talk.
#[track_caller]
pub(crate) fn connected(version: &'static SupportedProtocolVersion, app: App) -> (Harness<State>, StreamId, Peer) {
    let mut t = harness();
    let id = t.open(to().tls(tls_client(version)), app);
    let mut peer = Peer::server(version);
    talk(&mut t, id, &mut peer);
    assert_eq!(t.trace(id), "cm");
    (t, id, peer)
}

//! Certificates, a peer over plain rustls, and a protocol that does as it is told.

use plimsoll_core::testing::Harness;
use plimsoll_core::tls::Tls;
use plimsoll_core::{CloseReason, Connect, Context, Data, OpenError, Protocol, StreamId};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::vec::Vec;

pub const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn identity() -> &'static (CertificateDer<'static>, Vec<u8>) {
    static IDENTITY: OnceLock<(CertificateDer<'static>, Vec<u8>)> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        (made.cert.der().clone(), made.signing_key.serialize_der())
    })
}

pub fn name() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}

fn key() -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(identity().1.clone()).into()
}

pub fn client(version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(identity().0.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"echo".to_vec()];
    config
}

/// Trusts nobody.
pub fn suspicious_client() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

pub fn server(version: &'static SupportedProtocolVersion) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity().0.clone()], key())
        .unwrap();
    config.alpn_protocols = vec![b"echo".to_vec()];
    config
}

pub fn tls_client(version: &'static SupportedProtocolVersion) -> Tls {
    Tls::client(client(version), name())
}

pub fn tls_server(version: &'static SupportedProtocolVersion) -> Tls {
    Tls::server(server(version))
}

/// The other end.
pub struct Peer {
    pub tls: Connection,
    pub received: Vec<u8>,
    pub closed: bool,
    pub error: Option<rustls::Error>,
}

impl Peer {
    pub fn new(tls: impl Into<Connection>) -> Self {
        let mut tls = tls.into();
        tls.set_buffer_limit(None);
        Self { tls, received: Vec::new(), closed: false, error: None }
    }

    pub fn server(version: &'static SupportedProtocolVersion) -> Self {
        Self::new(ServerConnection::new(Arc::new(server(version))).unwrap())
    }

    pub fn client(version: &'static SupportedProtocolVersion) -> Self {
        Self::new(ClientConnection::new(Arc::new(client(version)), name()).unwrap())
    }

    pub fn write(&mut self, data: &[u8]) {
        self.tls.writer().write_all(data).unwrap();
    }

    pub fn close(&mut self) {
        self.tls.send_close_notify();
    }

    /// What it has to say.
    pub fn output(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut wire).unwrap();
        }
        wire
    }

    /// What it is told.
    pub fn input(&mut self, mut wire: &[u8]) {
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

    pub fn received(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.received)
    }
}

/// Lets both ends talk until neither has anything to say.
#[track_caller]
pub fn talk(t: &mut Harness<State>, id: StreamId, peer: &mut Peer) {
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
pub struct State {
    pub failed: Vec<OpenError>,
    pub lost: Vec<String>,
    pub reasons: Vec<CloseReason>,
}

type Act = fn(&mut Context<'_, State>, &[u8]);

/// Does something in callbacks.
#[derive(Clone, Copy)]
pub struct App {
    pub made: Act,
    pub data: Act,
    pub eof: bool,
    pub upgraded: Act,
}

pub const QUIET: App = App { made: |_, _| {}, data: |_, _| {}, eof: false, upgraded: |_, _| {} };
pub const ECHO: App = App {
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
    }
}

pub fn harness() -> Harness<State> {
    Harness::new(State::default())
}

pub fn to() -> Connect {
    Connect::to(SocketAddr::from(([127, 0, 0, 1], 7)))
}

/// A secure connection of which we are the client, opened and ready to talk.
#[track_caller]
pub fn connected(version: &'static SupportedProtocolVersion, app: App) -> (Harness<State>, StreamId, Peer) {
    let mut t = harness();
    let id = t.open(to().tls(tls_client(version)), app);
    let mut peer = Peer::server(version);
    talk(&mut t, id, &mut peer);
    assert_eq!(t.trace(id), "cm");
    (t, id, peer)
}

//! Secure connections with peers that are not ours: OpenSSL, CPython, tokio-rustls, curl.

mod certificates;
mod curl;
mod made;
mod openssl;
mod python;
mod renewal;
mod rust;

use super::certs::{self, pem_files, tls_server};
use super::kit::{Rig, Tap, pattern};
use super::tls::serve;
use super::tool::Tool;
use crate::backend::tls::Tls;
use crate::backend::{CloseReason, Connect, Server};
use rustls::SupportedProtocolVersion;
use rustls::client::ClientConfig;
use std::net::SocketAddr;

/// The versions, as rustls and as OpenSSL name them.
const VERSIONS: [(&SupportedProtocolVersion, &str); 2] = [(certs::VERSIONS[0], "-tls1_2"), (certs::VERSIONS[1], "-tls1_3")];

/// More than a record, a read and the socket buffers hold.
const LONG: usize = 400 * 1024;

/// Serves echoes.
fn echoes(rig: &mut Rig, version: &'static SupportedProtocolVersion) -> (Server, SocketAddr) {
    serve(rig, tls_server(version), || Tap::new("server").echo())
}

/// OpenSSL as a client that trusts us, and leaves when it is told nothing more; unless quiet it says what was agreed upon.
fn s_client(place: SocketAddr, arguments: &[&str]) -> Option<Tool> {
    let (cert, _) = pem_files();
    let at = place.to_string();
    let common = ["s_client", "-connect", &at, "-CAfile", cert, "-verify_return_error", "-servername", "localhost"];
    Tool::start("openssl", &[&common[..], arguments, &["-no_ign_eof"]].concat())
}

/// OpenSSL as a server with our certificate, and where it is.
fn s_server(rig: &mut Rig, arguments: &[&str]) -> Option<(Tool, SocketAddr)> {
    let (cert, key) = pem_files();
    s_server_with(rig, cert, key, arguments)
}

fn s_server_with(rig: &mut Rig, cert: &str, key: &str, arguments: &[&str]) -> Option<(Tool, SocketAddr)> {
    let common = ["s_server", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key];
    let mut peer = Tool::start("openssl", &[&common[..], arguments].concat())?;
    let line = peer.until_says(rig, "ACCEPT ");
    Some((peer, line["ACCEPT ".len()..].parse().unwrap()))
}

/// A client of that version, with no protocol in particular.
fn plain_client(version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut config = certs::client(version);
    config.alpn_protocols.clear();
    config
}

/// That configuration, for a server that has to be `localhost`.
fn to(place: SocketAddr, config: ClientConfig) -> Connect {
    Connect::to(place).tls(Tls::client(config, certs::name()))
}

/// The last connection that was lost was so with that: an error of TLS', in these words.
#[track_caller]
fn lost_saying(rig: &mut Rig, words: &str) {
    let reason: &CloseReason = rig.state().reasons.last().unwrap();
    let said = reason.failure().map(ToString::to_string).unwrap_or_default();
    assert!(said.contains(words), "{reason:?}: {said}");
}

/// So many bytes of digits and line ends: nothing that a tool takes for a command, wherever it cuts them.
fn digits(len: usize) -> String {
    pattern(len).iter().enumerate().map(|(n, byte)| if n % 64 == 63 { '\n' } else { char::from(b'0' + byte % 10) }).collect()
}

/// The lines that only have digits.
fn of_digits(said: &[String]) -> impl Iterator<Item = &str> {
    said.iter().map(String::as_str).filter(|line| line.len() == 63 && line.bytes().all(|byte| byte.is_ascii_digit()))
}

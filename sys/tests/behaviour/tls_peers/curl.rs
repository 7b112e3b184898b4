//! curl at the other end.

use super::made::Authority;
use super::{Tool, VERSIONS};
use crate::backend::tls::Tls;
use crate::backend::{Context, Data, Listen, Protocol};
use crate::behaviour::certs::{pem_files, provider, server_with};
use crate::behaviour::kit::{Rig, State, any_port};
use rustls::server::WebPkiClientVerifier;

/// Answers one request with who asked, and closes.
struct Page;

impl Protocol<State> for Page {
    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        if data.ends_with(b"\r\n\r\n") {
            let info = cx.hub.tls_info(cx.id).unwrap();
            let name = info.server_name.unwrap_or_default();
            let body = format!("{} for {name}, {} certificates\n", info.version.unwrap(), info.peer_certificates.len());
            cx.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()));
            cx.close();
        }
    }
}

#[test]
fn curl_fetches_a_page_with_and_without_a_certificate() {
    //= TLS-1, TLS-11, INFO-5
    let authority = Authority::new("authority");
    let known = authority.vouch("known");
    for ((version, _), (said, number)) in VERSIONS.into_iter().zip([("TLSv1.2", "1.2"), ("TLSv1.3", "1.3")]) {
        let mut rig = Rig::new();
        let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider());
        let verifier = verifier.allow_unauthenticated().build().unwrap();
        let mut config = server_with(version, |builder| builder.with_client_cert_verifier(verifier));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let server = rig.event_loop.listen(Listen::on(any_port()).tls(Tls::server(config)), |_, _| Page).unwrap();
        let port = server.addr().inet().unwrap().port();
        let (url, resolve) = (format!("https://localhost:{port}/"), format!("localhost:{port}:127.0.0.1"));
        let lowest = format!("--tlsv{number}");
        let usual = [
            "--silent",
            "--show-error",
            "--verbose",
            "--noproxy",
            "*",
            &lowest,
            "--tls-max",
            number,
            "--resolve",
            &resolve,
            &url,
        ];
        let trusting = [&usual[..], &["--cacert", pem_files().0]].concat();
        for shown in [0, 1] {
            let identity = ["--cert", known.cert_file.path(), "--key", known.key_file.path()];
            let Some(mut peer) = Tool::start("curl", &[&trusting[..], &identity[..shown * 4]].concat()) else { return };
            assert!(peer.ends(&mut rig).success(), "{:?}", peer.said);
            peer.until_says(&mut rig, &format!("{said} for localhost, {shown} certificates"));
            peer.until_says(&mut rig, "ALPN: server accepted http/1.1");
        }
        // It does not know us: the number says that (curl's manual, EXIT CODES).
        let Some(mut distrustful) = Tool::start("curl", &usual) else { return };
        assert_eq!(distrustful.ends(&mut rig).code(), Some(60), "{:?}", distrustful.said);
        let reports = rig.reports.clone();
        rig.until(|_| !reports.borrow().is_empty());
        assert!(rig.reported()[0].contains("received fatal alert: UnknownCA"));
    }
}

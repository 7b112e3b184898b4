//! CPython's asyncio at the other end, over its `ssl`, which is OpenSSL's.

use super::made::Authority;
use super::{Tool, VERSIONS, plain_client, serve, to};
use crate::backend::tls::Tls;
use crate::behaviour::certs::{self, pem_files, provider, server_with};
use crate::behaviour::kit::{Rig, Tap, pattern};
use rustls::server::WebPkiClientVerifier;

const CLIENT: &str = r#"
import asyncio, ssl, sys
async def main(port, version, cafile, alpn, *identity):
    context = ssl.create_default_context(cafile=cafile)
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    context.set_alpn_protocols([alpn])
    if identity:
        context.load_cert_chain(*identity)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port), ssl=context, server_hostname="localhost")
    ssl_object = writer.get_extra_info("ssl_object")
    print("speaks", ssl_object.version(), ssl_object.selected_alpn_protocol(), flush=True)
    message = bytes(range(256)) * 4096
    writer.write(message)
    assert await reader.readexactly(len(message)) == message
    writer.close()
    await writer.wait_closed()
    print("done", flush=True)
asyncio.run(main(*sys.argv[1:]))
"#;

const SERVER: &str = r#"
import asyncio, ssl, sys
async def echo(reader, writer):
    ssl_object = writer.get_extra_info("ssl_object")
    subject = dict(part[0] for part in (ssl_object.getpeercert() or {}).get("subject", ()))
    print("speaks", ssl_object.version(), ssl_object.selected_alpn_protocol(), "with", subject.get("commonName"), flush=True)
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def main(version, cert, key, cafile=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["echo"])
    context.sni_callback = lambda connection, name, context: print("asked for", name, flush=True)
    if cafile:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cafile)
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main(*sys.argv[1:]))
"#;

/// As CPython names the versions: where it is told, and where it tells.
const NAMES: [(&str, &str); 2] = [("TLSv1_2", "TLSv1.2"), ("TLSv1_3", "TLSv1.3")];

fn client(arguments: &[&str]) -> Option<Tool> {
    Tool::start("python3", &[&["-c", CLIENT], arguments].concat())
}

fn server(rig: &mut Rig, arguments: &[&str]) -> Option<(Tool, u16)> {
    let mut peer = Tool::start("python3", &[&["-c", SERVER], arguments].concat())?;
    let line = peer.until_says(rig, "port ");
    Some((peer, line["port ".len()..].parse().unwrap()))
}

#[test]
fn cpythons_asyncio_is_served() {
    //= TLS-1, TLS-8, INFO-5
    for ((version, _), (told, tells)) in VERSIONS.into_iter().zip(NAMES) {
        let mut rig = Rig::new();
        let (_server, place) = super::echoes(&mut rig, version);
        let Some(mut peer) = client(&[&place.port().to_string(), told, pem_files().0, "echo"]) else { return };
        peer.until_says(&mut rig, "done");
        assert_eq!(peer.said, [&format!("speaks {tells} echo"), "done"]);
        rig.until_saw("server lost(None)");
        assert_eq!(rig.state().received("server").len(), 1 << 20);
        peer.succeeds(&mut rig);
    }
}

#[test]
fn cpythons_asyncio_serves_us() {
    //= TLS-1, TLS-11, INFO-5
    let sent = pattern(1 << 20);
    let (cert, key) = pem_files();
    for ((version, _), (told, tells)) in VERSIONS.into_iter().zip(NAMES) {
        let mut rig = Rig::new();
        let Some((mut peer, port)) = server(&mut rig, &[told, cert, key]) else { return };
        let message = sent.clone();
        let tap = Tap::new("client").on("made", move |cx| {
            cx.write(message.clone());
        });
        let connect = to(([127, 0, 0, 1], port).into(), certs::client(version));
        let id = rig.event_loop.hub().connect(connect, tap);
        rig.until(|state| state.received("client").len() == 1 << 20);
        assert!(rig.state().received("client") == sent);
        peer.until_says(&mut rig, &format!("speaks {tells} echo with None"));
        peer.until_says(&mut rig, "asked for localhost");
        rig.event_loop.hub().close(id);
        rig.until_saw("client lost(None)");
    }
}

#[test]
fn cpython_and_we_know_each_other_by_our_certificates() {
    //= TLS-2, INFO-5
    let authority = Authority::new("authority");
    let (server_side, known) = (authority.vouch("localhost"), authority.vouch("known"));
    for ((version, _), (told, tells)) in VERSIONS.into_iter().zip(NAMES) {
        let mut rig = Rig::new();
        let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider()).build().unwrap();
        let asking = server_with(version, |builder| builder.with_client_cert_verifier(verifier));
        let (_server, place) = serve(&mut rig, Tls::server(asking), || Tap::new("server").echo());
        let (port, shown) = (place.port().to_string(), [known.cert_file.path(), known.key_file.path()]);
        let Some(mut peer) = client(&[&port, told, pem_files().0, "echo", shown[0], shown[1]]) else { return };
        rig.until_saw("server made");
        let id = rig.state().id("server");
        let info = rig.event_loop.hub().tls_info(id).unwrap();
        assert_eq!(info.peer_certificates, [known.certificate.der().to_vec()]);
        peer.until_says(&mut rig, "done");
        rig.until_saw("server lost(None)");

        // Who shows none is told so, wherever in its life it learns of it.
        let Some(mut nameless) = client(&[&port, told, pem_files().0, "echo"]) else { return };
        assert!(!nameless.ends(&mut rig).success());
        nameless.until_says(&mut rig, "certificate required");
        assert!(rig.reported()[0].contains("peer sent no certificates"));

        let of_server = [told, server_side.cert_file.path(), server_side.key_file.path(), authority.file.path()];
        let Some((mut peer, port)) = server(&mut rig, &of_server) else { return };
        let place = ([127, 0, 0, 1], port).into();
        let id = rig.event_loop.hub().connect(to(place, authority.client(version, Some(&known))), Tap::new("client"));
        rig.until_saw("client made");
        peer.until_says(&mut rig, &format!("speaks {tells} None with known"));
        rig.event_loop.hub().close(id);
        rig.until_saw("client lost(None)");
        rig.event_loop.hub().connect(to(place, plain_client(version)), Tap::new("distrustful"));
        rig.until_saw("distrustful refused");
        assert!(rig.state().refusals[0].to_string().contains("UnknownIssuer"));
    }
}

//! tokio-rustls at the other end.

use super::{Rig, Tap, VERSIONS, echoes, pattern, to};
use crate::behaviour::certs::{client, name, server};
use crate::behaviour::kit::any_port;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Runs a future of tokio's on a thread of its own.
fn tokio<F: Future<Output = ()> + Send + 'static>(future: F) -> thread::JoinHandle<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    thread::spawn(move || runtime.block_on(future))
}

#[test]
fn tokio_rustls_talks_to_us_in_both_roles() {
    //= TLS-1, TLS-8, TLS-11
    let sent = pattern(1 << 20);
    for (version, _) in VERSIONS {
        let mut rig = Rig::new();
        let (_server, place) = echoes(&mut rig, version);
        let message = sent.clone();
        let peer = tokio(async move {
            let stream = tokio::net::TcpStream::connect(place).await.unwrap();
            let mut stream = TlsConnector::from(Arc::new(client(version))).connect(name(), stream).await.unwrap();
            stream.write_all(&message).await.unwrap();
            stream.flush().await.unwrap();
            let mut back = vec![0; message.len()];
            stream.read_exact(&mut back).await.unwrap();
            assert!(back == message);
            stream.shutdown().await.unwrap();
            // An end without a closing word would be an error.
            assert_eq!(stream.read(&mut back).await.unwrap(), 0);
        });
        rig.until_saw("server lost(None)");
        peer.join().unwrap();

        let listener = TcpListener::bind(any_port()).unwrap();
        let place = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let peer = tokio(async move {
            let (stream, _) = tokio::net::TcpListener::from_std(listener).unwrap().accept().await.unwrap();
            let stream = TlsAcceptor::from(Arc::new(server(version))).accept(stream).await.unwrap();
            let (mut from, mut to) = tokio::io::split(stream);
            // Until we take leave, in order.
            tokio::io::copy(&mut from, &mut to).await.unwrap();
            to.shutdown().await.unwrap();
        });
        let message = sent.clone();
        let tap = Tap::new("client").on("made", move |cx| {
            cx.write(message.clone());
        });
        let id = rig.event_loop.hub().connect(to(place, client(version)), tap);
        rig.until(|state| state.received("client").len() == 1 << 20);
        assert!(rig.state().received("client") == sent);
        rig.event_loop.hub().close(id);
        rig.until_saw("client lost(None)");
        peer.join().unwrap();
    }
}

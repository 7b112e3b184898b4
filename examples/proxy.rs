//! Hands connections on to another address: `proxy [--backend mio|polling] [ADDR] [UPSTREAM]`.
//!
//! A side that reads slowly slows the other side down, and each half of a connection is finished when its source is.

use core::net::SocketAddr;
use plimsoll_examples::Example;
use plimsoll_mio::{CloseReason, Context, Data, OpenError, Protocol, Selector, StreamId};
use std::io;
use std::process::ExitCode;

/// One side of a connection through the proxy.
struct Half {
    /// The other side, as soon as there is one.
    peer: Option<StreamId>,
    /// Where the other side is to be connected to, if this is the side that came first.
    upstream: Option<SocketAddr>,
    eof: bool,
}

impl Protocol<()> for Half {
    fn connection_made(&mut self, cx: &mut Context<'_, ()>) {
        if let Some(upstream) = self.upstream {
            // The client's side: the upstream's can be written to before it is there, within its marks.
            let peer = cx.hub.connect(upstream, Self { peer: Some(cx.id), upstream: None, eof: false });
            self.peer = Some(peer);
            cx.hub.read_follows_write(cx.id, peer);
            cx.hub.read_follows_write(peer, cx.id);
        }
    }

    fn data_received(&mut self, cx: &mut Context<'_, ()>, data: Data<'_>) {
        if let Some(peer) = self.peer {
            cx.hub.write(peer, data);
        }
    }

    fn eof_received(&mut self, cx: &mut Context<'_, ()>) -> bool {
        self.eof = true;
        let Some(peer) = self.peer else { return false };
        if cx.hub.protocol::<Self>(peer).is_some_and(|peer| peer.eof) {
            // Both directions are finished: what is queued is still sent.
            cx.hub.close(peer);
            return false;
        }
        // A refusal says that it is finished already.
        let _ = cx.hub.write_eof(peer);
        true
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, ()>, error: OpenError) {
        eprintln!("{error}");
        if let Some(client) = self.peer {
            cx.hub.abort(client);
        }
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, ()>, reason: CloseReason) {
        if let Some(peer) = self.peer {
            // What arrived is still sent on after an orderly end; after an error nothing can be.
            if reason.error().is_some() { cx.hub.abort(peer) } else { cx.hub.close(peer) }
        }
    }
}

struct Proxy;

impl Example for Proxy {
    fn run<P: Selector>(self, addrs: &[SocketAddr]) -> io::Result<()> {
        let mut event_loop = plimsoll_sys::EventLoop::<(), P>::new(())?;
        let upstream = Some(addrs[1]);
        let server = event_loop.listen(addrs[0], move |(), _| Half { peer: None, upstream, eof: false })?;
        println!("listening on {}", server.addr());
        event_loop.run()
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main(Proxy, &["127.0.0.1:8889", "127.0.0.1:8888"])
}

//! Sends back what it gets: `tcp_echo_server [--backend mio|polling] [ADDR]`.

use core::net::SocketAddr;
use plimsoll_examples::Example;
use plimsoll_mio::{CloseReason, Context, Data, Protocol, Selector};
use std::io;
use std::process::ExitCode;

struct Echo;

impl Protocol<()> for Echo {
    fn connection_made(&mut self, cx: &mut Context<'_, ()>) {
        if let Some(peer) = cx.hub.peer_addr(cx.id) {
            println!("connection from {peer}");
        }
        // Who does not take the echo is not listened to: at most the high mark and one read are kept for them.
        cx.hub.read_follows_write(cx.id, cx.id);
    }

    fn data_received(&mut self, cx: &mut Context<'_, ()>, data: Data<'_>) {
        cx.write(data);
    }

    fn connection_lost(self: Box<Self>, _: &mut Context<'_, ()>, reason: CloseReason) {
        if let Some(peer) = &reason.ends().peer {
            println!("{peer}: {reason}");
        }
    }
}

struct Server;

impl Example for Server {
    fn run<P: Selector>(self, addrs: &[SocketAddr]) -> io::Result<()> {
        let mut event_loop = plimsoll_sys::EventLoop::<(), P>::new(())?;
        let server = event_loop.listen(addrs[0], |_, _| Echo)?;
        println!("listening on {}", server.addr());
        event_loop.run()
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main(Server, &["127.0.0.1:8888"])
}

//! Sends back each datagram that it gets: `udp_echo_server [--backend mio|polling] [ADDR]`.

use core::net::SocketAddr;
use plimsoll_examples::Example;
use plimsoll_mio::{Addr, Context, Data, DatagramId, DatagramProtocol, Error, OpenError, Selector};
use std::io;
use std::process::ExitCode;

/// Why it could not be opened.
type Failure = Option<OpenError>;

struct Echo;

impl DatagramProtocol<Failure> for Echo {
    fn connection_made(&mut self, cx: &mut Context<'_, Failure, DatagramId>) {
        if let Some(local) = cx.hub.local_addr(cx.id) {
            println!("listening on {local}");
        }
    }

    fn datagram_received(&mut self, cx: &mut Context<'_, Failure, DatagramId>, data: Data<'_>, from: &Addr) {
        println!("{} bytes from {from}", data.len());
        cx.send_to(data, from);
    }

    fn error_received(&mut self, _: &mut Context<'_, Failure, DatagramId>, error: Error) {
        println!("{error}");
    }

    // Echoes that the kernel does not take are not asked for either.
    fn pause_writing(&mut self, cx: &mut Context<'_, Failure, DatagramId>) {
        cx.pause_reading();
    }

    fn resume_writing(&mut self, cx: &mut Context<'_, Failure, DatagramId>) {
        cx.resume_reading();
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, Failure, DatagramId>, error: OpenError) {
        *cx.state = Some(error);
        cx.hub.stop();
    }
}

struct Server;

impl Example for Server {
    fn run<P: Selector>(self, addrs: &[SocketAddr]) -> io::Result<()> {
        let mut event_loop = plimsoll_sys::EventLoop::<Failure, P>::new(None)?;
        event_loop.hub().open_datagram(addrs[0], Echo);
        event_loop.run()?;
        event_loop.state().take().map_or(Ok(()), |error| Err(error.into()))
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main(Server, &["127.0.0.1:9999"])
}

//! Waits for data on sockets that somebody else made: `existing_socket [--backend mio|polling]`.
//!
//! The original registers one end of a socket pair; TCP has no pairs, so this one connects two sockets by hand.

use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_examples::Example;
use plimsoll_mio::{CloseReason, Context, Data, HubExt, OpenError, Protocol, Selector};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

struct Reader;

impl Protocol<()> for Reader {
    fn data_received(&mut self, cx: &mut Context<'_, ()>, data: Data<'_>) {
        println!("received: {}", String::from_utf8_lossy(&data));
        // We are done: close the connection, which calls `connection_lost`.
        cx.close();
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, ()>, error: OpenError) {
        eprintln!("the socket was refused: {error}");
        cx.hub.stop();
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, ()>, _: CloseReason) {
        cx.hub.stop();
    }
}

struct Main;

impl Example for Main {
    fn run<P: Selector>(self, addrs: &[SocketAddr]) -> io::Result<()> {
        // A pair of connected sockets, made without the loop.
        let listener = TcpListener::bind(addrs[0])?;
        let mut writer = TcpStream::connect(listener.local_addr()?)?;
        let (reader, _) = listener.accept()?;

        let mut event_loop = plimsoll_sys::EventLoop::<(), P>::new(())?;
        // Moved in: from now on it is the loop's, which closes it.
        event_loop.hub().adopt_stream(reader, Reader);
        // Simulate the reception of data from the network.
        event_loop.hub().call_later(Duration::from_millis(10), move |hub, ()| {
            if let Err(error) = writer.write_all(b"abc") {
                hub.report(error);
                hub.stop();
            }
        });
        event_loop.run()
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main(Main, &["127.0.0.1:0"])
}

//! Sends a message, prints the echo, and ends: `tcp_echo_client [--backend mio|polling] [HOST:PORT]`.

use plimsoll_examples::ByName;
use plimsoll_mio::{CloseReason, Connect, Context, Data, OpenError, Protocol, Selector};
use std::io;
use std::process::ExitCode;

const MESSAGE: &str = "Hello World!";

/// What became of the connection.
type Outcome = Option<io::Result<()>>;

#[derive(Default)]
struct Client {
    received: Vec<u8>,
}

impl Protocol<Outcome> for Client {
    fn connection_made(&mut self, cx: &mut Context<'_, Outcome>) {
        cx.write(MESSAGE);
        println!("data sent: {MESSAGE}");
    }

    fn data_received(&mut self, cx: &mut Context<'_, Outcome>, data: Data<'_>) {
        // Where the bytes are cut means nothing: the message may come in pieces.
        self.received.extend_from_slice(&data);
        if self.received.len() >= MESSAGE.len() {
            println!("data received: {}", String::from_utf8_lossy(&self.received));
            cx.close();
        }
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, Outcome>, error: OpenError) {
        *cx.state = Some(Err(error.into()));
        cx.hub.stop();
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Outcome>, reason: CloseReason) {
        println!("the connection is {reason}");
        let complete = self.received == MESSAGE.as_bytes();
        *cx.state = Some(if complete { Ok(()) } else { Err(io::Error::other("that is not the echo of what was sent")) });
        cx.hub.stop();
    }
}

struct Main;

impl ByName for Main {
    fn run<P: Selector>(self, hosts: &[(String, u16)]) -> io::Result<()> {
        let mut event_loop = plimsoll_sys::EventLoop::<Outcome, P>::new(None)?;
        let (host, port) = &hosts[0];
        // Whichever of its addresses answers first.
        event_loop.hub().connect(Connect::host(host.as_str(), *port).stagger(Connect::STAGGER), Client::default());
        event_loop.run()?;
        event_loop.state().take().unwrap_or(Ok(()))
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main_by_name(Main, &["127.0.0.1:8888"])
}

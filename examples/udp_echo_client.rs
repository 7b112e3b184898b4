//! Sends a datagram, prints the echo, and ends: `udp_echo_client [--backend mio|polling] [ADDR]`.

use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_examples::Example;
use plimsoll_mio::{
    Addr, CloseReason, Context, Data, Datagram, DatagramId, DatagramProtocol, Error, OpenError, Selector, TimerId,
};
use std::io;
use std::process::ExitCode;

const MESSAGE: &str = "Hello World!";

/// Datagrams get lost: after this long there will be no answer any more.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of it.
type Outcome = Option<io::Result<()>>;

struct Client;

impl DatagramProtocol<Outcome> for Client {
    fn connection_made(&mut self, cx: &mut Context<'_, Outcome, DatagramId>) {
        cx.send(MESSAGE);
        println!("data sent: {MESSAGE}");
        cx.set_timer(PATIENCE);
    }

    fn datagram_received(&mut self, cx: &mut Context<'_, Outcome, DatagramId>, data: Data<'_>, _: &Addr) {
        println!("data received: {}", String::from_utf8_lossy(&data));
        let complete = *data == *MESSAGE.as_bytes();
        *cx.state = Some(if complete { Ok(()) } else { Err(io::Error::other("that is not the echo of what was sent")) });
        cx.close();
    }

    fn error_received(&mut self, cx: &mut Context<'_, Outcome, DatagramId>, error: Error) {
        *cx.state = Some(Err(error.into()));
        cx.close();
    }

    fn timer(&mut self, cx: &mut Context<'_, Outcome, DatagramId>, _: TimerId) {
        *cx.state = Some(Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")));
        cx.close();
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, Outcome, DatagramId>, error: OpenError) {
        *cx.state = Some(Err(error.into()));
        cx.hub.stop();
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Outcome, DatagramId>, reason: CloseReason) {
        println!("the endpoint is {reason}");
        cx.hub.stop();
    }
}

struct Main;

impl Example for Main {
    fn run<P: Selector>(self, addrs: &[SocketAddr]) -> io::Result<()> {
        let mut event_loop = plimsoll_sys::EventLoop::<Outcome, P>::new(None)?;
        event_loop.hub().open_datagram(Datagram::to(addrs[0]), Client);
        event_loop.run()?;
        event_loop.state().take().unwrap_or(Ok(()))
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main(Main, &["127.0.0.1:9999"])
}

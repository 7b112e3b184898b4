//! An echo on a Unix socket, both ends of it: `unix_echo [--backend mio|polling] [server|client] [PATH]`, where `@NAME` is a name without a file.
//!
//! The server sends back what it gets. On SIGTERM or SIGINT it takes its file away, and ends when its connections have; on a second one they are cut off. The
//! client sends a message, prints the echo, and ends.

use plimsoll_examples::{OnUnix, Role};
use plimsoll_mio::{CloseReason, Context, Data, HubExt, OpenError, Protocol, Selector, UnixAddr};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io;
use std::process::ExitCode;

const MESSAGE: &str = "Hello World!";

struct Echo;

impl<S> Protocol<S> for Echo {
    fn connection_made(&mut self, cx: &mut Context<'_, S>) {
        // Clients have no address, as a rule.
        println!("connection {:?}", cx.id);
        cx.hub.read_follows_write(cx.id, cx.id);
    }

    fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
        cx.write(data);
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, S>, reason: CloseReason) {
        println!("{:?}: {reason}", cx.id);
    }
}

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

impl OnUnix for Main {
    fn run<P: Selector>(self, role: Role, at: UnixAddr) -> io::Result<()> {
        let mut event_loop = plimsoll_sys::EventLoop::<Outcome, P>::new(None)?;
        if role == Role::Client {
            event_loop.hub().connect(at, Client::default());
        } else {
            let server = event_loop.listen(at, |_, _| Echo)?;
            for signal in [SIGTERM, SIGINT] {
                let id = server.id();
                event_loop.hub().on_signal(signal, move |hub, _| {
                    if hub.is_serving(id) {
                        println!("ending");
                        hub.server_close(id);
                        hub.close_clients(id);
                        hub.wait_closed(id, |hub, _| hub.stop());
                    } else {
                        hub.abort_clients(id);
                    }
                })?;
            }
            println!("listening on {}", server.addr());
        }
        event_loop.run()?;
        event_loop.state().take().unwrap_or(Ok(()))
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main_on_unix(Main, "/tmp/unix_echo")
}

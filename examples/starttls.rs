//! A protocol of lines that becomes secure, both ends of it: `starttls [--backend mio|polling] [server|client] [HOST:PORT]`.
//!
//! The server says `ready`, and answers `STARTTLS` with `go ahead`; from there on it speaks TLS, and sends lines back. What a client sends behind `STARTTLS`
//! without waiting for the answer came in the clear, from whomever: it is refused. The client takes no for an error, and never speaks in the clear.
//!
//! CERT and KEY name the server's certificate and key, ROOTS whom the client trusts, as with `tls_echo_server` and `tls_client`.

use plimsoll_examples::tls::{client_config, server_config};
use plimsoll_examples::{EitherEnd, Role};
use plimsoll_mio::tls::Tls;
use plimsoll_mio::{CloseReason, Connect, Context, Data, Listen, OpenError, Protocol, Selector};
use rustls::pki_types::ServerName;
use std::io;
use std::process::ExitCode;

/// The longest line that is waited for.
const LONGEST: usize = 4096;

const MESSAGE: &str = "Hello World!";

struct State {
    tls: Tls,
    /// What became of the client's connection.
    outcome: Option<io::Result<()>>,
}

/// The first line of what was received, taken out.
fn take_line(received: &mut Vec<u8>) -> Option<String> {
    let end = received.iter().position(|&byte| byte == b'\n')?;
    let line: Vec<u8> = received.drain(..=end).collect();
    Some(String::from_utf8_lossy(&line[..end]).trim_end_matches('\r').into())
}

#[derive(Default)]
struct Server {
    received: Vec<u8>,
    secure: bool,
}

impl Protocol<State> for Server {
    fn connection_made(&mut self, cx: &mut Context<'_, State>) {
        cx.hub.read_follows_write(cx.id, cx.id);
        cx.write("ready\n");
    }

    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        self.received.extend_from_slice(&data);
        while let Some(line) = take_line(&mut self.received) {
            if self.secure {
                cx.write(format!("{line}\n").as_str());
            } else if line == "STARTTLS" {
                // This goes out in the clear, ahead of the handshake; or not at all.
                cx.write("go ahead\n");
                let behind = core::mem::take(&mut self.received);
                if let Err(error) = cx.hub.start_tls(cx.id, &cx.state.tls, &behind) {
                    cx.fail(error);
                }
                return;
            } else {
                cx.write("say STARTTLS first\n");
            }
        }
        if self.received.len() > LONGEST {
            cx.fail(format!("a line of more than {LONGEST} bytes"));
        }
    }

    fn start_tls_done(&mut self, cx: &mut Context<'_, State>) {
        self.secure = true;
        println!("{:?}: secure", cx.id);
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, State>, reason: CloseReason) {
        println!("{:?}: {reason}", cx.id);
    }
}

#[derive(Default)]
struct Client {
    received: Vec<u8>,
    asked: bool,
    secure: bool,
    complete: bool,
}

impl Client {
    fn line(&mut self, cx: &mut Context<'_, State>, line: &str) {
        match line {
            MESSAGE if self.secure => {
                println!("data received: {line}");
                self.complete = true;
                cx.close();
            }
            "ready" if !self.asked => {
                self.asked = true;
                cx.write("STARTTLS\n");
            }
            "go ahead" if self.asked && !self.secure => {
                // What has come behind the line is the server's side of the handshake, if it is anything.
                let behind = core::mem::take(&mut self.received);
                if let Err(error) = cx.hub.start_tls(cx.id, &cx.state.tls, &behind) {
                    cx.fail(error);
                }
            }
            other => {
                cx.state.outcome = Some(Err(io::Error::other(format!("the server says: {other}"))));
                cx.close();
            }
        }
    }
}

impl Protocol<State> for Client {
    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        self.received.extend_from_slice(&data);
        while let Some(line) = take_line(&mut self.received) {
            self.line(cx, &line);
        }
        if self.received.len() > LONGEST {
            cx.fail(format!("a line of more than {LONGEST} bytes"));
        }
    }

    /// The server is who it should be: nothing is said before.
    fn start_tls_done(&mut self, cx: &mut Context<'_, State>) {
        self.secure = true;
        if let Some(info) = cx.hub.tls_info(cx.id) {
            println!("secure: {}", info.version.unwrap_or("TLS"));
        }
        cx.write(format!("{MESSAGE}\n").as_str());
        println!("data sent: {MESSAGE}");
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, State>, error: OpenError) {
        cx.state.outcome = Some(Err(error.into()));
        cx.hub.stop();
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, State>, reason: CloseReason) {
        let failed = || Err(io::Error::other(format!("the connection is {reason}")));
        cx.state.outcome.get_or_insert_with(|| if self.complete { Ok(()) } else { failed() });
        cx.hub.stop();
    }
}

struct Main;

impl EitherEnd for Main {
    fn run<P: Selector>(self, role: Role, host: &str, port: u16) -> io::Result<()> {
        let tls = if role == Role::Client {
            Tls::client(client_config()?, ServerName::try_from(String::from(host)).map_err(io::Error::other)?)
        } else {
            Tls::server(server_config()?)
        };
        let mut event_loop = plimsoll_sys::EventLoop::<State, P>::new(State { tls, outcome: None })?;
        if role == Role::Client {
            event_loop.hub().connect(Connect::host(host, port).stagger(Connect::STAGGER), Client::default());
        } else {
            let server = event_loop.listen(Listen::host(host, port), |_, _| Server::default())?;
            println!("listening on {}", server.addr());
        }
        event_loop.run()?;
        event_loop.state().outcome.take().unwrap_or(Ok(()))
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main_either_end(Main, "localhost:8025")
}

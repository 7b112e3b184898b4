//! A secure echo server that ends when its last client has gone: `tls_echo_server mio|polling|raw-mio ADDR CERT`. It makes a certificate for `localhost`, and
//! writes it to the file CERT, in DER, before it listens.
//!
//! `raw-mio` is the peer to measure against: rustls on mio by hand, without a loop, protocols or flow control.

use core::net::SocketAddr;
use plimsoll_mio::tls::Tls;
use plimsoll_mio::{CloseReason, Context, Data, Listen, Protocol};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection};
use std::env;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

/// How many clients there are.
#[derive(Default)]
struct Clients(usize);

struct Echo;

impl Protocol<Clients> for Echo {
    fn connection_made(&mut self, cx: &mut Context<'_, Clients>) {
        cx.state.0 += 1;
        cx.hub.read_follows_write(cx.id, cx.id);
    }

    fn data_received(&mut self, cx: &mut Context<'_, Clients>, data: Data<'_>) {
        cx.write(data);
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Clients>, _: CloseReason) {
        cx.state.0 -= 1;
        if cx.state.0 == 0 {
            cx.hub.stop();
        }
    }
}

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [backend, addr, file] = args.as_slice() else {
        eprintln!("usage: tls_echo_server mio|polling|raw-mio ADDR CERT");
        std::process::exit(2);
    };
    let addr: SocketAddr = addr.parse().map_err(|_| io::Error::new(ErrorKind::InvalidInput, format!("{addr} is no address")))?;
    let config = config(file)?;
    match backend.as_str() {
        "mio" => {
            let mut event_loop = plimsoll_mio::EventLoop::new(Clients::default())?;
            event_loop.listen(Listen::on(addr).tls(Tls::server(config)), |_, _| Echo)?;
            println!("listening on {addr}");
            event_loop.run()
        }
        "polling" => {
            let mut event_loop = plimsoll_polling::EventLoop::new(Clients::default())?;
            event_loop.listen(Listen::on(addr).tls(Tls::server(config)), |_, _| Echo)?;
            println!("listening on {addr}");
            event_loop.run()
        }
        "raw-mio" => raw_mio(addr, &config),
        other => Err(io::Error::new(ErrorKind::InvalidInput, format!("{other} is no backend"))),
    }
}

fn config(file: &str) -> io::Result<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).map_err(io::Error::other)?;
    fs::write(file, made.cert.der())?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}

struct Client {
    stream: mio::net::TcpStream,
    tls: ServerConnection,
}

impl Client {
    /// Everything that can be done now; `false`: it has gone.
    fn serve(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        loop {
            match self.tls.read_tls(&mut self.stream) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    let state = self.tls.process_new_packets().map_err(io::Error::other)?;
                    let mut left = state.plaintext_bytes_to_read();
                    while left > 0 {
                        let n = self.tls.reader().read(buf)?;
                        self.tls.writer().write_all(&buf[..n])?;
                        left -= n;
                    }
                    while self.tls.wants_write() {
                        match self.tls.write_tls(&mut self.stream) {
                            Ok(_) => {}
                            // Its echo is read sooner or later.
                            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                            Err(error) => return Err(error),
                        }
                    }
                    // rustls reads 4 KiB at a time; less has emptied the socket.
                    if n < 4096 {
                        return Ok(!state.peer_has_closed());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The least that a secure echo over mio can be.
fn raw_mio(addr: SocketAddr, config: &Arc<ServerConfig>) -> io::Result<()> {
    const LISTENER: mio::Token = mio::Token(usize::MAX);
    let mut poll = mio::Poll::new()?;
    let mut events = mio::Events::with_capacity(1024);
    let mut listener = mio::net::TcpListener::bind(addr)?;
    poll.registry().register(&mut listener, LISTENER, mio::Interest::READABLE)?;
    println!("listening on {addr}");
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut live = 0;
    let mut buf = vec![0; 64 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    poll.registry().register(&mut stream, mio::Token(clients.len()), mio::Interest::READABLE)?;
                    let mut tls = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
                    tls.set_buffer_limit(None);
                    clients.push(Some(Client { stream, tls }));
                    live += 1;
                }
                continue;
            }
            let slot = &mut clients[event.token().0];
            let Some(client) = slot else { continue };
            if !client.serve(&mut buf)? {
                *slot = None;
                live -= 1;
                if live == 0 {
                    return Ok(());
                }
            }
        }
    }
}

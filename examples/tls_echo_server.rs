//! Sends back what it gets, over TLS: `tls_echo_server [--backend mio|polling] [ADDR]`.
//!
//! The environment variables CERT and KEY name a certificate and its key, in PEM. Without them it makes a certificate for `localhost`, which is good for as long
//! as it runs, and prints it for clients that are to trust it. So a client that does trust it, here or elsewhere:
//!
//! ```text
//! cargo run --example tls_echo_server | tee cert.pem
//! ROOTS=cert.pem cargo run --example tls_client
//! openssl s_client -quiet -no_ign_eof -connect localhost:8443 -CAfile cert.pem -verify_return_error
//! ```
//!
//! A certificate that is to last, made by OpenSSL. It must not be that of an authority, as those are that are made without the last two words:
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -keyout key.pem -out cert.pem \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE
//! CERT=cert.pem KEY=key.pem cargo run --example tls_echo_server
//! ```

use core::net::SocketAddr;
use plimsoll_examples::Example;
use plimsoll_examples::tls::server_config;
use plimsoll_mio::tls::Tls;
use plimsoll_mio::{CloseReason, Context, Data, Listen, Protocol, Selector};
use std::io;
use std::process::ExitCode;

struct Echo;

impl Protocol<()> for Echo {
    /// The handshake is done.
    fn connection_made(&mut self, cx: &mut Context<'_, ()>) {
        if let (Some(peer), Some(info)) = (cx.hub.peer_addr(cx.id), cx.hub.tls_info(cx.id)) {
            println!("connection from {peer}, {}", info.version.unwrap_or("TLS"));
        }
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
        let server = event_loop.listen(Listen::on(addrs[0]).tls(Tls::server(server_config()?)), |_, _| Echo)?;
        println!("listening on {}", server.addr());
        event_loop.run()
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main(Server, &["127.0.0.1:8443"])
}

//! An echo server that ends when its last client has gone: `echo_server mio|polling|raw-mio ADDR`.
//!
//! `raw-mio` is the peer to measure against: the same work by hand, without a loop, protocols or flow control.

use core::net::SocketAddr;
use plimsoll_mio::{CloseReason, Context, Data, Protocol};
use std::env;
use std::io::{self, ErrorKind, Read, Write};

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
    let [backend, addr] = args.as_slice() else {
        eprintln!("usage: echo_server mio|polling|raw-mio ADDR");
        std::process::exit(2);
    };
    let addr: SocketAddr = addr.parse().map_err(|_| io::Error::new(ErrorKind::InvalidInput, format!("{addr} is no address")))?;
    match backend.as_str() {
        "mio" => {
            let mut event_loop = plimsoll_mio::EventLoop::new(Clients::default())?;
            event_loop.listen(addr, |_, _| Echo)?;
            println!("listening on {addr}");
            event_loop.run()
        }
        "polling" => {
            let mut event_loop = plimsoll_polling::EventLoop::new(Clients::default())?;
            event_loop.listen(addr, |_, _| Echo)?;
            println!("listening on {addr}");
            event_loop.run()
        }
        "raw-mio" => raw_mio(addr),
        other => Err(io::Error::new(ErrorKind::InvalidInput, format!("{other} is no backend"))),
    }
}

/// The least that an echo over mio can be: a table of sockets, one buffer, and blocking nowhere but in the poll.
fn raw_mio(addr: SocketAddr) -> io::Result<()> {
    const LISTENER: mio::Token = mio::Token(usize::MAX);
    let mut poll = mio::Poll::new()?;
    let mut events = mio::Events::with_capacity(1024);
    let mut listener = mio::net::TcpListener::bind(addr)?;
    poll.registry().register(&mut listener, LISTENER, mio::Interest::READABLE)?;
    println!("listening on {addr}");
    let mut streams: Vec<Option<mio::net::TcpStream>> = Vec::new();
    let mut live = 0;
    let mut buf = vec![0; 64 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    poll.registry().register(&mut stream, mio::Token(streams.len()), mio::Interest::READABLE)?;
                    streams.push(Some(stream));
                    live += 1;
                }
                continue;
            }
            let slot = &mut streams[event.token().0];
            let Some(stream) = slot else { continue };
            match stream.read(&mut buf) {
                Ok(0) => {
                    *slot = None;
                    live -= 1;
                    if live == 0 {
                        return Ok(());
                    }
                }
                Ok(n) => stream.write_all(&buf[..n])?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

//! An echo server inside a loop that is not ours: `nested [--backend mio|polling] [ADDR]`.
//!
//! The foreign loop is mio's poll, as a game or a GUI would have one. It watches our loop like any descriptor, sleeps no longer than our
//! next timer allows, and has a heartbeat of its own.

use core::net::SocketAddr;
use core::time::Duration;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use plimsoll_examples::Example;
use plimsoll_mio::{Context, Data, Protocol, Selector};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;
use std::time::Instant;

struct Echo;

impl Protocol<()> for Echo {
    fn connection_made(&mut self, cx: &mut Context<'_, ()>) {
        cx.hub.read_follows_write(cx.id, cx.id);
    }

    fn data_received(&mut self, cx: &mut Context<'_, ()>, data: Data<'_>) {
        cx.write(data);
    }
}

const HEARTBEAT: Duration = Duration::from_secs(1);

struct Nested;

impl Example for Nested {
    fn run<P: Selector + AsFd>(self, addrs: &[SocketAddr]) -> io::Result<()> {
        let mut event_loop = plimsoll_sys::EventLoop::<(), P>::new(())?;
        let server = event_loop.listen(addrs[0], |_, _| Echo)?;

        let mut outer = Poll::new()?;
        let mut events = Events::with_capacity(8);
        outer.registry().register(&mut SourceFd(&event_loop.as_raw_fd()), Token(0), Interest::READABLE)?;
        println!("listening on {}", server.addr());
        let mut beat = Instant::now() + HEARTBEAT;
        loop {
            let left = beat.saturating_duration_since(Instant::now());
            let timeout = event_loop.poll_timeout().map_or(left, |timeout| timeout.min(left));
            outer.poll(&mut events, Some(timeout)).or_else(retry)?;
            // mio tells once: so we serve until our loop has nothing left, and go on.
            loop {
                event_loop.run_once(Some(Duration::ZERO))?;
                if event_loop.poll_timeout() != Some(Duration::ZERO) {
                    break;
                }
            }
            if Instant::now() >= beat {
                beat += HEARTBEAT;
                println!("the outer loop is alive");
            }
        }
    }
}

/// A signal that was handled is no failure of the poll.
fn retry(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

fn main() -> ExitCode {
    plimsoll_examples::main(Nested, &["127.0.0.1:8888"])
}

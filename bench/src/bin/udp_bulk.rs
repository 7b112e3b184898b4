//! A flow of datagrams from one endpoint to another in the same loop, in bursts of 32: `udp_bulk plain|cut|together DATAGRAMS`.
//!
//! `plain`: no two in a row are equally large, so each is a message of its own, as in `sendmmsg`; `cut`: they are of one size, so the kernel cuts a message into
//! them (`UDP_SEGMENT`); `together`: it puts them together again too (`UDP_GRO`). What is not lost is counted: the next burst follows when the last one has come.

use core::net::{Ipv4Addr, SocketAddr};
use plimsoll_mio::{Addr, Context, Data, Datagram, DatagramId, DatagramProtocol, EventLoop};
use std::env;
use std::io::{self, ErrorKind};

const BURST: usize = 32;
const SIZE: usize = 1200;

/// Whom the receiver asks for more.
#[derive(Default)]
struct State {
    sender: Option<DatagramId>,
    to: Option<SocketAddr>,
    /// Every second one is shorter by this.
    shorter: usize,
    left: usize,
    /// What is under way.
    missing: usize,
}

struct Sender;

impl DatagramProtocol<State> for Sender {
    fn datagram_received(&mut self, _: &mut Context<'_, State, DatagramId>, _: Data<'_>, _: &Addr) {}
}

struct Receiver;

fn burst(cx: &mut Context<'_, State, DatagramId>) {
    let (Some(sender), Some(to)) = (cx.state.sender, cx.state.to) else { return };
    let payload = [7; SIZE];
    for n in 0..BURST {
        cx.hub.send_to(sender, &payload[n % 2 * cx.state.shorter..], to);
    }
    cx.state.missing = BURST;
}

impl DatagramProtocol<State> for Receiver {
    fn connection_made(&mut self, cx: &mut Context<'_, State, DatagramId>) {
        cx.state.to = cx.hub.local_addr(cx.id).and_then(|local| local.inet());
        burst(cx);
    }

    fn datagram_received(&mut self, cx: &mut Context<'_, State, DatagramId>, _: Data<'_>, _: &Addr) {
        cx.state.missing -= 1;
        cx.state.left = cx.state.left.saturating_sub(1);
        if cx.state.left == 0 {
            cx.hub.stop();
        } else if cx.state.missing == 0 {
            burst(cx);
        }
    }
}

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let (shorter, together, left) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["plain", count] => (1, false, count.parse().ok()),
        ["cut", count] => (0, false, count.parse().ok()),
        ["together", count] => (0, true, count.parse().ok()),
        _ => (0, false, None),
    };
    let Some(left) = left else {
        eprintln!("usage: udp_bulk plain|cut|together DATAGRAMS");
        return Err(ErrorKind::InvalidInput.into());
    };
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut event_loop = EventLoop::new(State { shorter, left, ..State::default() })?;
    let sender = event_loop.hub().open_datagram(here, Sender);
    event_loop.state().sender = Some(sender);
    event_loop.hub().open_datagram(Datagram::on(here).receive_offload(together), Receiver);
    event_loop.run()
}

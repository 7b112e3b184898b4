//! A UDP echo server that ends when it gets a datagram `stop`: `udp_echo_server mio|polling|raw-mio|raw-mmsg ADDR`.
//!
//! The raw ones are the peers to measure against: the same work by hand, without a loop, protocols or flow control, with one datagram a call and with
//! many.

use core::array;
use core::net::SocketAddr;
use mio::net::UdpSocket;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use plimsoll_mio::{Addr, Context, Data, DatagramId, DatagramProtocol};
use std::env;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;

const STOP: &[u8] = b"stop";

/// As many as plimsoll asks for in one call.
const BATCH: usize = 32;

struct Echo;

impl DatagramProtocol<()> for Echo {
    fn connection_made(&mut self, cx: &mut Context<'_, (), DatagramId>) {
        if let Some(local) = cx.hub.local_addr(cx.id) {
            println!("listening on {local}");
        }
    }

    fn datagram_received(&mut self, cx: &mut Context<'_, (), DatagramId>, data: Data<'_>, from: &Addr) {
        if *data == *STOP {
            cx.hub.stop();
        }
        cx.send_to(data, from);
    }
}

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [backend, addr] = args.as_slice() else {
        eprintln!("usage: udp_echo_server mio|polling|raw-mio|raw-mmsg ADDR");
        std::process::exit(2);
    };
    let addr: SocketAddr = addr.parse().map_err(|_| io::Error::new(ErrorKind::InvalidInput, format!("{addr} is no address")))?;
    match backend.as_str() {
        "mio" => {
            let mut event_loop = plimsoll_mio::EventLoop::new(())?;
            event_loop.hub().open_datagram(addr, Echo);
            event_loop.run()
        }
        "polling" => {
            let mut event_loop = plimsoll_polling::EventLoop::new(())?;
            event_loop.hub().open_datagram(addr, Echo);
            event_loop.run()
        }
        "raw-mio" => raw(addr, echo_one_by_one),
        "raw-mmsg" => {
            let mut headers = (MultiHeaders::preallocate(BATCH, None), MultiHeaders::preallocate(BATCH, None));
            let mut rooms = vec![[0; 2048]; BATCH];
            raw(addr, move |socket| echo_many(socket, &mut headers, &mut rooms))
        }
        other => Err(io::Error::new(ErrorKind::InvalidInput, format!("{other} is no backend"))),
    }
}

/// Waits, and lets `echo` empty the socket, until it says that it is to stop.
fn raw(addr: SocketAddr, mut echo: impl FnMut(&UdpSocket) -> io::Result<bool>) -> io::Result<()> {
    let mut poll = mio::Poll::new()?;
    let mut events = mio::Events::with_capacity(16);
    let mut socket = UdpSocket::bind(addr)?;
    poll.registry().register(&mut socket, mio::Token(0), mio::Interest::READABLE)?;
    println!("listening on {addr}");
    loop {
        poll.poll(&mut events, None)?;
        if !events.is_empty() && echo(&socket)? {
            return Ok(());
        }
    }
}

fn echo_one_by_one(socket: &UdpSocket) -> io::Result<bool> {
    let mut room = [0; 2048];
    let mut stop = false;
    loop {
        match socket.recv_from(&mut room) {
            Ok((n, from)) => {
                stop |= room[..n] == *STOP;
                socket.send_to(&room[..n], from)?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(stop),
            Err(error) => return Err(error),
        }
    }
}

type Headers = MultiHeaders<SockaddrIn>;

fn echo_many(socket: &UdpSocket, headers: &mut (Headers, Headers), rooms: &mut [[u8; 2048]]) -> io::Result<bool> {
    let mut stop = false;
    loop {
        let mut came = [(0, None); BATCH];
        let mut count = 0;
        let mut free = rooms.iter_mut();
        let mut slices: [_; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(free.next().map_or(&mut [][..], |room| room.as_mut_slice()))]);
        match recvmmsg(socket.as_raw_fd(), &mut headers.0, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            Ok(messages) => {
                for (place, message) in came.iter_mut().zip(messages) {
                    *place = (message.bytes, message.address);
                    count += 1;
                }
            }
            Err(nix::Error::EAGAIN) => return Ok(stop),
            Err(error) => return Err(error.into()),
        }
        let out: [_; BATCH] = array::from_fn(|n| [IoSlice::new(&rooms[n][..came[n].0])]);
        let addrs: [_; BATCH] = array::from_fn(|n| came[n].1);
        stop |= out[..count].iter().any(|out| *out[0] == *STOP);
        sendmmsg(socket.as_raw_fd(), &mut headers.1, out.iter().take(count), &addrs[..count], [], MsgFlags::MSG_DONTWAIT)?;
        if count < BATCH {
            return Ok(stop);
        }
    }
}

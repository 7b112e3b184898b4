//! Many datagrams in one call: `recvmmsg` and `sendmmsg`.

use super::one;
use crate::error::error;
use crate::socket::{Kind, Source};
use core::array;
use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg, sendmmsg};
use plimsoll_core::driver::{BATCH, Incoming};
use plimsoll_core::{Addr, Call, Error, Outgoing, ReadResult};
use rustix::io::Errno;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;

/// What the calls work in, for all sockets of a loop: headers, made when they are first needed. Each family has its own, since the kernel leaves the
/// length of an address in them.
#[derive(Debug, Default)]
pub(in crate::socket) struct Calls {
    four: Option<Headers<SockaddrIn>>,
    six: Option<Headers<SockaddrIn6>>,
}

#[derive(Debug)]
struct Headers<A> {
    receive: MultiHeaders<A>,
    send: MultiHeaders<A>,
}

impl<A: SockaddrLike + Copy> Headers<A> {
    fn new() -> Self {
        Self { receive: MultiHeaders::preallocate(BATCH, None), send: MultiHeaders::preallocate(BATCH, None) }
    }
}

impl Calls {
    pub(in crate::socket) fn receive(&mut self, source: &Source, into: &mut [Incoming]) -> ReadResult {
        match source.kind {
            Kind::Datagrams4 => {
                let headers = &mut self.four.get_or_insert_with(Headers::new).receive;
                receive(source, headers, into, |from| SocketAddrV4::from(from).into())
            }
            Kind::Datagrams6 => {
                let headers = &mut self.six.get_or_insert_with(Headers::new).receive;
                receive(source, headers, into, |from| SocketAddrV6::from(from).into())
            }
            _ => one::receive(source, into),
        }
    }

    pub(in crate::socket) fn send<'a>(
        &mut self,
        source: &Source,
        datagrams: impl ExactSizeIterator<Item = Outgoing<'a>> + Clone,
    ) -> ReadResult {
        match (source.kind, datagrams.len()) {
            (Kind::Datagrams4, 2..) => {
                let headers = &mut self.four.get_or_insert_with(Headers::new).send;
                send(source, headers, datagrams, |to| match to {
                    Addr::Inet(SocketAddr::V4(to)) => Some(SockaddrIn::from(*to)),
                    _ => None,
                })
            }
            (Kind::Datagrams6, 2..) => {
                let headers = &mut self.six.get_or_insert_with(Headers::new).send;
                send(source, headers, datagrams, |to| match to {
                    Addr::Inet(SocketAddr::V6(to)) => Some(SockaddrIn6::from(*to)),
                    _ => None,
                })
            }
            _ => one::send_each(source, datagrams),
        }
    }
}

#[inline(always)]
fn receive<A: SockaddrLike + Copy>(
    source: &Source,
    headers: &mut MultiHeaders<A>,
    into: &mut [Incoming],
    addr: impl Fn(A) -> SocketAddr,
) -> ReadResult {
    loop {
        let asked = into.len().min(BATCH);
        let mut rooms = into.iter_mut();
        let mut places = [const { None }; BATCH];
        let mut slices: [_; BATCH] = array::from_fn(|n| {
            [IoSliceMut::new(match rooms.next() {
                Some(Incoming { block, len, from }) => {
                    places[n] = Some((len, from));
                    block
                }
                None => &mut [],
            })]
        });
        match recvmmsg(source.descriptor.as_raw_fd(), headers, slices.iter_mut().take(asked), MsgFlags::MSG_DONTWAIT, None) {
            Ok(messages) => {
                let mut count = 0;
                for (place, message) in places.into_iter().flatten().zip(messages) {
                    *place.0 = message.bytes;
                    if let Some(from) = message.address {
                        *place.1 = Addr::Inet(addr(from));
                    }
                    count += 1;
                }
                return Ok(Some(count));
            }
            Err(nix::Error::EAGAIN) => return Ok(None),
            Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(failed(Call::Receive, errno)),
        }
    }
}

#[inline(always)]
fn send<'a, A: SockaddrLike + Copy>(
    source: &Source,
    headers: &mut MultiHeaders<A>,
    datagrams: impl Iterator<Item = Outgoing<'a>> + Clone,
    addr: impl Fn(&Addr) -> Option<A>,
) -> ReadResult {
    let mut addrs = [None; BATCH];
    let mut slices = [[IoSlice::new(&[])]; BATCH];
    let mut asked = 0;
    for ((slice, to), datagram) in slices.iter_mut().zip(&mut addrs).zip(datagrams.clone()) {
        *slice = [IoSlice::new(datagram.payload)];
        *to = datagram.to.and_then(&addr);
        if to.is_none() && datagram.to.is_some() {
            break; // An address of another family: the kernel is asked what it says to it.
        }
        asked += 1;
    }
    if asked == 0 {
        return one::send_each(source, datagrams.take(1));
    }
    loop {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match sendmmsg(source.descriptor.as_raw_fd(), headers, slices.iter().take(asked), &addrs[..asked], [], flags) {
            Ok(sent) => return Ok(Some(sent.count())),
            Err(nix::Error::EAGAIN) => return Ok(None),
            Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(failed(Call::Send, errno)),
        }
    }
}

#[cold]
fn failed(call: Call, errno: nix::Error) -> Error {
    error(call, Errno::from_raw_os_error(errno as i32))
}

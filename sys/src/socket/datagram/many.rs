//! Many datagrams in one call: `recvmmsg` and `sendmmsg`.

use super::one;
use crate::error::error;
use crate::socket::{Kind, Source};
use core::array;
use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg, sendmmsg};
use plimsoll_core::driver::{BATCH, Incoming};
use plimsoll_core::{Addr, AddrRef, BytesMut, Call, Error, Outgoing, ReadResult};
use rustix::io::Errno;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;

/// What the calls work in, for all sockets of a loop: headers, made when they are first needed. Each family has its own, since the kernel leaves the
/// length of an address in them.
#[derive(Debug, Default)]
pub(in crate::socket) struct Calls {
    four: Option<Box<Headers<SockaddrIn>>>,
    six: Option<Box<Headers<SockaddrIn6>>>,
}

#[derive(Debug)]
struct Headers<A> {
    receive: MultiHeaders<A>,
    send: MultiHeaders<A>,
    /// To whom: made anew by each send, as far as it comes.
    to: [Option<A>; BATCH],
}

impl<A: SockaddrLike + Copy> Headers<A> {
    fn new() -> Box<Self> {
        let headers = || MultiHeaders::preallocate(BATCH, None);
        Box::new(Self { receive: headers(), send: headers(), to: [None; BATCH] })
    }
}

impl Calls {
    pub(in crate::socket) fn receive(&mut self, source: &Source, blocks: &mut [BytesMut], came: &mut [Incoming]) -> ReadResult {
        match source.kind {
            Kind::Datagrams4 => {
                let headers = self.four.get_or_insert_with(Headers::new);
                receive(source, headers, blocks, came, |from| SocketAddrV4::from(from).into())
            }
            Kind::Datagrams6 => {
                let headers = self.six.get_or_insert_with(Headers::new);
                receive(source, headers, blocks, came, |from| SocketAddrV6::from(from).into())
            }
            _ => one::receive(source, blocks, came),
        }
    }

    pub(in crate::socket) fn send(&mut self, source: &Source, datagrams: &[Outgoing<'_>]) -> ReadResult {
        match (source.kind, datagrams.len()) {
            (Kind::Datagrams4, 2..) => {
                let headers = self.four.get_or_insert_with(Headers::new);
                send(source, headers, datagrams, |to| match to {
                    AddrRef::Inet(SocketAddr::V4(to)) => Some(SockaddrIn::from(*to)),
                    _ => None,
                })
            }
            (Kind::Datagrams6, 2..) => {
                let headers = self.six.get_or_insert_with(Headers::new);
                send(source, headers, datagrams, |to| match to {
                    AddrRef::Inet(SocketAddr::V6(to)) => Some(SockaddrIn6::from(*to)),
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
    headers: &mut Headers<A>,
    blocks: &mut [BytesMut],
    came: &mut [Incoming],
    addr: impl Fn(A) -> SocketAddr,
) -> ReadResult {
    loop {
        let asked = blocks.len().min(BATCH);
        let mut free = blocks.iter_mut();
        let mut slices: [_; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(free.next().map_or(&mut [][..], |block| &mut block[..]))]);
        // A whole slice, and no adapter of one: nix zips it, and two slices are zipped at half the cost.
        let slices = slices[..asked].iter_mut();
        match recvmmsg(source.descriptor.as_raw_fd(), &mut headers.receive, slices, MsgFlags::MSG_DONTWAIT, None) {
            Ok(messages) => {
                let mut count = 0;
                for (came, message) in came.iter_mut().zip(messages) {
                    came.len = message.bytes;
                    if let Some(from) = message.address {
                        came.from = Addr::Inet(addr(from));
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
fn send<A: SockaddrLike + Copy>(
    source: &Source,
    headers: &mut Headers<A>,
    datagrams: &[Outgoing<'_>],
    addr: impl Fn(AddrRef<'_>) -> Option<A>,
) -> ReadResult {
    let mut slices = [[IoSlice::new(&[])]; BATCH];
    for (slice, datagram) in slices.iter_mut().zip(datagrams) {
        *slice = [IoSlice::new(datagram.payload)];
    }
    let mut asked = 0;
    for (place, datagram) in headers.to.iter_mut().zip(datagrams) {
        *place = match datagram.to {
            None => None,
            Some(to) => match addr(to) {
                Some(to) => Some(to),
                None => break, // An address of another family: the kernel is asked what it says to it.
            },
        };
        asked += 1;
    }
    if asked == 0 {
        return one::send_each(source, &datagrams[..1]);
    }
    loop {
        let (slices, to) = (slices[..asked].iter(), &headers.to[..asked]);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match sendmmsg(source.descriptor.as_raw_fd(), &mut headers.send, slices, to, [], flags) {
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

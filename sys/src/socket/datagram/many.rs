//! Many datagrams in one call: `recvmmsg` and `sendmmsg`.

use super::offload::Cuts;
use super::one;
use crate::error::io_error;
use crate::socket::{Kind, Source};
use plimsoll_core::driver::{Incoming, IncomingRun};
use plimsoll_core::{Addr, AddrRef, BytesMut, Call, Outgoing, ReadResult, UnixAddr};
use plimsoll_raw::mmsg::{Batch, Message, Receiver, RunReceiver, RunSender, Sender, can_cut};
use rustix::io::Errno;
use std::io::ErrorKind;

/// What the calls work in, for all sockets of a loop: made when it is first needed.
#[derive(Debug, Default)]
pub(in crate::socket) struct Calls {
    receiver: Option<Receiver>,
    sender: Option<Sender>,
    run_receiver: Option<RunReceiver>,
    run_sender: Option<RunSender>,
}

impl Calls {
    pub(in crate::socket) fn receive(&mut self, source: &Source, blocks: &mut [BytesMut], came: &mut [Incoming]) -> ReadResult {
        if !source.is_inet_datagrams() {
            return one::receive(source, blocks, came);
        }
        let receiver = self.receiver.get_or_insert_with(Receiver::new);
        loop {
            match receiver.receive(source, blocks.iter_mut().map(|block| &mut block[..])) {
                Ok(messages) => {
                    let count = messages.with_each(came, |came, message| {
                        came.len = message.len();
                        match message.from_v4() {
                            Some(from) => came.from = Addr::Inet(from.into()),
                            None => other_sender(came, &message),
                        }
                    });
                    return Ok(Some(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(Call::Receive, &error)),
            }
        }
    }

    pub(in crate::socket) fn receive_runs(
        &mut self,
        source: &Source,
        blocks: &mut [BytesMut],
        came: &mut [IncomingRun],
    ) -> ReadResult {
        let receiver = self.run_receiver.get_or_insert_with(RunReceiver::new);
        loop {
            let buffers = blocks.iter_mut().map(|block| &mut block[..]);
            let received = receiver.receive(source, buffers, came, |came, message, size| {
                let from = message.from().map_or(Addr::Unix(UnixAddr::UNNAMED), Addr::Inet);
                *came = IncomingRun { len: message.len(), size: size.unwrap_or(0), from };
            });
            match received {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => return answer(Call::Receive, received),
            }
        }
    }

    #[inline]
    pub(in crate::socket) fn send<'a>(
        &mut self,
        source: &mut Source,
        datagrams: impl ExactSizeIterator<Item = Outgoing<'a>> + Clone,
    ) -> ReadResult {
        // One that is alone is sent by the plainer call.
        if datagrams.len() < 2 || !source.is_inet_datagrams() {
            return one::send_each(source, datagrams);
        }
        let mut batch = self.sender.get_or_insert_with(Sender::new).batch();
        for datagram in datagrams.clone() {
            let to = match datagram.to {
                None => None,
                Some(AddrRef::Inet(to)) => Some(to),
                Some(AddrRef::Unix(_)) => break,
            };
            if !batch.push(datagram.payload, to) {
                break;
            }
        }
        if batch.is_empty() {
            // The foremost one has an address of another kind: the kernel is asked what it says to it.
            return one::send_each(source, datagrams);
        }
        // Whether it is worth while to look at all of them is told by the first two, so that it costs those nothing that go to many peers.
        if batch.begins_alike() && may_cut(source) {
            return self.send_runs(source, datagrams);
        }
        send_batch(source, &mut batch)
    }

    /// Sends those of one flow as one message, which the kernel cuts. If it refuses that, none was sent: it is not asked again for this socket, and they are sent
    /// one by one.
    #[inline(never)]
    fn send_runs<'a>(
        &mut self,
        source: &mut Source,
        datagrams: impl ExactSizeIterator<Item = Outgoing<'a>> + Clone,
    ) -> ReadResult {
        let mut runs = self.run_sender.get_or_insert_with(RunSender::new).runs();
        for datagram in datagrams.clone() {
            let to = match datagram.to {
                None => None,
                Some(AddrRef::Inet(to)) => Some(to),
                Some(AddrRef::Unix(_)) => break,
            };
            if !runs.push(datagram.payload, to) {
                break;
            }
        }
        loop {
            match runs.send(&*source) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if runs.begins_with_several() && is_refusal(&error) => {
                    set_cuts(source, Cuts::No);
                    return self.send(source, datagrams);
                }
                sent => return answer(Call::Send, sent),
            }
        }
    }
}

#[inline(always)]
fn send_batch(source: &Source, batch: &mut Batch<'_, '_>) -> ReadResult {
    loop {
        match batch.send(source) {
            Ok(taken) => return Ok(Some(taken)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error(Call::Send, &error)),
        }
    }
}

/// What a call tells the core.
fn answer(call: Call, result: std::io::Result<usize>) -> ReadResult {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(io_error(call, &error)),
    }
}

/// Whether the kernel may be asked to cut for this socket. It is found out once: other sockets would send a run as one datagram.
#[cold]
fn may_cut(source: &mut Source) -> bool {
    let Kind::Datagrams(offload) = source.kind else { return false };
    let cuts = match offload.cuts {
        Cuts::Unknown if can_cut(&*source) => Cuts::Yes,
        Cuts::Unknown => Cuts::No,
        known => known,
    };
    set_cuts(source, cuts);
    cuts == Cuts::Yes
}

const fn set_cuts(source: &mut Source, cuts: Cuts) {
    if let Kind::Datagrams(offload) = &mut source.kind {
        offload.cuts = cuts;
    }
}

/// Whether an error of a run is one of the run, and not of its datagrams: a device without checksums of its own (`EIO`), a socket without checksums, or
/// datagrams that do not fit into a packet and would have to be broken up (`EINVAL`, `EMSGSIZE`), or a kernel that has changed its mind. Each datagram is sent by itself then, and has
/// an answer of its own.
fn is_refusal(error: &std::io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::IO | Errno::INVAL | Errno::MSGSIZE))
}

/// Lets the kernel put together what comes, if it knows how.
pub(super) fn put_together(source: &mut Source) {
    if plimsoll_raw::mmsg::put_together(&*source, true).is_ok() {
        if let Kind::Datagrams(offload) = &mut source.kind {
            offload.puts_together = true;
        }
    }
}

/// Whoever made a socket may have let the kernel put together what comes for it, and what waits there may be so already: it goes on, and is taken apart. And may have let it cut
/// what is sent, which would be other datagrams than those that the application has sent here.
pub(super) fn take_over(source: &mut Source) {
    let _ = plimsoll_raw::mmsg::cut_nothing(&*source);
    if plimsoll_raw::mmsg::puts_together(&*source) {
        if let Kind::Datagrams(offload) = &mut source.kind {
            offload.puts_together = true;
        }
    } else {
        // A kernel that cannot tell.
        let _ = plimsoll_raw::mmsg::put_together(&*source, false);
    }
}

/// Out of line, so that the address which most datagrams come from is written to its place and nowhere else.
#[inline(never)]
fn other_sender(came: &mut Incoming, message: &Message<'_>) {
    came.from = message.from().map_or(Addr::Unix(UnixAddr::UNNAMED), Addr::Inet);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::datagram::Offload;
    use plimsoll_core::BufPool;
    use std::net::UdpSocket;

    fn source(socket: UdpSocket) -> Source {
        socket.set_nonblocking(true).unwrap();
        Source { descriptor: socket.into(), kind: Kind::Datagrams(Offload::default()) }
    }

    fn cuts(source: &Source) -> Cuts {
        let Kind::Datagrams(offload) = source.kind else { return Cuts::No };
        offload.cuts
    }

    /// Sends so many of these sizes to the peer; how many were taken.
    fn send(calls: &mut Calls, source: &mut Source, sizes: &[usize]) -> ReadResult {
        let payloads: Vec<Vec<u8>> = sizes.iter().map(|size| vec![7; *size]).collect();
        let datagrams: Vec<_> = payloads.iter().map(|payload| Outgoing { payload, to: None }).collect();
        calls.send(source, datagrams.iter().copied())
    }

    #[test]
    fn a_flow_is_sent_as_one_message_and_can_be_received_as_one() {
        let (here, there) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        here.connect(there.local_addr().unwrap()).unwrap();
        let from = here.local_addr().unwrap();
        let (mut here, mut there, mut calls) = (source(here), source(there), Calls::default());
        put_together(&mut there);
        assert_eq!(there.kind, Kind::Datagrams(Offload { puts_together: true, ..Offload::default() }));
        let mut pool = BufPool::new();
        let mut blocks = [pool.take_block(), pool.take_block(), pool.take_block()];
        let mut came: [IncomingRun; 3] =
            core::array::from_fn(|_| IncomingRun { len: 9, size: 9, from: Addr::Unix(UnixAddr::UNNAMED) });
        // One that is alone, and those of several sizes, are no reason to find out.
        for sizes in [&[5][..], &[5, 6]] {
            assert_eq!(send(&mut calls, &mut here, sizes), Ok(Some(sizes.len())));
            assert_eq!(cuts(&here), Cuts::Unknown);
        }
        assert_eq!(calls.receive_runs(&there, &mut blocks, &mut came), Ok(Some(3)));
        assert_eq!(send(&mut calls, &mut here, &[100, 100, 100, 40]), Ok(Some(4)));
        assert_eq!(cuts(&here), Cuts::Yes);
        assert_eq!(calls.receive_runs(&there, &mut blocks, &mut came), Ok(Some(1)));
        assert_eq!((came[0].len, came[0].size, &came[0].from), (340, 100, &Addr::Inet(from)));
        assert_eq!(calls.receive_runs(&there, &mut blocks, &mut came), Ok(None));
    }

    #[test]
    fn who_cannot_cut_is_not_asked_again_and_sends_all_the_same() {
        // A socket of another protocol would send a run as one: it is found out before.
        let (unix, other) = std::os::unix::net::UnixDatagram::pair().unwrap();
        unix.set_nonblocking(true).unwrap();
        let mut unix = Source { descriptor: unix.into(), kind: Kind::Datagrams(Offload::default()) };
        let mut calls = Calls::default();
        assert_eq!(send(&mut calls, &mut unix, &[10, 10, 10]), Ok(Some(3)));
        assert_eq!(cuts(&unix), Cuts::No);
        let sizes: Vec<usize> = (0..3).map(|_| other.recv(&mut [0; 99]).unwrap()).collect();
        assert_eq!(sizes, [10, 10, 10]);
        // A refusal is one of the run, and what a run is told of its peer or its length is not.
        let said = |errno: Errno| is_refusal(&errno.into());
        assert!([Errno::IO, Errno::INVAL, Errno::MSGSIZE].map(said) == [true; 3]);
        assert!(
            [Errno::CONNREFUSED, Errno::AGAIN, Errno::NOBUFS, Errno::NETUNREACH, Errno::PERM, Errno::NOPROTOOPT].map(said)
                == [false; 6]
        );
    }
}

//! One call a datagram: for Unix sockets, for systems that know no other, and for what is alone.

use crate::error::error;
use crate::socket::{Source, addr};
use plimsoll_core::driver::Incoming;
use plimsoll_core::{Addr, AddrRef, BytesMut, Call, Outgoing, ReadResult, UnixAddr};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

/// Until there is none left, or all rooms are filled.
pub(super) fn receive(source: &Source, blocks: &mut [BytesMut], came: &mut [Incoming]) -> ReadResult {
    let mut count = 0;
    while let (Some(block), Some(came)) = (blocks.get_mut(count), came.get_mut(count)) {
        match rustix::net::recvfrom(&source.descriptor, &mut block[..], RecvFlags::empty()) {
            Ok((len, _, from)) => {
                came.len = len;
                // A sender that was never bound has no name. One whose path fills the system's room, without a closing NUL, is told likewise:
                // only its own socket can be asked for that, and nothing can be sent to it from here.
                came.from = from.and_then(addr::from_any).unwrap_or(Addr::Unix(UnixAddr::UNNAMED));
                count += 1;
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok((count > 0).then_some(count)),
            // What came before it is told first; the error was fetched with this call, and is told now.
            Err(errno) if count == 0 => return Err(error(Call::Receive, errno)),
            Err(_) => break,
        }
    }
    Ok(Some(count))
}

fn send(source: &Source, datagram: &Outgoing<'_>) -> ReadResult {
    loop {
        let descriptor = &source.descriptor;
        let sent = match datagram.to {
            None => rustix::net::send(descriptor, datagram.payload, SendFlags::NOSIGNAL),
            Some(AddrRef::Inet(to)) => rustix::net::sendto(descriptor, datagram.payload, SendFlags::NOSIGNAL, to),
            Some(AddrRef::Unix(to)) => {
                let to = addr::to_unix(to, Call::Send)?;
                rustix::net::sendto(descriptor, datagram.payload, SendFlags::NOSIGNAL, &to)
            }
        };
        match sent {
            Ok(_) => return Ok(Some(1)),
            Err(Errno::INTR) => {}
            // The queue of a Unix socket that is named with each datagram: no poller tells when that has room.
            Err(Errno::AGAIN) if matches!(datagram.to, Some(AddrRef::Unix(_))) => return Ok(Some(0)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(error(Call::Send, errno)),
        }
    }
}

/// Until one is not taken: that is the foremost one's, next time.
pub(super) fn send_each<'a>(source: &Source, datagrams: impl ExactSizeIterator<Item = Outgoing<'a>>) -> ReadResult {
    let all = datagrams.len();
    for (taken, datagram) in datagrams.enumerate() {
        match send(source, &datagram) {
            Ok(Some(1)) => {}
            _ if taken > 0 => return Ok(Some(taken)),
            other => return other,
        }
    }
    Ok(Some(all))
}

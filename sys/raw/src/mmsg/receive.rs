//! Receiving.

use super::{Name, Owner};
use core::iter::Zip;
use core::net::{SocketAddr, SocketAddrV4};
use core::ptr::null_mut;
use core::slice;
use libc::{MSG_DONTWAIT, mmsghdr, recvmmsg};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Receives datagrams, many in one call.
///
/// ```
/// use plimsoll_raw::mmsg::Receiver;
/// use std::net::UdpSocket;
///
/// let (here, there) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
/// there.send_to(b"hello", here.local_addr()?)?;
/// let mut buffers = [[0; 1500]; 8];
/// let mut receiver = Receiver::new();
/// let came = receiver.receive(&here, buffers.iter_mut().map(|buffer| &mut buffer[..]))?.next().unwrap();
/// assert_eq!((came.len(), came.from()), (5, Some(there.local_addr()?)));
/// assert_eq!(buffers[0][..5], *b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Receiver(pub(super) Owner);

impl Receiver {
    /// One for all sockets.
    #[must_use]
    pub fn new() -> Self {
        Self(Owner::new())
    }

    /// Receives at most one datagram into each buffer, and at most [`BATCH`](super::BATCH), without waiting: what came, in order. A datagram that is longer
    /// than its buffer is cut.
    ///
    /// # Errors
    /// The system's; `WouldBlock` if there is none. An error that comes up behind the first datagram is left for the next call.
    #[inline]
    pub fn receive<'a>(
        &mut self,
        socket: impl AsFd,
        buffers: impl IntoIterator<Item = &'a mut [u8]>,
    ) -> io::Result<Messages<'_>> {
        let room = self.0.room_mut();
        let mut asked = 0;
        for ((header, piece), buffer) in room.headers.iter_mut().zip(&mut room.pieces).zip(buffers) {
            header.msg_hdr.msg_namelen = Name::ROOM;
            piece.iov_base = buffer.as_mut_ptr().cast();
            piece.iov_len = buffer.len();
            asked += 1;
        }
        let (socket, headers) = (socket.as_fd(), self.0.headers());
        // SAFETY: `asked` counts headers of this room, each of which points to a name and to a piece of it. The pieces have just been made of
        // buffers of bytes that are borrowed, each by itself, for longer than this call: the system may write to them, and to all of the room.
        let came = unsafe { recvmmsg(socket.as_raw_fd(), headers, asked, MSG_DONTWAIT as _, null_mut()) };
        let came = usize::try_from(came).map_err(|_| io::Error::last_os_error())?.min(asked as usize);
        let room = self.0.room();
        Ok(Messages(room.headers[..came].iter().zip(&room.names)))
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

/// A datagram that was received into the buffer of the same place.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub(super) header: &'a mmsghdr,
    pub(super) name: &'a Name,
}

impl Message<'_> {
    /// How much of its buffer it takes.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.header.msg_len as usize
    }

    /// Whether it has no payload.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where it came from, if that is an IPv4 address: what [`from`](Self::from) says then, without looking for anything else.
    #[inline]
    #[must_use]
    pub fn from_v4(&self) -> Option<SocketAddrV4> {
        self.name.read_four(self.header.msg_hdr.msg_namelen)
    }

    /// Where it came from; none if that is no internet address.
    #[must_use]
    pub fn from(&self) -> Option<SocketAddr> {
        self.name.read(self.header.msg_hdr.msg_namelen)
    }
}

/// What one call received, in order.
#[derive(Clone, Debug)]
pub struct Messages<'a>(Zip<slice::Iter<'a, mmsghdr>, slice::Iter<'a, Name>>);

impl<'a> Messages<'a> {
    /// Tells each with the place of the same number, as far as there are places; how many.
    #[inline]
    pub fn with_each<T>(self, places: &mut [T], mut tell: impl FnMut(&mut T, Message<'a>)) -> usize {
        let count = places.len().min(self.len());
        // One iterator of the standard library's own, which counts once for all three.
        for (place, (header, name)) in places.iter_mut().zip(self.0) {
            tell(place, Message { header, name });
        }
        count
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    #[inline]
    fn next(&mut self) -> Option<Message<'a>> {
        self.0.next().map(|(header, name)| Message { header, name })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Messages<'_> {}

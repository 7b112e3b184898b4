//! Sending.

use super::{BATCH, Owner};
use core::marker::PhantomData;
use core::net::SocketAddr;
use libc::{MSG_DONTWAIT, MSG_NOSIGNAL, c_uint, sendmmsg};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Sends datagrams, many in one call.
///
/// ```
/// use plimsoll_raw::mmsg::Sender;
/// use std::net::UdpSocket;
///
/// let (here, there) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
/// let to = there.local_addr()?;
/// let mut sender = Sender::new();
/// assert_eq!(sender.send(&here, [(&b"a"[..], Some(&to)), (b"bc", Some(&to))])?, 2);
/// let mut buffer = [0; 8];
/// assert_eq!((there.recv(&mut buffer)?, there.recv(&mut buffer)?), (1, 2));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Sender(Owner);

impl Sender {
    /// One for all sockets.
    #[must_use]
    pub fn new() -> Self {
        Self(Owner::new())
    }

    /// Sends datagrams, payload and address, at most [`BATCH`], without waiting; how many of them the system took. Without an address one goes to the
    /// peer of the socket. None raises a signal.
    ///
    /// # Errors
    /// What the system has against the first one; `WouldBlock` if it has no room for it. What it has against a later one is left for the next call.
    pub fn send<'a>(
        &mut self,
        socket: impl AsFd,
        datagrams: impl IntoIterator<Item = (&'a [u8], Option<&'a SocketAddr>)>,
    ) -> io::Result<usize> {
        let mut batch = self.batch();
        for (payload, to) in datagrams {
            if !batch.push(payload, to) {
                break;
            }
        }
        batch.send(socket)
    }

    /// A batch, one datagram after the other, for whoever has them in another form.
    #[inline]
    pub const fn batch<'a>(&mut self) -> Batch<'_, 'a> {
        Batch { owner: &mut self.0, asked: 0, payloads: PhantomData }
    }
}

/// Datagrams that are to be sent in one call, and that are borrowed until then.
#[derive(Debug)]
pub struct Batch<'s, 'a> {
    owner: &'s mut Owner,
    asked: usize,
    payloads: PhantomData<&'a [u8]>,
}

impl<'a> Batch<'_, 'a> {
    /// Adds a datagram. `false`: there are [`BATCH`] of them.
    #[inline(always)]
    pub fn push(&mut self, payload: &'a [u8], to: Option<&SocketAddr>) -> bool {
        let n = self.asked;
        if n >= BATCH {
            return false;
        }
        let room = self.owner.room_mut();
        room.pieces[n].iov_base = payload.as_ptr().cast_mut().cast();
        room.pieces[n].iov_len = payload.len();
        // A name of no length is none.
        room.headers[n].msg_hdr.msg_namelen = to.map_or(0, |to| room.names[n].write(to));
        self.asked += 1;
        true
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.asked == 0
    }

    /// Whether the two foremost go to one address and are equally large.
    #[inline]
    #[must_use]
    pub fn begins_alike(&self) -> bool {
        let room = self.owner.room();
        let [first, second] = [0, 1].map(|n| {
            let named = room.headers[n].msg_hdr.msg_namelen;
            (room.pieces[n].iov_len, room.names[n].written(named))
        });
        self.asked >= 2 && first == second
    }

    /// Sends them without waiting, as [`Sender::send`] does.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn send(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let (socket, headers, asked) = (socket.as_fd(), self.owner.headers(), self.asked as c_uint);
        // SAFETY: `asked` counts headers of this room, each of which points to a name and to a piece of it. The pieces were made, since this batch has had the
        // room for itself, of bytes that are borrowed for longer than it is there; the system reads them, and writes to headers only.
        let taken = unsafe { sendmmsg(socket.as_raw_fd(), headers, asked, (MSG_DONTWAIT | MSG_NOSIGNAL) as _) };
        usize::try_from(taken).map_err(|_| io::Error::last_os_error())
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

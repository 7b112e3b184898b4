//! Sending.

use super::{BATCH, Owner};
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
    #[inline]
    pub fn send<'a>(
        &mut self,
        socket: impl AsFd,
        datagrams: impl IntoIterator<Item = (&'a [u8], Option<&'a SocketAddr>)>,
    ) -> io::Result<usize> {
        let room = self.0.room_mut();
        let mut datagrams = datagrams.into_iter();
        let mut asked = 0;
        // By index: a zip of all that is needed does not fit into registers.
        while asked < BATCH {
            let Some((payload, to)) = datagrams.next() else { break };
            room.pieces[asked].iov_base = payload.as_ptr().cast_mut().cast();
            room.pieces[asked].iov_len = payload.len();
            // A name of no length is none.
            room.headers[asked].msg_hdr.msg_namelen = to.map_or(0, |to| room.names[asked].write(to));
            asked += 1;
        }
        let (socket, headers, asked) = (socket.as_fd(), self.0.headers(), asked as c_uint);
        // SAFETY: `asked` counts headers of this room, each of which points to a name and to a piece of it. The pieces have just been made of
        // bytes that are borrowed for longer than this call; the system reads them, and writes to headers only.
        let taken = unsafe { sendmmsg(socket.as_raw_fd(), headers, asked, (MSG_DONTWAIT | MSG_NOSIGNAL) as _) };
        usize::try_from(taken).map_err(|_| io::Error::last_os_error())
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

//! Sending and receiving runs: the kernel cuts a message into datagrams (`UDP_SEGMENT`), and puts datagrams together (`UDP_GRO`).

use super::control::Control;
use super::receive::Message;
use super::run::Run;
use super::{BATCH, Owner, Receiver};
use core::marker::PhantomData;
use core::net::SocketAddr;
use libc::{MSG_DONTWAIT, MSG_NOSIGNAL, SOL_UDP, UDP_GRO, UDP_SEGMENT, c_int, c_uint, mmsghdr, sendmmsg, socklen_t};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Sends datagrams, many in one call, and those in a row that go to one address and are of one size as one message, which the kernel cuts.
///
/// The socket has to [know](can_cut) how: others would send them as one.
///
/// ```
/// use plimsoll_raw::mmsg::{RunSender, can_cut};
/// use std::net::UdpSocket;
///
/// let (here, there) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
/// let to = there.local_addr()?;
/// if can_cut(&here) {
///     let mut sender = RunSender::new();
///     let mut runs = sender.runs();
///     for payload in ["ab", "cd", "e"] {
///         runs.push(payload.as_bytes(), Some(&to));
///     }
///     assert_eq!(runs.send(&here)?, 3);
///     let mut buffer = [0; 8];
///     assert_eq!([there.recv(&mut buffer)?, there.recv(&mut buffer)?, there.recv(&mut buffer)?], [2, 2, 1]);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct RunSender(Owner);

impl RunSender {
    /// One for all sockets.
    #[must_use]
    pub fn new() -> Self {
        Self(Owner::new())
    }

    /// Runs, one datagram after the other.
    pub const fn runs<'a>(&mut self) -> Runs<'_, 'a> {
        Runs { owner: &mut self.0, messages: 0, pieces: 0, run: None, payloads: PhantomData }
    }
}

impl Default for RunSender {
    fn default() -> Self {
        Self::new()
    }
}

/// Datagrams that are to be sent in one call, and that are borrowed until then.
#[derive(Debug)]
pub struct Runs<'s, 'a> {
    owner: &'s mut Owner,
    messages: usize,
    pieces: usize,
    /// The last one, which the next datagram may join.
    run: Option<Run<'a>>,
    payloads: PhantomData<&'a [u8]>,
}

impl<'a> Runs<'_, 'a> {
    /// Adds a datagram. `false`: there are [`BATCH`] of them.
    pub fn push(&mut self, payload: &'a [u8], to: Option<&'a SocketAddr>) -> bool {
        let piece = self.pieces;
        if piece >= BATCH {
            return false;
        }
        let room = self.owner.room_mut();
        room.pieces[piece].iov_base = payload.as_ptr().cast_mut().cast();
        room.pieces[piece].iov_len = payload.len();
        self.pieces += 1;
        let joined = match &mut self.run {
            Some(run) => run.join(payload.len(), to).then_some(&*run),
            None => None,
        };
        if let Some(run) = joined {
            let message = self.messages - 1;
            // A run that has more than one is at most as long as a datagram.
            let said = room.controls[message].write_size(run.size as u16);
            let header = &mut room.headers[message].msg_hdr;
            header.msg_controllen = said as _;
            header.msg_iovlen = run.count as _;
        } else {
            self.run = Some(Run::new(payload.len(), to));
            let message = self.messages;
            self.messages += 1;
            let name = to.map_or(0, |to| room.names[message].write(to));
            self.owner.point(message, piece);
            let header = &mut self.owner.room_mut().headers[message].msg_hdr;
            header.msg_namelen = name;
            header.msg_controllen = 0;
            header.msg_iovlen = 1;
        }
        true
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Whether the foremost of them are more than one in one message.
    #[must_use]
    pub fn begins_with_several(&self) -> bool {
        self.messages > 0 && count(&self.owner.room().headers[0]) > 1
    }

    /// Sends them without waiting; how many datagrams the system took. None raises a signal.
    ///
    /// # Errors
    /// What the system has against the first message: nothing of it was sent then. `WouldBlock` if it has no room for it.
    pub fn send(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let (socket, headers, asked) = (socket.as_fd(), self.owner.headers(), self.messages as c_uint);
        // SAFETY: `asked` counts headers of this room. Each points to a name and a control message of it, and to as many pieces of it, one behind the other, as
        // were pushed into its run. The pieces were made, since this has had the room for itself, of bytes that are borrowed for longer than it is there; the
        // system reads them, and writes to headers only.
        let taken = unsafe { sendmmsg(socket.as_raw_fd(), headers, asked, (MSG_DONTWAIT | MSG_NOSIGNAL) as _) };
        let taken = usize::try_from(taken).map_err(|_| io::Error::last_os_error())?;
        Ok(self.owner.room().headers.iter().take(taken).map(count).sum())
    }
}

/// How many datagrams a message is made of.
const fn count(message: &mmsghdr) -> usize {
    message.msg_hdr.msg_iovlen as _
}

/// As [`Receiver`], of sockets that [put datagrams together](put_together).
#[derive(Debug, Default)]
pub struct RunReceiver(Receiver);

impl RunReceiver {
    /// One for all sockets.
    #[must_use]
    pub fn new() -> Self {
        Self(Receiver::new())
    }

    /// Receives at most one message into each buffer, as [`Receiver::receive`] does, and tells each with the place of the same number, as far as there are places;
    /// how many. What is told with it is the size of the datagrams that it was put together of, the last of which may be shorter; none if it is one.
    ///
    /// A buffer should have room for 65 535 bytes, whatever is expected: what is longer is cut, and with it the datagrams that were at its end.
    ///
    /// # Errors
    /// As there.
    pub fn receive<'a, T>(
        &mut self,
        socket: impl AsFd,
        buffers: impl IntoIterator<Item = &'a mut [u8]>,
        places: &mut [T],
        mut tell: impl FnMut(&mut T, Message<'_>, Option<usize>),
    ) -> io::Result<usize> {
        let room = self.0.0.room_mut();
        for header in &mut room.headers {
            header.msg_hdr.msg_controllen = Control::ROOM as _;
        }
        let count = self.0.receive(socket, buffers)?.len().min(places.len());
        let room = self.0.0.room();
        for ((place, control), (header, name)) in
            places.iter_mut().zip(&room.controls).zip(room.headers.iter().zip(&room.names)).take(count)
        {
            let message = Message { header, name };
            let said = header.msg_hdr.msg_controllen as _;
            let size = control.read_size(said).filter(|size| *size < message.len());
            tell(place, message, size);
        }
        Ok(count)
    }
}

/// Whether the kernel cuts messages into datagrams for this socket. Kernels that do not know how, and sockets of other protocols, would send them whole.
#[must_use]
pub fn can_cut(socket: impl AsFd) -> bool {
    let (mut number, mut len): (c_int, socklen_t) = (0, 4);
    // SAFETY: the system writes at most four bytes, which are there, and how many.
    let asked =
        unsafe { libc::getsockopt(socket.as_fd().as_raw_fd(), SOL_UDP, UDP_SEGMENT, (&raw mut number).cast(), &raw mut len) };
    asked == 0
}

/// Lets the kernel put together what comes for this socket, or not.
///
/// # Errors
/// The system's, above all that it does not know how.
pub fn put_together(socket: impl AsFd, yes: bool) -> io::Result<()> {
    let number = c_int::from(yes);
    // SAFETY: the system reads four bytes, which are there.
    let set = unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), SOL_UDP, UDP_GRO, (&raw const number).cast(), 4) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the kernel puts together what comes for this socket. One that cannot tell says no.
#[must_use]
pub fn puts_together(socket: impl AsFd) -> bool {
    let (mut number, mut len): (c_int, socklen_t) = (0, 4);
    // SAFETY: the system writes at most four bytes, which are there, and how many.
    let asked = unsafe { libc::getsockopt(socket.as_fd().as_raw_fd(), SOL_UDP, UDP_GRO, (&raw mut number).cast(), &raw mut len) };
    asked == 0 && number != 0
}

/// Lets the kernel cut nothing for this socket but what is said to be cut with the message itself.
///
/// # Errors
/// The system's, above all that it does not know how.
pub fn cut_nothing(socket: impl AsFd) -> io::Result<()> {
    let number: c_int = 0;
    // SAFETY: the system reads four bytes, which are there.
    let set = unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), SOL_UDP, UDP_SEGMENT, (&raw const number).cast(), 4) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

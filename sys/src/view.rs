//! A look at a socket that belongs to the loop.

use crate::error::error;
use crate::socket::{addr, option};
use core::fmt;
use core::time::Duration;
use plimsoll_core::{Addr, Call, Error, SocketOption};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::net::sockopt;
use std::os::fd::BorrowedFd;

/// The socket of a connection, to look at its options and addresses and to set options (contract INFO-4).
///
/// It cannot read, write, close it, or make it blocking: that is the loop's. It does not give the descriptor away either:
///
/// ```compile_fail,E0599
/// //= INFO-4
/// use std::os::fd::AsFd;
///
/// fn steal(view: plimsoll_sys::SocketView<'_>) {
///     let _ = view.as_fd();
/// }
/// ```
#[derive(Clone, Copy)]
pub struct SocketView<'a>(BorrowedFd<'a>);

impl<'a> SocketView<'a> {
    pub(crate) const fn new(descriptor: BorrowedFd<'a>) -> Self {
        Self(descriptor)
    }

    /// Our address now; none if the system cannot tell it.
    #[must_use]
    pub fn local_addr(self) -> Option<Addr> {
        addr::local(self.0)
    }

    /// The peer's address now; none if the system cannot tell it, for example because the peer has gone.
    #[must_use]
    pub fn peer_addr(self) -> Option<Addr> {
        addr::peer(self.0)
    }

    /// Whether small segments are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// The system's, as of all of these.
    pub fn no_delay(self) -> Result<bool, Error> {
        told(sockopt::tcp_nodelay(self.0))
    }

    /// After how long an idle peer is probed (`SO_KEEPALIVE`, `TCP_KEEPIDLE`); `None` if it is not.
    ///
    /// # Errors
    /// The system's.
    pub fn keep_alive(self) -> Result<Option<Duration>, Error> {
        if told(sockopt::socket_keepalive(self.0))? { told(sockopt::tcp_keepidle(self.0)).map(Some) } else { Ok(None) }
    }

    /// What closing does with unsent bytes (`SO_LINGER`).
    ///
    /// # Errors
    /// The system's.
    pub fn linger(self) -> Result<Option<Duration>, Error> {
        told(sockopt::socket_linger(self.0))
    }

    /// The kernel's send buffer in bytes (`SO_SNDBUF`); Linux tells twice what was set.
    ///
    /// # Errors
    /// The system's.
    pub fn send_buffer(self) -> Result<usize, Error> {
        told(sockopt::socket_send_buffer_size(self.0))
    }

    /// The kernel's receive buffer in bytes (`SO_RCVBUF`); Linux tells twice what was set.
    ///
    /// # Errors
    /// The system's.
    pub fn receive_buffer(self) -> Result<usize, Error> {
        told(sockopt::socket_recv_buffer_size(self.0))
    }

    /// Whether it may send to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    /// The system's.
    pub fn broadcast(self) -> Result<bool, Error> {
        told(sockopt::socket_broadcast(self.0))
    }

    /// Whether what it sends to a group comes back to this machine (`IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    /// The system's.
    pub fn multicast_loop(self) -> Result<bool, Error> {
        told(if option::is_v6(self.0) { sockopt::ipv6_multicast_loop(self.0) } else { sockopt::ip_multicast_loop(self.0) })
    }

    /// How far what it sends to a group goes (`IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`).
    ///
    /// # Errors
    /// The system's.
    pub fn multicast_hops(self) -> Result<u32, Error> {
        told(if option::is_v6(self.0) { sockopt::ipv6_multicast_hops(self.0) } else { sockopt::ip_multicast_ttl(self.0) })
    }

    /// Sets an option.
    ///
    /// # Errors
    /// The system's.
    pub fn set(self, option: SocketOption) -> Result<(), Error> {
        option::set(self.0, option)
    }
}

/// What an end of a pipe is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PipeKind {
    /// A pipe, or a FIFO.
    Pipe,
    /// A socket.
    Socket,
    /// A terminal.
    Terminal,
    /// Another character device.
    Device,
}

/// The descriptor of a pipe, to look at (contract INFO-6). As of a [`SocketView`], its bytes and its end are the loop's.
#[derive(Clone, Copy, Debug)]
pub struct PipeView<'a>(BorrowedFd<'a>);

impl<'a> PipeView<'a> {
    pub(crate) const fn new(descriptor: BorrowedFd<'a>) -> Self {
        Self(descriptor)
    }

    /// What it is.
    ///
    /// # Errors
    /// The system's, as of all of these.
    pub fn kind(self) -> Result<PipeKind, Error> {
        let mode = told(rustix::fs::fstat(self.0))?.st_mode;
        Ok(match FileType::from_raw_mode(mode) {
            FileType::Fifo => PipeKind::Pipe,
            FileType::Socket => PipeKind::Socket,
            _ if rustix::termios::isatty(self.0) => PipeKind::Terminal,
            _ => PipeKind::Device,
        })
    }

    /// How many bytes a pipe holds.
    ///
    /// # Errors
    /// The system's; `InvalidInput` of anything but a pipe.
    #[cfg(target_os = "linux")]
    pub fn capacity(self) -> Result<usize, Error> {
        told(rustix::pipe::fcntl_getpipe_size(self.0))
    }

    /// Makes a pipe hold at least so many bytes.
    ///
    /// # Errors
    /// The system's; `InvalidInput` of anything but a pipe.
    #[cfg(target_os = "linux")]
    pub fn set_capacity(self, bytes: usize) -> Result<usize, Error> {
        told(rustix::pipe::fcntl_setpipe_size(self.0, bytes))
    }
}

/// A child process, to look at (contract INFO-6): its end and its reaping are the loop's. It has not been reaped yet, so its id is nobody else's.
#[derive(Clone, Copy, Debug)]
pub struct ProcessView<'a> {
    pid: u32,
    child: BorrowedFd<'a>,
}

impl<'a> ProcessView<'a> {
    pub(crate) const fn new(pid: u32, child: BorrowedFd<'a>) -> Self {
        Self { pid, child }
    }

    /// Its process id, good for every call of the system's as long as this view is.
    #[must_use]
    pub const fn pid(self) -> u32 {
        self.pid
    }

    /// Whether it has ended already, though nobody was told yet.
    #[must_use]
    pub fn has_ended(self) -> bool {
        let mut polled = [PollFd::new(&self.child, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(rustix::event::poll(&mut polled, Some(&now)), Ok(1..))
    }
}

fn told<T>(result: Result<T, Errno>) -> Result<T, Error> {
    result.map_err(|errno| error(Call::Option, errno))
}

impl fmt::Debug for SocketView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketView").field("local", &self.local_addr()).field("peer", &self.peer_addr()).finish()
    }
}

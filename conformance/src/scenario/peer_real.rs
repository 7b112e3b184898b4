//! The other ends of connections to the backends, on real sockets, and where everybody listens.

use super::host::{PeerEnd, Seen};
use super::model::{Kind, Link};
use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use plimsoll_core::{Addr, UnixAddr};
use socket2::{Domain, SockAddr, Socket, Type};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process;

/// A socket with the buffers of the link, set before anything else: the window that is offered depends on them.
pub(crate) fn socket(link: &Link) -> io::Result<Socket> {
    let domain = if link.kind.is_unix() { Domain::UNIX } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM, None)?;
    if let Some(bytes) = link.sndbuf {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = link.rcvbuf {
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(socket)
}

/// An address as the system has it.
pub(crate) fn name(at: &Addr) -> io::Result<SockAddr> {
    if let Some(name) = at.as_unix().and_then(UnixAddr::as_abstract_name) {
        return SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat()));
    }
    match (at.inet(), at.as_unix().and_then(UnixAddr::as_path)) {
        (Some(at), _) => Ok(at.into()),
        (None, Some(path)) => SockAddr::unix(path),
        (None, None) => Err(ErrorKind::AddrNotAvailable.into()),
    }
}

/// The other way round.
pub(crate) fn address(name: &SockAddr) -> Option<Addr> {
    if let Some(at) = name.as_socket() {
        return Some(at.into());
    }
    let path = name.as_pathname().map(|path| UnixAddr::from(path.to_owned()));
    path.or_else(|| name.is_unnamed().then_some(UnixAddr::UNNAMED)).map(Addr::unix)
}

/// Where sockets of a scenario are bound: ports that the system picks, or files in a folder of its own, which goes with it.
#[derive(Default)]
pub(crate) struct Places {
    folder: Option<PathBuf>,
    files: u32,
}

impl Places {
    /// The next free path, as an address.
    pub(crate) fn next(&mut self) -> Addr {
        Addr::unix(UnixAddr::from(self.next_path()))
    }

    /// The next free path.
    pub(crate) fn next_path(&mut self) -> PathBuf {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let folder = self.folder.get_or_insert_with(|| {
            let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
            let folder = env::temp_dir().join(format!("plimsoll-{}-{number}", process::id()));
            // If it cannot be made, binding says so.
            let _ = fs::create_dir_all(&folder);
            folder
        });
        self.files += 1;
        folder.join(self.files.to_string())
    }

    pub(crate) fn bound(&mut self, link: &Link, backlog: Option<i32>) -> io::Result<(Socket, Addr)> {
        let socket = socket(link)?;
        let at = match link.kind {
            Kind::Unix => self.next(),
            _ => Addr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        };
        socket.bind(&name(&at)?)?;
        if let Some(backlog) = backlog {
            socket.listen(backlog)?;
        }
        let at = match link.kind {
            Kind::Unix => at,
            _ => socket.local_addr()?.as_socket().ok_or(ErrorKind::AddrNotAvailable)?.into(),
        };
        Ok((socket, at))
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // A folder that is left in the place for temporary things harms nobody.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

pub(crate) struct RealPeer(Socket);

impl RealPeer {
    /// A connected socket: none of its calls waits, and small segments are sent at once.
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        if socket.local_addr()?.as_socket().is_some() {
            socket.set_tcp_nodelay(true)?;
        }
        Ok(Self(socket))
    }
}

impl PeerEnd for RealPeer {
    fn is_connected(&self) -> bool {
        true
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        match self.0.write(bytes) {
            Ok(n) => n,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            Err(_) => bytes.len(),
        }
    }

    fn read(&mut self, most: usize) -> Seen {
        let mut bytes = vec![0; most];
        loop {
            return match self.0.read(&mut bytes) {
                Ok(0) => Seen::Eof,
                Ok(n) => Seen::Bytes(bytes[..n].to_vec()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Seen::Nothing,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => Seen::Reset,
            };
        }
    }

    fn eof(&mut self) {
        // It has been reset meanwhile: then there is nothing to finish.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    fn reset(self: Box<Self>) {
        // Closing it resets the connection now; if that cannot be set, the lanes will show it.
        let _ = rustix::net::sockopt::set_socket_linger(&self.0, Some(Duration::ZERO));
    }

    fn ends(&self) -> Option<(Addr, Addr)> {
        Some((address(&self.0.local_addr().ok()?)?, address(&self.0.peer_addr().ok()?)?))
    }

    fn unread(&self) -> Option<usize> {
        rustix::io::ioctl_fionread(&self.0).ok().map(|n| n as usize)
    }
}

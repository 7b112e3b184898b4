//! The backends as hosts, on real sockets.

use super::host::{Host, PeerEnd, Seen};
use super::model::{Given, Link};
use super::stage::Stage;
use core::cell::RefCell;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use plimsoll_core::testing::TraceChecker;
use plimsoll_core::{Hub, Remote, Report, Resource, StreamId};
use plimsoll_sys::{EventLoop, Selector};
use rustix::process::{Resource as ResourceLimit, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

/// How many sockets peers have for the time in which none can be made.
const SPARE: usize = 8;

/// Lets the process have no more descriptors than it has, until it is dropped.
struct Full(Rlimit);

impl Full {
    fn now() -> io::Result<Self> {
        let before = getrlimit(ResourceLimit::Nofile);
        // The lowest free number is the first one that is not allowed.
        let next = fs::File::open("/dev/null")?.as_raw_fd();
        setrlimit(ResourceLimit::Nofile, Rlimit { current: u64::try_from(next).ok(), maximum: before.maximum })?;
        Ok(Self(before))
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        // It was allowed before.
        let _ = setrlimit(ResourceLimit::Nofile, self.0);
    }
}

/// A loop over a poller of the system's.
pub(crate) struct Real<P: Selector> {
    event_loop: EventLoop<Stage, P>,
    checker: TraceChecker,
    reports: Rc<RefCell<Vec<Report>>>,
    listener: Option<TcpListener>,
    /// Sockets that keep addresses taken.
    kept: Vec<Socket>,
    full: Option<Full>,
    spare: Vec<Socket>,
    failure: Option<String>,
    closed: bool,
}

impl<P: Selector> Real<P> {
    pub(crate) fn new(stage: Stage) -> io::Result<Self> {
        let checker = TraceChecker::new();
        let observer = stage.record.timeline.observer(Some(checker.observer()));
        let mut event_loop = EventLoop::new(stage)?;
        event_loop.set_observer(Box::new(observer));
        let reports = Rc::new(RefCell::new(Vec::new()));
        let sink = reports.clone();
        event_loop.set_error_hook(move |report| sink.borrow_mut().push(report));
        Ok(Self {
            event_loop,
            checker,
            reports,
            listener: None,
            kept: Vec::new(),
            full: None,
            spare: Vec::new(),
            failure: None,
            closed: false,
        })
    }
}

/// A socket with the buffers of the link, set before anything else: the window that is offered depends on them.
fn socket(link: &Link) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if let Some(bytes) = link.sndbuf {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = link.rcvbuf {
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(socket)
}

fn bound(link: &Link, backlog: Option<i32>) -> io::Result<(Socket, SocketAddr)> {
    let socket = socket(link)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    if let Some(backlog) = backlog {
        socket.listen(backlog)?;
    }
    let at = socket.local_addr()?.as_socket().ok_or(ErrorKind::AddrNotAvailable)?;
    Ok((socket, at))
}

impl<P: Selector> Host for Real<P> {
    fn hub(&mut self) -> (&mut Hub<Stage>, &mut Stage) {
        self.event_loop.hub_and_state()
    }

    fn turn(&mut self, patience: Duration) -> bool {
        if self.closed {
            return false;
        }
        if let Err(error) = self.event_loop.run_once(Some(patience)) {
            self.failure = Some(error.to_string());
        }
        true
    }

    fn listener(&mut self, link: &Link) -> io::Result<(Resource, SocketAddr)> {
        let (socket, at) = bound(link, None)?;
        Ok((Resource::new(OwnedFd::from(socket)), at))
    }

    fn listen_peer(&mut self, link: &Link) -> io::Result<SocketAddr> {
        let (socket, at) = bound(link, Some(16))?;
        socket.set_nonblocking(true)?;
        self.listener = Some(socket.into());
        Ok(at)
    }

    fn nobody(&mut self) -> io::Result<SocketAddr> {
        let link = self.event_loop.state().scenario.link.clone();
        let (socket, at) = bound(&link, None)?;
        self.kept.push(socket);
        Ok(at)
    }

    fn taken(&mut self) -> io::Result<SocketAddr> {
        let link = self.event_loop.state().scenario.link.clone();
        let (socket, at) = bound(&link, Some(1))?;
        self.kept.push(socket);
        Ok(at)
    }

    fn accept_peer(&mut self) -> Option<Box<dyn PeerEnd>> {
        let (stream, _) = self.listener.as_ref()?.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(Box::new(RealPeer(stream)))
    }

    fn connect_peer(&mut self, to: SocketAddr, link: &Link) -> Option<Box<dyn PeerEnd>> {
        let socket = match self.full {
            Some(_) => self.spare.pop()?,
            None => socket(link).ok()?,
        };
        // The kernel of the other side answers by itself: it does not wait for the loop.
        socket.connect(&to.into()).ok()?;
        socket.set_nonblocking(true).ok()?;
        socket.set_tcp_nodelay(true).ok()?;
        Some(Box::new(RealPeer(socket.into())))
    }

    fn nodelay(&mut self, id: StreamId) -> Option<bool> {
        self.event_loop.socket(id)?.no_delay().ok()
    }

    fn given(&mut self, what: Given, link: &Link) -> io::Result<(Resource, Option<Box<dyn PeerEnd>>)> {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (ours, peer): (OwnedFd, Option<Box<dyn PeerEnd>>) = match what {
            Given::Connected => {
                let (listening, at) = bound(link, Some(1))?;
                // It is blocking, as it would come from elsewhere: the loop has to change that.
                let ours = socket(link)?;
                ours.connect(&at.into())?;
                let (peer, _) = listening.accept()?;
                peer.set_nonblocking(true)?;
                peer.set_tcp_nodelay(true)?;
                (ours.into(), Some(Box::new(RealPeer(peer.into()))))
            }
            Given::Listening => (bound(link, Some(1))?.0.into(), None),
            Given::Bound => (bound(link, None)?.0.into(), None),
            Given::Unconnected => (socket(link)?.into(), None),
            Given::Datagram => (UdpSocket::bind(here)?.into(), None),
        };
        Ok((Resource::new(ours), peer))
    }

    fn silent(&mut self) -> io::Result<SocketAddr> {
        // One connection fits into its queue, and nobody takes it out: further requests are dropped.
        let link = self.event_loop.state().scenario.link.clone();
        let (listening, at) = bound(&link, Some(0))?;
        let first = socket(&link)?;
        first.connect(&at.into())?;
        self.kept.extend([listening, first]);
        Ok(at)
    }

    fn remote(&self) -> Remote<Stage> {
        self.event_loop.remote()
    }

    fn limit_descriptors(&mut self, limit: bool) -> io::Result<()> {
        self.full = None;
        if limit {
            let link = self.event_loop.state().scenario.link.clone();
            self.spare = (0..SPARE).map(|_| socket(&link)).collect::<Result<_, _>>()?;
            self.full = Some(Full::now()?);
        }
        Ok(())
    }

    fn reports(&mut self) -> Vec<Report> {
        self.reports.borrow_mut().drain(..).collect()
    }

    fn violations(&mut self) -> Vec<String> {
        let mut found = self.checker.violations();
        found.extend(self.failure.take());
        found
    }

    fn close(&mut self) {
        self.closed = true;
        self.event_loop.close();
        self.listener = None;
        self.kept.clear();
        self.full = None;
        self.spare.clear();
    }

    fn descriptors(&self) -> u64 {
        open_descriptors()
    }
}

impl<P: Selector> Drop for Real<P> {
    fn drop(&mut self) {
        // The checker panics in its destructor; whoever asked for violations has them already.
        let _ = super::stage::caught(|| self.checker.assert_clean());
    }
}

/// How many descriptors this process has; 0 where the system does not say.
pub(crate) fn open_descriptors() -> u64 {
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
}

struct RealPeer(TcpStream);

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

    fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        Some((self.0.local_addr().ok()?, self.0.peer_addr().ok()?))
    }

    fn unread(&self) -> Option<usize> {
        rustix::io::ioctl_fionread(&self.0).ok().map(|n| n as usize)
    }
}

//! The backends as hosts, on real sockets.

use super::child::Std;
use super::disk::Folder;
use super::host::{Files, Host, Mailbox, PeerEnd, open_descriptors};
use super::mail_real::{self, RealMailbox};
use super::model::{Given, Kind, Link, Scenario};
use super::peer_real::{Places, RealPeer, name, socket};
use super::race::{Lies, Race};
use super::race_real::{self, There};
use super::stage::Stage;
use core::cell::{Cell, RefCell};
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use plimsoll_core::testing::TraceChecker;
use plimsoll_core::{Addr, Command, Connect, Datagram, Hub, Name, Remote, Report, Resource, Stdio, StreamId, UnixAddr};
use plimsoll_sys::{Answer, EventLoop, HubExt, PipeKind, Selector};
use rustix::process::{Resource as ResourceLimit, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
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
    listener: Option<Socket>,
    places: Places,
    /// Where a child waits to be told to go on.
    go: Option<File>,
    /// Sockets that keep addresses taken.
    kept: Vec<Socket>,
    full: Option<Full>,
    spare: Vec<Socket>,
    failure: Option<String>,
    closed: bool,
}

impl<P: Selector> Real<P> {
    pub(crate) fn new(mut stage: Stage) -> io::Result<Self> {
        stage.disk = Some(Box::<Folder>::default());
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
            places: Places::default(),
            go: None,
            kept: Vec::new(),
            full: None,
            spare: Vec::new(),
            failure: None,
            closed: false,
        })
    }
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

    fn glance(&mut self) -> bool {
        self.turn(Duration::from_millis(1))
    }

    fn listener(&mut self, link: &Link) -> io::Result<(Resource, Addr)> {
        let (socket, at) = self.places.bound(link, None)?;
        Ok((Resource::new(OwnedFd::from(socket)), at))
    }

    fn place(&mut self) -> Addr {
        if self.event_loop.state().scenario.link.kind.is_unix() {
            self.places.next()
        } else {
            Addr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        }
    }

    fn listen_peer(&mut self, link: &Link) -> io::Result<Addr> {
        let (socket, at) = self.places.bound(link, Some(16))?;
        socket.set_nonblocking(true)?;
        self.listener = Some(socket);
        Ok(at)
    }

    fn race(&mut self, race: &Race) -> io::Result<Connect> {
        let There { port, peer, kept } = race_real::sockets(race)?;
        self.listener = peer;
        self.kept.extend(kept);
        let addrs: Vec<SocketAddr> = race.to.iter().map(|one| SocketAddr::new(one.ip, port)).collect();
        self.event_loop.set_resolver(move |_: &Name, answer: Answer| answer.send(Ok(addrs.clone())));
        Ok(race.connect(port))
    }

    fn abstract_name(&mut self) -> Addr {
        let path = self.places.next_path();
        UnixAddr::abstract_name(path.into_os_string().into_encoded_bytes()).into()
    }

    fn put(&mut self, at: &Addr, what: Lies) -> io::Result<()> {
        let path = at.as_unix().and_then(UnixAddr::as_path).ok_or(io::ErrorKind::InvalidInput)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match what {
            Lies::Socket => UnixListener::bind(path).map(drop),
            Lies::File => File::create(path).map(drop),
        }
    }

    fn lies(&mut self, at: &Addr) -> &'static str {
        let found = at.as_unix().and_then(UnixAddr::as_path).and_then(|path| fs::symlink_metadata(path).ok());
        found.map_or("none", |found| if found.file_type().is_socket() { "socket" } else { "file" })
    }

    fn nobody(&mut self) -> io::Result<Addr> {
        let link = self.event_loop.state().scenario.link.clone();
        let (socket, at) = self.places.bound(&link, None)?;
        self.kept.push(socket);
        Ok(at)
    }

    fn taken(&mut self) -> io::Result<Addr> {
        let link = self.event_loop.state().scenario.link.clone();
        let (socket, at) = self.places.bound(&link, Some(1))?;
        self.kept.push(socket);
        Ok(at)
    }

    fn accept_peer(&mut self) -> Option<Box<dyn PeerEnd>> {
        let (socket, _) = self.listener.as_ref()?.accept().ok()?;
        Some(Box::new(RealPeer::new(socket).ok()?))
    }

    fn connect_peer(&mut self, to: &Addr, link: &Link) -> Option<Box<dyn PeerEnd>> {
        let socket = match self.full {
            Some(_) => self.spare.pop()?,
            None => socket(link).ok()?,
        };
        // The kernel of the other side answers by itself: it does not wait for the loop.
        socket.connect(&name(to).ok()?).ok()?;
        Some(Box::new(RealPeer::new(socket).ok()?))
    }

    fn nodelay(&mut self, id: StreamId) -> Option<bool> {
        self.event_loop.socket(id)?.no_delay().ok()
    }

    fn pipe(&mut self, id: StreamId) -> Option<&'static str> {
        let seen = Rc::new(Cell::new(None));
        let sink = seen.clone();
        self.hub().0.with_pipe(id, move |view| sink.set(view.kind().ok()));
        self.turn(Duration::ZERO);
        Some(match seen.get()? {
            PipeKind::Pipe => "pipe",
            PipeKind::Socket => "socket",
            PipeKind::Terminal => "terminal",
            _ => "device",
        })
    }

    fn given(&mut self, what: Given, link: &Link) -> io::Result<(Resource, Option<Box<dyn PeerEnd>>)> {
        if link.kind.is_pipe() {
            let (ours, peer) = super::pipe_real::pair(&mut self.places, link)?;
            return Ok((Resource::new(ours), peer));
        }
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (ours, peer): (OwnedFd, Option<Box<dyn PeerEnd>>) = match what {
            Given::Connected => {
                let (listening, at) = self.places.bound(link, Some(1))?;
                // It is blocking, as it would come from elsewhere: the loop has to change that.
                let ours = socket(link)?;
                ours.connect(&name(&at)?)?;
                let (peer, _) = listening.accept()?;
                (ours.into(), Some(Box::new(RealPeer::new(peer)?)))
            }
            Given::Listening => (self.places.bound(link, Some(1))?.0.into(), None),
            Given::Bound => (self.places.bound(link, None)?.0.into(), None),
            Given::Unconnected => (socket(link)?.into(), None),
            Given::Datagram if link.kind == Kind::Unix => (UnixDatagram::unbound()?.into(), None),
            Given::Datagram => (UdpSocket::bind(here)?.into(), None),
        };
        Ok((Resource::new(ours), peer))
    }

    fn mailbox(&mut self) -> io::Result<Box<dyn Mailbox>> {
        let here = Datagram::on(self.place());
        RealMailbox::boxed(mail_real::bound(&here)?)
    }

    fn datagram_socket(&mut self, open: &Datagram) -> io::Result<Resource> {
        Ok(Resource::new(OwnedFd::from(mail_real::bound(open)?)))
    }

    fn datagram_pair(&mut self) -> io::Result<(Resource, Box<dyn Mailbox>)> {
        let (ours, theirs) = Socket::pair(Domain::UNIX, Type::DGRAM, None)?;
        Ok((Resource::new(OwnedFd::from(ours)), RealMailbox::boxed(theirs)?))
    }

    fn command(&mut self, scenario: &Scenario) -> io::Result<(Command, Files)> {
        let mut files = Files::default();
        if scenario.link.absent {
            return Ok((Command::new("/nowhere/at-all"), files));
        }
        let go = self.places.next_path();
        super::pipe_real::fifo(&go)?;
        // Open for both, it never ends: a child that opens it does not wait for us, nor we for it.
        self.go = Some(File::options().read(true).write(true).open(&go)?);
        let places = &mut self.places;
        let script = super::child::shell(&scenario.child, &mut || places.next_path())?;
        let mut command = Command::new("/bin/sh").arg("-c").arg(script).arg(go.into_os_string().into_encoded_bytes());
        for (n, std) in scenario.link.stdio.into_iter().enumerate() {
            let stdio = match std {
                Std::Pipe => Stdio::Piped,
                Std::Null => Stdio::Null,
                Std::Inherit => Stdio::Inherit,
                Std::Joined => Stdio::Stdout,
                Std::File => {
                    let path = self.places.next_path();
                    let file = File::create(&path)?;
                    files[n] = Some(super::pipe_real::reader(File::open(&path)?.into())?);
                    Stdio::Given(Resource::new(OwnedFd::from(file)))
                }
            };
            command = match n {
                0 => command.stdin(stdio),
                1 => command.stdout(stdio),
                _ => command.stderr(stdio),
            };
        }
        Ok((command, files))
    }

    fn go(&mut self) {
        if let Some(mut go) = self.go.as_ref() {
            // There is room for a line.
            let _ = go.write_all(b"\n");
        }
    }

    fn silent(&mut self) -> io::Result<Addr> {
        // One connection fits into its queue, and nobody takes it out: further requests are dropped.
        let link = self.event_loop.state().scenario.link.clone();
        let (listening, at) = self.places.bound(&link, Some(0))?;
        let first = socket(&link)?;
        first.connect(&name(&at)?)?;
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
        self.go = None;
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

//! A loop under watch, and a protocol that writes down what it is called with.
#![allow(dead_code, reason = "not every test binary uses all of it")]

use crate::backend::testing::TraceChecker;
use crate::backend::{
    CloseReason, Connect, Context, Data, ErrorKind, EventLoop, Listen, OpenError, Protocol, Report, Server, StreamId, event_loop,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::marker::PhantomData;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// No test waits for longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the protocols of a test leave behind.
#[derive(Default)]
pub(crate) struct State {
    /// What was called, as `name what`; data that follows data is not repeated.
    pub(crate) log: Vec<String>,
    /// What was received, by name.
    pub(crate) bytes: BTreeMap<&'static str, Vec<u8>>,
    /// The connections that were made, in order, with their names.
    pub(crate) made: Vec<(&'static str, StreamId)>,
    /// Why connections were lost, in order.
    pub(crate) reasons: Vec<CloseReason>,
    /// Why connections could not be opened, in order.
    pub(crate) refusals: Vec<OpenError>,
    /// What became of files, in order.
    pub(crate) files: Vec<Result<u64, ErrorKind>>,
    /// For the test's own use.
    pub(crate) count: usize,
}

impl State {
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !(what.ends_with(" data") && self.log.last() == Some(&what)) {
            self.log.push(what);
        }
    }

    pub(crate) fn saw(&self, what: &str) -> bool {
        self.log.iter().any(|entry| entry == what)
    }

    pub(crate) fn times(&self, what: &str) -> usize {
        self.log.iter().filter(|entry| *entry == what).count()
    }

    pub(crate) fn id(&self, name: &str) -> StreamId {
        self.made.iter().find(|(made, _)| *made == name).expect("it was made").1
    }

    pub(crate) fn received(&self, name: &str) -> &[u8] {
        self.bytes.get(name).map_or(&[], |bytes| &bytes[..])
    }
}

type Act = Box<dyn FnMut(&mut Context<'_, State>)>;

/// A protocol that notes each callback under its name, and does what it was told to do there.
pub(crate) struct Tap {
    name: &'static str,
    echo: bool,
    keep_open: bool,
    acts: BTreeMap<&'static str, Act>,
}

impl Tap {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, echo: false, keep_open: false, acts: BTreeMap::new() }
    }

    /// Sends back what it receives.
    pub(crate) fn echo(mut self) -> Self {
        self.echo = true;
        self
    }

    /// Answers an end-of-file with "go on".
    pub(crate) fn keep_open(mut self) -> Self {
        self.keep_open = true;
        self
    }

    /// Does this in each callback of that name: `made`, `data`, `sent`, `eof`, `pause`, `resume`, `lost`, `refused`, `timer`.
    pub(crate) fn on(mut self, callback: &'static str, act: impl FnMut(&mut Context<'_, State>) + 'static) -> Self {
        self.acts.insert(callback, Box::new(act));
        self
    }

    fn called(&mut self, cx: &mut Context<'_, State>, callback: &'static str) {
        cx.state.note(format!("{} {callback}", self.name));
        self.act(cx, callback);
    }

    fn act(&mut self, cx: &mut Context<'_, State>, callback: &'static str) {
        if let Some(act) = self.acts.get_mut(callback) {
            act(cx);
        }
    }
}

impl Protocol<State> for Tap {
    fn connection_made(&mut self, cx: &mut Context<'_, State>) {
        cx.state.made.push((self.name, cx.id));
        self.called(cx, "made");
    }

    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        cx.state.bytes.entry(self.name).or_default().extend_from_slice(&data);
        if self.echo {
            cx.write(data);
        }
        self.called(cx, "data");
    }

    fn eof_received(&mut self, cx: &mut Context<'_, State>) -> bool {
        self.called(cx, "eof");
        self.keep_open
    }

    fn pause_writing(&mut self, cx: &mut Context<'_, State>) {
        self.called(cx, "pause");
    }

    fn resume_writing(&mut self, cx: &mut Context<'_, State>) {
        self.called(cx, "resume");
    }

    fn sendfile_done(&mut self, cx: &mut Context<'_, State>, result: Result<u64, crate::backend::Error>) {
        cx.state.files.push(result.map_err(|error| error.kind()));
        self.called(cx, "sent");
    }

    fn timer(&mut self, cx: &mut Context<'_, State>, _: crate::backend::TimerId) {
        self.called(cx, "timer");
    }

    fn open_failed(mut self: Box<Self>, cx: &mut Context<'_, State>, error: OpenError) {
        cx.state.refusals.push(error);
        self.called(cx, "refused");
    }

    fn connection_lost(mut self: Box<Self>, cx: &mut Context<'_, State>, reason: CloseReason) {
        let why = reason.error().map_or("None".into(), |error| format!("{:?}", error.kind()));
        cx.state.note(format!("{} lost({why})", self.name));
        cx.state.reasons.push(reason);
        self.act(cx, "lost");
    }
}

/// A kind of streams to other ends: how they are reached and found.
pub(crate) trait Family {
    /// Where a server is.
    type Place: Copy + Into<Listen> + Into<Connect>;
    type Peer: Read + Write;

    /// A place for a new server.
    fn anywhere() -> Self::Place;

    /// Where a server is.
    fn place(server: &Server) -> Self::Place;

    /// A peer that blocks, but not for ever.
    fn connect(to: Self::Place) -> Self::Peer;

    /// Nobody takes connections there.
    fn nobody_is_at(place: Self::Place) -> bool;

    /// Somebody else may be there now.
    fn is_free(place: Self::Place) -> bool;
}

pub(crate) struct Tcp;

impl Family for Tcp {
    type Place = SocketAddr;
    type Peer = TcpStream;

    fn anywhere() -> SocketAddr {
        any_port()
    }

    fn place(server: &Server) -> SocketAddr {
        server.addr().inet().unwrap()
    }

    fn connect(to: SocketAddr) -> TcpStream {
        connect(to)
    }

    fn nobody_is_at(place: SocketAddr) -> bool {
        TcpStream::connect(place).is_err_and(|error| error.kind() == IoErrorKind::ConnectionRefused)
    }

    fn is_free(place: SocketAddr) -> bool {
        TcpListener::bind(place).is_ok()
    }
}

pub(crate) struct Unix;

impl Family for Unix {
    type Place = &'static Path;
    type Peer = UnixStream;

    fn anywhere() -> &'static Path {
        socket_path()
    }

    fn place(server: &Server) -> &'static Path {
        let path = server.addr().as_unix().and_then(|addr| addr.as_path()).unwrap();
        Box::leak(path.into())
    }

    fn connect(to: &'static Path) -> UnixStream {
        let peer = UnixStream::connect(to).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer.set_write_timeout(Some(PATIENCE)).unwrap();
        peer
    }

    fn nobody_is_at(place: &'static Path) -> bool {
        let kinds = [IoErrorKind::ConnectionRefused, IoErrorKind::NotFound];
        UnixStream::connect(place).is_err_and(|error| kinds.contains(&error.kind()))
    }

    fn is_free(place: &'static Path) -> bool {
        !place.exists()
    }
}

/// A path for a socket, where nothing is.
pub(crate) fn socket_path() -> &'static Path {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("plimsoll-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    Box::leak(std::env::temp_dir().join(name).into())
}

/// A loop on TCP.
pub(crate) type Rig = Rigged<Tcp>;

/// A loop whose connections are held to the grammar of the contract, and whose reports are kept.
pub(crate) struct Rigged<F> {
    pub(crate) event_loop: EventLoop<State>,
    pub(crate) reports: Rc<RefCell<Vec<Report>>>,
    checker: TraceChecker,
    family: PhantomData<F>,
}

impl<F: Family> Rigged<F> {
    pub(crate) fn new() -> Self {
        let mut event_loop = event_loop(State::default());
        let reports = Rc::new(RefCell::new(Vec::new()));
        let sink = reports.clone();
        event_loop.set_error_hook(move |report| sink.borrow_mut().push(report));
        let checker = TraceChecker::new();
        event_loop.set_observer(checker.observer());
        Self { event_loop, reports, checker, family: PhantomData }
    }

    /// Serves in a place of its own.
    pub(crate) fn serve(&mut self, make: impl FnMut() -> Tap + 'static) -> (Server, F::Place) {
        let mut make = make;
        let server = self.event_loop.listen(F::anywhere(), move |_, _| make()).unwrap();
        let place = F::place(&server);
        (server, place)
    }

    /// Serves in a place of its own, and connects a peer, until its connection is made.
    pub(crate) fn serve_one(&mut self, make: impl FnMut() -> Tap + 'static) -> (Server, F::Peer) {
        let (server, place) = self.serve(make);
        let before = self.state().made.len();
        let peer = F::connect(place);
        self.until(|state| state.made.len() > before);
        (server, peer)
    }

    pub(crate) fn state(&mut self) -> &mut State {
        self.event_loop.state()
    }

    /// Iterates until that is so.
    #[track_caller]
    pub(crate) fn until(&mut self, mut reached: impl FnMut(&mut State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !reached(self.state()) {
            let log = &self.event_loop.state().log;
            assert!(Instant::now() < deadline, "it never came to that: {log:?}, {:?}", self.reports.borrow());
            self.event_loop.run_once(Some(Duration::from_millis(10))).unwrap();
        }
    }

    /// Iterates until that callback was noted.
    #[track_caller]
    pub(crate) fn until_saw(&mut self, what: &str) {
        self.until(|state| state.saw(what));
    }

    /// Iterates for that long, whatever happens.
    pub(crate) fn spin(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            self.event_loop.run_once(Some(deadline.saturating_duration_since(Instant::now()))).unwrap();
        }
    }

    /// Lets everything happen that is going to, and shows what has.
    pub(crate) fn settle(&mut self) -> &[String] {
        self.spin(Duration::from_millis(40));
        &self.state().log
    }

    /// What was reported so far, in words; and forgets it.
    pub(crate) fn reported(&self) -> Vec<String> {
        self.reports.borrow_mut().drain(..).map(|report| report.to_string()).collect()
    }
}

pub(crate) fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub(crate) fn any_port_v6() -> SocketAddr {
    (Ipv6Addr::LOCALHOST, 0).into()
}

/// A port on which nobody listens, and nobody will soon: it is kept bound.
pub(crate) fn closed_port() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&any_port().into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, addr)
}

/// A peer that blocks, but not for ever.
pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    patient(TcpStream::connect(addr).unwrap())
}

pub(crate) fn patient(peer: TcpStream) -> TcpStream {
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.set_write_timeout(Some(PATIENCE)).unwrap();
    peer
}

/// Closing it resets the connection.
pub(crate) fn reset(peer: TcpStream) {
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
}

/// So many bytes without a short period.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

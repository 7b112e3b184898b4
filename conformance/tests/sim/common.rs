//! Protocols whose callbacks are closures, and a state that keeps what happened.
#![allow(dead_code, unreachable_pub, reason = "every test uses a part of it")]

use core::net::SocketAddr;
use core::num::NonZeroUsize;
use plimsoll_conformance::sim::{Host, Peer, Planted, SimLoop};
use plimsoll_core::{
    Addr, Buffered, BufferedProtocol, CloseReason, Context, Data, Hub, OpenError, Protocol, Report, ServerId, StreamId, TimerId,
};

/// What happened so far.
#[derive(Default)]
pub struct Notes {
    /// Connections, as they were made.
    pub ids: Vec<StreamId>,
    /// All bytes that were received, by whomever.
    pub got: Vec<u8>,
    /// Words of the test.
    pub said: Vec<String>,
    /// Results of lost connections.
    pub lost: Vec<CloseReason>,
    /// Failed openings.
    pub failed: Vec<OpenError>,
    /// Numbers of the test.
    pub count: usize,
}

impl Notes {
    pub fn say(&mut self, word: impl Into<String>) {
        self.said.push(word.into());
    }
}

pub type Sim = SimLoop<Notes>;
pub type Cx<'a> = Context<'a, Notes>;

type On = Box<dyn FnMut(&mut Cx<'_>)>;
type OnData = Box<dyn FnMut(&mut Cx<'_>, Data<'_>)>;
type OnLost = Box<dyn FnMut(&mut Cx<'_>, &CloseReason)>;

/// A protocol made of closures. Without any it keeps what it receives, and closes when the peer finishes.
pub struct Script {
    made: On,
    data: OnData,
    eof: Box<dyn FnMut(&mut Cx<'_>) -> bool>,
    pause: On,
    resume: On,
    timer: On,
    lost: OnLost,
    failed: On,
}

pub fn script() -> Script {
    Script {
        made: Box::new(|_| {}),
        data: Box::new(|cx, data| cx.state.got.extend_from_slice(&data)),
        eof: Box::new(|_| false),
        pause: Box::new(|_| {}),
        resume: Box::new(|_| {}),
        timer: Box::new(|_| {}),
        lost: Box::new(|_, _| {}),
        failed: Box::new(|_| {}),
    }
}

macro_rules! setters {
    ($($name:ident: ($($arg:ty),*) $(-> $out:ty)?,)*) => {$(
        pub fn $name(mut self, f: impl FnMut($($arg),*) $(-> $out)? + 'static) -> Self {
            self.$name = Box::new(f);
            self
        }
    )*};
}

impl Script {
    setters! {
        made: (&mut Cx<'_>),
        data: (&mut Cx<'_>, Data<'_>),
        eof: (&mut Cx<'_>) -> bool,
        pause: (&mut Cx<'_>),
        resume: (&mut Cx<'_>),
        timer: (&mut Cx<'_>),
        lost: (&mut Cx<'_>, &CloseReason),
        failed: (&mut Cx<'_>),
    }

    /// The same as a protocol that lends `size` bytes of its own.
    pub fn buffered(self, size: usize) -> Buffered<BufferedScript> {
        Buffered(BufferedScript { script: self, memory: vec![0; size] })
    }
}

impl Protocol<Notes> for Script {
    fn connection_made(&mut self, cx: &mut Cx<'_>) {
        cx.state.ids.push(cx.id);
        (self.made)(cx);
    }
    fn data_received(&mut self, cx: &mut Cx<'_>, data: Data<'_>) {
        (self.data)(cx, data);
    }
    fn eof_received(&mut self, cx: &mut Cx<'_>) -> bool {
        (self.eof)(cx)
    }
    fn pause_writing(&mut self, cx: &mut Cx<'_>) {
        (self.pause)(cx);
    }
    fn resume_writing(&mut self, cx: &mut Cx<'_>) {
        (self.resume)(cx);
    }
    fn timer(&mut self, cx: &mut Cx<'_>, _: TimerId) {
        (self.timer)(cx);
    }
    fn open_failed(mut self: Box<Self>, cx: &mut Cx<'_>, error: OpenError) {
        cx.state.failed.push(error);
        (self.failed)(cx);
    }
    fn connection_lost(mut self: Box<Self>, cx: &mut Cx<'_>, reason: CloseReason) {
        (self.lost)(cx, &reason);
        cx.state.lost.push(reason);
    }
}

/// A [`Script`] that receives into memory of its own; `data` sees it as a copy.
pub struct BufferedScript {
    script: Script,
    memory: Vec<u8>,
}

impl BufferedProtocol<Notes> for BufferedScript {
    fn get_buffer(&mut self, _: Option<NonZeroUsize>) -> &mut [u8] {
        &mut self.memory
    }
    fn buffer_updated(&mut self, cx: &mut Cx<'_>, n: usize) {
        let mut copy = bytes::BytesMut::from(&self.memory[..n]);
        (self.script.data)(cx, Data::new(&mut copy, n));
    }
    fn connection_made(&mut self, cx: &mut Cx<'_>) {
        Protocol::connection_made(&mut self.script, cx);
    }
    fn eof_received(&mut self, cx: &mut Cx<'_>) -> bool {
        (self.script.eof)(cx)
    }
    fn pause_writing(&mut self, cx: &mut Cx<'_>) {
        (self.script.pause)(cx);
    }
    fn resume_writing(&mut self, cx: &mut Cx<'_>) {
        (self.script.resume)(cx);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Cx<'_>, reason: CloseReason) {
        Box::new(self.script).connection_lost(cx, reason);
    }
}

pub fn echo() -> Script {
    script().data(|cx, data| {
        cx.write(data);
    })
}

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Where the tests listen.
pub fn here() -> SocketAddr {
    addr("127.0.0.1:7000")
}

/// Names the host in the output of a test that fails.
struct OnHost(Host);

impl Drop for OnHost {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("on the host {:?}", self.0);
        }
    }
}

/// Runs a test on each kind of kernel interface, and closes the loop; no descriptor may be left.
pub fn on_every_host(test: impl Fn(&mut Sim)) {
    for host in Host::ALL {
        let _named = OnHost(host);
        let mut sim = Sim::new(host, Notes::default());
        test(&mut sim);
        sim.close();
        assert_eq!(sim.sim().descriptors(), 0, "descriptors are left");
    }
}

/// A server whose every connection gets such a protocol.
pub fn serve(sim: &mut Sim, make: impl Fn() -> Script + 'static) -> ServerId {
    sim.listen(here(), move |_: &mut Notes, _: Addr| make()).unwrap()
}

/// One connection of a server that makes such a protocol once, established; the peer's end, and the id.
pub fn accepted<P: Protocol<Notes> + 'static>(sim: &mut Sim, protocol: P) -> (Peer, StreamId) {
    let mut protocol = Some(protocol);
    let server = sim.listen(here(), move |_: &mut Notes, _: Addr| protocol.take().unwrap()).unwrap();
    let peer = sim.sim().connect_peer(here());
    sim.settle();
    sim.hub().server_close(server);
    sim.settle();
    let made = sim.state().ids.last().copied();
    (peer, made.expect("the protocol was made"))
}

pub fn hub(sim: &mut Sim) -> &mut Hub<Notes> {
    sim.hub()
}

/// How many panics were reported.
pub fn panics(reports: &[Report]) -> usize {
    reports.iter().filter(|report| matches!(report, Report::Panicked { .. })).count()
}

/// Position-dependent bytes: reordering and repetition show.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| ((31 * i + 7) ^ (i >> 8)) as u8).collect()
}

/// Fails a callback without the noise of a panic's message.
pub fn boom() -> ! {
    Planted::panic("boom")
}

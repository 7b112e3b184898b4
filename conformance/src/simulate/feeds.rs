//! Streams that go one way, over whatever carries them: connections by name, Unix sockets and pipes; with files in between.
//!
//! A stream begins with its number, so that whoever receives it knows what is to come. Where it comes to its end, and who sent it says that all of it was sent,
//! all of it has come.

use super::actor::World;
use super::ledger::violation;
use super::others::{live, lost};
use crate::sim::{Peer, Planted, Sim, SimLoop};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use fastrand::Rng;
use plimsoll_core::{
    Addr, Cause, CloseReason, Connect, Context, Data, Error, ErrorKind, Listen, OpenError, Protocol, Resource, Role, ServerId,
    StreamId, TimerId, UnixAddr, WriteLimits, WriteStatus,
};
use std::collections::BTreeSet;

const NAME: &str = "feed.example";
const PORT: u16 = 30;

/// One stream.
#[derive(Clone, Copy, Default, Debug, Hash)]
struct Feed {
    /// So many bytes may come out.
    accepted: u64,
    got: u64,
    /// Who sent it has ended it, and nothing of it was thrown away.
    whole: bool,
    /// Who received it saw its end.
    ended: bool,
}

/// What is known of them.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    feeds: Vec<Feed>,
    /// Those of our side that are being opened.
    opening: BTreeSet<StreamId>,
}

fn byte(number: u32, at: u64) -> u8 {
    match number.to_le_bytes().get(at as usize) {
        Some(&byte) => byte,
        None => (at.wrapping_mul(31) ^ (at >> 8)).wrapping_add(u64::from(number) * 7) as u8,
    }
}

impl Feeds {
    fn begin(&mut self) -> u32 {
        self.feeds.push(Feed::default());
        (self.feeds.len() - 1) as u32
    }

    /// The next `n` bytes.
    fn next(&self, number: u32, n: usize) -> Vec<u8> {
        let from = self.feeds[number as usize].accepted;
        (from..from + n as u64).map(|at| byte(number, at)).collect()
    }

    fn accepted(&mut self, number: u32, n: usize) {
        self.feeds[number as usize].accepted += n as u64;
    }

    fn got(&mut self, number: u32, bytes: &[u8]) {
        let Some(feed) = self.feeds.get_mut(number as usize) else { violation("a feed comes that nobody sent") };
        for &got in bytes {
            if got != byte(number, feed.got) {
                violation(&format!("byte {} of feed {number} is not what was sent", feed.got));
            }
            feed.got += 1;
        }
        if feed.got > feed.accepted {
            violation(&format!("feed {number}: {} bytes came, {} were sent", feed.got, feed.accepted));
        }
    }

    fn ended(&mut self, number: u32) {
        if let Some(feed) = self.feeds.get_mut(number as usize) {
            feed.ended = true;
        }
    }

    /// Where the end came out, everything before it did, unless the network lied about the end.
    pub(crate) fn check(&self, lies: bool) -> Result<u64, String> {
        let short = self.feeds.iter().position(|feed| feed.ended && feed.whole && feed.got != feed.accepted);
        match short.filter(|_| !lies) {
            Some(number) => Err(format!("feed {number} came to its end without all of it: {:?}", self.feeds[number])),
            None => Ok(self.feeds.iter().map(|feed| feed.got).sum()),
        }
    }

    /// What came of them.
    pub(crate) fn digest(&self, into: &mut impl core::hash::Hasher) {
        core::hash::Hash::hash(&self.feeds, into);
    }
}

/// Sends at random: bytes, files, the end.
struct Feeder {
    sim: Sim,
    number: u32,
    /// The file that is being sent has so many bytes.
    file: Option<usize>,
    /// A file ended with an error: nobody knows how much of it was sent.
    cut: bool,
}

impl Feeder {
    fn act(&mut self, cx: &mut Context<'_, World>) {
        if cx.state.calm || cx.state.actions == 0 {
            return;
        }
        cx.state.actions -= 1;
        match cx.state.rng.u32(..40) {
            0 => cx.close(),
            1 => cx.abort(),
            2 => cx.fail("it does not want to"),
            3 => Planted::panic("it panics"),
            4 => drop(cx.write_eof()),
            5..10 => {
                let after = Duration::from_micros(cx.state.rng.u64(..20_000));
                cx.set_timer(after);
            }
            10 => {
                let high = cx.state.rng.usize(..2000);
                cx.set_write_buffer_limits(WriteLimits::new(high / 2, high).unwrap_or_default());
            }
            11..18 => self.send_file(cx),
            _ => {
                let bytes = self.next(cx);
                let n = bytes.len();
                let status = cx.write(bytes);
                if matches!(status, WriteStatus::Accepted | WriteStatus::Paused) {
                    cx.state.feeds.accepted(self.number, n);
                }
            }
        }
    }

    fn next(&self, cx: &mut Context<'_, World>) -> Vec<u8> {
        let most = 1 + cx.state.most.min(3000);
        let n = cx.state.rng.usize(..most);
        let n = cx.state.spend(n);
        cx.state.feeds.next(self.number, n)
    }

    /// A file, which may become shorter or fail in the middle.
    fn send_file(&mut self, cx: &mut Context<'_, World>) {
        if self.file.is_some() {
            return;
        }
        let bytes = self.next(cx);
        let n = bytes.len();
        let file = self.sim.file(bytes);
        match cx.state.rng.u32(..8) {
            0 => file.truncate(n / 2),
            1 => file.fail_from(n as u64 / 2, ErrorKind::Other),
            _ => {}
        }
        if cx.hub.send_resource(cx.id, file.resource(), ..).is_ok() {
            cx.state.feeds.accepted(self.number, n);
            self.file = Some(n);
        }
    }
}

impl Protocol<World> for Feeder {
    fn connection_made(&mut self, cx: &mut Context<'_, World>) {
        cx.state.feeds.opening.remove(&cx.id);
        live(cx.state, cx.id.into());
        if cx.state.calm {
            cx.close();
        }
        self.act(cx);
        cx.set_timer(Duration::from_micros(1));
    }
    fn data_received(&mut self, _: &mut Context<'_, World>, _: Data<'_>) {
        violation("a stream that goes one way comes back");
    }
    fn sendfile_done(&mut self, cx: &mut Context<'_, World>, result: Result<u64, Error>) {
        let Some(n) = self.file.take() else { violation("a file is over that was not begun") };
        match result {
            Ok(sent) => {
                // It was as long as it was when it was read.
                let missing = (n as u64).checked_sub(sent).unwrap_or_else(|| violation("more was sent than the file has"));
                cx.state.feeds.feeds[self.number as usize].accepted -= missing;
            }
            // A connection that is closing is lost in good order all the same.
            Err(_) => {
                self.cut = true;
                cx.abort();
            }
        }
        self.act(cx);
    }
    fn resume_writing(&mut self, cx: &mut Context<'_, World>) {
        self.act(cx);
    }
    fn timer(&mut self, cx: &mut Context<'_, World>, _: TimerId) {
        if !cx.state.calm {
            cx.set_timer(Duration::from_micros(500));
        }
        self.act(cx);
    }
    fn open_failed(self: Box<Self>, cx: &mut Context<'_, World>, _: OpenError) {
        cx.state.failed += 1;
        cx.state.feeds.opening.remove(&cx.id);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, World>, reason: CloseReason) {
        let whole = reason.error().is_none() && matches!(reason.cause(), Cause::LocalClose) && reason.discarded() == 0;
        cx.state.feeds.feeds[self.number as usize].whole = whole && self.file.is_none() && !self.cut;
        lost(cx.state, cx.id.into());
    }
}

/// Receives, and ends at random.
#[derive(Default)]
struct Collector {
    /// What is known of the number, while it is not known whole.
    head: Vec<u8>,
    number: Option<u32>,
    /// Whether it was opened by us, and not accepted.
    ours: bool,
}

impl Collector {
    fn act(cx: &mut Context<'_, World>) {
        if cx.state.calm || cx.state.actions == 0 {
            return;
        }
        match cx.state.rng.u32(..60) {
            0 => cx.close(),
            1 => cx.abort(),
            2 => cx.fail("it does not want to"),
            3 => Planted::panic("it panics"),
            4..9 => {
                cx.pause_reading();
                let after = Duration::from_micros(cx.state.rng.u64(..20_000));
                cx.set_timer(after);
            }
            _ => return,
        }
        cx.state.actions -= 1;
    }
}

impl Protocol<World> for Collector {
    fn connection_made(&mut self, cx: &mut Context<'_, World>) {
        if self.ours {
            cx.state.feeds.opening.remove(&cx.id);
        }
        live(cx.state, cx.id.into());
    }
    fn data_received(&mut self, cx: &mut Context<'_, World>, data: Data<'_>) {
        let number = match self.number {
            Some(number) => {
                cx.state.feeds.got(number, &data);
                Some(number)
            }
            None => {
                self.head.extend_from_slice(&data);
                self.head.first_chunk().map(|head| u32::from_le_bytes(*head))
            }
        };
        if let (Some(number), None) = (number, self.number) {
            cx.state.feeds.got(number, &core::mem::take(&mut self.head));
        }
        self.number = number;
        Self::act(cx);
    }
    fn eof_received(&mut self, cx: &mut Context<'_, World>) -> bool {
        if let Some(number) = self.number {
            cx.state.feeds.ended(number);
        }
        false
    }
    fn timer(&mut self, cx: &mut Context<'_, World>, _: TimerId) {
        cx.resume_reading();
    }
    fn open_failed(self: Box<Self>, cx: &mut Context<'_, World>, _: OpenError) {
        cx.state.failed += 1;
        cx.state.feeds.opening.remove(&cx.id);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, World>, _: CloseReason) {
        lost(cx.state, cx.id.into());
    }
}

/// The other side of a pipe.
struct PipeEnd {
    peer: Peer,
    number: u32,
    writes: bool,
}

/// Where feeds go, and the other sides of the pipes.
pub(crate) struct Lines {
    rng: Rng,
    ends: Vec<PipeEnd>,
}

fn places() -> [Addr; 3] {
    let inet = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    [inet.into(), Addr::unix("/feed"), UnixAddr::abstract_name("feed").into()]
}

impl Lines {
    /// Servers that receive; and the name of one of them, behind an address where nobody is.
    pub(crate) fn new(sim: &mut SimLoop<World>, mut rng: Rng) -> (Self, Vec<ServerId>) {
        let found = [SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
        sim.sim().set_host(NAME, Duration::from_micros(rng.u64(..5000)), Ok(&found));
        let servers = places().into_iter().filter_map(|at| sim.listen(Listen::on(at), |_, _| Collector::default()).ok());
        let servers = servers.collect();
        (Self { rng, ends: Vec::new() }, servers)
    }

    /// Begins one.
    pub(crate) fn open(&mut self, sim: &mut SimLoop<World>) {
        let net = sim.sim().clone();
        let (hub, world) = sim.engine().hub_and_state();
        if world.opens == 0 || world.calm {
            return;
        }
        world.opens -= 1;
        let number = world.feeds.begin();
        let feeder = Feeder { sim: net.clone(), number, file: None, cut: false };
        let [inet, path, name] = places();
        let id = match self.rng.u32(..8) {
            0 => hub.connect(Connect::to(inet), feeder),
            1 => hub.connect(Connect::to(path), feeder),
            2 => hub.connect(Connect::to(name), feeder),
            3 => hub.connect(Connect::host(NAME, PORT), feeder),
            4 => hub.connect(Connect::host(NAME, PORT).stagger(Duration::from_micros(self.rng.u64(..10_000))), feeder),
            5 => hub.connect(Connect::host("nobody.example", PORT), feeder),
            6 => {
                let (ours, peer) = net.write_pipe();
                self.ends.push(PipeEnd { peer, number, writes: false });
                hub.adopt(Resource::new(ours), Role::WritePipe, feeder)
            }
            _ => {
                let (ours, peer) = net.read_pipe();
                self.ends.push(PipeEnd { peer, number, writes: true });
                let collector = Collector { ours: true, ..Collector::default() };
                hub.adopt(Resource::new(ours), Role::ReadPipe, collector)
            }
        };
        world.feeds.opening.insert(id);
    }

    /// The other side of one of the pipes does something.
    pub(crate) fn act(&mut self, sim: &mut SimLoop<World>) {
        self.look(sim);
        if self.ends.is_empty() {
            return;
        }
        let n = self.rng.usize(..self.ends.len());
        let end = &mut self.ends[n];
        match (self.rng.u32(..12), end.writes) {
            (0, _) => self.leave(sim, n),
            (1..4, false) => end.peer.stall(),
            (4..8, false) => end.peer.drain(),
            (_, false) => end.peer.read(self.rng.usize(..2000)),
            (_, true) => {
                let world = sim.state();
                let n = world.spend(self.rng.usize(..1 + world.most.min(3000)));
                let bytes = world.feeds.next(end.number, n);
                if end.peer.send(&bytes) {
                    world.feeds.accepted(end.number, n);
                }
            }
        }
    }

    fn leave(&mut self, sim: &mut SimLoop<World>, n: usize) {
        let end = self.ends.swap_remove(n);
        if end.writes {
            sim.state().feeds.feeds[end.number as usize].whole = true;
        }
        end.peer.close();
    }

    /// Looks at what has come.
    fn look(&mut self, sim: &mut SimLoop<World>) {
        for end in self.ends.iter().filter(|end| !end.writes) {
            let feeds = &mut sim.state().feeds;
            feeds.got(end.number, &end.peer.recv());
            if end.peer.is_alone() {
                feeds.ended(end.number);
            }
        }
    }

    /// Whoever is not there yet is given up; who writes is done, and who reads reads everything.
    pub(crate) fn end(&mut self, sim: &mut SimLoop<World>) {
        for id in core::mem::take(&mut sim.state().feeds.opening) {
            sim.hub().close(id);
        }
        while let Some(n) = self.ends.iter().position(|end| end.writes) {
            self.leave(sim, n);
        }
        for end in &self.ends {
            end.peer.drain();
        }
    }

    /// They close.
    pub(crate) fn finish(&mut self, sim: &mut SimLoop<World>) {
        self.look(sim);
        self.ends.clear();
    }
}

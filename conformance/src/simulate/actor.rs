//! Protocols that do anything at any time: the application of the random runs.

use super::feeds::Feeds;
use super::ledger::{Direction, FlowKey, Ledger};
use super::others::Others;
use crate::sim::Planted;
use bytes::Bytes;
use core::net::SocketAddr;
use core::num::NonZeroUsize;
use core::time::Duration;
use fastrand::Rng;
use plimsoll_core::{
    Addr, Buffered, BufferedProtocol, CloseReason, Connect, Context, Data, Hub, OpenError, Protocol, StreamId, TimerId,
    WriteLimits, WriteStatus,
};
use std::collections::BTreeMap;

/// How many kinds of actions there are.
const ACTIONS: usize = 19;

/// What a server's protocols do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Actor,
    Echo,
    /// Passes everything on to another server.
    Proxy(SocketAddr),
}

/// One end of a live connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) tx: FlowKey,
    pub(crate) rx: FlowKey,
    /// It writes its own pattern: anybody may write for it.
    pub(crate) free: bool,
}

/// The application's state.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) ledger: Ledger,
    pub(crate) others: Others,
    pub(crate) feeds: Feeds,
    pub(crate) ends: BTreeMap<StreamId, End>,
    pub(crate) opening: Vec<StreamId>,
    weights: [u32; ACTIONS],
    /// Servers that may be connected to.
    pub(crate) targets: Vec<(SocketAddr, Role)>,
    /// What is left of this run's actions, of its bytes and of its connections.
    pub(crate) actions: u32,
    bytes: usize,
    /// The most that one write writes.
    pub(crate) most: usize,
    pub(crate) opens: u32,
    pub(crate) opened: u64,
    pub(crate) lost: u64,
    pub(crate) failed: u64,
    pub(crate) calm: bool,
    pub(crate) waits: u64,
    pub(crate) servers_closed: u64,
}

impl World {
    pub(crate) fn new(mut rng: Rng, size: u32, most: usize) -> Self {
        let mut weights = [0; ACTIONS];
        for weight in &mut weights {
            *weight = if rng.bool() { 1 + rng.u32(..10) } else { 0 };
        }
        // Most of what happens is writing; endings are rare enough for something to happen before.
        weights[0] += 10;
        weights[1] += 10;
        Self {
            rng,
            ledger: Ledger::default(),
            others: Others::default(),
            feeds: Feeds::default(),
            ends: BTreeMap::new(),
            opening: Vec::new(),
            weights,
            targets: Vec::new(),
            actions: 20 * size,
            bytes: most / 2 * size as usize,
            most,
            opens: size,
            opened: 0,
            lost: 0,
            failed: 0,
            calm: false,
            waits: 0,
            servers_closed: 0,
        }
    }

    /// So many of the bytes that are left are written, `n` at most.
    pub(crate) fn spend(&mut self, n: usize) -> usize {
        let n = n.min(self.bytes);
        self.bytes -= n;
        n
    }

    fn other(&mut self) -> Option<StreamId> {
        let n = self.ends.len();
        if n == 0 {
            return None;
        }
        let n = self.rng.usize(..n);
        self.ends.keys().nth(n).copied()
    }

    fn pick(&mut self) -> usize {
        let total: u32 = self.weights.iter().sum();
        let mut left = self.rng.u32(..total);
        for (action, &weight) in self.weights.iter().enumerate() {
            if left < weight {
                return action;
            }
            left -= weight;
        }
        0
    }
}

/// A connection of a random protocol to a random server.
pub(crate) fn open(hub: &mut Hub<World>, world: &mut World) -> Option<StreamId> {
    if world.calm || world.opens == 0 || world.targets.is_empty() {
        return None;
    }
    world.opens -= 1;
    let target = world.targets[world.rng.usize(..world.targets.len())].0;
    let id = if world.rng.bool() {
        hub.connect(target, Actor)
    } else {
        let size = 1 + world.rng.usize(..300);
        hub.connect(target, Buffered(Lender { memory: vec![0; size] }))
    };
    world.opening.push(id);
    Some(id)
}

/// Writes the next bytes of the pattern.
fn write(hub: &mut Hub<World>, world: &mut World, id: StreamId, n: usize) -> WriteStatus {
    let Some(end) = world.ends.get(&id).filter(|end| end.free) else { return WriteStatus::Discarded };
    let tx = end.tx;
    let n = world.spend(n);
    let bytes = world.ledger.next(tx, n);
    let status = match world.rng.u32(..4) {
        0 => hub.write(id, &bytes),
        1 => hub.write(id, bytes),
        2 => hub.write(id, Bytes::from(bytes)),
        _ => {
            let cut = world.rng.usize(..=n);
            hub.writelines(id, [&bytes[..cut], &[], &bytes[cut..]])
        }
    };
    world.ledger.wrote(tx, n, status);
    status
}

/// Does something, to itself or to another connection.
fn act(hub: &mut Hub<World>, world: &mut World, id: StreamId) {
    if world.calm {
        return;
    }
    let times = world.rng.u32(..3);
    for _ in 0..times {
        if world.actions == 0 {
            return;
        }
        world.actions -= 1;
        let action = world.pick();
        act_once(hub, world, id, action);
    }
}

fn act_once(hub: &mut Hub<World>, world: &mut World, id: StreamId, action: usize) {
    match action {
        0 => {
            let n = world.rng.usize(..100);
            write(hub, world, id, n);
        }
        1 => {
            let n = world.rng.usize(..world.most);
            if write(hub, world, id, n) == WriteStatus::Paused {
                assert!(hub.is_writing_paused(id));
            }
        }
        2 => {
            let _ = hub.write_eof(id);
        }
        3 => hub.close(id),
        4 => hub.abort(id),
        5 => {
            hub.pause_reading(id);
            let after = Duration::from_micros(world.rng.u64(..20_000));
            hub.set_timer(id, after);
        }
        6 => hub.resume_reading(id),
        7 => {
            let low = world.rng.usize(..3000);
            let limits = WriteLimits::new(low / 2, low).unwrap_or_default();
            hub.set_write_buffer_limits(id, limits);
        }
        8 => {
            if world.ends.get(&id).is_some_and(|end| end.free) {
                if world.rng.bool() {
                    hub.set_protocol(id, Actor);
                } else {
                    let size = 1 + world.rng.usize(..100);
                    hub.set_protocol(id, Buffered(Lender { memory: vec![0; size] }));
                }
            }
        }
        9 => hub.fail(id, "it does not want to"),
        10 => Planted::panic("it panics"),
        11 | 12 => {
            // To another one, which may be gone meanwhile.
            if let Some(other) = world.other() {
                let free = world.ends.get(&other).is_some_and(|end| end.free);
                match world.rng.u32(..8) {
                    0 => hub.close(other),
                    1 => hub.abort(other),
                    2 => hub.pause_reading(other),
                    3 if free => hub.resume_reading(other),
                    4 => hub.read_follows_write(id, other),
                    5 => hub.read_follows_write(other, id),
                    _ => {
                        let n = world.rng.usize(..5000);
                        write(hub, world, other, n);
                    }
                }
            }
        }
        13 => hub.call_soon(move |hub, world| act(hub, world, id)),
        14 => {
            let after = Duration::from_micros(world.rng.u64(..50_000));
            let timer = hub.set_timer(id, after);
            if let Some(timer) = timer.filter(|_| world.rng.bool()) {
                if world.rng.bool() {
                    hub.cancel_timer(timer);
                } else {
                    hub.reset_timer(timer, after / 2);
                }
            }
        }
        15 => drop(open(hub, world)),
        16 => {
            // Given up before it is there: a new one, or one that is under way.
            let under_way = world.opening.len();
            let other = if under_way > 0 && world.rng.bool() {
                let n = world.rng.usize(..under_way);
                Some(world.opening.swap_remove(n))
            } else {
                open(hub, world)
            };
            if let Some(other) = other {
                world.opening.retain(|&id| id != other);
                if world.rng.bool() {
                    hub.abort(other);
                } else {
                    hub.close(other);
                }
            }
        }
        17 => {
            let after = Duration::from_micros(world.rng.u64(..50_000));
            hub.call_later(after, move |hub, world| act(hub, world, id));
        }
        _ => hub.read_follows_write(id, id),
    }
}

fn made(cx: &mut Context<'_, World>, client: bool, free: bool) -> Option<End> {
    cx.state.opening.retain(|&id| id != cx.id);
    cx.state.opened += 1;
    let addr = if client { cx.hub.local_addr(cx.id) } else { cx.hub.peer_addr(cx.id) };
    let port = addr?.inet()?.port();
    let (up, down) = ((port, Direction::Up), (port, Direction::Down));
    let end = if client { End { tx: up, rx: down, free } } else { End { tx: down, rx: up, free } };
    cx.state.ends.insert(cx.id, end);
    Some(end)
}

fn got(cx: &mut Context<'_, World>, data: &[u8]) {
    if let Some(end) = cx.state.ends.get(&cx.id) {
        cx.state.ledger.got(end.rx, data);
    }
}

fn eof(cx: &mut Context<'_, World>) {
    if let Some(end) = cx.state.ends.get(&cx.id) {
        cx.state.ledger.eof(end.rx);
    }
}

fn lost(cx: &mut Context<'_, World>, reason: &CloseReason) {
    match cx.state.ends.remove(&cx.id) {
        Some(end) => {
            cx.state.lost += 1;
            cx.state.ledger.lost(end.tx, reason);
        }
        None => super::ledger::violation("a connection is lost that was not made"),
    }
}

fn not_opened(cx: &mut Context<'_, World>) {
    let before = cx.state.opening.len();
    cx.state.opening.retain(|&id| id != cx.id);
    cx.state.failed += 1;
    if before == cx.state.opening.len() {
        super::ledger::violation("an opening fails that was not there");
    }
}

/// Does anything in every callback.
pub(crate) struct Actor;

/// An actor on a connection that a server accepted.
pub(crate) struct Accepted<P>(pub(crate) P);

impl Protocol<World> for Actor {
    fn connection_made(&mut self, cx: &mut Context<'_, World>) {
        made(cx, true, true);
        act(cx.hub, cx.state, cx.id);
    }
    fn data_received(&mut self, cx: &mut Context<'_, World>, data: Data<'_>) {
        got(cx, &data);
        act(cx.hub, cx.state, cx.id);
    }
    fn eof_received(&mut self, cx: &mut Context<'_, World>) -> bool {
        eof(cx);
        act(cx.hub, cx.state, cx.id);
        !cx.state.calm && cx.state.rng.bool()
    }
    fn pause_writing(&mut self, cx: &mut Context<'_, World>) {
        act(cx.hub, cx.state, cx.id);
    }
    fn resume_writing(&mut self, cx: &mut Context<'_, World>) {
        act(cx.hub, cx.state, cx.id);
    }
    fn timer(&mut self, cx: &mut Context<'_, World>, _: TimerId) {
        cx.resume_reading();
        act(cx.hub, cx.state, cx.id);
    }
    fn open_failed(self: Box<Self>, cx: &mut Context<'_, World>, _: OpenError) {
        not_opened(cx);
        act(cx.hub, cx.state, cx.id);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, World>, reason: CloseReason) {
        lost(cx, &reason);
        act(cx.hub, cx.state, cx.id);
    }
}

/// The same with memory of its own.
pub(crate) struct Lender {
    pub(crate) memory: Vec<u8>,
}

impl BufferedProtocol<World> for Lender {
    fn get_buffer(&mut self, _: Option<NonZeroUsize>) -> &mut [u8] {
        &mut self.memory
    }
    fn buffer_updated(&mut self, cx: &mut Context<'_, World>, n: usize) {
        got(cx, &self.memory[..n]);
        act(cx.hub, cx.state, cx.id);
    }
    fn connection_made(&mut self, cx: &mut Context<'_, World>) {
        Protocol::connection_made(&mut Actor, cx);
    }
    fn eof_received(&mut self, cx: &mut Context<'_, World>) -> bool {
        Protocol::eof_received(&mut Actor, cx)
    }
    fn pause_writing(&mut self, cx: &mut Context<'_, World>) {
        act(cx.hub, cx.state, cx.id);
    }
    fn resume_writing(&mut self, cx: &mut Context<'_, World>) {
        act(cx.hub, cx.state, cx.id);
    }
    fn timer(&mut self, cx: &mut Context<'_, World>, timer: TimerId) {
        Actor.timer(cx, timer);
    }
    fn open_failed(self: Box<Self>, cx: &mut Context<'_, World>, error: OpenError) {
        Protocol::open_failed(Box::new(Actor), cx, error);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, World>, reason: CloseReason) {
        Protocol::connection_lost(Box::new(Actor), cx, reason);
    }
}

impl Protocol<World> for Accepted<Actor> {
    fn connection_made(&mut self, cx: &mut Context<'_, World>) {
        made(cx, false, true);
        act(cx.hub, cx.state, cx.id);
    }
    fn data_received(&mut self, cx: &mut Context<'_, World>, data: Data<'_>) {
        self.0.data_received(cx, data);
    }
    fn eof_received(&mut self, cx: &mut Context<'_, World>) -> bool {
        self.0.eof_received(cx)
    }
    fn pause_writing(&mut self, cx: &mut Context<'_, World>) {
        self.0.pause_writing(cx);
    }
    fn resume_writing(&mut self, cx: &mut Context<'_, World>) {
        self.0.resume_writing(cx);
    }
    fn timer(&mut self, cx: &mut Context<'_, World>, timer: TimerId) {
        self.0.timer(cx, timer);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, World>, reason: CloseReason) {
        Protocol::connection_lost(Box::new(self.0), cx, reason);
    }
}

/// Gives every byte back, held back by its own writing.
pub(crate) struct Echo;

impl Protocol<World> for Echo {
    fn connection_made(&mut self, cx: &mut Context<'_, World>) {
        if let Some(end) = made(cx, false, false) {
            cx.state.ledger.same(end.tx, end.rx);
        }
        cx.hub.read_follows_write(cx.id, cx.id);
    }
    fn data_received(&mut self, cx: &mut Context<'_, World>, data: Data<'_>) {
        got(cx, &data);
        let n = data.len();
        let status = cx.write(data);
        if let Some(end) = cx.state.ends.get(&cx.id) {
            cx.state.ledger.wrote(end.tx, n, status);
        }
    }
    fn eof_received(&mut self, cx: &mut Context<'_, World>) -> bool {
        eof(cx);
        false
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, World>, reason: CloseReason) {
        lost(cx, &reason);
    }
}

/// One half of a proxy; both halves hold each other back, and pass the ends on.
pub(crate) struct Half {
    up: Option<SocketAddr>,
    other: Option<StreamId>,
    ended: bool,
}

impl Half {
    pub(crate) const fn new(up: SocketAddr) -> Self {
        Self { up: Some(up), other: None, ended: false }
    }
}

impl Protocol<World> for Half {
    fn connection_made(&mut self, cx: &mut Context<'_, World>) {
        let end = made(cx, self.up.is_none(), false);
        if let Some(up) = self.up {
            cx.pause_reading();
            let connect = Connect::to(Addr::from(up));
            let other = cx.hub.connect(connect, Self { up: None, other: Some(cx.id), ended: false });
            cx.state.opening.push(other);
            self.other = Some(other);
        } else if let (Some(end), Some(other)) = (end, self.other) {
            if let Some(below) = cx.state.ends.get(&other).copied() {
                cx.state.ledger.same(end.tx, below.rx);
                cx.state.ledger.same(below.tx, end.rx);
                cx.hub.read_follows_write(cx.id, other);
                cx.hub.read_follows_write(other, cx.id);
                cx.hub.resume_reading(other);
            } else {
                cx.close();
            }
        }
    }
    fn data_received(&mut self, cx: &mut Context<'_, World>, data: Data<'_>) {
        got(cx, &data);
        let n = data.len();
        if let Some(other) = self.other {
            let status = cx.hub.write(other, data);
            if let Some(end) = cx.state.ends.get(&other) {
                cx.state.ledger.wrote(end.tx, n, status);
            }
        }
    }
    fn eof_received(&mut self, cx: &mut Context<'_, World>) -> bool {
        eof(cx);
        self.ended = true;
        let Some(other) = self.other else { return false };
        let _ = cx.hub.write_eof(other);
        let both = cx.hub.protocol::<Self>(other).is_none_or(|half| half.ended);
        if both {
            cx.close();
            cx.hub.close(other);
        }
        true
    }
    fn open_failed(self: Box<Self>, cx: &mut Context<'_, World>, _: OpenError) {
        not_opened(cx);
        if let Some(other) = self.other {
            cx.hub.close(other);
        }
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, World>, reason: CloseReason) {
        lost(cx, &reason);
        if let Some(other) = self.other {
            if cx.state.rng.bool() {
                cx.hub.abort(other);
            } else {
                cx.hub.close(other);
            }
        }
    }
}

//! Protocols that do what their script says, and tell the model when they are called.

use super::acts::{job, perform};
use super::io::incoming;
use super::script::{Act, Script, Who};
use super::world::{Seen, Shared, World};
use super::{Step, marks};
use crate::machines::How;
use crate::model::{Ep, Outcome, Turn};
use crate::sim::Planted;
use core::num::NonZeroUsize;
use plimsoll_core::{
    Addr, Buffered, BufferedProtocol, CloseReason, Context, Data, Hub, ListenError, OpenError, Protocol, ServerId, StreamId,
    TimerId,
};

/// A protocol with a name.
pub(super) struct Actor {
    tag: u32,
    world: Shared,
    memory: Vec<u8>,
}

/// A boxed protocol of that name.
pub(super) fn boxed(world: &Shared, tag: u32, buffered: bool) -> Box<dyn Protocol<()>> {
    let actor = Actor::new(world, tag);
    if buffered { Box::new(Buffered(actor)) } else { Box::new(actor) }
}

/// Runs a turn: tells the model, does what the script says, compares everything.
pub(super) fn turn(world: &Shared, hub: &mut Hub<()>, turn: Turn, seen: Option<(StreamId, Seen)>) -> Script {
    let mut script = world.borrow_mut().begin(turn, seen);
    let marks = world.borrow().swarm.marks.filter(|_| matches!(turn, Turn::Made(_)));
    if let Some((low, high)) = marks {
        script.acts.insert(0, Act::Limits(Who::Me, low, high));
    }
    if let Some(len) = chatter(world, turn).filter(|_| script.acts.is_empty()) {
        script.acts.push(Act::Write(Who::Me, How::Slice, len));
    }
    act_all(world, hub, &script.acts);
    script
}

/// How much a flow callback writes of its own accord: over the high mark again.
fn chatter(world: &Shared, turn: Turn) -> Option<usize> {
    let world = world.borrow();
    let (_, high) = world.swarm.marks.filter(|_| world.swarm.chatty && !world.calm)?;
    matches!(turn, Turn::Pause(_) | Turn::Resume(_)).then_some(high + 1)
}

/// Each command, compared.
pub(super) fn act_all(world: &Shared, hub: &mut Hub<()>, acts: &[Act]) {
    for &act in acts {
        if world.borrow().is_broken() {
            break;
        }
        world.borrow_mut().steps.push(Step::Act(act));
        perform(world, hub, act);
    }
    let mut world = world.borrow_mut();
    world.compare(hub);
    for ep in 0..world.model.endpoints() {
        check_installed(&mut world, hub, ep);
    }
}

/// LIFE-15: the protocol that is installed. *Set:* while one that has a successor is being called, either.
fn check_installed(world: &mut World, hub: &mut Hub<()>, ep: Ep) {
    let Some(id) = world.id(ep).filter(|_| !world.is_broken() && !world.model.has_successor(ep)) else { return };
    let called = world.model.running().and_then(Turn::ep) == Some(ep);
    let model = world.model.protocol(ep).filter(|_| !called && !world.model.is_stale(ep)).map(|(tag, _)| tag);
    let machine = hub.protocol::<Actor>(id).map(|actor| actor.tag);
    world.same("LIFE-15: the protocol", machine, model);
}

/// Ends a turn as its script says.
pub(super) fn end(world: &Shared, script: &Script, outcome: Outcome) {
    marks::ending(&mut world.borrow_mut(), script, outcome);
    if script.panics {
        world.borrow_mut().end(Outcome::Panicked);
        Planted::panic("scripted");
    }
    world.borrow_mut().end(outcome);
}

impl Actor {
    pub(super) fn new(world: &Shared, tag: u32) -> Self {
        Self { tag, world: world.clone(), memory: Vec::new() }
    }

    /// A callback: who is called, and whether it is the one whose turn it is.
    fn callback(&self, cx: &mut Context<'_, ()>, seen: Seen, what: impl FnOnce(Ep) -> Turn) -> Script {
        let ep = {
            let mut world = self.world.borrow_mut();
            if seen == Seen::Made {
                if let Some(ep) = world.model.expected_made() {
                    world.add_id(ep, cx.id);
                }
            }
            let ep = world.ep_of(cx.id);
            self.check_tag(&mut world, ep);
            ep
        };
        turn(&self.world, cx.hub, what(ep), Some((cx.id, seen)))
    }

    fn check_tag(&self, world: &mut World, ep: Ep) {
        if world.is_broken() {
            return;
        }
        let current = world.model.protocol(ep).map(|(tag, _)| tag);
        world.same("LIFE-14: the protocol", Some(self.tag), current);
    }

    /// Bytes came in: they are the next ones that the peer sent.
    fn check_bytes(&self, id: StreamId, bytes: &[u8]) {
        let mut world = self.world.borrow_mut();
        let ep = world.ep_of(id);
        let at = world.delivered(ep, bytes.len());
        if bytes != incoming(ep, at, bytes.len()) {
            world.fail(format!("I-IN: {ep} is told other bytes than were sent"));
        }
    }

    fn made(&self, cx: &mut Context<'_, ()>) {
        let script = self.callback(cx, Seen::Made, Turn::Made);
        end(&self.world, &script, Outcome::Returned);
    }

    fn eof(&self, cx: &mut Context<'_, ()>) -> bool {
        let script = self.callback(cx, Seen::Eof, Turn::Eof);
        end(&self.world, &script, Outcome::KeepOpen(script.yes));
        script.yes
    }

    fn edge(&self, cx: &mut Context<'_, ()>, seen: Seen, what: fn(Ep) -> Turn) {
        let script = self.callback(cx, seen, what);
        end(&self.world, &script, Outcome::Returned);
    }

    fn timed(&self, cx: &mut Context<'_, ()>, timer: TimerId) {
        let number = self.world.borrow().timers.iter().rev().find(|known| known.0 == timer).map_or(0, |known| known.1);
        let script = self.callback(cx, Seen::Timer, |ep| Turn::Timer(ep, number));
        end(&self.world, &script, Outcome::Returned);
    }

    fn failed(&self, cx: &mut Context<'_, ()>) {
        let script = self.callback(cx, Seen::OpenFailed, Turn::OpenFailed);
        end(&self.world, &script, Outcome::Returned);
    }

    fn lost(&self, cx: &mut Context<'_, ()>, reason: &CloseReason) {
        {
            let mut world = self.world.borrow_mut();
            let ep = world.ep_of(cx.id);
            let (dropped, failed) = world.model.ending(ep);
            world.same("discarded", reason.discarded(), dropped);
            world.same("failure", reason.failure().is_some(), failed);
        }
        let script = self.callback(cx, Seen::Lost, |ep| Turn::Lost(ep, reason.cause(), reason.error(), reason.first()));
        end(&self.world, &script, Outcome::Returned);
    }
}

impl Protocol<()> for Actor {
    fn connection_made(&mut self, cx: &mut Context<'_, ()>) {
        self.made(cx);
    }

    fn data_received(&mut self, cx: &mut Context<'_, ()>, data: Data<'_>) {
        self.check_bytes(cx.id, &data);
        let script = self.callback(cx, Seen::Data(data.len()), Turn::Data);
        end(&self.world, &script, Outcome::Returned);
    }

    fn eof_received(&mut self, cx: &mut Context<'_, ()>) -> bool {
        self.eof(cx)
    }

    fn pause_writing(&mut self, cx: &mut Context<'_, ()>) {
        self.edge(cx, Seen::Pause, Turn::Pause);
    }

    fn resume_writing(&mut self, cx: &mut Context<'_, ()>) {
        self.edge(cx, Seen::Resume, Turn::Resume);
    }

    fn timer(&mut self, cx: &mut Context<'_, ()>, timer: TimerId) {
        self.timed(cx, timer);
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, ()>, _: OpenError) {
        self.failed(cx);
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, ()>, reason: CloseReason) {
        self.lost(cx, &reason);
    }
}

impl BufferedProtocol<()> for Actor {
    fn get_buffer(&mut self, _: Option<NonZeroUsize>) -> &mut [u8] {
        let script = {
            let mut world = self.world.borrow_mut();
            let Some(ep) = world.model.lender(self.tag) else {
                world.fail(String::from("LIFE-14: get_buffer of a protocol that is not installed"));
                return &mut [];
            };
            world.begin(Turn::Lend(ep), None)
        };
        let size = if script.refuses { 0 } else { [3000, 1, 5, 70_000][script.acts.len() % 4] };
        end(&self.world, &script, Outcome::Lent(size));
        self.memory.resize(size.max(self.memory.len()), 0);
        &mut self.memory[..size]
    }

    fn buffer_updated(&mut self, cx: &mut Context<'_, ()>, n: usize) {
        self.check_bytes(cx.id, &self.memory[..n]);
        let script = self.callback(cx, Seen::Filled(n), Turn::Filled);
        end(&self.world, &script, Outcome::Returned);
    }

    fn connection_made(&mut self, cx: &mut Context<'_, ()>) {
        self.made(cx);
    }

    fn eof_received(&mut self, cx: &mut Context<'_, ()>) -> bool {
        self.eof(cx)
    }

    fn pause_writing(&mut self, cx: &mut Context<'_, ()>) {
        self.edge(cx, Seen::Pause, Turn::Pause);
    }

    fn resume_writing(&mut self, cx: &mut Context<'_, ()>) {
        self.edge(cx, Seen::Resume, Turn::Resume);
    }

    fn timer(&mut self, cx: &mut Context<'_, ()>, timer: TimerId) {
        self.timed(cx, timer);
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, ()>, _: OpenError) {
        self.failed(cx);
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, ()>, reason: CloseReason) {
        self.lost(cx, &reason);
    }
}

/// The factory of a server.
pub(super) fn factory(world: &Shared) -> impl FnMut(&mut (), Addr) -> Option<Box<dyn Protocol<()>>> + 'static {
    let world = world.clone();
    move |(): &mut (), peer: Addr| {
        let ep = super::net::client_of(&peer);
        let script = world.borrow_mut().begin(Turn::Factory(ep), None);
        if script.refuses && !script.panics {
            end(&world, &script, Outcome::Refused);
            return None;
        }
        let tag = world.borrow_mut().model.new_tag();
        end(&world, &script, Outcome::Made(tag, script.yes));
        Some(boxed(&world, tag, script.yes))
    }
}

/// Is told what became of a listen.
pub(super) fn listening(
    world: &Shared,
    number: u32,
    server: usize,
) -> impl FnOnce(&mut Hub<()>, &mut (), Result<ServerId, ListenError>) + 'static {
    let world = world.clone();
    move |hub: &mut Hub<()>, (): &mut (), result: Result<ServerId, ListenError>| {
        {
            let mut world = world.borrow_mut();
            let bound = world.model.was_bound(server);
            world.same("listen", result.is_ok(), bound);
        }
        job(&world, hub, Turn::Job(number));
    }
}

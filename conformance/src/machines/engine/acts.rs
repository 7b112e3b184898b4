//! Commands: given to the model first, then to the loop, and the answers compared.

use super::marks;
use super::net::{client_addr, server_addr};
use super::protocol::{Actor, boxed, end, factory, listening, turn};
use super::script::{Act, MOST_LIVE, Plan, Who};
use super::world::{Shared, World};
use crate::machines::pattern;
use crate::model::{Ep, Outcome, State, Turn};
use core::time::Duration;
use plimsoll_core::{Buffered, Hub, Listen, ServerId, StreamId, WriteLimits, WriteStatus};

/// So many endpoints and servers a run makes at most.
const MOST_ENDPOINTS: usize = 40;
const MOST_SERVERS: usize = 3;

/// A scheduled callback.
pub(super) fn job(world: &Shared, hub: &mut Hub<()>, what: Turn) {
    let script = turn(world, hub, what, None);
    end(world, &script, Outcome::Returned);
}

impl World {
    /// Whom a command is for, if there is one.
    fn resolve(&self, who: Who) -> Option<(Ep, StreamId)> {
        let all = || (0..self.ids.len()).filter(|&ep| self.ids[ep].is_some());
        let (list, index): (Vec<Ep>, usize) = match who {
            Who::Me => match self.model.running().and_then(Turn::ep) {
                Some(ep) => (vec![ep], 0),
                None => (all().filter(|&ep| !self.model.is_stale(ep)).collect(), usize::MAX),
            },
            Who::Live(n) => (all().filter(|&ep| !self.model.is_stale(ep)).collect(), n),
            Who::Stale(n) => (all().filter(|&ep| self.model.is_stale(ep)).collect(), n),
        };
        if list.is_empty() {
            return None;
        }
        let ep = if index == usize::MAX { list[list.len() - 1] } else { list[index % list.len()] };
        Some((ep, self.id(ep)?))
    }

    fn server(&self, n: usize) -> Option<(usize, ServerId)> {
        if self.servers.is_empty() {
            return None;
        }
        let server = n % self.servers.len();
        Some((server, self.servers[server]?))
    }

    fn model_write(&mut self, ep: Ep, data: &[u8]) -> WriteStatus {
        let status = self.model.write(ep, data);
        if matches!(status, WriteStatus::Accepted | WriteStatus::Paused) {
            self.wrote(ep, data.len());
        }
        status
    }
}

/// One command.
pub(super) fn perform(world: &Shared, hub: &mut Hub<()>, act: Act) {
    match act {
        Act::Write(who, ..)
        | Act::Writelines(who, _)
        | Act::WriteEof(who)
        | Act::Close(who)
        | Act::Abort(who)
        | Act::Fail(who)
        | Act::PauseReading(who)
        | Act::ResumeReading(who)
        | Act::Limits(who, ..)
        | Act::SetProtocol(who, _)
        | Act::SetTimer(who, _) => {
            let resolved = world.borrow().resolve(who);
            if let Some((ep, id)) = resolved {
                marks::command(&mut world.borrow_mut(), act, ep);
                on_stream(world, hub, act, ep, id);
                world.borrow_mut().compare_one(hub, ep);
            }
        }
        Act::Follow(reader, writer) => {
            let resolved = (world.borrow().resolve(reader), world.borrow().resolve(writer));
            if let (Some((reader, reading)), Some((writer, writing))) = resolved {
                world.borrow_mut().model.follow(reader, writer);
                hub.read_follows_write(reading, writing);
            }
        }
        Act::ResetTimer(..) | Act::CancelTimer(_) => on_timer(world, hub, act),
        Act::CallSoon => {
            let number = world.borrow_mut().model.call_soon();
            let shared = world.clone();
            hub.call_soon(move |hub, ()| job(&shared, hub, Turn::Job(number)));
        }
        Act::CallLater(millis) => {
            let after = Duration::from_millis(millis);
            let number = world.borrow_mut().model.call_later(after);
            let shared = world.clone();
            if let Some(timer) = hub.call_later(after, move |hub, ()| job(&shared, hub, Turn::Later(number))) {
                world.borrow_mut().timers.push((timer, number, None));
            }
        }
        Act::Connect(plan, buffered) => connect(world, hub, plan, buffered),
        Act::Report => {
            world.borrow_mut().model.report();
            hub.report("scripted");
        }
        Act::Listen(paused, bindable) => listen(world, hub, paused, bindable),
        Act::ServerStart(n) | Act::ServerClose(n) | Act::EndClients(n, _) | Act::WaitClosed(n) => {
            let resolved = world.borrow().server(n);
            if let Some((server, id)) = resolved {
                on_server(world, hub, act, server, id);
                let serving = world.borrow().model.server_state(server) == crate::model::ServerState::Serving;
                world.borrow_mut().same("is_serving", hub.is_serving(id), serving);
            }
        }
    }
}

fn on_stream(world: &Shared, hub: &mut Hub<()>, act: Act, ep: Ep, id: StreamId) {
    match act {
        Act::Write(_, how, len) => {
            let data = world.borrow().to_write(ep, len);
            let status = world.borrow_mut().model_write(ep, data);
            let answer = pattern::write_to(hub, id, how, data);
            world.borrow_mut().same("write", answer, status);
        }
        Act::Writelines(_, lens) => {
            let mut status = WriteStatus::Discarded;
            let mut lines: Vec<&[u8]> = Vec::new();
            for len in lens {
                let mut world = world.borrow_mut();
                let data = world.to_write(ep, len);
                lines.push(data);
                status = world.model_write(ep, data);
            }
            let answer = hub.writelines(id, lines);
            world.borrow_mut().same("writelines", answer, status);
        }
        Act::WriteEof(_) => {
            world.borrow_mut().model.write_eof(ep);
            let answer = hub.write_eof(id);
            world.borrow_mut().same("write_eof", answer, Ok(()));
        }
        Act::Close(_) => {
            world.borrow_mut().model.close(ep);
            hub.close(id);
        }
        Act::Abort(_) => {
            world.borrow_mut().model.abort(ep);
            hub.abort(id);
        }
        Act::Fail(_) => {
            world.borrow_mut().model.fail(ep);
            hub.fail(id, "scripted");
        }
        Act::PauseReading(_) => {
            world.borrow_mut().model.pause_reading(ep);
            hub.pause_reading(id);
        }
        Act::ResumeReading(_) => {
            world.borrow_mut().model.resume_reading(ep);
            hub.resume_reading(id);
        }
        Act::Limits(_, low, high) => {
            let Ok(limits) = WriteLimits::new(low, high) else { return };
            let status = world.borrow_mut().model.set_limits(ep, low, high);
            let answer = hub.set_write_buffer_limits(id, limits);
            world.borrow_mut().same("set_write_buffer_limits", answer, status);
        }
        Act::SetProtocol(_, buffered) => {
            let tag = world.borrow_mut().model.new_tag();
            let given_back = world.borrow_mut().model.set_protocol(ep, tag, buffered);
            let answer = hub.set_boxed_protocol(id, boxed(world, tag, buffered));
            world.borrow_mut().same("set_protocol", answer.is_some(), given_back);
        }
        Act::SetTimer(_, millis) => {
            let after = Duration::from_millis(millis);
            let number = world.borrow_mut().model.set_timer(ep, after);
            let timer = hub.set_timer(id, after);
            let mut world = world.borrow_mut();
            world.same("set_timer", timer.is_some(), number.is_some());
            if let (Some(timer), Some(number)) = (timer, number) {
                world.timers.push((timer, number, Some(ep)));
            }
        }
        _ => {}
    }
}

fn on_timer(world: &Shared, hub: &mut Hub<()>, act: Act) {
    let (Act::ResetTimer(n, _) | Act::CancelTimer(n)) = act else { return };
    let count = world.borrow().timers.len();
    if count == 0 {
        return;
    }
    // The youngest are the interesting ones.
    let (timer, number, ep) = world.borrow().timers[count - 1 - n % count];
    if let Act::ResetTimer(_, millis) = act {
        let after = Duration::from_millis(millis);
        let known = world.borrow_mut().model.reset_timer(number, after);
        let answer = hub.reset_timer(timer, after);
        // *Set:* whether a timer that may not fire any more is still there.
        let silent = ep.is_some_and(|ep| world.borrow().model.stream(ep).state() == State::Losing);
        if !silent {
            world.borrow_mut().same("reset_timer", answer, known);
        }
    } else {
        world.borrow_mut().model.cancel_timer(number);
        hub.cancel_timer(timer);
    }
}

fn connect(world: &Shared, hub: &mut Hub<()>, plan: Plan, buffered: bool) {
    let (ep, tag) = {
        let mut world = world.borrow_mut();
        if world.model.live() >= MOST_LIVE || world.model.endpoints() >= MOST_ENDPOINTS {
            return;
        }
        let tag = world.model.new_tag();
        let ep = world.model.connect((tag, buffered));
        world.net.plans.push((ep, plan));
        (ep, tag)
    };
    let actor = Actor::new(world, tag);
    let id = if buffered { hub.connect(client_addr(ep), Buffered(actor)) } else { hub.connect(client_addr(ep), actor) };
    world.borrow_mut().add_id(ep, id);
}

fn listen(world: &Shared, hub: &mut Hub<()>, paused: bool, bindable: bool) {
    if world.borrow().model.servers() >= MOST_SERVERS {
        return;
    }
    let (server, number) = world.borrow_mut().model.listen(paused);
    world.borrow_mut().net.bindable.push(bindable);
    let mut at = Listen::on(server_addr(server)).backlog(3);
    if paused {
        at = at.paused();
    }
    let id = hub.listen_with(at, factory(world), listening(world, number, server));
    world.borrow_mut().servers.push(Some(id));
}

fn on_server(world: &Shared, hub: &mut Hub<()>, act: Act, server: usize, id: ServerId) {
    match act {
        Act::ServerStart(_) => {
            let started = world.borrow_mut().model.server_start(server);
            let answer = hub.server_start(id);
            world.borrow_mut().same("server_start", answer.is_ok(), started);
        }
        Act::ServerClose(_) => {
            world.borrow_mut().model.server_close(server);
            hub.server_close(id);
        }
        Act::EndClients(_, abort) => {
            let order = world.borrow().net.by_slot();
            world.borrow_mut().model.end_clients(server, abort, &order);
            if abort {
                hub.abort_clients(id);
            } else {
                hub.close_clients(id);
            }
        }
        Act::WaitClosed(_) => {
            let number = world.borrow_mut().model.wait_closed(server);
            let shared = world.clone();
            hub.wait_closed(id, move |hub, ()| job(&shared, hub, Turn::Job(number)));
        }
        _ => {}
    }
}

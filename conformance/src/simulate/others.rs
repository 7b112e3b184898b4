//! Endpoints of other kinds beside the connections: datagram endpoints and children.

use super::actor::World;
use super::ledger::violation;
use crate::sim::{Planted, SimLoop, Step};
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use plimsoll_core::{
    Addr, CloseReason, Command, Context, Data, Datagram, DatagramId, DatagramProtocol, EndpointId, Error, ExitStatus, Family,
    Hub, OpenError, PipeFd, ProcessId, Stdio, SubprocessProtocol, TimerId, UnixAddr, WriteLimits, WriteStatus,
};
use std::collections::BTreeSet;

/// What is known of them.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Those that were made and not lost yet.
    pub(crate) live: BTreeSet<EndpointId>,
    /// How many datagrams each endpoint has had accepted, by the number of the endpoint.
    sent: Vec<u32>,
    /// Those that are being opened.
    pub(crate) opening: usize,
    pub(crate) datagrams: u64,
}

const fn byte(of: u64, at: u64) -> u8 {
    (of.wrapping_mul(151) ^ at.wrapping_mul(31) ^ (at >> 8)) as u8
}

/// A datagram says whose it is, which one, and is as long and filled as that makes it.
fn letter(from: u32, number: u32) -> Vec<u8> {
    let len = u64::from(number.wrapping_mul(37) % 300);
    let mut bytes = [from.to_le_bytes(), number.to_le_bytes()].concat();
    bytes.extend((0..len).map(|at| byte(u64::from(from) + u64::from(number), at)));
    bytes
}

/// Where datagram endpoints are, or may be.
fn places() -> [Addr; 6] {
    let port = |port| Addr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let name = |name| Addr::from(UnixAddr::abstract_name(name));
    [port(20), port(21), port(22), Addr::unix("/box/1"), Addr::unix("/box/2"), name("box")]
}

/// What children may be.
pub(crate) fn programs(sim: &SimLoop<World>) {
    let sim = sim.sim();
    let said = |from: u64, to: u64| (from..to).map(|at| byte(0, at)).collect();
    let ms = Duration::from_millis;
    sim.program("cat", [Step::Cat]);
    sim.program(
        "talk",
        [
            Step::Write(PipeFd::Stdout, said(0, 3000)),
            Step::Sleep(ms(3)),
            Step::Write(PipeFd::Stdout, said(3000, 3100)),
            Step::Exit(7),
        ],
    );
    sim.program("stubborn", [Step::Ignore(15), Step::Drain, Step::Sleep(ms(20))]);
    sim.program("parent", [Step::Fork(ms(30)), Step::Close(PipeFd::Stdout), Step::Exit(0)]);
}

/// Opens one of them.
pub(crate) fn open(hub: &mut Hub<World>, world: &mut World) {
    if world.opens == 0 || world.calm {
        return;
    }
    world.opens -= 1;
    world.others.opening += 1;
    let places = places();
    if world.rng.u32(..3) == 0 {
        let name = ["cat", "talk", "stubborn", "parent", "missing"][world.rng.usize(..5)];
        let mut stdio = || if world.rng.u32(..4) == 0 { Stdio::Null } else { Stdio::Piped };
        let command = Command::new(name).stdin(stdio()).stdout(stdio()).stderr(stdio());
        hub.spawn(command, Child { written: 0, got: 0 });
    } else {
        let number = world.others.sent.len() as u32;
        world.others.sent.push(0);
        let (one, other) = (world.rng.usize(..places.len()), world.rng.usize(..places.len()));
        let what = match world.rng.u32(..4) {
            0 => Datagram::to(places[one].clone()),
            1 => Datagram::of(Family::V4),
            // Some of them cannot be: addresses of two families.
            2 => Datagram::on(places[one].clone()).remote_addr(places[other].clone()),
            _ => Datagram::on(places[one].clone()),
        };
        hub.open_datagram(what, Letters { number });
    }
}

fn made(world: &mut World, id: EndpointId) {
    world.others.opening -= 1;
    live(world, id);
}

pub(crate) fn live(world: &mut World, id: EndpointId) {
    world.opened += 1;
    world.others.live.insert(id);
}

fn not_opened(world: &mut World) {
    world.failed += 1;
    world.others.opening -= 1;
}

pub(crate) fn lost(world: &mut World, id: EndpointId) {
    world.lost += 1;
    if !world.others.live.remove(&id) {
        violation("an endpoint is lost that was not made");
    }
}

/// Sends and receives at random.
struct Letters {
    number: u32,
}

impl Letters {
    fn act(&self, cx: &mut Context<'_, World, DatagramId>) {
        if cx.state.calm || cx.state.actions == 0 {
            return;
        }
        let times = cx.state.rng.u32(..4);
        for _ in 0..times {
            cx.state.actions = cx.state.actions.saturating_sub(1);
            self.act_once(cx);
        }
    }

    fn act_once(&self, cx: &mut Context<'_, World, DatagramId>) {
        match cx.state.rng.u32(..40) {
            0 => cx.close(),
            1 => cx.abort(),
            2 => cx.fail("it does not want to"),
            3 => Planted::panic("it panics"),
            4 | 5 => {
                cx.pause_reading();
                let after = Duration::from_micros(cx.state.rng.u64(..20_000));
                cx.hub.set_timer(cx.id, after);
            }
            6 => cx.resume_reading(),
            7 => {
                let high = cx.state.rng.usize(..2000);
                cx.hub.set_write_buffer_limits(cx.id, WriteLimits::new(high / 2, high).unwrap_or_default());
            }
            _ => {
                let sent = &mut cx.state.others.sent[self.number as usize];
                let payload = letter(self.number, *sent);
                let places = places();
                let status = if cx.state.rng.bool() {
                    let to = places[cx.state.rng.usize(..places.len())].clone();
                    cx.hub.send_to(cx.id, payload, to)
                } else {
                    cx.hub.send(cx.id, payload)
                };
                if matches!(status, WriteStatus::Accepted | WriteStatus::Paused) {
                    cx.state.others.sent[self.number as usize] += 1;
                }
            }
        }
    }
}

impl DatagramProtocol<World> for Letters {
    fn connection_made(&mut self, cx: &mut Context<'_, World, DatagramId>) {
        made(cx.state, cx.id.into());
        if cx.state.calm {
            cx.close();
        }
        self.act(cx);
    }
    fn datagram_received(&mut self, cx: &mut Context<'_, World, DatagramId>, data: Data<'_>, _: &Addr) {
        let word = |at: usize| data.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
        let (Some(from), Some(number)) = (word(0), word(4)) else { violation("a datagram is cut") };
        if cx.state.others.sent.get(from as usize).is_none_or(|sent| number >= *sent) {
            violation("a datagram comes that nobody sent");
        }
        if data[..] != letter(from, number) {
            violation("a datagram comes that is not what was sent");
        }
        cx.state.others.datagrams += 1;
        self.act(cx);
    }
    fn error_received(&mut self, cx: &mut Context<'_, World, DatagramId>, _: Error) {
        self.act(cx);
    }
    fn pause_writing(&mut self, cx: &mut Context<'_, World, DatagramId>) {
        self.act(cx);
    }
    fn resume_writing(&mut self, cx: &mut Context<'_, World, DatagramId>) {
        self.act(cx);
    }
    fn timer(&mut self, cx: &mut Context<'_, World, DatagramId>, _: TimerId) {
        cx.resume_reading();
        self.act(cx);
    }
    fn open_failed(self: Box<Self>, cx: &mut Context<'_, World, DatagramId>, _: OpenError) {
        not_opened(cx.state);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, World, DatagramId>, _: CloseReason) {
        lost(cx.state, cx.id.into());
    }
}

/// Talks to a child at random. What comes from it is the beginning of one pattern: what it says by itself, or what it was told.
struct Child {
    written: u64,
    got: u64,
}

impl Child {
    fn act(&mut self, cx: &mut Context<'_, World, ProcessId>) {
        if cx.state.calm || cx.state.actions == 0 {
            return;
        }
        cx.state.actions -= 1;
        match cx.state.rng.u32(..24) {
            0 => cx.hub.close(cx.id),
            1 => drop(cx.hub.kill(cx.id)),
            2 | 3 => drop(cx.hub.terminate(cx.id)),
            4 => cx.hub.fail(cx.id, "it does not want to"),
            5 => Planted::panic("it panics"),
            6 | 7 => {
                if let Some(stdin) = cx.hub.pipe(cx.id, PipeFd::Stdin) {
                    let _ = cx.hub.write_eof(stdin);
                }
            }
            8 => {
                if let Some(stdout) = cx.hub.pipe(cx.id, PipeFd::Stdout) {
                    cx.hub.close(stdout);
                }
            }
            _ => {
                let n = cx.state.rng.u64(..2000);
                let bytes: Vec<u8> = (self.written..self.written + n).map(|at| byte(0, at)).collect();
                if let Some(stdin) = cx.hub.pipe(cx.id, PipeFd::Stdin) {
                    if matches!(cx.hub.write(stdin, bytes), WriteStatus::Accepted | WriteStatus::Paused) {
                        self.written += n;
                    }
                }
            }
        }
    }
}

impl SubprocessProtocol<World> for Child {
    fn connection_made(&mut self, cx: &mut Context<'_, World, ProcessId>) {
        made(cx.state, cx.id.into());
        if cx.state.calm {
            cx.hub.close(cx.id);
        }
        self.act(cx);
    }
    fn pipe_data_received(&mut self, cx: &mut Context<'_, World, ProcessId>, _: PipeFd, data: Data<'_>) {
        for &got in &data[..] {
            if got != byte(0, self.got) {
                violation("a child says what it did not say");
            }
            self.got += 1;
        }
        self.act(cx);
    }
    fn pipe_connection_lost(&mut self, cx: &mut Context<'_, World, ProcessId>, _: PipeFd, _: Option<Error>) {
        self.act(cx);
    }
    fn process_exited(&mut self, cx: &mut Context<'_, World, ProcessId>, _: ExitStatus) {
        self.act(cx);
    }
    fn pause_writing(&mut self, cx: &mut Context<'_, World, ProcessId>) {
        self.act(cx);
    }
    fn resume_writing(&mut self, cx: &mut Context<'_, World, ProcessId>) {
        self.act(cx);
    }
    fn open_failed(self: Box<Self>, cx: &mut Context<'_, World, ProcessId>, _: OpenError) {
        not_opened(cx.state);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, World, ProcessId>, _: CloseReason) {
        lost(cx.state, cx.id.into());
    }
}

//! A great many connections in one loop, nearly all of them idle: what one of them costs that is not, and whether that depends on the others.

use crate::sim::{Faults, Host, Sim, SimLoop};
use core::fmt;
use core::time::Duration;
use plimsoll_core::{Addr, CloseReason, Connect, Context, Data, Listen, Protocol, StreamId, UnixAddr};
use std::time::Instant;

/// So many connections speak, one after another, each so often.
const BUSY: usize = 100;
const ROUNDS: usize = 20;
/// What one of them says.
const WORDS: &[u8] = b"how do you do";
/// An operation owns the memory that it receives into: small, since all are under way.
const BLOCK: usize = 256;
/// So many connections are asked for at a time.
const BATCH: usize = 1000;

/// What came of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Many {
    /// How many connections there were at the same time; the loop has both ends of each.
    pub connections: usize,
    /// What making one took.
    pub making: Duration,
    /// What a word and its echo took while all others were idle.
    pub echo: Duration,
    /// Calls into the kernel for each word and its echo, in hundredths.
    pub calls: u64,
    /// What closing one took.
    pub closing: Duration,
}

impl fmt::Display for Many {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = |time: Duration| time.as_nanos();
        let Self { connections, making, echo, calls, closing } = *self;
        write!(f, "{connections} connections in one loop: {} ns to make one, {} ns for an echo ", nanos(making), nanos(echo))?;
        write!(f, "and {}.{:02} calls, {} ns to close one", calls / 100, calls % 100, nanos(closing))
    }
}

#[derive(Default)]
struct State {
    open: Vec<StreamId>,
    made: usize,
    lost: usize,
    echoes: usize,
}

struct Client;

impl Protocol<State> for Client {
    fn connection_made(&mut self, cx: &mut Context<'_, State>) {
        // Nobody is idle for ever: the timers of all are in the loop's heap.
        cx.set_timer(Duration::from_secs(3600));
        cx.state.open.push(cx.id);
        cx.state.made += 1;
    }
    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        cx.state.echoes += usize::from(&*data == WORDS);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, State>, _: CloseReason) {
        cx.state.lost += 1;
    }
}

struct Echo;

impl Protocol<State> for Echo {
    fn connection_made(&mut self, cx: &mut Context<'_, State>) {
        cx.state.made += 1;
    }
    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        cx.write(data);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, State>, _: CloseReason) {
        cx.state.lost += 1;
    }
}

/// Makes so many connections, lets a few of them speak while the others are idle, and closes all.
///
/// # Errors
/// If one is not made, an echo does not come, or one is not lost.
pub fn many(host: Host, connections: usize) -> Result<Many, String> {
    let faults = Faults { descriptors: usize::MAX, ..Faults::none() };
    let net = Sim::new(0, faults);
    let mut sim = SimLoop::unobserved(&net, host, State::default(), BLOCK);
    let at = Addr::from(UnixAddr::abstract_name("many"));
    let listen = Listen::on(at.clone()).backlog(2 * BATCH as u32);
    let server = sim.listen(listen, |_, _| Echo).map_err(|error| error.to_string())?;

    let begun = Instant::now();
    for from in (0..connections).step_by(BATCH) {
        let until = (from + BATCH).min(connections);
        for _ in from..until {
            sim.hub().connect(Connect::to(at.clone()), Client);
        }
        if !sim.run_until(10_000, |sim| sim.state().made == 2 * until) {
            return Err(format!("{} ends were made of {}", sim.state().made, 2 * until));
        }
    }
    let making = each(begun, connections);

    let (begun, before) = (Instant::now(), sim.sim().net().seam.count);
    let step = (connections / BUSY).max(1);
    let busy: Vec<StreamId> = sim.state().open.iter().copied().step_by(step).take(BUSY).collect();
    for round in 0..ROUNDS * busy.len() {
        sim.hub().write(busy[round % busy.len()], WORDS);
        if !sim.run_until(100, |sim| sim.state().echoes > round) {
            return Err(format!("{} echoes came of {}", sim.state().echoes, round + 1));
        }
    }
    let echoes = ROUNDS * busy.len();
    let echo = each(begun, echoes);
    let calls = (sim.sim().net().seam.count - before) as u64 * 100 / echoes as u64;

    let begun = Instant::now();
    for id in core::mem::take(&mut sim.state().open) {
        sim.hub().close(id);
    }
    sim.hub().server_close(server);
    if !sim.run_until(10_000, |sim| sim.state().lost == 2 * connections) {
        return Err(format!("{} ends were lost of {}", sim.state().lost, 2 * connections));
    }
    let closing = each(begun, connections);
    sim.close();
    match sim.sim().descriptors() {
        0 => Ok(Many { connections, making, echo, calls, closing }),
        left => Err(format!("{left} descriptors are left")),
    }
}

fn each(begun: Instant, count: usize) -> Duration {
    begun.elapsed() / u32::try_from(count.max(1)).unwrap_or(u32::MAX)
}

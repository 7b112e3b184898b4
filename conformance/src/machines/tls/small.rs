//! Every short life of a secure connection: all sequences of so many steps, with records of one byte.

use super::{Act, Draw, Manner, Step, Way, World};
use crate::choices::Odometer;
use crate::harness::{Run, Violation};

/// The steps of the small world.
const STEPS: [Step; 14] = [
    Step::Arrive(usize::MAX),
    Step::Arrive(1),
    Step::PeerWrites(1),
    Step::PeerCloses,
    Step::Fin,
    Step::Reset,
    Step::Garble(0),
    Step::Window(1),
    Step::Seconds(31),
    Step::Act(Act::Write(1)),
    Step::Act(Act::Pause),
    Step::Act(Act::Resume),
    Step::Act(Act::Close),
    Step::InCallback(Act::Close),
];

/// All sequences of `depth` steps, of clients and of connections that are upgraded, each brought to its end in every way; how many there were.
///
/// # Errors
/// As of [`lifetime`](super::lifetime), and the steps that lead to it.
pub fn small_world(depth: usize) -> Result<u64, Violation> {
    let mut all = Odometer::new();
    let mut count = 0;
    loop {
        let mut steps = Vec::new();
        one(&mut Run::new(&mut all), depth, &mut steps)
            .map_err(|Violation(what)| Violation(format!("{what}, after {steps:?}")))?;
        count += 1;
        if !all.advance() {
            return Ok(count);
        }
    }
}

fn one(run: &mut Run<'_>, depth: usize, steps: &mut Vec<Step>) -> Result<(), Violation> {
    let way = [Way::Open, Way::Upgrade { is_server: false }, Way::Upgrade { is_server: true }][run.choices().pick(3)];
    let draw = Draw {
        manner: Manner { flights: 2, flight: 0, record: 1 },
        way,
        keeps_open: false,
        truncation: false,
        block: 64,
        window: usize::MAX,
        limits: (0, 4),
        steps: depth,
    };
    let mut world = World::new(run, &draw)?;
    for _ in 0..draw.steps {
        let step = STEPS[world.run.choices().pick(STEPS.len())];
        steps.push(step);
        world.step(step)?;
    }
    world.end()
}

//! All there is in a small world of attempts.

use super::{Joint, REFUSED, Step, TAKEN, addr};
use crate::harness::Violation;
use core::time::Duration;
use plimsoll_core::Addr;
use std::collections::BTreeSet;

/// What an exhaustive walk saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct World {
    /// Different lists of addresses, addresses of ours and staggers.
    pub openings: usize,
    /// Different states of machine and model together.
    pub states: usize,
    /// Steps from one of them, each compared.
    pub steps: u64,
}

const STAGGER: Duration = Duration::from_nanos(250);

/// Every step from every state that steps lead to, for every list of at most `most` addresses of two families, with none, one and two addresses
/// of ours. There is nothing beyond: that holds for runs of any length.
///
/// # Errors
/// If machine and model disagree anywhere.
pub fn explore(most: usize) -> Result<World, Violation> {
    let mut world = World::default();
    for count in 0..=most {
        for families in 0..1 << count {
            let to: Vec<Addr> = (0..count).map(|n| addr(families >> n & 1 == 1, n)).collect();
            for from in [&[][..], &[false], &[true], &[false, true], &[true, true]] {
                let from: Vec<Addr> = from.iter().enumerate().map(|(n, v6)| addr(*v6, 100 + n)).collect();
                for stagger in [None, Some(STAGGER), Some(Duration::ZERO)] {
                    walk(&mut world, Joint::new(&to, &from, stagger))?;
                }
            }
        }
    }
    Ok(world)
}

fn walk(world: &mut World, first: Joint) -> Result<(), Violation> {
    world.openings += 1;
    let count = 4;
    let mut steps = vec![Step::Poll, Step::Timeout(Duration::ZERO), Step::Timeout(STAGGER), Step::Cancel];
    for attempt in 0..count {
        steps.extend([Ok(()), Err(REFUSED), Err(TAKEN)].map(|result| Step::Result(attempt, result)));
    }
    let mut seen = BTreeSet::from([key(&first)]);
    let mut open = vec![first];
    while let Some(joint) = open.pop() {
        world.states += 1;
        for step in &steps {
            // Time that passes changes nothing where nothing waits for it.
            if matches!(step, Step::Timeout(after) if *after > Duration::ZERO) && joint.model.next_at().is_none() {
                continue;
            }
            let mut next = joint.clone();
            world.steps += 1;
            next.apply(*step).map_err(|violation| Violation(format!("{violation}\n  at {step:?}\n  in {joint:?}")))?;
            if seen.insert(key(&next)) {
                open.push(next);
            }
        }
    }
    Ok(())
}

/// Two states are the same if nothing can tell them apart but what time it is.
fn key(joint: &Joint) -> String {
    let mut joint = joint.clone();
    joint.sockets.sort_unstable();
    format!("{joint:?}")
}

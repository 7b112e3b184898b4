//! Makes a world that fails smaller: fewer steps, connections and actions, and fewer kinds of faults, as long as it fails.

use super::{Failure, Play, caught};
use crate::sim::{Faults, Host};
use core::fmt;
use std::panic;

/// What of a world is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// It has so many steps at most.
    pub steps: u32,
    /// So many connections are opened at most.
    pub opens: u32,
    /// Protocols do so many things at most.
    pub actions: u32,
    /// Bit n: the n-th kind of fault does not happen.
    pub without: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: u32::MAX, opens: u32::MAX, actions: u32::MAX, without: 0 }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},{}", self.steps, self.opens, self.actions, self.without)
    }
}

impl Limits {
    /// As it is displayed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(',').map(str::parse);
        let mut next = || numbers.next()?.ok();
        let limits = Self { steps: next()?, opens: next()?, actions: next()?, without: next()? };
        numbers.next().is_none().then_some(limits)
    }

    /// Takes away the faults that these limits leave out.
    pub(super) fn apply(self, faults: &mut Faults) {
        for kind in (0..Faults::KINDS).filter(|kind| self.without & 1 << kind != 0) {
            faults.calm(kind);
        }
    }
}

/// The same failure in the smallest world that was found for it.
#[must_use]
pub fn shrunk(failure: &Failure) -> Failure {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let mut least = failure.clone();
    while let Some(smaller) = candidates(least.limits).into_iter().find_map(|limits| fails(failure.seed, failure.host, limits)) {
        least = smaller;
    }
    panic::set_hook(hook);
    least
}

fn fails(seed: u64, host: Host, limits: Limits) -> Option<Failure> {
    let what = caught(|| Play::new(seed, host, limits).play(&mut super::Figures::default())).err()?;
    Some(Failure { seed, host, limits, what })
}

/// Worlds that are smaller by one thing, the smallest first.
fn candidates(limits: Limits) -> Vec<Limits> {
    // What is not limited yet: more than any world has.
    const MOST: u32 = 1 << 12;
    let less = |now: u32| {
        let now = now.min(MOST);
        [now / 2, now - now / 4, now - now / 16, now.saturating_sub(1)].into_iter().filter(move |less| *less < now)
    };
    let mut all: Vec<_> = less(limits.steps).map(|steps| Limits { steps, ..limits }).collect();
    all.extend(less(limits.opens).map(|opens| Limits { opens, ..limits }));
    all.extend(less(limits.actions).map(|actions| Limits { actions, ..limits }));
    let kinds = (0..Faults::KINDS).filter(|kind| limits.without & 1 << kind == 0);
    all.extend(kinds.map(|kind| Limits { without: limits.without | 1 << kind, ..limits }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_displayed() {
        let limits = Limits { steps: 3, opens: 2, actions: 0, without: 9 };
        assert_eq!(Limits::parse(&limits.to_string()), Some(limits));
        assert_eq!(Limits::parse(&Limits::default().to_string()), Some(Limits::default()));
        assert_eq!(Limits::parse("1,2,3"), None);
        assert_eq!(Limits::parse("1,2,3,4,5"), None);
    }

    #[test]
    fn a_smaller_world_is_smaller_and_there_is_a_smallest() {
        let mut limits = Limits::default();
        let mut count = 0;
        while let Some(next) = candidates(limits).pop() {
            assert!(next != limits);
            limits = next;
            count += 1;
        }
        assert_eq!((limits.steps, limits.opens, limits.actions, limits.without.count_ones()), (0, 0, 0, Faults::KINDS));
        assert!(count < 20_000, "{count}");
    }
}

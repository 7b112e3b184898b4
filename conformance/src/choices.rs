//! One source of decisions for every generator of tests.

/// Makes the decisions of a generated test. Zero is the tamest one, so a list of them shrinks towards zeros.
pub trait Choices {
    /// A number below `n`; zero, without a decision, if there is no other.
    fn pick(&mut self, n: usize) -> usize;

    /// No decision is left: all further ones are zero. Generators end early then.
    fn is_exhausted(&self) -> bool {
        false
    }

    /// An index into `weights`, as likely as it weighs. Zero if all weigh nothing.
    fn weighted(&mut self, weights: &[u32]) -> usize {
        let total = weights.iter().map(|weight| *weight as usize).sum();
        let mut rest = self.pick(total);
        for (index, weight) in weights.iter().enumerate() {
            let weight = *weight as usize;
            if rest < weight {
                return index;
            }
            rest -= weight;
        }
        0
    }

    /// True once in `n` times.
    fn one_in(&mut self, n: usize) -> bool {
        n > 0 && self.pick(n) + 1 == n
    }

    /// Arbitrary bytes.
    fn bytes(&mut self, out: &mut [u8]) {
        for byte in out {
            *byte = self.pick(256) as u8;
        }
    }
}

/// Decisions from a seed: random runs.
#[derive(Debug)]
pub struct Seed(fastrand::Rng);

impl Seed {
    /// Equal seeds decide equally.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }
}

impl Choices for Seed {
    fn pick(&mut self, n: usize) -> usize {
        if n <= 1 { 0 } else { self.0.usize(..n) }
    }

    fn bytes(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

/// Decisions from a fuzzer's input: one byte each where it suffices, so that a change of one byte is a change of one decision.
#[derive(Debug)]
pub struct Input<'a> {
    left: &'a [u8],
}

impl<'a> Input<'a> {
    /// Decides by these bytes, front to back.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { left: input }
    }
}

impl Choices for Input<'_> {
    fn pick(&mut self, n: usize) -> usize {
        if n <= 1 {
            return 0;
        }
        let mut value = 0;
        let mut range = 1_usize;
        while range < n {
            let Some((first, left)) = self.left.split_first() else {
                break;
            };
            self.left = left;
            value = value << 8 | usize::from(*first);
            range = range.saturating_mul(256);
        }
        value % n
    }

    fn is_exhausted(&self) -> bool {
        self.left.is_empty()
    }
}

/// All decisions, one after another: every run of a test that asks a bounded number of times.
///
/// ```
/// use plimsoll_conformance::choices::{Choices, Odometer};
///
/// let mut seen = Vec::new();
/// let mut all = Odometer::new();
/// loop {
///     let first = all.pick(2);
///     seen.push((first, all.pick(first + 2)));
///     if !all.advance() {
///         break;
///     }
/// }
/// assert_eq!(seen, [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Odometer {
    /// What was decided, out of how many.
    wheels: Vec<(usize, usize)>,
    at: usize,
}

impl Odometer {
    /// Stands at zero everywhere.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// On to the next run; false if this was the last one.
    pub fn advance(&mut self) -> bool {
        // Wheels behind the last decision belong to an earlier, longer run.
        self.wheels.truncate(self.at);
        self.at = 0;
        while let Some((value, n)) = self.wheels.pop() {
            if value + 1 < n {
                self.wheels.push((value + 1, n));
                return true;
            }
        }
        false
    }

    /// The decisions of this run so far.
    #[must_use]
    pub fn list(&self) -> Vec<usize> {
        self.wheels[..self.at].iter().map(|wheel| wheel.0).collect()
    }
}

impl Choices for Odometer {
    fn pick(&mut self, n: usize) -> usize {
        if n <= 1 {
            return 0;
        }
        if self.at == self.wheels.len() {
            self.wheels.push((0, n));
        }
        self.at += 1;
        let wheel = &mut self.wheels[self.at - 1];
        // A test that asks differently after equal answers is not deterministic; the wheel then follows the test.
        wheel.1 = n;
        wheel.0 = wheel.0.min(n - 1);
        wheel.0
    }

    /// Weights mean nothing here, except that zero is never.
    fn weighted(&mut self, weights: &[u32]) -> usize {
        let possible = weights.iter().filter(|weight| **weight > 0).count();
        let chosen = self.pick(possible);
        let mut indices = weights.iter().enumerate().filter(|(_, weight)| **weight > 0).map(|(index, _)| index);
        indices.nth(chosen).unwrap_or(0)
    }
}

/// Decisions from a list: a saved failure, or one that is being shrunk.
#[derive(Clone, Debug)]
pub struct Saved<'a> {
    left: &'a [usize],
}

impl<'a> Saved<'a> {
    /// Decides by this list.
    #[must_use]
    pub const fn new(list: &'a [usize]) -> Self {
        Self { left: list }
    }
}

impl Choices for Saved<'_> {
    fn pick(&mut self, n: usize) -> usize {
        if n <= 1 {
            return 0;
        }
        match self.left.split_first() {
            Some((first, left)) => {
                self.left = left;
                *first % n
            }
            None => 0,
        }
    }

    fn is_exhausted(&self) -> bool {
        self.left.is_empty()
    }
}

/// Writes down what another source decides.
pub struct Recorder<'a> {
    inner: &'a mut dyn Choices,
    list: Vec<usize>,
}

impl<'a> Recorder<'a> {
    /// Records `inner`.
    pub const fn new(inner: &'a mut dyn Choices) -> Self {
        Self { inner, list: Vec::new() }
    }

    /// The decisions made, for [`Saved`].
    #[must_use]
    pub fn into_list(self) -> Vec<usize> {
        self.list
    }
}

impl Choices for Recorder<'_> {
    fn pick(&mut self, n: usize) -> usize {
        if n <= 1 {
            return 0;
        }
        let value = self.inner.pick(n);
        self.list.push(value);
        value
    }

    fn is_exhausted(&self) -> bool {
        self.inner.is_exhausted()
    }
}

/// The smallest list it can find that still fails: deletes spans, then lowers numbers, until neither helps or `budget` runs are
/// used up.
pub fn shrink(list: &[usize], mut budget: usize, mut fails: impl FnMut(&[usize]) -> bool) -> Vec<usize> {
    let mut best = list.to_vec();
    let mut try_one = |candidate: Vec<usize>, best: &mut Vec<usize>, budget: &mut usize| {
        if *budget == 0 {
            return false;
        }
        *budget -= 1;
        let better = fails(&candidate);
        if better {
            *best = candidate;
        }
        better
    };
    loop {
        let before = best.clone();
        let mut span = best.len();
        while span > 0 {
            // From the back: what comes last depends on all the rest.
            let mut end = best.len();
            while end > 0 {
                let start = end.saturating_sub(span);
                let mut candidate = best.clone();
                candidate.drain(start..end);
                try_one(candidate, &mut best, &mut budget);
                end = start.min(best.len());
            }
            span /= 2;
        }
        for index in 0..best.len() {
            let (mut low, mut high) = (0, best[index]);
            while low < high {
                let mut candidate = best.clone();
                candidate[index] = low;
                if try_one(candidate, &mut best, &mut budget) {
                    high = low;
                } else {
                    // Towards the value that is known to fail.
                    low += (high - low).div_ceil(2);
                }
            }
        }
        if best == before || budget == 0 {
            return best;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_decide_equally_and_recordings_replay() {
        let (mut a, mut b) = (Seed::new(7), Seed::new(7));
        let mut recorder = Recorder::new(&mut a);
        let first: Vec<_> = (1..50).map(|n| recorder.weighted(&[n, 0, 2])).collect();
        let list = recorder.into_list();
        let second: Vec<_> = (1..50).map(|n| b.weighted(&[n, 0, 2])).collect();
        let mut saved = Saved::new(&list);
        let third: Vec<_> = (1..50).map(|n| saved.weighted(&[n, 0, 2])).collect();
        assert_eq!(first, second);
        assert_eq!(first, third);
        assert!(saved.is_exhausted() && first.iter().all(|index| *index != 1));
    }

    #[test]
    fn a_fuzzers_bytes_are_taken_one_for_a_small_choice_and_two_for_a_large_one() {
        let mut input = Input::new(&[5, 1, 2, 9]);
        assert_eq!((input.pick(1), input.pick(4), input.pick(1000), input.pick(256)), (0, 1, 258, 9));
        assert!(input.is_exhausted());
        assert_eq!(input.pick(9), 0);
    }

    #[test]
    fn shrinking_leaves_what_matters() {
        let list: Vec<usize> = (0..200).map(|i| i * 7 % 40).collect();
        let shrunk = shrink(&list, 10_000, |list| list.iter().filter(|n| **n >= 13).count() >= 2);
        assert_eq!(shrunk, [13, 13]);
    }
}

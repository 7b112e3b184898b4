//! Runs generated tests: many seeds, one saved case, a fuzzer's input. What fails is shrunk and can be replayed.

use crate::choices::{Choices, Input, Recorder, Saved, Seed, shrink};
use core::fmt;
use core::hash::{Hash, Hasher};
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::env;
use std::hash::DefaultHasher;
use std::panic;
use std::time::Instant;

/// How many runs a failure is shrunk with at most.
const SHRINK_BUDGET: usize = 20_000;

/// What a machine did and the contract forbids.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Fails the run unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::harness::Violation(format!($($message)+)));
        }
    };
}

/// Fails the run unless the machine and the model say the same.
macro_rules! same {
    ($what:expr, $machine:expr, $model:expr) => {
        match (&$machine, &$model) {
            (machine, model) => {
                $crate::harness::ensure!(machine == model, "{}: the machine says {machine:?}, the model {model:?}", $what);
            }
        }
    };
}

pub(crate) use {ensure, same};

/// A generated test.
pub type Case = fn(&mut Run<'_>) -> Result<(), Violation>;

/// One run of a [`Case`]: where its decisions come from, and what it leaves behind.
pub struct Run<'a> {
    choices: &'a mut dyn Choices,
    log: Option<Vec<String>>,
    digest: DefaultHasher,
    steps: u64,
    marks: u64,
}

impl<'a> Run<'a> {
    /// A run by these decisions.
    pub fn new(choices: &'a mut dyn Choices) -> Self {
        Self { choices, log: None, digest: DefaultHasher::new(), steps: 0, marks: 0 }
    }

    /// The same, and every step is written down.
    pub fn logged(choices: &'a mut dyn Choices) -> Self {
        Self { log: Some(Vec::new()), ..Self::new(choices) }
    }

    /// Where decisions come from.
    pub fn choices(&mut self) -> &mut dyn Choices {
        self.choices
    }

    /// A step of the run: what happened. The digest of two runs of one seed must agree.
    pub fn step(&mut self, what: impl fmt::Debug + Hash) {
        self.steps += 1;
        what.hash(&mut self.digest);
        if let Some(log) = &mut self.log {
            log.push(format!("{what:?}"));
        }
    }

    /// A rare branch was reached: the bit with that number.
    pub fn mark(&mut self, bit: u32) {
        self.marks |= 1 << bit;
    }
}

/// What many runs came to.
#[derive(Clone, Copy, Default, Debug)]
#[non_exhaustive]
pub struct Figures {
    /// How many runs.
    pub runs: u64,
    /// Steps of all runs.
    pub steps: u64,
    /// The rare branches that were reached, one bit each.
    pub marks: u64,
    /// The time it took.
    pub time: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64().max(1e-9);
        write!(f, "{} runs, {} steps, {:.0} runs/s", self.runs, self.steps, self.runs as f64 / seconds)
    }
}

/// A run that violated the contract, shrunk. `Debug` prints the same as `Display`, so a test may return it.
#[derive(Clone)]
pub struct Failure {
    name: String,
    seed: Option<u64>,
    list: Vec<usize>,
    violation: Violation,
    log: Vec<String>,
}

impl Failure {
    /// The decisions that lead to it.
    #[must_use]
    pub fn list(&self) -> &[usize] {
        &self.list
    }

    /// What was violated.
    #[must_use]
    pub const fn violation(&self) -> &Violation {
        &self.violation
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.name, self.violation)?;
        for (number, step) in self.log.iter().enumerate() {
            writeln!(f, "  {number:3} {step}")?;
        }
        if let Some(seed) = self.seed {
            writeln!(f, "replay the seed:   PLIMSOLL_SEED={seed} cargo test -p plimsoll-conformance <this test>")?;
        }
        let list: Vec<_> = self.list.iter().map(usize::to_string).collect();
        write!(f, "replay the shrunk: PLIMSOLL_CASE={} cargo test -p plimsoll-conformance <this test>", list.join(","))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Failure {}

/// Runs a test with seeds `0..count`.
///
/// `PLIMSOLL_SEED` runs that one only, `PLIMSOLL_CASE` a list of decisions; `PLIMSOLL_SEEDS` multiplies the count. One seed in a
/// hundred runs twice and must do the same again.
///
/// # Errors
/// The first seed that fails, shrunk.
pub fn seeds(name: &str, count: u64, case: Case) -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    let started = Instant::now();
    if let Some(list) = env::var("PLIMSOLL_CASE").ok().and_then(|text| parse(&text)) {
        run(&mut Saved::new(&list), case, &mut figures).map_err(|_| explain(name, None, list, case))?;
        return Ok(figures);
    }
    let only = number("PLIMSOLL_SEED");
    let seeds = only.map_or(0..count.saturating_mul(number("PLIMSOLL_SEEDS").unwrap_or(1)), |seed| seed..seed.saturating_add(1));
    for seed in seeds {
        let Ok(digest) = run(&mut Seed::new(seed), case, &mut figures) else {
            return Err(shrunk(name, Some(seed), &mut Seed::new(seed), case));
        };
        if seed % 100 == 0 && run(&mut Seed::new(seed), case, &mut Figures::default()) != Ok(digest) {
            let violation = Violation(String::from("the same seed does something else the second time"));
            return Err(Failure { name: name.into(), seed: Some(seed), list: Vec::new(), violation, log: Vec::new() });
        }
    }
    figures.time = started.elapsed();
    Ok(figures)
}

/// The first of the seeds `0..count` that fails, without a look at why: all that is asked of a mutant.
#[must_use]
pub fn first_failure(count: u64, case: Case) -> Option<u64> {
    (0..count).find(|&seed| run(&mut Seed::new(seed), case, &mut Figures::default()).is_err())
}

/// Runs a test by a fuzzer's input.
///
/// # Errors
/// What it violates, shrunk.
pub fn input(name: &str, input: &[u8], case: Case) -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    run(&mut Input::new(input), case, &mut figures).map_err(|_| shrunk(name, None, &mut Input::new(input), case))?;
    Ok(figures)
}

/// Runs a test by a list of decisions.
///
/// # Errors
/// What it violates, not shrunk.
pub fn list(name: &str, list: &[usize], case: Case) -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    run(&mut Saved::new(list), case, &mut figures).map_err(|_| explain(name, None, list.to_vec(), case))?;
    Ok(figures)
}

/// One run; a panic is a violation like any other. Answers with the digest of what happened.
fn run(choices: &mut dyn Choices, case: Case, figures: &mut Figures) -> Result<u64, Violation> {
    let mut run = Run::new(choices);
    let result = caught(&mut run, case);
    figures.runs += 1;
    figures.steps += run.steps;
    figures.marks |= run.marks;
    result.map(|()| run.digest.finish())
}

fn caught(run: &mut Run<'_>, case: Case) -> Result<(), Violation> {
    panic::catch_unwind(AssertUnwindSafe(|| case(run))).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| String::from(*text));
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Err(Violation(format!("panic: {}", text.unwrap_or_default())))
    })
}

fn shrunk(name: &str, seed: Option<u64>, choices: &mut dyn Choices, case: Case) -> Failure {
    let mut recorder = Recorder::new(choices);
    let _ = caught(&mut Run::new(&mut recorder), case);
    let list = recorder.into_list();
    // A panic that is shrunk would print thousands of times.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let list = shrink(&list, SHRINK_BUDGET, |list| caught(&mut Run::new(&mut Saved::new(list)), case).is_err());
    panic::set_hook(hook);
    explain(name, seed, list, case)
}

/// Runs a failing list once more, and writes down what happens.
fn explain(name: &str, seed: Option<u64>, list: Vec<usize>, case: Case) -> Failure {
    let mut saved = Saved::new(&list);
    let mut run = Run::logged(&mut saved);
    let violation = match caught(&mut run, case) {
        Err(violation) => violation,
        Ok(()) => Violation(String::from("a failure that does not come again")),
    };
    let log = run.log.take().unwrap_or_default();
    Failure { name: name.into(), seed, list, violation, log }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// `1,2,3` as a list; an empty text is the empty list.
fn parse(text: &str) -> Option<Vec<usize>> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dislikes_a_seven_after_a_three(run: &mut Run<'_>) -> Result<(), Violation> {
        let mut last = 0;
        for _ in 0..40 {
            let number = run.choices().pick(10);
            run.step(number);
            ensure!((last, number) != (3, 7), "seven after three");
            last = number;
        }
        Ok(())
    }

    #[test]
    fn a_failure_is_shrunk_explained_and_comes_again() {
        let failure = seeds("toy", 1000, dislikes_a_seven_after_a_three).unwrap_err();
        assert_eq!(failure.list(), [3, 7]);
        assert_eq!(failure.violation().0, "seven after three");
        assert!(failure.to_string().contains("PLIMSOLL_CASE=3,7"));
        assert!(list("toy", failure.list(), dislikes_a_seven_after_a_three).is_err());
        assert!(input("toy", &[3, 7], dislikes_a_seven_after_a_three).is_err());
        assert!(input("toy", &[7, 3], dislikes_a_seven_after_a_three).is_ok());
    }

    #[test]
    fn a_panic_is_a_violation() {
        fn panics(run: &mut Run<'_>) -> Result<(), Violation> {
            let numbers = [0; 2];
            let index = run.choices().pick(3);
            assert!(index < numbers.len(), "index {index}");
            Ok(())
        }
        let failure = seeds("panics", 1000, panics).unwrap_err();
        assert_eq!((failure.list(), failure.violation().0.as_str()), (&[2][..], "panic: index 2"));
    }
}

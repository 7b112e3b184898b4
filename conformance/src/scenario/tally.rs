//! What came of a run, counted while it goes on: no trace is kept.

use super::judge::Verdict;
use super::report::Outcome;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// How many went how, and what failed.
pub(crate) struct Tally {
    hosts: Vec<(String, Counts)>,
    skips: BTreeSet<String>,
    failures: Vec<Failure>,
    /// How often each passed and failed, where it was played several times.
    again: Option<BTreeMap<(String, String, u64), [usize; 2]>>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    passed: usize,
    departed: usize,
    failed: usize,
    skipped: usize,
    time: Duration,
}

/// A scenario that failed in one way, and where it did.
struct Failure {
    id: String,
    verdict: Verdict,
    hosts: Vec<(String, usize)>,
}

impl Tally {
    /// Nothing was played yet. `repeats`: everything will be, several times.
    pub(crate) fn new(hosts: &[String], repeats: bool) -> Self {
        Self {
            hosts: hosts.iter().map(|host| (host.clone(), Counts::default())).collect(),
            skips: BTreeSet::new(),
            failures: Vec::new(),
            again: repeats.then(BTreeMap::new),
        }
    }

    /// Counts it. Whether it failed in a way in which this scenario has not failed yet.
    pub(crate) fn take(&mut self, outcome: &Outcome) -> bool {
        if let Some((_, counts)) = self.hosts.iter_mut().find(|(host, _)| *host == outcome.host) {
            counts.time += outcome.time;
            match &outcome.verdict {
                Verdict::Passed => counts.passed += 1,
                Verdict::Departed(_) => counts.departed += 1,
                Verdict::Failed(_) | Verdict::Broken(_) => counts.failed += 1,
                Verdict::Skipped(_) => counts.skipped += 1,
            }
        }
        if let Verdict::Skipped(why) = &outcome.verdict {
            self.skips.insert(format!("skipped on {}: {why}", outcome.host));
        }
        let failed = outcome.verdict.is_failure();
        if let Some(again) = &mut self.again {
            again.entry((outcome.host.clone(), outcome.id.clone(), outcome.seed)).or_default()[usize::from(failed)] += 1;
        }
        failed && self.failed(outcome)
    }

    fn failed(&mut self, outcome: &Outcome) -> bool {
        let same = |failure: &&mut Failure| failure.id == outcome.id && failure.verdict == outcome.verdict;
        let Some(failure) = self.failures.iter_mut().find(same) else {
            let hosts = vec![(outcome.host.clone(), 1)];
            self.failures.push(Failure { id: outcome.id.clone(), verdict: outcome.verdict.clone(), hosts });
            return true;
        };
        match failure.hosts.iter_mut().find(|(host, _)| *host == outcome.host) {
            Some((_, times)) => *times += 1,
            None => failure.hosts.push((outcome.host.clone(), 1)),
        }
        false
    }

    /// How many passed, failed and were skipped.
    fn sums(&self) -> [usize; 3] {
        let sum = |of: fn(&Counts) -> usize| self.hosts.iter().map(|(_, counts)| of(counts)).sum();
        [sum(|counts| counts.passed + counts.departed), sum(|counts| counts.failed), sum(|counts| counts.skipped)]
    }

    /// Whether nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        self.sums()[1] == 0
    }

    /// All there is to say, in lines.
    pub(crate) fn lines(&self, time: Duration) -> Vec<String> {
        let mut lines: Vec<String> = self.failures.iter().map(Failure::line).collect();
        for (host, Counts { passed, departed, failed, skipped, time }) in &self.hosts {
            let known = if *departed > 0 { format!(" ({departed} as they are known to depart)") } else { String::new() };
            let (good, time) = (passed + departed, time.as_secs_f64());
            lines.push(format!("{host:<11} {good} passed{known}, {failed} failed, {skipped} skipped, {time:.2} s"));
        }
        lines.extend(self.skips.iter().cloned());
        if let Some(again) = &self.again {
            let differs = again.iter().filter(|(_, [passed, failed])| *passed > 0 && *failed > 0);
            let flaky: Vec<String> = differs
                .map(|((host, id, _), [passed, failed])| format!("{id} on {host} ({failed} of {})", passed + failed))
                .collect();
            lines.push(format!("flaky: {}", if flaky.is_empty() { "none".into() } else { flaky.join(", ") }));
        }
        let [passed, failed, skipped] = self.sums();
        lines.push(format!("{:.2} s in all", time.as_secs_f64()));
        lines.push(format!("{passed} passed, {failed} failed, {skipped} skipped"));
        lines
    }
}

impl Failure {
    fn line(&self) -> String {
        let times = |times: usize| if times > 1 { format!(" ({times} times)") } else { String::new() };
        let hosts: Vec<String> = self.hosts.iter().map(|(host, count)| format!("{host}{}", times(*count))).collect();
        format!("failed: {} on {}", self.id, hosts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(id: &str, host: &str, verdict: Verdict) -> Outcome {
        Outcome {
            id: id.into(),
            covers: Vec::new(),
            host: host.into(),
            version: String::new(),
            seed: 0,
            verdict,
            record: None,
            time: Duration::from_millis(1),
            replay: String::new(),
        }
    }

    #[test]
    fn what_fails_in_the_same_way_is_told_once_with_every_place() {
        let mut tally = Tally::new(&["sim".into(), "mio".into()], true);
        let broken = |why: &str| Verdict::Broken(why.into());
        assert!(tally.take(&outcome("a/x", "sim", broken("one"))));
        assert!(!tally.take(&outcome("a/x", "mio", broken("one"))));
        assert!(!tally.take(&outcome("a/x", "mio", broken("one"))));
        assert!(tally.take(&outcome("a/x", "mio", broken("other"))));
        assert!(tally.take(&outcome("a/y", "mio", broken("one"))));
        assert!(!tally.take(&outcome("a/y", "mio", Verdict::Passed)));
        assert!(!tally.take(&outcome("a/z", "sim", Verdict::Departed("so".into()))));
        assert!(!tally.take(&outcome("a/w", "sim", Verdict::Skipped("no".into()))));
        assert!(!tally.is_good());
        assert_eq!(
            tally.lines(Duration::from_millis(1500)),
            [
                "failed: a/x on sim, mio (2 times)",
                "failed: a/x on mio",
                "failed: a/y on mio",
                "sim         1 passed (1 as they are known to depart), 1 failed, 1 skipped, 0.00 s",
                "mio         1 passed, 4 failed, 0 skipped, 0.01 s",
                "skipped on sim: no",
                "flaky: a/y on mio (1 of 2)",
                "1.50 s in all",
                "2 passed, 5 failed, 1 skipped",
            ]
        );
    }
}

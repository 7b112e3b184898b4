//! What a program prints.

use super::PATIENCE;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

/// The lines that a program has printed so far, each with the time at which it was seen. A thread reads them, so that the program never waits
/// for us.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<Printed>, Condvar)>);

#[derive(Default)]
struct Printed {
    lines: Vec<(Instant, String)>,
    finished: bool,
}

impl Lines {
    pub(crate) fn of(output: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let theirs = lines.clone();
        thread::spawn(move || {
            let (printed, changed) = &*theirs.0;
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                printed.lock().unwrap().lines.push((Instant::now(), line));
                changed.notify_all();
            }
            printed.lock().unwrap().finished = true;
            changed.notify_all();
        });
        lines
    }

    /// Waits until `count` lines contain `word`; the time and the text of the last of them.
    pub(crate) fn wait_for(&self, count: usize, word: &str) -> (Instant, String) {
        let deadline = Instant::now() + PATIENCE;
        let (printed, changed) = &*self.0;
        let mut printed = printed.lock().unwrap();
        loop {
            if let Some(found) = printed.lines.iter().filter(|(_, line)| line.contains(word)).nth(count - 1) {
                return found.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!printed.finished && !left.is_zero(), "not {count} times {word:?} in {:?}", printed.lines);
            printed = changed.wait_timeout(printed, left).unwrap().0;
        }
    }

    /// How many lines contain `word` so far.
    pub(crate) fn count(&self, word: &str) -> usize {
        self.0.0.lock().unwrap().lines.iter().filter(|(_, line)| line.contains(word)).count()
    }

    /// All of them, once the program has printed the last one.
    pub(crate) fn all(&self) -> Vec<String> {
        let (printed, changed) = &*self.0;
        let (printed, timeout) = changed.wait_timeout_while(printed.lock().unwrap(), PATIENCE, |it| !it.finished).unwrap();
        assert!(!timeout.timed_out(), "it goes on printing");
        printed.lines.iter().map(|(_, line)| line.clone()).collect()
    }
}

//! Deadlines, earliest first.

use crate::key::{Key, Slab};
use crate::time::Instant;
use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

/// The number of a timer that has no entry in the heap.
const PARKED: u64 = u64::MAX;

/// Entries of the heap that no longer mean anything are swept out when there are more than this many, and more than half.
const SWEEP: usize = 100;

#[derive(Debug)]
struct Timer<T> {
    deadline: Instant,
    /// Names the one entry of the heap that counts.
    seq: u64,
    what: T,
}

/// Timers under keys, in a heap whose entries are cancelled and moved later lazily: an idle timeout that is pushed back at every message
/// costs no heap operation a message.
///
/// Equal deadlines fire in the order in which they were set (contract LOOP-31).
#[derive(Debug)]
pub(crate) struct Timers<T> {
    timers: Slab<Timer<T>>,
    heap: BinaryHeap<Reverse<(Instant, u64, Key)>>,
    seq: u64,
}

impl<T> Timers<T> {
    pub(crate) const fn new() -> Self {
        Self { timers: Slab::new(), heap: BinaryHeap::new(), seq: 0 }
    }

    /// How far the numbering has come: timers set from now on get a higher number, or the same.
    pub(crate) const fn mark(&self) -> u64 {
        self.seq
    }

    pub(crate) fn set(&mut self, deadline: Instant, what: T) -> Option<Key> {
        let seq = self.seq;
        let key = self.timers.insert(Timer { deadline, seq, what })?;
        self.seq += 1;
        self.heap.push(Reverse((deadline, seq, key)));
        Some(key)
    }

    /// Moves a deadline; whether there was such a timer.
    pub(crate) fn reset(&mut self, key: Key, deadline: Instant) -> bool {
        let Some(timer) = self.timers.get_mut(key) else { return false };
        let earlier = deadline < timer.deadline || timer.seq == PARKED;
        timer.deadline = deadline;
        if earlier {
            timer.seq = self.seq;
            self.seq += 1;
            self.heap.push(Reverse((deadline, timer.seq, key)));
            self.sweep();
        }
        true
    }

    /// Lets a timer wait, however due it is, until it is [set again](Self::unpark), reset or cancelled.
    pub(crate) fn park(&mut self, key: Key) {
        if let Some(timer) = self.timers.get_mut(key) {
            timer.seq = PARKED;
        }
    }

    /// Sets a timer again that was parked, at the deadline that it had.
    pub(crate) fn unpark(&mut self, key: Key) {
        if let Some(timer) = self.timers.get_mut(key).filter(|timer| timer.seq == PARKED) {
            let deadline = timer.deadline;
            self.reset(key, deadline);
        }
    }

    pub(crate) fn cancel(&mut self, key: Key) -> Option<T> {
        let timer = self.timers.remove(key)?;
        self.sweep();
        Some(timer.what)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.timers.get_mut(key).map(|timer| &mut timer.what)
    }

    fn sweep(&mut self) {
        if self.heap.len() > SWEEP && self.heap.len() > 2 * self.timers.len() {
            let timers = &self.timers;
            self.heap.retain(|Reverse((_, seq, key))| timers.get(*key).is_some_and(|timer| timer.seq == *seq));
        }
    }

    /// The earliest deadline.
    #[inline]
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        if self.heap.is_empty() { None } else { self.first_deadline() }
    }

    fn first_deadline(&mut self) -> Option<Instant> {
        loop {
            let &Reverse((due, seq, key)) = self.heap.peek()?;
            match self.timers.get_mut(key) {
                Some(timer) if timer.seq == seq && timer.deadline == due => return Some(due),
                Some(timer) if timer.seq == seq => {
                    // Moved later since: it takes its new place now, with the number that it has, lest it count as set after a mark.
                    let entry = Reverse((timer.deadline, seq, key));
                    self.heap.pop();
                    self.heap.push(entry);
                }
                _ => {
                    self.heap.pop();
                }
            }
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// A timer that is due at `now` and was set before `mark`: to be taken by [`cancel`](Self::cancel), or parked.
    pub(crate) fn pop_due(&mut self, now: Instant, mark: u64) -> Option<Key> {
        if self.next_deadline()? > now {
            return None;
        }
        let &Reverse((_, seq, key)) = self.heap.peek()?;
        if seq >= mark {
            return None;
        }
        self.heap.pop();
        Some(key)
    }

    #[cfg(test)]
    fn heap_len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    fn fire(timers: &mut Timers<u32>, now: u64) -> Vec<u32> {
        let mark = timers.mark();
        core::iter::from_fn(|| timers.pop_due(at(now), mark).and_then(|key| timers.cancel(key))).collect()
    }

    #[test]
    fn earlier_deadlines_come_first_and_equal_ones_as_set() {
        //= LOOP-31
        let mut timers = Timers::new();
        for (deadline, what) in [(5, 1), (3, 2), (5, 3), (3, 4), (9, 5)] {
            timers.set(at(deadline), what);
        }
        assert_eq!(timers.next_deadline(), Some(at(3)));
        assert_eq!(fire(&mut timers, 2), []);
        assert_eq!(fire(&mut timers, 5), [2, 4, 1, 3]);
        assert_eq!(timers.next_deadline(), Some(at(9)));
    }

    #[test]
    fn a_cancelled_timer_does_not_fire_and_a_moved_one_fires_at_its_new_time() {
        //= LOOP-31
        let mut timers = Timers::new();
        let cancelled = timers.set(at(1), 1).unwrap();
        let later = timers.set(at(2), 2).unwrap();
        let earlier = timers.set(at(9), 3).unwrap();
        assert_eq!(timers.cancel(cancelled), Some(1));
        assert_eq!(timers.cancel(cancelled), None);
        assert!(timers.reset(later, at(7)));
        assert!(timers.reset(earlier, at(4)));
        assert!(!timers.reset(cancelled, at(4)));
        assert_eq!(timers.next_deadline(), Some(at(4)));
        assert_eq!(fire(&mut timers, 4), [3]);
        assert_eq!(fire(&mut timers, 6), []);
        assert_eq!(fire(&mut timers, 7), [2]);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn a_timer_moved_later_is_due_in_the_iteration_that_its_time_has_come_in() {
        //= LOOP-31
        let mut timers = Timers::new();
        timers.set(at(4), 1);
        let moved = timers.set(at(5), 2).unwrap();
        timers.set(at(20), 3);
        timers.reset(moved, at(10));
        assert_eq!(fire(&mut timers, 1000), [1, 2, 3]);
    }

    #[test]
    fn a_parked_timer_waits_until_it_is_set_again() {
        //= LOOP-31
        let mut timers = Timers::new();
        let keys: Vec<_> = (1..4).map(|what| timers.set(at(1), what).unwrap()).collect();
        for &key in &keys {
            assert_eq!(timers.pop_due(at(2), timers.mark()), Some(key));
            timers.park(key);
        }
        assert_eq!((timers.next_deadline(), fire(&mut timers, 9)), (None, Vec::new()));
        timers.cancel(keys[0]);
        timers.reset(keys[1], at(5));
        for key in keys {
            timers.unpark(key);
        }
        assert_eq!(fire(&mut timers, 4), [3]);
        assert_eq!(fire(&mut timers, 5), [2]);
    }

    #[test]
    fn the_heap_stays_in_proportion_to_the_timers_that_live() {
        let mut timers = Timers::new();
        for n in 0..100_000u32 {
            let key = timers.set(at(1_000_000), n).unwrap();
            timers.cancel(key);
        }
        let kept = timers.set(at(2_000_000), 0).unwrap();
        for n in (0..100_000u32).rev() {
            timers.reset(kept, at(u64::from(n)));
        }
        assert!(timers.heap_len() <= 2 * SWEEP);
    }

    #[test]
    fn cancelled_entries_are_swept_out_when_they_are_more_than_a_hundred_and_more_than_half() {
        let of = |set: u64, cancelled: usize| {
            let mut timers = Timers::new();
            let keys: Vec<_> = (0..set).map(|n| timers.set(at(n), ()).unwrap()).collect();
            for key in &keys[..cancelled] {
                timers.cancel(*key);
            }
            timers.heap_len()
        };
        assert_eq!((of(150, 1), of(150, 74), of(150, 75), of(150, 76)), (150, 150, 150, 74));
        assert_eq!((of(100, 100), of(101, 50), of(101, 51)), (100, 101, 50));
    }

    /// A timer as a line of a list: its deadline and its number, none while it is parked.
    type Line = (Key, Instant, Option<u64>, u32);

    #[test]
    fn timers_do_what_a_sorted_list_would_do() {
        //= LOOP-31
        let mut random = 7u32;
        let mut pick = |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % below
        };
        for _ in 0..200 {
            let (mut timers, mut list, mut keys, mut next, mut mark) = (Timers::new(), Vec::<Line>::new(), Vec::new(), 0, 0);
            for n in 0..60u32 {
                let deadline = at(u64::from(pick(6)));
                let key = if keys.is_empty() { Key::new(0, 0) } else { keys[pick(keys.len() as u32) as usize] };
                let line = list.iter_mut().find(|line| line.0 == key);
                match pick(8) {
                    0..=2 => {
                        let key = timers.set(deadline, n).unwrap();
                        keys.push(key);
                        list.push((key, deadline, Some(next), n));
                        next += 1;
                    }
                    3 => {
                        assert_eq!(timers.reset(key, deadline), line.is_some());
                        if let Some(line) = line {
                            // Moved later it keeps its number.
                            if deadline < line.1 || line.2.is_none() {
                                line.2 = Some(next);
                                next += 1;
                            }
                            line.1 = deadline;
                        }
                    }
                    4 => {
                        assert_eq!(timers.cancel(key), line.map(|line| line.3));
                        list.retain(|line| line.0 != key);
                    }
                    5 => {
                        timers.park(key);
                        line.into_iter().for_each(|line| line.2 = None);
                    }
                    6 => {
                        timers.unpark(key);
                        for line in line.into_iter().filter(|line| line.2.is_none()) {
                            line.2 = Some(next);
                            next += 1;
                        }
                    }
                    _ => mark = next,
                }
                assert_eq!(
                    (timers.mark(), timers.get_mut(key).copied()),
                    (next, list.iter().find(|line| line.0 == key).map(|line| line.3))
                );
                let first = list.iter().filter_map(|line| Some((line.1, line.2?, line.0))).min();
                assert_eq!(timers.next_deadline(), first.map(|first| first.0));
                assert_eq!(timers.is_empty(), first.is_none());
                let now = at(u64::from(pick(6)));
                let due = first.filter(|first| first.0 <= now && first.1 < mark).map(|first| first.2);
                assert_eq!(timers.pop_due(now, mark), due);
                if let Some(due) = due {
                    timers.cancel(due);
                    list.retain(|line| line.0 != due);
                }
            }
        }
    }
}

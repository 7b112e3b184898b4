//! Verbs of time: now, soon, later.

use super::{Hub, Ready};
use crate::key::{Key, StreamId, TimerId};
use crate::time::Instant;
use alloc::boxed::Box;
use core::time::Duration;

/// A scheduled callback.
pub type Job<S> = Box<dyn FnOnce(&mut Hub<S>, &mut S)>;

/// What a timer does when it is due.
pub(crate) enum Work<S> {
    Call(Job<S>),
    /// Calls the protocol of a connection; the connection's other timers are before and behind it.
    Stream {
        stream: Key,
        before: Option<Key>,
        behind: Option<Key>,
    },
    /// Accepting has rested.
    Accept {
        listener: Key,
    },
}

impl<S> Hub<S> {
    /// Calls `f` in a turn of its own, in the next iteration at the earliest, after everything scheduled before (contract LOOP-30).
    pub fn call_soon(&mut self, f: impl FnOnce(&mut Self, &mut S) + 'static) {
        self.call_boxed_soon(Box::new(f));
    }

    /// As [`call_soon`](Self::call_soon), for a callback that is boxed already.
    pub fn call_boxed_soon(&mut self, f: Job<S>) {
        self.ready.push_back(Ready::Soon(f));
    }

    /// Calls `f` after that time, not before (contract LOOP-31). The id cancels or moves it; `None` only if 2³² timers are set.
    pub fn call_later(&mut self, after: Duration, f: impl FnOnce(&mut Self, &mut S) + 'static) -> Option<TimerId> {
        self.call_at(self.now.saturating_add(after), f)
    }

    /// As [`call_later`](Self::call_later), at a point of the loop's clock; as soon as possible if that has passed.
    pub fn call_at(&mut self, when: Instant, f: impl FnOnce(&mut Self, &mut S) + 'static) -> Option<TimerId> {
        let key = self.timers.set(when.max(self.now), Work::Call(Box::new(f)))?;
        Some(TimerId::new(key, self.tag))
    }

    /// Calls [`Protocol::timer`](crate::Protocol::timer) of the connection's present protocol after that time. Replacing the
    /// protocol and losing the connection cancel it; while the connection is being opened, it waits for `connection_made`. `None` if
    /// the connection is lost.
    pub fn set_timer(&mut self, id: StreamId, after: Duration) -> Option<TimerId> {
        if self.stream(id)?.transport.is_over() {
            return None;
        }
        let deadline = self.now.saturating_add(after);
        let behind = self.stream_mut(id)?.cold().timers;
        let key = self.timers.set(deadline, Work::Stream { stream: id.key, before: None, behind })?;
        if let Some(Work::Stream { before, .. }) = behind.and_then(|behind| self.timers.get_mut(behind)) {
            *before = Some(key);
        }
        self.stream_mut(id)?.cold().timers = Some(key);
        Some(TimerId::new(key, self.tag))
    }

    /// Moves a timer to `after` from now; later costs next to nothing. Whether there was such a timer.
    pub fn reset_timer(&mut self, timer: TimerId, after: Duration) -> bool {
        timer.tag == self.tag && self.timers.reset(timer.key, self.now.saturating_add(after))
    }

    /// Cancels a timer; a no-op if it has fired or was cancelled (contract LOOP-31).
    pub fn cancel_timer(&mut self, timer: TimerId) {
        if timer.tag == self.tag {
            if let Some(work) = self.timers.cancel(timer.key) {
                self.unlink_timer(timer.key, &work);
            }
        }
    }

    /// Whether a timer belongs to a connection that is not made yet.
    pub(crate) fn is_of_an_opening(&mut self, timer: Key) -> bool {
        let Some(&mut Work::Stream { stream, .. }) = self.timers.get_mut(timer) else { return false };
        self.stream_at(stream).is_some_and(|stream| !stream.transport.is_made())
    }

    /// Timers that became due before `connection_made`.
    pub(crate) fn unpark_timers_of(&mut self, key: Key) {
        let mut next = self.stream_at(key).and_then(|stream| stream.cold.as_mut()?.timers);
        while let Some(timer) = next {
            self.timers.unpark(timer);
            next = match self.timers.get_mut(timer) {
                Some(&mut Work::Stream { behind, .. }) => behind,
                _ => None,
            };
        }
    }

    /// Takes a timer that has gone out of its connection's list.
    pub(crate) fn unlink_timer(&mut self, key: Key, work: &Work<S>) {
        let &Work::Stream { stream, before, behind } = work else { return };
        if let Some(Work::Stream { behind: link, .. }) = before.and_then(|before| self.timers.get_mut(before)) {
            *link = behind;
        }
        if let Some(Work::Stream { before: link, .. }) = behind.and_then(|behind| self.timers.get_mut(behind)) {
            *link = before;
        }
        if let Some(cold) = self.stream_at(stream).and_then(|stream| stream.cold.as_mut()) {
            if cold.timers == Some(key) {
                cold.timers = behind;
            }
        }
    }

    /// The protocol that set them goes.
    pub(crate) fn cancel_timers_of(&mut self, key: Key) {
        let mut next = self.stream_at(key).and_then(|stream| stream.cold.as_mut()?.timers.take());
        while let Some(timer) = next {
            next = match self.timers.cancel(timer) {
                Some(Work::Stream { behind, .. }) => behind,
                _ => None,
            };
        }
    }
}

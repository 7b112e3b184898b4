//! Verbs of time: now, soon, later.

use super::{Hub, Ready};
use crate::key::{EndpointId, Key, TimerId};
use crate::time::Instant;
use alloc::boxed::Box;
use core::time::Duration;

/// A scheduled callback.
pub type Job<S> = Box<dyn FnOnce(&mut Hub<S>, &mut S)>;

/// What a timer does when it is due.
pub(crate) enum Work<S> {
    Call(Job<S>),
    /// Calls the protocol of an endpoint; the endpoint's other timers are before and behind it.
    Protocol {
        of: Key,
        before: Option<Key>,
        behind: Option<Key>,
    },
    /// Accepting has rested.
    Accept {
        listener: Key,
    },
    /// Sending has rested.
    Send {
        datagram: Key,
    },
    /// An attempt to connect has been under way for long enough.
    Stagger {
        stream: Key,
    },
    /// A handshake, or the end of a secure connection, has been under way for long enough.
    Layer {
        stream: Key,
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

    /// Calls [`Protocol::timer`](crate::Protocol::timer) of the endpoint's present protocol after that time. Replacing the
    /// protocol and losing the endpoint cancel it; while the endpoint is being opened, it waits for `connection_made`. `None` if
    /// it is lost.
    pub fn set_timer(&mut self, id: impl Into<EndpointId>, after: Duration) -> Option<TimerId> {
        let id = id.into();
        let deadline = self.now.saturating_add(after);
        let (machine, common, _) = self.checked_parts(id)?;
        if machine.is_over() {
            return None;
        }
        let behind = common.cold().timers;
        let key = self.timers.set(deadline, Work::Protocol { of: id.key(), before: None, behind })?;
        if let Some(Work::Protocol { before, .. }) = behind.and_then(|behind| self.timers.get_mut(behind)) {
            *before = Some(key);
        }
        self.parts(id.key())?.1.cold().timers = Some(key);
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
        let Some(&mut Work::Protocol { of, .. }) = self.timers.get_mut(timer) else { return false };
        self.parts(of).is_some_and(|(machine, ..)| !machine.is_made())
    }

    /// Timers that became due before `connection_made`.
    pub(crate) fn unpark_timers_of(&mut self, key: Key) {
        let mut next = self.parts(key).and_then(|(_, common, _)| common.cold.as_mut()?.timers);
        while let Some(timer) = next {
            self.timers.unpark(timer);
            next = match self.timers.get_mut(timer) {
                Some(&mut Work::Protocol { behind, .. }) => behind,
                _ => None,
            };
        }
    }

    /// Takes a timer that has gone out of its connection's list.
    pub(crate) fn unlink_timer(&mut self, key: Key, work: &Work<S>) {
        let &Work::Protocol { of, before, behind } = work else { return };
        if let Some(Work::Protocol { behind: link, .. }) = before.and_then(|before| self.timers.get_mut(before)) {
            *link = behind;
        }
        if let Some(Work::Protocol { before: link, .. }) = behind.and_then(|behind| self.timers.get_mut(behind)) {
            *link = before;
        }
        if let Some(cold) = self.parts(of).and_then(|(_, common, _)| common.cold.as_mut()) {
            if cold.timers == Some(key) {
                cold.timers = behind;
            }
        }
    }

    /// The protocol that set them goes.
    pub(crate) fn cancel_timers_of(&mut self, key: Key) {
        let mut next = self.parts(key).and_then(|(_, common, _)| common.cold.as_mut()?.timers.take());
        while let Some(timer) = next {
            next = match self.timers.cancel(timer) {
                Some(Work::Protocol { behind, .. }) => behind,
                _ => None,
            };
        }
    }
}

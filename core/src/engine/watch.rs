//! Descriptors that are watched without a transport: facts of theirs.

use super::Engine;
use crate::error::Error;
use crate::hub::{Hub, Seat, Watch, Watcher};
use crate::key::{Key, WatchId};
use crate::report::{Origin, Report};

impl<S> Engine<S> {
    /// Whether a watch stands under this key.
    #[inline]
    #[must_use]
    pub fn is_watch(&mut self, key: Key) -> bool {
        self.hub.watch_at(key).is_some()
    }

    /// Whether somebody wants to know that a watched descriptor is readable.
    #[must_use]
    pub fn wants_readable(&mut self, key: Key) -> bool {
        self.hub.watch_at(key).is_some_and(|watch| watch.reader.is_taken())
    }

    /// Whether somebody wants to know that a watched descriptor is writable.
    #[must_use]
    pub fn wants_writable(&mut self, key: Key) -> bool {
        self.hub.watch_at(key).is_some_and(|watch| watch.writer.is_taken())
    }

    /// A watched descriptor is readable: a turn of whoever wants to know.
    pub fn readable(&mut self, key: Key) {
        self.call_watcher(key, |watch| &mut watch.reader);
    }

    /// A watched descriptor is writable: a turn of whoever wants to know.
    pub fn writable(&mut self, key: Key) {
        self.call_watcher(key, |watch| &mut watch.writer);
    }

    /// A descriptor cannot be watched, or not any more.
    pub fn watch_failed(&mut self, key: Key, error: Error) {
        if self.is_watch(key) {
            drop(self.hub.remove(key));
            self.hub.reports.push(Report::WatchFailed { id: WatchId::new(key, self.hub.tag), error });
        }
    }

    fn call_watcher(&mut self, key: Key, seat: fn(&mut Watch<S>) -> &mut Seat<S>) {
        let Some(watcher) = self.hub.watch_at(key).and_then(|watch| seat(watch).lift()) else { return };
        let mut lent = Lent { hub: &mut self.hub, key, seat, watcher: Some(watcher), returned: false };
        if let Some(watcher) = &mut lent.watcher {
            watcher(lent.hub, &mut self.state);
        }
        lent.returned = true;
    }
}

/// A callback on loan to its own call.
struct Lent<'a, S> {
    hub: &'a mut Hub<S>,
    key: Key,
    seat: fn(&mut Watch<S>) -> &mut Seat<S>,
    watcher: Option<Watcher<S>>,
    returned: bool,
}

impl<S> Drop for Lent<'_, S> {
    fn drop(&mut self) {
        if !self.returned {
            let origin = Origin::Watch(WatchId::new(self.key, self.hub.tag));
            self.hub.reports.push(Report::Panicked { origin, message: None });
            // Its descriptor may still be ready, and it would panic again and again.
            drop(self.hub.remove(self.key));
        } else if let (Some(watch), Some(watcher)) = (self.hub.watch_at(self.key), self.watcher.take()) {
            (self.seat)(watch).put_back(watcher);
        }
    }
}

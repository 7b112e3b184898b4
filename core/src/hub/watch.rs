//! Verbs of descriptors that are watched without a transport.

use super::Hub;
use crate::endpoint::{About, Endpoint};
use crate::error::{Call, Error, ErrorKind};
use crate::key::{Key, WatchId};
use crate::op::Op;
use crate::open::Resource;
use alloc::boxed::Box;

/// What is called when a descriptor is ready.
pub(crate) type Watcher<S> = Box<dyn FnMut(&mut Hub<S>, &mut S)>;

/// A place for a callback.
pub(crate) enum Seat<S> {
    Empty,
    Taken(Watcher<S>),
    /// Its callback is being called.
    Called,
}

impl<S> Seat<S> {
    /// Takes the callback out for its call.
    pub(crate) fn lift(&mut self) -> Option<Watcher<S>> {
        match core::mem::replace(self, Self::Called) {
            Self::Taken(watcher) => Some(watcher),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Puts it back, unless it was removed or replaced while it ran.
    pub(crate) fn put_back(&mut self, watcher: Watcher<S>) {
        if matches!(self, Self::Called) {
            *self = Self::Taken(watcher);
        }
    }

    pub(crate) const fn is_taken(&self) -> bool {
        !matches!(self, Self::Empty)
    }
}

/// A descriptor that is watched.
pub(crate) struct Watch<S> {
    pub(crate) reader: Seat<S>,
    pub(crate) writer: Seat<S>,
    /// It is in the list of what is to be looked at.
    pub(crate) dirty: bool,
}

impl<S> Hub<S> {
    /// Watches something of the backend's, of which nothing is told before [`add_reader`](Self::add_reader) or [`add_writer`](Self::add_writer).
    /// On Unix it is a descriptor, and `HubExt::watch` of the backend takes that. If it turns out that it cannot be watched the watch ends, and a
    /// [`Report::WatchFailed`](crate::Report::WatchFailed) says why: `Unsupported` of a backend that watches nothing.
    pub fn watch_resource(&mut self, resource: Resource) -> WatchId {
        let watch = Watch { reader: Seat::Empty, writer: Seat::Empty, dirty: false };
        let Some(key) = self.insert(Endpoint::Watch(Box::new(watch)), About::default()) else {
            return WatchId::new(Key::from_bits(0), self.tag);
        };
        let id = WatchId::new(key, self.tag);
        self.ops.push_back(Op::Watch(id, resource));
        id
    }

    /// Calls `f` whenever the descriptor can be read without waiting, at its end and after an error too: once an iteration for as long as that is so, until it is
    /// removed. A callback that was there is replaced.
    ///
    /// It may do everything that a callback may do, and remove itself. If it panics, the watch ends, and that is reported (contract RUST-8).
    ///
    /// # Errors
    /// `Closed` if the watch has ended.
    pub fn add_reader(&mut self, id: WatchId, f: impl FnMut(&mut Self, &mut S) + 'static) -> Result<(), Error> {
        self.take_seat(id, |watch| &mut watch.reader, Box::new(f))
    }

    /// As [`add_reader`](Self::add_reader), whenever it can be written without waiting.
    ///
    /// # Errors
    /// As there.
    pub fn add_writer(&mut self, id: WatchId, f: impl FnMut(&mut Self, &mut S) + 'static) -> Result<(), Error> {
        self.take_seat(id, |watch| &mut watch.writer, Box::new(f))
    }

    /// Calls the callback for reading no more; whether there was one. The descriptor stays with the loop until [`unwatch`](Self::unwatch).
    pub fn remove_reader(&mut self, id: WatchId) -> bool {
        self.leave_seat(id, |watch| &mut watch.reader)
    }

    /// As [`remove_reader`](Self::remove_reader), of the callback for writing.
    pub fn remove_writer(&mut self, id: WatchId) -> bool {
        self.leave_seat(id, |watch| &mut watch.writer)
    }

    /// Ends a watch: neither callback is called any more, and the loop's descriptor is closed right after the callback that runs now. Whether there was
    /// such a watch.
    pub fn unwatch(&mut self, id: WatchId) -> bool {
        id.tag == self.tag && self.watch_at(id.key).is_some() && self.remove(id.key).is_some()
    }

    /// Whether a watch has not ended.
    #[must_use]
    pub fn is_watching(&self, id: WatchId) -> bool {
        id.tag == self.tag && matches!(self.endpoints.get(id.key), Some(Endpoint::Watch(_)))
    }

    fn take_seat(&mut self, id: WatchId, seat: fn(&mut Watch<S>) -> &mut Seat<S>, watcher: Watcher<S>) -> Result<(), Error> {
        let tag = self.tag;
        let watch = self.watch_at(id.key).filter(|_| id.tag == tag).ok_or(Error::new(Call::Watch, ErrorKind::Closed))?;
        // Dropped when everything else is done: what it drops is the application's.
        let _before = core::mem::replace(seat(watch), Seat::Taken(watcher));
        self.look_at_watch(id.key);
        Ok(())
    }

    fn leave_seat(&mut self, id: WatchId, seat: fn(&mut Watch<S>) -> &mut Seat<S>) -> bool {
        let tag = self.tag;
        let Some(watch) = self.watch_at(id.key).filter(|_| id.tag == tag) else { return false };
        let before = core::mem::replace(seat(watch), Seat::Empty);
        self.look_at_watch(id.key);
        before.is_taken()
    }

    pub(crate) fn watch_at(&mut self, key: Key) -> Option<&mut Watch<S>> {
        match self.endpoints.get_mut(key) {
            Some(Endpoint::Watch(watch)) => Some(watch),
            _ => None,
        }
    }

    /// What is wanted of it has changed.
    fn look_at_watch(&mut self, key: Key) {
        if self.watch_at(key).is_some_and(|watch| !core::mem::replace(&mut watch.dirty, true)) {
            self.dirty.push_back(key);
        }
    }
}

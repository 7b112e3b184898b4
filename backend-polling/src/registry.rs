//! polling's poller, and the only unsafe code of plimsoll beside `plimsoll-raw`, with its argument.
//!
//! [`Poller::add_with_mode`] is unsafe because a descriptor that it was given must be deleted from the poller before it is closed: on some systems the
//! poller keeps nothing but the number, and would go on to use it, whatever it then names.
//!
//! It is called in one place, [`Registry::add`], with a [`Watched`] descriptor. Only the loop of `plimsoll-sys` can make one of these, and
//! it promises to keep it open until it has called [`Registry::remove`] with it, whatever happens: also when a connection fails, when a
//! callback panics, and when the loop is dropped. A poller that is itself gone uses nothing any more.
#![allow(unsafe_code, reason = "see above")]

use plimsoll_core::driver::Interest;
use plimsoll_sys::Watched;
use polling::{Event, PollMode, Poller};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

/// Which descriptors the poller has.
#[derive(Debug)]
pub(crate) struct Registry {
    poller: Arc<Poller>,
    mode: PollMode,
    /// Whether the descriptor of this index is in the poller. A level-triggered poller tells of errors and hang-ups for as long as it has a descriptor, so it has
    /// only those of which something is to be told.
    added: Vec<bool>,
}

impl Registry {
    pub(crate) const fn new(poller: Arc<Poller>, mode: PollMode) -> Self {
        Self { poller, mode, added: Vec::new() }
    }

    pub(crate) const fn poller(&self) -> &Arc<Poller> {
        &self.poller
    }

    pub(crate) const fn mode(&self) -> PollMode {
        self.mode
    }

    /// Makes the poller tell this of a descriptor, or nothing.
    pub(crate) fn set(&mut self, descriptor: Watched<'_>, index: usize, interest: Interest) -> io::Result<()> {
        // Errors and hang-ups are told of whatever it has.
        let wanted = interest.readable || interest.writable || interest.hang_up;
        match (self.has(index), wanted) {
            (false, true) => self.add(descriptor, event(index, interest)),
            (true, true) => self.poller.modify_with_mode(descriptor, event(index, interest), self.mode),
            (true, false) => {
                self.remove(descriptor, index);
                Ok(())
            }
            (false, false) => Ok(()),
        }
    }

    /// The descriptor goes.
    pub(crate) fn remove(&mut self, descriptor: Watched<'_>, index: usize) {
        if self.has(index) {
            self.added[index] = false;
            // It can only fail if the poller does not have it.
            let _ = self.poller.delete(descriptor);
        }
    }

    fn has(&self, index: usize) -> bool {
        self.added.get(index).is_some_and(|&added| added)
    }

    fn add(&mut self, descriptor: Watched<'_>, event: Event) -> io::Result<()> {
        // SAFETY: the descriptor is open, and stays open until `remove` was called with it, as the module says; `remove` deletes it because it is
        // noted as added.
        unsafe { self.poller.add_with_mode(descriptor.as_fd().as_raw_fd(), event, self.mode)? };
        if self.added.len() <= event.key {
            self.added.resize(event.key + 1, false);
        }
        self.added[event.key] = true;
        Ok(())
    }
}

const fn event(index: usize, interest: Interest) -> Event {
    Event::new(index, interest.readable, interest.writable)
}

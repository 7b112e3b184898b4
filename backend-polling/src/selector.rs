//! polling's poller as the loop wants it.

use crate::registry::Registry;
use core::fmt;
use core::num::NonZeroUsize;
use core::time::Duration;
use plimsoll_core::Wake;
use plimsoll_core::driver::{Interest, Ready, Trigger};
use plimsoll_sys::{Selector, Watched};
use polling::{Events, PollMode, Poller};
use std::io;
#[cfg(not(polling_test_poll_backend))]
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};

/// polling's poller.
#[derive(Debug)]
pub struct Polling {
    registry: Registry,
}

impl Polling {
    /// Told once, when something becomes possible.
    ///
    /// # Errors
    /// The system's, or that it has no such poller.
    pub fn edge() -> io::Result<Self> {
        let poller = Poller::new()?;
        if !poller.supports_edge() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self { registry: Registry::new(Arc::new(poller), PollMode::Edge) })
    }

    /// Told as long as something is possible.
    ///
    /// # Errors
    /// The system's, or that it has no such poller.
    pub fn level() -> io::Result<Self> {
        let poller = Poller::new()?;
        if !poller.supports_level() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self { registry: Registry::new(Arc::new(poller), PollMode::Level) })
    }
}

/// What a wait saw.
pub struct Seen {
    events: Events,
    edge: bool,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").field("len", &self.events.len()).finish_non_exhaustive()
    }
}

impl Selector for Polling {
    type Events = Seen;
    type Waker = Ring;

    /// Level-triggered where the system allows it. polling does not say that a peer has finished, so an edge-triggered poller has to be
    /// asked again after every read; measured, that costs more than a level-triggered one, which needs another call only when
    /// a reader is paused or a writer has to wait.
    fn new() -> io::Result<Self> {
        Self::level().or_else(|_| Self::edge())
    }

    fn events(most: usize) -> Seen {
        let most = NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        Seen { events: Events::with_capacity(most), edge: false }
    }

    fn trigger(&self) -> Trigger {
        if self.registry.mode() == PollMode::Edge { Trigger::Edge } else { Trigger::Level }
    }

    fn register(&mut self, descriptor: Watched<'_>, index: usize) -> io::Result<()> {
        let all = self.trigger() == Trigger::Edge;
        self.registry.set(descriptor, index, Interest { readable: all, writable: all, hang_up: all })
    }

    fn modify(&mut self, descriptor: Watched<'_>, index: usize, interest: Interest) -> io::Result<()> {
        self.registry.set(descriptor, index, interest)
    }

    fn deregister(&mut self, descriptor: Watched<'_>, index: usize) {
        self.registry.remove(descriptor, index);
    }

    fn wait(&mut self, seen: &mut Seen, timeout: Option<Duration>) -> io::Result<()> {
        seen.events.clear();
        seen.edge = self.trigger() == Trigger::Edge;
        self.registry.poller().wait(&mut seen.events, timeout).map(drop)
    }

    #[inline]
    fn each(seen: &Seen, mut ready: impl FnMut(usize, Ready)) {
        for event in seen.events.iter() {
            let what = Ready {
                readable: event.readable,
                writable: event.writable,
                // polling does not say that the peer has finished. Told only once, it may have been told together with the last bytes.
                read_closed: event.is_interrupt() || seen.edge && event.readable,
                write_closed: event.is_interrupt(),
                error: event.is_err() == Some(true),
            };
            ready(event.key, what);
        }
    }

    fn waker(&self) -> io::Result<Ring> {
        Ok(Ring(Arc::downgrade(self.registry.poller())))
    }
}

#[cfg(not(polling_test_poll_backend))]
impl AsFd for Polling {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registry.poller().as_fd()
    }
}

/// Wakes the loop. It holds nothing of a loop that is gone.
#[derive(Debug)]
pub struct Ring(Weak<Poller>);

impl Wake for Ring {
    fn wake(&self) {
        if let Some(poller) = self.0.upgrade() {
            // It can only fail if the descriptor is bad, which is ours alone.
            let _ = poller.notify();
        }
    }
}

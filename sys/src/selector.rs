//! What a backend crate writes: a poller.

use core::time::Duration;
use plimsoll_core::Wake;
use plimsoll_core::driver::{Interest, Ready, Trigger};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Waits until descriptors are ready: all that a backend supplies.
///
/// A descriptor is known by the index under which it was registered. Readiness that nobody asked for, or that comes too late for a descriptor that is gone, is
/// harmless: whoever is told of it makes a call that does not block, and looks. Readiness that is kept silent is not.
///
/// A poller that has a descriptor of its own is also [`AsFd`]: then a loop over it can be watched by another loop.
pub trait Selector: Sized {
    /// Where a wait puts what it saw.
    type Events;

    /// Wakes a wait from other threads.
    type Waker: Wake + 'static;

    /// A poller that watches nothing yet.
    ///
    /// # Errors
    /// The system's.
    fn new() -> io::Result<Self>;

    /// Room for what one wait sees; what does not fit is seen by the next one.
    fn events(most: usize) -> Self::Events;

    /// How it tells. Asked once.
    fn trigger(&self) -> Trigger;

    /// Watches a descriptor: an edge-triggered poller in both directions until [`deregister`](Self::deregister) or [`modify`](Self::modify), a level-triggered one not
    /// before [`modify`](Self::modify) says for what.
    ///
    /// # Errors
    /// The system's.
    fn register(&mut self, descriptor: Watched<'_>, index: usize) -> io::Result<()>;

    /// Tells a level-triggered poller what to tell; nothing at all means: not even errors and hang-ups. An edge-triggered one is told of datagram sockets alone, which can
    /// always be read, whether it is to tell that there is room: what is so already is told then.
    ///
    /// # Errors
    /// The system's.
    fn modify(&mut self, descriptor: Watched<'_>, index: usize, interest: Interest) -> io::Result<()>;

    /// Forgets a descriptor, which is still open.
    fn deregister(&mut self, descriptor: Watched<'_>, index: usize);

    /// Waits until a watched descriptor is ready, the waker is rung, or the time is over; for ever without a timeout. A wait that was
    /// interrupted by a signal has seen nothing.
    ///
    /// # Errors
    /// The system's.
    fn wait(&mut self, events: &mut Self::Events, timeout: Option<Duration>) -> io::Result<()>;

    /// Hands out what the last wait saw. The waker is not among it.
    fn each(events: &Self::Events, ready: impl FnMut(usize, Ready));

    /// What wakes it, from any thread; it does not keep the poller alive. Asked once.
    ///
    /// # Errors
    /// The system's.
    fn waker(&self) -> io::Result<Self::Waker>;
}

/// A descriptor that the loop owns. Only the loop makes these, and it keeps two promises, on which the safety of a poller may rest:
/// until [`Selector::deregister`] was called with it the descriptor stays open, and a loop that ends deregisters all.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a>(BorrowedFd<'a>);

impl<'a> Watched<'a> {
    pub(crate) const fn new(descriptor: BorrowedFd<'a>) -> Self {
        Self(descriptor)
    }
}

impl AsFd for Watched<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}

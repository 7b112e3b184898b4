//! The one door from other threads: the only code of the core that knows of them.

use crate::hub::Hub;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use std::sync::PoisonError;

/// What is sent through the door.
pub type Item<S> = Box<dyn FnOnce(&mut Hub<S>, &mut S) + Send>;

/// Rings a loop that may be asleep. Called from any thread, at most once between two drains.
pub trait Wake: Send + Sync {
    /// Makes the present or the next wait of the loop return at once.
    fn wake(&self);
}

struct Shared<S> {
    /// None once the loop is closed.
    items: Mutex<Option<Vec<Item<S>>>>,
    /// The loop has been rung since it last looked. Read and written together (AcqRel), or not at all: a plain load or store on
    /// either side could lose a wake-up.
    rung: AtomicBool,
    wake: Box<dyn Wake>,
}

/// Reaches a loop from any thread (contract THREAD-2): `call_soon` there, as asyncio's `call_soon_threadsafe`.
///
/// Items of one thread run in the order sent, in the next iteration at the earliest. There is no bound on how many may wait, as in asyncio: a
/// sender that can outrun the loop looks at [`len`](Self::len). Not usable in a signal handler: it takes a lock and allocates.
pub struct Remote<S> {
    shared: Arc<Shared<S>>,
}

/// The loop is closed. Carries what was to be called (contract THREAD-4).
pub struct Closed<F>(pub F);

impl<F> fmt::Debug for Closed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed")
    }
}

impl<F> fmt::Display for Closed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the loop is closed")
    }
}

impl<F> core::error::Error for Closed<F> {}

impl<S> Remote<S> {
    /// Calls `f` on the loop's thread, soon, and wakes the loop if it sleeps. May also be used on the loop's own thread.
    ///
    /// # Errors
    /// `f` itself, if the loop is closed. Never blocks for longer than another sender takes to push.
    pub fn call_soon<F: FnOnce(&mut Hub<S>, &mut S) + Send + 'static>(&self, f: F) -> Result<(), Closed<F>> {
        {
            let mut items = self.shared.items.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(items) = &mut *items else { return Err(Closed(f)) };
            items.push(Box::new(f));
        }
        if !self.shared.rung.swap(true, Ordering::AcqRel) {
            self.shared.wake.wake();
        }
        Ok(())
    }

    /// How many items wait to be called.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.items.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Vec::len)
    }

    /// Whether no item waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the loop is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.items.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl<S> Clone for Remote<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S> fmt::Debug for Remote<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The loop's side of the door. Dropping it closes the door.
pub struct Inbox<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Inbox<S> {
    /// An open door; `wake` rings the loop that will drain it.
    pub fn new(wake: impl Wake + 'static) -> Self {
        let shared = Shared { items: Mutex::new(Some(Vec::new())), rung: AtomicBool::new(false), wake: Box::new(wake) };
        Self { shared: Arc::new(shared) }
    }

    /// A handle for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote<S> {
        Remote { shared: self.shared.clone() }
    }

    /// Takes everything that waits, in order. To be called after every wait, before the next one.
    #[must_use]
    pub fn drain(&self) -> Vec<Item<S>> {
        // The flag first: an item that is pushed after we have taken the others must ring again.
        if !self.shared.rung.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        let mut items = self.shared.items.lock().unwrap_or_else(PoisonError::into_inner);
        items.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// Closes the door: what still waits is dropped, here and not called, and every later sender gets its item back.
    pub fn close(&self) {
        let waiting = self.shared.items.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Outside of the lock: dropping an item may run code of the application's.
        drop(waiting);
    }
}

impl<S> Drop for Inbox<S> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<S> fmt::Debug for Inbox<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbox")
    }
}

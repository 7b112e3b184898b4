//! Looking names up, beside the loop.

mod system;
#[cfg(test)]
mod tests;
mod threads;

pub use threads::ThreadedResolver;

use core::fmt;
use core::net::SocketAddr;
use plimsoll_core::{Call, Error, ErrorKind, Name, QueryId, Wake};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};

/// What a lookup found: addresses in the order in which they are to be tried. Their ports do not matter.
pub type Found = Result<Vec<SocketAddr>, Error>;

/// Looks names of hosts up: see [`EventLoop::set_resolver`](crate::EventLoop::set_resolver). A closure is one.
///
/// Names that spell an address out, empty ones, and such as no host can have do not get here.
pub trait Resolve {
    /// Begins to look a name up. `answer` says what was found: at once or later, from any thread. This is called on the loop's thread, and must
    /// not wait.
    fn resolve(&mut self, name: &Name, answer: Answer);

    /// Looks a name up and waits for it: for [`EventLoop::listen`](crate::EventLoop::listen).
    ///
    /// # Errors
    /// Why it was not found; `Unsupported` if this resolver cannot do that, as by default. Then there is still [`Hub::listen`](plimsoll_core::Hub::listen).
    #[allow(unused_variables, reason = "the name documents the default body")]
    fn resolve_now(&mut self, name: &Name) -> Found {
        Err(Error::new(Call::Resolve, ErrorKind::Unsupported))
    }
}

impl<F: FnMut(&Name, Answer)> Resolve for F {
    fn resolve(&mut self, name: &Name, answer: Answer) {
        self(name, answer);
    }
}

/// Where the answer to one lookup goes. Dropped without one, it says that the name cannot be looked up now.
pub struct Answer {
    query: QueryId,
    wanted: Weak<()>,
    door: Option<Sender<(QueryId, Found)>>,
    wake: Arc<dyn Wake>,
}

impl Answer {
    /// Says what was found, and wakes the loop. If nobody waits for it any more nothing happens.
    pub fn send(mut self, found: Found) {
        self.deliver(found);
    }

    /// Whether somebody still waits for it: the connection may have been given up, or the loop be gone.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted.strong_count() > 0
    }

    fn deliver(&mut self, found: Found) {
        // A loop that is gone does not listen.
        if self.door.take().is_some_and(|door| door.send((self.query, found)).is_ok()) {
            self.wake.wake();
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.deliver(Err(Error::new(Call::Resolve, ErrorKind::LookupFailed)));
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("is_wanted", &self.is_wanted()).finish_non_exhaustive()
    }
}

/// The lookups of a loop.
pub(crate) struct Lookups {
    resolver: Box<dyn Resolve>,
    /// Those that somebody waits for.
    wanted: BTreeMap<QueryId, Arc<()>>,
    door: Sender<(QueryId, Found)>,
    answers: Receiver<(QueryId, Found)>,
    /// Answers that have not come yet, wanted or not: each lookup has exactly one.
    missing: usize,
    wake: Arc<dyn Wake>,
}

impl Lookups {
    pub(crate) fn new(wake: Arc<dyn Wake>) -> Self {
        let (door, answers) = channel();
        let resolver = Box::new(ThreadedResolver::default());
        Self { resolver, wanted: BTreeMap::new(), door, answers, missing: 0, wake }
    }

    pub(crate) fn set_resolver(&mut self, resolver: Box<dyn Resolve>) {
        self.resolver = resolver;
    }

    pub(crate) fn begin(&mut self, query: QueryId, name: &Name) {
        let mark = Arc::new(());
        let wanted = Arc::downgrade(&mark);
        self.wanted.insert(query, mark);
        self.missing += 1;
        self.resolver.resolve(name, Answer { query, wanted, door: Some(self.door.clone()), wake: self.wake.clone() });
    }

    pub(crate) fn forget(&mut self, query: QueryId) {
        self.wanted.remove(&query);
    }

    pub(crate) fn now(&mut self, name: &Name) -> Found {
        self.resolver.resolve_now(name)
    }

    /// The next answer that somebody waits for.
    #[inline]
    pub(crate) fn next_answer(&mut self) -> Option<(QueryId, Found)> {
        if self.missing == 0 { None } else { self.receive() }
    }

    #[cold]
    fn receive(&mut self) -> Option<(QueryId, Found)> {
        while let Ok((query, found)) = self.answers.try_recv() {
            self.missing -= 1;
            if self.wanted.remove(&query).is_some() {
                return Some((query, found));
            }
        }
        None
    }

    /// The loop is closed: nobody waits any more, and nobody will.
    pub(crate) fn close(&mut self) {
        self.wanted.clear();
        // Answers that come later find no door, and threads no work.
        self.resolver = Box::new(|_: &Name, _: Answer| {});
        (self.door, self.answers) = channel();
        self.missing = 0;
    }
}

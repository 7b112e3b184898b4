//! Names that are looked up, as a test says.

use super::calls::Backend;
use super::clock::Happening;
use super::fault::Syscall;
use super::net::Net;
use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_core::{ErrorKind, Name, QueryId};

/// What a lookup brings.
pub(crate) type Found = Result<Vec<SocketAddr>, ErrorKind>;

impl Net {
    fn script(&mut self, name: &Name) -> (Duration, Found) {
        self.looked_up.push(name.clone());
        self.names.get(name.host()).cloned().unwrap_or((Duration::ZERO, Err(ErrorKind::HostNotFound)))
    }

    /// Begins a lookup; it cannot, or says later what it found.
    pub(crate) fn look_up(&mut self, asker: Backend, query: QueryId, name: &Name) -> Result<(), ErrorKind> {
        let (after, mut found) = self.script(name);
        match self.enter(Syscall::Resolve, None) {
            Ok(_) => {}
            Err(kind @ (ErrorKind::HostNotFound | ErrorKind::LookupFailed)) => found = Err(kind),
            Err(kind) => return Err(kind),
        }
        self.lookups.push((asker, query));
        let at = self.now().saturating_add(after);
        self.clock.push(at, Happening::Answered { asker, query, found });
        Ok(())
    }

    /// A lookup that somebody waits for.
    pub(crate) fn look_up_now(&mut self, name: &Name) -> Found {
        self.enter(Syscall::Resolve, None)?;
        let (after, found) = self.script(name);
        let at = self.now().saturating_add(after);
        self.clock.set_now(at);
        found
    }

    pub(crate) fn forget(&mut self, asker: Backend, query: QueryId) {
        self.lookups.retain(|lookup| *lookup != (asker, query));
    }

    /// An answer comes, whether somebody waits for it or not.
    pub(crate) fn answered(&mut self, asker: Backend, query: QueryId, found: Found) {
        self.forget(asker, query);
        self.answers.push((asker, query, found));
    }

    /// The next answer for a loop.
    pub(crate) fn take_answer(&mut self, asker: Backend) -> Option<(QueryId, Found)> {
        let index = self.answers.iter().position(|answer| answer.0 == asker)?;
        let (_, query, found) = self.answers.remove(index);
        Some((query, found))
    }

    pub(crate) fn has_answer(&self, asker: Backend) -> bool {
        self.answers.iter().any(|answer| answer.0 == asker)
    }
}

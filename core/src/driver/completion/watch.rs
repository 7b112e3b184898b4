//! Descriptors that are watched without a transport.

use super::{CompletionDriver, CompletionIo, RECEIVING, SENDING};
use crate::key::Key;

impl<S, Y: CompletionIo> CompletionDriver<S, Y> {
    /// Begins to wait for what somebody wants to know, unless that is under way.
    pub(super) fn poll_watch(&mut self, key: Key) {
        let wanted = [(false, RECEIVING, self.engine.wants_readable(key)), (true, SENDING, self.engine.wants_writable(key))];
        for (writable, flag, _) in wanted.into_iter().filter(|(.., wanted)| *wanted) {
            let Some(conn) = self.conns.get_mut(key).filter(|conn| conn.flags & flag == 0) else { continue };
            match self.io.poll(&mut conn.source, key, writable) {
                Ok(()) => conn.flags |= flag,
                Err(error) => {
                    self.engine.watch_failed(key, error);
                    return;
                }
            }
        }
    }

    /// It can be read, or written: somebody may want to know. Whoever still does is told again in the next iteration, as long as that is so.
    pub(super) fn watch_ready(&mut self, key: Key, writable: bool) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.flags &= if writable { !SENDING } else { !RECEIVING };
        if self.io.is_ready(&mut conn.source, writable) {
            if writable { self.engine.writable(key) } else { self.engine.readable(key) }
        }
        self.poll_watch(key);
    }
}

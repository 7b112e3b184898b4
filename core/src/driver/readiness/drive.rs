//! What the order of an iteration asks of this driver.

use super::{BLOCKED, CONNECTING, Conn, HUNG_UP, Interest, LISTENING, READABLE, ReadinessDriver, ReadinessIo};
use crate::driver::Drive;
use crate::engine::Engine;
use crate::error::{Call, Error, ErrorKind};
use crate::flow::queue::MAX_PIECES;
use crate::key::Key;
use crate::open::Attempt;
use crate::status::Wants;

/// How many sends one connection gets in one go while the kernel takes all.
pub(super) const SENDS: usize = 4;

impl<S, Y: ReadinessIo> Drive<S> for ReadinessDriver<S, Y> {
    type Io = Y;

    #[inline]
    fn engine(&mut self) -> &mut Engine<S> {
        &mut self.engine
    }

    fn io(&mut self) -> &mut Y {
        &mut self.io
    }

    fn with_source<R>(&mut self, key: Key, f: impl FnOnce(&mut Y, &mut Y::Source) -> R) -> Option<R> {
        let conn = self.conns.get_mut(key)?;
        Some(f(&mut self.io, &mut conn.source))
    }

    fn flush(&mut self, key: Key) {
        for _ in 0..SENDS {
            let Some(transport) = self.engine.transport(key) else { return self.flush_datagrams(key) };
            let Some(conn) = self.conns.get_mut(key) else { return };
            if conn.flags & BLOCKED != 0 {
                return;
            }
            match transport.wants_send() {
                Wants::Nothing => return,
                Wants::Fin => {
                    let result = self.io.shutdown_write(&mut conn.source);
                    self.engine.shut_down(key, result);
                    return;
                }
                Wants::File => {
                    if !self.send_file(key) {
                        return;
                    }
                    continue;
                }
                Wants::Bytes => {}
            }
            let mut slices: [&[u8]; MAX_PIECES] = [&[]; MAX_PIECES];
            let count = transport.gather(&mut slices);
            let offered = slices[..count].iter().map(|slice| slice.len()).sum();
            let pipe = !transport.can_read();
            let bufs = &slices[..count];
            let sent = if pipe { self.io.send_pipe(&mut conn.source, bufs) } else { self.io.send(&mut conn.source, bufs) };
            match sent {
                Ok(Some(n)) if n == offered => self.engine.sent(key, n),
                Ok(taken) => {
                    // The kernel's buffer is full; that it has room again is told.
                    conn.flags |= BLOCKED;
                    self.engine.sent(key, taken.unwrap_or(0));
                    return;
                }
                Err(error) => {
                    self.engine.send_failed(key, error);
                    return;
                }
            }
        }
        self.flush_later(key);
    }

    fn refresh(&mut self, key: Key) {
        if self.engine.datagrams(key).is_some() {
            self.refresh_datagrams(key);
            if self.has(key, READABLE) && self.engine.datagrams(key).is_some_and(|transport| transport.wants_receive()) {
                self.queue(key);
            }
            if self.level {
                self.rearm(key);
            }
            return;
        }
        self.flush(key);
        self.advance_layer(key);
        if self.has(key, HUNG_UP) {
            self.hung_up(key);
        }
        self.engine.deliver_eof(key);
        if self.has(key, READABLE) && self.engine.wants_read(key).is_some() {
            self.queue(key);
        }
        if self.level {
            self.rearm(key);
        } else if self.engine.is_watch(key) {
            // It may have been ready for long, and was told of then.
            self.queue(key);
        }
    }

    fn begin_connect(&mut self, key: Key, to: &Attempt) -> Result<(), Error> {
        let source = self.io.connect(to)?;
        self.keep(key, source, CONNECTING)
    }

    fn rekey(&mut self, from: Key, to: Key) -> Result<(), Error> {
        let Some(mut conn) = self.conns.remove(from) else { return Err(Error::new(Call::Register, ErrorKind::Closed)) };
        if let Err(error) = self.io.rekey(&mut conn.source, from, to) {
            self.io.close(conn.source, from);
            return Err(error);
        }
        // What was told under the other key is told again; a level-triggered poller is armed when the connection is made.
        self.conns.insert(to, Conn { source: conn.source, flags: 0, armed: Interest::default() });
        Ok(())
    }

    fn keep_stream(&mut self, key: Key, source: Y::Source) -> Result<(), Error> {
        self.keep(key, source, 0)
    }

    fn keep_datagram(&mut self, key: Key, source: Y::Source) -> Result<(), Error> {
        self.keep(key, source, 0)
    }

    fn keep_listener(&mut self, key: Key, source: Y::Source) -> Result<(), Error> {
        self.keep(key, source, LISTENING)
    }

    fn keep_child(&mut self, key: Key, source: Y::Source) -> Result<(), Error> {
        self.keep(key, source, 0)
    }

    fn keep_watch(&mut self, key: Key, source: Y::Source) -> Result<(), Error> {
        self.keep(key, source, BLOCKED)
    }

    fn accept(&mut self, key: Key) {
        // Whatever came before it listened, or while it rested, is not told again.
        if let Some(conn) = self.conns.get_mut(key) {
            conn.flags |= READABLE;
        }
        self.queue(key);
    }

    fn close(&mut self, key: Key) {
        if let Some(conn) = self.conns.remove(key) {
            self.io.close(conn.source, key);
        }
    }
}

//! Pipes of the simulated kernel: bytes in a buffer, readers on one side and writers on the other.

use super::net::{Drain, Kind, Net, Owner, SockId, Socket};
use plimsoll_core::driver::Ready;
use plimsoll_core::{ErrorKind, Key, UnixAddr};
use std::collections::VecDeque;

/// An end of a pipe.
#[derive(Debug)]
pub(crate) struct PipeEnd {
    pub(crate) pipe: Key,
    pub(crate) writes: bool,
    /// It is one of this child's.
    pub(crate) child: Option<Key>,
}

/// What lies between the ends.
#[derive(Debug)]
pub(crate) struct Pipe {
    bytes: VecDeque<u8>,
    capacity: usize,
    readers: Vec<SockId>,
    writers: Vec<SockId>,
    /// A writer was told that there is no room: that there is room again is an event.
    no_room: bool,
}

impl Net {
    /// A pipe, and both of its ends: the reading one, the writing one.
    pub(crate) fn new_pipe(&mut self, reader: Owner, writer: Owner) -> (SockId, SockId) {
        // As much room as a connection's send buffer has in this run.
        let capacity = self.rng.usize(self.faults.send_space.clone()).max(1);
        let pipe = Pipe { bytes: VecDeque::new(), capacity, readers: Vec::new(), writers: Vec::new(), no_room: false };
        let pipe = self.pipes.insert(pipe).unwrap_or(Key::from_bits(0));
        (self.new_pipe_end(pipe, false, reader), self.new_pipe_end(pipe, true, writer))
    }

    fn new_pipe_end(&mut self, pipe: Key, writes: bool, owner: Owner) -> SockId {
        let id = self.new_socket(Kind::Pipe(PipeEnd { pipe, writes, child: None }), UnixAddr::UNNAMED, owner);
        if let Some(pipe) = self.pipes.get_mut(pipe) {
            if writes { &mut pipe.writers } else { &mut pipe.readers }.push(id);
        }
        id
    }

    /// Another descriptor of the same end, as a child inherits one.
    pub(crate) fn duplicate_pipe_end(&mut self, id: SockId, owner: Owner) -> Option<SockId> {
        let Some(Socket { kind: Kind::Pipe(end), .. }) = self.sockets.get(id) else { return None };
        let (pipe, writes) = (end.pipe, end.writes);
        Some(self.new_pipe_end(pipe, writes, owner))
    }

    /// The pipe of an end, and whether that end writes.
    pub(crate) fn pipe_of(&mut self, id: SockId) -> Option<(&mut Pipe, bool)> {
        let Some(Socket { kind: Kind::Pipe(end), .. }) = self.sockets.get(id) else { return None };
        let writes = end.writes;
        self.pipes.get_mut(end.pipe).map(|pipe| (pipe, writes))
    }

    /// What holds of an end now: Linux's `pipe_poll`, as mio reads its bits.
    pub(crate) fn state_of_pipe(&mut self, id: SockId) -> Ready {
        match self.pipe_of(id) {
            Some((pipe, false)) => {
                let hung_up = pipe.writers.is_empty();
                let readable = !pipe.bytes.is_empty() || hung_up;
                Ready { readable, read_closed: hung_up, write_closed: hung_up, ..Ready::default() }
            }
            Some((pipe, true)) => {
                let broken = pipe.readers.is_empty();
                let writable = broken || pipe.bytes.len() < pipe.capacity;
                pipe.no_room |= !writable;
                Ready { writable, write_closed: broken, error: broken, ..Ready::default() }
            }
            None => Ready::default(),
        }
    }

    /// Reads what is there, then the end, if no writer is left.
    pub(crate) fn read_pipe(&mut self, id: SockId, buf: &mut [u8]) -> Result<Option<usize>, ErrorKind> {
        let Some((pipe, false)) = self.pipe_of(id) else { return Err(ErrorKind::InvalidInput) };
        if pipe.bytes.is_empty() {
            return Ok(if pipe.writers.is_empty() { Some(0) } else { None });
        }
        let n = buf.len().min(pipe.bytes.len());
        for (to, from) in buf.iter_mut().zip(pipe.bytes.drain(..n)) {
            *to = from;
        }
        self.made_room(id);
        Ok(Some(n))
    }

    fn made_room(&mut self, reader: SockId) {
        let Some((pipe, _)) = self.pipe_of(reader) else { return };
        if core::mem::take(&mut pipe.no_room) {
            for writer in pipe.writers.clone() {
                self.wake(writer);
            }
        }
    }

    /// Writes the foremost bytes; `None`: there is no room, and that there is again is an event.
    pub(crate) fn write_pipe<'a>(
        &mut self,
        id: SockId,
        bufs: impl Iterator<Item = &'a [u8]>,
        most: usize,
    ) -> Result<Option<usize>, ErrorKind> {
        let Some((pipe, true)) = self.pipe_of(id) else { return Err(ErrorKind::InvalidInput) };
        if pipe.readers.is_empty() {
            return Err(ErrorKind::BrokenPipe);
        }
        let room = pipe.capacity.saturating_sub(pipe.bytes.len()).min(most);
        let (mut n, mut total) = (0, 0);
        for buf in bufs {
            total += buf.len();
            let take = buf.len().min(room - n);
            pipe.bytes.extend(&buf[..take]);
            n += take;
        }
        pipe.no_room |= n < total;
        if n == 0 && total > 0 {
            return Ok(None);
        }
        for reader in pipe.readers.clone() {
            self.wake(reader);
        }
        Ok(Some(n))
    }

    /// Whether the other side of a writing end, or of a socket used as one, has gone.
    pub(crate) fn is_hung_up(&mut self, id: SockId) -> bool {
        let ready = self.state_of(id);
        ready.write_closed || ready.error
    }

    /// Whether the other side of an end has gone, and nothing of it is left to be read.
    pub(crate) fn is_alone(&mut self, id: SockId) -> bool {
        match self.pipe_of(id) {
            Some((pipe, true)) => pipe.readers.is_empty(),
            Some((pipe, false)) => pipe.writers.is_empty() && pipe.bytes.is_empty(),
            None => false,
        }
    }

    /// Bytes of a writer of the test's, without a bound; `false`: nobody is left to read them.
    pub(crate) fn peer_writes(&mut self, id: SockId, bytes: &[u8]) -> bool {
        let Some((pipe, true)) = self.pipe_of(id) else { return false };
        if pipe.readers.is_empty() {
            return false;
        }
        pipe.bytes.extend(bytes);
        for reader in pipe.readers.clone() {
            self.wake(reader);
        }
        true
    }

    /// A reader of the test's reads at most so many bytes.
    pub(crate) fn drain_pipe(&mut self, id: SockId, most: usize) {
        let Some((pipe, false)) = self.pipe_of(id) else { return };
        let n = pipe.bytes.len().min(most);
        let bytes: Vec<u8> = pipe.bytes.drain(..n).collect();
        if let Some(Socket { drain: Some(Drain { received, .. }), .. }) = self.sockets.get_mut(id) {
            received.extend(bytes);
        }
        if n > 0 {
            self.made_room(id);
        }
    }

    /// A descriptor of an end is gone; the last of a side is seen by the other.
    pub(crate) fn close_pipe_end(&mut self, id: SockId) {
        let Some(Socket { kind: Kind::Pipe(PipeEnd { pipe: key, .. }), .. }) = self.sockets.remove(id) else { return };
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        pipe.readers.retain(|&reader| reader != id);
        pipe.writers.retain(|&writer| writer != id);
        let others = match (pipe.readers.is_empty(), pipe.writers.is_empty()) {
            (true, true) => {
                self.pipes.remove(key);
                return;
            }
            (true, false) => pipe.writers.clone(),
            (false, true) => pipe.readers.clone(),
            (false, false) => return,
        };
        for other in others {
            self.wake(other);
        }
    }
}

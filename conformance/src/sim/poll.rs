//! What a poller sees of sockets, and when it tells: edge-triggered or level-triggered, as epoll does it.

use super::net::{Kind, Listening, Net, SockId, Socket};
use super::wire::{Fin, TcpState};
use plimsoll_core::Key;
use plimsoll_core::driver::{Interest, Ready};
use std::collections::BTreeMap;

/// A socket that a poller was told to watch.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) poller: usize,
    pub(crate) key: Key,
    /// What a level-triggered poller is to tell; an edge-triggered one tells everything.
    pub(crate) interest: Interest,
    /// Its place in the poller's line, if it stands in it.
    pub(crate) place: Option<u64>,
}

/// Sockets that may have something to tell, in the order in which it happened.
#[derive(Debug)]
pub(crate) struct Poller {
    pub(crate) level: bool,
    line: BTreeMap<u64, SockId>,
    next: u64,
    /// Keys of sockets that were closed: stale events name them.
    gone: Vec<Key>,
}

impl Poller {
    pub(crate) const fn new(level: bool) -> Self {
        Self { level, line: BTreeMap::new(), next: 0, gone: Vec::new() }
    }

    /// It goes to the end of the line; its place in it.
    pub(crate) fn push(&mut self, id: SockId) -> u64 {
        self.next += 1;
        self.line.insert(self.next, id);
        self.next
    }

    pub(crate) fn forget(&mut self, watch: &Watch) {
        if let Some(place) = watch.place {
            self.line.remove(&place);
        }
        self.gone.push(watch.key);
        if self.gone.len() > 8 {
            self.gone.remove(0);
        }
    }
}

const EVERYTHING: Ready = Ready { readable: true, writable: true, read_closed: true, write_closed: true, error: true };

impl Net {
    pub(crate) fn watch(&mut self, id: SockId, poller: usize, key: Key) {
        if let Some(socket) = self.sockets.get_mut(id) {
            assert!(socket.watch.is_none(), "a socket is attached twice");
            socket.watch = Some(Watch { poller, key, interest: Interest::default(), place: None });
            // What is so already is told.
            self.wake(id);
        }
    }

    /// The socket is told of under another key, as if it had been attached just now.
    pub(crate) fn watch_anew(&mut self, id: SockId, key: Key) {
        let Some(watch) = self.sockets.get_mut(id).and_then(|socket| socket.watch.take()) else { return };
        self.pollers[watch.poller].forget(&watch);
        self.watch(id, watch.poller, key);
    }

    pub(crate) fn arm(&mut self, id: SockId, interest: Interest) {
        if let Some(watch) = self.sockets.get_mut(id).and_then(|socket| socket.watch.as_mut()) {
            watch.interest = interest;
            self.wake(id);
        }
    }

    /// What holds of a socket now: Linux's `tcp_poll`, as mio reads its bits.
    pub(crate) fn state_of(&mut self, id: SockId) -> Ready {
        let Some(Socket { kind, .. }) = self.sockets.get_mut(id) else { return Ready::default() };
        let tcp = match kind {
            Kind::Bound { listening: Some(Listening { queue, .. }), .. } => {
                return Ready { readable: !queue.is_empty(), ..Ready::default() };
            }
            // Neither connected nor listening: "hung up".
            Kind::Bound { listening: None, .. } => {
                return Ready { writable: true, read_closed: true, write_closed: true, ..Ready::default() };
            }
            Kind::Tcp(tcp) => tcp,
            Kind::Unix(_) => return self.state_of_unix(id),
            Kind::Datagrams(_) => return self.state_of_datagrams(id),
            Kind::Pipe(_) => return self.state_of_pipe(id),
            Kind::Child(child) => {
                let child = *child;
                return Ready { readable: self.has_ended(child), ..Ready::default() };
            }
        };
        if tcp.state == TcpState::Connecting {
            return Ready::default();
        }
        let dead = tcp.state != TcpState::Open;
        let read_closed = tcp.fin_received || dead;
        let hung_up = dead || (tcp.fin_received && tcp.fin != Fin::Open);
        let writable = dead || tcp.fin != Fin::Open || tcp.is_writable();
        if !writable {
            tcp.no_space = true;
        }
        let error = tcp.error.is_some();
        Ready {
            readable: !tcp.input.is_empty() || read_closed,
            writable,
            read_closed,
            write_closed: hung_up || (writable && error),
            error,
        }
    }

    /// Whether it can be read, or written, without waiting: as poll(2) says it of what is watched without a transport.
    pub(crate) fn is_ready(&mut self, id: SockId, writable: bool) -> bool {
        let ready = self.state_of(id);
        let over = ready.error || ready.read_closed && ready.write_closed;
        over || if writable { ready.writable } else { ready.readable }
    }

    /// Tells what happened since the last time, or still holds.
    pub(crate) fn poll(&mut self, poller: usize, out: &mut Vec<(usize, Ready)>) {
        let level = self.pollers[poller].level;
        let mut few = usize::MAX;
        if self.faults.shuffle {
            few = self.rng.usize(1..8);
            self.shuffle(poller);
        }
        let bare = self.faults.bare && level;
        for _ in 0..self.pollers[poller].line.len() {
            if out.len() >= few {
                break;
            }
            let Some((_, id)) = self.pollers[poller].line.pop_first() else { break };
            let mut ready = self.state_of(id);
            let Some(watch) = self.sockets.get_mut(id).and_then(|socket| socket.watch.as_mut()) else { continue };
            watch.place = None;
            if level {
                let Interest { readable, writable, hang_up } = watch.interest;
                if !(readable || writable || hang_up) {
                    continue;
                }
                ready.readable &= readable;
                ready.writable &= writable;
                if bare {
                    let ended = ready.error || ready.read_closed && ready.write_closed;
                    let (r, w) = (readable && (ready.readable || ended), writable && (ready.writable || ended));
                    ready = Ready { readable: r, writable: w, write_closed: hang_up && ended, ..Ready::default() };
                } else if !ready.readable {
                    // Half of a hang-up is told to those only who want to read.
                    ready.read_closed &= ready.write_closed || ready.error;
                }
            }
            if ready == Ready::default() {
                continue;
            }
            let index = watch.key.index();
            if level {
                watch.place = Some(self.pollers[poller].push(id));
            }
            out.push((index, ready));
            let duplicate = self.faults.duplicate;
            if self.chance(duplicate) {
                out.push((index, ready));
            }
        }
        self.lie(poller, out);
    }

    /// Who stands in the line stands anywhere in it now.
    fn shuffle(&mut self, poller: usize) {
        let mut ids: Vec<_> = core::mem::take(&mut self.pollers[poller].line).into_values().collect();
        self.rng.shuffle(&mut ids);
        for id in ids {
            let place = self.pollers[poller].push(id);
            if let Some(watch) = self.sockets.get_mut(id).and_then(|socket| socket.watch.as_mut()) {
                watch.place = Some(place);
            }
        }
    }

    /// Events of what is not so.
    fn lie(&mut self, poller: usize, out: &mut Vec<(usize, Ready)>) {
        let (spurious, stale) = (self.faults.spurious, self.faults.stale);
        if self.chance(spurious) {
            let readable = self.rng.bool();
            let index = self.rng.usize(..16);
            out.push((index, Ready { readable, writable: !readable, ..Ready::default() }));
        }
        if self.chance(stale) {
            let gone = &self.pollers[poller].gone;
            if !gone.is_empty() {
                let index = gone[self.rng.usize(..gone.len())].index();
                out.push((index, EVERYTHING));
            }
        }
    }
}

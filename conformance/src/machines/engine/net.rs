//! The sockets of a run: what lies in them, and what a poller would say.

use super::script::Plan;
use crate::model::Ep;
use core::net::{Ipv4Addr, SocketAddr};
use plimsoll_core::driver::{Interest, Ready};
use plimsoll_core::{Addr, Error, Key};
use std::collections::VecDeque;

/// Ports of clients' targets begin here; a server's number is added to the other.
const CLIENTS: u16 = 20_000;
const SERVERS: u16 = 1000;

pub(super) fn client_addr(ep: Ep) -> Addr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, CLIENTS + ep as u16)).into()
}

pub(super) fn server_addr(server: usize) -> Addr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, SERVERS + server as u16)).into()
}

fn port(addr: &Addr) -> usize {
    usize::from(addr.inet().map_or(0, |addr| addr.port()))
}

pub(super) fn client_of(addr: &Addr) -> Ep {
    port(addr) - usize::from(CLIENTS)
}

pub(super) fn server_of(addr: &Addr) -> usize {
    port(addr) - usize::from(SERVERS)
}

/// Whose socket it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Stream(Ep),
    Listener(usize),
}

/// What waits to be accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    Connection,
    /// One that is gone already.
    Aborted,
    /// Nothing is left to accept it with.
    Exhausted,
}

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) role: Role,
    pub(super) key: Option<Key>,
    pub(super) open: bool,
    /// What becomes of its connect, if that is under way.
    pub(super) plan: Option<Plan>,
    pub(super) incoming: usize,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) eof: bool,
    pub(super) read_error: Option<Error>,
    pub(super) room: usize,
    pub(super) send_error: Option<Error>,
    pub(super) fin_error: Option<Error>,
    pub(super) finished: bool,
    pub(super) arrivals: VecDeque<Arrival>,
    /// What an edge-triggered poller has not said yet.
    pub(super) edge: Ready,
    /// What a level-triggered one is to say.
    pub(super) interest: Interest,
    /// So many iterations it could have been read, or sent from, and was not.
    pub(super) hungry: u8,
    pub(super) unsent: u8,
    pub(super) unaccepted: u8,
    pub(super) served: bool,
}

impl Socket {
    pub(super) fn is_readable(&self) -> bool {
        self.incoming > 0 || self.eof || self.read_error.is_some() || !self.arrivals.is_empty()
    }

    pub(super) const fn is_writable(&self) -> bool {
        match self.plan {
            Some(plan) => !matches!(plan, Plan::Hangs),
            None => self.room > 0 || self.send_error.is_some(),
        }
    }

    /// What a level-triggered poller says.
    pub(super) fn level(&self) -> Ready {
        let armed = self.interest.readable || self.interest.writable;
        Ready {
            readable: self.interest.readable && self.is_readable(),
            writable: self.interest.writable && self.is_writable(),
            read_closed: self.interest.readable && self.eof,
            write_closed: false,
            error: armed && self.read_error.is_some(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Net {
    pub(super) sockets: Vec<Socket>,
    /// What becomes of connects, by endpoint.
    pub(super) plans: Vec<(Ep, Plan)>,
    /// Whether a server's address can be bound.
    pub(super) bindable: Vec<bool>,
    room: usize,
    pub(super) opened: usize,
    pub(super) closed: usize,
}

impl Net {
    pub(super) const fn new(room: usize) -> Self {
        Self { sockets: Vec::new(), plans: Vec::new(), bindable: Vec::new(), room, opened: 0, closed: 0 }
    }

    pub(super) fn socket(&mut self, role: Role, plan: Option<Plan>) -> usize {
        self.opened += 1;
        self.sockets.push(Socket {
            role,
            key: None,
            open: true,
            plan,
            incoming: 0,
            received: 0,
            sent: 0,
            eof: false,
            read_error: None,
            room: self.room,
            send_error: None,
            fin_error: None,
            finished: false,
            arrivals: VecDeque::new(),
            edge: Ready { writable: true, ..Ready::default() },
            interest: Interest::default(),
            hungry: 0,
            unsent: 0,
            unaccepted: 0,
            served: false,
        });
        self.sockets.len() - 1
    }

    /// The open sockets of connections, or of listeners.
    pub(super) fn open(&self, listeners: bool) -> Vec<usize> {
        let wanted = |socket: &Socket| socket.open && matches!(socket.role, Role::Listener(_)) == listeners;
        (0..self.sockets.len()).filter(|&index| wanted(&self.sockets[index])).collect()
    }

    /// Faults are off, and there is room for everything.
    pub(super) fn calm(&mut self) {
        for socket in &mut self.sockets {
            socket.room = usize::MAX;
            socket.read_error = None;
            socket.send_error = None;
            socket.edge.writable = true;
        }
    }

    /// The poller lagged: nobody could be served.
    pub(super) fn forget_hunger(&mut self) {
        for socket in &mut self.sockets {
            (socket.hungry, socket.unsent, socket.unaccepted) = (0, 0, 0);
        }
    }

    /// Endpoints in the order of their slots.
    pub(super) fn by_slot(&self) -> Vec<Ep> {
        let streams = self.sockets.iter().filter_map(|socket| match socket.role {
            Role::Stream(ep) if socket.open => socket.key.map(|key| (key.index(), ep)),
            _ => None,
        });
        let mut streams: Vec<_> = streams.collect();
        streams.sort_unstable();
        streams.into_iter().map(|(_, ep)| ep).collect()
    }

    pub(super) fn of(&self, ep: Ep) -> Option<usize> {
        self.sockets.iter().position(|socket| socket.open && socket.role == Role::Stream(ep))
    }
}

//! Openings under way: names being looked up, attempts that race, timers between them.

use super::lookup::{Asker, Lookups, Slot};
use super::{Hub, Ready, Work};
use crate::addr::{Addr, Ends};
use crate::connect::{Connector, ConnectorOp};
use crate::endpoint::{About, Endpoint, LAYERED};
use crate::error::{Call, Error, ErrorKind};
use crate::key::{Key, StreamId};
use crate::op::Op;
use crate::open::{Connect, OpenError};
use crate::time::Instant;
use crate::tls::Fact;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A connection that is being opened, beside its endpoint.
pub(crate) struct Opening {
    connect: Connect,
    lookups: Lookups,
    /// None while names are being looked up.
    connector: Option<Connector>,
    /// Where the sockets of attempts stand: one under the connection's own key, others beside it.
    places: Vec<(u8, Key)>,
    /// When the next attempt begins at the latest, and what will tell.
    deadline: Option<(Instant, Key)>,
    /// The addresses of the attempt that has won.
    ends: Ends,
}

impl<S> Hub<S> {
    /// Begins to open a connection.
    pub(crate) fn begin_opening(&mut self, key: Key, connect: Connect) {
        let lookups = self.look_up(connect.targets(), connect.only_family(), Asker::Connection(key));
        let complete = lookups.is_complete();
        let opening = Opening { connect, lookups, connector: None, places: Vec::new(), deadline: None, ends: Ends::default() };
        self.openings.insert(key, Box::new(opening));
        if complete {
            self.race(key);
        }
    }

    pub(crate) fn opening_resolved(&mut self, key: Key, slot: usize, answer: Slot) {
        let Some(opening) = self.openings.get_mut(&key) else { return };
        opening.lookups.settle(slot, answer);
        if opening.lookups.is_complete() {
            self.race(key);
        }
    }

    /// The addresses are known: the attempts begin.
    fn race(&mut self, key: Key) {
        let now = self.now;
        let Some(opening) = self.openings.get_mut(&key) else { return };
        opening.connector = Some(opening.connect.connector(opening.lookups.addrs(), now));
        self.advance_opening(key);
    }

    /// Carries out what the connector wants.
    fn advance_opening(&mut self, key: Key) {
        loop {
            let op = self.openings.get_mut(&key).and_then(|opening| opening.connector.as_mut()?.poll_op());
            match op {
                Some(ConnectorOp::Start { attempt, to, from }) => self.start_attempt(key, attempt, to, from),
                Some(ConnectorOp::Cancel(attempt)) => self.end_attempt(key, attempt),
                Some(ConnectorOp::Won(attempt)) => return self.attempt_won(key, attempt),
                Some(ConnectorOp::Failed(errors)) => return self.attempts_failed(key, errors),
                None => return self.set_stagger(key),
            }
        }
    }

    fn start_attempt(&mut self, key: Key, attempt: u8, to: Addr, from: Option<Addr>) {
        let Some(opening) = self.openings.get(&key) else { return };
        let to = opening.connect.attempt(to, from);
        let home_is_taken = opening.places.iter().any(|(_, place)| *place == key);
        let place = if home_is_taken { self.insert(Endpoint::Attempt { stream: key }, About::default()) } else { Some(key) };
        let now = self.now;
        let Some(opening) = self.openings.get_mut(&key) else { return };
        match (place, &mut opening.connector) {
            (Some(place), _) => {
                opening.places.push((attempt, place));
                self.ops.push_back(Op::Connect(place, to));
            }
            (None, Some(connector)) => {
                connector.handle_result(attempt, Err(Error::new(Call::Socket, ErrorKind::OutOfMemory)), now);
            }
            (None, None) => {}
        }
    }

    /// The socket of an attempt is closed.
    fn end_attempt(&mut self, key: Key, attempt: u8) {
        let Some(opening) = self.openings.get_mut(&key) else { return };
        let Some(index) = opening.places.iter().position(|(other, _)| *other == attempt) else { return };
        let (_, place) = opening.places.swap_remove(index);
        if place == key {
            self.ops.push_back(Op::Close(key));
        } else {
            drop(self.remove(place));
        }
    }

    /// Whether an attempt is under way at that place; if so, of which connection, and which attempt.
    fn attempt_at(&self, place: Key) -> Option<(Key, u8)> {
        let key = match self.endpoints.get(place)? {
            Endpoint::Attempt { stream } => *stream,
            _ => place,
        };
        let places = &self.openings.get(&key)?.places;
        places.iter().find(|(_, other)| *other == place).map(|(attempt, _)| (key, *attempt))
    }

    pub(crate) fn is_attempt(&self, place: Key) -> bool {
        self.attempt_at(place).is_some()
    }

    /// What has become of an attempt. `false`: nobody waits for it any more.
    pub(crate) fn attempt_ended(&mut self, place: Key, result: Result<Ends, Error>) -> bool {
        let Some((key, attempt)) = self.attempt_at(place) else { return false };
        if result.is_err() {
            self.end_attempt(key, attempt);
        }
        let now = self.now;
        let Some(opening) = self.openings.get_mut(&key) else { return false };
        let result = result.map(|ends| opening.ends = ends);
        if let Some(connector) = &mut opening.connector {
            connector.handle_result(attempt, result, now);
        }
        self.advance_opening(key);
        true
    }

    /// It is the connection; the losers are cancelled already.
    fn attempt_won(&mut self, key: Key, attempt: u8) {
        self.unset_stagger(key);
        let Some(opening) = self.openings.get(&key) else { return };
        let Some(&(_, place)) = opening.places.iter().find(|(other, _)| *other == attempt) else { return };
        if place == key {
            self.opened(key, Ok(()));
        } else {
            self.ops.push_back(Op::Move(place, self.stream_id(key)));
        }
    }

    /// The socket of the winner stands under the connection's own key, or cannot.
    pub(crate) fn opened(&mut self, key: Key, result: Result<(), Error>) {
        let Some(opening) = self.openings.remove(&key) else { return };
        for (_, place) in opening.places {
            if place != key {
                drop(self.remove(place));
            }
        }
        match result {
            Ok(()) => self.established(key, opening.ends),
            Err(error) => self.open_failed(key, OpenError::all(opening.connect.name(), Vec::from([(opening.ends.peer, error)]))),
        }
    }

    /// There is a connection: its turn to be made comes, or that of its handshake.
    pub(crate) fn established(&mut self, key: Key, ends: Ends) {
        self.set_ends(key, ends);
        let Some(stream) = self.stream_at(key) else { return };
        if stream.common.has(LAYERED) {
            self.layer_fact(key, Fact::Connected);
        } else {
            self.can_be_made(key);
        }
    }

    /// Nothing has to be waited for any more.
    pub(crate) fn can_be_made(&mut self, key: Key) {
        if let Some(stream) = self.stream_at(key) {
            stream.transport.handle_open();
            self.ready.push_back(Ready::Made(key));
        }
    }

    fn attempts_failed(&mut self, key: Key, errors: Vec<(Addr, Error)>) {
        self.unset_stagger(key);
        let Some(opening) = self.openings.remove(&key) else { return };
        let lookups = opening.lookups.failures().map(|(_, error)| (None, error));
        let attempts = lookups.chain(errors.into_iter().map(|(addr, error)| (Some(addr), error))).collect();
        self.open_failed(key, OpenError::all(opening.connect.name(), attempts));
    }

    pub(crate) fn open_failed(&mut self, key: Key, error: OpenError) {
        self.ready.push_back(Ready::OpenFailed(key, error));
    }

    // ---- the time between attempts ----

    fn set_stagger(&mut self, key: Key) {
        let Some(opening) = self.openings.get_mut(&key) else { return };
        let next = opening.connector.as_ref().and_then(Connector::poll_timeout);
        if opening.deadline.map(|(at, _)| at) == next {
            return;
        }
        let old = opening.deadline.take();
        // Without a timer the attempts follow one another as they fail.
        opening.deadline = next.and_then(|at| Some((at, self.timers.set(at, Work::Stagger { stream: key })?)));
        if let Some((_, timer)) = old {
            self.timers.cancel(timer);
        }
    }

    fn unset_stagger(&mut self, key: Key) {
        if let Some((_, timer)) = self.openings.get_mut(&key).and_then(|opening| opening.deadline.take()) {
            self.timers.cancel(timer);
        }
    }

    /// It is time for the next attempt.
    pub(crate) fn stagger_over(&mut self, key: Key) {
        let now = self.now;
        let Some(opening) = self.openings.get_mut(&key) else { return };
        opening.deadline = None;
        if let Some(connector) = &mut opening.connector {
            connector.handle_timeout(now);
        }
        self.advance_opening(key);
    }

    // ---- the end ----

    /// The connection goes while it is being opened: so does everything that is under way for it (contract LIFE-12).
    #[cold]
    pub(crate) fn give_up_opening(&mut self, key: Key) {
        self.unset_stagger(key);
        let Some(opening) = self.openings.remove(&key) else { return };
        self.forget(&opening.lookups);
        for (_, place) in opening.places {
            if place != key {
                drop(self.remove(place));
            }
        }
    }

    /// Answers [`Op::Move`].
    pub(crate) fn attempt_moved(&mut self, id: StreamId, result: Result<(), Error>) {
        if id.tag == self.tag {
            self.opened(id.key, result);
        }
    }
}

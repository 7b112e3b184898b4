//! What the world tells.

use super::super::{Peer, StreamModel};
use super::{EngineModel, Entry, Ep, Follows, MOST_READS, Turn};
use crate::harness::{Violation, ensure};
use plimsoll_core::{Error, Wants};
use std::collections::VecDeque;

/// An operation that came back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Back {
    /// So many bytes were received; zero: the end.
    Received(Ep, usize),
    /// Receiving failed.
    ReadError(Ep, Error),
    /// So many bytes were sent.
    Sent(Ep, usize),
    /// Sending failed.
    WriteError(Ep, Error),
    /// The FIN was sent, or not.
    Shutdown(Ep, Result<(), Error>),
    /// The connection is there, or not.
    Connected(Ep, bool),
    /// A connection was accepted.
    Accepted(usize),
    /// Accepting failed for lack of something.
    AcceptFailed(usize),
}

impl EngineModel {
    fn outside(&self, what: &str, ep: Ep) -> Result<(), Violation> {
        ensure!(self.running.is_none(), "{what} {ep} inside of {:?}", self.running);
        ensure!(!self.endpoints[ep].stale, "{what} {ep}, which is gone");
        Ok(())
    }

    /// A send is tried.
    ///
    /// # Errors
    /// If there is nothing to send.
    pub fn may_send(&self, ep: Ep, wants: Wants) -> Result<(), Violation> {
        self.outside("send", ep)?;
        let really = self.endpoints[ep].stream.wants_send();
        ensure!(really == wants, "I-WANTS: {ep} is sent {wants:?} from, and wants {really:?}");
        // BUF-1: nothing comes between; bytes in hand are told first.
        ensure!(self.after == Follows::Nothing, "send {ep} where {:?} must follow", self.after);
        Ok(())
    }

    /// The kernel took bytes.
    pub fn sent(&mut self, ep: Ep, n: usize) {
        self.endpoints[ep].stream.handle_sent(n);
        self.touch(ep);
    }

    /// The FIN was sent, or an error came back.
    pub fn shut_down(&mut self, ep: Ep, result: Result<(), Error>) {
        self.endpoints[ep].dropped += self.endpoints[ep].stream.handle_shutdown(result) as u64;
        self.touch(ep);
    }

    /// A receive or a send failed.
    pub fn failed(&mut self, ep: Ep, what: Peer) {
        self.endpoints[ep].dropped += self.endpoints[ep].stream.handle_error(what) as u64;
        self.after = Follows::Nothing;
        self.touch(ep);
    }

    /// A receive is tried.
    ///
    /// # Errors
    /// If its bytes could not be told, or something else comes first.
    pub fn may_receive(&mut self, ep: Ep) -> Result<(), Violation> {
        self.prune();
        self.outside("recv", ep)?;
        let lent = self.after == Follows::Read(ep);
        ensure!(lent || self.after == Follows::Nothing, "recv {ep} where {:?} must follow", self.after);
        ensure!(lent == self.endpoints[ep].buffered, "BUF-1: recv {ep}, lent: {lent}");
        // The exception of RUST-2: a lent buffer is read into at once. Nothing can have become due since.
        ensure!(self.due.is_empty(), "RUST-2: recv {ep} before {:?} are told", self.due);
        ensure!(self.may_read(ep), "READ-5, READ-14: recv {ep}, which does not want to be read");
        ensure!(self.endpoints[ep].reads < MOST_READS, "READ-3: {ep} is read a fifth time");
        Ok(())
    }

    /// It brought nothing.
    pub fn received_nothing(&mut self) {
        self.after = Follows::Nothing;
    }

    /// It brought bytes, or the end.
    pub fn received(&mut self, ep: Ep, n: usize) {
        let endpoint = &mut self.endpoints[ep];
        self.after = if n == 0 {
            endpoint.stream.handle_eof();
            Follows::Eof(ep)
        } else {
            endpoint.reads += 1;
            if endpoint.buffered { Follows::Filled(ep) } else { Follows::Data(ep) }
        };
    }

    /// A connect has come to its end.
    pub fn connected(&mut self, ep: Ep, ok: bool) {
        if self.endpoints[ep].stale {
            return;
        }
        if ok {
            self.endpoints[ep].stream.handle_open();
            self.ready.push_back(Entry::Made(ep));
        } else {
            self.ready.push_back(Entry::OpenFailed(ep));
        }
    }

    // ---- completions ----

    /// An operation came back; it is served in its place.
    pub fn came_back(&mut self, what: Back) {
        self.back.push_back(what);
    }

    /// Serves what came back until something is to be told. *Set:* nothing of the application's runs in between, so it does not matter when.
    pub(super) fn advance(&mut self) {
        while !self.owes() && self.after == Follows::Nothing && matches!(self.phase, super::Phase::Processing) {
            let Some(back) = self.back.pop_front() else { return };
            match back {
                Back::Received(ep, n) if !self.endpoints[ep].stale => self.came_in(ep, n),
                Back::ReadError(ep, error) if !self.endpoints[ep].stale => self.failed(ep, Peer::ReadError(error)),
                Back::Sent(ep, n) if !self.endpoints[ep].stale => self.sent(ep, n),
                Back::WriteError(ep, error) if !self.endpoints[ep].stale => self.failed(ep, Peer::WriteError(error)),
                Back::Shutdown(ep, result) if !self.endpoints[ep].stale => self.shut_down(ep, result),
                Back::Connected(ep, ok) => self.connected(ep, ok),
                Back::Accepted(server) if !self.is_server_closed(server) => {
                    self.accepted(server);
                }
                Back::AcceptFailed(server) if !self.is_server_closed(server) => self.accept_failed(server),
                _ => {}
            }
        }
    }

    fn came_in(&mut self, ep: Ep, n: usize) {
        let held = &mut self.endpoints[ep].held;
        if held.is_empty() && self.may_read(ep) {
            self.received(ep, n);
        } else {
            self.endpoints[ep].held.push_back(n);
        }
    }

    /// Held bytes may be told.
    pub(super) fn may_deliver(&self, ep: Ep) -> bool {
        self.may_read(ep)
    }

    /// What is held of an endpoint.
    #[must_use]
    pub fn held(&self, ep: Ep) -> &VecDeque<usize> {
        &self.endpoints[ep].held
    }

    /// Its transport.
    pub fn stream_mut(&mut self, ep: Ep) -> &mut StreamModel {
        &mut self.endpoints[ep].stream
    }

    /// A turn of an endpoint that receives into memory of its own.
    #[must_use]
    pub fn is_lending(&self) -> bool {
        matches!(self.running, Some(Turn::Lend(_)))
    }
}

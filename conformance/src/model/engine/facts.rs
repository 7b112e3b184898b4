//! What the world tells.

use super::super::Peer;
use super::{EngineModel, Entry, Ep, Follows, MOST_READS, Phase};
use crate::harness::{Violation, ensure};
use plimsoll_core::{Error, Wants};

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
    /// A connection was accepted, under a number reserved for it.
    Accepted(usize, Ep),
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
        self.skip_dead();
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

    /// A number for a connection that may be accepted.
    pub fn reserve(&mut self) -> Ep {
        let ep = self.new_endpoint(None, None);
        self.endpoints[ep].stale = true;
        ep
    }

    /// An operation came back; it is served in its place.
    pub fn came_back(&mut self, what: Back) {
        self.back.push_back(what);
    }

    /// Serves what came back, in order, until something is to be told.
    pub(super) fn advance(&mut self) {
        while self.phase == Phase::Processing && !self.owes() && self.after == Follows::Nothing {
            if self.serving.is_some_and(|ep| self.has_in_hand(ep)) {
                return;
            }
            self.serving = None;
            let Some(back) = self.back.pop_front() else { return };
            self.serve(back);
        }
    }

    fn serve(&mut self, back: Back) {
        match back {
            Back::Received(ep, n) if !self.endpoints[ep].stale => {
                if n > 0 {
                    self.endpoints[ep].held = n;
                } else {
                    self.endpoints[ep].stream.handle_eof();
                }
                self.serving = Some(ep);
            }
            Back::ReadError(ep, error) if !self.endpoints[ep].stale => self.failed(ep, Peer::ReadError(error)),
            Back::Sent(ep, n) if !self.endpoints[ep].stale => self.sent(ep, n),
            Back::WriteError(ep, error) if !self.endpoints[ep].stale => self.failed(ep, Peer::WriteError(error)),
            Back::Shutdown(ep, result) if !self.endpoints[ep].stale => self.shut_down(ep, result),
            Back::Connected(ep, ok) => self.connected(ep, ok),
            Back::Accepted(server, ep) if !self.is_server_closed(server) => {
                self.endpoints[ep].stale = false;
                self.endpoints[ep].server = Some(server);
                self.accept(server, ep);
            }
            Back::AcceptFailed(server) if !self.is_server_closed(server) => self.accept_failed(server),
            _ => {}
        }
    }

    /// Bytes, or an end-of-file, are in hand and may be told.
    pub(super) fn has_in_hand(&self, ep: Ep) -> bool {
        let endpoint = &self.endpoints[ep];
        let free = !endpoint.stale && !self.is_late(ep) && !self.is_held_by_writer(ep);
        free && (endpoint.held > 0 && endpoint.stream.wants_read() || endpoint.stream.is_eof_due())
    }

    /// How many bytes are in hand.
    #[must_use]
    pub fn held(&self, ep: Ep) -> usize {
        self.endpoints[ep].held
    }
}

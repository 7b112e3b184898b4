//! What the other ends do.

use super::{GLANCE, GULP, GULPS, Play, Stuck};
use crate::scenario::host::Seen;
use crate::scenario::lane::{Arg, Event};
use crate::scenario::model::{Act, Actor};

impl Play {
    pub(super) fn note_peer(&mut self, index: usize, event: Event) {
        let lane = self.scenario.lane_of(Actor::Peer(index));
        self.stage().record.push(&lane, event);
    }

    pub(super) fn peer(&mut self, index: usize, act: &Act) -> Result<(), Stuck> {
        if matches!(act, Act::Send(_) | Act::Recv(_) | Act::RecvEof | Act::Eof | Act::Close | Act::Truncate) {
            self.shakes_hands(index)?;
        }
        match act {
            Act::StartTls(_) => self.upgrade(index),
            Act::Connect => self.connect_peer(index)?,
            Act::Send(payload) => {
                let bytes = payload.bytes();
                let name = self.scenario.connections[index].name.clone();
                self.stage().record.streams(&name).sent.extend_from_slice(&bytes);
                let mut sent = 0;
                self.until(GLANCE, |play| {
                    sent += play.peers[index].as_mut().map_or(0, |peer| peer.send(&bytes[sent..]));
                    sent == bytes.len()
                })?;
            }
            Act::Recv(n) => {
                let mut left = *n;
                self.until(GLANCE, |play| {
                    left -= play.read(index, left).unwrap_or(left);
                    left == 0
                })?;
            }
            Act::RecvEof => self.until(GLANCE, |play| {
                while let Some(n) = play.read(index, GULP) {
                    if n == 0 {
                        return false;
                    }
                }
                true
            })?,
            Act::DrainUntil(size) => {
                // A real kernel tells a writer of room when a good part of a buffer is free, and until then the loop waits.
                let gulps = if self.simulated { 1 } else { GULPS };
                self.until(GLANCE, |play| play.held(index) <= *size || play.gulp(index, gulps))?;
            }
            Act::Eof => {
                if let Some(peer) = &mut self.peers[index] {
                    peer.eof();
                }
            }
            Act::Truncate => {
                if let Some(peer) = &mut self.peers[index] {
                    peer.truncate();
                }
            }
            Act::Close => {
                if let Some(peer) = self.peers[index].take() {
                    peer.close();
                }
            }
            Act::Reset => {
                if let Some(peer) = self.peers[index].take() {
                    peer.reset();
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn held(&mut self, index: usize) -> usize {
        let (hub, stage) = self.host.hub();
        stage.connections[index].id.map_or(0, |id| hub.write_buffer_size(id))
    }

    /// Reads so often, as long as there is something; whether it met the end.
    fn gulp(&mut self, index: usize, times: u32) -> bool {
        for _ in 0..times {
            match self.read(index, GULP) {
                None => return true,
                Some(0) => return false,
                Some(_) => {}
            }
        }
        false
    }

    /// Reads once, and notes what it saw: how many bytes, or `None` at the end.
    fn read(&mut self, index: usize, most: usize) -> Option<usize> {
        let seen = self.peers[index].as_mut()?.read(most);
        match seen {
            Seen::Nothing => Some(0),
            Seen::Bytes(bytes) => {
                let n = bytes.len();
                self.note_peer(index, Event::new("data").with(Arg::Bytes(bytes)));
                Some(n)
            }
            Seen::Eof => {
                self.note_peer(index, Event::new("eof"));
                None
            }
            Seen::Truncated => {
                self.note_peer(index, Event::new("truncated"));
                None
            }
            Seen::Failed => {
                self.note_peer(index, Event::new("failed"));
                None
            }
            Seen::Reset => {
                self.note_peer(index, Event::new("reset"));
                None
            }
        }
    }
}

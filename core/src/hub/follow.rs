//! Back-pressure for the plain case: a reader that is held while a writer is paused.

use super::Hub;
use crate::endpoint::{FOLLOWED, FOLLOWS_ITSELF};
use crate::flow::read_gate::Hold;
use crate::key::{Key, StreamId};
use alloc::vec::Vec;

impl<S> Hub<S> {
    /// Holds the reading of `reader` while the writing of `writer` is paused, beside whatever else holds it. An echo says it once of itself;
    /// a proxy says it of both directions. It bounds what `writer` has queued to its high mark and one read of `reader`.
    ///
    /// It ends with either of the two; a lost writer holds nobody.
    pub fn read_follows_write(&mut self, reader: StreamId, writer: StreamId) {
        if self.stream(reader).is_none() || self.stream(writer).is_none() {
            return;
        }
        let Some(stream) = self.stream_mut(writer) else { return };
        if reader == writer {
            stream.common.set(FOLLOWS_ITSELF);
        } else if !stream.common.cold().followers.contains(&reader) {
            stream.common.cold().followers.push(reader);
            stream.common.set(FOLLOWED);
            if let Some(stream) = self.stream_mut(reader) {
                stream.common.cold().following.push(writer);
            }
        }
        if self.is_writing_paused(writer) {
            self.hold_followers(writer.key);
        }
    }

    /// The writer is paused, or has just been promised a pause.
    pub(crate) fn hold_followers(&mut self, key: Key) {
        let Some(stream) = self.stream_at(key) else { return };
        if stream.common.has(FOLLOWS_ITSELF) {
            stream.transport.hold_reading(Hold::Writer);
        }
        if stream.common.has(FOLLOWED) {
            for n in 0.. {
                let reader = self.stream_at(key).and_then(|stream| stream.common.cold.as_ref()?.followers.get(n).copied());
                let Some(reader) = reader else { return };
                if let Some(stream) = self.stream_mut(reader) {
                    stream.transport.hold_reading(Hold::Writer);
                }
            }
        }
    }

    /// The writer is resumed, or will never write again.
    pub(crate) fn release_followers(&mut self, key: Key) {
        let Some(stream) = self.stream_at(key) else { return };
        if stream.common.has(FOLLOWS_ITSELF) {
            let id = self.stream_id(key);
            self.release_follower(id);
        }
        let Some(stream) = self.stream_at(key) else { return };
        if stream.common.has(FOLLOWED) {
            for n in 0.. {
                let reader = self.stream_at(key).and_then(|stream| stream.common.cold.as_ref()?.followers.get(n).copied());
                let Some(reader) = reader else { return };
                self.release_follower(reader);
            }
        }
    }

    /// Lets a reader go on, unless another writer that it follows is paused.
    fn release_follower(&mut self, reader: StreamId) {
        let Some(stream) = self.stream(reader) else { return };
        let held = stream.common.has(FOLLOWS_ITSELF) && stream.transport.is_writing_paused()
            || stream
                .common
                .cold
                .as_ref()
                .is_some_and(|cold| cold.following.iter().any(|&writer| self.is_writing_paused(writer)));
        if held {
            return;
        }
        if self.stream_mut(reader).is_some_and(|stream| stream.transport.release_reading(Hold::Writer)) {
            self.look_at(reader.key);
        }
    }

    /// The endpoint goes: it neither follows nor is followed any more.
    pub(crate) fn unfollow(&mut self, key: Key) {
        let id = self.stream_id(key);
        let Some(cold) = self.stream_at(key).and_then(|stream| stream.common.cold.as_mut()) else { return };
        let followers: Vec<StreamId> = core::mem::take(&mut cold.followers);
        let following: Vec<StreamId> = core::mem::take(&mut cold.following);
        for reader in followers {
            if let Some(cold) = self.stream_mut(reader).and_then(|stream| stream.common.cold.as_mut()) {
                cold.following.retain(|&writer| writer != id);
            }
            // An opening that failed may still count as paused: only without it can its reader go on.
            self.release_follower(reader);
        }
        for writer in following {
            if let Some(cold) = self.stream_mut(writer).and_then(|stream| stream.common.cold.as_mut()) {
                cold.followers.retain(|&reader| reader != id);
            }
        }
    }
}

//! What was accepted and not yet sent.

use std::collections::VecDeque;

/// The bytes of a queue, one by one (contract WRITE-1, WRITE-3).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct QueueModel {
    bytes: VecDeque<u8>,
}

impl QueueModel {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Its size.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes behind all others.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// The foremost `n` are gone (all, if that is less).
    pub fn advance(&mut self, n: usize) {
        self.bytes.drain(..n.min(self.bytes.len()));
    }

    /// All are gone; how many it were.
    pub fn drop_all(&mut self) -> usize {
        let dropped = self.bytes.len();
        self.bytes.clear();
        dropped
    }

    /// How many bytes the pieces hold together, if those are the foremost ones in order; none if they are not.
    pub fn prefix<'p>(&self, pieces: impl IntoIterator<Item = &'p [u8]>) -> Option<usize> {
        let (front, back) = self.bytes.as_slices();
        let mut at = 0;
        for piece in pieces {
            let end = at + piece.len();
            if end > self.bytes.len() {
                return None;
            }
            let head = &front[at.min(front.len())..end.min(front.len())];
            let rest = &back[at.saturating_sub(front.len())..end.saturating_sub(front.len())];
            let equal = &piece[..head.len()] == head && &piece[head.len()..] == rest;
            if !equal {
                return None;
            }
            at = end;
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_found_across_the_wrap() {
        let mut queue = QueueModel { bytes: VecDeque::with_capacity(8) };
        queue.push(b"012345");
        queue.advance(5);
        queue.push(b"6789abc");
        let all = b"56789abc";
        for first in 0..=all.len() {
            for second in first..=all.len() {
                assert_eq!(queue.prefix([&all[..first], &all[first..second]]), Some(second));
            }
        }
        assert_eq!(queue.prefix([&b"56789abcd"[..]]), None);
        assert_eq!(queue.prefix([&b"56789aXc"[..]]), None);
        assert_eq!(queue.prefix([&b"6"[..]]), None);
    }
}

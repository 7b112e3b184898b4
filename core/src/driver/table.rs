//! The sockets of a driver.

use crate::key::Key;
use alloc::vec::Vec;

/// The sockets of a driver: at the index of their endpoint's key, with its generation.
#[derive(Debug)]
pub(super) struct Table<C> {
    pub(super) rows: Vec<Option<(u32, C)>>,
}

impl<C> Table<C> {
    pub(super) const fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// Takes out what is left at this index of an endpoint that is gone, and whose slot has been given to `key` before its source was closed.
    pub(super) fn evict(&mut self, key: Key) -> Option<(Key, C)> {
        let (generation, row) = self.rows.get_mut(key.index())?.take()?;
        Some((Key::new(key.index() as u32, generation), row))
    }

    pub(super) fn insert(&mut self, key: Key, row: C) {
        if key.index() >= self.rows.len() {
            self.rows.resize_with(key.index() + 1, || None);
        }
        self.rows[key.index()] = Some((key.generation(), row));
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut C> {
        match self.rows.get_mut(key.index()) {
            Some(Some((generation, row))) if *generation == key.generation() => Some(row),
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<C> {
        self.get_mut(key)?;
        self.rows[key.index()].take().map(|(_, row)| row)
    }
}

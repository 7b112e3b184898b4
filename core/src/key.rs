//! Identity that is never reused: a slot's index with the generation of its occupant.
//!
//! An id names a connection, not a descriptor and not a slot. When the slot is given to another connection its generation
//! changes, so an id kept too long names nothing: it cannot reach the newcomer (contract RUST-10).

use alloc::vec::Vec;
use core::fmt;

/// Index and generation of an occupant of a [`Slab`].
///
/// A generation is odd while its slot is occupied, so zero is never a valid one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// Which slot.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// Which occupant of the slot.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// Index in the low half, generation in the high half: a poller's token where that has 64 bits.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The key that [`Key::to_bits`] packed.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}v{}", self.index, self.generation)
    }
}

/// End of the list of vacant slots.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
enum Content<T> {
    Vacant { next: u32 },
    Occupied(T),
}

#[derive(Debug)]
pub(crate) struct Entry<T> {
    generation: u32,
    content: Content<T>,
}

/// A table of values under [`Key`]s. Vacant slots are reused, last freed first; a slot whose generation would wrap is retired.
#[derive(Debug)]
pub struct Slab<T> {
    entries: Vec<Entry<T>>,
    vacant: u32,
    len: usize,
}

impl<T> Slab<T> {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), vacant: NONE, len: 0 }
    }

    /// How many values are in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a value in and names it. `None` if all 2³² − 1 slots are taken or retired; the value is then dropped.
    pub fn insert(&mut self, value: T) -> Option<Key> {
        let index = self.vacant;
        if index == NONE {
            let index = u32::try_from(self.entries.len()).ok().filter(|&index| index != NONE)?;
            self.entries.push(Entry { generation: 1, content: Content::Occupied(value) });
            self.len += 1;
            return Some(Key { index, generation: 1 });
        }
        let entry = &mut self.entries[index as usize];
        let Content::Vacant { next } = entry.content else { unreachable!("an occupied slot on the vacant list") };
        self.vacant = next;
        entry.generation += 1;
        entry.content = Content::Occupied(value);
        self.len += 1;
        Some(Key { index, generation: entry.generation })
    }

    /// Takes a value out; its key names nothing from then on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index()).filter(|entry| entry.generation == key.generation)?;
        if !matches!(entry.content, Content::Occupied(_)) {
            return None;
        }
        let content = core::mem::replace(&mut entry.content, Content::Vacant { next: self.vacant });
        if let Some(generation) = entry.generation.checked_add(1) {
            entry.generation = generation;
            self.vacant = key.index;
        } else {
            // Retired: its last generation stays, which no key handed out from now on can carry.
            entry.content = Content::Vacant { next: NONE };
        }
        self.len -= 1;
        match content {
            Content::Occupied(value) => Some(value),
            Content::Vacant { .. } => None,
        }
    }

    /// The value under a key, if the key still names one.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        match self.entries.get(key.index()) {
            Some(Entry { generation, content: Content::Occupied(value) }) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value under a key, to change it.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.entries.get_mut(key.index()) {
            Some(Entry { generation, content: Content::Occupied(value) }) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// All keys and values, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| match &entry.content {
            Content::Occupied(value) => Some((Key { index: index as u32, generation: entry.generation }, value)),
            Content::Vacant { .. } => None,
        })
    }

    #[cfg(test)]
    fn set_generation(&mut self, index: usize, generation: u32) {
        self.entries[index].generation = generation;
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Tells loops apart, so that an id of one names nothing in another.
///
/// Whoever makes an [`Engine`](crate::Engine) chooses it; the event loops of `plimsoll-sys` count them up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct LoopTag(pub u32);

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// A plain value: `Copy`, `Send`, and inert without the loop that issued it. A stale one, or one of another loop, is
        /// answered like a lost connection and never reaches anything else (contract RUST-10, THREAD-1).
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            pub(crate) key: Key,
            pub(crate) tag: LoopTag,
        }

        impl $name {
            pub(crate) const fn new(key: Key, tag: LoopTag) -> Self {
                Self { key, tag }
            }

            /// The key in the loop's table, for drivers.
            #[must_use]
            pub const fn key(self) -> Key {
                self.key
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?}@{})", stringify!($name), self.key, self.tag.0)
            }
        }
    };
}

typed_id!(
    /// Names a stream connection.
    StreamId
);
typed_id!(
    /// Names a datagram endpoint.
    DatagramId
);
typed_id!(
    /// Names a child process.
    ProcessId
);
typed_id!(
    /// Names one listening socket of a server.
    ListenerId
);
typed_id!(
    /// Names a server: one or more listening sockets and the factory behind them.
    ServerId
);
typed_id!(
    /// Names a timer.
    TimerId
);
typed_id!(
    /// Names a lookup of a name that is under way.
    QueryId
);
typed_id!(
    /// Names a descriptor that is watched without a transport.
    WatchId
);

/// Names an endpoint of any kind: what can be said of endpoints of every kind takes an `impl Into<EndpointId>`, so any id will do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EndpointId {
    /// A stream connection.
    Stream(StreamId),
    /// A datagram endpoint.
    Datagram(DatagramId),
    /// A child process.
    Process(ProcessId),
}

impl EndpointId {
    /// The key in the loop's table, for drivers.
    #[must_use]
    pub const fn key(self) -> Key {
        match self {
            Self::Stream(id) => id.key,
            Self::Datagram(id) => id.key,
            Self::Process(id) => id.key,
        }
    }

    pub(crate) const fn tag(self) -> LoopTag {
        match self {
            Self::Stream(id) => id.tag,
            Self::Datagram(id) => id.tag,
            Self::Process(id) => id.tag,
        }
    }

    /// The stream connection, if it is one.
    #[must_use]
    pub const fn stream(self) -> Option<StreamId> {
        match self {
            Self::Stream(id) => Some(id),
            Self::Datagram(_) | Self::Process(_) => None,
        }
    }

    /// The datagram endpoint, if it is one.
    #[must_use]
    pub const fn datagram(self) -> Option<DatagramId> {
        match self {
            Self::Datagram(id) => Some(id),
            Self::Stream(_) | Self::Process(_) => None,
        }
    }

    /// The child process, if it is one.
    #[must_use]
    pub const fn process(self) -> Option<ProcessId> {
        match self {
            Self::Process(id) => Some(id),
            Self::Datagram(_) => None,
            Self::Stream(_) => None,
        }
    }
}

impl From<StreamId> for EndpointId {
    fn from(id: StreamId) -> Self {
        Self::Stream(id)
    }
}

impl From<DatagramId> for EndpointId {
    fn from(id: DatagramId) -> Self {
        Self::Datagram(id)
    }
}

impl From<ProcessId> for EndpointId {
    fn from(id: ProcessId) -> Self {
        Self::Process(id)
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(id) => id.fmt(f),
            Self::Datagram(id) => id.fmt(f),
            Self::Process(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_key_names_nothing_even_when_its_slot_is_reused() {
        //= RUST-10
        let mut slab = Slab::new();
        let first = slab.insert('a').unwrap();
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b').unwrap();
        assert_eq!(first.index(), second.index());
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&'b'));
        assert_eq!(Key::from_bits(second.to_bits()), second);
    }

    #[test]
    fn a_slot_whose_generation_would_wrap_is_retired() {
        //= RUST-10
        let mut slab = Slab::new();
        let key = slab.insert('a').unwrap();
        slab.set_generation(key.index(), u32::MAX);
        let last = Key { generation: u32::MAX, ..key };
        assert_eq!(slab.remove(last), Some('a'));
        assert_eq!(slab.get(last), None);
        assert_eq!(slab.remove(last), None);
        let next = slab.insert('b').unwrap();
        assert_ne!(next.index(), key.index());
        assert_eq!(slab.len(), 1);
        assert_eq!(slab.iter().count(), 1);
    }

    #[test]
    fn a_key_in_sixty_four_bits_is_its_generation_and_its_index() {
        let key = Key::new(3, 5);
        assert_eq!((key.index(), key.generation(), key.to_bits()), (3, 5, 0x5_0000_0003));
        assert_eq!(Key::from_bits(0x5_0000_0003), key);
    }

    #[test]
    fn a_slab_does_what_a_map_from_keys_would_do() {
        //= RUST-10
        let mut slab = Slab::default();
        // Every key that was ever handed out, with what is under it.
        let mut map: Vec<(Key, Option<u32>)> = Vec::new();
        let mut random = 1u32;
        for n in 0..400 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pick = (random >> 8) as usize;
            if map.is_empty() || pick % 5 < 2 {
                let key = slab.insert(n).unwrap();
                assert!(map.iter().all(|(old, _)| *old != key));
                assert_eq!(key.generation() % 2, 1, "so that zero never names anything");
                map.push((key, Some(n)));
            } else if pick % 5 < 4 {
                let at = pick / 5 % map.len();
                assert_eq!(slab.remove(map[at].0), map[at].1.take());
            } else {
                let at = pick / 5 % map.len();
                assert_eq!(slab.get_mut(map[at].0).map(|value| core::mem::replace(value, n)), map[at].1);
                map[at].1 = map[at].1.map(|_| n);
            }
            for (key, value) in &map {
                assert_eq!(slab.get(*key), value.as_ref());
            }
            let mut live: Vec<_> = map.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?))).collect();
            live.sort_unstable();
            assert_eq!((slab.len(), slab.is_empty()), (live.len(), live.is_empty()));
            assert_eq!(slab.iter().collect::<Vec<_>>(), live);
        }
        assert!(map.len() > slab.entries.len(), "no slot was used twice");
    }

    #[test]
    fn an_endpoint_is_of_one_kind() {
        //= RUST-10
        let key = |index| Key::new(index, 7);
        let stream = StreamId::new(key(1), LoopTag(4));
        let datagram = DatagramId::new(key(2), LoopTag(5));
        let process = ProcessId::new(key(3), LoopTag(6));
        let all = [EndpointId::from(stream), EndpointId::from(datagram), EndpointId::Process(process)];
        assert_eq!(all.map(EndpointId::key), [key(1), key(2), key(3)]);
        assert_eq!(all.map(EndpointId::tag), [LoopTag(4), LoopTag(5), LoopTag(6)]);
        assert_eq!(all.map(EndpointId::stream), [Some(stream), None, None]);
        assert_eq!(all.map(EndpointId::datagram), [None, Some(datagram), None]);
        assert_eq!(all.map(EndpointId::process), [None, None, Some(process)]);
    }
}

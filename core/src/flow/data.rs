//! How bytes are lent, claimed and queued.

use super::queue::SendQueue;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::fmt;
use core::ops::Deref;

/// Owned pieces shorter than this are copied together, so that a vectored send sees few and full pieces.
pub(crate) const OWNED: usize = 1024;

/// Bytes that were received, lent to the protocol for the length of one callback.
///
/// It derefs to `[u8]`. [`into_bytes`](Self::into_bytes) keeps them for longer; writing them to a connection (`cx.write(data)`)
/// takes large chunks over whole, without a copy.
pub struct Data<'a> {
    block: &'a mut BytesMut,
    len: usize,
}

impl<'a> Data<'a> {
    /// Lends the first `len` bytes of a block (all of it, if that is less). Whoever lends finds the block empty afterwards if
    /// it was claimed.
    #[must_use]
    pub fn new(block: &'a mut BytesMut, len: usize) -> Self {
        let len = len.min(block.len());
        Self { block, len }
    }

    /// Keeps the bytes: less than a quarter of the block (or than 1 KiB) is copied into memory of its own size, so that a few bytes never pin a
    /// large block; more is claimed with the block and not copied.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.is_small() { Bytes::copy_from_slice(&self) } else { self.claim() }
    }

    /// For a layer that decrypts in place.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.block[..self.len]
    }

    #[inline]
    fn is_small(&self) -> bool {
        self.len < OWNED || self.len < self.block.capacity() / 4
    }

    fn claim(self) -> Bytes {
        let mut block = core::mem::take(self.block);
        // `split_to` and not `truncate`: a block that has been shared once is then frozen and won back without an allocation.
        block.split_to(self.len).freeze()
    }
}

impl Deref for Data<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.block[..self.len]
    }
}

impl AsRef<[u8]> for Data<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Named only here, so that nobody else can implement [`WriteData`].
#[allow(unnameable_types, reason = "sealed")]
pub(crate) mod sealed {
    use super::{BytesMut, SendQueue};

    pub trait Queue {
        #[inline]
        fn is_empty(&self) -> bool {
            self.as_slice().is_empty()
        }
        fn as_slice(&self) -> &[u8];
        /// Whether [`append_to`](Self::append_to) copies it, as it does with slices.
        #[inline]
        fn is_copied(&self) -> bool {
            true
        }
        /// Where the block is in which it was received: once this is handed over nobody can reach it there any more.
        #[inline]
        fn block(&self) -> Option<*const BytesMut> {
            None
        }
        fn append_to(self, queue: &mut SendQueue);
    }
}

/// What can be written: slices are copied, owned bytes of 1 KiB and more are queued as they are.
///
/// Implemented for `&[u8]`, `&[u8; N]`, `&str`, `&String`, `&Vec<u8>`, `String`, `Vec<u8>`, [`Bytes`], [`BytesMut`] and [`Data`]. In all cases the bytes sent
/// are those at the time of the call (contract WRITE-5).
pub trait WriteData: sealed::Queue {}

macro_rules! copied {
    ($([$($generics:tt)*] $type:ty),*) => {$(
        impl<$($generics)*> WriteData for $type {}
        impl<$($generics)*> sealed::Queue for $type {
            #[inline]
            fn as_slice(&self) -> &[u8] {
                self.as_ref()
            }

            #[inline]
            fn append_to(self, queue: &mut SendQueue) {
                queue.copy(self.as_ref());
            }
        }
    )*};
}

copied!([] &[u8], [const N: usize] &[u8; N], [] &str, [] &Vec<u8>, [] &String);

macro_rules! owned {
    ($($type:ty),*) => {$(
        impl WriteData for $type {}
        impl sealed::Queue for $type {
            fn as_slice(&self) -> &[u8] {
                self.as_ref()
            }

            #[inline]
            fn is_copied(&self) -> bool {
                self.len() < OWNED
            }

            fn append_to(self, queue: &mut SendQueue) {
                if self.is_copied() {
                    queue.copy(self.as_ref());
                } else {
                    queue.own(self.into());
                }
            }
        }
    )*};
}

owned!(Vec<u8>, String, Bytes, BytesMut);

impl WriteData for Data<'_> {}
impl sealed::Queue for Data<'_> {
    #[inline]
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        self
    }

    #[inline]
    fn is_copied(&self) -> bool {
        self.is_small()
    }

    #[inline]
    fn block(&self) -> Option<*const BytesMut> {
        Some(&raw const *self.block)
    }

    #[inline]
    fn append_to(self, queue: &mut SendQueue) {
        if self.is_small() {
            queue.copy(&self);
        } else {
            queue.own(self.claim());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// Whether so many bytes of a block of that size were claimed, and not copied.
    fn claims(size: usize, len: usize) -> bool {
        let mut block = BytesMut::zeroed(size);
        let place = block.as_ptr();
        let bytes = Data::new(&mut block, len).into_bytes();
        assert_eq!(bytes.len(), len);
        assert_eq!(block.is_empty(), bytes.as_ptr() == place, "whoever lent it finds out");
        block.is_empty()
    }

    #[test]
    fn a_quarter_of_a_block_is_claimed_and_less_is_copied() {
        assert!(!claims(64 * 1024, 16 * 1024 - 1));
        assert!(claims(64 * 1024, 16 * 1024));
        // Of small blocks 1 KiB: a copy of less costs nothing.
        assert!(!claims(2048, 1023));
        assert!(claims(2048, 1024));
    }

    #[test]
    fn what_is_lent_is_the_front_of_the_block() {
        let mut block = BytesMut::from("abcdef");
        let data = Data::new(&mut block, 4);
        assert_eq!((&*data, data.as_ref()), (&b"abcd"[..], &b"abcd"[..]));
        assert_eq!(&*Data::new(&mut block, 9), b"abcdef");
        let (some, none) = (&mut BytesMut::from("abc"), &mut BytesMut::from("abc"));
        let (some, none) = (Data::new(some, 2), Data::new(none, 0));
        assert_eq!((sealed::Queue::as_slice(&some), sealed::Queue::is_empty(&some)), (&b"ab"[..], false));
        assert_eq!((sealed::Queue::as_slice(&none), sealed::Queue::is_empty(&none)), (&b""[..], true));
    }

    /// How many pieces are queued when that was written behind a byte, and whether the last one is where it was.
    fn queued(data: impl WriteData, place: *const u8) -> (usize, bool) {
        let mut queue = SendQueue::new();
        queue.push("a");
        queue.push(data);
        let last = queue.pieces().last().map(<[u8]>::as_ptr);
        (queue.pieces().count(), last == Some(place))
    }

    #[test]
    fn owned_bytes_of_one_kibibyte_are_queued_as_they_are() {
        //= WRITE-5
        for (len, expected) in [(1023, (1, false)), (1024, (2, true)), (5000, (2, true))] {
            let bytes = Bytes::from(vec![7; len]);
            let place = bytes.as_ptr();
            assert_eq!(queued(bytes, place), expected);
            let bytes = vec![7; len];
            let place = bytes.as_ptr();
            assert_eq!(queued(bytes, place), expected);
            let bytes = BytesMut::zeroed(len);
            let place = bytes.as_ptr();
            assert_eq!(queued(bytes, place), expected);
            let mut block = BytesMut::zeroed(2048);
            let place = block.as_ptr();
            if len <= 2048 {
                assert_eq!(queued(Data::new(&mut block, len), place), expected);
            }
            let lent = vec![7; len];
            assert_eq!(queued(&lent, lent.as_ptr()), (1, false));
        }
    }

    #[test]
    fn nothing_is_queued_of_nothing() {
        //= WRITE-4, WRITE-7
        let mut queue = SendQueue::new();
        queue.push(BytesMut::new());
        queue.push(Data::new(&mut BytesMut::from("abc"), 0));
        let nothing = Vec::new();
        queue.push(&nothing);
        queue.push(nothing);
        queue.push(Bytes::new());
        assert_eq!((queue.len(), queue.pieces().count()), (0, 0));
    }
}

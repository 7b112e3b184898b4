//! Datagrams that the kernel put together on the way in: cut apart again, each told as if it had come alone.

use super::ReadinessIo;
use super::datagrams::{Area, Came, Incoming};
use crate::addr::{Addr, UnixAddr};
use crate::error::Error;
use crate::flow::pool::BufPool;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::BytesMut;

/// How many blocks one call fills at most: each may hold as many datagrams as a kernel puts together, which is 64.
const RUNS: usize = 8;

/// So many at first.
const FEW: usize = 2;

/// What was cut out is copied, so that nobody who keeps a datagram keeps the block of all of them; memory of this size is used again.
const KEPT: usize = 4096;

/// What came into a block: one datagram, or several of one sender, one behind the other.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "filled in by backends, field by field")]
pub struct IncomingRun {
    /// How much of the block they took.
    pub len: usize,
    /// The size of each but the last, which may be shorter; `len` or more if there is one. Zero is that too.
    pub size: usize,
    /// Where they came from.
    pub from: Addr,
}

/// What runs are received into, for all endpoints, and what is cut out of them.
#[derive(Debug, Default)]
pub(super) struct Runs {
    blocks: Vec<BytesMut>,
    /// What came into the block of the same index.
    came: Vec<IncomingRun>,
    /// What the [`Area`] delivers in the place of its own; while it does, its own stands here.
    cut: Vec<BytesMut>,
    told: Vec<Incoming>,
    claimed: bool,
    /// How many were cut out, while they stand in the area.
    in_place: usize,
}

impl Runs {
    fn prepare(&mut self, pool: &mut BufPool) -> (&mut [BytesMut], &mut [IncomingRun]) {
        while self.blocks.len() < FEW {
            self.add(pool);
        }
        (&mut self.blocks, &mut self.came)
    }

    fn add(&mut self, pool: &mut BufPool) {
        self.blocks.push(pool.take_block());
        self.came.push(IncomingRun { len: 0, size: 0, from: Addr::Unix(UnixAddr::UNNAMED) });
    }

    /// All blocks were filled: the next call has twice as many.
    fn grow(&mut self, pool: &mut BufPool) {
        for _ in 0..self.blocks.len().min(RUNS - self.blocks.len()) {
            self.add(pool);
        }
    }

    /// Cuts apart what came into the first `count` blocks; how many datagrams that is.
    fn cut(&mut self, count: usize) -> usize {
        let Self { blocks, came, cut, told, .. } = self;
        let mut n = 0;
        let mut put = |datagram: &[u8], from: &Addr| {
            match cut.get_mut(n) {
                Some(place) => {
                    place.clear();
                    place.extend_from_slice(datagram);
                }
                None => cut.push(datagram.into()),
            }
            let told_of = Incoming { len: datagram.len(), from: from.clone() };
            match told.get_mut(n) {
                Some(place) => *place = told_of,
                None => told.push(told_of),
            }
            n += 1;
        };
        for (block, came) in blocks.iter().zip(came).take(count) {
            let bytes = &block[..came.len.min(block.len())];
            if came.size == 0 || came.size >= bytes.len() {
                put(bytes, &came.from);
            } else {
                bytes.chunks(came.size).for_each(|datagram| put(datagram, &came.from));
            }
        }
        n
    }
}

impl Area {
    /// As [`receive`](Self::receive), from a socket for which the kernel puts datagrams together. They stand in the area afterwards, cut apart, until
    /// [`put_back`](Self::put_back).
    #[inline(never)]
    pub(super) fn receive_runs<Y: ReadinessIo>(
        &mut self,
        io: &mut Y,
        source: &mut Y::Source,
        pool: &mut BufPool,
    ) -> Result<Option<Came>, Error> {
        let runs = self.runs.get_or_insert_with(Box::default);
        let (blocks, came) = runs.prepare(pool);
        let asked = blocks.len();
        let Some(filled) = io.recv_runs(source, blocks, came)? else { return Ok(None) };
        let count = runs.cut(filled.min(asked));
        runs.in_place = count;
        if filled >= asked {
            runs.grow(pool);
        }
        self.swap();
        Ok(Some(Came { count, full: filled >= asked }))
    }

    /// What was cut out of runs has been told, or is held elsewhere.
    pub(super) fn put_back(&mut self) {
        if self.runs.as_ref().is_some_and(|runs| runs.in_place > 0) {
            self.swap();
            if let Some(runs) = &mut self.runs {
                runs.claimed = false;
                let used = core::mem::take(&mut runs.in_place);
                runs.cut
                    .iter_mut()
                    .take(used)
                    .filter(|datagram| datagram.capacity() > KEPT)
                    .for_each(|large| *large = BytesMut::new());
            }
        }
    }

    fn swap(&mut self) {
        let Some(runs) = &mut self.runs else { return };
        core::mem::swap(&mut self.blocks, &mut runs.cut);
        core::mem::swap(&mut self.came, &mut runs.told);
        core::mem::swap(&mut self.claimed, &mut runs.claimed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use core::net::SocketAddr;

    fn addr(port: u16) -> Addr {
        SocketAddr::from(([127, 0, 0, 1], port)).into()
    }

    //= DGRAM-3
    #[test]
    fn what_came_together_is_cut_into_datagrams_with_their_senders() {
        let mut runs = Runs::default();
        let mut pool = BufPool::new();
        // So many bytes of that size: what is cut out of them.
        let all: [(usize, usize, &[usize]); 7] = [
            (0, 0, &[0]),
            (0, 5, &[0]),
            (12, 5, &[5, 5, 2]),
            (10, 5, &[5, 5]),
            (7, 7, &[7]),
            (7, 9_000, &[7]),
            (usize::MAX, 0, &[BufPool::BLOCK]),
        ];
        for _ in 0..3 {
            while runs.blocks.len() < all.len() {
                runs.add(&mut pool);
            }
            for (n, (len, size, _)) in all.iter().enumerate() {
                runs.blocks[n].iter_mut().enumerate().for_each(|(at, byte)| *byte = (n + at) as u8);
                runs.came[n] = IncomingRun { len: *len, size: *size, from: addr(n as u16) };
            }
            let count = runs.cut(all.len());
            let expected: Vec<(usize, Addr)> =
                all.iter().enumerate().flat_map(|(n, (_, _, lens))| lens.iter().map(move |len| (*len, addr(n as u16)))).collect();
            assert_eq!(runs.told[..count].iter().map(|told| (told.len, told.from.clone())).collect::<Vec<_>>(), expected);
            // The bytes of each are those of its place in its block.
            let bytes: Vec<u8> = runs.cut[..count].iter().flat_map(|datagram| datagram.to_vec()).collect();
            let whole: Vec<u8> =
                all.iter().zip(&runs.blocks).flat_map(|((len, ..), block)| block[..(*len).min(block.len())].to_vec()).collect();
            assert_eq!(bytes, whole);
        }
    }

    #[test]
    fn there_are_few_blocks_at_first_and_large_datagrams_are_not_kept() {
        let mut pool = BufPool::new();
        let mut runs = Runs::default();
        for expected in [FEW, 4, RUNS, RUNS] {
            let (blocks, came) = runs.prepare(&mut pool);
            assert_eq!((blocks.len(), came.len()), (expected, expected));
            runs.grow(&mut pool);
        }
        runs.came[0] = IncomingRun { len: 60_000, size: 0, from: addr(1) };
        runs.came[1] = IncomingRun { len: 2_400, size: 1_200, from: addr(1) };
        runs.in_place = runs.cut(2);
        let mut area = Area { runs: Some(Box::new(runs)), ..Area::default() };
        area.swap();
        assert_eq!(area.blocks.iter().map(BytesMut::len).collect::<Vec<_>>(), vec![60_000, 1_200, 1_200]);
        for _ in 0..2 {
            area.put_back();
            assert!(area.blocks.is_empty());
        }
        let kept: Vec<bool> = area.runs.unwrap().cut.iter().map(|datagram| datagram.capacity() > 0).collect();
        assert_eq!(kept, [false, true, true]);
    }
}

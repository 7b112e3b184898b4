//! A stream has no message boundaries: whatever it is cut into, the outcome is the same.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

/// Up to this length every way of cutting is tried: 2¹¹ of them.
const EXHAUSTIVE: usize = 12;

/// Up to this length every way of cutting in three is tried.
const THREE: usize = 64;

/// Feeds `bytes` to `run` in many cuttings, and panics if the outcome of one is not that of the uncut bytes, which it returns.
///
/// A peer's bytes may come in any pieces (contract READ-1), so what a protocol makes of them must not depend on the pieces. Up to 12 bytes every cutting is
/// tried; of longer ones every cut in two, up to 64 bytes every cut in three, and pieces of equal length, each length once. So `run` is called less than
/// 2 200 times, or about twice for each byte if there are many. Those with few pieces come first: the first that differs is easy to read.
///
/// ```
/// use plimsoll_core::testing::{Harness, same_however_split};
/// use plimsoll_core::{Context, Data, Protocol};
///
/// /// Answers each line with its length.
/// #[derive(Default)]
/// struct Lengths(Vec<u8>);
/// impl<S> Protocol<S> for Lengths {
///     fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
///         self.0.extend_from_slice(&data);
///         while let Some(end) = self.0.iter().position(|&byte| byte == b'\n') {
///             self.0.drain(..=end);
///             cx.write(format!("{end}\n"));
///         }
///     }
/// }
///
/// let answer = same_however_split(b"one\nthree\n", |pieces| {
///     let mut t = Harness::new(());
///     let c = t.connect(Lengths::default());
///     for piece in pieces {
///         t.feed(c, piece);
///     }
///     t.sent(c)
/// });
/// assert_eq!(answer, b"3\n5\n");
/// ```
///
/// # Panics
/// If an outcome differs, with both outcomes and the cutting.
#[track_caller]
pub fn same_however_split<T: PartialEq + Debug>(bytes: &[u8], mut run: impl FnMut(&[&[u8]]) -> T) -> T {
    let whole = run(&[bytes]);
    for lengths in cuttings(bytes.len()) {
        let mut rest = bytes;
        let pieces: Vec<&[u8]> = lengths
            .iter()
            .map(|&len| {
                let (piece, behind) = rest.split_at(len);
                rest = behind;
                piece
            })
            .collect();
        let outcome = run(&pieces);
        assert!(
            outcome == whole,
            "the outcome depends on how the bytes are cut\n   cut: {}\n   gives: {outcome:?}\n   uncut: {whole:?}",
            Cut(&pieces)
        );
    }
    whole
}

/// Pieces, as they are shown.
struct Cut<'a>(&'a [&'a [u8]]);

impl core::fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (n, piece) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{}", piece.escape_ascii())?;
        }
        Ok(())
    }
}

/// The lengths of the pieces, all but the whole in one piece; none is empty.
fn cuttings(len: usize) -> impl Iterator<Item = Vec<usize>> {
    let all = if len <= EXHAUSTIVE { every(len) } else { some(len) };
    all.into_iter().filter(|pieces| pieces.len() > 1)
}

/// A bit of a mask for each place where it may be cut; few cuts first.
fn every(len: usize) -> Vec<Vec<usize>> {
    let mut masks: Vec<u32> = (0..1 << len.saturating_sub(1)).collect();
    masks.sort_by_key(|mask| mask.count_ones());
    let pieces = |mask: u32| {
        let mut pieces = vec![1];
        for place in 0..len.saturating_sub(1) {
            match pieces.last_mut() {
                Some(last) if mask >> place & 1 == 0 => *last += 1,
                _ => pieces.push(1),
            }
        }
        pieces
    };
    masks.into_iter().map(pieces).collect()
}

fn some(len: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<_> = (1..len).map(|at| vec![at, len - at]).collect();
    if len <= THREE {
        all.extend((1..len).flat_map(|at| (at + 1..len).map(move |then| vec![at, then - at, len - then])));
    }
    for size in (1..len).rev() {
        let mut pieces = vec![size; len / size];
        if len % size > 0 {
            pieces.push(len % size);
        }
        all.push(pieces);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use core::panic::AssertUnwindSafe;
    use std::panic::catch_unwind;

    //= READ-1
    #[test]
    fn every_cutting_of_a_few_bytes_is_tried_once() {
        for len in 0..=EXHAUSTIVE {
            let all: Vec<_> = cuttings(len).collect();
            assert_eq!(all.len(), (1_usize << len.saturating_sub(1)) - 1);
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
            assert!(all.iter().all(|pieces| pieces.iter().sum::<usize>() == len && !pieces.contains(&0)));
            assert!(all.is_sorted_by_key(Vec::len));
        }
    }

    #[test]
    fn many_bytes_are_cut_at_every_place_and_one_by_one() {
        for len in [EXHAUSTIVE + 1, THREE, THREE + 1, 1000] {
            let all: Vec<_> = cuttings(len).collect();
            assert!(all.iter().all(|pieces| pieces.iter().sum::<usize>() == len && !pieces.contains(&0)));
            assert!((1..len).all(|at| all.contains(&vec![at, len - at])));
            assert!(all.contains(&vec![1; len]));
            assert!(all.len() < 2200);
            assert_eq!(all.iter().filter(|pieces| pieces.len() == 3).count() > len, len <= THREE);
        }
    }

    #[test]
    fn the_first_cutting_that_differs_is_shown() {
        let found =
            catch_unwind(AssertUnwindSafe(|| same_however_split(b"abc\n", |pieces| pieces.iter().any(|p| p.starts_with(b"c")))));
        let message = *found.unwrap_err().downcast::<alloc::string::String>().unwrap();
        assert!(
            message.contains(r"cut: ab | c\n") && message.contains("gives: true") && message.contains("uncut: false"),
            "{message}"
        );
        assert_eq!(same_however_split(b"abc\n", |pieces| pieces.concat()), b"abc\n");
    }
}

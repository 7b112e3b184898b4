//! Runs: datagrams that the kernel takes as one message and cuts apart itself.

use core::net::SocketAddr;

/// The most datagrams of a run: the fewest that a kernel which cuts them knows to cut.
const MOST: usize = 64;

/// The most bytes of a run: the largest payload of a datagram of IPv4, which a run is before it is cut.
const LONGEST: usize = 65_507;

/// Datagrams in a row to one address that are all of one size, but for the last one, which may be shorter.
///
/// An empty one is always by itself: of bytes that are cut it would be nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    to: Option<&'a SocketAddr>,
    /// The size of the first one, and so of each but the last.
    pub(super) size: usize,
    total: usize,
    pub(super) count: usize,
    /// The last one was shorter: nothing may follow it.
    over: bool,
}

impl<'a> Run<'a> {
    pub(super) const fn new(len: usize, to: Option<&'a SocketAddr>) -> Self {
        Self { to, size: len, total: len, count: 1, over: false }
    }

    /// Takes the next datagram in, if it may be one of this run.
    pub(super) fn join(&mut self, len: usize, to: Option<&SocketAddr>) -> bool {
        let joins =
            !self.over && len > 0 && len <= self.size && self.count < MOST && self.total + len <= LONGEST && to == self.to;
        if joins {
            self.over = len < self.size;
            self.total += len;
            self.count += 1;
        }
        joins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Datagrams = Vec<(usize, Option<SocketAddr>)>;

    /// As [`super::super::Runs`] puts them together.
    fn runs(datagrams: &[(usize, Option<SocketAddr>)]) -> Vec<Run<'_>> {
        let mut runs: Vec<Run<'_>> = Vec::new();
        for (len, to) in datagrams {
            if !runs.last_mut().is_some_and(|run| run.join(*len, to.as_ref())) {
                runs.push(Run::new(*len, to.as_ref()));
            }
        }
        runs
    }

    /// What a kernel makes of them: it knows the bytes of a run, and the size at which they are cut if there are several.
    fn cut(runs: &[Run<'_>]) -> Datagrams {
        let mut datagrams = Datagrams::new();
        for run in runs {
            let mut left = run.total;
            let size = if run.count > 1 { run.size } else { left };
            loop {
                datagrams.push((size.min(left), run.to.copied()));
                left -= size.min(left);
                if left == 0 {
                    break;
                }
            }
        }
        datagrams
    }

    fn addr(n: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], n))
    }

    #[test]
    fn whatever_is_put_together_is_cut_into_what_it_was() {
        // Numbers of a generator that is as good as any: sizes that are mostly equal, addresses that mostly stay.
        let mut seed = 1_u64;
        let mut random = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        let mut joined = 0;
        for _ in 0..5_000 {
            let (mut size, mut to) = (1_200, Some(addr(1)));
            let datagrams: Datagrams = (0..random(100))
                .map(|_| {
                    if random(6) == 0 {
                        size = [0, 1, 2, 64, 1_199, 1_200, 9_000, 32_754, 65_507][random(9) as usize];
                    }
                    if random(12) == 0 {
                        to = (random(4) > 0).then(|| addr(random(3) as u16));
                    }
                    (size, to)
                })
                .collect();
            let runs = runs(&datagrams);
            assert_eq!(cut(&runs), datagrams);
            assert!(runs.iter().all(|run| run.count <= MOST && run.total <= LONGEST && (run.size > 0 || run.count == 1)));
            joined += datagrams.len() - runs.len();
        }
        assert!(joined > 100_000, "only {joined} were put together");
    }

    #[test]
    fn a_run_ends_where_it_has_to_and_not_before() {
        let to = addr(7);
        let lens = |lens: &[usize]| {
            runs(&lens.iter().map(|len| (*len, Some(to))).collect::<Datagrams>()).iter().map(|run| run.count).collect::<Vec<_>>()
        };
        assert_eq!(lens(&[5, 5, 5]), [3]);
        // A shorter one ends it, a longer one begins another.
        assert_eq!(lens(&[5, 5, 3, 3, 5]), [3, 1, 1]);
        assert_eq!(lens(&[5, 6]), [1, 1]);
        // Empty ones are never part of one.
        assert_eq!(lens(&[5, 0, 5]), [1, 1, 1]);
        assert_eq!(lens(&[0, 0]), [1, 1]);
        // As long as one datagram may be, and not a byte longer.
        assert_eq!(lens(&[32_754, 32_753]), [2]);
        assert_eq!(lens(&[32_754, 32_754]), [1, 1]);
        assert_eq!(lens(&[1; 70]), [64, 6]);
        // To one address, and the peer of the socket is one.
        let mixed = [(5, None), (5, None), (5, Some(to)), (5, Some(addr(8))), (5, Some(addr(8)))];
        assert_eq!(runs(&mixed).iter().map(|run| run.count).collect::<Vec<_>>(), [2, 1, 2]);
    }
}

//! Records by their heads, which nobody encrypts.

/// What a record begins with: its type, a version, and how many bytes follow.
pub(super) type Head = [u8; HEAD];

const HEAD: usize = 5;
const ALERT: u8 = 21;
const DATA: u8 = 23;
/// The most that follows a head: a full record, and what encryption may add to it (RFC 5246, 6.2.3).
const MOST: u16 = 16 * 1024 + 2048;

/// Where a stream of records stands, found out without a look into them.
#[derive(Default)]
pub(super) struct Heads {
    /// The first bytes of the record that is under way: its head, and two more.
    first: [u8; HEAD + 2],
    have: usize,
    /// What is to come of it, once its head is there.
    left: usize,
}

impl Heads {
    /// Whether these bytes are one whole record of data, as most of what comes is: then there is nothing to [follow](Self::follow).
    #[inline]
    pub(super) fn is_one_of_data(&self, wire: &[u8]) -> bool {
        let whole = match wire {
            [DATA, _, _, high, low, body @ ..] => body.len() == usize::from(u16::from_be_bytes([*high, *low])),
            _ => false,
        };
        whole && self.have == 0
    }

    /// Goes on behind these bytes, and shows each record that ends in them.
    pub(super) fn follow(&mut self, mut wire: &[u8], mut ended: impl FnMut(Record)) {
        while let [next, rest @ ..] = wire {
            if self.have < HEAD {
                self.first[self.have] = *next;
                self.have += 1;
                wire = rest;
                if self.have == HEAD {
                    self.left = self.len().into();
                }
            } else {
                let (body, rest) = wire.split_at(self.left.min(wire.len()));
                for (place, byte) in self.first[self.have..].iter_mut().zip(body) {
                    *place = *byte;
                    self.have += 1;
                }
                self.left -= body.len();
                wire = rest;
            }
            if self.have >= HEAD && self.left == 0 {
                ended(Record(self.first));
                *self = Self::default();
            }
        }
    }

    /// Whether what is under way can be a record, as far as it has come.
    pub(super) fn is_possible(&self) -> bool {
        self.have < HEAD || Record(self.first).is_possible()
    }

    const fn len(&self) -> u16 {
        u16::from_be_bytes([self.first[3], self.first[4]])
    }
}

/// The first bytes of a record.
#[derive(Clone, Copy)]
pub(super) struct Record([u8; HEAD + 2]);

impl Record {
    pub(super) fn head(&self) -> Head {
        [0, 1, 2, 3, 4].map(|at| self.0[at])
    }

    /// Whether it is a closing word that nobody has encrypted.
    pub(super) const fn is_clear_close_notify(&self) -> bool {
        matches!(self.0, [ALERT, _, _, 0, 2, _, 0])
    }

    /// Whether there are records like that, once they are encrypted.
    pub(super) fn is_possible(&self) -> bool {
        let [kind, major, _, high, low, ..] = self.0;
        (20..=DATA).contains(&kind) && major == 3 && u16::from_be_bytes([high, low]) <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const RECORDS: &[u8] = &[22, 3, 1, 0, 3, 7, 8, 9, 23, 3, 3, 0, 0, 21, 3, 3, 0, 2, 1, 0, 23, 3, 3, 1];

    fn ended(pieces: &[&[u8]]) -> (Vec<(Head, bool)>, Heads) {
        let (mut heads, mut all) = (Heads::default(), Vec::new());
        for piece in pieces {
            heads.follow(piece, |record| all.push((record.head(), record.is_clear_close_notify())));
        }
        (all, heads)
    }

    #[test]
    fn records_are_told_apart_however_they_come() {
        let whole = [([22, 3, 1, 0, 3], false), ([23, 3, 3, 0, 0], false), ([21, 3, 3, 0, 2], true)];
        for cut in 0..RECORDS.len() {
            let (all, heads) = ended(&[&RECORDS[..cut], &RECORDS[cut..]]);
            assert_eq!((all.as_slice(), heads.have, heads.is_possible()), (&whole[..], 4, true), "{cut}");
        }
        let bytes: Vec<_> = RECORDS.chunks(1).collect();
        assert_eq!(ended(&bytes).0, whole);
    }

    #[test]
    fn one_record_of_data_is_nothing_else() {
        let heads = Heads::default();
        assert!(heads.is_one_of_data(&[23, 3, 3, 0, 1, 9]) && heads.is_one_of_data(&[23, 3, 3, 0, 0]));
        for other in [&[][..], &[23, 3, 3, 0, 1], &[23, 3, 3, 0, 1, 9, 9], &[21, 3, 3, 0, 2, 1, 0]] {
            assert!(!heads.is_one_of_data(other), "{other:?}");
        }
        assert!(!ended(&[&[23]]).1.is_one_of_data(&[23, 3, 3, 0, 1, 9]), "in the middle of one");
    }

    #[test]
    fn a_head_that_cannot_be_is_known_when_it_is_there() {
        for (head, possible) in [
            (&[0, 3, 3, 0, 1][..], false),
            (&[24, 3, 3, 0, 1], false),
            (&[23, 2, 3, 0, 1], false),
            (&[23, 3, 3, 0x48, 1], false),
            (&[23, 3, 3, 0x48, 0], true),
            (&[0, 0, 0, 0], true),
        ] {
            assert_eq!(ended(&[head]).1.is_possible(), possible, "{head:?}");
        }
    }
}

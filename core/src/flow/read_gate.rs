//! The receiving half: why it is not read, and its end.

/// A reason not to read. Reading goes on while there is none; lifting one never lifts another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[repr(u8)]
pub enum Hold {
    /// The application said `pause_reading`.
    User = 1,
    /// `connection_made` has not been delivered yet.
    NotOpen = 1 << 1,
    /// The peer has finished sending.
    Eof = 1 << 2,
    /// The connection is closing, or lost.
    Closing = 1 << 3,
    /// A writer that this reader follows is paused.
    Writer = 1 << 4,
    /// Pauses or resumes are owed that had to wait for the next iteration (contract RUST-2).
    Edges = 1 << 5,
    /// A file is being sent (contract LOOP-29).
    File = 1 << 6,
}

/// The set of reasons not to read, and end-of-file exactly once (contract 17.12).
///
/// ```
/// use plimsoll_core::{Hold, ReadGate};
///
/// let mut gate = ReadGate::new();
/// gate.hold(Hold::User);
/// gate.hold(Hold::Writer);
/// gate.release(Hold::User);
/// assert!(!gate.is_open());
/// gate.release(Hold::Writer);
/// assert!(gate.is_open());
///
/// gate.handle_eof();
/// assert!(!gate.is_open());
/// assert!(gate.poll_eof() && !gate.poll_eof());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReadGate {
    /// The reasons, and [`EOF_OWED`], which is never there without [`Hold::Eof`].
    bits: u8,
}

/// The peer has finished, and that has not been told yet.
const EOF_OWED: u8 = 1 << 7;

impl ReadGate {
    /// Open.
    #[must_use]
    pub const fn new() -> Self {
        Self { bits: 0 }
    }

    /// Closed for one reason.
    #[must_use]
    pub const fn held(why: Hold) -> Self {
        Self { bits: why as u8 }
    }

    /// Adds a reason not to read; whether it is new.
    pub fn hold(&mut self, why: Hold) -> bool {
        let new = !self.is_held(why);
        self.bits |= why as u8;
        new
    }

    /// Takes a reason away; whether it was one.
    pub fn release(&mut self, why: Hold) -> bool {
        let was = self.is_held(why);
        self.bits &= !(why as u8);
        was
    }

    /// Whether that is one of the reasons.
    #[must_use]
    pub const fn is_held(&self, why: Hold) -> bool {
        self.bits & why as u8 != 0
    }

    /// No reason not to read.
    #[inline]
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.bits == 0
    }

    /// The peer has finished; the first call counts.
    pub fn handle_eof(&mut self) {
        if self.hold(Hold::Eof) {
            self.bits |= EOF_OWED;
        }
    }

    /// The peer has finished, and that has not been told yet.
    #[must_use]
    pub const fn is_eof_owed(&self) -> bool {
        self.bits & EOF_OWED != 0
    }

    /// Whether end-of-file is to be told now: it waits while reading is held for another reason (contract READ-9).
    #[must_use]
    pub const fn is_eof_due(&self) -> bool {
        self.bits == Hold::Eof as u8 | EOF_OWED
    }

    /// Takes the end-of-file that is to be told now.
    pub fn poll_eof(&mut self) -> bool {
        let due = self.is_eof_due();
        if due {
            self.bits &= !EOF_OWED;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_file_waits_for_a_resume_and_comes_once() {
        //= READ-9, EOF-1, EOF-4
        let mut gate = ReadGate::new();
        gate.hold(Hold::User);
        gate.handle_eof();
        assert!(!gate.poll_eof());
        gate.release(Hold::User);
        assert!(gate.poll_eof());
        gate.hold(Hold::User);
        gate.release(Hold::User);
        gate.handle_eof();
        assert!(!gate.poll_eof());
        assert!(!gate.is_open());
    }

    #[test]
    fn holding_and_releasing_say_whether_anything_changed() {
        //= READ-7
        let mut gate = ReadGate::new();
        assert!(gate.hold(Hold::User));
        assert!(!gate.hold(Hold::User));
        assert!(gate.release(Hold::User));
        assert!(!gate.release(Hold::User));
        assert!(gate.is_open());
    }

    #[test]
    fn lifting_one_reason_never_lifts_another() {
        //= READ-7, READ-9
        let all = [Hold::User, Hold::NotOpen, Hold::Eof, Hold::Closing, Hold::Writer, Hold::Edges, Hold::File];
        for one in all {
            let mut gate = ReadGate::held(one);
            assert!(!gate.is_open());
            for other in all {
                assert_eq!((gate.is_held(other), gate.is_eof_owed()), (other == one, false));
            }
            for other in all.into_iter().filter(|other| *other != one) {
                assert!(gate.hold(other) && gate.release(other) && gate.is_held(one));
            }
        }
    }
}

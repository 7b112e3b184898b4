//! The reasons not to read, and the end of file.

use plimsoll_core::Hold;

/// The reasons a test plays with: all but end-of-file, which the gate gives itself.
pub(crate) const HOLDS: [Hold; 5] = [Hold::User, Hold::NotOpen, Hold::Closing, Hold::Writer, Hold::Edges];

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Eof {
    None,
    Kept,
    Told,
}

/// Why a receiving half is not read (contract 17.12): one flag for each reason, and end-of-file once (contract EOF-1).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct GateModel {
    held: [bool; HOLDS.len()],
    eof: Eof,
}

impl Default for GateModel {
    fn default() -> Self {
        Self::new()
    }
}

impl GateModel {
    /// No reason.
    #[must_use]
    pub const fn new() -> Self {
        Self { held: [false; HOLDS.len()], eof: Eof::None }
    }

    /// A receiving half that has come to its end, and was told so: that of a write pipe.
    #[must_use]
    pub const fn finished() -> Self {
        Self { held: [false; HOLDS.len()], eof: Eof::Told }
    }

    /// A reason more; whether it is new (contract READ-7).
    pub fn hold(&mut self, why: Hold) -> bool {
        self.set(why, true)
    }

    /// A reason less; whether it was one.
    pub fn release(&mut self, why: Hold) -> bool {
        self.set(why, false)
    }

    fn set(&mut self, why: Hold, held: bool) -> bool {
        let mut changed = false;
        for (reason, flag) in HOLDS.iter().zip(&mut self.held) {
            if *reason == why {
                changed = *flag != held;
                *flag = held;
            }
        }
        changed
    }

    /// Whether that is a reason at present.
    #[must_use]
    pub fn is_held(&self, why: Hold) -> bool {
        match why {
            Hold::Eof => self.eof != Eof::None,
            _ => HOLDS.iter().zip(&self.held).any(|(reason, flag)| *reason == why && *flag),
        }
    }

    /// The peer has finished.
    pub fn handle_eof(&mut self) {
        if self.eof == Eof::None {
            self.eof = Eof::Kept;
        }
    }

    /// End-of-file has not come yet: it counts once.
    #[must_use]
    pub fn is_open_to_eof(&self) -> bool {
        self.eof == Eof::None
    }

    /// No reason at all.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.eof == Eof::None && !self.held.contains(&true)
    }

    /// The peer has finished and nobody was told.
    #[must_use]
    pub fn is_eof_owed(&self) -> bool {
        self.eof == Eof::Kept
    }

    /// End-of-file can be told now: it waits like data does (contract READ-9).
    #[must_use]
    pub fn is_eof_due(&self) -> bool {
        self.is_eof_owed() && !self.held.contains(&true)
    }

    /// It was told.
    #[must_use]
    pub fn is_eof_told(&self) -> bool {
        self.eof == Eof::Told
    }

    /// Tells it, if it can be told.
    pub fn tell_eof(&mut self) -> bool {
        let due = self.is_eof_due();
        if due {
            self.eof = Eof::Told;
        }
        due
    }
}

//! The two load lines of a send queue.

use core::fmt;

/// The marks against which a transport holds the size of its send queue: above `high` the writer is paused, at or below `low` it
/// is resumed (contract FLOW-6, FLOW-7).
///
/// Both are in bytes, at most [`WriteLimits::LARGEST`], and `low` never exceeds `high`: there are no other values of this type.
///
/// ```
/// use plimsoll_core::WriteLimits;
///
/// let limits = WriteLimits::from_high(100).unwrap();
/// assert_eq!((limits.low(), limits.high()), (25, 100));
/// assert!(WriteLimits::new(2, 1).is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WriteLimits {
    // Half the width of a pointer: every connection carries them.
    low: u32,
    high: u32,
}

impl WriteLimits {
    /// The largest mark, 4 GiB − 1.
    pub const LARGEST: usize = u32::MAX as usize;

    /// Pauses above 64 KiB and resumes at 16 KiB: the default of TCP (contract FLOW-1).
    pub const DEFAULT: Self = Self { low: 16 * 1024, high: 64 * 1024 };

    /// Both marks (contract FLOW-2).
    ///
    /// # Errors
    /// If `low` is above `high`, or `high` above [`WriteLimits::LARGEST`].
    pub const fn new(low: usize, high: usize) -> Result<Self, LimitsError> {
        if low > high {
            Err(LimitsError::LowAboveHigh { low, high })
        } else if high > Self::LARGEST {
            Err(LimitsError::TooLarge { mark: high })
        } else {
            Ok(Self { low: low as u32, high: high as u32 })
        }
    }

    /// Only the high mark is given: the low one is a quarter of it, rounded down (contract FLOW-3, FLOW-4).
    ///
    /// # Errors
    /// If `high` is above [`WriteLimits::LARGEST`].
    pub const fn from_high(high: usize) -> Result<Self, LimitsError> {
        Self::new(high / 4, high)
    }

    /// Only the low mark is given: the high one is four times as much (contract FLOW-3).
    ///
    /// # Errors
    /// If four times `low` is above [`WriteLimits::LARGEST`].
    pub const fn from_low(low: usize) -> Result<Self, LimitsError> {
        match low.checked_mul(4) {
            Some(high) => Self::new(low, high),
            None => Err(LimitsError::TooLarge { mark: low }),
        }
    }

    /// The mark at or below which the writer is resumed.
    #[must_use]
    pub const fn low(self) -> usize {
        self.low as usize
    }

    /// The mark above which the writer is paused.
    #[must_use]
    pub const fn high(self) -> usize {
        self.high as usize
    }
}

impl Default for WriteLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a pair of marks is no pair of marks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LimitsError {
    /// The low mark would be above the high one.
    #[non_exhaustive]
    LowAboveHigh {
        /// As given.
        low: usize,
        /// As given.
        high: usize,
    },
    /// A mark, or four times the low one, would be above [`WriteLimits::LARGEST`].
    #[non_exhaustive]
    TooLarge {
        /// As given.
        mark: usize,
    },
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LowAboveHigh { low, high } => write!(f, "the low mark ({low}) is above the high mark ({high})"),
            Self::TooLarge { mark } => write!(f, "the mark {mark} is too large"),
        }
    }
}

impl core::error::Error for LimitsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_mark_is_derived_from_the_other() {
        //= FLOW-1, FLOW-3, FLOW-4, FLOW-5
        assert_eq!(WriteLimits::default(), WriteLimits::new(16_384, 65_536).unwrap());
        assert_eq!(WriteLimits::from_high(10), WriteLimits::new(2, 10));
        assert_eq!(WriteLimits::from_high(400), WriteLimits::new(100, 400));
        assert_eq!(WriteLimits::from_high(0), WriteLimits::new(0, 0));
        assert_eq!(WriteLimits::from_low(3), WriteLimits::new(3, 12));
    }

    #[test]
    fn marks_that_make_no_sense_are_refused() {
        //= FLOW-2, FLOW-4
        assert_eq!(WriteLimits::new(2, 1), Err(LimitsError::LowAboveHigh { low: 2, high: 1 }));
        assert_eq!(WriteLimits::new(1, 0), Err(LimitsError::LowAboveHigh { low: 1, high: 0 }));
        assert!(matches!(WriteLimits::from_low(usize::MAX), Err(LimitsError::TooLarge { .. })));
        assert!(matches!(WriteLimits::from_low(WriteLimits::LARGEST), Err(LimitsError::TooLarge { .. })));
        assert!(WriteLimits::from_high(WriteLimits::LARGEST).is_ok());
        #[cfg(target_pointer_width = "64")]
        assert!(matches!(WriteLimits::from_high(usize::MAX), Err(LimitsError::TooLarge { .. })));
    }
}

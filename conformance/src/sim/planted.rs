//! Panics that tests mean.

use core::any::Any;
use std::panic;

/// What a panic carries that a test has planted in a callback, as an application may have one. Every other panic is a finding, wherever it comes from: also one
/// of the library's that a callback has called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planted(&'static str);

impl Planted {
    /// Panics, without the noise of a message.
    pub fn panic(what: &'static str) -> ! {
        panic::resume_unwind(Box::new(Self(what)))
    }

    /// What was said when a panic was caught that was planted.
    ///
    /// # Panics
    /// As what was caught does, if it was not.
    #[must_use]
    pub fn caught(payload: Box<dyn Any + Send>) -> &'static str {
        match payload.downcast::<Self>() {
            Ok(planted) => planted.0,
            Err(finding) => panic::resume_unwind(finding),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::panic::AssertUnwindSafe;

    #[test]
    fn what_was_planted_is_caught_and_everything_else_goes_on() {
        let payload = panic::catch_unwind(|| Planted::panic("meant")).unwrap_err();
        assert_eq!(Planted::caught(payload), "meant");
        let finding = panic::catch_unwind(|| panic::resume_unwind(Box::new("not meant"))).map(|(): ()| ()).unwrap_err();
        let finding = panic::catch_unwind(AssertUnwindSafe(|| Planted::caught(finding))).unwrap_err();
        assert_eq!(finding.downcast_ref(), Some(&"not meant"));
    }
}

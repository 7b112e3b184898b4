//! Panics of the application's code, made harmless.

use core::any::Any;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

/// Runs `f`; if it panics, the message.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Box<str>> {
    catch_unwind(AssertUnwindSafe(f)).map_err(message)
}

/// What a panic said. Its payload is dropped here, which may itself panic.
#[cold]
fn message(payload: Box<dyn Any + Send>) -> Box<str> {
    let text = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => Box::from(*text),
        (_, Some(text)) => Box::from(text.as_str()),
        _ => Box::from("no message"),
    };
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        core::mem::forget(again);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Self);
        }
    }

    #[test]
    fn every_kind_of_panic_has_a_message() {
        //= RUST-8
        assert_eq!(catch(|| 1), Ok(1));
        assert_eq!(catch(|| panic!("word")), Err::<(), _>("word".into()));
        assert_eq!(catch(|| panic!("{} words", 2)), Err::<(), _>("2 words".into()));
        assert_eq!(catch(|| std::panic::panic_any(3)), Err::<(), _>("no message".into()));
        assert_eq!(catch(|| std::panic::panic_any(Bomb)), Err::<(), _>("no message".into()));
    }
}

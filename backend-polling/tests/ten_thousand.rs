//! The loop on polling, and ten thousand of everything.
#![allow(clippy::std_instead_of_core, reason = "tests have std anyway")]

mod backend {
    pub(crate) use plimsoll_polling::*;

    pub(crate) fn event_loop<S>(state: S) -> EventLoop<S> {
        EventLoop::new(state).unwrap()
    }
}

#[path = "../../sys/tests/behaviour/kit.rs"]
mod kit;

#[path = "../../sys/tests/behaviour/ten_thousand.rs"]
mod ten_thousand;

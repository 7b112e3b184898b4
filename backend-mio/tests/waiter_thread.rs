//! How children fare on mio without a pidfd, where a thread waits for them. For builds with `--cfg plimsoll_waiter_thread`, which have no pidfd anywhere.
#![cfg(plimsoll_waiter_thread)]
#![allow(clippy::std_instead_of_core, reason = "tests have std anyway")]

mod backend {
    pub(crate) use plimsoll_mio::*;

    pub(crate) fn event_loop<S>(state: S) -> EventLoop<S> {
        EventLoop::new(state).unwrap()
    }
}

#[path = "../../sys/tests/behaviour"]
mod behaviour {
    pub(crate) mod kit;
    mod processes;
}

//! How the loop behaves, on polling as it comes.
#![allow(clippy::std_instead_of_core, reason = "tests have std anyway")]

mod backend {
    pub(crate) use plimsoll_polling::*;

    pub(crate) fn event_loop<S>(state: S) -> EventLoop<S> {
        EventLoop::new(state).unwrap()
    }

    pub(crate) fn small_block_loop<S>(state: S, bytes: usize) -> EventLoop<S> {
        EventLoop::<S>::builder().read_block(bytes).build(state).unwrap()
    }
}

#[path = "../../sys/tests/behaviour/mod.rs"]
mod behaviour;

//! How the loop behaves, on polling edge-triggered.
#![cfg(not(polling_test_poll_backend))]
#![allow(clippy::std_instead_of_core, reason = "tests have std anyway")]

mod backend {
    pub(crate) use plimsoll_polling::*;

    pub(crate) fn event_loop<S>(state: S) -> EventLoop<S> {
        EventLoop::<S>::builder().selector(Polling::edge().unwrap()).build(state).unwrap()
    }

    pub(crate) fn small_block_loop<S>(state: S, bytes: usize) -> EventLoop<S> {
        EventLoop::<S>::builder().selector(Polling::edge().unwrap()).read_block(bytes).build(state).unwrap()
    }
}

#[path = "../../sys/tests/behaviour/mod.rs"]
mod behaviour;

//! How the loop behaves, on mio.

mod backend {
    pub(crate) use plimsoll_mio::*;

    pub(crate) fn event_loop<S>(state: S) -> EventLoop<S> {
        EventLoop::new(state).unwrap()
    }
}

#[path = "../../sys/tests/behaviour/mod.rs"]
mod behaviour;

//! The loop on polling, and descriptors.
#![allow(clippy::std_instead_of_core, reason = "tests have std anyway")]

mod backend {
    pub(crate) use plimsoll_polling::*;

    pub(crate) fn event_loop<S>(state: S) -> EventLoop<S> {
        EventLoop::new(state).unwrap()
    }
}

#[path = "../../sys/tests/behaviour/kit.rs"]
mod kit;

#[path = "../../sys/tests/behaviour/descriptors.rs"]
mod descriptors;

#[path = "../../core/tests/tls/certs.rs"]
mod certs;

#[path = "../../sys/tests/behaviour/missing.rs"]
mod missing;

#[path = "../../sys/tests/behaviour/tool.rs"]
mod tool;

#[path = "../../sys/tests/behaviour/vanishing.rs"]
mod vanishing;

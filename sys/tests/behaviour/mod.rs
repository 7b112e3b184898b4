//! How a loop behaves with real sockets, whichever poller it has: each backend's tests include this, after a module `backend` that makes the loop.

mod adopting;
#[path = "../../../core/tests/tls/certs.rs"]
mod certs;
mod datagrams;
mod info;
mod iteration;
mod kit;
mod missing;
mod names;
#[cfg(not(polling_test_poll_backend))]
mod nested;
mod opening;
mod panics;
mod peers;
mod pipes;
mod ports;
mod processes;
mod resets;
mod runs;
mod signals;
mod threads;
mod tls;
mod tls_peers;
mod tool;
mod unix;
mod watching;

/// What holds for streams of every family, on TCP.
#[path = "."]
mod tcp {
    use super::kit::Tcp as Link;

    mod echo;
    mod ending;
    mod reading;
    mod sendfile;
    mod serving;
}

/// The same, on Unix sockets.
#[path = "."]
#[allow(clippy::duplicate_mod, reason = "the same tests with another link")]
mod unix_streams {
    use super::kit::Unix as Link;

    mod echo;
    mod ending;
    mod reading;
    mod sendfile;
    mod serving;
}

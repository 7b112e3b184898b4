//! How a loop behaves with real sockets, whichever poller it has: each backend's tests include this, after a module `backend` that makes the loop.

mod adopting;
mod echo;
mod ending;
mod info;
mod iteration;
mod kit;
#[cfg(not(polling_test_poll_backend))]
mod nested;
mod opening;
mod panics;
mod peers;
mod pipes;
mod reading;
mod serving;
mod threads;

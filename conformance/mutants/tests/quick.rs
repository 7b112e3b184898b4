//! Judges a mutant that the models let pass: the core's own tests, on sockets that are played by hand or are queues of bytes, in one program. It takes a
//! tenth of what simulated kernels take, and finds most of what those find in a driver.
#![allow(clippy::duplicate_mod, reason = "some of them are quiet in the same way")]

#[path = "../../../core/tests/bad_input.rs"]
mod bad_input;
#[path = "../../../core/tests/bare_backend.rs"]
mod bare_backend;
#[path = "../../../core/tests/buffered.rs"]
mod buffered;
#[path = "../../../core/tests/calls.rs"]
mod calls;
#[path = "../../../core/tests/cost.rs"]
mod cost;
#[path = "../../../core/tests/datagram_cost.rs"]
mod datagram_cost;
#[path = "../../../core/tests/datagrams.rs"]
mod datagrams;
#[path = "../../../core/tests/own_completions.rs"]
mod own_completions;
#[path = "../../../core/tests/own_driver.rs"]
mod own_driver;
#[path = "../../../core/tests/own_readiness.rs"]
mod own_readiness;
#[path = "../../../core/tests/processes.rs"]
mod processes;
#[path = "../../../core/tests/sendfile.rs"]
mod sendfile;
#[path = "../../../core/tests/slots.rs"]
mod slots;
#[path = "../../../core/tests/watching.rs"]
mod watching;

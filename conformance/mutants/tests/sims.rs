//! Judges a mutant that the models let pass: the behaviour tests that need no sockets, in one program.
#![allow(clippy::duplicate_mod, reason = "some of the core's tests are quiet in the same way")]

#[path = "../../tests/bad_input_machine.rs"]
mod bad_input_machine;
#[path = "../../../core/tests/tls/certs.rs"]
mod certs;
#[path = "../../tests/sim/common.rs"]
mod common;
#[path = "../../tests/engine_found.rs"]
mod engine_found;
#[path = "../../../core/tests/tls/peer.rs"]
mod peer;
#[path = "../../tests/sim/connect.rs"]
mod sim_connect;
#[path = "../../tests/sim/datagrams/mod.rs"]
mod sim_datagrams;
#[path = "../../tests/sim/ends.rs"]
mod sim_ends;
#[path = "../../tests/sim/flow.rs"]
mod sim_flow;
#[path = "../../tests/sim/names.rs"]
mod sim_names;
#[path = "../../tests/sim/own_protocol.rs"]
mod sim_own_protocol;
#[path = "../../tests/sim/pipes.rs"]
mod sim_pipes;
#[path = "../../tests/sim/processes.rs"]
mod sim_processes;
#[path = "../../tests/sim/reentrancy.rs"]
mod sim_reentrancy;
#[path = "../../tests/sim/scheduling.rs"]
mod sim_scheduling;
#[path = "../../tests/sim/sendfile.rs"]
mod sim_sendfile;
#[path = "../../tests/sim/servers.rs"]
mod sim_servers;
#[path = "../../tests/sim/streams.rs"]
mod sim_streams;
#[path = "../../tests/sim/tls.rs"]
mod sim_tls;
#[path = "../../tests/sim/torture.rs"]
mod sim_torture;
#[path = "../../tests/sim/unix.rs"]
mod sim_unix;

#[path = "../../../core/tests/bad_input.rs"]
mod core_bad_input;
#[path = "../../../core/tests/bare_backend.rs"]
mod core_bare_backend;
#[path = "../../../core/tests/buffered.rs"]
mod core_buffered;
#[path = "../../../core/tests/calls.rs"]
mod core_calls;
#[path = "../../../core/tests/cost.rs"]
mod core_cost;
#[path = "../../../core/tests/datagram_cost.rs"]
mod core_datagram_cost;
#[path = "../../../core/tests/datagrams.rs"]
mod core_datagrams;
#[path = "../../../core/tests/own_completions.rs"]
mod core_own_completions;
#[path = "../../../core/tests/own_driver.rs"]
mod core_own_driver;
#[path = "../../../core/tests/own_readiness.rs"]
mod core_own_readiness;
#[path = "../../../core/tests/processes.rs"]
mod core_processes;
#[path = "../../../core/tests/sendfile.rs"]
mod core_sendfile;
#[path = "../../../core/tests/slots.rs"]
mod core_slots;
#[path = "../../../core/tests/watching.rs"]
mod core_watching;

//! Judges a mutant that the models let pass: the behaviour tests that need no sockets, in one program.
#![allow(clippy::duplicate_mod, reason = "each file brings its helpers along")]

#[path = "../../tests/bad_input_machine.rs"]
mod bad_input_machine;
#[path = "../../tests/engine_found.rs"]
mod engine_found;
#[path = "../../tests/sim_connect.rs"]
mod sim_connect;
#[path = "../../tests/sim_ends.rs"]
mod sim_ends;
#[path = "../../tests/sim_flow.rs"]
mod sim_flow;
#[path = "../../tests/sim_names.rs"]
mod sim_names;
#[path = "../../tests/sim_pipes.rs"]
mod sim_pipes;
#[path = "../../tests/sim_processes.rs"]
mod sim_processes;
#[path = "../../tests/sim_reentrancy.rs"]
mod sim_reentrancy;
#[path = "../../tests/sim_scheduling.rs"]
mod sim_scheduling;
#[path = "../../tests/sim_servers.rs"]
mod sim_servers;
#[path = "../../tests/sim_streams.rs"]
mod sim_streams;
#[path = "../../tests/sim_torture.rs"]
mod sim_torture;

#[path = "../../../core/tests/bad_input.rs"]
mod core_bad_input;
#[path = "../../../core/tests/buffered.rs"]
mod core_buffered;
#[path = "../../../core/tests/cost.rs"]
mod core_cost;
#[path = "../../../core/tests/datagrams.rs"]
mod core_datagrams;
#[path = "../../../core/tests/own_driver.rs"]
mod core_own_driver;
#[path = "../../../core/tests/sendfile.rs"]
mod core_sendfile;
#[path = "../../../core/tests/slots.rs"]
mod core_slots;

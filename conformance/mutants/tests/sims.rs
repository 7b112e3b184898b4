//! Judges a mutant that all others let pass: the behaviour tests on simulated kernels, in one program.

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

//! Judges a mutant that the models let pass: the behaviour tests that need no sockets, in one program.

#[path = "../../tests/bad_input_machine.rs"]
mod bad_input_machine;
#[path = "../../tests/engine_found.rs"]
mod engine_found;
#[path = "../../tests/sim/main.rs"]
mod sim;

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
#[path = "../../../core/tests/watching.rs"]
mod core_watching;

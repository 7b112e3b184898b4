//! Whole loops in the simulator, an area of behaviour a file. One program, so that the engine and its drivers are built once for all of them.

#[path = "../../../core/tests/tls/certs.rs"]
mod certs;
mod common;
mod connect;
mod datagrams;
mod ends;
mod flow;
mod names;
mod own_protocol;
#[path = "../../../core/tests/tls/peer.rs"]
mod peer;
mod pipes;
mod processes;
mod reentrancy;
mod scheduling;
mod sendfile;
mod servers;
mod streams;
mod tls;
mod tls_faults;
mod torture;
mod unix;
mod watching;

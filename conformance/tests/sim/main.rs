//! Whole loops in the simulator, an area of behaviour a file. One program, so that the engine and its drivers are built once for all of them.

mod common;
mod connect;
mod datagrams;
mod ends;
mod flow;
mod names;
mod own_protocol;
mod pipes;
mod processes;
mod reentrancy;
mod scheduling;
mod servers;
mod streams;
mod torture;

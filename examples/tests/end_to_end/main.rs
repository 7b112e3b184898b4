//! The examples as programs, with peers that are not ours: everything goes through real processes and real sockets.
//!
//! What is claimed of their memory, their descriptors and their processor time is read where Linux shows it.
#![cfg(target_os = "linux")]

mod arguments;
mod chat;
mod echo;
mod exhaustion;
mod https;
mod kit;
mod nested;
mod peers;
mod processes;
mod proxy;
mod starttls;
mod tls;
mod udp;
mod unix;

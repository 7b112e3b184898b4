//! Secure connections: the engine on one end, and on the other rustls, or a session of which every byte is known.

#[macro_use]
#[path = "../quiet/mod.rs"]
mod quiet;

mod bounds;
mod certs;
mod closing;
mod cost;
mod handshake;
mod kit;
mod nested;
mod peer;
mod reading;
mod sendfile;
mod upgrade;
mod writing;

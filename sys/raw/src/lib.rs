//! The system calls of plimsoll that cannot be made without `unsafe`, behind functions that can be called with anything.
//!
//! There is one such thing: many datagrams in one call, on Linux and Android. rustix has a safe `sendmmsg`, but no `recvmmsg`, and nix makes the headers of both
//! anew in each call, which costs more than all the rest that a loop does for a datagram. Everywhere else this crate is empty.
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(any(target_os = "android", target_os = "linux"))]
pub mod mmsg;

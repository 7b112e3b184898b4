//! Each machine beside its model.

pub mod connect;
pub mod datagram;
#[cfg(feature = "loops")]
pub mod engine;
pub mod flow;
pub mod gate;
pub(crate) mod ops;
pub mod pair;
mod pattern;
pub mod process;
pub mod queue;
pub mod small_world;
pub mod stream;
#[cfg(feature = "loops")]
pub mod tls;

pub use ops::{How, Op, Why};

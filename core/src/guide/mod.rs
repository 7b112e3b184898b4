//! The manual: pages to read, without code of their own.
//!
//! - [Writing a protocol](protocols): the callbacks and their order, back-pressure, ends, timers.
//! - [Testing a protocol](testing): in memory, in every cutting, against random peers, in the simulator, under loom, each finding a planted bug.
//! - [Coming from asyncio](asyncio): what is called what, and what is different on purpose.

#[doc = include_str!("protocols.md")]
pub mod protocols {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("asyncio.md")]
pub mod asyncio {}

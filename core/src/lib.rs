//! asyncio's transports and protocols as pure state machines.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;
mod addr;
mod error;
mod flow;
mod key;
mod reason;
mod stream;
mod time;
pub use addr::{Addr, Ends};
pub use error::{Call, Error, ErrorKind};
pub use flow::data::{Data, WriteData};
pub use flow::limits::{LimitsError, WriteLimits};
pub use flow::pool::BufPool;
pub use flow::queue::{InFlight, MAX_PIECES, SendQueue};
pub use flow::read_gate::{Hold, ReadGate};
pub use flow::write_flow::{Edge, WriteFlow};
pub use key::{Key, ListenerId, LoopTag, ServerId, Slab, StreamId, TimerId};
pub use reason::{Cause, CloseReason, Ending, Side};
pub use stream::{Refusal, StreamEvent, StreamTransport, Wants, WriteStatus};
pub use time::Instant;

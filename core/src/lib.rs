//! asyncio's transports and protocols as pure state machines.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod addr;
mod context;
pub mod driver;
mod endpoint;
mod engine;
mod error;
mod flow;
mod hub;
#[cfg(feature = "std")]
mod inbox;
mod key;
mod observer;
mod op;
mod open;
mod protocol;
mod reason;
mod report;
mod stream;
#[cfg(feature = "std")]
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod timers;

pub use addr::{Addr, Ends};
pub use bytes::{Bytes, BytesMut};
pub use context::Context;
pub use engine::{Engine, ReadResult};
pub use error::{Call, Error, ErrorKind};
pub use flow::data::{Data, WriteData};
pub use flow::limits::{LimitsError, WriteLimits};
pub use flow::pool::BufPool;
pub use flow::queue::{InFlight, MAX_PIECES, SendQueue};
pub use flow::read_gate::{Hold, ReadGate};
pub use flow::write_flow::{Edge, WriteFlow};
pub use hub::{Hub, Job, ListenError};
#[cfg(feature = "std")]
pub use inbox::{Closed, Inbox, Item, Remote, Wake};
pub use key::{Key, ListenerId, LoopTag, ServerId, Slab, StreamId, TimerId};
pub use observer::{Event, Observer};
pub use op::{Op, Role};
pub use open::{Connect, Listen, OpenError, Resource, SocketOption};
pub use protocol::{Buffered, BufferedProtocol, Protocol};
pub use reason::{Cause, CloseReason, Ending, Side};
pub use report::{Origin, Report};
pub use stream::{Refusal, StreamEvent, StreamTransport, Wants, WriteStatus};
pub use time::Instant;

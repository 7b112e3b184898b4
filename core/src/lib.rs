//! asyncio's transports and protocols as pure state machines: no sockets, no clock, no threads, no `unsafe`.
//!
//! Applications use a backend crate (`plimsoll-mio`, `plimsoll-polling`), which has all of this and an event loop. This crate is for those who
//! have a loop of their own, who write a backend, or who test protocols.
//!
//! The [`guide`] is the manual.
//!
//! # The layers
//!
//! 1. **Machines**: [`SendQueue`], [`WriteFlow`], [`ReadGate`], and [`StreamTransport`] made of them, of which [`ReadPipe`] and
//!    [`WritePipe`] are the halves; [`Subprocess`]; [`Connector`]. Plain structs: commands and facts (`handle_*`) in,
//!    wishes (`wants_*`) and events (`poll_event`) out. Payload bytes pass by them.
//! 2. **[`Engine`]**: endpoints under generational ids, timers, the ready queue, the dispatch to protocols. It emits control operations ([`Op`]) and takes
//!    results. Callbacks get a [`Context`]: who is called, the [`Hub`] of everything that can be done, the application's state.
//!    Under a secure connection there is a layer with a [`tls::Session`].
//! 3. **[`driver`]s**: the engine over the two kinds of kernel interface. A backend supplies calls that never block
//!    ([`ReadinessIo`](driver::ReadinessIo)) or operations that own their memory ([`CompletionIo`](driver::CompletionIo)), and a way to wait.
//!
//! ```text
//!   Protocol ── callbacks ◄── Engine ◄── facts ── Driver ◄── readiness, completions ── backend
//!      └── Hub: verbs ──────► Engine ── Ops ────► Driver ── recv, send, connect … ──► backend
//! ```
//!
//! # A protocol
//!
//! ```
//! use plimsoll_core::{CloseReason, Context, Data, Protocol};
//!
//! struct Lines(Vec<u8>);
//!
//! impl Protocol<Vec<String>> for Lines {
//!     fn data_received(&mut self, cx: &mut Context<'_, Vec<String>>, data: Data<'_>) {
//!         for piece in data.split_inclusive(|&byte| byte == b'\n') {
//!             self.0.extend_from_slice(piece);
//!             if self.0.ends_with(b"\n") {
//!                 cx.state.push(String::from_utf8_lossy(&self.0).into_owned());
//!                 self.0.clear();
//!                 cx.write("ok\n");
//!             }
//!         }
//!     }
//!     fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Vec<String>>, reason: CloseReason) {
//!         if let Some(error) = reason.error() {
//!             cx.state.push(error.to_string());
//!         }
//!     }
//! }
//! ```
//!
//! # Rules that hold everywhere
//!
//! - **No callback runs inside a command.** Consequences are computed from the state when the callback that gave the command has returned.
//! - **Ids, not references.** [`StreamId`] and its like are plain values; a stale one is answered like a lost connection.
//! - **Time is an argument.** [`Instant`] counts nanoseconds since an epoch that the backend chooses.
//! - **Bounded.** Each queue is bounded by its [`WriteLimits`] and what one callback writes; each loop has a budget; reports and spare buffers have a cap. The two
//!   exceptions are `call_soon` and the inbox, as in asyncio.
//! - **Panics.** The crate panics on its own bugs only. A callback that panics is contained: see [`Engine`].
//!
//! Contract IDs in these pages (`LIFE-1`, `FLOW-6` …) name the requirements that an item holds, of `conformance/CONTRACT.md` in the repository; the tests cite the same.
//!
//! # Features
//!
//! - `std` (default): conversions to `std::io::Error`, and the inbox (`Remote`).
//! - `rustls`: secure connections over rustls, see [`tls`]. It brings `std`, which rustls needs to read a client's first words, and
//!   atomics with compare-and-swap.
//! - `testing`: the `testing` module, with which protocols are tested.
//! - `proptest`, `arbitrary`: what peers do, drawn by these.
//! - `portable-atomic`: for targets without compare-and-swap.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod addr;
mod command;
mod connect;
mod context;
mod datagram;
pub mod driver;
mod endpoint;
mod engine;
mod error;
mod flow;
pub mod guide;
mod hub;
#[cfg(feature = "std")]
mod inbox;
mod key;
mod kind;
mod life;
mod name;
mod observer;
mod op;
mod open;
mod pipe;
mod process;
mod protocol;
mod reason;
mod report;
mod status;
mod stream;
#[cfg(feature = "std")]
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod timers;
pub mod tls;

pub use addr::{Addr, AddrRef, Ends, Family, ToAddr, UnixAddr};
pub use bytes::{Bytes, BytesMut};
pub use command::{Command, CommandParts, Stdio};
pub use connect::{Connector, ConnectorOp};
pub use context::Context;
pub use datagram::DatagramTransport;
pub use engine::{Engine, ReadResult};
pub use error::{Call, Error, ErrorKind};
pub use flow::data::{Data, WriteData};
pub use flow::datagrams::Outgoing;
pub use flow::limits::{LimitsError, WriteLimits};
pub use flow::pool::BufPool;
pub use flow::queue::{InFlight, MAX_PIECES, SendQueue};
pub use flow::read_gate::{Hold, ReadGate};
pub use flow::write_flow::{Edge, WriteFlow};
pub use hub::{Hub, Job, ListenError};
#[cfg(feature = "std")]
pub use inbox::{Closed, Inbox, Item, Remote, Wake};
pub use key::{DatagramId, EndpointId, Key, ListenerId, LoopTag, ProcessId, QueryId, ServerId, Slab, StreamId, TimerId, WatchId};
pub use name::Name;
pub use observer::{Event, Observer};
pub use op::{Op, Role};
pub use open::{Attempt, Connect, Datagram, Group, Listen, OpenError, Resource, SocketOption};
pub use pipe::{ReadPipe, WritePipe};
pub use process::{ExitStatus, PipeFd, ProcessEvent, Subprocess};
pub use protocol::{Buffered, BufferedProtocol, DatagramProtocol, Protocol, SubprocessProtocol};
pub use reason::{Cause, CloseReason, Ending, Side};
pub use report::{Origin, Report};
pub use status::{DatagramEvent, Refusal, StreamEvent, Wants, WriteStatus};
pub use stream::StreamTransport;
pub use time::Instant;

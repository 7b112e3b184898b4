//! asyncio's transports and protocols, on [polling].
//!
//! ```no_run
//! use plimsoll_polling::{Context, Data, EventLoop, Protocol};
//! use std::net::SocketAddr;
//!
//! struct Echo;
//!
//! impl<S> Protocol<S> for Echo {
//!     fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
//!         cx.write(data);
//!     }
//! }
//!
//! fn main() -> std::io::Result<()> {
//!     let mut event_loop = EventLoop::new(())?;
//!     let server = event_loop.listen(SocketAddr::from(([127, 0, 0, 1], 7777)), |_, _| Echo)?;
//!     println!("listening on {}", server.addr());
//!     event_loop.run()
//! }
//! ```
//!
//! Everything that an application needs is here: the [event loop](EventLoop), and all of the core.
#![deny(unsafe_code)]

mod registry;
mod selector;

pub use plimsoll_core::*;
pub use plimsoll_sys::{
    Answer, Builder, CommandExt, Found, HubExt, PipeKind, PipeView, ProcessView, Resolve, Selector, Server, SocketView,
    ThreadedResolver, Watched,
};
#[cfg(feature = "platform-verifier")]
pub use plimsoll_sys::{TlsExt, platform_client_config};
pub use selector::{Polling, Ring, Seen};

/// An event loop on polling, with the application's state `S`.
pub type EventLoop<S> = plimsoll_sys::EventLoop<S, Polling>;

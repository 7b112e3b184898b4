//! asyncio's transports and protocols, on [mio].
//!
//! ```no_run
//! use plimsoll_mio::{Context, Data, EventLoop, Protocol};
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
//! Everything that an application needs is here: the [event loop](EventLoop), and all of the core. The poller is edge-triggered, so
//! pausing and resuming a reader costs no system call.
#![forbid(unsafe_code)]

mod selector;

pub use plimsoll_core::*;
pub use plimsoll_sys::{
    Answer, Builder, CommandExt, Found, HubExt, PipeKind, PipeView, ProcessView, Resolve, Selector, Server, SocketView,
    ThreadedResolver, Watched,
};
#[cfg(feature = "platform-verifier")]
pub use plimsoll_sys::{TlsExt, platform_client_config};
pub use selector::{Mio, Ring};

/// An event loop on mio, with the application's state `S`.
pub type EventLoop<S> = plimsoll_sys::EventLoop<S, Mio>;

//! What plimsoll's backends have in common on Unix: the event loop, sockets and the clock.
//!
//! An application takes a backend, `plimsoll-mio` or `plimsoll-polling`, and finds everything there. A backend takes this crate and adds a
//! [`Selector`], which is a poller and nothing else:
//!
//! | here | in the core | in a backend |
//! |---|---|---|
//! | [`EventLoop`]: iterate, wait, wake, report | `Engine`, `Hub`: connections, timers, servers, callbacks | [`Selector`]: watch descriptors |
//! | system calls of sockets, through rustix | `ReadinessDriver`: what to call when | |
//! | [`HubExt`]: descriptors in, sockets shown | `Inbox`, `Remote`: other threads | |
//! | [`ThreadedResolver`]: names to addresses | `Connector`: which address | |
//!
//! Tested on Linux.
#![forbid(unsafe_code)]

mod clock;
mod error;
mod event_loop;
mod ext;
mod hook;
mod panic;
mod resolver;
mod selector;
mod server;
mod signal;
mod socket;
mod sync;
#[cfg(feature = "platform-verifier")]
mod tls;
mod view;

pub use event_loop::{Builder, EventLoop};
pub use ext::{CommandExt, HubExt};
pub use resolver::{Answer, Found, Resolve, ThreadedResolver};
pub use selector::{Selector, Watched};
pub use server::Server;
#[cfg(feature = "platform-verifier")]
pub use tls::{TlsExt, platform_client_config};
pub use view::{PipeKind, PipeView, ProcessView, SocketView};

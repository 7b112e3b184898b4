//! For tests of protocols (feature `testing`): a loop in memory, and a checker of the order of callbacks.
//!
//! [`Harness`] runs the production engine and its readiness driver on sockets that are queues of bytes: what the peer does is said in
//! one line, what the protocol did is read in one line, and time passes when it is told to.
//!
//! ```
//! use plimsoll_core::testing::Harness;
//! use plimsoll_core::{Context, Data, Protocol};
//!
//! struct Shout;
//! impl<S> Protocol<S> for Shout {
//!     fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
//!         cx.write(data.to_ascii_uppercase());
//!     }
//! }
//!
//! let mut t = Harness::new(());
//! let c = t.connect(Shout);
//! t.feed(c, b"hello");
//! assert_eq!(t.sent(c), b"HELLO");
//! t.eof(c);
//! assert_eq!(t.trace(c), "cm data(hello) eof lost(None)");
//! ```
//!
//! - [`PeerStep`] is what a peer does, as data, for generators and fuzzers;
//! - [`same_however_split`] holds a protocol to the same outcome in whatever pieces the bytes come;
//! - the [guide](crate::guide::testing) puts them together, and finds planted bugs with each.
//!
//! [`TraceChecker`] is an [`Observer`](crate::Observer) that holds every connection of any loop to the grammar of contract section 17.

mod checker;
mod child;
mod datagrams;
mod harness;
mod memory;
mod peer;
mod split;

pub use checker::TraceChecker;
pub use harness::Harness;
pub use peer::PeerStep;
pub use split::same_however_split;

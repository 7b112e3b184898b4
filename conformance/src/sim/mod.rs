//! A simulated kernel and network under virtual time: what the production engine runs on in tests.
//!
//! One [`Sim`] is a world: sockets, listeners, ports, descriptors, windows, latency, resets, and the [`Faults`] of this run, all drawn from one seed.
//! A [`SimLoop`] is an event loop in it, over one of three kernel interfaces ([`Host`]): the drivers and the engine are those of production. The
//! other ends are [`Peer`]s that the test plays step by step, in the same thread, or connections of the same loop.
//!
//! Datagrams get lost, doubled and exchanged only if the faults say so, and what a full queue does is each family's own: UDP drops, Unix waits. The other
//! ends are [`DatagramPeer`]s.
//!
//! The kernel is never kinder than Linux: a receive after a reset brings what has arrived before it, a send takes the error first, closing with
//! unread input resets, an edge is told once, a descriptor is taken before the queue of a listener is looked at.
//!
//! ```
//! use plimsoll_conformance::sim::{Host, SimLoop};
//! use plimsoll_core::{Context, Data, Protocol};
//!
//! struct Echo;
//! impl<S> Protocol<S> for Echo {
//!     fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
//!         cx.write(data);
//!     }
//! }
//!
//! for host in Host::ALL {
//!     let mut sim = SimLoop::new(host, ());
//!     let at = "127.0.0.1:7".parse().unwrap();
//!     sim.listen(at, |_: &mut (), _| Echo).unwrap();
//!     let peer = sim.sim().connect_peer(at);
//!     peer.send("hello");
//!     sim.settle();
//!     assert_eq!(peer.recv(), b"hello");
//! }
//! ```

mod calls;
mod child;
mod clock;
mod completion;
mod datagram;
mod datagram_peer;
mod dial;
mod event_loop;
mod fault;
mod file;
mod files;
mod net;
mod peer;
mod pipe;
mod planted;
mod poll;
mod readiness;
mod resolve;
mod ring;
mod script;
mod unix;
mod watch;
mod wire;

pub use calls::{SimIo, SimSocket, SocketView, SocketVisitor};
pub use child::Step;
pub use datagram_peer::DatagramPeer;
pub use event_loop::{Host, SimLoop};
pub(crate) use fault::ERRORS;
pub use fault::{Failure, Faults, Syscall};
pub use file::SimFile;
pub use peer::{Peer, PeerListener, Sim};
pub use planted::Planted;

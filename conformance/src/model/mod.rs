//! The contract's tables, written down again: what a machine must answer, want and tell after every step.
//!
//! Nothing here is taken from the machines. Where the contract is silent, the ruling stands at the place, with the word *ruling*.

mod connect;
mod datagram;
mod engine;
mod flow;
mod gate;
mod process;
mod queue;
mod stream;
mod trace;

pub use connect::ConnectModel;
pub use datagram::{DatagramModel, DatagramTold, Remote};
pub use engine::{Back, EngineModel, Ep, Outcome, Phase, Reported, ServerState, Turn};
pub use flow::FlowModel;
pub use gate::GateModel;
pub(crate) use gate::HOLDS;
pub use process::{ChildTold, ProcessModel};
pub use queue::QueueModel;
pub use stream::{Kind, Peer, State, StreamModel, Told};
pub use trace::Trace;

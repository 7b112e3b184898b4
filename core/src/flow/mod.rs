//! How much a connection may carry: bytes to send, the marks they are held against, and the reasons not to read.

pub(crate) mod data;
pub(crate) mod datagrams;
pub(crate) mod limits;
pub(crate) mod pool;
pub(crate) mod queue;
pub(crate) mod read_gate;
pub(crate) mod write_flow;

//! How connections, servers and datagram endpoints are opened: a builder each, options, and what the core carries without knowing it.

mod connect;
mod datagram;
mod error;
mod listen;
mod option;
mod resource;

pub use connect::{Attempt, Connect};
pub use datagram::Datagram;
pub use error::OpenError;
pub use listen::Listen;
pub use option::{Group, SocketOption};
pub use resource::Resource;

use crate::addr::Addr;
use crate::name::{Name, Target};

fn addrs(targets: &[Target]) -> impl Iterator<Item = &Addr> {
    targets.iter().filter_map(|target| match target {
        Target::Addr(addr) => Some(addr),
        Target::Name(_) => None,
    })
}

fn names(targets: &[Target]) -> impl Iterator<Item = &Name> {
    targets.iter().filter_map(|target| match target {
        Target::Name(name) => Some(name),
        Target::Addr(_) => None,
    })
}

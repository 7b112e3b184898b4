//! What listening at once answers.

use plimsoll_core::{Addr, ServerId};

/// A server that listens: its id for the verbs of the [`Hub`](plimsoll_core::Hub), and the addresses that it got.
///
/// A plain value: dropping it changes nothing. [`Hub::server_close`](plimsoll_core::Hub::server_close) ends the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    id: ServerId,
    addrs: Vec<Addr>,
}

impl Server {
    pub(crate) const fn new(id: ServerId, addrs: Vec<Addr>) -> Self {
        Self { id, addrs }
    }

    /// Names it.
    #[must_use]
    pub const fn id(&self) -> ServerId {
        self.id
    }

    /// The addresses on which it listens, or is bound, in the order asked for; a port 0 has become a free one.
    #[must_use]
    pub fn addrs(&self) -> &[Addr] {
        &self.addrs
    }

    /// The first of its addresses.
    ///
    /// # Panics
    /// Never: a server that does not listen anywhere is none.
    #[must_use]
    pub fn addr(&self) -> &Addr {
        &self.addrs[0]
    }
}

//! Datagram sockets that a test plays itself.

use super::calls::SimSocket;
use super::datagram::Posted;
use super::net::{Drain, Owner, SockId};
use super::peer::Sim;
use plimsoll_core::{Addr, Datagram, ErrorKind};

impl Sim {
    /// A datagram socket of the test's, of any host. It reads whatever comes.
    ///
    /// # Panics
    /// If the address is taken, or nobody has the remote one.
    #[must_use]
    pub fn datagram_peer(&self, open: impl Into<Datagram>) -> DatagramPeer {
        let id = self.net().open_datagram(&open.into(), Owner::Peer).expect("a free address");
        self.new_datagram_peer(id)
    }

    /// A datagram socket for a loop to adopt.
    ///
    /// # Panics
    /// If the address is taken, or nobody has the remote one.
    #[must_use]
    pub fn datagram_socket(&self, open: impl Into<Datagram>) -> SimSocket {
        let id = self.net().open_datagram(&open.into(), Owner::Process).expect("a free address");
        SimSocket::new(&self.world, id)
    }

    /// One of a pair of Unix datagram sockets without names, for a loop to adopt, and the other one.
    #[must_use]
    pub fn datagram_pair(&self) -> (SimSocket, DatagramPeer) {
        let (ours, theirs) = self.net().datagram_pair();
        (SimSocket::new(&self.world, ours), self.new_datagram_peer(theirs))
    }

    fn new_datagram_peer(&self, id: SockId) -> DatagramPeer {
        if let Some(socket) = self.net().sockets.get_mut(id) {
            socket.drain = Some(Drain { on: true, received: Vec::new() });
        }
        DatagramPeer { sim: self.clone(), id }
    }

    /// Makes a file there that is no socket.
    pub fn put_file(&self, path: impl AsRef<[u8]>) {
        self.net().put_file(path.as_ref());
    }

    /// Removes the file there; whether there was one.
    pub fn remove_file(&self, path: impl AsRef<[u8]>) -> bool {
        self.net().remove_file(path.as_ref())
    }

    /// Whether the file there is a socket; `None`: there is none.
    #[must_use]
    pub fn has_socket_file(&self, path: impl AsRef<[u8]>) -> Option<bool> {
        self.net().is_socket_file(path.as_ref())
    }

    /// Whether a file is there, a socket or anything else.
    #[must_use]
    pub fn has_file(&self, path: impl AsRef<[u8]>) -> bool {
        self.net().has_file(path.as_ref())
    }
}

/// A datagram socket, played by the test: every step is done at once, and arrives as the network has it. Dropping it closes it.
#[derive(Debug)]
pub struct DatagramPeer {
    sim: Sim,
    id: SockId,
}

impl DatagramPeer {
    /// Sends to that address; `false`: there is no room, or it cannot be sent.
    pub fn send_to(&self, payload: impl AsRef<[u8]>, to: impl Into<Addr>) -> bool {
        self.post(payload.as_ref(), Some(&to.into()))
    }

    /// Sends to whom it is connected to; likewise.
    pub fn send(&self, payload: impl AsRef<[u8]>) -> bool {
        self.post(payload.as_ref(), None)
    }

    fn post(&self, payload: &[u8], to: Option<&Addr>) -> bool {
        self.sim.net().post(self.id, payload, to) == Ok(Posted::Taken)
    }

    /// Takes what it has received so far, with the senders.
    pub fn recv(&self) -> Vec<(Vec<u8>, Addr)> {
        self.sim.net().mailbox(self.id).map_or_else(Vec::new, |mailbox| core::mem::take(&mut mailbox.read))
    }

    /// Reads at most so many datagrams, beside what it reads by itself.
    pub fn read(&self, n: usize) {
        self.sim.net().drain_datagrams(self.id, n);
    }

    /// Reads nothing by itself any more: what comes lies in front of it, as much as there is room for.
    pub fn stall(&self) {
        self.set_reading(false);
    }

    /// Reads whatever comes, as in the beginning.
    pub fn drain(&self) {
        self.set_reading(true);
        self.sim.net().wake(self.id);
    }

    fn set_reading(&self, on: bool) {
        if let Some(drain) = self.sim.net().sockets.get_mut(self.id).and_then(|socket| socket.drain.as_mut()) {
            drain.on = on;
        }
    }

    /// Its own address.
    #[must_use]
    pub fn addr(&self) -> Addr {
        let net = self.sim.net();
        net.sockets.get(self.id).map_or(plimsoll_core::UnixAddr::UNNAMED.into(), |socket| socket.local.clone())
    }

    /// The error that waits for it.
    #[must_use]
    pub fn error(&self) -> Option<ErrorKind> {
        self.sim.net().mailbox(self.id).and_then(|mailbox| mailbox.error)
    }

    /// Closes it.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for DatagramPeer {
    fn drop(&mut self) {
        self.sim.net().close(self.id);
    }
}

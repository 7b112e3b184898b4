//! Options of sockets.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;

/// An option of a socket, set on a live connection by [`Hub::set_option`](crate::Hub::set_option) or at its opening.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum SocketOption {
    /// Send small segments at once (`TCP_NODELAY`); on by default for every TCP stream (contract LOOP-11).
    NoDelay(bool),
    /// Probe an idle peer (`SO_KEEPALIVE`), the first time after so long (`TCP_KEEPIDLE`); `None` turns it off.
    KeepAlive(Option<Duration>),
    /// What closing does with unsent bytes (`SO_LINGER`); `Some(ZERO)` resets the connection instead of finishing it.
    Linger(Option<Duration>),
    /// The kernel's send buffer in bytes (`SO_SNDBUF`).
    SendBuffer(usize),
    /// The kernel's receive buffer in bytes (`SO_RCVBUF`).
    ReceiveBuffer(usize),
    /// Send to broadcast addresses (`SO_BROADCAST`).
    Broadcast(bool),
    /// Receive what is sent to a multicast group (`IP_ADD_MEMBERSHIP`, `IPV6_ADD_MEMBERSHIP`).
    JoinGroup(Group),
    /// Do so no more.
    LeaveGroup(Group),
    /// Whether what is sent to a group comes back to this machine's members of it (`IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`); on by default.
    MulticastLoop(bool),
    /// How far what is sent to a group goes (`IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`): 1, the default, is the local network.
    MulticastHops(u8),
    /// The interface through which IPv4 sends to groups, by its address (`IP_MULTICAST_IF`).
    MulticastInterfaceV4(Ipv4Addr),
    /// The interface through which IPv6 sends to groups, by its index (`IPV6_MULTICAST_IF`).
    MulticastInterfaceV6(u32),
}

/// A multicast group on an interface.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "there are two families")]
pub enum Group {
    /// Of IPv4: the interface is named by its address; the unspecified one leaves the choice to the system.
    V4 {
        /// The group's address.
        group: Ipv4Addr,
        /// The interface's address.
        interface: Ipv4Addr,
    },
    /// Of IPv6: the interface is named by its index; zero leaves the choice to the system.
    V6 {
        /// The group's address.
        group: Ipv6Addr,
        /// The interface's index.
        interface: u32,
    },
}

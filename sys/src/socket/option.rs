//! Options of sockets.

use crate::error::error;
use plimsoll_core::{Call, Error, ErrorKind, Group, SocketOption};
use rustix::net::{AddressFamily, getsockname, sockopt};
use std::os::fd::AsFd;

pub(crate) fn set(source: impl AsFd + Copy, option: SocketOption) -> Result<(), Error> {
    let done = match option {
        SocketOption::NoDelay(yes) => sockopt::set_tcp_nodelay(source, yes),
        SocketOption::KeepAlive(Some(idle)) => {
            sockopt::set_socket_keepalive(source, true).and_then(|()| sockopt::set_tcp_keepidle(source, idle))
        }
        SocketOption::KeepAlive(None) => sockopt::set_socket_keepalive(source, false),
        SocketOption::Linger(time) => sockopt::set_socket_linger(source, time),
        SocketOption::SendBuffer(size) => sockopt::set_socket_send_buffer_size(source, size),
        SocketOption::ReceiveBuffer(size) => sockopt::set_socket_recv_buffer_size(source, size),
        SocketOption::Broadcast(yes) => sockopt::set_socket_broadcast(source, yes),
        SocketOption::JoinGroup(Group::V4 { group, interface }) => sockopt::set_ip_add_membership(source, &group, &interface),
        SocketOption::JoinGroup(Group::V6 { group, interface }) => sockopt::set_ipv6_add_membership(source, &group, interface),
        SocketOption::LeaveGroup(Group::V4 { group, interface }) => sockopt::set_ip_drop_membership(source, &group, &interface),
        SocketOption::LeaveGroup(Group::V6 { group, interface }) => sockopt::set_ipv6_drop_membership(source, &group, interface),
        SocketOption::MulticastLoop(yes) if is_v6(source) => sockopt::set_ipv6_multicast_loop(source, yes),
        SocketOption::MulticastLoop(yes) => sockopt::set_ip_multicast_loop(source, yes),
        SocketOption::MulticastHops(hops) if is_v6(source) => sockopt::set_ipv6_multicast_hops(source, hops.into()),
        SocketOption::MulticastHops(hops) => sockopt::set_ip_multicast_ttl(source, hops.into()),
        SocketOption::MulticastInterfaceV4(interface) => sockopt::set_ip_multicast_if(source, &interface),
        SocketOption::MulticastInterfaceV6(interface) => sockopt::set_ipv6_multicast_if(source, interface),
        _ => return Err(Error::new(Call::Option, ErrorKind::Unsupported)),
    };
    done.map_err(|errno| error(Call::Option, errno))
}

pub(crate) fn is_v6(source: impl AsFd) -> bool {
    getsockname(source).is_ok_and(|local| local.address_family() == AddressFamily::INET6)
}

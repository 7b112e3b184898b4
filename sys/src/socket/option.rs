//! Options of sockets.

use crate::error::error;
use plimsoll_core::{Call, Error, ErrorKind, SocketOption};
use rustix::net::sockopt;
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
        _ => return Err(Error::new(Call::Option, ErrorKind::Unsupported)),
    };
    done.map_err(|errno| error(Call::Option, errno))
}

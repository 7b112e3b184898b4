//! What the system says went wrong, in the words of the core.

use plimsoll_core::{Call, Error, ErrorKind};
use rustix::io::Errno;
use std::io;

/// An error of a system call.
#[cold]
pub(crate) fn error(call: Call, errno: Errno) -> Error {
    Error::from_code(call, kind(errno), errno.raw_os_error())
}

/// An error of a call that was made through std's types.
#[cold]
pub(crate) fn io_error(call: Call, reason: &io::Error) -> Error {
    match Errno::from_io_error(reason) {
        Some(errno) => error(call, errno),
        None => Error::new(call, ErrorKind::Other),
    }
}

/// An argument that the library itself refuses.
#[cold]
pub(crate) const fn refused(call: Call) -> Error {
    Error::new(call, ErrorKind::InvalidInput)
}

const fn kind(errno: Errno) -> ErrorKind {
    match errno {
        Errno::INVAL
        | Errno::NOTSOCK
        | Errno::BADF
        | Errno::DESTADDRREQ
        | Errno::ISCONN
        | Errno::NAMETOOLONG
        | Errno::PROTOTYPE => ErrorKind::InvalidInput,
        Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::NOPROTOOPT => ErrorKind::Unsupported,
        // A connect to a Unix server says "again" if its backlog is full.
        Errno::ALREADY | Errno::INPROGRESS | Errno::AGAIN => ErrorKind::Busy,
        Errno::CONNREFUSED => ErrorKind::ConnectionRefused,
        Errno::CONNRESET => ErrorKind::ConnectionReset,
        // An accept that says "protocol error" means one connection that was gone before it was accepted.
        Errno::CONNABORTED | Errno::PROTO => ErrorKind::ConnectionAborted,
        Errno::PIPE => ErrorKind::BrokenPipe,
        Errno::NOTCONN => ErrorKind::NotConnected,
        Errno::ADDRINUSE => ErrorKind::AddrInUse,
        Errno::ADDRNOTAVAIL => ErrorKind::AddrNotAvailable,
        Errno::NOENT => ErrorKind::NotFound,
        Errno::ACCESS | Errno::PERM => ErrorKind::PermissionDenied,
        Errno::TIMEDOUT => ErrorKind::TimedOut,
        Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => ErrorKind::Unreachable,
        Errno::MSGSIZE => ErrorKind::MessageTooLong,
        Errno::MFILE | Errno::NFILE => ErrorKind::DescriptorLimit,
        // A poller that may not watch any more descriptors says "no space".
        Errno::NOMEM | Errno::NOBUFS | Errno::NOSPC => ErrorKind::OutOfMemory,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_code_whichever_way_it_came() {
        let direct = error(Call::Bind, Errno::ADDRINUSE);
        assert_eq!((direct.kind(), direct.call()), (ErrorKind::AddrInUse, Call::Bind));
        assert_eq!(direct.code(), Some(Errno::ADDRINUSE.raw_os_error()));
        assert_eq!(io_error(Call::Bind, &Errno::ADDRINUSE.into()), direct);
        assert_eq!(io_error(Call::Register, &io::Error::other("no code")), Error::new(Call::Register, ErrorKind::Other));
    }
}

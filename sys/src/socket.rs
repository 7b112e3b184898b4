//! The system calls of sockets, for the core's driver.

mod adopt;
mod open;
pub(crate) mod option;

use crate::error::{error, io_error};
use crate::panic;
use crate::selector::{Selector, Watched};
use crate::view::SocketView;
use core::net::SocketAddr;
use plimsoll_core::driver::{Interest, ReadinessIo, Sockets, Trigger};
use plimsoll_core::{Addr, Call, Connect, Ends, Error, Key, Listen, MAX_PIECES, ReadResult, Resource, Role, SocketOption};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketAddrAny};
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An owned socket, in four bytes: what an idle connection keeps beside its slot is this and a few flags.
#[derive(Debug)]
pub(crate) struct Source(OwnedFd);

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Looks at a socket from a callback's hub.
pub(crate) struct Visitor(pub(crate) Box<dyn FnOnce(SocketView<'_>)>);

/// Sockets, and the poller that watches them.
pub(crate) struct Sys<P> {
    pub(crate) selector: P,
    /// What visitors panicked with, to be reported.
    pub(crate) panics: Vec<Box<str>>,
}

impl<P> Sys<P> {
    pub(crate) const fn new(selector: P) -> Self {
        Self { selector, panics: Vec::new() }
    }
}

impl<P: Selector> Sockets for Sys<P> {
    type Source = Source;

    fn bind(&mut self, at: &Addr, listen: &Listen) -> Result<(Source, Addr), Error> {
        open::bind(at, listen)
    }

    fn listen(&mut self, source: &mut Source, backlog: u32) -> Result<(), Error> {
        open::listen(source, backlog)
    }

    fn adopt(&mut self, resource: Resource, role: Role) -> Result<(Source, Ends), Error> {
        adopt::adopt(resource, role)
    }

    fn set_option(&mut self, source: &Source, option: SocketOption) -> Result<(), Error> {
        option::set(source, option)
    }

    fn visit(&mut self, source: &Source, visitor: Resource) {
        let Ok(Visitor(visit)) = visitor.downcast() else { return };
        if let Err(message) = panic::catch(|| visit(SocketView::new(source.as_fd()))) {
            self.panics.push(message);
        }
    }

    fn attach(&mut self, source: &Source, key: Key) -> Result<(), Error> {
        self.selector.register(Watched::new(source.as_fd()), key.index()).map_err(|reason| io_error(Call::Register, &reason))
    }

    fn close(&mut self, source: Source, key: Key) {
        self.selector.deregister(Watched::new(source.as_fd()), key.index());
        drop(source);
    }
}

impl<P: Selector> ReadinessIo for Sys<P> {
    fn trigger(&self) -> Trigger {
        self.selector.trigger()
    }

    #[inline(always)]
    fn recv(&mut self, source: &mut Source, buf: &mut [u8]) -> ReadResult {
        loop {
            match rustix::net::recv(&source.0, &mut *buf, RecvFlags::empty()) {
                Ok((n, _)) => return Ok(Some(n)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(error(Call::Receive, errno)),
            }
        }
    }

    #[inline(always)]
    fn send(&mut self, source: &mut Source, bufs: &[&[u8]]) -> ReadResult {
        loop {
            let sent = match bufs {
                [one] => rustix::net::send(&source.0, one, SendFlags::NOSIGNAL),
                _ => send_pieces(source, bufs),
            };
            match sent {
                Ok(n) => return Ok(Some(n)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(error(Call::Send, errno)),
            }
        }
    }

    fn shutdown_write(&mut self, source: &mut Source) -> Result<(), Error> {
        rustix::net::shutdown(&source.0, Shutdown::Write).map_err(|errno| error(Call::Shutdown, errno))
    }

    fn connect(&mut self, to: &Connect) -> Result<Source, Error> {
        open::connect(to)
    }

    fn connect_result(&mut self, source: &mut Source) -> Result<Option<Ends>, Error> {
        open::connect_result(source)
    }

    fn accept(&mut self, source: &mut Source) -> Result<Option<(Source, Ends)>, Error> {
        open::accept(source)
    }

    fn arm(&mut self, source: &Source, key: Key, interest: Interest) -> Result<(), Error> {
        self.selector
            .modify(Watched::new(source.as_fd()), key.index(), interest)
            .map_err(|reason| io_error(Call::Register, &reason))
    }
}

/// One call for several pieces; a broken pipe is an error and never a signal.
fn send_pieces(source: &Source, bufs: &[&[u8]]) -> Result<usize, Errno> {
    let mut pieces = [IoSlice::new(&[]); MAX_PIECES];
    for (piece, buf) in pieces.iter_mut().zip(bufs) {
        *piece = IoSlice::new(buf);
    }
    let count = bufs.len().min(MAX_PIECES);
    rustix::net::sendmsg(&source.0, &pieces[..count], &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
}

/// An address in the core's words; none if it is of a family that the core does not name.
pub(crate) fn socket_addr(any: SocketAddrAny) -> Option<Addr> {
    SocketAddr::try_from(any).ok().map(Addr::from)
}

/// The address that a socket has here.
fn local_addr(source: &Source) -> Option<Addr> {
    rustix::net::getsockname(&source.0).ok().and_then(socket_addr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_descriptor_and_nothing_else() {
        assert_eq!(size_of::<Option<Source>>(), 4);
    }
}

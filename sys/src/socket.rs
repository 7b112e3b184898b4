//! The system calls of sockets and pipes, for the core's driver.

pub(crate) mod addr;
mod adopt;
mod child;
mod datagram;
pub(crate) mod file;
mod open;
pub(crate) mod option;
mod path;
mod pipe;
pub(crate) mod watch;

use crate::error::{error, io_error};
use crate::panic;
use crate::resolver::Lookups;
use crate::selector::{Selector, Watched};
use crate::view::{PipeView, ProcessView, SocketView};
pub(crate) use child::Children;
use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_core::driver::{Attached, FileError, Incoming, IncomingRun, Interest, ReadinessIo, Sockets, Spawned, Trigger};
use plimsoll_core::{
    Addr, Attempt, BytesMut, Call, Command, Datagram, Ends, Error, ExitStatus, Key, Listen, MAX_PIECES, Name, Outgoing, QueryId,
    ReadResult, Resource, Role, SocketOption, Wake,
};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

/// How long a child that was killed is waited for at most.
pub(crate) const LAST_WAIT: Duration = Duration::from_secs(1);

/// What an edge-triggered poller tells of a datagram socket for which nothing waits: the kernel says that there is room after each one that has left.
const DATAGRAMS: Interest = Interest { readable: true, writable: false, hang_up: false };

/// An owned descriptor, and which calls it takes: what an idle connection keeps beside its slot is this and a few flags.
#[derive(Debug)]
pub(crate) struct Source {
    descriptor: OwnedFd,
    kind: Kind,
}

/// What a descriptor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A stream socket.
    Socket,
    /// A Unix stream socket: a receive of it ends where descriptors were passed along, whatever is left behind.
    Unix,
    /// A datagram socket of IPv4 or IPv6.
    Datagrams(datagram::Offload),
    /// A Unix datagram socket.
    UnixDatagrams,
    /// A socket with boundaries in its bytes, used as a pipe.
    Pieces,
    /// A pipe or FIFO.
    Pipe,
    /// A character device, for example a terminal.
    Device,
    /// One that the kernel refuses to watch, because its calls never block: `/dev/null`.
    AlwaysReady,
    /// Anything that is watched without a transport.
    Watched,
    /// The descriptor of a child.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "a Linux thing"))]
    Child,
    /// A pipe that a thread closes when a child has ended.
    Waited,
    /// Either, of a child that was reaped.
    Reaped,
}

impl Source {
    /// A stream socket with this address.
    const fn socket(descriptor: OwnedFd, local: Option<&Addr>) -> Self {
        Self { descriptor, kind: Self::kind_of_stream(local) }
    }

    const fn kind_of_stream(local: Option<&Addr>) -> Kind {
        if matches!(local, Some(Addr::Unix(_))) { Kind::Unix } else { Kind::Socket }
    }

    const fn is_child(&self) -> bool {
        matches!(self.kind, Kind::Child | Kind::Waited)
    }

    #[cfg_attr(any(not(target_os = "linux"), plimsoll_one_datagram_a_call), allow(dead_code, reason = "others need not know"))]
    const fn is_inet_datagrams(&self) -> bool {
        matches!(self.kind, Kind::Datagrams(_))
    }

    const fn is_datagrams(&self) -> bool {
        matches!(self.kind, Kind::Datagrams(_) | Kind::UnixDatagrams)
    }

    const fn is_socket(&self) -> bool {
        matches!(self.kind, Kind::Socket | Kind::Unix | Kind::Pieces)
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Looks at a socket from a callback's hub.
pub(crate) struct Visitor(pub(crate) Box<dyn FnOnce(SocketView<'_>)>);

/// Looks at a pipe from a callback's hub.
pub(crate) struct PipeVisitor(pub(crate) Box<dyn FnOnce(PipeView<'_>)>);

/// Looks at a child of this id from a callback's hub.
pub(crate) struct ProcessVisitor(pub(crate) u32, pub(crate) Box<dyn FnOnce(ProcessView<'_>)>);

/// Sockets, and the poller that watches them.
pub(crate) struct Sys<P> {
    pub(crate) selector: P,
    pub(crate) children: Children,
    /// What visitors panicked with, to be reported.
    pub(crate) panics: Vec<Box<str>>,
    /// The files that sockets were bound to, by descriptor: each socket leaves through `close` or `discard`.
    files: BTreeMap<RawFd, path::SocketFile>,
    datagrams: datagram::Calls,
    pub(crate) lookups: Lookups,
    /// For files that the kernel does not send by itself; empty until there is one.
    block: Vec<u8>,
}

impl<P> Sys<P> {
    pub(crate) fn new(selector: P, wake: Arc<dyn Wake>) -> Self {
        Self {
            selector,
            children: Children::default(),
            panics: Vec::new(),
            files: BTreeMap::new(),
            datagrams: datagram::Calls::default(),
            lookups: Lookups::new(wake),
            block: Vec::new(),
        }
    }
}

impl<P: Selector> Sockets for Sys<P> {
    type Source = Source;

    fn bind(&mut self, at: &Addr, listen: &Listen) -> Result<(Source, Addr), Error> {
        let (source, local, file) = open::bind(at, listen)?;
        self.files.extend(file.map(|file| (source.descriptor.as_raw_fd(), file)));
        Ok((source, local))
    }

    fn listen(&mut self, source: &mut Source, backlog: u32) -> Result<(), Error> {
        open::listen(source, backlog)
    }

    fn adopt(&mut self, resource: Resource, role: Role) -> Result<(Source, Ends), Error> {
        match role {
            Role::ReadPipe | Role::WritePipe => pipe::adopt(resource, role).map(|source| (source, Ends::default())),
            _ => adopt::adopt(resource, role),
        }
    }

    fn open_datagram(&mut self, open: &Datagram) -> Result<(Source, Ends), Error> {
        datagram::open(open)
    }

    fn adopt_datagram(&mut self, resource: Resource) -> Result<(Source, Ends), Error> {
        datagram::adopt(resource)
    }

    fn watch(&mut self, resource: Resource) -> Result<Source, Error> {
        watch::adopt(resource)
    }

    fn set_option(&mut self, source: &Source, option: SocketOption) -> Result<(), Error> {
        option::set(source, option)
    }

    fn visit(&mut self, source: &Source, visitor: Resource) {
        let visited = panic::catch(|| match visitor.downcast::<Visitor>() {
            Ok(Visitor(visit)) => visit(SocketView::new(source.as_fd())),
            Err(visitor) => match visitor.downcast::<PipeVisitor>() {
                Ok(PipeVisitor(visit)) => visit(PipeView::new(source.as_fd())),
                Err(visitor) => {
                    if let Ok(ProcessVisitor(pid, visit)) = visitor.downcast() {
                        visit(ProcessView::new(pid, source.as_fd()));
                    }
                }
            },
        });
        if let Err(message) = visited {
            self.panics.push(message);
        }
    }

    fn read_file(&mut self, file: &mut Resource, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        file::read(file, offset, buf)
    }

    fn finish_file(&mut self, file: Resource, position: u64) {
        file::finish(file, position);
    }

    fn attach(&mut self, source: &mut Source, key: Key) -> Result<Attached, Error> {
        match self.register(source, key) {
            Ok(()) => Ok(match source.kind {
                Kind::Pieces | Kind::Device => Attached::Pieces,
                // A level-triggered poller tells of what is left.
                Kind::Unix if self.selector.trigger() == Trigger::Edge => Attached::Pieces,
                _ => Attached::Stream,
            }),
            Err(reason) if source.kind == Kind::Device && reason.kind() == io::ErrorKind::PermissionDenied => {
                source.kind = Kind::AlwaysReady;
                Ok(Attached::AlwaysReady)
            }
            Err(reason) => {
                if source.is_child() {
                    // Nobody would ever hear of its end.
                    self.children.end(source, LAST_WAIT);
                }
                Err(io_error(Call::Register, &reason))
            }
        }
    }

    fn rekey(&mut self, source: &mut Source, from: Key, to: Key) -> Result<(), Error> {
        self.selector.deregister(Watched::new(source.as_fd()), from.index());
        self.attach(source, to).map(drop)
    }

    fn resolve(&mut self, query: QueryId, name: &Name) -> Result<Option<Vec<SocketAddr>>, Error> {
        self.lookups.begin(query, name);
        Ok(None)
    }

    fn forget(&mut self, query: QueryId) {
        self.lookups.forget(query);
    }

    fn resolve_now(&mut self, name: &Name) -> Result<Vec<SocketAddr>, Error> {
        self.lookups.now(name)
    }

    fn discard(&mut self, source: Source) {
        if !self.files.is_empty() {
            // Before the socket goes: who connects in between finds nothing, rather than somebody who is gone.
            drop(self.files.remove(&source.descriptor.as_raw_fd()));
        }
        drop(source);
    }

    fn spawn(&mut self, command: Command) -> Result<Spawned<Source>, Error> {
        self.children.spawn(command)
    }

    fn signal(&mut self, child: &mut Source, signal: i32) -> Result<(), Error> {
        self.children.signal(child, signal)
    }

    fn close(&mut self, source: Source, key: Key) {
        self.selector.deregister(Watched::new(source.as_fd()), key.index());
        if source.is_child() {
            self.children.forget(source);
        } else {
            self.discard(source);
        }
    }
}

impl<P: Selector> Sys<P> {
    fn register(&mut self, source: &Source, key: Key) -> io::Result<()> {
        let watched = Watched::new(source.as_fd());
        self.selector.register(watched, key.index())?;
        if source.is_datagrams() && self.selector.trigger() == Trigger::Edge {
            self.selector.modify(watched, key.index(), DATAGRAMS)?;
        }
        if source.kind == Kind::Device && self.selector.trigger() == Trigger::Level {
            // Such a poller finds out that the kernel refuses a device when it is first asked to tell something of it: now.
            self.selector.modify(watched, key.index(), Interest { readable: true, ..Interest::default() })?;
            self.selector.modify(watched, key.index(), Interest::default())?;
        }
        Ok(())
    }
}

impl<P: Selector> ReadinessIo for Sys<P> {
    fn trigger(&self) -> Trigger {
        self.selector.trigger()
    }

    #[inline(always)]
    fn recv(&mut self, source: &mut Source, buf: &mut [u8]) -> ReadResult {
        loop {
            // Of a socket as recv(2) without flags, and of everything else too: nothing is to be decided here.
            match rustix::io::read(&source.descriptor, &mut *buf) {
                Ok(n) => return Ok(Some(n)),
                Err(Errno::INTR) => {}
                Err(errno) => return pipe::not_read(source, errno),
            }
        }
    }

    #[inline(always)]
    fn send(&mut self, source: &mut Source, bufs: &[&[u8]]) -> ReadResult {
        loop {
            let sent = match bufs {
                [one] => rustix::net::send(&source.descriptor, one, SendFlags::NOSIGNAL),
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

    fn recv_from(&mut self, source: &mut Source, blocks: &mut [BytesMut], came: &mut [Incoming]) -> ReadResult {
        self.datagrams.receive(source, blocks, came)
    }

    #[inline]
    fn send_to<'a>(&mut self, source: &mut Source, datagrams: impl ExactSizeIterator<Item = Outgoing<'a>> + Clone) -> ReadResult {
        self.datagrams.send(source, datagrams)
    }

    #[inline]
    fn receives_runs(&self, source: &Source) -> bool {
        matches!(source.kind, Kind::Datagrams(offload) if offload.puts_together)
    }

    fn recv_runs(&mut self, source: &mut Source, blocks: &mut [BytesMut], came: &mut [IncomingRun]) -> ReadResult {
        self.datagrams.receive_runs(source, blocks, came)
    }

    fn tell_room(&mut self, source: &Source, key: Key, yes: bool) -> Result<(), Error> {
        self.selector
            .modify(Watched::new(source.as_fd()), key.index(), Interest { writable: yes, ..DATAGRAMS })
            .map_err(|reason| io_error(Call::Register, &reason))
    }

    fn send_file(&mut self, source: &mut Source, file: &mut Resource, offset: u64, most: u64) -> Result<Option<u64>, FileError> {
        file::send(source, file, offset, most, &mut self.block)
    }

    fn send_pipe(&mut self, source: &mut Source, bufs: &[&[u8]]) -> ReadResult {
        // A socket used as a pipe must not raise a signal.
        if source.is_socket() { self.send(source, bufs) } else { pipe::write(source, bufs) }
    }

    fn shutdown_write(&mut self, source: &mut Source) -> Result<(), Error> {
        rustix::net::shutdown(&source.descriptor, Shutdown::Write).map_err(|errno| error(Call::Shutdown, errno))
    }

    fn wait_child(&mut self, child: &mut Source) -> Result<Option<ExitStatus>, Error> {
        self.children.wait(child)
    }

    fn is_ready(&mut self, source: &mut Source, asked: Interest) -> Interest {
        watch::is_ready(source, asked)
    }

    fn is_hung_up(&mut self, source: &mut Source) -> bool {
        pipe::is_hung_up(source)
    }

    fn connect(&mut self, to: &Attempt) -> Result<Source, Error> {
        open::connect(to)
    }

    fn connect_result(&mut self, source: &mut Source) -> Result<Option<Ends>, Error> {
        open::connect_result(source)
    }

    fn accept(&mut self, source: &mut Source) -> Result<Option<(Source, Ends)>, Error> {
        open::accept(source)
    }

    fn arm(&mut self, source: &Source, key: Key, interest: Interest) -> Result<(), Error> {
        if source.kind == Kind::AlwaysReady {
            return Ok(());
        }
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
    rustix::net::sendmsg(&source.descriptor, &pieces[..count], &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_descriptor_and_a_byte() {
        assert_eq!(size_of::<Option<Source>>(), 8);
    }
}

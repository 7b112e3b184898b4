//! Sockets that are queues of bytes.

use crate::addr::{Addr, Ends};
use crate::driver::{Attached, FileError, Incoming, IncomingRun, Interest, ReadinessIo, Ready, Sockets, Trigger};
use crate::engine::ReadResult;
use crate::error::{Call, Error, ErrorKind};
use crate::flow::datagrams::Outgoing;
use crate::key::{Key, QueryId};
use crate::name::Name;
use crate::op::Role;
use crate::open::{Attempt, Datagram, Listen, Resource, SocketOption};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::net::{Ipv4Addr, SocketAddr};

/// One socket, as the kernel would hold it.
#[derive(Debug, Default)]
pub(super) struct Socket {
    pub(super) key: Option<Key>,
    pub(super) ends: Ends,
    /// What the peer sent and has not been received.
    pub(super) incoming: VecDeque<u8>,
    pub(super) eof: bool,
    pub(super) error: Option<ErrorKind>,
    /// What was sent and the test has not looked at.
    pub(super) outgoing: Vec<u8>,
    /// How many more bytes a send may take.
    pub(super) window: usize,
    pub(super) finished: bool,
    pub(super) closed: bool,
    /// Connections that wait to be accepted, if it listens.
    pub(super) backlog: VecDeque<usize>,
    /// What the next accepts fail with.
    pub(super) accept_errors: VecDeque<ErrorKind>,
    /// Datagrams that came and have not been received.
    pub(super) arrived: VecDeque<(Vec<u8>, Addr)>,
    /// Datagrams that were sent and the test has not looked at.
    pub(super) departed: Vec<(Vec<u8>, Option<Addr>)>,
    /// What the next sends of datagrams fail with.
    pub(super) send_errors: VecDeque<ErrorKind>,
    refused: bool,
    /// Datagrams of one sender come together.
    pub(super) in_runs: bool,
}

/// The calls: none ever blocks, none fails unless the test said so.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) sockets: Vec<Socket>,
    pub(super) options: Vec<(usize, SocketOption)>,
    /// The addresses of hosts.
    pub(super) names: BTreeMap<String, Vec<SocketAddr>>,
    /// The longest receive: where chunks are cut.
    pub(super) chunk: Option<usize>,
}

/// A socket's number.
#[derive(Debug)]
pub(super) struct Number(pub(super) usize);

/// Nobody listens here.
pub(super) const REFUSED: u16 = 1;

impl Memory {
    pub(super) fn socket(&mut self, ends: Ends) -> usize {
        self.sockets.push(Socket { ends, window: usize::MAX, ..Socket::default() });
        self.sockets.len() - 1
    }

    pub(super) fn of(&mut self, key: Key) -> Option<&mut Socket> {
        self.sockets.iter_mut().rev().find(|socket| socket.key == Some(key))
    }

    /// What a poller would say of every socket that is open.
    pub(super) fn ready(&self) -> Vec<(usize, Ready)> {
        let open = self.sockets.iter().filter(|socket| !socket.closed);
        open.filter_map(|socket| {
            let readable = !socket.incoming.is_empty()
                || socket.eof
                || !socket.backlog.is_empty()
                || !socket.accept_errors.is_empty()
                || !socket.arrived.is_empty();
            let error = socket.error.is_some();
            let ready = Ready { readable, writable: socket.window > 0, read_closed: socket.eof, write_closed: false, error };
            socket.key.map(|key| (key.index(), ready))
        })
        .collect()
    }
}

pub(super) fn addr(port: u16) -> Addr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
}

const fn error(call: Call, kind: ErrorKind) -> Error {
    Error::new(call, kind)
}

impl Sockets for Memory {
    type Source = Number;

    fn bind(&mut self, at: &Addr, _: &Listen) -> Result<(Number, Addr), Error> {
        let taken = |socket: &Socket| !socket.closed && socket.ends.peer.is_none() && socket.ends.local.as_ref() == Some(at);
        if self.sockets.iter().any(taken) {
            return Err(error(Call::Bind, ErrorKind::AddrInUse));
        }
        if at.inet().is_some_and(|at| !at.ip().is_loopback()) {
            return Err(error(Call::Bind, ErrorKind::AddrNotAvailable));
        }
        Ok((Number(self.socket(Ends::new(Some(at.clone()), None))), at.clone()))
    }

    fn listen(&mut self, _: &mut Number, _: u32) -> Result<(), Error> {
        Ok(())
    }

    fn adopt(&mut self, resource: Resource, _: Role) -> Result<(Number, Ends), Error> {
        let number: usize = resource.downcast().map_err(|_| error(Call::Adopt, ErrorKind::InvalidInput))?;
        match self.sockets.get(number) {
            Some(socket) => Ok((Number(number), socket.ends.clone())),
            None => Err(error(Call::Adopt, ErrorKind::InvalidInput)),
        }
    }

    fn open_datagram(&mut self, open: &Datagram) -> Result<(Number, Ends), Error> {
        Ok(self.open(open))
    }

    fn adopt_datagram(&mut self, resource: Resource) -> Result<(Number, Ends), Error> {
        self.adopt(resource, Role::Client)
    }

    fn set_option(&mut self, source: &Number, option: SocketOption) -> Result<(), Error> {
        self.options.push((source.0, option));
        Ok(())
    }

    fn visit(&mut self, source: &Number, visitor: Resource) {
        if let Ok(visitor) = visitor.downcast::<alloc::boxed::Box<dyn FnOnce(usize)>>() {
            visitor(source.0);
        }
    }

    fn read_file(&mut self, file: &mut Resource, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let piece = piece(file, offset, buf.len())?;
        buf[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }

    fn attach(&mut self, source: &mut Number, key: Key) -> Result<Attached, Error> {
        self.sockets[source.0].key = Some(key);
        Ok(Attached::Stream)
    }

    fn resolve(&mut self, _: QueryId, name: &Name) -> Result<Option<Vec<SocketAddr>>, Error> {
        self.resolve_now(name).map(Some)
    }

    fn resolve_now(&mut self, name: &Name) -> Result<Vec<SocketAddr>, Error> {
        self.names.get(name.host()).cloned().ok_or(error(Call::Resolve, ErrorKind::HostNotFound))
    }

    fn close(&mut self, source: Number, _: Key) {
        self.sockets[source.0].closed = true;
    }
}

impl ReadinessIo for Memory {
    fn trigger(&self) -> Trigger {
        Trigger::Edge
    }

    fn recv(&mut self, source: &mut Number, buf: &mut [u8]) -> ReadResult {
        let chunk = self.chunk.unwrap_or(usize::MAX);
        let socket = &mut self.sockets[source.0];
        let n = buf.len().min(socket.incoming.len()).min(chunk);
        if n > 0 {
            for (slot, byte) in buf.iter_mut().zip(socket.incoming.drain(..n)) {
                *slot = byte;
            }
            return Ok(Some(n));
        }
        match socket.error {
            Some(kind) => Err(error(Call::Receive, kind)),
            None if socket.eof => Ok(Some(0)),
            None => Ok(None),
        }
    }

    fn send(&mut self, source: &mut Number, bufs: &[&[u8]]) -> ReadResult {
        let socket = &mut self.sockets[source.0];
        match socket.error {
            Some(ErrorKind::ConnectionReset) => return Err(error(Call::Send, ErrorKind::BrokenPipe)),
            Some(kind) => return Err(error(Call::Send, kind)),
            None => {}
        }
        let mut taken = 0;
        for buf in bufs {
            let n = buf.len().min(socket.window);
            socket.outgoing.extend_from_slice(&buf[..n]);
            socket.window -= n;
            taken += n;
        }
        Ok((taken > 0).then_some(taken))
    }

    fn recv_from(&mut self, source: &mut Number, blocks: &mut [BytesMut], came: &mut [Incoming]) -> ReadResult {
        self.receive(source, blocks, came)
    }

    fn receives_runs(&self, source: &Number) -> bool {
        self.sockets[source.0].in_runs
    }

    fn recv_runs(&mut self, source: &mut Number, blocks: &mut [BytesMut], came: &mut [IncomingRun]) -> ReadResult {
        self.receive_runs(source, blocks, came)
    }

    fn send_to<'a>(&mut self, source: &mut Number, datagrams: impl ExactSizeIterator<Item = Outgoing<'a>> + Clone) -> ReadResult {
        self.send_all(source, &datagrams.collect::<Vec<_>>())
    }

    /// A file is its bytes, and one of nothing else cannot be read.
    fn send_file(&mut self, source: &mut Number, file: &mut Resource, offset: u64, most: u64) -> Result<Option<u64>, FileError> {
        let rest = piece(file, offset, usize::try_from(most).unwrap_or(usize::MAX)).map_err(FileError::File)?;
        if rest.is_empty() {
            return Ok(Some(0));
        }
        let sent = self.send(source, &[rest]).map_err(FileError::Socket)?;
        Ok(sent.map(|n| n as u64))
    }

    fn shutdown_write(&mut self, source: &mut Number) -> Result<(), Error> {
        let socket = &mut self.sockets[source.0];
        socket.finished = true;
        match socket.error {
            Some(_) => Err(error(Call::Shutdown, ErrorKind::NotConnected)),
            None => Ok(()),
        }
    }

    fn connect(&mut self, to: &Attempt) -> Result<Number, Error> {
        let refused = *to.addr() == addr(REFUSED);
        let number = self.socket(Ends::new(Some(addr(2)), Some(to.addr().clone())));
        self.sockets[number].refused = refused;
        Ok(Number(number))
    }

    fn connect_result(&mut self, source: &mut Number) -> Result<Option<Ends>, Error> {
        let socket = &self.sockets[source.0];
        if socket.refused { Err(error(Call::Connect, ErrorKind::ConnectionRefused)) } else { Ok(Some(socket.ends.clone())) }
    }

    fn accept(&mut self, source: &mut Number) -> Result<Option<(Number, Ends)>, Error> {
        let socket = &mut self.sockets[source.0];
        if let Some(kind) = socket.accept_errors.pop_front() {
            return Err(error(Call::Accept, kind));
        }
        let Some(number) = socket.backlog.pop_front() else { return Ok(None) };
        Ok(Some((Number(number), self.sockets[number].ends.clone())))
    }

    fn arm(&mut self, _: &Number, _: Key, _: Interest) -> Result<(), Error> {
        Ok(())
    }
}

/// A piece of a file, which is its bytes; one of nothing else cannot be read.
fn piece(file: &mut Resource, offset: u64, most: usize) -> Result<&[u8], Error> {
    let file = file.get_mut::<Bytes>().ok_or(error(Call::SendFile, ErrorKind::Unsupported))?;
    let rest = &file[file.len().min(usize::try_from(offset).unwrap_or(usize::MAX))..];
    Ok(&rest[..rest.len().min(most)])
}

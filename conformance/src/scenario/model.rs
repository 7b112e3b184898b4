//! A scenario, as the parser leaves it: nothing in it is left to be checked.

use super::child::{ChildStep, Std};
use super::pattern::Expect;
use super::race::{Path, Race};
use super::secure::Security;
use crate::sim::{Failure, Syscall};
use core::net::IpAddr;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// Where it stands.
    pub path: PathBuf,
    /// Its name: the area and the name of the file.
    pub id: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// The ids of the contract that it shows something of.
    pub covers: Vec<String>,
    /// What it needs of a host.
    pub needs: Vec<String>,
    /// Departures of other loops.
    pub departs: BTreeMap<String, Vec<Departure>>,
    pub(crate) link: Link,
    /// What the child does, of a process.
    pub(crate) child: Vec<ChildStep>,
    /// The connections; the first has no name.
    pub(crate) connections: Vec<Connection>,
    /// The protocols that connections are handed to later, by name.
    pub(crate) protocols: BTreeMap<String, Behaviour>,
    pub(crate) jobs: BTreeMap<String, Vec<Command>>,
    pub(crate) steps: Vec<Command>,
    pub(crate) expect: BTreeMap<String, Expect>,
}

impl Scenario {
    /// The kinds of connections that it is played on.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        &self.link.kinds
    }

    /// What it is played on as it stands here: the first of its kinds, unless it comes from [`variants`](Self::variants).
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.link.kind
    }

    /// Whether it says what it has to do with TLS: it is played over it, or says why not, or has nothing to do with TCP. A race between addresses is over before
    /// there is any.
    #[must_use]
    pub fn speaks_of_tls(&self) -> bool {
        !self.kinds().contains(&Kind::Tcp)
            || self.kinds().contains(&Kind::Tls)
            || self.link.without_tls.is_some()
            || self.link.race.is_run()
    }

    /// Itself once for each of its kinds.
    #[must_use]
    pub fn variants(&self) -> Vec<Self> {
        let of = |&kind: &Kind| Self { link: Link { kind, ..self.link.clone() }, ..self.clone() };
        self.link.kinds.iter().map(of).collect()
    }

    /// Its id, with its kind if it is not the first of them.
    #[must_use]
    pub fn title(&self) -> String {
        if self.link.kinds.first() == Some(&self.link.kind) {
            self.id.clone()
        } else {
            format!("{} ({})", self.id, self.link.kind.word())
        }
    }

    /// The folder that it belongs to.
    #[must_use]
    pub fn area(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }

    pub(crate) fn behaviour(&self, connection: usize, protocol: Option<&str>) -> &Behaviour {
        let first = &self.connections[connection].behaviour;
        protocol.and_then(|name| self.protocols.get(name)).unwrap_or(first)
    }
}

/// How another loop departs from the contract.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Departure {
    /// The row of the contract's table, and why.
    pub why: String,
    /// Only these versions of it, as the beginning of what the loop says of itself; all of them if empty.
    pub versions: Vec<String>,
    /// Only on these kinds of connections; on all of them if empty.
    pub kinds: Vec<Kind>,
    pub(crate) line: usize,
    pub(crate) expect: BTreeMap<String, Expect>,
}

impl Departure {
    /// Whether this version is meant, on this kind of connection.
    #[must_use]
    pub fn applies(&self, version: &str, kind: Kind) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (self.versions.is_empty() || self.versions.iter().any(|prefix| version.starts_with(prefix.as_str())))
    }
}

/// What a connection is made of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// TCP.
    Tcp,
    /// A Unix stream socket.
    Unix,
    /// The reading end of a pipe, or of something that can be read like one.
    ReadPipe,
    /// The writing end of a pipe, or of something that can be written like one.
    WritePipe,
    /// A child process.
    Process,
    /// A UDP socket.
    Udp,
    /// A Unix datagram socket.
    UnixDatagram,
    /// TLS over TCP.
    Tls,
}

impl Kind {
    /// Its name in the files.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Unix => "unix",
            Self::ReadPipe => "read-pipe",
            Self::WritePipe => "write-pipe",
            Self::Process => "process",
            Self::Udp => "udp",
            Self::UnixDatagram => "unix-datagram",
            Self::Tls => "tls",
        }
    }

    /// The kind of that name.
    pub(crate) fn named(word: &str) -> Option<Self> {
        let all =
            [Self::Tcp, Self::Unix, Self::ReadPipe, Self::WritePipe, Self::Process, Self::Udp, Self::UnixDatagram, Self::Tls];
        all.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether bytes go in one direction only.
    #[must_use]
    pub const fn is_pipe(self) -> bool {
        matches!(self, Self::ReadPipe | Self::WritePipe)
    }

    /// Whether it is secure from the beginning.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls)
    }

    /// Whether what goes are datagrams.
    #[must_use]
    pub const fn is_datagram(self) -> bool {
        matches!(self, Self::Udp | Self::UnixDatagram)
    }

    /// Whether its addresses are paths.
    pub(crate) const fn is_unix(self) -> bool {
        matches!(self, Self::Unix | Self::UnixDatagram)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Accept,
    Connect,
    Server,
    Adopt,
}

/// What a pipe is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Through {
    Pipe,
    Fifo,
    /// A FIFO whose end is open for both directions.
    FifoBoth,
    Socket,
    Terminal,
    /// What cannot be one: a regular file, a folder, the other end of a pipe.
    File,
    Folder,
    OtherEnd,
}

impl Through {
    /// Whether the loop can take it for a pipe, so that there is another end.
    pub(crate) const fn is_pipe(self) -> bool {
        !matches!(self, Self::File | Self::Folder | Self::OtherEnd)
    }

    /// Whether the other end can do both.
    pub(crate) const fn is_two_way(self) -> bool {
        matches!(self, Self::Socket | Self::Terminal)
    }
}

/// What is given to the loop as a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Given {
    Connected,
    Listening,
    Bound,
    Unconnected,
    Datagram,
}

/// Who is where the application connects to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum There {
    Peer,
    Nobody,
    /// It never answers.
    Silent,
}

/// An address that a server is to have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum At {
    /// Of this host, and whichever port is free.
    Ip(IpAddr),
    /// One where another socket listens already.
    Taken,
}

#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) kinds: Vec<Kind>,
    /// The one of them that is played.
    pub(crate) kind: Kind,
    pub(crate) way: Way,
    pub(crate) sndbuf: Option<usize>,
    pub(crate) rcvbuf: Option<usize>,
    /// The server accepts from the beginning.
    pub(crate) start: bool,
    /// It begins before the first step.
    pub(crate) opens: bool,
    pub(crate) there: There,
    /// What its pipes are made of.
    pub(crate) through: Through,
    /// What the standard descriptors of the child are.
    pub(crate) stdio: [Std; 3],
    /// There is no such program.
    pub(crate) absent: bool,
    pub(crate) given: Given,
    /// What is given is the accepting end.
    pub(crate) accepted: bool,
    /// The application connects from here.
    pub(crate) local: Option<IpAddr>,
    /// Where the server is to listen; one address of its own if empty.
    pub(crate) on: Vec<At>,
    pub(crate) backlog: Option<u32>,
    pub(crate) reuse_port: bool,
    /// It may send to everybody at once, and hears everybody although it has a remote address.
    pub(crate) broadcast: bool,
    /// The host that the application connects to by its name, if it does.
    pub(crate) race: Race,
    /// Where a Unix server listens, if that is no path of its own.
    pub(crate) path: Path,
    /// Why it is not played over TLS although it is over TCP.
    pub(crate) without_tls: Option<String>,
    /// How it is made secure, if it is.
    pub(crate) tls: Security,
}

impl Link {
    /// Whether the connection has to be opened by a step or before the first one, and says when it is.
    pub(crate) const fn completes(&self) -> bool {
        matches!(self.way, Way::Connect | Way::Adopt) || self.is_process()
    }

    /// Whether the runner makes what the loop gets: both of its ends.
    pub(crate) const fn hands_over(&self) -> bool {
        matches!(self.way, Way::Adopt) || self.kind.is_pipe()
    }

    /// Whether it is a child process: nobody connects.
    pub(crate) const fn is_process(&self) -> bool {
        matches!(self.kind, Kind::Process)
    }

    /// Whether the kernel's buffers are given.
    pub(crate) const fn is_sized(&self) -> bool {
        self.sndbuf.is_some() || self.rcvbuf.is_some()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) name: String,
    pub(crate) behaviour: Behaviour,
}

/// What a protocol does by itself.
#[derive(Clone, Default, Debug)]
pub(crate) struct Behaviour {
    pub(crate) keep_open: bool,
    /// It is a buffered protocol, and lends so many bytes.
    pub(crate) buffer: Option<usize>,
    /// Its factory fails.
    pub(crate) factory_raises: bool,
    pub(crate) on: BTreeMap<String, Reaction>,
}

#[derive(Clone, Default, Debug)]
pub(crate) struct Reaction {
    pub(crate) first: Vec<Command>,
    pub(crate) each: Vec<Command>,
}

impl Reaction {
    /// It does nothing but fail.
    pub(crate) fn is_raise(&self) -> bool {
        self.each.is_empty() && matches!(self.first[..], [Command { act: Act::Raise, .. }])
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Actor {
    App(usize),
    Peer(usize),
    Server,
    Loop,
    Host,
    Clock,
}

impl Actor {
    /// What it is called in the files, without the name of the connection.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::App(_) => "app",
            Self::Peer(_) => "peer",
            Self::Server => "server",
            Self::Loop => "loop",
            Self::Host => "host",
            Self::Clock => "clock",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) line: usize,
    /// The verb and its arguments, as the file has them.
    pub(crate) text: String,
    pub(crate) actor: Actor,
    pub(crate) act: Act,
    /// What it must answer.
    pub(crate) answers: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Text(String),
    Pattern(usize),
    /// Of the pattern, from there, so many bytes.
    Piece(usize, usize),
}

impl Payload {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Pattern(len) => super::lane::pattern(0, *len),
            Self::Piece(from, len) => super::lane::pattern(*from, *len),
        }
    }
}

/// Whom a datagram is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    App(usize),
    Peer(usize),
    /// Where nobody is.
    Nobody,
    /// Port 0 of this machine.
    PortZero,
    /// An address of the other family of the internet.
    OtherFamily,
}

/// A mark: a number of bytes, or the size of the queue at that moment and so many more.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    Bytes(usize),
    Size(i64),
}

impl Mark {
    pub(crate) fn resolve(self, size: usize) -> usize {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Size(more) => usize::try_from(size as i64 + more).unwrap_or(0),
        }
    }
}

/// A part of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) from: u64,
    /// How many bytes; all that there are if none.
    pub(crate) count: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Write(Payload),
    WriteSpoilt(Payload),
    WriteLines(Vec<Payload>),
    WriteEof,
    Close,
    Abort,
    PauseReading,
    ResumeReading,
    Limits { low: Option<Mark>, high: Option<Mark> },
    SetProtocol(String),
    Probe(String),
    Fail,
    Raise,
    Open,
    GiveUp,
    Turn(Vec<Command>),
    Fill(usize),
    Wait { event: String, amount: usize },
    Settle,
    Connect,
    Send(Payload),
    SendTo(Payload, Target),
    Recv(usize),
    RecvEof,
    DrainUntil(usize),
    StartTls(Payload),
    SendFile(Payload, Part),
    Truncate,
    Eof,
    Reset,
    Start,
    CloseClients,
    AbortClients,
    Kill,
    Terminate,
    Signal(i32),
    Go,
    WaitClosed,
    CallSoon(String),
    CallLater(u64, String),
    Cancel(String),
    Report,
    Threadsafe(Vec<String>),
    Wake(Vec<String>),
    Flood(usize, String),
    Listen,
    Fault(Syscall, usize, Failure),
    LimitFds(bool),
    Replace,
    Advance(u64),
}

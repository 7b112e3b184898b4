//! What goes wrong: how often, and which of it in this run.

use core::ops::RangeInclusive;
use plimsoll_core::ErrorKind;

/// How the network and the kernel behave. Likelihoods are in 1/1000 of the occasions.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Faults {
    /// Nanoseconds that anything takes from one end to the other.
    pub latency: RangeInclusive<u64>,
    /// Bytes that travel together.
    pub segment: RangeInclusive<usize>,
    /// The kernel's send buffer of a connection, in bytes.
    pub send_space: RangeInclusive<usize>,
    /// The kernel's receive buffer of a connection, in bytes: the peer sends no more than fits.
    pub receive_space: RangeInclusive<usize>,
    /// Nanoseconds between the end of an operation and its completion (only where operations are completed): differing ones reorder.
    pub completion: RangeInclusive<u64>,
    /// Nanoseconds that a wait lasts too long.
    pub oversleep: RangeInclusive<u64>,
    /// A receive brings less than there is; the rest has come only just after it.
    pub short_recv: u32,
    /// A send takes less than there is room for.
    pub short_send: u32,
    /// A receive, send or accept would block after all; that it does not is told again.
    pub would_block: u32,
    /// A wait tells of something that is not so.
    pub spurious: u32,
    /// A wait tells the same twice.
    pub duplicate: u32,
    /// A wait tells of a socket that was closed meanwhile, by the number that another one may have got.
    pub stale: u32,
    /// A wait tells of few events at a time and in any order.
    pub shuffle: bool,
    /// A level-triggered poller says nothing but readable and writable.
    pub bare: bool,
    /// A segment sets off a reset of its connection.
    pub reset: u32,
    /// A reset drops what it overtakes, and what has arrived but was not read yet.
    pub reset_loses: u32,
    /// A connection that was reset before it was accepted makes accept fail; otherwise it is handed out as it is.
    pub accept_aborted: u32,
    /// An accepted connection has no peer address any more.
    pub accept_nameless: u32,
    /// A connect is refused, although somebody listens.
    pub refuse: u32,
    /// A connect is answered at once where it is refused.
    pub refuse_at_once: u32,
    /// A connection request gets lost for good.
    pub lose_syn: u32,
    /// Setting an option fails on a connection that was reset.
    pub option_after_reset: bool,
    /// A datagram gets lost, or the word that nobody takes it.
    pub lose_datagram: u32,
    /// A datagram arrives twice.
    pub duplicate_datagram: u32,
    /// A datagram takes another way than those before it, and may arrive in front of them or behind later ones.
    pub reorder_datagram: u32,
    /// Nanoseconds that such a one takes.
    pub datagram_delay: RangeInclusive<u64>,
    /// The backend sends no files.
    pub no_sendfile: bool,
    /// How many descriptors the process may have.
    pub descriptors: usize,
}

impl Faults {
    /// Nothing goes wrong, and nothing takes time.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            latency: 0..=0,
            segment: 65_536..=65_536,
            send_space: 262_144..=262_144,
            receive_space: 131_072..=131_072,
            completion: 0..=0,
            oversleep: 0..=0,
            short_recv: 0,
            short_send: 0,
            would_block: 0,
            spurious: 0,
            duplicate: 0,
            stale: 0,
            shuffle: false,
            bare: false,
            reset: 0,
            reset_loses: 0,
            accept_aborted: 0,
            accept_nameless: 0,
            refuse: 0,
            refuse_at_once: 0,
            lose_syn: 0,
            option_after_reset: false,
            lose_datagram: 0,
            duplicate_datagram: 0,
            reorder_datagram: 0,
            datagram_delay: 0..=0,
            no_sendfile: false,
            descriptors: 1_000_000,
        }
    }

    /// The fewest bytes that move at a time.
    #[must_use]
    pub fn narrowest(&self) -> usize {
        (*self.segment.end()).min(*self.send_space.end()).min(*self.receive_space.end())
    }

    /// The same without what prevents a connection or ends it: everything arrives, in whatever pieces and however late.
    #[must_use]
    pub const fn harmless(mut self) -> Self {
        (self.reset, self.refuse, self.lose_syn, self.accept_nameless) = (0, 0, 0, 0);
        self.descriptors = Self::none().descriptors;
        self
    }

    /// How many kinds of faults [`calm`](Self::calm) knows.
    pub const KINDS: u32 = 24;

    /// The fault of that number does not happen.
    pub fn calm(&mut self, kind: u32) {
        let calm = Self::none();
        match kind {
            0 => self.latency = calm.latency,
            1 => self.segment = calm.segment,
            2 => self.send_space = calm.send_space,
            3 => self.receive_space = calm.receive_space,
            4 => self.completion = calm.completion,
            5 => self.oversleep = calm.oversleep,
            6 => self.short_recv = 0,
            7 => self.short_send = 0,
            8 => self.would_block = 0,
            9 => self.spurious = 0,
            10 => self.duplicate = 0,
            11 => self.stale = 0,
            12 => self.shuffle = false,
            13 => self.bare = false,
            14 => self.reset = 0,
            15 => self.reset_loses = 0,
            16 => self.accept_aborted = 0,
            17 => self.accept_nameless = 0,
            18 => self.refuse = 0,
            19 => self.refuse_at_once = 0,
            20 => self.lose_syn = 0,
            21 => self.option_after_reset = false,
            22 => (self.lose_datagram, self.duplicate_datagram, self.reorder_datagram) = (0, 0, 0),
            _ => self.descriptors = calm.descriptors,
        }
    }

    /// Each fault is on or off in this run, and as likely as this run has it: uniform likelihoods never reach the rare combinations.
    #[must_use]
    pub fn swarm(rng: &mut fastrand::Rng) -> Self {
        let mut often = |most: u32| if rng.bool() { 0 } else { 1 + rng.u32(..most) };
        let calm = Self::none();
        let mut faults = Self {
            short_recv: often(500),
            short_send: often(500),
            would_block: often(300),
            spurious: often(200),
            duplicate: often(200),
            stale: often(200),
            reset: often(60) / 2,
            reset_loses: often(1000),
            accept_aborted: often(1000),
            accept_nameless: often(100),
            refuse: often(200),
            refuse_at_once: often(1000),
            lose_syn: often(60),
            ..calm
        };
        faults.shuffle = rng.bool();
        faults.bare = rng.bool();
        faults.option_after_reset = rng.bool();
        if rng.bool() {
            faults.latency = 0..=[1_000, 100_000, 50_000_000][rng.usize(..3)];
        }
        if rng.bool() {
            faults.completion = 0..=[1_000, 200_000, 20_000_000][rng.usize(..3)];
        }
        if rng.bool() {
            faults.oversleep = 0..=[1_000, 5_000_000][rng.usize(..2)];
        }
        if rng.bool() {
            faults.segment = 1..=[16, 1_448, 65_536][rng.usize(..3)];
        }
        if rng.bool() {
            faults.send_space = 1..=[64, 4_096, 262_144][rng.usize(..3)];
        }
        if rng.bool() {
            faults.receive_space = 1..=[64, 4_096, 131_072][rng.usize(..3)];
        }
        if rng.u32(..4) == 0 {
            faults.descriptors = rng.usize(3..30);
        }
        let mut often = |most: u32| if rng.bool() { 0 } else { 1 + rng.u32(..most) };
        faults.lose_datagram = often(300);
        faults.duplicate_datagram = often(300);
        faults.reorder_datagram = often(500);
        faults.datagram_delay = 0..=[1_000, 1_000_000, 100_000_000][rng.usize(..3)];
        faults
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}

/// A call of the loop's into the kernel that may fail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, clippy::exhaustive_enums, reason = "named after the calls")]
pub enum Syscall {
    Bind,
    Listen,
    Adopt,
    SetOption,
    Attach,
    Arm,
    Recv,
    Send,
    Shutdown,
    Connect,
    ConnectResult,
    Accept,
    Spawn,
    OpenDatagram,
    RecvFrom,
    SendTo,
    SendFile,
    ReadFile,
    WaitChild,
    Signal,
    Resolve,
    Wait,
}

/// Errors, in the words of the scenario files and of the torture command.
pub(crate) const ERRORS: &[(ErrorKind, &str)] = &[
    (ErrorKind::ConnectionReset, "reset"),
    (ErrorKind::BrokenPipe, "broken-pipe"),
    (ErrorKind::ConnectionRefused, "refused"),
    (ErrorKind::ConnectionAborted, "aborted"),
    (ErrorKind::NotConnected, "not-connected"),
    (ErrorKind::TimedOut, "timed-out"),
    (ErrorKind::CallbackFailed, "callback-failed"),
    (ErrorKind::InvalidInput, "invalid"),
    (ErrorKind::Closed, "closed"),
    (ErrorKind::Busy, "busy"),
    (ErrorKind::AddrInUse, "addr-in-use"),
    (ErrorKind::AddrNotAvailable, "addr-not-available"),
    (ErrorKind::Unreachable, "unreachable"),
    (ErrorKind::DescriptorLimit, "descriptor-limit"),
    (ErrorKind::OutOfMemory, "out-of-memory"),
    (ErrorKind::PermissionDenied, "permission-denied"),
    (ErrorKind::MessageTooLong, "too-long"),
    (ErrorKind::NotFound, "not-found"),
    (ErrorKind::Unsupported, "unsupported"),
    (ErrorKind::HostNotFound, "host-not-found"),
    (ErrorKind::LookupFailed, "lookup-failed"),
    (ErrorKind::TlsError, "tls"),
    (ErrorKind::TlsTruncated, "truncated"),
    (ErrorKind::Other, "other"),
];

impl Syscall {
    /// All of them, with their names.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Bind, "bind"),
        (Self::Listen, "listen"),
        (Self::Adopt, "adopt"),
        (Self::SetOption, "set-option"),
        (Self::Attach, "attach"),
        (Self::Arm, "arm"),
        (Self::Recv, "recv"),
        (Self::Send, "send"),
        (Self::Shutdown, "shutdown"),
        (Self::Connect, "connect"),
        (Self::ConnectResult, "connect-result"),
        (Self::Accept, "accept"),
        (Self::Spawn, "spawn"),
        (Self::OpenDatagram, "open-datagram"),
        (Self::RecvFrom, "recv-from"),
        (Self::SendTo, "send-to"),
        (Self::SendFile, "send-file"),
        (Self::ReadFile, "read-file"),
        (Self::WaitChild, "wait-child"),
        (Self::Signal, "signal"),
        (Self::Resolve, "resolve"),
        (Self::Wait, "wait"),
    ];

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(call, _)| *call == self).map_or("", |(_, word)| word)
    }

    /// The call of that name.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == word).map(|(call, _)| *call)
    }

    /// What it may fail with, beside what the state of things leads to: what its manual page and Linux name, and with `other` whatever they do not.
    #[must_use]
    pub const fn failures(self) -> &'static [Failure] {
        use ErrorKind::{
            AddrInUse, AddrNotAvailable, BrokenPipe, Busy, ConnectionAborted, ConnectionRefused, ConnectionReset,
            DescriptorLimit, HostNotFound, InvalidInput, LookupFailed, MessageTooLong, NotConnected, NotFound, Other,
            OutOfMemory, PermissionDenied, TimedOut, Unreachable, Unsupported,
        };
        use Failure::{Error, Interrupted, OneByte, WouldBlock};
        match self {
            Self::Bind => &[
                Error(AddrInUse),
                Error(AddrNotAvailable),
                Error(DescriptorLimit),
                Error(PermissionDenied),
                Error(NotFound),
                Error(OutOfMemory),
                Error(Other),
            ],
            Self::Listen => &[Error(AddrInUse), Error(InvalidInput), Error(Other)],
            Self::Adopt => &[Error(InvalidInput), Error(OutOfMemory), Error(Other)],
            Self::SetOption => {
                &[Error(InvalidInput), Error(Unsupported), Error(PermissionDenied), Error(OutOfMemory), Error(Other)]
            }
            Self::Attach | Self::Arm => &[Error(OutOfMemory), Error(DescriptorLimit), Error(Other)],
            Self::Recv => &[
                WouldBlock,
                OneByte,
                Error(ConnectionReset),
                Error(TimedOut),
                Error(Unreachable),
                Error(NotConnected),
                Error(OutOfMemory),
                Error(Other),
            ],
            Self::Send => &[
                WouldBlock,
                OneByte,
                Error(BrokenPipe),
                Error(ConnectionReset),
                Error(TimedOut),
                Error(Unreachable),
                Error(PermissionDenied),
                Error(OutOfMemory),
                Error(Other),
            ],
            Self::Shutdown => &[Error(NotConnected), Error(OutOfMemory), Error(Other)],
            Self::Connect => &[
                Error(ConnectionRefused),
                Error(Unreachable),
                Error(AddrNotAvailable),
                Error(AddrInUse),
                Error(DescriptorLimit),
                Error(PermissionDenied),
                Error(NotFound),
                Error(Busy),
                Error(OutOfMemory),
                Error(Other),
            ],
            Self::ConnectResult => &[
                WouldBlock,
                Error(ConnectionRefused),
                Error(ConnectionReset),
                Error(TimedOut),
                Error(Unreachable),
                Error(NotConnected),
                Error(Other),
            ],
            Self::Accept => &[
                WouldBlock,
                Error(DescriptorLimit),
                Error(OutOfMemory),
                Error(ConnectionAborted),
                Error(PermissionDenied),
                Error(Unreachable),
                Error(TimedOut),
                Error(Unsupported),
                Error(InvalidInput),
                Error(Other),
            ],
            Self::Spawn => &[
                Error(NotFound),
                Error(PermissionDenied),
                Error(InvalidInput),
                Error(Busy),
                Error(DescriptorLimit),
                Error(OutOfMemory),
                Error(Other),
            ],
            Self::OpenDatagram => &[
                Error(AddrInUse),
                Error(AddrNotAvailable),
                Error(Unreachable),
                Error(DescriptorLimit),
                Error(PermissionDenied),
                Error(OutOfMemory),
                Error(Other),
            ],
            Self::RecvFrom => &[WouldBlock, Error(ConnectionRefused), Error(Unreachable), Error(OutOfMemory), Error(Other)],
            Self::SendTo => &[
                WouldBlock,
                Error(ConnectionRefused),
                Error(MessageTooLong),
                Error(PermissionDenied),
                Error(Unreachable),
                Error(InvalidInput),
                Error(OutOfMemory),
                Error(Other),
            ],
            Self::SendFile => &[WouldBlock, OneByte, Error(Unsupported), Error(InvalidInput), Error(Other)],
            Self::ReadFile => &[Error(InvalidInput), Error(OutOfMemory), Error(Other)],
            Self::WaitChild => &[Error(Other)],
            Self::Signal => &[Error(PermissionDenied), Error(InvalidInput), Error(Other)],
            // The first two are the answer that comes later; with the others no question is asked.
            Self::Resolve => &[Error(HostNotFound), Error(LookupFailed), Error(Unsupported), Error(OutOfMemory), Error(Other)],
            Self::Wait => &[Interrupted],
        }
    }
}

/// How a call is made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "an error, nothing, or next to nothing")]
pub enum Failure {
    /// With this error.
    Error(ErrorKind),
    /// It would block; that it does not is told again.
    WouldBlock,
    /// It moves one byte only.
    OneByte,
    /// A signal comes in between: a wait is over, and tells nothing. Every other call a backend makes again by itself, and nobody above hears of it.
    Interrupted,
}

impl Failure {
    /// Its name: `would-block`, `one-byte`, `interrupted`, or the class of the error.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::WouldBlock => "would-block",
            Self::OneByte => "one-byte",
            Self::Interrupted => "interrupted",
            Self::Error(kind) => ERRORS.iter().find(|(own, _)| *own == kind).map_or("other", |(_, word)| word),
        }
    }
}

/// The calls made so far, and which of them is to fail.
#[derive(Debug, Default)]
pub(crate) struct Seam {
    pub(crate) calls: Vec<Syscall>,
    logged: bool,
    pub(crate) count: usize,
    /// How many of them were waits: who does nothing else does nothing.
    waits: usize,
    pub(crate) inject: Option<(usize, Failure)>,
    /// And every later one of its kind, until further notice.
    pub(crate) persist: Option<Syscall>,
    /// Each in so many calls of its kind.
    pub(crate) planned: Vec<(Syscall, usize, Failure)>,
}

impl Seam {
    /// A call is made: how it is to fail.
    pub(crate) fn call(&mut self, call: Syscall) -> Option<Failure> {
        let number = self.count;
        self.count += 1;
        self.waits += usize::from(call == Syscall::Wait);
        if self.logged {
            self.calls.push(call);
        }
        match self.inject {
            Some((n, failure)) if n == number && call.failures().contains(&failure) => Some(failure),
            Some((n, failure)) if n < number && self.persist == Some(call) => Some(failure),
            _ => self.planned(call),
        }
    }

    /// Counts from 0, and keeps what was called.
    pub(crate) fn number(&mut self) {
        self.calls.clear();
        (self.count, self.waits, self.logged) = (0, 0, true);
    }

    /// How many calls there were that do something.
    pub(crate) const fn deeds(&self) -> usize {
        self.count - self.waits
    }

    fn planned(&mut self, call: Syscall) -> Option<Failure> {
        let mut found = None;
        for (number, (_, left, _)) in self.planned.iter_mut().enumerate().filter(|(_, planned)| planned.0 == call) {
            *left -= 1;
            if *left == 0 {
                found = found.or(Some(number));
            }
        }
        found.map(|number| self.planned.remove(number).2)
    }
}

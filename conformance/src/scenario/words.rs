//! The vocabulary of the files: one table each, from which the parser, the schema and the messages of errors are made.

use super::model::{Target, Through};
use super::race::{Lies, Who};
use super::secure::Manner;

/// Folders that scenarios may stand in: areas of the contract, and `reentry`, the matrix of its section 17.8.
pub(crate) const FOLDERS: &[&str] = &[
    "rust", "life", "read", "write", "flow", "eof", "close", "buf", "dgram", "pipe", "proc", "info", "loop", "thread", "tls",
    "reentry",
];

/// Kinds of endpoints.
pub(crate) const KINDS: &[&str] = &["tcp", "unix", "read-pipe", "write-pipe", "process", "udp", "unix-datagram", "tls"];

/// What a pipe may be made of (`link.through`), and what cannot be one.
pub(crate) const THROUGH: &[(&str, Through)] = &[
    ("pipe", Through::Pipe),
    ("fifo", Through::Fifo),
    ("fifo-both-ways", Through::FifoBoth),
    ("socket", Through::Socket),
    ("terminal", Through::Terminal),
    ("file", Through::File),
    ("folder", Through::Folder),
    ("other-end", Through::OtherEnd),
];

/// What a scenario may need of a host.
pub(crate) const NEEDS: &[(&str, &str)] = &[
    ("reset", "the peer can reset a connection"),
    ("half-close", "one direction can end before the other"),
    ("threads", "other threads can reach the loop"),
    ("close-loop", "the loop can be closed under live connections, and says what it dropped"),
    ("clients", "a server can close or abort all that it accepted"),
    ("clock", "time is the runner's: nobody waits for it"),
    ("fixed-kernel", "the kernel's buffers are exactly as large as the file says"),
    ("faults", "single calls into the kernel can be made to fail"),
    ("fd-limit", "the process can be kept from having more descriptors"),
    ("resolver", "what the name of a host leads to is the runner's"),
    ("ipv6", "there is IPv6"),
    ("latency", "how long an address takes to answer is the runner's"),
    ("all-errors", "an opening that failed names every attempt"),
    ("cleanup", "a server removes the file of its socket, unless it is not to"),
    ("sendfile", "files can be sent"),
    ("early-id", "a connection can be commanded from the moment at which it begins to be opened"),
];

/// How the connection of a scenario comes about.
pub(crate) const WAYS: &[&str] = &["accept", "connect", "server", "adopt"];

/// What is given to the loop in place of a connection (`by = "adopt"`).
pub(crate) const SOCKETS: &[&str] = &["connected", "listening", "bound", "unconnected", "datagram"];

/// As what it is given.
pub(crate) const ROLES: &[&str] = &["client", "accepted"];

/// Who may be where the application connects to, beside the peer.
pub(crate) const LISTENERS: &[&str] = &["nobody", "silent"];

/// Who may be at an address of a host (`link.to`).
pub(crate) const WHO: [(&str, Who); 4] =
    [("peer", Who::Peer), ("other", Who::Other), ("nobody", Who::Nobody), ("silent", Who::Silent)];

/// What may lie at the path of a server (`link.lies`).
pub(crate) const LIES: [(&str, Lies); 2] = [("socket", Lies::Socket), ("file", Lies::File)];
/// What the other end of a secure connection may be like (`link.tls.peer`).
pub(crate) const MANNERS: &[(&str, Manner)] =
    &[("polite", Manner::Polite), ("mute", Manner::Mute), ("plain", Manner::Plain), ("stranger", Manner::Stranger)];

/// What an argument of a verb may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// A payload: text, `{ pattern = n }`.
    Payload,
    /// An array of payloads; `{ pieces = n, of = m }`.
    Payloads,
    /// Whom a datagram is for.
    Target,
    /// A number of bytes or of milliseconds.
    Count,
    /// `{ high = …, low = … }`; both, one or none.
    Limits,
    /// What is looked at: one of [`PROBES`], or of [`SERVER_PROBES`].
    Probe,
    ServerProbe,
    /// An event, or `{ event = count }`.
    Event,
    /// The name of a protocol or of a job.
    Protocol,
    Job,
    /// Names of jobs.
    Jobs,
    /// A part of a file: `{ from = n, count = n }`; both, one or none.
    Range,
    /// A list of commands.
    Commands,
    /// `{ call = …, error = …, nth = n }`.
    Fault,
}

/// Where a verb may stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In steps, reactions and jobs.
    Anywhere,
    /// In steps only: it lets the loop turn.
    Steps,
    /// In steps, and inside of a step `turn`.
    Turns,
    /// In reactions only: it ends the callback.
    Callback,
}

/// A verb: its name, its arguments, where it may stand, what it may answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    pub(crate) args: &'static [Shape],
    pub(crate) place: Place,
    pub(crate) answers: &'static [&'static str],
    pub(crate) does: &'static str,
}

const fn verb(
    name: &'static str,
    args: &'static [Shape],
    place: Place,
    answers: &'static [&'static str],
    does: &'static str,
) -> Verb {
    Verb { name, args, place, answers, does }
}

const WRITTEN: &[&str] = &["Accepted", "Paused", "Discarded", "WriteAfterEof", "Busy", "Unsupported"];
/// What sending a datagram answers.
const SENT: &[&str] = &["Accepted", "Paused", "Discarded", "NotConnected", "AddressMismatch"];
/// What sending a signal answers.
const SIGNALLED: &[&str] = &["Done", "ProcessGone", "InvalidInput"];
/// What making a connection secure answers, or having it send a file.
const UPGRADED: &[&str] = &["Done", "Closed", "Busy", "InvalidInput", "Unsupported"];
use Place::{Anywhere, Callback, Steps, Turns};

/// What the application does with a connection.
pub(crate) const APP: &[Verb] = &[
    verb("write", &[Shape::Payload], Anywhere, WRITTEN, "writes"),
    verb("writelines", &[Shape::Payloads], Anywhere, WRITTEN, "writes several pieces; the answer is the last one's"),
    verb("write_spoilt", &[Shape::Payload], Anywhere, WRITTEN, "writes, and overwrites its own memory at once"),
    verb("send", &[Shape::Payload], Anywhere, SENT, "sends a datagram to the remote address"),
    verb("send_to", &[Shape::Payload, Shape::Target], Anywhere, SENT, "sends a datagram to somebody"),
    verb("write_eof", &[], Anywhere, &["Done", "Unsupported"], "finishes the sending half"),
    verb("close", &[], Anywhere, &[], "closes gracefully"),
    verb("abort", &[], Anywhere, &[], "throws the queue away and closes"),
    verb("pause_reading", &[], Anywhere, &[], "pauses reading"),
    verb("resume_reading", &[], Anywhere, &[], "resumes reading"),
    verb(
        "limits",
        &[Shape::Limits],
        Anywhere,
        &["Accepted", "Paused", "Discarded", "InvalidInput", "Unsupported"],
        "sets the marks",
    ),
    verb("set_protocol", &[Shape::Protocol], Anywhere, &[], "hands the connection to another protocol"),
    verb("start_tls", &[Shape::Payload], Anywhere, UPGRADED, "makes the connection secure; this it has received already"),
    verb(
        "sendfile",
        &[Shape::Payload, Shape::Range],
        Anywhere,
        UPGRADED,
        "sends a file with these contents, or a part of it (needs `sendfile`)",
    ),
    verb("kill", &[], Anywhere, SIGNALLED, "kills the child"),
    verb("terminate", &[], Anywhere, SIGNALLED, "asks the child to end"),
    verb("signal", &[Shape::Count], Anywhere, SIGNALLED, "sends the child this signal"),
    verb("probe", &[Shape::Probe], Anywhere, &[], "records what the transport answers"),
    verb("fail", &[], Callback, &[], "the callback fails: the connection is force-closed"),
    verb("raise", &[], Callback, &[], "the callback panics, or raises"),
    verb("open", &[], Turns, &[], "begins to connect (only with `link.open = \"steps\"`)"),
    verb("cancel", &[], Turns, &[], "gives the opening up before it is over"),
    verb("turn", &[Shape::Commands], Steps, &[], "does all of these in one turn, with nothing in between"),
    verb("fill", &[Shape::Count], Steps, &[], "writes, or sends datagrams, until the transport holds at least so many bytes"),
    verb("wait", &[Shape::Event], Steps, &[], "turns the loop until the event is in the lane"),
    verb("settle", &[], Steps, &[], "turns the loop until nothing happens any more"),
];

/// What the other end does.
pub(crate) const PEER: &[Verb] = &[
    verb("connect", &[], Steps, &[], "connects (only with `link.by = \"server\"`)"),
    verb("send", &[Shape::Payload], Steps, &[], "sends"),
    verb("send_to", &[Shape::Payload, Shape::Target], Steps, &[], "sends a datagram to somebody"),
    verb("recv", &[Shape::Count], Steps, &[], "receives so many bytes, or datagrams"),
    verb("recv-eof", &[], Steps, &[], "receives until the end, or a reset"),
    verb("drain-until", &[Shape::Count], Steps, &[], "receives until the application's transport holds at most so many bytes"),
    verb("eof", &[], Steps, &[], "finishes its sending half"),
    verb("close", &[], Steps, &[], "closes"),
    verb("start_tls", &[], Steps, &[], "speaks TLS from now on"),
    verb("truncate", &[], Steps, &[], "finishes without a closing word"),
    verb("reset", &[], Steps, &[], "resets the connection (needs `reset`)"),
    verb("go", &[], Steps, &[], "a child that does `await` goes on"),
];

/// What the application does with its server.
pub(crate) const SERVER: &[Verb] = &[
    verb("listen", &[], Steps, &[], "listens (`link.open = \"steps\"`), or listens again where it did before"),
    verb("start", &[], Anywhere, &["Done", "Closed"], "begins to accept"),
    verb("close", &[], Anywhere, &[], "stops listening"),
    verb("close_clients", &[], Anywhere, &[], "closes every connection that it accepted"),
    verb("abort_clients", &[], Anywhere, &[], "aborts every connection that it accepted"),
    verb("wait_closed", &[], Anywhere, &[], "asks to be told (`closed`) when it and all its connections are gone"),
    verb("probe", &[Shape::ServerProbe], Anywhere, &[], "records what the server answers"),
    verb("wait", &[Shape::Event], Steps, &[], "turns the loop until the event is in the lane"),
];

/// What the application does with the loop.
pub(crate) const LOOP: &[Verb] = &[
    verb("call_soon", &[Shape::Job], Anywhere, &[], "schedules a job"),
    verb("call_later", &[Shape::Count, Shape::Job], Anywhere, &[], "schedules a job in so many milliseconds"),
    verb("cancel", &[Shape::Job], Anywhere, &[], "cancels what `call_later` last scheduled under that name"),
    verb("report", &[], Anywhere, &[], "reports an error to the hook"),
    verb("raise", &[], Callback, &[], "the job panics, or raises"),
    verb("threadsafe", &[Shape::Jobs], Steps, &["Done", "LoopClosed"], "another thread schedules jobs (needs `threads`)"),
    verb("wake", &[Shape::Jobs], Steps, &[], "another thread schedules jobs, a while later (needs `threads`)"),
    verb(
        "flood",
        &[Shape::Count, Shape::Job],
        Steps,
        &[],
        "four threads at once schedule a job so many times each (needs `threads`)",
    ),
    verb("wait", &[Shape::Event], Steps, &[], "turns the loop until the event is in the lane"),
    verb("settle", &[], Steps, &[], "turns the loop until nothing happens any more"),
    verb("close", &[], Steps, &[], "closes the loop (needs `close-loop`)"),
];

/// What the runner does with the host itself.
pub(crate) const HOST: &[Verb] = &[
    verb("fault", &[Shape::Fault], Steps, &[], "the n-th such call from now on fails so (needs `faults`)"),
    verb("limit-fds", &[], Steps, &[], "no descriptor can be opened any more (needs `fd-limit`)"),
    verb("free-fds", &[], Steps, &[], "descriptors can be opened again (needs `fd-limit`)"),
    verb("replace", &[], Steps, &[], "puts a file that is no socket in the place of the server's"),
];

/// What the runner does with time.
pub(crate) const CLOCK: &[Verb] =
    &[verb("advance", &[Shape::Count], Steps, &[], "so many milliseconds pass, and all that happens in them (needs `clock`)")];

/// Everybody who does something, and with what verbs.
pub(crate) const ACTORS: &[(&str, &[Verb])] =
    &[("app", APP), ("peer", PEER), ("server", SERVER), ("loop", LOOP), ("host", HOST), ("clock", CLOCK)];

/// What `probe` may look at, and what it records.
pub(crate) const PROBES: &[&str] = &[
    "made",
    "closing",
    "reading",
    "paused",
    "size",
    "limits",
    "protocol",
    "can_write_eof",
    "local_addr",
    "peer_addr",
    "nodelay",
    "pipe",
    "file",
    "pid",
    "returncode",
    "pipes",
    "tls",
    "alpn",
    "server_name",
    "cipher",
    "peer_certificate",
];
pub(crate) const SERVER_PROBES: &[&str] = &["serving", "sockets", "file"];

/// The callbacks of a protocol.
pub(crate) const CALLBACKS: &[&str] =
    &["cm", "data", "gb", "bu", "eof", "dgram", "err", "pause", "resume", "tls", "sent", "exited", "lost"];

/// What may stand in the lanes: the event, and the shape of what follows its name.
pub(crate) const APP_EVENTS: &[(&str, EventShape)] = &[
    ("cm", EventShape::Alone),
    ("data", EventShape::Payload),
    ("bu", EventShape::Payload),
    ("eof", EventShape::Alone),
    ("pause", EventShape::Alone),
    ("resume", EventShape::Alone),
    ("dgram", EventShape::Datagram),
    ("err", EventShape::Class),
    ("tls", EventShape::Alone),
    ("sent", EventShape::Any),
    ("exited", EventShape::Any),
    ("lost", EventShape::Class),
    ("attempt", EventShape::Class),
    ("done", EventShape::Class),
    ("probe", EventShape::Any),
    ("answered", EventShape::Any),
    ("raised", EventShape::Any),
];
pub(crate) const PEER_EVENTS: &[(&str, EventShape)] = &[
    ("data", EventShape::Payload),
    ("dgram", EventShape::Datagram),
    ("eof", EventShape::Alone),
    ("reset", EventShape::Alone),
    ("refused", EventShape::Alone),
    ("truncated", EventShape::Alone),
    ("failed", EventShape::Alone),
];
pub(crate) const SERVER_EVENTS: &[(&str, EventShape)] = &[
    ("listening", EventShape::Class),
    ("factory", EventShape::Alone),
    ("closed", EventShape::Alone),
    ("probe", EventShape::Any),
    ("answered", EventShape::Any),
    ("raised", EventShape::Any),
];
pub(crate) const LOOP_EVENTS: &[(&str, EventShape)] = &[
    ("soon", EventShape::Any),
    ("timer", EventShape::Any),
    ("early", EventShape::Any),
    ("answered", EventShape::Any),
    ("raised", EventShape::Any),
];
pub(crate) const HOOK_EVENTS: &[(&str, EventShape)] = &[("report", EventShape::Class)];
pub(crate) const HOST_EVENTS: &[(&str, EventShape)] =
    &[("stuck", EventShape::Any), ("leaked", EventShape::Any), ("crashed", EventShape::Alone)];

/// What follows the name of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EventShape {
    Alone,
    Payload,
    /// A payload, and by whom it was sent if not by the other end.
    Datagram,
    /// A class of errors, or several with `|` between them.
    Class,
    Any,
}

/// Whom a datagram may be for beside those at its ends.
pub(crate) const TARGETS: &[(&str, Target)] =
    &[("nobody", Target::Nobody), ("port-zero", Target::PortZero), ("other-family", Target::OtherFamily)];

/// Classes of errors in `lost`, `done` and `err`.
pub(crate) const CLASSES: &[&str] = &[
    "none",
    "ok",
    "reset",
    "broken-pipe",
    "refused",
    "aborted",
    "not-connected",
    "timed-out",
    "callback-failed",
    "invalid",
    "closed",
    "addr-in-use",
    "addr-not-available",
    "unreachable",
    "descriptor-limit",
    "out-of-memory",
    "permission-denied",
    "too-long",
    "not-found",
    "busy",
    "unsupported",
    "host-not-found",
    "lookup-failed",
    "tls",
    "truncated",
    "other",
];

/// Classes of reports in the lane `hook`.
pub(crate) const REPORTS: &[&str] =
    &["failed", "application", "discarded", "dropped", "accept", "skipped", "option", "handshake", "half-close", "other"];

/// The steps of a child, and what they take.
pub(crate) const CHILD: &[(&str, &str)] = &[
    ("write", "stdout or stderr, and a payload"),
    ("read", "nothing behind its name"),
    ("drain", "nothing behind its name"),
    ("cat", "nothing behind its name"),
    ("close", "stdin, stdout or stderr"),
    ("ignore", "the number of a signal"),
    ("exit", "a code"),
    ("die", "the number of a signal"),
    ("await", "nothing behind its name"),
    ("leave", "a list of steps"),
];

/// Loops beside plimsoll that a file may say something of.
pub(crate) const OTHERS: &[&str] = &["asyncio", "uvloop"];

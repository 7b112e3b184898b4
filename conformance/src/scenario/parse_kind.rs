//! What cannot be done with an endpoint of a kind: a read pipe is not written, and nobody sends into the end that reads.

use super::child::Std;
use super::model::{Act, Actor, Command, Kind, Link};
use super::parse_datagram;

/// Why a command makes no sense on one of the kinds of the file.
pub(crate) fn refusal(link: &Link, command: &Command) -> Option<String> {
    link.kinds.iter().find_map(|&kind| {
        let why = match (kind, command.actor) {
            (Kind::ReadPipe, Actor::App(_)) => of_reader(command),
            (Kind::WritePipe, Actor::App(_)) => of_writer(&command.act),
            (Kind::ReadPipe, Actor::Peer(_)) if !link.through.is_two_way() => of_peer_that_writes(&command.act),
            (Kind::WritePipe, Actor::Peer(_)) if !link.through.is_two_way() => of_peer_that_reads(&command.act),
            (Kind::Process, Actor::App(0)) => of_process(&command.act),
            (Kind::Process, Actor::App(1)) => of_writer(&command.act),
            (Kind::Process, Actor::App(_)) => of_reader(command),
            (Kind::Process, Actor::Peer(0)) => {
                (!matches!(command.act, Act::Go)).then_some("what the child does says `child`; here it is only told to `go` on")
            }
            (Kind::Process, Actor::Peer(n)) => (link.stdio[n - 1] != Std::File || !matches!(command.act, Act::RecvEof))
                .then_some("there is somebody only where a descriptor is a file, and he reads it: `recv-eof`"),
            (kind, Actor::App(_)) if kind.is_datagram() => parse_datagram::of_app(kind, &command.act),
            (kind, Actor::Peer(_)) if kind.is_datagram() => parse_datagram::of_peer(&command.act),
            (kind, Actor::Server) if kind.is_datagram() => Some("a datagram endpoint has no server"),
            (Kind::Tls, Actor::App(_))
                if matches!(command.act, Act::WriteEof) && command.answers.as_deref() != Some("Unsupported") =>
            {
                Some("there is no half-close; `{ answers = \"Unsupported\" }` shows that")
            }
            (_, Actor::App(_) | Actor::Peer(_))
                if matches!(command.act, Act::Kill | Act::Terminate | Act::Signal(_) | Act::Go)
                    || is_of_process(&command.act) =>
            {
                Some("there is no child")
            }
            (Kind::ReadPipe | Kind::WritePipe, Actor::Server) => Some("a pipe has no server"),
            _ => None,
        };
        let app = matches!(command.actor, Actor::App(_));
        let why = why.or_else(|| parse_datagram::of_others(&command.act, app).filter(|_| !kind.is_datagram()));
        why.map(|why| format!("{why} (kind `{}`)", kind.word()))
    })
}

/// Why a protocol never gets this callback: the numbers are those of the connections.
pub(crate) fn never_called(link: &Link, connection: usize, callback: &str) -> bool {
    let has: &[&str] = match (link.kind, connection) {
        (Kind::Process, 0) => &["cm", "exited", "lost"],
        (Kind::Process, 1) => &["pause", "resume", "lost"],
        (Kind::Process, _) => &["data", "lost"],
        (kind, _) if kind.is_datagram() => &["cm", "dgram", "err", "pause", "resume", "lost"],
        _ => return ["exited", "dgram", "err"].contains(&callback),
    };
    !has.contains(&callback)
}

fn of_process(act: &Act) -> Option<&'static str> {
    let has = match act {
        Act::Open | Act::GiveUp | Act::Close | Act::Kill | Act::Terminate | Act::Signal(_) => true,
        Act::Turn(_) | Act::Wait { .. } | Act::Settle | Act::Fail | Act::Raise => true,
        Act::Probe(what) => what == "closing" || is_of_process(act),
        _ => false,
    };
    (!has).then_some("a child is not a connection; its pipes are: `app.stdin`, `app.stdout`, `app.stderr`")
}

fn is_of_process(act: &Act) -> bool {
    matches!(act, Act::Probe(what) if ["pid", "returncode", "pipes"].contains(&what.as_str()))
}

fn of_reader(command: &Command) -> Option<&'static str> {
    match &command.act {
        Act::Write(_) | Act::WriteSpoilt(_) | Act::WriteLines(_) | Act::WriteEof | Act::Limits { .. }
            if command.answers.as_deref() != Some("Unsupported") =>
        {
            Some("a read pipe is not written; `{ answers = \"Unsupported\" }` shows that")
        }
        Act::Abort => Some("a read pipe is closed, not aborted"),
        Act::Fill(_) => Some("a read pipe is not written"),
        Act::Probe(what) if ["paused", "size", "limits", "can_write_eof", "nodelay"].contains(&what.as_str()) => {
            Some("a read pipe has nothing to do with writing")
        }
        _ => None,
    }
}

fn of_writer(act: &Act) -> Option<&'static str> {
    match act {
        Act::PauseReading | Act::ResumeReading => Some("a write pipe does not read"),
        Act::Probe(what) if ["reading", "nodelay"].contains(&what.as_str()) => Some("a write pipe does not read"),
        _ => None,
    }
}

fn of_peer_that_writes(act: &Act) -> Option<&'static str> {
    match act {
        Act::Recv(_) | Act::DrainUntil(_) => {
            Some("the other end of a read pipe writes; it can only wait until nobody reads: `recv-eof`")
        }
        Act::Reset => Some("a pipe is not reset"),
        _ => None,
    }
}

fn of_peer_that_reads(act: &Act) -> Option<&'static str> {
    match act {
        Act::Send(_) | Act::Eof => Some("the other end of a write pipe reads"),
        Act::Reset => Some("a pipe is not reset"),
        _ => None,
    }
}

//! What can be said of datagram endpoints, and for whom a datagram may be.

use super::Problem;
use super::model::{Act, Given, Kind, Link, Target, There, Way};
use super::node::{Node, Source};
use super::words::TARGETS;

/// Whom a datagram is for: one of the ends, or a word for somebody who is none.
pub(crate) fn target(source: &Source<'_>, connections: &[String], node: &Node) -> Result<Target, Problem> {
    let word = source.text(node)?;
    if let Some((_, target)) = TARGETS.iter().find(|target| target.0 == word) {
        return Ok(*target);
    }
    let (kind, name) = word.split_once('.').unwrap_or((word, ""));
    match (kind, connections.iter().position(|own| own == name)) {
        ("app", Some(index)) => Ok(Target::App(index)),
        ("peer", Some(index)) => Ok(Target::Peer(index)),
        _ => {
            let words: Vec<&str> = TARGETS.iter().map(|target| target.0).collect();
            let what = format!(
                "a datagram cannot be for `{word}`; it can be for app, peer, those of other connections, {}",
                words.join(", ")
            );
            Err(source.problem(node.line, what))
        }
    }
}

/// Why a link makes no sense for datagrams.
pub(crate) fn of_link(link: &Link) -> Result<(), &'static str> {
    let datagrams = link.kinds.iter().filter(|kind| kind.is_datagram()).count();
    if datagrams == 0 {
        return if link.broadcast { Err("`broadcast` goes with the kind `udp`") } else { Ok(()) };
    }
    let wrong = if datagrams < link.kinds.len() {
        "what is played with datagrams is played with nothing else"
    } else if link.way == Way::Server {
        "a datagram endpoint has no server: it is bound to an address, or has a remote one (`connect`)"
    } else if link.there == There::Silent {
        "nobody answers a datagram: `listener` is \"nobody\" or not said"
    } else if !matches!(link.given, Given::Connected | Given::Bound) || link.accepted || link.local.is_some() {
        "of a datagram socket that is adopted there is `connected` and `bound`"
    } else if link.is_sized() {
        "a datagram socket has the buffers that the system gives it"
    } else if link.broadcast && link.kinds != [Kind::Udp] {
        "`broadcast` goes with the kind `udp`"
    } else {
        return Ok(());
    };
    Err(wrong)
}

/// What the application cannot do with a datagram endpoint.
pub(crate) fn of_app(kind: Kind, act: &Act) -> Option<&'static str> {
    match act {
        Act::Write(_) | Act::WriteSpoilt(_) | Act::WriteLines(_) | Act::WriteEof => {
            Some("datagrams are sent: `send`, or `send_to` somebody")
        }
        Act::Kill | Act::Terminate | Act::Signal(_) => Some("there is no child"),
        Act::Fill(_) if kind == Kind::Udp => Some("the kernel takes whatever it is given, and drops what is too much"),
        Act::Probe(what) => {
            let has = ["closing", "reading", "paused", "size", "limits", "protocol", "local_addr", "peer_addr"];
            (!has.contains(&what.as_str())).then_some("a datagram endpoint has nothing of that kind")
        }
        _ => None,
    }
}

/// What the other end of one cannot do.
pub(crate) fn of_peer(act: &Act) -> Option<&'static str> {
    match act {
        Act::Connect | Act::RecvEof | Act::Eof | Act::Reset | Act::Go => {
            Some("the other end sends, receives datagrams and is closed: they have no end")
        }
        _ => None,
    }
}

/// What belongs to datagrams only.
pub(crate) fn of_others(act: &Act, app: bool) -> Option<&'static str> {
    match act {
        Act::SendTo(..) => Some("there are no datagrams"),
        Act::Send(_) if app => Some("there are no datagrams; bytes are written: `write`"),
        _ => None,
    }
}

//! Reads commands: of steps, of callbacks, of jobs.

use super::Problem;
use super::model::{Act, Actor, Command, Mark, Part, Payload};
use super::node::{Node, Source, Value};
use super::parse::Reader;
use super::parse_datagram::target;
use super::words::{ACTORS, PROBES, Place, SERVER_PROBES, Verb};
use crate::sim::Syscall;

fn is_actor(word: &str) -> bool {
    let kind = word.split('.').next().unwrap_or_default();
    ACTORS.iter().any(|actor| actor.0 == kind)
}

/// Where a command stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    Steps,
    /// Inside of a step `turn`, of this connection if it is one's.
    Turn(Option<usize>),
    /// In a callback of this connection; of whichever has the protocol, if none.
    Callback(usize),
    Job,
}

impl Reader<'_> {
    pub(crate) fn commands(&self, node: &Node, site: Site) -> Result<Vec<Command>, Problem> {
        let commands: Vec<Command> =
            self.source.list(node)?.iter().map(|item| self.command(item, site)).collect::<Result<_, _>>()?;
        let last = commands.len().saturating_sub(1);
        let early = commands[..last].iter().find(|command| matches!(command.act, Act::Fail | Act::Raise));
        match early {
            Some(command) => Err(self.source.problem(command.line, "nothing can follow `fail` or `raise`")),
            None => Ok(commands),
        }
    }

    fn actor(&self, word: &str, node: &Node) -> Result<Actor, Problem> {
        let (kind, name) = word.split_once('.').unwrap_or((word, ""));
        let index = self.names.connections.iter().position(|own| own == name);
        match (kind, index) {
            ("app", Some(index)) => Ok(Actor::App(index)),
            ("peer", Some(index)) => Ok(Actor::Peer(index)),
            ("app" | "peer", None) => {
                Err(self.source.problem(node.line, format!("there is no connection `{name}`; `link.also` declares them")))
            }
            ("server", Some(0)) => Ok(Actor::Server),
            ("loop", Some(0)) => Ok(Actor::Loop),
            ("host", Some(0)) => Ok(Actor::Host),
            ("clock", Some(0)) => Ok(Actor::Clock),
            _ => {
                let known = ACTORS.iter().map(|actor| actor.0).collect::<Vec<_>>().join(", ");
                Err(self.source.problem(node.line, format!("`{word}` is no actor; there are: {known}")))
            }
        }
    }

    fn command(&self, node: &Node, site: Site) -> Result<Command, Problem> {
        let source = self.source;
        let items = source.list(node)?;
        let Some(first) = items.first() else { return Err(source.problem(node.line, "an empty step")) };
        let word = source.text(first)?;
        let named = is_actor(word);
        let (actor, rest) = match site {
            Site::Callback(connection) | Site::Turn(Some(connection)) if !named => (Actor::App(connection), items),
            _ => (self.actor(word, first)?, &items[1..]),
        };
        let Some((first, mut args)) = rest.split_first() else {
            return Err(source.problem(node.line, format!("`{word}` does nothing: a verb is missing")));
        };
        let name = source.text(first)?;
        let kind = actor.word();
        let verbs = ACTORS.iter().find(|actor| actor.0 == kind).map_or(&[][..], |actor| actor.1);
        let verb = verbs.iter().find(|verb| verb.name == name).ok_or_else(|| {
            let known = verbs.iter().map(|verb| verb.name).collect::<Vec<_>>().join(", ");
            source.problem(first.line, format!("there is no verb `{name}` here; there are: {known}"))
        })?;
        self.place(verb, site, named, first)?;
        let mut answers = None;
        if let Some((Node { value: Value::Table(_), .. }, before)) = args.split_last() {
            let last = &args[args.len() - 1];
            let (key, value) =
                if args.len() > verb.args.len() { source.single(last, "`{ answers = … }`")? } else { ("", last) };
            if key == "answers" {
                let answer = source.text(value)?;
                if !verb.answers.contains(&answer) {
                    let known = if verb.answers.is_empty() { "nothing".into() } else { verb.answers.join(", ") };
                    return Err(source.problem(value.line, format!("`{name}` never answers `{answer}`; it answers {known}")));
                }
                answers = Some(answer.to_owned());
                args = before;
            }
        }
        if args.len() != verb.args.len() {
            return Err(source.problem(node.line, format!("`{name}` takes {} arguments, not {}", verb.args.len(), args.len())));
        }
        let act = self.act(name, verb, actor, args)?;
        let text = args.iter().fold(name.to_owned(), |text, arg| format!("{text} {}", arg.value));
        Ok(Command { line: node.line, text, actor, act, answers })
    }

    fn place(&self, verb: &Verb, site: Site, named: bool, node: &Node) -> Result<(), Problem> {
        let wrong = match verb.place {
            Place::Anywhere => return Ok(()),
            Place::Steps if site != Site::Steps => "can only be a step",
            Place::Turns if !matches!(site, Site::Steps | Site::Turn(_)) => "can only be a step, or stand in a `turn`",
            Place::Callback if matches!(site, Site::Steps | Site::Turn(_)) => "can only stand in a callback or a job",
            Place::Callback if named && matches!(site, Site::Callback(_)) => "is said of the callback itself, without an actor",
            _ => return Ok(()),
        };
        Err(self.source.problem(node.line, format!("`{}` {wrong}", verb.name)))
    }

    fn act(&self, name: &str, verb: &Verb, actor: Actor, args: &[Node]) -> Result<Act, Problem> {
        let source = self.source;
        let one_of = |node: &Node, known: &[&str]| {
            let word = source.text(node)?;
            if known.contains(&word) {
                Ok(word.to_owned())
            } else {
                Err(source.problem(node.line, format!("`{word}` is none of: {}", known.join(", "))))
            }
        };
        let declared = |node: &Node, list: &[String], what: &str| {
            let word = source.text(node)?;
            if list.iter().any(|own| own == word) {
                Ok(word.to_owned())
            } else {
                Err(source.problem(node.line, format!("the {what} `{word}` is not declared")))
            }
        };
        let job = |node: &Node| declared(node, &self.names.jobs, "job");
        Ok(match (actor, name, verb.args, args) {
            (_, "write", _, [data]) => Act::Write(self.payload(data)?),
            (_, "write_spoilt", _, [data]) => Act::WriteSpoilt(self.payload(data)?),
            (_, "writelines", _, [lines]) => Act::WriteLines(self.pieces(lines)?),
            (_, "send", _, [data]) => Act::Send(self.payload(data)?),
            (_, "send_to", _, [data, to]) => Act::SendTo(self.payload(data)?, target(source, &self.names.connections, to)?),
            (_, "limits", _, [limits]) => self.limits(limits)?,
            (_, "set_protocol", _, [name]) => Act::SetProtocol(declared(name, &self.names.protocols, "protocol")?),
            (Actor::Server, "probe", _, [what]) => Act::Probe(one_of(what, SERVER_PROBES)?),
            (_, "probe", _, [what]) => Act::Probe(one_of(what, PROBES)?),
            (_, "wait", _, [event]) => self.wait(event)?,
            (_, "turn", _, [commands]) => Act::Turn(self.turn(commands, actor)?),
            (_, "start_tls", _, [leftover]) => Act::StartTls(self.payload(leftover)?),
            (_, "sendfile", _, [contents, part]) => Act::SendFile(self.payload(contents)?, self.part(part)?),
            (_, "fill", _, [n]) => Act::Fill(source.count(n)?),
            (_, "recv", _, [n]) => Act::Recv(source.count(n)?),
            (_, "drain-until", _, [n]) => Act::DrainUntil(source.count(n)?),
            (_, "call_soon", _, [name]) => Act::CallSoon(job(name)?),
            (_, "cancel", _, [name]) => Act::Cancel(job(name)?),
            (_, "call_later", _, [n, name]) => Act::CallLater(source.count(n)? as u64, job(name)?),
            (_, "threadsafe", _, [names]) => Act::Threadsafe(source.list(names)?.iter().map(job).collect::<Result<_, _>>()?),
            (_, "wake", _, [names]) => Act::Wake(source.list(names)?.iter().map(job).collect::<Result<_, _>>()?),
            (_, "flood", _, [n, name]) => Act::Flood(source.count(n)?, job(name)?),
            (_, "signal", _, [n]) => Act::Signal(i32::try_from(source.count(n)?).unwrap_or(i32::MAX)),
            (_, "fault", _, [fault]) => self.fault(fault)?,
            (_, "advance", _, [n]) => Act::Advance(source.count(n)? as u64),
            (_, word, [], []) => match word {
                "write_eof" => Act::WriteEof,
                "close" => Act::Close,
                "abort" => Act::Abort,
                "pause_reading" => Act::PauseReading,
                "resume_reading" => Act::ResumeReading,
                "fail" => Act::Fail,
                "raise" => Act::Raise,
                "open" => Act::Open,
                "cancel" if matches!(actor, Actor::App(_)) => Act::GiveUp,
                "listen" => Act::Listen,
                "limit-fds" => Act::LimitFds(true),
                "free-fds" => Act::LimitFds(false),
                "replace" => Act::Replace,
                "settle" => Act::Settle,
                "connect" => Act::Connect,
                "recv-eof" => Act::RecvEof,
                "start_tls" => Act::StartTls(Payload::Text(String::new())),
                "truncate" => Act::Truncate,
                "eof" => Act::Eof,
                "reset" => Act::Reset,
                "start" => Act::Start,
                "close_clients" => Act::CloseClients,
                "abort_clients" => Act::AbortClients,
                "kill" => Act::Kill,
                "terminate" => Act::Terminate,
                "go" => Act::Go,
                "wait_closed" => Act::WaitClosed,
                _ => Act::Report,
            },
            _ => return Err(source.problem(args.first().map_or(0, |node| node.line), format!("`{name}` is not understood"))),
        })
    }

    fn turn(&self, commands: &Node, actor: Actor) -> Result<Vec<Command>, Problem> {
        let mut list = Vec::new();
        for item in self.source.list(commands)? {
            let word = self.source.list(item)?.first().map(|first| self.source.text(first)).transpose()?.unwrap_or_default();
            // As in a callback, the actor may be left out.
            let own = match actor {
                Actor::App(connection) if !is_actor(word) => Some(connection),
                _ => None,
            };
            let command = self.command(item, Site::Turn(own))?;
            if matches!(command.act, Act::Fail | Act::Raise) {
                return Err(self.source.problem(command.line, "`fail` and `raise` stand in callbacks and jobs"));
            }
            list.push(command);
        }
        Ok(list)
    }

    fn payload(&self, node: &Node) -> Result<Payload, Problem> {
        payload(self.source, node)
    }

    /// A list of payloads, or so many pieces of so many bytes.
    fn pieces(&self, node: &Node) -> Result<Vec<Payload>, Problem> {
        if let Value::List(lines) = &node.value {
            return lines.iter().map(|line| self.payload(line)).collect();
        }
        let keys = self.source.keys(node, "pieces")?;
        let (pieces, of) = (keys.need(self.source, "pieces")?, keys.need(self.source, "of")?);
        let (pieces, of) = (self.source.count(pieces)?, self.source.count(of)?);
        keys.end(self.source)?;
        Ok((0..pieces).map(|n| Payload::Piece(n * of, of)).collect())
    }

    fn fault(&self, node: &Node) -> Result<Act, Problem> {
        let source = self.source;
        let keys = source.keys(node, "a fault")?;
        let (call_node, error_node) = (keys.need(source, "call")?, keys.need(source, "error")?);
        let nth = keys.get("nth").map_or(Ok(1), |node| source.count(node))?;
        keys.end(source)?;
        let word = source.text(call_node)?;
        let call = Syscall::named(word).ok_or_else(|| {
            let known = Syscall::ALL.iter().map(|call| call.1).collect::<Vec<_>>().join(", ");
            source.problem(call_node.line, format!("there is no call `{word}`; there are: {known}"))
        })?;
        let word = source.text(error_node)?;
        let failure = call.failures().iter().find(|failure| failure.word() == word).ok_or_else(|| {
            let known = call.failures().iter().map(|failure| failure.word()).collect::<Vec<_>>().join(", ");
            source.problem(error_node.line, format!("`{}` never fails with `{word}`; it can with: {known}", call.word()))
        })?;
        if nth == 0 {
            return Err(source.problem(node.line, "calls are counted from 1"));
        }
        Ok(Act::Fault(call, nth, *failure))
    }

    fn part(&self, node: &Node) -> Result<Part, Problem> {
        let keys = self.source.keys(node, "a part of a file")?;
        let number = |key: &str| keys.get(key).map(|node| self.source.count(node).map(|n| n as u64)).transpose();
        let part = Part { from: number("from")?.unwrap_or(0), count: number("count")? };
        keys.end(self.source)?;
        Ok(part)
    }

    fn limits(&self, node: &Node) -> Result<Act, Problem> {
        let source = self.source;
        let keys = source.keys(node, "limits")?;
        let mark = |key: &str| -> Result<Option<Mark>, Problem> {
            let Some(node) = keys.get(key) else { return Ok(None) };
            if let Value::Int(_) = node.value {
                return Ok(Some(Mark::Bytes(source.count(node)?)));
            }
            match source.single(node, "bytes, or `{ size = n }`")? {
                ("size", Node { value: Value::Int(n), .. }) => Ok(Some(Mark::Size(*n))),
                _ => Err(source.problem(node.line, "a mark is a number of bytes, or `{ size = n }`")),
            }
        };
        let act = Act::Limits { low: mark("low")?, high: mark("high")? };
        keys.end(source)?;
        Ok(act)
    }

    fn wait(&self, node: &Node) -> Result<Act, Problem> {
        if let Value::Text(event) = &node.value {
            return Ok(Act::Wait { event: event.clone(), amount: 1 });
        }
        let (event, amount) = self.source.single(node, "an event, or `{ event = count }`")?;
        Ok(Act::Wait { event: event.into(), amount: self.source.count(amount)? })
    }
}

pub(crate) fn payload(source: &Source<'_>, node: &Node) -> Result<Payload, Problem> {
    if let Value::Text(text) = &node.value {
        return Ok(Payload::Text(text.clone()));
    }
    match source.single(node, "text, or `{ pattern = n }`")? {
        ("pattern", n) => Ok(Payload::Pattern(source.count(n)?)),
        (other, node) => Err(source.problem(node.line, format!("`{other}` is no payload; there is `pattern`"))),
    }
}

//! Reads a file, and refuses whatever it does not know or what cannot be meant.

use super::Problem;
use super::model::{Act, Actor, Behaviour, Command, Connection, Departure, Kind, Mark, Payload, Reaction, Scenario};
use super::node::{Keys, Node, Source, Value};
use super::parse_datagram::target;
use super::parse_expect::{expect, expects};
use super::parse_link::link;
use super::words::{ACTORS, CALLBACKS, FOLDERS, NEEDS, OTHERS, PROBES, Place, SERVER_PROBES, Verb};
use crate::sim::Syscall;
use crate::trace::contract;
use std::collections::BTreeMap;
use std::path::Path;

/// What names may refer to.
pub(crate) struct Names {
    pub(crate) connections: Vec<String>,
    protocols: Vec<String>,
    jobs: Vec<String>,
}

/// Reads the text of a file.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Scenario, Problem> {
    let source = &Source::new(path, text);
    let root = source.parse()?;
    let keys = source.keys(&root, "a scenario")?;
    // A misspelt key is said to be unknown, not to be missing.
    for known in ["id", "about", "covers", "needs", "link", "child", "app", "protocol", "job", "steps", "expect", "departs"] {
        keys.get(known);
    }
    keys.end(source)?;
    let id = id(source, &keys)?;
    let link_node = keys.need(source, "link")?;
    let (link, also) = link(source, link_node)?;
    let mut names = Names { connections: vec![String::new()], protocols: Vec::new(), jobs: Vec::new() };
    names.connections.extend(also);
    for (table, list) in [("protocol", &mut names.protocols), ("job", &mut names.jobs)] {
        if let Some(Node { value: Value::Table(entries), .. }) = keys.get(table) {
            list.extend(entries.iter().map(|entry| entry.0.clone()));
        }
    }
    let child = match keys.get("child") {
        Some(node) if link.is_process() => super::parse_child::steps(source, node)?,
        Some(node) => return Err(source.problem(node.line, "`child` goes with the kind `process`")),
        None if link.is_process() && !link.absent => {
            return Err(source.problem(link_node.line, "a process lacks `child`: what it does"));
        }
        None => Vec::new(),
    };
    let reader = Reader { source, names: &names };
    let connections = reader.connections(keys.get("app"))?;
    let protocols = reader.protocols(keys.get("protocol"))?;
    let jobs = reader.jobs(keys.get("job"))?;
    let steps = reader.commands(keys.need(source, "steps")?, Site::Steps)?;
    let needs = words_of(source, keys.get("needs"), "need", |word| NEEDS.iter().any(|need| need.0 == word))?;
    let scenario = Scenario {
        path: path.to_owned(),
        id,
        about: source.text(keys.need(source, "about")?)?.into(),
        covers: covers(source, &keys)?,
        needs,
        departs: departs(source, keys.get("departs"), &names, &link.kinds)?,
        link,
        child,
        connections,
        protocols,
        jobs,
        steps,
        expect: expects(source, keys.need(source, "expect")?, &names)?,
    };
    super::parse_check::check(source, &scenario)?;
    Ok(scenario)
}

fn id(source: &Source<'_>, keys: &Keys<'_>) -> Result<String, Problem> {
    let node = keys.need(source, "id")?;
    let id = source.text(node)?;
    let stem = source.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let folder = source.path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    if id != format!("{folder}/{stem}") {
        return Err(source.problem(node.line, format!("the id is `{id}`, but the file is `{folder}/{stem}.toml`")));
    }
    if !FOLDERS.contains(&folder) {
        return Err(source.problem(node.line, format!("`{folder}` is no area; there are: {}", FOLDERS.join(", "))));
    }
    Ok(id.into())
}

fn covers(source: &Source<'_>, keys: &Keys<'_>) -> Result<Vec<String>, Problem> {
    let node = keys.get("covers");
    let ids = words_of(source, node, "id of a requirement; CONTRACT.md lists them", |id| contract::own().knows(id))?;
    if ids.is_empty() {
        let line = node.map_or(keys.line, |node| node.line);
        let what = "`covers` is to name what of the contract the scenario shows, as [\"FLOW-6\"]; CONTRACT.md lists the ids";
        return Err(source.problem(line, what));
    }
    Ok(ids)
}

fn words_of(source: &Source<'_>, node: Option<&Node>, what: &str, known: impl Fn(&str) -> bool) -> Result<Vec<String>, Problem> {
    let mut words: Vec<String> = Vec::new();
    let Some(node) = node else { return Ok(words) };
    for item in source.list(node)? {
        let word = source.text(item)?;
        if !known(word) {
            return Err(source.problem(item.line, format!("`{word}` is no {what}")));
        }
        if words.iter().any(|before| before == word) {
            return Err(source.problem(item.line, format!("`{word}` stands here twice")));
        }
        words.push(word.into());
    }
    Ok(words)
}

fn departs(
    source: &Source<'_>,
    node: Option<&Node>,
    names: &Names,
    kinds: &[Kind],
) -> Result<BTreeMap<String, Vec<Departure>>, Problem> {
    let mut departures = BTreeMap::new();
    let Some(node) = node else { return Ok(departures) };
    let keys = source.keys(node, "departs")?;
    for &who in OTHERS {
        let Some(node) = keys.get(who) else { continue };
        let list = match &node.value {
            Value::List(items) => items.iter().map(|item| departure(source, item, names, kinds)).collect::<Result<_, _>>()?,
            _ => vec![departure(source, node, names, kinds)?],
        };
        departures.insert(who.into(), list);
    }
    keys.end(source)?;
    Ok(departures)
}

fn departure(source: &Source<'_>, node: &Node, names: &Names, kinds: &[Kind]) -> Result<Departure, Problem> {
    let keys = source.keys(node, "a departure")?;
    let why = source.text(keys.need(source, "why")?)?;
    if !why.starts_with("DIS-") && !why.starts_with("finding: ") {
        return Err(
            source.problem(node.line, "why a loop departs begins with the row of the table, `DIS-n`, or with `finding: `")
        );
    }
    let versions = words_of(source, keys.get("versions"), "version", |_| true)?;
    let words = words_of(source, keys.get("kinds"), "kind of this file", |word| kinds.iter().any(|kind| kind.word() == word))?;
    let kinds = words.iter().filter_map(|word| Kind::named(word)).collect();
    let expect = expects(source, keys.need(source, "expect")?, names)?;
    keys.end(source)?;
    Ok(Departure { why: why.into(), versions, kinds, line: node.line, expect })
}

fn is_actor(word: &str) -> bool {
    let kind = word.split('.').next().unwrap_or_default();
    ACTORS.iter().any(|actor| actor.0 == kind)
}

/// Where a command stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Site {
    Steps,
    /// Inside of a step `turn`, of this connection if it is one's.
    Turn(Option<usize>),
    /// In a callback of this connection; of whichever has the protocol, if none.
    Callback(usize),
    Job,
}

struct Reader<'a> {
    source: &'a Source<'a>,
    names: &'a Names,
}

impl Reader<'_> {
    fn connections(&self, node: Option<&Node>) -> Result<Vec<Connection>, Problem> {
        let mut connections = Vec::new();
        for (index, name) in self.names.connections.iter().enumerate() {
            let own = match node {
                Some(node) if index == 0 => Some(node),
                Some(node) => self.source.keys(node, "app")?.get(name),
                None => None,
            };
            let others: &[String] = if index == 0 { &self.names.connections[1..] } else { &[] };
            let behaviour = own.map_or_else(|| Ok(Behaviour::default()), |node| self.behaviour(node, index, others))?;
            connections.push(Connection { name: name.clone(), behaviour });
        }
        Ok(connections)
    }

    fn protocols(&self, node: Option<&Node>) -> Result<BTreeMap<String, Behaviour>, Problem> {
        let mut protocols = BTreeMap::new();
        let Some(node) = node else { return Ok(protocols) };
        for (name, line, node) in self.source.keys(node, "protocol")?.rest() {
            if name.contains('.') || name.is_empty() {
                return Err(self.source.problem(*line, "the name of a protocol is a word"));
            }
            protocols.insert(name.clone(), self.behaviour(node, 0, &[])?);
        }
        Ok(protocols)
    }

    fn jobs(&self, node: Option<&Node>) -> Result<BTreeMap<String, Vec<Command>>, Problem> {
        let mut jobs = BTreeMap::new();
        let Some(node) = node else { return Ok(jobs) };
        for (name, _, node) in self.source.keys(node, "job")?.rest() {
            jobs.insert(name.clone(), self.commands(node, Site::Job)?);
        }
        Ok(jobs)
    }

    fn behaviour(&self, node: &Node, connection: usize, others: &[String]) -> Result<Behaviour, Problem> {
        let source = self.source;
        let keys = source.keys(node, "what the application does")?;
        for other in others {
            keys.get(other);
        }
        let keep_open = match keys.get("eof") {
            None => false,
            Some(node) if source.text(node)? == "keep-open" => true,
            Some(node) => return Err(source.problem(node.line, "`eof` is \"keep-open\" or absent")),
        };
        let factory_raises = match keys.get("factory") {
            None => false,
            Some(node) if source.text(node)? == "raise" => true,
            Some(node) => return Err(source.problem(node.line, "`factory` is \"raise\" or absent")),
        };
        let buffer = keys.get("buffer").map(|node| source.count(node)).transpose()?;
        let mut on = BTreeMap::new();
        if let Some(node) = keys.get("on") {
            let keys = source.keys(node, "on")?;
            for &callback in CALLBACKS {
                let Some(node) = keys.get(callback) else { continue };
                if callback == "data" && buffer.is_some() || ["gb", "bu"].contains(&callback) && buffer.is_none() {
                    return Err(source.problem(node.line, format!("this protocol never gets `{callback}`: see `buffer`")));
                }
                let reaction = self.reaction(node, connection)?;
                if callback == "gb" && !reaction.is_raise() {
                    return Err(source.problem(node.line, "nothing can be done in get_buffer but `raise`: it has no context"));
                }
                on.insert(callback.to_owned(), reaction);
            }
            keys.end(source)?;
        }
        keys.end(source)?;
        Ok(Behaviour { keep_open, buffer, factory_raises, on })
    }

    fn reaction(&self, node: &Node, connection: usize) -> Result<Reaction, Problem> {
        if matches!(node.value, Value::List(_)) {
            return Ok(Reaction { first: self.commands(node, Site::Callback(connection))?, each: Vec::new() });
        }
        let keys = self.source.keys(node, "a reaction")?;
        let of = |key: &str| keys.get(key).map_or(Ok(Vec::new()), |node| self.commands(node, Site::Callback(connection)));
        let reaction = Reaction { first: of("first")?, each: of("each")? };
        keys.end(self.source)?;
        Ok(reaction)
    }

    fn commands(&self, node: &Node, site: Site) -> Result<Vec<Command>, Problem> {
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

/// A lane of a departure or of the scenario itself.
pub(crate) fn lane(source: &Source<'_>, node: &Node, names: &Names, lane: &str) -> Result<super::pattern::Expect, Problem> {
    expect(source, node, lane, &names.protocols)
}

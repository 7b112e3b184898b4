//! Reads a file, and refuses whatever it does not know or what cannot be meant.

use super::Problem;
use super::model::{Behaviour, Command, Connection, Departure, Kind, Reaction, Scenario};
use super::node::{Keys, Node, Source, Value};
use super::parse_command::Site;
use super::parse_expect::{expect, expects};
use super::parse_link::link;
use super::words::{CALLBACKS, FOLDERS, NEEDS, OTHERS};
use crate::trace::contract;
use std::collections::BTreeMap;
use std::path::Path;

/// What names may refer to.
pub(crate) struct Names {
    pub(crate) connections: Vec<String>,
    pub(crate) protocols: Vec<String>,
    pub(crate) jobs: Vec<String>,
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

pub(crate) struct Reader<'a> {
    pub(crate) source: &'a Source<'a>,
    pub(crate) names: &'a Names,
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
}

/// A lane of a departure or of the scenario itself.
pub(crate) fn lane(source: &Source<'_>, node: &Node, names: &Names, lane: &str) -> Result<super::pattern::Expect, Problem> {
    expect(source, node, lane, &names.protocols)
}

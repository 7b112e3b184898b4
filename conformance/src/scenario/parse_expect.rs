//! Reads what is expected.

use super::Problem;
use super::lane::Arg;
use super::node::{Node, Source, Value};
use super::parse::{Names, lane};
use super::pattern::{Bytes, Expect, Pattern, Want};
use super::words::{APP_EVENTS, CLASSES, EventShape, HOOK_EVENTS, HOST_EVENTS, LOOP_EVENTS, PEER_EVENTS, REPORTS, SERVER_EVENTS};
use std::collections::BTreeMap;

/// The lanes of `expect`: `app` and `peer` may hold those of the other connections as tables.
pub(crate) fn expects(source: &Source<'_>, node: &Node, names: &Names) -> Result<BTreeMap<String, Expect>, Problem> {
    let mut lanes = BTreeMap::new();
    let keys = source.keys(node, "expect")?;
    for kind in ["app", "peer"] {
        for name in &names.connections {
            let full = if name.is_empty() { kind.to_owned() } else { format!("{kind}.{name}") };
            if let Some(node) = keys.get(&full) {
                lanes.insert(full.clone(), lane(source, node, names, &full)?);
            }
        }
    }
    for kind in ["server", "loop", "hook", "host"] {
        if let Some(node) = keys.get(kind) {
            lanes.insert(kind.into(), lane(source, node, names, kind)?);
        }
    }
    keys.end(source)?;
    if lanes.is_empty() { Err(source.problem(node.line, "nothing is expected")) } else { Ok(lanes) }
}

/// One lane.
pub(crate) fn expect(source: &Source<'_>, node: &Node, lane: &str, protocols: &[String]) -> Result<Expect, Problem> {
    let (kind, name) = lane.split_once('.').map_or((lane, None), |(kind, name)| (kind, Some(name)));
    let other = if kind == "app" { "peer" } else { "app" };
    let opposite = name.map_or_else(|| other.to_owned(), |name| format!("{other}.{name}"));
    let events = match kind {
        "app" => APP_EVENTS,
        "peer" => PEER_EVENTS,
        "server" => SERVER_EVENTS,
        "loop" => LOOP_EVENTS,
        "hook" => HOOK_EVENTS,
        _ => HOST_EVENTS,
    };
    let reader = Reader { source, events, protocols, opposite, classes: if kind == "hook" { REPORTS } else { CLASSES } };
    if matches!(node.value, Value::List(_)) {
        return Ok(Expect::Sequence(reader.sequence(node)?));
    }
    let keys = source.keys(node, "a lane")?;
    let once = reader.sequence(keys.need(source, "once")?)?;
    let mut order = Vec::new();
    for pair in keys.get("order").map_or(Ok(&[][..]), |node| source.list(node))? {
        let [first, then] = source.list(pair)? else {
            return Err(source.problem(pair.line, "an order is a pair: what comes first, and what comes then"));
        };
        order.push((source.text(first)?.to_owned(), source.text(then)?.to_owned()));
    }
    keys.end(source)?;
    Ok(Expect::Once { once, order })
}

struct Reader<'a> {
    source: &'a Source<'a>,
    events: &'static [(&'static str, EventShape)],
    protocols: &'a [String],
    /// By whom a datagram is sent if nobody is named.
    opposite: String,
    classes: &'static [&'static str],
}

impl Reader<'_> {
    fn sequence(&self, node: &Node) -> Result<Vec<Pattern>, Problem> {
        self.source.list(node)?.iter().map(|item| self.pattern(item)).collect()
    }

    fn pattern(&self, node: &Node) -> Result<Pattern, Problem> {
        match &node.value {
            Value::Text(name) => self.event(name, &[], node),
            Value::List(items) => {
                let Some((name, args)) = items.split_first() else {
                    return Err(self.source.problem(node.line, "an empty event"));
                };
                self.event(self.source.text(name)?, args, node)
            }
            _ => {
                let (key, inner) = self.source.single(node, "an event, or one of { opt, alt, star, any }")?;
                let several = || self.source.list(inner)?.iter().map(|item| self.sequence(item)).collect::<Result<Vec<_>, _>>();
                match key {
                    "opt" => Ok(Pattern::Opt(self.sequence(inner)?)),
                    "star" => Ok(Pattern::Star(self.sequence(inner)?)),
                    "alt" => Ok(Pattern::Alt(several()?)),
                    "any" => Ok(Pattern::Any(several()?)),
                    _ => Err(self.source.problem(node.line, format!("`{key}` is none of: opt, alt, star, any"))),
                }
            }
        }
    }

    fn event(&self, name: &str, args: &[Node], node: &Node) -> Result<Pattern, Problem> {
        let source = self.source;
        let (owner, base) = name.split_once('.').map_or((None, name), |(owner, base)| (Some(owner), base));
        if let Some(owner) = owner.filter(|owner| !self.protocols.iter().any(|known| known == owner)) {
            return Err(source.problem(node.line, format!("the protocol `{owner}` is not declared")));
        }
        let Some((_, shape)) = self.events.iter().find(|event| event.0 == base) else {
            let known = self.events.iter().map(|event| event.0).collect::<Vec<_>>().join(", ");
            return Err(source.problem(node.line, format!("`{base}` does not happen in this lane; there are: {known}")));
        };
        let args = match (shape, args) {
            (EventShape::Alone, []) => Vec::new(),
            (EventShape::Payload, [bytes]) => vec![Want::Bytes(self.bytes(bytes)?)],
            (EventShape::Datagram, [bytes]) => {
                vec![Want::Bytes(self.bytes(bytes)?), Want::Is(Arg::Word(self.opposite.clone()))]
            }
            (EventShape::Datagram, [bytes, from]) => vec![Want::Bytes(self.bytes(bytes)?), self.plain(from)?],
            (EventShape::Class, [class]) => {
                let words: Vec<String> = source.text(class)?.split('|').map(Into::into).collect();
                if let Some(word) = words.iter().find(|word| !self.classes.contains(&word.as_str())) {
                    return Err(source.problem(class.line, format!("`{word}` is none of: {}", self.classes.join(", "))));
                }
                vec![Want::OneOf(words)]
            }
            (EventShape::Any, args) => args.iter().map(|arg| self.plain(arg)).collect::<Result<_, _>>()?,
            (shape, _) => {
                let needs = match shape {
                    EventShape::Alone => "nothing behind its name",
                    EventShape::Payload => "its bytes behind its name",
                    EventShape::Datagram => "its bytes behind its name, and may have by whom it was sent",
                    _ => "the class of the error behind its name",
                };
                return Err(source.problem(node.line, format!("`{base}` has {needs}")));
            }
        };
        Ok(Pattern::Event { name: name.into(), args })
    }

    fn plain(&self, node: &Node) -> Result<Want, Problem> {
        Ok(match &node.value {
            Value::Text(word) if word.contains('|') => Want::OneOf(word.split('|').map(Into::into).collect()),
            Value::Text(word) => Want::Is(Arg::Word(word.clone())),
            Value::Int(number) => Want::Is(Arg::Int(*number)),
            Value::Bool(yes) => Want::Is(Arg::Bool(*yes)),
            other => return Err(self.source.problem(node.line, format!("{} cannot stand here", other.kind()))),
        })
    }

    fn bytes(&self, node: &Node) -> Result<Bytes, Problem> {
        let source = self.source;
        if let Value::Text(text) = &node.value {
            return Ok(Bytes::Text(text.clone().into_bytes()));
        }
        if let Value::Table(entries) = &node.value {
            if entries.iter().any(|entry| entry.0 == "prefix") {
                let keys = source.keys(node, "a prefix")?;
                let of = self.bytes(keys.need(source, "prefix")?)?;
                let most = keys.get("most").map_or(Ok(usize::MAX), |node| source.count(node))?;
                keys.end(source)?;
                return Ok(Bytes::Prefix(Box::new(of), most));
            }
        }
        let (key, inner) = source.single(node, "text, or one of { pattern, written, sent, prefix, anything }")?;
        match key {
            "pattern" => Ok(Bytes::Pattern(source.count(inner)?)),
            "written" if source.flag(inner)? => Ok(Bytes::Written),
            "sent" if source.flag(inner)? => Ok(Bytes::Sent),
            "anything" if source.flag(inner)? => Ok(Bytes::Anything),
            _ => Err(source.problem(
                node.line,
                format!("`{key}` is none of: pattern = n, written = true, sent = true, anything = true, prefix = …"),
            )),
        }
    }
}

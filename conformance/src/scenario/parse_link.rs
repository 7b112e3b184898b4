//! Reads how the connection of a scenario comes about.

use super::Problem;
use super::model::{At, Given, Kind, Link, There, Through, Way};
use super::node::{Keys, Node, Source, Value};
use super::parse_child;
use super::race::{Path, Race};
use super::secure::Security;
use super::words::{KINDS, LISTENERS, MANNERS, ROLES, SOCKETS, THROUGH, WAYS};
use core::net::IpAddr;
use core::time::Duration;

/// The link, and the names of the connections beside the first.
pub(crate) fn link(source: &Source<'_>, node: &Node) -> Result<(Link, Vec<String>), Problem> {
    let keys = source.keys(node, "link")?;
    let kinds = kinds(source, &keys)?;
    let way = match word(source, &keys, "by", WAYS)? {
        0 => Way::Accept,
        1 => Way::Connect,
        2 => Way::Server,
        _ => Way::Adopt,
    };
    let only = |key: &str, ways: &[Way]| match keys.get(key) {
        Some(node) if !ways.contains(&way) => Err(source.problem(node.line, format!("`{key}` does not go with this `by`"))),
        node => Ok(node),
    };
    let yes = |node: Option<&Node>, unless: bool| node.map_or(Ok(unless), |node| source.flag(node));
    let start = yes(only("start", &[Way::Server])?, true)?;
    let opening =
        if kinds == [Kind::Process] { keys.get("open") } else { only("open", &[Way::Connect, Way::Server, Way::Adopt])? };
    let opens = match opening {
        None => true,
        Some(node) if matches!(&node.value, Value::Text(text) if text == "steps") => false,
        Some(node) => return Err(source.problem(node.line, "`open` is \"steps\" or absent")),
    };
    only("listener", &[Way::Connect])?;
    only("to", &[Way::Connect])?;
    let race = Race::read(source, &keys)?;
    let path = Path::read(source, &keys, kinds == [Kind::Unix] && way == Way::Server && !opens)?;
    let there = match keys.get("listener") {
        None if race.is_run() => race.there(),
        None => There::Peer,
        Some(node) if race.is_run() => {
            return Err(source.problem(node.line, "`to` says who is where: there is no `listener` beside it"));
        }
        Some(_) if word(source, &keys, "listener", LISTENERS)? == 0 => There::Nobody,
        Some(_) => There::Silent,
    };
    only("socket", &[Way::Adopt])?;
    only("role", &[Way::Adopt])?;
    let given = [Given::Connected, Given::Listening, Given::Bound, Given::Unconnected, Given::Datagram];
    let given = given[word(source, &keys, "socket", SOCKETS)?];
    let accepted = word(source, &keys, "role", ROLES)? == 1;
    let local = only("local", &[Way::Connect])?.map(|node| ip(source, node)).transpose()?;
    let mut on = Vec::new();
    for item in only("on", &[Way::Server])?.map_or(Ok(&[][..]), |list| source.list(list))? {
        on.push(if source.text(item)? == "taken" { At::Taken } else { At::Ip(ip(source, item)?) });
    }
    let backlog = only("backlog", &[Way::Server])?.map(|node| source.count(node)).transpose()?;
    let reuse_port = yes(only("reuse_port", &[Way::Server])?, false)?;
    let broadcast = yes(only("broadcast", &[Way::Connect])?, false)?;
    let tls = security(source, &keys)?;
    let without_tls = match keys.get("without_tls") {
        Some(node) if !kinds.contains(&Kind::Tcp) || kinds.contains(&Kind::Tls) => {
            return Err(source.problem(node.line, "`without_tls` says why a file that lists `tcp` does not list `tls`"));
        }
        node => node.map(|node| source.text(node).map(Into::into)).transpose()?,
    };
    let through = through(source, &keys, &kinds)?;
    let process = kinds.contains(&Kind::Process);
    let stdio = parse_child::stdio(source, &keys, &kinds)?;
    let absent = match keys.get("program") {
        None => false,
        Some(node) if process && source.text(node)? == "absent" => true,
        Some(node) => return Err(source.problem(node.line, "`program` is \"absent\", of a process, or not said")),
    };
    if process {
        let wrong = ["by", "socket", "role", "also", "sndbuf", "rcvbuf"].into_iter().find_map(|key| keys.get(key));
        if let Some(node) = wrong {
            return Err(
                source.problem(node.line, "a child is started: there is nothing more to say of how, and its pipes have names")
            );
        }
        if kinds.len() > 1 {
            return Err(source.problem(node.line, "what is played with a child is played with nothing else"));
        }
    }
    if kinds.iter().any(|kind| kind.is_pipe()) {
        let wrong = matches!(way, Way::Connect | Way::Server).then(|| keys.get("by"));
        if let Some(node) = wrong.flatten().or_else(|| keys.get("socket")).or_else(|| keys.get("role")) {
            return Err(
                source.problem(node.line, "nobody connects to a pipe: it is given to the loop, and `through` says what it is")
            );
        }
    }
    let also = if process { parse_child::NAMES.map(Into::into).into() } else { names(source, &keys)? };
    let size = |key: &str| keys.get(key).map(|node| source.count(node)).transpose();
    let (sndbuf, rcvbuf) = (size("sndbuf")?, size("rcvbuf")?);
    let backlog = backlog.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let kind = kinds[0];
    let link = Link {
        kinds,
        kind,
        way,
        sndbuf,
        rcvbuf,
        start,
        opens,
        there,
        through,
        stdio,
        absent,
        given,
        accepted,
        local,
        on,
        backlog,
        reuse_port,
        broadcast,
        race,
        path,
        without_tls,
        tls,
    };
    super::parse_datagram::of_link(&link).map_err(|why| source.problem(node.line, why))?;
    if link.is_sized() && (!link.on.is_empty() || link.backlog.is_some() || link.reuse_port) {
        return Err(source.problem(node.line, "buffers do not go with options of the server: its socket is made beforehand"));
    }
    if link.race.is_run() && (link.kinds != [Kind::Tcp] || link.is_sized()) {
        return Err(source.problem(node.line, "`to` goes with the kind `tcp`, and without buffers"));
    }
    if link.kinds.iter().any(|kind| kind.is_unix()) && (link.local.is_some() || !link.on.is_empty() || link.reuse_port) {
        return Err(source.problem(node.line, "Unix sockets have no IP addresses and do not share them"));
    }
    keys.end(source)?;
    Ok((link, also))
}

/// One kind, or a list of them: at least one.
fn kinds(source: &Source<'_>, keys: &Keys<'_>) -> Result<Vec<Kind>, Problem> {
    let node = keys.need(source, "kind")?;
    let Value::List(list) = &node.value else { return Ok(vec![kind(source, node)?]) };
    let kinds: Vec<Kind> = list.iter().map(|node| kind(source, node)).collect::<Result<_, _>>()?;
    let twice = (1..kinds.len()).any(|n| kinds[..n].contains(&kinds[n]));
    if kinds.is_empty() || twice {
        Err(source.problem(node.line, "each kind stands here once, and at least one does"))
    } else {
        Ok(kinds)
    }
}

fn kind(source: &Source<'_>, node: &Node) -> Result<Kind, Problem> {
    let kind = source.text(node)?;
    if !KINDS.contains(&kind) {
        return Err(source.problem(node.line, format!("`{kind}` is no kind of link; there is: {}", KINDS.join(", "))));
    }
    Kind::named(kind).ok_or_else(|| source.problem(node.line, format!("`{kind}` is no kind of link")))
}

/// How connections are made secure, from the beginning or later.
fn security(source: &Source<'_>, keys: &Keys<'_>) -> Result<Security, Problem> {
    let Some(node) = keys.get("tls") else { return Ok(Security::default()) };
    let keys = source.keys(node, "tls")?;
    let limit = |key: &str| keys.get(key).map(|node| source.count(node)).transpose();
    let names = |key: &str| -> Result<Vec<String>, Problem> {
        let list = keys.get(key).map_or(Ok(&[][..]), |list| source.list(list))?;
        list.iter().map(|item| Ok(source.text(item)?.to_owned())).collect()
    };
    let manners: Vec<&str> = MANNERS.iter().map(|(word, _)| *word).collect();
    let milliseconds = |n: usize| Duration::from_millis(n as u64);
    let tls = Security {
        manner: MANNERS[word(source, &keys, "peer", &manners)?].1,
        name: keys.get("name").map(|node| source.text(node).map(Into::into)).transpose()?,
        alpn: names("alpn")?,
        peer_alpn: names("peer_alpn")?,
        handshake: limit("handshake")?.map(milliseconds),
        shutdown: limit("shutdown")?.map(milliseconds),
    };
    keys.end(source)?;
    for server in [false, true] {
        tls.of_app(server).map_err(|why| source.problem(node.line, why))?;
    }
    Ok(tls)
}

fn through(source: &Source<'_>, keys: &Keys<'_>, kinds: &[Kind]) -> Result<Through, Problem> {
    let Some(node) = keys.get("through") else { return Ok(Through::Pipe) };
    if kinds.iter().any(|kind| !kind.is_pipe()) {
        return Err(source.problem(node.line, "`through` goes with pipes"));
    }
    let words: Vec<&str> = THROUGH.iter().map(|(word, _)| *word).collect();
    Ok(THROUGH[word(source, keys, "through", &words)?].1)
}

/// Which of these words stands under a key; the first if none does.
fn word(source: &Source<'_>, keys: &Keys<'_>, key: &str, words: &[&str]) -> Result<usize, Problem> {
    let Some(node) = keys.get(key) else { return Ok(0) };
    let given = source.text(node)?;
    let found = words.iter().position(|word| *word == given);
    found.ok_or_else(|| source.problem(node.line, format!("`{given}` cannot be `{key}`; there are: {}", words.join(", "))))
}

fn ip(source: &Source<'_>, node: &Node) -> Result<IpAddr, Problem> {
    let text = source.text(node)?;
    text.parse().map_err(|_| source.problem(node.line, format!("`{text}` is no IP address")))
}

fn names(source: &Source<'_>, keys: &Keys<'_>) -> Result<Vec<String>, Problem> {
    let mut also: Vec<String> = Vec::new();
    for item in keys.get("also").map_or(Ok(&[][..]), |also| source.list(also))? {
        let name = source.text(item)?;
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !plain || ["on", "eof", "buffer", "factory"].contains(&name) || also.iter().any(|before| before == name) {
            return Err(source.problem(item.line, format!("`{name}` cannot be the name of a connection")));
        }
        also.push(name.into());
    }
    Ok(also)
}

//! A host of several addresses (`link.to`), and a path that is not free (`link.lies`): what there is beside one address at which somebody listens.

use super::Problem;
use super::model::There;
use super::node::{Keys, Node, Source};
use super::words::{LIES, WHO};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use plimsoll_core::Connect;

/// The name of the host.
pub(crate) const HOST: &str = "scenario.example";

/// Who is at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// The peer of the scenario.
    Peer,
    /// Somebody else, who listens and accepts.
    Other,
    /// Nobody: requests are refused.
    Nobody,
    /// Somebody who never answers.
    Silent,
}

/// One address of the host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) ip: IpAddr,
    pub(crate) who: Who,
    /// Milliseconds until it answers.
    pub(crate) after: Option<u64>,
}

/// The addresses of a host, in the order in which its name gives them, and how they are tried.
#[derive(Clone, Default, Debug)]
pub(crate) struct Race {
    /// None: nobody is looked up by name.
    pub(crate) to: Vec<Candidate>,
    stagger: Option<Duration>,
    interleave: Option<usize>,
}

impl Race {
    pub(crate) fn read(source: &Source<'_>, keys: &Keys<'_>) -> Result<Self, Problem> {
        let count = |key: &str| keys.get(key).map(|node| source.count(node)).transpose();
        let (stagger, interleave) = (count("stagger")?, count("interleave")?);
        let mut to: Vec<Candidate> = Vec::new();
        let Some(node) = keys.get("to") else {
            return match keys.get("stagger").or_else(|| keys.get("interleave")) {
                Some(node) => {
                    Err(source.problem(node.line, "`stagger` and `interleave` say in which way the addresses of `to` are tried"))
                }
                None => Ok(Self::default()),
            };
        };
        for item in source.list(node)? {
            to.push(candidate(source, item, &to)?);
        }
        let peers = to.iter().filter(|one| one.who == Who::Peer).count();
        if to.len() < 2 || peers > 1 {
            return Err(source.problem(node.line, "`to` is two addresses or more, and there is one peer at most"));
        }
        Ok(Self { to, stagger: stagger.map(|ms| Duration::from_millis(ms as u64)), interleave })
    }

    /// Whether a name is looked up.
    pub(crate) fn is_run(&self) -> bool {
        !self.to.is_empty()
    }

    /// How many addresses there are of the newer family.
    pub(crate) fn of_v6(&self) -> usize {
        self.to.iter().filter(|one| one.ip.is_ipv6()).count()
    }

    /// What it needs of a host, each with whether that is so.
    pub(crate) fn needs(&self) -> [(&'static str, bool); 3] {
        let late = self.to.iter().any(|one| one.after.is_some());
        [("resolver", self.is_run()), ("ipv6", self.of_v6() > 0), ("latency", late)]
    }

    /// Who is there, all in all.
    pub(crate) fn there(&self) -> There {
        if self.to.iter().any(|one| one.who == Who::Peer) { There::Peer } else { There::Nobody }
    }

    /// How the application connects to the host, at this port.
    pub(crate) fn connect(&self, port: u16) -> Connect {
        let connect = Connect::host(HOST, port);
        let connect = self.stagger.into_iter().fold(connect, Connect::stagger);
        self.interleave.into_iter().fold(connect, Connect::interleave)
    }
}

/// `["v4", "peer"]`, or with milliseconds behind it.
fn candidate(source: &Source<'_>, item: &Node, before: &[Candidate]) -> Result<Candidate, Problem> {
    let wrong = || {
        let what = format!(
            "an address is `[family, who]`, v4 or v6 and one of {}; and milliseconds until it answers",
            WHO.map(|one| one.0).join(", ")
        );
        source.problem(item.line, what)
    };
    let (family, who, after) = match source.list(item)? {
        [family, who] => (family, who, None),
        [family, who, after] => (family, who, Some(source.count(after)? as u64)),
        _ => return Err(wrong()),
    };
    let number = |v6: bool| before.iter().filter(|one| one.ip.is_ipv6() == v6).count() as u16 + 1;
    let ip: IpAddr = match source.text(family)? {
        "v4" => Ipv4Addr::new(127, 0, 0, number(false) as u8).into(),
        "v6" => Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, number(true)).into(),
        _ => return Err(wrong()),
    };
    let who = source.text(who)?;
    let who = WHO.iter().find(|one| one.0 == who).ok_or_else(wrong)?.1;
    Ok(Candidate { ip, who, after })
}

/// What lies at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lies {
    /// A socket file that nobody listens at any more.
    Socket,
    /// A file that is none.
    File,
}

/// The path at which a server listens on a Unix socket.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Path {
    /// What lies there already.
    pub(crate) lies: Option<Lies>,
    /// The file stays when the server is closed.
    pub(crate) keeps: bool,
    /// It is no path, but an abstract name.
    pub(crate) is_abstract: bool,
}

impl Path {
    pub(crate) fn read(source: &Source<'_>, keys: &Keys<'_>, goes: bool) -> Result<Self, Problem> {
        let lies = match keys.get("lies") {
            None => None,
            Some(node) => {
                let word = source.text(node)?;
                let known = || source.problem(node.line, "what `lies` at the path is \"socket\", a left one, or \"file\"");
                Some(LIES.iter().find(|one| one.0 == word).ok_or_else(known)?.1)
            }
        };
        let keeps = keys.get("cleanup").map_or(Ok(true), |node| source.flag(node))?;
        let is_abstract = match keys.get("at") {
            None => false,
            Some(node) if source.text(node)? == "abstract" => true,
            Some(node) => return Err(source.problem(node.line, "`at` is \"abstract\" or absent")),
        };
        match ["lies", "cleanup", "at"].into_iter().find_map(|key| keys.get(key)) {
            Some(node) if !goes => {
                Err(source.problem(node.line, "paths go with the kind `unix`, `by = \"server\"` and `open = \"steps\"`"))
            }
            Some(node) if is_abstract && lies.is_some() => Err(source.problem(node.line, "nothing lies at an abstract name")),
            _ => Ok(Self { lies, keeps: !keeps, is_abstract }),
        }
    }
}

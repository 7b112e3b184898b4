//! Steps that contradict each other, and names that nothing refers to.

use super::Problem;
use super::model::{Act, Actor, Command, Given, Scenario, There, Way};
use super::node::Source;
use std::collections::BTreeSet;

const NO_FILE: &str = "there is no file but that of a server on a Unix socket";

/// Everything that can be seen without running it.
pub(crate) fn check(source: &Source<'_>, scenario: &Scenario) -> Result<(), Problem> {
    let mut walk = Walk { source, scenario, jobs: BTreeSet::new(), protocols: BTreeSet::new() };
    walk.steps()?;
    walk.reactions()?;
    walk.unused()?;
    if scenario.link.way == Way::Server && scenario.connections.iter().any(|connection| connection.name == "server") {
        return Err(source.problem(1, "a connection cannot be called `server`"));
    }
    for departure in scenario.departs.values().flatten() {
        let same = |(lane, expect): (&String, &super::pattern::Expect)| {
            scenario.expect.get(lane).is_some_and(|own| own.lines() == expect.lines())
        };
        if departure.expect.iter().all(same) {
            return Err(source.problem(departure.line, "a departure that expects the same is none"));
        }
    }
    Ok(())
}

struct Walk<'a> {
    source: &'a Source<'a>,
    scenario: &'a Scenario,
    jobs: BTreeSet<String>,
    protocols: BTreeSet<String>,
}

impl Walk<'_> {
    fn need(&self, command: &Command, need: &str) -> Result<(), Problem> {
        if self.scenario.needs.iter().any(|own| own == need) {
            Ok(())
        } else {
            Err(self.source.problem(command.line, format!("this needs `{need}`: say so in `needs`")))
        }
    }

    fn steps(&mut self) -> Result<(), Problem> {
        let link = &self.scenario.link;
        for (need, _) in link.race.needs().into_iter().filter(|(_, so)| *so) {
            if !self.scenario.needs.iter().any(|own| own == need) {
                return Err(self.source.problem(1, format!("`link.to` needs `{need}` here: say so in `needs`")));
            }
        }
        let count = self.scenario.connections.len();
        let unix = link.kinds.iter().all(|kind| kind.is_unix());
        let has_file = unix && link.way == Way::Server && !link.path.is_abstract;
        // A connection that is commanded before it is there is one that is being opened.
        let mut opened = vec![link.opens && link.way != Way::Server; count];
        let mut ended: Vec<Option<(usize, &str)>> = vec![None; count];
        let mut finished = vec![false; count];
        let mut received = vec![0_usize; count];
        for command in &self.scenario.steps {
            let wrong = |message: String| Err(self.source.problem(command.line, message));
            match (command.actor, &command.act) {
                (Actor::App(n), Act::Open) if link.opens || !link.completes() || opened[n] => {
                    return wrong("`open` goes with `link.open = \"steps\"`, once a connection".into());
                }
                (Actor::Peer(n), Act::Connect) if link.way != Way::Server || opened[n] => {
                    return wrong("`connect` goes with `link.by = \"server\"`, once a connection".into());
                }
                (Actor::App(_), Act::Open) if link.is_process() => opened.fill(true),
                (Actor::App(n), Act::Open) | (Actor::Peer(n), Act::Connect) => opened[n] = true,
                (Actor::App(n), Act::Turn(commands)) if !opened[n] && commands.iter().any(|own| matches!(own.act, Act::Open)) => {
                    if link.opens || link.way != Way::Connect && !link.is_process() {
                        return wrong("`open` in a `turn` goes with `link.by = \"connect\"` and `link.open = \"steps\"`".into());
                    }
                    opened[n] = true;
                    if link.is_process() {
                        opened.fill(true);
                    }
                }
                (Actor::App(n) | Actor::Peer(n), act) if !opened[n] && !matches!(act, Act::Settle | Act::Wait { .. }) => {
                    return wrong("this connection was not opened yet".into());
                }
                (Actor::Peer(_), _) if link.there != There::Peer => return wrong("nobody answers: there is no peer".into()),
                (Actor::Peer(_), _) if link.way == Way::Adopt && link.given != Given::Connected && !link.kind.is_datagram() => {
                    return wrong("what is given is not connected: there is no peer".into());
                }
                (Actor::Peer(_), _) if !link.through.is_pipe() => {
                    return wrong("what is given is no pipe: it has no other end".into());
                }
                (Actor::Peer(n), act) => {
                    if let Some((line, how)) = ended[n] {
                        return wrong(format!("the peer was {how} in line {line}"));
                    }
                    match act {
                        Act::Close => ended[n] = Some((command.line, "closed")),
                        Act::Reset => {
                            self.need(command, "reset")?;
                            ended[n] = Some((command.line, "reset"));
                        }
                        Act::Eof if finished[n] => return wrong("the peer finished already".into()),
                        Act::Send(_) if finished[n] => return wrong("the peer finished: it cannot send any more".into()),
                        Act::Eof => finished[n] = true,
                        Act::Recv(more) => {
                            received[n] = received[n].saturating_add(*more);
                            let what = if link.kind.is_datagram() { "dgram" } else { "data" };
                            self.reaches(command, what, received[n])?;
                        }
                        _ => {}
                    }
                }
                (Actor::Server, Act::Listen) if link.way == Way::Server && link.is_sized() && link.opens => {
                    return wrong("a server whose socket is made beforehand listens once".into());
                }
                (Actor::Server, _) if link.way != Way::Server => {
                    return wrong("`server` goes with `link.by = \"server\"`".into());
                }
                (Actor::Loop, Act::Threadsafe(_) | Act::Wake(_) | Act::Flood(..)) => self.need(command, "threads")?,
                (Actor::Host, Act::Fault(..)) => self.need(command, "faults")?,
                (Actor::Host, Act::Replace) if has_file => {}
                (Actor::Host, Act::Replace) => return wrong(NO_FILE.into()),
                (Actor::Server, Act::Probe(what)) if what == "file" && !has_file => return wrong(NO_FILE.into()),
                (Actor::Host, _) => self.need(command, "fd-limit")?,
                (Actor::Clock, _) => self.need(command, "clock")?,
                (Actor::Loop, Act::Close) => self.need(command, "close-loop")?,
                _ => {}
            }
            if let Act::Wait { event, amount } = &command.act {
                self.waits(command, event)?;
                self.reaches(command, event, *amount)?;
            }
            self.command(command)?;
        }
        Ok(())
    }

    /// Waiting for what is not expected can only fail.
    fn waits(&self, command: &Command, event: &str) -> Result<(), Problem> {
        let lane = self.scenario.lane_of(command.actor);
        if self.scenario.expect.get(&lane).is_some_and(|expect| expect.mentions(event)) {
            Ok(())
        } else {
            Err(self.source.problem(command.line, format!("`{event}` is waited for, but `expect.{lane}` has no such event")))
        }
    }

    /// And so can waiting for more of it than is expected.
    fn reaches(&self, command: &Command, event: &str, amount: usize) -> Result<(), Problem> {
        let lane = self.scenario.lane_of(command.actor);
        let most = self.scenario.expect.get(&lane).map_or(Some(0), |expect| expect.most(event, self.sent(command.actor)));
        match most {
            Some(most) if most < amount => {
                let what =
                    format!("`{}` needs {amount} of `{event}` by then, but `expect.{lane}` has at most {most}", command.text);
                Err(self.source.problem(command.line, what))
            }
            _ => Ok(()),
        }
    }

    /// How many bytes the peer of a connection sends; a child says what it says.
    fn sent(&self, actor: Actor) -> Option<usize> {
        let (Actor::App(own) | Actor::Peer(own)) = actor else { return None };
        let of = |command: &Command| match (command.actor, &command.act) {
            (Actor::Peer(n), Act::Send(payload)) if n == own => payload.bytes().len(),
            _ => 0,
        };
        (!self.scenario.link.is_process()).then(|| self.scenario.steps.iter().map(of).sum())
    }

    fn reactions(&mut self) -> Result<(), Problem> {
        let scenario = self.scenario;
        let of_connections = scenario.connections.iter().map(|connection| &connection.behaviour);
        for (connection, own) in scenario.connections.iter().enumerate() {
            let mut named = own.behaviour.on.keys();
            if let Some(callback) = named.find(|callback| super::parse_kind::never_called(&scenario.link, connection, callback)) {
                return Err(self
                    .source
                    .problem(1, format!("`app.{}` never gets `{callback}`", own.name).replace("app.`", "app`")));
            }
        }
        for behaviour in of_connections.chain(scenario.protocols.values()) {
            if scenario.link.kind.is_datagram() && (behaviour.keep_open || behaviour.buffer.is_some() || behaviour.factory_raises)
            {
                return Err(self.source.problem(1, "`eof`, `buffer` and `factory` say nothing of datagrams"));
            }
            for reaction in behaviour.on.values() {
                for command in reaction.first.iter().chain(&reaction.each) {
                    self.command(command)?;
                }
            }
        }
        for command in scenario.jobs.values().flatten() {
            self.command(command)?;
        }
        Ok(())
    }

    fn command(&mut self, command: &Command) -> Result<(), Problem> {
        if let Some(why) = super::parse_kind::refusal(&self.scenario.link, command) {
            return Err(self.source.problem(command.line, why));
        }
        match &command.act {
            Act::Turn(commands) => {
                for command in commands {
                    self.command(command)?;
                }
            }
            Act::CallSoon(job) | Act::CallLater(_, job) | Act::Cancel(job) | Act::Flood(_, job) => {
                self.jobs.insert(job.clone());
            }
            Act::Threadsafe(jobs) | Act::Wake(jobs) => self.jobs.extend(jobs.iter().cloned()),
            Act::SendFile(..) => self.need(command, "sendfile")?,
            Act::SetProtocol(name) => {
                self.protocols.insert(name.clone());
            }
            _ => {}
        }
        Ok(())
    }

    fn unused(&self) -> Result<(), Problem> {
        let job = self.scenario.jobs.keys().find(|name| !self.jobs.contains(*name));
        let protocol = self.scenario.protocols.keys().find(|name| !self.protocols.contains(*name));
        match (job, protocol) {
            (Some(job), _) => Err(self.source.problem(1, format!("the job `{job}` is never scheduled"))),
            (_, Some(protocol)) => Err(self.source.problem(1, format!("the protocol `{protocol}` is never set"))),
            _ => Ok(()),
        }
    }
}

impl Scenario {
    /// The lane in which an actor's events are.
    pub(crate) fn lane_of(&self, actor: Actor) -> String {
        let (kind, index) = match actor {
            Actor::App(index) => ("app", index),
            Actor::Peer(index) => ("peer", index),
            Actor::Server | Actor::Loop | Actor::Host | Actor::Clock => return actor.word().into(),
        };
        let name = &self.connections[index].name;
        if name.is_empty() { kind.into() } else { format!("{kind}.{name}") }
    }
}

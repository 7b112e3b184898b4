//! The application on the stage: protocols that write down what they are called with, and do what the scenario says.

use super::disk::{Disk, Sent};
use super::lane::{Arg, Event, Record};
use super::model::{Act, Command, Kind, Reaction, Scenario};
use super::perform::perform;
use super::stage_datagram::Opening;
use crate::sim::Planted;
use core::num::NonZeroUsize;
use core::panic::AssertUnwindSafe;
use plimsoll_core::tls::Tls;
use plimsoll_core::{
    Addr, Buffered, BufferedProtocol, CloseReason, Connect, Context, Data, EndpointId, Error, ErrorKind, Hub, OpenError,
    ProcessId, Protocol, Resource, Role, ServerId, StreamId, TimerId,
};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What lent memory is filled with, to see that the rest of it is left alone.
const UNTOUCHED: u8 = 0xEE;

/// The state of a loop that plays a scenario.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) scenario: Rc<Scenario>,
    pub(crate) record: Record,
    pub(crate) connections: Vec<Live>,
    pub(crate) server: Option<ServerId>,
    /// What `open` starts, and what was started.
    pub(crate) command: Option<plimsoll_core::Command>,
    pub(crate) process: Option<ProcessId>,
    /// What `open` connects to.
    pub(crate) target: Option<Connect>,
    /// Where datagrams reach nobody.
    pub(crate) nobody: Option<Addr>,
    /// Where files are that connections send.
    pub(crate) disk: Option<Box<dyn Disk>>,
    /// What `call_later` last set, by the name of the job.
    pub(crate) timers: BTreeMap<String, TimerId>,
    /// How many connections the server has been given.
    accepted: usize,
    calls: BTreeMap<(usize, String, &'static str), usize>,
}

/// A connection of the scenario's.
#[derive(Default, Debug)]
pub(crate) struct Live {
    pub(crate) id: Option<EndpointId>,
    /// What `open` makes a datagram endpoint of.
    pub(crate) opening: Option<Opening>,
    /// As its peer sees them: ours, and its own.
    pub(crate) ends: Option<(Addr, Addr)>,
    /// The file that it was last to send.
    pub(crate) file: Option<Box<dyn Sent>>,
    pub(crate) filled: usize,
    pub(crate) lost: bool,
}

impl Stage {
    pub(crate) fn new(scenario: &Rc<Scenario>) -> Self {
        let connections = scenario.connections.iter().map(|_| Live::default()).collect();
        Self {
            scenario: scenario.clone(),
            record: Record::default(),
            connections,
            server: None,
            command: None,
            process: None,
            target: None,
            nobody: None,
            disk: None,
            timers: BTreeMap::new(),
            accepted: 0,
            calls: BTreeMap::new(),
        }
    }

    /// The factory of the server.
    pub(crate) fn accept(&mut self) -> Option<Box<dyn Protocol<Self>>> {
        let index = self.accepted;
        self.accepted += 1;
        if self.scenario.link.way == super::model::Way::Server {
            self.record.push("server", Event::new("factory"));
        }
        // More connections than the scenario knows are a fault of its author's: they are refused.
        let behaviour = &self.scenario.connections.get(index)?.behaviour;
        if behaviour.factory_raises {
            raise();
        }
        Some(self.protocol(index, None))
    }

    pub(super) fn player(&self, connection: usize, name: Option<&str>) -> (Player, bool) {
        let behaviour = self.scenario.behaviour(connection, name);
        let player = Player {
            connection,
            name: name.map(Into::into),
            memory: vec![0; behaviour.buffer.unwrap_or(0)],
            lends_nothing: behaviour.on.get("gb").is_some_and(Reaction::is_raise),
        };
        (player, behaviour.buffer.is_some())
    }

    /// A protocol for a connection.
    pub(crate) fn protocol(&self, connection: usize, name: Option<&str>) -> Box<dyn Protocol<Self>> {
        match self.player(connection, name) {
            (player, true) => Box::new(Buffered(player)),
            (player, false) => Box::new(player),
        }
    }

    /// Begins to connect, to open a datagram endpoint, or to start a child.
    pub(crate) fn connect(&mut self, hub: &mut Hub<Self>, connection: usize) {
        if let Some(opening) = self.connections[connection].opening.take() {
            self.open_datagram(hub, connection, opening);
            return;
        }
        if let Some(command) = self.command.take() {
            self.spawn(hub, command);
            return;
        }
        let Some(to) = self.target.clone() else { return };
        let id = match self.player(connection, None) {
            (player, true) => hub.connect(to, Buffered(player)),
            (player, false) => hub.connect(to, player),
        };
        self.opening(hub, connection, id);
    }

    /// Makes a connection of a socket.
    pub(crate) fn adopt(&mut self, hub: &mut Hub<Self>, connection: usize, socket: Resource, tls: Option<&Tls>) {
        let role = match self.scenario.kind() {
            Kind::ReadPipe => Role::ReadPipe,
            Kind::WritePipe => Role::WritePipe,
            _ if self.scenario.link.accepted => Role::Accepted,
            _ => Role::Client,
        };
        let id = match self.player(connection, None) {
            (player, true) => match tls {
                Some(tls) => hub.adopt_tls(socket, role, tls, Buffered(player)),
                None => hub.adopt(socket, role, Buffered(player)),
            },
            (player, false) => match tls {
                Some(tls) => hub.adopt_tls(socket, role, tls, player),
                None => hub.adopt(socket, role, player),
            },
        };
        self.opening(hub, connection, id);
    }

    pub(super) fn opening(&mut self, hub: &Hub<Self>, connection: usize, id: impl Into<EndpointId>) {
        let id = id.into();
        self.connections[connection].id = Some(id);
        if let (Some(_), Some(ends), Some(local)) = (id.datagram(), &mut self.connections[connection].ends, hub.local_addr(id)) {
            ends.0 = local;
        }
        self.record.timeline.bind(&self.lane(connection), id, hub.write_buffer_limits(id));
    }

    pub(crate) fn lane(&self, connection: usize) -> String {
        self.scenario.lane_of(super::model::Actor::App(connection))
    }

    /// A command is about to be carried out.
    pub(crate) fn announce(&self, command: &Command) {
        self.record.timeline.command(&self.scenario.lane_of(command.actor), &command.text);
    }

    pub(crate) fn note(&mut self, connection: usize, event: Event) {
        let lane = self.lane(connection);
        self.record.push(&lane, event);
    }
}

/// A callback of a connection, or of a protocol that it was handed to: noted, and the scenario's reaction carried out.
pub(crate) fn called<Id: Copy + Into<EndpointId>>(
    cx: &mut Context<'_, Stage, Id>,
    connection: usize,
    protocol: Option<&str>,
    word: &'static str,
    event: Event,
) {
    cx.state.note(connection, event);
    let key = (connection, protocol.unwrap_or_default().to_owned(), word);
    let calls = cx.state.calls.entry(key).or_default();
    *calls += 1;
    let first = *calls == 1;
    let scenario = cx.state.scenario.clone();
    let Some(reaction) = scenario.behaviour(connection, protocol).on.get(word) else { return };
    let commands: &[Command] = if first { &reaction.first } else { &[] };
    for command in commands.iter().chain(&reaction.each) {
        match command.act {
            Act::Fail => {
                cx.state.announce(command);
                cx.fail("the scenario says so");
            }
            Act::Raise => {
                cx.state.announce(command);
                raise();
            }
            _ => perform(cx.hub, cx.state, command),
        }
    }
}

/// `connection_made` has returned: that is the completion of an opening (contract RUST-9), unless it failed.
pub(crate) fn opened<Id>(cx: &mut Context<'_, Stage, Id>, connection: usize) {
    let scenario = cx.state.scenario.clone();
    let fails = |reaction: &Reaction| reaction.first.iter().chain(&reaction.each).any(|command| matches!(command.act, Act::Fail));
    if scenario.link.completes() && !scenario.behaviour(connection, None).on.get("cm").is_some_and(fails) {
        cx.state.note(connection, Event::new("done").word("ok"));
    }
}

/// Fails like a panic, without its noise.
pub(crate) fn raise() -> ! {
    Planted::panic("the scenario says so")
}

/// The class of an error, in the words of the files.
pub(crate) fn class(error: Option<ErrorKind>) -> &'static str {
    match error {
        None => "none",
        Some(kind) => crate::sim::ERRORS.iter().find(|(own, _)| *own == kind).map_or("other", |(_, word)| word),
    }
}

/// A protocol of the scenario's; the first one of a connection has no name.
#[derive(Debug)]
pub(crate) struct Player {
    pub(super) connection: usize,
    pub(crate) name: Option<String>,
    memory: Vec<u8>,
    /// It fails where it should lend memory.
    lends_nothing: bool,
}

/// A callback's context, of an endpoint of any kind.
type Cx<'a, Id = StreamId> = Context<'a, Stage, Id>;

impl Player {
    pub(super) fn event(&self, word: &str) -> Event {
        match &self.name {
            Some(name) => Event::new(format!("{name}.{word}")),
            None => Event::new(word),
        }
    }

    pub(super) fn called<Id: Copy + Into<EndpointId>>(&self, cx: &mut Cx<'_, Id>, word: &'static str, event: Event) {
        called(cx, self.connection, self.name.as_deref(), word, event);
    }

    pub(super) fn made<Id: Copy + Into<EndpointId>>(&self, cx: &mut Cx<'_, Id>) {
        cx.state.opening(cx.hub, self.connection, cx.id);
        self.called(cx, "cm", self.event("cm"));
        opened(cx, self.connection);
    }

    fn sent(&self, cx: &mut Cx<'_>, result: &Result<u64, Error>) {
        let event = self.event("sent");
        let event = match result {
            Ok(bytes) => event.with(Arg::Int(*bytes as i64)),
            Err(error) => event.word(class(Some(error.kind()))),
        };
        self.called(cx, "sent", event);
    }

    fn eof(&self, cx: &mut Cx<'_>) -> bool {
        self.called(cx, "eof", self.event("eof"));
        cx.state.scenario.behaviour(self.connection, self.name.as_deref()).keep_open
    }

    pub(super) fn lost<Id: Copy + Into<EndpointId>>(&self, cx: &mut Cx<'_, Id>, reason: &CloseReason) {
        cx.state.connections[self.connection].lost = true;
        let event = self.event("lost").word(class(reason.error().map(Error::kind)));
        self.called(cx, "lost", event);
    }

    pub(super) fn failed<Id>(&self, cx: &mut Cx<'_, Id>, error: &OpenError) {
        cx.state.connections[self.connection].lost = true;
        if cx.state.scenario.needs.iter().any(|need| need == "all-errors") {
            for (_, error) in error.attempts() {
                cx.state.note(self.connection, Event::new("attempt").word(class(Some(error.kind()))));
            }
        }
        let event = Event::new("done").word(class(Some(error.error().kind())));
        cx.state.note(self.connection, event);
    }
}

/// The callbacks that protocols of streams and of datagrams have in common.
macro_rules! common_callbacks {
    ($id:ty) => {
        fn connection_made(&mut self, cx: &mut Context<'_, Stage, $id>) {
            self.made(cx);
        }

        fn pause_writing(&mut self, cx: &mut Context<'_, Stage, $id>) {
            self.called(cx, "pause", self.event("pause"));
        }

        fn resume_writing(&mut self, cx: &mut Context<'_, Stage, $id>) {
            self.called(cx, "resume", self.event("resume"));
        }

        fn open_failed(self: Box<Self>, cx: &mut Context<'_, Stage, $id>, error: OpenError) {
            self.failed(cx, &error);
        }

        fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Stage, $id>, reason: CloseReason) {
            self.lost(cx, &reason);
        }
    };
}
pub(super) use common_callbacks;

impl Protocol<Stage> for Player {
    common_callbacks!(StreamId);

    fn start_tls_done(&mut self, cx: &mut Cx<'_>) {
        self.called(cx, "tls", self.event("tls"));
    }

    fn sendfile_done(&mut self, cx: &mut Cx<'_>, result: Result<u64, Error>) {
        self.sent(cx, &result);
    }

    fn data_received(&mut self, cx: &mut Cx<'_>, data: Data<'_>) {
        self.called(cx, "data", self.event("data").with(Arg::Bytes(data.to_vec())));
    }

    fn eof_received(&mut self, cx: &mut Cx<'_>) -> bool {
        self.eof(cx)
    }
}

impl BufferedProtocol<Stage> for Player {
    common_callbacks!(StreamId);

    fn start_tls_done(&mut self, cx: &mut Cx<'_>) {
        self.called(cx, "tls", self.event("tls"));
    }

    fn sendfile_done(&mut self, cx: &mut Cx<'_>, result: Result<u64, Error>) {
        self.sent(cx, &result);
    }

    fn get_buffer(&mut self, _: Option<NonZeroUsize>) -> &mut [u8] {
        if core::mem::take(&mut self.lends_nothing) {
            raise();
        }
        self.memory.fill(UNTOUCHED);
        &mut self.memory
    }

    fn buffer_updated(&mut self, cx: &mut Cx<'_>, n: usize) {
        let event = self.event("bu").with(Arg::Bytes(self.memory[..n].to_vec()));
        if self.memory[n..].iter().any(|&byte| byte != UNTOUCHED) {
            cx.state.note(self.connection, Event::new("answered").word("get_buffer").word("touched"));
        }
        self.called(cx, "bu", event);
    }

    fn eof_received(&mut self, cx: &mut Cx<'_>) -> bool {
        self.eof(cx)
    }
}

/// Runs something of a host's; what it says when it panics.
pub(crate) fn caught<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    std::panic::catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| String::from(*text));
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".into())
    })
}

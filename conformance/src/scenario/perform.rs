//! Commands of the application: the same in a step, in a callback and in a job.

use super::lane::{Arg, Event};
use super::model::{Act, Actor, Command, Mark};
use super::perform_datagram::of_datagram;
use super::perform_process::of_process;
use super::stage::{Player, Stage, raise};
use core::time::Duration;
use plimsoll_core::{Addr, EndpointId, ErrorKind, Hub, Refusal, WriteLimits, WriteStatus};

pub(crate) const fn word_of(status: WriteStatus) -> &'static str {
    match status {
        WriteStatus::Accepted => "Accepted",
        WriteStatus::Paused => "Paused",
        WriteStatus::Discarded => "Discarded",
        WriteStatus::Refused(Refusal::Unsupported) => "Unsupported",
        WriteStatus::Refused(Refusal::NotConnected) => "NotConnected",
        WriteStatus::Refused(Refusal::Busy) => "Busy",
        WriteStatus::Refused(Refusal::AddressMismatch) => "AddressMismatch",
        _ => "WriteAfterEof",
    }
}

/// Carries out a command; an answer that is not the expected one goes to the lane.
pub(crate) fn perform(hub: &mut Hub<Stage>, stage: &mut Stage, command: &Command) {
    stage.announce(command);
    let (verb, answer) = match command.actor {
        Actor::App(0) if stage.scenario.link.is_process() => of_process(hub, stage, &command.act),
        Actor::App(connection) => of_connection(hub, stage, connection, &command.act),
        Actor::Server => of_server(hub, stage, &command.act),
        Actor::Loop => of_loop(hub, stage, &command.act),
        Actor::Peer(_) | Actor::Host | Actor::Clock => ("", None),
    };
    if let Some(answer) = answer {
        stage.record.timeline.answered(answer);
    }
    if let Some(answer) = answer {
        // A refusal that the file says nothing of is a mistake in it, or a finding.
        if command.answers.as_deref().map_or_else(|| is_refusal(answer), |expected| expected != answer) {
            let lane = stage.scenario.lane_of(command.actor);
            stage.record.push(&lane, Event::new("answered").word(verb).word(answer));
        }
    }
}

pub(crate) type Answer = (&'static str, Option<&'static str>);

fn of_connection(hub: &mut Hub<Stage>, stage: &mut Stage, connection: usize, act: &Act) -> Answer {
    if matches!(act, Act::Open) {
        stage.connect(hub, connection);
    }
    if matches!(act, Act::Probe(what) if what == "made") {
        let lane = stage.lane(connection);
        let made = stage.record.amount(&lane, "cm") > 0;
        stage.note(connection, Event::new("probe").word("made").with(Arg::Bool(made)));
        return ("", None);
    }
    let Some(any) = stage.connections[connection].id else { return ("open", Some("not open")) };
    if let Some(answer) = of_endpoint(hub, stage, connection, any, act) {
        return answer;
    }
    let id = match any {
        EndpointId::Stream(id) => id,
        EndpointId::Datagram(id) => return of_datagram(hub, stage, connection, id, act),
        _ => return ("", None),
    };
    match act {
        Act::Write(payload) => {
            let bytes = payload.bytes();
            let status = hub.write(id, &bytes);
            keep(stage, connection, status, &bytes);
            return ("write", Some(word_of(status)));
        }
        Act::WriteSpoilt(payload) => {
            let bytes = payload.bytes();
            let mut memory = bytes.clone();
            let status = hub.write(id, &memory);
            memory.fill(b'!');
            keep(stage, connection, status, &bytes);
            return ("write_spoilt", Some(word_of(status)));
        }
        Act::WriteLines(lines) => {
            let lines: Vec<Vec<u8>> = lines.iter().map(super::model::Payload::bytes).collect();
            let status = hub.writelines(id, &lines);
            keep(stage, connection, status, &lines.concat());
            return ("writelines", Some(word_of(status)));
        }
        Act::WriteEof => return ("write_eof", Some(hub.write_eof(id).map_or("Unsupported", |()| "Done"))),
        Act::StartTls(leftover) => {
            let link = &stage.scenario.link;
            let Ok(tls) = link.tls.of_app(link.is_server()) else { return ("start_tls", Some("not configured")) };
            let answer = hub.start_tls(id, &tls, &leftover.bytes()).map_err(|error| error.error().kind());
            return ("start_tls", Some(answer.map_or_else(of_refusal, |()| "Done")));
        }
        Act::SendFile(contents, part) => {
            let bytes = contents.bytes();
            let file = stage.disk.as_mut().ok_or(ErrorKind::Unsupported).and_then(|disk| disk.send(hub, id, &bytes, *part));
            let answer = file.map(|file| {
                stage.connections[connection].file = Some(file);
                keep(stage, connection, WriteStatus::Accepted, part.of(&bytes));
            });
            return ("sendfile", Some(answer.map_or_else(of_refusal, |()| "Done")));
        }
        Act::SetProtocol(name) => {
            let protocol = stage.protocol(connection, Some(name));
            hub.set_boxed_protocol(id, protocol);
        }
        _ => {}
    }
    ("", None)
}

/// Whether nothing was done.
fn is_refusal(answer: &str) -> bool {
    !["Done", "Accepted", "Paused", "Discarded"].contains(&answer)
}

const fn of_refusal(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Closed => "Closed",
        ErrorKind::Busy => "Busy",
        ErrorKind::InvalidInput => "InvalidInput",
        ErrorKind::Unsupported => "Unsupported",
        _ => "failed",
    }
}

/// What is said alike to endpoints of every kind; `None`: it is not one of those.
fn of_endpoint(hub: &mut Hub<Stage>, stage: &mut Stage, connection: usize, id: EndpointId, act: &Act) -> Option<Answer> {
    match act {
        Act::Close => hub.close(id),
        Act::Abort | Act::GiveUp => hub.abort(id),
        Act::PauseReading => hub.pause_reading(id),
        Act::ResumeReading => hub.resume_reading(id),
        Act::Limits { low, high } => return Some(("limits", Some(limits(hub, id, *low, *high)))),
        Act::Probe(what) => {
            let event = probe(hub, stage, connection, id, what);
            stage.note(connection, event);
        }
        _ => return None,
    }
    Some(("", None))
}

fn keep(stage: &mut Stage, connection: usize, status: WriteStatus, bytes: &[u8]) {
    if matches!(status, WriteStatus::Accepted | WriteStatus::Paused) {
        let name = stage.scenario.connections[connection].name.clone();
        stage.record.streams(&name).written.extend_from_slice(bytes);
    }
}

fn limits(hub: &mut Hub<Stage>, id: EndpointId, low: Option<Mark>, high: Option<Mark>) -> &'static str {
    let size = hub.write_buffer_size(id);
    let (low, high) = (low.map(|mark| mark.resolve(size)), high.map(|mark| mark.resolve(size)));
    let limits = match (low, high) {
        (Some(low), Some(high)) => WriteLimits::new(low, high),
        (None, Some(high)) => WriteLimits::from_high(high),
        (Some(low), None) => WriteLimits::from_low(low),
        (None, None) => Ok(WriteLimits::DEFAULT),
    };
    limits.map_or("InvalidInput", |limits| word_of(hub.set_write_buffer_limits(id, limits)))
}

fn probe(hub: &mut Hub<Stage>, stage: &Stage, connection: usize, id: EndpointId, what: &str) -> Event {
    let event = Event::new("probe").word(what);
    let named = |addr: Option<Addr>, own: Option<&Addr>, word: &str| match addr.as_ref() {
        None => "none".to_owned(),
        addr if addr == own => word.to_owned(),
        Some(_) => "other".to_owned(),
    };
    let ends = stage.connections[connection].ends.as_ref();
    match what {
        "closing" => event.with(Arg::Bool(hub.is_closing(id))),
        "reading" => event.with(Arg::Bool(hub.is_reading(id))),
        "paused" => event.with(Arg::Bool(hub.is_writing_paused(id))),
        "size" => event.with(Arg::Int(hub.write_buffer_size(id) as i64)),
        "can_write_eof" => event.with(Arg::Bool(id.stream().is_some_and(|id| hub.can_write_eof(id)))),
        "limits" => match hub.write_buffer_limits(id) {
            Some(limits) => event.with(Arg::Int(limits.low() as i64)).with(Arg::Int(limits.high() as i64)),
            None => event.word("none"),
        },
        "local_addr" => event.word(named(hub.local_addr(id), ends.map(|ends| &ends.0), "ours")),
        "peer_addr" => event.word(named(hub.peer_addr(id), ends.map(|ends| &ends.1), "the peer's")),
        "file" => event.with(Arg::Int(stage.connections[connection].file.as_ref().map_or(0, |file| file.position() as i64))),
        "protocol" => match hub.protocol::<Player>(id) {
            Some(player) => event.word(player.name.clone().unwrap_or_else(|| "first".into())),
            None => event.word("none"),
        },
        _ => of_tls(hub, id, event, what),
    }
}

fn of_tls(hub: &Hub<Stage>, id: EndpointId, event: Event, what: &str) -> Event {
    let Some(info) = id.stream().and_then(|id| hub.tls_info(id)) else { return event.word("none") };
    match what {
        "tls" => event.word(info.version.unwrap_or("none")),
        "alpn" => event.word(info.alpn.map_or_else(|| "none".into(), |name| String::from_utf8_lossy(&name).into_owned())),
        "server_name" => event.word(info.server_name.unwrap_or_else(|| "none".into())),
        "cipher" => event.word(info.cipher.unwrap_or("none")).with(Arg::Int(info.cipher_bits.map_or(0, i64::from))),
        _ => event.word(super::secure::whose(&info.peer_certificates)),
    }
}

fn of_server(hub: &mut Hub<Stage>, stage: &mut Stage, act: &Act) -> Answer {
    let Some(id) = stage.server else { return ("server", Some("not there")) };
    match act {
        Act::Start => return ("start", Some(hub.server_start(id).map_or("Closed", |()| "Done"))),
        Act::Close => hub.server_close(id),
        Act::CloseClients => hub.close_clients(id),
        Act::AbortClients => hub.abort_clients(id),
        Act::WaitClosed => hub.wait_closed(id, |_, stage| stage.record.push("server", Event::new("closed"))),
        Act::Probe(what) => {
            let event = Event::new("probe").word(what);
            let answer = if what == "serving" { Arg::Bool(hub.is_serving(id)) } else { Arg::Int(hub.sockets(id).len() as i64) };
            stage.record.push("server", event.with(answer));
        }
        _ => {}
    }
    ("", None)
}

fn of_loop(hub: &mut Hub<Stage>, stage: &mut Stage, act: &Act) -> Answer {
    match act {
        Act::CallSoon(name) => {
            let name = name.clone();
            hub.call_soon(move |hub, stage| job(hub, stage, "soon", &name));
        }
        Act::CallLater(milliseconds, name) => {
            let due = hub.now().saturating_add(Duration::from_millis(*milliseconds));
            let job_name = name.clone();
            let timer = hub.call_at(due, move |hub, stage| {
                if hub.now() < due {
                    stage.record.push("loop", Event::new("early").word(&job_name));
                }
                job(hub, stage, "timer", &job_name);
            });
            stage.timers.extend(timer.map(|timer| (name.clone(), timer)));
        }
        Act::Cancel(name) => {
            if let Some(&timer) = stage.timers.get(name) {
                hub.cancel_timer(timer);
            }
        }
        Act::Report => hub.report("the scenario says so"),
        _ => {}
    }
    ("", None)
}

/// A job of the scenario's, when its time has come.
pub(crate) fn job(hub: &mut Hub<Stage>, stage: &mut Stage, how: &str, name: &str) {
    stage.record.push("loop", Event::new(how).word(name));
    let scenario = stage.scenario.clone();
    for command in scenario.jobs.get(name).into_iter().flatten() {
        match command.act {
            Act::Raise => {
                stage.announce(command);
                raise();
            }
            _ => perform(hub, stage, command),
        }
    }
}

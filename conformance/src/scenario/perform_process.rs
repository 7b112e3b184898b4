//! Commands for a child process itself; those for its pipes are those for connections.

use super::lane::{Arg, Event};
use super::model::Act;
use super::perform::Answer;
use super::stage::Stage;
use plimsoll_core::{Error, ErrorKind, Hub, PipeFd, ProcessId};

pub(crate) fn of_process(hub: &mut Hub<Stage>, stage: &mut Stage, act: &Act) -> Answer {
    if matches!(act, Act::Open) {
        stage.connect(hub, 0);
    }
    let Some(id) = stage.process else { return ("open", Some("not open")) };
    match act {
        Act::Close | Act::GiveUp => hub.close(id),
        Act::Kill => return ("kill", Some(word_of(hub.kill(id)))),
        Act::Terminate => return ("terminate", Some(word_of(hub.terminate(id)))),
        Act::Signal(signal) => return ("signal", Some(word_of(hub.signal(id, *signal)))),
        Act::Probe(what) => {
            let event = probe(hub, id, what);
            stage.note(0, event);
        }
        _ => {}
    }
    ("", None)
}

fn word_of(result: Result<(), Error>) -> &'static str {
    match result.map_err(Error::kind) {
        Ok(()) => "Done",
        Err(ErrorKind::ProcessGone) => "ProcessGone",
        Err(_) => "InvalidInput",
    }
}

fn probe(hub: &Hub<Stage>, id: ProcessId, what: &str) -> Event {
    let event = Event::new("probe").word(what);
    match what {
        "closing" => event.with(Arg::Bool(hub.is_closing(id))),
        "pid" => event.with(Arg::Bool(hub.pid(id).is_some())),
        "returncode" => match hub.returncode(id) {
            Some(code) => event.with(Arg::Int(code.into())),
            None => event.word("none"),
        },
        _ => {
            let pipes: Vec<String> =
                PipeFd::ALL.into_iter().filter(|&fd| hub.pipe(id, fd).is_some()).map(|fd| fd.to_string()).collect();
            event.word(if pipes.is_empty() { "none".into() } else { pipes.join(" ") })
        }
    }
}

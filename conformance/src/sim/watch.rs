//! Watches every connection of a loop: its trace, and the digest of all that happened.

use core::cell::RefCell;
use core::fmt::Write;
use core::hash::{Hash, Hasher};
use plimsoll_core::{EndpointId, Event, Instant, Observer, PipeFd};
use std::collections::BTreeMap;
use std::hash::DefaultHasher;
use std::rc::Rc;

/// One callback of a trace; bytes are counted, and what comes in several pieces is one.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Word(&'static str),
    Data(usize),
    Filled(usize),
    Pipe(PipeFd, usize),
    Lost(String),
    /// A word that is made up.
    Said(String),
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) traced: bool,
    lanes: BTreeMap<EndpointId, Vec<Step>>,
    order: Vec<(EndpointId, String)>,
    digest: DefaultHasher,
    pub(crate) events: u64,
    pub(crate) made: u64,
    pub(crate) lost: u64,
}

impl Log {
    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// `made data(5) eof lost`.
    pub(crate) fn trace(&self, id: EndpointId) -> String {
        let mut text = String::new();
        for step in self.lanes.get(&id).into_iter().flatten() {
            if !text.is_empty() {
                text.push(' ');
            }
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Word(word) => text.write_str(word),
                Step::Data(n) => write!(text, "data({n})"),
                Step::Filled(n) => write!(text, "filled({n})"),
                Step::Pipe(fd, n) => write!(text, "{fd}({n})"),
                Step::Lost(kind) => write!(text, "lost{kind}"),
                Step::Said(word) => text.write_str(word),
            };
        }
        text
    }

    /// Every callback of every connection, in order.
    pub(crate) fn order(&self) -> &[(EndpointId, String)] {
        &self.order
    }

    fn note(&mut self, id: EndpointId, step: Step) {
        let word = match &step {
            Step::Word(word) => String::from(*word),
            Step::Data(_) => String::from("data"),
            Step::Filled(_) => String::from("filled"),
            Step::Pipe(fd, _) => fd.to_string(),
            Step::Lost(_) => String::from("lost"),
            Step::Said(word) => word.clone(),
        };
        self.order.push((id, word));
        let lane = self.lanes.entry(id).or_default();
        match (lane.last_mut(), &step) {
            (Some(Step::Data(sum)), Step::Data(n)) | (Some(Step::Filled(sum)), Step::Filled(n)) => *sum += n,
            (Some(Step::Pipe(from, sum)), Step::Pipe(fd, n)) if from == fd => *sum += n,
            _ => lane.push(step),
        }
    }
}

/// The observer that fills a [`Log`], and shows everything to another one too.
pub(crate) struct Watcher {
    pub(crate) log: Rc<RefCell<Log>>,
    pub(crate) checker: Box<dyn Observer>,
    pub(crate) next: Rc<RefCell<Option<Box<dyn Observer>>>>,
}

impl Observer for Watcher {
    fn round(&mut self, now: Instant) {
        self.checker.round(now);
        if let Some(next) = &mut *self.next.borrow_mut() {
            next.round(now);
        }
    }

    fn event(&mut self, now: Instant, id: EndpointId, event: &Event<'_>) {
        let mut log = self.log.borrow_mut();
        log.events += 1;
        (now, id, core::mem::discriminant(event)).hash(&mut log.digest);
        let step = match event {
            Event::Made => {
                log.made += 1;
                Some(Step::Word("made"))
            }
            Event::Data(bytes) => {
                bytes.hash(&mut log.digest);
                Some(Step::Data(bytes.len()))
            }
            Event::BufferUpdated(bytes) => {
                bytes.hash(&mut log.digest);
                Some(Step::Filled(bytes.len()))
            }
            Event::PipeData(fd, bytes) => {
                bytes.hash(&mut log.digest);
                Some(Step::Pipe(*fd, bytes.len()))
            }
            Event::PipeLost(fd, error) => {
                let kind = error.map_or_else(String::new, |error| format!("({:?})", error.kind()));
                Some(Step::Said(format!("{fd}-lost{kind}")))
            }
            Event::Exited(status) => Some(Step::Said(format!("exited({})", status.returncode()))),
            Event::Datagram(payload, from) => {
                (payload, from).hash(&mut log.digest);
                Some(Step::Said(format!("dgram({})", payload.len())))
            }
            Event::Error(error) => Some(Step::Said(format!("error({:?})", error.kind()))),
            Event::SendfileDone(result) => Some(Step::Said(match result {
                Ok(n) => format!("file({n})"),
                Err(error) => format!("file({:?})", error.kind()),
            })),
            Event::Eof => Some(Step::Word("eof")),
            Event::PauseWriting => Some(Step::Word("pause")),
            Event::ResumeWriting => Some(Step::Word("resume")),
            Event::Timer => Some(Step::Word("timer")),
            Event::StartTlsDone => Some(Step::Word("tls")),
            Event::OpenFailed => Some(Step::Word("open_failed")),
            Event::Lost(reason) => {
                log.lost += 1;
                let kind = reason.error().map_or_else(String::new, |error| format!("({:?})", error.kind()));
                reason.cause().hash(&mut log.digest);
                Some(Step::Lost(kind))
            }
            _ => None,
        };
        if let Some(step) = step.filter(|_| log.traced) {
            log.note(id, step);
        }
        drop(log);
        self.checker.event(now, id, event);
        if let Some(next) = &mut *self.next.borrow_mut() {
            next.event(now, id, event);
        }
    }
}

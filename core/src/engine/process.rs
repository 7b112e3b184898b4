//! Child processes: facts of theirs, and the way of their pipes' bytes to them.

use super::Engine;
use crate::context::Context;
use crate::endpoint::Process;
use crate::error::Error;
use crate::flow::data::Data;
use crate::hub::{Hub, Ready};
use crate::key::{Key, ProcessId, StreamId};
use crate::observer::Event;
use crate::open::OpenError;
use crate::process::{ExitStatus, PipeFd, ProcessEvent};
use crate::protocol::{Protocol, SubprocessProtocol};
use crate::report::{Origin, Report};
use alloc::boxed::Box;

impl<S> Engine<S> {
    /// Whether a child is still to be started: its opening may have been given up.
    #[must_use]
    pub fn is_to_spawn(&mut self, id: ProcessId) -> bool {
        let tag = self.hub.tag;
        self.hub.process_at(id.key).is_some_and(|process| id.tag == tag && process.transport.machine.pid().is_none())
    }

    /// The child was started, and its pipes are kept; or it could not be.
    pub fn spawned(&mut self, id: ProcessId, result: Result<u32, Error>) {
        let Some(process) = self.hub.process_at(id.key) else { return };
        let pipes = process.transport.pipes;
        match result {
            Ok(pid) => {
                process.transport.machine.handle_spawned(pid);
                // The process first: its callback comes before anything of its pipes (contract PROC-2).
                self.push_ready(Ready::Made(id.key));
                for key in pipes.into_iter().flatten() {
                    if let Some(pipe) = self.hub.stream_at(key) {
                        pipe.transport.handle_open();
                        self.push_ready(Ready::Made(key));
                    }
                }
            }
            Err(error) => {
                for key in pipes.into_iter().flatten() {
                    self.hub.abort(self.hub.stream_id(key));
                }
                self.hub.open_failed(id.key, OpenError::new(None, error));
            }
        }
    }

    /// Whether a child's exit is still to be waited for.
    #[must_use]
    pub fn awaits_exit(&mut self, key: Key) -> bool {
        self.hub.process_at(key).is_some_and(|process| process.transport.machine.status().is_none())
    }

    /// The child has ended, and was reaped.
    pub fn exited(&mut self, key: Key, status: ExitStatus) {
        if let Some(process) = self.hub.process_at(key) {
            process.transport.machine.handle_exited(status);
            self.hub.touch(key);
        }
    }

    /// The child has ended, and how cannot be found out, for example because somebody else has reaped it: it counts as exit code 255, as in asyncio.
    pub fn exit_unknown(&mut self, key: Key, error: Error) {
        self.hub.report_of(key, |id| Report::ExitUnknown { id, error });
        self.exited(key, ExitStatus::exited(255));
    }

    /// A signal could not be sent.
    pub fn signal_failed(&mut self, id: ProcessId, error: Error) {
        self.hub.reports.push(Report::SignalFailed { id: id.into(), error });
    }

    /// A turn in which a child's protocol is told one thing that happened.
    pub(super) fn happened(&mut self, key: Key) {
        let Some(process) = self.hub.process_at(key) else { return };
        process.transport.queued = false;
        match process.transport.machine.poll_happened() {
            Some(ProcessEvent::PipeLost(fd, error)) => {
                self.hub.observe(key, &Event::PipeLost(fd, error));
                self.call::<Process<S>, _>(key, |protocol, cx| protocol.pipe_connection_lost(cx, fd, error));
            }
            Some(ProcessEvent::Exited(status)) => {
                self.hub.observe(key, &Event::Exited(status));
                self.call::<Process<S>, _>(key, |protocol, cx| protocol.process_exited(cx, status));
            }
            _ => {}
        }
        if let Some(process) = self.hub.process_at(key) {
            process.transport.machine.handle_told();
        }
        self.hub.touch(key);
    }
}

/// The protocol of a child's pipe: hands everything on to the protocol of the child. The end of the pipe is not its business, so that whoever replaces it
/// does not keep that from the child.
pub(crate) struct Forward {
    pub(crate) process: Key,
    pub(crate) fd: PipeFd,
}

impl<S> Protocol<S> for Forward {
    fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
        cx.hub.observe(self.process, &Event::PipeData(self.fd, &data));
        self.call(cx, |protocol, cx| protocol.pipe_data_received(cx, self.fd, data));
    }

    fn pause_writing(&mut self, cx: &mut Context<'_, S>) {
        self.call(cx, |protocol, cx| protocol.pause_writing(cx));
    }

    fn resume_writing(&mut self, cx: &mut Context<'_, S>) {
        self.call(cx, |protocol, cx| protocol.resume_writing(cx));
    }
}

impl Forward {
    /// Calls the child's protocol inside of a callback of its pipe.
    fn call<S>(
        &self,
        cx: &mut Context<'_, S, StreamId>,
        f: impl FnOnce(&mut dyn SubprocessProtocol<S>, &mut Context<'_, S, ProcessId>),
    ) {
        let Some(protocol) = cx.hub.process_at(self.process).and_then(|process| process.protocol.take()) else { return };
        let id = ProcessId::new(self.process, cx.hub.tag);
        let mut lent = Lent { hub: &mut *cx.hub, key: self.process, protocol: Some(protocol), returned: false };
        if let Some(protocol) = &mut lent.protocol {
            f(&mut **protocol, &mut Context { id, hub: lent.hub, state: &mut *cx.state });
        }
        lent.returned = true;
    }
}

/// A child's protocol on loan to a callback that began at a pipe of its.
struct Lent<'a, S> {
    hub: &'a mut Hub<S>,
    key: Key,
    protocol: Option<Box<dyn SubprocessProtocol<S>>>,
    returned: bool,
}

impl<S> Drop for Lent<'_, S> {
    fn drop(&mut self) {
        // One that was replaced while it ran is not put back; it is dropped last.
        let place = self.hub.process_at(self.key).map(|process| &mut process.protocol);
        if let Some(place) = place.filter(|place| place.is_none()) {
            *place = self.protocol.take();
        }
        if !self.returned {
            self.hub.report_of(self.key, |id| Report::Panicked { origin: Origin::Endpoint(id), message: None });
            // The guard of the pipe's own callback is next, and has nothing to add.
            self.hub.panic_reported = true;
            self.hub.fail_panicked(self.key);
        }
    }
}

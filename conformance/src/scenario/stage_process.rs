//! The protocol of a child process on the stage: its pipes have lanes of their own, so that nothing is said of an order between them.

use super::lane::{Arg, Event};
use super::stage::{Stage, called, class, opened};
use plimsoll_core::{
    CloseReason, Command, Context, Data, Error, ExitStatus, Hub, OpenError, PipeFd, ProcessId, SubprocessProtocol,
};

type Cx<'a> = Context<'a, Stage, ProcessId>;

impl Stage {
    /// Starts the child.
    pub(crate) fn spawn(&mut self, hub: &mut Hub<Self>, command: Command) {
        let id = hub.spawn(command, ChildPlayer);
        self.process = Some(id);
        self.record.timeline.bind("app", id, None);
        for fd in PipeFd::ALL {
            let pipe = hub.pipe(id, fd);
            self.connections[of_pipe(fd)].id = pipe.map(Into::into);
            if let Some(pipe) = pipe {
                self.record.timeline.bind(&self.lane(of_pipe(fd)), pipe, hub.write_buffer_limits(pipe));
            }
        }
    }
}

/// The connection that stands for a pipe.
const fn of_pipe(fd: PipeFd) -> usize {
    1 + fd as usize
}

struct ChildPlayer;

impl SubprocessProtocol<Stage> for ChildPlayer {
    fn connection_made(&mut self, cx: &mut Cx<'_>) {
        called(cx, 0, None, "cm", Event::new("cm"));
        opened(cx, 0);
    }

    fn pipe_data_received(&mut self, cx: &mut Cx<'_>, fd: PipeFd, data: Data<'_>) {
        called(cx, of_pipe(fd), None, "data", Event::new("data").with(Arg::Bytes(data.to_vec())));
    }

    fn pipe_connection_lost(&mut self, cx: &mut Cx<'_>, fd: PipeFd, error: Option<Error>) {
        cx.state.connections[of_pipe(fd)].lost = true;
        called(cx, of_pipe(fd), None, "lost", Event::new("lost").word(class(error.map(Error::kind))));
    }

    fn process_exited(&mut self, cx: &mut Cx<'_>, status: ExitStatus) {
        called(cx, 0, None, "exited", Event::new("exited").with(Arg::Int(status.returncode().into())));
    }

    fn pause_writing(&mut self, cx: &mut Cx<'_>) {
        called(cx, of_pipe(PipeFd::Stdin), None, "pause", Event::new("pause"));
    }

    fn resume_writing(&mut self, cx: &mut Cx<'_>) {
        called(cx, of_pipe(PipeFd::Stdin), None, "resume", Event::new("resume"));
    }

    fn open_failed(self: Box<Self>, cx: &mut Cx<'_>, error: OpenError) {
        cx.state.connections[0].lost = true;
        cx.state.note(0, Event::new("done").word(class(Some(error.error().kind()))));
    }

    fn connection_lost(self: Box<Self>, cx: &mut Cx<'_>, reason: CloseReason) {
        cx.state.connections[0].lost = true;
        called(cx, 0, None, "lost", Event::new("lost").word(class(reason.error().map(Error::kind))));
    }
}

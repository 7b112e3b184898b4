//! Asks a child process for the date: `subprocess_date [--backend mio|polling]`.
//!
//! What it says is complete when its pipe is lost, whether it is known by then that the child has ended or not. `connection_lost` comes behind both.

use core::net::SocketAddr;
use plimsoll_examples::Example;
use plimsoll_mio::{
    CloseReason, Command, Context, Data, ExitStatus, OpenError, PipeFd, ProcessId, Selector, Stdio, SubprocessProtocol,
};
use std::io;
use std::process::ExitCode;

/// What has come of it.
type Answer = Option<io::Result<String>>;

#[derive(Default)]
struct Date {
    output: Vec<u8>,
    status: Option<ExitStatus>,
}

impl SubprocessProtocol<Answer> for Date {
    fn pipe_data_received(&mut self, _: &mut Context<'_, Answer, ProcessId>, _: PipeFd, data: Data<'_>) {
        self.output.extend_from_slice(&data);
    }

    fn process_exited(&mut self, _: &mut Context<'_, Answer, ProcessId>, status: ExitStatus) {
        self.status = Some(status);
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, Answer, ProcessId>, error: OpenError) {
        *cx.state = Some(Err(error.into()));
        cx.hub.stop();
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Answer, ProcessId>, _: CloseReason) {
        *cx.state = Some(match self.status {
            Some(status) if status.success() => Ok(String::from_utf8_lossy(&self.output).trim_end().into()),
            Some(status) => Err(io::Error::other(format!("date: {status}"))),
            None => Err(io::Error::other("date: it has not ended")),
        });
        cx.hub.stop();
    }
}

struct SubprocessDate;

impl Example for SubprocessDate {
    fn run<P: Selector>(self, _: &[SocketAddr]) -> io::Result<()> {
        let mut event_loop = plimsoll_sys::EventLoop::<Answer, P>::new(None)?;
        let date = Command::new("date").stdin(Stdio::Null).stderr(Stdio::Inherit);
        event_loop.hub().spawn(date, Date::default());
        event_loop.run()?;
        let answer = event_loop.state().take().ok_or_else(|| io::Error::other("the loop was stopped"))?;
        println!("Current date: {}", answer?);
        Ok(())
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main(SubprocessDate, &[])
}

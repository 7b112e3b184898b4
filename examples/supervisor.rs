//! Keeps services running, and ends them one after another on SIGTERM or SIGINT: `supervisor [--backend mio|polling]`.
//!
//! A service that ends is started again, a little later each time. On the signal the last one started is asked to end first; one that does not is killed.

use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_examples::Example;
use plimsoll_mio::{
    CloseReason, Command, Context, Data, ExitStatus, Hub, HubExt, OpenError, PipeFd, ProcessId, Selector, Stdio,
    SubprocessProtocol, TimerId,
};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io;
use std::process::ExitCode;

/// What is kept running: names, and lines for the shell.
const SERVICES: [(&str, &str); 3] = [
    ("ticker", "while echo tick; do sleep 1; done"),
    ("brief", "echo done; exit 3"),
    ("stubborn", "trap '' TERM; echo up; while sleep 60; do :; done"),
];

/// The first pause before a service is started again; it doubles each time, up to a hundredfold.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a service has to end when it was asked to.
const GRACE: Duration = Duration::from_millis(500);

/// The longest line of a service that is waited for.
const LONGEST: usize = 4096;

#[derive(Default)]
struct Supervisor {
    running: [Option<ProcessId>; SERVICES.len()],
    starts: [u32; SERVICES.len()],
    ending: bool,
}

impl Supervisor {
    fn start(&mut self, hub: &mut Hub<Self>, service: usize) {
        if !self.ending {
            self.starts[service] += 1;
            let command = Command::shell(SERVICES[service].1).stdin(Stdio::Null).stderr(Stdio::Stdout);
            self.running[service] = Some(hub.spawn(command, Service { service, line: Vec::new() }));
        }
    }

    /// It is gone: it is started again, or the next one is ended.
    fn ended(&mut self, hub: &mut Hub<Self>, service: usize) {
        self.running[service] = None;
        if self.ending {
            self.end_next(hub);
        } else {
            let pause = PAUSE * (1 << (self.starts[service] - 1).min(6)).min(100);
            hub.call_later(pause, move |hub, this: &mut Self| this.start(hub, service));
        }
    }

    /// From now on nothing is started any more.
    fn end_next(&mut self, hub: &mut Hub<Self>) {
        self.ending = true;
        let Some(&id) = self.running.iter().rev().flatten().next() else { return hub.stop() };
        if hub.terminate(id).is_ok() {
            hub.set_timer(id, GRACE);
        }
    }
}

struct Service {
    service: usize,
    line: Vec<u8>,
}

impl Service {
    fn says(&self, what: &str) {
        println!("{}: {what}", SERVICES[self.service].0);
    }
}

impl SubprocessProtocol<Supervisor> for Service {
    fn connection_made(&mut self, _: &mut Context<'_, Supervisor, ProcessId>) {
        self.says("started");
    }

    fn pipe_data_received(&mut self, _: &mut Context<'_, Supervisor, ProcessId>, _: PipeFd, data: Data<'_>) {
        for piece in data.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.ends_with(b"\n") || self.line.len() > LONGEST {
                self.says(String::from_utf8_lossy(&self.line).trim_end());
                self.line.clear();
            }
        }
    }

    fn process_exited(&mut self, cx: &mut Context<'_, Supervisor, ProcessId>, status: ExitStatus) {
        self.says(&status.to_string());
        if cx.state.ending {
            // Whatever it has left behind does not hold us up.
            cx.close();
        }
    }

    fn timer(&mut self, cx: &mut Context<'_, Supervisor, ProcessId>, _: TimerId) {
        self.says("does not end");
        cx.close();
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, Supervisor, ProcessId>, error: OpenError) {
        self.says(&error.to_string());
        cx.state.ended(cx.hub, self.service);
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Supervisor, ProcessId>, _: CloseReason) {
        cx.state.ended(cx.hub, self.service);
    }
}

struct Supervise;

impl Example for Supervise {
    fn run<P: Selector>(self, _: &[SocketAddr]) -> io::Result<()> {
        let mut event_loop = plimsoll_sys::EventLoop::<Supervisor, P>::new(Supervisor::default())?;
        for signal in [SIGTERM, SIGINT] {
            event_loop.hub().on_signal(signal, |hub, supervisor: &mut Supervisor| {
                // Once is enough: a later signal changes nothing.
                if !supervisor.ending {
                    println!("ending");
                    supervisor.end_next(hub);
                }
            })?;
        }
        let (hub, supervisor) = event_loop.hub_and_state();
        for service in 0..SERVICES.len() {
            supervisor.start(hub, service);
        }
        event_loop.run()
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main(Supervise, &[])
}

//! Programs of the system's, as peers.
#![allow(dead_code, reason = "not every test binary uses all of it")]

use super::kit::{PATIENCE, Rig};
use super::missing::missing;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A program whose lines come one by one, those of its standard error output among them.
pub(crate) struct Tool {
    child: Child,
    lines: Receiver<String>,
    /// What it has said.
    pub(crate) said: Vec<String>,
}

fn read(out: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
}

impl Tool {
    /// None, if it is [`missing`].
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new(name);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                missing(name, error);
                return None;
            }
        };
        let (send, lines) = channel();
        read(child.stdout.take().unwrap(), send.clone());
        read(child.stderr.take().unwrap(), send);
        Some(Self { child, lines, said: Vec::new() })
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Says so much that it may have to wait for us; nothing more, once what is returned is dropped.
    pub(crate) fn say_all(&mut self, text: String) -> thread::JoinHandle<ChildStdin> {
        let mut stdin = self.child.stdin.take().unwrap();
        thread::spawn(move || {
            stdin.write_all(text.as_bytes()).unwrap();
            stdin
        })
    }

    /// Says nothing more.
    pub(crate) fn finish(&mut self) {
        self.child.stdin.take();
    }

    /// Iterates the loop until that is so of what it has said.
    #[track_caller]
    pub(crate) fn until(&mut self, rig: &mut Rig, mut reached: impl FnMut(&[String]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !reached(&self.said) {
            let reported = rig.reports.borrow();
            let last = &self.said[self.said.len().saturating_sub(40)..];
            assert!(Instant::now() < deadline, "it said {last:?}: {:?}, {reported:?}", rig.event_loop.state().log);
            drop(reported);
            rig.spin(Duration::from_millis(5));
            self.said.extend(self.lines.try_iter());
        }
    }

    /// Iterates the loop until the tool has said a line with that in it, and returns the line.
    #[track_caller]
    pub(crate) fn until_says(&mut self, rig: &mut Rig, what: &str) -> String {
        self.until(rig, |said| said.iter().any(|line| line.contains(what)));
        self.said.iter().find(|line| line.contains(what)).unwrap().clone()
    }

    /// Iterates the loop until the tool ends; how it does.
    #[track_caller]
    pub(crate) fn ends(&mut self, rig: &mut Rig) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            rig.spin(Duration::from_millis(5));
            self.said.extend(self.lines.try_iter());
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it never ends: {:?}", self.said);
        }
    }

    #[track_caller]
    pub(crate) fn succeeds(mut self, rig: &mut Rig) {
        let status = self.ends(rig);
        assert!(status.success(), "{status}: {:?}", self.said);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A subprocess: a child with its pipes, here stdin and stdout.

use super::lifetime::{cause, lost};
use super::table::{Fact, Machine, Route, State, View, route, state};
use super::walk::World;
use plimsoll_core::{ExitStatus, PipeFd, ProcessEvent, Subprocess};

const PIPES: [PipeFd; 2] = [PipeFd::Stdin, PipeFd::Stdout];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    Spawned,
    PipeEnds(PipeFd),
    Exits,
    Close,
    CallbackFails,
    Turn,
}

struct Child {
    machine: Subprocess,
    past: Vec<Input>,
    left: Vec<PipeFd>,
    failed: bool,
}

impl Child {
    fn new() -> Self {
        Self { machine: Subprocess::new(PIPES), past: Vec::new(), left: PIPES.to_vec(), failed: false }
    }

    fn lives(&self) -> bool {
        self.machine.pid().is_some() && self.machine.status().is_none()
    }

    fn cause(&self) -> &'static str {
        if self.machine.is_losing() { cause(Self::new(), &self.past, Input::Turn) } else { "" }
    }

    /// Tells the protocol everything but `connection_lost`, which waits for its turn.
    fn drain(&mut self, told: &mut Vec<&'static str>) {
        if self.machine.poll_made() {
            told.push("cm");
        }
        while let Some(event) = self.machine.poll_happened() {
            told.push(match event {
                ProcessEvent::PipeLost(..) => "plost",
                ProcessEvent::Exited(_) => "exited",
                other => panic!("{other:?} comes before its turn"),
            });
            self.machine.handle_told();
        }
    }
}

impl World for Child {
    type Input = Input;

    fn inputs(&self) -> Vec<Input> {
        let mut inputs = vec![Input::Close];
        let mut add = |possible: bool, input: Input| inputs.extend(possible.then_some(input));
        add(self.machine.pid().is_none() && !self.machine.is_over(), Input::Spawned);
        add(self.machine.is_made(), Input::CallbackFails);
        add(self.lives(), Input::Exits);
        add(self.machine.is_losing(), Input::Turn);
        inputs.extend(self.left.iter().filter(|_| self.machine.is_made()).map(|&fd| Input::PipeEnds(fd)));
        inputs
    }

    fn apply(&mut self, input: Input) -> Vec<&'static str> {
        let mut told = Vec::new();
        self.past.push(input);
        match input {
            Input::Spawned => self.machine.handle_spawned(7),
            Input::PipeEnds(fd) => {
                self.machine.handle_pipe_lost(fd, None);
                self.left.retain(|other| *other != fd);
            }
            Input::Exits => self.machine.handle_exited(ExitStatus::exited(0)),
            Input::Close => self.machine.close(),
            Input::CallbackFails => {
                self.failed |= !self.machine.is_losing();
                self.machine.fail();
            }
            Input::Turn => told.extend(self.machine.poll_lost().map(|ending| lost(&ending))),
        }
        self.drain(&mut told);
        told.extend(self.machine.poll_kill().then_some("kill"));
        told.extend(self.machine.poll_release().then_some("close pipes"));
        told
    }

    fn key(&self) -> String {
        format!("{} {:?}", self.failed, self.machine)
    }
}

const STATES: &[State] = &[
    state("Init", (180, 44), "the child is to be started"),
    state("Running", (180, 200), "it runs"),
    state("Exited", (480, 200), "`exited` was told, and a pipe is not at its end yet: somebody else may hold it"),
    state("Ending", (180, 400), "closed, or a callback failed: it is killed, and its exit and its pipes are waited for"),
    state("Losing", (800, 200), "the exit and every pipe's end were told, and `lost` waits for its turn"),
    state("Lost", (800, 44), "`lost` was told"),
    state("Gone", (480, 44), "the opening was given up: nothing is ever told"),
];

const ROUTES: &[Route] = &[
    route("Init", "Running", &[], (36, 122)),
    route("Running", "Ending", &[], (30, 296)),
    route("Running", "Losing", &[(300, 280), (680, 280)], (425, 258)),
    route("Exited", "Losing", &[], (540, 172)),
    route("Ending", "Losing", &[(800, 400)], (245, 424)),
    route("Losing", "Lost", &[], (560, 84)),
];

const ROWS: &[&str] =
    &["the child is there", "a pipe ends", "the child exits", "`close`", "a callback fails", "the turn of `lost`"];

fn row(_: &Child, input: Input, _: &Child) -> Option<&'static str> {
    Some(match input {
        Input::Spawned => ROWS[0],
        Input::PipeEnds(_) => ROWS[1],
        Input::Exits => ROWS[2],
        Input::Close => ROWS[3],
        Input::CallbackFails => ROWS[4],
        Input::Turn => ROWS[5],
    })
}

fn life(child: &Child) -> Option<&'static str> {
    let machine = &child.machine;
    Some(match () {
        () if machine.is_given_up() => "Gone",
        () if machine.is_over() => "Lost",
        () if !machine.is_made() => "Init",
        () if machine.is_losing() => "Losing",
        () if machine.is_closing() => "Ending",
        () if machine.status().is_some() => "Exited",
        () => "Running",
    })
}

pub(super) fn machines() -> Vec<Machine> {
    let view = View {
        state: life,
        input: row,
        facts: vec![
            Fact { yes: "all has ended", no: "something is left", holds: |_, after| after.left.is_empty() && !after.lives() },
            Fact { yes: "a callback failed", no: "none failed", holds: |before: &Child, _| before.failed },
            Fact { yes: "its pipes were closed", no: "its pipes are open", holds: |before, _| before.machine.is_closing() },
        ],
        shown: &["cm", "plost", "exited", "kill", "close pipes", "lost(None)", "lost(CallbackFailed)"],
        detail: Child::cause,
    };
    let about = "A child and its pipes, here stdin and stdout: contract 17.5 and PROC-1 to PROC-17. Exit and pipes end in any order; `lost` comes after all of them. \
        `kill` and `close pipes` are what it has done.";
    vec![
        Machine {
            inputs: ROWS.to_vec(),
            routes: ROUTES,
            size: (900, 590),
            ..Machine::blank("process", "A subprocess", about, STATES)
        }
        .seen(Child::new, &view),
    ]
}

//! The connector: several addresses, the first that answers wins.

use super::table::{Fact, Machine, Route, State, View, route, state};
use super::walk::World;
use core::net::{Ipv4Addr, SocketAddr};
use plimsoll_core::{Addr, Call, Connector, ConnectorOp, Error, ErrorKind, Instant};

const REFUSED: Error = Error::from_code(Call::Connect, ErrorKind::ConnectionRefused, 111);
/// The addresses: enough for one that waits beside two that are tried.
const ADDRESSES: u16 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    Succeeds(u8),
    Fails(u8),
    Stagger,
    Cancel,
}

struct Race {
    connector: Connector,
    begun: u8,
    /// Attempts whose result is still to come: those that count, and those that were called off.
    under_way: Vec<u8>,
    called_off: Vec<u8>,
    ending: Option<&'static str>,
}

impl Race {
    fn new() -> Self {
        let to = (1..=ADDRESSES).map(|port| Addr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        let connector = Connector::new(to, [], Some(Connector::STAGGER), Instant::ZERO);
        let mut race = Self { connector, begun: 0, under_way: Vec::new(), called_off: Vec::new(), ending: None };
        race.carry_out();
        race
    }

    fn carry_out(&mut self) -> Vec<&'static str> {
        let mut told = Vec::new();
        while let Some(op) = self.connector.poll_op() {
            told.push(match op {
                ConnectorOp::Start { attempt, .. } => {
                    self.begun += 1;
                    self.under_way.push(attempt);
                    "start the next"
                }
                ConnectorOp::Cancel(attempt) => {
                    self.under_way.retain(|other| *other != attempt);
                    self.called_off.push(attempt);
                    "call off"
                }
                ConnectorOp::Won(_) => {
                    self.under_way.clear();
                    self.ending = Some("Won");
                    "the connection"
                }
                ConnectorOp::Failed(_) => {
                    self.ending = Some("Failed");
                    "all errors"
                }
                other => panic!("{other:?} is new"),
            });
        }
        // However many are called off.
        told.dedup();
        told
    }

    fn waits(&self) -> bool {
        u16::from(self.begun) < ADDRESSES
    }
}

impl World for Race {
    type Input = Input;

    fn inputs(&self) -> Vec<Input> {
        let results = self.under_way.iter().chain(&self.called_off);
        let mut inputs: Vec<Input> = results.flat_map(|&attempt| [Input::Succeeds(attempt), Input::Fails(attempt)]).collect();
        inputs.extend(self.connector.poll_timeout().map(|_| Input::Stagger));
        inputs.push(Input::Cancel);
        inputs
    }

    fn apply(&mut self, input: Input) -> Vec<&'static str> {
        let ended = self.ending.is_some();
        match input {
            Input::Succeeds(attempt) => self.connector.handle_result(attempt, Ok(()), Instant::ZERO),
            Input::Fails(attempt) => {
                self.under_way.retain(|other| *other != attempt);
                self.connector.handle_result(attempt, Err(REFUSED), Instant::ZERO);
            }
            Input::Stagger => {
                if let Some(deadline) = self.connector.poll_timeout() {
                    self.connector.handle_timeout(deadline);
                }
            }
            Input::Cancel => self.connector.cancel(),
        }
        if let Input::Succeeds(attempt) | Input::Fails(attempt) = input {
            self.called_off.retain(|other| *other != attempt);
        }
        let told = self.carry_out();
        if input == Input::Cancel && !ended {
            self.ending = Some("Cancelled");
        }
        told
    }

    fn key(&self) -> String {
        format!("{:?} {:?} {:?} {:?}", self.ending, self.under_way, self.called_off, self.connector)
    }
}

const STATES: &[State] = &[
    state("Trying", (330, 200), "one attempt is under way"),
    state("Racing", (610, 200), "several attempts are under way"),
    state("Won", (820, 60), "one has succeeded; the others were called off"),
    state("Failed", (75, 200), "every attempt has failed, and each address's error is told"),
    state("Cancelled", (820, 340), "the opening was given up; what was under way is called off"),
];

const ROUTES: &[Route] = &[
    route("Trying", "Failed", &[], (30, 150)),
    route("Trying", "Racing", &[], (374, 168)),
    route("Racing", "Trying", &[], (395, 244)),
    route("Trying", "Won", &[(450, 60)], (480, 50)),
    route("Racing", "Won", &[], (440, 120)),
    route("Trying", "Cancelled", &[(450, 340)], (480, 330)),
    route("Racing", "Cancelled", &[], (730, 262)),
];

const ROWS: &[&str] =
    &["an attempt succeeds", "an attempt fails", "the stagger is over", "given up", "one that was called off ends"];

fn row(before: &Race, input: Input, _: &Race) -> Option<&'static str> {
    Some(match input {
        Input::Succeeds(attempt) | Input::Fails(attempt) if before.called_off.contains(&attempt) => ROWS[4],
        Input::Succeeds(_) => ROWS[0],
        Input::Fails(_) => ROWS[1],
        Input::Stagger => ROWS[2],
        Input::Cancel => ROWS[3],
    })
}

pub(super) fn machines() -> Vec<Machine> {
    let view = View {
        state: |race: &Race| Some(race.ending.unwrap_or(if race.under_way.len() > 1 { "Racing" } else { "Trying" })),
        input: row,
        facts: vec![
            Fact { yes: "an address is left", no: "no address is left", holds: |before: &Race, _| before.waits() },
            Fact {
                yes: "the newest, and an address is left",
                no: "an older one, or no address is left",
                holds: |before, after| after.begun > before.begun,
            },
            Fact { yes: "one goes on", no: "several go on", holds: |_, after| after.under_way.len() < 2 },
        ],
        shown: &["start the next", "call off", "the connection", "all errors"],
        detail: |_| "",
    };
    let about = "How an opening goes through its addresses, here three of them: contract LOOP-5 to LOOP-8 and RFC 8305. The next attempt starts when the newest one \
        fails, or when the stagger is over.";
    vec![
        Machine {
            inputs: ROWS.to_vec(),
            routes: ROUTES,
            size: (900, 390),
            ..Machine::blank("connect", "A connector", about, STATES)
        }
        .seen(Race::new, &view),
    ]
}

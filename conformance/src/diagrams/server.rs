//! A server that listens, as the engine keeps it: here with one address.

use super::table::{Fact, Frame, Machine, Route, State, View, route, state};
use super::walk::World;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use plimsoll_core::{
    Addr, Call, Context, Data, Ends, Engine, Error, ErrorKind, Instant, Key, Listen, ListenError, Op, Protocol, Report, ServerId,
    StreamId,
};

/// No more connections at a time.
const MOST: usize = 2;
const TAKEN: Error = Error::from_code(Call::Bind, ErrorKind::AddrInUse, 98);
const EXHAUSTED: Error = Error::from_code(Call::Accept, ErrorKind::DescriptorLimit, 24);

type Told = Vec<&'static str>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    Bound,
    BindFails,
    Start,
    Comes,
    Exhausted,
    Rested,
    Goes,
    Close,
}

/// What the application was told, and its connections.
#[derive(Default)]
struct App {
    told: Told,
    clients: Vec<StreamId>,
}

struct Client;

impl Protocol<App> for Client {
    fn connection_made(&mut self, cx: &mut Context<'_, App>) {
        cx.state.told.push("cm");
        cx.state.clients.push(cx.id);
    }

    fn data_received(&mut self, _: &mut Context<'_, App>, _: Data<'_>) {}
}

struct Server {
    engine: Engine<App>,
    id: ServerId,
    now: Instant,
    binding: bool,
    start: bool,
    listener: Option<Key>,
    clients: usize,
    accepts: bool,
    resting: bool,
    over: bool,
}

fn address(port: u16) -> Addr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
}

impl Server {
    fn new() -> Self {
        let mut engine = Engine::new(App::default());
        let done = |_: &mut _, app: &mut App, result: Result<ServerId, ListenError>| {
            app.told.push(if result.is_ok() { "done(ok)" } else { "done(E)" });
        };
        let id = engine.hub().listen(Listen::on(address(7)).paused(), |_, _| Client, done);
        engine.hub().wait_closed(id, |_, app| app.told.push("wait_closed ends"));
        let mut server = Self {
            engine,
            id,
            now: Instant::ZERO,
            binding: true,
            start: false,
            listener: None,
            clients: 0,
            accepts: false,
            resting: false,
            over: false,
        };
        server.carry_out();
        server
    }

    /// Everything that is due, until nothing is.
    fn carry_out(&mut self) -> Told {
        loop {
            self.engine.begin_round(self.now);
            while self.engine.run_one_ready() || self.engine.run_one_timer() {}
            while let Some(op) = self.engine.poll_op() {
                match op {
                    Op::Accept(_) => self.engine.state().told.push("accept"),
                    Op::Close(key) if self.listener == Some(key) => {
                        self.listener = None;
                        self.engine.state().told.push("close its socket");
                    }
                    _ => {}
                }
            }
            while self.engine.next_dirty().is_some() {}
            let next = self.engine.poll_timeout();
            self.resting = next.is_some();
            if next.is_none_or(|at| at > self.now) {
                break;
            }
        }
        while let Some(report) = self.engine.poll_report() {
            if let Report::AcceptFailed { .. } = report {
                self.engine.state().told.push("report");
            }
        }
        let told = core::mem::take(&mut self.engine.state().told);
        self.over |= told.contains(&"wait_closed ends");
        told
    }
}

impl World for Server {
    type Input = Input;

    fn inputs(&self) -> Vec<Input> {
        let mut inputs = vec![Input::Start, Input::Close];
        let mut add = |possible: bool, some: &[Input]| inputs.extend(some.iter().filter(|_| possible));
        let accepts = self.accepts && !self.resting;
        add(self.binding, &[Input::Bound, Input::BindFails]);
        add(accepts && self.clients < MOST, &[Input::Comes]);
        add(accepts, &[Input::Exhausted]);
        add(self.resting, &[Input::Rested]);
        add(self.clients > 0, &[Input::Goes]);
        inputs
    }

    fn apply(&mut self, input: Input) -> Told {
        let engine = &mut self.engine;
        let mut refused = None;
        match input {
            Input::Bound => {
                self.listener = engine.bound(self.id, Some(address(7)));
                engine.listening(self.id, Ok(()));
                self.binding = false;
            }
            Input::BindFails => {
                engine.listening(self.id, Err(ListenError::new(Some(address(7)), TAKEN)));
                self.binding = false;
            }
            Input::Start => {
                refused = engine.hub().server_start(self.id).err().map(|_| "Closed");
                self.start |= refused.is_none();
            }
            Input::Comes => {
                let ends = Ends::new(Some(address(7)), Some(address(9)));
                self.clients += usize::from(self.listener.and_then(|at| engine.accepted(at, ends)).is_some());
            }
            Input::Exhausted => {
                if let Some(listener) = self.listener {
                    engine.accept_failed(listener, EXHAUSTED);
                }
            }
            Input::Rested => self.now = self.now.saturating_add(Duration::from_secs(2)),
            Input::Goes => {
                if let Some(client) = engine.state().clients.pop() {
                    engine.hub().abort(client);
                    self.clients -= 1;
                }
            }
            Input::Close => engine.hub().server_close(self.id),
        }
        let mut told: Told = refused.into_iter().collect();
        told.extend(self.carry_out());
        self.accepts = self.engine.hub().is_serving(self.id);
        told
    }

    fn key(&self) -> String {
        let Self { binding, start, accepts, resting, over, .. } = self;
        format!("{:?} {:?} {}", [binding, start, accepts, resting, over], self.listener.is_some(), self.clients)
    }
}

const STATES: &[State] = &[
    state("Binding", (120, 44), "names are looked up and addresses bound"),
    state("Bound", (120, 240), "bound, and not told to start"),
    state("Serving", (480, 240), "connections are accepted"),
    state("Resting", (790, 240), "no descriptor was left: nothing is accepted for a second"),
    state("Closing", (640, 440), "closed; connections of it are left"),
    state("Closed", (120, 440), "closed, and no connection of it is left: who waits for that is told"),
];

const FRAMES: &[Frame] = &[Frame { name: "listening", states: &["Serving", "Resting"], edges: (400, 168, 884, 290) }];

const ROUTES: &[Route] = &[
    route("Binding", "Serving", &[(480, 44)], (190, 20)),
    route("Binding", "Closed", &[(40, 44), (40, 440)], (30, 485)),
    route("Bound", "Closed", &[], (130, 312)),
];

const ROWS: &[&str] = &[
    "the addresses are bound",
    "an address cannot be bound",
    "`server_start`",
    "a connection comes",
    "no descriptor is left",
    "it has rested",
    "a connection is lost",
    "`server_close`",
];

fn row(_: &Server, input: Input, _: &Server) -> Option<&'static str> {
    Some(match input {
        Input::Bound => ROWS[0],
        Input::BindFails => ROWS[1],
        Input::Start => ROWS[2],
        Input::Comes => ROWS[3],
        Input::Exhausted => ROWS[4],
        Input::Rested => ROWS[5],
        Input::Goes => ROWS[6],
        Input::Close => ROWS[7],
    })
}

fn life(server: &Server) -> Option<&'static str> {
    Some(match () {
        () if server.over => "Closed",
        () if server.resting => "Resting",
        () if server.accepts => "Serving",
        () if server.listener.is_some() => "Bound",
        () if server.clients == 0 => "Binding",
        () => "Closing",
    })
}

pub(super) fn machines() -> Vec<Machine> {
    let view = View {
        state: life,
        input: row,
        facts: vec![
            Fact { yes: "told to start", no: "not told to start", holds: |before: &Server, _| before.start },
            Fact { yes: "none is left", no: "connections are left", holds: |_, after| after.clients == 0 },
        ],
        shown: &["done(ok)", "done(E)", "accept", "cm", "report", "close its socket", "wait_closed ends", "Closed"],
        detail: |_| "",
    };
    let about = "A server, here with one address and not told to start at first: contract LOOP-13 to LOOP-23. `accept` and `close its socket` are what it has done; `done` is the end of the opening.";
    vec![
        Machine {
            inputs: ROWS.to_vec(),
            frames: FRAMES,
            routes: ROUTES,
            size: (900, 520),
            ..Machine::blank("server", "A server", about, STATES)
        }
        .seen(Server::new, &view),
    ]
}

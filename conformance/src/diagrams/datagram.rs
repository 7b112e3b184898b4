//! A datagram endpoint that is connected to one peer.

use super::lifetime::{answer, cause, lost, marks};
use super::table::{Fact, Machine, Route, State, View, route, state};
use super::walk::World;
use crate::machines::ops::{BROKEN, RESET};
use bytes::BytesMut;
use core::net::{Ipv4Addr, SocketAddr};
use plimsoll_core::{Addr, BufPool, DatagramEvent, DatagramTransport};

/// No more is ever queued: three datagrams of a byte, at 8 bytes each beside it.
const FULL: usize = 27;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    Opened,
    Send,
    SendElsewhere,
    Close,
    Abort,
    PauseReading,
    ResumeReading,
    Marks(usize, usize),
    Comes,
    ReceiveFails,
    Sent,
    SendFails,
    Breaks,
    CallbackFails,
    Turn,
}

struct Datagram {
    transport: DatagramTransport,
    past: Vec<Input>,
    made: bool,
    /// One came while it was not reading.
    kept: bool,
}

fn address(port: u16) -> Addr {
    Addr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

impl Datagram {
    fn new() -> Self {
        Self {
            transport: DatagramTransport::with_remote(marks(9, 18), address(7), true),
            past: Vec::new(),
            made: false,
            kept: false,
        }
    }

    /// Tells the protocol everything but `connection_lost`, which waits for its turn.
    fn drain(&mut self, told: &mut Vec<&'static str>) {
        while !self.transport.is_losing() || self.transport.is_edge_due() || self.transport.is_error_due() {
            match self.transport.poll_event() {
                None => break,
                Some(DatagramEvent::Made) => {
                    self.made = true;
                    told.push("cm");
                }
                Some(DatagramEvent::PauseWriting) => told.push("pause"),
                Some(DatagramEvent::ResumeWriting) => told.push("resume"),
                Some(DatagramEvent::Error(_)) => told.push("err"),
                Some(other) => panic!("{other:?} comes before its turn"),
            }
        }
        while self.transport.poll_held().is_some() {
            told.push("dgram");
            self.kept = false;
        }
    }

    /// With which error it will be lost, seen by letting it happen to another one like it.
    fn cause(&self) -> &'static str {
        if self.transport.is_losing() { cause(Self::new(), &self.past, Input::Turn) } else { "" }
    }
}

impl World for Datagram {
    type Input = Input;

    fn inputs(&self) -> Vec<Input> {
        let transport = &self.transport;
        let mut inputs = vec![Input::SendElsewhere, Input::Close, Input::Abort, Input::PauseReading, Input::ResumeReading];
        inputs.extend([Input::Marks(9, 18), Input::Marks(0, 0)]);
        let mut add = |possible: bool, input: Input| inputs.extend(possible.then_some(input));
        let alive = !transport.is_over();
        add(transport.is_closing() || transport.write_buffer_size() + 9 <= FULL, Input::Send);
        add(alive && !self.made, Input::Opened);
        // What is kept is bounded by whoever drives it.
        add(self.made && !transport.is_closing() && !self.kept, Input::Comes);
        add(self.made && alive, Input::ReceiveFails);
        add(transport.wants_send(), Input::Sent);
        add(transport.wants_send(), Input::SendFails);
        add(self.made && alive, Input::Breaks);
        add(self.made, Input::CallbackFails);
        add(transport.is_losing(), Input::Turn);
        inputs
    }

    fn apply(&mut self, input: Input) -> Vec<&'static str> {
        let (mut told, mut pool) = (Vec::new(), BufPool::new());
        self.past.push(input);
        let transport = &mut self.transport;
        match input {
            Input::Opened => transport.handle_open(None),
            Input::Send => told.extend(answer(transport.send(b"x", None))),
            Input::SendElsewhere => told.extend(answer(transport.send(b"x", Some(address(8))))),
            Input::Close => transport.close(&mut pool),
            Input::Abort => _ = transport.abort(&mut pool),
            Input::PauseReading => _ = transport.pause_reading(),
            Input::ResumeReading => _ = transport.resume_reading(),
            Input::Marks(low, high) => _ = transport.set_write_buffer_limits(marks(low, high)),
            Input::Comes => {
                transport.hold(BytesMut::from(&b"x"[..]), address(7));
                self.kept = true;
            }
            Input::ReceiveFails => transport.handle_receive_error(RESET),
            Input::Sent => transport.handle_sent(1, &mut pool),
            Input::SendFails => transport.handle_send_error(BROKEN, &mut pool),
            Input::Breaks => _ = transport.handle_failure(RESET, &mut pool),
            Input::CallbackFails => _ = transport.fail(&mut pool),
            Input::Turn => {
                if let Some(DatagramEvent::Lost(ending)) = transport.poll_event() {
                    told.push(lost(&ending));
                }
            }
        }
        self.drain(&mut told);
        told
    }

    fn key(&self) -> String {
        format!("{} {} {:?}", self.made, self.kept, self.transport)
    }
}

const STATES: &[State] = &[
    state("Init", (150, 44), "the opening is under way: what is sent is kept"),
    state("Open", (150, 210), "it can be sent to and received from"),
    state("Flushing", (150, 430), "closing, with datagrams left to send; nothing is received"),
    state("Losing", (660, 210), "the cause is settled, and `lost` waits for its turn"),
    state("Lost", (660, 350), "`lost` was told"),
    state("Gone", (660, 44), "the opening was given up: nothing is ever told"),
];

const ROUTES: &[Route] = &[route("Open", "Losing", &[], (225, 234)), route("Flushing", "Losing", &[], (330, 400))];

const ROWS: &[&str] = &[
    "the socket is there",
    "`sendto`",
    "`sendto`, another address",
    "`close`",
    "`abort`",
    "`pause_reading`",
    "`resume_reading`",
    "new marks",
    "a datagram comes",
    "a receive fails",
    "a datagram sent",
    "a send fails",
    "the descriptor breaks",
    "a callback fails",
    "the turn of `lost`",
];

fn row(_: &Datagram, input: Input, _: &Datagram) -> Option<&'static str> {
    Some(match input {
        Input::Opened => ROWS[0],
        Input::Send => ROWS[1],
        Input::SendElsewhere => ROWS[2],
        Input::Close => ROWS[3],
        Input::Abort => ROWS[4],
        Input::PauseReading => ROWS[5],
        Input::ResumeReading => ROWS[6],
        Input::Marks(..) => ROWS[7],
        Input::Comes => ROWS[8],
        Input::ReceiveFails => ROWS[9],
        Input::Sent => ROWS[10],
        Input::SendFails => ROWS[11],
        Input::Breaks => ROWS[12],
        Input::CallbackFails => ROWS[13],
        Input::Turn => ROWS[14],
    })
}

fn life(datagram: &Datagram) -> Option<&'static str> {
    let transport = &datagram.transport;
    Some(match () {
        () if transport.is_over() && datagram.made => "Lost",
        () if transport.is_over() => "Gone",
        () if !datagram.made => "Init",
        () if transport.is_losing() => "Losing",
        () if transport.is_closing() => "Flushing",
        () => "Open",
    })
}

pub(super) fn machines() -> Vec<Machine> {
    let view = View {
        state: life,
        input: row,
        facts: vec![
            Fact { yes: "queue empty", no: "datagrams queued", holds: |before, _| before.transport.write_buffer_size() == 0 },
            Fact { yes: "the last one", no: "more queued", holds: |_, after| after.transport.write_buffer_size() == 0 },
            Fact { yes: "reading", no: "reading paused", holds: |before, _| before.transport.is_reading() },
            Fact { yes: "one was kept", no: "none was kept", holds: |before, _| before.kept },
        ],
        shown: &[
            "cm",
            "dgram",
            "err",
            "lost(None)",
            "lost(E)",
            "lost(CallbackFailed)",
            "Discarded",
            "AddressMismatch",
            "Unsupported",
        ],
        detail: Datagram::cause,
    };
    let about = "UDP and Unix datagrams, here connected to one peer: contract 17.4 and DGRAM-1 to DGRAM-16. Errors of single datagrams are told and end \
        nothing. Its flow is that of a stream.";
    let machine = Machine {
        inputs: ROWS.to_vec(),
        routes: ROUTES,
        size: (900, 490),
        ..Machine::blank("datagram", "A datagram endpoint", about, STATES)
    };
    vec![machine.seen(Datagram::new, &view)]
}

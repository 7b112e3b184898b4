//! The stream transport: its life, its flow of writing, its reading.

use super::lifetime::{answer, cause, lost, marks};
use super::table::{Fact, Frame, Machine, Route, State, View, route, state};
use super::walk::World;
use crate::machines::ops::{BROKEN, NOT_CONNECTED, RESET, SHUTDOWN};
use plimsoll_core::{BufPool, StreamEvent, StreamTransport, Wants};

/// No more is ever queued.
const FULL: usize = 3;
/// The marks at first, and the others that are set.
const MARKS: [(usize, usize); 3] = [(1, 2), (0, 0), (2, 3)];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Input {
    Connected,
    Write(usize),
    WriteEof,
    Close,
    Abort,
    PauseReading,
    /// With the answer to `eof_received`, if an end was kept back.
    ResumeReading(bool),
    Marks(usize, usize),
    Data,
    /// With the answer to `eof_received`.
    Fin(bool),
    ReadFails,
    SentSome,
    SentAll,
    FinSent,
    FinFindsNobody,
    FinFails,
    SendFails,
    HangUp,
    CallbackFails,
    /// The ready list comes to `connection_lost`.
    Turn,
}

/// A transport, and what its protocol was told.
pub(super) struct Stream {
    new: fn() -> StreamTransport,
    transport: StreamTransport,
    past: Vec<Input>,
    made: bool,
    end_came: bool,
    end_told: bool,
    kept_open: bool,
    paused: bool,
    forced: bool,
}

impl Stream {
    pub(super) fn new(new: fn() -> StreamTransport) -> Self {
        Self {
            new,
            transport: new(),
            past: Vec::new(),
            made: false,
            end_came: false,
            end_told: false,
            kept_open: false,
            paused: false,
            forced: false,
        }
    }

    fn tcp() -> Self {
        Self::new(|| StreamTransport::new(marks(MARKS[0].0, MARKS[0].1)))
    }

    fn is_usable(&self) -> bool {
        self.made && !self.transport.is_closing()
    }

    /// Tells the protocol everything but `connection_lost`, which waits for its turn.
    fn drain(&mut self, keep_open: bool, told: &mut Vec<&'static str>) {
        while !self.transport.is_losing() || self.transport.is_edge_due() {
            match self.transport.poll_event() {
                None => break,
                Some(StreamEvent::Made) => {
                    self.made = true;
                    told.push("cm");
                }
                Some(StreamEvent::PauseWriting) => {
                    self.paused = true;
                    told.push("pause");
                }
                Some(StreamEvent::ResumeWriting) => {
                    self.paused = false;
                    told.push("resume");
                }
                Some(StreamEvent::Eof) => {
                    self.end_told = true;
                    told.push("eof");
                    self.transport.keep_open(keep_open);
                    self.kept_open = keep_open && !self.transport.is_closing();
                }
                Some(other) => panic!("{other:?} comes before its turn"),
            }
        }
    }

    /// With which error it will be lost, seen by letting it happen to another one like it.
    fn cause(&self) -> &'static str {
        if self.transport.is_losing() { cause(Self::new(self.new), &self.past, Input::Turn) } else { "" }
    }
}

impl World for Stream {
    type Input = Input;

    fn inputs(&self) -> Vec<Input> {
        let transport = &self.transport;
        let mut inputs = vec![Input::WriteEof, Input::Close, Input::Abort, Input::PauseReading, Input::ResumeReading(true)];
        // What would be queued goes on growing; what is refused does not.
        let refused = transport.is_closing() || transport.wrote_eof() || !transport.can_write();
        let size = transport.write_buffer_size();
        inputs.extend([0, 1, 3].into_iter().filter(|len| refused || size + len <= FULL).map(Input::Write));
        inputs.extend(MARKS.map(|(low, high)| Input::Marks(low, high)));
        let mut add = |possible: bool, some: &[Input]| inputs.extend(some.iter().filter(|_| possible));
        let alive = !transport.is_over();
        let reads = self.is_usable() && transport.can_read();
        add(self.end_came && !self.end_told && reads, &[Input::ResumeReading(false)]);
        add(alive && !self.made, &[Input::Connected]);
        add(reads && !self.end_came, &[Input::Data, Input::Fin(true), Input::Fin(false)]);
        add(alive && self.made && transport.can_read(), &[Input::ReadFails]);
        let wants = transport.wants_send();
        add(wants == Wants::Bytes, &[Input::SentAll, Input::SendFails]);
        add(wants == Wants::Bytes && size > 1, &[Input::SentSome]);
        add(wants == Wants::Fin, &[Input::FinSent, Input::FinFindsNobody, Input::FinFails]);
        let open = alive && self.made && !transport.is_losing();
        add(open && !transport.can_read(), &[Input::HangUp]);
        add(self.made, &[Input::CallbackFails]);
        add(transport.is_losing(), &[Input::Turn]);
        inputs
    }

    fn apply(&mut self, input: Input) -> Vec<&'static str> {
        let (mut told, mut keep_open, mut pool) = (Vec::new(), false, BufPool::new());
        self.past.push(input);
        let transport = &mut self.transport;
        let losing = transport.is_losing();
        let size = transport.write_buffer_size();
        match input {
            Input::Connected => transport.handle_open(),
            Input::Write(len) => told.extend(answer(transport.write(&b"xxx"[..len], &mut pool))),
            Input::WriteEof => told.extend(transport.write_eof().err().map(|_| "Unsupported")),
            Input::Close => transport.close(&mut pool),
            Input::Abort => _ = transport.abort(&mut pool),
            Input::PauseReading => _ = transport.pause_reading(),
            Input::ResumeReading(answer) => {
                transport.resume_reading();
                keep_open = answer;
            }
            Input::Marks(low, high) => _ = transport.set_write_buffer_limits(marks(low, high)),
            Input::Data => told.extend(transport.wants_read().then_some("data")),
            Input::Fin(answer) => {
                transport.handle_eof();
                self.end_came = true;
                keep_open = answer;
            }
            Input::ReadFails => _ = transport.handle_read_error(RESET, &mut pool),
            Input::SentSome => transport.handle_sent(1, &mut pool),
            Input::SentAll => transport.handle_sent(size, &mut pool),
            Input::FinSent | Input::FinFindsNobody => {
                let result = if input == Input::FinSent { Ok(()) } else { Err(NOT_CONNECTED) };
                transport.handle_shutdown(result, &mut pool);
            }
            Input::FinFails => _ = transport.handle_shutdown(Err(SHUTDOWN), &mut pool),
            Input::SendFails => _ = transport.handle_write_error(BROKEN, &mut pool),
            Input::HangUp => _ = transport.handle_hang_up(&mut pool),
            Input::CallbackFails => _ = transport.fail(&mut pool),
            Input::Turn => {
                if let Some(StreamEvent::Lost(ending)) = transport.poll_event() {
                    told.push(lost(&ending));
                }
            }
        }
        let force = [Input::Abort, Input::CallbackFails, Input::ReadFails, Input::SendFails, Input::FinFails];
        self.forced |= !losing && self.transport.is_losing() && force.contains(&input);
        self.drain(keep_open, &mut told);
        told
    }

    fn key(&self) -> String {
        let flags = [self.made, self.end_came, self.end_told, self.kept_open, self.paused, self.forced];
        format!("{flags:?} {:?}", self.transport)
    }
}

// ---- life ----

const LIFE: &[State] = &[
    state("Init", (110, 44), "the opening is under way: what is written is kept, and nothing is told"),
    state("Open", (140, 232), "both directions can be used"),
    state("PeerEof", (470, 158), "`eof` was told and answered true"),
    state("WroteEof", (470, 306), "`write_eof` was called; the FIN is sent, or waits behind the queue"),
    state("BothEof", (800, 232), "both"),
    state("Flushing", (140, 520), "closing gracefully, with something left to send; nothing is read"),
    state("Losing", (600, 520), "the cause is settled, and `lost` waits for its turn"),
    state("Lost", (600, 670), "`lost` was told"),
    state("Gone", (470, 44), "the opening was given up: nothing is ever told"),
];

const LIFE_ROUTES: &[Route] =
    &[route("Init", "WroteEof", &[(40, 44), (40, 306)], (56, 326)), route("Flushing", "Losing", &[], (225, 544))];

/// The rows of a life, in their order; the same for pipes.
pub(super) const ROWS: &[&str] = &[
    "connected",
    "`write` of bytes",
    "`write` of nothing",
    "`write_eof`",
    "`close`",
    "`abort`",
    "`pause_reading`, `resume_reading`",
    "new marks",
    "bytes to read, reading",
    "bytes to read, paused",
    "the peer's end, answered true",
    "the peer's end, answered false",
    "the peer's end, reading paused",
    "a read fails",
    "some bytes sent",
    "all bytes sent",
    "FIN sent (or nobody there)",
    "a send or the FIN fails",
    "the reader goes",
    "a callback fails",
    "the turn of `lost`",
];

pub(super) fn row(before: &Stream, input: Input, _: &Stream) -> Option<&'static str> {
    let told = before.transport.wants_read();
    let kept_back = before.end_came && !before.end_told && before.is_usable();
    let end = |answer: bool| if answer { ROWS[10] } else { ROWS[11] };
    Some(match input {
        Input::Connected => ROWS[0],
        Input::Write(0) => ROWS[2],
        Input::Write(_) => ROWS[1],
        Input::WriteEof => ROWS[3],
        Input::Close => ROWS[4],
        Input::Abort => ROWS[5],
        Input::ResumeReading(answer) if kept_back => end(answer),
        Input::PauseReading | Input::ResumeReading(_) => ROWS[6],
        Input::Marks(..) => ROWS[7],
        Input::Data => ROWS[if told { 8 } else { 9 }],
        Input::Fin(answer) if told => end(answer),
        Input::Fin(_) => ROWS[12],
        Input::ReadFails => ROWS[13],
        Input::SentSome => ROWS[14],
        Input::SentAll => ROWS[15],
        Input::FinSent | Input::FinFindsNobody => ROWS[16],
        Input::FinFails | Input::SendFails => ROWS[17],
        Input::HangUp => ROWS[18],
        Input::CallbackFails => ROWS[19],
        Input::Turn => ROWS[20],
    })
}

pub(super) fn life(stream: &Stream) -> Option<&'static str> {
    let transport = &stream.transport;
    Some(match () {
        () if transport.is_over() && stream.made => "Lost",
        () if transport.is_over() => "Gone",
        () if !stream.made => "Init",
        () if transport.is_losing() => "Losing",
        () if transport.is_closing() => "Flushing",
        () => match (stream.kept_open, transport.wrote_eof() && transport.can_read()) {
            (false, false) => "Open",
            (true, false) => "PeerEof",
            (false, true) => "WroteEof",
            (true, true) => "BothEof",
        },
    })
}

/// What a life shows: everything but the flow callbacks, which have a machine of their own.
pub(super) fn life_view() -> View<Stream> {
    View {
        state: life,
        input: row,
        facts: vec![
            Fact { yes: "queue empty", no: "bytes queued", holds: |before, _| before.transport.write_buffer_size() == 0 },
            Fact { yes: "after `write_eof`", no: "before `write_eof`", holds: |before, _| before.transport.wrote_eof() },
        ],
        shown: &[
            "cm",
            "data",
            "eof",
            "lost(None)",
            "lost(E)",
            "lost(CallbackFailed)",
            "Discarded",
            "WriteAfterEof",
            "Unsupported",
        ],
        detail: Stream::cause,
    }
}

// ---- flow ----

const FLOW: &[State] = &[
    state("Ready", (110, 90), "the application may write"),
    state("Paused", (710, 90), "`pause` was told, and `resume` not yet"),
    state("Ended", (410, 230), "aborted, force-closed or lost: a due `pause` is taken back"),
];

const FLOW_ROWS: &[&str] = &["`write`", "new marks", "bytes sent", "`close`, an end answered false", "abort, failure, loss"];

fn flow_row(before: &Stream, input: Input, after: &Stream) -> Option<&'static str> {
    let closes = !before.transport.is_closing() && after.transport.is_closing();
    Some(match input {
        Input::Write(_) => FLOW_ROWS[0],
        Input::Marks(..) => FLOW_ROWS[1],
        Input::SentSome | Input::SentAll => FLOW_ROWS[2],
        _ if flow(before) != Some("Ended") && flow(after) == Some("Ended") => FLOW_ROWS[4],
        _ if closes => FLOW_ROWS[3],
        _ => return None,
    })
}

fn flow(stream: &Stream) -> Option<&'static str> {
    if !stream.made {
        None
    } else if stream.forced || stream.transport.is_over() {
        Some("Ended")
    } else {
        Some(if stream.paused { "Paused" } else { "Ready" })
    }
}

fn flow_view() -> View<Stream> {
    let above = |_: &Stream, after: &Stream| after.transport.write_buffer_size() > after.transport.write_buffer_limits().high();
    let low = |_: &Stream, after: &Stream| after.transport.write_buffer_size() <= after.transport.write_buffer_limits().low();
    View {
        state: flow,
        input: flow_row,
        facts: vec![
            Fact { yes: "size above high", no: "size at or below high", holds: above },
            Fact { yes: "size at or below low", no: "size above low", holds: low },
            Fact { yes: "closing", no: "not closing", holds: |before, _| before.transport.is_closing() },
        ],
        shown: &["pause", "resume"],
        detail: |_| "",
    }
}

// ---- reading ----

const READING: &[State] = &[
    state("Reading", (110, 90), "what comes is told: `is_reading` is true"),
    state("Paused", (710, 90), "nothing is told, and an end is kept back"),
    state("Ended", (410, 230), "the end was told, or it is closing or lost"),
];

const READING_ROWS: &[&str] = &[
    "bytes to read",
    "`pause_reading`",
    "`resume_reading`",
    "the peer's end",
    "a read fails",
    "a send fails",
    "`close`",
    "`abort`",
    "a callback fails",
];

fn reading_row(_: &Stream, input: Input, _: &Stream) -> Option<&'static str> {
    Some(match input {
        Input::Data => READING_ROWS[0],
        Input::PauseReading => READING_ROWS[1],
        Input::ResumeReading(_) => READING_ROWS[2],
        Input::Fin(_) => READING_ROWS[3],
        Input::ReadFails => READING_ROWS[4],
        Input::SendFails | Input::FinFails => READING_ROWS[5],
        Input::Close => READING_ROWS[6],
        Input::Abort => READING_ROWS[7],
        Input::CallbackFails => READING_ROWS[8],
        _ => return None,
    })
}

fn reading(stream: &Stream) -> Option<&'static str> {
    if !stream.made {
        None
    } else if stream.end_told || stream.transport.is_closing() {
        Some("Ended")
    } else {
        Some(if stream.transport.is_reading() { "Reading" } else { "Paused" })
    }
}

fn reading_view() -> View<Stream> {
    let kept = |before: &Stream, _: &Stream| before.end_came && !before.end_told;
    View {
        state: reading,
        input: reading_row,
        facts: vec![Fact { yes: "an end was kept back", no: "no end was kept back", holds: kept }],
        shown: &["data", "eof"],
        detail: |_| "",
    }
}

pub(super) fn machines() -> Vec<Machine> {
    let life = Machine {
        frames: &[Frame { name: "usable", states: &["Open", "PeerEof", "WroteEof", "BothEof"], edges: (16, 108, 884, 360) }],
        inputs: ROWS.to_vec(),
        routes: LIFE_ROUTES,
        size: (900, 710),
        ..Machine::blank(
            "stream",
            "A stream transport",
            "TCP and Unix streams: contract 17.10. The queue, the flow of writing and the reading have states of their own, below.",
            LIFE,
        )
    };
    let flow = Machine {
        inputs: FLOW_ROWS.to_vec(),
        size: (820, 280),
        ..Machine::blank(
            "flow",
            "The flow of writing",
            "Whether the application is asked to stop writing: contract 17.11. From `connection_made` on; what was written before counts too.",
            FLOW,
        )
    };
    let reading = Machine {
        inputs: READING_ROWS.to_vec(),
        size: (820, 280),
        ..Machine::blank(
            "reading",
            "Reading",
            "Whether the protocol is told what comes: contract 17.12. From `connection_made` on.",
            READING,
        )
    };
    vec![life.seen(Stream::tcp, &life_view()), flow.seen(Stream::tcp, &flow_view()), reading.seen(Stream::tcp, &reading_view())]
}

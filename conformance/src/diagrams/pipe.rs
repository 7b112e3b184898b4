//! The two ends of a pipe: stream transports that only read, and that only write.

use super::lifetime::marks;
use super::stream::{ROWS, Stream, life_view};
use super::table::{Machine, Route, State, route, state};
use plimsoll_core::StreamTransport;

const READING: &[State] = &[
    state("Init", (150, 44), "the opening is under way"),
    state("Open", (150, 210), "it can be read from"),
    state("Losing", (660, 210), "the cause is settled, and `lost` waits for its turn"),
    state("Lost", (660, 350), "`lost` was told"),
    state("Gone", (660, 44), "the opening was given up: nothing is ever told"),
];

const READING_ROUTES: &[Route] = &[route("Open", "Losing", &[], (225, 234))];

const WRITING: &[State] = &[
    state("Init", (150, 44), "the opening is under way: what is written is kept"),
    state("Open", (150, 210), "it can be written to"),
    state("Flushing", (150, 500), "closing, with bytes left to send"),
    state("Losing", (660, 210), "the cause is settled, and `lost` waits for its turn"),
    state("Lost", (660, 350), "`lost` was told"),
    state("Gone", (660, 44), "the opening was given up: nothing is ever told"),
];

const WRITING_ROUTES: &[Route] = &[
    route("Init", "Flushing", &[(40, 44), (40, 500)], (40, 545)),
    route("Init", "Losing", &[], (430, 104)),
    route("Open", "Losing", &[], (225, 234)),
    route("Flushing", "Losing", &[], (290, 454)),
];

pub(super) fn machines() -> Vec<Machine> {
    let read = Machine {
        inputs: ROWS.to_vec(),
        routes: READING_ROUTES,
        size: (900, 390),
        ..Machine::blank("read-pipe", "A read pipe", "The reading end of a pipe: contract 17.3 and PIPE-1 to PIPE-5.", READING)
    };
    let write = Machine {
        inputs: ROWS.to_vec(),
        routes: WRITING_ROUTES,
        size: (900, 570),
        ..Machine::blank(
            "write-pipe",
            "A write pipe",
            "The writing end of a pipe: contract 17.3 and PIPE-6 to PIPE-12. Its flow is that of a stream.",
            WRITING,
        )
    };
    vec![
        read.seen(|| Stream::new(StreamTransport::read_pipe), &life_view()),
        write.seen(|| Stream::new(|| StreamTransport::write_pipe(marks(1, 2))), &life_view()),
    ]
}

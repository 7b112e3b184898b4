//! Datagrams that nobody observes: what an echo costs (no allocation, one call for many), and that what a callback does counts from the next datagram on.

#[macro_use]
mod quiet;

use bytes::{Bytes, BytesMut};
use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_core::driver::{BATCH, Completion, CompletionDriver, CompletionIo, Incoming, Interest};
use plimsoll_core::driver::{ReadinessDriver, ReadinessIo, Ready, Trigger};
use plimsoll_core::{
    Addr, Attempt, CloseReason, Context, Data, Datagram, DatagramId, DatagramProtocol, Ends, Engine, Error, InFlight, Instant,
};
use plimsoll_core::{Key, Outgoing, ReadResult, SocketOption, WriteLimits, WriteStatus};

/// A socket to which datagrams come from two peers in turn, and which takes `part` of them in a call.
#[derive(Default)]
struct Post {
    payload: Vec<u8>,
    waiting: usize,
    part: usize,
    sent: usize,
    receives: usize,
    sends: usize,
    /// The first byte of each datagram is its number, and of others' [`OTHERS`]; of those that are taken it is put down here.
    numbers: Option<Vec<u8>>,
    next: u8,
    receive: Option<(Key, BytesMut)>,
    done: Vec<(Key, Completion<()>)>,
}

/// A number that no datagram has.
const OTHERS: u8 = 255;

fn peer(n: usize) -> Addr {
    SocketAddr::from(([127, 0, 0, 1], 7 + (n % 2) as u16)).into()
}

quiet_sockets!(Post {
    fn open_datagram(&mut self, _: &Datagram) -> Result<((), Ends), Error> {
        Ok(((), Ends::default()))
    }
});

impl ReadinessIo for Post {
    fn trigger(&self) -> Trigger {
        Trigger::Edge
    }

    fn recv(&mut self, (): &mut (), _: &mut [u8]) -> ReadResult {
        Ok(None)
    }

    fn send(&mut self, (): &mut (), _: &[&[u8]]) -> ReadResult {
        Ok(None)
    }

    fn recv_from(&mut self, (): &mut (), blocks: &mut [BytesMut], came: &mut [Incoming]) -> ReadResult {
        self.receives += 1;
        let count = self.waiting.min(blocks.len());
        for (block, came) in blocks.iter_mut().zip(came).take(count) {
            block[..self.payload.len()].copy_from_slice(&self.payload);
            if self.numbers.is_some() {
                block[0] = self.next;
                self.next += u8::from(self.next != OTHERS);
            }
            came.len = self.payload.len();
            came.from = peer(self.waiting);
            self.waiting -= 1;
        }
        Ok((count > 0).then_some(count))
    }

    fn send_to<'a>(&mut self, (): &mut (), mut datagrams: impl ExactSizeIterator<Item = Outgoing<'a>> + Clone) -> ReadResult {
        self.sends += 1;
        let taken = datagrams.len().min(self.part);
        self.sent += taken;
        if let Some(numbers) = &mut self.numbers {
            for datagram in datagrams.take(taken) {
                let byte = if datagram.payload[0] == OTHERS { b'-' } else { b'x' };
                assert!(datagram.payload.len() == self.payload.len() && datagram.payload[1..].iter().all(|&b| b == byte));
                numbers.extend(Some(datagram.payload[0]).filter(|&number| number != OTHERS));
            }
            return Ok((taken > 0).then_some(taken));
        }
        assert!(datagrams.len() <= BATCH && datagrams.all(|datagram| datagram.payload == self.payload));
        Ok(Some(taken))
    }

    fn shutdown_write(&mut self, (): &mut ()) -> Result<(), Error> {
        Ok(())
    }

    fn connect(&mut self, _: &Attempt) -> Result<(), Error> {
        Ok(())
    }

    fn connect_result(&mut self, (): &mut ()) -> Result<Option<Ends>, Error> {
        Ok(Some(Ends::default()))
    }

    fn accept(&mut self, (): &mut ()) -> Result<Option<((), Ends)>, Error> {
        Ok(None)
    }

    fn arm(&mut self, (): &(), _: Key, _: Interest) -> Result<(), Error> {
        Ok(())
    }
}

impl CompletionIo for Post {
    fn recv(&mut self, (): &mut (), _: Key, _: BytesMut) {}

    fn send(&mut self, (): &mut (), _: Key, _: InFlight) {}

    fn recv_from(&mut self, (): &mut (), key: Key, memory: BytesMut) {
        self.receives += 1;
        self.receive = Some((key, memory));
    }

    fn send_to(&mut self, (): &mut (), key: Key, payload: Bytes, to: Option<Addr>) {
        assert!(payload == self.payload && to.is_some());
        self.sends += 1;
        self.sent += 1;
        self.done.push((key, Completion::DatagramSent(Ok(()))));
    }

    fn shutdown_write(&mut self, (): &mut (), _: Key) {}

    fn connect(&mut self, _: Key, _: &Attempt) -> Result<(), Error> {
        Ok(())
    }

    fn accept(&mut self, (): &mut (), _: Key) {}
}

type Cx<'a, S> = Context<'a, S, DatagramId>;

struct Echo;

impl<S> DatagramProtocol<S> for Echo {
    fn datagram_received(&mut self, cx: &mut Cx<'_, S>, data: Data<'_>, from: &Addr) {
        cx.send_to(data, from);
    }
}

const SIZES: [usize; 5] = [0, 64, 1200, 16 * 1024, 65_507];

fn post(size: usize, part: usize) -> Post {
    Post { payload: vec![b'x'; size], part, ..Post::default() }
}

fn here() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

fn run<S>(driver: &mut ReadinessDriver<S, Post>, id: DatagramId, waiting: usize) {
    driver.io().waiting = waiting;
    for _ in 0..4 {
        driver.prepare(Instant::ZERO);
        driver.mark(id.key().index(), Ready { readable: true, writable: true, ..Ready::default() });
        driver.process(Instant::ZERO);
    }
}

#[test]
fn datagrams_are_echoed_without_an_allocation_on_readiness() {
    //= DGRAM-2, DGRAM-11
    for size in SIZES {
        // The kernel takes all that it is offered, or not.
        for part in [BATCH, 5] {
            let mut driver = ReadinessDriver::new(Engine::new(()), post(size, part));
            let id = driver.engine().hub().open_datagram(here(), Echo);
            for _ in 0..40 {
                run(&mut driver, id, 50);
            }
            let allocations = allocation_counter::measure(|| (0..100).for_each(|_| run(&mut driver, id, 50)));
            // A large one is handed on with its block, and as many blocks are kept as a pool keeps.
            assert!(allocations.count_total == 0 || size >= 16 * 1024, "{size} bytes, {part} a send: {allocations:?}");
            assert_eq!(driver.io().sent, 140 * 50);
        }
    }
}

#[test]
fn a_datagram_is_echoed_without_an_allocation_on_completions() {
    //= DGRAM-2, DGRAM-11
    for size in SIZES {
        let mut driver = CompletionDriver::new(Engine::new(()), post(size, 1));
        driver.engine().hub().open_datagram(here(), Echo);
        let mut datagram = |n: usize| {
            let mut waiting = true;
            for _ in 0..6 {
                driver.prepare(Instant::ZERO);
                while let Some((key, completion)) = driver.io().done.pop() {
                    driver.complete(key, completion);
                }
                if let Some((key, mut memory)) = if waiting { driver.io().receive.take() } else { None } {
                    memory[..size].copy_from_slice(&driver.io().payload);
                    driver.complete(key, Completion::DatagramReceived(memory, Ok((size, peer(n)))));
                    waiting = false;
                }
                driver.process(Instant::ZERO);
            }
        };
        (0..40).for_each(&mut datagram);
        let allocations = allocation_counter::measure(|| (0..100).for_each(&mut datagram));
        assert_eq!(allocations.count_total, 0, "{size} bytes");
        assert_eq!(driver.io().sent, 140);
    }
}

#[test]
fn many_datagrams_are_one_receive_and_one_send() {
    //= READ-3, DGRAM-11
    let mut driver = ReadinessDriver::new(Engine::new(()), post(64, BATCH));
    let id = driver.engine().hub().open_datagram(here(), Echo);
    run(&mut driver, id, 200); // Now there is room for a whole batch.
    let before = (driver.io().receives, driver.io().sends);
    driver.io().waiting = BATCH - 1;
    driver.mark(id.key().index(), Ready { readable: true, ..Ready::default() });
    driver.process(Instant::ZERO);
    assert_eq!((driver.io().receives, driver.io().sends), (before.0 + 1, before.1 + 1));
}

type Act = fn(&mut Cx<'_, Log>);

#[derive(Default)]
struct Log {
    told: String,
    other: Option<DatagramId>,
}

/// Answers each datagram, and does something with the second one.
struct Second {
    act: Act,
    name: char,
}

impl DatagramProtocol<Log> for Second {
    fn datagram_received(&mut self, cx: &mut Cx<'_, Log>, data: Data<'_>, from: &Addr) {
        cx.state.told.push(self.name);
        cx.send_to(data, from);
        if cx.state.told.len() == 2 {
            (self.act)(cx);
        }
    }

    fn pause_writing(&mut self, cx: &mut Cx<'_, Log>) {
        cx.state.told.push('P');
    }

    fn resume_writing(&mut self, cx: &mut Cx<'_, Log>) {
        cx.state.told.push('R');
    }

    fn connection_lost(self: Box<Self>, cx: &mut Cx<'_, Log>, _: CloseReason) {
        cx.state.told.push('L');
    }
}

/// What is told when four come at once, how many answers leave, and after how many of them the first send.
fn four(act: Act) -> (String, usize) {
    let mut driver = ReadinessDriver::new(Engine::new(Log::default()), post(3, BATCH));
    let id = driver.engine().hub().open_datagram(here(), Second { act, name: 'd' });
    let other = driver.engine().hub().open_datagram(here(), Second { act: |_| {}, name: 'o' });
    driver.engine().state().other = Some(other);
    // Four in one batch, and not two and two.
    for _ in 0..2 {
        run(&mut driver, other, 2);
    }
    driver.io().sent = 0;
    driver.engine().state().told.clear();
    run(&mut driver, id, 4);
    (core::mem::take(&mut driver.engine().state().told), driver.io().sent)
}

#[test]
fn what_a_callback_does_counts_from_the_next_datagram_on() {
    //= DGRAM-16, DGRAM-15, FLOW-6, FLOW-7, RUST-2, LIFE-14
    assert_eq!(four(|_| {}), ("dddd".into(), 4));
    assert_eq!(four(|cx| cx.pause_reading()), ("dd".into(), 2));
    assert_eq!(four(|cx| cx.close()), ("ddL".into(), 2));
    // What has not been sent goes with it.
    assert_eq!(four(|cx| cx.abort()), ("ddL".into(), 0));
    assert_eq!(four(|cx| cx.fail("so")), ("ddL".into(), 0));
    assert_eq!(four(|cx| cx.set_protocol(Second { act: |_| {}, name: 'n' })), ("ddnn".into(), 4));
    // Looking, timers and options change nothing.
    assert_eq!(four(|cx| assert!(cx.hub.write_buffer_size(cx.id) == 22 && cx.hub.is_reading(cx.id))), ("dddd".into(), 4));
    assert_eq!(four(|cx| assert!(cx.set_timer(Duration::from_secs(9)).is_some())), ("dddd".into(), 4));
    assert_eq!(four(|cx| cx.hub.set_option(cx.id, SocketOption::NoDelay(true))), ("dddd".into(), 4));
    assert_eq!(four(|cx| (cx.pause_reading(), cx.resume_reading()).0), ("dddd".into(), 4));
    // Limits of nothing are over at once: the pause comes before the next, which makes one of its own.
    let limits = |cx: &mut Cx<'_, Log>| {
        assert_eq!(cx.set_write_buffer_limits(WriteLimits::new(0, 0).unwrap()), WriteStatus::Paused);
    };
    assert_eq!(four(limits), ("ddPRdPRdPR".into(), 4));
    // Another endpoint's doings do not keep this one, and are not forgotten.
    let others = |cx: &mut Cx<'_, Log>| {
        let other = cx.state.other.unwrap();
        assert_eq!(cx.hub.send_to(other, b"xxx", peer(0)), WriteStatus::Accepted);
    };
    assert_eq!(four(others), ("dddd".into(), 5));
    assert_eq!(four(|cx| cx.hub.abort(cx.state.other.unwrap())), ("ddddL".into(), 4));
}

#[test]
fn no_more_is_queued_than_the_low_mark_before_it_is_sent() {
    //= FLOW-6, DGRAM-11
    let mut driver = ReadinessDriver::new(Engine::new(Log::default()), post(1200, BATCH));
    let id = driver.engine().hub().open_datagram(here(), Second { act: |_| {}, name: 'd' });
    driver.prepare(Instant::ZERO);
    driver.engine().hub().set_write_buffer_limits(id, WriteLimits::new(2500, 2 * 1208 + 1208).unwrap());
    run(&mut driver, id, 60);
    assert_eq!(driver.engine().state().told, "d".repeat(60));
    assert!(driver.io().sent == 60 && driver.io().sends >= 20);
}

#[test]
fn who_sends_out_of_the_blue_does_not_receive() {
    //= DGRAM-2, READ-3
    let mut driver = ReadinessDriver::new(Engine::new(Log::default()), post(3, BATCH));
    let id = driver.engine().hub().open_datagram(here(), Second { act: |_| {}, name: 'd' });
    run(&mut driver, id, 0);
    let receives = driver.io().receives;
    driver.engine().hub().send_to(id, b"xxx", peer(0));
    for _ in 0..3 {
        driver.prepare(Instant::ZERO);
        assert_eq!(driver.timeout(), None, "nor is it served");
        driver.process(Instant::ZERO);
    }
    assert_eq!((driver.io().sent, driver.io().receives - receives, driver.timeout()), (1, 0, None));
}

/// Answers in all the ways there are.
struct Ways;

impl DatagramProtocol<Log> for Ways {
    fn datagram_received(&mut self, cx: &mut Cx<'_, Log>, data: Data<'_>, from: &Addr) {
        let (number, size) = (data[0], cx.hub.write_buffer_size(cx.id));
        let len = data.len();
        match number % 7 {
            3 => cx.send_to(&data[..], from),
            4 => cx.send_to(data.into_bytes(), from),
            5 => cx.send_to(data.to_vec(), from),
            _ => cx.send_to(data, from),
        };
        assert_eq!(cx.hub.write_buffer_size(cx.id), size + len + 8);
        if number % 11 == 10 {
            // It is looked at.
            cx.pause_reading();
            cx.resume_reading();
        }
    }
}

#[test]
fn answers_leave_in_order_and_whole_whatever_the_kernel_takes_and_whoever_receives_next() {
    //= DGRAM-2, DGRAM-11, DGRAM-12
    for (size, part) in [(1, BATCH), (64, 1), (64, 5), (64, 31), (1200, 7), (20_000, 3)] {
        let mut driver = ReadinessDriver::new(Engine::new(Log::default()), post(size, part));
        let id = driver.engine().hub().open_datagram(here(), Ways);
        let other = driver.engine().hub().open_datagram(here(), Second { act: |_| {}, name: 'o' });
        driver.io().numbers = Some(Vec::new());
        let mut expected = 0;
        for round in 0..12 {
            // Now and then the kernel takes nothing for a while, and others receive into the same blocks.
            driver.io().part = if round % 3 == 1 { 0 } else { part };
            run(&mut driver, id, 20);
            expected += 20;
            let next = core::mem::replace(&mut driver.io().next, OTHERS);
            driver.io().payload = vec![b'-'; size];
            run(&mut driver, other, 40);
            (driver.io().next, driver.io().payload) = (next, vec![b'x'; size]);
        }
        driver.io().part = part;
        for _ in 0..expected {
            run(&mut driver, id, 0);
        }
        assert_eq!(driver.io().numbers, Some((0..expected).collect()), "{size} bytes, {part} a send");
        assert_eq!(driver.engine().hub().write_buffer_size(id), 0);
    }
}

#[test]
fn a_panic_in_a_batch_costs_its_endpoint_and_nobody_else_an_answer() {
    //= RUST-8, DGRAM-16
    let mut driver = ReadinessDriver::new(Engine::new(Log::default()), post(3, BATCH));
    let id = driver.engine().hub().open_datagram(here(), Second { act: |_| panic!("so"), name: 'd' });
    let other = driver.engine().hub().open_datagram(here(), Second { act: |_| {}, name: 'o' });
    for _ in 0..2 {
        run(&mut driver, other, 4);
    }
    (driver.io().sent, driver.io().waiting) = (0, 4);
    driver.engine().state().told.clear();
    driver.mark(id.key().index(), Ready { readable: true, ..Ready::default() });
    let step = core::panic::AssertUnwindSafe(|| driver.process(Instant::ZERO));
    assert!(std::panic::catch_unwind(step).is_err());
    driver.process(Instant::ZERO);
    run(&mut driver, other, 4);
    assert_eq!(driver.engine().state().told, "ddLoooo");
    assert_eq!(driver.io().sent, 4);
}

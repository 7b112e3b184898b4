//! Steady state: what an echoed message costs in allocations (none) and in calls (one receive, one send), on either driver.

#[macro_use]
mod quiet;

use bytes::BytesMut;
use core::net::SocketAddr;
use plimsoll_core::driver::{Completion, CompletionDriver, CompletionIo, Interest};
use plimsoll_core::driver::{ReadinessDriver, ReadinessIo, Ready, Trigger};
use plimsoll_core::{Attempt, Context, Data, Ends, Engine, Error, InFlight, Instant, Key, Protocol};
use plimsoll_core::{ReadResult, StreamId, Wants};

/// A socket that brings the same message again and again and takes everything, `part` bytes at a time.
#[derive(Default)]
struct Tap {
    message: Vec<u8>,
    waiting: bool,
    part: usize,
    sent: usize,
    receives: usize,
    sends: usize,
    receive: Option<(Key, BytesMut)>,
    done: Vec<(Key, Completion<()>)>,
}

quiet_sockets!(Tap {});

impl ReadinessIo for Tap {
    fn trigger(&self) -> Trigger {
        Trigger::Edge
    }

    fn recv(&mut self, (): &mut (), buf: &mut [u8]) -> ReadResult {
        self.receives += 1;
        if !self.waiting {
            return Ok(None);
        }
        self.waiting = false;
        buf[..self.message.len()].copy_from_slice(&self.message);
        Ok(Some(self.message.len()))
    }

    fn send(&mut self, (): &mut (), bufs: &[&[u8]]) -> ReadResult {
        self.sends += 1;
        let n = bufs.iter().map(|buf| buf.len()).sum::<usize>().min(self.part);
        self.sent += n;
        Ok(Some(n))
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

impl CompletionIo for Tap {
    fn recv(&mut self, (): &mut (), key: Key, memory: BytesMut) {
        self.receives += 1;
        self.receive = Some((key, memory));
    }

    fn send(&mut self, (): &mut (), key: Key, bytes: InFlight) {
        self.sends += 1;
        let n = bytes.len().min(self.part);
        self.sent += n;
        self.done.push((key, Completion::Sent(Ok(n))));
    }

    fn shutdown_write(&mut self, (): &mut (), key: Key) {
        self.done.push((key, Completion::ShutDown(Ok(()))));
    }

    fn connect(&mut self, key: Key, _: &Attempt) -> Result<(), Error> {
        self.done.push((key, Completion::Connected(Ok(Ends::default()))));
        Ok(())
    }

    fn accept(&mut self, (): &mut (), _: Key) {}
}

struct Echo;

impl<S> Protocol<S> for Echo {
    fn connection_made(&mut self, cx: &mut Context<'_, S>) {
        cx.hub.read_follows_write(cx.id, cx.id);
    }

    fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
        cx.write(data);
    }
}

const SIZES: [usize; 7] = [64, 512, 4096, 16 * 1024 - 1, 16 * 1024, 64 * 1024 - 1, 64 * 1024];

fn tap(size: usize, part: usize) -> Tap {
    Tap { message: vec![b'x'; size], part, ..Tap::default() }
}

fn open<S>(engine: &mut Engine<S>) -> StreamId {
    let to: SocketAddr = "127.0.0.1:7".parse().unwrap();
    engine.hub().connect(to, Echo)
}

#[test]
fn a_message_is_echoed_without_an_allocation_on_readiness() {
    //= WRITE-2, WRITE-3
    for size in SIZES {
        // The kernel takes the message whole, or in pieces.
        for part in [usize::MAX, size / 2 + 1] {
            let mut driver = ReadinessDriver::new(Engine::new(()), tap(size, part));
            let id = open(driver.engine());
            let mut message = || {
                driver.io().waiting = true;
                for _ in 0..4 {
                    driver.prepare(Instant::ZERO);
                    driver.mark(id.key().index(), Ready { readable: true, writable: true, ..Ready::default() });
                    driver.process(Instant::ZERO);
                }
            };
            for _ in 0..40 {
                message();
            }
            let allocations = allocation_counter::measure(|| (0..100).for_each(|_| message()));
            assert_eq!(allocations.count_total, 0, "{size} bytes, at most {part} a send");
            assert_eq!(driver.io().sent, 140 * size);
        }
    }
}

#[test]
fn a_message_is_echoed_without_an_allocation_on_completions() {
    //= WRITE-2, WRITE-3
    for size in SIZES {
        for part in [usize::MAX, size / 2 + 1] {
            let mut driver = CompletionDriver::new(Engine::new(()), tap(size, part));
            let id = open(driver.engine());
            let mut message = || {
                let mut waiting = true;
                for _ in 0..6 {
                    driver.prepare(Instant::ZERO);
                    while let Some((key, completion)) = driver.io().done.pop() {
                        driver.complete(key, completion);
                    }
                    if waiting {
                        if let Some((key, mut memory)) = driver.io().receive.take() {
                            memory[..size].copy_from_slice(&driver.io().message);
                            driver.complete(key, Completion::Received(memory, Ok(size)));
                            waiting = false;
                        }
                    }
                    driver.process(Instant::ZERO);
                }
            };
            for _ in 0..40 {
                message();
            }
            let allocations = allocation_counter::measure(|| (0..100).for_each(|_| message()));
            assert_eq!(allocations.count_total, 0, "{size} bytes, at most {part} a send");
            assert_eq!(driver.engine().wants_send(id.key()), Wants::Nothing);
            assert_eq!(driver.io().sent, 140 * size);
        }
    }
}

#[test]
fn a_message_is_one_receive_and_one_send() {
    //= READ-3, WRITE-2
    const MESSAGES: usize = 100;
    for size in SIZES {
        let mut driver = ReadinessDriver::new(Engine::new(()), tap(size, usize::MAX));
        let id = open(driver.engine());
        driver.prepare(Instant::ZERO);
        driver.mark(id.key().index(), Ready { writable: true, ..Ready::default() });
        driver.process(Instant::ZERO);
        for _ in 0..MESSAGES {
            driver.io().waiting = true;
            driver.prepare(Instant::ZERO);
            driver.mark(id.key().index(), Ready { readable: true, writable: true, ..Ready::default() });
            driver.process(Instant::ZERO);
        }
        // A block that came back full may not have been all: one more receive finds that it was.
        let probes = if size < 64 * 1024 { 0 } else { MESSAGES };
        assert_eq!((driver.io().receives, driver.io().sends), (MESSAGES + probes, MESSAGES), "{size} bytes");
        assert_eq!(driver.io().sent, MESSAGES * size);
    }
}

#[test]
fn many_writes_of_one_callback_are_one_send() {
    //= WRITE-6, WRITE-13
    struct Chatty;
    impl<S> Protocol<S> for Chatty {
        fn data_received(&mut self, cx: &mut Context<'_, S>, data: Data<'_>) {
            cx.writelines(data.chunks(3));
            cx.write(vec![b'y'; 2000]);
            cx.write("the end");
        }
    }
    let mut driver = ReadinessDriver::new(Engine::new(()), tap(64, usize::MAX));
    let to: SocketAddr = "127.0.0.1:7".parse().unwrap();
    let id = driver.engine().hub().connect(to, Chatty);
    for waiting in [false, true] {
        driver.io().waiting = waiting;
        driver.prepare(Instant::ZERO);
        driver.mark(id.key().index(), Ready { readable: waiting, writable: true, ..Ready::default() });
        driver.process(Instant::ZERO);
    }
    assert_eq!((driver.io().sends, driver.io().sent), (1, 64 + 2000 + 7));
}

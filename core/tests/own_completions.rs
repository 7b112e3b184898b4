//! The driver of completions over a kernel that is played by hand: what comes back when it suits it.
#![allow(clippy::std_instead_of_core, reason = "tests have std anyway")]

#[macro_use]
mod quiet;

use bytes::BytesMut;
use core::net::{Ipv4Addr, SocketAddr};
use core::num::NonZeroUsize;
use plimsoll_core::driver::{Completion, CompletionDriver, CompletionIo};
use plimsoll_core::{
    Attempt, Buffered, BufferedProtocol, Call, CloseReason, Context, Data, Ends, Engine, Error, ErrorKind, InFlight, Instant,
    Key, Listen, Protocol, Report, Resource, Role, SocketOption, StreamId, WriteLimits,
};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What is under way, and where files stand at last.
#[derive(Default)]
struct Ring {
    receives: BTreeMap<Key, BytesMut>,
    sends: usize,
    files: Vec<(Resource, u64)>,
    positions: Vec<u64>,
    options: Vec<SocketOption>,
    accepts: BTreeSet<Key>,
}

fn none<T>() -> Result<T, Error> {
    Err(Error::new(Call::Socket, ErrorKind::Other))
}

quiet_sockets!(options Ring {
    fn watch(&mut self, _: Resource) -> Result<(), Error> {
        Ok(())
    }
    fn set_option(&mut self, (): &(), option: SocketOption) -> Result<(), Error> {
        self.options.push(option);
        Ok(())
    }
    fn finish_file(&mut self, _: Resource, position: u64) {
        self.positions.push(position);
    }
});

impl CompletionIo for Ring {
    fn recv(&mut self, (): &mut (), key: Key, memory: BytesMut) {
        assert!(self.receives.insert(key, memory).is_none(), "one at a time");
    }
    fn send(&mut self, (): &mut (), _: Key, _: InFlight) {
        self.sends += 1;
    }
    fn send_file(&mut self, (): &mut (), _: Key, file: Resource, offset: u64, _: u64) -> Result<(), Resource> {
        self.files.push((file, offset));
        Ok(())
    }
    fn shutdown_write(&mut self, (): &mut (), _: Key) {}
    fn connect(&mut self, _: Key, _: &Attempt) -> Result<(), Error> {
        none()
    }
    fn accept(&mut self, (): &mut (), key: Key) {
        assert!(self.accepts.insert(key), "one at a time");
    }
}

type Log = Vec<String>;
type Driver = CompletionDriver<Log, Ring>;

/// Notes what it hears, and how it ends; panics when it is paused.
struct Plain;

impl Protocol<Log> for Plain {
    fn data_received(&mut self, cx: &mut Context<'_, Log>, data: Data<'_>) {
        cx.state.push(data.escape_ascii().to_string());
    }
    fn pause_writing(&mut self, _: &mut Context<'_, Log>) {
        panic!("on purpose");
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Log>, reason: CloseReason) {
        cx.state.push(format!("lost({:?}) {}", reason.error().map(Error::kind), reason.discarded()));
    }
}

/// Lends two bytes at a time, and writes to another whenever they are filled.
struct Lender([u8; 2], StreamId);

impl BufferedProtocol<Log> for Lender {
    fn get_buffer(&mut self, _: Option<NonZeroUsize>) -> &mut [u8] {
        &mut self.0
    }
    fn buffer_updated(&mut self, cx: &mut Context<'_, Log>, n: usize) {
        cx.state.push(self.0[..n].escape_ascii().to_string());
        cx.hub.write(self.1, "x");
    }
}

fn turn(driver: &mut Driver) {
    driver.prepare(Instant::ZERO);
    driver.process(Instant::ZERO);
}

/// A connection or a pipe that is made.
fn adopted(driver: &mut Driver, role: Role, protocol: impl Protocol<Log> + 'static) -> StreamId {
    let id = driver.engine().hub().adopt(Resource::new(()), role, protocol);
    turn(driver);
    turn(driver);
    id
}

fn driver() -> Driver {
    CompletionDriver::new(Engine::new(Log::new()), Ring::default())
}

#[test]
fn a_send_that_is_under_way_says_more_of_a_pipe_than_that_its_reader_has_gone() {
    //= PIPE-7, PIPE-8
    let broken = Error::new(Call::Send, ErrorKind::BrokenPipe);
    for (sent, end) in [(Ok(3), "lost(None) 0"), (Err(broken), "lost(Some(BrokenPipe)) 3")] {
        let mut driver = driver();
        let pipe = adopted(&mut driver, Role::WritePipe, Plain);
        driver.engine().hub().write(pipe, "xyz");
        turn(&mut driver);
        assert_eq!(driver.io().sends, 1);
        driver.complete(pipe.key(), Completion::HungUp);
        turn(&mut driver);
        turn(&mut driver);
        assert!(driver.engine().state().is_empty());
        driver.complete(pipe.key(), Completion::Sent(sent));
        turn(&mut driver);
        turn(&mut driver);
        assert_eq!(*driver.engine().state(), [end]);
    }
}

#[test]
fn a_file_that_comes_back_when_its_connection_is_gone_stands_behind_what_was_sent_of_it() {
    //= LOOP-28
    let mut driver = driver();
    let id = adopted(&mut driver, Role::Client, Plain);
    driver.engine().hub().send_resource(id, Resource::new(1_u8), 5..).unwrap();
    turn(&mut driver);
    let (file, offset) = driver.io().files.pop().unwrap();
    driver.engine().hub().abort(id);
    for _ in 0..4 {
        turn(&mut driver);
    }
    assert_eq!(driver.engine().state().len(), 1);
    driver.complete(id.key(), Completion::FileSent(file, offset, Ok(3)));
    turn(&mut driver);
    assert_eq!((offset, driver.io().positions.as_slice()), (5, &[8][..]));
}

#[test]
fn what_is_held_behind_a_callback_that_panicked_is_delivered() {
    //= RUST-8, BUF-4
    let mut driver = driver();
    let other = adopted(&mut driver, Role::Client, Plain);
    driver.engine().hub().set_write_buffer_limits(other, WriteLimits::new(0, 0).unwrap());
    let id = adopted(&mut driver, Role::Client, Buffered(Lender([0; 2], other)));
    let mut memory = driver.io().receives.remove(&id.key()).unwrap();
    memory[..5].copy_from_slice(b"hello");
    driver.complete(id.key(), Completion::Received(memory, Ok(5)));
    assert!(catch_unwind(AssertUnwindSafe(|| driver.process(Instant::ZERO))).is_err());
    assert_eq!(*driver.engine().state(), ["he"]);
    driver.process(Instant::ZERO);
    turn(&mut driver);
    assert_eq!(driver.engine().state().concat(), "hellolost(Some(CallbackFailed)) 1");
    assert!(driver.io().receives.contains_key(&id.key()), "and more is received");
}

#[test]
fn a_socket_that_is_taken_over_is_set_not_to_delay_and_a_pipe_is_left_alone() {
    //= LOOP-11, PIPE-6
    let mut driver = driver();
    adopted(&mut driver, Role::WritePipe, Plain);
    assert!(driver.io().options.is_empty());
    adopted(&mut driver, Role::Client, Plain);
    assert_eq!(driver.io().options, [SocketOption::NoDelay(true)]);
}

#[test]
fn no_descriptor_can_be_watched_where_nothing_is_said_of_readiness() {
    let mut driver = driver();
    let id = driver.engine().hub().watch_resource(Resource::new(()));
    // Nothing has to be said of it yet.
    turn(&mut driver);
    assert!(driver.engine().hub().is_watching(id));
    driver.engine().hub().add_reader(id, |_, _| {}).unwrap();
    turn(&mut driver);
    assert!(matches!(driver.engine().poll_report(), Some(Report::WatchFailed { id: told, .. }) if told == id));
    assert!(!driver.engine().hub().is_watching(id));
}

/// Lets it be looked at whether more is to be received.
fn pause_and_resume(driver: &mut Driver, id: StreamId) {
    driver.engine().hub().pause_reading(id);
    turn(driver);
    driver.engine().hub().resume_reading(id);
    turn(driver);
}

#[test]
fn a_receive_that_is_under_way_is_not_begun_again_whatever_is_sent() {
    //= LOOP-28, READ-5
    let mut driver = driver();
    let id = adopted(&mut driver, Role::Client, Plain);
    pause_and_resume(&mut driver, id);
    driver.engine().hub().write(id, "xyz");
    turn(&mut driver);
    pause_and_resume(&mut driver, id);
    driver.complete(id.key(), Completion::Sent(Ok(3)));
    turn(&mut driver);
    pause_and_resume(&mut driver, id);
    driver.engine().hub().send_resource(id, Resource::new(1_u8), 5..8).unwrap();
    turn(&mut driver);
    let (file, offset) = driver.io().files.pop().unwrap();
    driver.complete(id.key(), Completion::FileSent(file, offset, Ok(3)));
    (0..2).for_each(|_| turn(&mut driver));
    pause_and_resume(&mut driver, id);
    driver.engine().hub().write_eof(id).unwrap();
    turn(&mut driver);
    driver.complete(id.key(), Completion::ShutDown(Ok(())));
    turn(&mut driver);
    pause_and_resume(&mut driver, id);
    let memory = driver.io().receives.remove(&id.key()).unwrap();
    driver.complete(id.key(), Completion::Received(memory, Ok(1)));
    turn(&mut driver);
    assert!(driver.io().receives.contains_key(&id.key()) && driver.io().sends == 1);
}

#[test]
fn a_server_that_rested_begins_to_accept_where_it_does_not_do_so_already() {
    //= LOOP-22, LOOP-23
    let mut driver = driver();
    let addrs = [1, 2].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let listen = Listen::on(addrs[0]).and(addrs[1]);
    driver.listen(&listen, |_, _| Some(Box::new(Plain) as Box<dyn Protocol<Log>>)).unwrap();
    turn(&mut driver);
    let all = driver.io().accepts.clone();
    assert_eq!(all.len(), 2);
    let first = driver.io().accepts.pop_first().unwrap();
    driver.complete(first, Completion::Accepted(Err(Error::new(Call::Accept, ErrorKind::OutOfMemory))));
    turn(&mut driver);
    assert_eq!(driver.io().accepts.len(), 1, "it rests");
    let later = driver.timeout().unwrap();
    driver.process(later);
    assert_eq!(driver.io().accepts, all);
}

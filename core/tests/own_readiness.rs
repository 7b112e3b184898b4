//! The driver of readiness over a poller that is played by hand: what is said one word at a time, or to nobody.

#[macro_use]
mod quiet;

use core::iter;
use plimsoll_core::driver::{Interest, ReadinessDriver, ReadinessIo, Ready, Trigger};
use plimsoll_core::{
    Attempt, Call, CloseReason, Context, Data, Ends, Engine, Error, ErrorKind, Instant, Key, Protocol, Resource, Role, StreamId,
};

/// What the kernel has for us and takes from us, whoever asks.
#[derive(Default)]
struct Poll {
    input: Vec<u8>,
    room: usize,
    sends: usize,
    hung_up: bool,
}

fn none<T>() -> Result<T, Error> {
    Err(Error::new(Call::Socket, ErrorKind::Other))
}

quiet_sockets!(Poll {
    fn watch(&mut self, _: Resource) -> Result<(), Error> {
        Ok(())
    }
});

impl ReadinessIo for Poll {
    fn trigger(&self) -> Trigger {
        Trigger::Edge
    }
    fn recv(&mut self, (): &mut (), buf: &mut [u8]) -> Result<Option<usize>, Error> {
        let n = self.input.len().min(buf.len());
        buf[..n].copy_from_slice(&self.input[..n]);
        self.input.drain(..n);
        Ok((n > 0).then_some(n))
    }
    fn send(&mut self, (): &mut (), bufs: &[&[u8]]) -> Result<Option<usize>, Error> {
        self.sends += 1;
        let n = bufs.iter().map(|buf| buf.len()).sum::<usize>().min(self.room);
        self.room -= n;
        Ok((n > 0).then_some(n))
    }
    fn is_hung_up(&mut self, (): &mut ()) -> bool {
        self.hung_up
    }
    fn is_ready(&mut self, (): &mut (), asked: Interest) -> Interest {
        asked
    }
    fn shutdown_write(&mut self, (): &mut ()) -> Result<(), Error> {
        none()
    }
    fn connect(&mut self, _: &Attempt) -> Result<(), Error> {
        none()
    }
    fn connect_result(&mut self, (): &mut ()) -> Result<Option<Ends>, Error> {
        none()
    }
    fn accept(&mut self, (): &mut ()) -> Result<Option<((), Ends)>, Error> {
        none()
    }
    fn arm(&mut self, (): &(), _: Key, _: Interest) -> Result<(), Error> {
        none()
    }
}

type Driver = ReadinessDriver<Vec<String>, Poll>;

/// Sends back what it hears.
struct Echo;

impl Protocol<Vec<String>> for Echo {
    fn data_received(&mut self, cx: &mut Context<'_, Vec<String>>, data: Data<'_>) {
        cx.state.push(data.escape_ascii().to_string());
        cx.write(data);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Vec<String>>, reason: CloseReason) {
        cx.state.push(format!("lost({:?})", reason.error().map(Error::kind)));
    }
}

fn turn(driver: &mut Driver) {
    driver.prepare(Instant::ZERO);
    driver.process(Instant::ZERO);
}

/// A connection or a pipe that is made, and idle.
fn adopted(role: Role) -> (Driver, StreamId) {
    let mut driver = ReadinessDriver::new(Engine::new(Vec::new()), Poll::default());
    let id = driver.engine().hub().adopt(Resource::new(()), role, Echo);
    for _ in 0..4 {
        turn(&mut driver);
    }
    assert_eq!(driver.timeout(), None);
    (driver, id)
}

const WRITABLE: Ready = Ready { readable: false, writable: true, read_closed: false, write_closed: false, error: false };
const WRITE_CLOSED: Ready = Ready { writable: false, write_closed: true, ..WRITABLE };
const ERROR: Ready = Ready { writable: false, error: true, ..WRITABLE };
const READABLE: Ready = Ready { writable: false, readable: true, ..WRITABLE };

#[test]
fn a_writer_that_is_not_blocked_is_not_woken_up() {
    let (mut driver, id) = adopted(Role::Client);
    driver.mark(id.key().index(), WRITABLE);
    assert_eq!(driver.timeout(), None);
    driver.mark(id.key().index(), READABLE);
    assert_eq!(driver.timeout(), Some(Instant::ZERO));
}

#[test]
fn a_writer_that_is_blocked_tries_again_whatever_is_said_of_its_direction() {
    //= WRITE-1, WRITE-10
    for ready in [WRITABLE, WRITE_CLOSED, ERROR] {
        let (mut driver, id) = adopted(Role::Client);
        driver.engine().hub().write(id, "xyz");
        turn(&mut driver);
        assert_eq!((driver.io().sends, driver.engine().hub().write_buffer_size(id)), (1, 3));
        driver.io().room = 3;
        turn(&mut driver);
        assert_eq!(driver.io().sends, 1, "not asked again before it says so");
        driver.mark(id.key().index(), ready);
        turn(&mut driver);
        assert_eq!((driver.io().sends, driver.engine().hub().write_buffer_size(id)), (2, 0), "{ready:?}");
    }
}

#[test]
fn a_kernel_that_is_full_is_not_asked_twice() {
    let (mut driver, id) = adopted(Role::Client);
    driver.io().input = b"0123456789".to_vec();
    driver.io().room = 3;
    driver.mark(id.key().index(), READABLE);
    turn(&mut driver);
    assert_eq!((driver.io().sends, driver.engine().hub().write_buffer_size(id)), (1, 7));
}

#[test]
fn a_pipe_whose_reader_has_gone_is_asked_whether_that_is_so() {
    //= PIPE-7
    for (hung_up, end) in [(false, None), (true, Some("lost(None)"))] {
        let (mut driver, id) = adopted(Role::WritePipe);
        driver.io().hung_up = hung_up;
        driver.mark(id.key().index(), WRITE_CLOSED);
        turn(&mut driver);
        turn(&mut driver);
        assert_eq!(driver.engine().state().first().map(String::as_str), end);
    }
}

#[test]
fn a_descriptor_that_is_watched_calls_back() {
    let (mut driver, _) = adopted(Role::Client);
    let watch = driver.engine().hub().watch_resource(Resource::new(()));
    driver.engine().hub().add_reader(watch, |_, state| state.push("ready".into())).unwrap();
    iter::repeat_n((), 2).for_each(|()| turn(&mut driver));
    assert!(driver.engine().state().iter().any(|what| what == "ready") && driver.engine().poll_report().is_none());
}

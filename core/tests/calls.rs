//! Which calls the driver of readiness makes: every one is noted, and there is none that need not be.

use core::net::{Ipv4Addr, SocketAddr};
use core::num::NonZeroUsize;
use plimsoll_core::driver::{Attached, FileError, Interest, ReadinessDriver, ReadinessIo, Ready, Sockets, Trigger};
use plimsoll_core::{
    Addr, Attempt, Buffered, BufferedProtocol, Call, Cause, CloseReason, Context, Data, Ends, Engine, Error, ErrorKind, Instant,
    Key, Listen, Protocol, ReadResult, Resource, Role, SocketOption, StreamId, WatchId, WriteLimits,
};

/// A kernel that has what it is given, and notes what it is asked.
struct Kernel {
    trigger: Trigger,
    attached: Attached,
    input: Vec<u8>,
    /// How much of what is sent it takes.
    room: usize,
    hung_up: bool,
    /// What a watched descriptor is ready for.
    ready: Interest,
    /// Sources cannot be armed.
    refuses: bool,
    calls: Vec<String>,
}

impl Kernel {
    const fn new(trigger: Trigger) -> Self {
        let ready = Interest { readable: false, writable: false, hang_up: false };
        Self {
            trigger,
            attached: Attached::Stream,
            input: Vec::new(),
            room: usize::MAX,
            hung_up: false,
            ready,
            refuses: false,
            calls: Vec::new(),
        }
    }

    fn note(&mut self, call: impl Into<String>) {
        self.calls.push(call.into());
    }
}

fn none<T>() -> Result<T, Error> {
    Err(Error::new(Call::Socket, ErrorKind::Other))
}

/// In letters.
fn letters(interest: Interest) -> String {
    let Interest { readable, writable, hang_up } = interest;
    [(readable, 'r'), (writable, 'w'), (hang_up, 'h')].into_iter().filter(|(is, _)| *is).map(|(_, letter)| letter).collect()
}

impl Sockets for Kernel {
    type Source = ();

    fn bind(&mut self, at: &Addr, _: &Listen) -> Result<((), Addr), Error> {
        Ok(((), at.clone()))
    }
    fn listen(&mut self, (): &mut (), _: u32) -> Result<(), Error> {
        Ok(())
    }
    fn adopt(&mut self, _: Resource, _: Role) -> Result<((), Ends), Error> {
        Ok(((), Ends::default()))
    }
    fn watch(&mut self, _: Resource) -> Result<(), Error> {
        Ok(())
    }
    fn set_option(&mut self, (): &(), _: SocketOption) -> Result<(), Error> {
        Ok(())
    }
    fn visit(&mut self, (): &(), _: Resource) {}
    fn attach(&mut self, (): &mut (), _: Key) -> Result<Attached, Error> {
        Ok(self.attached)
    }
    fn close(&mut self, (): (), _: Key) {
        self.note("close");
    }
}

impl ReadinessIo for Kernel {
    fn trigger(&self) -> Trigger {
        self.trigger
    }
    fn recv(&mut self, (): &mut (), buf: &mut [u8]) -> ReadResult {
        let n = self.input.len().min(buf.len());
        self.note(format!("receive {n}"));
        buf[..n].copy_from_slice(&self.input[..n]);
        self.input.drain(..n);
        Ok((n > 0).then_some(n))
    }
    fn send(&mut self, (): &mut (), bufs: &[&[u8]]) -> ReadResult {
        let offered = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        let n = offered.min(self.room);
        self.note(format!("send {n} of {offered}"));
        self.room -= n;
        Ok((n > 0).then_some(n))
    }
    fn send_pipe(&mut self, (): &mut (), bufs: &[&[u8]]) -> ReadResult {
        self.note("a pipe");
        self.send(&mut (), bufs)
    }
    fn send_file(&mut self, (): &mut (), _: &mut Resource, offset: u64, most: u64) -> Result<Option<u64>, FileError> {
        self.note(format!("send a file from {offset}, {most}"));
        Ok(Some(most.min(10)))
    }
    fn is_hung_up(&mut self, (): &mut ()) -> bool {
        self.note("hung up?");
        self.hung_up
    }
    fn is_ready(&mut self, (): &mut (), asked: Interest) -> Interest {
        self.note(format!("ready for {}?", letters(asked)));
        let Interest { readable, writable, .. } = self.ready;
        Interest { readable: readable && asked.readable, writable: writable && asked.writable, hang_up: false }
    }
    fn shutdown_write(&mut self, (): &mut ()) -> Result<(), Error> {
        self.note("shut down");
        Ok(())
    }
    fn connect(&mut self, _: &Attempt) -> Result<(), Error> {
        Ok(())
    }
    fn connect_result(&mut self, (): &mut ()) -> Result<Option<Ends>, Error> {
        self.note("connected?");
        Ok(Some(Ends::default()))
    }
    fn accept(&mut self, (): &mut ()) -> Result<Option<((), Ends)>, Error> {
        self.note("accept");
        none()
    }
    fn arm(&mut self, (): &(), _: Key, interest: Interest) -> Result<(), Error> {
        self.note(format!("arm {}", letters(interest)));
        if self.refuses { Err(Error::new(Call::Register, ErrorKind::OutOfMemory)) } else { Ok(()) }
    }
}

type State = Vec<String>;
type Driver = ReadinessDriver<State, Kernel>;

/// Sends back what it hears, and notes how it ends.
struct Echo;

impl Protocol<State> for Echo {
    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        cx.write(data);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, State>, reason: CloseReason) {
        cx.state.push(format!("{:?}", reason.cause()));
    }
}

/// Hears, and says nothing.
struct Mute;

impl Protocol<State> for Mute {
    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        cx.state.push(data.escape_ascii().to_string());
    }
}

/// Lends a few bytes of its own.
struct Lender([u8; 4]);

impl BufferedProtocol<State> for Lender {
    fn get_buffer(&mut self, _: Option<NonZeroUsize>) -> &mut [u8] {
        &mut self.0
    }
    fn buffer_updated(&mut self, _: &mut Context<'_, State>, _: usize) {}
}

const NOTHING: Ready = Ready { readable: false, writable: false, read_closed: false, write_closed: false, error: false };
const READABLE: Ready = Ready { readable: true, ..NOTHING };
const WRITABLE: Ready = Ready { writable: true, ..NOTHING };
const WRITE_CLOSED: Ready = Ready { write_closed: true, ..NOTHING };

/// The calls of an iteration in which that is said of it.
fn turn(driver: &mut Driver, id: StreamId, ready: Ready) -> Vec<String> {
    driver.prepare(Instant::ZERO);
    driver.mark(id.key().index(), ready);
    driver.process(Instant::ZERO);
    core::mem::take(&mut driver.io().calls)
}

/// A connection or a pipe that is made, and what it took to get there.
fn adopted(kernel: Kernel, role: Role, protocol: impl Protocol<State> + 'static) -> (Driver, StreamId, Vec<String>) {
    let mut driver = ReadinessDriver::new(Engine::new(Vec::new()), kernel);
    let id = driver.engine().hub().adopt(Resource::new(()), role, protocol);
    let calls = (0..4).flat_map(|_| turn(&mut driver, id, NOTHING)).collect();
    (driver, id, calls)
}

fn edge() -> Kernel {
    Kernel::new(Trigger::Edge)
}

fn level() -> Kernel {
    Kernel::new(Trigger::Level)
}

const NO_CALLS: [&str; 0] = [];

#[test]
fn who_writes_out_of_the_blue_sends_and_does_nothing_else() {
    //= WRITE-1, READ-3
    let (mut driver, id, calls) = adopted(edge(), Role::Client, Echo);
    assert_eq!(calls, NO_CALLS);
    driver.engine().hub().write(id, "xyz");
    driver.prepare(Instant::ZERO);
    assert_eq!(driver.timeout(), None, "nor is it served");
    driver.process(Instant::ZERO);
    assert_eq!(core::mem::take(&mut driver.io().calls), ["send 3 of 3"]);
    assert_eq!((turn(&mut driver, id, NOTHING), driver.timeout()), (Vec::new(), None));
}

#[test]
fn a_connection_that_is_blocked_is_not_sent_from_and_one_that_has_room_again_is_not_received_from() {
    //= WRITE-1, READ-3
    let (mut driver, id, _) = adopted(edge(), Role::Client, Echo);
    driver.io().room = 1;
    driver.io().input = b"four".to_vec();
    assert_eq!(turn(&mut driver, id, READABLE), ["receive 4", "send 1 of 4"]);
    driver.io().input = b"more".to_vec();
    assert_eq!(turn(&mut driver, id, READABLE), ["receive 4"]);
    driver.io().room = usize::MAX;
    assert_eq!(turn(&mut driver, id, WRITABLE), ["send 7 of 7"]);
    assert_eq!(turn(&mut driver, id, WRITABLE), NO_CALLS, "nothing is left");
}

#[test]
fn a_long_queue_is_sent_in_several_goes_even_if_the_kernel_is_full_before_one() {
    //= WRITE-1, READ-6
    let (mut driver, id, _) = adopted(edge(), Role::Client, Mute);
    driver.engine().hub().pause_reading(id);
    driver.engine().hub().set_write_buffer_limits(id, WriteLimits::new(0, 1 << 30).unwrap());
    assert_eq!(turn(&mut driver, id, READABLE), NO_CALLS);
    let sends = |driver: &mut Driver| core::mem::take(&mut driver.io().calls).len();
    for _ in 0..200 {
        driver.engine().hub().write(id, vec![b'x'; 3000]);
    }
    driver.prepare(Instant::ZERO);
    assert_eq!((sends(&mut driver), driver.timeout()), (4, Some(Instant::ZERO)), "others come before the rest");
    driver.io().room = 0;
    driver.engine().hub().write(id, "on");
    driver.prepare(Instant::ZERO);
    assert_eq!(sends(&mut driver), 1, "it is blocked, and was to be served");
    driver.io().room = usize::MAX;
    driver.mark(id.key().index(), WRITABLE);
    driver.process(Instant::ZERO);
    assert_eq!(sends(&mut driver), 4, "it has room again");
    (0..4).for_each(|_| drop(turn(&mut driver, id, NOTHING)));
    assert_eq!((driver.engine().hub().write_buffer_size(id), driver.timeout()), (0, None));
    driver.engine().hub().resume_reading(id);
    assert_eq!(turn(&mut driver, id, NOTHING), ["receive 0"], "what was said of the other direction is remembered");
}

#[test]
fn a_pipe_is_asked_once_whether_its_reader_has_gone_and_whenever_that_is_said() {
    //= PIPE-7
    let (mut driver, id, _) = adopted(edge(), Role::WritePipe, Mute);
    assert_eq!(turn(&mut driver, id, WRITE_CLOSED), ["hung up?"]);
    driver.engine().hub().write(id, "xyz");
    assert_eq!(turn(&mut driver, id, NOTHING), ["a pipe", "send 3 of 3"]);
    driver.io().room = 0;
    driver.engine().hub().write(id, "xyz");
    assert_eq!(turn(&mut driver, id, NOTHING), ["a pipe", "send 0 of 3"]);
    driver.io().room = 3;
    assert_eq!(turn(&mut driver, id, WRITABLE), ["a pipe", "send 3 of 3"]);
    assert_eq!(turn(&mut driver, id, WRITE_CLOSED), ["hung up?"]);
}

#[test]
fn a_file_is_sent_in_several_goes() {
    //= LOOP-28, READ-3
    let (mut driver, id, _) = adopted(edge(), Role::Client, Mute);
    driver.engine().hub().send_resource(id, Resource::new(()), 5..60).unwrap();
    driver.prepare(Instant::ZERO);
    let pieces = [(5, 55), (15, 45), (25, 35), (35, 25)].map(|(from, most)| format!("send a file from {from}, {most}"));
    assert_eq!(core::mem::take(&mut driver.io().calls), pieces);
    assert_eq!(turn(&mut driver, id, NOTHING), ["send a file from 45, 15", "send a file from 55, 5"]);
    assert_eq!((turn(&mut driver, id, NOTHING), driver.timeout()), (Vec::new(), None));
}

#[test]
fn memory_that_was_not_filled_has_emptied_the_socket() {
    //= READ-3, BUF-1
    let (mut driver, id, _) = adopted(edge(), Role::Client, Buffered(Lender([0; 4])));
    driver.io().input = b"six...".to_vec();
    assert_eq!(turn(&mut driver, id, READABLE), ["receive 4", "receive 2"]);
    driver.io().input = b"four".to_vec();
    assert_eq!(turn(&mut driver, id, READABLE), ["receive 4", "receive 0"]);
}

#[test]
fn a_poller_of_levels_is_asked_for_what_is_wanted_and_only_when_that_changes() {
    //= READ-6, WRITE-1
    let (mut driver, id, calls) = adopted(level(), Role::Client, Echo);
    assert_eq!(calls, ["arm r"]);
    driver.io().room = 1;
    driver.io().input = b"four".to_vec();
    assert_eq!(turn(&mut driver, id, READABLE), ["receive 4", "send 1 of 4", "arm rw"]);
    driver.io().room = usize::MAX;
    assert_eq!(turn(&mut driver, id, WRITABLE), ["send 3 of 3", "arm r"]);
    driver.engine().hub().pause_reading(id);
    assert_eq!(turn(&mut driver, id, NOTHING), NO_CALLS, "nothing may come before it is resumed");
    assert_eq!(turn(&mut driver, id, READABLE), ["arm "]);
    driver.engine().hub().resume_reading(id);
    assert_eq!(turn(&mut driver, id, NOTHING), ["receive 0", "arm r"], "what was said meanwhile is remembered");
    driver.engine().hub().set_write_buffer_limits(id, WriteLimits::new(0, 1 << 30).unwrap());
    for _ in 0..200 {
        driver.engine().hub().write(id, vec![b'x'; 3000]);
    }
    driver.prepare(Instant::ZERO);
    assert!(driver.io().calls.len() == 4 && driver.io().calls.iter().all(|call| call.starts_with("send")), "it is not blocked");
}

#[test]
fn a_poller_of_levels_is_asked_for_the_end_of_a_pipe_until_it_has_told_of_it() {
    //= PIPE-7
    let mut driver = ReadinessDriver::new(Engine::new(Vec::new()), level());
    let id = driver.engine().hub().adopt(Resource::new(()), Role::WritePipe, Mute);
    driver.prepare(Instant::ZERO);
    assert_eq!(core::mem::take(&mut driver.io().calls), ["arm h"]);
    driver.mark(id.key().index(), WRITE_CLOSED);
    driver.process(Instant::ZERO);
    assert_eq!(core::mem::take(&mut driver.io().calls), ["arm "], "it is remembered, and told once the pipe is made");
    assert_eq!(turn(&mut driver, id, NOTHING), ["hung up?", "arm h"]);
}

#[test]
fn a_source_that_nobody_tells_of_is_read_to_its_end_all_the_same() {
    //= PIPE-1
    let kernel = Kernel { attached: Attached::AlwaysReady, input: b"contents".to_vec(), ..edge() };
    let (driver, _, calls) = adopted(kernel, Role::ReadPipe, Mute);
    assert_eq!(calls, ["receive 8", "receive 0"]);
    drop(driver);
}

#[test]
fn a_listener_that_does_not_accept_is_not_waited_for() {
    //= LOOP-16, LOOP-23
    for (starts, expected) in [(false, &[][..]), (true, &["accept"])] {
        let mut driver = ReadinessDriver::new(Engine::new(Vec::new()), level());
        let listen = Listen::on(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let listen = if starts { listen } else { listen.paused() };
        driver.listen(&listen, |_, _| Some(Box::new(Mute) as Box<dyn Protocol<State>>)).unwrap();
        for _ in 0..3 {
            driver.prepare(Instant::ZERO);
            driver.process(Instant::ZERO);
        }
        assert_eq!(driver.io().calls, expected, "it has not begun, or rests for lack of something");
    }
}

#[test]
fn a_connection_that_cannot_be_armed_is_lost_in_the_direction_that_was_wanted() {
    //= READ-13, WRITE-10
    for (close, cause) in [(false, Cause::ReadFailed), (true, Cause::WriteFailed)] {
        let (mut driver, id, _) = adopted(level(), Role::Client, Echo);
        driver.io().refuses = true;
        driver.io().room = 0;
        driver.engine().hub().write(id, "xyz");
        if close {
            driver.engine().hub().close(id);
        }
        (0..3).for_each(|_| drop(turn(&mut driver, id, NOTHING)));
        assert_eq!(*driver.engine().state(), [format!("{cause:?}")]);
    }
}

/// A watch in an iteration of its own.
fn watch_turn(driver: &mut Driver, id: WatchId, ready: Ready) -> (Vec<String>, Vec<String>) {
    driver.prepare(Instant::ZERO);
    driver.mark(id.key().index(), ready);
    driver.process(Instant::ZERO);
    (core::mem::take(&mut driver.io().calls), core::mem::take(driver.engine().state()))
}

/// A descriptor that is watched for both, and not ready for anything yet.
fn watched(kernel: Kernel) -> (Driver, WatchId) {
    let mut driver = ReadinessDriver::new(Engine::new(Vec::new()), kernel);
    let id = driver.engine().hub().watch_resource(Resource::new(()));
    driver.engine().hub().add_reader(id, |_, state| state.push("read".into())).unwrap();
    driver.engine().hub().add_writer(id, |_, state| state.push("write".into())).unwrap();
    (0..3).for_each(|_| drop(watch_turn(&mut driver, id, NOTHING)));
    (driver, id)
}

#[test]
fn a_watched_descriptor_is_asked_what_it_is_ready_for_and_again_while_it_is() {
    let asked = ["ready for r?", "ready for w?"].map(String::from).to_vec();
    let (mut driver, id) = watched(edge());
    assert_eq!(driver.timeout(), None);
    for ready in [READABLE, WRITABLE, WRITE_CLOSED] {
        assert_eq!(watch_turn(&mut driver, id, ready), (asked.clone(), vec![]), "whatever was said of it");
        assert_eq!((watch_turn(&mut driver, id, NOTHING), driver.timeout()), ((vec![], vec![]), None), "{ready:?}");
    }
    for (readable, writable, told) in [(true, false, &["read"][..]), (false, true, &["write"]), (true, true, &["read", "write"])]
    {
        driver.io().ready = Interest { readable, writable, hang_up: false };
        assert_eq!(watch_turn(&mut driver, id, READABLE), (asked.clone(), told.iter().map(ToString::to_string).collect()));
        assert_eq!(driver.timeout(), Some(Instant::ZERO));
        assert_eq!(watch_turn(&mut driver, id, NOTHING).1, told, "it still is");
        driver.io().ready = Interest::default();
        assert_eq!(watch_turn(&mut driver, id, NOTHING), (asked.clone(), vec![]), "it is not any more");
        assert_eq!(driver.timeout(), None);
    }
    driver.engine().hub().remove_writer(id);
    assert_eq!(watch_turn(&mut driver, id, NOTHING).0, ["ready for r?"], "nobody wants to know of the other");
}

#[test]
fn a_poller_of_levels_tells_of_a_watched_descriptor_again_by_itself() {
    let (mut driver, id) = watched(level());
    driver.io().ready.readable = true;
    assert_eq!(watch_turn(&mut driver, id, READABLE).1, ["read"]);
    assert_eq!(driver.timeout(), None);
    driver.engine().hub().remove_reader(id);
    assert_eq!(watch_turn(&mut driver, id, NOTHING).0, ["arm w"]);
    driver.engine().hub().remove_writer(id);
    assert_eq!(watch_turn(&mut driver, id, NOTHING).0, ["arm "]);
}

//! The engine without a driver of ours: facts are told and operations carried out by hand.

use bytes::BytesMut;
use core::net::SocketAddr;
use core::num::NonZeroUsize;
use core::time::Duration;
use plimsoll_core::testing::TraceChecker;
use plimsoll_core::{
    Addr, Buffered, BufferedProtocol, Call, CloseReason, Connect, Context, Data, Datagram, DatagramId, DatagramProtocol, Ends,
    Engine, Error, ErrorKind, Instant, Key, Listen, Op, Protocol, Report, Resource, Role, ServerId, WriteLimits, WriteStatus,
};

#[derive(Default)]
struct State {
    factories: usize,
    heard: Vec<u8>,
    discarded: Vec<u64>,
}

struct Listener;

impl Protocol<State> for Listener {
    fn data_received(&mut self, cx: &mut Context<'_, State>, data: Data<'_>) {
        cx.state.heard.extend_from_slice(&data);
        cx.write(data);
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, State>, reason: CloseReason) {
        cx.state.discarded.push(reason.discarded());
    }
}

impl DatagramProtocol<State> for Listener {
    fn datagram_received(&mut self, cx: &mut Context<'_, State, DatagramId>, data: Data<'_>, _: &Addr) {
        cx.state.heard.extend_from_slice(&data);
    }
    fn pause_writing(&mut self, cx: &mut Context<'_, State, DatagramId>) {
        cx.state.heard.push(b'<');
    }
    fn resume_writing(&mut self, cx: &mut Context<'_, State, DatagramId>) {
        cx.state.heard.push(b'>');
    }
    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, State, DatagramId>, reason: CloseReason) {
        cx.state.discarded.push(reason.discarded());
    }
}

/// Lends a few bytes of its own.
struct Lender([u8; 4]);

impl BufferedProtocol<State> for Lender {
    fn get_buffer(&mut self, _: Option<NonZeroUsize>) -> &mut [u8] {
        &mut self.0
    }
    fn buffer_updated(&mut self, cx: &mut Context<'_, State>, n: usize) {
        cx.state.heard.extend_from_slice(&self.0[..n]);
    }
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn ends(port: u16) -> Ends {
    Ends::new(Some(addr(1).into()), Some(addr(port).into()))
}

fn engine() -> (Engine<State>, TraceChecker) {
    let checker = TraceChecker::recording();
    let mut engine = Engine::new(State::default());
    engine.set_observer(checker.observer());
    (engine, checker)
}

/// A server that is bound and accepts, and its listening socket.
fn serving(engine: &mut Engine<State>) -> (ServerId, Key) {
    let make = |state: &mut State, _| {
        state.factories += 1;
        Some(Box::new(Listener) as Box<dyn Protocol<State>>)
    };
    let server = engine.new_server(&Listen::on(addr(1)), make);
    let listener = engine.bound(server, Some(addr(1).into())).unwrap();
    engine.listening(server, Ok(()));
    assert!(matches!(engine.poll_op(), Some(Op::Accept(id)) if id.key() == listener));
    (server, listener)
}

fn run_ready(engine: &mut Engine<State>) {
    engine.begin_round(Instant::ZERO);
    while engine.run_one_ready() {}
}

fn receive(engine: &mut Engine<State>, key: Key, bytes: &[u8]) {
    let mut block = BytesMut::from(bytes);
    engine.received(key, Data::new(&mut block, bytes.len()));
}

#[test]
fn a_connection_is_opened_fed_answered_and_closed_by_hand() {
    //= LIFE-1, LIFE-6, READ-1, WRITE-1, CLOSE-1
    let (mut engine, checker) = engine();
    let id = engine.hub().connect(Connect::to(addr(7)), Listener);
    let Some(Op::Connect(place, to)) = engine.poll_op() else { panic!("nothing to connect") };
    assert_eq!((place, to.addr()), (id.key(), &addr(7).into()));
    assert!(engine.connected(id.key(), Ok(ends(7))));
    run_ready(&mut engine);

    receive(&mut engine, id.key(), b"hello");
    let transport = engine.transport(id.key()).unwrap();
    assert_eq!(transport.as_one_slice(), Some(&b"hello"[..]));
    engine.sent(id.key(), 5);
    engine.hub().close(id);
    assert_eq!(engine.hub().write(id, "late"), WriteStatus::Discarded);
    receive(&mut engine, id.key(), b"ignored");
    run_ready(&mut engine);
    assert!(matches!(engine.poll_op(), Some(Op::Close(key)) if key == id.key()));
    assert_eq!(checker.trace(id), "cm data(hello) lost(None)");
    assert_eq!(engine.state().heard, b"hello");
}

#[test]
fn a_stale_fact_changes_nothing() {
    //= RUST-10, LIFE-2
    let (mut engine, checker) = engine();
    let id = engine.hub().connect(Connect::to(addr(7)), Listener);
    engine.connected(id.key(), Ok(ends(7)));
    run_ready(&mut engine);
    engine.hub().abort(id);
    run_ready(&mut engine);
    // Its slot is another's now.
    let other = engine.hub().connect(Connect::to(addr(8)), Listener);
    assert_eq!(other.key().index(), id.key().index());
    engine.connected(other.key(), Ok(ends(8)));
    run_ready(&mut engine);
    while engine.poll_op().is_some() {}

    let error = Error::new(Call::Receive, ErrorKind::ConnectionReset);
    let stale = id.key();
    receive(&mut engine, stale, b"x");
    engine.read_eof(stale);
    engine.read_failed(stale, error);
    engine.send_failed(stale, error);
    engine.sent(stale, 3);
    engine.shut_down(stale, Ok(()));
    engine.deliver_edge(stale);
    assert!(!engine.connected(id.key(), Ok(ends(9))));
    run_ready(&mut engine);
    assert!(engine.poll_op().is_none() && engine.transport(stale).is_none() && engine.wants_read(stale).is_none());
    assert_eq!(checker.trace(id), "cm lost(None)");
    assert_eq!(checker.trace(other), "cm");
    assert_eq!(engine.hub().peer_addr(other), Some(addr(8).into()));
    receive(&mut engine, other.key(), b"y");
    assert_eq!(checker.trace(other), "cm data(y)");
}

#[test]
fn the_turn_of_a_connection_that_was_aborted_before_it_does_not_call_the_factory_for_the_next_one() {
    //= LIFE-5, LIFE-12, LOOP-20, RUST-10
    let (mut engine, checker) = engine();
    let (server, listener) = serving(&mut engine);
    let first = engine.accepted(listener, ends(40)).unwrap();
    engine.hub().abort_clients(server);
    let second = engine.accepted(listener, ends(41)).unwrap();
    assert_eq!(first.index(), second.index());
    run_ready(&mut engine);
    assert_eq!(engine.state().factories, 1);
    assert_eq!(checker.made(), 1);
}

#[test]
fn no_connection_of_a_closed_server_is_made() {
    //= LOOP-18, LOOP-19
    let (mut engine, checker) = engine();
    let (server, listener) = serving(&mut engine);
    let accepted = engine.accepted(listener, ends(40)).unwrap();
    engine.hub().server_close(server);
    engine.hub().wait_closed(server, |_, state| state.heard.extend_from_slice(b"closed"));
    run_ready(&mut engine);
    run_ready(&mut engine);
    assert_eq!((engine.state().factories, checker.made()), (0, 0));
    assert_eq!(engine.state().heard, b"closed");
    assert_eq!(engine.accepted(listener, ends(41)), None);
    let ops: Vec<Op> = core::iter::from_fn(|| engine.poll_op()).collect();
    assert!(ops.iter().any(|op| matches!(op, Op::Close(key) if *key == accepted)));
    assert!(ops.iter().any(|op| matches!(op, Op::Close(key) if *key == listener)));
}

#[test]
fn a_stop_is_taken_once_and_reports_are_there_until_they_are_fetched() {
    let (mut engine, _) = engine();
    assert!(!engine.take_stop() && !engine.has_report() && engine.poll_report().is_none());
    engine.hub().stop();
    assert!(engine.take_stop() && !engine.take_stop());
    engine.hub().report("odd");
    assert!(engine.has_report());
    assert!(matches!(engine.poll_report(), Some(Report::Application(error)) if error.to_string() == "odd"));
    assert!(!engine.has_report());
}

#[test]
fn an_opening_that_was_given_up_is_not_to_be_begun() {
    //= LIFE-12, RUST-9
    let (mut engine, _) = engine();
    let id = engine.hub().connect(Connect::to(addr(7)), Listener);
    let Some(Op::Connect(place, _)) = engine.poll_op() else { panic!("nothing to connect") };
    assert!(engine.wants_connect(place));
    engine.hub().abort(id);
    assert!(!engine.wants_connect(place) && !engine.connected(place, Ok(ends(7))));
}

#[test]
fn an_accepted_connection_that_cannot_be_kept_comes_to_nothing_and_its_server_rests() {
    //= LOOP-22, LOOP-23, LIFE-2
    let (mut engine, checker) = engine();
    let (_, listener) = serving(&mut engine);
    let key = engine.accepted(listener, ends(40)).unwrap();
    assert!(engine.accept_batch(listener) > 0);
    engine.accepted_in_vain(listener, key, Error::new(Call::Register, ErrorKind::OutOfMemory));
    assert!(engine.transport(key).is_none());
    assert_eq!(engine.accept_batch(listener), 0);
    assert!(matches!(engine.poll_report(), Some(Report::AcceptFailed { .. })));
    assert!(matches!(engine.poll_op(), Some(Op::Close(closed)) if closed == key));
    run_ready(&mut engine);
    assert_eq!((engine.state().factories, checker.made()), (0, 0));
    let later = Instant::ZERO.saturating_add(Duration::from_secs(1));
    assert_eq!(engine.poll_timeout(), Some(later));
    engine.set_now(later);
    while engine.run_one_timer() {}
    assert!(engine.accept_batch(listener) > 0);
}

#[test]
fn a_read_that_claims_more_than_was_lent_is_not_told_and_costs_the_connection() {
    //= BUF-1
    let (mut engine, checker) = engine();
    let id = engine.hub().connect(Connect::to(addr(7)), Buffered(Lender([0; 4])));
    engine.connected(id.key(), Ok(ends(7)));
    run_ready(&mut engine);
    assert_eq!(engine.wants_read(id.key()), Some(true));
    assert_eq!(engine.read_into(id.key(), |memory| Ok(Some(memory.len()))), Ok(Some(4)));
    assert_eq!(engine.read_into(id.key(), |memory| Ok(Some(memory.len() + 1))), Ok(None));
    assert!(matches!(engine.poll_report(), Some(Report::CallbackFailed { .. })) && engine.poll_report().is_none());
    run_ready(&mut engine);
    let trace = checker.trace(id);
    assert!(trace.starts_with("cm gb bu(") && trace.contains(" gb lost("), "{trace}");
    assert_eq!(engine.state().heard.len(), 4);
}

#[test]
fn a_hang_up_ends_a_write_pipe_and_concerns_nothing_else() {
    //= PIPE-7, PIPE-8, WRITE-10
    let (mut engine, checker) = engine();
    let stream = engine.hub().connect(Connect::to(addr(7)), Listener);
    engine.connected(stream.key(), Ok(ends(7)));
    let [empty, full] = [(); 2].map(|()| engine.hub().adopt(Resource::new(()), Role::WritePipe, Listener));
    for pipe in [empty, full] {
        engine.hung_up(pipe.key());
        engine.adopted(pipe, Ok(Ends::default()));
    }
    run_ready(&mut engine);
    engine.hub().write(full, "xyz");
    for id in [stream, empty, full] {
        engine.hung_up(id.key());
        engine.hung_up(id.key());
    }
    run_ready(&mut engine);
    receive(&mut engine, stream.key(), b"on");
    assert_eq!(checker.trace(stream), "cm data(on)");
    assert_eq!(checker.trace(empty), "cm lost(None)");
    assert_eq!(checker.trace(full), "cm lost(broken pipe)");
    assert_eq!(engine.state().discarded, [0, 3]);
}

#[test]
fn a_file_is_given_back_once_and_to_nobody_else() {
    //= LOOP-28
    let (mut engine, _) = engine();
    let id = engine.hub().connect(Connect::to(addr(7)), Listener);
    engine.connected(id.key(), Ok(ends(7)));
    run_ready(&mut engine);
    engine.hub().send_resource(id, Resource::new(1_u8), 5..=9).unwrap();
    let (file, offset, left) = engine.take_file(id.key()).unwrap();
    assert_eq!((offset, left), (5, 5));
    assert!(engine.take_file(id.key()).is_none() && engine.file(id.key()).is_none());
    engine.return_file(id.key(), file).unwrap();
    assert!(engine.return_file(id.key(), Resource::new(2_u8)).is_err());
    engine.file_sent(id.key(), 2);
    let (file, offset, left) = engine.take_file(id.key()).unwrap();
    assert_eq!((file.downcast::<u8>().ok(), offset, left), (Some(1), 7, 3));
}

#[test]
fn datagrams_that_were_sent_resume_a_writer_and_those_of_a_useless_descriptor_are_discarded() {
    //= DGRAM-7, DGRAM-11, FLOW-7, RUST-4
    // Nobody observes it: then less is done for each of them.
    let mut engine = Engine::new(State::default());
    let id = engine.hub().open_datagram(Datagram::on(addr(1)), Listener);
    assert!(engine.datagram_opened(id, None, Ok(ends(1))));
    run_ready(&mut engine);
    engine.hub().set_write_buffer_limits(id, WriteLimits::new(0, 1).unwrap());
    for _ in 0..2 {
        assert_eq!(engine.hub().send_to(id, b"four", addr(9)), WriteStatus::Paused);
    }
    while let Some(key) = engine.next_due() {
        engine.deliver_edge(key);
    }
    engine.datagrams_sent(id.key(), 1);
    assert_eq!((engine.next_due(), engine.state().heard.as_slice()), (None, &b"<"[..]));
    engine.datagrams_sent(id.key(), 1);
    while let Some(key) = engine.next_due() {
        engine.deliver_edge(key);
    }
    assert_eq!(engine.state().heard, b"<>");
    engine.hub().send_to(id, b"three", addr(9));
    engine.datagram_endpoint_failed(id.key(), Error::new(Call::Register, ErrorKind::OutOfMemory));
    run_ready(&mut engine);
    run_ready(&mut engine);
    assert_eq!((engine.state().discarded.len(), engine.datagrams(id.key()).is_none()), (1, true));
}

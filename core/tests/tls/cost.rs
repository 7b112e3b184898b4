//! What an echoed message costs in allocations: as many as rustls makes of it, and none of ours.

use crate::certs::{VERSIONS, server, tls_client};
use crate::kit::{ECHO, State, to};
use crate::peer::Peer;
use core::cell::Cell;
use plimsoll_core::driver::{Interest, ReadinessDriver, ReadinessIo, Ready, Trigger};
use plimsoll_core::{Attempt, EndpointId, Ends, Engine, Error, Event, Instant, Key, Observer, ReadResult, StreamId};
use rustls::{Connection, ServerConnection, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;

/// A socket that brings what it is given and keeps what is sent.
#[derive(Default)]
struct Wire {
    incoming: Vec<u8>,
    sent: Vec<u8>,
    receives: usize,
    sends: usize,
}

quiet_sockets!(Wire {});

impl ReadinessIo for Wire {
    fn trigger(&self) -> Trigger {
        Trigger::Edge
    }

    fn recv(&mut self, (): &mut (), buf: &mut [u8]) -> ReadResult {
        self.receives += 1;
        let n = self.incoming.len().min(buf.len());
        buf[..n].copy_from_slice(&self.incoming[..n]);
        self.incoming.drain(..n);
        Ok((n > 0).then_some(n))
    }

    fn send(&mut self, (): &mut (), bufs: &[&[u8]]) -> ReadResult {
        self.sends += 1;
        bufs.iter().for_each(|buf| self.sent.extend_from_slice(buf));
        Ok(Some(bufs.iter().map(|buf| buf.len()).sum()))
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

const MESSAGES: usize = 100;

/// A hundred messages, each in the records that it is sent in.
fn messages(peer: &mut Peer, size: usize) -> Vec<Vec<u8>> {
    let message = vec![b'x'; size];
    let encrypt = |_| {
        peer.write(&message);
        peer.output()
    };
    (0..MESSAGES).map(encrypt).collect()
}

type Driver = ReadinessDriver<State, Wire>;

fn turn(driver: &mut Driver, id: StreamId) {
    driver.prepare(Instant::ZERO);
    driver.mark(id.key().index(), Ready { readable: true, writable: true, ..Ready::default() });
    driver.process(Instant::ZERO);
}

/// A secure connection that echoes, and its peer.
fn connected(version: &'static SupportedProtocolVersion) -> (Driver, StreamId, Peer) {
    let mut driver = ReadinessDriver::new(Engine::new(State::default()), Wire::default());
    let id = driver.engine().hub().connect(to().tls(tls_client(version)), ECHO);
    let mut peer = Peer::server(version);
    for _ in 0..8 {
        turn(&mut driver, id);
        let wire = core::mem::take(&mut driver.io().sent);
        peer.input(&wire);
        driver.io().incoming.extend(peer.output());
    }
    assert!(!peer.tls.is_handshaking());
    (driver, id, peer)
}

/// Allocations for a hundred echoes of ours, once everything has found its place.
fn ours(version: &'static SupportedProtocolVersion, size: usize) -> u64 {
    let (mut driver, id, mut peer) = connected(version);
    let mut count = 0;
    for _ in 0..2 {
        let messages = messages(&mut peer, size);
        driver.io().incoming.reserve(64 * 1024);
        driver.io().sent.reserve(MESSAGES * (size + 1024));
        let echo = |message: &Vec<u8>| {
            driver.io().incoming.extend_from_slice(message);
            turn(&mut driver, id);
        };
        count = allocation_counter::measure(|| messages.iter().for_each(echo)).count_total;
        let wire = core::mem::take(&mut driver.io().sent);
        peer.input(&wire);
        assert_eq!(peer.received().len(), MESSAGES * size);
    }
    count
}

/// The same by hand, with rustls and nothing else.
fn by_hand(version: &'static SupportedProtocolVersion, size: usize) -> u64 {
    let mut tls = Connection::from(ServerConnection::new(Arc::new(server(version))).unwrap());
    tls.set_buffer_limit(None);
    let mut peer = Peer::client(version);
    for _ in 0..8 {
        let mut wire = &peer.output()[..];
        while !wire.is_empty() {
            tls.read_tls(&mut wire).unwrap();
            tls.process_new_packets().unwrap();
        }
        let mut wire = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut wire).unwrap();
        }
        peer.input(&wire);
    }
    let (mut count, mut plain, mut sent) = (0, vec![0; size], Vec::new());
    for _ in 0..2 {
        let messages = messages(&mut peer, size);
        sent.reserve(MESSAGES * (size + 1024));
        let echo = |message: &Vec<u8>| {
            let mut wire = &message[..];
            while !wire.is_empty() {
                tls.read_tls(&mut wire).unwrap();
                let n = tls.process_new_packets().unwrap().plaintext_bytes_to_read();
                tls.reader().read_exact(&mut plain[..n]).unwrap();
                tls.writer().write_all(&plain[..n]).unwrap();
            }
            while tls.wants_write() {
                tls.write_tls(&mut sent).unwrap();
            }
        };
        count = allocation_counter::measure(|| messages.iter().for_each(echo)).count_total;
        peer.input(&sent);
        assert_eq!(peer.received().len(), MESSAGES * size);
        sent.clear();
    }
    count
}

#[test]
fn an_echoed_message_is_allocated_for_by_rustls_alone() {
    //= WRITE-2, WRITE-3, TLS-15
    for version in VERSIONS {
        for size in [1, 64, 1000, 4000, 16 * 1024] {
            let (ours, by_hand) = (ours(version, size), by_hand(version, size));
            assert!(ours <= by_hand, "{size} bytes: {ours} allocations for {MESSAGES} echoes, and {by_hand} by hand");
        }
    }
}

#[test]
fn an_echoed_message_is_one_receive_and_one_send() {
    //= READ-3, WRITE-2, TLS-15
    for version in VERSIONS {
        let (mut driver, id, mut peer) = connected(version);
        let before = (driver.io().receives, driver.io().sends);
        for message in messages(&mut peer, 1000) {
            driver.io().incoming.extend(message);
            turn(&mut driver, id);
        }
        let after = (driver.io().receives, driver.io().sends);
        assert_eq!((after.0 - before.0, after.1 - before.1), (MESSAGES, MESSAGES));
    }
}

/// Counts what is sent, as it is told.
struct Sends(Rc<Cell<usize>>);

impl Observer for Sends {
    fn event(&mut self, _: Instant, _: EndpointId, event: &Event<'_>) {
        self.0.set(self.0.get() + usize::from(matches!(event, Event::Sent { size: 0 })));
    }
}

#[test]
fn who_observes_a_secure_connection_is_told_of_every_answer() {
    let (mut driver, id, mut peer) = connected(VERSIONS[1]);
    let sends = Rc::new(Cell::new(0));
    driver.engine().set_observer(Box::new(Sends(Rc::clone(&sends))));
    for message in messages(&mut peer, 64) {
        driver.io().incoming.extend(message);
        turn(&mut driver, id);
    }
    assert_eq!(sends.get(), MESSAGES);
}

//! A slot that is given to another endpoint before the driver got round to closing the source of the one before.

use core::net::{Ipv4Addr, SocketAddr};
use plimsoll_core::driver::{Attached, Interest, ReadinessDriver, ReadinessIo, Ready, Sockets, Trigger};
use plimsoll_core::{
    Addr, Attempt, Context, Data, Ends, Engine, Error, Instant, Key, Listen, Protocol, ReadResult, Resource, Role, SocketOption,
    StreamId,
};
use std::collections::BTreeMap;

fn addr() -> Addr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 7)).into()
}

/// A poller that knows sources by their index, as real ones do.
#[derive(Default)]
struct Poller {
    attached: BTreeMap<usize, Key>,
    closed: Vec<Key>,
    bytes: Option<u8>,
    clients: u32,
}

impl Sockets for Poller {
    type Source = ();

    fn bind(&mut self, at: &Addr, _: &Listen) -> Result<((), Addr), Error> {
        Ok(((), at.clone()))
    }

    fn listen(&mut self, (): &mut (), _: u32) -> Result<(), Error> {
        Ok(())
    }

    fn adopt(&mut self, _: Resource, _: Role) -> Result<((), Ends), Error> {
        Ok(((), Ends::new(Some(addr()), Some(addr()))))
    }

    fn set_option(&mut self, (): &(), _: SocketOption) -> Result<(), Error> {
        Ok(())
    }

    fn visit(&mut self, (): &(), _: Resource) {}

    fn attach(&mut self, (): &mut (), key: Key) -> Result<Attached, Error> {
        let before = self.attached.insert(key.index(), key);
        assert_eq!(before, None, "its place is taken by a source that is not closed");
        Ok(Attached::Stream)
    }

    fn close(&mut self, (): (), key: Key) {
        assert_eq!(self.attached.remove(&key.index()), Some(key));
        self.closed.push(key);
    }
}

impl ReadinessIo for Poller {
    fn trigger(&self) -> Trigger {
        Trigger::Edge
    }

    fn recv(&mut self, (): &mut (), buf: &mut [u8]) -> ReadResult {
        Ok(self.bytes.take().map(|byte| {
            buf[0] = byte;
            1
        }))
    }

    fn send(&mut self, (): &mut (), _: &[&[u8]]) -> ReadResult {
        Ok(None)
    }

    fn shutdown_write(&mut self, (): &mut ()) -> Result<(), Error> {
        Ok(())
    }

    fn connect(&mut self, _: &Attempt) -> Result<(), Error> {
        Ok(())
    }

    fn connect_result(&mut self, (): &mut ()) -> Result<Option<Ends>, Error> {
        Ok(None)
    }

    fn accept(&mut self, (): &mut ()) -> Result<Option<((), Ends)>, Error> {
        let waits = self.clients > 0;
        self.clients -= u32::from(waits);
        Ok(waits.then_some(((), Ends::new(Some(addr()), Some(addr())))))
    }

    fn arm(&mut self, (): &(), _: Key, _: Interest) -> Result<(), Error> {
        Ok(())
    }
}

/// Gives another connection up as soon as it hears something.
struct Axe(Option<StreamId>);

impl Protocol<u32> for Axe {
    fn connection_made(&mut self, cx: &mut Context<'_, u32>) {
        *cx.state += 1;
    }

    fn data_received(&mut self, cx: &mut Context<'_, u32>, _: Data<'_>) {
        if let Some(other) = self.0 {
            cx.hub.abort(other);
        }
    }
}

#[test]
fn a_source_is_closed_before_its_place_is_taken() {
    //= RUST-10, RUST-11, LIFE-12
    let mut driver = ReadinessDriver::new(Engine::new(0), Poller::default());
    driver.listen(&addr().into(), |_, _| Some(Box::new(Axe(None)))).unwrap();
    let connecting = driver.engine().hub().connect(addr(), Axe(None));
    let axe = driver.engine().hub().adopt(Resource::new(()), Role::Client, Axe(Some(connecting)));
    for now in 1..4 {
        driver.prepare(Instant::from_nanos(now));
        driver.process(Instant::from_nanos(now));
    }
    assert_eq!(*driver.engine().state(), 1);
    let listener = *driver.io().attached.values().find(|key| **key != connecting.key() && **key != axe.key()).unwrap();

    // In one pass: a callback gives the connection up, and a new one is accepted into its slot.
    driver.io().bytes = Some(b'x');
    driver.io().clients = 1;
    let readable = Ready { readable: true, ..Ready::default() };
    driver.mark(axe.key().index(), readable);
    driver.mark(listener.index(), readable);
    driver.process(Instant::from_nanos(5));
    assert_eq!(driver.io().closed, [connecting.key()]);
    let accepted = driver.io().attached[&connecting.key().index()];
    assert_ne!(accepted, connecting.key());

    // The newcomer is not closed for it.
    driver.prepare(Instant::from_nanos(6));
    assert_eq!(*driver.engine().state(), 2);
    assert_eq!(driver.io().closed, [connecting.key()]);
    driver.close();
    assert_eq!(driver.io().attached, BTreeMap::new());
    assert_eq!(driver.io().closed.len(), 4);
}

#[test]
fn the_source_of_another_loops_connection_is_not_shown() {
    //= RUST-10
    let mut drivers = [7, 8].map(|tag| {
        let engine = Engine::with(0, plimsoll_core::LoopTag(tag), plimsoll_core::BufPool::new());
        let mut driver = ReadinessDriver::new(engine, Poller::default());
        let id = driver.engine().hub().adopt(Resource::new(()), Role::Client, Axe(None));
        driver.prepare(Instant::from_nanos(1));
        (driver, id)
    });
    let foreign = drivers[1].1;
    assert_eq!(drivers[0].1.key(), foreign.key());
    assert!(drivers[0].0.source(foreign).is_none());
    assert!(drivers[1].0.source(foreign).is_some());
}

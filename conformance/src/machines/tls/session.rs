//! A TLS without cryptography: flights, records, alerts and closing words of a few bytes, and everything that is not as it should be is noticed.

use bytes::BytesMut;
use core::cell::Cell;
use plimsoll_core::tls::{MakeSession, Session, Tls, TlsError, TlsInfo};
use plimsoll_core::{BufPool, Call, Error, ErrorKind, SendQueue};

/// The kinds of records. A record is its kind, its number, how long it is, the bytes, and a sum.
const FLIGHT: u8 = 1;
const DATA: u8 = 2;
const BYE: u8 = 3;
const ALERT: u8 = 4;
const HEAD: usize = 3;
const SUM: usize = 4;
/// What a record takes beside its bytes.
const OVERHEAD: usize = HEAD + SUM;

/// How both ends are to speak.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Manner {
    /// How many flights the handshake has, the client's first.
    pub(crate) flights: u8,
    /// So many bytes of a flight.
    pub(crate) flight: u8,
    /// So many bytes of the application's go into a record at most.
    pub(crate) record: u8,
}

thread_local! {
    /// What sessions that a loop makes have encrypted, and what that came to: a run has one connection, and a loop keeps its sessions to itself.
    static BOOKS: Cell<Books> = const { Cell::new(Books { plain: 0, wire: 0, agreed: false, wrong: false, bye: false, word: false }) };
}

/// What a session has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Books {
    /// Bytes of the application's that were encrypted.
    pub(crate) plain: usize,
    /// Bytes of all kinds that are to be sent.
    pub(crate) wire: usize,
    /// The handshake was done.
    pub(crate) agreed: bool,
    /// Something was wrong with what came.
    pub(crate) wrong: bool,
    /// The peer's closing word has come, and ours was said.
    pub(crate) bye: bool,
    pub(crate) word: bool,
}

pub(crate) fn books() -> Books {
    BOOKS.get()
}

pub(crate) fn open_books() {
    BOOKS.set(Books::default());
}

/// One end.
#[derive(Debug)]
pub(crate) struct Fake {
    manner: Manner,
    is_server: bool,
    /// Flights said or heard.
    flights: u8,
    /// Records said, and heard.
    said: u8,
    heard: u8,
    closed: bool,
    closed_by_peer: bool,
    /// A record that is not complete.
    partial: Vec<u8>,
    /// Whether it keeps the books.
    counts: bool,
}

impl Fake {
    pub(crate) fn new(manner: Manner, is_server: bool) -> Self {
        let (partial, flights) = (Vec::new(), 0);
        Self { manner, is_server, flights, said: 0, heard: 0, closed: false, closed_by_peer: false, partial, counts: false }
    }

    /// Says all flights that are its turn.
    fn shake_hands(&mut self, out: &mut SendQueue) {
        while self.is_handshaking() && (self.flights % 2 == 1) == self.is_server {
            let flight = vec![self.flights; self.manner.flight.into()];
            self.flights += 1;
            self.say(FLIGHT, &flight, out);
        }
    }

    fn say(&mut self, kind: u8, bytes: &[u8], out: &mut SendQueue) {
        let mut record = vec![kind, self.said, bytes.len() as u8];
        record.extend(bytes.iter().map(|byte| byte ^ 0x5a ^ self.said));
        record.extend(sum(&record));
        self.said = self.said.wrapping_add(1);
        if self.counts {
            let books = books();
            BOOKS.set(Books { wire: books.wire + record.len(), ..books });
        }
        out.push(record.as_slice());
    }

    fn hear(&mut self, record: &[u8], plain: &mut BytesMut, out: &mut SendQueue) -> Result<(), TlsError> {
        let (body, sum_of) = record.split_at(record.len() - SUM);
        let good = sum(body) == sum_of && body[1] == self.heard;
        let key = 0x5a ^ self.heard;
        self.heard = self.heard.wrapping_add(1);
        match body[0] {
            FLIGHT if good && self.is_handshaking() => {
                self.flights += 1;
                self.shake_hands(out);
                Ok(())
            }
            DATA if good && !self.is_handshaking() => {
                plain.extend(body[HEAD..].iter().map(|byte| byte ^ key));
                Ok(())
            }
            BYE if good => {
                self.closed_by_peer = true;
                if self.is_handshaking() { Err(self.wrong("closed during the handshake")) } else { Ok(()) }
            }
            ALERT if good => Err(self.wrong("the peer says so")),
            _ => {
                self.say(ALERT, &[], out);
                Err(self.wrong("a record that is none"))
            }
        }
    }

    fn take(&mut self, wire: &[u8], plain: &mut BytesMut, out: &mut SendQueue) -> Result<(), TlsError> {
        self.shake_hands(out);
        self.partial.extend_from_slice(wire);
        while !self.closed_by_peer && self.partial.len() >= HEAD {
            let len = usize::from(self.partial[2]) + OVERHEAD;
            if self.partial.len() < len {
                break;
            }
            let rest = self.partial.split_off(len);
            let record = core::mem::replace(&mut self.partial, rest);
            self.hear(&record, plain, out)?;
        }
        Ok(())
    }

    fn wrong(&self, why: &str) -> TlsError {
        let call = if self.is_handshaking() { Call::Handshake } else { Call::Receive };
        TlsError::new(Error::new(call, ErrorKind::TlsError), why)
    }
}

/// FNV-1a: a few flipped bits change it.
fn sum(bytes: &[u8]) -> [u8; SUM] {
    bytes.iter().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)).to_le_bytes()
}

impl Session for Fake {
    fn receive(&mut self, wire: &mut [u8], plain: &mut BytesMut, out: &mut SendQueue) -> Result<(), TlsError> {
        let result = self.take(wire, plain, out);
        if self.counts {
            let (agreed, wrong, bye) = (!self.is_handshaking(), result.is_err(), self.closed_by_peer);
            let books = books();
            BOOKS.set(Books { agreed, wrong: books.wrong || wrong, bye: books.bye || bye, ..books });
        }
        result
    }

    fn encrypt(&mut self, plain: &[u8], out: &mut SendQueue) -> Result<(), TlsError> {
        assert!(!self.is_handshaking() && !self.closed, "nothing can be encrypted now");
        for piece in plain.chunks(self.manner.record.into()) {
            self.say(DATA, piece, out);
        }
        if self.counts {
            let books = books();
            BOOKS.set(Books { plain: books.plain + plain.len(), ..books });
        }
        Ok(())
    }

    fn close(&mut self, out: &mut SendQueue) {
        if !core::mem::replace(&mut self.closed, true) {
            self.say(BYE, &[], out);
            if self.counts {
                BOOKS.set(Books { word: true, ..books() });
            }
        }
    }

    fn is_handshaking(&self) -> bool {
        self.flights < self.manner.flights
    }

    fn is_closed_by_peer(&self) -> bool {
        self.closed_by_peer
    }

    fn info(&self) -> TlsInfo {
        TlsInfo::default()
    }
}

/// Makes them for a loop.
#[derive(Clone, Debug)]
struct Maker(Manner, bool);

impl MakeSession for Maker {
    fn make(&self) -> Result<Box<dyn Session>, TlsError> {
        Ok(Box::new(Fake { counts: true, ..Fake::new(self.0, self.1) }))
    }

    fn is_server(&self) -> bool {
        self.1
    }

    fn boxed(&self) -> Box<dyn MakeSession> {
        Box::new(self.clone())
    }
}

pub(crate) fn tls(manner: Manner, is_server: bool) -> Tls {
    Tls::new(Maker(manner, is_server))
}

/// The peer: a session that is used by hand.
pub(crate) struct Peer {
    session: Fake,
    out: SendQueue,
    pool: BufPool,
    plain: BytesMut,
    pub(crate) broken: bool,
}

impl Peer {
    pub(crate) fn new(manner: Manner, is_server: bool) -> Self {
        let (out, pool, plain) = (SendQueue::new(), BufPool::new(), BytesMut::new());
        Self { session: Fake::new(manner, is_server), out, pool, plain, broken: false }
    }

    /// It hears that, and begins the handshake if it is its turn.
    pub(crate) fn hear(&mut self, wire: &[u8]) {
        if !self.broken {
            self.broken = self.session.receive(&mut wire.to_vec(), &mut self.plain, &mut self.out).is_err();
        }
    }

    /// Everything that was said to it.
    pub(crate) fn heard(&self) -> &[u8] {
        &self.plain
    }

    pub(crate) fn can_write(&self) -> bool {
        !self.broken && !self.session.closed && !self.session.is_handshaking()
    }

    pub(crate) fn write(&mut self, plain: &[u8]) {
        self.broken |= self.session.encrypt(plain, &mut self.out).is_err();
    }

    pub(crate) fn close(&mut self) {
        self.session.close(&mut self.out);
    }

    pub(crate) fn has_closed(&self) -> bool {
        self.session.closed
    }

    pub(crate) fn was_told_goodbye(&self) -> bool {
        self.session.closed_by_peer
    }

    /// Takes what it has to say.
    pub(crate) fn say(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        while !self.out.is_empty() {
            let mut slices = [&[][..]; 8];
            let n = self.out.gather(&mut slices);
            let before = said.len();
            said.extend(slices[..n].concat());
            self.out.advance(said.len() - before, &mut self.pool);
        }
        said
    }
}

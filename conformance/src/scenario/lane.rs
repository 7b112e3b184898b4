//! What happened, as data: events in lanes.

use super::timeline::Timeline;
use core::fmt;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What stands behind the name of an event.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Arg {
    /// A word.
    Word(String),
    /// A number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
    /// Bytes of a connection.
    Bytes(Vec<u8>),
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub struct Event {
    /// In the contract's words; with a protocol's name and a dot before it, if it is not the first one's.
    pub name: String,
    /// What it came with.
    pub args: Vec<Arg>,
}

impl Event {
    /// An event with nothing to it.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), args: Vec::new() }
    }

    /// With this too.
    #[must_use]
    pub fn with(mut self, arg: Arg) -> Self {
        self.args.push(arg);
        self
    }

    /// With this word too.
    #[must_use]
    pub fn word(self, word: impl Into<String>) -> Self {
        self.with(Arg::Word(word.into()))
    }

    /// The name without the protocol's.
    #[must_use]
    pub fn base(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The bytes, if it is made of bytes.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self.args.first() {
            Some(Arg::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (n, arg) in self.args.iter().enumerate() {
            f.write_str(if n == 0 { "(" } else { ", " })?;
            match arg {
                Arg::Word(word) => f.write_str(word)?,
                Arg::Int(number) => write!(f, "{number}")?,
                Arg::Bool(yes) => write!(f, "{yes}")?,
                Arg::Bytes(bytes) if bytes.len() <= 32 => write!(f, "\"{}\"", bytes.escape_ascii())?,
                Arg::Bytes(bytes) => write!(f, "{} bytes \"{}…\"", bytes.len(), bytes[..16].escape_ascii())?,
            }
        }
        f.write_str(if self.args.is_empty() { "" } else { ")" })
    }
}

/// The events of one actor, in order.
pub type Lane = Vec<Event>;

/// Both directions of one connection, as far as they were begun.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Streams {
    /// All that the application wrote and the transport took.
    pub written: Vec<u8>,
    /// All that the peer sent.
    pub sent: Vec<u8>,
}

/// Everything that happened in one run of a scenario.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Record {
    /// By the name of the lane: `app`, `peer`, `app.b`, `server`, `loop`, `hook`, `host`. Empty lanes are left out.
    pub lanes: BTreeMap<String, Lane>,
    /// By the name of the connection: empty for the first one.
    pub streams: BTreeMap<String, Streams>,
    /// The datagrams that were sent, by the lane of who sent them.
    pub letters: BTreeMap<String, Vec<Vec<u8>>>,
    /// The same once more on one time axis; see [`timeline`](super::timeline).
    pub timeline: Timeline,
}

impl Record {
    /// Adds an event; bytes of a stream behind others become one event, and datagrams stay what they are.
    pub fn push(&mut self, lane: &str, event: Event) {
        self.timeline.event(lane, &event);
        let lane = self.lanes.entry(lane.into()).or_default();
        if let (Some(last), Some(bytes), 1) = (lane.last_mut(), event.bytes(), event.args.len()) {
            if last.name == event.name {
                if let Some(Arg::Bytes(before)) = last.args.first_mut() {
                    before.extend_from_slice(bytes);
                    return;
                }
            }
        }
        lane.push(event);
    }

    /// A lane; empty if nothing happened in it.
    #[must_use]
    pub fn lane(&self, name: &str) -> &[Event] {
        self.lanes.get(name).map_or(&[], |lane| lane)
    }

    /// How often an event is in a lane; for the data of a stream, how many bytes of it.
    #[must_use]
    pub fn amount(&self, lane: &str, event: &str) -> usize {
        let found = self.lane(lane).iter().filter(|candidate| candidate.name == event);
        let bytes = |event: &Event| event.bytes().filter(|_| event.args.len() == 1).map_or(1, <[u8]>::len);
        found.map(bytes).sum()
    }

    /// How much has happened: changes whenever something does.
    #[must_use]
    pub fn volume(&self) -> usize {
        self.lanes.values().flatten().map(|event| 1 + event.bytes().map_or(0, <[u8]>::len)).sum()
    }

    /// Somebody sends a datagram.
    pub fn posted(&mut self, lane: &str, payload: &[u8]) {
        self.letters.entry(lane.into()).or_default().push(payload.to_vec());
    }

    /// Both directions of a connection.
    pub fn streams(&mut self, connection: &str) -> &mut Streams {
        self.streams.entry(connection.into()).or_default()
    }
}

/// Bytes of which each tells where it belongs: what is moved, repeated or lost shows.
#[must_use]
pub fn pattern(from: usize, len: usize) -> Vec<u8> {
    /// The pattern repeats itself after so many bytes.
    const PERIOD: usize = 1 << 16;
    static ONCE: OnceLock<Vec<u8>> = OnceLock::new();
    let period = ONCE.get_or_init(|| (0..PERIOD).map(|i| ((31 * i + 7) ^ (i >> 8)) as u8).collect());
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let at = (from + bytes.len()) % PERIOD;
        bytes.extend_from_slice(&period[at..PERIOD.min(at + len - bytes.len())]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn the_pattern_is_one_stream() {
        let whole = pattern(0, 200_000);
        assert_eq!(whole.len(), 200_000);
        for (from, len) in [(0, 1), (65_530, 20), (131_072, 65_536), (70_000, 0), (1, 199_999)] {
            assert_eq!(pattern(from, len), &whole[from..from + len], "{from}, {len}");
        }
        assert!((0..200_000).all(|i| whole[i] == ((31 * i + 7) ^ (i >> 8)) as u8));
    }
}

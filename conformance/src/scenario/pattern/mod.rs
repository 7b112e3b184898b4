//! What may happen: patterns over lanes.

mod matching;

use super::lane::{Arg, Event, Streams};
use core::fmt;
use matching::{check_once, check_sequence};

/// Bytes that are expected.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Bytes {
    Text(Vec<u8>),
    Pattern(usize),
    /// All that the application wrote.
    Written,
    /// All that the peer sent.
    Sent,
    /// The first bytes of that, at least one, and at most so many.
    Prefix(Box<Self>, usize),
    /// Whatever it is.
    Anything,
}

impl Bytes {
    /// How many they can be, where so many are `sent`; `None` if that cannot be known beforehand.
    fn most(&self, sent: Option<usize>) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.len()),
            Self::Pattern(len) => Some(*len),
            Self::Sent => sent,
            Self::Prefix(of, usize::MAX) => of.most(sent),
            Self::Prefix(of, most) => Some(of.most(sent).map_or(*most, |all| all.min(*most))),
            Self::Written | Self::Anything => None,
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{}\"", text.escape_ascii()),
            Self::Pattern(len) => write!(f, "{len} bytes of the pattern"),
            Self::Written => f.write_str("all that was written"),
            Self::Sent => f.write_str("all that was sent"),
            Self::Anything => f.write_str("anything"),
            Self::Prefix(of, usize::MAX) => write!(f, "the beginning of {of}"),
            Self::Prefix(of, most) => write!(f, "the beginning of {of}, at most {most} bytes"),
        }
    }
}

/// What an argument of an event is expected to be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Want {
    Is(Arg),
    OneOf(Vec<String>),
    Bytes(Bytes),
}

/// What may happen in a lane.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Pattern {
    Event {
        name: String,
        args: Vec<Want>,
    },
    Opt(Vec<Self>),
    Alt(Vec<Vec<Self>>),
    Star(Vec<Self>),
    /// Any interleaving of these.
    Any(Vec<Vec<Self>>),
}

/// What is expected of a lane.
#[derive(Clone, Debug)]
pub(crate) enum Expect {
    Sequence(Vec<Pattern>),
    /// Each of these once, in any order that keeps these pairs; `*` is every other one.
    Once {
        once: Vec<Pattern>,
        order: Vec<(String, String)>,
    },
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { name, args } => {
                f.write_str(name)?;
                for (n, arg) in args.iter().enumerate() {
                    f.write_str(if n == 0 { "(" } else { ", " })?;
                    match arg {
                        Want::Is(arg) => {
                            let text = Event::new("").with(arg.clone()).to_string();
                            f.write_str(text.trim_matches(['(', ')']))?;
                        }
                        Want::OneOf(words) => f.write_str(&words.join("|"))?,
                        Want::Bytes(bytes) => bytes.fmt(f)?,
                    }
                }
                f.write_str(if args.is_empty() { "" } else { ")" })
            }
            Self::Opt(seq) => write!(f, "[{}]", words(seq)),
            Self::Star(seq) => write!(f, "{{{}}}", words(seq)),
            Self::Alt(seqs) => write!(f, "({})", seqs.iter().map(|seq| words(seq)).collect::<Vec<_>>().join(" | ")),
            Self::Any(seqs) => write!(f, "({})", seqs.iter().map(|seq| words(seq)).collect::<Vec<_>>().join(" ∥ ")),
        }
    }
}

pub(crate) fn words(seq: &[Pattern]) -> String {
    seq.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Expect {
    /// In words, one line an event where the order is fixed.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Sequence(seq) => seq.iter().map(ToString::to_string).collect(),
            Self::Once { once, order } => {
                let mut lines: Vec<String> = once.iter().map(ToString::to_string).collect();
                lines.push(format!("in any order with {order:?}"));
                lines
            }
        }
    }

    /// Whether an event of that name may happen.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        fn in_seq(seq: &[Pattern], name: &str) -> bool {
            seq.iter().any(|pattern| match pattern {
                Pattern::Event { name: own, .. } => own == name,
                Pattern::Opt(seq) | Pattern::Star(seq) => in_seq(seq, name),
                Pattern::Alt(seqs) | Pattern::Any(seqs) => seqs.iter().any(|seq| in_seq(seq, name)),
            })
        }
        match self {
            Self::Sequence(seq) => in_seq(seq, name),
            Self::Once { once, .. } => in_seq(once, name),
        }
    }

    /// How often an event of that name may happen at most, for data how many bytes of it; `None` if that cannot be known beforehand.
    pub(crate) fn most(&self, name: &str, sent: Option<usize>) -> Option<usize> {
        fn in_seq(seq: &[Pattern], name: &str, sent: Option<usize>) -> Option<usize> {
            seq.iter().try_fold(0_usize, |sum, pattern| Some(sum.saturating_add(in_pattern(pattern, name, sent)?)))
        }
        fn in_pattern(pattern: &Pattern, name: &str, sent: Option<usize>) -> Option<usize> {
            match pattern {
                Pattern::Event { name: own, .. } if own != name => Some(0),
                Pattern::Event { args, .. } => match &args[..] {
                    [Want::Bytes(bytes)] => bytes.most(sent),
                    _ => Some(1),
                },
                Pattern::Opt(seq) => in_seq(seq, name, sent),
                Pattern::Star(seq) => in_seq(seq, name, sent).filter(|most| *most == 0),
                Pattern::Alt(seqs) => seqs.iter().try_fold(0, |most, seq| Some(in_seq(seq, name, sent)?.max(most))),
                Pattern::Any(seqs) => {
                    seqs.iter().try_fold(0_usize, |sum, seq| Some(sum.saturating_add(in_seq(seq, name, sent)?)))
                }
            }
        }
        match self {
            Self::Sequence(seq) => in_seq(seq, name, sent),
            Self::Once { once, .. } => in_seq(once, name, sent),
        }
    }

    /// Whether the lane is as expected; if not, the index of the first event that is not, which is the length if something is missing.
    pub(crate) fn check(&self, lane: &[Event], streams: &Streams) -> Result<(), usize> {
        match self {
            Self::Sequence(seq) => check_sequence(seq, lane, streams),
            Self::Once { once, order } => check_once(once, order, lane, streams),
        }
    }
}

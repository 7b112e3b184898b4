//! Whether a lane is one that is permitted.
//!
//! It is matched with the set of all positions it can be at, each a pattern of what is left (Antimirov's partial derivatives). Patterns without
//! `any` have no more positions than they have parts, so there is nothing to backtrack over.

use super::{Bytes, Pattern, Want};
use crate::scenario::lane::{Arg, Event, Streams, pattern};
use std::collections::BTreeSet;

/// A part of what is left.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    Whole(Pattern),
    /// Data of an event that was begun: so many bytes are left; `open`: or fewer.
    Begun {
        name: String,
        left: Vec<u8>,
        open: bool,
    },
    Bytes {
        left: Vec<u8>,
        open: bool,
    },
    Shuffle(Vec<Rest>),
}

/// What is left, last part first: so that taking the first one is cheap.
type Rest = Vec<Part>;

impl Bytes {
    fn resolve(&self, streams: &Streams) -> Part {
        match self {
            Self::Text(text) => Part::Bytes { left: text.clone(), open: false },
            Self::Pattern(len) => Part::Bytes { left: pattern(0, *len), open: false },
            Self::Written => Part::Bytes { left: streams.written.clone(), open: false },
            Self::Sent => Part::Bytes { left: streams.sent.clone(), open: false },
            Self::Prefix(of, most) => match of.resolve(streams) {
                Part::Bytes { mut left, .. } => {
                    left.truncate(*most);
                    Part::Bytes { left, open: true }
                }
                other => other,
            },
            Self::Anything => Part::Bytes { left: Vec::new(), open: true },
        }
    }

    /// Whether all of these are such, where they are not a piece of a stream.
    fn is(&self, bytes: &[u8], streams: &Streams) -> bool {
        match self.resolve(streams) {
            Part::Bytes { left, open: false } => left == bytes,
            Part::Bytes { left, open: true } => matches!(self, Self::Anything) || left.starts_with(bytes),
            _ => false,
        }
    }
}

fn rest_of(seq: &[Pattern]) -> Rest {
    seq.iter().rev().cloned().map(Part::Whole).collect()
}

pub(super) fn check_sequence(seq: &[Pattern], lane: &[Event], streams: &Streams) -> Result<(), usize> {
    let mut positions = BTreeSet::from([rest_of(seq)]);
    for (index, event) in lane.iter().enumerate() {
        let mut next = BTreeSet::new();
        for rest in &positions {
            step(rest, event, streams, &mut next);
        }
        if next.is_empty() {
            return Err(index - usize::from(is_cut_short(&positions)));
        }
        positions = next;
    }
    if positions.iter().any(|rest| nullable(rest)) { Ok(()) } else { Err(lane.len() - usize::from(is_cut_short(&positions))) }
}

/// Whether the event before this was data of which, however it is taken, more must come: then that is what differs.
fn is_cut_short(positions: &BTreeSet<Rest>) -> bool {
    let begun = |rest: &Rest| matches!(rest.last(), Some(Part::Begun { left, open: false, .. }) if !left.is_empty());
    positions.iter().all(begun)
}

fn nullable(rest: &[Part]) -> bool {
    rest.iter().all(|part| match part {
        Part::Whole(pattern) => nullable_pattern(pattern),
        Part::Begun { left, open, .. } => *open || left.is_empty(),
        Part::Bytes { .. } => false,
        Part::Shuffle(rests) => rests.iter().all(|rest| nullable(rest)),
    })
}

fn nullable_pattern(pattern: &Pattern) -> bool {
    let seq_nullable = |seq: &Vec<Pattern>| seq.iter().all(nullable_pattern);
    match pattern {
        Pattern::Event { .. } => false,
        Pattern::Opt(_) | Pattern::Star(_) => true,
        Pattern::Alt(seqs) => seqs.iter().any(seq_nullable),
        Pattern::Any(seqs) => seqs.iter().all(seq_nullable),
    }
}

/// Everything that may be left after `event`.
fn step(rest: &[Part], event: &Event, streams: &Streams, out: &mut BTreeSet<Rest>) {
    let Some((first, behind)) = rest.split_last() else { return };
    let mut heads = BTreeSet::new();
    match first {
        Part::Whole(Pattern::Event { name, args }) => take(name, args, event, streams, &mut heads),
        Part::Whole(Pattern::Opt(seq)) => step(&rest_of(seq), event, streams, &mut heads),
        Part::Whole(Pattern::Star(seq)) => {
            let mut once = BTreeSet::new();
            step(&rest_of(seq), event, streams, &mut once);
            heads.extend(once.into_iter().map(|mut head| {
                head.insert(0, first.clone());
                head
            }));
        }
        Part::Whole(Pattern::Alt(seqs)) => {
            for seq in seqs {
                step(&rest_of(seq), event, streams, &mut heads);
            }
        }
        Part::Whole(Pattern::Any(seqs)) => {
            shuffle(&seqs.iter().map(|seq| rest_of(seq)).collect::<Vec<_>>(), event, streams, &mut heads)
        }
        Part::Shuffle(rests) => shuffle(rests, event, streams, &mut heads),
        Part::Begun { name, left, open } => {
            if event.name == *name {
                if let Some(bytes) = event.bytes() {
                    take_bytes(name, left, *open, bytes, &mut heads);
                }
            }
        }
        Part::Bytes { .. } => {}
    }
    for mut head in heads {
        // A piece of data may go on behind a boundary that only the pattern has.
        let over = match head.last() {
            Some(Part::Bytes { left, .. }) => Some(left.clone()),
            _ => None,
        };
        match over {
            Some(bytes) => {
                head.pop();
                let mut whole = behind.to_vec();
                whole.append(&mut head);
                step(&whole, &Event { name: event.name.clone(), args: vec![Arg::Bytes(bytes)] }, streams, out);
            }
            None => {
                let mut whole = behind.to_vec();
                whole.append(&mut head);
                out.insert(whole);
            }
        }
    }
    let skip = match first {
        Part::Whole(pattern) => nullable_pattern(pattern),
        Part::Begun { left, open, .. } => *open || left.is_empty(),
        Part::Shuffle(rests) => rests.iter().all(|rest| nullable(rest)),
        Part::Bytes { .. } => false,
    };
    if skip {
        step(behind, event, streams, out);
    }
}

fn shuffle(rests: &[Rest], event: &Event, streams: &Streams, out: &mut BTreeSet<Rest>) {
    for (n, rest) in rests.iter().enumerate() {
        let mut next = BTreeSet::new();
        step(rest, event, streams, &mut next);
        for one in next {
            let mut rests = rests.to_vec();
            rests[n] = one;
            out.insert(vec![Part::Shuffle(rests)]);
        }
    }
}

/// Whether an event is the expected one; what is left of it goes to `out`.
fn take(name: &str, args: &[Want], event: &Event, streams: &Streams, out: &mut BTreeSet<Rest>) {
    if event.name != name {
        return;
    }
    if let ([Want::Bytes(Bytes::Anything)], Some(_)) = (args, event.bytes()) {
        out.insert(Rest::new());
        return;
    }
    if let ([Want::Bytes(want)], Some(bytes)) = (args, event.bytes()) {
        if let Part::Bytes { left, open } = want.resolve(streams) {
            take_bytes(name, &left, open, bytes, out);
        }
        return;
    }
    let fits = |(want, arg): (&Want, &Arg)| match (want, arg) {
        (Want::Is(want), arg) => want == arg,
        (Want::OneOf(words), Arg::Word(word)) => words.contains(word),
        // Of a datagram: it comes whole, or not at all.
        (Want::Bytes(want), Arg::Bytes(bytes)) => want.is(bytes, streams),
        _ => false,
    };
    if args.len() == event.args.len() && args.iter().zip(&event.args).all(fits) {
        out.insert(Rest::new());
    }
}

/// Bytes come where these are expected: all, the first of them, or more than them.
fn take_bytes(name: &str, want: &[u8], open: bool, bytes: &[u8], out: &mut BTreeSet<Rest>) {
    if want.starts_with(bytes) {
        let left = want[bytes.len()..].to_vec();
        if left.is_empty() {
            out.insert(Rest::new());
        } else {
            out.insert(vec![Part::Begun { name: name.into(), left, open }]);
        }
    } else if !want.is_empty() && bytes.starts_with(want) {
        out.insert(vec![Part::Bytes { left: bytes[want.len()..].to_vec(), open: false }]);
    }
}

pub(super) fn check_once(once: &[Pattern], order: &[(String, String)], lane: &[Event], streams: &Streams) -> Result<(), usize> {
    let mut left: Vec<&Pattern> = once.iter().collect();
    let mut seen: Vec<String> = Vec::new();
    for (index, event) in lane.iter().enumerate() {
        let fits =
            |pattern: &&Pattern| check_sequence(core::slice::from_ref(*pattern), core::slice::from_ref(event), streams).is_ok();
        let Some(found) = left.iter().position(fits) else { return Err(index) };
        left.swap_remove(found);
        let name = event.to_string();
        // Whatever must come before something that is there already comes too late.
        let is = |label: &str, what: &str, other: &str| {
            if label == "*" { what != other && !is_label(other, what) } else { is_label(label, what) }
        };
        let late = order.iter().any(|(first, then)| is(first, &name, then) && seen.iter().any(|seen| is(then, seen, first)));
        if late {
            return Err(index);
        }
        seen.push(name);
    }
    if left.is_empty() { Ok(()) } else { Err(lane.len()) }
}

/// `lost` names `lost(none)` too.
fn is_label(label: &str, event: &str) -> bool {
    event == label || event.strip_prefix(label).is_some_and(|rest| rest.starts_with('('))
}

#[cfg(test)]
mod tests {
    use super::super::Expect;
    use super::*;

    fn event(name: &str) -> Event {
        Event::new(name)
    }

    fn data(text: &str) -> Event {
        Event::new("data").with(Arg::Bytes(text.into()))
    }

    fn want(name: &str) -> Pattern {
        Pattern::Event { name: name.into(), args: Vec::new() }
    }

    fn want_data(bytes: Bytes) -> Pattern {
        Pattern::Event { name: "data".into(), args: vec![Want::Bytes(bytes)] }
    }

    fn text(text: &str) -> Bytes {
        Bytes::Text(text.into())
    }

    fn check(seq: &[Pattern], lane: &[Event]) -> Result<(), usize> {
        check_sequence(seq, lane, &Streams::default())
    }

    #[test]
    fn a_fixed_order_is_fixed() {
        let seq = [want("cm"), want("eof"), want("lost")];
        assert_eq!(check(&seq, &[event("cm"), event("eof"), event("lost")]), Ok(()));
        assert_eq!(check(&seq, &[event("cm"), event("lost")]), Err(1));
        assert_eq!(check(&seq, &[event("cm"), event("eof")]), Err(2));
        assert_eq!(check(&seq, &[event("cm"), event("eof"), event("lost"), event("lost")]), Err(3));
    }

    #[test]
    fn data_that_stops_short_differs_itself() {
        let seq = [want("cm"), want_data(text("hello")), want("lost")];
        assert_eq!(check(&seq, &[event("cm"), data("hel")]), Err(1));
        assert_eq!(check(&seq, &[event("cm"), data("hel"), event("lost")]), Err(1));
        assert_eq!(check(&seq, &[event("cm"), data("hello")]), Err(2));
        let open = [want("cm"), want_data(Bytes::Prefix(Box::new(text("hello")), usize::MAX)), want("lost")];
        assert_eq!(check(&open, &[event("cm"), data("hel"), event("eof")]), Err(2));
    }

    #[test]
    fn what_may_come_at_most_is_known_beforehand_or_not() {
        let most = |seq: Vec<Pattern>| Expect::Sequence(seq).most("data", Some(7));
        assert_eq!(most(vec![want("cm"), want_data(text("hello")), want_data(Bytes::Pattern(3))]), Some(8));
        let alt = Pattern::Alt(vec![vec![want_data(text("a"))], vec![want_data(Bytes::Sent)]]);
        assert_eq!(most(vec![alt, Pattern::Opt(vec![want_data(text("bc"))]), Pattern::Star(vec![want("eof")])]), Some(9));
        assert_eq!(most(vec![want_data(Bytes::Prefix(Box::new(Bytes::Written), 4))]), Some(4));
        assert_eq!(most(vec![want_data(Bytes::Prefix(Box::new(Bytes::Written), usize::MAX))]), None);
        assert_eq!(most(vec![Pattern::Star(vec![want_data(text("a"))])]), None);
        assert_eq!(most(vec![want_data(Bytes::Anything)]), None);
    }

    #[test]
    fn freedom_is_what_is_written() {
        let seq = [want("cm"), Pattern::Opt(vec![want("pause"), want("resume")]), want("lost")];
        assert_eq!(check(&seq, &[event("cm"), event("lost")]), Ok(()));
        assert_eq!(check(&seq, &[event("cm"), event("pause"), event("resume"), event("lost")]), Ok(()));
        assert_eq!(check(&seq, &[event("cm"), event("pause"), event("lost")]), Err(2));
        let star = [Pattern::Star(vec![want("a"), want("b")]), Pattern::Alt(vec![vec![want("c")], vec![want("d"), want("e")]])];
        assert_eq!(check(&star, &[event("a"), event("b"), event("a"), event("b"), event("d"), event("e")]), Ok(()));
        assert_eq!(check(&star, &[event("c")]), Ok(()));
        assert_eq!(check(&star, &[event("a"), event("c")]), Err(1));
        let any = [Pattern::Any(vec![vec![want("a"), want("b")], vec![want("c")]]), want("z")];
        for order in [["a", "b", "c"], ["a", "c", "b"], ["c", "a", "b"]] {
            let lane: Vec<Event> = order.into_iter().chain(["z"]).map(event).collect();
            assert_eq!(check(&any, &lane), Ok(()));
        }
        assert_eq!(check(&any, &[event("b")]), Err(0));
    }

    #[test]
    fn data_is_bytes_and_not_pieces() {
        assert_eq!(check(&[want_data(text("abcd"))], &[data("ab"), data("cd")]), Ok(()));
        assert_eq!(check(&[want_data(text("ab")), want_data(text("cd"))], &[data("abcd")]), Ok(()));
        assert_eq!(check(&[want_data(text("abc"))], &[data("abcd")]), Err(0));
        assert_eq!(check(&[want_data(text("abcd"))], &[data("abc")]), Err(0));
        let any = [Pattern::Any(vec![vec![want_data(text("abcd"))], vec![want("pause")]])];
        assert_eq!(check(&any, &[data("ab"), event("pause"), data("cd")]), Ok(()));
        let prefix = [want_data(Bytes::Prefix(Box::new(text("abcd")), usize::MAX)), want("lost")];
        assert_eq!(check(&prefix, &[data("ab"), event("lost")]), Ok(()));
        assert_eq!(check(&prefix, &[data("abcd"), event("lost")]), Ok(()));
        assert_eq!(check(&prefix, &[event("lost")]), Err(0));
        assert_eq!(check(&prefix, &[data("x"), event("lost")]), Err(0));
        let bounded = [want_data(Bytes::Prefix(Box::new(text("abcd")), 2)), want("lost")];
        assert_eq!(check(&bounded, &[data("a"), data("b"), event("lost")]), Ok(()));
        assert_eq!(check(&bounded, &[data("abc"), event("lost")]), Err(0));
    }

    #[test]
    fn once_each_in_a_partial_order() {
        let once = [want("cm"), want("a"), want("b"), want("lost")];
        let order = [("cm".into(), "*".into()), ("*".into(), "lost".into()), ("a".into(), "b".into())];
        let check = |names: &[&str]| {
            let lane: Vec<Event> = names.iter().map(|name| event(name)).collect();
            check_once(&once, &order, &lane, &Streams::default())
        };
        assert_eq!(check(&["cm", "a", "b", "lost"]), Ok(()));
        assert_eq!(check(&["cm", "b", "a", "lost"]), Err(2));
        assert_eq!(check(&["a", "cm", "b", "lost"]), Err(1));
        assert_eq!(check(&["cm", "a", "lost", "b"]), Err(3));
        assert_eq!(check(&["cm", "a", "b"]), Err(3));
    }

    #[test]
    fn many_ways_to_match_cost_little() {
        // Backtracking would try 2⁴⁰ ways.
        let star: Vec<Pattern> = (0..40).map(|_| Pattern::Opt(vec![want("a")])).collect();
        let lane: Vec<Event> = (0..41).map(|_| event("a")).collect();
        assert_eq!(check(&star, &lane), Err(40));
    }
}

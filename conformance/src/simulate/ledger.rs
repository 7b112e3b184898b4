//! Which bytes went in at one end and came out at the other.

use core::net::SocketAddr;
use plimsoll_core::{CloseReason, WriteStatus};
use std::collections::BTreeMap;

/// One direction of one connection: named by the port of the end that connected.
pub(crate) type FlowKey = (u16, Direction);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Direction {
    /// From the end that connected.
    Up,
    /// To the end that connected.
    Down,
}

/// What is known of one direction.
#[derive(Clone, Copy, Default, Hash, Debug)]
pub(crate) struct Flow {
    /// Bytes that writes accepted.
    accepted: u64,
    /// Of those, bytes that were never handed to the system.
    discarded: u64,
    /// Bytes that came out.
    got: u64,
    /// The end came out.
    eof: bool,
    /// The bytes are those of another flow: echoed, or passed on.
    same_as: Option<FlowKey>,
}

/// All flows of a world. Every byte says where in which flow it stands, so nothing can be lost, repeated or exchanged unseen.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    flows: BTreeMap<FlowKey, Flow>,
    /// A send that was under way when its connection was aborted may have succeeded.
    pub(crate) sends_overtake: bool,
    pub(crate) bytes: u64,
}

const fn byte(of: FlowKey, at: u64) -> u8 {
    let flow = of.0 as u64 * 7 + if matches!(of.1, Direction::Up) { 101 } else { 0 };
    ((at * 31) ^ (at >> 8) ^ (at >> 16)).wrapping_add(flow) as u8
}

impl Ledger {
    fn source(&self, mut key: FlowKey) -> FlowKey {
        while let Some(other) = self.flows.get(&key).and_then(|flow| flow.same_as) {
            key = other;
        }
        key
    }

    /// `key` carries what comes out of `other`.
    pub(crate) fn same(&mut self, key: FlowKey, other: FlowKey) {
        self.flows.entry(key).or_default().same_as = Some(other);
    }

    /// The next `n` bytes to write.
    pub(crate) fn next(&self, key: FlowKey, n: usize) -> Vec<u8> {
        let from = self.flows.get(&key).map_or(0, |flow| flow.accepted);
        let source = self.source(key);
        (from..from + n as u64).map(|at| byte(source, at)).collect()
    }

    /// A write was answered.
    pub(crate) fn wrote(&mut self, key: FlowKey, n: usize, status: WriteStatus) {
        if matches!(status, WriteStatus::Accepted | WriteStatus::Paused) {
            self.flows.entry(key).or_default().accepted += n as u64;
        }
    }

    /// Bytes came out.
    pub(crate) fn got(&mut self, key: FlowKey, bytes: &[u8]) {
        let source = self.source(key);
        let flow = self.flows.entry(key).or_default();
        for (n, &got) in bytes.iter().enumerate() {
            let at = flow.got + n as u64;
            if got != byte(source, at) {
                violation(&format!("byte {at} of {key:?} is {got}, not {}", byte(source, at)));
            }
        }
        flow.got += bytes.len() as u64;
        self.bytes += bytes.len() as u64;
        if flow.got > flow.accepted {
            violation(&format!("{key:?}: {} bytes came out, {} went in", flow.got, flow.accepted));
        }
    }

    pub(crate) fn eof(&mut self, key: FlowKey) {
        self.flows.entry(key).or_default().eof = true;
    }

    pub(crate) fn lost(&mut self, key: FlowKey, reason: &CloseReason) {
        self.flows.entry(key).or_default().discarded = reason.discarded();
    }

    /// Where the end came out, everything before it did.
    pub(crate) fn check(&self, untrue_ends: &[(SocketAddr, SocketAddr)]) -> Result<(), String> {
        for (key, flow) in &self.flows {
            let untrue = untrue_ends.iter().any(|(local, remote)| match key.1 {
                Direction::Up => remote.port() == key.0,
                Direction::Down => local.port() == key.0,
            });
            if untrue {
                continue;
            }
            let sent = flow.accepted - flow.discarded;
            let complete = if self.sends_overtake && flow.discarded > 0 { flow.got >= sent } else { flow.got == sent };
            if flow.eof && !complete {
                return Err(format!("{key:?} ended with bytes missing: {flow:?}"));
            }
        }
        Ok(())
    }

    pub(crate) fn digest(&self) -> impl core::hash::Hash + '_ {
        &self.flows
    }
}

/// The contract is broken: nobody has planted this panic.
pub(crate) fn violation(what: &str) -> ! {
    std::panic::resume_unwind(Box::new(String::from(what)))
}

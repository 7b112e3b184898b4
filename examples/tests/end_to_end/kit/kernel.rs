//! Where bytes are, as the kernel sees it.

use super::until;
use core::net::{SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::fs;
use std::thread;

/// The bytes that one end of a connection has sent and the other has not acknowledged, and those that it has received and nobody has read.
fn queues(from: SocketAddr, to: SocketAddr) -> Option<(u64, u64)> {
    let word = |addr: SocketAddr| {
        let SocketAddr::V4(addr) = addr else { panic!("{addr} is of another family") };
        let (ip, port) = (SocketAddrV4::ip(&addr), addr.port());
        format!("{:08X}:{port:04X}", u32::from_ne_bytes(ip.octets()))
    };
    let (from, to) = (word(from), word(to));
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let line =
        table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|line| line[1] == from && line[2] == to)?;
    let (unacknowledged, unread) = line[4].split_once(':').unwrap();
    Some((u64::from_str_radix(unacknowledged, 16).unwrap(), u64::from_str_radix(unread, 16).unwrap()))
}

/// How many of the `sent` bytes a program keeps that receives them from `source` at its end `input`, and sends them on from its end `output` to
/// `sink`, which reads nothing: those that the kernel has not.
///
/// Asked when nothing moves any more.
pub(crate) fn kept_between(sent: u64, [source, input]: [SocketAddr; 2], [output, sink]: [SocketAddr; 2]) -> u64 {
    let look = || {
        let (on_the_way, _) = queues(source, input)?;
        let (_, unread) = queues(input, source)?;
        let (on_the_way_back, _) = queues(output, sink)?;
        let (_, arrived) = queues(sink, output)?;
        sent.checked_sub(on_the_way + unread + on_the_way_back + arrived)
    };
    let mut kept = None;
    until("nothing moves", || {
        let before = look();
        // Acknowledgements are late by so much at most.
        thread::sleep(Duration::from_millis(250));
        kept = look();
        kept.is_some() && kept == before
    });
    kept.unwrap()
}

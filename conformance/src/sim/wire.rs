//! A TCP connection as the kernels of both ends show it: bytes on their way, windows, end-of-file, resets.

use super::clock::Happening;
use super::fault::{Failure, Syscall};
use super::net::{Kind, Net, Owner, SockId, Socket};
use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_core::{ErrorKind, Instant, SocketOption};
use std::collections::VecDeque;

/// Where a connection stands for the kernel of one end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TcpState {
    Connecting,
    Open,
    /// It sent a reset; only what is on its way counts.
    Resetting,
    /// It was reset, or never came about.
    Dead,
}

/// How far the end of our bytes has got.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fin {
    Open,
    /// It goes behind everything queued.
    Queued,
    Sent,
    Arrived,
}

/// One end.
#[derive(Debug)]
pub(crate) struct Tcp {
    pub(crate) remote: SocketAddr,
    pub(crate) peer: SockId,
    pub(crate) state: TcpState,
    /// Its descriptor is gone.
    pub(crate) closed: bool,
    pub(crate) linger_zero: bool,
    /// Told once, to whoever asks first.
    pub(crate) error: Option<ErrorKind>,
    // Sending: bytes that were taken; the foremost `sent` are on their way.
    out: VecDeque<u8>,
    sent: usize,
    /// Sent and not acknowledged.
    unacked: usize,
    pub(crate) send_space: usize,
    /// What the receiver has room for.
    pub(crate) credit: usize,
    pub(crate) fin: Fin,
    /// It was told that there is no room: that there is room again is an event.
    pub(crate) no_space: bool,
    pub(crate) last_arrival: Instant,
    // Receiving.
    pub(crate) input: VecDeque<u8>,
    pub(crate) receive_space: usize,
    /// Read, and not yet told to the sender.
    owed: usize,
    pub(crate) fin_received: bool,
}

impl Tcp {
    pub(crate) fn new(remote: SocketAddr, send_space: usize, receive_space: usize) -> Self {
        Self {
            remote,
            peer: SockId::from_bits(0),
            state: TcpState::Connecting,
            closed: false,
            linger_zero: false,
            error: None,
            out: VecDeque::new(),
            sent: 0,
            unacked: 0,
            send_space,
            credit: 0,
            fin: Fin::Open,
            no_space: false,
            last_arrival: Instant::ZERO,
            input: VecDeque::new(),
            receive_space,
            owed: 0,
            fin_received: false,
        }
    }

    /// Bytes of the send buffer that are in use.
    fn used(&self) -> usize {
        self.out.len() - self.sent + self.unacked
    }

    fn room(&self) -> usize {
        self.send_space.saturating_sub(self.used())
    }

    /// As Linux has it: a third of the buffer must be free.
    pub(crate) fn is_writable(&self) -> bool {
        self.room() > 0 && 2 * self.room() >= self.used()
    }

    /// Whether we finished before the peer did.
    pub(crate) fn fin_first(&self) -> bool {
        self.state == TcpState::Open && !self.fin_received && !self.linger_zero && self.input.is_empty()
    }

    pub(crate) fn apply(&mut self, option: SocketOption) {
        match option {
            SocketOption::Linger(linger) => self.linger_zero = linger == Some(Duration::ZERO),
            SocketOption::SendBuffer(space) => self.send_space = space.max(1),
            // A window that was once offered is not taken back.
            SocketOption::ReceiveBuffer(space) if self.state == TcpState::Connecting => self.receive_space = space.max(1),
            _ => {}
        }
    }

    pub(crate) fn die(&mut self, error: Option<ErrorKind>) {
        self.state = TcpState::Dead;
        self.error = error;
        self.out.clear();
        self.sent = 0;
        self.unacked = 0;
    }
}

impl Net {
    // ---- calls ----

    /// Receives: what is there comes first, whatever has happened since; then the end, then an error, once.
    pub(crate) fn recv(&mut self, id: SockId, buf: &mut [u8]) -> Result<Option<usize>, ErrorKind> {
        let failure = self.enter(Syscall::Recv, Some(id))?;
        let (would_block, short) = (self.faults.would_block, self.faults.short_recv);
        let blocks = failure == Some(Failure::WouldBlock) || self.told_again(would_block, id);
        let cut = match failure {
            Some(Failure::OneByte) => 1,
            _ if buf.len() > 1 && self.chance(short) => self.rng.usize(1..buf.len().min(64)),
            _ => usize::MAX,
        };
        if self.pipe_of(id).is_some() || self.unix(id).is_some() {
            let most = buf.len().min(cut);
            return if blocks { Ok(None) } else { self.read_cut(id, &mut buf[..most]) };
        }
        let Some(tcp) = self.tcp(id) else { return Err(ErrorKind::NotConnected) };
        if blocks || buf.is_empty() {
            return Ok(None);
        }
        if tcp.input.is_empty() {
            return match (tcp.fin_received, tcp.error, tcp.state) {
                (true, ..) => Ok(Some(0)),
                (false, Some(kind), _) => {
                    tcp.error = None;
                    Err(kind)
                }
                (false, None, TcpState::Open) => Ok(None),
                (false, None, TcpState::Connecting) => Err(ErrorKind::NotConnected),
                (false, None, TcpState::Dead | TcpState::Resetting) => {
                    // A send took the error, and all that is left to say is "no more": so does Linux.
                    let remote = tcp.remote;
                    if let Some(local) = self.inet_of(id) {
                        self.untrue_ends.push((local, remote));
                    }
                    Ok(Some(0))
                }
            };
        }
        let n = buf.len().min(tcp.input.len()).min(cut);
        let (head, tail) = tcp.input.as_slices();
        let first = head.len().min(n);
        buf[..first].copy_from_slice(&head[..first]);
        buf[first..n].copy_from_slice(&tail[..n - first]);
        tcp.input.drain(..n);
        let more = n < buf.len() && !tcp.input.is_empty();
        self.consumed(id, n);
        if more {
            // The rest has come just after this call: an event of its own.
            let at = self.arrival();
            self.clock.push(at, Happening::Wake { sock: id });
        }
        Ok(Some(n))
    }

    /// Reads from a pipe or a Unix socket; if it has been cut short, the rest has come just after this call.
    fn read_cut(&mut self, id: SockId, buf: &mut [u8]) -> Result<Option<usize>, ErrorKind> {
        let n = if self.unix(id).is_some() { self.read_unix(id, buf) } else { self.read_pipe(id, buf) }?;
        if n == Some(buf.len()) {
            let at = self.arrival();
            self.clock.push(at, Happening::Wake { sock: id });
        }
        Ok(n)
    }

    /// The reader made room.
    fn consumed(&mut self, id: SockId, n: usize) {
        let Some(tcp) = self.tcp(id) else { return };
        tcp.owed += n;
        if tcp.input.is_empty() || 2 * tcp.owed >= tcp.receive_space {
            let (n, to) = (core::mem::take(&mut tcp.owed), tcp.peer);
            let at = self.arrival();
            self.clock.push(at, Happening::Window { to, n });
        }
    }

    /// Sends the foremost bytes; `None`: there is no room, and that there is again is an event.
    pub(crate) fn send<'a>(
        &mut self,
        id: SockId,
        bufs: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<Option<usize>, ErrorKind> {
        let failure = self.enter(Syscall::Send, Some(id))?;
        let total: usize = bufs.clone().map(<[u8]>::len).sum();
        let (would_block, short) = (self.faults.would_block, self.faults.short_send);
        let blocks = failure == Some(Failure::WouldBlock) || self.told_again(would_block, id);
        let cut = match failure {
            Some(Failure::OneByte) => 1,
            _ if self.chance(short) => {
                let cut = 1 + self.rng.usize(..total.max(1));
                if cut < total {
                    let at = self.arrival();
                    self.clock.push(at, Happening::Wake { sock: id });
                }
                cut
            }
            _ => usize::MAX,
        };
        if self.pipe_of(id).is_some() {
            return self.write_pipe(id, bufs, if blocks { 0 } else { cut });
        }
        if self.unix(id).is_some() {
            return self.write_unix(id, bufs, if blocks { 0 } else { cut });
        }
        let Some(tcp) = self.tcp(id) else { return Err(ErrorKind::NotConnected) };
        if let Some(kind) = tcp.error.take() {
            return Err(kind);
        }
        if tcp.state != TcpState::Open || tcp.fin != Fin::Open {
            return Err(ErrorKind::BrokenPipe);
        }
        let n = if blocks { 0 } else { total.min(tcp.room()).min(cut) };
        tcp.no_space = n < total;
        if n == 0 && total > 0 {
            return Ok(None);
        }
        let mut left = n;
        for buf in bufs {
            let take = left.min(buf.len());
            tcp.out.extend(&buf[..take]);
            left -= take;
        }
        self.transmit(id);
        Ok(Some(n))
    }

    /// As though it blocked: an event follows.
    pub(crate) fn told_again(&mut self, often: u32, id: SockId) -> bool {
        let blocks = self.chance(often);
        if blocks {
            let at = self.arrival();
            self.clock.push(at, Happening::Wake { sock: id });
        }
        blocks
    }

    pub(crate) fn shutdown_write(&mut self, id: SockId) -> Result<(), ErrorKind> {
        self.enter(Syscall::Shutdown, None)?;
        if self.unix(id).is_some() {
            self.finish_unix(id);
            return Ok(());
        }
        let Some(tcp) = self.tcp(id) else { return Err(ErrorKind::NotConnected) };
        if tcp.state != TcpState::Open {
            return Err(ErrorKind::NotConnected);
        }
        tcp.fin = tcp.fin.max(Fin::Queued);
        self.transmit(id);
        Ok(())
    }

    /// The descriptor of a connection is gone. Unread input means a reset, and what was not sent yet is lost then (contract CLOSE-11).
    pub(crate) fn close_tcp(&mut self, id: SockId) {
        let Some(tcp) = self.tcp(id) else { return };
        tcp.closed = true;
        match tcp.state {
            TcpState::Open if tcp.linger_zero || !tcp.input.is_empty() => self.send_rst(id),
            TcpState::Open => {
                tcp.fin = tcp.fin.max(Fin::Queued);
                self.transmit(id);
                self.sweep(id);
            }
            TcpState::Connecting | TcpState::Resetting | TcpState::Dead => {
                self.sockets.remove(id);
            }
        }
    }

    // ---- the way there ----

    /// Sends what the window allows, cut anywhere.
    pub(crate) fn transmit(&mut self, id: SockId) {
        loop {
            let size = self.rng.usize(self.faults.segment.clone()).max(1);
            let at = self.arrival();
            let Some(tcp) = self.tcp(id) else { return };
            if tcp.state != TcpState::Open {
                return;
            }
            let at = at.max(tcp.last_arrival);
            tcp.last_arrival = at;
            let waiting = tcp.out.len() - tcp.sent;
            if waiting == 0 {
                if tcp.fin == Fin::Queued {
                    tcp.fin = Fin::Sent;
                    self.clock.push(at, Happening::Fin { from: id });
                }
                return;
            }
            let n = size.min(waiting).min(tcp.credit);
            if n == 0 {
                return;
            }
            tcp.credit -= n;
            tcp.sent += n;
            tcp.unacked += n;
            self.clock.push(at, Happening::Segment { from: id, n });
            let resets = self.faults.reset;
            if resets > 0 && self.rng.u32(..100_000) < resets {
                let peer = self.tcp(id).map(|tcp| tcp.peer);
                for to in [Some(id), peer].into_iter().flatten() {
                    let at = self.arrival();
                    self.clock.push(at, Happening::Reset { to });
                }
            }
        }
    }

    /// Sends a reset behind what is on its way already; the rest is dropped.
    pub(crate) fn send_rst(&mut self, id: SockId) {
        let loses = self.faults.reset_loses;
        let loses = self.chance(loses);
        let at = self.arrival();
        let Some(tcp) = self.tcp(id) else { return };
        if tcp.state == TcpState::Dead {
            self.sockets.remove(id);
            return;
        }
        tcp.state = TcpState::Resetting;
        tcp.closed = true;
        let keep = if loses { 0 } else { tcp.sent };
        tcp.out.truncate(keep);
        tcp.sent = keep;
        tcp.input.clear();
        let at = if loses { at } else { at.max(tcp.last_arrival) };
        self.clock.push(at, Happening::Rst { from: id });
    }

    // ---- arriving ----

    pub(crate) fn segment_arrives(&mut self, from: SockId, n: usize) {
        let Some(tcp) = self.tcp(from) else { return };
        let to = tcp.peer;
        // Less, or nothing, if a reset has overtaken it.
        let n = n.min(tcp.sent);
        if n == 0 || tcp.state == TcpState::Dead {
            return;
        }
        tcp.sent -= n;
        let mut out = core::mem::take(&mut tcp.out);
        let at = self.arrival();
        match self.sockets.get_mut(to) {
            Some(Socket { kind: Kind::Tcp(receiver), owner, .. }) => match receiver.state {
                TcpState::Open if receiver.closed && *owner == Owner::Kernel => {
                    // Nobody will ever read it: the connection is reset, and what this end had still to send is lost.
                    self.send_rst(to);
                }
                TcpState::Open => {
                    let (head, tail) = out.as_slices();
                    let first = head.len().min(n);
                    receiver.input.extend(&head[..first]);
                    receiver.input.extend(&tail[..n - first]);
                    self.clock.push(at, Happening::Ack { to: from, n });
                    self.wake(to);
                }
                TcpState::Dead => self.clock.push(at, Happening::Reset { to: from }),
                TcpState::Connecting | TcpState::Resetting => {}
            },
            _ => self.clock.push(at, Happening::Reset { to: from }),
        }
        out.drain(..n);
        if let Some(tcp) = self.tcp(from) {
            tcp.out = out;
        }
    }

    pub(crate) fn fin_arrives(&mut self, from: SockId) {
        let Some(tcp) = self.tcp(from) else { return };
        if tcp.state != TcpState::Open {
            return;
        }
        tcp.fin = Fin::Arrived;
        let to = tcp.peer;
        match self.tcp(to) {
            Some(receiver) if matches!(receiver.state, TcpState::Open) => {
                receiver.fin_received = true;
                self.wake(to);
                self.sweep(to);
                // Both ends may have become finished: HUP is told of both.
                self.wake(from);
            }
            Some(receiver) if receiver.state == TcpState::Resetting => {}
            _ => {
                let at = self.arrival();
                self.clock.push(at, Happening::Reset { to: from });
            }
        }
        self.sweep(from);
    }

    pub(crate) fn rst_arrives(&mut self, from: SockId) {
        let Some(tcp) = self.tcp(from) else { return };
        let to = tcp.peer;
        self.sockets.remove(from);
        self.reset_by_peer(to);
    }

    pub(crate) fn reset_by_peer(&mut self, id: SockId) {
        let loses = self.faults.reset_loses;
        let loses = self.chance(loses);
        let Some(tcp) = self.tcp(id) else { return };
        let kind = match tcp.state {
            TcpState::Dead => return,
            TcpState::Resetting => return,
            TcpState::Connecting => ErrorKind::ConnectionRefused,
            // As Linux has it: behind the peer's end-of-file it is a broken pipe.
            TcpState::Open if tcp.fin_received => ErrorKind::BrokenPipe,
            TcpState::Open => ErrorKind::ConnectionReset,
        };
        tcp.die(Some(kind));
        if loses && !tcp.input.is_empty() {
            // Whoever loses bytes does not make an end of it.
            tcp.input.clear();
            tcp.fin_received = false;
            tcp.error = Some(ErrorKind::ConnectionReset);
        }
        self.wake(id);
        self.sweep(id);
    }

    pub(crate) fn acknowledged(&mut self, id: SockId, n: usize) {
        let Some(tcp) = self.tcp(id) else { return };
        tcp.unacked = tcp.unacked.saturating_sub(n);
        if tcp.no_space && tcp.is_writable() {
            tcp.no_space = false;
            self.wake(id);
        }
    }

    pub(crate) fn window_opens(&mut self, id: SockId, n: usize) {
        if let Some(tcp) = self.tcp(id) {
            tcp.credit += n;
            self.transmit(id);
        }
    }

    /// A peer of the test's takes what is there, at most so much.
    pub(crate) fn drain(&mut self, id: SockId, most: usize) {
        if self.pipe_of(id).is_some() {
            self.drain_pipe(id, most);
            return;
        }
        if self.unix(id).is_some() {
            self.drain_unix(id, most);
            return;
        }
        if self.mailbox(id).is_some() {
            self.drain_datagrams(id, most);
            return;
        }
        let Some(Socket { kind: Kind::Tcp(tcp), drain: Some(drain), .. }) = self.sockets.get_mut(id) else { return };
        let n = tcp.input.len().min(most);
        if n > 0 {
            // Not byte by byte: peers of large scenarios do little else.
            let (head, tail) = tcp.input.as_slices();
            let first = head.len().min(n);
            drain.received.extend_from_slice(&head[..first]);
            drain.received.extend_from_slice(&tail[..n - first]);
            tcp.input.drain(..n);
            self.consumed(id, n);
        }
    }

    /// Takes bytes of a peer of the test's, without a bound.
    pub(crate) fn peer_send(&mut self, id: SockId, bytes: &[u8]) -> bool {
        if self.pipe_of(id).is_some() {
            return self.peer_writes(id, bytes);
        }
        if self.unix(id).is_some() {
            return self.peer_sends_unix(id, bytes);
        }
        let Some(tcp) = self.tcp(id).filter(|tcp| matches!(tcp.state, TcpState::Open | TcpState::Connecting)) else {
            return false;
        };
        tcp.out.extend(bytes);
        self.transmit(id);
        true
    }
}

impl Net {
    /// Finishes the sending half of a peer of the test's, also while it is still connecting.
    pub(crate) fn finish(&mut self, id: SockId) -> Result<(), ErrorKind> {
        if self.unix(id).is_some() {
            self.finish_unix(id);
            return Ok(());
        }
        let Some(tcp) = self.tcp(id) else { return Err(ErrorKind::NotConnected) };
        if !matches!(tcp.state, TcpState::Open | TcpState::Connecting) {
            return Err(ErrorKind::NotConnected);
        }
        tcp.fin = tcp.fin.max(Fin::Queued);
        self.transmit(id);
        Ok(())
    }
}

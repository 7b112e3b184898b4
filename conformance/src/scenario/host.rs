//! What a loop must be able to do so that scenarios can be played on it.

use super::child::Std;
#[cfg(feature = "backends")]
use super::host_real::Real;
use super::host_sim::Simulated;
use super::model::{Given, Link, Scenario, Through};
use super::race::{Lies, Race};
use super::stage::Stage;
use crate::sim::{Failure, Syscall};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use plimsoll_core::{Addr, Command, Connect, Datagram, Hub, Remote, Report, Resource, StreamId};
use std::rc::Rc;
use std::{fs, io};

/// The loops of this project, by name: three kinds of simulated kernels, and the backends.
#[cfg(feature = "backends")]
pub const NAMES: [&str; 5] = ["sim", "level", "completion", "mio", "polling"];
/// The loops of this project, by name: three kinds of simulated kernels.
#[cfg(not(feature = "backends"))]
pub const NAMES: [&str; 3] = ["sim", "level", "completion"];

/// Whether a host's kernel is simulated, so that seeds make a difference.
#[must_use]
pub fn is_simulated(name: &str) -> bool {
    ["sim", "level", "completion"].contains(&name)
}

/// What a host can do of all that scenarios may need.
#[must_use]
pub fn can(name: &str, need: &str) -> bool {
    match need {
        "reset" | "half-close" | "clients" => true,
        "clock" | "fixed-kernel" | "faults" | "latency" => is_simulated(name),
        "threads" | "close-loop" | "fd-limit" | "early-id" | "resolver" | "ipv6" | "all-errors" | "cleanup" | "sendfile" => {
            NAMES.contains(&name)
        }
        _ => false,
    }
}

/// Whether a scenario can be played on a host, and if not, why.
///
/// # Errors
/// What the host has not.
pub fn plays(name: &str, scenario: &Scenario) -> Result<(), String> {
    if scenario.link.through != Through::Pipe && is_simulated(name) {
        return Err("its pipes are nothing but pipes".into());
    }
    if scenario.link.stdio.contains(&Std::File) && is_simulated(name) {
        return Err("it has no files".into());
    }
    if scenario.link.race.of_v6() > 1 && !is_simulated(name) {
        return Err("it has one address of IPv6".into());
    }
    if scenario.link.race.of_v6() > 0 && !is_simulated(name) && std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return Err("it has no IPv6".into());
    }
    match scenario.needs.iter().find(|need| !can(name, need)) {
        Some(need) => Err(format!("it has no `{need}`")),
        None => Ok(()),
    }
}

/// What a peer saw when it read.
#[derive(Debug)]
pub(crate) enum Seen {
    Bytes(Vec<u8>),
    Nothing,
    Eof,
    Reset,
    /// The connection has ended without a closing word.
    Truncated,
    /// What came is not TLS, or refuses ours.
    Failed,
}

/// The other end of a connection: every call returns at once. Dropping it closes it.
pub(crate) trait PeerEnd {
    fn is_connected(&self) -> bool;
    /// How many bytes were taken: all of them, into the void, if the connection is gone.
    fn send(&mut self, bytes: &[u8]) -> usize;
    fn read(&mut self, most: usize) -> Seen;
    fn eof(&mut self);
    fn reset(self: Box<Self>);
    /// Closes it in an orderly way.
    fn close(self: Box<Self>) {}
    /// Finishes without a closing word, where there is one to say.
    fn truncate(&mut self) {
        self.eof();
    }
    /// Whether it speaks TLS.
    fn is_secure(&self) -> bool {
        false
    }
    /// Whether it does so, and hands are not shaken yet.
    fn is_shaking_hands(&self) -> bool {
        false
    }
    /// Does what its TLS has to do by itself: shakes hands, sends what is left, and reads what is there if it is to read `ahead`. Whether it did anything.
    fn pump(&mut self, _ahead: bool) -> bool {
        false
    }
    /// Its own address, and that of the application's end.
    fn ends(&self) -> Option<(Addr, Addr)>;
    /// How many bytes wait to be read, if that can be said.
    fn unread(&self) -> Option<usize>;
}

/// The other end of a datagram endpoint: every call returns at once. Dropping it closes it.
pub(crate) trait Mailbox {
    fn address(&self) -> Addr;
    /// Sends, to whom it is paired with if to nobody else; whether there was room. What cannot be sent is lost.
    fn send(&mut self, payload: &[u8], to: Option<&Addr>) -> bool;
    fn receive(&mut self) -> Option<(Vec<u8>, Addr)>;
}

/// The readers of what stands for stdin, stdout and stderr, where that is a file.
pub(crate) type Files = [Option<Box<dyn PeerEnd>>; 3];

/// A loop on which a scenario is played, and the world around it.
pub(crate) trait Host {
    /// The verbs and the application, outside of callbacks.
    fn hub(&mut self) -> (&mut Hub<Stage>, &mut Stage);
    /// One iteration that waits for so long at most. `false`: nothing will ever happen again by itself.
    fn turn(&mut self, patience: Duration) -> bool;
    /// The same, that waits for nothing but what is under way. `false`: nothing is.
    fn glance(&mut self) -> bool;
    /// A bound socket for the loop to listen on, with the buffers of the link, and where it is.
    fn listener(&mut self, link: &Link) -> io::Result<(Resource, Addr)>;
    /// An address for the application to listen on, if it is to choose one of no special kind.
    fn place(&mut self) -> Addr {
        Addr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }
    /// The addresses of a host, each with who is there; what to connect to.
    fn race(&mut self, race: &Race) -> io::Result<Connect>;
    /// A free abstract name.
    fn abstract_name(&mut self) -> Addr;
    /// Puts something at a path, in place of what is there.
    fn put(&mut self, at: &Addr, what: Lies) -> io::Result<()>;
    /// What is at a path: `socket`, `file`, or `none`.
    fn lies(&mut self, at: &Addr) -> &'static str;
    /// Listens where the application will connect to.
    fn listen_peer(&mut self, link: &Link) -> io::Result<Addr>;
    /// An address where nobody listens.
    fn nobody(&mut self) -> io::Result<Addr>;
    /// An address where somebody listens already.
    fn taken(&mut self) -> io::Result<Addr>;
    /// The next peer that the application has connected to.
    fn accept_peer(&mut self) -> Option<Box<dyn PeerEnd>>;
    /// Connects to the application; `None`: refused.
    fn connect_peer(&mut self, to: &Addr, link: &Link) -> Option<Box<dyn PeerEnd>>;
    /// Whether small segments are sent at once.
    fn nodelay(&mut self, id: StreamId) -> Option<bool>;
    /// What the transport says that its pipe is: `pipe`, `socket` or `terminal`; `None` if it has none.
    fn pipe(&mut self, id: StreamId) -> Option<&'static str>;
    /// What is given to the loop as a connection, and its other end, if it has one.
    fn given(&mut self, what: Given, link: &Link) -> io::Result<(Resource, Option<Box<dyn PeerEnd>>)>;
    /// A datagram socket of a peer's, at an address of its own.
    fn mailbox(&mut self) -> io::Result<Box<dyn Mailbox>>;
    /// A datagram socket for the loop to adopt.
    fn datagram_socket(&mut self, open: &Datagram) -> io::Result<Resource>;
    /// One of a pair of Unix datagram sockets, for the loop to adopt, and the other one.
    fn datagram_pair(&mut self) -> io::Result<(Resource, Box<dyn Mailbox>)>;
    /// The child of the scenario, ready to be started, and who reads the files that it writes.
    fn command(&mut self, scenario: &Scenario) -> io::Result<(Command, Files)>;
    /// A child that waits for it goes on.
    fn go(&mut self);
    /// An address that never answers.
    fn silent(&mut self) -> io::Result<Addr>;
    /// Reaches the loop from other threads.
    fn remote(&self) -> Remote<Stage>;
    /// From now on the process can have no more descriptors than it has, or as many as before.
    fn limit_descriptors(&mut self, limit: bool) -> io::Result<()>;
    /// Lets the n-th call of a kind fail; only where calls can be made to fail.
    fn fault(&mut self, _: Syscall, _: usize, _: Failure) {}
    /// Lets time pass; only where time is the runner's.
    fn advance(&mut self, _: Duration) {}
    fn reports(&mut self) -> Vec<Report>;
    /// Everything that is under way happens; only where the host knows what is.
    fn settle(&mut self) -> bool {
        false
    }
    /// What broke the grammar of the contract so far.
    fn violations(&mut self) -> Vec<String>;
    fn close(&mut self);
    /// How many descriptors there are.
    fn descriptors(&self) -> u64;
}

/// How many descriptors this process has; 0 where the system does not say.
pub(crate) fn open_descriptors() -> u64 {
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
}

/// A host by its name, with this application.
pub(crate) fn make(name: &str, scenario: &Rc<Scenario>, seed: u64) -> io::Result<Box<dyn Host>> {
    let stage = Stage::new(scenario);
    Ok(match name {
        #[cfg(feature = "backends")]
        "mio" => Box::new(Real::<plimsoll_mio::Mio>::new(stage)?),
        #[cfg(feature = "backends")]
        "polling" => Box::new(Real::<plimsoll_polling::Polling>::new(stage)?),
        name => {
            let simulated = Simulated::named(name, stage, seed);
            Box::new(simulated.ok_or_else(|| io::Error::other(format!("there is no host `{name}`")))?)
        }
    })
}

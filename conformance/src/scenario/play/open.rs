//! How the connections of a scenario come about.

use super::{GLANCE, Play, QUIET, Stuck};
use crate::scenario::child::{self, Std};
use crate::scenario::host::Seen;
use crate::scenario::lane::Event;
use crate::scenario::model::{Actor, At, Link, There, Way};
use crate::scenario::stage::{Stage, class};
use core::net::SocketAddr;
use core::time::Duration;
use plimsoll_core::{Addr, Connect, Hub, Listen, ListenError, PipeFd, Protocol, ServerId, SocketOption};

impl Play {
    pub(super) fn open(&mut self) -> Result<(), String> {
        let link = self.scenario.link.clone();
        match link.way {
            _ if link.kind.is_datagram() => self.open_datagrams(&link)?,
            Way::Connect if link.race.is_run() => {
                let connect = self.host.race(&link.race).map_err(|error| error.to_string())?;
                self.stage().target = Some(with_options(connect, &link));
            }
            Way::Connect => {
                let at = match link.there {
                    There::Peer => self.host.listen_peer(&link),
                    There::Nobody => self.host.nobody(),
                    There::Silent => self.host.silent(),
                };
                let connect = with_options(Connect::to(at.map_err(|error| error.to_string())?), &link);
                self.stage().target = Some(match self.security()? {
                    Some(tls) => connect.tls(tls),
                    None => connect,
                });
            }
            Way::Accept if link.is_process() => {
                let (command, files) = self.host.command(&self.scenario.clone()).map_err(|error| error.to_string())?;
                for (peer, file) in self.peers[1..].iter_mut().zip(files) {
                    *peer = file;
                }
                self.stage().command = Some(command);
                let joined = link.stdio[PipeFd::Stderr as usize] == Std::Joined;
                for fd in [PipeFd::Stdout, PipeFd::Stderr] {
                    let said = child::says(&self.scenario.child, fd, joined);
                    self.stage().record.streams(&fd.to_string()).sent = said;
                }
            }
            Way::Accept if link.hands_over() => {}
            Way::Accept => self.listen()?,
            Way::Server if link.opens => self.listen()?,
            Way::Server if link.path.is_abstract => self.address = Some(self.host.abstract_name()),
            Way::Server if link.path.lies.is_some() => {
                let at = self.host.place();
                if let Some(what) = link.path.lies {
                    self.host.put(&at, what).map_err(|error| error.to_string())?;
                }
                self.address = Some(at);
            }
            Way::Server | Way::Adopt => {}
        }
        if !link.opens || link.way == Way::Server {
            return Ok(());
        }
        let count = if link.is_process() { 1 } else { self.peers.len() };
        for index in 0..count {
            let opened = if link.completes() || link.hands_over() || link.kind.is_datagram() {
                self.connect(index)
            } else {
                self.accept(index)
            };
            opened.map_err(|Stuck| "it never came about".to_owned())?;
        }
        if link.way == Way::Accept {
            let (hub, stage) = self.host.hub();
            if let Some(server) = stage.server {
                hub.server_close(server);
            }
            self.turn(Duration::ZERO);
        }
        Ok(())
    }

    /// Listens, where it did before if it did. What comes of it is an event only if a step does this.
    pub(super) fn listen(&mut self) -> Result<(), String> {
        let link = self.scenario.link.clone();
        let told = !link.opens || self.address.is_some();
        let make = |stage: &mut Stage, _| -> Option<Box<dyn Protocol<Stage>>> { stage.accept() };
        let done = move |_: &mut Hub<Stage>, stage: &mut Stage, result: Result<ServerId, ListenError>| {
            if told {
                let class = result.map_or_else(|error| class(Some(error.error().kind())), |_| "ok");
                stage.record.push("server", Event::new("listening").word(class));
            }
        };
        let server = if link.is_sized() {
            let (socket, at) = self.host.listener(&link).map_err(|error| error.to_string())?;
            self.address = Some(at);
            match self.security()? {
                Some(tls) => self.host.hub().0.listen_on_tls(socket, &tls, make, done),
                None => self.host.hub().0.listen_on(socket, make, done),
            }
        } else {
            let mut listen = self.listen_at(&link)?;
            if let Some(tls) = self.security()? {
                listen = listen.tls(tls);
            }
            self.host.hub().0.listen_with(listen, make, done)
        };
        self.stage().server = Some(server);
        for _ in 0..2 * QUIET {
            self.turn(Duration::ZERO);
        }
        let found = self.host.hub().0.sockets(server).first().cloned();
        let listens = found.is_some();
        self.address = self.address.take().or(found);
        if told || listens { Ok(()) } else { Err("the server does not listen".into()) }
    }

    fn listen_at(&mut self, link: &Link) -> Result<Listen, String> {
        let mut addrs = Vec::new();
        for at in &link.on {
            addrs.push(match at {
                At::Ip(ip) => Addr::from(SocketAddr::new(*ip, 0)),
                At::Taken => self.host.taken().map_err(|error| error.to_string())?,
            });
        }
        let first = self.address.clone().unwrap_or_else(|| self.host.place());
        let mut listen = match addrs.split_first() {
            Some((first, rest)) if self.address.is_none() => {
                rest.iter().fold(Listen::on(first.clone()), |listen, at| listen.and(at.clone()))
            }
            _ => Listen::on(first),
        };
        if !link.start {
            listen = listen.paused();
        }
        if let Some(backlog) = link.backlog {
            listen = listen.backlog(backlog);
        }
        Ok(listen.reuse_port(link.reuse_port).cleanup_socket(!link.path.keeps))
    }

    fn accept(&mut self, index: usize) -> Result<(), Stuck> {
        self.connect_peer(index)?;
        self.until(Duration::from_secs(1), |play| play.stage().connections[index].id.is_some())
    }

    pub(super) fn connect_peer(&mut self, index: usize) -> Result<(), Stuck> {
        let link = self.scenario.link.clone();
        let Some(to) = self.address.clone() else { return Err(Stuck) };
        match self.host.connect_peer(&to, &link) {
            Some(mut peer) => {
                let mut refused = false;
                self.until(GLANCE, |_| {
                    refused = !peer.is_connected() && matches!(peer.read(0), Seen::Reset);
                    refused || peer.is_connected()
                })?;
                if refused {
                    self.note_peer(index, Event::new("refused"));
                    return Ok(());
                }
                self.has_peer(index, peer);
            }
            None => self.note_peer(index, Event::new("refused")),
        }
        Ok(())
    }

    fn has_peer(&mut self, index: usize, peer: Box<dyn crate::scenario::host::PeerEnd>) {
        self.stage().connections[index].ends = peer.ends().map(|(own, other)| (other, own));
        self.peers[index] = Some(self.secured(peer));
    }

    /// Has the application connect, or gives it a socket.
    pub(super) fn connect(&mut self, index: usize) -> Result<(), Stuck> {
        let link = self.scenario.link.clone();
        if link.kind.is_datagram() {
            let (hub, stage) = self.host.hub();
            stage.connect(hub, index);
            self.turn(Duration::ZERO);
        } else if link.hands_over() {
            let Ok((socket, peer)) = self.host.given(link.given, &link) else { return Err(Stuck) };
            if let Some(peer) = peer {
                self.has_peer(index, peer);
            }
            let Ok(tls) = self.security() else { return Err(Stuck) };
            let (hub, stage) = self.host.hub();
            stage.adopt(hub, index, socket, tls.as_ref());
            self.turn(Duration::ZERO);
        } else {
            let (hub, stage) = self.host.hub();
            stage.connect(hub, index);
            self.turn(Duration::ZERO);
            if link.there != There::Peer || link.is_process() && !link.opens || link.race.is_run() && !link.opens {
                return Ok(());
            }
            if !link.is_process() {
                self.meets(index)?;
            }
        }
        let opened = if link.completes() { "done" } else { "cm" };
        if link.opens { self.until(Duration::from_secs(1), |play| play.amount(Actor::App(index), opened) > 0) } else { Ok(()) }
    }

    /// Waits for the peer of a connection that is being opened, unless it was given up.
    pub(super) fn meets(&mut self, index: usize) -> Result<(), Stuck> {
        self.until(GLANCE, |play| {
            let peer = play.host.accept_peer();
            let found = peer.is_some();
            if let Some(peer) = peer {
                play.has_peer(index, peer);
            }
            let made = play.amount(Actor::App(index), "cm") > 0;
            let (hub, stage) = play.host.hub();
            let live = &stage.connections[index];
            let over = live.lost || live.id.is_some_and(|id| hub.is_closing(id));
            found || over && !made
        })
    }
}

fn with_options(mut connect: Connect, link: &Link) -> Connect {
    if let Some(ip) = link.local {
        connect = connect.local_addr(SocketAddr::new(ip, 0));
    }
    let buffers = [link.sndbuf.map(SocketOption::SendBuffer), link.rcvbuf.map(SocketOption::ReceiveBuffer)];
    buffers.into_iter().flatten().fold(connect, Connect::option)
}

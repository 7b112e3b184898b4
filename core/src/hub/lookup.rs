//! Names that are being looked up, for connections and servers alike.

use super::{Hub, ListenError};
use crate::addr::{Addr, Family};
use crate::connect::Connector;
use crate::error::{Call, Error, ErrorKind};
use crate::key::{Key, QueryId};
use crate::name::{Name, Target};
use crate::op::Op;
use crate::open::Listen;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Whose lookup it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asker {
    Connection(Key),
    Server(Key),
}

/// A lookup under way.
pub(crate) struct Query {
    asker: Asker,
    /// Which of the asker's targets it is for.
    slot: usize,
    name: Name,
}

/// What has become of one target.
pub(crate) enum Slot {
    Addr(Addr),
    Asked(QueryId),
    Found(Vec<Addr>),
    Failed(Name, Error),
}

/// The targets of an opening or of a server, on the way from names to addresses.
pub(crate) struct Lookups {
    slots: Vec<Slot>,
}

impl Lookups {
    /// Turns targets into addresses; `look` looks up what has to be. Addresses of another family than the wanted one are left out.
    pub(crate) fn begin(targets: &[Target], family: Option<Family>, mut look: impl FnMut(usize, Name) -> Slot) -> Self {
        let wanted = |addr: &Addr| family.is_none() || addr.family() == family;
        let begin = |(slot, target): (usize, &Target)| match target {
            Target::Addr(addr) if wanted(addr) => Slot::Addr(addr.clone()),
            Target::Addr(_) => Slot::Found(Vec::new()),
            Target::Name(name) => match (name.check(), name.literal()) {
                (Err(error), _) => Slot::Failed(name.clone(), error),
                (Ok(()), Some(addr)) => answer(name.of_family(family), Ok(Vec::from([addr]))),
                (Ok(()), None) => look(slot, name.of_family(family)),
            },
        };
        Self { slots: targets.iter().enumerate().map(begin).collect() }
    }

    /// Nothing is being looked up any more.
    pub(crate) fn is_complete(&self) -> bool {
        self.asked().next().is_none()
    }

    /// An answer has come.
    pub(crate) fn settle(&mut self, slot: usize, answer: Slot) {
        self.slots[slot] = answer;
    }

    fn asked(&self) -> impl Iterator<Item = QueryId> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Asked(query) => Some(*query),
            _ => None,
        })
    }

    /// What has been found, in the order of the targets.
    pub(crate) fn addrs(&self) -> Vec<Addr> {
        let mut all = Vec::new();
        for slot in &self.slots {
            match slot {
                Slot::Addr(addr) => all.push(addr.clone()),
                Slot::Found(addrs) => all.extend_from_slice(addrs),
                Slot::Asked(_) | Slot::Failed(..) => {}
            }
        }
        all
    }

    /// What a server is to listen on, in place of names; or the first name that could not be looked up.
    pub(crate) fn to_listen(&self, listen: Listen) -> Result<Listen, ListenError> {
        if let Some((name, error)) = self.failures().next() {
            return Err(ListenError::of_host(name, error));
        }
        let addrs = self.addrs();
        if addrs.is_empty() {
            return Err(ListenError::new(None, Error::new(Call::Check, ErrorKind::InvalidInput)));
        }
        Ok(listen.at(addrs))
    }

    /// The names that could not be looked up.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&Name, Error)> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Failed(name, error) => Some((name, *error)),
            _ => None,
        })
    }
}

/// An answer: a resolver says what it likes about ports and families, and nothing at all is no answer.
pub(crate) fn answer(name: Name, found: Result<Vec<SocketAddr>, Error>) -> Slot {
    let found = found.map(|addrs| {
        let addrs = addrs.into_iter().map(|mut addr| {
            addr.set_port(name.port());
            Addr::from(addr)
        });
        addrs.filter(|addr| name.family().is_none() || addr.family() == name.family()).take(Connector::MOST).collect::<Vec<_>>()
    });
    match found {
        Ok(addrs) if addrs.is_empty() => Slot::Failed(name, Error::new(Call::Resolve, ErrorKind::HostNotFound)),
        Ok(addrs) => Slot::Found(addrs),
        Err(error) => Slot::Failed(name, error),
    }
}

impl<S> Hub<S> {
    /// Begins to look up what has to be.
    pub(crate) fn look_up(&mut self, targets: &[Target], family: Option<Family>, asker: Asker) -> Lookups {
        let (queries, ops, tag) = (&mut self.queries, &mut self.ops, self.tag);
        Lookups::begin(targets, family, |slot, name| {
            let Some(key) = queries.insert(Query { asker, slot, name: name.clone() }) else {
                return Slot::Failed(name, Error::new(Call::Resolve, ErrorKind::OutOfMemory));
            };
            let id = QueryId::new(key, tag);
            ops.push_back(Op::Resolve(id, name));
            Slot::Asked(id)
        })
    }

    /// Nobody waits for these any more.
    pub(crate) fn forget(&mut self, lookups: &Lookups) {
        for query in lookups.asked() {
            if self.queries.remove(query.key).is_some() {
                self.ops.push_back(Op::Forget(query));
            }
        }
    }

    /// A lookup was answered; if nobody waits for it any more, nothing happens.
    pub(crate) fn resolved(&mut self, id: QueryId, found: Result<Vec<SocketAddr>, Error>) {
        if id.tag != self.tag {
            return;
        }
        let Some(Query { asker, slot, name }) = self.queries.remove(id.key) else { return };
        let answer = answer(name, found);
        match asker {
            Asker::Connection(key) => self.opening_resolved(key, slot, answer),
            Asker::Server(key) => self.server_resolved(key, slot, answer),
        }
    }
}

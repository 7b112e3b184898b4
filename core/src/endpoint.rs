//! What stands in the loop's table for each endpoint.

use crate::addr::Ends;
use crate::datagram::DatagramTransport;
use crate::flow::limits::WriteLimits;
use crate::flow::pool::BufPool;
use crate::hub::{Sendfile, Watch};
use crate::key::{DatagramId, EndpointId, Key, LoopTag, ProcessId, StreamId};
use crate::kind::Machine;
use crate::process::{PipeFd, Subprocess};
use crate::protocol::{DatagramProtocol, Protocol, SubprocessProtocol};
use crate::stream::StreamTransport;
use crate::tls::Layer;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use bytes::BytesMut;
use core::any::Any;

/// An endpoint, in a slot of 72 bytes with its generation; what is rarely needed stands beside it.
pub(crate) enum Endpoint<S> {
    Stream(Stream<S>),
    Process(Process<S>),
    Listener(Listener),
    Datagram(Box<DatagramEndpoint<S>>),
    /// The place of one of several sockets of a connection that is being opened.
    Attempt {
        stream: Key,
    },
    Watch(Box<Watch<S>>),
}

impl<S> Endpoint<S> {
    /// What it has in common with endpoints of other kinds; what is no endpoint of the application's has nothing.
    pub(crate) fn parts(&mut self) -> Option<(&mut dyn Machine, &mut Common)> {
        match self {
            Self::Stream(stream) => Some((&mut stream.transport, &mut stream.common)),
            Self::Datagram(datagram) => Some((&mut datagram.transport, &mut datagram.common)),
            Self::Process(process) => Some((&mut process.transport, &mut process.common)),
            Self::Listener(_) | Self::Attempt { .. } | Self::Watch(_) => None,
        }
    }

    pub(crate) fn machine(&self) -> Option<&dyn Machine> {
        match self {
            Self::Stream(stream) => Some(&stream.transport),
            Self::Datagram(datagram) => Some(&datagram.transport),
            Self::Process(process) => Some(&process.transport),
            Self::Listener(_) | Self::Attempt { .. } | Self::Watch(_) => None,
        }
    }

    /// Its name among endpoints of all kinds; a listener is known by its server's, an attempt by its connection's, a watch by its own.
    pub(crate) const fn id(&self, key: Key, tag: LoopTag) -> Option<EndpointId> {
        match self {
            Self::Stream(_) => Some(EndpointId::Stream(StreamId::new(key, tag))),
            Self::Datagram(_) => Some(EndpointId::Datagram(DatagramId::new(key, tag))),
            Self::Process(_) => Some(EndpointId::Process(ProcessId::new(key, tag))),
            Self::Listener(_) | Self::Attempt { .. } | Self::Watch(_) => None,
        }
    }

    /// Its protocol, unless that is being called.
    pub(crate) fn protocol_as_any(&mut self) -> Option<&mut dyn Any> {
        match self {
            Self::Stream(stream) => stream.protocol.as_mut().map(|protocol| (**protocol).as_any()),
            Self::Datagram(datagram) => datagram.protocol.as_mut().map(|protocol| (**protocol).as_any()),
            Self::Process(process) => process.protocol.as_mut().map(|protocol| (**protocol).as_any()),
            Self::Listener(_) | Self::Attempt { .. } | Self::Watch(_) => None,
        }
    }
}

/// It is in the list of endpoints that owe a pause or resume.
pub(crate) const IN_DUE: u8 = 1;
/// It is in the list of endpoints that may want something of the kernel.
pub(crate) const IN_DIRTY: u8 = 1 << 1;
/// Its `connection_lost` is in the ready queue.
pub(crate) const LOSS_QUEUED: u8 = 1 << 2;
/// Its protocol lends memory to receive into.
pub(crate) const LENDS: u8 = 1 << 3;
/// Its reading follows its own writing.
pub(crate) const FOLLOWS_ITSELF: u8 = 1 << 4;
/// Other readers follow its writing: see [`Cold::followers`].
pub(crate) const FOLLOWED: u8 = 1 << 5;

/// A layer stands between it and its connection: see [`Cold::layer`].
pub(crate) const LAYERED: u8 = 1 << 6;

/// A protocol and the machine of its endpoint.
pub(crate) struct Occupant<P: ?Sized, T> {
    /// None while it is lifted out to be called, and while an accepted connection has not got one yet.
    pub(crate) protocol: Option<Box<P>>,
    pub(crate) transport: T,
    pub(crate) common: Common,
}

/// What an endpoint of any kind has beside its protocol and its machine.
#[derive(Default)]
pub(crate) struct Common {
    pub(crate) cold: Option<Box<Cold>>,
    pub(crate) flags: u8,
    /// Flow callbacks, and errors, delivered in the iteration `edge_round`.
    pub(crate) edges: u8,
    pub(crate) edge_round: u16,
}

impl Common {
    pub(crate) fn cold(&mut self) -> &mut Cold {
        self.cold.get_or_insert_with(Box::default)
    }

    #[inline]
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Sets a flag; whether it is new.
    #[inline]
    pub(crate) const fn set(&mut self, flag: u8) -> bool {
        let new = self.flags & flag == 0;
        self.flags |= flag;
        new
    }
}

pub(crate) type Stream<S> = Occupant<dyn Protocol<S>, StreamTransport>;

impl<S> Stream<S> {
    pub(crate) fn new(protocol: Option<Box<dyn Protocol<S>>>) -> Self {
        Self::with(StreamTransport::new(WriteLimits::DEFAULT), protocol)
    }

    pub(crate) fn with(transport: StreamTransport, protocol: Option<Box<dyn Protocol<S>>>) -> Self {
        let flags = if protocol.as_ref().is_some_and(|protocol| protocol.lends_memory()) { LENDS } else { 0 };
        let common = Common { flags, ..Common::default() };
        Self { protocol, transport, common }
    }

    pub(crate) fn install(&mut self, protocol: Box<dyn Protocol<S>>) -> Option<Box<dyn Protocol<S>>> {
        if protocol.lends_memory() {
            self.common.flags |= LENDS;
        } else {
            self.common.flags &= !LENDS;
        }
        self.protocol.replace(protocol)
    }

    /// The layer between it and its connection.
    #[inline]
    pub(crate) fn layer(&self) -> Option<&Layer> {
        if self.common.has(LAYERED) { self.common.cold.as_ref()?.layer.as_deref() } else { None }
    }

    /// The layer, and the transport that it works on.
    #[inline]
    pub(crate) fn layered(&mut self) -> Option<(&mut Layer, &mut StreamTransport)> {
        if !self.common.has(LAYERED) {
            return None;
        }
        Some((self.common.cold.as_mut()?.layer.as_deref_mut()?, &mut self.transport))
    }

    /// Tells the layer what came from below, when it [wants](Self::wants_read) that. Whether it was data for a reader who wants it, which stands in `memory` now,
    /// and nothing else is to be done; else the layer has noted it.
    #[inline]
    pub(crate) fn receive_below(&mut self, wire: &mut [u8], memory: &mut BytesMut, pool: &mut BufPool) -> bool {
        let lends = self.common.has(LENDS);
        self.layered().is_some_and(|(layer, transport)| layer.receive_data(wire, memory, transport, pool, lends))
    }

    /// Whether received bytes, or an end-of-file, would be welcome now.
    #[inline]
    pub(crate) fn wants_read(&self) -> bool {
        match self.layer() {
            None => self.transport.wants_read(),
            Some(layer) => layer.wants_read(&self.transport),
        }
    }
}

pub(crate) type DatagramEndpoint<S> = Occupant<dyn DatagramProtocol<S>, DatagramTransport>;

/// What most connections never need.
#[derive(Default)]
pub(crate) struct Cold {
    /// The first of the timers that its protocol set.
    pub(crate) timers: Option<Key>,
    /// Readers that are held while this writer is paused.
    pub(crate) followers: Vec<StreamId>,
    /// Writers that this reader follows.
    pub(crate) following: Vec<StreamId>,
    /// What the protocol failed with.
    pub(crate) failure: Option<Rc<dyn core::error::Error>>,
    /// Accepted bytes that were dropped.
    pub(crate) discarded: u64,
    /// Writes that came too late.
    pub(crate) late_writes: u8,
    /// The file that is being sent.
    pub(crate) file: Option<Sendfile>,
    /// The child whose pipe this is, and which.
    pub(crate) child: Option<(Key, PipeFd)>,
    /// What makes it secure.
    pub(crate) layer: Option<Box<Layer>>,
}

pub(crate) type Process<S> = Occupant<dyn SubprocessProtocol<S>, Box<Child>>;

/// A child process: its machine, and the endpoints of its pipes.
pub(crate) struct Child {
    pub(crate) machine: Subprocess,
    pub(crate) pipes: [Option<Key>; 3],
    /// A turn to tell what happened is in the ready queue.
    pub(crate) queued: bool,
}

impl Child {
    pub(crate) fn new(machine: Subprocess) -> Box<Self> {
        Box::new(Self { machine, pipes: [None; 3], queued: false })
    }
}

pub(crate) struct Listener {
    pub(crate) server: Key,
}

/// What is known of the endpoint of the same index, apart from the hot slot.
#[derive(Clone, Default)]
pub(crate) struct About {
    pub(crate) ends: Ends,
    pub(crate) server: Option<Key>,
}

impl About {
    /// Nothing is known.
    pub(crate) const UNKNOWN: Self = Self { ends: Ends::UNKNOWN, server: None };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Entry;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_idle_connection_takes_little_more_than_a_cache_line_and_its_addresses() {
        assert_eq!(size_of::<Entry<Endpoint<()>>>(), 72);
        assert!(size_of::<About>() <= 80);
    }
}

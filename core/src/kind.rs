//! What endpoints of all kinds have in common, so that it stands once: what the engine asks of their machines, and the callbacks that all
//! protocols have.

use crate::context::Context;
use crate::datagram::DatagramTransport;
use crate::endpoint::{Child, DatagramEndpoint, Endpoint, Process, Stream};
use crate::flow::limits::WriteLimits;
use crate::flow::pool::BufPool;
use crate::flow::read_gate::Hold;
use crate::flow::write_flow::Edge;
use crate::key::{DatagramId, EndpointId, Key, LoopTag, ProcessId, StreamId, TimerId};
use crate::open::OpenError;
use crate::protocol::{DatagramProtocol, Protocol, SubprocessProtocol};
use crate::reason::{CloseReason, Ending};
use crate::status::{Refusal, WriteStatus};
use crate::stream::StreamTransport;
use alloc::boxed::Box;

/// The machine of an endpoint of any kind. Each method is the machine's own of that name; calls through this table are for what is rare.
pub(crate) trait Machine {
    fn close(&mut self, pool: &mut BufPool);
    fn abort(&mut self, pool: &mut BufPool) -> usize;
    fn fail(&mut self, pool: &mut BufPool) -> usize;
    fn pause_reading(&mut self) -> bool;
    fn resume_reading(&mut self) -> bool;
    fn hold_reading(&mut self, why: Hold);
    fn release_reading(&mut self, why: Hold) -> bool;
    fn set_write_buffer_limits(&mut self, limits: WriteLimits) -> WriteStatus;
    fn poll_made(&mut self) -> bool;
    fn poll_edge(&mut self) -> Option<Edge>;
    fn poll_lost(&mut self) -> Option<Ending>;
    fn is_edge_due(&self) -> bool;
    fn is_pause_owed(&self) -> bool;
    fn is_made(&self) -> bool;
    fn is_closing(&self) -> bool;
    fn is_losing(&self) -> bool;
    fn is_over(&self) -> bool;
    fn is_reading(&self) -> bool;
    fn is_writing_paused(&self) -> bool;
    /// Whether the kernel should be given something.
    fn has_to_send(&self) -> bool;
    /// Whether its protocol is to be told something that waits for the driver to look at the endpoint.
    fn has_to_tell(&self) -> bool;
    fn write_buffer_size(&self) -> usize;
    fn write_buffer_limits(&self) -> WriteLimits;
}

macro_rules! machine {
    ($machine:ty) => {
        impl Machine for $machine {
            machine! { @commands
                close(pool: &mut BufPool);
                abort(pool: &mut BufPool) -> usize;
                fail(pool: &mut BufPool) -> usize;
                pause_reading() -> bool;
                resume_reading() -> bool;
                hold_reading(why: Hold);
                release_reading(why: Hold) -> bool;
                set_write_buffer_limits(limits: WriteLimits) -> WriteStatus;
                poll_made() -> bool;
                poll_edge() -> Option<Edge>;
                poll_lost() -> Option<Ending>;
            }
            machine! { @questions
                is_edge_due: bool;
                is_pause_owed: bool;
                is_made: bool;
                is_closing: bool;
                is_losing: bool;
                is_over: bool;
                is_reading: bool;
                is_writing_paused: bool;
                has_to_send: bool;
                has_to_tell: bool;
                write_buffer_size: usize;
                write_buffer_limits: WriteLimits;
            }
        }
    };
    (@commands $($name:ident($($arg:ident: $type:ty)?) $(-> $result:ty)?;)*) => {
        $(fn $name(&mut self $(, $arg: $type)?) $(-> $result)? {
            // The inherent one, which comes before the trait's.
            Self::$name(self $(, $arg)?)
        })*
    };
    (@questions $($name:ident: $result:ty;)*) => {
        $(fn $name(&self) -> $result {
            Self::$name(self)
        })*
    };
}

machine!(StreamTransport);
machine!(DatagramTransport);

/// A process moves no bytes itself: its pipes do.
impl Machine for Box<Child> {
    fn close(&mut self, _: &mut BufPool) {
        self.machine.close();
    }
    fn abort(&mut self, _: &mut BufPool) -> usize {
        self.machine.close();
        0
    }
    fn fail(&mut self, _: &mut BufPool) -> usize {
        self.machine.fail();
        0
    }
    fn pause_reading(&mut self) -> bool {
        false
    }
    fn resume_reading(&mut self) -> bool {
        false
    }
    fn hold_reading(&mut self, _: Hold) {}
    fn release_reading(&mut self, _: Hold) -> bool {
        false
    }
    fn set_write_buffer_limits(&mut self, _: WriteLimits) -> WriteStatus {
        WriteStatus::Refused(Refusal::Unsupported)
    }
    fn poll_made(&mut self) -> bool {
        self.machine.poll_made()
    }
    fn poll_edge(&mut self) -> Option<Edge> {
        None
    }
    fn poll_lost(&mut self) -> Option<Ending> {
        self.machine.poll_lost()
    }
    fn is_edge_due(&self) -> bool {
        false
    }
    fn is_pause_owed(&self) -> bool {
        false
    }
    fn is_made(&self) -> bool {
        self.machine.is_made()
    }
    fn is_closing(&self) -> bool {
        self.machine.is_closing()
    }
    fn is_losing(&self) -> bool {
        self.machine.is_losing()
    }
    fn is_over(&self) -> bool {
        self.machine.is_over()
    }
    fn is_reading(&self) -> bool {
        false
    }
    fn is_writing_paused(&self) -> bool {
        false
    }
    fn has_to_send(&self) -> bool {
        false
    }
    fn has_to_tell(&self) -> bool {
        false
    }
    fn write_buffer_size(&self) -> usize {
        0
    }
    fn write_buffer_limits(&self) -> WriteLimits {
        WriteLimits::DEFAULT
    }
}

/// The callbacks without an argument of their own that every protocol has.
#[derive(Clone, Copy)]
pub(crate) enum Callback {
    Made,
    Pause,
    Resume,
    Timer(TimerId),
}

/// A kind of endpoint whose protocol is called.
pub(crate) trait Kind<S>: Sized {
    type Id: Copy + Into<EndpointId>;
    type Protocol: ?Sized;

    fn id(key: Key, tag: LoopTag) -> Self::Id;
    fn of(endpoint: &mut Endpoint<S>) -> Option<&mut Self>;
    fn protocol(&mut self) -> &mut Option<Box<Self::Protocol>>;
    fn take_protocol(endpoint: Endpoint<S>) -> Option<Box<Self::Protocol>>;
    fn call(protocol: &mut Self::Protocol, cx: &mut Context<'_, S, Self::Id>, what: Callback);
    fn open_failed(protocol: Box<Self::Protocol>, cx: &mut Context<'_, S, Self::Id>, error: OpenError);
    fn lost(protocol: Box<Self::Protocol>, cx: &mut Context<'_, S, Self::Id>, reason: CloseReason);
}

macro_rules! kind {
    ($variant:ident, $kind:ident, $protocol:ident, $id:ident) => {
        impl<S> Kind<S> for $kind<S> {
            type Id = $id;
            type Protocol = dyn $protocol<S>;

            fn id(key: Key, tag: LoopTag) -> $id {
                $id::new(key, tag)
            }

            #[inline(always)]
            fn of(endpoint: &mut Endpoint<S>) -> Option<&mut Self> {
                match endpoint {
                    Endpoint::$variant(occupant) => {
                        let occupant: &mut Self = occupant;
                        Some(occupant)
                    }
                    _ => None,
                }
            }

            #[inline(always)]
            fn protocol(&mut self) -> &mut Option<Box<Self::Protocol>> {
                &mut self.protocol
            }

            fn take_protocol(endpoint: Endpoint<S>) -> Option<Box<Self::Protocol>> {
                match endpoint {
                    Endpoint::$variant(occupant) => occupant.protocol,
                    _ => None,
                }
            }

            fn call(protocol: &mut Self::Protocol, cx: &mut Context<'_, S, $id>, what: Callback) {
                match what {
                    Callback::Made => protocol.connection_made(cx),
                    Callback::Pause => protocol.pause_writing(cx),
                    Callback::Resume => protocol.resume_writing(cx),
                    Callback::Timer(timer) => protocol.timer(cx, timer),
                }
            }

            fn open_failed(protocol: Box<Self::Protocol>, cx: &mut Context<'_, S, $id>, error: OpenError) {
                protocol.open_failed(cx, error);
            }

            fn lost(protocol: Box<Self::Protocol>, cx: &mut Context<'_, S, $id>, reason: CloseReason) {
                protocol.connection_lost(cx, reason);
            }
        }
    };
}

kind!(Stream, Stream, Protocol, StreamId);
kind!(Datagram, DatagramEndpoint, DatagramProtocol, DatagramId);
kind!(Process, Process, SubprocessProtocol, ProcessId);

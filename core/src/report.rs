//! What is reported beside the callbacks: failures and diagnostics, on one channel.

use crate::addr::Addr;
use crate::error::Error;
use crate::key::{EndpointId, ServerId, WatchId};
use crate::tls::TlsError;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::fmt;

/// Whose code was running when it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Origin {
    /// A callback of this endpoint's protocol.
    Endpoint(EndpointId),
    /// The factory of this server.
    Factory(ServerId),
    /// A callback of this watched descriptor.
    Watch(WatchId),
    /// A scheduled callback: `call_soon`, `call_later`, an item of the inbox, or the completion of an operation.
    Scheduled,
}

/// Something that nobody called for and somebody should know. [`Engine::poll_report`](crate::Engine::poll_report) hands them out;
/// an event loop gives them to its error hook.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report {
    /// A protocol said [`Context::fail`](crate::Context::fail), or lent no memory to receive into: its connection is force-closed.
    CallbackFailed {
        /// Whose.
        id: EndpointId,
        /// What it said.
        error: Rc<dyn core::error::Error>,
    },
    /// Code of the application panicked. A connection it belonged to is force-closed; everything else goes on.
    Panicked {
        /// Whose.
        origin: Origin,
        /// The message, filled in by whoever caught the panic.
        message: Option<Box<str>>,
    },
    /// The application said [`Hub::report`](crate::Hub::report).
    Application(Box<dyn core::error::Error>),
    /// Accepting failed: nothing is accepted for a second (contract LOOP-23).
    AcceptFailed {
        /// Of which server.
        server: ServerId,
        /// Why.
        error: Error,
    },
    /// A connection that a server accepted could not be made secure: nothing comes of it (contract TLS-2). That the peer left it is not reported.
    HandshakeFailed {
        /// Of which server.
        server: ServerId,
        /// Whose it was.
        peer: Option<Addr>,
        /// Why.
        error: TlsError,
    },
    /// `eof_received` wanted to keep a secure connection, which has no halves: it closes (contract TLS-7).
    NoHalfClose {
        /// Which.
        id: EndpointId,
    },
    /// One of several addresses is not available and was skipped (contract LOOP-15).
    AddressSkipped {
        /// Which.
        addr: Addr,
        /// Why.
        error: Error,
    },
    /// An option of a socket could not be set.
    OptionFailed {
        /// Of which connection.
        id: EndpointId,
        /// Why.
        error: Error,
    },
    /// A descriptor cannot be watched, or not any more: the watch has ended.
    WatchFailed {
        /// Which.
        id: WatchId,
        /// Why.
        error: Error,
    },
    /// A signal could not be sent to a child.
    SignalFailed {
        /// Which.
        id: EndpointId,
        /// Why.
        error: Error,
    },
    /// A child has ended, and how could not be found out: it counts as exit code 255.
    ExitUnknown {
        /// Which.
        id: EndpointId,
        /// Why.
        error: Error,
    },
    /// A fifth or later write was discarded because the connection is closing (contract WRITE-11).
    WriteDiscarded {
        /// Of which connection.
        id: EndpointId,
    },
    /// The loop was closed under a live connection (contract LIFE-18).
    ConnectionDropped {
        /// Which.
        id: EndpointId,
    },
    /// So many reports were thrown away because nobody fetched the ones before.
    Suppressed(u64),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CallbackFailed { id, error } => write!(f, "{id:?}: the protocol failed: {error}"),
            Self::Panicked { origin, message } => {
                match origin {
                    Origin::Endpoint(id) => write!(f, "{id:?}: a callback panicked")?,
                    Origin::Factory(id) => write!(f, "{id:?}: the factory panicked")?,
                    Origin::Watch(id) => write!(f, "{id:?}: a callback panicked")?,
                    Origin::Scheduled => f.write_str("a scheduled callback panicked")?,
                }
                match message {
                    Some(message) => write!(f, ": {message}"),
                    None => Ok(()),
                }
            }
            Self::Application(error) => error.fmt(f),
            Self::AcceptFailed { server, error } => write!(f, "{server:?}: {error}; accepting rests for a second"),
            Self::HandshakeFailed { server, peer: Some(peer), error } => write!(f, "{server:?}: {peer}: {error}"),
            Self::HandshakeFailed { server, peer: None, error } => write!(f, "{server:?}: {error}"),
            Self::NoHalfClose { id } => write!(f, "{id:?}: there is no half-close on a secure connection, so it closes"),
            Self::AddressSkipped { addr, error } => write!(f, "{addr} is skipped: {error}"),
            Self::OptionFailed { id, error } => write!(f, "{id:?}: {error}"),
            Self::WatchFailed { id, error } => write!(f, "{id:?}: {error}"),
            Self::SignalFailed { id, error } => write!(f, "{id:?}: {error}"),
            Self::ExitUnknown { id, error } => write!(f, "{id:?}: how it ended is not known: {error}"),
            Self::WriteDiscarded { id } => write!(f, "{id:?}: write discarded, the connection is closing"),
            Self::ConnectionDropped { id } => write!(f, "{id:?}: dropped with the loop"),
            Self::Suppressed(count) => write!(f, "{count} reports were thrown away unread"),
        }
    }
}

/// Reports that wait to be fetched, a bounded number.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    queue: VecDeque<Report>,
    suppressed: u64,
    /// A callback has panicked, and nobody has said yet how.
    panicked: bool,
}

impl Reports {
    const MOST: usize = 1024;

    pub(crate) fn push(&mut self, report: Report) {
        self.panicked |= matches!(report, Report::Panicked { .. });
        if self.queue.len() < Self::MOST {
            self.queue.push_back(report);
        } else {
            self.suppressed += 1;
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Report> {
        if let Some(report) = self.queue.pop_front() {
            return Some(report);
        }
        match core::mem::take(&mut self.suppressed) {
            0 => None,
            count => Some(Report::Suppressed(count)),
        }
    }

    /// The panic last reported, for whoever caught it to add its message; whether there was one.
    pub(crate) fn set_panic_message(&mut self, text: Box<str>) -> bool {
        if let Some(Report::Panicked { message: message @ None, .. }) = self.queue.back_mut() {
            *message = Some(text);
        }
        core::mem::take(&mut self.panicked)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.suppressed == 0
    }
}

//! The application above a secure connection: it keeps books of what it does and of what it is told, and does in callbacks what a list says.

use crate::machines::pattern;
use plimsoll_core::{CloseReason, Context, Data, Hub, OpenError, Protocol, Refusal, StreamId, WriteLimits, WriteStatus};
use std::collections::VecDeque;

/// One thing that an application can do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Act {
    Nothing,
    Write(usize),
    Pause,
    Resume,
    Close,
    Abort,
    WriteEof,
    Limits(usize, usize),
}

/// What it knows.
#[derive(Default)]
pub(crate) struct App {
    /// What is done in the callbacks that come.
    pub(crate) script: VecDeque<Act>,
    /// Bytes that were accepted for the peer.
    pub(crate) accepted: usize,
    pub(crate) received: Vec<u8>,
    /// It is secure, and was told so.
    pub(crate) secure: bool,
    pub(crate) eof: bool,
    pub(crate) aborted: bool,
    /// It has closed the connection while that was neither closing nor lost; and whether that was before the handshake's end was told.
    pub(crate) closed: bool,
    pub(crate) gave_up: bool,
    pub(crate) failed: Option<OpenError>,
    pub(crate) lost: Option<CloseReason>,
    /// Something has happened to the connection that it fails for.
    pub(crate) may_fail: bool,
    /// What was answered and must not be.
    pub(crate) wrong: Option<String>,
}

impl App {
    pub(crate) fn is_over(&self) -> bool {
        self.failed.is_some() || self.lost.is_some()
    }
}

pub(crate) fn act(hub: &mut Hub<App>, app: &mut App, id: StreamId, act: Act) {
    match act {
        Act::Nothing => {}
        Act::Write(n) => {
            let before = hub.write_buffer_size(id);
            let status = hub.write(id, pattern::bytes(app.accepted as u64, n));
            let grown = hub.write_buffer_size(id).saturating_sub(before);
            let closing = hub.is_closing(id);
            let queued = matches!(status, WriteStatus::Accepted | WriteStatus::Paused);
            // Between an error and the loss that it leads to nothing is queued either.
            if queued && (closing || grown < n) || !queued && (grown > 0 || !closing && !app.may_fail) {
                app.wrong = Some(format!("a write is answered {status:?}, the queue grew by {grown}, closing: {closing}"));
            }
            if queued {
                app.accepted += n;
            }
        }
        Act::Pause => hub.pause_reading(id),
        Act::Resume => hub.resume_reading(id),
        Act::Close => {
            if !hub.is_closing(id) {
                app.closed = true;
                app.gave_up |= !app.secure;
            }
            hub.close(id);
        }
        Act::Abort => {
            app.aborted |= !app.is_over();
            hub.abort(id);
        }
        Act::WriteEof => {
            let answer = hub.write_eof(id);
            let refused = Err(Refusal::Unsupported);
            if answer != refused && !hub.is_closing(id) {
                app.wrong = Some(format!("write_eof is answered {answer:?}"));
            }
        }
        Act::Limits(low, high) => {
            if let Ok(limits) = WriteLimits::new(low, high) {
                let _ = hub.set_write_buffer_limits(id, limits);
            }
        }
    }
}

/// Its protocol: whether it keeps the connection after an end-of-file, which counts for nothing.
pub(crate) struct Script {
    pub(crate) keeps_open: bool,
}

impl Script {
    fn next(cx: &mut Context<'_, App>) {
        if let Some(next) = cx.state.script.pop_front() {
            act(cx.hub, cx.state, cx.id, next);
        }
    }
}

impl Protocol<App> for Script {
    fn connection_made(&mut self, cx: &mut Context<'_, App>) {
        cx.state.secure = cx.hub.tls_info(cx.id).is_some();
        Self::next(cx);
    }

    fn start_tls_done(&mut self, cx: &mut Context<'_, App>) {
        cx.state.secure = true;
        Self::next(cx);
    }

    fn data_received(&mut self, cx: &mut Context<'_, App>, data: Data<'_>) {
        cx.state.received.extend_from_slice(&data);
        Self::next(cx);
    }

    fn eof_received(&mut self, cx: &mut Context<'_, App>) -> bool {
        cx.state.eof = true;
        Self::next(cx);
        self.keeps_open
    }

    fn pause_writing(&mut self, cx: &mut Context<'_, App>) {
        Self::next(cx);
    }

    fn resume_writing(&mut self, cx: &mut Context<'_, App>) {
        Self::next(cx);
    }

    fn open_failed(self: Box<Self>, cx: &mut Context<'_, App>, error: OpenError) {
        cx.state.failed = Some(error);
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, App>, reason: CloseReason) {
        cx.state.lost = Some(reason);
        Self::next(cx);
    }
}

//! What a protocol has been told so far, held against the grammar of 17.2: a check on machine and model alike.

use super::{Kind, Told};
use crate::harness::{Violation, ensure};
use plimsoll_core::{Cause, WriteStatus};

/// The word of one connection (contract 17.1, 17.2).
#[derive(Clone, Debug)]
pub struct Trace {
    kind: Kind,
    made: bool,
    eof: bool,
    lost: bool,
    pauses: u32,
    resumes: u32,
    promised: u32,
}

impl Trace {
    /// Nothing yet.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self { kind, made: false, eof: false, lost: false, pauses: 0, resumes: 0, promised: 0 }
    }

    /// `connection_lost` was told.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.lost
    }

    /// `connection_made` was told.
    #[must_use]
    pub const fn is_made(&self) -> bool {
        self.made
    }

    /// `eof_received` was told.
    #[must_use]
    pub const fn saw_eof(&self) -> bool {
        self.eof
    }

    /// Writing is paused as far as the protocol knows.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.pauses > self.resumes
    }

    /// The next letter.
    ///
    /// # Errors
    /// If the word is none of the grammar's any more.
    pub fn told(&mut self, what: Told) -> Result<(), Violation> {
        ensure!(!self.lost, "I-SILENT: {what:?} after lost");
        ensure!(self.made != (what == Told::Made), "I-GRAMMAR: {what:?}, made: {}", self.made);
        let ends = matches!(what, Told::Lost(..));
        ensure!(self.kind != Kind::ReadPipe || !self.eof || ends, "17.3: {what:?} after the eof of a read pipe");
        ensure!(self.kind != Kind::ReadPipe || !matches!(what, Told::Pause | Told::Resume), "17.3: {what:?} on a read pipe");
        ensure!(self.kind != Kind::WritePipe || what != Told::Eof, "17.3: eof on a write pipe");
        match what {
            Told::Made => self.made = true,
            Told::Pause => {
                self.pauses += 1;
                self.promised = 0;
                ensure!(self.pauses == self.resumes + 1, "I-ALTERNATE: a second pause");
            }
            Told::Resume => {
                self.resumes += 1;
                ensure!(self.pauses == self.resumes, "I-ALTERNATE: a resume without a pause");
            }
            Told::Eof => {
                ensure!(!self.eof, "I-ONCE: a second eof");
                self.eof = true;
            }
            Told::Lost(cause, error, _) => {
                self.lost = true;
                let graceful = matches!(cause, Cause::LocalClose | Cause::PeerEof);
                ensure!(error.is_none() == (graceful || cause == Cause::LocalAbort), "LIFE-4: {what:?}");
                let told = self.eof || self.kind == Kind::WritePipe;
                ensure!(cause != Cause::PeerEof || told, "I-CAUSE: the peer's eof, and none was told");
                ensure!(!graceful || self.pauses == self.resumes, "I-UNMATCHED: a pause without its resume");
                ensure!(!graceful || self.promised == 0, "I-PROMISE: a write was answered paused, and no pause came");
            }
        }
        Ok(())
    }

    /// A write was answered.
    pub fn answered(&mut self, status: WriteStatus) {
        if status == WriteStatus::Paused && !self.is_paused() {
            self.promised += 1;
        }
    }
}

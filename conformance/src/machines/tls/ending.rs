//! The model of how a secure connection ends: the differences below the contract's table 17.10, and its table 17.9.

use super::session::Books;
use crate::harness::{Violation, ensure};
use plimsoll_core::{Cause, Error, ErrorKind};

/// What has happened to a connection, in what it knows of it: its session's facts, and those of its socket and its application.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    pub(super) session: Books,
    /// The peer's FIN, or its reset, has come.
    pub(super) fin: bool,
    pub(super) reset: bool,
    /// Whether it is taken for an end of the data.
    pub(super) truncation: bool,
    /// The application has closed it while it was neither closing nor lost; and whether that was before the handshake's end was told.
    pub(super) closed: bool,
    pub(super) gave_up: bool,
    pub(super) aborted: bool,
    /// `eof` was told, which closes too (contract TLS-7).
    pub(super) eof: bool,
    /// Seconds since the handshake began, and since our closing word was said.
    pub(super) age: u64,
    pub(super) shutdown: u64,
    /// Accepted bytes, of the application's or of the session's, that nobody got.
    pub(super) unsent: usize,
}

/// Whether a connection may have been lost so, or failed to open.
pub(super) fn check(facts: &Facts, cause: Option<Cause>, error: Option<Error>) -> Result<(), Violation> {
    let legal = match error.map(|error| error.kind()) {
        None => is_graceful(facts, cause),
        Some(kind) => is_error(facts, kind),
    };
    ensure!(legal, "it ended with {error:?} and {cause:?}, after {facts:?}");
    Ok(())
}

/// An end without an error is what somebody has asked for, and did not lose a byte by.
fn is_graceful(facts: &Facts, cause: Option<Cause>) -> bool {
    let Books { wrong, bye, word, .. } = facts.session;
    match cause {
        Some(Cause::LocalAbort) => return facts.aborted || facts.gave_up,
        Some(Cause::LocalClose) if facts.closed => {}
        Some(Cause::PeerEof) if facts.eof => {}
        _ => return false,
    }
    if word {
        // ShuttingDown: what ends it is the peer's closing word, or its FIN. A reset and a bad record are errors.
        (bye || facts.fin) && !wrong && facts.unsent == 0
    } else {
        // An error that was noted and not told when the connection closed: there is nobody to say the word to, and nothing is lost by that.
        facts.session.agreed && (wrong || facts.reset) && facts.unsent == 0
    }
}

fn is_error(facts: &Facts, kind: ErrorKind) -> bool {
    let Books { wrong, bye, word, agreed, .. } = facts.session;
    let closing = facts.closed || facts.eof;
    match kind {
        // The first error counts, and the session finds none behind another one.
        ErrorKind::TlsError => wrong,
        ErrorKind::TlsTruncated => facts.fin && !facts.truncation && agreed && !bye && !wrong && !closing,
        ErrorKind::ConnectionReset if facts.fin && !agreed => !wrong,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => facts.reset && !wrong,
        ErrorKind::TimedOut if word => facts.shutdown >= 30 && closing,
        ErrorKind::TimedOut => facts.age >= 60 && !agreed,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_core::Call;

    fn legal(facts: Facts, cause: Cause, kind: Option<ErrorKind>) -> bool {
        check(&facts, Some(cause), kind.map(|kind| Error::new(Call::Receive, kind))).is_ok()
    }

    #[test]
    fn a_graceful_end_takes_more_than_a_fault() {
        let open = Facts { session: Books { agreed: true, ..Books::default() }, ..Facts::default() };
        let reset = Facts { reset: true, ..open };
        let wrong = Facts { session: Books { wrong: true, ..open.session }, ..open };
        for facts in [open, reset, wrong, Facts { fin: true, ..open }] {
            assert!(!legal(facts, Cause::LocalClose, None) && !legal(facts, Cause::PeerEof, None), "{facts:?}");
        }
        assert!(legal(reset, Cause::ReadFailed, Some(ErrorKind::ConnectionReset)));
        assert!(legal(wrong, Cause::ReadFailed, Some(ErrorKind::TlsError)));
        // In the shutdown a FIN is an answer, and a reset or a bad record is none.
        let said = |facts: Facts| Facts { session: Books { word: true, ..facts.session }, closed: true, ..facts };
        assert!(legal(said(Facts { fin: true, ..open }), Cause::LocalClose, None));
        assert!(!legal(said(Facts { fin: true, ..open }), Cause::ReadFailed, Some(ErrorKind::TlsTruncated)));
        assert!(!legal(said(reset), Cause::LocalClose, None) && !legal(said(wrong), Cause::LocalClose, None));
    }
}

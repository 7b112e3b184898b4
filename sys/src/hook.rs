//! Where reports go.

use crate::panic;
use plimsoll_core::Report;
use std::io::Write;

/// The loop's error hook.
pub(crate) struct ErrorHook(Box<dyn FnMut(Report)>);

impl ErrorHook {
    pub(crate) fn new(hook: impl FnMut(Report) + 'static) -> Self {
        Self(Box::new(hook))
    }

    /// Gives a report to the hook; a hook that panics loses this one report and nothing else.
    #[cold]
    pub(crate) fn give(&mut self, report: Report) {
        if let Err(message) = panic::catch(|| (self.0)(report)) {
            print(&format_args!("the error hook panicked: {message}"));
        }
    }
}

impl Default for ErrorHook {
    fn default() -> Self {
        Self::new(|report| print(&report))
    }
}

/// One line on the standard error output, if there is one.
fn print(what: &dyn core::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "plimsoll: {what}");
}

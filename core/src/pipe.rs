//! Unidirectional pipes: what a stream transport has of the one direction, and no second copy of its table.

use crate::error::Error;
use crate::flow::data::WriteData;
use crate::flow::limits::WriteLimits;
use crate::flow::pool::BufPool;
use crate::flow::queue::InFlight;
use crate::flow::read_gate::Hold;
use crate::status::{Refusal, StreamEvent, Wants, WriteStatus};
use crate::stream::StreamTransport;

/// The reading end of a pipe without its descriptor: a [`StreamTransport`] that cannot send.
///
/// `cm`, data, end-of-file, lost (contract 17.3): the end of file always closes it, whatever the protocol answers, and it is closing already
/// while that is told (contract PIPE-2). It has no write, no `write_eof` and no abort.
///
/// ```
/// use plimsoll_core::{BufPool, ReadPipe, StreamEvent};
///
/// let mut pool = BufPool::new();
/// let mut pipe = ReadPipe::new();
/// pipe.handle_open();
/// assert!(matches!(pipe.poll_event(), Some(StreamEvent::Made)) && pipe.wants_read());
/// pipe.handle_eof();
/// assert!(matches!(pipe.poll_event(), Some(StreamEvent::Eof)) && pipe.is_closing());
/// assert!(matches!(pipe.poll_event(), Some(StreamEvent::Lost(why)) if why.error().is_none()));
/// # pipe.close(&mut pool);
/// ```
#[derive(Debug)]
pub struct ReadPipe(StreamTransport);

impl ReadPipe {
    /// A pipe that is being opened.
    #[must_use]
    pub const fn new() -> Self {
        Self(StreamTransport::read_pipe())
    }

    /// See [`StreamTransport::pause_reading`].
    pub fn pause_reading(&mut self) -> bool {
        self.0.pause_reading()
    }

    /// See [`StreamTransport::resume_reading`].
    pub fn resume_reading(&mut self) -> bool {
        self.0.resume_reading()
    }

    /// See [`StreamTransport::hold_reading`].
    pub fn hold_reading(&mut self, why: Hold) {
        self.0.hold_reading(why);
    }

    /// See [`StreamTransport::release_reading`].
    pub fn release_reading(&mut self, why: Hold) -> bool {
        self.0.release_reading(why)
    }

    /// Reads no more; the pipe is lost without an error, and without an end of file (contract PIPE-4).
    pub fn close(&mut self, pool: &mut BufPool) {
        self.0.close(pool);
    }

    /// See [`StreamTransport::fail`].
    pub fn fail(&mut self, pool: &mut BufPool) {
        self.0.fail(pool);
    }

    /// The pipe is there.
    pub fn handle_open(&mut self) {
        self.0.handle_open();
    }

    /// The last writer has gone.
    pub fn handle_eof(&mut self) {
        self.0.handle_eof();
    }

    /// Reading failed: the pipe is lost with that error.
    pub fn handle_read_error(&mut self, error: Error, pool: &mut BufPool) {
        self.0.handle_read_error(error, pool);
    }

    /// See [`StreamTransport::wants_read`].
    #[must_use]
    pub const fn wants_read(&self) -> bool {
        self.0.wants_read()
    }

    /// What the protocol is to be told next: made, end-of-file, lost. Asking again says that it was told.
    pub fn poll_event(&mut self) -> Option<StreamEvent> {
        self.0.poll_event()
    }

    /// See [`StreamTransport::is_closing`].
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    /// See [`StreamTransport::is_over`].
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }

    /// See [`StreamTransport::is_reading`].
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.0.is_reading()
    }
}

impl Default for ReadPipe {
    fn default() -> Self {
        Self::new()
    }
}

/// The writing end of a pipe without its descriptor: a [`StreamTransport`] that cannot receive.
///
/// `cm`, pause and resume, lost (contract 17.3). A reader that goes away ends it: without an error if nothing was queued, else as broken
/// (contract PIPE-7).
///
/// ```
/// use plimsoll_core::{BufPool, ErrorKind, StreamEvent, Wants, WriteLimits, WritePipe};
///
/// let mut pool = BufPool::new();
/// let mut pipe = WritePipe::new(WriteLimits::DEFAULT);
/// pipe.handle_open();
/// assert!(matches!(pipe.poll_event(), Some(StreamEvent::Made)));
/// pipe.write("too late", &mut pool);
/// assert_eq!(pipe.wants_send(), Wants::Bytes);
/// pipe.handle_hang_up(&mut pool);
/// assert!(matches!(pipe.poll_event(), Some(StreamEvent::Lost(why)) if why.error().unwrap().kind() == ErrorKind::BrokenPipe));
/// ```
#[derive(Debug)]
pub struct WritePipe(StreamTransport);

impl WritePipe {
    /// A pipe that is being opened.
    #[must_use]
    pub fn new(limits: WriteLimits) -> Self {
        Self(StreamTransport::write_pipe(limits))
    }

    /// See [`StreamTransport::write`].
    pub fn write(&mut self, data: impl WriteData, pool: &mut BufPool) -> WriteStatus {
        self.0.write(data, pool)
    }

    /// Sends what is queued, then closes the pipe; later writes are refused (contract PIPE-9).
    ///
    /// # Errors
    /// None.
    pub fn write_eof(&mut self) -> Result<(), Refusal> {
        self.0.write_eof()
    }

    /// See [`StreamTransport::close`].
    pub fn close(&mut self, pool: &mut BufPool) {
        self.0.close(pool);
    }

    /// See [`StreamTransport::abort`].
    pub fn abort(&mut self, pool: &mut BufPool) -> usize {
        self.0.abort(pool)
    }

    /// See [`StreamTransport::fail`].
    pub fn fail(&mut self, pool: &mut BufPool) -> usize {
        self.0.fail(pool)
    }

    /// See [`StreamTransport::set_write_buffer_limits`].
    pub fn set_write_buffer_limits(&mut self, limits: WriteLimits) -> WriteStatus {
        self.0.set_write_buffer_limits(limits)
    }

    /// The pipe is there.
    pub fn handle_open(&mut self) {
        self.0.handle_open();
    }

    /// See [`StreamTransport::handle_sent`].
    pub fn handle_sent(&mut self, n: usize, pool: &mut BufPool) {
        self.0.handle_sent(n, pool);
    }

    /// See [`StreamTransport::handle_write_error`].
    pub fn handle_write_error(&mut self, error: Error, pool: &mut BufPool) -> usize {
        self.0.handle_write_error(error, pool)
    }

    /// See [`StreamTransport::handle_hang_up`].
    pub fn handle_hang_up(&mut self, pool: &mut BufPool) -> usize {
        self.0.handle_hang_up(pool)
    }

    /// What the kernel should be given next; never the end, which closing sends.
    #[must_use]
    pub fn wants_send(&self) -> Wants {
        self.0.wants_send()
    }

    /// See [`StreamTransport::gather`].
    pub fn gather<'a>(&'a self, out: &mut [&'a [u8]]) -> usize {
        self.0.gather(out)
    }

    /// See [`StreamTransport::in_flight`].
    pub fn in_flight(&mut self) -> InFlight {
        self.0.in_flight()
    }

    /// What the protocol is to be told next: made, pauses and resumes, lost.
    pub fn poll_event(&mut self) -> Option<StreamEvent> {
        self.0.poll_event()
    }

    /// See [`StreamTransport::is_closing`].
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    /// See [`StreamTransport::is_over`].
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }

    /// See [`StreamTransport::is_writing_paused`].
    #[must_use]
    pub const fn is_writing_paused(&self) -> bool {
        self.0.is_writing_paused()
    }

    /// See [`StreamTransport::write_buffer_size`].
    #[must_use]
    pub fn write_buffer_size(&self) -> usize {
        self.0.write_buffer_size()
    }

    /// See [`StreamTransport::write_buffer_limits`].
    #[must_use]
    pub const fn write_buffer_limits(&self) -> WriteLimits {
        self.0.write_buffer_limits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Call, ErrorKind};
    use alloc::format;
    use alloc::string::String;

    const BROKEN: Error = Error::new(Call::Send, ErrorKind::BrokenPipe);

    /// Does the same to a pipe and to the transport that it is, and compares what they answer and what becomes of them.
    macro_rules! both {
        ($pipe:expr, $plain:expr, |$it:ident| $do:expr) => {{
            let answer = |done: &dyn core::fmt::Debug| format!("{done:?}");
            let first: String = {
                let $it = &mut $pipe;
                answer(&$do)
            };
            let second = {
                let $it = &mut $plain;
                answer(&$do)
            };
            assert_eq!(first, second, "{}", stringify!($do));
            assert_eq!(format!("{:?}", $pipe.0), format!("{:?}", $plain), "{}", stringify!($do));
        }};
    }

    /// Numbers below `n`, the same ones every time.
    fn numbers() -> impl FnMut(u32) -> u32 {
        let mut random = 11u32;
        move |n| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % n
        }
    }

    #[test]
    fn a_read_pipe_is_a_stream_transport_that_cannot_send() {
        //= PIPE-1, PIPE-2, PIPE-4
        let mut pick = numbers();
        let pool = &mut BufPool::new();
        for _ in 0..300 {
            let (mut pipe, mut plain) = (ReadPipe::default(), StreamTransport::read_pipe());
            for _ in 0..15 {
                match pick(16) {
                    0 | 1 => both!(pipe, plain, |it| it.handle_open()),
                    2..=5 => both!(pipe, plain, |it| it.poll_event()),
                    6 => both!(pipe, plain, |it| it.handle_eof()),
                    7 => both!(pipe, plain, |it| it.pause_reading()),
                    8 => both!(pipe, plain, |it| it.resume_reading()),
                    9 => both!(pipe, plain, |it| it.hold_reading(Hold::Writer)),
                    10 => both!(pipe, plain, |it| it.release_reading(Hold::Writer)),
                    11 => both!(pipe, plain, |it| it.close(pool)),
                    12 => both!(pipe, plain, |it| {
                        it.fail(pool);
                    }),
                    13 => both!(pipe, plain, |it| {
                        it.handle_read_error(BROKEN, pool);
                    }),
                    _ => both!(pipe, plain, |it| (it.wants_read(), it.is_closing(), it.is_over(), it.is_reading())),
                }
            }
        }
    }

    #[test]
    fn a_write_pipe_is_a_stream_transport_that_cannot_receive() {
        //= PIPE-6, PIPE-7, PIPE-9, PIPE-10, PIPE-12
        let mut pick = numbers();
        let pool = &mut BufPool::new();
        let limits = WriteLimits::new(2, 5).unwrap();
        for _ in 0..400 {
            let (mut pipe, mut plain) = (WritePipe::new(limits), StreamTransport::write_pipe(limits));
            for _ in 0..20 {
                match pick(20) {
                    0 | 1 => both!(pipe, plain, |it| it.handle_open()),
                    2..=5 => both!(pipe, plain, |it| it.poll_event()),
                    6 | 7 => both!(pipe, plain, |it| it.write("four", pool)),
                    8 => both!(pipe, plain, |it| it.write_eof()),
                    9 => both!(pipe, plain, |it| it.close(pool)),
                    10 => both!(pipe, plain, |it| it.abort(pool)),
                    11 => both!(pipe, plain, |it| it.fail(pool)),
                    12 => both!(pipe, plain, |it| it.set_write_buffer_limits(WriteLimits::new(0, 1).unwrap())),
                    13 | 14 => both!(pipe, plain, |it| it.handle_sent(3, pool)),
                    15 => both!(pipe, plain, |it| it.handle_write_error(BROKEN, pool)),
                    16 => both!(pipe, plain, |it| it.handle_hang_up(pool)),
                    17 => both!(pipe, plain, |it| it.in_flight()),
                    18 => both!(pipe, plain, |it| {
                        let mut out: [&[u8]; 2] = [&[]; 2];
                        (it.gather(&mut out), format!("{out:?}"))
                    }),
                    _ => {
                        both!(pipe, plain, |it| (it.wants_send(), it.is_closing(), it.is_over()));
                        both!(pipe, plain, |it| (it.is_writing_paused(), it.write_buffer_size(), it.write_buffer_limits()));
                    }
                }
            }
        }
    }
}

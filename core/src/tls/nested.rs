//! TLS inside TLS: one session that encrypts for another.

use super::{Session, TlsError, TlsInfo};
use crate::error::{Call, Error, ErrorKind};
use crate::flow::queue::SendQueue;
use alloc::boxed::Box;
use bytes::BytesMut;
use core::any::Any;

/// Two sessions as one: what the upper one sends is data of the lower one's, and the other way round.
pub(crate) struct Nested {
    lower: Box<dyn Session>,
    upper: Box<dyn Session>,
    /// Decrypted by the lower one, and not seen by the upper one yet.
    between: BytesMut,
}

impl Nested {
    /// `between` is what the lower one has decrypted and nobody has seen.
    pub(crate) fn new(lower: Box<dyn Session>, upper: Box<dyn Session>, between: BytesMut) -> Self {
        Self { lower, upper, between }
    }
}

/// The type behind a session; of nested ones, behind the uppermost.
pub(crate) fn any_of<'a>(session: &'a mut (dyn Session + 'static)) -> &'a mut dyn Any {
    if !session.as_any().is::<Nested>() {
        return session.as_any();
    }
    match session.as_any().downcast_mut::<Nested>() {
        Some(nested) => any_of(&mut *nested.upper),
        None => unreachable!("it is one"),
    }
}

fn encrypt_all(lower: &mut dyn Session, queue: &SendQueue, out: &mut SendQueue) -> Result<(), TlsError> {
    queue.pieces().try_for_each(|piece| lower.encrypt(piece, out))
}

impl Session for Nested {
    fn receive(&mut self, wire: &mut [u8], plain: &mut BytesMut, out: &mut SendQueue) -> Result<(), TlsError> {
        let below = self.lower.receive(wire, &mut self.between, out);
        let mut answer = SendQueue::new();
        let above = self.upper.receive(&mut self.between, plain, &mut answer);
        self.between.clear();
        let answered = encrypt_all(&mut *self.lower, &answer, out);
        above?;
        // Before that the answer could not be sent, which is no more than what follows from it.
        below?;
        answered?;
        if self.lower.is_closed_by_peer() && !self.upper.is_closed_by_peer() {
            // To the upper one that is no more than an end of the connection (contract TLS-9).
            return Err(Error::new(Call::Receive, ErrorKind::TlsTruncated).into());
        }
        Ok(())
    }

    fn encrypt(&mut self, plain: &[u8], out: &mut SendQueue) -> Result<(), TlsError> {
        let mut queue = SendQueue::new();
        self.upper.encrypt(plain, &mut queue)?;
        encrypt_all(&mut *self.lower, &queue, out)
    }

    fn close(&mut self, out: &mut SendQueue) {
        let mut queue = SendQueue::new();
        self.upper.close(&mut queue);
        // A lower session that cannot encrypt any more cannot take leave either.
        if encrypt_all(&mut *self.lower, &queue, out).is_ok() {
            self.lower.close(out);
        }
    }

    fn is_handshaking(&self) -> bool {
        self.upper.is_handshaking()
    }

    fn is_closed_by_peer(&self) -> bool {
        self.upper.is_closed_by_peer()
    }

    fn info(&self) -> TlsInfo {
        self.upper.info()
    }
}

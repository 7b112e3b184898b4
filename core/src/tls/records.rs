//! Records through rustls' unbuffered connections, which keep no bytes: what is sent is encrypted into the queue, what came is taken as it lies.

use super::heads::Head;
use crate::flow::queue::SendQueue;
use ::rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use ::rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use ::rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};
use ::rustls::{CommonState, Error};
use bytes::BytesMut;

/// The most that one record holds.
const RECORD: usize = 16 * 1024;
/// What encryption adds to a record, at most; were it more, rustls would say so.
const OVERHEAD: usize = 32;

/// One of the two kinds of connections.
pub(super) trait Records {
    type Side;
    fn look<'c, 'w>(&'c mut self, wire: &'w mut [u8]) -> UnbufferedStatus<'c, 'w, Self::Side>;
    fn state(&self) -> &CommonState;
}

macro_rules! records {
    ($($connection:ty, $side:ty);*) => {$(
        impl Records for $connection {
            type Side = $side;

            #[inline]
            fn look<'c, 'w>(&'c mut self, wire: &'w mut [u8]) -> UnbufferedStatus<'c, 'w, $side> {
                self.process_tls_records(wire)
            }

            #[inline]
            fn state(&self) -> &CommonState {
                self
            }
        }
    )*};
}

records!(UnbufferedClientConnection, ClientConnectionData; UnbufferedServerConnection, ServerConnectionData);

/// Uses what came as far as it goes: how many bytes of it are done with, and whether the peer has said its closing word. What is wrong with it goes into `error`,
/// which is large, and mostly stays as it is.
#[inline(always)]
pub(super) fn receive(
    records: &mut impl Records,
    wire: &mut [u8],
    plain: &mut BytesMut,
    out: &mut SendQueue,
    error: &mut Option<Error>,
) -> (usize, bool) {
    let (mut used, mut closed) = (0, false);
    loop {
        let status = records.look(&mut wire[used..]);
        used += status.discard;
        match status.state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => {
                            plain.extend_from_slice(record.payload);
                            used += record.discard;
                        }
                        Err(wrong) => {
                            *error = Some(wrong);
                            return (used, closed);
                        }
                    }
                }
                if used == wire.len() && !records.state().wants_write() {
                    // Nothing is left to be looked at, nor to be sent: most messages end here.
                    return (used, closed);
                }
            }
            Ok(ConnectionState::EncodeTlsData(data)) => {
                encode(data, out);
            }
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => closed = true,
            Ok(_) => return (used, closed),
            Err(wrong) => {
                send_rest(records, out);
                *error = Some(wrong);
                return (used, closed);
            }
        }
    }
}

/// Encrypts; `kept` is what was left of what came.
#[inline]
pub(super) fn encrypt(records: &mut impl Records, kept: &mut [u8], plain: &[u8], out: &mut SendQueue) -> Result<(), Error> {
    let done = when_ready(records, kept, out, |traffic, out| {
        plain.chunks(RECORD).try_for_each(|part| match out.fill(part.len() + OVERHEAD, |memory| traffic.encrypt(part, memory)) {
            Err(EncryptError::InsufficientSize(size)) => out.fill(size.required_size, |memory| traffic.encrypt(part, memory)),
            other => other,
        })
    })?;
    match done {
        Some(Ok(())) => Ok(()),
        // It has said its closing word instead.
        Some(Err(_)) | None => {
            send_rest(records, out);
            Err(Error::EncryptError)
        }
    }
}

/// Says the closing word, if a word can be said: the head of its record.
pub(super) fn close(records: &mut impl Records, kept: &mut [u8], out: &mut SendQueue) -> Option<Head> {
    // Without memory for it, it is left to be sent.
    let _ = when_ready(records, kept, out, |traffic, _| traffic.queue_close_notify(&mut []));
    send_rest(records, out)
}

/// Calls `f` when data can be sent; `None` if it cannot.
#[inline]
fn when_ready<C: Records, R>(
    records: &mut C,
    kept: &mut [u8],
    out: &mut SendQueue,
    f: impl FnOnce(&mut WriteTraffic<'_, C::Side>, &mut SendQueue) -> R,
) -> Result<Option<R>, Error> {
    loop {
        match records.look(kept).state? {
            ConnectionState::WriteTraffic(mut traffic) => return Ok(Some(f(&mut traffic, out))),
            ConnectionState::EncodeTlsData(data) => {
                encode(data, out);
            }
            ConnectionState::TransmitTlsData(data) => data.done(),
            _ => return Ok(None),
        }
    }
}

/// Sends what waits for that, an alert mostly: the head of the last record.
fn send_rest(records: &mut impl Records, out: &mut SendQueue) -> Option<Head> {
    let mut last = None;
    while records.state().wants_write() {
        match records.look(&mut []).state {
            Ok(ConnectionState::EncodeTlsData(data)) => last = encode(data, out).or(last),
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(_) | Err(_) => break,
        }
    }
    last
}

/// Sends one record, and answers with its head.
fn encode<Side>(mut data: EncodeTlsData<'_, Side>, out: &mut SendQueue) -> Option<Head> {
    let mut head = None;
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        // It fits, as it has just said.
        let _ = out.fill(size.required_size, |memory| {
            let written = data.encode(memory);
            head = memory.first_chunk().copied();
            written
        });
    }
    head
}

//! The bytes that tests send: byte number n is always the same, and lost, doubled or swapped bytes show.

use super::How;
use bytes::{Bytes, BytesMut};
use core::cell::Cell;
use plimsoll_core::{BufPool, Data, StreamTransport, WriteStatus};
#[cfg(feature = "loops")]
use plimsoll_core::{Hub, StreamId};
use std::sync::LazyLock;

/// A prime, so that it is in step with no block size.
const PERIOD: usize = 65_521;
/// The longest write a test makes.
pub(crate) const LONGEST: usize = 80_000;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut rng = fastrand::Rng::with_seed(1);
    let period: Vec<u8> = (0..PERIOD).map(|_| rng.u8(..)).collect();
    period.iter().copied().cycle().take(PERIOD + LONGEST).collect()
});

/// `len` bytes of the pattern, from byte number `at` on: no more than [`LONGEST`].
pub(crate) fn bytes(at: u64, len: usize) -> &'static [u8] {
    let start = (at % PERIOD as u64) as usize;
    &BYTES[start..start + len]
}

/// Whether the data, of any length, is the pattern from byte number `at` on.
pub(crate) fn is(at: u64, data: &[u8]) -> bool {
    (at..).step_by(LONGEST).zip(data.chunks(LONGEST)).all(|(at, part)| part == bytes(at, part.len()))
}

thread_local! {
    /// The block that lent data lies in.
    static BLOCK: Cell<BytesMut> = Cell::default();
}

/// Bytes as received ones are: in the front of a larger block.
fn lent<T>(data: &[u8], use_it: impl FnOnce(Data<'_>) -> T) -> T {
    let mut block = BLOCK.take();
    block.clear();
    block.extend_from_slice(data);
    block.resize(data.len().max(2048), 0);
    let result = use_it(Data::new(&mut block, data.len()));
    BLOCK.set(block);
    result
}

/// Calls `$write` with the data in the form that `$how` says.
macro_rules! write_as {
    ($how:expr, $data:expr, |$form:ident| $write:expr) => {
        match $how {
            How::Slice => {
                let $form = $data;
                $write
            }
            How::Vec => {
                let $form = $data.to_vec();
                $write
            }
            How::Bytes => {
                let $form = Bytes::copy_from_slice($data);
                $write
            }
            How::BytesMut => {
                let $form = BytesMut::from($data);
                $write
            }
            How::Lent => lent($data, |$form| $write),
        }
    };
}

/// Writes to a transport.
pub(crate) fn write(to: &mut StreamTransport, how: How, data: &[u8], pool: &mut BufPool) -> WriteStatus {
    write_as!(how, data, |form| to.write(form, pool))
}

/// Writes to a connection of a loop.
#[cfg(feature = "loops")]
pub(crate) fn write_to<S>(hub: &mut Hub<S>, id: StreamId, how: How, data: &[u8]) -> WriteStatus {
    write_as!(how, data, |form| hub.write(id, form))
}

/// Writes to a queue.
pub(crate) fn push(to: &mut plimsoll_core::SendQueue, how: How, data: &[u8]) {
    write_as!(how, data, |form| to.push(form));
}

//! The send queue beside its model.

use super::How;
use super::pattern;
use crate::harness::{Run, Violation, ensure, same};
use crate::model::QueueModel;
use plimsoll_core::{BufPool, InFlight, MAX_PIECES, SendQueue};

/// Pushes, partial sends, and operations in flight that outlive the bytes they share.
///
/// # Errors
/// If the queue lends other bytes than were pushed, or bytes in flight change.
pub fn lifetime(run: &mut Run<'_>) -> Result<(), Violation> {
    let mut pool = BufPool::with_block_size([BufPool::BLOCK, 1, 1500][run.choices().pick(3)]);
    let mut queue = SendQueue::new();
    let mut model = QueueModel::new();
    let mut flights: Vec<(InFlight, Vec<u8>)> = Vec::new();
    let mut pushed = 0_u64;
    // Swarm: what this run does, and how likely.
    let weights = [6, [0, 2, 12][run.choices().pick(3)], 6, [0, 1, 6][run.choices().pick(3)], 1];
    let sizes = [4, [0, 3][run.choices().pick(2)], [0, 1, 6][run.choices().pick(3)]];
    for _ in 0..[8, 40, 200][run.choices().weighted(&[2, 4, 1])] {
        if run.choices().is_exhausted() {
            break;
        }
        match run.choices().weighted(&weights) {
            0 | 1 => {
                let how = How::ALL[run.choices().pick(How::ALL.len())];
                let len = match run.choices().weighted(&sizes) {
                    0 => run.choices().pick(9),
                    1 => 1 + run.choices().pick(300),
                    _ => 1000 + run.choices().pick(9000),
                };
                run.step(("push", how, len));
                let data = pattern::bytes(pushed, len);
                pushed += len as u64;
                model.push(data);
                pattern::push(&mut queue, how, data);
            }
            2 => {
                let most = [1, run.choices().pick(model.len() + 1), model.len(), model.len() + 7][run.choices().pick(4)];
                run.step(("advance", most));
                model.advance(most);
                queue.advance(most, &mut pool);
            }
            3 => {
                run.step("in_flight");
                let shares = queue.in_flight();
                let pieces = shares.pieces();
                ensure!(pieces.len() <= MAX_PIECES, "{} pieces in flight", pieces.len());
                ensure!(pieces.iter().all(|piece| !piece.is_empty()), "an empty piece in flight");
                same!("bytes in flight", Some(shares.len()), model.prefix(pieces.iter().map(|piece| &piece[..])));
                same!("nothing in flight", shares.is_empty(), model.is_empty());
                let copy = pieces.concat();
                flights.push((shares, copy));
            }
            _ => {
                run.step("landed");
                if !flights.is_empty() {
                    let (shares, copy) = flights.swap_remove(run.choices().pick(flights.len()));
                    ensure!(shares.pieces().concat() == copy, "WRITE-5: bytes in flight have changed");
                }
            }
        }
        compare(&queue, &model, run.choices().pick(20))?;
    }
    for (shares, copy) in flights {
        ensure!(shares.pieces().concat() == copy, "WRITE-5: bytes in flight have changed");
    }
    Ok(())
}

fn compare(queue: &SendQueue, model: &QueueModel, room: usize) -> Result<(), Violation> {
    same!("len", queue.len(), model.len());
    same!("is_empty", queue.is_empty(), model.is_empty());
    let mut slices: [&[u8]; 20] = [&[]; 20];
    let lent = queue.gather(&mut slices[..room]);
    ensure!(lent <= room, "{lent} slices, room for {room}");
    let slices = &slices[..lent];
    ensure!(slices.iter().all(|slice| !slice.is_empty()), "an empty slice");
    let Some(offered) = model.prefix(slices.iter().copied()) else {
        return Err(Violation(String::from("I-OUT: other bytes are offered than were pushed")));
    };
    ensure!(lent == room || offered == model.len(), "I-OUT: {offered} of {} bytes offered", model.len());
    match queue.as_one_slice() {
        Some(slice) => {
            same!("as_one_slice", model.prefix([slice]), Some(slice.len()));
            same!("as_one_slice", slice.len(), model.len());
        }
        None => ensure!(lent != 1 || offered < model.len(), "as_one_slice: it is one"),
    }
    Ok(())
}

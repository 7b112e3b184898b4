//! The reasons not to read beside their model.

use crate::harness::{Run, Violation, same};
use crate::model::{GateModel, HOLDS};
use plimsoll_core::{Hold, ReadGate};

/// Reasons that come and go, and an end-of-file in between.
///
/// # Errors
/// If machine and model disagree.
pub fn lifetime(run: &mut Run<'_>) -> Result<(), Violation> {
    let mut model = GateModel::new();
    let mut gate = if run.choices().one_in(2) {
        let why = HOLDS[run.choices().pick(HOLDS.len())];
        model.hold(why);
        ReadGate::held(why)
    } else {
        ReadGate::new()
    };
    for _ in 0..[6, 30][run.choices().pick(2)] {
        if run.choices().is_exhausted() {
            break;
        }
        let index = run.choices().pick(HOLDS.len());
        match run.choices().weighted(&[4, 6, 1, 4]) {
            0 => {
                run.step(("hold", index));
                same!("hold", gate.hold(HOLDS[index]), model.hold(HOLDS[index]));
            }
            1 => {
                run.step(("release", index));
                same!("release", gate.release(HOLDS[index]), model.release(HOLDS[index]));
            }
            2 => {
                run.step("eof");
                gate.handle_eof();
                model.handle_eof();
            }
            _ => {
                run.step("poll");
                same!("poll_eof", gate.poll_eof(), model.tell_eof());
            }
        }
        same!("is_open", gate.is_open(), model.is_open());
        same!("is_eof_owed", gate.is_eof_owed(), model.is_eof_owed());
        same!("is_eof_due", gate.is_eof_due(), model.is_eof_due());
        for why in HOLDS.into_iter().chain([Hold::Eof]) {
            same!(format!("is_held({why:?})"), gate.is_held(why), model.is_held(why));
        }
    }
    Ok(())
}

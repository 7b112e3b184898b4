//! The flow sub-machine beside its model.

use crate::harness::{Run, Violation, ensure, same};
use crate::model::FlowModel;
use plimsoll_core::{Edge, WriteFlow, WriteLimits};

/// Sizes that jump about, limits that change, and an end.
///
/// # Errors
/// If machine and model disagree, or pause and resume do not alternate.
pub fn lifetime(run: &mut Run<'_>) -> Result<(), Violation> {
    let (low, high) = marks(run);
    let mut flow = WriteFlow::new(limits(low, high)?);
    let mut model = FlowModel::new(low, high);
    let mut told = None;
    let weights =
        [8, 8, [0, 3][run.choices().pick(2)], [0, 1][run.choices().weighted(&[4, 1])], [0, 1][run.choices().weighted(&[9, 1])]];
    for _ in 0..[10, 60][run.choices().pick(2)] {
        if run.choices().is_exhausted() {
            break;
        }
        let size = run.choices().pick(10);
        match run.choices().weighted(&weights) {
            0 => {
                run.step(("wrote", size));
                model.evaluate(size);
                same!("wrote", flow.wrote(size), model.is_paused());
            }
            1 => {
                run.step(("poll", size));
                let edge = model.next(size);
                same!("poll_edge", flow.poll_edge(size), edge);
                if let Some(edge) = edge {
                    let expected = if told == Some(Edge::Pause) { Edge::Resume } else { Edge::Pause };
                    ensure!(edge == expected, "I-ALTERNATE: {edge:?} after {told:?}");
                    told = Some(edge);
                }
            }
            2 => {
                let (low, high) = marks(run);
                run.step(("limits", low, high, size));
                model.set_limits(low, high, size);
                same!("set_limits", flow.set_limits(limits(low, high)?, size), model.is_paused());
            }
            3 => {
                run.step("close");
                model.close();
                flow.close();
            }
            _ => {
                run.step("end");
                model.end();
                flow.end();
            }
        }
        same!("is_paused", flow.is_paused(), model.is_paused());
        same!("limits", (flow.limits().low(), flow.limits().high()), model.limits());
        let size = run.choices().pick(10);
        same!("is_due", flow.is_due(size), model.due(size).is_some());
    }
    Ok(())
}

fn marks(run: &mut Run<'_>) -> (usize, usize) {
    let high = run.choices().pick(9);
    (run.choices().pick(high + 1), high)
}

fn limits(low: usize, high: usize) -> Result<WriteLimits, Violation> {
    WriteLimits::new(low, high).map_err(|error| Violation(error.to_string()))
}

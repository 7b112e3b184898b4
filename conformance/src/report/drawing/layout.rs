//! Where everything stands: rows below each other, items from left to right in their order.

use super::scene::{Item, Kind, Scene};
use crate::scenario::timeline::Turning;

/// The width of a character.
const CHAR: f64 = 6.75;
/// At least so far from one mark to the next.
const STEP: i32 = 15;
/// From one size of the queue to the next, and the most that a run of them takes.
const TICK: f64 = 5.0;
const RUN: f64 = 110.0;
/// Where the first mark stands, and what is free behind words and at the right edge.
const LEFT: i32 = 12;
const GAP: i32 = 14;
const RIGHT: i32 = 104;
/// Room for the numbers of the steps above, and for the time below.
const TOP: i32 = 16;
const BOTTOM: i32 = 18;

pub(super) struct Places {
    /// By item.
    pub(super) x: Vec<i32>,
    /// By row: where it begins.
    pub(super) y: Vec<i32>,
    /// By row.
    pub(super) heights: Vec<i32>,
    /// Behind the last item.
    pub(super) end: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

impl Places {
    pub(super) fn new(scene: &Scene) -> Self {
        let (x, end, widest) = across(scene);
        let mut y = Vec::new();
        let mut heights = Vec::new();
        let mut at = TOP;
        for (row, of) in scene.rows.iter().enumerate() {
            if of.kind == Kind::Peer && row > 0 {
                at += 10;
            }
            let height = match of.kind {
                Kind::Transport if has_levels(scene, row) => 76,
                Kind::Transport => 24,
                Kind::Other => 26,
                _ => 30,
            };
            y.push(at);
            heights.push(height);
            at += height;
        }
        Self { x, y, heights, end, width: widest.max(end + RIGHT), height: at + BOTTOM }
    }
}

/// Whether there is anything to see of a queue.
fn has_levels(scene: &Scene, row: usize) -> bool {
    let mut marks = 0;
    scene.items.iter().any(|item| match *item {
        Item::Size(at, size) => at == row && size > 0,
        Item::Marks(at, ..) => {
            marks += usize::from(at == row);
            marks > 1
        }
        _ => false,
    })
}

fn across(scene: &Scene) -> (Vec<i32>, i32, i32) {
    let mut free = vec![LEFT; scene.rows.len()];
    let mut places = Vec::new();
    let (mut at, mut widest) = (LEFT - STEP, 0);
    let mut items = scene.items.iter().peekable();
    while let Some(item) = items.peek() {
        if let Item::Mark(mark) = item {
            at = (at + STEP).max(free[mark.row]);
            places.push(at);
            let width = (mark.text.chars().count() as f64 * CHAR).ceil() as i32;
            free[mark.row] = at + 7 + width + GAP;
            widest = widest.max(free[mark.row]);
            items.next();
            continue;
        }
        let run: Vec<&Item> = core::iter::from_fn(|| items.next_if(|item| !matches!(item, Item::Mark(_)))).collect();
        let sizes = run.iter().filter(|item| matches!(item, Item::Size(..))).count();
        let tick = TICK.min(RUN / sizes.max(1) as f64);
        let mut so_far = f64::from(at);
        for item in run {
            if matches!(item, Item::Size(..)) {
                so_far += tick;
            }
            places.push(so_far.round() as i32);
        }
        at = so_far.round() as i32;
    }
    // An observer is told of a callback before it runs: both are one thing.
    for (n, pair) in scene.items.windows(2).enumerate() {
        let told = [Turning::WritingPaused, Turning::WritingResumed, Turning::Over];
        if let [Item::Turned(row, turning), Item::Mark(mark)] = pair {
            if told.contains(turning) && mark.row == row + 1 {
                places[n] = places[n + 1];
            }
        }
    }
    (places, at + STEP, widest)
}

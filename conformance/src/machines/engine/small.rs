//! All there is in a small world: two connections, and every way in which their next callbacks can do one thing each.

use super::round::Loop;
use super::script::{Act, Plan, Script, Stir, Swarm, Who};
use crate::choices::Odometer;
use crate::harness::{Run, Violation};
use crate::machines::How;

/// The other one, or the one that is called, if that is the second.
const OTHER: Who = Who::Live(1);
const FIRST: Who = Who::Live(0);

/// Everything that a callback does there; nothing at all and a panic beside it.
const ACTS: [Act; 17] = [
    Act::Write(Who::Me, How::Slice, 1),
    Act::Write(FIRST, How::Slice, 3),
    Act::Write(OTHER, How::Slice, 3),
    Act::WriteEof(Who::Me),
    Act::Close(Who::Me),
    Act::Close(OTHER),
    Act::Abort(Who::Me),
    Act::Abort(OTHER),
    Act::Fail(OTHER),
    Act::PauseReading(OTHER),
    Act::ResumeReading(OTHER),
    Act::Limits(OTHER, 2, 4),
    Act::SetProtocol(Who::Me, true),
    Act::SetProtocol(OTHER, false),
    Act::SetTimer(OTHER, 0),
    Act::CallSoon,
    Act::Follow(OTHER, FIRST),
];

/// What happens to the two before their callbacks run.
const STIRS: [[Stir; 2]; 6] = [
    [Stir::Feed(0, 1), Stir::Feed(1, 1)],
    [Stir::Feed(1, 1), Stir::Finish(1)],
    [Stir::Finish(0), Stir::Feed(1, 5)],
    [Stir::Feed(0, 1), Stir::Reset(1)],
    [Stir::SendFails(0), Stir::Feed(0, 1)],
    [Stir::Outside, Stir::Feed(1, 1)],
];

/// One script of each kind.
fn script(run: &mut Run<'_>) -> Script {
    let which = run.choices().pick(ACTS.len() + 2);
    let panics = which == ACTS.len() + 1;
    Script { acts: ACTS.get(which).copied().into_iter().collect(), panics, ..Script::default() }
}

/// One run in the small world.
fn case(run: &mut Run<'_>, completions: bool, scripts: usize) -> Result<(), Violation> {
    let room = [usize::MAX, 0][run.choices().pick(2)];
    let stirs = STIRS[run.choices().pick(STIRS.len())];
    let list: Vec<_> = (0..scripts).map(|_| script(run)).collect();
    Loop::new(Swarm::small(room), completions).live(run, move |world, _| {
        world.act(Act::Connect(Plan::Succeeds, false));
        world.act(Act::Connect(Plan::Succeeds, true));
        world.iterate(true, 0)?;
        world.iterate(true, 0)?;
        world.go(&list, &stirs)?;
        world.go(&[], &[Stir::Room(0, 2), Stir::Room(1, 2)])?;
        world.finish()
    })
}

/// Every run in the small world in which the next `scripts` callbacks do one thing each; how many they are.
///
/// # Errors
/// The first one in which the loop and its model disagree.
pub fn small_world(completions: bool, scripts: usize) -> Result<u64, Violation> {
    let mut all = Odometer::new();
    let mut count = 0;
    loop {
        let result = case(&mut Run::new(&mut all), completions, scripts);
        count += 1;
        if let Err(violation) = result {
            return Err(Violation(format!("{violation}\nby these decisions: {:?}", all.list())));
        }
        if !all.advance() {
            return Ok(count);
        }
    }
}

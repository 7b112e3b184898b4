//! Everything that can happen in a small world.

use std::collections::BTreeSet;

/// A machine with what it needs around it, small enough that its states come to an end.
pub(super) trait World {
    /// What can be done to it, or happen to it.
    type Input: Copy;

    /// What is possible now.
    fn inputs(&self) -> Vec<Self::Input>;

    /// Does it; what was told and answered, in order.
    fn apply(&mut self, input: Self::Input) -> Vec<&'static str>;

    /// All that makes a difference to what comes: equal texts, equal worlds.
    fn key(&self) -> String;
}

/// Breadth first through all states: shows each input in each of them, with the world before and after.
///
/// Worlds cannot be copied, so each is reached anew by the inputs that first led to it. Returns how many there are.
pub(super) fn explore<W: World>(new: impl Fn() -> W, mut see: impl FnMut(&W, W::Input, &[&'static str], &W)) -> usize {
    let reach = |path: &[W::Input]| {
        let mut world = new();
        for input in path {
            world.apply(*input);
        }
        world
    };
    let mut seen = BTreeSet::from([new().key()]);
    let mut paths: Vec<Vec<W::Input>> = vec![Vec::new()];
    let mut at = 0;
    while at < paths.len() {
        let path = paths[at].clone();
        let before = reach(&path);
        for input in before.inputs() {
            let mut after = reach(&path);
            let told = after.apply(input);
            see(&before, input, &told, &after);
            if seen.insert(after.key()) {
                paths.push(path.iter().copied().chain([input]).collect());
            }
        }
        at += 1;
    }
    seen.len()
}

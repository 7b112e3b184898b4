//! Every requirement of the contract is shown, or says why not; see `conformance/CONTRACT.md`, section 20.

use plimsoll_conformance::trace::{Trace, Tree, own_root};

#[test]
fn contract_statuses_scenarios_and_tests_belong_together() {
    let tree = Tree::read(&own_root()).expect("the files of the project");
    let trace = Trace::of(&tree);
    let told: String = trace.problems.iter().map(|problem| format!("{problem}\n")).collect();
    assert!(trace.problems.is_empty(), "{told}{} problems; `trace --write` makes the generated lists anew", trace.problems.len());
}

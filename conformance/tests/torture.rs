//! Every scenario with its calls failing: the sample of the gate. `plimsoll-conformance torture` runs all cases.

use plimsoll_conformance::scenario::torture::{Figures, HOSTS, Seen, cases, sample, torture};
use plimsoll_conformance::scenario::{Scenario, host, load, own_folder};
use std::rc::Rc;
use std::time::Instant;

#[test]
fn whatever_fails_the_loop_keeps_the_contract_and_serves_on() {
    //= RUST-6, RUST-11, READ-4, READ-13, WRITE-10, LIFE-2, LIFE-13, LOOP-22, LOOP-23
    let scenarios: Vec<Rc<Scenario>> =
        load(&own_folder()).expect("the suite can be read").iter().flat_map(Scenario::variants).map(Rc::new).collect();
    let mut failures = Vec::new();
    for name in HOSTS {
        let begun = Instant::now();
        let (mut figures, mut seen) = (Figures::default(), Seen::new());
        for scenario in scenarios.iter().filter(|scenario| host::plays(name, scenario).is_ok()) {
            let all = cases(name, scenario).unwrap_or_else(|why| panic!("{} on {name}: {why}", scenario.id));
            figures.count(&all);
            for case in sample(all, &mut seen) {
                figures.runs += 1;
                if let Err(why) = torture(scenario, &case) {
                    failures.push(format!("{case}\n  {why}"));
                }
            }
        }
        figures.time = begun.elapsed();
        println!("{name}: {figures}");
        assert!(figures.runs > 3000, "{name}: {} cases", figures.runs);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
